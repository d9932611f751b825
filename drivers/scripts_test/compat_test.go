package scriptstest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSiteScripts runs what scripts of sites, written for 4.6, do with the
// functions of lib/sh/scripts_common.sh and tm_common.sh.
func TestSiteScripts(t *testing.T) {
	const (
		begin = "ERROR MESSAGE --8<------\n"
		end   = "ERROR MESSAGE ------>8--\n"
	)
	noHost := []answer{{Call: "ssh h1", Exit: 255, Stderr: "ssh: connect to host h1 port 22: No route to host\n"}}
	tests := []struct {
		name, body             string
		exit                   int
		stdout, stderr, called string
		answers                []answer
	}{
		{name: "messages", body: `log "a b"; log_info c; log_error 'd "e"'; log_debug f; error_message "no space"`,
			stderr: "INFO: site: a b\nINFO: site: c\nERROR: site: d \"e\"\nDEBUG: site: f\n" + begin + "no space\n" + end},
		{name: "command that succeeds", body: `exec_and_log "echo hidden" "not shown"; echo after`, stdout: "after\n"},
		{name: "command that fails", body: `exec_and_log "ls /nonexistent" "Could not list"; echo after`, exit: 2,
			stderr: "ERROR: site: Command \"ls /nonexistent\" failed: ls: cannot access '/nonexistent': No such file or directory\n" +
				begin + "Could not list: ls: cannot access '/nonexistent': No such file or directory\n" + end},
		{name: "without a message", body: `exec_and_log "false"`, exit: 1,
			stderr: "ERROR: site: Command \"false\" failed: \n" + begin + "Error executing false: \n" + end},
		{name: "several lines", body: "multiline_exec_and_log 'a=1\n[ $a = 1 ]\nexit 7' 'Bad lines'", exit: 7,
			stderr: "ERROR: site: Command \"a=1\n[ $a = 1 ]\nexit 7\" failed: \n" + begin + "Bad lines\n" + end},
		{name: "error kept for later", body: `exec_and_set_error "false" "later"; echo "got $ERROR"; exec_and_set_error "true"; echo "then $ERROR"`,
			stdout: "got later\nthen \n", stderr: "ERROR: site: Command \"false\" failed: \n"},
		{name: "time limit", body: `timeout_exec_and_log 0.1 "tail -f /dev/null" "Too slow"`, exit: 143,
			stderr: "ERROR: site: Timeout executing tail -f /dev/null\n" + begin + "Timeout executing tail -f /dev/null\n" + end},
		{name: "on a host", body: `ssh_exec_and_log h1 "rm -f /x" "Could not remove"; echo after`, stdout: "after\n",
			called: "$ ssh h1 sh -s\n| export LANG=C\n| export LC_ALL=C\n| rm -f /x\n"},
		{name: "on a host that is down", body: `ssh_exec_and_log h1 "rm -f /x" "Could not remove"; echo after`, exit: 255, answers: noHost,
			stderr: "ERROR: site: Command \"rm -f /x\" failed: ssh: connect to host h1 port 22: No route to host\n" +
				begin + "Could not remove: ssh: connect to host h1 port 22: No route to host\n" + end},
		{name: "figures of a host", body: `ssh_monitor_and_log h1 "df"`, stdout: "a b c\n", answers: []answer{{Call: "ssh h1", Stdout: "a  b\nc\n"}}},
		{name: "directory on a host", body: `ssh_make_path h1 "/a b"`,
			called: "$ ssh h1 sh -s\n| if [ ! -d '/a b' ]; then\n|    mkdir -p '/a b'\n| fi\n"},
		{name: "directory on a host that is down", body: `ssh_make_path h1 /a; echo after`, stdout: "after\n", answers: noHost},
		{name: "tools by their variables", body: `$SSH h1 $SUDO $LVS vg; $SCP a h1:b`, called: "$ ssh h1 sudo lvs vg\n$ scp a h1:b\n"},
		{name: "slashes", body: `fix_dir_slashes /a//b///c/; fix_dir_slashes x`, stdout: "/a/b/c\nx\n"},
		{name: "file systems", body: `for t in ext3 reiserfs jfs raw swap qcow2 xfs; do mkfs_command /d $t 10; done; mkfs_command /d`,
			stdout: "mkfs -t ext3 -F /d\nmkfs -t reiserfs -f -q /d\nmkfs -t jfs -q /d\n\nmkswap -L swap /d\nqemu-img create -f qcow2 /d 10M\nmkfs -t xfs  /d\nmkfs -t ext3 -F /d\n"},
		{name: "tries", body: `n=0; f() { n=$((n + 1)); [ $n -ge 3 ]; }; retry 5 f && echo "$n tries"; g() { false; }; retry 2 g || echo gave up`,
			stdout: "3 tries\ngave up\n"},
		{name: "shutdown that timed out", body: `false; force_shutdown one-1 "echo destroy"`, exit: 255, stderr: begin + "Timed out shutting down one-1\n" + end},
		{name: "forced shutdown", body: `FORCE_DESTROY=yes; false; force_shutdown one-1 "echo destroy"; echo after`, stdout: "after\n",
			stderr: "ERROR: site: Timeout shutting down one-1. Destroying it\n"},
		{name: "arguments of a transfer", body: `. "$ONE_LOCATION/var/remotes/tm/tm_common.sh"; arg_host h1:/a//b/; arg_path h1:/a//b/; arg_path /x; is_disk /d/disk.0; is_disk /d`,
			stdout: "h1\n/a/b\n/x\n1\n0\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for link, target := range map[string]string{"lib/sh/scripts_common.sh": "scripts_common.sh", "var/remotes": "."} {
				if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, link)), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.Symlink(filepath.Join(driversDir(t), target), filepath.Join(dir, link)); err != nil {
					t.Fatal(err)
				}
			}
			script := filepath.Join(dir, "site")
			writeFile(t, script, "#!/bin/sh\n. \"$ONE_LOCATION/lib/sh/scripts_common.sh\"\n"+tt.body+"\n")
			if err := os.Chmod(script, 0o755); err != nil {
				t.Fatal(err)
			}
			r := runProgram(t, dir, script, call{answers: tt.answers})
			if r.Exit != tt.exit || r.Stdout != tt.stdout || r.Stderr != tt.stderr {
				t.Errorf("exit %d, want %d\nstdout %q\n  want %q\nstderr %q\n  want %q", r.Exit, tt.exit, r.Stdout, tt.stdout, r.Stderr, tt.stderr)
			}
			if tt.called != "" && !strings.Contains(r.Calls, tt.called) {
				t.Errorf("called %q, want %q", r.Calls, tt.called)
			}
		})
	}
}

