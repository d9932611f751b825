// Package hook is the driver process one_hm: it runs hook commands on the
// front-end or on a host.
package hook

import (
	"context"
	"strings"
	"time"

	"goned/drivers/agent"
	"goned/drivers/agent/run"
)

// Driver runs hooks. Their commands come from oned.conf and may use what a
// shell offers; the values that oned puts into them are numbers, state names
// and base64.
type Driver struct {
	SSH *run.SSH
	// Timeout ends a hook; 0 for never.
	Timeout time.Duration
	Out     *agent.Output
}

// Actions are the requests one_hm answers.
func (d *Driver) Actions() map[string]agent.Action {
	return map[string]agent.Action{"EXECUTE": {Args: -3, Run: d.execute}}
}

// execute handles `name host command arguments…`.
func (d *Driver) execute(ctx context.Context, r agent.Request) {
	name, host, command := r.Args[0], r.Args[1], strings.Join(r.Args[2:], " ")
	var res run.Result
	if strings.EqualFold(host, "LOCAL") {
		res = run.Local(ctx, run.Command{Label: command, Argv: []string{"/bin/sh", "-c", command}, Timeout: d.Timeout})
	} else {
		stream := d.SSH.Open(host)
		res = stream.Run(ctx, run.Step{Label: "'" + command + "'", Argv: []string{"sh", "-c", command}, Timeout: d.Timeout})
		stream.Close()
	}
	if !res.OK() && ctx.Err() == nil {
		d.Out.Log(r.ID, res.LogText())
	}
	result, text := agent.Success, strings.TrimSpace(firstLine(res.Stdout))
	if !res.OK() {
		result, text = agent.Failure, res.ErrorMessage()
	}
	d.Out.Reply(ctx, r, result, name+": "+text)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
