// Package scriptstest runs the driver scripts as the driver processes do, with
// the tools they call replaced by stubs that record the call.
package scriptstest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// answer is what a stub does for calls that start with call. Tools without an
// answer succeed and print nothing.
type answer struct {
	Call   string
	Stdout string
	Stderr string
	Exit   int
	// Times limits how often the answer is given; 0 is without limit.
	Times int
}

// stubPlan is what the stubs of one run read.
type stubPlan struct {
	Log     string
	Answers []answer
	// Remote makes ssh run what it gets, so that the commands meant for a host
	// are checked, too.
	Remote bool
}

const planVariable = "SCRIPT_TEST_PLAN"

// TestMain lets the test binary be the stub of any tool: links to it, named like
// the tool, are first on PATH.
func TestMain(m *testing.M) {
	if plan := os.Getenv(planVariable); plan != "" {
		os.Exit(stub(plan, filepath.Base(os.Args[0]), os.Args[1:]))
	}
	os.Exit(m.Run())
}

func stub(planFile, name string, args []string) int {
	data, err := os.ReadFile(planFile)
	if err != nil {
		return 125
	}
	var plan stubPlan
	if err := json.Unmarshal(data, &plan); err != nil {
		return 125
	}
	call := strings.Join(append([]string{name}, args...), " ")
	var stdin []byte
	if readsStdin(name, args) {
		stdin, _ = io.ReadAll(os.Stdin)
	}
	record(plan.Log, call, stdin)

	if name == "ssh" && plan.Remote {
		return runRemote(args, stdin)
	}
	for i, a := range plan.Answers {
		if !strings.HasPrefix(call, a.Call) || exhausted(plan.Log, i, a) {
			continue
		}
		fmt.Fprint(os.Stdout, a.Stdout)
		fmt.Fprint(os.Stderr, a.Stderr)
		return a.Exit
	}
	return 0
}

// exhausted counts the uses of an answer beside the log.
func exhausted(log string, index int, a answer) bool {
	if a.Times == 0 {
		return false
	}
	file := fmt.Sprintf("%s.answer%d", log, index)
	used, _ := os.ReadFile(file)
	if len(used) >= a.Times {
		return true
	}
	return os.WriteFile(file, append(used, 'x'), 0o600) != nil
}

// readsStdin tells the tools that are fed by the scripts.
func readsStdin(name string, args []string) bool {
	switch name {
	case "ssh":
		return len(args) < 1 || args[0] != "-n"
	case "virsh":
		return len(args) > 0 && args[len(args)-1] == "/dev/stdin"
	}
	return false
}

func record(log, call string, stdin []byte) {
	f, err := os.OpenFile(log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	defer f.Close()
	line := "$ " + call + "\n"
	if bytes.ContainsRune(stdin, 0) {
		stdin = []byte("(binary)\n")
	}
	for _, l := range strings.SplitAfter(string(stdin), "\n") {
		if l != "" {
			line += "| " + strings.TrimSuffix(l, "\n") + "\n"
		}
	}
	_, _ = f.WriteString(line)
}

// runRemote is the other host: its shell reads the command line that ssh is given.
func runRemote(args []string, stdin []byte) int {
	if len(args) > 0 && args[0] == "-n" {
		args = args[1:]
	}
	if len(args) < 2 {
		return 255
	}
	cmd := exec.Command("sh", "-c", strings.Join(args[1:], " "))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return exit.ExitCode()
		}
		return 126
	}
	return 0
}

// stubbed are the tools no test may really call.
var stubbed = []string{
	"ssh", "scp", "sudo", "virsh", "xentop", "sleep", "curl", "wget", "onevm", "lsmod",
	"qemu-img", "rbd", "rados", "vmkfstools", "lvs", "lvcreate", "ps", "top", "setsid", "brctl", "vconfig",
}

// result is what a script did.
type result struct {
	Exit           int
	Stdout, Stderr string
	// Calls are the stubs' records.
	Calls string
}

// call describes one run of a script.
type call struct {
	script  string // relative to drivers/
	args    []string
	stdin   string
	env     []string
	answers []answer
	remote  bool
	// real are tools that are not stubbed.
	real []string
}

