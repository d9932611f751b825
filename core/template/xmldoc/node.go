// Package xmldoc reads the XML documents that oned stores in its database and
// that clients send: elements, text, CDATA sections, character and predefined
// entity references, comments and processing instructions. XML attributes are
// checked and dropped, declared name-space prefixes too. A document type declaration is
// skipped, never processed: an entity it declares stays undefined.
//
// Parse refuses what libxml2, the parser of 4.6, calls not well-formed. It is
// bounded: nesting deeper than MaxDepth is an error, and time and memory are
// linear in the size of the text. The strings of the tree are substrings of
// the text wherever no reference had to be resolved.
package xmldoc

import (
	"strconv"
	"strings"
)

// Node is an element. A tree is not changed after Parse and may be read by any
// number of goroutines.
type Node struct {
	// Name is the local name: "a:B" is "B" if the prefix is declared.
	Name string
	// Text is the character data the element begins with, references
	// resolved, up to the first child that is not of the same kind: 4.6 looks
	// at the first child node only. Empty when the element begins with
	// another element or a comment.
	Text string
	// Children are the child elements in document order.
	Children []*Node
	// CDATA tells that Text was written as a CDATA section.
	CDATA bool

	hasText bool
	nodes   int32
}

// HasText reports whether the first child node is text or a CDATA section,
// even an empty one.
func (n *Node) HasText() bool { return n != nil && n.hasText }

// Simple reports whether the element holds exactly one node and that node is
// text or a CDATA section. `<A/>` and `<A></A>` are not simple,
// `<A><![CDATA[]]></A>` is.
func (n *Node) Simple() bool { return n != nil && n.hasText && n.nodes == 1 }

// Child returns the first child element of that name, nil if there is none. A
// nil Node has no children.
func (n *Node) Child(name string) *Node {
	if n == nil {
		return nil
	}
	for _, c := range n.Children {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// All returns the child elements of that name in document order.
func (n *Node) All(name string) []*Node {
	if n == nil {
		return nil
	}
	var found []*Node
	for _, c := range n.Children {
		if c.Name == name {
			found = append(found, c)
		}
	}
	return found
}

// Path follows the first child of each name in turn.
func (n *Node) Path(names ...string) *Node {
	for _, name := range names {
		n = n.Child(name)
	}
	return n
}

// ChildText returns the Text of the first child of that name, "" if there is
// none.
func (n *Node) ChildText(name string) string {
	if c := n.Child(name); c != nil {
		return c.Text
	}
	return ""
}

// Int returns the number in the first child of that name. It reports false
// when there is no such child or it does not hold a decimal number (white space
// in front is accepted, nothing may follow).
func (n *Node) Int(name string) (int64, bool) {
	c := n.Child(name)
	if c == nil {
		return 0, false
	}
	v, err := strconv.ParseInt(strings.TrimLeft(c.Text, " \t\n\v\f\r"), 10, 64)
	if err != nil {
		return 0, false
	}
	return v, true
}
