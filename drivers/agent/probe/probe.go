// Package probe is the driver process one_im_exec (one_im_ssh, one_im_sh): it
// runs the monitoring probes of a host.
package probe

import (
	"context"
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"goned/drivers/agent"
	"goned/drivers/agent/run"
)

// Driver runs probes of one hypervisor kind.
type Driver struct {
	// Hypervisor names the directory of probes, im/<name>.d.
	Hypervisor string
	// Local runs the probes on the front-end.
	Local bool
	// ForceCopy copies the scripts before every round, not only the first.
	ForceCopy bool
	// Retries is how often a failed round is repeated at once.
	Retries int
	// Timeout ends a round.
	Timeout time.Duration

	Settings agent.Settings
	Remotes  *run.Remotes
	SSH      *run.SSH
	Out      *agent.Output
}

// DefaultTimeout is when oned gives up an answer and asks again (4.6: 300 s),
// so a round that takes longer only blocks others.
const DefaultTimeout = 300 * time.Second

// Actions are the requests one_im_exec answers.
func (d *Driver) Actions() map[string]agent.Action {
	host := func(r agent.Request) string { return r.Args[0] }
	return map[string]agent.Action{
		"MONITOR":     {Args: 3, Run: d.monitor, Lane: host},
		"STOPMONITOR": {Args: 1, Run: d.stopMonitor, Lane: host},
	}
}

// monitor handles `host dsLocation updateFlag`.
func (d *Driver) monitor(ctx context.Context, r agent.Request) {
	host, dsLocation, update := r.Args[0], r.Args[1], r.Args[2] == "1"
	if !d.Local && (update || d.ForceCopy) {
		if err := d.sync(ctx, host, false); err != nil {
			d.Out.Log(r.ID, "ERROR: Cannot copy "+d.Remotes.Local+" to "+host+": "+err.Error())
			d.reply(ctx, r, agent.Failure, "Could not update remotes: "+err.Error())
			return
		}
	}
	id := strconv.Itoa(r.ID)
	d.script(ctx, r, host, d.Local, "run_probes", d.Hypervisor, dsLocation,
		strconv.Itoa(d.Settings.CollectdPort), strconv.Itoa(d.Settings.PushSeconds), id, host)
}

// stopMonitor handles `host`. It is never local (4.6): there is no client to
// stop on the front-end.
func (d *Driver) stopMonitor(ctx context.Context, r agent.Request) {
	d.script(ctx, r, r.Args[0], false, "stop_probes", d.Hypervisor, strconv.Itoa(r.ID), r.Args[0])
}

// script runs a script of the im directory and answers with its output.
func (d *Driver) script(ctx context.Context, r agent.Request, host string, local bool, name string, args ...string) {
	var res run.Result
	if local {
		path := d.Remotes.Local + "/im/" + name
		res = run.Local(ctx, run.Command{Argv: append([]string{path}, args...), Timeout: d.Timeout})
		d.log(ctx, r.ID, res)
	} else {
		checked := run.Checked{
			SSH: d.SSH, Remotes: d.Remotes, Retries: d.Retries, Timeout: d.Timeout,
			Log: func(text string) {
				if ctx.Err() == nil {
					d.Out.Log(r.ID, text)
				}
			},
		}
		res = checked.Run(ctx, host, append([]string{d.Settings.RemoteDir + "/im/" + name}, args...))
	}
	result := agent.Failure
	if res.OK() {
		result = agent.Success
	}
	d.reply(ctx, r, result, res.Data())
}

func (d *Driver) log(ctx context.Context, id int, res run.Result) {
	if text := res.LogText(); text != "" && ctx.Err() == nil {
		d.Out.Log(id, text)
	}
}

func (d *Driver) sync(ctx context.Context, host string, force bool) error {
	if d.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.Timeout)
		defer cancel()
	}
	return d.Remotes.Sync(ctx, host, force)
}

// reply sends the text in base64, failures too: oned decodes both.
func (d *Driver) reply(ctx context.Context, r agent.Request, result, text string) {
	d.Out.Reply(ctx, r, result, base64.StdEncoding.EncodeToString([]byte(strings.ToValidUTF8(text, "?"))))
}
