package vnc

import (
	"context"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// rawUpgrade opens a connection by hand, for clients that break the rules later.
func rawUpgrade(t testing.TB, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c, upgradeRequest); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 0, 256)
	b := make([]byte, 1)
	for !strings.HasSuffix(string(head), "\r\n\r\n") {
		if _, err := io.ReadFull(c, b); err != nil {
			t.Fatal(err)
		}
		head = append(head, b[0])
	}
	if !strings.HasPrefix(string(head), "HTTP/1.1 101 ") {
		t.Fatalf("answer %q", head)
	}
	return c
}

const upgradeRequest = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: binary\r\n\r\n"

// flood writes until it can't and reports how much was taken.
func flood(c net.Conn, taken *atomic.Int64) {
	b := make([]byte, 64<<10)
	for {
		n, err := c.Write(b)
		taken.Add(int64(n))
		if err != nil {
			return
		}
	}
}

// settle waits until v stops growing and returns it.
func settle(t testing.TB, v *atomic.Int64) int64 {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	last := int64(-1)
	for time.Now().Before(deadline) {
		if now := v.Load(); now == last && now > 0 {
			return now
		} else {
			last = now
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("still growing at %d", v.Load())
	return 0
}

// A client that takes nothing stops its target, so nothing piles up in the proxy.
func TestBackPressureOnTarget(t *testing.T) {
	var taken atomic.Int64
	addr := proxy(t, Config{Fixed: target(t, func(c net.Conn) { flood(c, &taken) })})
	c := rawUpgrade(t, addr)
	// Only the kernel's socket buffers on both legs fill up.
	n := settle(t, &taken)
	if n > 64<<20 {
		t.Errorf("target got rid of %d bytes that nobody reads", n)
	}
	got, err := io.CopyN(io.Discard, c, n)
	if err != nil {
		t.Errorf("after %d bytes: %v", got, err)
	}
}

// A target that takes nothing stops its client.
func TestBackPressureOnClient(t *testing.T) {
	var sent atomic.Int64
	release := make(chan struct{})
	addr := proxy(t, Config{Fixed: target(t, func(c net.Conn) { <-release })})
	t.Cleanup(func() { close(release) })
	ws := dial(t, addr, "/")
	go func() {
		b := make([]byte, 64<<10)
		for ws.WriteMessage(websocket.BinaryMessage, b) == nil {
			sent.Add(int64(len(b)))
		}
	}()
	if n := settle(t, &sent); n > 64<<20 {
		t.Errorf("client got rid of %d bytes that nobody reads", n)
	}
	ws.Close()
}

func TestStalledClientIsDropped(t *testing.T) {
	var buf syncBuffer
	gone := make(chan struct{})
	var taken atomic.Int64
	addr := proxy(t, Config{
		Fixed:    target(t, func(c net.Conn) { flood(c, &taken); close(gone) }),
		Timeouts: Timeouts{Stall: 200 * time.Millisecond},
		Log:      textLog(&buf),
	})
	rawUpgrade(t, addr)
	waitFor(t, gone)
	buf.waitFor(t, "client takes no more: timed out")
}

func TestStalledTargetIsDropped(t *testing.T) {
	release := make(chan struct{})
	addr := proxy(t, Config{
		Fixed:    target(t, func(c net.Conn) { <-release }),
		Timeouts: Timeouts{Stall: 200 * time.Millisecond},
	})
	t.Cleanup(func() { close(release) })
	ws := dial(t, addr, "/")
	go func() {
		b := make([]byte, 64<<10)
		for ws.WriteMessage(websocket.BinaryMessage, b) == nil {
		}
	}()
	wantClose(t, ws, websocket.CloseInternalServerErr, "target takes no more: timed out")
}

// A half-open client answers no ping.
func TestSilentClientIsDropped(t *testing.T) {
	gone := make(chan struct{})
	addr := proxy(t, Config{
		Fixed:    target(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c); close(gone) }),
		Timeouts: Timeouts{Heartbeat: 50 * time.Millisecond},
	})
	rawUpgrade(t, addr)
	waitFor(t, gone)
}

