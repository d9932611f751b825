// Package check runs a driver directory through the real driver process and
// the real protocol and judges whether it keeps its contract: every script is
// there, every request is answered in time and in form, a failure of a tool
// becomes one of the request and says why, and no value of a request is ever
// executed or split into words.
//
// No tool of a hypervisor or storage system is touched: the scripts find
// stand-ins for them, which behave in a different way in each round.
package check

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"goned/drivers/mad"
)

// Options of a check.
type Options struct {
	// Dir is the driver directory: …/vmm/<name>, …/tm/<name>,
	// …/datastore/<name>, …/vnm/<name>, …/auth/<name> or …/im/<name>-probes.d.
	Dir string
	// Remotes is the script tree that the directory belongs to or that it is
	// to be put into; the directory above its kind's if empty.
	Remotes string
	// Program and Env start a driver process: its first argument is the
	// driver's name with its arguments.
	Program string
	Env     []string
	// Timeout bounds one request.
	Timeout time.Duration
	// Quick tries one hostile value that is a bit of everything instead of
	// one of each sort.
	Quick bool
	// Only are the scripts to run; all if empty. Static checks are of all.
	Only []string
	Out  io.Writer
}

// wanted reports whether a script is to be run; actions are named like their
// script, apart from underscores.
func (c *checker) wanted(name string) bool {
	if len(c.Only) == 0 {
		return true
	}
	return slices.ContainsFunc(c.Only, func(only string) bool {
		return strings.ReplaceAll(only, "_", "") == strings.ToLower(name)
	})
}

// TraceVariable names the environment variable that makes a driver process
// record its commands, as run.Record in JSON, in the file it says.
const TraceVariable = "ONE_MAD_TRACE"

// kinds are the checks by the name of the directory above.
var kinds = map[string]struct {
	scripts []string
	run     func(c *checker)
}{
	"vmm": {[]string{"deploy", "shutdown", "cancel", "save", "restore", "migrate", "reboot", "reset", "poll", "attach_disk",
		"detach_disk", "attach_nic", "detach_nic", "snapshot_create", "snapshot_revert", "snapshot_delete"}, checkVMM},
	"tm":        {[]string{"clone", "ln", "mv", "mvds", "cpds", "delete", "premigrate", "postmigrate"}, checkTM},
	"datastore": {[]string{"cp", "mkfs", "clone", "rm", "stat", "monitor"}, checkDatastore},
	"vnm":       {[]string{"pre", "post", "clean"}, checkNetwork},
	"auth":      {[]string{"authenticate"}, checkAuth},
	"im":        {nil, checkProbes},
}

// checker is one check at work.
type checker struct {
	Options
	kind, name string
	// root is a self-contained installation made for the check, tools the
	// directory of stand-ins, canary the file that the canary tool makes.
	root, tools, canary string
	// split is the file made when a value arrives somewhere in pieces, calls
	// where the stand-ins record that they failed, trace what scripts did.
	split, calls, trace string
	round               round
	noted               map[string]bool // scripts that a note was written about

	failures int
	passed   int
}

// round is how the stand-ins behave.
type round int

const (
	// failing: every tool fails and says why.
	failing round = iota
	// succeeding: every tool succeeds and prints nothing.
	succeeding
	// dying: every tool writes more bytes to stderr than a pipe holds and is killed.
	dying
	// unreachable: no host can be reached. For scripts that do so themselves.
	unreachable
)

