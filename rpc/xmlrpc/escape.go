package xmlrpc

import (
	"bytes"
	"unicode/utf8"
)

// replacement stands for what XML cannot carry.
const replacement = "\uFFFD"

// plain says which ASCII characters are written as they are.
var plain = func() (t [256]bool) {
	for c := 0x20; c < utf8.RuneSelf; c++ {
		t[c] = true
	}
	t['\t'], t['\n'] = true, true
	t['<'], t['>'], t['&'] = false, false, false
	return t
}()

// AppendEscaped appends s to dst as it stands inside a <string> of an answer:
// '<', '>' and '&' escaped, quotes not, CR and CRLF turned into LF as 4.6 does.
// What no XML document may contain (control characters, malformed UTF-8,
// U+FFFE and U+FFFF) becomes U+FFFD, so that the answer always parses.
// Escaping two strings one after the other equals escaping their
// concatenation, provided neither is cut inside a character or a CRLF.
func AppendEscaped(dst []byte, s string) []byte {
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if plain[c] {
			i++
			continue
		}
		var repl string
		n := 1
		switch {
		case c == '<':
			repl = "&lt;"
		case c == '>':
			repl = "&gt;"
		case c == '&':
			repl = "&amp;"
		case c == '\r':
			if i+1 < len(s) && s[i+1] == '\n' {
				n = 2
			}
			repl = "\n"
		case c < utf8.RuneSelf:
			repl = replacement
		default:
			var ok bool
			if n, ok = charLen(s[i:]); ok {
				i += n
				continue
			}
			repl = replacement
		}
		dst = append(dst, s[start:i]...)
		dst = append(dst, repl...)
		i += n
		start = i
	}
	return append(dst, s[start:]...)
}

// charLen returns the length of the first character of s, which is not ASCII,
// and whether XML may carry it; of a malformed one the length of its well-formed
// beginning, at least 1 byte.
func charLen(s string) (n int, ok bool) {
	r, n := utf8.DecodeRuneInString(s)
	if r != utf8.RuneError || n > 1 {
		return n, r != 0xFFFE && r != 0xFFFF
	}
	for n < len(s) && n < utf8.UTFMax && !utf8.FullRuneInString(s[:n]) && !utf8.RuneStart(s[n]) {
		n++
	}
	if n > 1 && utf8.FullRuneInString(s[:n]) {
		n--
	}
	return n, false
}

// unescapeHead returns the first n bytes of the text that chunks, escaped by
// AppendEscaped, stand for.
func unescapeHead(chunks [][]byte, n int) string {
	var out []byte
	for _, c := range chunks {
		for len(c) > 0 && len(out) < n {
			i := bytes.IndexByte(c, '&')
			if i < 0 {
				i = len(c)
			}
			i = min(i, n-len(out))
			out = append(out, c[:i]...)
			c = c[i:]
			if len(c) > 0 && len(out) < n {
				ch, skip := unescapeOne(c)
				out = append(out, ch)
				c = c[skip:]
			}
		}
	}
	return string(out)
}

// unescapeOne reads one of the three references AppendEscaped writes at the start of c.
func unescapeOne(c []byte) (ch byte, n int) {
	switch {
	case bytes.HasPrefix(c, []byte("&lt;")):
		return '<', 4
	case bytes.HasPrefix(c, []byte("&gt;")):
		return '>', 4
	case bytes.HasPrefix(c, []byte("&amp;")):
		return '&', 5
	}
	return c[0], 1
}
