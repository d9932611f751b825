package rpc

import (
	"fmt"
	"slices"

	"goned/core/auth"
	"goned/core/refusal"
	"goned/core/resource"
	"goned/core/state"
	"goned/core/template"
)

// family describes a kind of object to the handlers that all kinds share: info, update, rename, delete, chown, chmod, pool info.
// A nil function means that the kind has nothing special there.
type family[T state.Object[T]] struct {
	kind resource.Kind
	root string // element around a pool listing
	pool func(*state.Snapshot) *state.Pool[T]
	edit func(*state.Tx) *state.Editor[T]

	// also follows each document of a listing, last is its end; both escaped.
	also func(s *state.Snapshot, id int) []byte
	last func(s *state.Snapshot) []byte
	// document is what info returns; nil: the same as in listings, as reading it back gives it.
	document func(s *state.Snapshot, obj T) Document
	// self is the id that -1 stands for in info.
	self func(c *Call) int
	// manage is the operation that update and rename need; 0: MANAGE.
	manage auth.Op

	name    func(T) *string
	body    func(T) **template.Template // what update changes
	parse   func(string) (*template.Template, error)
	base    func(T) *resource.Base // kinds with an owner
	renamed func(tx *state.Tx, obj T, from string) error
	// updating turns the parsed text into the object's new template, in place.
	updating func(c *Call, tx *state.Tx, obj T, text *template.Template, appending bool) error
	// chowned checks and carries out what a new owner means besides; from is the object before.
	chowned func(c *Call, tx *state.Tx, obj T, from resource.Base) error
	// chmodding checks new permission bits.
	chmodding func(obj T, perms resource.Permissions) error
	// deleting removes the object, or says why not.
	deleting func(c *Call, tx *state.Tx, obj T) error
	// deleter is the operation that delete needs; 0: MANAGE.
	deleter auth.Op
}

func (f *family[T]) or(op, fallback auth.Op) auth.Op {
	if op == 0 {
		return fallback
	}
	return op
}

// find is the object with this id, if the caller may do op with it. An id below zero names nothing: only a rule for all objects of
// the kind lets the caller get as far as learning that.
func (f *family[T]) find(c *Call, s *state.Snapshot, op auth.Op, id int) (T, error) {
	obj := f.pool(s).Get(id)
	var none T
	if obj == none {
		if id < 0 {
			if err := c.Authorize(s, auth.OnNone(op, f.kind, id)); err != nil {
				return none, err
			}
		}
		return none, refusal.NotFound(f.kind.Noun(), id)
	}
	return obj, c.Authorize(s, auth.On(op, f.kind, obj))
}

// info answers one.X.info.
func (f *family[T]) info(c *Call) (any, error) {
	id := c.Int(1)
	if id == -1 && f.self != nil {
		id = f.self(c)
	}
	return c.Read(func(s *state.Snapshot) (any, error) {
		obj, err := f.find(c, s, auth.Use, id)
		if err != nil {
			return nil, err
		}
		if f.document != nil {
			return f.document(s, obj), nil
		}
		return Document(f.pool(s).Reloaded(id)), nil
	})
}

// update answers one.X.update(id, text, type).
func (f *family[T]) update(c *Call) (any, error) {
	id, text, appending := c.Int(1), c.Str(2), c.Int(3) == 1
	return c.UpdateID(id, func(tx *state.Tx) error {
		// An id below zero names nothing to check rights on: oneadmin learns that only after 4.6 has read the other parameters.
		_, missing := f.find(c, tx.View(), f.or(f.manage, auth.Manage), id)
		if missing != nil && (id >= 0 || !c.Root()) {
			return missing
		}
		if t := c.Int(3); t != 0 && t != 1 {
			return refusal.New(refusal.XMLRPCAPI, "Wrong update type", "")
		}
		if missing != nil {
			return missing
		}
		parse := f.parse
		if parse == nil {
			parse = template.Parse
		}
		t, err := parse(text)
		if err != nil {
			return refusal.New(refusal.Internal, "Cannot update template", err.Error())
		}
		obj := f.edit(tx).Edit(id)
		if f.updating != nil {
			err = f.updating(c, tx, obj, t, appending)
		} else {
			replaceOrAppend(f.body(obj), t, appending)
		}
		if err != nil {
			return err
		}
		return f.checkXML(obj, "Cannot update template")
	})
}

