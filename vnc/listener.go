package vnc

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// ErrPlain is the read error of a connection that should have been TLS.
var ErrPlain = errors.New("connection is not encrypted, and only encrypted ones are allowed")

// TLSListener returns a listener whose connections may be plain or TLS on the
// same port, as websockify's: the client's first byte (0x16 or 0x80) selects
// TLS. With only set, plain connections fail at their first read. The first
// byte is awaited and the TLS handshake done in the first Read of each
// connection, under its deadline, so that no client holds up Accept.
func TLSListener(l net.Listener, cfg *tls.Config, only bool) net.Listener {
	return &tlsListener{Listener: l, cfg: cfg, only: only}
}

type tlsListener struct {
	net.Listener
	cfg  *tls.Config
	only bool
}

func (l *tlsListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &eitherConn{Conn: c, cfg: l.cfg, only: l.only}, nil
}

// eitherConn is plain or TLS, which the first Read finds out.
type eitherConn struct {
	net.Conn // the transport; deadlines and addresses are its own
	cfg      *tls.Config
	only     bool
	once     sync.Once
	stream   atomic.Pointer[io.ReadWriter]
	err      error
}

func (c *eitherConn) decide() {
	first := make([]byte, 1)
	if _, err := io.ReadFull(c.Conn, first); err != nil {
		c.err = err
		return
	}
	rest := &prefixed{Conn: c.Conn, prefix: first}
	var s io.ReadWriter = rest
	if first[0] == 0x16 || first[0] == 0x80 {
		s = tls.Server(rest, c.cfg)
	} else if c.only {
		c.err = ErrPlain
		return
	}
	c.stream.Store(&s)
}

// Read reads decrypted bytes.
func (c *eitherConn) Read(b []byte) (int, error) {
	c.once.Do(c.decide)
	if c.err != nil {
		return 0, c.err
	}
	return (*c.stream.Load()).Read(b)
}

// Write encrypts if the client did. A server has nothing to write before its
// first read.
func (c *eitherConn) Write(b []byte) (int, error) {
	s := c.stream.Load()
	if s == nil {
		return 0, errors.New("write before the first read")
	}
	return (*s).Write(b)
}

// prefixed gives back the byte that was read ahead.
type prefixed struct {
	net.Conn
	prefix []byte
}

func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.prefix) > 0 && len(b) > 0 {
		n := copy(b, p.prefix)
		p.prefix = p.prefix[n:]
		return n, nil
	}
	return p.Conn.Read(b)
}
