package template

import (
	"encoding/binary"
	"slices"
)

// packed is a template in one piece of memory without pointers, which the garbage collector passes over: a cloud has ten thousand
// templates of a hundred texts each, and hardly ever looks into one. The form: the numbers of attributes, of vectors and of their
// pairs; then each attribute, which is its name and its value or, for a vector, the number of its pairs and these. A name's length
// is doubled, and odd for vectors.
type packed string

// Pack brings the template into the form that takes the least memory. What reads it works as before, but vectors it gives out are
// copies of their own; the first change unpacks it.
func (t *Template) Pack() {
	if t == nil || len(t.attrs) == 0 {
		return
	}
	vectors, pairs, size := 0, 0, 3*binary.MaxVarintLen64
	room := func(text string) int { return len(text) + binary.MaxVarintLen32 }
	for _, a := range t.attrs {
		size += room(a.Name) + room(a.Value)
		if a.Vec != nil {
			vectors++
			pairs += len(a.Vec.pairs)
		}
		for _, p := range a.Vec.Pairs() {
			size += room(p.Key) + room(p.Value)
		}
	}
	out := make([]byte, 0, size)
	number := func(n int) { out = binary.AppendUvarint(out, uint64(n)) }
	text := func(s string) { number(len(s)); out = append(out, s...) }
	number(len(t.attrs))
	number(vectors)
	number(pairs)
	for _, a := range t.attrs {
		if a.Vec == nil {
			number(2 * len(a.Name))
			out = append(out, a.Name...)
			text(a.Value)
			continue
		}
		number(2*len(a.Name) + 1)
		out = append(out, a.Name...)
		number(len(a.Vec.pairs))
		for _, p := range a.Vec.pairs {
			text(p.Key)
			text(p.Value)
		}
	}
	t.packed, t.attrs = packed(out), nil
}

// unpack makes the template one that can be changed.
func (t *Template) unpack() {
	if t != nil && t.packed != "" {
		t.attrs, t.packed = t.packed.attrs(), ""
	}
}

// list is the attributes, whatever the form.
func (t *Template) list() []Attr {
	switch {
	case t == nil:
		return nil
	case t.packed != "":
		return t.packed.attrs()
	}
	return t.attrs
}

// attrs are the attributes, free to be changed. Their texts lie in p.
func (p packed) attrs() []Attr {
	attrs := make([]Attr, p.number())
	vectors := make([]Vector, p.number())
	pairs := make([]Pair, p.number())
	for i := range attrs {
		a := &attrs[i]
		name, isVector := p.name()
		if a.Name = name; !isVector {
			a.Value = p.text()
			continue
		}
		n := p.number()
		own := pairs[:n:n]
		for j := range own {
			own[j] = Pair{p.text(), p.text()}
		}
		vectors[0].pairs = own
		a.Vec = &vectors[0]
		pairs, vectors = pairs[n:], vectors[1:]
	}
	return attrs
}

// lookup is Template.Lookup.
func (p packed) lookup(name string) (string, bool) {
	n := p.number()
	p.number()
	p.number()
	for range n {
		found, isVector := p.name()
		if !isVector {
			if value := p.text(); found == name {
				return value, true
			}
			continue
		}
		if found == name {
			break
		}
		for range 2 * p.number() {
			p.text()
		}
	}
	return "", false
}

func (p *packed) number() int {
	n := 0
	for i := 0; ; i++ {
		c := (*p)[i]
		n |= int(c&0x7f) << (7 * i)
		if c < 0x80 {
			*p = (*p)[i+1:]
			return n
		}
	}
}

func (p *packed) take(n int) string {
	text := string((*p)[:n])
	*p = (*p)[n:]
	return text
}

func (p *packed) text() string { return p.take(p.number()) }

func (p *packed) name() (name string, isVector bool) {
	n := p.number()
	return p.take(n / 2), n&1 != 0
}

// appendXML is Template.AppendXML without the element around the attributes.
func (p packed) appendXML(dst []byte) []byte {
	n := p.number()
	p.number()
	p.number()
	for range n {
		name, isVector := p.name()
		dst = appendTag(dst, "<", name, ">")
		if isVector {
			for range p.number() {
				dst = Pair{p.text(), p.text()}.appendXML(dst)
			}
		} else {
			dst = appendCDATA(dst, p.text())
		}
		dst = appendTag(dst, "</", name, ">")
	}
	return dst
}

// clone is a deep copy of attributes, in a few pieces of memory.
func clone(from []Attr) []Attr {
	if len(from) == 0 {
		return nil
	}
	vectors, pairs := 0, 0
	for _, a := range from {
		if a.Vec != nil {
			vectors++
			pairs += len(a.Vec.pairs)
		}
	}
	attrs := slices.Clone(from)
	ownVectors := make([]Vector, vectors)
	ownPairs := make([]Pair, pairs)
	for i := range attrs {
		if v := attrs[i].Vec; v != nil {
			n := copy(ownPairs, v.pairs)
			ownVectors[0].pairs = ownPairs[:n:n]
			attrs[i].Vec = &ownVectors[0]
			ownPairs, ownVectors = ownPairs[n:], ownVectors[1:]
		}
	}
	return attrs
}
