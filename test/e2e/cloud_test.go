package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"goned/test/output"
)

// Bounds of what is waited for. They are far above what is usual: a loaded
// machine must not fail a test that asks for no figure.
const (
	answerLimit = 30 * time.Second
	stateLimit  = 60 * time.Second
	pollPause   = 20 * time.Millisecond
)

// settings say how a cloud differs from the usual one.
type settings struct {
	conf    string   // added to oned.conf, in place of what it says there about the same
	env     []string // of oned and its drivers
	db      string   // attribute DB of oned.conf; empty means SQLite
	port    int      // 0 means any
	secrets string   // directory of the server accounts' files that oned would make at its first start
	// untouched leaves the database as the first start has made it.
	untouched bool
	// smallDisk puts var on a file system of 16 MB.
	smallDisk bool
	// drivers replaces those entries of oned.conf; empty means the stock ones, with dummy hosts.
	drivers string
	// tm and datastore name the drivers of datastores 0 and 1; empty means dummy.
	tm, datastore string
}

// cloud is an oned, and what belongs to it, in a directory of its own.
type cloud struct {
	client // of oneadmin
	t      *testing.T
	dir    string
	port   int
	env    []string
	oned   *program
}

const usualConf = `
LOG  = [ SYSTEM = "file", DEBUG_LEVEL = 3 ]
DB   = %s
PORT = %d
MANAGER_TIMER       = 1
MONITORING_INTERVAL = 5
SCRIPTS_REMOTE_DIR = "%s/host-scripts"
VNC_BASE_PORT      = 5900
MAC_PREFIX   = "02:00"
NETWORK_SIZE = 254
DATASTORE_CAPACITY_CHECK    = "yes"
DEFAULT_IMAGE_TYPE          = "OS"
DEFAULT_DEVICE_PREFIX       = "hd"
DEFAULT_CDROM_DEVICE_PREFIX = "hd"
SESSION_EXPIRATION_TIME     = 900
AUTH_MAD      = [ EXECUTABLE = "one_auth_mad", AUTHN = "ssh,x509,ldap,server_cipher,server_x509" ]
TM_MAD_CONF = [ NAME = "dummy",  LN_TARGET = "NONE", CLONE_TARGET = "SYSTEM", SHARED = "yes" ]
TM_MAD_CONF = [ NAME = "shared", LN_TARGET = "NONE", CLONE_TARGET = "SYSTEM", SHARED = "yes" ]
TM_MAD_CONF = [ NAME = "ssh",    LN_TARGET = "SYSTEM", CLONE_TARGET = "SYSTEM", SHARED = "no" ]
TM_MAD_CONF = [ NAME = "qcow2",  LN_TARGET = "NONE", CLONE_TARGET = "SYSTEM", SHARED = "yes" ]
`

const usualDrivers = `
IM_MAD = [ NAME = "dummy", EXECUTABLE = "one_im_dummy" ]
VM_MAD = [ NAME = "dummy", EXECUTABLE = "one_vmm_dummy", TYPE = "xml" ]
TM_MAD        = [ EXECUTABLE = "one_tm", ARGUMENTS = "-t 8 -d dummy,shared,ssh,qcow2" ]
DATASTORE_MAD = [ EXECUTABLE = "one_datastore", ARGUMENTS = "-t 4 -d dummy,fs" ]
HM_MAD        = [ EXECUTABLE = "one_hm" ]
`

// newCloud makes a directory for a cloud and starts its oned. When the test
// fails it shows the end of oned.log; it is stopped when the test is over.
func newCloud(t *testing.T, s settings) *cloud {
	t.Helper()
	if s.port == 0 {
		s.port = freePort(t)
	}
	c := &cloud{t: t, dir: t.TempDir(), port: s.port}
	must(t, os.MkdirAll(c.path("var"), 0o750))
	if s.smallDisk {
		c.mountSmallDisk()
	}
	for _, dir := range []string{"etc", "var/vms", "var/datastores"} {
		must(t, os.MkdirAll(c.path(dir), 0o750))
	}
	must(t, os.Symlink(filepath.Join(installed, "lib"), c.path("lib")))
	must(t, os.Symlink(filepath.Join(installed, "var", "remotes"), c.path("var", "remotes")))
	must(t, os.Symlink(filepath.Join(installed, "etc", "vmm_exec"), c.path("etc", "vmm_exec")))
	if s.db == "" {
		s.db = `[ BACKEND = "sqlite" ]`
	}
	if s.drivers == "" {
		s.drivers = usualDrivers
	}
	c.write("etc/oned.conf", without(fmt.Sprintf(usualConf, s.db, c.port, c.dir), s.conf)+s.drivers+s.conf)
	c.write("etc/one_auth", "oneadmin:opennebula\n")
	c.env = append(os.Environ(), "ONE_LOCATION="+c.dir, "ONE_AUTH="+c.path("etc", "one_auth"))
	c.env = append(c.env, s.env...)
	c.client = newClient(t, c.port, "oneadmin:opennebula")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("end of oned.log:\n%s", lastLines(c.path("var", "oned.log"), 60))
			logs, _ := filepath.Glob(c.path("var", "vms", "*", "vm.log"))
			for _, log := range logs[:min(len(logs), 3)] {
				t.Logf("end of %s:\n%s", log, lastLines(log, 10))
			}
		}
	})
	if s.secrets != "" {
		must(t, os.CopyFS(c.path("var", ".one"), os.DirFS(s.secrets)))
	}
	c.start()
	if !s.untouched {
		c.useDatastoreDrivers(s)
	}
	return c
}

