package xmldoc

import (
	"strings"
	"unicode/utf8"
)

// decode returns the text in UTF-8 according to the encoding its XML
// declaration names.
func decode(s string) (string, error) {
	switch enc := strings.ToUpper(declaredEncoding(s)); enc {
	case "", "UTF-8", "UTF8", "US-ASCII", "ASCII":
		return s, nil
	case "ISO-8859-1", "ISO-LATIN-1", "LATIN1":
		return latin1(s), nil
	default:
		return "", &SyntaxError{0, "encoding " + enc + " is not supported"}
	}
}

func declaredEncoding(s string) string {
	if !strings.HasPrefix(s, "<?xml") {
		return ""
	}
	end := strings.Index(s, "?>")
	if end < 0 {
		return ""
	}
	_, after, found := strings.Cut(s[:end], "encoding")
	if !found {
		return ""
	}
	after = strings.TrimLeft(after, " \t\r\n=")
	if after == "" || after[0] != '"' && after[0] != '\'' {
		return ""
	}
	name, _, _ := strings.Cut(after[1:], after[:1])
	return name
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

// declaration reads the XML declaration, which may only stand first.
func (p *parser) declaration() error {
	if !strings.HasPrefix(p.in, "<?xml") || len(p.in) > 5 && !isSpace(p.in[5]) {
		return nil
	}
	end := strings.Index(p.in, "?>")
	if end < 0 {
		return p.fail("XML declaration is not closed")
	}
	rest := p.in[5:end]
	given := 0
	for _, want := range []string{"version", "encoding", "standalone"} {
		trimmed := strings.TrimLeft(rest, " \t\r\n")
		value, ok := strings.CutPrefix(trimmed, want)
		if !ok {
			continue
		}
		value, ok = strings.CutPrefix(strings.TrimLeft(value, " \t\r\n"), "=")
		value = strings.TrimLeft(value, " \t\r\n")
		if !ok || len(trimmed) == len(rest) || value == "" || value[0] != '"' && value[0] != '\'' {
			return p.fail("bad XML declaration")
		}
		_, after, closed := strings.Cut(value[1:], value[:1])
		if !closed {
			return p.fail("bad XML declaration")
		}
		rest = after
		given++
		if want == "version" {
			continue
		}
	}
	if given == 0 || strings.Trim(rest, " \t\r\n") != "" || !strings.HasPrefix(strings.TrimLeft(p.in[5:end], " \t\r\n"), "version") {
		return p.fail("bad XML declaration")
	}
	p.pos = end + len("?>")
	return nil
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

// attributes checks the attributes of a start tag and drops them.
func (p *parser) attributes() error {
	var few []string
	var many map[string]bool
	for {
		space := p.skipSpace()
		if p.pos >= len(p.in) || p.in[p.pos] == '>' || p.in[p.pos] == '/' {
			return nil
		}
		if !space {
			return p.fail("no space before an attribute")
		}
		name, err := p.attribute()
		if err != nil {
			return err
		}
		if many == nil {
			for _, seen := range few {
				if seen == name {
					return p.fail("attribute " + clip(name) + " is repeated")
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
			return p.fail("attribute " + clip(name) + " is repeated")
		}
		many[name] = true
	}
}

func (p *parser) attribute() (string, error) {
	name, err := p.name()
	if err != nil {
		return "", err
	}
	p.skipSpace()
	if p.pos >= len(p.in) || p.in[p.pos] != '=' {
		return "", p.fail("attribute " + clip(name) + " has no value")
	}
	p.pos++
	p.skipSpace()
	if p.pos >= len(p.in) || p.in[p.pos] != '"' && p.in[p.pos] != '\'' {
		return "", p.fail("attribute " + clip(name) + " has no quoted value")
	}
	quote := p.in[p.pos]
	p.pos++
	end := strings.IndexByte(p.in[p.pos:], quote)
	if end < 0 {
		return "", p.fail("value of attribute " + clip(name) + " is not closed")
	}
	value := p.in[p.pos : p.pos+end]
	if i := strings.IndexByte(value, '<'); i >= 0 {
		p.pos += i
		return "", p.fail("< in the value of attribute " + clip(name))
	}
	if _, err := p.resolve(value); err != nil {
		return "", err
	}
	p.pos += end + 1
	return name, nil
}
