// Command onemad is all stock driver processes of OpenNebula 4.6 in one
// program. The name it is called by, or else its first argument, selects the
// driver; `onemad` alone lists them. oned passes all options as one argument.
// `onemad check DIR` judges whether a driver directory keeps its contract, and
// `onemad authenticate` is what the scripts of remotes/auth call.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"goned/drivers/agent"
	"goned/drivers/agent/check"
	"goned/drivers/agent/run"
)

func main() {
	name, args := selection(os.Args)
	if name == "authenticate" {
		os.Exit(runAuthenticate(args))
	}
	run := func() error { return start(name, args) }
	if name == "check" {
		run = func() error { return runCheck(args) }
	}
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(255) // 4.6's drivers exit with -1
	}
}

// selection finds out which driver is wanted.
func selection(argv []string) (name string, args []string) {
	name, args = filepath.Base(argv[0]), argv[1:]
	if _, ok := programs[name]; !ok && len(args) > 0 {
		// As a program of its own: onemad one_tm -t 15. The whole may also
		// come as the one argument that oned passes.
		if words := strings.Fields(args[0]); len(words) > 0 {
			return words[0], append(words[1:], args[1:]...)
		}
	}
	return name, args
}

// program is one driver.
type program struct {
	// rcFiles below the etc directory are read after defaultrc; %s stands for
	// the last word of the arguments (the hypervisor).
	rcFiles []string
	// prefix comes before the arguments.
	prefix []string
	// debugLog is the name of the log in debug mode; %s as above.
	debugLog string
	run      func(ctx context.Context, env *environment, args []string) error
}

// environment is what every driver needs.
type environment struct {
	layout   agent.Layout
	settings agent.Settings
	out      *agent.Output
	in       io.Reader
}

var errUsage = errors.New("unknown driver")

func start(name string, args []string) error {
	p, ok := programs[name]
	if !ok {
		names := make([]string, 0, len(programs))
		for n := range programs {
			names = append(names, n)
		}
		slices.Sort(names)
		return fmt.Errorf("%w; known are: %s", errUsage, strings.Join(names, " "))
	}
	args = append(slices.Clone(p.prefix), splitWords(args)...)
	layout := agent.LayoutOf(os.Getenv("ONE_LOCATION"))
	if err := applyRC(layout, p, lastWord(args)); err != nil {
		return err
	}
	if err := redirectDebugLog(layout, p, lastWord(args)); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
	}
	if path := os.Getenv(check.TraceVariable); path != "" {
		if err := traceTo(path); err != nil {
			return err
		}
	}
	if err := setPriority(); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
	}
	if _, set := os.LookupEnv(sshOptionsVariable); !set {
		if err := os.Setenv(sshOptionsVariable, strings.Join(scriptOptions(), " ")); err != nil {
			return fmt.Errorf("pass the ssh options on: %w", err)
		}
	}
	settings, err := agent.ReadSettings(layout)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		fmt.Fprintf(os.Stderr, "%s: read configuration: %v\n", name, err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer stop()
	signal.Ignore(syscall.SIGPIPE) // oned may be gone; the end of our input says so
	env := &environment{layout: layout, settings: settings, out: agent.NewOutput(os.Stdout), in: os.Stdin}
	return p.run(ctx, env, args)
}

// splitWords takes the arguments apart at blanks, as the shell wrappers of 4.6
// do with the one argument that oned passes.
func splitWords(args []string) []string {
	var words []string
	for _, a := range args {
		words = append(words, strings.Fields(a)...)
	}
	return words
}

func lastWord(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[len(args)-1]
}

// applyRC exports the assignments of the rc files, to us and to all scripts.
func applyRC(l agent.Layout, p program, hypervisor string) error {
	for _, file := range append([]string{"defaultrc"}, p.rcFiles...) {
		if strings.ContainsRune(hypervisor, '/') && strings.Contains(file, "%s") {
			continue
		}
		env, err := agent.ReadRC(filepath.Join(l.Etc, strings.ReplaceAll(file, "%s", hypervisor)))
		if err != nil {
			return err
		}
		for _, assignment := range env {
			key, value, _ := strings.Cut(assignment, "=")
			if err := os.Setenv(key, value); err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
		}
	}
	return nil
}