// Run checks a directory and writes what it finds to Out. The error says that
// the check could not be done, or how many points failed.
func Run(ctx context.Context, o Options) error {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return err
	}
	c := &checker{Options: o, kind: filepath.Base(filepath.Dir(dir)), name: filepath.Base(dir)}
	c.Dir = dir
	if c.Timeout == 0 {
		c.Timeout = time.Minute
	}
	if c.Remotes == "" {
		c.Remotes = filepath.Dir(filepath.Dir(dir))
	}
	kind, ok := kinds[c.kind]
	if !ok {
		return fmt.Errorf("%s is no driver directory: the directory above must be vmm, tm, datastore, vnm, auth or im", dir)
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return fmt.Errorf("%s is no directory", dir)
	}
	if c.root, err = os.MkdirTemp("", "driver-check"); err != nil {
		return err
	}
	defer os.RemoveAll(c.root)
	if err := c.install(); err != nil {
		return fmt.Errorf("prepare check: %w", err)
	}
	c.static(kind.scripts)
	rounds := []round{failing, succeeding, dying}
	if c.kind == "tm" || c.kind == "datastore" {
		rounds = append(rounds, unreachable)
	}
	for _, c.round = range rounds {
		if err := c.makeTools(); err != nil {
			return fmt.Errorf("prepare check: %w", err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		kind.run(c)
	}
	_, err = os.Stat(c.canary)
	c.verdict("values are never executed", err != nil, "a value of a request was executed as shell text")
	pieces, err := os.ReadFile(c.split)
	c.verdict("values are never split", err != nil, "a value with blanks reached %s in pieces", names(pieces))
	fmt.Fprintf(c.Out, "%s/%s: %d points kept, %d broken\n", c.kind, c.name, c.passed, c.failures)
	if c.failures > 0 {
		return fmt.Errorf("%d points of the contract are broken", c.failures)
	}
	return nil
}

func (c *checker) verdict(point string, ok bool, problem string, args ...any) {
	if ok {
		c.passed++
		return
	}
	c.failures++
	fmt.Fprintf(c.Out, "BROKEN %s: %s\n", point, fmt.Sprintf(problem, args...))
}

// install makes an installation with a copy of the scripts, so that the check
// leaves no trace in the original.
func (c *checker) install() error {
	c.canary = filepath.Join(c.root, "executed")
	c.split = filepath.Join(c.root, "split")
	c.calls = filepath.Join(c.root, "failed-calls")
	c.trace = filepath.Join(c.root, "trace")
	c.tools = filepath.Join(c.root, "tools")
	remotes := filepath.Join(c.root, "var/remotes")
	if err := copyTree(c.Remotes, remotes, 0); err != nil {
		return err
	}
	if err := copyTree(c.Dir, filepath.Join(remotes, c.kind, c.name), 0); err != nil {
		return err
	}
	for _, dir := range []string{"etc", "var/vms", "var/datastores/0/7", "var/datastores/1", "lib/sh", "lib/mads", "tools"} {
		if err := os.MkdirAll(filepath.Join(c.root, dir), 0o755); err != nil {
			return err
		}
	}
	if program, err := filepath.Abs(c.Program); err == nil {
		if err := os.Symlink(program, filepath.Join(c.root, "lib/mads/onemad")); err != nil {
			return err
		}
	}
	// Scripts written for 4.6 source the common functions from lib/sh.
	if data, err := os.ReadFile(filepath.Join(remotes, "scripts_common.sh")); err == nil {
		if err := os.WriteFile(filepath.Join(c.root, "lib/sh/scripts_common.sh"), data, 0o644); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(c.root, "etc/defaultrc"), []byte("PRIORITY=0\n"), 0o644); err != nil {
		return err
	}
	// Hosts have the same scripts in the same place.
	return os.WriteFile(filepath.Join(c.root, "var/config"), []byte("SCRIPTS_REMOTE_DIR="+remotes+"\n"), 0o644)
}

// copyTree copies scripts: links followed, sources of programs left out.
func copyTree(from, to string, depth int) error {
	const maxDepth = 16
	if depth > maxDepth {
		return fmt.Errorf("%s: nested too deep", from)
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		source, target := filepath.Join(from, e.Name()), filepath.Join(to, e.Name())
		info, err := os.Stat(source)
		switch {
		case err != nil, strings.HasSuffix(e.Name(), ".go"), e.Name() == "testdata":
			continue
		case info.IsDir():
			if err := copyTree(source, target, depth+1); err != nil {
				return err
			}
		case info.Mode().IsRegular():
			data, err := os.ReadFile(source)
			if err != nil {
				return err
			}
			_ = os.Remove(target) // a file that is there may be read-only
			if err := os.WriteFile(target, data, info.Mode().Perm()|0o400); err != nil {
				return err
			}
		}
	}
	return nil
}

// static checks that the scripts are there and can be run.
func (c *checker) static(scripts []string) {
	if c.kind == "im" {
		entries, _ := os.ReadDir(c.Dir)
		for _, e := range entries {
			scripts = append(scripts, e.Name())
		}
		c.verdict("probes", len(scripts) > 0, "the directory is empty")
	}
	for _, name := range scripts {
		path := filepath.Join(c.root, "var/remotes", c.kind, c.name, name)
		info, err := os.Stat(path)
		if err != nil {
			c.verdict(name, false, "script is missing")
			continue
		}
		executable := info.Mode().IsRegular() && info.Mode()&0o111 != 0
		if c.kind == "im" && !executable {
			continue // run_probes passes over such files
		}
		c.verdict(name, executable, "script is not executable")
		data, _ := os.ReadFile(path)
		first, _, _ := strings.Cut(string(data), "\n")
		interpreter, _, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(first, "#!")), " ")
		if !strings.HasPrefix(first, "#!") {
			if strings.HasPrefix(first, "\x7fELF") {
				continue
			}
			c.verdict(name, false, "script does not begin with #!")
			continue
		}
		_, err = os.Stat(interpreter)
		c.verdict(name, err == nil, "interpreter %s is not on this machine", interpreter)
		if base := filepath.Base(interpreter); err == nil && (base == "sh" || base == "bash" || base == "dash") {
			out, err := exec.Command(interpreter, "-n", path).CombinedOutput()
			c.verdict(name, err == nil, "%s", strings.TrimSpace(string(out)))
		}
	}
}

