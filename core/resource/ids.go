package resource

import (
	"slices"
	"strconv"

	"goned/core/template/xmldoc"
)

// IDs is a set of object ids, ascending. Its methods return a new set and leave the old one as it is, so a set may be shared by
// any number of immutable objects.
type IDs []int

// Has reports whether id is in the set.
func (s IDs) Has(id int) bool {
	_, ok := slices.BinarySearch(s, id)
	return ok
}

// With is the set with id in it. The second result is false when it was there already.
func (s IDs) With(id int) (IDs, bool) {
	i, ok := slices.BinarySearch(s, id)
	if ok {
		return s, false
	}
	out := make(IDs, 0, len(s)+1)
	out = append(out, s[:i]...)
	out = append(out, id)
	return append(out, s[i:]...), true
}

// Without is the set without id. The second result is false when it was not there.
func (s IDs) Without(id int) (IDs, bool) {
	i, ok := slices.BinarySearch(s, id)
	if !ok {
		return s, false
	}
	out := make(IDs, 0, len(s)-1)
	out = append(out, s[:i]...)
	return append(out, s[i+1:]...), true
}

// AppendXML writes <name><ID>1</ID>…</name>; an empty set is <name></name>.
func (s IDs) AppendXML(dst []byte, name string) []byte {
	dst = append(append(append(dst, '<'), name...), '>')
	dst = s.appendElements(dst)
	return append(append(append(dst, "</"...), name...), '>')
}

// appendElements writes <ID>1</ID>….
func (s IDs) appendElements(dst []byte) []byte {
	for _, id := range s {
		dst = strconv.AppendInt(append(dst, "<ID>"...), int64(id), 10)
		dst = append(dst, "</ID>"...)
	}
	return dst
}

// ReadIDs reads the ID children of n; nil reads as the empty set.
func ReadIDs(n *xmldoc.Node) IDs {
	if n == nil || len(n.Children) == 0 {
		return nil
	}
	s := make(IDs, 0, len(n.Children))
	for _, c := range n.Children {
		if c.Name != "ID" {
			continue
		}
		if id, err := strconv.Atoi(c.Text); err == nil {
			s = append(s, id)
		}
	}
	slices.Sort(s)
	return slices.Compact(s)
}
