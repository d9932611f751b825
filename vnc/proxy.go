package vnc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// Guard decides whether a token's grant may be used now.
type Guard interface {
	// Allow returns nil, or the reason why not, which the client is told.
	Allow(ctx context.Context, g Grant) error
}

// Config says what a Proxy does. Either Tokens or Fixed (or Dial alone) names the targets.
type Config struct {
	// Tokens finds the target of a connection by its token.
	Tokens *TokenSource
	// Fixed is the one target of every connection when Tokens is nil.
	Fixed Target
	// Guard, if not nil, is asked about every token before its target is dialled.
	Guard Guard
	// Dial connects to a target; nil means TCP.
	Dial func(ctx context.Context, t Target) (net.Conn, error)
	// Web answers requests that are no websocket requests; nil means 404.
	Web http.Handler
	// Origins lists origins allowed besides the proxy's own host; see --allow-origin.
	Origins []string
	// MaxSessions bounds the connections open at one time; 0 means no bound.
	MaxSessions int
	Timeouts    Timeouts
	// SessionEnded, if not nil, is called after each connection that was proxied or refused.
	SessionEnded func()
	Log          *slog.Logger
}

// Timeouts bounds every wait of a connection. Zero values take the defaults of
// DefaultTimeouts, except Idle and Heartbeat, for which zero means none.
type Timeouts struct {
	// Handshake bounds the arrival of the request, and TLS before it.
	Handshake time.Duration
	// Connect bounds the look-up of a token, the guard's answer and the dialling of the target together.
	Connect time.Duration
	// Heartbeat is the time between two pings; a client is dropped when it
	// neither sends nor takes anything for two and a half of them.
	Heartbeat time.Duration
	// Stall is how long one side may refuse to take bytes.
	Stall time.Duration
	// Idle ends a connection on which no VNC bytes move.
	Idle time.Duration
	// Linger is how long the other direction may go on when one has ended.
	Linger time.Duration
}

// DefaultTimeouts returns the time-outs used when nothing else is said.
func DefaultTimeouts() Timeouts {
	return Timeouts{
		Handshake: 10 * time.Second,
		Connect:   10 * time.Second,
		Heartbeat: 30 * time.Second,
		Stall:     60 * time.Second,
		Linger:    2 * time.Second,
	}
}

func (t Timeouts) withDefaults() Timeouts {
	d := DefaultTimeouts()
	for _, f := range []struct {
		v *time.Duration
		d time.Duration
	}{
		{&t.Handshake, d.Handshake}, {&t.Connect, d.Connect}, {&t.Stall, d.Stall}, {&t.Linger, d.Linger},
	} {
		if *f.v <= 0 {
			*f.v = f.d
		}
	}
	return t
}

// Proxy is the HTTP handler that turns websocket requests into VNC connections.
// Its zero value is not usable; see New.
type Proxy struct {
	cfg      Config
	upgrader websocket.Upgrader
	ctx      context.Context // ends all sessions; sessions outlive their request
	stop     context.CancelCauseFunc
	open     atomic.Int64
	number   atomic.Int64

	mu       sync.Mutex // guards closed against sessions.Add
	closed   bool
	sessions sync.WaitGroup
}

var errStopping = errors.New("the proxy is stopping")

// New returns a proxy. Close ends it.
func New(cfg Config) *Proxy {
	cfg.Timeouts = cfg.Timeouts.withDefaults()
	if cfg.Dial == nil {
		cfg.Dial = dialTCP
	}
	p := &Proxy{cfg: cfg}
	p.ctx, p.stop = context.WithCancelCause(context.Background())
	p.upgrader = websocket.Upgrader{
		HandshakeTimeout: cfg.Timeouts.Handshake,
		WriteBufferSize:  frameSize,
		WriteBufferPool:  &framePool,
		CheckOrigin:      originChecker(cfg.Origins),
		Error:            p.refuseHandshake,
	}
	return p
}

func dialTCP(ctx context.Context, t Target) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", t.String())
}

// Open returns the number of connections open now.
func (p *Proxy) Open() int { return int(p.open.Load()) }

// Close ends all connections with a close frame and waits for them.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.stop(errStopping)
	p.sessions.Wait()
}

// ServeHTTP answers one request. It returns once the websocket handshake is
// done; the connection then belongs to a goroutine that Close waits for, so
// that the HTTP server's buffers are not kept for its whole life.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !websocket.IsWebSocketUpgrade(r) {
		if p.cfg.Web == nil {
			http.Error(w, "This port carries VNC consoles over websockets; there are no pages here.", http.StatusNotFound)
			return
		}
		p.cfg.Web.ServeHTTP(w, r)
		return
	}
	proto, ok := chooseSubprotocol(r.Header.Values("Sec-Websocket-Protocol"))
	if !ok {
		p.refuseHandshake(w, r, http.StatusBadRequest, errors.New("no subprotocol in common: want binary or base64"))
		return
	}
	if !p.admit() {
		p.refuseHandshake(w, r, http.StatusServiceUnavailable, errors.New("too many connections, or the proxy is stopping"))
		return
	}
	release := func() {
		p.open.Add(-1)
		p.sessions.Done()
	}
	acceptVersion(r)
	var header http.Header
	if proto != "" {
		header = http.Header{"Sec-Websocket-Protocol": {proto}}
	}
	token := requestToken(r.URL)
	client := r.RemoteAddr
	ws, err := p.upgrader.Upgrade(w, r, header)
	if err != nil {
		release()
		return
	}
	go func() {
		p.serve(ws, token, proto, client)
		release()
		if p.cfg.SessionEnded != nil {
			p.cfg.SessionEnded()
		}
	}()
}

