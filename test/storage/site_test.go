package storage

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"goned/test/sshd"
)

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "goned-storage-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	// Another user reads the keys and scripts below.
	if err := os.Chmod(dir, 0o755); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	scratch = dir
	defer func() { stopHosts() }()
	if remotes == "" {
		remotes = filepath.Join(dir, "remotes")
		if out, err := exec.Command("sh", "../../drivers/install-remotes", remotes).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "install-remotes: %v\n%s", err, out)
			return 1
		}
	}
	return m.Run()
}

var (
	// remotes are the installed scripts, made if GONED_REMOTES does not name them.
	remotes   = os.Getenv("GONED_REMOTES")
	scratch   string // of all tests
	stopHosts = func() {}
)

// hostUser is who the hosts' commands run as; the lab of e2e tests has its own.
var hostUser = func() (string, error) {
	u, err := user.Current()
	if err != nil {
		return "", err
	}
	return u.Username, nil
}

// startHosts starts an ssh server, which is the front-end fe and the hosts h1 and
// h2, and returns the directory of an ssh and a scp that know them, or why there are none.
var startHosts = sync.OnceValues(func() (bin string, err error) {
	login, err := hostUser()
	if err != nil {
		return "", err
	}
	server, err := sshd.Start(filepath.Join(scratch, "ssh"), sshd.Options{
		Hosts: []string{"fe", "h1", "h2"}, User: login, MaxSessions: 100, Shared: true,
	})
	if err != nil {
		return "", err
	}
	stopHosts = server.Stop
	return server.Bin, nil
})

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode()&0o111 != 0
}

// need skips the test unless all tools are there.
func need(t *testing.T, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil && !executable("/usr/sbin/"+tool) && !executable("/sbin/"+tool) {
			t.Skipf("%s is not installed", tool)
		}
	}
}

// site is a front-end with its datastores, and the directories of two hosts.
type site struct {
	dir string
	env []string
}

// newSite makes the directories. What scripts run on hosts goes over ssh.
func newSite(t *testing.T) *site {
	t.Helper()
	bin, err := startHosts()
	if errors.Is(err, sshd.ErrMissing) {
		t.Skip(err)
	}
	must(t, err)
	s := &site{dir: t.TempDir()}
	for _, dir := range []string{"var/datastores/1", "var/datastores/0", "h1/0", "h2/0", "in", "home"} {
		must(t, os.MkdirAll(s.path(dir), 0o777))
		must(t, os.Chmod(s.path(dir), 0o777))
	}
	// Another user may be the one of the hosts.
	must(t, os.Chmod(filepath.Dir(s.dir), 0o755))
	must(t, os.Symlink(remotes, s.path("var/remotes")))
	s.env = append(os.Environ(), "ONE_LOCATION="+s.dir, "HOME="+s.path("home"),
		"PATH="+bin+":"+os.Getenv("PATH")+":/usr/sbin:/sbin")
	return s
}

func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

func (s *site) write(t *testing.T, name, text string) string {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(s.path(name)), 0o777))
	must(t, os.Chmod(filepath.Dir(s.path(name)), 0o777)) // whatever the umask says: the hosts' user works there, too
	must(t, os.WriteFile(s.path(name), []byte(text), 0o666))
	return s.path(name)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// command runs a tool that must succeed.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin", "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// result is what a script answers.
type result struct {
	status         int
	stdout, stderr string
}

// message is what the user gets to see of a failure.
func (r result) message() string {
	_, rest, _ := strings.Cut(r.stderr, "ERROR MESSAGE --8<------\n")
	text, _, _ := strings.Cut(rest, "\nERROR MESSAGE ------>8--")
	return text
}

// scriptLimit is far above what is usual: volumes are slow in a virtual machine without KVM.
const scriptLimit = 10 * time.Minute

// run runs a script of the remotes: "tm/shared/clone".
func (s *site) run(t *testing.T, script string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), scriptLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(s.path("var/remotes"), script), args...)
	cmd.Env, cmd.Dir, cmd.WaitDelay = s.env, s.dir, 5*time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("%s %s did not end within %v; stderr: %s", script, strings.Join(args, " "), scriptLimit, stderr.String())
	}
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// succeed is run for a script that must succeed; it returns what it printed.
func (s *site) succeed(t *testing.T, script string, args ...string) string {
	t.Helper()
	r := s.run(t, script, args...)
	if r.status != 0 {
		t.Fatalf("%s %s: status %d\n%s", script, strings.Join(args, " "), r.status, r.stderr)
	}
	return strings.TrimSuffix(r.stdout, "\n")
}

// fail is run for a script that must fail with a message.
func (s *site) fail(t *testing.T, message, script string, args ...string) {
	t.Helper()
	r := s.run(t, script, args...)
	if r.status == 0 || !regexp.MustCompile(message).MatchString(r.message()) {
		t.Errorf("%s: status %d, message %q, want %q\n%s", script, r.status, r.message(), message, r.stderr)
	}
}

// files is a directory: names, and what is there.
type files map[string]string

// tree describes what is below the front-end's and the hosts' directories.
func (s *site) tree(t *testing.T) files {
	t.Helper()
	found := files{}
	for _, top := range []string{"var/datastores", "h1", "h2"} {
		must(t, filepath.Walk(s.path(top), func(path string, info os.FileInfo, err error) error {
			if err != nil {
				return err
			}
			name := strings.TrimPrefix(path, s.dir+"/")
			if info.IsDir() {
				// Only what nothing is in: the other ones are seen in the names.
				if entries, err := os.ReadDir(path); err != nil || len(entries) > 0 {
					return err
				}
				found[name] = "directory"
				return nil
			}
			found[name] = s.describe(t, path, info)
			return nil
		}))
	}
	return found
}

// describe says what a file is: its content if that is short, else its kind and size.
func (s *site) describe(t *testing.T, path string, info os.FileInfo) string {
	t.Helper()
	if info.Mode()&os.ModeSymlink != 0 {
		target, err := os.Readlink(path)
		must(t, err)
		return "-> " + strings.ReplaceAll(target, s.dir, "@")
	}
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	head := make([]byte, 64)
	n, _ := f.Read(head)
	if bytes.HasPrefix(head, []byte("QFI\xfb")) {
		var image struct {
			Size    int64  `json:"virtual-size"`
			Backing string `json:"backing-filename"`
			Format  string `json:"backing-filename-format"`
		}
		must(t, json.Unmarshal([]byte(command(t, "qemu-img", "info", "-U", "--output=json", path)), &image))
		text := fmt.Sprintf("qcow2 of %d", image.Size)
		if image.Backing != "" {
			text += " on " + image.Format + " " + strings.ReplaceAll(image.Backing, s.dir, "@")
		}
		return text
	}
	if n < len(head) {
		return string(head[:n])
	}
	kind, _ := exec.Command("/sbin/blkid", "-p", "-o", "value", "-s", "TYPE", path).Output()
	return strings.TrimSpace(string(kind) + fmt.Sprintf(" %d bytes", info.Size()))
}

// want compares what is there with what should be.
func (s *site) want(t *testing.T, want files) {
	t.Helper()
	if diff := cmp.Diff(want, s.tree(t)); diff != "" {
		t.Errorf("what is left differs (-want +got):\n%s", diff)
	}
}

func b64(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
