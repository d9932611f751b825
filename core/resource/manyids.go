package resource

import (
	"iter"
	"slices"

	"goned/core/template/xmldoc"
)

// ManyIDs is a set of object ids like IDs, for sets that grow with the cloud: what uses an image, what lies in a datastore. Sets
// that differ by one id share all but a run of them, and each run keeps its XML, so that a change costs the same in a large set.
// The zero value is the empty set.
type ManyIDs struct {
	runs []*idRun
	n    int
}

// idRun is some neighbouring ids, ascending; it is never changed.
type idRun struct {
	ids IDs
	xml []byte
}

const idRunSize = 64

func newIDRun(ids IDs) *idRun {
	return &idRun{ids, ids.appendElements(make([]byte, 0, len("<ID>123456</ID>")*len(ids)))}
}

// NewManyIDs is the set of ids, which are ascending.
func NewManyIDs(ids IDs) ManyIDs {
	s := ManyIDs{n: len(ids)}
	for part := range slices.Chunk(ids, idRunSize) {
		s.runs = append(s.runs, newIDRun(part))
	}
	return s
}

// ReadManyIDs reads the ID children of n; nil reads as the empty set.
func ReadManyIDs(n *xmldoc.Node) ManyIDs { return NewManyIDs(ReadIDs(n)) }

// Len is the number of ids.
func (s ManyIDs) Len() int { return s.n }

// All goes through the ids in ascending order.
func (s ManyIDs) All() iter.Seq[int] {
	return func(yield func(int) bool) {
		for _, r := range s.runs {
			for _, id := range r.ids {
				if !yield(id) {
					return
				}
			}
		}
	}
}

// Has reports whether id is in the set.
func (s ManyIDs) Has(id int) bool {
	i := s.run(id)
	return i >= 0 && s.runs[i].ids.Has(id)
}

// run is where id is or belongs: the last run that begins with id or less, the first if there is none, -1 in the empty set.
func (s ManyIDs) run(id int) int {
	i, found := slices.BinarySearchFunc(s.runs, id, func(r *idRun, id int) int { return r.ids[0] - id })
	if !found && i > 0 {
		i--
	}
	if i == len(s.runs) {
		return -1
	}
	return i
}

// With is the set with id in it. The second result is false when it was there already.
func (s ManyIDs) With(id int) (ManyIDs, bool) {
	i := s.run(id)
	if i < 0 {
		return NewManyIDs(IDs{id}), true
	}
	ids, added := s.runs[i].ids.With(id)
	if !added {
		return s, false
	}
	switch {
	case len(ids) <= idRunSize:
		return s.replace(i, 1, newIDRun(ids)), true
	case i == len(s.runs)-1 && ids[idRunSize] == id: // ids mostly ascend: the runs before the last one stay full
		return s.replace(i, 1, s.runs[i], newIDRun(IDs{id})), true
	}
	half := len(ids) / 2
	return s.replace(i, 1, newIDRun(ids[:half]), newIDRun(ids[half:])), true
}

// Without is the set without id. The second result is false when it was not there.
func (s ManyIDs) Without(id int) (ManyIDs, bool) {
	i := s.run(id)
	if i < 0 {
		return s, false
	}
	ids, removed := s.runs[i].ids.Without(id)
	if !removed {
		return s, false
	}
	if len(ids) == 0 {
		return s.replace(i, -1), true
	}
	return s.replace(i, -1, newIDRun(ids)), true
}

// replace is the set with other runs in the place of run i, which hold so many ids more.
func (s ManyIDs) replace(i, more int, runs ...*idRun) ManyIDs {
	out := make([]*idRun, 0, len(s.runs)+1)
	out = append(append(append(out, s.runs[:i]...), runs...), s.runs[i+1:]...)
	return ManyIDs{out, s.n + more}
}

// Size is how many bytes AppendXML appends at most, the name apart.
func (s ManyIDs) Size() int {
	size := len("<></>")
	for _, r := range s.runs {
		size += len(r.xml)
	}
	return size
}

// AppendXML writes <name><ID>1</ID>…</name>; an empty set is <name></name>.
func (s ManyIDs) AppendXML(dst []byte, name string) []byte {
	dst = append(append(append(dst, '<'), name...), '>')
	for _, r := range s.runs {
		dst = append(dst, r.xml...)
	}
	return append(append(append(dst, "</"...), name...), '>')
}
