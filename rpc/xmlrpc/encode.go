package xmlrpc

import (
	"encoding/base64"
	"math"
	"net"
	"strconv"
)

const (
	xmlDecl       = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n"
	responseOpen  = xmlDecl + "<methodResponse>\r\n"
	responseClose = "</methodResponse>\r\n"

	// An escaped chunk shorter than this is cheaper to copy than to hand to the
	// kernel as a piece of its own.
	referMin = 1024
)

// encoder collects a document as a list of pieces: its own bytes, and escaped
// chunks it only refers to.
type encoder struct {
	buf   []byte // the piece being written
	parts net.Buffers
	size  int // bytes in parts
	flat  bool
}

// EncodeResponse returns the methodResponse document for a result v or, if f is
// not nil, for the fault f: its pieces in order and their total length in bytes.
// Chunks of Escaped values are referred to, not copied. scratch, which may be
// nil, is memory to write into; the pieces alias it.
func EncodeResponse(scratch []byte, v Value, f *Fault) (parts net.Buffers, size int) {
	e := encoder{buf: scratch[:0]}
	e.response(v, f)
	e.cut()
	return e.parts, e.size
}

// AppendResponse appends the methodResponse document with result v to dst.
func AppendResponse(dst []byte, v Value) []byte {
	e := encoder{buf: dst, flat: true}
	e.response(v, nil)
	return e.buf
}

// AppendFault appends the methodResponse document with fault f to dst.
func AppendFault(dst []byte, f *Fault) []byte {
	e := encoder{buf: dst, flat: true}
	e.response(Value{}, f)
	return e.buf
}

// AppendCall appends the methodCall document of a call to dst.
func AppendCall(dst []byte, c *Call) []byte {
	e := encoder{buf: dst, flat: true}
	e.str(xmlDecl + "<methodCall>\r\n<methodName>")
	e.buf = AppendEscaped(e.buf, c.Method)
	e.str("</methodName>\r\n<params>\r\n")
	for _, p := range c.Params {
		e.param(p)
	}
	e.str("</params>\r\n</methodCall>\r\n")
	return e.buf
}

// EncodeCall returns the methodCall document of a call.
func EncodeCall(c *Call) []byte { return AppendCall(nil, c) }

// FaultStruct is the struct that stands for a fault inside a result (system.multicall).
func FaultStruct(f *Fault) Value {
	return Struct(Member{"faultCode", Int(f.Code)}, Member{"faultString", String(f.Text)})
}

func (e *encoder) response(v Value, f *Fault) {
	e.str(responseOpen)
	if f != nil {
		e.str("<fault>\r\n")
		e.value(FaultStruct(f))
		e.str("\r\n</fault>\r\n")
	} else {
		e.str("<params>\r\n")
		e.param(v)
		e.str("</params>\r\n")
	}
	e.str(responseClose)
}

func (e *encoder) param(v Value) {
	e.str("<param>")
	e.value(v)
	e.str("</param>\r\n")
}

func (e *encoder) str(s string) { e.buf = append(e.buf, s...) }

// cut ends the piece being written. What follows goes to the unused rest of the
// same memory.
func (e *encoder) cut() {
	if len(e.buf) > 0 {
		e.parts = append(e.parts, e.buf[:len(e.buf):len(e.buf)])
		e.size += len(e.buf)
		e.buf = e.buf[len(e.buf):]
	}
}

// refer adds an escaped chunk.
func (e *encoder) refer(chunk []byte) {
	if e.flat || len(chunk) < referMin {
		e.buf = append(e.buf, chunk...)
		return
	}
	e.cut()
	e.parts = append(e.parts, chunk)
	e.size += len(chunk)
}

func (e *encoder) value(v Value) {
	e.str("<value>")
	switch v.kind {
	case KindNil:
		e.str("<nil/>")
	case KindInt:
		e.str("<i4>")
		e.buf = strconv.AppendInt(e.buf, v.num, 10)
		e.str("</i4>")
	case KindI8:
		e.str("<i8>")
		e.buf = strconv.AppendInt(e.buf, v.num, 10)
		e.str("</i8>")
	case KindBool:
		e.str("<boolean>")
		e.buf = append(e.buf, '0'+byte(v.num))
		e.str("</boolean>")
	case KindDouble:
		e.str("<double>")
		e.buf = appendDouble(e.buf, math.Float64frombits(uint64(v.num)))
		e.str("</double>")
	case KindString:
		e.text(v)
	case KindDateTime:
		e.str("<dateTime.iso8601>")
		e.buf = AppendEscaped(e.buf, v.str)
		e.str("</dateTime.iso8601>")
	case KindBase64:
		e.base64(v.str)
	case KindArray:
		e.str("<array><data>\r\n")
		for _, it := range v.items {
			e.value(it)
			e.str("\r\n")
		}
		e.str("</data></array>")
	case KindStruct:
		e.members(v)
	}
	e.str("</value>")
}

func (e *encoder) text(v Value) {
	e.str("<string>")
	if v.chunks != nil {
		for _, c := range v.chunks {
			e.refer(c)
		}
	} else {
		e.buf = AppendEscaped(e.buf, v.str)
	}
	e.str("</string>")
}

func (e *encoder) members(v Value) {
	e.str("<struct>\r\n")
	for i, name := range v.names {
		e.str("<member><name>")
		e.buf = AppendEscaped(e.buf, name)
		e.str("</name>\r\n")
		e.value(v.items[i])
		e.str("</member>\r\n")
	}
	e.str("</struct>")
}

// base64 writes lines of 76 characters, as 4.6 does.
func (e *encoder) base64(data string) {
	const lineBytes = 57
	e.str("<base64>\r\n")
	for len(data) > lineBytes {
		e.buf = base64.StdEncoding.AppendEncode(e.buf, []byte(data[:lineBytes]))
		e.str("\r\n")
		data = data[lineBytes:]
	}
	e.buf = base64.StdEncoding.AppendEncode(e.buf, []byte(data))
	e.str("\r\n</base64>")
}
