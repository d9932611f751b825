package run

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func writeScript(t testing.TB, path, body string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(body), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// sshStub stands in for ssh: it runs the remote command with the local shell,
// as sshd would with the user's. The host `bad` cannot be reached.
func sshStub(t testing.TB) *SSH {
	t.Helper()
	return &SSH{Program: writeScript(t, filepath.Join(t.TempDir(), "ssh"), `#!/bin/sh
while [ $# -gt 0 ]; do
	case $1 in
	-o) shift 2 ;;
	-*) shift ;;
	*) break ;;
	esac
done
host=$1
shift
if [ "$host" = bad ]; then
	echo "ssh: Could not resolve hostname bad: Name or service not known" >&2
	exit 255
fi
exec sh -c "$*"
`)}
}

func TestLocal(t *testing.T) {
	dir := t.TempDir()
	tests := []struct {
		name, body string
		stdin      string
		args       []string
		code       int
		stdout     string
		message    string
		log        string
	}{
		{name: "success", body: "#!/bin/sh\necho one-3\necho note >&2\n", stdout: "one-3\n"},
		{name: "stdin and arguments", body: "#!/bin/sh\ncat; printf '%s|' \"$@\"\n", stdin: "a $HOME `id`\n",
			args: []string{"it's", "$(touch /tmp/x)", "a b", ";"}, stdout: "a $HOME `id`\nit's|$(touch /tmp/x)|a b|;|"},
		{name: "error block", code: 3, body: "#!/bin/sh\necho 'libxl: error' >&2\necho 'ERROR MESSAGE --8<------' >&2\necho 'Unable to create' >&2\necho 'no memory' >&2\necho 'ERROR MESSAGE ------>8--' >&2\nexit 3\n",
			message: "Unable to create; no memory",
			log:     "libxl: error\nERROR MESSAGE --8<------\nUnable to create\nno memory\nERROR MESSAGE ------>8--\nExitCode: 3\n"},
		{name: "two blocks", code: 1, body: "#!/bin/sh\nfor m in first second; do echo 'ERROR MESSAGE --8<------'; echo $m; echo 'ERROR MESSAGE ------>8--'; done >&2\nexit 1\n", message: "first"},
		{name: "no block but an error line", code: 1, body: "#!/bin/sh\necho 'ERROR: stat: Cannot determine size for /x' >&2; echo later >&2; exit 1\n", message: "stat: Cannot determine size for /x"},
		{name: "only stderr", code: 1, body: "#!/bin/sh\necho 'INFO: x: y' >&2; echo 'mkfs: no such device' >&2; exit 1\n", message: "mkfs: no such device"},
		{name: "silent", code: 9, body: "#!/bin/sh\nexit 9\n", message: "-"},
		{name: "killed", code: 128 + 9, body: "#!/bin/sh\nkill -9 $$\n", message: "killed by signal 9 (killed)"},
		{name: "no interpreter line", body: "echo plain\n", stdout: "plain\n"},
		{name: "background process keeps the output open", body: "#!/bin/sh\nsleep 60 & echo $! > " + dir + "/pid\necho done\n", stdout: "done\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := writeScript(t, filepath.Join(dir, "script"), tt.body)
			start := time.Now()
			res := Local(context.Background(), Command{Argv: append([]string{path}, tt.args...), Stdin: []byte(tt.stdin)})
			if res.Code != tt.code || res.Stdout != tt.stdout && tt.code == 0 {
				t.Errorf("code %d, stdout %q, stderr %q", res.Code, res.Stdout, res.Stderr)
			}
			if tt.code != 0 && res.ErrorMessage() != tt.message {
				t.Errorf("message %q, want %q", res.ErrorMessage(), tt.message)
			}
			if tt.log != "" && res.LogText() != "Command execution fail: "+path+"\n"+tt.log {
				t.Errorf("log %q", res.LogText())
			}
			if tt.code == 0 && res.LogText() != "" {
				t.Errorf("success logged: %q", res.LogText())
			}
			if time.Since(start) > 30*time.Second {
				t.Error("waited for a background process")
			}
		})
	}
	if data, err := os.ReadFile(dir + "/pid"); err == nil {
		pid, _ := strconv.Atoi(strings.TrimSpace(string(data)))
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Errorf("background process was killed with its script: %v", err)
		}
	}
}