// driversDir is the directory of the scripts.
func driversDir(t testing.TB) string {
	t.Helper()
	dir, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// run executes the script with dir as working directory and, as ONE_LOCATION, the
// place of a cloud.
func run(t testing.TB, dir string, c call) result {
	t.Helper()
	return runProgram(t, dir, filepath.Join(driversDir(t), c.script), c)
}

// runProgram is run for a script that is elsewhere.
func runProgram(t testing.TB, dir, program string, c call) result {
	t.Helper()
	bin := filepath.Join(dir, ".stubs")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	isReal := map[string]bool{}
	for _, name := range c.real {
		isReal[name] = true
	}
	for _, name := range stubbed {
		if isReal[name] {
			continue
		}
		if err := makeStub(filepath.Join(bin, name), self, c.answers); err != nil {
			t.Fatal(err)
		}
	}
	log := filepath.Join(dir, ".calls")
	_ = os.Remove(log)
	plan, err := json.Marshal(stubPlan{Log: log, Answers: c.answers, Remote: c.remote})
	if err != nil {
		t.Fatal(err)
	}
	planFile := filepath.Join(dir, ".plan")
	if err := os.WriteFile(planFile, plan, 0o600); err != nil {
		t.Fatal(err)
	}

	// Not the test's context: that one has ended when the test's clean-up calls this.
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, c.args...)
	cmd.Dir = dir
	cmd.Stdin = strings.NewReader(c.stdin)
	cmd.Env = append([]string{
		"PATH=" + bin + ":/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=" + filepath.Join(dir, "home"),
		"TMPDIR=" + dir,
		"ONE_LOCATION=" + dir,
		"XEN_STATE_DIR=" + filepath.Join(dir, "xen"),
		"QEMU_RUN_DIR=" + filepath.Join(dir, "qemu"),
		"XM_PATH=/usr/sbin/xl",
		planVariable + "=" + planFile,
		"SCRIPT_TEST_LOG=" + log,
	}, c.env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = 5 * time.Second
	err = cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("%s %q did not end within 5 minutes; stderr: %s", program, c.args, stderr.String())
	}
	res := result{Stdout: stdout.String(), Stderr: stderr.String()}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		res.Exit = exit.ExitCode()
	case err != nil:
		t.Fatalf("%s: %v", program, err)
	}
	calls, _ := os.ReadFile(log)
	res.Calls = string(calls)
	return res
}

// makeStub makes a tool that is a link to the test binary or, when it only has to
// record that it was called, a few lines of shell, which start faster. A tool that
// is there already is a test's own.
func makeStub(path, self string, answers []answer) error {
	if _, err := os.Lstat(path); err == nil {
		return nil
	}
	name := filepath.Base(path)
	needed := name == "ssh" || name == "virsh"
	for _, a := range answers {
		needed = needed || strings.HasPrefix(a.Call, name)
	}
	if needed {
		return os.Symlink(self, path)
	}
	script := "#!/bin/sh\nprintf '%s\\n' \"\\$ " + name + "${*:+ $*}\" >>\"$SCRIPT_TEST_LOG\"\n"
	return os.WriteFile(path, []byte(script), 0o755)
}

var (
	randomName = regexp.MustCompile(`(rbd\.attach|one-(?:poll|download|stat))\.[A-Za-z0-9]{6}`)
	epoch      = regexp.MustCompile(`checkpoint\.[0-9]{9,}`)
	imageHash  = regexp.MustCompile(`\b[0-9a-f]{32}\b`)
)

// golden compares a result with testdata/<name>.golden, places and times masked.
func golden(t *testing.T, name, dir string, r result) {
	t.Helper()
	got := fmt.Sprintf("exit %d\n-- stdout --\n%s-- stderr --\n%s-- calls --\n%s", r.Exit, r.Stdout, r.Stderr, r.Calls)
	got = strings.ReplaceAll(got, driversDir(t), "@DRIVERS@")
	got = strings.ReplaceAll(got, dir, "@DIR@")
	got = randomName.ReplaceAllString(got, "$1.@RANDOM@")
	got = epoch.ReplaceAllString(got, "checkpoint.@EPOCH@")
	got = imageHash.ReplaceAllString(got, "@HASH@")
	file := filepath.Join("testdata", filepath.FromSlash(name)+".golden")
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// b64 is how the driver processes hand over documents.
func b64(document string) string {
	return base64.StdEncoding.EncodeToString([]byte(document))
}

// writeFile makes a file below dir, with its directories.
func writeFile(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
