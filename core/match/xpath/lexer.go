package xpath

import (
	"fmt"
	"strings"
)

type tokenKind uint8

const (
	tokEnd tokenKind = iota
	tokSymbol
	tokName
	tokNumber
	tokLiteral
	tokOperator // and or div mod * where an operand went before
)

type token struct {
	kind tokenKind
	text string
}

// symbols in the order in which they are tried.
var symbols = []string{"::", "//", "..", "!=", "<=", ">=", "(", ")", "[", "]", ".", "@", ",", "/", "|", "+", "-", "=", "<", ">", "*"}

// tokenize cuts an expression into tokens.
func tokenize(s string) ([]token, error) {
	var tokens []token
	for {
		s = strings.TrimLeft(s, " \t\r\n")
		if s == "" {
			return append(tokens, token{kind: tokEnd}), nil
		}
		tok, n := scan(s)
		if n == 0 {
			return nil, fmt.Errorf("xpath: unexpected %.20q", s)
		}
		s = s[n:]
		if operandBefore(tokens) && isOperatorName(tok) {
			tok.kind = tokOperator
		}
		tokens = append(tokens, tok)
	}
}

func isOperatorName(t token) bool {
	switch t.text {
	case "and", "or", "div", "mod":
		return t.kind == tokName
	case "*":
		return t.kind == tokSymbol
	}
	return false
}

// operandBefore is the rule of XPath 1.0 that tells the operator * from the
// name test, and operator names from element names.
func operandBefore(tokens []token) bool {
	if len(tokens) == 0 {
		return false
	}
	last := tokens[len(tokens)-1]
	switch last.kind {
	case tokName, tokNumber, tokLiteral:
		return true
	case tokSymbol:
		return strings.Contains(") ] . .. *", last.text)
	}
	return false
}

func scan(s string) (token, int) {
	c := s[0]
	switch {
	case c == '\'' || c == '"':
		end := strings.IndexByte(s[1:], c)
		if end < 0 {
			return token{}, 0
		}
		return token{tokLiteral, s[1 : 1+end]}, end + 2
	case isDigit(c) || c == '.' && len(s) > 1 && isDigit(s[1]):
		n := 0
		for n < len(s) && isDigit(s[n]) {
			n++
		}
		if n < len(s) && s[n] == '.' {
			for n++; n < len(s) && isDigit(s[n]); n++ {
			}
		}
		return token{tokNumber, s[:n]}, n
	case isNameStart(c):
		n := 1
		for n < len(s) && (isNameStart(s[n]) || isDigit(s[n]) || s[n] == '-' || s[n] == '.') {
			n++
		}
		return token{tokName, s[:n]}, n
	}
	for _, sym := range symbols {
		if strings.HasPrefix(s, sym) {
			return token{tokSymbol, sym}, len(sym)
		}
	}
	return token{}, 0
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isNameStart(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0x80
}
