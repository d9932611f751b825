package xmlrpc

import (
	"bytes"
	"fmt"
	"sync"
)

// MaxElements bounds the number of XML elements of one document, so that a body
// of many tiny elements cannot occupy much more memory than its own size. The
// longest call of a real client has fewer than a hundred.
const MaxElements = 1 << 17

// excerptLen is how much of a document 4.6 quotes in a parse error.
const excerptLen = 40

// The parser's own words, as 4.6 sends them in fault texts.
const (
	msgSyntax     = "syntax error"
	msgNoElement  = "no element found"
	msgNotWF      = "not well-formed"
	msgUnclosed   = "unclosed token"
	msgMismatch   = "mismatched tag"
	msgDuplicate  = "duplicate attribute"
	msgJunk       = "junk after document element"
	msgEntity     = "undefined entity"
	msgBadCharRef = "reference to invalid character number"
	msgCDATA      = "unclosed CDATA section"
	msgXMLDecl    = "xml processing instruction not at start of external entity"
	msgEncoding   = "unknown encoding"
	msgWrongEnc   = "encoding specified in XML declaration is incorrect"
)

// syntaxError is a violation of XML; its text is the parser's.
type syntaxError string

func (e syntaxError) Error() string { return string(e) }

// node is one element. Links are indexes into document.nodes, 0 means none (the
// root is nobody's child or sibling).
type node struct {
	name                      []byte
	text                      []byte // of an element without children; aliases the document if it can
	parent, first, last, next int32
	kids                      int32
}

// document is a parsed XML document as a flat list of elements in document order.
type document struct {
	data  []byte
	nodes []node
	cur   int32 // the open element
	run   int   // where the text being read began
	hasCR bool  // some text holds a CR that came from a character reference
}

var documents = sync.Pool{New: func() any { return new(document) }}

// parseDocument reads a whole document. The caller releases it when done.
func parseDocument(body []byte) (*document, error) {
	d := documents.Get().(*document)
	d.hasCR = false
	if err := d.parse(body); err != nil {
		d.release()
		return nil, err
	}
	return d, nil
}

// release gives the document's memory back; nothing of it may be used afterwards.
func (d *document) release() {
	const keep = 1024 // nodes worth keeping
	if cap(d.nodes) > keep {
		return
	}
	clear(d.nodes)
	d.nodes, d.data = d.nodes[:0], nil
	documents.Put(d)
}

func (d *document) parse(body []byte) error {
	data, wide, err := toUTF8(body)
	if err != nil {
		return err
	}
	d.data = data
	i, err := d.prolog(wide)
	if err != nil {
		return err
	}
	return d.content(i)
}

// open adds an element as the last child of the current one and enters it.
func (d *document) open(name []byte) error {
	if len(d.nodes) >= MaxElements {
		return syntaxError(fmt.Sprintf("more than %d elements", MaxElements))
	}
	id := int32(len(d.nodes))
	d.nodes = append(d.nodes, node{name: name, parent: d.cur})
	if id > 0 {
		p := &d.nodes[d.cur]
		if p.last != 0 {
			d.nodes[p.last].next = id
		} else {
			p.first = id
		}
		p.last = id
		p.kids++
		p.text = nil
	}
	d.cur = id
	return nil
}

// addText adds characters to the current element. Text beside child elements
// means nothing in XML-RPC and is dropped.
func (d *document) addText(s []byte) {
	n := &d.nodes[d.cur]
	switch {
	case len(s) == 0 || n.kids > 0:
	case len(n.text) == 0:
		n.text = s[:len(s):len(s)] // a later append copies
	default:
		n.text = append(n.text, s...)
	}
}

// addString is addText for a few characters that do not stand in the document.
func (d *document) addString(s string) {
	if n := &d.nodes[d.cur]; n.kids == 0 {
		n.text = append(n.text, s...)
	}
}

// contentError is an error at the token that starts at data[tok], in the content
// of the root element.
func (d *document) contentError(tok int, msg string) error {
	excerpt := printable(d.data[tok:min(tok+excerptLen, len(d.data))])
	return syntaxError("Invalid XML \"content\".  Problem with token at '" + excerpt + "...': " + msg)
}

// printable shows bytes the way 4.6 quotes them: ASCII as it is, the rest as
// escape sequences of C.
func printable(b []byte) string {
	var out []byte
	for _, c := range b {
		switch {
		case c == '\\':
			out = append(out, `\\`...)
		case c == '\n':
			out = append(out, `\n`...)
		case c == '\r':
			out = append(out, `\r`...)
		case c == '\t':
			out = append(out, `\t`...)
		case c == '\a':
			out = append(out, `\a`...)
		case c >= 0x20 && c < 0x7F:
			out = append(out, c)
		default:
			out = fmt.Appendf(out, `\x%02x`, c)
		}
	}
	return string(out)
}

// badToken is an error at data[at] inside the token that starts at data[tok].
func (d *document) badToken(tok, at int) error {
	return d.contentError(tok, fmt.Sprintf("Invalid token, starting %d bytes in", at-tok))
}

// plainText says which bytes of text need no look: ASCII but for markup, ']',
// CR and control characters.
var plainText = func() (t [256]bool) {
	t = plain
	t['>'], t[']'] = true, false
	return t
}()

