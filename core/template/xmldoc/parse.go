package xmldoc

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxDepth is the deepest nesting of elements accepted, as in libxml2.
const MaxDepth = 256

// SyntaxError says where and why a document is not well-formed.
type SyntaxError struct {
	Offset int // bytes from the start of the text
	Reason string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("xml: %s at byte %d", e.Reason, e.Offset)
}

// Parse returns the root element of a document. The error is a *SyntaxError.
func Parse(text string) (*Node, error) {
	text = strings.TrimPrefix(text, "\ufeff")
	start, encoding, err := declaration(text)
	if err != nil {
		return nil, err
	}
	if text, err = decode(text, encoding); err != nil {
		return nil, err
	}
	if err := checkChars(text); err != nil {
		return nil, err
	}
	p := parser{in: text, pos: start, cr: strings.IndexByte(text, '\r') >= 0}
	p.nodes.size = min(max(strings.Count(text, "</"), 4), 256)
	p.links.size = p.nodes.size
	p.open = make([]frame, 0, 8)
	p.pending = make([]*Node, 0, 32)
	return p.document()
}

// parser walks over the text once. Open elements wait in open; their finished
// children lie above their mark in pending.
type parser struct {
	in   string
	pos  int
	cr   bool // there are carriage returns: line ends need normalising
	open []frame
	// prefixes counts the open elements that declare a name-space prefix.
	prefixes map[string]int
	pending  []*Node
	nodes    slab[Node]
	links    slab[*Node]
}

type frame struct {
	node *Node
	tag  string // name as written, prefix included
	mark int    // len(parser.pending) when the element was opened
	last kind   // kind of the child node before, for text that continues
	join []byte // Text so far, once it has several CDATA sections
	// declared are the name-space prefixes of the element's attributes.
	declared []string
}

type kind uint8

const (
	none kind = iota
	text
	cdata
	other
)

// slab hands out elements of one allocation: a document makes a few
// allocations instead of one for each element.
type slab[T any] struct {
	free []T
	size int
}

func (s *slab[T]) take(n int) []T {
	if n > len(s.free) {
		s.free = make([]T, max(n, s.size))
	}
	out := s.free[:n:n]
	s.free = s.free[n:]
	return out
}

// clip keeps a hostile name from filling the error text.
func clip(name string) string {
	if len(name) > 40 {
		return name[:40] + "..."
	}
	return name
}

func (p *parser) fail(reason string) error { return &SyntaxError{p.pos, reason} }

func (p *parser) document() (*Node, error) {
	if err := p.misc(true); err != nil {
		return nil, err
	}
	if p.pos >= len(p.in) || p.in[p.pos] != '<' {
		return nil, p.fail("no root element")
	}
	root, err := p.tree()
	if err != nil {
		return nil, err
	}
	if err := p.misc(false); err != nil {
		return nil, err
	}
	if p.pos != len(p.in) {
		return nil, p.fail("content after the root element")
	}
	return root, nil
}

// tree reads the root element and all it holds, without recursion.
func (p *parser) tree() (*Node, error) {
	root, err := p.startTag()
	if err != nil || len(p.open) == 0 {
		return root, err
	}
	for len(p.open) > 0 {
		if err := p.content(); err != nil {
			return nil, err
		}
	}
	return root, nil
}

// content reads one piece of what the innermost open element holds.
func (p *parser) content() error {
	rest := p.in[p.pos:]
	i := strings.IndexByte(rest, '<')
	if i < 0 {
		p.pos = len(p.in)
		return p.fail("element " + clip(p.open[len(p.open)-1].tag) + " is not closed")
	}
	if i > 0 {
		return p.charData(rest[:i])
	}
	if len(rest) < 2 {
		return p.fail("markup ends early")
	}
	switch rest[1] {
	case '/':
		return p.endTag()
	case '!':
		switch {
		case strings.HasPrefix(rest, "<![CDATA["):
			return p.cdataSection()
		case strings.HasPrefix(rest, "<!--"):
			p.otherNode()
			return p.comment()
		}
		return p.fail("unknown markup")
	case '?':
		p.otherNode()
		return p.instruction()
	}
	_, err := p.startTag()
	return err
}

func (p *parser) otherNode() {
	f := &p.open[len(p.open)-1]
	f.node.nodes++
	f.last = other
}

// addText gives a run of character data to the innermost open element. Runs
// of the same kind that follow each other are one node, as in libxml2.
func (p *parser) addText(s string, k kind) {
	f := &p.open[len(p.open)-1]
	n := f.node
	switch {
	case f.last == k && n.nodes == 1:
		if f.join == nil {
			f.join = append(f.join, n.Text...)
		}
		f.join = append(f.join, s...)
	case f.last == k:
	default:
		if n.nodes == 0 {
			n.Text, n.hasText, n.CDATA = s, true, k == cdata
		}
		n.nodes++
		f.last = k
	}
}

func (p *parser) charData(s string) error {
	if i := strings.Index(s, "]]>"); i >= 0 {
		p.pos += i
		return p.fail("]]> in text")
	}
	v, err := p.resolve(s)
	if err != nil {
		return err
	}
	p.pos += len(s)
	p.addText(v, text)
	return nil
}

