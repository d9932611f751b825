package rpc

import (
	"fmt"
	"strconv"
	"strings"

	"goned/rpc/xmlrpc"
)

// logged is how many bytes of a string the request log shows.
const logged = 20

func (s *Server) logInvoked(req uint32, uid, name string, m *Method, params []xmlrpc.Value) {
	var b strings.Builder
	fmt.Fprintf(&b, "Req:%d UID:%s %s invoked", req, uid, name)
	for i, p := range params[1:] {
		b.WriteString(", ")
		if i < len(m.Params) && m.Params[i].Secret {
			b.WriteString("****")
			continue
		}
		logValue(&b, p)
	}
	s.log.Debug(b.String())
}

func (s *Server) logSuccess(req uint32, uid, name string, v xmlrpc.Value) {
	var b strings.Builder
	fmt.Fprintf(&b, "Req:%d UID:%s %s result SUCCESS, ", req, uid, name)
	logValue(&b, v)
	s.log.Debug(b.String())
}

func (s *Server) logFailure(req uint32, uid, name, text string) {
	s.log.Error(fmt.Sprintf("Req:%d UID:%s %s result FAILURE %s", req, uid, name, text))
}

func logValue(b *strings.Builder, v xmlrpc.Value) {
	switch v.Kind() {
	case xmlrpc.KindInt:
		n, _ := v.AsInt()
		b.WriteString(strconv.Itoa(n))
	case xmlrpc.KindBool:
		t, _ := v.AsBool()
		b.WriteString(strconv.FormatBool(t))
	case xmlrpc.KindDouble:
		f, _ := v.AsDouble()
		b.WriteString(strconv.FormatFloat(f, 'g', 6, 64))
	case xmlrpc.KindString:
		logString(b, v.Head(logged+1))
	default:
		b.WriteString("unknown param type")
	}
}

// logString writes the beginning of a string, of which head is known: up to the first line's end.
func logString(b *strings.Builder, head string) {
	short := head
	if i := strings.IndexByte(short, '\n'); i >= 0 {
		short = short[:i]
	}
	if len(short) > logged {
		short = short[:logged]
	}
	b.WriteByte('"')
	b.WriteString(short)
	if len(short) < len(head) {
		b.WriteString("...")
	}
	b.WriteByte('"')
}
