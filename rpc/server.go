// Package rpc is the XML-RPC front end: the table of 4.6's methods, and what is done once around it: authentication, parameter
// checks, authorization, error texts, the request log.
package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"goned/core/auth"
	"goned/core/config"
	"goned/core/db"
	"goned/core/refusal"
	"goned/core/state"
	"goned/rpc/xmlrpc"
)

// Rows is what the server reads from the database: finished history and samples are not kept in memory.
type Rows interface {
	Query(ctx context.Context, query string, args []any, fn func(scan func(dest ...any) error) error) error
}

// Drivers is what API calls wait for drivers to answer.
type Drivers interface {
	// Authenticate asks the authentication driver; text is its answer's text.
	Authenticate(ctx context.Context, uid int, driver, name, stored, token string) (text string, err error)
	// External reports whether an authorization driver has the last word.
	External() bool
	// AskAuthorization asks the authorization driver. granted holds what the built-in rules say of each check.
	AskAuthorization(ctx context.Context, uid int, checks []auth.Check, granted []bool) (ok bool, text string, err error)
	// Stat asks the datastore driver for the size in MB of what an image is made from.
	Stat(ctx context.Context, path, datastoreXML string) (text string, err error)
}

// Server answers calls.
type Server struct {
	store   *state.Store
	conf    *config.Config
	rows    Rows
	drivers Drivers
	log     *slog.Logger // module ReM
	authLog *slog.Logger // module AuM
	now     func() time.Time

	methods  map[string]*Method
	sessions sessions
	master   Master
	shared   refresher
	requests atomic.Uint32
}

// Options are what a server is made of.
type Options struct {
	Store   *state.Store
	Conf    *config.Config
	DB      *db.DB
	Drivers Drivers
	Log     *slog.Logger // module ReM
	AuthLog *slog.Logger // module AuM
	Now     func() time.Time
	// Master forwards calls of a federation's slave; nil on other daemons.
	Master Master
	// Reload brings the shared tables of a federation's slave up to date; nil on other daemons.
	Reload func(context.Context) error
}

// Master is the daemon that shared tables belong to.
type Master interface {
	Forward(ctx context.Context, c *xmlrpc.Call) (xmlrpc.Value, error)
}

// NewServer makes a server with all methods of 4.6.
func NewServer(o Options) *Server {
	s := &Server{
		store: o.Store, conf: o.Conf, rows: o.DB, drivers: o.Drivers, log: o.Log, authLog: o.AuthLog, now: o.Now, master: o.Master,
		shared: refresher{reload: o.Reload, now: o.Now}, methods: map[string]*Method{},
	}
	for _, m := range Methods() {
		s.methods[m.Name] = m
	}
	return s
}

// ServeCall answers one call.
func (s *Server) ServeCall(ctx context.Context, in *xmlrpc.Call) (xmlrpc.Value, *xmlrpc.Fault) {
	m := s.methods[in.Method]
	if m == nil {
		return xmlrpc.Value{}, xmlrpc.NoSuchMethod(in.Method)
	}
	if len(in.Params) == 0 {
		return xmlrpc.Value{}, errNotEnough
	}
	session, ok := in.Params[0].AsString()
	if !ok {
		return xmlrpc.Value{}, errNotString
	}
	req := s.requests.Add(1) % 10000
	name := m.Log
	forward := m.Forwarded && s.master != nil
	if forward {
		name = "RequestManagerProxy." + m.Name
	}
	call := &Call{ctx: ctx, srv: s, method: m, raw: in.Params, args: make([]any, len(m.Params)+1)}
	if err := s.shared.refresh(ctx); err != nil {
		s.log.Error("Could not read the shared tables: " + err.Error())
	}
	caller, err := s.authenticate(ctx, session)
	if err != nil {
		text := "[" + name + "] User couldn't be authenticated, aborting call."
		s.logFailure(req, "-", name, text)
		return envelope(false, xmlrpc.String(text), int(refusal.Authentication)), nil
	}
	call.Caller = *caller
	uid := strconv.Itoa(caller.UID)
	s.logInvoked(req, uid, name, m, in.Params)
	if caller.UID == nobody.ID {
		return s.failure(req, uid, name, call, refusal.NotFound("user", nobody.ID))
	}
	if forward {
		return s.forward(ctx, req, uid, name, in)
	}
	if fault := call.readArgs(false); fault != nil {
		return xmlrpc.Value{}, fault
	}
	result, err := s.run(call)
	if err != nil {
		return s.failure(req, uid, name, call, err)
	}
	return s.success(req, uid, name, result)
}

// run calls the handler; a panic of it is an internal error of this call alone.
func (s *Server) run(c *Call) (result any, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in %s: %v\n%s", c.method.Name, p, debug.Stack())
		}
	}()
	return c.method.Handler(c)
}

func (s *Server) success(req uint32, uid, name string, result any) (xmlrpc.Value, *xmlrpc.Fault) {
	var v xmlrpc.Value
	switch r := result.(type) {
	case int:
		v = xmlrpc.Int(r)
	case string:
		v = xmlrpc.String(r)
	case Document:
		v = xmlrpc.Escaped(r...)
	default:
		s.log.Error(fmt.Sprintf("%s returned a %T", name, result))
		return envelope(false, xmlrpc.String("["+name+"] Internal Error"), int(refusal.Internal)), nil
	}
	s.logSuccess(req, uid, name, v)
	return envelope(true, v, 0), nil
}

// failure turns an error into the answer: the one place where the text that a client sees is put together.
func (s *Server) failure(req uint32, uid, name string, c *Call, err error) (xmlrpc.Value, *xmlrpc.Fault) {
	var fault *xmlrpc.Fault
	if errors.As(err, &fault) {
		return xmlrpc.Value{}, fault
	}
	text, code := "["+name+"] Internal Error", refusal.Internal
	if r, ok := refusal.As(err); ok {
		text, code = r.Message(name, c.UID), r.Kind
	} else {
		s.log.Error(name + ": " + err.Error())
		if errors.Is(err, state.ErrNotSaved) && strings.HasSuffix(name, "Allocate") {
			text = refusal.OfAllocation(c.method.object(), "").Message(name, c.UID)
		}
	}
	s.logFailure(req, uid, name, text)
	return envelope(false, xmlrpc.String(text), int(code)), nil
}

func envelope(ok bool, v xmlrpc.Value, code int) xmlrpc.Value {
	return xmlrpc.Array(xmlrpc.Bool(ok), v, xmlrpc.Int(code))
}

func (s *Server) forward(ctx context.Context, req uint32, uid, name string, in *xmlrpc.Call) (xmlrpc.Value, *xmlrpc.Fault) {
	v, err := s.master.Forward(ctx, in)
	if err != nil {
		s.log.Error("Could not forward a call to the master: " + err.Error())
		text := "[" + name + "] Could not connect to the federation master oned"
		s.logFailure(req, uid, name, text)
		return envelope(false, xmlrpc.String(text), int(refusal.Internal)), nil
	}
	s.shared.expire()
	s.logSuccess(req, uid, name, v)
	return v, nil
}
