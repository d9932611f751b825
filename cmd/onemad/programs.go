package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"goned/drivers/agent"
	"goned/drivers/agent/authn"
	"goned/drivers/agent/collect"
	"goned/drivers/agent/dummy"
	"goned/drivers/agent/hook"
	"goned/drivers/agent/probe"
	"goned/drivers/agent/storage"
	"goned/drivers/agent/transfer"
	"goned/drivers/agent/vmexec"
)

// localSet are the actions that one_vmm_sh runs on the front-end.
const localSet = "deploy,shutdown,reboot,cancel,save,restore,migrate,poll,pre,post,clean," +
	"snapshotcreate,snapshotrevert,snapshotdelete,attach_nic,detach_nic"

const defaultThreads = 15

var programs = map[string]program{
	"one_vmm_exec": {rcFiles: []string{"vmm_exec/vmm_execrc"}, debugLog: "one_vmm_%s", run: runVMM},
	"one_vmm_ssh":  {rcFiles: []string{"vmm_exec/vmm_execrc"}, debugLog: "one_vmm_%s", run: runVMM},
	"one_vmm_sh": {rcFiles: []string{"vmm_exec/vmm_execrc"}, debugLog: "one_vmm_%s",
		prefix: []string{"-l", localSet}, run: runVMM},
	"one_im_exec": {rcFiles: []string{"im_exec/im_execrc"}, debugLog: "one_im_exec_%s", run: runIM},
	"one_im_ssh":  {rcFiles: []string{"one_im_ssh_%s/one_im_ssh_%src"}, debugLog: "one_im_ssh_%s", run: runIM},
	"one_im_sh": {rcFiles: []string{"one_im_ssh_%s/one_im_ssh_%src"}, debugLog: "one_im_sh_%s",
		prefix: []string{"-l"}, run: runIM},
	"one_tm":          {debugLog: "one_tm", run: runTM},
	"one_datastore":   {debugLog: "one_datastore", run: runDatastore},
	"one_hm":          {rcFiles: []string{"hm/hmrc"}, debugLog: "one_hm", run: runHook},
	"one_auth_mad":    {rcFiles: []string{"auth/authrc"}, debugLog: "one_auth_mad", run: runAuth},
	"collectd":        {debugLog: "collectd", run: runCollectd},
	"collectd-client": {run: runCollectdClient},
	"one_vmm_dummy":   {debugLog: "one_vmm_dummy", run: runVMMDummy},
	"one_im_dummy":    {debugLog: "one_im_dummy", run: runIMDummy},
}

func runVMM(ctx context.Context, e *environment, args []string) error {
	threads, retries := defaultThreads, 0
	var local, shell string
	var timeout time.Duration
	hypervisor, err := parseHypervisor(args, intOption('t', "threads", &threads), intOption('r', "retries", &retries),
		textOption('l', "local", &local), textOption('s', "shell", &shell), secondsOption('w', "timeout", &timeout))
	if err != nil {
		return err
	}
	ssh := e.ssh(shell)
	d := &vmexec.Driver{
		Hypervisor: hypervisor, LocalActions: vmexec.ParseLocalActions(local),
		Retries: retries, Timeout: timeout,
		LocalDir: e.layout.Remotes(), RemoteDir: e.settings.RemoteDir,
		SSH: ssh, Remotes: e.remotes(ssh),
		Transfer: &transfer.Runner{Dir: filepath.Join(e.layout.Remotes(), "tm"), Timeout: timeout, Out: e.out},
		Out:      e.out,
	}
	return e.serve(ctx, threads, d.Actions())
}

// parseHypervisor reads options and the hypervisor, a directory below remotes.
func parseHypervisor(args []string, options ...agent.Option) (string, error) {
	rest, err := agent.ParseOptions(args, options)
	switch {
	case err != nil:
		return "", err
	case len(rest) == 0:
		return "", errors.New("no hypervisor given")
	case strings.ContainsRune(rest[0], '/') || strings.HasPrefix(rest[0], "."):
		return "", errors.New("hypervisor " + rest[0] + " is no directory name")
	}
	return rest[0], nil
}

func runIM(ctx context.Context, e *environment, args []string) error {
	threads, retries := defaultThreads, 0
	timeout := probe.DefaultTimeout
	var local, force bool
	hypervisor, err := parseHypervisor(args, intOption('t', "threads", &threads), intOption('r', "retries", &retries),
		flagOption('l', "local", &local), flagOption('c', "force-copy", &force), secondsOption('w', "timeout", &timeout))
	if err != nil {
		return err
	}
	ssh := e.ssh("")
	d := &probe.Driver{
		Hypervisor: hypervisor, Local: local, ForceCopy: force, Retries: retries, Timeout: timeout,
		Settings: e.settings, Remotes: e.remotes(ssh), SSH: ssh, Out: e.out,
	}
	return e.serve(ctx, threads, d.Actions())
}

