package acl

import (
	"cmp"
	"errors"
	"iter"
	"slices"
	"strconv"

	"goned/core/resource"
)

// Rules is the set of all rules, ordered by id. It is immutable: what changes it gives a new set. A nil *Rules is empty.
type Rules struct {
	list []Rule
}

// NewRules makes a set of rules with different ids, in any order.
func NewRules(rules ...Rule) *Rules {
	list := slices.Clone(rules)
	slices.SortFunc(list, func(a, b Rule) int { return cmp.Compare(a.ID, b.ID) })
	return &Rules{list}
}

func (s *Rules) rules() []Rule {
	if s == nil {
		return nil
	}
	return s.list
}

func (s *Rules) find(id int) (int, bool) {
	return slices.BinarySearchFunc(s.rules(), id, func(r Rule, id int) int { return cmp.Compare(r.ID, id) })
}

// All walks the rules by ascending id.
func (s *Rules) All() iter.Seq[Rule] { return slices.Values(s.rules()) }

// Len is the number of rules.
func (s *Rules) Len() int { return len(s.rules()) }

// Get is the rule with this id.
func (s *Rules) Get(id int) (Rule, bool) {
	if i, ok := s.find(id); ok {
		return s.list[i], true
	}
	return Rule{}, false
}

// Check refuses a new rule that exists already under any id or is malformed, in 4.6's words.
func (s *Rules) Check(r Rule) error {
	for i := range s.rules() {
		if s.list[i].Is(&r) {
			return errors.New("Rule " + r.String() + " already exists")
		}
	}
	if wrong := r.Malformed(); wrong != "" {
		return errors.New("Rule " + r.String() + " is malformed: " + wrong)
	}
	return nil
}

// With is the set with a rule in it, in place of one with the same id. See Check for new rules.
func (s *Rules) With(r Rule) *Rules {
	i, found := s.find(r.ID)
	to := i
	if found {
		to++
	}
	return &Rules{slices.Concat(s.rules()[:i], []Rule{r}, s.rules()[to:])}
}

// Without is the set without the rule of this id. The second result is false when there is none.
func (s *Rules) Without(id int) (*Rules, bool) {
	i, ok := s.find(id)
	if !ok {
		return s, false
	}
	return &Rules{slices.Concat(s.list[:i], s.list[i+1:])}, true
}

// WithoutRule is the set without the rule of the same words as r, whatever its id. The second result is false when there is none.
func (s *Rules) WithoutRule(r Rule) (*Rules, bool) {
	out := s.except(func(have *Rule) bool { return have.Is(&r) })
	return out, out != s
}

// except is the set without the rules for which drop holds; it is s itself when there are none.
func (s *Rules) except(drop func(*Rule) bool) *Rules {
	var kept []Rule
	dropped := false
	for i := range s.rules() {
		r := &s.list[i]
		switch {
		case drop(r) && !dropped:
			dropped = true
			kept = append(make([]Rule, 0, len(s.list)-1), s.list[:i]...)
		case dropped && !drop(r):
			kept = append(kept, *r)
		}
	}
	if !dropped {
		return s
	}
	return &Rules{kept}
}

// WithoutObject is the set without what 4.6 removes when an object is deleted: the rules about that object alone, for users,
// groups, clusters and zones also those that name it as user, group, cluster or zone. A rule that names several kinds stays. The
// result is the same set when nothing is removed.
func (s *Rules) WithoutObject(kind resource.Kind, id int) *Rules {
	n := int64(id) & idMask
	const word = idMask | selectors
	return s.except(func(r *Rule) bool {
		if r.Resource == int64(kind)|Individual|n {
			return true
		}
		switch kind {
		case resource.User:
			return r.User == Individual|n
		case resource.Group:
			return r.User == Group|n || r.Resource&word == Group|n
		case resource.Cluster:
			return r.Resource&word == Cluster|n
		case resource.Zone:
			return r.Zone == Individual|n
		}
		return false
	})
}

// ForProvider are the two rules, still without id, by which the members of a group may use a cluster of a zone: deploy on its
// hosts, use its networks and datastores. all stands for all clusters.
func ForProvider(gid, zone, cluster int, all bool) [2]Rule {
	where := int64(All)
	if !all {
		where = Cluster | int64(cluster)
	}
	user, in := Group|int64(gid), Individual|int64(zone)
	return [2]Rule{
		{User: user, Resource: int64(resource.Host) | where, Rights: Manage, Zone: in},
		{User: user, Resource: int64(resource.Net|resource.Datastore) | where, Rights: Use, Zone: in},
	}
}

// AppendXML writes the answer of one.acl.info.
func (s *Rules) AppendXML(dst []byte) []byte {
	dst = append(dst, "<ACL_POOL>"...)
	for i := range s.rules() {
		r := &s.list[i]
		dst = append(dst, "<ACL>"...)
		dst = resource.AppendInt(dst, "ID", int64(r.ID))
		dst = appendHex(dst, "USER", r.User)
		dst = appendHex(dst, "RESOURCE", r.Resource)
		dst = appendHex(dst, "RIGHTS", r.Rights)
		dst = appendHex(dst, "ZONE", r.Zone)
		dst = resource.AppendText(dst, "STRING", r.String())
		dst = append(dst, "</ACL>"...)
	}
	return append(dst, "</ACL_POOL>"...)
}

// appendHex writes a word without 0x or padding; a negative one as its 64 bits.
func appendHex(dst []byte, name string, w int64) []byte {
	return resource.AppendText(dst, name, strconv.FormatUint(uint64(w), 16))
}
