package transport

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"goned/rpc/xmlrpc"
)

// trickle sends s byte by byte until the server has enough of it, and returns
// what the server says.
func trickle(t *testing.T, addr, first, s string) string {
	t.Helper()
	nc := dial(t, addr)
	io.WriteString(nc, first)
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range len(s) {
			if _, err := nc.Write([]byte{s[i]}); err != nil {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
	br := bufio.NewReader(nc)
	line, err := br.ReadString('\n')
	nc.Close()
	wg.Wait()
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(line)
}

func TestSlowRequestsAreCutOff(t *testing.T) {
	_, addr := serve(t, newToy(), Config{Timeout: 300 * time.Millisecond, MinRate: 1 << 20})
	long := strings.Repeat("x", 100000)
	for _, tc := range []struct{ name, first, slow string }{
		{"header", "POST /RPC2 HTTP/1.1\r\nX: ", long},
		{"body", "POST /RPC2 HTTP/1.1\r\nContent-Length: 100000\r\n\r\n", long},
		{"chunk", "POST /RPC2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n10000\r\n", long},
		{"chunks", "POST /RPC2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", strings.Repeat("1\r\nx\r\n", 20000)},
		{"nothing more", "POST /RPC2 HTTP/1.1\r\n", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			if got := trickle(t, addr, tc.first, tc.slow); got != "HTTP/1.1 408 Request Timeout" {
				t.Errorf("server says %q", got)
			}
			if d := time.Since(start); d > 10*time.Second {
				t.Errorf("cut off after %v", d)
			}
		})
	}
}

func TestSteadySlowUploadIsAccepted(t *testing.T) {
	// At 64 KiB/s a body of 200 KiB has three more seconds than Timeout says.
	_, addr := serve(t, newToy(), Config{Timeout: 200 * time.Millisecond, MinRate: 64 << 10})
	nc := dial(t, addr)
	body := call("length", xmlrpc.String(strings.Repeat("x", 200<<10)))
	fmt.Fprintf(nc, "POST /RPC2 HTTP/1.1\r\nContent-Length: %d\r\n\r\n", len(body))
	for rest := body; rest != ""; {
		n := min(len(rest), 32<<10)
		io.WriteString(nc, rest[:n])
		rest = rest[n:]
		time.Sleep(60 * time.Millisecond)
	}
	if n, ok := readValue(t, bufio.NewReader(nc)).AsInt(); !ok || n != 200<<10 {
		t.Errorf("length %d", n)
	}
}

func TestIdleConnectionsAreClosedSilently(t *testing.T) {
	_, addr := serve(t, newToy(), Config{IdleTimeout: 100 * time.Millisecond})
	data, err := io.ReadAll(dial(t, addr))
	if err != nil || len(data) > 0 {
		t.Errorf("read %q, %v", data, err)
	}
}

func TestReaderThatStopsIsCutOff(t *testing.T) {
	_, addr := serve(t, newToy(), Config{Timeout: 200 * time.Millisecond, MinRate: 1 << 30, AccessLog: io.Discard})
	nc := dial(t, addr)
	io.WriteString(nc, post(call("big")))
	br := bufio.NewReader(nc)
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second) // longer than the server waits
	n, err := io.Copy(io.Discard, resp.Body)
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read %d bytes of %d, error %v; want the connection cut", n, resp.ContentLength, err)
	}
}

func TestBigAnswer(t *testing.T) {
	h := newToy()
	_, addr := serve(t, h, Config{})
	nc := dial(t, addr)
	io.WriteString(nc, post(call("big")))
	resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	v, _ := h.ServeCall(t.Context(), &xmlrpc.Call{Method: "big"})
	if want := xmlrpc.AppendResponse(nil, v); string(body) != string(want) {
		t.Errorf("%d bytes arrive, %d sent; different", len(body), len(want))
	}
}

func TestManyIdleConnectionsDoNoHarm(t *testing.T) {
	_, addr := serve(t, newToy(), Config{})
	for range 1000 {
		dial(t, addr)
	}
	for range 100 {
		nc := dial(t, addr)
		io.WriteString(nc, "POST /RPC2 HTTP/1.1\r\nContent-Length: 1000\r\n\r\n<")
	}
	start := time.Now()
	exchange(t, addr, post(echoBody))
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("answer after %v", d)
	}
}

