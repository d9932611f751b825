// Package authn is the driver process one_auth_mad: it runs the scripts of
// remotes/auth.
package authn

import (
	"context"
	"path/filepath"
	"strings"
	"time"

	"goned/drivers/agent"
	"goned/drivers/agent/run"
)

// Driver runs authentication and authorization scripts.
type Driver struct {
	// Dir is remotes/auth on the front-end.
	Dir string
	// Drivers are the ones that may authenticate; nil for every directory of
	// Dir that has an authenticate script.
	Drivers []string
	// Authorizer is the driver that authorizes; empty for oned's own decision.
	Authorizer string
	// Timeout ends a script; 0 for never.
	Timeout time.Duration
	Out     *agent.Output
}

// Actions are the requests one_auth_mad answers.
func (d *Driver) Actions() map[string]agent.Action {
	return map[string]agent.Action{
		"AUTHENTICATE": {Args: 5, Run: d.authenticate},
		"AUTHORIZE":    {Args: -1, Run: d.authorize},
	}
}

// authenticate handles `uid driver user password secret`.
func (d *Driver) authenticate(ctx context.Context, r agent.Request) {
	driver, words := r.Args[1], r.Args[2:]
	script := filepath.Join(d.Dir, driver, "authenticate")
	if !agent.IsDriver(d.Dir, d.Drivers, driver, "authenticate") {
		d.Out.Reply(ctx, r, agent.Failure, "Authentication driver '"+driver+"' not available")
		return
	}
	// The secret is never logged.
	label := script + " " + run.QuoteIfNeeded(words[0]) + " " + run.QuoteIfNeeded(words[1]) + " ****"
	d.run(ctx, r, run.Command{Label: label, Argv: append([]string{script}, words...), Timeout: d.Timeout}, words[2])
}

// authorize handles `uid request… decision`.
func (d *Driver) authorize(ctx context.Context, r agent.Request) {
	if d.Authorizer == "" {
		result := agent.Failure
		if r.Args[len(r.Args)-1] == "1" {
			result = agent.Success
		}
		d.Out.Reply(ctx, r, result, "-")
		return
	}
	script := filepath.Join(d.Dir, d.Authorizer, "authorize")
	d.run(ctx, r, run.Command{Argv: append([]string{script}, r.Args...), Timeout: d.Timeout}, "")
}

func (d *Driver) run(ctx context.Context, r agent.Request, c run.Command, secret string) {
	res := run.Local(ctx, c)
	if text := res.LogText(); text != "" && ctx.Err() == nil {
		d.Out.Log(r.ID, mask(text, secret))
	}
	result := agent.Failure
	if res.OK() {
		result = agent.Success
	}
	d.Out.Reply(ctx, r, result, res.Info())
}

// mask hides a secret that a script echoes. One of a few letters would hide
// half the text and is no secret.
func mask(text, secret string) string {
	if len(secret) < 4 {
		return text
	}
	return strings.ReplaceAll(text, secret, "****")
}