// replaceOrAppend is the rule of update: the new text replaces everything, or the attributes whose names it has.
func replaceOrAppend(body **template.Template, text *template.Template, appending bool) {
	if appending {
		(*body).Merge(text)
		return
	}
	*body = text
}

// checkXML refuses a template that could not be written as XML. 4.6 answers success and forgets the change.
func (f *family[T]) checkXML(obj T, text string) error {
	if f.body == nil {
		return nil
	}
	if err := (*f.body(obj)).XMLSafe(); err != nil {
		return refusal.New(refusal.Internal, text, notXML(f.kind))
	}
	return nil
}

// notXML is 4.6's text for an object that cannot be written as XML.
func notXML(kind resource.Kind) string {
	names := map[resource.Kind]string{
		resource.VM: "VM", resource.Host: "Host", resource.Net: "Virtual Network", resource.Image: "Image", resource.User: "User",
		resource.Template: "Template", resource.Group: "Group", resource.Datastore: "Datastore", resource.Cluster: "Cluster",
		resource.Document: "Document", resource.Zone: "Zone",
	}
	return "Error transforming the " + names[kind] + " to XML."
}

// rename answers one.X.rename(id, name).
func (f *family[T]) rename(c *Call) (any, error) {
	id, to := c.Int(1), c.Str(2)
	return c.UpdateID(id, func(tx *state.Tx) error {
		obj := f.pool(tx.View()).Get(id)
		var none T
		if obj == none {
			return refusal.NotFound(f.kind.Noun(), id)
		}
		from := *f.name(obj)
		if from == to {
			return nil
		}
		if err := c.Authorize(tx.View(), auth.On(f.or(f.manage, auth.Manage), f.kind, obj)); err != nil {
			return err
		}
		if to == "" && f.base == nil && f.kind != resource.Zone || to == "" && f.kind == resource.Datastore {
			// compat: 4.6 finds the empty name taken by nobody where names are unique in the whole cloud.
			return refusal.OfAction(fmt.Sprintf("%s cannot be renamed to  because it collides with %s -1", f.kind, f.kind))
		}
		probe := obj.Clone()
		*f.name(probe) = to
		if key := probe.Key(); key != "" {
			if other := f.pool(tx.View()).ByName(key); other != none && other.OID() != id {
				return refusal.OfAction(fmt.Sprintf("%s cannot be renamed to %s because it collides with %s %d",
					f.kind, to, f.kind, other.OID()))
			}
		}
		if err := resource.CheckName(to, ""); err != nil {
			return refusal.OfAction(err.Error())
		}
		key := obj.Key()
		obj = f.edit(tx).Edit(id)
		*f.name(obj) = to
		f.edit(tx).Renamed(id, key)
		if f.renamed != nil {
			return f.renamed(tx, obj, from)
		}
		return nil
	})
}

// delete answers one.X.delete(id).
func (f *family[T]) delete(c *Call) (any, error) {
	id := c.Int(1)
	return c.UpdateID(id, func(tx *state.Tx) error {
		obj := f.pool(tx.View()).Get(id)
		var none T
		if obj == none {
			return refusal.NotFound(f.kind.Noun(), id)
		}
		if err := c.Authorize(tx.View(), auth.On(f.or(f.deleter, auth.Manage), f.kind, obj)); err != nil {
			return err
		}
		if err := f.deleting(c, tx, obj); err != nil {
			if _, ok := refusal.As(err); ok {
				return err
			}
			return refusal.New(refusal.Internal, "Cannot delete "+f.kind.Noun(), err.Error())
		}
		tx.SetACL(tx.ACL().WithoutObject(f.kind, id))
		return nil
	})
}

