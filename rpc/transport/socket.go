package transport

import (
	"io"
	"net"
	"os"
	"runtime"
	"syscall"
	"unsafe"
)

// socket is a TCP connection that is read and written by raw system calls. Those of
// package net tell the scheduler about each call, lest it blocks; a socket that never
// blocks does not need it, and with many small calls that notice (which wakes the
// runtime's monitor thread) costs a fifth of all processor time.
type socket struct {
	*net.TCPConn
	raw syscall.RawConn
}

// Bounds of what is written by one raw call: more is better left to package net,
// during whose calls other goroutines run.
const (
	rawBytes  = 64 << 10
	rawPieces = 8
)

// newSocket wraps TCP connections and leaves others as they are.
func newSocket(nc net.Conn) net.Conn {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return nc
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nc
	}
	return &socket{tcp, raw}
}

// Read reads what has come, waiting for the first byte until the read deadline.
func (s *socket) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	var n uintptr
	var errno syscall.Errno
	err := s.raw.Read(func(fd uintptr) (done bool) {
		errno = syscall.EINTR
		for errno == syscall.EINTR {
			n, _, errno = syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
		}
		return errno != syscall.EAGAIN
	})
	switch {
	case err != nil:
		return 0, err
	case errno != 0:
		return 0, os.NewSyscallError("read", errno)
	case n == 0:
		return 0, io.EOF
	}
	return int(n), nil
}

// writeParts writes all of parts, size bytes together, until the write deadline.
func writeParts(nc net.Conn, parts net.Buffers, size int) error {
	if s, ok := nc.(*socket); ok {
		if size <= rawBytes && len(parts) <= rawPieces {
			n, err := s.writeOnce(parts)
			if err != nil || n == size {
				return err
			}
			parts = rest(parts, n)
		}
		nc = s.TCPConn // which writes many pieces by one call
	}
	_, err := parts.WriteTo(nc)
	return err
}

// writeOnce writes what the socket takes at once.
func (s *socket) writeOnce(parts net.Buffers) (int, error) {
	var vector [rawPieces]syscall.Iovec
	used := 0
	for _, p := range parts {
		if len(p) > 0 {
			vector[used].Base = &p[0]
			vector[used].SetLen(len(p))
			used++
		}
	}
	if used == 0 {
		return 0, nil
	}
	var n uintptr
	var errno syscall.Errno
	err := s.raw.Write(func(fd uintptr) (done bool) {
		n, _, errno = syscall.RawSyscall(syscall.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&vector[0])), uintptr(used))
		return true
	})
	runtime.KeepAlive(parts)
	switch {
	case err != nil:
		return 0, err
	case errno == syscall.EAGAIN || errno == syscall.EINTR:
		return 0, nil
	case errno != 0:
		return 0, os.NewSyscallError("writev", errno)
	}
	return int(n), nil
}

// rest is parts without its first n bytes.
func rest(parts net.Buffers, n int) net.Buffers {
	for len(parts) > 0 && n >= len(parts[0]) {
		n -= len(parts[0])
		parts = parts[1:]
	}
	if n > 0 {
		parts[0] = parts[0][n:]
	}
	return parts
}
