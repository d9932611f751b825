// Package template is the template language of OpenNebula 4.6: attributes
// with a simple value or a list of KEY=value pairs, read from text or XML and
// written as the TEMPLATE element of the object that owns them.
//
// The package knows the language, not the meaning of any attribute. A nil
// *Template reads as an empty one. Neither Template nor Vector locks: they are
// mutable until their owner publishes them and read-only afterwards.
package template

import (
	"cmp"
	"iter"
	"slices"
	"sort"
	"strings"
)

// Attr is an attribute: a simple one when Vec is nil, else a vector attribute
// and Value is empty.
type Attr struct {
	Name  string
	Value string
	Vec   *Vector
}

// Template is a multimap of attributes, sorted by the bytes of their names;
// attributes of the same name keep the order in which they were added. The
// zero Template is empty and ready to use.
type Template struct {
	attrs  []Attr
	packed packed // in place of attrs: see Pack
}

// Name returns the name 4.6 gives to an attribute that was written as name:
// ASCII letters in upper case, and the prefix ONE_ when the written name does
// not begin with a letter or begins with XML in upper case. Keys of vector
// attributes are not treated like that.
func Name(name string) string {
	upper := upperASCII(name)
	if name == "" || isLetter(name[0]) && !strings.HasPrefix(name, "XML") {
		return upper
	}
	return "ONE_" + upper
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// upperASCII turns only a-z to upper case, bytes above 0x7f stay.
func upperASCII(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] >= 'a' && s[i] <= 'z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if b[i] >= 'a' && b[i] <= 'z' {
					b[i] -= 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

// newTemplate sorts attributes collected in the order they were written.
// unique keeps only the last attribute of each name.
func newTemplate(attrs []Attr, unique bool) *Template {
	byName := func(a, b Attr) int { return cmp.Compare(a.Name, b.Name) }
	if !slices.IsSortedFunc(attrs, byName) {
		slices.SortStableFunc(attrs, byName)
	}
	t := &Template{attrs: attrs}
	if unique {
		t.ReplaceDuplicates()
	}
	return t
}

// find returns the range of the attributes of that name in a list; both ends
// are the place to insert when there is none.
func find(attrs []Attr, name string) (from, to int) {
	from, _ = slices.BinarySearchFunc(attrs, name, func(a Attr, name string) int { return cmp.Compare(a.Name, name) })
	rest := attrs[from:]
	if len(rest) == 0 || rest[0].Name != name {
		return from, from
	}
	return from, from + sort.Search(len(rest), func(i int) bool { return rest[i].Name != name })
}

// Get returns the value of the first attribute of that name, "" when there is
// none or, as in 4.6, the first one is a vector.
func (t *Template) Get(name string) string {
	v, _ := t.Lookup(name)
	return v
}

// Lookup is Get that tells an empty value from none.
func (t *Template) Lookup(name string) (string, bool) {
	if t == nil {
		return "", false
	}
	if t.packed != "" {
		return t.packed.lookup(name)
	}
	from, to := find(t.attrs, name)
	if from == to || t.attrs[from].Vec != nil {
		return "", false
	}
	return t.attrs[from].Value, true
}

// Int returns the value of Get as a number, false when 4.6 would not take it
// for one. See Vector.Int.
func (t *Template) Int(name string) (int64, bool) { return parseInt(t.Get(name)) }

// Int32 returns the value of Get as a number, see Vector.Int32.
func (t *Template) Int32(name string) (int32, bool) { return parseInt32(t.Get(name)) }

// Float returns the value of Get as a number, see Vector.Float.
func (t *Template) Float(name string) (float64, bool) { return parseFloat(t.Get(name)) }

// Bool returns whether the value of Get is YES in any case; ok is false when
// there is no value or an empty one.
func (t *Template) Bool(name string) (val, ok bool) { return parseBool(t.Get(name)) }

// Vector returns the first vector attribute of that name, nil if there is
// none. It belongs to the template: a change to it changes the template.
func (t *Template) Vector(name string) *Vector {
	for _, a := range t.named(name) {
		if a.Vec != nil {
			return a.Vec
		}
	}
	return nil
}

// Vectors returns all vector attributes of that name in order.
func (t *Template) Vectors(name string) []*Vector {
	var found []*Vector
	for _, a := range t.named(name) {
		if a.Vec != nil {
			found = append(found, a.Vec)
		}
	}
	return found
}

// All returns the attributes of that name in order.
func (t *Template) All(name string) []Attr { return slices.Clone(t.named(name)) }

// named returns the attributes of that name in the template's own list.
func (t *Template) named(name string) []Attr {
	attrs := t.list()
	from, to := find(attrs, name)
	return attrs[from:to]
}

// Has reports whether there is an attribute of that name, simple or vector.
func (t *Template) Has(name string) bool { return len(t.named(name)) > 0 }

// Attrs goes through all attributes in order.
func (t *Template) Attrs() iter.Seq[Attr] {
	return func(yield func(Attr) bool) {
		for _, a := range t.list() {
			if !yield(a) {
				return
			}
		}
	}
}

// Len returns the number of attributes.
func (t *Template) Len() int {
	switch {
	case t == nil:
		return 0
	case t.packed != "":
		p := t.packed
		return p.number()
	}
	return len(t.attrs)
}

// Add puts an attribute behind those of the same name. Its name is treated as
// by Name; the template keeps the vector itself, not a copy.
func (t *Template) Add(a Attr) {
	a.Name = Name(a.Name)
	if a.Vec != nil {
		a.Value = ""
	}
	t.unpack()
	_, at := find(t.attrs, a.Name)
	t.attrs = insert(t.attrs, at, a)
}

// AddSimple adds a simple attribute, see Add.
func (t *Template) AddSimple(name, value string) { t.Add(Attr{Name: name, Value: value}) }

// AddVector adds a vector attribute, see Add. A nil vector is taken as an empty
// one.
func (t *Template) AddVector(name string, v *Vector) {
	if v == nil {
		v = NewVector()
	}
	t.Add(Attr{Name: name, Vec: v})
}

// Replace puts one simple attribute in the place of all of that name.
func (t *Template) Replace(name, value string) {
	a := Attr{Name: Name(name), Value: value}
	t.unpack()
	from, to := find(t.attrs, a.Name)
	t.attrs = slices.Replace(t.attrs, from, to, a)
}

// Erase removes all attributes of that name and returns their number.
func (t *Template) Erase(name string) int {
	t.unpack()
	from, to := find(t.list(), name)
	if from < to {
		t.attrs = slices.Delete(t.attrs, from, to)
	}
	return to - from
}

// Take removes all attributes of that name and returns them in order.
func (t *Template) Take(name string) []Attr {
	taken := t.All(name)
	t.Erase(name)
	return taken
}

// Merge applies the append rule of the update methods: the attributes of each
// name in from, copied, replace all attributes of that name.
func (t *Template) Merge(from *Template) {
	if from.Len() == 0 {
		return
	}
	t.unpack()
	added := clone(from.list())
	merged := make([]Attr, 0, len(t.attrs)+len(added))
	rest := t.attrs
	for _, a := range added {
		for len(rest) > 0 && rest[0].Name < a.Name {
			merged = append(merged, rest[0])
			rest = rest[1:]
		}
		for len(rest) > 0 && rest[0].Name == a.Name {
			rest = rest[1:]
		}
		merged = append(merged, a)
	}
	t.attrs = append(merged, rest...)
}

// ReplaceDuplicates keeps only the last attribute of each name: the rule of
// user and image templates.
func (t *Template) ReplaceDuplicates() {
	t.unpack()
	kept := t.attrs[:0]
	for i, a := range t.attrs {
		if i+1 == len(t.attrs) || t.attrs[i+1].Name != a.Name {
			kept = append(kept, a)
		}
	}
	clear(t.attrs[len(kept):])
	t.attrs = kept
}

// Clone returns a deep copy; of a nil template an empty one.
func (t *Template) Clone() *Template {
	switch {
	case t == nil:
		return &Template{}
	case t.packed != "":
		return &Template{attrs: t.packed.attrs()}
	}
	return &Template{attrs: clone(t.attrs)}
}

// Equal reports whether both hold the same attributes in the same order.
func (t *Template) Equal(other *Template) bool {
	ours, theirs := t.list(), other.list()
	if len(ours) != len(theirs) {
		return false
	}
	for i := range ours {
		a, b := ours[i], theirs[i]
		if a.Name != b.Name || a.Value != b.Value || (a.Vec == nil) != (b.Vec == nil) || !a.Vec.Equal(b.Vec) {
			return false
		}
	}
	return true
}

// Restricted looks for an attribute that the configuration restricts. An entry
// of the list is NAME, hit by any attribute of that name, or VECTOR/KEY, hit
// by a vector attribute with a value for that key. The first hit in the order
// of the list is returned as the list has it, in upper case. Unlike 4.6, an
// entry never looks at the vectors of the entry before.
func (t *Template) Restricted(list []string) (attr string, found bool) {
	for _, entry := range list {
		entry = upperASCII(entry)
		name, key, vector := strings.Cut(entry, "/")
		if !vector {
			if t.Has(name) {
				return entry, true
			}
			continue
		}
		for _, v := range t.Vectors(name) {
			if v.Get(key) != "" {
				return entry, true
			}
		}
	}
	return "", false
}

// trimName applies what 4.6 does to every template a client sends: when the
// first NAME is a simple one with a value, it loses the white space at its end
// and all other NAMEs go.
func (t *Template) trimName() {
	if name := t.Get("NAME"); name != "" {
		t.Replace("NAME", strings.TrimRight(name, " \f\n\r\t\v"))
	}
}