// chown answers one.X.chown(id, uid, gid).
func (f *family[T]) chown(c *Call) (any, error) {
	id, uid, gid := c.Int(1), max(c.Int(2), -1), max(c.Int(3), -1)
	return c.UpdateID(id, func(tx *state.Tx) error {
		s := tx.View()
		owner, grp := s.Users.Get(uid), s.Groups.Get(gid)
		if uid > -1 && owner == nil {
			return refusal.NotFound(resource.User.Noun(), uid)
		}
		if gid > -1 && grp == nil {
			return refusal.NotFound(resource.Group.Noun(), gid)
		}
		obj := f.pool(s).Get(id)
		var none T
		if obj == none {
			return refusal.NotFound(f.kind.Noun(), id)
		}
		checks := []auth.Check{auth.On(auth.Manage, f.kind, obj)}
		if owner != nil {
			checks = append(checks, auth.On(auth.Manage, resource.User, owner))
		}
		if grp != nil {
			checks = append(checks, auth.On(auth.Use, resource.Group, grp))
		}
		if err := c.Authorize(s, checks...); err != nil {
			return err
		}
		if f.chowned != nil {
			// Other kinds are chowned to nobody by such numbers; here 4.6 looks for an account to charge.
			switch {
			case c.Int(2) < -1:
				return refusal.New(refusal.Authorization, "User not found", "")
			case c.Int(3) < -1:
				return refusal.New(refusal.Authorization, "Group not found", "")
			}
		}
		from, key := *f.base(obj), obj.Key()
		obj = f.edit(tx).Edit(id)
		b := f.base(obj)
		if owner != nil {
			b.UID, b.UName = owner.ID, owner.Name
			if err := f.checkOwnName(s, obj, from); err != nil {
				return err
			}
		}
		if grp != nil {
			b.GID, b.GName = grp.ID, grp.Name
		}
		f.edit(tx).Renamed(id, key)
		if f.chowned != nil {
			return f.chowned(c, tx, obj, from)
		}
		return nil
	})
}

// checkOwnName refuses a new owner who has an object of this name, as 4.6 also when it is this very object.
func (f *family[T]) checkOwnName(s *state.Snapshot, obj T, from resource.Base) error {
	b := f.base(obj)
	key := obj.Key()
	if key == "" || f.kind == resource.Datastore {
		return nil
	}
	var none T
	if other := f.pool(s).ByName(key); other != none {
		return refusal.New(refusal.Internal, fmt.Sprintf("USER [%d] already owns %s [%d] with NAME %s",
			b.UID, f.kind, other.OID(), from.Name), "")
	}
	return nil
}

// chmod answers one.X.chmod(id, nine bits).
func (f *family[T]) chmod(c *Call) (any, error) {
	id := c.Int(1)
	return c.UpdateID(id, func(tx *state.Tx) error {
		obj := f.pool(tx.View()).Get(id)
		var none T
		if obj == none {
			return refusal.NotFound(f.kind.Noun(), id)
		}
		old := f.base(obj).Perms
		perms, admin, other, valid := newBits(c, old)
		if !c.Privileged() {
			if other && !c.Conf().OtherPermissions {
				return refusal.BareText(refusal.Authorization, "Management of 'other' permissions is disabled in oned.conf")
			}
			op := auth.Manage
			if admin {
				op = auth.Admin
			}
			if err := c.Authorize(tx.View(), auth.On(op, f.kind, obj)); err != nil {
				return err
			}
		}
		if f.chmodding != nil {
			if err := f.chmodding(obj, perms); err != nil {
				return refusal.New(refusal.Internal, "Error updating permissions", err.Error())
			}
		}
		if !valid {
			return refusal.New(refusal.Internal, "Error updating permissions", "New permission values must be -1, 0 or 1")
		}
		f.base(f.edit(tx).Edit(id)).Perms = perms
		return nil
	})
}

