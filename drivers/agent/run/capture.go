package run

import (
	"bytes"
	"fmt"
	"sync"
)

// capture keeps what a command writes: the first and the last part of it if
// it is more than fits, so that output of any size is read to its end.
//
// With a mark set, output ends at the mark and found is closed; what comes
// after it belongs to somebody else and is dropped.
type capture struct {
	mu    sync.Mutex // guards all fields
	limit int
	head  []byte
	tail  []byte // ring of the newest bytes once head is full
	next  int    // where the next byte of tail goes
	lost  int    // bytes pushed out of tail
	mark  []byte
	found chan struct{}
	ended bool
}

const tailSize = 64 << 10

func newCapture(limit int) *capture { return &capture{limit: limit} }

// begin forgets the old output and waits for a new mark.
func (c *capture) begin(mark string) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.head, c.tail, c.next, c.lost = nil, nil, 0, 0
	c.mark, c.ended = []byte(mark), false
	c.found = make(chan struct{})
	return c.found
}

// complete reports whether the mark has come.
func (c *capture) complete() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

func (c *capture) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(p)
	if c.ended {
		return n, nil
	}
	before := c.recent(len(c.mark))
	c.keep(p)
	if len(c.mark) == 0 {
		return n, nil
	}
	window := append(before, p...)
	if i := bytes.Index(window, c.mark); i >= 0 {
		c.drop(len(window) - i)
		c.ended = true
		close(c.found)
	}
	return n, nil
}

func (c *capture) keep(p []byte) {
	if room := c.limit - len(c.head); room > 0 {
		n := min(room, len(p))
		c.head = append(c.head, p[:n]...)
		p = p[n:]
	}
	for len(p) > 0 {
		if len(c.tail) < tailSize {
			n := min(tailSize-len(c.tail), len(p))
			c.tail = append(c.tail, p[:n]...)
			p = p[n:]
			continue
		}
		n := copy(c.tail[c.next:], p)
		c.next = (c.next + n) % tailSize
		c.lost += n
		p = p[n:]
	}
}

// newest returns the bytes of tail in order.
func (c *capture) newest() []byte {
	return append(append([]byte(nil), c.tail[c.next:]...), c.tail[:c.next]...)
}

// recent returns a copy of up to n of the last bytes kept.
func (c *capture) recent(n int) []byte {
	out := make([]byte, 0, 2*n)
	if short := n - len(c.tail); short > 0 {
		out = append(out, c.head[max(0, len(c.head)-short):]...)
		n = len(c.tail)
	}
	start := c.next + len(c.tail) - n // from there to the newest, around the ring
	for i := range n {
		out = append(out, c.tail[(start+i)%len(c.tail)])
	}
	return out
}

// drop removes the last n bytes.
func (c *capture) drop(n int) {
	t := c.newest()
	cut := min(n, len(t))
	c.tail, c.next = t[:len(t)-cut], 0
	c.head = c.head[:len(c.head)-min(n-cut, len(c.head))]
}

// bytes returns the output, with a note where bytes are missing.
func (c *capture) bytes() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := append([]byte(nil), c.head...)
	if c.lost > 0 {
		out = fmt.Appendf(out, "\n[%d bytes left out]\n", c.lost)
	}
	return append(out, c.newest()...)
}
