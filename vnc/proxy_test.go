package vnc

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

func quietLog() *slog.Logger { return slog.New(slog.DiscardHandler) }

// target starts a TCP server that gives each connection to serve, and returns its address.
func target(t testing.TB, serve func(net.Conn)) Target {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	addr := l.Addr().(*net.TCPAddr)
	return Target{"127.0.0.1", addr.Port}
}

// deadTarget is an address nobody listens on.
func deadTarget(t testing.TB) Target {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return Target{"127.0.0.1", l.Addr().(*net.TCPAddr).Port}
}

func echo(c net.Conn) { _, _ = io.Copy(c, c) }

// proxy starts a server and returns its host:port.
func proxy(t testing.TB, cfg Config) string {
	t.Helper()
	if cfg.Log == nil {
		cfg.Log = quietLog()
	}
	if cfg.Timeouts == (Timeouts{}) {
		cfg.Timeouts = DefaultTimeouts()
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	s := &Server{Config: cfg}
	go func() { done <- s.Run(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("server: %v", err)
		}
	})
	return l.Addr().String()
}

func dial(t testing.TB, addr, path string, protocols ...string) *websocket.Conn {
	t.Helper()
	d := websocket.Dialer{Subprotocols: protocols, HandshakeTimeout: 5 * time.Second}
	ws, _, err := d.Dial("ws://"+addr+path, nil)
	if err != nil {
		t.Fatalf("dial %s: %v", path, err)
	}
	t.Cleanup(func() { ws.Close() })
	_ = ws.SetReadDeadline(time.Now().Add(10 * time.Second))
	return ws
}

// wantClose reads ws to its end and checks how it was closed.
func wantClose(t testing.TB, ws *websocket.Conn, code int, reason string) {
	t.Helper()
	for {
		_, _, err := ws.NextReader()
		if err == nil {
			continue
		}
		var ce *websocket.CloseError
		if !errors.As(err, &ce) || ce.Code != code || !strings.Contains(ce.Text, reason) {
			t.Errorf("closed with %v, want %d %q", err, code, reason)
		}
		return
	}
}

func TestEcho(t *testing.T) {
	addr := proxy(t, Config{Fixed: target(t, echo)})
	big := bytes.Repeat([]byte("0123456789abcde\x00\xff\r\n"), 20000)
	for _, proto := range []string{"", binaryProtocol, base64Protocol} {
		t.Run("subprotocol "+proto, func(t *testing.T) {
			var offer []string
			if proto != "" {
				offer = []string{proto}
			}
			ws := dial(t, addr, "/", offer...)
			if ws.Subprotocol() != proto {
				t.Errorf("subprotocol %q, want %q", ws.Subprotocol(), proto)
			}
			for _, msg := range [][]byte{[]byte("RFB 003.008\n"), {0}, big} {
				kind, payload := websocket.BinaryMessage, msg
				if proto == base64Protocol {
					kind, payload = websocket.TextMessage, []byte(base64.StdEncoding.EncodeToString(msg))
				}
				sent := make(chan error, 1)
				go func() { sent <- ws.WriteMessage(kind, payload) }()
				var got []byte
				for len(got) < len(msg) {
					k, p, err := ws.ReadMessage()
					if err != nil || k != kind {
						t.Fatalf("message of type %d, error %v", k, err)
					}
					if proto == base64Protocol {
						if p, err = base64.StdEncoding.DecodeString(string(p)); err != nil {
							t.Fatalf("frame is no complete base64 string: %v", err)
						}
					}
					got = append(got, p...)
				}
				if err := <-sent; err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got, msg) {
					t.Errorf("%d bytes came back changed", len(msg))
				}
			}
		})
	}
}

