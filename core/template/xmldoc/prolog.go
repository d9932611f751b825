package xmldoc

import (
	"strings"
	"unicode/utf8"
)

// decode returns the text in UTF-8 according to the encoding its XML
// declaration names.
func decode(s, encoding string) (string, error) {
	switch enc := strings.ToUpper(encoding); enc {
	case "", "UTF-8", "UTF8", "US-ASCII", "ASCII":
		return s, nil
	case "ISO-8859-1", "ISO-LATIN-1", "LATIN1":
		return latin1(s), nil
	default:
		return "", &SyntaxError{0, "encoding " + clip(enc) + " is not supported"}
	}
}

func latin1(s string) string {
	var b strings.Builder
	b.Grow(len(s) + len(s)/8)
	for i := 0; i < len(s); i++ {
		if s[i] < utf8.RuneSelf {
			b.WriteByte(s[i])
		} else {
			b.WriteRune(rune(s[i]))
		}
	}
	return b.String()
}

// declaration reads the XML declaration, which may only stand first. It returns
// the offset behind it and the encoding it names, "" without one.
func declaration(s string) (end int, encoding string, err error) {
	if !strings.HasPrefix(s, "<?xml") || len(s) > 5 && !isSpace(s[5]) {
		return 0, "", nil
	}
	end = strings.Index(s, "?>")
	if end < 0 {
		return 0, "", &SyntaxError{0, "XML declaration is not closed"}
	}
	bad := &SyntaxError{0, "bad XML declaration"}
	version, rest, ok := pseudoAttribute(s[5:end], "version")
	if !ok || !validVersion(version) {
		return 0, "", bad
	}
	if encoding, rest, ok = pseudoAttribute(rest, "encoding"); ok && !validEncodingName(encoding) {
		return 0, "", bad
	}
	standalone, rest, ok := pseudoAttribute(rest, "standalone")
	if ok && standalone != "yes" && standalone != "no" || strings.Trim(rest, xmlSpace) != "" {
		return 0, "", bad
	}
	return end + len("?>"), encoding, nil
}

const xmlSpace = " \t\r\n"

// pseudoAttribute takes name="value" with white space in front off s. If s
// does not begin with it, ok is false and rest is s.
func pseudoAttribute(s, name string) (value, rest string, ok bool) {
	trimmed := strings.TrimLeft(s, xmlSpace)
	after, ok := strings.CutPrefix(trimmed, name)
	if !ok || len(trimmed) == len(s) {
		return "", s, false
	}
	after, ok = strings.CutPrefix(strings.TrimLeft(after, xmlSpace), "=")
	after = strings.TrimLeft(after, xmlSpace)
	if !ok || after == "" || after[0] != '"' && after[0] != '\'' {
		return "", s, false
	}
	value, rest, ok = strings.Cut(after[1:], after[:1])
	if !ok {
		return "", s, false
	}
	return value, rest, true
}

// validVersion accepts every 1.x, as libxml2 does.
func validVersion(v string) bool {
	minor, ok := strings.CutPrefix(v, "1.")
	return ok && minor != "" && strings.Trim(minor, "0123456789") == ""
}

func validEncodingName(name string) bool {
	for i := 0; i < len(name); i++ {
		c := name[i]
		if letter := c|0x20 >= 'a' && c|0x20 <= 'z'; letter || i > 0 && nameByte[c] && c != ':' && c < utf8.RuneSelf {
			continue
		}
		return false
	}
	return name != ""
}