// redirectDebugLog appends stderr to a log file if ONE_MAD_DEBUG is set.
func redirectDebugLog(l agent.Layout, p program, hypervisor string) error {
	if os.Getenv("ONE_MAD_DEBUG") == "" || p.debugLog == "" {
		return nil
	}
	name := strings.ReplaceAll(p.debugLog, "%s", filepath.Base(hypervisor)) + ".log"
	f, err := os.OpenFile(filepath.Join(l.Log, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	defer f.Close()
	return syscall.Dup3(int(f.Fd()), int(os.Stderr.Fd()), 0)
}

// traceTo records every command in a file, as a line of JSON each.
func traceTo(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	records := json.NewEncoder(f)
	var mu sync.Mutex // guards records
	run.Trace = func(r run.Record) {
		mu.Lock()
		defer mu.Unlock()
		if err := records.Encode(r); err != nil {
			fmt.Fprintf(os.Stderr, "trace: %v\n", err)
		}
	}
	return nil
}

// serve runs a driver's request loop.
func (e *environment) serve(ctx context.Context, threads int, actions map[string]agent.Action) error {
	return agent.NewServer(e.out, threads, actions).Serve(ctx, e.in)
}

// sshOptionsVariable tells the scripts that reach hosts themselves how.
const sshOptionsVariable = "ONE_SSH_OPTIONS"

// sshOptions make connections to a host shared, unless ONE_SSH_SHARE, in an rc
// file or the environment, is "no".
func sshOptions() []string {
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("one-ssh-%d", os.Geteuid()))
	if strings.EqualFold(os.Getenv("ONE_SSH_SHARE"), "no") || strings.ContainsAny(dir, " \t*?[") {
		return nil
	}
	return run.MuxOptions(dir)
}

// scriptOptions are the same for scripts, which read what ssh says to its end.
// Releases before 9 may leave that open in the process that holds the shared
// connection, so that they would wait for its end.
func scriptOptions() []string {
	options := sshOptions()
	if options == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "ssh", "-V").CombinedOutput()
	release := sshRelease.FindSubmatch(out)
	if err != nil || release == nil {
		return nil
	}
	if major, err := strconv.Atoi(string(release[1])); err != nil || major < 9 {
		return nil
	}
	return options
}

var sshRelease = regexp.MustCompile(`^OpenSSH_(\d+)\.`)

// ssh is how the drivers reach hosts. Those in ONE_LOCAL_HOSTS are this machine.
func (e *environment) ssh(shell string) *run.SSH {
	return &run.SSH{Shell: shell, LocalHosts: strings.Fields(os.Getenv("ONE_LOCAL_HOSTS")), Options: sshOptions()}
}

func (e *environment) remotes(ssh *run.SSH) *run.Remotes {
	return &run.Remotes{Local: e.layout.Remotes(), Remote: e.settings.RemoteDir, SSH: ssh}
}

// intOption is a numeric option; without a number it is 0, as in 4.6.
func intOption(short byte, long string, value *int) agent.Option {
	return agent.Option{Short: short, Long: long, Value: agent.MayHaveValue, Set: func(v string) error {
		if v == "" {
			*value = 0
			return nil
		}
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 {
			return fmt.Errorf("%q is no number", v)
		}
		*value = n
		return nil
	}}
}

// secondsOption is a time limit in seconds; 0 means none.
func secondsOption(short byte, long string, value *time.Duration) agent.Option {
	var n int
	o := intOption(short, long, &n)
	set := o.Set
	o.Set = func(v string) error {
		if err := set(v); err != nil {
			return err
		}
		*value = time.Duration(n) * time.Second
		return nil
	}
	return o
}

func textOption(short byte, long string, value *string) agent.Option {
	return agent.Option{Short: short, Long: long, Value: agent.NeedsValue, Set: func(v string) error {
		*value = v
		return nil
	}}
}

func listOption(short byte, long string, value *[]string) agent.Option {
	return agent.Option{Short: short, Long: long, Value: agent.MayHaveValue, Set: func(v string) error {
		*value = []string{}
		for item := range strings.SplitSeq(v, ",") {
			if item = strings.TrimSpace(item); item != "" {
				*value = append(*value, item)
			}
		}
		return nil
	}}
}

func flagOption(short byte, long string, value *bool) agent.Option {
	return agent.Option{Short: short, Long: long, Value: agent.NoValue, Set: func(string) error {
		*value = true
		return nil
	}}
}
