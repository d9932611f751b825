package xmlrpc

import "bytes"

// skipDoctype reads over the document type declaration whose keyword ends before
// data[i] and returns its end. Nothing it declares is remembered: entities
// beyond the predefined ones do not exist for us.
func skipDoctype(data []byte, i int) (int, error) {
	i, word, err := nextWord(data, i)
	if err != nil {
		return 0, err
	}
	if word == "" {
		return 0, syntaxError(msgSyntax)
	}
	if i, err = externalID(data, i); err != nil {
		return 0, err
	}
	if data[i] == '[' {
		if i, err = skipSubset(data, i+1); err != nil {
			return 0, err
		}
		if i = skipSpace(data, i); i == len(data) {
			return 0, syntaxError(msgNoElement)
		}
	}
	if data[i] != '>' {
		return 0, syntaxError(msgSyntax)
	}
	return i + 1, nil
}

// nextWord returns the name after the white space at data[i], which may be empty,
// and where the white space after it ends.
func nextWord(data []byte, i int) (next int, word string, err error) {
	start := skipSpace(data, i)
	end, _ := scanName(data, start)
	next = skipSpace(data, end)
	if next == len(data) {
		return 0, "", syntaxError(msgNoElement)
	}
	return next, string(data[start:end]), nil
}

// externalID reads over SYSTEM "…" or PUBLIC "…" "…" at data[i], if there is one.
func externalID(data []byte, i int) (int, error) {
	i, word, err := nextWord(data, i)
	if err != nil {
		return 0, err
	}
	literals := map[string]int{"": 0, "SYSTEM": 1, "PUBLIC": 2}
	n, ok := literals[word]
	if !ok {
		return 0, syntaxError(msgSyntax)
	}
	for range n {
		if data[i] != '"' && data[i] != '\'' {
			return 0, syntaxError(msgSyntax)
		}
		end := bytes.IndexByte(data[i+1:], data[i])
		if end < 0 {
			return 0, errUnclosed
		}
		if i = skipSpace(data, i+1+end+1); i == len(data) {
			return 0, syntaxError(msgNoElement)
		}
	}
	return i, nil
}

// skipSubset reads over an internal subset and returns the position after its ']'.
func skipSubset(data []byte, i int) (int, error) {
	for {
		if i = skipSpace(data, i); i == len(data) {
			return 0, syntaxError(msgNoElement)
		}
		var err error
		switch {
		case data[i] == ']':
			return i + 1, nil
		case data[i] == '%':
			i, err = skipParameterReference(data, i)
		case bytes.HasPrefix(data[i:], []byte("<?")):
			_, i, err = scanPI(data, i)
		case bytes.HasPrefix(data[i:], []byte("<!-")):
			i, err = scanComment(data, i)
		case bytes.HasPrefix(data[i:], []byte("<!")):
			i, err = skipDeclaration(data, i)
		default:
			return 0, syntaxError(msgNotWF)
		}
		if err != nil {
			return 0, syntaxError(err.Error())
		}
	}
}

// skipParameterReference reads over "%name;" at data[i].
func skipParameterReference(data []byte, i int) (int, error) {
	if err := percentToken(data, i); err != nil {
		return 0, err
	}
	end, _ := scanName(data, i+1)
	if end == len(data) || data[end] != ';' {
		return 0, invalidAt(end)
	}
	return end + 1, nil
}

// skipDeclaration reads over the markup declaration at data[i].
func skipDeclaration(data []byte, i int) (int, error) {
	_, end, err := outsideDeclaration(data, i)
	if err != nil {
		return 0, err
	}
	switch string(data[i+2 : end]) {
	case "ELEMENT", "ATTLIST", "ENTITY", "NOTATION":
	default:
		return 0, syntaxError(msgSyntax)
	}
	for i = end; i < len(data); {
		switch c := data[i]; c {
		case '>':
			return i + 1, nil
		case '<':
			return 0, invalidAt(i)
		case '"', '\'':
			end := bytes.IndexByte(data[i+1:], c)
			if end < 0 {
				return 0, errUnclosed
			}
			i += end + 2
		default:
			n, st := charAt(data, i)
			if st != charOK {
				return 0, badChar(data, i)
			}
			i += n
		}
	}
	return 0, errUnclosed
}
