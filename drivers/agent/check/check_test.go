package check_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"goned/drivers/agent/check"
)

var build struct {
	once sync.Once
	path string
	err  error
}

// onemad builds the program whose driver processes the check starts.
func onemad(t *testing.T) string {
	t.Helper()
	build.once.Do(func() {
		dir, err := os.MkdirTemp("", "onemad")
		if err != nil {
			build.err = err
			return
		}
		build.path = filepath.Join(dir, "onemad")
		out, err := exec.Command("go", "build", "-o", build.path, "goned/cmd/onemad").CombinedOutput()
		if err != nil {
			t.Logf("%s", out)
			build.err = err
		}
	})
	if build.err != nil {
		t.Skipf("cannot build onemad: %v", build.err)
	}
	return build.path
}

func TestMain(m *testing.M) {
	code := m.Run()
	if build.path != "" {
		os.RemoveAll(filepath.Dir(build.path))
	}
	os.Exit(code)
}

// tmScripts is a transfer driver that keeps its contract.
func tmScripts() map[string]string {
	scripts := map[string]string{}
	for _, name := range []string{"clone", "ln", "mv", "mvds", "cpds", "delete", "premigrate", "postmigrate"} {
		scripts[name] = "#!/bin/sh\nexit 0\n"
	}
	return scripts
}

func TestCheckFindsWhatIsBroken(t *testing.T) {
	program := onemad(t)
	tests := []struct {
		name string
		edit func(s map[string]string)
		want string // in the report; empty for a driver in order
	}{
		{"in order", func(map[string]string) {}, ""},
		{"failing with a reason", func(s map[string]string) { s["clone"] = "#!/bin/sh\necho 'no space left' >&2\nexit 1\n" }, ""},
		{"missing script", func(s map[string]string) { delete(s, "mv") }, "BROKEN mv: script is missing"},
		{"silent failure", func(s map[string]string) { s["ln"] = "#!/bin/sh\nexit 1\n" }, "BROKEN ln with value 0: fails without a reason"},
		{"executes a value", func(s map[string]string) { s["clone"] = "#!/bin/sh\neval \"echo $1\" >/dev/null 2>&1\nexit 0\n" },
			"BROKEN values are never executed"},
		{"hangs", func(s map[string]string) { s["premigrate"] = "#!/bin/sh\nsleep 100\n" }, "BROKEN premigrate with value 0: no answer within"},
		{"no interpreter line", func(s map[string]string) { s["cpds"] = "exit 0\n" }, "BROKEN cpds: script does not begin with #!"},
		{"interpreter missing", func(s map[string]string) { s["cpds"] = "#!/usr/bin/nosuch\n" }, "BROKEN cpds: interpreter /usr/bin/nosuch"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "tm", "site")
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			scripts := tmScripts()
			tt.edit(scripts)
			for name, body := range scripts {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			timeout := time.Minute
			if tt.name == "hangs" {
				timeout = 300 * time.Millisecond
			}
			var report bytes.Buffer
			err := check.Run(context.Background(), check.Options{Dir: dir, Program: program, Timeout: timeout, Out: &report})
			if (err == nil) != (tt.want == "") || !strings.Contains(report.String(), tt.want) {
				t.Errorf("error %v, want %q in report:\n%s", err, tt.want, report.String())
			}
			if _, err := os.Stat(filepath.Join(dir, "transfer.0.check")); err == nil {
				t.Error("traces left in the directory")
			}
		})
	}
}

func TestCheckRefusesOtherDirectories(t *testing.T) {
	for _, dir := range []string{t.TempDir(), "/no/tm/x"} {
		if err := check.Run(context.Background(), check.Options{Dir: dir, Out: &bytes.Buffer{}}); err == nil {
			t.Errorf("%s accepted", dir)
		}
	}
}