// admit counts a new connection in, unless there are too many.
func (p *Proxy) admit() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	if n := p.open.Add(1); p.cfg.MaxSessions > 0 && n > int64(p.cfg.MaxSessions) {
		p.open.Add(-1)
		return false
	}
	p.sessions.Add(1)
	return true
}

func (p *Proxy) refuseHandshake(w http.ResponseWriter, r *http.Request, status int, reason error) {
	p.cfg.Log.Warn("request refused", "client", r.RemoteAddr, "origin", r.Header.Get("Origin"), "err", reason)
	w.Header().Set("Sec-Websocket-Version", "13, 8, 7")
	http.Error(w, reason.Error(), status)
}

// serve carries one connection from the handshake to its end and logs both.
func (p *Proxy) serve(ws *websocket.Conn, token, proto, client string) {
	defer ws.Close()
	log := p.cfg.Log.With("conn", p.number.Add(1), "client", client)
	grant, target, err := p.connect(token)
	if grant.VM >= 0 {
		log = log.With("vm", grant.VM)
	}
	if err != nil {
		log.Warn("refused", "target", grant.Target, "err", err)
		code := websocket.CloseInternalServerErr
		if isRefusal(err) {
			code = websocket.ClosePolicyViolation
		}
		p.sayGoodbye(ws, code, err.Error())
		return
	}
	defer target.Close()
	log.Info("connected", "target", grant.Target)
	start := time.Now()
	s := newSession(ws, target, proto == base64Protocol, p.cfg.Timeouts)
	reason := s.run(p.ctx)
	log.Info("closed", "target", grant.Target, "in", s.in.Load(), "out", s.out.Load(),
		"duration", time.Since(start).Round(time.Millisecond), "reason", reason)
}

// refusal is an error about the right to connect, in contrast to the failure of something.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

// Refuse marks a Guard's error as a decision rather than a failure to decide;
// the client is then closed with code 1008 in place of 1011.
func Refuse(err error) error { return refusal{err} }

func isRefusal(err error) bool {
	var r refusal
	return errors.As(err, &r) || errors.Is(err, ErrNoToken) || errors.Is(err, ErrUnknownToken) || errors.Is(err, ErrExpiredToken)
}

// connect finds the target of a token and dials it. The grant is filled in as
// far as it is known even when an error is returned.
func (p *Proxy) connect(token string) (Grant, net.Conn, error) {
	ctx, cancel := context.WithTimeout(p.ctx, p.cfg.Timeouts.Connect)
	defer cancel()
	grant := Grant{Target: p.cfg.Fixed, VM: -1}
	if p.cfg.Tokens != nil {
		var err error
		if grant, err = p.cfg.Tokens.Lookup(token); err != nil {
			return Grant{VM: -1}, nil, err
		}
	}
	if p.cfg.Guard != nil {
		if err := p.cfg.Guard.Allow(ctx, grant); err != nil {
			return grant, nil, err
		}
	}
	conn, err := p.cfg.Dial(ctx, grant.Target)
	if err != nil {
		if context.Cause(p.ctx) != nil {
			err = errStopping
		}
		return grant, nil, fmt.Errorf("cannot reach the console: %w", err)
	}
	return grant, conn, nil
}

// sayGoodbye sends a close frame and gives the client a moment to read it: a
// socket closed with unread bytes in it is reset, which can take the frame away.
func (p *Proxy) sayGoodbye(ws *websocket.Conn, code int, reason string) {
	deadline := time.Now().Add(p.cfg.Timeouts.Linger)
	if err := ws.WriteControl(websocket.CloseMessage, closeFrame(code, reason), deadline); err != nil {
		return
	}
	ws.SetReadDeadline(deadline)
	ws.SetReadLimit(1 << 20)
	for {
		if _, _, err := ws.NextReader(); err != nil {
			return
		}
	}
}

// closeFrame builds the payload of a close frame, the reason cut to what fits
// at a rune's border.
func closeFrame(code int, reason string) []byte {
	const room = 123
	if len(reason) > room {
		cut := room
		for cut > 0 && reason[cut]&0xC0 == 0x80 {
			cut--
		}
		reason = reason[:cut]
	}
	return websocket.FormatCloseMessage(code, reason)
}

// DialUnix returns a dialler that connects to the same unix socket for every target.
func DialUnix(path string) func(context.Context, Target) (net.Conn, error) {
	return func(ctx context.Context, _ Target) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}
}

// DialTLS returns a dialler that speaks TLS to its targets. Like websockify's
// --ssl-target it does not verify them: VNC servers have self-signed certificates.
func DialTLS() func(context.Context, Target) (net.Conn, error) {
	d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}
	return func(ctx context.Context, t Target) (net.Conn, error) {
		return d.DialContext(ctx, "tcp", t.String())
	}
}
