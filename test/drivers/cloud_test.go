package driverstest

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/beevik/etree"

	"goned/test/oned"
)

// startLimit is far above what is usual: a loaded machine must not fail a test.
const startLimit = time.Minute

// cloud is an oned in a directory of its own.
type cloud struct {
	t    *testing.T
	dir  string
	port int
	http *http.Client
}

const usualConf = `
LOG  = [ SYSTEM = "file", DEBUG_LEVEL = 3 ]
DB   = [ BACKEND = "sqlite" ]
PORT = %d
MANAGER_TIMER       = 1
MONITORING_INTERVAL = 600
SCRIPTS_REMOTE_DIR  = "/var/tmp/one"
MAC_PREFIX          = "02:00"
DEFAULT_DEVICE_PREFIX       = "hd"
DEFAULT_CDROM_DEVICE_PREFIX = "hd"
DATASTORE_CAPACITY_CHECK    = "no"
TM_MAD        = [ EXECUTABLE = "one_tm", ARGUMENTS = "-t 8 -d dummy,shared,ssh" ]
DATASTORE_MAD = [ EXECUTABLE = "one_datastore", ARGUMENTS = "-t 4 -d dummy,fs" ]
HM_MAD        = [ EXECUTABLE = "one_hm" ]
TM_MAD_CONF = [ NAME = "dummy",  LN_TARGET = "NONE", CLONE_TARGET = "SYSTEM", SHARED = "yes" ]
TM_MAD_CONF = [ NAME = "shared", LN_TARGET = "NONE", CLONE_TARGET = "SYSTEM", SHARED = "yes" ]
TM_MAD_CONF = [ NAME = "ssh",    LN_TARGET = "SYSTEM", CLONE_TARGET = "SYSTEM", SHARED = "no" ]
`

// newCloud starts an oned with additions to its configuration. prepare may
// change the directory before.
func newCloud(t *testing.T, conf string, prepare func(dir string)) *cloud {
	t.Helper()
	c := &cloud{t: t, dir: t.TempDir(), port: freePort(t), http: &http.Client{Timeout: 2 * time.Minute}}
	for _, dir := range []string{"etc", "var/vms", "var/datastores"} {
		must(t, os.MkdirAll(filepath.Join(c.dir, dir), 0o750))
	}
	must(t, os.Symlink(filepath.Join(installed, "lib"), c.path("lib")))
	must(t, os.CopyFS(c.path("var/remotes"), os.DirFS(filepath.Join(installed, "var/remotes"))))
	must(t, os.CopyFS(c.path("etc/vmm_exec"), os.DirFS(filepath.Join(installed, "etc/vmm_exec"))))
	write(t, c.path("etc/oned.conf"), fmt.Sprintf(usualConf, c.port)+conf)
	write(t, c.path("etc/one_auth"), "oneadmin:opennebula\n")
	if prepare != nil {
		prepare(c.dir)
	}
	log := c.path("said")
	output, err := os.Create(log)
	must(t, err)
	cmd := exec.Command(filepath.Join(installed, "bin/oned"), "-f")
	cmd.Dir, cmd.Stdout, cmd.Stderr = c.dir, output, output
	cmd.Env = append(os.Environ(), "ONE_LOCATION="+c.dir, "ONE_AUTH="+c.path("etc/one_auth"))
	must(t, cmd.Start())
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(startLimit):
			_ = cmd.Process.Kill()
			<-ended
		}
		output.Close()
		t.Cleanup(c.http.CloseIdleConnections)
		if t.Failed() {
			text, _ := os.ReadFile(c.path("var/oned.log"))
			said, _ := os.ReadFile(log)
			t.Logf("oned said %s, oned.log ends\n%s", said, text[max(0, len(text)-6000):])
		}
	})
	await(t, "oned answers", func() bool {
		select {
		case <-ended:
			said, _ := os.ReadFile(log)
			t.Fatalf("oned ended: %s", said)
		default:
		}
		_, err := c.call("oneadmin:opennebula", "one.system.version")
		return err == nil
	})
	return c
}

func (c *cloud) path(rel string) string { return filepath.Join(c.dir, rel) }

// call returns the value of a successful answer.
func (c *cloud) call(session, method string, args ...any) (any, error) {
	client := oned.Client{Endpoint: fmt.Sprintf("http://127.0.0.1:%d/RPC2", c.port), Session: session, HTTP: c.http}
	return client.Call(method, args...)
}

// admin calls as oneadmin; a refusal ends the test.
func (c *cloud) admin(method string, args ...any) any {
	c.t.Helper()
	v, err := c.call("oneadmin:opennebula", method, args...)
	if err != nil {
		c.t.Fatalf("%s%v: %v", method, args, err)
	}
	return v
}

// element is the text of an element of a document that a call returns.
func element(t *testing.T, document any, path string) string {
	t.Helper()
	d := etree.NewDocument()
	text, ok := document.(string)
	if !ok {
		t.Fatalf("%v is no document", document)
	}
	must(t, d.ReadFromString(text))
	e := d.FindElement(path)
	if e == nil {
		return ""
	}
	return e.Text()
}

// log is oned's log, or with a number that of a VM.
func (c *cloud) log(name string) string {
	text, _ := os.ReadFile(c.path(name))
	return string(text)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, path, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(text), 0o644))
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func await(t testing.TB, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(startLimit); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// command runs a program and returns what it writes to stdout.
func command(t testing.TB, stdin string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, stderr.String())
	}
	return string(out)
}

// program is the path of a tool, without which the test is skipped.
func program(t testing.TB, name string) string {
	t.Helper()
	for _, candidate := range []string{name, "/usr/sbin/" + name} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path
		}
	}
	t.Skipf("%s is not installed", name)
	return ""
}

func awaitPort(t testing.TB, port int) {
	t.Helper()
	await(t, fmt.Sprintf("port %d answers", port), func() bool {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}
