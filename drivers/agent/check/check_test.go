package check_test

import (
	"bytes"
	"context"
	"maps"
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

// vmmScripts is a hypervisor driver that keeps its contract with one tool.
func vmmScripts() map[string]string {
	const tool = "#!/bin/sh\nxl \"$1\" || { echo 'xl failed' >&2; exit 1; }\n"
	scripts := map[string]string{}
	for _, name := range []string{"shutdown", "cancel", "save", "restore", "migrate", "reboot", "reset", "attach_disk", "detach_disk",
		"attach_nic", "detach_nic", "snapshot_revert", "snapshot_delete"} {
		scripts[name] = tool
	}
	scripts["deploy"] = tool + "cat >\"$1\"; echo one-7\n"
	scripts["snapshot_create"] = tool + "echo snapshot\n"
	scripts["poll"] = "#!/bin/sh\necho STATE=a USEDCPU=1\n"
	return scripts
}

func datastoreScripts() map[string]string {
	scripts := map[string]string{}
	for _, name := range []string{"cp", "clone", "mkfs"} {
		scripts[name] = "#!/bin/sh\necho /source\n"
	}
	scripts["rm"] = "#!/bin/sh\nssh host1 true || { echo 'no host' >&2; exit 1; }\n"
	scripts["stat"] = "#!/bin/sh\necho 12\n"
	scripts["monitor"] = "#!/bin/sh\nprintf 'USED_MB=1\\nTOTAL_MB=2\\nFREE_MB=1\\n'\n"
	return scripts
}

// set replaces a script.
func set(name, body string) func(map[string]string) {
	return func(s map[string]string) { s[name] = "#!/bin/sh\n" + body }
}

func TestCheckFindsWhatIsBroken(t *testing.T) {
	program := onemad(t)
	keep := func(map[string]string) {}
	tests := []struct {
		name, kind string
		edit       func(s map[string]string)
		want       string // in the report; empty for a driver in order
	}{
		{"transfer driver in order", "tm", keep, ""},
		{"hypervisor driver in order", "vmm", keep, ""},
		{"datastore driver in order", "datastore", keep, ""},
		{"failing with a reason", "tm", set("clone", "echo 'no space left' >&2\nexit 1\n"), ""},
		{"missing script", "tm", func(s map[string]string) { delete(s, "mv") }, "BROKEN mv: script is missing"},
		{"silent failure", "tm", set("ln", "exit 1\n"), "BROKEN ln with value 0: fails without a reason"},
		{"executes a value", "tm", set("clone", "eval \"echo $1\" >/dev/null 2>&1\nexit 0\n"), "BROKEN values are never executed"},
		{"executes a value in another shell", "vmm", set("save", "ssh host1 \"echo $1\" >/dev/null\n"), "BROKEN values are never executed"},
		{"splits a value", "vmm", set("attach_nic", "xl attach $1 || { echo failed >&2; exit 1; }\n"), "BROKEN values are never split: a value with blanks reached xl in pieces"},
		{"hangs", "tm", set("premigrate", "exec tail -f /dev/null\n"), "BROKEN premigrate with value 0: no answer within"},
		{"no interpreter line", "tm", func(s map[string]string) { s["cpds"] = "exit 0\n" }, "BROKEN cpds: script does not begin with #!"},
		{"interpreter missing", "tm", func(s map[string]string) { s["cpds"] = "#!/usr/bin/nosuch\n" }, "BROKEN cpds: interpreter /usr/bin/nosuch"},
		{"not executable", "tm", func(s map[string]string) { s["cpds -"] = s["cpds"]; delete(s, "cpds") }, "BROKEN cpds: script is not executable"},
		{"bad syntax", "tm", set("mv", "if true; then\n"), "BROKEN mv: "},
		{"unknown command", "tm", set("mv", "no-such-command-here\n"), "BROKEN mv with value 0: mv ends with status 127"},
		{"complaining shell", "tm", set("mv", "set -u\n( echo \"$NO_SUCH_VARIABLE_HERE\" )\nexit 0\n"), "BROKEN mv with value 0: mv: the shell says: "},
		{"hides the failure of a tool", "vmm", set("migrate", "xl migrate \"$1\" 2>/dev/null\nexit 0\n"), "BROKEN MIGRATE with value 0: succeeds although xl failed"},
		{"does not see that a host is gone", "datastore", set("rm", "ssh host1 rm x 2>/dev/null\nexit 0\n"), "BROKEN RM with value 0: succeeds although ssh failed"},
		{"deploys without a name", "vmm", set("deploy", "cat >/dev/null\n"), "BROKEN DEPLOY with value 0: deploy succeeds without an answer"},
		{"bad monitor string", "vmm", set("poll", "echo STATE a\n"), "BROKEN POLL with value 0: "},
		{"half an error message", "vmm", set("reboot", "echo 'ERROR MESSAGE --8<------' >&2\necho no >&2\nexit 1\n"),
			"BROKEN REBOOT with value 0: reboot: 1 marks begin an error message and 0 end one"},
		{"no marks around a failure", "vmm", set("reboot", "echo no >&2\nexit 1\n"), "note reboot: fails without an error message"},
		{"no space figures", "datastore", set("monitor", "echo USED_MB=1\n"), "BROKEN MONITOR with value 0: no TOTAL_MB="},
		{"size that is none", "datastore", set("stat", "echo big\n"), "BROKEN STAT with value 0: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), tt.kind, "site")
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			scripts := map[string]func() map[string]string{"tm": tmScripts, "vmm": vmmScripts, "datastore": datastoreScripts}[tt.kind]()
			before := maps.Clone(scripts)
			tt.edit(scripts)
			var changed []string // only what is changed has to be run
			for name := range scripts {
				if before[name] != scripts[name] {
					changed = append(changed, name)
				}
			}
			for name, body := range scripts {
				name, plain := strings.CutSuffix(name, " -")
				mode := os.FileMode(0o755)
				if plain {
					mode = 0o644
				}
				if err := os.WriteFile(filepath.Join(dir, name), []byte(body), mode); err != nil {
					t.Fatal(err)
				}
			}
			timeout := time.Minute
			if tt.name == "hangs" {
				timeout = 300 * time.Millisecond
			}
			var report bytes.Buffer
			err := check.Run(context.Background(), check.Options{Dir: dir, Program: program, Timeout: timeout, Quick: true, Only: changed, Out: &report})
			broken := strings.HasPrefix(tt.want, "BROKEN")
			if (err != nil) != broken || !strings.Contains(report.String(), tt.want) {
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
