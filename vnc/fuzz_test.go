package vnc

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"
)

// Whatever arrives in the place of a request, the proxy answers or closes, and
// goes on serving.
func FuzzRequest(f *testing.F) {
	f.Add([]byte(upgradeRequest))
	f.Add([]byte(strings.Replace(upgradeRequest, "GET /", "GET /?token=%zz;a", 1)))
	f.Add([]byte(strings.Replace(upgradeRequest, "Version: 13", "Version: 8\r\nSec-WebSocket-Origin: http://x", 1)))
	f.Add([]byte("GET / HTTP/1.1\r\nHost: [::1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"))
	f.Add([]byte("<policy-file-request/>\x00"))
	f.Add([]byte("\x16\x03\x01"))
	f.Add([]byte("POST /websockify HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello"))
	addr := proxy(f, Config{
		Fixed:    target(f, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }),
		Timeouts: Timeouts{Handshake: time.Second, Linger: 50 * time.Millisecond},
	})
	f.Fuzz(func(t *testing.T, request []byte) {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		// The proxy may close before it has read all.
		_, _ = c.Write(request)
		_ = c.(*net.TCPConn).CloseWrite()
		if _, err := io.Copy(io.Discard, c); isTimeout(err) {
			t.Fatalf("no end after %q", request)
		}
	})
}

func isTimeout(err error) bool {
	ne, ok := err.(net.Error)
	return ok && ne.Timeout()
}

// Whatever frames a client sends, the target gets only their payloads: here
// compared with a reading of the frames that is independent of the library.
func FuzzFrames(f *testing.F) {
	frame := func(first byte, payload string) []byte {
		return append([]byte{first, 0x80 | byte(len(payload)), 0, 0, 0, 0}, payload...)
	}
	f.Add(frame(0x82, "hello"))
	f.Add(append(frame(0x02, "hel"), frame(0x80, "lo")...))
	f.Add(append(frame(0x89, "ping"), frame(0x81, "text")...))
	f.Add(append(frame(0x82, "a"), frame(0x88, "\x03\xe8bye")...))
	f.Add([]byte{0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 1})
	f.Add([]byte{0x82, 0x05, 'p', 'l', 'a', 'i', 'n'})
	received := make(chan []byte, 1)
	addr := proxy(f, Config{
		Fixed: target(f, func(c net.Conn) {
			b, _ := io.ReadAll(c)
			received <- b
		}),
		Timeouts: Timeouts{Linger: 50 * time.Millisecond},
	})
	f.Fuzz(func(t *testing.T, frames []byte) {
		c := rawUpgrade(t, addr)
		defer c.Close()
		_, _ = c.Write(frames)
		_ = c.(*net.TCPConn).CloseWrite()
		if _, err := io.Copy(io.Discard, c); isTimeout(err) {
			t.Fatalf("no end after % x", frames)
		}
		var got []byte
		select {
		case got = <-received:
		case <-time.After(10 * time.Second):
			t.Fatalf("target still open after % x", frames)
		}
		if sent := payloads(frames); !bytes.HasPrefix(sent, got) {
			t.Fatalf("target got % x, client sent % x", got, sent)
		}
	})
}

// payloads returns the unmasked data payload bytes of frames, up to the first
// thing that is no frame.
func payloads(b []byte) []byte {
	var out []byte
	for len(b) >= 2 {
		op, n, head := b[0]&0x0f, uint64(b[1]&0x7f), 2
		switch {
		case n == 126 && len(b) >= 4:
			n, head = uint64(binary.BigEndian.Uint16(b[2:])), 4
		case n == 127 && len(b) >= 10:
			n, head = binary.BigEndian.Uint64(b[2:]), 10
		case n >= 126:
			return out
		}
		if b[1]&0x80 == 0 || len(b) < head+4 {
			return out
		}
		mask := b[head : head+4]
		b = b[head+4:]
		n = min(n, uint64(len(b)))
		if op <= 2 {
			for i, c := range b[:n] {
				out = append(out, c^mask[i%4])
			}
		}
		b = b[n:]
	}
	return out
}

func FuzzRequestToken(f *testing.F) {
	for _, s := range []string{"/?token=a", "/websockify/a", "/websockify", "/a/b/", "//", "/?token=a&token=b", "/%2f?token=%00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := url.ParseRequestURI(s)
		if err != nil {
			return
		}
		if q := u.Query().Get("token"); q != "" && requestToken(u) != q {
			t.Fatalf("%q: token %q, want the query's %q", s, requestToken(u), q)
		}
		if !strings.Contains(s, "token=") && strings.Contains(requestToken(u), "/") {
			t.Fatalf("%q: token %q has a slash", s, requestToken(u))
		}
	})
}
