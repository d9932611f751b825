package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"goned/rpc/xmlrpc"
)

// conn is one connection and its unread input, buf[r:w].
type conn struct {
	srv  *Server
	nc   net.Conn
	busy atomic.Bool // handling a request

	buf   []byte
	r, w  int
	start time.Time // of the request being read: its first byte
	total int       // bytes of its body received so far

	readDeadline, writeDeadline time.Time // as they are set
}

const connBuffer = 4 << 10

// scratch holds memory for answers.
var scratch = sync.Pool{New: func() any { b := make([]byte, 0, 8<<10); return &b }}

// serve answers requests until the connection is to be closed.
func (c *conn) serve(ctx context.Context) {
	c.buf = make([]byte, connBuffer)
	for !c.srv.closing.Load() && c.await() {
		c.busy.Store(true)
		// Shutdown looks at busy after it has set closing: one of the two sees the other.
		if c.srv.closing.Load() || !c.request(ctx) {
			return
		}
		c.busy.Store(false)
	}
}

// await waits for the first byte of a request.
func (c *conn) await() bool {
	if c.r == c.w && c.fill(time.Now().Add(c.srv.conf.IdleTimeout)) != nil {
		return false
	}
	c.start, c.total = time.Now(), 0
	return true
}

// until moves a deadline to t or a little later, if it is not there already: most
// requests find the one that an earlier request has set good enough.
func (c *conn) until(t time.Time, deadline *time.Time, set func(time.Time) error) error {
	slack := min(c.srv.conf.Timeout, c.srv.conf.IdleTimeout, 8*time.Second) / 8
	if late := deadline.Sub(t); late >= 0 && late <= slack {
		return nil
	}
	*deadline = t.Add(slack)
	return set(*deadline)
}

// fill reads more input until a deadline, making room first. The buffer never grows
// beyond what a header may have.
func (c *conn) fill(deadline time.Time) error {
	if err := c.until(deadline, &c.readDeadline, c.nc.SetReadDeadline); err != nil {
		return err
	}
	if c.r == c.w {
		c.r, c.w = 0, 0
		if len(c.buf) > connBuffer {
			c.buf = make([]byte, connBuffer)
		}
	}
	if c.w == len(c.buf) {
		if c.r > 0 {
			c.w = copy(c.buf, c.buf[c.r:c.w])
			c.r = 0
		} else {
			bigger := make([]byte, 2*len(c.buf))
			copy(bigger, c.buf)
			c.buf = bigger
		}
	}
	n, err := c.nc.Read(c.buf[c.w:])
	c.w += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// request reads and answers one request; it tells whether to go on with the next.
func (c *conn) request(ctx context.Context) (more bool) {
	var rq request
	body, release, err := c.read(&rq)
	if err != nil {
		c.reject(&rq, err)
		return false
	}
	if rq.method == "OPTIONS" {
		release()
		return c.respond(&rq, optionsHead, nil, 0) && rq.keepAlive
	}
	call, fault := xmlrpc.DecodeCall(body)
	release()
	var v xmlrpc.Value
	if fault == nil {
		v, fault = c.srv.call(ctx, call)
	}
	mem := scratch.Get().(*[]byte)
	defer scratch.Put(mem)
	parts, size := xmlrpc.EncodeResponse((*mem)[:0], v, fault)
	rq.keepAlive = rq.keepAlive && !c.srv.closing.Load()
	return c.respond(&rq, callHead, parts, size) && rq.keepAlive
}

// read reads header and body. body is valid until release is called, and nothing
// else may be read before.
func (c *conn) read(rq *request) (body []byte, release func(), err error) {
	if err := c.readHeader(rq); err != nil {
		return nil, nil, err
	}
	if err := rq.check(&c.srv.conf); err != nil {
		return nil, nil, err
	}
	if rq.expect && c.r == c.w && (rq.chunked || rq.length > 0) {
		if err := c.write(net.Buffers{[]byte("HTTP/1.1 100 Continue\r\n\r\n")}, 25); err != nil {
			return nil, nil, err
		}
	}
	if rq.chunked {
		body, release, err = c.readChunked()
	} else {
		body, release, err = c.readBody(rq.length)
	}
	if err != nil {
		return nil, nil, err
	}
	if rq.method == "POST" && len(body) == 0 {
		release()
		return nil, nil, &httpError{400, "The request is empty"}
	}
	return body, release, nil
}

// reject answers a request that cannot be handled, unless its client is gone.
func (c *conn) reject(rq *request, err error) {
	var he *httpError
	switch {
	case errors.As(err, &he):
	case errors.Is(err, os.ErrDeadlineExceeded):
		he = &httpError{408, "The request did not arrive in time"}
	default:
		return
	}
	rq.keepAlive = false
	if c.respond(rq, errorHead(he.status), net.Buffers{he.page()}, len(he.page())) {
		c.linger()
	}
}

// linger reads on for a moment after the last answer: closing a socket with
// unread input would destroy the answer on its way.
func (c *conn) linger() {
	const wait = time.Second
	if t, ok := c.nc.(interface{ CloseWrite() error }); !ok || t.CloseWrite() != nil {
		return
	}
	if c.nc.SetReadDeadline(time.Now().Add(wait)) != nil {
		return
	}
	// The result does not matter: the connection is closed next.
	_, _ = io.Copy(io.Discard, io.LimitReader(c.nc, int64(4*c.srv.conf.MaxBody)))
}

// write sends parts, size bytes together, within the time a client of the
// minimum rate needs.
func (c *conn) write(parts net.Buffers, size int) error {
	limit := c.srv.conf.Timeout + c.srv.transferTime(size)
	if err := c.until(time.Now().Add(limit), &c.writeDeadline, c.nc.SetWriteDeadline); err != nil {
		return err
	}
	err := writeParts(c.nc, parts, size)
	if t, ok := c.nc.(interface{ SetLinger(int) error }); ok && err != nil {
		// The client did not take it in time: closing shall drop the rest, not
		// leave it to the kernel. If that fails there is nothing to drop.
		_ = t.SetLinger(0)
	}
	return err
}

// transferTime is how long size bytes take at the minimum rate.
func (s *Server) transferTime(size int) time.Duration {
	return time.Duration(size) * time.Second / time.Duration(s.conf.MinRate)
}
