package template

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"goned/core/template/xmldoc"
)

// ErrNotXML is wrapped by the errors of XMLSafe.
var ErrNotXML = errors.New("cannot be written as XML")

// AppendXML appends the template as element root, the byte-exact form of 4.6:
// no white space, values as CDATA, an empty key of a vector as an empty
// element, an empty template as start and end tag. Characters that cannot be
// written are replaced. XMLSafe says beforehand whether there are any, or names that
// are none in XML.
func (t *Template) AppendXML(dst []byte, root string) []byte {
	dst = appendTag(dst, "<", root, ">")
	if t != nil && t.packed != "" {
		dst = t.packed.appendXML(dst)
		return appendTag(dst, "</", root, ">")
	}
	for a := range t.Attrs() {
		dst = appendTag(dst, "<", a.Name, ">")
		if a.Vec != nil {
			dst = a.Vec.AppendXML(dst)
		} else {
			dst = appendCDATA(dst, a.Value)
		}
		dst = appendTag(dst, "</", a.Name, ">")
	}
	return appendTag(dst, "</", root, ">")
}

// XML returns AppendXML as a string.
func (t *Template) XML(root string) string { return string(t.AppendXML(nil, root)) }

// AppendXML appends the pairs as elements, without an element around them.
func (v *Vector) AppendXML(dst []byte) []byte {
	for _, p := range v.Pairs() {
		dst = p.appendXML(dst)
	}
	return dst
}

func (p Pair) appendXML(dst []byte) []byte {
	switch {
	case p.Key == "":
		return dst
	case p.Value == "":
		return appendTag(dst, "<", p.Key, "/>")
	}
	dst = appendTag(dst, "<", p.Key, ">")
	dst = appendCDATA(dst, p.Value)
	return appendTag(dst, "</", p.Key, ">")
}

func appendTag(dst []byte, open, name, end string) []byte {
	dst = append(dst, open...)
	dst = append(dst, name...)
	return append(dst, end...)
}

func appendCDATA(dst []byte, value string) []byte {
	return appendTag(dst, "<![CDATA[", xmldoc.CleanCDATA(value), "]]>")
}

// XMLSafe returns an error that wraps ErrNotXML when AppendXML would not write
// all as it is: a name or key that is no XML name, a value with "]]>"
// in it, with a control character or bytes that are not UTF-8.
func (t *Template) XMLSafe() error {
	for a := range t.Attrs() {
		if !safeName(a.Name) {
			return fmt.Errorf("attribute name %.40q %w", a.Name, ErrNotXML)
		}
		if !safeValue(a.Value) {
			return fmt.Errorf("value of %s %w", a.Name, ErrNotXML)
		}
		for _, p := range a.Vec.Pairs() {
			if p.Key != "" && !safeName(p.Key) {
				return fmt.Errorf("key %.40q of %s %w", p.Key, a.Name, ErrNotXML)
			}
			if !safeValue(p.Value) {
				return fmt.Errorf("value of %s/%s %w", a.Name, p.Key, ErrNotXML)
			}
		}
	}
	return nil
}

// DropBadNames takes out attributes and keys whose names are none in XML, which
// drivers may send.
func (t *Template) DropBadNames() {
	t.unpack()
	t.attrs = slices.DeleteFunc(t.attrs, func(a Attr) bool { return !safeName(a.Name) })
	for _, a := range t.attrs {
		if a.Vec != nil {
			a.Vec.pairs = slices.DeleteFunc(a.Vec.pairs, func(p Pair) bool { return !safeName(p.Key) })
		}
	}
}

func safeName(s string) bool { return xmldoc.ValidName(s) && xmldoc.ValidText(s) }

func safeValue(s string) bool { return !strings.Contains(s, "]]>") && xmldoc.ValidText(s) }

// FromElement builds a template of the children of an element of a stored
// body. Each child is:
//
//   - a simple attribute, when it holds exactly one text or CDATA section,
//     even an empty one;
//   - a vector attribute, when it holds elements; each element that begins
//     with text or CDATA gives a pair, the case of keys stays, of equal keys
//     the last counts; there may be no pair at all;
//   - dropped otherwise.
//
// A nil element gives an empty template. The template does not refer to the
// text of the document, which would stay in memory with it.
func FromElement(e *xmldoc.Node) *Template {
	t := fromElement(e, false)
	t.Pack()
	t.unpack()
	return t
}

func fromElement(e *xmldoc.Node, unique bool) *Template {
	if e == nil {
		return &Template{}
	}
	attrs := make([]Attr, 0, len(e.Children))
	for _, c := range e.Children {
		switch {
		case c.Simple():
			attrs = append(attrs, Attr{Name: Name(c.Name), Value: c.Text})
		case len(c.Children) > 0:
			attrs = append(attrs, Attr{Name: Name(c.Name), Vec: VectorFromElement(c)})
		}
	}
	return newTemplate(attrs, unique)
}

// VectorFromElement builds a vector of the children of one element, as
// FromElement does.
func VectorFromElement(e *xmldoc.Node) *Vector {
	if e == nil {
		return &Vector{}
	}
	pairs := make([]Pair, 0, len(e.Children))
	for _, c := range e.Children {
		if c.HasText() {
			pairs = append(pairs, Pair{c.Name, c.Text})
		}
	}
	return sortedVector(pairs, true)
}

// Reloaded returns a copy in the form 4.6 shows after it has read the object
// back from its database: without keys that have no value, without vectors
// that have no key. A vector whose keys all lack a value stays, empty, until
// the next time. Carriage returns, which XML does not keep, are line feeds.
func (t *Template) Reloaded() *Template {
	attrs := make([]Attr, 0, t.Len())
	for a := range t.Attrs() {
		a.Name = Name(a.Name)
		a.Value = xmlLineEnds(a.Value)
		if a.Vec != nil {
			kept := make([]Pair, 0, a.Vec.Len())
			written := 0
			for _, p := range a.Vec.Pairs() {
				if p.Key != "" {
					written++
				}
				if p.Key != "" && p.Value != "" {
					kept = append(kept, Pair{p.Key, xmlLineEnds(p.Value)})
				}
			}
			if written == 0 {
				continue
			}
			a.Vec = &Vector{kept}
		}
		attrs = append(attrs, a)
	}
	return newTemplate(attrs, false)
}

func xmlLineEnds(s string) string {
	if strings.IndexByte(s, '\r') < 0 {
		return s
	}
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
}