// misc skips white space, comments and processing instructions beside the root
// element, and before it one document type declaration.
func (p *parser) misc(prolog bool) error {
	for {
		p.skipSpace()
		rest := p.in[p.pos:]
		var err error
		switch {
		case strings.HasPrefix(rest, "<!--"):
			err = p.comment()
		case strings.HasPrefix(rest, "<?"):
			err = p.instruction()
		case prolog && strings.HasPrefix(rest, "<!DOCTYPE"):
			prolog = false
			err = p.doctype()
		default:
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// doctype skips a document type declaration with its internal subset.
func (p *parser) doctype() error {
	for i := p.pos + 2; i < len(p.in); i++ {
		switch c := p.in[i]; c {
		case '"', '\'':
			end := strings.IndexByte(p.in[i+1:], c)
			if end < 0 {
				return p.fail("document type declaration is not closed")
			}
			i += end + 1
		case '[':
			end := strings.IndexByte(p.in[i:], ']')
			if end < 0 {
				return p.fail("document type declaration is not closed")
			}
			i += end
		case '>':
			p.pos = i + 1
			return nil
		}
	}
	return p.fail("document type declaration is not closed")
}

func (p *parser) comment() error {
	start := p.pos + len("<!--")
	end := strings.Index(p.in[start:], "--")
	if end < 0 {
		return p.fail("comment is not closed")
	}
	end += start + len("--")
	if end >= len(p.in) || p.in[end] != '>' {
		return p.fail("-- in a comment")
	}
	p.pos = end + 1
	return nil
}

func (p *parser) instruction() error {
	start := p.pos
	p.pos += len("<?")
	target, err := p.name()
	if err != nil {
		return err
	}
	if strings.EqualFold(target, "xml") {
		p.pos = start
		return p.fail("XML declaration is not at the start")
	}
	end := strings.Index(p.in[p.pos:], "?>")
	if end < 0 || end > 0 && !isSpace(p.in[p.pos]) {
		p.pos = start
		return p.fail("bad processing instruction")
	}
	p.pos += end + len("?>")
	return nil
}

// attributes checks the attributes of a start tag and drops them. It returns
// the name-space prefixes they declare.
func (p *parser) attributes() (declared []string, err error) {
	var few []string
	var many map[string]bool
	for {
		space := p.skipSpace()
		if p.pos >= len(p.in) || p.in[p.pos] == '>' || p.in[p.pos] == '/' {
			return declared, nil
		}
		if !space {
			return nil, p.fail("no space before an attribute")
		}
		name, value, err := p.attribute()
		if err != nil {
			return nil, err
		}
		if prefix, ok := strings.CutPrefix(name, "xmlns:"); ok && value != "" {
			declared = append(declared, prefix)
		}
		if many == nil {
			for _, seen := range few {
				if seen == name {
					return nil, p.fail("attribute " + clip(name) + " is repeated")
				}
			}
			if few = append(few, name); len(few) > 16 {
				many = make(map[string]bool)
				for _, seen := range few {
					many[seen] = true
				}
			}
			continue
		}
		if many[name] {
			return nil, p.fail("attribute " + clip(name) + " is repeated")
		}
		many[name] = true
	}
}

func (p *parser) attribute() (name, value string, err error) {
	name, err = p.name()
	if err != nil {
		return "", "", err
	}
	p.skipSpace()
	if p.pos >= len(p.in) || p.in[p.pos] != '=' {
		return "", "", p.fail("attribute " + clip(name) + " has no value")
	}
	p.pos++
	p.skipSpace()
	if p.pos >= len(p.in) || p.in[p.pos] != '"' && p.in[p.pos] != '\'' {
		return "", "", p.fail("attribute " + clip(name) + " has no quoted value")
	}
	quote := p.in[p.pos]
	p.pos++
	end := strings.IndexByte(p.in[p.pos:], quote)
	if end < 0 {
		return "", "", p.fail("value of attribute " + clip(name) + " is not closed")
	}
	value = p.in[p.pos : p.pos+end]
	if i := strings.IndexByte(value, '<'); i >= 0 {
		p.pos += i
		return "", "", p.fail("< in the value of attribute " + clip(name))
	}
	if _, err := p.resolve(value); err != nil {
		return "", "", err
	}
	p.pos += end + 1
	return name, value, nil
}
