package vnc

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gorilla/websocket"
)

// A connection owns no large buffer while it waits: it borrows one when bytes
// are there and gives it back when they are written. What one connection can
// hold at most, both directions stuck, is two frames of frameSize.
const (
	frameSize     = 32 << 10
	base64RawSize = 12 << 10 // becomes 16 KB of text
)

var (
	// framePool holds gorilla's write buffers; targets are read right into them.
	framePool sync.Pool
	// upPool holds the buffers between a client's frames and its target.
	upPool = sync.Pool{New: func() any { return new([frameSize]byte) }}
	// textPool holds the buffers of base64 connections.
	textPool = sync.Pool{New: func() any { return new(textBuffer) }}
)

type textBuffer struct {
	raw  [base64RawSize]byte
	text [base64RawSize / 3 * 4]byte
}

// session copies bytes between one browser and one VNC server.
type session struct {
	ws     *websocket.Conn
	target net.Conn
	base64 bool
	times  Timeouts

	in, out atomic.Int64 // VNC bytes from and to the client
	moved   atomic.Int64 // when VNC bytes last moved, Unix nanoseconds
	heard   atomic.Int64 // when the client last gave a sign of life

	once  sync.Once
	cause string // why the session ended; written once
}

func newSession(ws *websocket.Conn, target net.Conn, base64 bool, times Timeouts) *session {
	s := &session{ws: ws, target: target, base64: base64, times: times}
	now := time.Now().UnixNano()
	s.moved.Store(now)
	s.heard.Store(now)
	return s
}

// run copies both ways until both directions have ended, and returns why.
// The end of one direction leaves the other times.Linger to finish, so that
// bytes already under way arrive.
func (s *session) run(ctx context.Context) string {
	stop := context.AfterFunc(ctx, func() {
		s.abort(websocket.CloseGoingAway, context.Cause(ctx).Error())
	})
	defer stop()
	quiet := make(chan struct{})
	var helpers sync.WaitGroup
	helpers.Go(func() { s.watch(quiet) })
	helpers.Go(s.upstream)
	s.downstream()
	s.ws.SetReadDeadline(time.Now().Add(s.times.Linger))
	close(quiet)
	helpers.Wait()
	return s.cause
}

// end records why the session ended; the first reason stays.
func (s *session) end(format string, args ...any) {
	s.once.Do(func() { s.cause = fmt.Sprintf(format, args...) })
}

// abort ends both directions at once, with a close frame if it can be sent.
func (s *session) abort(code int, reason string) {
	s.end("%s", reason)
	// A client that takes nothing holds the write lock: don't wait long for it.
	_ = s.ws.WriteControl(websocket.CloseMessage, closeFrame(code, reason), time.Now().Add(time.Second))
	s.target.Close()
	s.ws.Close()
}

// watch sends pings and ends the session when the client is dead or nothing moves.
func (s *session) watch(quiet <-chan struct{}) {
	tick := s.times.Heartbeat
	if idle := s.times.Idle / 2; idle > 0 && (tick <= 0 || idle < tick) {
		tick = idle
	}
	if tick <= 0 {
		return
	}
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		select {
		case <-quiet:
			return
		case now := <-t.C:
			moved := now.Sub(time.Unix(0, s.moved.Load()))
			silent := min(moved, now.Sub(time.Unix(0, s.heard.Load())))
			if s.times.Idle > 0 && moved >= s.times.Idle {
				s.abort(websocket.CloseNormalClosure, fmt.Sprintf("idle for %s", s.times.Idle))
				return
			}
			if s.times.Heartbeat <= 0 {
				continue
			}
			if silent > s.times.Heartbeat*5/2 {
				s.abort(websocket.CloseGoingAway, "client does not answer")
				return
			}
			// The same deadline as for data: a write that times out breaks the
			// connection for good, and a full socket is no reason to.
			_ = s.ws.WriteControl(websocket.PingMessage, nil, now.Add(s.times.Stall))
		}
	}
}

// upstream copies from the browser to the VNC server until the browser ends.
func (s *session) upstream() {
	s.ws.SetPongHandler(func(string) error {
		s.heard.Store(time.Now().UnixNano())
		return nil
	})
	s.ws.SetPingHandler(func(data string) error {
		s.heard.Store(time.Now().UnixNano())
		return s.ws.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(s.times.Stall))
	})
	// As 4.6: a close frame is answered with the same code and reason.
	s.ws.SetCloseHandler(func(code int, text string) error {
		return s.ws.WriteControl(websocket.CloseMessage, closeFrame(code, text), time.Now().Add(s.times.Linger))
	})
	for {
		_, r, err := s.ws.NextReader()
		if err == nil {
			if s.base64 {
				r = base64.NewDecoder(base64.StdEncoding, r)
			}
			err = s.forward(r)
		}
		if err != nil {
			s.upstreamEnded(err)
			return
		}
	}
}

// targetError is a failure of the VNC server's side, met while serving the client's.
type targetError struct{ error }

func (e targetError) Unwrap() error { return e.error }