func TestMaxConnsWaitsForOneToEnd(t *testing.T) {
	_, addr := serve(t, newToy(), Config{MaxConns: 2, IdleTimeout: 200 * time.Millisecond})
	dial(t, addr)
	dial(t, addr)
	exchange(t, addr, post(echoBody)) // gets its turn when an idle one is closed
}

func TestBodyMemoryIsBounded(t *testing.T) {
	s, addr := serve(t, newToy(), Config{MaxBodyMemory: 1 << 20})
	body := call("length", xmlrpc.String(strings.Repeat("x", 2<<20)))
	if resp, _, _ := exchange(t, addr, post(body)); resp.StatusCode != 503 {
		t.Errorf("status %d, want 503", resp.StatusCode)
	}
	deadline := time.Now().Add(10 * time.Second)
	for s.bodies.used.Load() != 0 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	if n := s.bodies.used.Load(); n != 0 {
		t.Errorf("%d bytes are never given back", n)
	}
	body = call("length", xmlrpc.String(strings.Repeat("x", 400<<10)))
	if resp, _, _ := exchange(t, addr, post(body)); resp.StatusCode != 200 {
		t.Errorf("status %d for a body within the bound", resp.StatusCode)
	}
}

func TestGarbage(t *testing.T) {
	_, addr := serve(t, newToy(), Config{Timeout: 200 * time.Millisecond})
	for name, data := range map[string]string{
		"TLS":        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"zeros":      strings.Repeat("\x00", 1<<20),
		"line ends":  strings.Repeat("\r\n", 1<<18),
		"one letter": "P",
		"spaces":     strings.Repeat(" ", 1<<18) + "\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nc := dial(t, addr)
			go io.WriteString(nc, data)
			line, err := bufio.NewReader(nc).ReadString('\n')
			if err != nil || !strings.HasPrefix(line, "HTTP/1.1 4") {
				t.Errorf("server says %q, %v", line, err)
			}
		})
	}
}

func TestShutdownWaitsForCalls(t *testing.T) {
	h := newToy()
	s, addr := serve(t, h, Config{})
	idle := dial(t, addr)
	busy := dial(t, addr)
	io.WriteString(busy, post(call("block")))
	<-h.entered
	done := make(chan error)
	go func() { done <- s.Shutdown(context.Background()) }()
	if data, err := io.ReadAll(idle); err != nil || len(data) > 0 {
		t.Errorf("idle connection: %q, %v", data, err)
	}
	select {
	case err := <-done:
		t.Fatalf("Shutdown returns (%v) before the call has ended", err)
	default:
	}
	close(h.leave)
	data, err := io.ReadAll(busy)
	if err != nil || !strings.Contains(string(data), "<boolean>1</boolean>") || !strings.Contains(string(data), "Connection: close") {
		t.Errorf("busy connection: %q, %v", data, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", addr); err == nil {
		t.Error("still accepting")
	}
}

func TestShutdownCutsOffAtItsDeadline(t *testing.T) {
	h := newToy()
	s, addr := serve(t, h, Config{})
	nc := dial(t, addr)
	io.WriteString(nc, post(call("block")))
	<-h.entered
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown: %v", err)
	}
}

func TestServeAfterShutdown(t *testing.T) {
	s := New(newToy(), Config{})
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(ln); !errors.Is(err, ErrServerClosed) {
		t.Errorf("Serve: %v", err)
	}
}

func FuzzRequest(f *testing.F) {
	for _, s := range []string{post(echoBody), post("", "Connection: close"), "GET / HTTP/1.0\r\n\r\n",
		"POST /RPC2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "OPTIONS /RPC2 HTTP/1.1\r\n\r\n"} {
		f.Add([]byte(s))
	}
	s := New(newToy(), Config{MaxBody: 4096, MaxHeader: 1024, Timeout: 10 * time.Second})
	f.Fuzz(func(t *testing.T, input []byte) {
		client, server := net.Pipe()
		var wg sync.WaitGroup
		wg.Go(func() {
			client.Write(input)
			client.Close()
		})
		wg.Go(func() { io.Copy(io.Discard, client) })
		c := &conn{srv: s, nc: server}
		c.serve(t.Context())
		server.Close()
		wg.Wait()
		if n := s.bodies.used.Load(); n != 0 {
			t.Errorf("%d bytes of body memory kept", n)
		}
	})
}
