// Package substitute reads texts with variables in 4.6's forms: $NAME, $NAME[ATTRIBUTE] and $NAME[ATTRIBUTE, KEY=VALUE]. What a
// variable stands for is the caller's business.
package substitute

import (
	"errors"
	"fmt"
	"strings"
)

// Variable is one variable of a text.
type Variable struct {
	Name      string // upper case
	Attribute string // upper case; "" for $NAME
	Key       string // upper case; "" without a selector
	Value     string
	// Follow is the character behind the variable that ended it; it belongs to the text.
	Follow string
}

// Part is a piece of a text: literal, or a variable when Var is not nil.
type Part struct {
	Literal string
	Var     *Variable
}

// token kinds, named as 4.6's messages name them.
const (
	tokEnd      = "$end"
	tokEqual    = "EQUAL"
	tokComma    = "COMMA"
	tokOpen     = "OBRACKET"
	tokClose    = "CBRACKET"
	tokEOA      = "EOA"
	tokString   = "STRING"
	tokVariable = "VARIABLE"
	tokLiteral  = "RSTRING"
)

type token struct {
	kind, text string
	first, end int // columns as 4.6 counts them: bytes before the piece, bytes up to its end
	line       int
}

// lexer splits a text. Between variables it takes everything up to the next '$'; in a variable it knows names and brackets, and
// what it does not know there it passes over, as 4.6's does: line breaks, and in front of a value everything that cannot begin one.
type lexer struct {
	text  string
	pos   int
	first int // where the last piece begins
	line  int
	inVar bool
	value bool // behind '=': a value is expected

}

func (l *lexer) next() token {
	l.pass()
	if l.pos >= len(l.text) {
		kind := tokEnd
		if l.inVar && !l.value {
			kind, l.inVar = tokEOA, false
		}
		return token{kind: kind, first: l.first, end: l.pos, line: l.line}
	}
	if !l.inVar {
		if l.text[l.pos] == '$' {
			l.piece("", "", 1)
			l.inVar = true
			return l.next()
		}
		n := strings.IndexByte(l.text[l.pos:], '$')
		if n < 0 {
			n = len(l.text) - l.pos
		}
		return l.piece(tokLiteral, l.text[l.pos:l.pos+n], n)
	}
	if l.value {
		return l.valueToken()
	}
	return l.varToken()
}

// piece makes a token of the next n bytes.
func (l *lexer) piece(kind, text string, n int) token {
	l.first = l.pos
	l.line += strings.Count(l.text[l.pos:l.pos+n], "\n")
	l.pos += n
	return token{kind: kind, text: text, first: l.first, end: l.pos, line: l.line}
}

// pass goes over what means nothing here. 4.6 does not count the lines of it.
func (l *lexer) pass() {
	for l.pos < len(l.text) && (l.inVar && !l.value && l.text[l.pos] == '\n' || l.value && valueLength(l.text[l.pos:]) == 0) {
		l.first = l.pos
		l.pos++
	}
}

func (l *lexer) varToken() token {
	rest := l.text[l.pos:]
	blanks := len(rest) - len(strings.TrimLeft(rest, " \t"))
	switch c := byteAt(rest, blanks); {
	case c == '=' || c == ',':
		n := blanks + 1
		n += len(rest[n:]) - len(strings.TrimLeft(rest[n:], " \t"))
		if c == ',' {
			return l.piece(tokComma, "", n)
		}
		l.value = true
		return l.piece(tokEqual, "", n)
	case c == ']':
		return l.piece(tokClose, "", blanks+1)
	}
	if rest[0] == '[' {
		n := 1 + len(rest[1:]) - len(strings.TrimLeft(rest[1:], " \t"))
		return l.piece(tokOpen, "", n)
	}
	if n := wordLength(rest, true); n > 0 {
		return l.piece(tokVariable, rest[:n], n)
	}
	if rest[0] == '$' {
		return l.piece(tokEOA, "", 1)
	}
	l.inVar = false
	return l.piece(tokEOA, rest[:1], 1)
}

func (l *lexer) valueToken() token {
	l.value = false
	n := valueLength(l.text[l.pos:])
	return l.piece(tokString, strings.Trim(l.text[l.pos:l.pos+n], `"`), n)
}

// valueLength is the length of the value that a text begins with, in quotes or a word; 0 if there is none.
func valueLength(s string) int {
	if s[0] != '"' {
		return wordLength(s, false)
	}
	if n := strings.IndexByte(s[1:], '"'); n >= 0 {
		return n + 2
	}
	return 0
}

func byteAt(s string, i int) byte {
	if i < len(s) {
		return s[i]
	}
	return 0
}

func wordLength(s string, underscore bool) int {
	n := 0
	for n < len(s) {
		c := s[n]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || underscore && c == '_') {
			break
		}
		n++
	}
	return n
}

