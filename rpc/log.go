package rpc

import (
	"context"
	"log/slog"
	"strconv"
	"strings"

	"goned/rpc/xmlrpc"
)

// logged is how many bytes of a string the request log shows.
const logged = 20

// line writes a line about a request. It does not look for the place it is called from, as slog's own methods do.
func (s *Server) line(level slog.Level, text []byte) {
	record := slog.NewRecord(s.now(), level, string(text), 0)
	// A log that cannot be written must not stop the cloud.
	_ = s.log.Handler().Handle(context.Background(), record)
}

// debugging tells whether the log takes lines about calls that succeed.
func (s *Server) debugging() bool { return s.log.Enabled(context.Background(), slog.LevelDebug) }

// begin is the beginning of a line: "Req:4242 UID:0 VirtualMachineInfo".
func begin(req uint32, uid, name string) []byte {
	b := strconv.AppendUint(append(make([]byte, 0, 160), "Req:"...), uint64(req), 10)
	b = append(append(b, " UID:"...), uid...)
	return append(append(b, ' '), name...)
}

func (s *Server) logInvoked(req uint32, uid, name string, m *Method, params []xmlrpc.Value) {
	if !s.debugging() {
		return
	}
	b := append(begin(req, uid, name), " invoked"...)
	for i, p := range params[1:] {
		b = append(b, ", "...)
		if i < len(m.Params) && m.Params[i].Secret {
			b = append(b, "****"...)
			continue
		}
		b = appendValue(b, p)
	}
	s.line(slog.LevelDebug, b)
}

func (s *Server) logSuccess(req uint32, uid, name string, v xmlrpc.Value) {
	if s.debugging() {
		s.line(slog.LevelDebug, appendValue(append(begin(req, uid, name), " result SUCCESS, "...), v))
	}
}

func (s *Server) logFailure(req uint32, uid, name, text string) {
	s.line(slog.LevelError, append(append(begin(req, uid, name), " result FAILURE "...), text...))
}

func appendValue(b []byte, v xmlrpc.Value) []byte {
	switch v.Kind() {
	case xmlrpc.KindInt:
		n, _ := v.AsInt()
		return strconv.AppendInt(b, int64(n), 10)
	case xmlrpc.KindBool:
		t, _ := v.AsBool()
		return strconv.AppendBool(b, t)
	case xmlrpc.KindDouble:
		f, _ := v.AsDouble()
		return strconv.AppendFloat(b, f, 'g', 6, 64)
	case xmlrpc.KindString:
		return appendHead(b, v.Head(logged+1))
	}
	return append(b, "unknown param type"...)
}

// appendHead appends the beginning of a string, of which head is known: up to the first line's end.
func appendHead(b []byte, head string) []byte {
	short := head
	if i := strings.IndexByte(short, '\n'); i >= 0 {
		short = short[:i]
	}
	if len(short) > logged {
		short = short[:logged]
	}
	b = append(append(b, '"'), short...)
	if len(short) < len(head) {
		b = append(b, "..."...)
	}
	return append(b, '"')
}
