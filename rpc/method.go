package rpc

import (
	"context"
	"errors"
	"strings"
	"time"

	"goned/core/auth"
	"goned/core/config"
	"goned/core/resource"
	"goned/core/state"
	"goned/rpc/xmlrpc"
)

// ParamKind is the type of a parameter.
type ParamKind int

// The types that 4.6's methods take.
const (
	IntParam ParamKind = iota
	StringParam
	BoolParam
	AnyParam // never read: any type does
)

// Param is one parameter of a method, after the session string.
type Param struct {
	Name string
	Kind ParamKind
	// Default is what an optional parameter is when the client leaves it out; nil: mandatory.
	Default any
	// Late parameters are read after the authorization (see Call.ReadLate), so that a caller who may not do the thing learns
	// that before he learns that his parameters are wrong.
	Late bool
	// Secret parameters are masked in the log.
	Secret bool
	// Silent parameters are not in the signature that clients are told, as in 4.6.
	Silent bool
}

// The faults for parameters that are missing or of the wrong type.
var (
	errNotEnough = xmlrpc.Faultf(xmlrpc.FaultType, "Not enough parameters")
	errNotInt    = xmlrpc.Faultf(xmlrpc.FaultType, "Parameter that is supposed to be integer is not")
	errNotString = xmlrpc.Faultf(xmlrpc.FaultType, "Parameter that is supposed to be a string is not")
	errNotBool   = xmlrpc.Faultf(xmlrpc.FaultType, "Parameter that is supposed to be boolean is not")
)

// Shorthands for the table.
func intParam(name string) Param  { return Param{Name: name, Kind: IntParam} }
func strParam(name string) Param  { return Param{Name: name, Kind: StringParam} }
func boolParam(name string) Param { return Param{Name: name, Kind: BoolParam} }
func anyParam(name string) Param  { return Param{Name: name, Kind: AnyParam, Default: 0} }

func (p Param) or(value any) Param { p.Default = value; return p }
func (p Param) late() Param        { p.Late = true; return p }
func (p Param) secret() Param      { p.Secret = true; return p }
func (p Param) silent() Param      { p.Silent = true; return p }

// Method is one row of the API: everything that is said about a method is said here once.
type Method struct {
	Name   string // "one.vm.info"
	Log    string // "VirtualMachineInfo": its name in messages and in the log
	Params []Param
	// Help says what it does: the answer of system.methodHelp.
	Help string
	// Auth, Result and Errors say, for the documentation, who may call it, what it returns, and what it refuses besides what all
	// methods refuse, by code.
	Auth, Result, Errors string
	// Forwarded methods belong to the master of a federation: a slave passes them on.
	Forwarded bool
	Handler   func(*Call) (any, error)
}

// object is the noun of what the method is about, for texts.
func (m *Method) object() string {
	name := strings.TrimSuffix(strings.Split(m.Name, ".")[1], "pool")
	for _, k := range resource.Kinds() {
		if strings.EqualFold(k.String(), name) || name == "vn" && k == resource.Net {
			return k.Noun()
		}
	}
	return name
}

// Document is a result that is a string made of pieces which are escaped already.
type Document [][]byte

// Call is one call of a method by an authenticated user.
type Call struct {
	auth.Caller
	ctx    context.Context
	srv    *Server
	method *Method
	raw    []xmlrpc.Value // with the session string in front
	args   []any          // by parameter number, from 1

	decisions map[string]decision // of an external authorization driver, by what it was asked
}

// Context ends when the client is gone or the daemon stops.
func (c *Call) Context() context.Context { return c.ctx }

// Conf is the daemon's configuration.
func (c *Call) Conf() *config.Config { return c.srv.conf }

// Int is parameter n (from 1), declared as an int.
func (c *Call) Int(n int) int { return c.args[n].(int) }

// Str is parameter n (from 1), declared as a string.
func (c *Call) Str(n int) string { return c.args[n].(string) }

// Bool is parameter n (from 1), declared as a boolean.
func (c *Call) Bool(n int) bool { return c.args[n].(bool) }

// Given reports whether the client sent parameter n (from 1).
func (c *Call) Given(n int) bool { return n < len(c.raw) }

// Snapshot is the state that a reading method answers from.
func (c *Call) Snapshot() *state.Snapshot { return c.srv.store.Snapshot() }

// Now is the current second.
func (c *Call) Now() int64 { return c.srv.now().Unix() }

// Time is the current time, for texts.
func (c *Call) Time() time.Time { return c.srv.now() }

// Update runs fn in a write transaction: all of it happens, on disk, or nothing. fn may run more than once: an external
// authorization driver is asked between the runs.
func (c *Call) Update(fn func(*state.Tx) error) error {
	return c.srv.update(c, fn)
}

// UpdateID is Update for the many methods that return the id of what they changed.
func (c *Call) UpdateID(id int, fn func(*state.Tx) error) (any, error) {
	if err := c.Update(fn); err != nil {
		return nil, err
	}
	return id, nil
}

// Authorize refuses unless the caller may do all that the checks say, as the state s has it. Within Update, s is the
// transaction's View.
func (c *Call) Authorize(s *state.Snapshot, checks ...auth.Check) error {
	return c.srv.authorize(c, s, checks)
}

// Read answers from the current snapshot. fn may run more than once: an external authorization driver is asked between the runs.
func (c *Call) Read(fn func(*state.Snapshot) (any, error)) (any, error) {
	for {
		result, err := fn(c.srv.store.Snapshot())
		var p *pendingDecision
		if !errors.As(err, &p) {
			return result, err
		}
		if err := c.srv.decide(c, p); err != nil {
			return nil, err
		}
	}
}

// readArgs decodes the parameters that are late or not.
func (c *Call) readArgs(late bool) *xmlrpc.Fault {
	for i, p := range c.method.Params {
		if p.Late != late || p.Kind == AnyParam {
			continue
		}
		n := i + 1
		if n >= len(c.raw) {
			if p.Default == nil {
				return errNotEnough
			}
			c.args[n] = p.Default
			continue
		}
		v, fault := p.read(c.raw[n])
		if fault != nil {
			return fault
		}
		c.args[n] = v
	}
	return nil
}

// ReadLate reads the parameters that the table marks as late.
func (c *Call) ReadLate() error {
	if fault := c.readArgs(true); fault != nil {
		return fault
	}
	return nil
}

func (p Param) read(v xmlrpc.Value) (any, *xmlrpc.Fault) {
	switch p.Kind {
	case IntParam:
		if n, ok := v.AsInt(); ok {
			return n, nil
		}
		return nil, errNotInt
	case BoolParam:
		if b, ok := v.AsBool(); ok {
			return b, nil
		}
		return nil, errNotBool
	}
	if s, ok := v.AsString(); ok {
		return s, nil
	}
	return nil, errNotString
}
