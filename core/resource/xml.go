package resource

import (
	"fmt"
	"strconv"
	"strings"
	"unique"

	"goned/core/template/xmldoc"
)

// AppendText writes <name>text</name>. 4.6 writes the text as it is and so could not store names with '<' or '&' in them; ours
// escapes the three characters that XML needs, which no text that 4.6 could store contains.
func AppendText(dst []byte, name, text string) []byte {
	dst = append(dst, '<')
	dst = append(dst, name...)
	dst = append(dst, '>')
	dst = AppendEscaped(dst, xmldoc.Clean(text))
	return appendClose(dst, name)
}

// AppendInt writes <name>n</name>.
func AppendInt(dst []byte, name string, n int64) []byte {
	dst = append(dst, '<')
	dst = append(dst, name...)
	dst = append(dst, '>')
	dst = strconv.AppendInt(dst, n, 10)
	return appendClose(dst, name)
}

// AppendCDATA writes <name><![CDATA[text]]></name>, also when text is empty.
func AppendCDATA(dst []byte, name, text string) []byte {
	dst = append(dst, '<')
	dst = append(dst, name...)
	dst = append(dst, "><![CDATA["...)
	dst = append(dst, xmldoc.CleanCDATA(text)...)
	dst = append(dst, "]]>"...)
	return appendClose(dst, name)
}

// AppendCDATAOrEmpty writes <name/> when text is empty, else as AppendCDATA.
func AppendCDATAOrEmpty(dst []byte, name, text string) []byte {
	if text == "" {
		dst = append(dst, '<')
		dst = append(dst, name...)
		return append(dst, '/', '>')
	}
	return AppendCDATA(dst, name, text)
}

func appendClose(dst []byte, name string) []byte {
	dst = append(dst, '<', '/')
	dst = append(dst, name...)
	return append(dst, '>')
}

// AppendEscaped appends text with the three characters escaped that XML needs escaped.
func AppendEscaped[B string | []byte](dst []byte, text B) []byte {
	from := 0
	for i := range len(text) {
		var ref string
		switch text[i] {
		case '<':
			ref = "&lt;"
		case '>':
			ref = "&gt;"
		case '&':
			ref = "&amp;"
		default:
			continue
		}
		dst = append(dst, text[from:i]...)
		dst = append(dst, ref...)
		from = i + 1
	}
	return append(dst, text[from:]...)
}

// AppendXML writes ID UID GID UNAME GNAME NAME [extra] PERMISSIONS; extra, which may be nil, goes between NAME and PERMISSIONS
// (documents have their TYPE there).
func (b *Base) AppendXML(dst []byte, extra func([]byte) []byte) []byte {
	dst = AppendInt(dst, "ID", int64(b.ID))
	dst = AppendInt(dst, "UID", int64(b.UID))
	dst = AppendInt(dst, "GID", int64(b.GID))
	dst = AppendText(dst, "UNAME", b.UName)
	dst = AppendText(dst, "GNAME", b.GName)
	dst = AppendText(dst, "NAME", b.Name)
	if extra != nil {
		dst = extra(dst)
	}
	return b.Perms.AppendXML(dst)
}

// ReadBase reads what AppendXML wrote.
func ReadBase(doc *xmldoc.Node) (Base, error) {
	r := Reader{Node: doc}
	b := Base{
		ID: r.Int("ID"), UID: r.Int("UID"), GID: r.Int("GID"),
		UName: r.Text("UNAME"), GName: r.Text("GNAME"), Name: r.Text("NAME"),
		Perms: ReadPermissions(r.Element("PERMISSIONS")),
	}
	return b, r.Err
}

// Reader reads the elements of a stored body and keeps the first error: in 4.6 a body that lacks an element is unreadable.
type Reader struct {
	Node *xmldoc.Node
	Err  error
}

// Element is the child of that name, which must exist.
func (r *Reader) Element(name string) *xmldoc.Node {
	c := r.Node.Child(name)
	if c == nil && r.Err == nil {
		r.Err = fmt.Errorf("element %s is missing in %s", name, r.Node.Name)
	}
	return c
}

// Text is the text of a child that must exist. It does not refer to the document, which would stay in memory with it; equal texts
// are in memory once.
func (r *Reader) Text(name string) string {
	if c := r.Element(name); c != nil {
		return unique.Make(c.Text).Value()
	}
	return ""
}

// Int64 is the number in a child that must exist.
func (r *Reader) Int64(name string) int64 {
	c := r.Element(name)
	if c == nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(c.Text), 10, 64)
	if err != nil && r.Err == nil {
		r.Err = fmt.Errorf("element %s of %s: %w", name, r.Node.Name, err)
	}
	return n
}

// Int is Int64 as int.
func (r *Reader) Int(name string) int { return int(r.Int64(name)) }