// serveScripts runs a driver of scripts on the front-end. Its options are taken from
// args before the first request.
func (e *environment) serveScripts(ctx context.Context, args []string, timeout *time.Duration, actions map[string]agent.Action, options ...agent.Option) error {
	threads := defaultThreads
	options = append(options, intOption('t', "threads", &threads), secondsOption('w', "timeout", timeout))
	if _, err := agent.ParseOptions(args, options); err != nil {
		return err
	}
	return e.serve(ctx, threads, actions)
}

func runTM(ctx context.Context, e *environment, args []string) error {
	r := &transfer.Runner{Dir: filepath.Join(e.layout.Remotes(), "tm"), Out: e.out}
	return e.serveScripts(ctx, args, &r.Timeout, r.Actions(), listOption('d', "tm-types", &r.Drivers))
}

func runDatastore(ctx context.Context, e *environment, args []string) error {
	d := &storage.Driver{Dir: filepath.Join(e.layout.Remotes(), "datastore"), Out: e.out}
	return e.serveScripts(ctx, args, &d.Timeout, d.Actions(), listOption('d', "ds-types", &d.Drivers))
}

func runHook(ctx context.Context, e *environment, args []string) error {
	d := &hook.Driver{SSH: e.ssh(""), Out: e.out}
	return e.serveScripts(ctx, args, &d.Timeout, d.Actions())
}

func runAuth(ctx context.Context, e *environment, args []string) error {
	d := &authn.Driver{Dir: filepath.Join(e.layout.Remotes(), "auth"), Out: e.out}
	return e.serveScripts(ctx, args, &d.Timeout, d.Actions(),
		listOption('n', "authn", &d.Drivers), textOption('z', "authz", &d.Authorizer))
}

func runVMMDummy(ctx context.Context, e *environment, _ []string) error {
	if err := os.MkdirAll(dummy.ActionsDir, 0o755); err != nil {
		return err
	}
	d := &dummy.VMM{Dir: dummy.ActionsDir, Out: e.out}
	return e.serve(ctx, defaultThreads, d.Actions())
}

func runIMDummy(ctx context.Context, e *environment, _ []string) error {
	return e.serve(ctx, defaultThreads, (&dummy.IM{Out: e.out}).Actions())
}

// runCollectd relays reports until oned ends. It has no requests of its own.
func runCollectd(ctx context.Context, e *environment, args []string) error {
	address, port, flush := "0.0.0.0", 4124, 5*time.Second
	var threads, period int // accepted: one receiver suffices, and the period concerns other drivers
	_, err := agent.ParseOptions(args, []agent.Option{
		textOption('a', "address", &address), intOption('p', "port", &port),
		secondsOption('f', "flush", &flush), intOption('t', "threads", &threads), intOption('i', "interval", &period),
	})
	if err != nil {
		return err
	}
	server, err := collect.Listen(address, port, flush, e.out)
	if err != nil {
		return errors.New(err.Error() + ". Could not init collectd, exiting...")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	received := make(chan error, 1)
	go func() { received <- server.Run(ctx) }()
	err = e.serve(ctx, 1, map[string]agent.Action{})
	cancel()
	return errors.Join(err, <-received)
}

// runCollectdClient reports from a host, with the arguments of 4.6's client:
// hypervisor, datastore location, port, period, host id, host name.
func runCollectdClient(ctx context.Context, _ *environment, args []string) error {
	if len(args) != 6 {
		return errors.New("arguments: hypervisor ds_location port seconds host_id host_name")
	}
	var numbers [3]int
	for i, word := range args[2:5] {
		n, err := strconv.Atoi(word)
		if err != nil {
			return err
		}
		numbers[i] = n
	}
	if numbers[1] <= 0 {
		numbers[1] = agent.DefaultSettings().PushSeconds
	}
	address, err := collect.FrontEnd(os.Getenv("SSH_CLIENT"), numbers[0])
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	c := &collect.Client{
		// The program lies in the im directory of the scripts.
		Dir: filepath.Dir(filepath.Dir(self)), Hypervisor: args[0], DSLocation: args[1], HostID: numbers[2], HostName: args[5],
		Address: address, Port: numbers[0], Period: time.Duration(numbers[1]) * time.Second,
	}
	return c.Run(ctx)
}
