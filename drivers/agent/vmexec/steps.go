package vmexec

import (
	"context"
	"strconv"

	"github.com/beevik/etree"

	"goned/drivers/agent"
	"goned/drivers/agent/run"
)

// kind is the family of scripts a step belongs to.
type kind int

const (
	hypervisor kind = iota
	network
	transferManager
)

// kindNames are the words of 4.6's log lines.
var kindNames = [...]string{"virtualization driver", "network driver", "transfer manager driver"}

// step is one script of a sequence.
type step struct {
	kind kind
	// name is the script's key, also in the log: deploy, pre, tm_attach…
	name string
	// args are the script's own arguments (hypervisor and network); for
	// transfer steps line is the transfer command instead.
	args func(a *action) []string
	line string
	// stdin is fed to the script if not nil.
	stdin []byte
	// destination runs it on the destination of a migration.
	destination bool
	// onlyNIC shows a network script this NIC alone.
	onlyNIC *etree.Element
	// mayFail lets the sequence go on after a failure.
	mayFail bool
	// rollback runs after a failure, before the sequence ends.
	rollback []step
}

// action is a sequence at work.
type action struct {
	driver *Driver
	req    agent.Request
	msg    *message

	host, destination string
	source, dest      *run.Stream
	// infos are the outputs of the steps so far, by name.
	infos map[string]string
	// failure is the error message of the step that ended the sequence.
	failure string
}

// runPlan carries out one request.
func (d *Driver) runPlan(ctx context.Context, r agent.Request, plan plan) {
	m, err := decode(r.Args[0])
	if err != nil {
		d.Out.Reply(ctx, r, agent.Failure, err.Error())
		return
	}
	a := &action{driver: d, req: r, msg: m, infos: map[string]string{},
		host: m.text("HOST"), destination: m.text("MIGR_HOST")}
	steps, problem := plan.steps(a)
	if problem != "" {
		d.Out.Reply(ctx, r, agent.Failure, problem)
		return
	}
	defer a.close()
	if !a.execute(ctx, steps) {
		d.Out.Reply(ctx, r, agent.Failure, a.failure)
		return
	}
	d.Out.Reply(ctx, r, agent.Success, a.infos[plan.result])
}

func (a *action) close() {
	for _, s := range []*run.Stream{a.source, a.dest} {
		if s != nil {
			s.Close()
		}
	}
}

// execute runs steps until one fails that must not.
func (a *action) execute(ctx context.Context, steps []step) bool {
	for _, s := range steps {
		ok, info := a.perform(ctx, s)
		if ctx.Err() != nil {
			a.failure = "Cancelled"
			return false
		}
		a.infos[s.name] = info
		operation := kindNames[s.kind] + " operation: " + s.name + "."
		if ok {
			a.log(ctx, "Successfully execute "+operation)
			continue
		}
		a.execute(ctx, s.rollback)
		a.failure = info
		a.log(ctx, "Failed to execute "+operation)
		if !s.mayFail {
			return false
		}
	}
	return true
}

func (a *action) perform(ctx context.Context, s step) (ok bool, info string) {
	switch s.kind {
	case transferManager:
		return a.driver.Transfer.Run(ctx, a.req.ID, s.line)
	case network:
		return a.script(ctx, s, "vnm/"+a.networkDriver(s.destination), append(
			[]string{a.msg.networkVM(s.onlyNIC)}, s.arguments(a)...), nil)
	default:
		host, _ := a.where(s.destination)
		return a.script(ctx, s, "vmm/"+a.driver.Hypervisor, s.arguments(a),
			[]string{strconv.Itoa(a.req.ID), host})
	}
}

func (s step) arguments(a *action) []string {
	if s.args == nil {
		return nil
	}
	return s.args(a)
}

func (a *action) networkDriver(destination bool) string {
	if destination {
		return a.msg.text("MIGR_NET_DRV")
	}
	return a.msg.text("NET_DRV")
}

// where is the host of a step and the session to it.
func (a *action) where(destination bool) (string, **run.Stream) {
	if destination {
		return a.destination, &a.dest
	}
	return a.host, &a.source
}

// script runs one script. In the log its own arguments are in single quotes
// and the appended ones are not, as in 4.6; base64 of network scripts is bare.
func (a *action) script(ctx context.Context, s step, directory string, args, appended []string) (ok bool, info string) {
	path, local := a.driver.scriptPath(s.name, s.name, directory)
	label := path
	for i, arg := range args {
		if s.kind == network && i == 0 {
			label += " " + arg
			continue
		}
		label += " " + run.Quote(arg)
	}
	for _, arg := range appended {
		label += " " + run.QuoteIfNeeded(arg)
	}
	argv := append(append([]string{path}, args...), appended...)
	var res run.Result
	if local {
		res = run.Local(ctx, run.Command{Label: label, Argv: argv, Stdin: s.stdin, Timeout: a.driver.Timeout})
	} else {
		res = a.remote(ctx, s, label, argv)
	}
	a.log(ctx, res.LogText())
	return res.OK(), res.Info()
}

func (a *action) remote(ctx context.Context, s step, label string, argv []string) run.Result {
	host, stream := a.where(s.destination)
	if *stream == nil {
		*stream = a.driver.SSH.Open(host)
	}
	if s.stdin != nil {
		label = "cat << EOT | " + label
	}
	check := (*stream).Executable(ctx, argv[0], a.driver.Timeout)
	if check.Code == run.MissingCode {
		a.log(ctx, "Remote worker node files not found\nUpdating remotes")
		if err := a.driver.Remotes.Sync(ctx, host, true); err != nil {
			a.log(ctx, "ERROR: Cannot copy "+a.driver.Remotes.Local+" to "+host+": "+err.Error())
		}
	}
	return (*stream).Run(ctx, run.Step{Label: label, Argv: argv, Stdin: s.stdin, Timeout: a.driver.Timeout})
}

func (a *action) log(ctx context.Context, text string) { a.driver.log(ctx, a.req.ID, text) }
