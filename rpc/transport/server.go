// Package transport is the HTTP server of the XML-RPC interface. It accepts
// connections, reads calls within strict bounds of size and time, hands them to a
// Handler and writes the answers. It knows no method.
//
// It is a server of its own, not net/http, for two reasons: clients of 4.6 see
// the headers, statuses and connection handling they know, and answers of many
// megabytes go to the socket as the pieces they consist of (writev), uncopied.
package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"goned/rpc/xmlrpc"
)

// Handler answers calls. It is called from many goroutines at once; ctx ends when
// the server is closed for good, not when the client goes away.
type Handler interface {
	ServeCall(ctx context.Context, c *xmlrpc.Call) (xmlrpc.Value, *xmlrpc.Fault)
}

// Config holds the bounds of a Server. Zero fields take the default in brackets.
type Config struct {
	Path string // the one path that is served [/RPC2]

	MaxBody       int           // bytes of a request body [16 MiB]
	MaxHeader     int           // bytes of a request header [16 KiB]
	MaxBodyMemory int           // bytes of all request bodies being read [256 MiB]
	MaxConns      int           // open connections; more wait to be accepted [16384]
	Timeout       time.Duration // from the first byte of a request to its last, and of an answer; oned.conf TIMEOUT [15 s]
	IdleTimeout   time.Duration // between requests; oned.conf KEEPALIVE_TIMEOUT [15 s]
	MinRate       int           // bytes per second; a body or answer extends Timeout by its size divided by this [64 KiB/s]

	// KeepAliveMax is the max= of the Keep-Alive header, oned.conf
	// KEEPALIVE_MAX_CONN [30]. Like 4.6 we announce it and do not enforce it.
	KeepAliveMax int

	ServerName string       // the Server header [Xmlrpc-c_Abyss/1.33.14]
	AccessLog  io.Writer    // one line per request, oned.conf RPC_LOG; nil for none
	Log        *slog.Logger // what an administrator should know [discarded]
}

func (c Config) withDefaults() Config {
	def := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	defTime := func(p *time.Duration, v time.Duration) {
		if *p <= 0 {
			*p = v
		}
	}
	def(&c.MaxBody, 16<<20)
	def(&c.MaxHeader, 16<<10)
	def(&c.MaxBodyMemory, 256<<20)
	def(&c.MaxConns, 16384)
	def(&c.MinRate, 64<<10)
	def(&c.KeepAliveMax, 30)
	defTime(&c.Timeout, 15*time.Second)
	defTime(&c.IdleTimeout, 15*time.Second)
	if c.Path == "" {
		c.Path = "/RPC2"
	}
	if c.ServerName == "" {
		c.ServerName = "Xmlrpc-c_Abyss/1.33.14"
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// ErrServerClosed is what Serve returns after Shutdown.
var ErrServerClosed = errors.New("server closed")

// Server serves XML-RPC over HTTP.
type Server struct {
	handler Handler
	conf    Config
	access  *accessLog
	bodies  budget
	slots   chan struct{} // one token per open connection

	ctx    context.Context // of the calls
	cancel context.CancelFunc
	wg     sync.WaitGroup // connections

	closing atomic.Bool // set with mu held
	date    atomic.Pointer[dateField]

	mu        sync.Mutex // guards what follows
	listeners map[net.Listener]struct{}
	conns     map[*conn]struct{}
}

// New returns a server for h. It does nothing before Serve.
func New(h Handler, conf Config) *Server {
	conf = conf.withDefaults()
	ctx, cancel := context.WithCancel(context.Background())
	return &Server{
		handler:   h,
		conf:      conf,
		access:    newAccessLog(conf.AccessLog, conf.Log),
		bodies:    budget{limit: int64(conf.MaxBodyMemory)},
		slots:     make(chan struct{}, conf.MaxConns),
		ctx:       ctx,
		cancel:    cancel,
		listeners: make(map[net.Listener]struct{}),
		conns:     make(map[*conn]struct{}),
	}
}

// Serve accepts connections on ln until Shutdown, then returns ErrServerClosed;
// any other error comes from the listener. It closes ln.
func (s *Server) Serve(ln net.Listener) error {
	defer ln.Close()
	if !s.addListener(ln) {
		return ErrServerClosed
	}
	defer s.dropListener(ln)
	var pause time.Duration
	for {
		select {
		case s.slots <- struct{}{}:
		case <-s.ctx.Done():
			return ErrServerClosed
		}
		nc, err := ln.Accept()
		if err != nil {
			<-s.slots
			if s.closing.Load() {
				return ErrServerClosed
			}
			if errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("accept: %w", err)
			}
			// Out of descriptors or memory, or a connection that died in the
			// queue: none of it is a reason to stop serving.
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.conf.Log.Warn("accept connection", "error", err, "retry", pause)
			if !s.sleep(pause) {
				return ErrServerClosed
			}
			continue
		}
		pause = 0
		s.start(nc)
	}
}

// sleep waits for d; it returns false when the server is closed meanwhile.
func (s *Server) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// start serves a connection in a goroutine of its own, which Shutdown waits for.
func (s *Server) start(nc net.Conn) {
	c := &conn{srv: s, nc: newSocket(nc)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Load() {
		nc.Close()
		<-s.slots
		return
	}
	s.conns[c] = struct{}{}
	s.wg.Go(func() {
		defer s.finish(c)
		c.serve(s.ctx)
	})
}

// finish forgets a connection; whatever a bug did to it, the daemon lives on.
func (s *Server) finish(c *conn) {
	if p := recover(); p != nil {
		s.conf.Log.Error("connection failed", "client", c.nc.RemoteAddr().String(), "panic", p, "stack", string(debug.Stack()))
	}
	c.nc.Close()
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	<-s.slots
}

func (s *Server) addListener(ln net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Load() {
		return false
	}
	s.listeners[ln] = struct{}{}
	return true
}

func (s *Server) dropListener(ln net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, ln)
}

// Shutdown stops accepting, closes idle connections and waits for the requests
// being handled to be answered. When ctx ends first it cuts them off, waits for
// their goroutines and returns the cause.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closing.Store(true)
	for ln := range s.listeners {
		ln.Close()
	}
	for c := range s.conns {
		if !c.busy.Load() {
			c.nc.Close()
		}
	}
	s.mu.Unlock()

	done := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(done)
	}()
	defer s.cancel()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	s.cancel()
	s.mu.Lock()
	for c := range s.conns {
		c.nc.Close()
	}
	s.mu.Unlock()
	<-done
	return context.Cause(ctx)
}

// call runs the handler. A panic in it fails this call only.
func (s *Server) call(ctx context.Context, c *xmlrpc.Call) (v xmlrpc.Value, f *xmlrpc.Fault) {
	defer func() {
		if p := recover(); p != nil {
			s.conf.Log.Error("call failed", "method", c.Method, "panic", p, "stack", string(debug.Stack()))
			v, f = xmlrpc.Value{}, &xmlrpc.Fault{Code: xmlrpc.FaultInternal, Text: "Internal server error"}
		}
	}()
	return s.handler.ServeCall(ctx, c)
}
