// Package auth decides who may do what: permission bits, access rules, and which objects of a pool a user may see. It reads a
// snapshot's rules and an object's access data; it knows neither passwords nor drivers.
package auth

import (
	"strconv"

	"goned/core/acl"
	"goned/core/refusal"
	"goned/core/resource"
)

// Op is an operation, with the number of its bit in the rights of a rule.
type Op uint64

// The operations of 4.6. None implies another.
const (
	Use    Op = 0x1
	Manage Op = 0x2
	Admin  Op = 0x4
	Create Op = 0x8
)

// String is the operation's name in refusals.
func (o Op) String() string {
	switch o {
	case Use:
		return "USE"
	case Manage:
		return "MANAGE"
	case Admin:
		return "ADMIN"
	case Create:
		return "CREATE"
	}
	return "Op(" + strconv.FormatUint(uint64(o), 16) + ")"
}

// Caller is the user on whose behalf something is done.
type Caller struct {
	UID, GID     int // GID is the primary group
	Groups       resource.IDs
	UName, GName string
	Umask        resource.Permissions
}

// Root reports whether the caller is oneadmin, whom nothing is refused.
func (c *Caller) Root() bool { return c.UID == 0 }

// Administrator reports whether the caller passes every check: oneadmin and the members of group 0, primary or secondary.
func (c *Caller) Administrator() bool { return c.UID == 0 || c.Groups.Has(0) }

// Privileged reports whether the caller is oneadmin or has group 0 as primary group: a few places of 4.6 look at that alone.
func (c *Caller) Privileged() bool { return c.UID == 0 || c.GID == 0 }

// Check is one thing that somebody wants to do with one object.
type Check struct {
	Op     Op
	Kind   resource.Kind
	ID     int // negative: no object in particular
	Access resource.Access
	// New is the template of an object that is to be created, for an external authorization driver.
	New string
}

// On is the check of op on an existing object.
func On(op Op, kind resource.Kind, obj interface {
	OID() int
	Access() resource.Access
}) Check {
	return Check{Op: op, Kind: kind, ID: obj.OID(), Access: obj.Access()}
}

// OnNone is the check of op on an id that names no object: only a rule for all objects of the kind can grant it.
func OnNone(op Op, kind resource.Kind, id int) Check {
	return Check{Op: op, Kind: kind, ID: id, Access: resource.Access{UID: -1, GID: -1, Cluster: resource.NoCluster}}
}

// ToCreate is the check for a new object, which would belong to the caller and his primary group.
func (c *Caller) ToCreate(kind resource.Kind, template string) Check {
	return Check{
		Op: Create, Kind: kind, ID: -1, New: template,
		Access: resource.Access{UID: c.UID, GID: c.GID, Cluster: resource.NoCluster},
	}
}

// reason is the text of a refused check.
func (k *Check) reason() string {
	text := "Not authorized to perform " + k.Op.String() + " " + k.Kind.String()
	if k.ID >= 0 {
		text += " [" + strconv.Itoa(k.ID) + "]"
	}
	return text
}

// Authorize evaluates all checks and returns nil or a refusal that lists, in their order, those that fail.
func Authorize(rules *acl.Rules, zone int, c *Caller, checks ...Check) error {
	if c.Root() {
		return nil
	}
	var reasons []string
	for i := range checks {
		if !Allowed(rules, zone, c, &checks[i]) {
			reasons = append(reasons, checks[i].reason())
		}
	}
	if len(reasons) > 0 {
		return refusal.Denied(reasons...)
	}
	return nil
}

// Allowed evaluates one check.
func Allowed(rules *acl.Rules, zone int, c *Caller, k *Check) bool {
	if c.Administrator() {
		return true
	}
	if k.ID >= 0 && implicit(c, k) {
		return true
	}
	for r := range rules.All() {
		if applies(&r, zone, c) && uint64(r.Rights)&uint64(k.Op) != 0 && covers(&r, k) {
			return true
		}
	}
	return false
}

// implicit evaluates the object's own permission bits.
func implicit(c *Caller, k *Check) bool {
	bits := map[Op][3]resource.Permissions{
		Use:    {resource.OwnerU, resource.GroupU, resource.OtherU},
		Manage: {resource.OwnerM, resource.GroupM, resource.OtherM},
		Admin:  {resource.OwnerA, resource.GroupA, resource.OtherA},
	}[k.Op]
	p := k.Access.Perms
	return k.Access.UID == c.UID && p&bits[0] != 0 ||
		c.Groups.Has(k.Access.GID) && p&bits[1] != 0 ||
		p&bits[2] != 0
}

// Selector bits of the words of a rule.
const (
	individual = 0x100000000
	group      = 0x200000000
	all        = 0x400000000
	cluster    = 0x800000000
	idMask     = 0xFFFFFFFF
)

// applies reports whether a rule is for this caller and zone.
func applies(r *acl.Rule, zone int, c *Caller) bool {
	z, u := uint64(r.Zone), uint64(r.User)
	if z&all == 0 && !(z&individual != 0 && int(z&idMask) == zone) {
		return false
	}
	switch id := int(u & idMask); {
	case u&all != 0:
		return true
	case u&individual != 0:
		return id == c.UID
	case u&group != 0:
		return c.Groups.Has(id)
	}
	return false
}

// covers reports whether a rule's resource word is about the object of a check.
func covers(r *acl.Rule, k *Check) bool {
	w := uint64(r.Resource)
	if w&uint64(k.Kind) == 0 {
		return false
	}
	switch id := int(w & idMask); {
	case w&all != 0:
		return true
	case w&group != 0:
		return k.Access.GID == id
	case w&individual != 0:
		return k.ID == id
	case w&cluster != 0:
		return k.Access.Cluster == id
	}
	return false
}