func TestLocalCannotStart(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	for path, code := range map[string]int{dir + "/none": 127, plain: 126, dir: 126} {
		res := Local(context.Background(), Command{Argv: []string{path, "a"}})
		if res.Code != code || !strings.Contains(res.ErrorMessage(), path) {
			t.Errorf("%s: code %d, want %d; message %q", path, res.Code, code, res.ErrorMessage())
		}
	}
}

func TestLocalReadsBothOutputsOfAnySize(t *testing.T) {
	script := writeScript(t, filepath.Join(t.TempDir(), "s"),
		"#!/bin/sh\nhead -c 5000000 /dev/zero >&2\nhead -c 5000000 /dev/urandom\necho >&2\necho 'the cause' >&2\nexit 1\n")
	res := Local(context.Background(), Command{Argv: []string{script}})
	if len(res.Stdout) != 5000000 || res.ErrorMessage() != "the cause" {
		t.Errorf("stdout %d bytes, message %q", len(res.Stdout), res.ErrorMessage())
	}
	if len(res.Stderr) > stderrLimit+tailSize+1000 {
		t.Errorf("stderr not bounded: %d", len(res.Stderr))
	}
}

func TestLocalStops(t *testing.T) {
	dir := t.TempDir()
	script := writeScript(t, filepath.Join(dir, "s"), "#!/bin/sh\ntrap '' TERM\nsleep 300 &\necho $! > "+dir+"/pid\nwait\nwait\nsleep 300\n")
	t.Run("timeout", func(t *testing.T) {
		// On a busy machine the script may need longer to get going.
		for timeout := 300 * time.Millisecond; ; timeout *= 3 {
			start := time.Now()
			res := Local(context.Background(), Command{Argv: []string{script}, Timeout: timeout})
			if res.OK() || !strings.Contains(res.ErrorMessage(), "timed out after "+timeout.String()) {
				t.Errorf("code %d, message %q", res.Code, res.ErrorMessage())
			}
			if took := time.Since(start); took > timeout+10*time.Second {
				t.Errorf("took %v", took)
			}
			if data, err := os.ReadFile(dir + "/pid"); err == nil && len(data) > 0 || timeout > time.Minute {
				break
			}
		}
		pid := readPID(t, dir+"/pid")
		waitGone(t, pid)
	})
	t.Run("cancelled", func(t *testing.T) {
		os.Remove(dir + "/pid")
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan Result, 1)
		go func() { done <- Local(ctx, Command{Argv: []string{script}}) }()
		pid := readPID(t, dir+"/pid")
		cancel()
		if res := <-done; res.OK() {
			t.Error("cancelled command succeeded")
		}
		waitGone(t, pid)
	})
}

func readPID(t *testing.T, path string) int {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		data, _ := os.ReadFile(path)
		if pid, err := strconv.Atoi(strings.TrimSpace(string(data))); err == nil {
			return pid
		}
	}
	t.Fatal("no pid")
	return 0
}

func waitGone(t *testing.T, pid int) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(stat), ") Z") {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("process %d still runs", pid)
		}
	}
}