// forward copies one message to the target, a buffer at a time whatever the
// message's length.
func (s *session) forward(r io.Reader) error {
	buf := upPool.Get().(*[frameSize]byte)
	defer upPool.Put(buf)
	for {
		var (
			n   int
			err error
		)
		for n < len(buf) && err == nil {
			var m int
			m, err = r.Read(buf[n:])
			n += m
		}
		if n > 0 {
			now := time.Now()
			s.heard.Store(now.UnixNano())
			_ = s.target.SetWriteDeadline(now.Add(s.times.Stall))
			if _, err := s.target.Write(buf[:n]); err != nil {
				return targetError{err}
			}
			s.in.Add(int64(n))
			s.moved.Store(time.Now().UnixNano())
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (s *session) upstreamEnded(err error) {
	var (
		ce      *websocket.CloseError
		te      targetError
		corrupt base64.CorruptInputError
	)
	switch {
	case errors.As(err, &te):
		s.abort(websocket.CloseInternalServerErr, "target takes no more: "+describe(te.error))
	case errors.As(err, &corrupt), errors.Is(err, io.ErrUnexpectedEOF):
		s.abort(websocket.CloseInvalidFramePayloadData, "message is not base64")
	case errors.As(err, &ce) && ce.Code == websocket.CloseAbnormalClosure:
		s.end("client went away without a close frame")
	case errors.As(err, &ce) && ce.Text != "":
		s.end("client closed: %d %s", ce.Code, ce.Text)
	case errors.As(err, &ce):
		s.end("client closed: %d", ce.Code)
	default:
		s.end("client: %s", describe(err))
	}
	if half, ok := s.target.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	_ = s.target.SetReadDeadline(time.Now().Add(s.times.Linger))
}

// downstream copies from the VNC server to the browser until the server ends.
func (s *session) downstream() {
	wait := readWaiter(s.target)
	for {
		err := wait()
		if err == nil {
			_ = s.ws.SetWriteDeadline(time.Now().Add(s.times.Stall))
			if s.base64 {
				err = s.sendText()
			} else {
				err = s.sendBinary()
			}
		}
		if err != nil {
			s.downstreamEnded(err)
			return
		}
		s.moved.Store(time.Now().UnixNano())
	}
}

// clientError is a failure of the browser's side, met while serving the target's.
type clientError struct{ error }

func (e clientError) Unwrap() error { return e.error }

// sendBinary reads once from the target, right into the frame that is sent.
func (s *session) sendBinary() error {
	w, err := s.ws.NextWriter(websocket.BinaryMessage)
	if err != nil {
		return clientError{err}
	}
	src := oneRead{r: s.target}
	n, err := w.(io.ReaderFrom).ReadFrom(&src)
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return clientError{err}
	}
	s.out.Add(n)
	return src.err
}

// oneRead is a reader that ends after one read of r and keeps its error apart,
// so that a frame is sent as soon as something is there to send.
type oneRead struct {
	r    io.Reader
	done bool
	err  error
}

func (o *oneRead) Read(b []byte) (int, error) {
	if o.done {
		return 0, io.EOF
	}
	o.done = true
	n, err := o.r.Read(b)
	o.err = err
	return n, io.EOF
}

// sendText reads once from the target and sends one complete base64 string.
func (s *session) sendText() error {
	buf := textPool.Get().(*textBuffer)
	defer textPool.Put(buf)
	n, err := s.target.Read(buf.raw[:])
	if n > 0 {
		text := buf.text[:base64.StdEncoding.EncodedLen(n)]
		base64.StdEncoding.Encode(text, buf.raw[:n])
		if err := s.ws.WriteMessage(websocket.TextMessage, text); err != nil {
			return clientError{err}
		}
		s.out.Add(int64(n))
	}
	return err
}

func (s *session) downstreamEnded(err error) {
	var ce clientError
	code, reason := websocket.CloseNormalClosure, "Target closed"
	switch {
	case errors.As(err, &ce) && errors.Is(err, websocket.ErrCloseSent):
		// The client closed; what the target still says has no reader.
		s.drainTarget()
		return
	case errors.As(err, &ce):
		s.abort(websocket.CloseGoingAway, "client takes no more: "+describe(err))
		return
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, net.ErrClosed):
		// Set by the end of the other direction, which knows the reason.
	case !errors.Is(err, io.EOF):
		code, reason = websocket.CloseInternalServerErr, "Target closed: "+describe(err)
	}
	s.end("%s", reason)
	_ = s.ws.WriteControl(websocket.CloseMessage, closeFrame(code, reason), time.Now().Add(s.times.Stall))
}

// drainTarget reads the target to its end, so that closing the socket does not
// reset it before the VNC server has read the client's last bytes.
func (s *session) drainTarget() {
	buf := upPool.Get().(*[frameSize]byte)
	defer upPool.Put(buf)
	_ = s.target.SetReadDeadline(time.Now().Add(s.times.Linger))
	for {
		if _, err := s.target.Read(buf[:]); err != nil {
			return
		}
	}
}

// readWaiter returns a function that waits, without a buffer, until conn has
// something to read; it returns io.EOF when the peer has closed. For connections
// that can't tell (TLS) it returns at once.
func readWaiter(conn net.Conn) func() error {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return func() error { return nil }
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return func() error { return err }
	}
	var (
		peek [1]byte
		n    int
		perr error
	)
	ready := func(fd uintptr) bool {
		for {
			n, _, perr = syscall.Recvfrom(int(fd), peek[:], syscall.MSG_PEEK)
			if perr != syscall.EINTR {
				break
			}
		}
		return perr != syscall.EAGAIN
	}
	return func() error {
		if err := raw.Read(ready); err != nil {
			return err
		}
		if perr != nil {
			return perr
		}
		if n == 0 {
			return io.EOF
		}
		return nil
	}
}

// describe shortens an error for a close frame: what happened, without the addresses.
func describe(err error) string {
	var (
		errno syscall.Errno
		ne    net.Error
	)
	switch {
	case errors.As(err, &ne) && ne.Timeout():
		return "timed out"
	case errors.As(err, &errno):
		return errno.Error()
	}
	return err.Error()
}