// parser is the grammar over a lexer.
type parser struct {
	lex lexer
	tok token
}

func (p *parser) advance() { p.tok = p.lex.next() }

// expect takes a token of a kind, or says what else there is.
func (p *parser) expect(kinds ...string) (token, error) {
	for _, k := range kinds {
		if p.tok.kind == k {
			t := p.tok
			p.advance()
			return t, nil
		}
	}
	return token{}, p.unexpected(kinds...)
}

func (p *parser) unexpected(kinds ...string) error {
	return fmt.Errorf("syntax error, unexpected %s, expecting %s at line %d, columns %d:%d",
		p.tok.kind, strings.Join(kinds, " or "), p.tok.line, p.tok.first+1, p.tok.end+1)
}

// What 4.6 expects at the beginning of a text and behind its pieces.
var (
	textStart = []string{tokVariable, tokLiteral}
	textEnd   = []string{tokEnd, tokVariable, tokLiteral}
)

// Parse splits a text into literals and variables. The error is worded as 4.6's; there is no way to write a literal '$'.
func Parse(text string) ([]Part, error) {
	p := parser{lex: lexer{text: text, line: 1}}
	p.advance()
	var parts []Part
	expected := textStart
	for {
		switch {
		case p.tok.kind == tokLiteral:
			parts = append(parts, Part{Literal: p.tok.text})
			p.advance()
		case p.tok.kind == tokVariable:
			v, err := p.variable()
			if err != nil {
				return nil, err
			}
			parts = append(parts, Part{Var: v})
		case p.tok.kind == tokEnd && len(parts) > 0:
			return parts, nil
		default:
			return nil, p.unexpected(expected...)
		}
		expected = textEnd
	}
}

// variable reads a variable from its name to the character behind it.
func (p *parser) variable() (*Variable, error) {
	v := &Variable{Name: strings.ToUpper(p.tok.text)}
	p.advance()
	t, err := p.expect(tokOpen, tokEOA)
	if err != nil || t.kind == tokEOA {
		v.Follow = t.text
		return v, err
	}
	if t, err = p.expect(tokVariable); err != nil {
		return nil, err
	}
	v.Attribute = strings.ToUpper(t.text)
	if t, err = p.expect(tokComma, tokClose); err != nil {
		return nil, err
	}
	if t.kind == tokComma {
		if t, err = p.expect(tokVariable); err != nil {
			return nil, err
		}
		v.Key = strings.ToUpper(t.text)
		if _, err = p.expect(tokEqual); err != nil {
			return nil, err
		}
		if t, err = p.expect(tokString); err != nil {
			return nil, err
		}
		v.Value = t.text
		if _, err = p.expect(tokClose); err != nil {
			return nil, err
		}
	}
	if t, err = p.expect(tokEOA); err != nil {
		return nil, err
	}
	v.Follow = t.text
	return v, nil
}

// Selector is one KEY=VALUE of a file variable.
type Selector struct{ Key, Value string }

// ErrNotFile says that a text for files holds another variable.
var ErrNotFile = errors.New("Must use FILE variable for attribute.")

// ParseFiles reads a text that is made of variables $FILE[KEY=VALUE, KEY=VALUE] only, and gives the selectors of each.
func ParseFiles(text string) ([][]Selector, error) {
	// White space in front and between is no text: 4.6 takes one character between two variables, any run is as harmless.
	p := parser{lex: lexer{text: strings.TrimLeft(text, " \t\n"), line: 1}}
	p.advance()
	var files [][]Selector
	for {
		for p.tok.kind == tokLiteral && strings.TrimSpace(p.tok.text) == "" {
			p.advance()
		}
		if p.tok.kind == tokEnd && len(files) > 0 {
			return files, nil
		}
		name, err := p.expect(tokVariable)
		if err != nil {
			return nil, err
		}
		if !strings.EqualFold(name.text, "FILE") {
			return nil, ErrNotFile
		}
		selectors, err := p.selectors()
		if err != nil {
			return nil, err
		}
		files = append(files, selectors)
	}
}

func (p *parser) selectors() ([]Selector, error) {
	if _, err := p.expect(tokOpen); err != nil {
		return nil, err
	}
	var out []Selector
	for {
		key, err := p.expect(tokVariable)
		if err != nil {
			return nil, err
		}
		if _, err = p.expect(tokEqual); err != nil {
			return nil, err
		}
		value, err := p.expect(tokString)
		if err != nil {
			return nil, err
		}
		out = append(out, Selector{strings.ToUpper(key.text), value.text})
		t, err := p.expect(tokComma, tokClose)
		if err != nil {
			return nil, err
		}
		if t.kind == tokClose {
			_, err = p.expect(tokEOA)
			return out, err
		}
	}
}
