package transport

import (
	"bytes"
	"strconv"
)

// Reading bodies: memory is taken as data arrives, never on the word of a header,
// and the time allowed grows with what has arrived.

const bodyStep = 64 << 10

// body is a request body being received.
type body struct {
	c     *conn
	data  []byte
	taken int // bytes reserved from the server's budget
}

// release gives the memory back.
func (b *body) release() {
	b.c.srv.bodies.give(b.taken)
	b.data, b.taken = nil, 0
}

// readBody reads a body of n bytes. It may be a part of the connection's buffer.
func (c *conn) readBody(n int) (data []byte, release func(), err error) {
	if c.w-c.r >= n {
		data = c.buf[c.r : c.r+n]
		c.r += n
		return data, func() {}, nil
	}
	b := &body{c: c}
	if err := b.receive(n); err != nil {
		b.release()
		return nil, nil, err
	}
	return b.data, b.release, nil
}

// receive appends n bytes of input.
func (b *body) receive(n int) error {
	for n > 0 {
		if err := b.grow(n); err != nil {
			return err
		}
		room := b.data[len(b.data):min(cap(b.data), len(b.data)+n)]
		got, err := b.c.readInto(room)
		if err != nil {
			return err
		}
		b.data = b.data[:len(b.data)+got]
		n -= got
	}
	return nil
}

// grow makes room for at least one of the n bytes to come.
func (b *body) grow(n int) error {
	if len(b.data) < cap(b.data) {
		return nil
	}
	size := min(max(2*len(b.data), bodyStep), len(b.data)+n)
	if !b.c.srv.bodies.take(size) { // old and new exist together for a moment
		return &httpError{503, "The server is reading too many large requests"}
	}
	data := append(make([]byte, 0, size), b.data...)
	b.c.srv.bodies.give(b.taken)
	b.data, b.taken = data, size
	return nil
}

// readInto reads some bytes of a body: what is buffered, then from the socket.
func (c *conn) readInto(p []byte) (int, error) {
	if c.r < c.w {
		n := copy(p, c.buf[c.r:c.w])
		c.r += n
		c.total += n
		return n, nil
	}
	if err := c.extend(); err != nil {
		return 0, err
	}
	n, err := c.nc.Read(p)
	if n > 0 {
		c.total += n
		return n, nil
	}
	return 0, err
}

// extend moves the deadline of the request on by what its body has brought so far.
func (c *conn) extend() error {
	limit := c.srv.conf.Timeout + c.srv.transferTime(c.total)
	return c.until(c.start.Add(limit), &c.readDeadline, c.nc.SetReadDeadline)
}

// readChunked reads a body in chunks and its trailer.
func (c *conn) readChunked() (data []byte, release func(), err error) {
	b := &body{c: c}
	if err := b.receiveChunks(); err != nil {
		b.release()
		return nil, nil, err
	}
	return b.data, b.release, nil
}

func (b *body) receiveChunks() error {
	// Chunk lines count against a bound of their own: a body of one-byte chunks
	// must not make us read many times its size.
	lines := b.c.srv.conf.MaxHeader + b.c.srv.conf.MaxBody/8
	for {
		n, err := b.c.readChunkSize(&lines)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		if n > b.c.srv.conf.MaxBody-len(b.data) {
			return tooLarge(len(b.data) + n)
		}
		if err := b.receive(n); err != nil {
			return err
		}
		if line, err := b.c.readLine(&lines); err != nil || len(line) > 0 {
			return orBad(err, "A chunk does not end where it should")
		}
	}
	for {
		line, err := b.c.readLine(&lines)
		if err != nil || len(line) == 0 {
			return err
		}
	}
}

func (c *conn) readChunkSize(left *int) (int, error) {
	line, err := c.readLine(left)
	if err != nil {
		return 0, err
	}
	digits, _, _ := bytes.Cut(line, []byte(";"))
	n, err := strconv.ParseUint(string(bytes.TrimSpace(digits)), 16, 31)
	if err != nil {
		return 0, badRequest("A chunk has no valid size")
	}
	return int(n), nil
}

func orBad(err error, text string) error {
	if err == nil {
		err = badRequest("%s", text)
	}
	return err
}
