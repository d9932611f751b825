package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "mm_sched")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(dir, "mm_sched")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// location makes a self-contained installation with that sched.conf.
func location(t *testing.T, conf string) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{"etc", "var"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for path, text := range map[string]string{"etc/sched.conf": conf, "one_auth": "oneadmin:secret\n"} {
		if err := os.WriteFile(filepath.Join(dir, path), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func command(t *testing.T, location string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append(os.Environ(), "ONE_LOCATION="+location, "ONE_AUTH="+filepath.Join(location, "one_auth"))
	return cmd
}

func exitCode(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	return -1
}

// closedPort is a port where nobody listens.
func closedPort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func TestSignalsEndItCleanly(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			dir := location(t, fmt.Sprintf("ONED_PORT = %d\n", closedPort(t)))
			cmd := command(t, dir)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			log := filepath.Join(dir, "var", "sched.log")
			for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
				text, err := os.ReadFile(log)
				if err == nil && strings.Contains(string(text), "[SCHED][E]: Cannot contact oned, will retry... Error: ") {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("oned is down and sched.log does not say so:\n%s", text)
				}
			}
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			if code := exitCode(cmd.Wait()); code != 0 {
				t.Errorf("exit status %d", code)
			}
		})
	}
}

func TestFailuresToStart(t *testing.T) {
	tests := []struct {
		name, conf string
		auth       bool
		want       string
	}{
		{"configuration", "A = [", true, "Error reading configuration file."},
		{"log", `LOG = [ system = "paper" ]`, true, "Unknown LOG_SYSTEM."},
		{"credentials", "", false, "Could not open file: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := location(t, tt.conf)
			if !tt.auth {
				if err := os.Remove(filepath.Join(dir, "one_auth")); err != nil {
					t.Fatal(err)
				}
			}
			out, err := command(t, dir).Output()
			if code := exitCode(err); code != exitFailure {
				t.Errorf("exit status %d", code)
			}
			if !strings.Contains(string(out), tt.want) {
				t.Errorf("output %q, want %q", out, tt.want)
			}
		})
	}
}

// The case of an operator who could not see why a machine stayed pending.
func TestExplainOffline(t *testing.T) {
	pool, err := filepath.Abs(filepath.Join("testdata", "pinned.xml"))
	if err != nil {
		t.Fatal(err)
	}
	out, err := command(t, location(t, ""), "explain", "-pool", pool, "234").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`ID = "30" is false: found "0"`,
		"The host is in cluster 100 (kvm)",
		"datastore 0 (system) is in no cluster",
		"Result: No host that suits has a suitable system datastore in its cluster: it stays PENDING.",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the output lacks %q\n%s", want, out)
		}
	}
}

func TestExplainErrors(t *testing.T) {
	dir := location(t, fmt.Sprintf("ONED_PORT = %d\n", closedPort(t)))
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"no machine", []string{"explain"}, "Usage: mm_sched"},
		{"no number", []string{"explain", "x"}, "Usage: mm_sched"},
		{"unknown command", []string{"explode"}, "Usage: mm_sched"},
		{"no such file", []string{"explain", "-pool", "none.xml", "1"}, "none.xml"},
		{"another machine", []string{"explain", "-pool", "testdata/pinned.xml", "9"}, "no VM 9"},
		{"oned is down", []string{"explain", "1"}, "contact oned"},
		{"oned is down, snapshot", []string{"snapshot", filepath.Join(dir, "s.xml")}, "contact oned"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, err := command(t, dir, tt.args...).CombinedOutput()
			if code := exitCode(err); code != exitFailure {
				t.Errorf("exit status %d", code)
			}
			if !strings.Contains(string(out), tt.want) {
				t.Errorf("output %q, want %q", out, tt.want)
			}
		})
	}
}
