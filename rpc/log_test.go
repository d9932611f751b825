package rpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"goned/rpc/xmlrpc"
)

// lines is a log handler that keeps what is logged: level and text.
type lines struct{ bytes.Buffer }

func (l *lines) Enabled(context.Context, slog.Level) bool { return true }
func (l *lines) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *lines) WithGroup(string) slog.Handler            { return l }
func (l *lines) Handle(_ context.Context, r slog.Record) error {
	_, err := fmt.Fprintf(l, "%s %s\n", r.Level, r.Message)
	return err
}

// take gives what has been logged, without the numbers of requests.
func (l *lines) take() string {
	text := regexp.MustCompile(`Req:\d+ `).ReplaceAllString(l.String(), "Req:N ")
	l.Reset()
	return text
}

func TestRequestLog(t *testing.T) {
	c := newCloud(t, "")
	log := &lines{}
	c.srv.log = slog.New(log)
	for _, tc := range []struct {
		session, method string
		params          []any
		want            string
	}{
		{root, "one.user.allocate", []any{"u1", "secret", "core"}, `DEBUG Req:N UID:0 UserAllocate invoked, "u1", ****, "core"
DEBUG Req:N UID:0 UserAllocate result SUCCESS, 5
`},
		{root, "one.user.passwd", []any{5, "secret"}, `DEBUG Req:N UID:0 UserChangePassword invoked, 5, ****
DEBUG Req:N UID:0 UserChangePassword result SUCCESS, 5
`},
		{root, "one.user.chauth", []any{5, "core", "secret"}, `DEBUG Req:N UID:0 UserChangeAuth invoked, 5, "core", ****
DEBUG Req:N UID:0 UserChangeAuth result SUCCESS, 5
`},
		{"oneadmin:wrong", "one.system.version", []any{"x"}, "ERROR Req:N UID:- SystemVersion result FAILURE [SystemVersion] User couldn't be authenticated, aborting call.\n"},
		{root, "one.system.version", []any{"12345678901234567890", "123456789012345678901", "one\ntwo", true, xmlrpc.Double(1.5), xmlrpc.Nil(), -7},
			`DEBUG Req:N UID:0 SystemVersion invoked, "12345678901234567890", "12345678901234567890...", "one...", true, 1.5, unknown param type, -7
DEBUG Req:N UID:0 SystemVersion result SUCCESS, "4.6.2"
`},
		{alice, "one.host.info", []any{9}, `DEBUG Req:N UID:2 HostInfo invoked, 9
ERROR Req:N UID:2 HostInfo result FAILURE [HostInfo] Error getting host [9].
`},
		{root, "one.host.info", []any{"9"}, "DEBUG Req:N UID:0 HostInfo invoked, \"9\"\n"}, // a fault has no result
		{root, "one.zonepool.info", nil, `DEBUG Req:N UID:0 ZonePoolInfo invoked
DEBUG Req:N UID:0 ZonePoolInfo result SUCCESS, "<ZONE_POOL><ZONE><ID..."
`},
	} {
		c.call(tc.session, tc.method, tc.params...)
		if got := log.take(); got != tc.want {
			t.Errorf("%s\n got %s\nwant %s", tc.method, got, tc.want)
		}
	}
}

// master is the other daemon of a federation.
type master struct {
	calls  []string
	answer xmlrpc.Value
	err    error
}

func (m *master) Forward(_ context.Context, c *xmlrpc.Call) (xmlrpc.Value, error) {
	text := c.Method
	for _, p := range c.Params {
		s, ok := p.AsString()
		if n, isInt := p.AsInt(); !ok && isInt {
			s = fmt.Sprint(n)
		}
		text += " " + s
	}
	m.calls = append(m.calls, text)
	return m.answer, m.err
}

// TestSlaveForwards: a slave of a federation passes changes of shared tables on, as they are, after it has looked at the session.
func TestSlaveForwards(t *testing.T) {
	c := newCloud(t, "")
	m := &master{answer: xmlrpc.Array(xmlrpc.Bool(false), xmlrpc.String("[UserDelete] no"), xmlrpc.Int(8192))}
	log := &lines{}
	c.srv.master, c.srv.log = m, slog.New(log)
	c.conf.Federation.Mode = "SLAVE"
	forwarded := regexp.MustCompile(`^one\.(user\.(allocate|update|delete|passwd|chgrp|addgroup|delgroup|chauth)|group\.(allocate|update|delete|addprovider|delprovider)|` +
		`acl\.(addrule|delrule)|zone\.(allocate|update|delete))$`)
	n := 0
	for _, method := range Methods() {
		m.calls = nil
		c.call(root, method.Name, fillers(method)...)
		if (len(m.calls) == 1) != forwarded.MatchString(method.Name) {
			t.Errorf("%s: forwarded %v", method.Name, m.calls)
		}
		n += len(m.calls)
	}
	if n != 18 {
		t.Errorf("%d methods are forwarded", n)
	}
	log.Reset()
	m.calls = nil
	c.want("8192 [UserDelete] no", alice, "one.user.delete", "whatever", 7)
	if got := strings.Join(m.calls, "; "); got != "one.user.delete alice:pw whatever 7" {
		t.Errorf("forwarded %s", got)
	}
	if got := log.take(); !strings.Contains(got, `UID:2 RequestManagerProxy.one.user.delete invoked, "whatever", 7`) {
		t.Errorf("log: %s", got)
	}
	m.calls, m.err = nil, errors.New("connection refused")
	c.want("8192 [RequestManagerProxy.one.zone.delete] Could not connect to the federation master oned", root, "one.zone.delete", 0)
	c.want("256 [RequestManagerProxy.one.zone.delete] User couldn't be authenticated, aborting call.", "alice:x", "one.zone.delete", 0)
	if len(m.calls) != 1 {
		t.Errorf("forwarded %v", m.calls)
	}
	// An unknown user is not made here, whatever the driver says.
	c.drivers.authenticate = func(int, string, string, string, string) (string, error) { return "core frank pw", nil }
	c.logins("unknown on a slave", [2]string{"frank:pw", "no 0"})
}
