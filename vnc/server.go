package vnc

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// maxHeader bounds a request's header. A console's URL and a browser's headers
// with cookies stay far below.
const maxHeader = 16 << 10

// Server runs a Proxy on a listener, until it has nothing left to do.
type Server struct {
	Config Config
	// Once stops the server after its first websocket connection has ended.
	Once bool
	// ExitIdle stops the server when no connection was open for so long; 0 means never.
	ExitIdle time.Duration
}

// Run serves l until ctx ends, or one of the server's own conditions, closes
// all connections and returns after the last one is gone. The error is nil
// unless accepting failed.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var lastEnd atomic.Int64
	lastEnd.Store(time.Now().UnixNano())
	cfg := s.Config
	cfg.SessionEnded = func() {
		lastEnd.Store(time.Now().UnixNano())
		if s.Once {
			cancel()
		}
	}
	if s.Once {
		cfg.MaxSessions = 1
	}
	proxy := New(cfg)
	times := proxy.cfg.Timeouts
	web := &http.Server{
		Handler:           proxy,
		ReadHeaderTimeout: times.Handshake,
		ReadTimeout:       times.Handshake,
		WriteTimeout:      2 * times.Stall,
		IdleTimeout:       times.Stall,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- web.Serve(l) }()
	err := s.wait(ctx, served, proxy, &lastEnd)
	// New requests first, then the connections that left the HTTP server.
	_ = web.Close()
	proxy.Close()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func (s *Server) wait(ctx context.Context, served <-chan error, p *Proxy, lastEnd *atomic.Int64) error {
	if s.ExitIdle <= 0 {
		select {
		case <-ctx.Done():
			return nil
		case err := <-served:
			return err
		}
	}
	for {
		left := s.ExitIdle
		if p.Open() == 0 {
			left -= time.Since(time.Unix(0, lastEnd.Load()))
			if left <= 0 {
				s.Config.Log.Info("no connection left, stopping", "idle", s.ExitIdle)
				return nil
			}
		}
		timer := time.NewTimer(left)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case err := <-served:
			timer.Stop()
			return err
		case <-timer.C:
		}
	}
}