// without is a configuration without the attributes that another one has.
func without(conf, other string) string {
	var kept strings.Builder
	for line := range strings.Lines(conf) {
		name, _, _ := strings.Cut(line, " ")
		if name == "\n" || !strings.Contains("\n"+other, "\n"+name+" ") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// log is oned.log.
func (c *cloud) log() string { return c.read("var", "oned.log") }

// useDatastoreDrivers sets the drivers of the system datastore and of the one for images.
func (c *cloud) useDatastoreDrivers(s settings) {
	c.t.Helper()
	tm, datastore := s.tm, s.datastore
	if tm == "" {
		tm = "dummy"
	}
	if datastore == "" {
		datastore = "dummy"
	}
	const add = 1
	c.must(c.t, "one.datastore.update", 0, fmt.Sprintf("TM_MAD = %q", tm), add)
	for _, id := range []int{1, 2} {
		c.must(c.t, "one.datastore.update", id, fmt.Sprintf("TM_MAD = %q\nDS_MAD = %q\nSAFE_DIRS = %q", tm, datastore, c.dir), add)
	}
	c.poll(c.t, "the datastore of the images has no figures", func() (bool, error) {
		d, err := c.Document("one.datastore.info", 1)
		return err == nil && d.Number("TOTAL_MB") > 0, err
	})
}

// start runs oned and waits until it answers.
func (c *cloud) start() {
	c.t.Helper()
	c.oned = c.run("oned", "-f")
	c.awaitAnswer()
}

func (c *cloud) awaitAnswer() {
	c.t.Helper()
	var last error
	for end := time.Now().Add(answerLimit); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if _, last = c.Call("one.system.version"); last == nil {
			return
		}
		if c.oned.ended() {
			c.t.Fatalf("oned ended: %v\n%s", c.oned.err, c.oned.said())
		}
	}
	c.t.Fatalf("oned does not answer: %v", last)
}

// run starts a program of the installation that is stopped when the test is over.
func (c *cloud) run(name string, args ...string) *program {
	c.t.Helper()
	p := &program{name: name, cmd: exec.Command(filepath.Join(installed, "bin", name), args...), done: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env = c.dir, c.env
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	must(c.t, p.cmd.Start())
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	c.t.Cleanup(func() {
		p.stop(c.t)
		if strings.Contains(p.said(), "DATA RACE") {
			c.t.Errorf("%s: %s", p.name, p.said())
		}
	})
	return p
}

// schedule starts the scheduler, which looks for waiting machines once a second.
func (c *cloud) schedule() {
	c.t.Helper()
	c.write("etc/sched.conf", fmt.Sprintf("ONED_PORT = %d\nSCHED_INTERVAL = 1\nMAX_HOST = 100\nLOG = [ system = \"file\", debug_level = 3 ]\n", c.port))
	c.run("mm_sched")
	c.t.Cleanup(func() {
		if c.t.Failed() {
			c.t.Logf("end of sched.log:\n%s", lastLines(c.path("var", "sched.log"), 40))
		}
	})
}

// kill ends oned as a crash does. Its drivers see the end of their input.
func (c *cloud) kill() {
	c.t.Helper()
	if err := c.oned.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		c.t.Fatal(err)
	}
	<-c.oned.done
}

// stop ends oned with SIGTERM and returns how long that took.
func (c *cloud) stop() time.Duration {
	c.t.Helper()
	began := time.Now()
	c.oned.stop(c.t)
	return time.Since(began)
}

func (c *cloud) path(names ...string) string {
	return filepath.Join(append([]string{c.dir}, names...)...)
}

func (c *cloud) write(name, text string) {
	c.t.Helper()
	must(c.t, os.WriteFile(c.path(name), []byte(text), 0o640))
}

func (c *cloud) read(names ...string) string {
	c.t.Helper()
	text, err := os.ReadFile(c.path(names...))
	must(c.t, err)
	return string(text)
}

// program is a running process.
type program struct {
	name   string
	cmd    *exec.Cmd
	output output.Buffer
	done   chan struct{} // closed when it has ended
	err    error         // how; valid when done is closed
}

func (p *program) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func (p *program) said() string { return p.output.String() }

// stop ends the process with SIGTERM; one that does not go is an error.
func (p *program) stop(t *testing.T) {
	t.Helper()
	if p.ended() {
		return
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("SIGTERM for %s: %v", p.name, err)
	}
	select {
	case <-p.done:
	case <-time.After(20 * time.Second):
		t.Errorf("%s does not end after SIGTERM", p.name)
		_ = p.cmd.Process.Signal(syscall.SIGQUIT)
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

var nextPort = atomic.Int32{}

// freePort is a port below those that the system gives to outgoing
// connections, of which the tests make thousands.
func freePort(t *testing.T) int {
	t.Helper()
	const first, count = 12000, 18000
	nextPort.CompareAndSwap(0, 1+rand.Int32N(count))
	for range count {
		port := first + int(nextPort.Add(1))%count
		l, err := net.Listen("tcp4", ":"+strconv.Itoa(port))
		if err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// lastLines is the end of a log without the calls that succeeded.
func lastLines(path string, count int) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := slices.DeleteFunc(strings.SplitAfter(string(text), "\n"), func(line string) bool {
		return strings.Contains(line, "[ReM][D]") && (strings.Contains(line, " invoked") || strings.Contains(line, " result SUCCESS"))
	})
	return strings.Join(lines[max(0, len(lines)-count):], "")
}
