package xmlrpc

import (
	"bytes"
	"strings"
)

// token is a kind of construct outside the root element.
type token uint8

const (
	tokEnd      token = iota // of the document
	tokSpace                 // white space
	tokPI                    // processing instruction
	tokXMLDecl               // <?xml …?>
	tokComment               // <!--…-->
	tokDoctype               // <!DOCTYPE
	tokInstance              // a start tag
	tokOther                 // a token that has no place here
)

// outside reads the construct at data[i], outside the root element. Errors tell
// what is no token at all.
func outside(data []byte, i int) (tok token, next int, err error) {
	if i == len(data) {
		return tokEnd, i, nil
	}
	switch c := data[i]; {
	case isSpace(c):
		return tokSpace, skipSpace(data, i), nil
	case c == '<':
		return outsideMarkup(data, i)
	case c == '"' || c == '\'':
		return tokOther, i, literalToken(data, i)
	case bytes.IndexByte([]byte("[](),>|"), c) >= 0:
		if string(data[i:]) == "]]" {
			return 0, 0, errUnclosed // may be the begin of "]]>"
		}
		return tokOther, i, nil
	case c == '%' || c == '#':
		return tokOther, i, percentToken(data, i)
	}
	return tokOther, i, nameToken(data, i)
}

func outsideMarkup(data []byte, i int) (tok token, next int, err error) {
	if i+1 == len(data) {
		return 0, 0, errUnclosed
	}
	switch data[i+1] {
	case '?':
		return scanPI(data, i)
	case '!':
		return outsideDeclaration(data, i)
	}
	n, _ := nameChar(data, i+1, true)
	if n > 0 || data[i+1] >= 0xC0 && data[i+1] <= 0xF4 {
		return tokInstance, i, nil
	}
	return 0, 0, invalidAt(i + 1)
}

func outsideDeclaration(data []byte, i int) (tok token, next int, err error) {
	p := i + 2
	if p == len(data) {
		return 0, 0, errUnclosed
	}
	if data[p] == '-' {
		next, err = scanComment(data, i)
		return tokComment, next, err
	}
	if data[p] == '[' {
		return tokOther, p, nil
	}
	end := p
	for end < len(data) && (data[end]|0x20 >= 'a' && data[end]|0x20 <= 'z' || data[end] == '_') {
		end++
	}
	switch {
	case end == len(data):
		return 0, 0, errUnclosed
	case end == p || !isSpace(data[end]) && data[end] != '%':
		return 0, 0, invalidAt(end)
	case string(data[p:end]) == "DOCTYPE":
		return tokDoctype, end, nil
	}
	return tokOther, end, nil
}

// literalToken tells whether a quoted literal begins at data[i].
func literalToken(data []byte, i int) error {
	end := bytes.IndexByte(data[i+1:], data[i])
	if end < 0 {
		return errUnclosed
	}
	if p := i + 1 + end + 1; p < len(data) && !isSpace(data[p]) && bytes.IndexByte([]byte(">%["), data[p]) < 0 {
		return invalidAt(p)
	}
	return nil
}

// percentToken tells whether "%name;", "% " or "#name" begins at data[i].
func percentToken(data []byte, i int) error {
	if i+1 == len(data) {
		return errUnclosed
	}
	if data[i] == '%' && (isSpace(data[i+1]) || data[i+1] == '%') {
		return nil
	}
	if n, _ := nameChar(data, i+1, true); n == 0 {
		return badChar(data, i+1)
	}
	end, partial := scanName(data, i+1)
	switch {
	case partial || end == len(data) && data[i] == '%':
		return errUnclosed
	case data[i] == '%' && data[end] != ';':
		return invalidAt(end)
	case end < len(data) && data[i] == '#' && !isSpace(data[end]) && bytes.IndexByte([]byte(")>%|"), data[end]) < 0:
		return invalidAt(end)
	}
	return nil
}