// TestGuestInstall puts the guest's scripts into images of the systems that
// differ in how they start services.
func TestGuestInstall(t *testing.T) {
	share := filepath.Join(driversDir(t), "..", "share", "context")
	for system, tt := range map[string]struct{ has, starts string }{
		"systemd": {"etc/systemd/system/.keep", "etc/systemd/system/multi-user.target.wants/one-context.service"},
		"OpenRC":  {"sbin/openrc-run", "etc/runlevels/boot/one-context"},
		"sysv":    {"etc/rc2.d/.keep", "etc/rc2.d/S09one-context"},
	} {
		t.Run(system, func(t *testing.T) {
			root := t.TempDir()
			writeFile(t, filepath.Join(root, tt.has), "")
			writeFile(t, filepath.Join(root, "etc/init.d/.keep"), "")
			if err := os.Chmod(filepath.Join(root, tt.has), 0o755); err != nil {
				t.Fatal(err)
			}
			if r := runProgram(t, root, filepath.Join(share, "install"), call{args: []string{root}}); r.Exit != 0 {
				t.Fatalf("%+v", r)
			}
			if _, err := os.Lstat(filepath.Join(root, tt.starts)); err != nil {
				t.Errorf("nothing starts it: %v", err)
			}
			parts, err := filepath.Glob(filepath.Join(root, "usr/lib/one-context.d/*"))
			if err != nil || len(parts) != 5 {
				t.Errorf("parts %v, %v", parts, err)
			}
			for _, path := range append(parts, filepath.Join(root, "usr/sbin/one-context")) {
				if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o755 {
					t.Errorf("%s: %v", path, err)
				}
			}
		})
	}
}