func TestStream(t *testing.T) {
	dir := t.TempDir()
	script := writeScript(t, dir+"/script", `#!/bin/sh
cat
printf '%s|' "$@"
echo "note" >&2
exit ${CODE:-0}
`)
	s := sshStub(t).Open("h1")
	defer s.Close()
	ctx := context.Background()

	res := s.Run(ctx, Step{Label: "l", Argv: []string{script, "it's", "$(touch " + dir + "/evil)", "`id`", "a\nb", ";exit", ""},
		Stdin: []byte("x $HOME \\ `id`\nlast")})
	if want := "x $HOME \\ `id`\nlast\nit's|$(touch " + dir + "/evil)|`id`|a\nb|;exit||"; res.Stdout != want || !res.OK() {
		t.Errorf("stdout %q, want %q; code %d %q", res.Stdout, want, res.Code, res.Stderr)
	}
	if res.LogText() != "note\nExitCode: 0\n" {
		t.Errorf("log %q", res.LogText())
	}
	if _, err := os.Stat(dir + "/evil"); err == nil {
		t.Error("argument was executed")
	}
	// The same session goes on after a failure, and without input stdin is empty.
	res = s.Run(ctx, Step{Label: "lab el", Argv: []string{"sh", "-c", "cat; echo out; echo err >&2; exit 3"}})
	if res.Code != 3 || res.Stdout != "out\n" || res.LogText() != "Command execution fail: lab el\nerr\nExitCode: 3\n" {
		t.Errorf("%+v", res)
	}
	if res = s.Executable(ctx, script, 0); res.Code != 0 {
		t.Errorf("check of a script: %+v", res)
	}
	if res = s.Executable(ctx, dir+"/none", 0); res.Code != MissingCode {
		t.Errorf("check of nothing: %+v", res)
	}
	res = s.Run(ctx, Step{Argv: []string{"sh", "-c", "kill -9 $$"}})
	if res.Code != 137 {
		t.Errorf("killed command: %+v", res)
	}
	if res = s.Run(ctx, Step{Argv: []string{"echo", "on"}}); res.Stdout != "on\n" {
		t.Errorf("after a killed command: %+v", res)
	}
}

func TestStreamOutputOfAnySize(t *testing.T) {
	s := sshStub(t).Open("h1")
	defer s.Close()
	res := s.Run(context.Background(), Step{Argv: []string{"sh", "-c",
		"head -c 9000000 /dev/urandom >&2; head -c 3000000 /dev/zero; echo >&2; echo cause >&2; exit 5"}})
	if res.Code != 5 || len(res.Stdout) != 3000000 || res.ErrorMessage() != "cause" {
		t.Errorf("code %d, %d bytes, %q", res.Code, len(res.Stdout), res.ErrorMessage())
	}
	big := strings.Repeat("0123456789abcde\n", 200000)
	if res = s.Run(context.Background(), Step{Argv: []string{"cat"}, Stdin: []byte(big)}); res.Stdout != big {
		t.Errorf("stdin of %d bytes came back as %d", len(big), len(res.Stdout))
	}
}

func TestStreamDoesNotWaitForBackgroundProcesses(t *testing.T) {
	dir := t.TempDir()
	s := sshStub(t).Open("h1")
	start := time.Now()
	res := s.Run(context.Background(), Step{Argv: []string{"sh", "-c", "sleep 60 & echo $! > " + dir + "/pid; echo started"}})
	s.Close()
	if res.Stdout != "started\n" || time.Since(start) > 30*time.Second {
		t.Errorf("%+v after %v", res, time.Since(start))
	}
	_ = syscall.Kill(readPID(t, dir+"/pid"), syscall.SIGKILL)
}

func TestLocalHosts(t *testing.T) {
	dir := t.TempDir()
	ssh := &SSH{Program: "/no/ssh", LocalHosts: []string{"here"}}
	s := ssh.Open("here")
	defer s.Close()
	if res := s.Run(context.Background(), Step{Argv: []string{"echo", "a b", "$HOME"}}); res.Stdout != "a b $HOME\n" {
		t.Errorf("%+v", res)
	}
	// What a finished step leaves running stays, what is cancelled goes.
	res := s.Run(context.Background(), Step{Argv: []string{"sh", "-c", "sleep 60 & echo $! > " + dir + "/stays"}})
	s.Close()
	stays := readPID(t, dir+"/stays")
	if err := syscall.Kill(stays, 0); err != nil || !res.OK() {
		t.Errorf("background process: %v, %+v", err, res)
	}
	_ = syscall.Kill(stays, syscall.SIGKILL)
	ctx, cancel := context.WithCancel(context.Background())
	s = ssh.Open("here")
	done := make(chan Result, 1)
	go func() {
		done <- s.Run(ctx, Step{Argv: []string{"sh", "-c", "echo $$ > " + dir + "/goes; sleep 300"}})
		s.Close()
	}()
	goes := readPID(t, dir+"/goes")
	cancel()
	<-done
	waitGone(t, goes)
	writeScript(t, dir+"/remotes/x", "#!/bin/sh\n")
	r := &Remotes{Local: dir + "/remotes", Remote: dir + "/host", SSH: ssh}
	if err := r.Sync(context.Background(), "here", false); err != nil || !exists(dir+"/host/x") {
		t.Errorf("copy of scripts: %v", err)
	}
}

