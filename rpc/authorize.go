package rpc

import (
	"errors"
	"fmt"
	"strings"

	"goned/core/auth"
	"goned/core/refusal"
	"goned/core/resource"
	"goned/core/state"
	"goned/core/template"
)

// decision is what an external authorization driver said.
type decision struct {
	ok   bool
	text string
}

// pendingDecision stops a transaction until an external authorization driver has been asked: the driver may take its time, and
// a transaction may not.
type pendingDecision struct {
	key     string
	checks  []auth.Check
	granted []bool
}

func (*pendingDecision) Error() string { return "an authorization driver has to be asked" }

// update runs a transaction, again after each decision of an external authorization driver that it turns out to need.
func (s *Server) update(c *Call, fn func(*state.Tx) error) error {
	for {
		err := s.store.Update(fn)
		var p *pendingDecision
		if !errors.As(err, &p) {
			return err
		}
		if err := s.decide(c, p); err != nil {
			return err
		}
	}
}

// decide asks the external driver and notes its answer for the rest of the call.
func (s *Server) decide(c *Call, p *pendingDecision) error {
	ok, text, err := s.drivers.AskAuthorization(c.ctx, c.UID, p.checks, p.granted)
	if err != nil {
		return fmt.Errorf("ask authorization driver: %w", err)
	}
	if c.decisions == nil {
		c.decisions = map[string]decision{}
	}
	c.decisions[p.key] = decision{ok, text}
	return nil
}

// ToCreate is the check for a new object of that template, which may be nil. Only an external driver wants to see it.
func (c *Call) ToCreate(kind resource.Kind, t *template.Template) auth.Check {
	if t == nil || !c.srv.drivers.External() {
		return c.Caller.ToCreate(kind, "")
	}
	return c.Caller.ToCreate(kind, t.XML("TEMPLATE"))
}

// authorize applies the built-in rules or, when there is an external driver, notes what they say and follows the driver.
func (s *Server) authorize(c *Call, snap *state.Snapshot, checks []auth.Check) error {
	zone := s.conf.Federation.Zone
	builtin := auth.Authorize(snap.ACL, zone, &c.Caller, checks...)
	if c.Root() || len(checks) == 0 || !s.drivers.External() {
		return builtin
	}
	p := &pendingDecision{checks: checks, granted: make([]bool, len(checks))}
	var key strings.Builder
	for i := range checks {
		p.granted[i] = auth.Allowed(snap.ACL, zone, &c.Caller, &checks[i])
		fmt.Fprintf(&key, "%v %v\n", checks[i], p.granted[i])
	}
	p.key = key.String()
	d, known := c.decisions[p.key]
	if !known {
		return p
	}
	if d.ok {
		return nil
	}
	return denied(c, builtin, d.text)
}

// denied words a driver's refusal: the built-in reasons, then the driver's own.
func denied(c *Call, builtin error, text string) error {
	var reasons []string
	if r, ok := refusal.As(builtin); ok {
		reasons = append(reasons, r.Text)
	}
	if text != "" {
		reasons = append(reasons, text)
	}
	if len(reasons) > 0 {
		return refusal.Denied(reasons...)
	}
	return refusal.New(refusal.Authorization,
		fmt.Sprintf("User [%d] not authorized to perform action on %s.", c.UID, c.method.object()), "")
}
