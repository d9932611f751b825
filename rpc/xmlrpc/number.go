package xmlrpc

import (
	"encoding/base64"
	"errors"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// integer reads the content of an integer element; ok is false if the number
// does not fit in 64 bits.
func integer(text, element string) (n int64, ok bool, err error) {
	if text == "" {
		return 0, false, badCall("<%s> XML element content is empty", element)
	}
	if isSpace(text[0]) {
		return 0, false, badCall("<%s> content '%s' starts with white space", element, text)
	}
	end := 0
	if text[0] == '-' || text[0] == '+' {
		end++
	}
	digits := end
	for end < len(text) && text[end] >= '0' && text[end] <= '9' {
		end++
	}
	junk := text[end:]
	if end == digits {
		junk = text
	}
	n, perr := strconv.ParseInt(text[:end], 10, 64)
	if junk == "" && perr != nil || errors.Is(perr, strconv.ErrRange) {
		return 0, false, nil
	}
	if junk != "" {
		return 0, false, badCall("<%s> value '%s' contains non-numerical junk: '%s'", element, text, junk)
	}
	return n, true, nil
}

func beyondRange(element, text string, low, high int64) error {
	return badCall("<%s> XML element value '%s' represents a number beyond the range that XML-RPC allows (%d - %d)", element, text, low, high)
}

func parseInt(text string) (Value, error) {
	n, ok, err := integer(text, "int")
	switch {
	case err != nil:
		return Value{}, err
	case !ok:
		return Value{}, beyondRange("int", text, math.MinInt32, math.MaxInt32)
	case n > math.MaxInt32:
		return Value{}, badCall("<int> value %d is above the range allowed by XML-RPC (maximum is %d)", n, math.MaxInt32)
	case n < math.MinInt32:
		return Value{}, badCall("<int> value %d is below the range allowed by XML-RPC (minimum is %d)", n, math.MinInt32)
	}
	return Int(int(n)), nil
}

func parseI8(text string) (Value, error) {
	n, ok, err := integer(text, "i8")
	switch {
	case err != nil:
		return Value{}, err
	case !ok:
		return Value{}, beyondRange("i8", text, math.MinInt64, math.MaxInt64)
	}
	return I8(n), nil
}

func parseBool(text string) (Value, error) {
	if text != "0" && text != "1" {
		return Value{}, badCall("<boolean> XML element content must be either '0' or '1' according to XML-RPC.  This one has '%s'", text)
	}
	return Bool(text == "1"), nil
}

// minDouble is the smallest normal double; 4.6 takes what is closer to 0 as out of range.
const minDouble = 0x1p-1022

// parseDouble accepts decimal numbers, with exponent, after white space. Unlike
// 4.6 it refuses infinities and NaN, on which 4.6 crashes or loses the value.
func parseDouble(text string) (Value, error) {
	number := strings.TrimLeft(text, " \t\n\r")
	if strings.Trim(number, "+-.0123456789eE") == "" {
		f, err := strconv.ParseFloat(number, 64)
		if err == nil && (f == 0 || math.Abs(f) >= minDouble) {
			return Double(f), nil
		}
	}
	bad := func(detail string) (Value, error) {
		return Value{}, badCall("<double> element value '%s' is not a valid floating point number.  %s", text, detail)
	}
	end := 0
	if end < len(number) && (number[end] == '-' || number[end] == '+') {
		end++
	}
	digits, point := 0, false
	for ; end < len(number); end++ {
		switch c := number[end]; {
		case c >= '0' && c <= '9':
			digits++
		case c == '.' && !point:
			point = true
		default:
			return bad("Garbage (not sign, digit, or period) starting at '" + number[end:] + "'")
		}
	}
	if digits == 0 {
		return bad("No digits")
	}
	return bad("Out of range")
}

// appendDouble writes f with up to 16 significant digits and no exponent, which
// XML-RPC does not have.
func appendDouble(dst []byte, f float64) []byte {
	if f == 0 || math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, '0')
	}
	var buf [32]byte
	rounded, err := strconv.ParseFloat(string(strconv.AppendFloat(buf[:0], f, 'g', 16, 64)), 64)
	if err != nil {
		rounded = f // rounding up the largest numbers leaves the range
	}
	return strconv.AppendFloat(dst, rounded, 'f', -1, 64)
}

// dateTimeForm is what 4.6 takes for a date and time: "-" and ":" are optional, and
// so is either a fraction of a second or a time zone, which is ignored.
var dateTimeForm = regexp.MustCompile(`^(\d{4})-?(\d\d)-?(\d\d)[Tt](\d\d):?(\d\d):?(\d\d)(?:\.(\d*)|Z|[-+]\d+)?$`)

// parseDateTime keeps the form YYYYMMDDTHH:MM:SS, followed by microseconds if
// there is a fraction.
func parseDateTime(text string) (Value, error) {
	p := dateTimeForm.FindStringSubmatch(text)
	if p == nil {
		return Value{}, badCall("value '%s' is not of any form we recognize for a <dateTime.iso8601> element", text)
	}
	for _, f := range []struct {
		name      string
		digits    string
		low, high int
	}{
		{"Month of year", p[2], 1, 12},
		{"Day of month", p[3], 1, 31},
		{"Hour of day", p[4], 0, 23},
		{"Minute of hour", p[5], 0, 59},
		{"Second of minute", p[6], 0, 59},
	} {
		n := int(f.digits[0]-'0')*10 + int(f.digits[1]-'0')
		if n < f.low || n > f.high {
			return Value{}, badCall("%s value %d is not in the range %d-%d", f.name, n, f.low, f.high)
		}
	}
	stamp := p[1] + p[2] + p[3] + "T" + p[4] + ":" + p[5] + ":" + p[6]
	if p[7] != "" {
		stamp += "." + (p[7] + "00000")[:6]
	}
	return DateTime(stamp), nil
}

// parseBase64 skips whatever is not Base64, as 4.6 does.
func parseBase64(text []byte) (Value, error) {
	clean := make([]byte, 0, len(text)+2)
	pad := 0
	for _, c := range text {
		switch {
		case c == '=':
			pad++
			clean = append(clean, 'A')
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '+', c == '/':
			clean = append(clean, c)
		}
	}
	if len(clean)%4 != 0 {
		return Value{}, badCall("Incorrect Base64 padding")
	}
	out, err := base64.StdEncoding.AppendDecode(nil, clean)
	if err != nil || pad > len(out) {
		return Value{}, badCall("Malformed Base64 data")
	}
	return Base64(out[:len(out)-pad]), nil
}
