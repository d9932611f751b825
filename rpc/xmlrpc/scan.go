package xmlrpc

import (
	"strconv"
)

// invalidAt is the position of a byte that cannot stand where it does.
type invalidAt int

func (invalidAt) Error() string { return msgNotWF }

// errUnclosed tells that the document ends inside a construct.
const errUnclosed = syntaxError(msgUnclosed)

// scanReference returns the end of the reference at data[i], which is "&name;",
// "&#digits;" or "&#xdigits;".
func scanReference(data []byte, i int) (next int, err error) {
	i++
	digit := func(c byte) bool { return c >= '0' && c <= '9' }
	switch {
	case i == len(data):
		return 0, errUnclosed
	case data[i] != '#':
		n, st := nameChar(data, i, true)
		if n == 0 && st != charPartial {
			return 0, invalidAt(i)
		}
		end, partial := scanName(data, i+n)
		if partial || end == len(data) || st == charPartial {
			return 0, errUnclosed
		}
		if data[end] != ';' {
			return 0, badChar(data, end)
		}
		return end + 1, nil
	}
	i++
	if i < len(data) && data[i] == 'x' {
		i++
		digit = func(c byte) bool {
			return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
		}
	}
	first := i
	for i < len(data) && digit(data[i]) {
		i++
	}
	if i == len(data) {
		return 0, errUnclosed
	}
	if data[i] != ';' || i == first {
		return 0, invalidAt(i)
	}
	return i + 1, nil
}

// resolve returns the text a complete reference stands for, or what is wrong with
// it. Only the five predefined entities exist: a document type declaration is
// read over, so nothing can grow by expansion.
func resolve(ref []byte) (text, msg string) {
	name := ref[1 : len(ref)-1]
	if name[0] != '#' {
		switch string(name) {
		case "lt":
			return "<", ""
		case "gt":
			return ">", ""
		case "amp":
			return "&", ""
		case "quot":
			return "\"", ""
		case "apos":
			return "'", ""
		}
		return "", msgEntity
	}
	digits, base := name[1:], 10
	if digits[0] == 'x' {
		digits, base = digits[1:], 16
	}
	n, err := strconv.ParseUint(string(digits), base, 32)
	if err != nil || !xmlChar(rune(n)) {
		return "", msgBadCharRef
	}
	return string(rune(n)), ""
}

// xmlChar tells whether a document may contain the character r.
func xmlChar(r rune) bool {
	switch {
	case r == '\t' || r == '\n' || r == '\r':
		return true
	case r < 0x20, r >= 0xD800 && r < 0xE000, r == 0xFFFE || r == 0xFFFF, r > 0x10FFFF:
		return false
	}
	return true
}

// scanComment returns the end of the comment at data[i], which begins with "<!".
func scanComment(data []byte, i int) (next int, err error) {
	for i += 2; ; i++ {
		if i == len(data) {
			return 0, errUnclosed
		}
		if data[i] != '-' {
			return 0, invalidAt(i)
		}
		if data[i-1] == '-' {
			break
		}
	}
	for i++; i < len(data); {
		if data[i] == '-' && i+1 < len(data) && data[i+1] == '-' {
			switch {
			case i+2 == len(data):
				return 0, errUnclosed
			case data[i+2] != '>':
				return 0, invalidAt(i + 2)
			}
			return i + 3, nil
		}
		n, st := charAt(data, i)
		if st != charOK {
			return 0, badChar(data, i)
		}
		i += n
	}
	return 0, errUnclosed
}

// scanPI returns the end of the processing instruction at data[i] and whether it
// is an XML declaration.
func scanPI(data []byte, i int) (tok token, next int, err error) {
	i += 2
	if i == len(data) {
		return 0, 0, errUnclosed
	}
	n, _ := nameChar(data, i, true)
	if n == 0 {
		return 0, 0, badChar(data, i)
	}
	end, partial := scanName(data, i+n)
	if partial || end == len(data) {
		return 0, 0, errUnclosed
	}
	tok = tokPI
	if t := data[i:end]; len(t) == 3 && t[0]|0x20 == 'x' && t[1]|0x20 == 'm' && t[2]|0x20 == 'l' {
		if string(t) != "xml" {
			return 0, 0, invalidAt(end)
		}
		tok = tokXMLDecl
	}
	if data[end] == '?' {
		switch {
		case end+1 == len(data):
			return 0, 0, errUnclosed
		case data[end+1] != '>':
			return 0, 0, invalidAt(end + 1)
		}
		return tok, end + 2, nil
	}
	if !isSpace(data[end]) {
		return 0, 0, badChar(data, end)
	}
	for i = end; i < len(data); {
		if data[i] == '?' && i+1 < len(data) && data[i+1] == '>' {
			return tok, i + 2, nil
		}
		n, st := charAt(data, i)
		if st != charOK {
			return 0, 0, badChar(data, i)
		}
		i += n
	}
	return 0, 0, errUnclosed
}