// has reports whether the directory has an optional script.
func (c *checker) has(script string) bool {
	_, err := os.Stat(filepath.Join(c.root, "var/remotes", c.kind, c.name, script))
	return err == nil
}

// standIns are the programs that a check must not reach.
var standIns = []string{"sudo", "su", "xl", "xm", "xentop", "virsh", "qemu-system-x86_64", "kvm", "brctl", "ip", "vconfig",
	"ebtables", "iptables", "ip6tables", "ovs-vsctl", "ovs-ofctl", "lvs", "lvcreate", "lvremove", "lvrename", "lvchange",
	"vgdisplay", "rbd", "rados", "vmkfstools", "wget", "curl", "onevm", "onehost", "nc", "socat"}

// canaryTool is a command that only values executed as shell text run.
const canaryTool = "one-check-canary"

// makeTools writes the stand-ins. ssh runs the command here, as another host
// would; scp copies here.
func (c *checker) makeTools() error {
	failed := "printf '%s\\n' \"${0##*/}\" >>'" + c.calls + "'\n"
	end := "exit 0\n"
	switch c.round {
	case failing:
		end = failed + "echo \"error: ${0##*/} is a stand-in that fails\" >&2\nexit 1\n"
	case dying:
		end = failed + "head -c 150000 /dev/urandom >&2\nkill -9 $$\n"
	}
	whole := "for word; do [ \"$word\" != " + splitWord + " ] || printf '%s ' \"${0##*/}\" >>'" + c.split + "'; done\n"
	for _, name := range standIns {
		if err := c.tool(name, whole+end); err != nil {
			return err
		}
	}
	// Scripts that wait for something wait in vain here.
	if err := c.tool("sleep", "exec /bin/sleep 0.01\n"); err != nil {
		return err
	}
	if err := c.tool(canaryTool, "touch '"+c.canary+"'\n"); err != nil {
		return err
	}
	ssh, scp := sshStandIn, scpStandIn
	if c.round == unreachable {
		ssh = failed + "echo 'ssh: connect to host host1 port 22: No route to host' >&2\nexit 255\n"
		scp = ssh
	}
	if err := c.tool("ssh", ssh); err != nil {
		return err
	}
	return c.tool("scp", scp)
}

// splitWord is a word between blanks in a value: it must never be an argument
// of its own.
const splitWord = "one-check-split"

func (c *checker) tool(name, body string) error {
	return os.WriteFile(filepath.Join(c.tools, name), []byte("#!/bin/sh\n"+body), 0o755)
}

const sshStandIn = `while [ $# -gt 0 ]; do
    case $1 in
        -[bcDEeFIiJLlmOopQRSWw]) shift 2 ;;
        -*) shift ;;
        *) break ;;
    esac
done
shift
[ $# -gt 0 ] || exec sh
exec sh -c "$*"
`

const scpStandIn = `options=
while [ $# -gt 2 ]; do
    case $1 in
        -o | -P | -F | -i) shift ;;
    esac
    shift
done
exec cp -R -- "${1#*:}" "${2#*:}"
`