func (p *parser) cdataSection() error {
	const begin = len("<![CDATA[")
	s := p.in[p.pos+begin:]
	i := strings.Index(s, "]]>")
	if i < 0 {
		return p.fail("CDATA section is not closed")
	}
	p.pos += begin + i + len("]]>")
	p.addText(p.lineEnds(s[:i]), cdata)
	return nil
}

func (p *parser) endTag() error {
	f := &p.open[len(p.open)-1]
	s := p.in[p.pos+2:]
	if !strings.HasPrefix(s, f.tag) {
		return p.fail("element " + clip(f.tag) + " is not closed")
	}
	end := p.pos + 2 + len(f.tag)
	for end < len(p.in) && isSpace(p.in[end]) {
		end++
	}
	if end >= len(p.in) || p.in[end] != '>' {
		return p.fail("bad end tag of element " + clip(f.tag))
	}
	p.pos = end + 1
	p.close()
	return nil
}

// close finishes the innermost open element.
func (p *parser) close() {
	f := p.open[len(p.open)-1]
	p.open = p.open[:len(p.open)-1]
	p.declare(f.declared, -1)
	if f.join != nil {
		f.node.Text = string(f.join)
	}
	if kids := p.pending[f.mark:]; len(kids) > 0 {
		f.node.Children = p.links.take(len(kids))
		copy(f.node.Children, kids)
		p.pending = p.pending[:f.mark]
	}
	p.attach(f.node)
}

func (p *parser) attach(n *Node) {
	if len(p.open) == 0 {
		return
	}
	p.pending = append(p.pending, n)
	f := &p.open[len(p.open)-1]
	f.node.nodes++
	f.last = other
}

// startTag reads a start tag or an empty-element tag and opens the element.
func (p *parser) startTag() (*Node, error) {
	p.pos++
	tag, err := p.name()
	if err != nil {
		return nil, err
	}
	// A space follows the name only when there are attributes: seldom.
	var declared []string
	if p.pos < len(p.in) && p.in[p.pos] != '>' {
		if declared, err = p.attributes(); err != nil {
			return nil, err
		}
		p.declare(declared, 1)
	}
	empty := p.pos < len(p.in) && p.in[p.pos] == '/'
	if empty {
		p.pos++
	}
	if p.pos >= len(p.in) || p.in[p.pos] != '>' {
		return nil, p.fail("bad start tag of element " + clip(tag))
	}
	p.pos++
	n := &p.nodes.take(1)[0]
	n.Name = p.localName(tag)
	if empty {
		p.declare(declared, -1)
		p.attach(n)
		return n, nil
	}
	if len(p.open) >= MaxDepth {
		return nil, p.fail("elements are nested too deep")
	}
	p.open = append(p.open, frame{node: n, tag: tag, mark: len(p.pending), declared: declared})
	return n, nil
}

func (p *parser) declare(prefixes []string, by int) {
	if len(prefixes) > 0 && p.prefixes == nil {
		p.prefixes = make(map[string]int)
	}
	for _, prefix := range prefixes {
		p.prefixes[prefix] += by
	}
}

// localName drops a name-space prefix that is declared. One that is not is
// part of the name, as in libxml2.
func (p *parser) localName(tag string) string {
	prefix, local, found := strings.Cut(tag, ":")
	if !found || p.prefixes[prefix] == 0 && prefix != "xml" || !ValidName(local) {
		return tag
	}
	return local
}

// name reads an XML name.
func (p *parser) name() (string, error) {
	start := p.pos
	for p.pos < len(p.in) && nameByte[p.in[p.pos]] {
		p.pos++
	}
	name := p.in[start:p.pos]
	if name == "" || !ValidName(name) {
		p.pos = start
		return "", p.fail("bad name")
	}
	return name, nil
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

func (p *parser) skipSpace() bool {
	start := p.pos
	for p.pos < len(p.in) && isSpace(p.in[p.pos]) {
		p.pos++
	}
	return p.pos > start
}

// lineEnds turns "\r\n" and lone "\r" into "\n", as XML demands.
func (p *parser) lineEnds(s string) string {
	if !p.cr || strings.IndexByte(s, '\r') < 0 {
		return s
	}
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
}

// checkChars refuses text that is not UTF-8 or holds characters no XML
// document may hold.
func checkChars(s string) error {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c < utf8.RuneSelf || c == '\n' || c == '\t' || c == '\r' {
			continue
		}
		if c < ' ' {
			return &SyntaxError{i, "control character"}
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			return &SyntaxError{i, "text is not UTF-8"}
		}
		if r == 0xfffe || r == 0xffff {
			return &SyntaxError{i, "character not allowed in XML"}
		}
		i += size - 1
	}
	return nil
}

// Clean returns text as an XML document can hold it: characters that XML does not
// have and bytes that are not UTF-8 become question marks. Texts of drivers come
// with both; a body that does not parse would keep the daemon from starting again.
func Clean(text string) string {
	if checkChars(text) == nil {
		return text
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' && r != '\r' || r == 0xfffe || r == 0xffff {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}

// CleanCDATA is Clean for what is written in a CDATA section, whose end mark it
// must not contain.
func CleanCDATA(text string) string {
	return strings.ReplaceAll(Clean(text), "]]>", "]]?")
}
