package vnc

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

func textLog(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

// selfSigned makes a certificate for 127.0.0.1.
func selfSigned(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "proxy"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// start runs s on a free port and returns its address and its end.
func start(t testing.TB, s *Server, wrap func(net.Listener) net.Listener) (string, context.CancelFunc, <-chan error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if wrap != nil {
		l = wrap(l)
	}
	if s.Config.Log == nil {
		s.Config.Log = quietLog()
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, l) }()
	t.Cleanup(cancel)
	return addr, cancel, done
}

func tlsProxy(t testing.TB, cfg Config, cert tls.Certificate, only bool) string {
	t.Helper()
	addr, cancel, done := start(t, &Server{Config: cfg}, func(l net.Listener) net.Listener {
		return TLSListener(l, &tls.Config{Certificates: []tls.Certificate{cert}}, only)
	})
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("server: %v", err)
		}
	})
	return addr
}

func TestTLSAndPlainOnOnePort(t *testing.T) {
	cert, pool := selfSigned(t)
	for _, tt := range []struct {
		name    string
		only    bool
		scheme  string
		wantErr bool
	}{
		{"plain", false, "ws", false},
		{"tls", false, "wss", false},
		{"plain refused", true, "ws", true},
		{"tls only", true, "wss", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			addr := tlsProxy(t, Config{Fixed: target(t, echo)}, cert, tt.only)
			d := websocket.Dialer{TLSClientConfig: &tls.Config{RootCAs: pool}}
			ws, _, err := d.Dial(tt.scheme+"://"+addr, nil)
			if (err != nil) != tt.wantErr {
				t.Fatalf("dial: %v, want error: %v", err, tt.wantErr)
			}
			if err != nil {
				return
			}
			defer ws.Close()
			msg := strings.Repeat("x", 100000)
			go func() { _ = ws.WriteMessage(websocket.BinaryMessage, []byte(msg)) }()
			var got strings.Builder
			for got.Len() < len(msg) {
				_, p, err := ws.ReadMessage()
				if err != nil {
					t.Fatal(err)
				}
				got.Write(p)
			}
			if got.String() != msg {
				t.Error("bytes came back changed")
			}
		})
	}
}

func TestTLSTarget(t *testing.T) {
	cert, _ := selfSigned(t)
	to := target(t, func(c net.Conn) { echo(tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}})) })
	ws := dial(t, proxy(t, Config{Fixed: to, Dial: DialTLS()}), "/")
	if err := ws.WriteMessage(websocket.BinaryMessage, []byte("hi")); err != nil {
		t.Fatal(err)
	}
	for {
		_, msg, err := ws.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		if len(msg) > 0 {
			if string(msg) != "hi" {
				t.Errorf("got %q", msg)
			}
			return
		}
	}
}

func TestUnixTarget(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vnc.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			echo(c)
			c.Close()
		}
	}()
	ws := dial(t, proxy(t, Config{Dial: DialUnix(path)}), "/")
	if err := ws.WriteMessage(websocket.BinaryMessage, []byte("hi")); err != nil {
		t.Fatal(err)
	}
	if _, msg, err := ws.ReadMessage(); string(msg) != "hi" {
		t.Errorf("got %q, %v", msg, err)
	}
}

func TestServerEnds(t *testing.T) {
	to := target(t, echo)
	wantEnd := func(t *testing.T, done <-chan error) {
		t.Helper()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("server: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("server still runs")
		}
	}
	t.Run("when told, saying so to clients", func(t *testing.T) {
		addr, cancel, done := start(t, &Server{Config: Config{Fixed: to}}, nil)
		ws := dial(t, addr, "/")
		if err := ws.WriteMessage(websocket.BinaryMessage, []byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, _, err := ws.ReadMessage(); err != nil {
			t.Fatal(err)
		}
		cancel()
		wantClose(t, ws, websocket.CloseGoingAway, "the proxy is stopping")
		wantEnd(t, done)
	})
	t.Run("after one connection", func(t *testing.T) {
		addr, _, done := start(t, &Server{Config: Config{Fixed: to}, Once: true}, nil)
		if resp, err := http.Get("http://" + addr + "/"); err == nil {
			resp.Body.Close()
		}
		ws := dial(t, addr, "/")
		_ = ws.WriteControl(websocket.CloseMessage, nil, time.Now().Add(time.Second))
		wantClose(t, ws, websocket.CloseNoStatusReceived, "")
		wantEnd(t, done)
	})
	t.Run("without connections", func(t *testing.T) {
		_, _, done := start(t, &Server{Config: Config{Fixed: to}, ExitIdle: 50 * time.Millisecond}, nil)
		wantEnd(t, done)
	})
	t.Run("not while one is open", func(t *testing.T) {
		addr, _, done := start(t, &Server{Config: Config{Fixed: to}, ExitIdle: 200 * time.Millisecond}, nil)
		ws := dial(t, addr, "/")
		select {
		case <-done:
			t.Fatal("server ended")
		case <-time.After(600 * time.Millisecond):
		}
		ws.Close()
		wantEnd(t, done)
	})
	t.Run("when accepting fails", func(t *testing.T) {
		broken := errors.New("broken")
		l := failingListener{broken}
		s := &Server{Config: Config{Fixed: to, Log: quietLog()}}
		if err := s.Run(context.Background(), l); !errors.Is(err, broken) {
			t.Errorf("error %v, want %v", err, broken)
		}
	})
}

type failingListener struct{ err error }

func (f failingListener) Accept() (net.Conn, error) { return nil, f.err }
func (f failingListener) Close() error              { return nil }
func (f failingListener) Addr() net.Addr            { return &net.TCPAddr{} }

func TestWeb(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "vnc.html"), "<html>noVNC")
	write(t, filepath.Join(dir, ".secret"), "hidden")
	if err := os.Mkdir(filepath.Join(dir, "core"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "core", "rfb.js"), "export default class RFB {}")
	addr := proxy(t, Config{Fixed: target(t, echo), Web: WebHandler(dir)})
	tests := []struct {
		method, path string
		status       int
		body, kind   string
	}{
		{"GET", "/vnc.html", 200, "<html>noVNC", "text/html"},
		{"GET", "/core/rfb.js", 200, "export", "text/javascript"},
		{"GET", "/console?token=x", 200, "core/rfb.js", "text/html"},
		{"HEAD", "/console", 200, "", "text/html"},
		{"GET", "/", 404, "", ""},
		{"GET", "/core/", 404, "", ""},
		{"GET", "/.secret", 404, "", ""},
		{"GET", "/../proxy.go", 404, "", ""},
		{"GET", "/%2e%2e/proxy.go", 404, "", ""},
		{"GET", "/none", 404, "", ""},
		{"POST", "/vnc.html", 405, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			req, err := http.NewRequest(tt.method, "http://"+addr+tt.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != tt.status || !strings.Contains(string(body), tt.body) ||
				!strings.HasPrefix(resp.Header.Get("Content-Type"), tt.kind) {
				t.Errorf("status %d, type %q, body %.80q", resp.StatusCode, resp.Header.Get("Content-Type"), body)
			}
		})
	}
}