// newBits reads the nine parameters of chmod: the new bits, whether an admin bit or an "other" bit changes, and whether all
// values are -1, 0 or 1.
func newBits(c *Call, old resource.Permissions) (perms resource.Permissions, admin, other, valid bool) {
	perms, valid = old, true
	for i := range 9 {
		bit := resource.Permissions(0o400 >> i)
		v := c.Int(2 + i)
		changes := v != -1 && v != old.Bit(bit)
		switch v {
		case -1:
		case 0:
			perms &^= bit
		case 1:
			perms |= bit
		default:
			valid = false
		}
		if changes {
			admin = admin || bit&(resource.OwnerA|resource.GroupA|resource.OtherA) != 0
			other = other || bit&(resource.OtherU|resource.OtherM|resource.OtherA) != 0
		}
	}
	return perms, admin, other, valid
}

// escaped is a document in one piece.
func escaped(doc []byte) Document { return Document{resource.AppendEscaped(nil, doc)} }

// selection is what a listing shows: what the caller sees, and of that some classes of objects only.
type selection struct {
	*auth.Visible
	class func(int32) bool // nil: all
}

func (f *selection) Pass(id int, a *resource.Access) bool {
	return (f.class == nil || f.class(a.Class)) && f.Visible.Pass(id, a)
}

func (f *selection) Passing(run *resource.Summary) int {
	n := 0
	for _, c := range run.Classes {
		if f.class == nil || f.class(c.Class) {
			n += c.Count
		}
	}
	switch {
	case n == 0 || f.Nothing(run):
		return 0
	case f.Everything():
		return n
	}
	return -1
}

// listing answers a pool call: the documents of the objects that the filter flag, the range and class (nil: any) let pass.
func (f *family[T]) listing(c *Call, flag, start, end int, class func(int32) bool) (any, error) {
	if err := auth.CheckFilter(flag); err != nil {
		return nil, err
	}
	s := c.Snapshot()
	pool := f.pool(s)
	v := auth.NewVisible(s.ACL, c.Conf().Federation.Zone, &c.Caller, f.kind, flag)
	r := auth.NewRange(start, end)
	var ids []int
	for id := range pool.Select(r.First, r.Skip, &selection{v, class}) {
		if r.Last != -1 && id > r.Last || len(ids) == r.Count {
			break
		}
		ids = append(ids, id)
	}
	out := Document{[]byte("&lt;" + f.root + "&gt;")}
	if f.also == nil {
		out = pool.Listings(slices.Grow(out, len(ids)+1), ids)
	} else {
		for _, id := range ids {
			out = append(out, pool.Listing(id), f.also(s, id))
		}
	}
	if f.last != nil {
		out = append(out, f.last(s))
	}
	return append(out, []byte("&lt;/"+f.root+"&gt;")), nil
}

// all answers the pool calls that take no parameters.
func (f *family[T]) all(c *Call) (any, error) { return f.listing(c, auth.All, -1, -1, nil) }

// filtered answers the pool calls that take a filter flag and a range.
func (f *family[T]) filtered(c *Call) (any, error) {
	return f.listing(c, c.Int(1), c.Int(2), c.Int(3), nil)
}

// Parameters that many methods share.
func idAnd(params ...Param) []Param { return append([]Param{intParam("id")}, params...) }

func updateParams() []Param {
	return idAnd(strParam("template"), intParam("append").or(0).silent())
}

func chmodParams() []Param {
	return idAnd(intParam("owner_u"), intParam("owner_m"), intParam("owner_a"), intParam("group_u"), intParam("group_m"),
		intParam("group_a"), intParam("other_u"), intParam("other_m"), intParam("other_a"))
}

func rangeParams() []Param { return []Param{intParam("filter"), intParam("start"), intParam("end")} }