func TestSubprotocolChoice(t *testing.T) {
	tests := []struct {
		offer []string
		want  string
		ok    bool
	}{
		{nil, "", true},
		{[]string{""}, "", true},
		{[]string{"binary"}, "binary", true},
		{[]string{"base64"}, "base64", true},
		{[]string{"binary, base64"}, "binary", true},
		{[]string{"base64, binary"}, "base64", true},
		{[]string{"base64,binary"}, "binary", true},
		{[]string{"base64", "binary"}, "binary", true},
		{[]string{" binary"}, "binary", true},
		{[]string{"chat, binary"}, "binary", true},
		{[]string{"chat"}, "", false},
		{[]string{"chat,"}, "", false},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.offer, "|"), func(t *testing.T) {
			got, ok := chooseSubprotocol(tt.offer)
			if got != tt.want || ok != tt.ok {
				t.Errorf("got %q, %v; want %q, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}

func TestTokensAndPaths(t *testing.T) {
	dir := t.TempDir()
	good := target(t, func(c net.Conn) { _, _ = io.WriteString(c, "RFB 003.008\n") })
	write(t, filepath.Join(dir, "one-5"), "secret: "+good.String())
	write(t, filepath.Join(dir, "one-6"), "dead: "+deadTarget(t).String())
	addr := proxy(t, Config{Tokens: NewTokenSource(dir, 0, quietLog())})
	for _, path := range []string{
		"/?token=secret", "/websockify?token=secret", "/websockify/?token=secret", "/any/path?x=1&token=secret",
		"/secret", "/websockify/secret", "/websockify/secret/",
	} {
		t.Run(path, func(t *testing.T) {
			ws := dial(t, addr, path, "binary")
			_, msg, err := ws.ReadMessage()
			if string(msg) != "RFB 003.008\n" {
				t.Errorf("first message %q, %v", msg, err)
			}
			wantClose(t, ws, websocket.CloseNormalClosure, "Target closed")
		})
	}
	for path, want := range map[string]error{
		"/": ErrNoToken, "/websockify": ErrNoToken, "/?token=": ErrNoToken,
		"/?token=wrong": ErrUnknownToken, "/secre": ErrUnknownToken,
	} {
		t.Run("refused "+path, func(t *testing.T) {
			wantClose(t, dial(t, addr, path, "binary"), websocket.ClosePolicyViolation, want.Error())
		})
	}
	t.Run("dead port", func(t *testing.T) {
		wantClose(t, dial(t, addr, "/?token=dead", "binary"), websocket.CloseInternalServerErr, "connection refused")
	})
}

type guardFunc func(context.Context, Grant) error

func (f guardFunc) Allow(ctx context.Context, g Grant) error { return f(ctx, g) }

func TestGuardDecides(t *testing.T) {
	dir := t.TempDir()
	to := target(t, echo)
	write(t, filepath.Join(dir, "one-5"), "five: "+to.String())
	write(t, filepath.Join(dir, "one-6"), "six: "+to.String())
	write(t, filepath.Join(dir, "one-7"), "seven: "+to.String())
	addr := proxy(t, Config{
		Tokens: NewTokenSource(dir, 0, quietLog()),
		Guard: guardFunc(func(ctx context.Context, g Grant) error {
			switch g.VM {
			case 5:
				return nil
			case 6:
				return Refuse(errors.New("VM 6 does not exist"))
			}
			<-ctx.Done()
			return ctx.Err()
		}),
		Timeouts: Timeouts{Connect: 50 * time.Millisecond},
	})
	ws := dial(t, addr, "/?token=five")
	if err := ws.WriteMessage(websocket.BinaryMessage, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, msg, err := ws.ReadMessage(); string(msg) != "x" {
		t.Errorf("got %q, %v", msg, err)
	}
	wantClose(t, dial(t, addr, "/?token=six"), websocket.ClosePolicyViolation, "VM 6 does not exist")
	wantClose(t, dial(t, addr, "/?token=seven"), websocket.CloseInternalServerErr, "deadline")
}

func TestOrigin(t *testing.T) {
	tests := []struct {
		name, host string
		origins    []string
		allowed    []string
		want       bool
	}{
		{"no browser", "proxy:29876", nil, nil, true},
		{"Sunstone on the same host", "proxy:29876", []string{"http://proxy:9869"}, nil, true},
		{"case", "Proxy:29876", []string{"http://pROXY"}, nil, true},
		{"IPv6", "[::1]:29876", []string{"http://[::1]:9869"}, nil, true},
		{"other host", "proxy:29876", []string{"http://evil.example"}, nil, false},
		{"host as prefix", "proxy:29876", []string{"http://proxy.evil.example"}, nil, false},
		{"null", "proxy:29876", []string{"null"}, nil, false},
		{"two", "proxy:29876", []string{"http://proxy", "http://evil"}, nil, false},
		{"no host header", "", []string{"http://"}, nil, false},
		{"allowed host", "proxy", []string{"https://cloud.example.com"}, []string{"cloud.example.com"}, true},
		{"allowed origin", "proxy", []string{"https://cloud.example.com:8443"}, []string{"https://cloud.example.com:8443"}, true},
		{"other port of an allowed origin", "proxy", []string{"https://cloud.example.com"}, []string{"https://cloud.example.com:8443"}, false},
		{"all", "proxy", []string{"null"}, []string{"*"}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Host = tt.host
			if tt.origins != nil {
				r.Header["Origin"] = tt.origins
			}
			if got := originChecker(tt.allowed)(r); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
	addr := proxy(t, Config{Fixed: target(t, echo)})
	_, resp, err := websocket.DefaultDialer.Dial("ws://"+addr, http.Header{"Origin": {"http://evil.example"}})
	if err == nil || resp == nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("foreign page: %v, %v; want 403", resp, err)
	}
}

// Versions 7 and 8 frame as 13 does and are accepted, others are not.
func TestVersions(t *testing.T) {
	addr := proxy(t, Config{Fixed: target(t, echo)})
	for version, want := range map[string]string{"7": "101", "8": "101", "13": "101", "0": "400", "14": "400", "": "400"} {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: %s\r\nSec-WebSocket-Protocol: binary\r\n\r\n", version)
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
		line := make([]byte, 12)
		if _, err := io.ReadFull(c, line); err != nil || !strings.HasSuffix(string(line), want) {
			t.Errorf("version %q answered %q, %v; want %s", version, line, err, want)
		}
		c.Close()
	}
}

func TestClientCloseIsAnsweredAlike(t *testing.T) {
	received := make(chan string, 1)
	addr := proxy(t, Config{Fixed: target(t, func(c net.Conn) {
		b, _ := io.ReadAll(c)
		received <- string(b)
	})})
	ws := dial(t, addr, "/", "binary")
	if err := ws.WriteMessage(websocket.BinaryMessage, []byte("last words")); err != nil {
		t.Fatal(err)
	}
	if err := ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(4001, "enough"), time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	wantClose(t, ws, 4001, "enough")
	if got := <-received; got != "last words" {
		t.Errorf("target received %q", got)
	}
}

// A target that ends its sending side still gets what the client sends until
// the client's own close.
func TestTargetHalfClose(t *testing.T) {
	received := make(chan string, 1)
	addr := proxy(t, Config{Fixed: target(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "bye")
		_ = c.(*net.TCPConn).CloseWrite()
		b, _ := io.ReadAll(c)
		received <- string(b)
	})})
	ws := dial(t, addr, "/", "binary")
	ws.SetCloseHandler(func(code int, text string) error {
		if code != websocket.CloseNormalClosure || text != "Target closed" {
			t.Errorf("close frame %d %q", code, text)
		}
		_ = ws.WriteMessage(websocket.BinaryMessage, []byte("wait"))
		return ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, text), time.Now().Add(time.Second))
	})
	if _, msg, err := ws.ReadMessage(); string(msg) != "bye" {
		t.Fatalf("got %q, %v", msg, err)
	}
	wantClose(t, ws, websocket.CloseNormalClosure, "Target closed")
	if got := <-received; got != "wait" {
		t.Errorf("target received %q", got)
	}
}

// A client that ends its sending side without a close frame still gets what
// the target has to say.
func TestClientHalfClose(t *testing.T) {
	addr := proxy(t, Config{Fixed: target(t, func(c net.Conn) {
		b, _ := io.ReadAll(c)
		_, _ = c.Write(append([]byte("got "), b...))
	})})
	ws := dial(t, addr, "/", "binary")
	if err := ws.WriteMessage(websocket.BinaryMessage, []byte("all")); err != nil {
		t.Fatal(err)
	}
	if err := ws.NetConn().(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, msg, err := ws.ReadMessage(); string(msg) != "got all" {
		t.Errorf("got %q, %v", msg, err)
	}
}

func TestTargetReset(t *testing.T) {
	addr := proxy(t, Config{Fixed: target(t, func(c net.Conn) {
		b := make([]byte, 1)
		_, _ = c.Read(b)
		_ = c.(*net.TCPConn).SetLinger(0)
	})})
	ws := dial(t, addr, "/", "binary")
	if err := ws.WriteMessage(websocket.BinaryMessage, []byte("x")); err != nil {
		t.Fatal(err)
	}
	wantClose(t, ws, websocket.CloseInternalServerErr, "reset")
}

func TestBadBase64(t *testing.T) {
	addr := proxy(t, Config{Fixed: target(t, echo)})
	for _, msg := range []string{"!!!!", "QUJ", "QUJD="} {
		ws := dial(t, addr, "/", "base64")
		if err := ws.WriteMessage(websocket.TextMessage, []byte(msg)); err != nil {
			t.Fatal(err)
		}
		wantClose(t, ws, websocket.CloseInvalidFramePayloadData, "not base64")
	}
}

func TestMaxSessions(t *testing.T) {
	addr := proxy(t, Config{Fixed: target(t, echo), MaxSessions: 1})
	ws := dial(t, addr, "/")
	_, resp, err := websocket.DefaultDialer.Dial("ws://"+addr, nil)
	if err == nil || resp == nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Fatalf("second connection: %v, %v; want 503", resp, err)
	}
	ws.Close()
	deadline := time.Now().Add(5 * time.Second)
	for {
		again, _, err := websocket.DefaultDialer.Dial("ws://"+addr, nil)
		if err == nil {
			again.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("place never became free: %v", err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestPlainRequests(t *testing.T) {
	addr := proxy(t, Config{Fixed: target(t, echo)})
	resp, err := http.Get("http://" + addr + "/vnc.html")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("status %d, want 404", resp.StatusCode)
	}
}

func TestLogLine(t *testing.T) {
	var buf syncBuffer
	dir := t.TempDir()
	to := target(t, func(c net.Conn) {
		b := make([]byte, 3)
		_, _ = io.ReadFull(c, b)
		_, _ = io.WriteString(c, "hello")
	})
	write(t, filepath.Join(dir, "one-42"), "secrettoken: "+to.String())
	log := slog.New(slog.NewTextHandler(&buf, nil))
	addr := proxy(t, Config{Tokens: NewTokenSource(dir, 0, log), Log: log})
	ws := dial(t, addr, "/?token=secrettoken")
	if err := ws.WriteMessage(websocket.BinaryMessage, []byte("abc")); err != nil {
		t.Fatal(err)
	}
	wantClose(t, ws, websocket.CloseNormalClosure, "Target closed")
	wantClose(t, dial(t, addr, "/?token=secrettokem"), websocket.ClosePolicyViolation, "unknown")
	text := buf.waitFor(t, "msg=closed")
	for _, want := range []string{
		"msg=connected conn=1 client=127.0.0.1:", "vm=42 target=" + to.String(),
		"in=3 out=5 duration=", `reason="Target closed"`, "msg=refused",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("log lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "secrettok") {
		t.Errorf("log shows a token:\n%s", text)
	}
}

// syncBuffer is a buffer that a test reads while others write.
type syncBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) waitFor(t testing.TB, text string) string {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for {
		s.mu.Lock()
		got := s.b.String()
		s.mu.Unlock()
		if strings.Contains(got, text) {
			return got
		}
		if time.Now().After(deadline) {
			t.Fatalf("no %q in:\n%s", text, got)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
