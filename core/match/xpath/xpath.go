// Package xpath evaluates XPath 1.0 expressions on the documents of
// core/template/xmldoc. 4.6's requirement language lets users write them in
// the place of attribute names, so an expression is hostile input: nesting is
// bounded, and every evaluation has a budget of steps.
//
// The documents have neither attributes nor name spaces, so those axes are
// empty and prefixes are errors. There are no variables, and id() and lang()
// find nothing.
package xpath

import (
	"errors"
	"slices"
	"strings"

	"goned/core/template/xmldoc"
)

// ErrBudget means that an evaluation took more steps than it may.
var ErrBudget = errors.New("xpath: too many steps")

type nodeKind uint8

const (
	documentNode nodeKind = iota
	elementNode
	textNode
)

// item is a node of an indexed document.
type item struct {
	kind     nodeKind
	element  *xmldoc.Node // of elements
	text     string       // of text nodes
	parent   *item
	children []*item
	order    int // position in the document
	size     int // nodes of the subtree: what its string value costs
}

// Document is a document prepared for evaluation. It is safe for concurrent
// use.
type Document struct {
	root *item
	size int
}

// NewDocument prepares the document with that root element.
func NewDocument(root *xmldoc.Node) *Document {
	d := &Document{}
	d.root = &item{kind: documentNode, order: d.next()}
	d.root.children = []*item{d.index(root, d.root)}
	d.root.size = d.size
	return d
}

// Size is the number of nodes.
func (d *Document) Size() int { return d.size }

func (d *Document) next() int {
	d.size++
	return d.size - 1
}

func (d *Document) index(n *xmldoc.Node, parent *item) *item {
	it := &item{kind: elementNode, element: n, parent: parent, order: d.next()}
	if n.Text != "" {
		it.children = append(it.children, &item{kind: textNode, text: n.Text, parent: it, order: d.next(), size: 1})
	}
	for _, c := range n.Children {
		it.children = append(it.children, d.index(c, it))
	}
	it.size = d.size - it.order
	return it
}

func (it *item) name() string {
	if it.kind == elementNode {
		return it.element.Name
	}
	return ""
}

// value is the string value of a node: its text and that of all below it.
func (it *item) value() string {
	if it.kind == textNode {
		return it.text
	}
	if len(it.children) == 1 && it.children[0].kind == textNode {
		return it.children[0].text
	}
	var b strings.Builder
	it.appendValue(&b)
	return b.String()
}

func (it *item) appendValue(b *strings.Builder) {
	b.WriteString(it.text)
	for _, c := range it.children {
		c.appendValue(b)
	}
}

// Expr is a compiled expression, safe for concurrent use.
type Expr struct{ root expr }

// First returns the first element, in document order, of the set of nodes the
// expression selects. It is nil when the expression selects no element or gives
// no set of nodes. There is no context node, as in 4.6: outside of predicates a
// relative path selects nothing. steps is the budget; what was used is taken
// from it.
func (e *Expr) First(d *Document, steps *int) (*xmldoc.Node, error) {
	c := &context{root: d.root, position: 1, size: 1, steps: steps}
	v, err := e.root.eval(c)
	if err != nil {
		return nil, err
	}
	set, ok := v.(nodeSet)
	if !ok {
		return nil, nil
	}
	for _, it := range set {
		if it.kind == elementNode {
			return it.element, nil
		}
	}
	return nil, nil
}

// context is where an expression is evaluated.
type context struct {
	root           *item
	node           *item // nil outside of predicates
	position, size int
	steps          *int
}

func (c *context) step(n int) error {
	if *c.steps -= n; *c.steps < 0 {
		return ErrBudget
	}
	return nil
}

// nodes is the context node as a set.
func (c *context) nodes() nodeSet {
	if c.node == nil {
		return nil
	}
	return nodeSet{c.node}
}

// stepValue takes from the budget what the string values in v cost.
func (c *context) stepValue(v any) error {
	set, ok := v.(nodeSet)
	if !ok {
		return nil
	}
	cost := 0
	for _, it := range set {
		cost += it.size
	}
	return c.step(cost)
}

// nodeSet is in document order, without duplicates.
type nodeSet []*item

func sortSet(set nodeSet) nodeSet {
	slices.SortFunc(set, func(a, b *item) int { return a.order - b.order })
	return slices.Compact(set)
}

// axis returns the nodes of an axis, nearest first.
func axis(name string, it *item) []*item {
	switch name {
	case "child":
		return it.children
	case "self":
		return []*item{it}
	case "parent":
		if it.parent == nil {
			return nil
		}
		return []*item{it.parent}
	case "descendant":
		return descendants(it, nil)
	case "descendant-or-self":
		return descendants(it, []*item{it})
	case "ancestor":
		return ancestors(it.parent)
	case "ancestor-or-self":
		return ancestors(it)
	case "following-sibling":
		after, _ := siblings(it)
		return after
	case "preceding-sibling":
		_, before := siblings(it)
		return before
	case "following":
		return following(it)
	case "preceding":
		return preceding(it)
	}
	return nil // attribute and namespace: there are none
}

// axes are the names of all axes; true for those that run backwards.
var axes = map[string]bool{
	"child": false, "self": false, "parent": true, "descendant": false, "descendant-or-self": false,
	"ancestor": true, "ancestor-or-self": true, "following-sibling": false, "preceding-sibling": true,
	"following": false, "preceding": true, "attribute": false, "namespace": false,
}

func descendants(it *item, found []*item) []*item {
	for _, c := range it.children {
		found = descendants(c, append(found, c))
	}
	return found
}

func ancestors(it *item) []*item {
	var found []*item
	for ; it != nil; it = it.parent {
		found = append(found, it)
	}
	return found
}

func siblings(it *item) (after, before []*item) {
	if it.parent == nil {
		return nil, nil
	}
	all := it.parent.children
	i := slices.Index(all, it)
	before = slices.Clone(all[:i])
	slices.Reverse(before)
	return all[i+1:], before
}

func following(it *item) []*item {
	var found []*item
	for ; it != nil; it = it.parent {
		after, _ := siblings(it)
		for _, s := range after {
			found = descendants(s, append(found, s))
		}
	}
	return found
}

func preceding(it *item) []*item {
	var found []*item
	for ; it != nil; it = it.parent {
		_, before := siblings(it)
		for _, s := range before {
			below := descendants(s, []*item{s})
			slices.Reverse(below)
			found = append(found, below...)
		}
	}
	return found
}
