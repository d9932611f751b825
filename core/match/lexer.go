package match

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// tokenKind names a token as 4.6 names it in its syntax errors.
type tokenKind string

const (
	tokEnd       tokenKind = "$end"
	tokString    tokenKind = "STRING"
	tokInteger   tokenKind = "INTEGER"
	tokFloat     tokenKind = "FLOAT"
	tokUndefined tokenKind = "$undefined"
)

// token is one lexeme. begin and end are 1-based byte columns, end is one past
// the last byte.
type token struct {
	kind       tokenKind
	char       byte // the operator, 0 for the other kinds
	text       string
	integer    int32
	float      float32
	begin, end int
	line       int // 1, and one more for every line break within quotes so far
}

// is reports whether the token is the operator c.
func (t token) is(c byte) bool { return t.char == c }

// lexer cuts a requirement or rank text into tokens. operators are the
// characters that have a meaning in the language at hand; the operator
// characters of the other language come out as $undefined, and every byte that
// is in neither is skipped.
type lexer struct {
	text       string
	operators  string
	pos        int
	begin, end int // columns of the last lexeme, skipped ones included
	line       int
}

const allOperators = "!&|=><()*+/^-"

func newLexer(text, operators string) *lexer {
	return &lexer{text: text, operators: operators, begin: 1, end: 1, line: 1}
}

// next returns the next token. At the end of the text the position is that of
// the last lexeme, as in 4.6's messages.
func (l *lexer) next() token {
	for l.pos < len(l.text) {
		start := l.pos
		tok, n := scan(l.text[start:])
		l.pos += n
		l.begin, l.end = start+1, l.pos+1
		if tok.kind == "" {
			continue
		}
		if tok.kind == tokString {
			l.line += strings.Count(tok.text, "\n")
		}
		tok.begin, tok.end, tok.line = l.begin, l.end, l.line
		if tok.char != 0 && !contains(l.operators, tok.char) {
			tok.kind, tok.char = tokUndefined, 0
		}
		return tok
	}
	return token{kind: tokEnd, begin: l.begin, end: l.end, line: l.line}
}

// scan returns the longest token at the start of s and its length; a token
// without a kind is to be skipped. s is not empty.
func scan(s string) (token, int) {
	c := s[0]
	switch {
	case isLetter(c):
		n := span(s, 1, isWord)
		return token{kind: tokString, text: s[:n]}, n
	case isDigit(c) || c == '-' && len(s) > 1 && isDigit(s[1]):
		return scanNumber(s)
	case c == '"':
		for i := 1; i < len(s); i++ {
			if s[i] == '"' {
				return token{kind: tokString, text: s[1:i]}, i + 1
			}
		}
		return token{}, 1
	case isBlank(c):
		return token{}, span(s, 1, isBlank)
	case contains(allOperators, c):
		return token{kind: tokenKind("'" + string(rune(c)) + "'"), char: c}, 1
	}
	return token{}, 1
}

func scanNumber(s string) (token, int) {
	n := span(s, 1, isDigit)
	if n+1 < len(s) && s[n] == '.' && isDigit(s[n+1]) {
		n = span(s, n+1, isDigit)
		// Out of range is an infinity, as with C's atof.
		f, _ := strconv.ParseFloat(s[:n], 64)
		return token{kind: tokFloat, text: s[:n], float: float32(f)}, n
	}
	return token{kind: tokInteger, text: s[:n], integer: atoi(s[:n])}, n
}

// atoi is C's: a 64-bit conversion that stops at the limits, then cut to 32 bits.
func atoi(s string) int32 {
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		v = math.MaxInt64
		if s[0] == '-' {
			v = math.MinInt64
		}
	}
	return int32(v)
}

func span(s string, from int, in func(byte) bool) int {
	for from < len(s) && in(s[from]) {
		from++
	}
	return from
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isWord(c byte) bool   { return isLetter(c) || isDigit(c) || c == '_' }
func isBlank(c byte) bool  { return c == ' ' || c == '\t' }

func contains(set string, c byte) bool {
	for i := 0; i < len(set); i++ {
		if set[i] == c {
			return true
		}
	}
	return false
}

// SyntaxError is a text that is no expression. Its message is 4.6's, word for
// word: it is stored in the machine's SCHED_MESSAGE, where people read it.
type SyntaxError struct {
	Message string // without the position, "syntax error, unexpected …"
	// Line counts line breaks within quotes only, as 4.6 does; columns go on
	// over all of them.
	Line       int
	Begin, End int // 1-based byte columns of the offending token, End exclusive
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s at line %d, columns %d:%d", e.Message, e.Line, e.Begin, e.End)
}

// unexpected makes the error for tok. want lists what could have stood there,
// in 4.6's words; 4.6 leaves the list out when it has more than four entries.
func unexpected(tok token, want string) *SyntaxError {
	msg := "syntax error, unexpected " + string(tok.kind)
	if want != "" {
		msg += ", expecting " + want
	}
	return errorAt(tok, msg)
}

func errorAt(tok token, message string) *SyntaxError {
	return &SyntaxError{Message: message, Line: tok.line, Begin: tok.begin, End: tok.end}
}

// maxDepth bounds nesting, with the words and about the size of 4.6's own
// parser stack: a hostile text costs its machine an error and nobody a crash.
const maxDepth = 9000

func tooDeep(tok token) *SyntaxError {
	return errorAt(tok, "memory exhausted")
}

// emptyName refuses "" where a name must stand. 4.6 crashes on it.
func emptyName(tok token) *SyntaxError {
	return errorAt(tok, "syntax error, empty attribute name")
}