func TestStreamConnectionError(t *testing.T) {
	for host, want := range map[string]string{
		"bad":        "Error connecting to bad: ssh: Could not resolve hostname bad: Name or service not known",
		"-oEvil=x":   `Error connecting to -oEvil=x: "-oEvil=x" is no host name`,
		"":           `Error connecting to : "" is no host name`,
		"two words":  `Error connecting to two words: "two words" is no host name`,
		"line\nfeed": "",
	} {
		s := sshStub(t).Open(host)
		for range 2 { // the second command of a lost session fails the same way
			res := s.Run(context.Background(), Step{Label: "/x/pre b64", Argv: []string{"/x/pre", "b64"}})
			if res.OK() || want != "" && res.ErrorMessage() != want {
				t.Errorf("host %q: %q, want %q", host, res.ErrorMessage(), want)
			}
			if host == "bad" && !strings.HasPrefix(res.LogText(),
				"Command execution fail: /x/pre b64\nssh: Could not resolve hostname bad: Name or service not known\nExitSSHCode: 255\nERROR MESSAGE") {
				t.Errorf("log %q", res.LogText())
			}
		}
		s.Close()
	}
}

func TestStreamStops(t *testing.T) {
	s := sshStub(t).Open("h1")
	res := s.Run(context.Background(), Step{Argv: []string{"sleep", "300"}, Timeout: 200 * time.Millisecond})
	if res.OK() || !strings.Contains(res.ErrorMessage(), "Timeout: no answer from h1 after 200ms") {
		t.Errorf("%+v", res)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s2 := sshStub(t).Open("h1")
	if res := s2.Run(ctx, Step{Argv: []string{"sleep", "300"}}); res.OK() {
		t.Error("cancelled step succeeded")
	}
	s2.Close()
}

func FuzzStreamArguments(f *testing.F) {
	for _, s := range []string{"it's", "$(id)", "`id`", "a\nb", "\\", "\"", "';echo x'", "-n", "\xff\xfe", "*", "~"} {
		f.Add(s, s)
	}
	ssh := sshStub(f)
	f.Fuzz(func(t *testing.T, arg, input string) {
		if strings.ContainsRune(arg, 0) || strings.ContainsRune(input, 0) {
			return // no program can be given a NUL
		}
		s := ssh.Open("h1")
		defer s.Close()
		res := s.Run(context.Background(), Step{Argv: []string{"sh", "-c", `printf '%s\n' "$1"; cat`, "sh", arg}, Stdin: []byte(input)})
		want := arg + "\n" + input
		if !strings.HasSuffix(input, "\n") {
			want += "\n"
		}
		if res.Stdout != want {
			t.Errorf("got %q, want %q (%s)", res.Stdout, want, res.Stderr)
		}
	})
}

func TestRemotesSync(t *testing.T) {
	base := t.TempDir()
	local, remote := base+"/remotes", base+"/host dir/one"
	writeScript(t, local+"/vmm/kvm/deploy", "#!/bin/sh\n")
	writeScript(t, local+"/tm/shared/clone", "#!/bin/sh\n")
	if err := os.Symlink("shared", local+"/tm/linked"); err != nil {
		t.Fatal(err)
	}
	r := &Remotes{Local: local, Remote: remote, SSH: sshStub(t)}
	ctx := context.Background()
	sync := func(force bool) {
		t.Helper()
		if err := r.Sync(ctx, "h1", force); err != nil {
			t.Fatal(err)
		}
	}
	sync(false)
	for _, f := range []string{"/vmm/kvm/deploy", "/tm/shared/clone", "/tm/linked/clone"} {
		info, err := os.Stat(remote + f)
		if err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("%s: %v %v", f, info, err)
		}
	}
	mark := remote + "/vmm/kvm/deploy"
	if err := os.WriteFile(mark, []byte("changed on the host"), 0o755); err != nil {
		t.Fatal(err)
	}
	changed := func() bool { data, _ := os.ReadFile(mark); return string(data) == "changed on the host" }
	if sync(false); !changed() {
		t.Error("needless copy of an unchanged tree")
	}
	if sync(true); changed() {
		t.Error("forced copy did nothing")
	}
	writeScript(t, local+"/vmm/kvm/poll", "#!/bin/sh\n")
	if sync(false); !exists(remote + "/vmm/kvm/poll") {
		t.Error("new file not copied")
	}
	writeScript(t, local+"/.update", "")
	stamp := time.Unix(1400000000, 0)
	if err := os.Chtimes(local+"/.update", stamp, stamp); err != nil {
		t.Fatal(err)
	}
	sync(false)
	if info, err := os.Stat(remote + "/.update"); err != nil || !info.ModTime().Equal(stamp) {
		t.Errorf(".update does not carry its time: %v", err)
	}
	if err := r.Sync(ctx, "bad", false); err == nil || !strings.Contains(err.Error(), "Could not resolve hostname") {
		t.Errorf("unreachable host: %v", err)
	}
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

func TestChecked(t *testing.T) {
	base := t.TempDir()
	writeScript(t, base+"/remotes/vmm/kvm/poll", "#!/bin/sh\necho \"STATE=a $*\"\n")
	ssh := sshStub(t)
	var logs []string
	c := &Checked{SSH: ssh, Remotes: &Remotes{Local: base + "/remotes", Remote: base + "/host", SSH: ssh},
		Log: func(s string) { logs = append(logs, s) }}
	argv := []string{base + "/host/vmm/kvm/poll", "one-1", "h1", "1", "h1"}
	res := c.Run(context.Background(), "h1", argv)
	if !res.OK() || res.Info() != "STATE=a one-1 h1 1 h1" {
		t.Errorf("%+v", res)
	}
	want := "Command execution fail: 'if [ -x \"" + argv[0] + "\" ]; then " + strings.Join(argv, " ") +
		"; else                              exit 42; fi'\nERROR: " + argv[0] + " is missing on h1\nExitCode: 42\n"
	if len(logs) != 2 || logs[0] != want || logs[1] != "Remote worker node files not found\nUpdating remotes" {
		t.Errorf("logs %q", logs)
	}
	// A counter file makes the script fail twice.
	writeScript(t, base+"/host/vmm/kvm/poll", "#!/bin/sh\necho x >> "+base+"/count\n[ $(wc -l < "+base+"/count) -gt 2 ] || exit 1\necho third\n")
	c.Retries = 2
	if res = c.Run(context.Background(), "h1", argv); res.Info() != "third" {
		t.Errorf("with two retries: %+v", res)
	}
}

func TestMuxOptions(t *testing.T) {
	dir := t.TempDir() + "/m"
	if len(dir) < 40 && MuxOptions(dir) == nil {
		t.Error("no options for a fresh directory")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if MuxOptions(dir) != nil {
		t.Error("directory that others may write was accepted")
	}
	if MuxOptions("/tmp/"+strings.Repeat("x", 100)) != nil {
		t.Error("path too long for a socket was accepted")
	}
	os.RemoveAll("/tmp/" + strings.Repeat("x", 100))
}

func TestCapture(t *testing.T) {
	for _, chunk := range []int{1, 7, 1000, 100000} {
		c := newCapture(50)
		found := c.begin("MARK\n")
		text := strings.Repeat("abcdefghij", 20000) + "endMARK\nlater"
		for i := 0; i < len(text); i += chunk {
			_, _ = c.Write([]byte(text[i:min(len(text), i+chunk)]))
		}
		select {
		case <-found:
		default:
			t.Fatalf("chunks of %d: mark not found", chunk)
		}
		got := string(c.bytes())
		if !strings.HasSuffix(got, "hijend") || !strings.HasPrefix(got, "abcdefghij") || !strings.Contains(got, "bytes left out") {
			t.Errorf("chunks of %d: %.80q … %q", chunk, got, got[len(got)-20:])
		}
		c.begin("M2")
		_, _ = c.Write([]byte("xM2"))
		if string(c.bytes()) != "x" {
			t.Errorf("after begin: %q", c.bytes())
		}
	}
}
