package template

import "strings"

// token is a piece of template text the grammar knows. The names appear in
// error texts.
type token uint8

const (
	tokEnd token = iota
	tokEqual
	tokComma
	tokOpen
	tokClose
	tokEqualEmpty
	tokString
	tokVariable
)

var tokenNames = [...]string{"$end", "EQUAL", "COMMA", "OBRACKET", "CBRACKET", "EQUAL_EMPTY", "STRING", "VARIABLE"}

// scanner cuts text into tokens. Of several readings the longest wins. An
// EQUAL leads into the value state, a value or "[" out of it.
type scanner struct {
	in    string
	pos   int
	value bool
	// lastNewline is the offset of the last newline, -1 without one: "#" is
	// a comment only if its line ends.
	lastNewline int
	// from and to enclose the last piece matched, blanks, comments and dropped
	// bytes included. Error texts refer to it.
	from, to int
	// uncounted newlines were dropped where a value was expected: 4.6 leaves
	// them out of its line numbers.
	uncounted int
}

func newScanner(in string) *scanner {
	return &scanner{in: in, lastNewline: strings.LastIndexByte(in, '\n')}
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

func isNameByte(c byte) bool {
	return isLetter(c) || c >= '0' && c <= '9' || c == '_'
}

// skipBlanks returns the first offset from i on without a blank.
func (s *scanner) skipBlanks(i int) int {
	for i < len(s.in) && isBlank(s.in[i]) {
		i++
	}
	return i
}

// skipSpace returns the first offset from i on without a blank or newline.
func (s *scanner) skipSpace(i int) int {
	for i < len(s.in) && (isBlank(s.in[i]) || s.in[i] == '\n') {
		i++
	}
	return i
}

// match takes the bytes up to end as the piece matched.
func (s *scanner) match(end int) {
	s.from, s.to, s.pos = s.pos, end, end
}

// line returns the line the last piece ends on, as 4.6 counts.
func (s *scanner) line() int {
	return 1 + strings.Count(s.in[:s.to], "\n") - s.uncounted
}

// next returns the next token and, for VARIABLE and STRING, its text.
func (s *scanner) next() (token, string) {
	for s.pos < len(s.in) {
		var tok token
		var text string
		if s.value {
			tok, text = s.valueToken()
		} else {
			tok, text = s.normalToken()
		}
		if tok != tokEnd {
			return tok, text
		}
	}
	return tokEnd, ""
}

// normalToken matches one piece outside a value; tokEnd means it was skipped.
func (s *scanner) normalToken() (token, string) {
	start := s.pos
	if isNameByte(s.in[start]) {
		end := start + 1
		for end < len(s.in) && isNameByte(s.in[end]) {
			end++
		}
		s.match(end)
		return tokVariable, s.in[start:end]
	}
	blanks := s.skipBlanks(start)
	space := s.skipSpace(blanks)
	if space < len(s.in) {
		switch c := s.in[space]; {
		case c == ',':
			s.match(s.skipSpace(space + 1))
			return tokComma, ""
		case c == ']':
			s.match(s.skipSpace(space + 1))
			return tokClose, ""
		case c == '=' && space == blanks:
			end := s.skipBlanks(space + 1)
			if end < len(s.in) && s.in[end] == '\n' {
				s.match(end + 1)
				return tokEqualEmpty, ""
			}
			s.match(end)
			s.value = true
			return tokEqual, ""
		case c == '#' && space == blanks && space < s.lastNewline:
			s.match(space + strings.IndexByte(s.in[space:], '\n') + 1)
			return tokEnd, ""
		}
	}
	s.match(max(space, start+1))
	return tokEnd, ""
}

// valueToken matches one piece behind an EQUAL; tokEnd means it was dropped.
func (s *scanner) valueToken() (token, string) {
	start := s.pos
	if i := s.skipBlanks(start); i < len(s.in) && s.in[i] == '[' {
		s.match(s.skipSpace(i + 1))
		s.value = false
		return tokOpen, ""
	} else if i > start {
		s.pos = i - 1 // blanks are dropped one by one
		s.match(i)
		return tokEnd, ""
	}
	plain := start
	for plain < len(s.in) && isPlain(s.in[plain]) {
		plain++
	}
	if s.in[start] == '"' {
		if end := quotedEnd(s.in, start); end >= plain && end > 0 {
			s.match(end)
			s.value = false
			return tokString, unescape(s.in[start+1 : end-1])
		}
	}
	if plain == start {
		if s.in[start] == '\n' {
			s.uncounted++
		}
		s.match(start + 1)
		return tokEnd, ""
	}
	s.match(plain)
	s.value = false
	return tokString, unescape(s.in[start:plain])
}

// isPlain reports whether a byte may be part of a value without quotes.
func isPlain(c byte) bool {
	switch c {
	case '=', '#', ' ', '\t', '\n', ',', '[', ']':
		return false
	}
	return true
}

// unescape turns \" into a quote: there is no other escape.
func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	return strings.ReplaceAll(s, `\"`, `"`)
}

// quotedEnd returns the end of the longest quoted string that begins at
// start, 0 if there is none. A quote closes it unless a backslash stands in
// front, and even then if no other quote closes it; "]]>" can't be part of it.
// Brackets are counted as 4.6 does, which takes a third one in a row as the
// start of a new count.
func quotedEnd(in string, start int) int {
	end := 0
	brackets := 0
	for i := start + 1; i < len(in); i++ {
		switch c := in[i]; {
		case c == '"':
			end = i + 1
			if in[i-1] != '\\' {
				return end
			}
			brackets = 0
		case c == ']':
			if brackets++; brackets == 3 {
				brackets = 0
			}
		case c == '>' && brackets == 2:
			return end
		default:
			brackets = 0
		}
	}
	return end
}