// nameToken tells whether a name or number begins at data[i].
func nameToken(data []byte, i int) error {
	end, partial := scanName(data, i)
	switch {
	case partial:
		return errUnclosed
	case end == i:
		return badChar(data, i)
	case end < len(data) && !isSpace(data[end]) && bytes.IndexByte([]byte(">),|[%?+*"), data[end]) < 0:
		return badChar(data, end)
	}
	return nil
}

// prolog reads what stands before the root element and returns where that
// begins. wide tells that the document came in UTF-16.
func (d *document) prolog(wide bool) (int, error) {
	i, doctype := 0, false
	for {
		tok, next, err := outside(d.data, i)
		if err != nil {
			return 0, syntaxError(err.Error())
		}
		switch tok {
		case tokEnd:
			return 0, syntaxError(msgNoElement)
		case tokInstance:
			return i, nil
		case tokSpace, tokPI, tokComment:
			i = next
		case tokXMLDecl:
			if i != 0 {
				return 0, syntaxError(msgSyntax)
			}
			if err := d.xmlDecl(next, wide); err != nil {
				return 0, err
			}
			i = next
		case tokDoctype:
			if doctype {
				return 0, syntaxError(msgSyntax)
			}
			doctype = true
			if i, err = skipDoctype(d.data, next); err != nil {
				return 0, err
			}
		default:
			return 0, syntaxError(msgSyntax)
		}
	}
}

// epilog reads what stands after the root element, from data[i] on, and returns
// what is wrong with it, if anything.
func epilog(data []byte, i int) string {
	for {
		tok, next, err := outside(data, i)
		if err != nil {
			return err.Error()
		}
		switch tok {
		case tokEnd:
			return ""
		case tokSpace, tokPI, tokComment:
			i = next
		default:
			return msgJunk
		}
	}
}

// xmlDecl reads the XML declaration data[:end] and converts the rest of the
// document to UTF-8 if it declares another encoding.
func (d *document) xmlDecl(end int, wide bool) error {
	decl := string(d.data[len("<?xml") : end-len("?>")])
	rank := -1
	for {
		rest := strings.TrimLeft(decl, " \t\r\n")
		if rest == "" {
			break
		}
		if len(rest) == len(decl) {
			return syntaxError(msgSyntax)
		}
		name, value, tail, ok := pseudoAttribute(rest)
		if !ok {
			return syntaxError(msgSyntax)
		}
		r := -1
		for i, n := range []string{"version", "encoding", "standalone"} {
			if n == name {
				r = i
			}
		}
		if r <= rank || rank < 0 && r != 0 {
			return syntaxError(msgSyntax)
		}
		rank = r
		switch {
		case r == 1 && (value == "" || value[0]|0x20 < 'a' || value[0]|0x20 > 'z'):
			return syntaxError(msgSyntax)
		case r == 1:
			if err := d.declareEncoding(value, end, wide); err != nil {
				return err
			}
		case r == 2 && value != "yes" && value != "no":
			return syntaxError(msgSyntax)
		}
		decl = tail
	}
	if rank < 0 {
		return syntaxError(msgSyntax)
	}
	return nil
}

// pseudoAttribute splits name="value" off the front of s.
func pseudoAttribute(s string) (name, value, tail string, ok bool) {
	name, rest, found := strings.Cut(s, "=")
	rest = strings.TrimLeft(rest, " \t\r\n")
	if !found || rest == "" || rest[0] != '"' && rest[0] != '\'' {
		return "", "", "", false
	}
	value, tail, found = strings.Cut(rest[1:], rest[:1])
	if !found {
		return "", "", "", false
	}
	for i := range len(value) {
		if c := value[i]; c >= 0x80 || c != '.' && c != '-' && c != '_' && nameClass[c] == 0 || c == ':' {
			return "", "", "", false
		}
	}
	return strings.TrimRight(name, " \t\r\n"), value, tail, true
}
