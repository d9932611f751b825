package console

import (
	"context"
	"fmt"
	"strings"

	"goned/vnc"
)

// Guard lets a token through only while its host:port is the console of a
// virtual machine that exists and is on a host. It implements vnc.Guard.
type Guard struct {
	client *Client
	slots  chan struct{} // bounds the calls under way at one time
}

var _ vnc.Guard = (*Guard)(nil)

// NewGuard returns a guard that asks with client, at most calls at one time.
func NewGuard(client *Client, calls int) *Guard {
	return &Guard{client: client, slots: make(chan struct{}, calls)}
}

// Allow implements vnc.Guard. A token written for a machine (file one-<id>) is
// held against that machine, any other against the whole pool. The states of
// Open don't count here: a console that is open may be opened again while the
// machine, say, is saved.
func (g *Guard) Allow(ctx context.Context, grant vnc.Grant) error {
	select {
	case g.slots <- struct{}{}:
		defer func() { <-g.slots }()
	case <-ctx.Done():
		return fmt.Errorf("cannot ask oned about the console: %w", ctx.Err())
	}
	if grant.VM < 0 {
		_, found, err := g.client.Find(ctx, func(v VM) bool { return v.shows(grant.Target) })
		if err != nil {
			return fmt.Errorf("cannot ask oned about the console: %w", err)
		}
		if !found {
			return vnc.Refuse(fmt.Errorf("%s is no virtual machine's console", grant.Target))
		}
		return nil
	}
	v, err := g.client.VM(ctx, grant.VM)
	if NotFound(err) {
		return vnc.Refuse(fmt.Errorf("VM %d does not exist", grant.VM))
	}
	if err != nil {
		return fmt.Errorf("cannot ask oned about the console: %w", err)
	}
	if !v.shows(grant.Target) {
		return vnc.Refuse(fmt.Errorf("%s is not the console of VM %d", grant.Target, grant.VM))
	}
	return nil
}

// shows reports whether the VM is on a host and t is its console there.
func (v VM) shows(t vnc.Target) bool {
	if v.State != activeState {
		return false
	}
	own, err := v.console()
	return err == nil && own.Port == t.Port && strings.EqualFold(own.Host, t.Host)
}
