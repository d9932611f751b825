package template

import (
	"fmt"
	"strings"

	"goned/core/template/xmldoc"
)

// ParseError is a template text that is not well-formed. Its text is the one
// of 4.6, that clients see.
type ParseError struct {
	// Msg is the part after "Parse error: ".
	Msg string
	err error
}

func (e *ParseError) Error() string { return "Parse error: " + e.Msg }

// Unwrap returns the fault of the XML form, nil for the text form.
func (e *ParseError) Unwrap() error { return e.err }

// Parse reads a template a client sends: the XML form if the first byte is
// "<", else the text form. White space at the end of the first NAME goes, and
// with it all other NAMEs. The error is a *ParseError.
func Parse(text string) (*Template, error) { return parse(text, false) }

// ParseUnique is Parse for the templates of users and images, in which a later
// attribute replaces those of the same name.
func ParseUnique(text string) (*Template, error) { return parse(text, true) }

func parse(text string, unique bool) (*Template, error) {
	read := parseText
	if strings.HasPrefix(text, "<") {
		read = parseXML
	}
	t, err := read(text, unique)
	if err != nil {
		return nil, err
	}
	t.trimName()
	return t, nil
}

// ParseText reads the text form alone: configuration files and what drivers
// report. The NAME stays as it is.
func ParseText(text string) (*Template, error) { return parseText(text, false) }

// ParseXML reads the XML form alone: the attributes are the children of the
// root element, whatever its name. See FromElement.
func ParseXML(text string) (*Template, error) { return parseXML(text, false) }

func parseXML(text string, unique bool) (*Template, error) {
	root, err := xmldoc.Parse(text)
	if err != nil {
		return nil, &ParseError{"XML Template malformed.", err}
	}
	return fromElement(root, unique), nil
}

func parseText(text string, unique bool) (*Template, error) {
	p := textParser{scan: newScanner(text)}
	for {
		tok, name := p.scan.next()
		if tok == tokEnd {
			return newTemplate(p.attrs, unique), nil
		}
		if tok != tokVariable {
			return nil, p.unexpected(tok, "$end")
		}
		if err := p.attribute(name); err != nil {
			return nil, err
		}
	}
}

// textParser knows the grammar: assignments, one after the other.
type textParser struct {
	scan  *scanner
	attrs []Attr
}

// attribute reads an assignment whose name has been read.
func (p *textParser) attribute(name string) error {
	a := Attr{Name: Name(name)}
	switch tok, _ := p.scan.next(); tok {
	case tokEqual:
	case tokEqualEmpty:
		p.attrs = append(p.attrs, a)
		return nil
	default:
		return p.unexpected(tok, "EQUAL or EQUAL_EMPTY")
	}
	switch tok, value := p.scan.next(); tok {
	case tokString:
		a.Value = value
	case tokOpen:
		pairs, err := p.vector()
		if err != nil {
			return err
		}
		a.Vec = sortedVector(pairs, false)
	default:
		return p.unexpected(tok, "OBRACKET or STRING")
	}
	p.attrs = append(p.attrs, a)
	return nil
}

// vector reads pairs up to the closing bracket.
func (p *textParser) vector() ([]Pair, error) {
	var pairs []Pair
	for {
		tok, key := p.scan.next()
		if tok != tokVariable {
			return nil, p.unexpected(tok, "VARIABLE")
		}
		if tok, _ := p.scan.next(); tok != tokEqual {
			return nil, p.unexpected(tok, "EQUAL")
		}
		tok, value := p.scan.next()
		if tok != tokString {
			return nil, p.unexpected(tok, "STRING")
		}
		pairs = append(pairs, Pair{upperASCII(key), value})
		switch tok, _ := p.scan.next(); tok {
		case tokComma:
		case tokClose:
			return pairs, nil
		default:
			return nil, p.unexpected(tok, "COMMA or CBRACKET")
		}
	}
}

// unexpected builds 4.6's error text. Columns are bytes from the start of the
// whole text and enclose the last piece matched.
func (p *textParser) unexpected(tok token, expecting string) error {
	return &ParseError{Msg: fmt.Sprintf("syntax error, unexpected %s, expecting %s at line %d, columns %d:%d",
		tokenNames[tok], expecting, p.scan.line(), p.scan.from+1, p.scan.to+1)}
}
