package xmldoc

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// nameByte marks the bytes that may be part of a name; the bytes of
// non-ASCII characters are judged by ValidName.
var nameByte = func() (t [256]bool) {
	for c := range 256 {
		switch b := byte(c); {
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b >= '0' && b <= '9',
			b == '_', b == ':', b == '-', b == '.', b >= utf8.RuneSelf:
			t[c] = true
		}
	}
	return t
}()

// ValidName reports whether s is a name an XML element can have.
func ValidName(s string) bool {
	if s == "" {
		return false
	}
	c := s[0]
	if c < utf8.RuneSelf && (!nameByte[c] || c >= '0' && c <= '9' || c == '-' || c == '.') {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return validWideName(s)
		}
		if !nameByte[s[i]] {
			return false
		}
	}
	return true
}

func validWideName(s string) bool {
	for i, r := range s {
		switch {
		case r < utf8.RuneSelf:
			if !nameByte[byte(r)] {
				return false
			}
		case nameStart(r):
		case i > 0 && (r == 0xb7 || r >= 0x300 && r <= 0x36f || r == 0x203f || r == 0x2040):
		default:
			return false
		}
	}
	return true
}

// nameStart holds the ranges of XML 1.0, fifth edition.
func nameStart(r rune) bool {
	switch {
	case r < 0xc0 || r == 0xd7 || r == 0xf7 || r == utf8.RuneError:
		return false
	case r <= 0x2ff, r >= 0x370 && r <= 0x37d, r >= 0x37f && r <= 0x1fff,
		r >= 0x200c && r <= 0x200d, r >= 0x2070 && r <= 0x218f,
		r >= 0x2c00 && r <= 0x2fef, r >= 0x3001 && r <= 0xd7ff,
		r >= 0xf900 && r <= 0xfdcf, r >= 0xfdf0 && r <= 0xfffd,
		r >= 0x10000 && r <= 0xeffff:
		return true
	}
	return false
}

// ValidText reports whether every character of s may stand in an XML document.
// It does not look for the end mark of a CDATA section.
func ValidText(s string) bool {
	return checkChars(s) == nil
}

// resolve replaces character references and the predefined entities; any
// other entity is undefined.
func (p *parser) resolve(s string) (string, error) {
	amp := strings.IndexByte(s, '&')
	if amp < 0 {
		return p.lineEnds(s), nil
	}
	var b strings.Builder
	b.Grow(len(s))
	for at := 0; ; {
		b.WriteString(p.lineEnds(s[at : at+amp]))
		at += amp
		ref, size := reference(s[at:])
		if size == 0 {
			p.pos += at
			return "", p.fail("undefined entity or bad reference")
		}
		b.WriteString(ref)
		at += size
		if amp = strings.IndexByte(s[at:], '&'); amp < 0 {
			b.WriteString(p.lineEnds(s[at:]))
			return b.String(), nil
		}
	}
}

// longestReference bounds the search for the semicolon: references with many
// leading zeros are refused.
const longestReference = 64

// reference decodes the reference s begins with and returns its length, 0 if
// it is none.
func reference(s string) (string, int) {
	end := strings.IndexByte(s[:min(len(s), longestReference)], ';')
	if end < 2 {
		return "", 0
	}
	size := end + 1
	switch name := s[1:end]; name {
	case "lt":
		return "<", size
	case "gt":
		return ">", size
	case "amp":
		return "&", size
	case "quot":
		return `"`, size
	case "apos":
		return "'", size
	default:
		if name[0] != '#' {
			return "", 0
		}
		r, ok := charReference(name[1:])
		if !ok {
			return "", 0
		}
		return string(r), size
	}
}

func charReference(digits string) (rune, bool) {
	base := 10
	if strings.HasPrefix(digits, "x") {
		digits, base = digits[1:], 16
	}
	v, err := strconv.ParseUint(digits, base, 32)
	if err != nil || v > utf8.MaxRune || !utf8.ValidRune(rune(v)) || v == 0xfffe || v == 0xffff {
		return 0, false
	}
	if v < ' ' && v != '\n' && v != '\t' && v != '\r' {
		return 0, false
	}
	return rune(v), true
}