// A client that answers pings stays, and one that sends nothing else is idle.
func TestPongsKeepAndIdleEnds(t *testing.T) {
	addr := proxy(t, Config{
		Fixed:    target(t, echo),
		Timeouts: Timeouts{Heartbeat: 500 * time.Millisecond, Idle: 2500 * time.Millisecond}, // a slow machine answers within a heartbeat
	})
	ws := dial(t, addr, "/")
	pings := 0
	ws.SetPingHandler(func(data string) error {
		pings++
		return ws.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(time.Second))
	})
	wantClose(t, ws, websocket.CloseNormalClosure, "idle for 2.5s")
	if pings < 3 {
		t.Errorf("%d pings, want more: the client was dropped early or never pinged", pings)
	}
}

// A client that takes nothing for a while, with its socket full, is neither
// broken by a ping nor dropped as long as it speaks.
func TestSlowClientSurvivesPings(t *testing.T) {
	var taken atomic.Int64
	addr := proxy(t, Config{
		Fixed: target(t, func(c net.Conn) {
			go func() { _, _ = io.Copy(io.Discard, c) }()
			flood(c, &taken)
		}),
		Timeouts: Timeouts{Heartbeat: 300 * time.Millisecond, Stall: 15 * time.Second},
	})
	c := rawUpgrade(t, addr)
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if _, err := c.Write([]byte{0x82, 0x81, 0, 0, 0, 0, 'x'}); err != nil {
			t.Fatalf("client was dropped: %v", err)
		}
	}
	if got, err := io.CopyN(io.Discard, c, taken.Load()+1); err != nil {
		t.Errorf("after %d bytes: %v", got, err)
	}
}

func TestConnectTimeout(t *testing.T) {
	addr := proxy(t, Config{
		Dial: func(ctx context.Context, _ Target) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		},
		Timeouts: Timeouts{Connect: 30 * time.Millisecond},
	})
	wantClose(t, dial(t, addr, "/"), websocket.CloseInternalServerErr, "cannot reach the console")
}

// Clients that stop anywhere on their way don't keep another one waiting.
func TestSlowClientsDontBlockOthers(t *testing.T) {
	certFile, _ := selfSigned(t)
	for name, addr := range map[string]string{
		"plain": proxy(t, Config{Fixed: target(t, echo)}),
		"tls":   tlsProxy(t, Config{Fixed: target(t, echo)}, certFile, false),
	} {
		t.Run(name, func(t *testing.T) {
			for _, said := range []string{
				"", "G", "GET / HTTP/1.1\r\nHost", "\x16", "\x16\x03\x01\x02\x00", upgradeRequest, upgradeRequest + "\x82\xff\x00\x00",
			} {
				for range 20 {
					c, err := net.Dial("tcp", addr)
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { c.Close() })
					if _, err := io.WriteString(c, said); err != nil {
						t.Fatal(err)
					}
				}
			}
			ws := dial(t, addr, "/")
			if err := ws.WriteMessage(websocket.BinaryMessage, []byte("hi")); err != nil {
				t.Fatal(err)
			}
			if _, msg, err := ws.ReadMessage(); string(msg) != "hi" {
				t.Errorf("got %q, %v", msg, err)
			}
		})
	}
}

func TestSlowRequestIsDropped(t *testing.T) {
	addr := proxy(t, Config{Fixed: target(t, echo), Timeouts: Timeouts{Handshake: 100 * time.Millisecond}})
	for _, said := range []string{"", "GET / HTTP/1.1\r\nHost"} {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, said); err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := io.Copy(io.Discard, c); err != nil {
			t.Errorf("client that said %q: %v, want it closed", said, err)
		}
	}
}

func waitFor(t testing.TB, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("did not happen within 10 s")
	}
}
