package auth

import (
	"slices"

	"goned/core/acl"
	"goned/core/refusal"
	"goned/core/resource"
)

// Filter flags of pool listings; a value of 0 or more is a user id.
const (
	Mine      = -3
	All       = -2
	MineGroup = -1
)

// CheckFilter refuses flags that 4.6 does not know.
func CheckFilter(flag int) error {
	if flag < Mine {
		return refusal.New(refusal.XMLRPCAPI, "Incorrect filter_flag", "")
	}
	return nil
}

// Visible tells which objects of one kind a caller sees in a pool listing.
type Visible struct {
	caller   *Caller
	flag     int
	everyone bool  // a USE rule, or group 0, opens all objects
	ids      []int // ascending
	gids     map[int]bool
	clusters map[int]bool
}

// NewVisible prepares the filter: the rules are read once, not for each object.
func NewVisible(rules *acl.Rules, zone int, c *Caller, kind resource.Kind, flag int) *Visible {
	v := &Visible{caller: c, flag: flag, everyone: c.Administrator()}
	if v.everyone || flag == Mine || flag == MineGroup {
		return v
	}
	v.gids, v.clusters = map[int]bool{}, map[int]bool{}
	for r := range rules.All() {
		w := uint64(r.Resource)
		if uint64(r.Rights)&uint64(Use) == 0 || w&uint64(kind) == 0 || !applies(&r, zone, c) {
			continue
		}
		switch id := int(w & idMask); {
		case w&all != 0:
			v.everyone = true
		case w&group != 0:
			v.gids[id] = true
		case w&individual != 0:
			v.ids = append(v.ids, id)
		case w&cluster != 0:
			v.clusters[id] = true
		}
	}
	slices.Sort(v.ids)
	return v
}

// Pass reports whether the object with this id and access data is listed.
func (v *Visible) Pass(id int, a *resource.Access) bool {
	own := a.UID == v.caller.UID
	switch v.flag {
	case Mine:
		return own
	case MineGroup:
		return own || v.groupUse(a)
	case All:
		return own || v.usable(id, a)
	}
	return a.UID == v.flag && (own || v.usable(id, a))
}

func (v *Visible) groupUse(a *resource.Access) bool {
	return a.Perms&resource.GroupU != 0 && v.caller.Groups.Has(a.GID)
}

// usable is what the object's bits and the rules open, leaving aside who owns it.
func (v *Visible) usable(id int, a *resource.Access) bool {
	return v.everyone || a.Perms&resource.OtherU != 0 || v.groupUse(a) ||
		has(v.ids, id) || v.gids[a.GID] || a.Cluster >= 0 && v.clusters[a.Cluster]
}

func has(ids []int, id int) bool {
	_, ok := slices.BinarySearch(ids, id)
	return ok
}

// Nothing reports that of a run of objects none passes.
func (v *Visible) Nothing(run *resource.Summary) bool {
	own := has(run.Users, v.caller.UID)
	switch v.flag {
	case Mine:
		return !own
	case MineGroup:
		return !own && !anyOf(run.Groups, v.caller.Groups.Has)
	case All:
		return !own && !v.someUsable(run)
	}
	return !has(run.Users, v.flag) || !own && !v.someUsable(run)
}

// Everything reports that all objects of any run pass.
func (v *Visible) Everything() bool { return v.flag == All && v.everyone }

// someUsable is usable for a run: false only if it is so for none of its objects.
func (v *Visible) someUsable(run *resource.Summary) bool {
	if v.everyone || run.Public || anyOf(run.Groups, v.caller.Groups.Has) {
		return true
	}
	if i, _ := slices.BinarySearch(v.ids, run.First); i < len(v.ids) && v.ids[i] <= run.Last {
		return true
	}
	return anyOf(run.AllGroups, func(id int) bool { return v.gids[id] }) ||
		anyOf(run.Clusters, func(id int) bool { return v.clusters[id] })
}

func anyOf(ids []int, test func(int) bool) bool { return slices.ContainsFunc(ids, test) }

// Range is the part of a listing that a client asked for.
type Range struct {
	First, Last int // ids; Last -1: no end
	Skip        int // rows of the filtered list to leave out
	Count       int // rows at most; -1: all
}

// NewRange reads the two numbers of a pool request: an id range, or, with an end below -1, a page of the filtered list.
func NewRange(start, end int) Range {
	switch {
	case end < -1:
		return Range{Last: -1, Skip: max(start, 0), Count: -end}
	case start == -1:
		return Range{Last: -1, Count: -1}
	}
	return Range{First: start, Last: end, Count: -1}
}
