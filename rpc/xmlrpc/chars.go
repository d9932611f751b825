package xmlrpc

import (
	"unicode"
	"unicode/utf8"
)

// charState is what the parser sees at one position of a document.
type charState uint8

const (
	charOK      charState = iota
	charPartial           // a multibyte character cut off by the end of the document
	charInvalid           // nothing an XML document may contain
)

// charAt classifies the character at data[i] and returns its length. Like the
// parser of 4.6 it looks at lead bytes only and takes any byte as continuation;
// checkUTF8 finds the rest when a string is made.
func charAt(data []byte, i int) (n int, st charState) {
	c := data[i]
	switch {
	case c < utf8.RuneSelf:
		if c < 0x20 && c != '\t' && c != '\n' && c != '\r' {
			return 1, charInvalid
		}
		return 1, charOK
	case c < 0xC0 || c > 0xF4:
		return 1, charInvalid
	case c < 0xE0:
		n = 2
	case c < 0xF0:
		n = 3
	default:
		n = 4
	}
	if i+n > len(data) {
		return len(data) - i, charPartial
	}
	surrogate := c == 0xED && data[i+1] >= 0xA0
	nonChar := c == 0xEF && data[i+1] == 0xBF && data[i+2] >= 0xBE
	tooHigh := c == 0xF4 && data[i+1] >= 0x90
	if surrogate || nonChar || tooHigh {
		return 1, charInvalid
	}
	return n, charOK
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// Classes of ASCII characters in names.
const (
	className  = 1 << iota // may stand in a name
	classStart             // may begin a name
)

var nameClass = func() (t [utf8.RuneSelf]uint8) {
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = className|classStart, className|classStart
	}
	for c := '0'; c <= '9'; c++ {
		t[c] = className
	}
	t['_'], t[':'] = className|classStart, className|classStart
	t['-'], t['.'] = className, className
	return t
}()

// nameChar returns the length of the character at data[i] if it may stand in a
// name (begin one, if start is set), otherwise 0, and the state of the character.
func nameChar(data []byte, i int, start bool) (n int, st charState) {
	c := data[i]
	want := uint8(className)
	if start {
		want = classStart
	}
	if c < utf8.RuneSelf {
		if nameClass[c]&want != 0 {
			return 1, charOK
		}
		return 0, charOK
	}
	if n, st = charAt(data, i); st != charOK {
		return 0, st
	}
	r, _ := utf8.DecodeRune(data[i : i+n])
	ok := unicode.IsLetter(r) || !start && (unicode.In(r, unicode.Nd, unicode.M) || r == '·')
	if r > 0xFFFF || r == utf8.RuneError || !ok {
		return 0, charInvalid
	}
	return n, charOK
}

// scanName returns the end of the name characters from data[i] on; partial tells
// that the document ends inside a character.
func scanName(data []byte, i int) (end int, partial bool) {
	for i < len(data) {
		n, st := nameChar(data, i, false)
		if st == charPartial {
			return i, true
		}
		if n == 0 {
			break
		}
		i += n
	}
	return i, false
}
