package xmlrpc

import "bytes"

// attribute is an attribute of a start tag; XML-RPC gives none a meaning, they
// are only checked.
type attribute struct {
	name  []byte
	value []byte // raw
}

// startTag reads the start or empty-element tag at data[i].
func (d *document) startTag(i int) (next int, done bool, err error) {
	data := d.data
	n, st := nameChar(data, i+1, true)
	switch {
	case st == charPartial:
		return 0, false, d.contentError(i, msgUnclosed)
	case n == 0:
		return 0, false, d.badToken(i, i+1)
	}
	end, partial := scanName(data, i+1+n)
	if partial || end == len(data) {
		return 0, false, d.contentError(i, msgUnclosed)
	}
	name := data[i+1 : end]
	next, empty, attrs, err := scanAttributes(data, end)
	if err != nil {
		return 0, false, d.scanError(i, err)
	}
	if msg := checkAttributes(attrs); msg != "" {
		return 0, false, d.contentError(i, msg)
	}
	if err := d.open(name); err != nil {
		return 0, false, err
	}
	if empty {
		done, err = d.close(i, next)
	}
	return next, done, err
}

// endTag reads the end tag at data[i].
func (d *document) endTag(i int) (next int, done bool, err error) {
	data := d.data
	p := i + 2
	if p == len(data) {
		return 0, false, d.contentError(i, msgUnclosed)
	}
	n, st := nameChar(data, p, true)
	if n == 0 && st != charPartial {
		return 0, false, d.badToken(i, p)
	}
	end, partial := scanName(data, p+n)
	if partial || st == charPartial {
		return 0, false, d.contentError(i, msgUnclosed)
	}
	name := data[p:end]
	for end < len(data) && isSpace(data[end]) {
		end++
	}
	switch {
	case end == len(data):
		return 0, false, d.contentError(i, msgUnclosed)
	case data[end] != '>':
		return 0, false, d.badToken(i, end)
	case !bytes.Equal(name, d.nodes[d.cur].name):
		return 0, false, d.contentError(i, msgMismatch)
	}
	done, err = d.close(i, end+1)
	return end + 1, done, err
}

// close leaves the current element, whose last tag starts at data[tok] and ends
// before data[next]. After the root it reads the rest of the document.
func (d *document) close(tok, next int) (done bool, err error) {
	if d.cur != 0 {
		d.cur = d.nodes[d.cur].parent
		return false, nil
	}
	if msg := epilog(d.data, next); msg != "" {
		return true, d.contentError(tok, msg)
	}
	return true, nil
}

// scanAttributes reads what follows the name of a start tag, from data[i] on, up
// to and including '>'.
func scanAttributes(data []byte, i int) (next int, empty bool, attrs []attribute, err error) {
	for {
		blank := i
		for i < len(data) && isSpace(data[i]) {
			i++
		}
		if i == len(data) {
			return 0, false, nil, errUnclosed
		}
		switch data[i] {
		case '>':
			return i + 1, false, attrs, nil
		case '/':
			if i++; i == len(data) {
				return 0, false, nil, errUnclosed
			}
			if data[i] != '>' {
				return 0, false, nil, invalidAt(i)
			}
			return i + 1, true, attrs, nil
		}
		if i == blank { // a name or a value must be followed by a blank
			return 0, false, nil, badChar(data, i)
		}
		var a attribute
		if a, i, err = scanAttribute(data, i); err != nil {
			return 0, false, nil, err
		}
		attrs = append(attrs, a)
	}
}

// badChar is the error for an unexpected character at data[i].
func badChar(data []byte, i int) error {
	if _, st := charAt(data, i); st == charPartial {
		return errUnclosed
	}
	return invalidAt(i)
}

// scanAttribute reads name="value" from data[i] on.
func scanAttribute(data []byte, i int) (a attribute, next int, err error) {
	n, _ := nameChar(data, i, true)
	if n == 0 {
		return a, 0, badChar(data, i)
	}
	end, partial := scanName(data, i+n)
	if partial {
		return a, 0, errUnclosed
	}
	a.name = data[i:end]
	i = skipSpace(data, end)
	if i == len(data) {
		return a, 0, errUnclosed
	}
	if data[i] != '=' {
		return a, 0, badChar(data, i)
	}
	if i = skipSpace(data, i+1); i == len(data) {
		return a, 0, errUnclosed
	}
	quote := data[i]
	if quote != '"' && quote != '\'' {
		return a, 0, badChar(data, i)
	}
	i++
	start := i
	for i < len(data) && data[i] != quote {
		switch c := data[i]; c {
		case '<':
			return a, 0, invalidAt(i)
		case '&':
			if i, err = scanReference(data, i); err != nil {
				return a, 0, err
			}
		default:
			n, st := charAt(data, i)
			if st != charOK {
				return a, 0, badChar(data, i)
			}
			i += n
		}
	}
	if i == len(data) {
		return a, 0, errUnclosed
	}
	a.value = data[start:i]
	return a, i + 1, nil
}

func skipSpace(data []byte, i int) int {
	for i < len(data) && isSpace(data[i]) {
		i++
	}
	return i
}

// checkAttributes returns what is wrong with the attributes of a tag, if anything.
func checkAttributes(attrs []attribute) string {
	if len(attrs) == 0 {
		return ""
	}
	seen := make(map[string]struct{}, len(attrs))
	for _, a := range attrs {
		if _, dup := seen[string(a.name)]; dup {
			return msgDuplicate
		}
		seen[string(a.name)] = struct{}{}
		// By characters: an ampersand may be a continuation byte of a malformed one.
		for i := 0; i < len(a.value); {
			if a.value[i] != '&' {
				n, _ := charAt(a.value, i)
				i += n
				continue
			}
			end := i + bytes.IndexByte(a.value[i:], ';') + 1
			if _, msg := resolve(a.value[i:end]); msg != "" {
				return msg
			}
			i = end
		}
	}
	return ""
}