// driver is a driver process in the check's installation.
type driver struct {
	*mad.Driver
	c       *checker
	mu      sync.Mutex // guards lines and died
	lines   []mad.Message
	arrived chan struct{}
	died    bool
}

// start runs a driver process; nil if it does not come up.
func (c *checker) start(command string) *driver {
	d := &driver{c: c, arrived: make(chan struct{}, 1)}
	env := append([]string{
		"ONE_LOCATION=" + c.root, "PATH=" + c.tools + ":" + os.Getenv("PATH"), "ONE_SSH_SHARE=no", "TMPDIR=" + c.root,
		"HOME=" + c.root, TraceVariable + "=" + c.trace,
	}, c.Env...)
	d.Driver = mad.New(mad.Config{
		Name: command, Executable: c.Program, Args: []string{command}, Env: env, WorkDir: filepath.Join(c.root, "var"),
		Log: slog.New(slog.DiscardHandler),
	}, mad.Handler{Line: d.line, Down: func(error) { d.mu.Lock(); d.died = true; d.mu.Unlock() }})
	if err := d.Start(context.Background()); err != nil {
		c.verdict(command, false, "driver process does not start: %v", err)
		return nil
	}
	return d
}

func (d *driver) line(m mad.Message) {
	d.mu.Lock()
	d.lines = append(d.lines, m)
	d.mu.Unlock()
	select {
	case d.arrived <- struct{}{}:
	default:
	}
}

// stop ends the process and checks that it lived that long.
func (d *driver) stop() {
	d.Stop()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.c.verdict("driver process", !d.died, "it died while it worked")
}

// ask sends a request and waits for its answer, and judges what scripts did
// for it; ok is false without an answer.
func (d *driver) ask(point, line string) (answer mad.Message, ok bool) {
	_ = os.Remove(d.c.calls)
	_ = os.Truncate(d.c.trace, 0) // the driver appends to it
	if answer, ok = d.exchange(point, line); ok {
		d.c.judgeScripts(point)
		d.c.reason(point, answer)
	}
	return answer, ok
}

func (d *driver) exchange(point, line string) (answer mad.Message, ok bool) {
	words := strings.Fields(line)
	if err := d.Send(line); err != nil {
		d.c.verdict(point, false, "request cannot be sent: %v", err)
		return answer, false
	}
	timer := time.NewTimer(d.c.Timeout)
	defer timer.Stop()
	for {
		d.mu.Lock()
		for i, m := range d.lines {
			if m.Action == words[0] && fmt.Sprint(m.ID) == words[1] {
				d.lines = append(d.lines[:i], d.lines[i+1:]...)
				d.mu.Unlock()
				d.c.verdict(point, m.Result == "SUCCESS" || m.Result == "FAILURE", "result is %q", m.Result)
				return m, true
			}
		}
		d.mu.Unlock()
		select {
		case <-d.arrived:
		case <-timer.C:
			d.c.verdict(point, false, "no answer within %v", d.c.Timeout)
			return answer, false
		}
	}
}

// reason checks that a failure says why.
func (c *checker) reason(point string, m mad.Message) {
	if !m.Success() {
		c.verdict(point, m.Info() != "", "fails without a reason")
	}
}

// mustFail checks that a request did not succeed if a tool failed for it, in
// rounds where every tool fails.
func (c *checker) mustFail(point string, m mad.Message) {
	if tools := c.failedTools(); tools != "" {
		c.verdict(point, !m.Success(), "succeeds although %s failed", tools)
	}
}

// mayPass is for requests that may take a tool's failure for an answer, such
// as that of a domain which is not there.
func (c *checker) mayPass(script string, m mad.Message) {
	if tools := c.failedTools(); tools != "" && m.Success() {
		c.note(script, "succeeds although "+tools+" failed")
	}
}

// failedTools are the stand-ins that failed for the request.
func (c *checker) failedTools() string {
	failed, err := os.ReadFile(c.calls)
	if c.round == succeeding || err != nil {
		return ""
	}
	return names(failed)
}

// names lists the words of a record of the stand-ins, each once.
func names(record []byte) string {
	words := strings.Fields(string(record))
	slices.Sort(words)
	return strings.Join(slices.Compact(words), ", ")
}
