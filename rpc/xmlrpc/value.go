// Package xmlrpc is the wire codec of the XML-RPC interface: it turns a
// methodCall document into typed values and typed values into the bytes of a
// methodResponse. It knows nothing of HTTP, methods or OpenNebula.
//
// Both directions are exact: what is accepted, the text of every fault and every
// byte of an answer are those of OpenNebula 4.6.2, except that non-BMP
// characters are accepted and that a call is bounded in size of its structure
// (see MaxElements and MaxDepth).
package xmlrpc

import (
	"fmt"
	"math"
)

// Kind is the XML-RPC type of a Value.
type Kind uint8

// The kinds. KindNil is the zero Value.
const (
	KindNil      Kind = iota
	KindInt           // <i4>, <int>, <i1>, <i2>: a 32-bit integer
	KindI8            // <i8>: a 64-bit integer; not an integer in the sense of KindInt
	KindBool          // <boolean>
	KindDouble        // <double>
	KindString        // <string>, or a <value> without type element
	KindDateTime      // <dateTime.iso8601>
	KindBase64        // <base64>
	KindArray         // <array>
	KindStruct        // <struct>
)

// String returns the type's name as fault texts of the introspection methods
// spell it ("INT", "STRING", …).
func (k Kind) String() string {
	switch k {
	case KindNil:
		return "NIL"
	case KindInt:
		return "INT"
	case KindI8:
		return "I8"
	case KindBool:
		return "BOOL"
	case KindDouble:
		return "DOUBLE"
	case KindString:
		return "STRING"
	case KindDateTime:
		return "DATETIME"
	case KindBase64:
		return "BASE64"
	case KindArray:
		return "ARRAY"
	case KindStruct:
		return "STRUCT"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Value is one XML-RPC value. It is immutable; the zero Value is nil.
type Value struct {
	kind   Kind
	num    int64    // int, i8, bool; the bits of a double
	str    string   // string, dateTime, decoded base64
	items  []Value  // elements of an array, values of a struct
	names  []string // names of a struct, parallel to items
	chunks [][]byte // a string held as escaped pieces; nil for all others
}

// Member is one named value of a struct.
type Member struct {
	Name  string
	Value Value
}

// Int returns an <i4>. Like the C int of 4.6 it holds 32 bits; higher bits of n are lost.
func Int(n int) Value { return Value{kind: KindInt, num: int64(int32(n))} }

// I8 returns an <i8>.
func I8(n int64) Value { return Value{kind: KindI8, num: n} }

// Bool returns a <boolean>.
func Bool(b bool) Value {
	v := Value{kind: KindBool}
	if b {
		v.num = 1
	}
	return v
}

// String returns a <string>. See AppendEscaped for what happens to characters
// that XML cannot carry.
func String(s string) Value { return Value{kind: KindString, str: s} }

// Escaped returns a <string> whose text is the concatenation of chunks, which
// must already be escaped (AppendEscaped). The chunks are neither copied nor
// changed: a response refers to them until it is written.
func Escaped(chunks ...[]byte) Value {
	if chunks == nil {
		chunks = [][]byte{}
	}
	return Value{kind: KindString, chunks: chunks}
}

// Double returns a <double>. XML-RPC has no form for infinities and NaN; they are
// written as 0.
func Double(f float64) Value { return Value{kind: KindDouble, num: int64(math.Float64bits(f))} }

// Nil returns a <nil/>.
func Nil() Value { return Value{} }

// Base64 returns a <base64> of the given bytes.
func Base64(b []byte) Value { return Value{kind: KindBase64, str: string(b)} }

// DateTime returns a <dateTime.iso8601>; s is its text, e.g. "20140101T00:00:00".
func DateTime(s string) Value { return Value{kind: KindDateTime, str: s} }

// Array returns an <array>. It takes ownership of items.
func Array(items ...Value) Value { return Value{kind: KindArray, items: items} }

// Struct returns a <struct> with the members in the given order.
func Struct(members ...Member) Value {
	v := Value{kind: KindStruct}
	for _, m := range members {
		v.setMember(m.Name, m.Value)
	}
	return v
}

// setMember adds a member; a repeated name replaces the earlier value.
func (v *Value) setMember(name string, val Value) {
	for i, n := range v.names {
		if n == name {
			v.items[i] = val
			return
		}
	}
	v.names = append(v.names, name)
	v.items = append(v.items, val)
}

// Kind returns the type of v.
func (v Value) Kind() Kind { return v.kind }

// AsInt returns the number of an int value. An i8 is not an int.
func (v Value) AsInt() (int, bool) { return int(v.num), v.kind == KindInt }

// AsI8 returns the number of an i8 value.
func (v Value) AsI8() (int64, bool) { return v.num, v.kind == KindI8 }

// AsBool returns the truth of a boolean value. An int is not a boolean.
func (v Value) AsBool() (bool, bool) { return v.num != 0, v.kind == KindBool }

// AsDouble returns the number of a double value.
func (v Value) AsDouble() (float64, bool) {
	return math.Float64frombits(uint64(v.num)), v.kind == KindDouble
}

// AsString returns the text of a string value. For an Escaped value this
// unescapes all of it; Head is cheap.
func (v Value) AsString() (string, bool) {
	if v.kind != KindString {
		return "", false
	}
	if v.chunks != nil {
		return unescapeHead(v.chunks, math.MaxInt), true
	}
	return v.str, true
}

// Head returns at most the first n bytes of a string value's text, cut without
// regard to character boundaries, and the empty string for any other kind.
func (v Value) Head(n int) string {
	switch {
	case v.kind != KindString || n <= 0:
		return ""
	case v.chunks != nil:
		return unescapeHead(v.chunks, n)
	}
	return v.str[:min(n, len(v.str))]
}

// AsDateTime returns the text of a dateTime value.
func (v Value) AsDateTime() (string, bool) { return v.textOf(KindDateTime) }

// AsBase64 returns the decoded bytes of a base64 value as a string.
func (v Value) AsBase64() (string, bool) { return v.textOf(KindBase64) }

func (v Value) textOf(k Kind) (string, bool) {
	if v.kind != k {
		return "", false
	}
	return v.str, true
}

// AsArray returns the elements of an array value. The caller must not change them.
func (v Value) AsArray() ([]Value, bool) {
	if v.kind != KindArray {
		return nil, false
	}
	return v.items, true
}

// Field returns the named member of a struct value.
func (v Value) Field(name string) (Value, bool) {
	if v.kind != KindStruct {
		return Value{}, false
	}
	for i, n := range v.names {
		if n == name {
			return v.items[i], true
		}
	}
	return Value{}, false
}

// Members returns the members of a struct value in their order, nil for other kinds.
func (v Value) Members() []Member {
	if v.kind != KindStruct {
		return nil
	}
	ms := make([]Member, len(v.names))
	for i, n := range v.names {
		ms[i] = Member{n, v.items[i]}
	}
	return ms
}

// Call is a decoded methodCall.
type Call struct {
	Method string
	Params []Value
}
