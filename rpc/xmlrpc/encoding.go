package xmlrpc

import (
	"encoding/binary"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// toUTF8 returns the document in an encoding that has ASCII as its subset, which
// is body itself unless its first bytes show UTF-16.
func toUTF8(body []byte) (data []byte, wide bool, err error) {
	if len(body) < 2 {
		if len(body) == 1 && (body[0] == 0 || body[0] == 0xFE || body[0] == 0xFF) {
			return nil, false, errUnclosed
		}
		return body, false, nil
	}
	var order binary.ByteOrder
	switch b0, b1 := body[0], body[1]; {
	case b0 == 0xFE && b1 == 0xFF:
		order, body = binary.BigEndian, body[2:]
	case b0 == 0xFF && b1 == 0xFE:
		order, body = binary.LittleEndian, body[2:]
	case b0 == 0:
		order = binary.BigEndian
	case b1 == 0:
		order = binary.LittleEndian
	default:
		return body, false, nil
	}
	if len(body)%2 != 0 {
		return nil, true, errUnclosed
	}
	data, ok := fromUTF16(body, order)
	if !ok {
		return nil, true, syntaxError(msgNotWF)
	}
	return data, true, nil
}

// fromUTF16 converts; ok is false if a surrogate has no partner.
func fromUTF16(body []byte, order binary.ByteOrder) (data []byte, ok bool) {
	data = make([]byte, 0, len(body))
	for i := 0; i < len(body); i += 2 {
		r := rune(order.Uint16(body[i:]))
		if utf16.IsSurrogate(r) {
			i += 2
			if i >= len(body) {
				return nil, false
			}
			if r = utf16.DecodeRune(r, rune(order.Uint16(body[i:]))); r == utf8.RuneError {
				return nil, false
			}
		}
		data = utf8.AppendRune(data, r)
	}
	return data, true
}

// declareEncoding applies the encoding named in the XML declaration to what
// follows it, data[end:].
func (d *document) declareEncoding(name string, end int, wide bool) error {
	switch strings.ToUpper(name) {
	case "UTF-16", "UTF-16BE", "UTF-16LE":
		if !wide {
			return syntaxError(msgWrongEnc)
		}
	case "UTF-8", "US-ASCII", "ISO-8859-1":
		if wide {
			return syntaxError(msgWrongEnc)
		}
		d.recode(strings.ToUpper(name), end)
	default:
		return syntaxError(msgEncoding)
	}
	return nil
}

// recode converts data[end:] from a single-byte encoding. Bytes US-ASCII does
// not have become 0xFF, which the parser refuses.
func (d *document) recode(name string, end int) {
	if name == "UTF-8" {
		return
	}
	out := make([]byte, end, len(d.data)+len(d.data)/8)
	copy(out, d.data)
	for _, c := range d.data[end:] {
		switch {
		case c < utf8.RuneSelf:
			out = append(out, c)
		case name == "US-ASCII":
			out = append(out, 0xFF)
		default:
			out = utf8.AppendRune(out, rune(c))
		}
	}
	d.data = out
}