// content reads the root element, which starts at data[i], and what follows it.
func (d *document) content(i int) error {
	for {
		start := i
		for i < len(d.data) && plainText[d.data[i]] {
			i++
		}
		if i == len(d.data) {
			return d.contentError(d.tailToken(), msgNoElement)
		}
		var err error
		switch c := d.data[i]; c {
		case '<':
			if len(d.nodes) > 0 {
				d.addText(d.data[start:i])
			}
			var done bool
			if i, done, err = d.markup(i); done && err == nil {
				return nil
			}
			d.run = i
		case '&':
			d.addText(d.data[start:i])
			i, err = d.reference(i)
			d.run = i
		case '\r':
			d.addText(d.data[start:i])
			d.addString("\n")
			if i++; i < len(d.data) && d.data[i] == '\n' {
				i++
			}
		case ']':
			if bytes.HasPrefix(d.data[i:], []byte("]]>")) {
				return d.badToken(d.textToken(i), i+2)
			}
			d.addText(d.data[start : i+1])
			i++
		default:
			i, err = d.wideText(start, i)
		}
		if err != nil {
			return err
		}
	}
}

// wideText adds the text data[start:i] and the run of non-ASCII characters that
// follows.
func (d *document) wideText(start, i int) (int, error) {
	for i < len(d.data) && (plainText[d.data[i]] || d.data[i] >= 0x80) {
		n, st := charAt(d.data, i)
		switch st {
		case charInvalid:
			return 0, d.badToken(i, i)
		case charPartial:
			return 0, d.contentError(i, msgUnclosed)
		}
		i += n
	}
	if i == start || i < len(d.data) && d.data[i] < 0x20 && !isSpace(d.data[i]) {
		return 0, d.badToken(i, i)
	}
	d.addText(d.data[start:i])
	return i, nil
}

// textToken returns where 4.6's tokenizer would see the token begin that holds
// the "]]>" at data[end]: it ends tokens at line ends, and after a ']' that is not
// their first character.
func (d *document) textToken(end int) int {
	tok := d.run
	for i := tok; i < end; i++ {
		switch c := d.data[i]; {
		case c == '\n' || c == '\r', c == ']' && i > tok:
			tok = i + 1
		}
	}
	return tok
}

// tailToken returns where the last token of an unfinished document begins: the
// tokenizer holds back what may continue.
func (d *document) tailToken() int {
	n := len(d.data)
	switch {
	case bytes.HasSuffix(d.data, []byte("]]")):
		return n - 2
	case bytes.HasSuffix(d.data, []byte("]")), bytes.HasSuffix(d.data, []byte("\r")):
		return n - 1
	}
	return n
}

// markup reads the construct that begins with the '<' at data[i]. done tells that
// the root element and the document are complete.
func (d *document) markup(i int) (next int, done bool, err error) {
	if i+1 == len(d.data) {
		return 0, false, d.contentError(i, msgUnclosed)
	}
	switch d.data[i+1] {
	case '/':
		return d.endTag(i)
	case '!':
		next, err = d.declaration(i)
	case '?':
		var tok token
		tok, next, err = scanPI(d.data, i)
		if err != nil {
			return 0, false, d.scanError(i, err)
		}
		if tok == tokXMLDecl {
			err = d.contentError(i, msgXMLDecl)
		}
	default:
		return d.startTag(i)
	}
	return next, false, err
}

// scanError turns an error of the scan functions into one of the content.
func (d *document) scanError(tok int, err error) error {
	if bad, ok := err.(invalidAt); ok {
		return d.badToken(tok, int(bad))
	}
	return d.contentError(tok, err.Error())
}

// declaration reads a comment or a CDATA section.
func (d *document) declaration(i int) (int, error) {
	const cdata = "<![CDATA["
	rest := d.data[i:]
	if len(rest) > 2 && rest[2] == '-' || len(rest) == 2 {
		next, err := scanComment(d.data, i)
		if err != nil {
			err = d.scanError(i, err)
		}
		return next, err
	}
	for k := 2; k < len(cdata); k++ {
		if k == len(rest) {
			return 0, d.contentError(i, msgUnclosed)
		}
		if rest[k] != cdata[k] {
			return 0, d.badToken(i, i+k)
		}
	}
	return d.cdata(i, i+len(cdata))
}

// cdata reads the section whose text begins at data[i]; the token starts at tok.
func (d *document) cdata(tok, i int) (int, error) {
	start := i
	for i < len(d.data) {
		c := d.data[i]
		if c == ']' && bytes.HasPrefix(d.data[i:], []byte("]]>")) {
			d.addText(d.data[start:i])
			return i + 3, nil
		}
		if c == '\r' {
			d.addText(d.data[start:i])
			d.addString("\n")
			if i++; i < len(d.data) && d.data[i] == '\n' {
				i++
			}
			start = i
			continue
		}
		n, st := charAt(d.data, i)
		switch st {
		case charInvalid:
			return 0, d.contentError(tok, msgNotWF)
		case charPartial:
			return 0, d.contentError(tok, msgUnclosed)
		}
		i += n
	}
	return 0, d.contentError(tok, msgCDATA)
}

// reference reads the character or entity reference at data[i].
func (d *document) reference(i int) (int, error) {
	next, err := scanReference(d.data, i)
	if err != nil {
		return 0, d.scanError(i, err)
	}
	text, msg := resolve(d.data[i:next])
	if msg != "" {
		return 0, d.contentError(i, msg)
	}
	if text == "\r" {
		d.hasCR = true
	}
	d.addString(text)
	return next, nil
}
