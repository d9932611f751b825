package match

import "strings"

// fnmatch reports whether value as a whole matches the shell pattern, as C's
// fnmatch without flags in the C locale: bytes, * and ? match also / and a
// leading dot, [...] with ranges, classes and ! or ^, backslash takes the next
// character as it is. The time is bounded by len(pattern) × len(value).
func fnmatch(pattern, value string) bool {
	p, v := 0, 0
	star, mark := -1, 0 // the last * seen and where it stopped matching
	for v < len(value) {
		if p < len(pattern) && pattern[p] == '*' {
			star, mark = p, v
			p++
			continue
		}
		if p < len(pattern) {
			if n := matchOne(pattern[p:], value[v]); n > 0 {
				p += n
				v++
				continue
			}
		}
		if star < 0 {
			return false
		}
		mark++
		p, v = star+1, mark
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// matchOne matches c with the first element of pattern, which is not a *. It
// returns the length of the element, 0 if c does not match.
func matchOne(pattern string, c byte) int {
	switch pattern[0] {
	case '?':
		return 1
	case '\\':
		if len(pattern) < 2 {
			return 0 // a backslash at the end matches nothing
		}
		if pattern[1] == c {
			return 2
		}
		return 0
	case '[':
		ok, n := matchBracket(pattern, c)
		if ok {
			return n
		}
		if n > 0 {
			return 0
		}
		// Without its ] the bracket is an ordinary character.
	}
	if pattern[0] == c {
		return 1
	}
	return 0
}

// matchBracket reports whether c is in the set that begins at pattern[0] and
// the length of the set's text, 0 if it is not closed. Sets glibc takes for
// broken, with an unknown class or an end within a range, match nothing.
func matchBracket(pattern string, c byte) (bool, int) {
	i := 1
	negated := i < len(pattern) && (pattern[i] == '!' || pattern[i] == '^')
	if negated {
		i++
	}
	found := false
	for first := true; ; first = false {
		if i >= len(pattern) {
			return false, 0
		}
		if pattern[i] == ']' && !first {
			return found != negated, i + 1
		}
		if name, n := bracketClass(pattern[i:]); n > 0 {
			class, known := classes[name]
			if !known {
				return false, len(pattern)
			}
			found = found || class(c)
			i += n
			continue
		}
		low, n := bracketChar(pattern[i:])
		if n == 0 {
			return false, 0
		}
		i += n
		high := low
		if pattern[i:] == "-" {
			return false, len(pattern)
		}
		if i+1 < len(pattern) && pattern[i] == '-' && pattern[i+1] != ']' {
			if high, n = bracketChar(pattern[i+1:]); n == 0 {
				return false, 0
			}
			i += 1 + n
		}
		found = found || low <= c && c <= high
	}
}

// bracketClass recognises [:name:] inside a set, whatever the name.
func bracketClass(s string) (string, int) {
	if !strings.HasPrefix(s, "[:") {
		return "", 0
	}
	n := 2
	for n < len(s) && s[n] >= 'a' && s[n] < 'z' {
		n++
	}
	if !strings.HasPrefix(s[n:], ":]") {
		return "", 0
	}
	return s[2:n], n + 2
}

// bracketChar reads one member of a set: a character, an escaped one, or the
// single-character forms [.c.] and [=c=].
func bracketChar(s string) (byte, int) {
	if len(s) >= 5 && s[0] == '[' && (s[1] == '.' || s[1] == '=') && s[3] == s[1] && s[4] == ']' {
		return s[2], 5
	}
	if s[0] != '\\' {
		return s[0], 1
	}
	if len(s) < 2 {
		return 0, 0
	}
	return s[1], 2
}

var classes = map[string]func(byte) bool{
	"alpha":  isLetter,
	"digit":  isDigit,
	"alnum":  func(c byte) bool { return isLetter(c) || isDigit(c) },
	"upper":  func(c byte) bool { return c >= 'A' && c <= 'Z' },
	"lower":  func(c byte) bool { return c >= 'a' && c <= 'z' },
	"space":  func(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' },
	"blank":  isBlank,
	"punct":  func(c byte) bool { return c > ' ' && c < 0x7f && !isLetter(c) && !isDigit(c) },
	"print":  func(c byte) bool { return c >= ' ' && c < 0x7f },
	"graph":  func(c byte) bool { return c > ' ' && c < 0x7f },
	"cntrl":  func(c byte) bool { return c < ' ' || c == 0x7f },
	"xdigit": func(c byte) bool { return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' },
}
