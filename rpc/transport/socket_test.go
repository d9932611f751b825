package transport

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// pair is a server's socket and its client.
func pair(t *testing.T) (server net.Conn, client *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	nc, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	server = newSocket(accepted)
	t.Cleanup(func() { server.Close(); nc.Close() })
	return server, nc.(*net.TCPConn)
}

func TestSocketReads(t *testing.T) {
	server, client := pair(t)
	buf := make([]byte, 8)
	if n, err := server.Read(nil); n != 0 || err != nil {
		t.Errorf("Read(nil) = %d, %v", n, err)
	}
	io.WriteString(client, "hello")
	if n, err := server.Read(buf); err != nil || string(buf[:n]) != "hello" {
		t.Errorf("Read = %q, %v", buf[:n], err)
	}
	server.SetReadDeadline(time.Now().Add(-time.Second))
	if _, err := server.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read after the deadline: %v", err)
	}
	server.SetReadDeadline(time.Time{})
	client.Close()
	if n, err := server.Read(buf); n != 0 || err != io.EOF {
		t.Errorf("Read after the end = %d, %v", n, err)
	}
	server.Close()
	if _, err := server.Read(buf); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Read after Close: %v", err)
	}
}

// A socket whose buffer is nearly full takes a part of an answer at once; the rest follows.
func TestSocketWritesAll(t *testing.T) {
	for _, size := range []int{0, 1, 1000, rawBytes, 40 * rawBytes} {
		server, client := pair(t)
		piece := bytes.Repeat([]byte("0123456789abcdef"), size/32+1)[:size/2]
		parts := net.Buffers{[]byte("head"), nil, piece, piece, []byte("tail")}
		want := bytes.Join(parts, nil)
		const times = 100
		failed := make(chan error, 1)
		go func() {
			var err error
			for range times {
				if err = writeParts(server, append(net.Buffers{}, parts...), len(want)); err != nil {
					break
				}
			}
			server.Close()
			failed <- err
		}()
		got, err := io.ReadAll(client)
		if err != nil || !bytes.Equal(got, bytes.Repeat(want, times)) {
			t.Errorf("%d bytes arrive, %d sent: %v", len(got), times*len(want), err)
		}
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
}

func TestSocketWriteFails(t *testing.T) {
	server, _ := pair(t)
	server.Close()
	if err := writeParts(server, net.Buffers{[]byte("x")}, 1); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write after Close: %v", err)
	}
}
