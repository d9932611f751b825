//go:build e2e

package xen

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/kolo/xmlrpc"

	"goned/core/host"
	"goned/core/image"
	"goned/core/vm"
)

// Emulated hosts are slow, and the machine below them may be busy.
const (
	stateLimit = 25 * time.Minute
	pollPause  = 500 * time.Millisecond
)

const systemDatastore, imageDatastore, fileDatastore = 0, 1, 2

// conf is of a cloud that knows Xen hosts only, and hears from them often.
const conf = `
LOG  = [ SYSTEM = "file", DEBUG_LEVEL = 3 ]
DB   = [ BACKEND = "sqlite" ]
PORT = %d
MANAGER_TIMER       = 5
MONITORING_INTERVAL = 60
SCRIPTS_REMOTE_DIR = "/var/tmp/one"
VNC_BASE_PORT      = 5900
MAC_PREFIX   = "02:00"
NETWORK_SIZE = 254
DATASTORE_CAPACITY_CHECK    = "yes"
DEFAULT_IMAGE_TYPE          = "OS"
DEFAULT_DEVICE_PREFIX       = "xvd"
DEFAULT_CDROM_DEVICE_PREFIX = "hd"
SESSION_EXPIRATION_TIME     = 900
IM_MAD = [ NAME = "collectd", EXECUTABLE = "collectd", ARGUMENTS = "-p %d -f 2 -t 4 -i 25" ]
IM_MAD = [ NAME = "xen", EXECUTABLE = "one_im_ssh", ARGUMENTS = "-r 3 -t 15 xen4" ]
VM_MAD = [ NAME = "xen", EXECUTABLE = "one_vmm_exec", ARGUMENTS = "-t 15 -r 0 xen4",
           DEFAULT = "vmm_exec/vmm_exec_xen4.conf", TYPE = "xen" ]
TM_MAD        = [ EXECUTABLE = "one_tm", ARGUMENTS = "-t 15 -d dummy,shared,ssh" ]
DATASTORE_MAD = [ EXECUTABLE = "one_datastore", ARGUMENTS = "-t 15 -d dummy,fs" ]
HM_MAD        = [ EXECUTABLE = "one_hm" ]
AUTH_MAD      = [ EXECUTABLE = "one_auth_mad", AUTHN = "ssh,x509,ldap,server_cipher,server_x509" ]
TM_MAD_CONF = [ NAME = "dummy",  LN_TARGET = "NONE",   CLONE_TARGET = "SYSTEM", SHARED = "yes" ]
TM_MAD_CONF = [ NAME = "shared", LN_TARGET = "NONE",   CLONE_TARGET = "SYSTEM", SHARED = "yes" ]
TM_MAD_CONF = [ NAME = "ssh",    LN_TARGET = "SYSTEM", CLONE_TARGET = "SYSTEM", SHARED = "no" ]
`

// cloud is an oned in a directory of its own, and the access of oneadmin to it.
type cloud struct {
	dir, endpoint string
	oned          *exec.Cmd
	ended         chan error

	hostsLock sync.Mutex
	hosts     map[string]int
}

func newCloud(dir string) (*cloud, error) {
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	c := &cloud{dir: dir, endpoint: fmt.Sprintf("http://127.0.0.1:%d/RPC2", ports[0]), hosts: map[string]int{}}
	for _, args := range [][]string{
		{"go", "build", "-o", c.path("build") + "/", "./cmd/..."},
		{"sh", "share/scripts/install.sh", c.path("build"), c.path()},
	} {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = filepath.Join("..", "..")
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%v: %w\n%s", args, err, out)
		}
	}
	files := map[string]string{
		"etc/oned.conf": fmt.Sprintf(conf, ports[0], ports[1]),
		"etc/one_auth":  "oneadmin:opennebula\n",
	}
	// The drivers call ssh by its name; only here it needs a file with ports and the key.
	for _, tool := range []string{"ssh", "scp"} {
		real, err := exec.LookPath(tool)
		if err != nil {
			return nil, err
		}
		files["path/"+tool] = fmt.Sprintf("#!/bin/sh\nexec %s -F '%s' \"$@\"\n", real, filepath.Join(labDir, "ssh_config"))
	}
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(c.path(name)), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(c.path(name), []byte(text), 0o755); err != nil {
			return nil, err
		}
	}

	// The front-end is this machine, which may have no sshd.
	name, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	c.oned = exec.Command(c.path("bin", "oned"), "-f")
	c.oned.Dir = dir
	c.oned.Env = append(os.Environ(), "ONE_LOCATION="+dir, "ONE_AUTH="+c.path("etc", "one_auth"), "ONE_LOCAL_HOSTS="+name,
		"PATH="+c.path("path")+":"+os.Getenv("PATH"))
	var said bytes.Buffer
	c.oned.Stdout, c.oned.Stderr = &said, &said
	// When the test is interrupted oned ends, too.
	c.oned.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := c.oned.Start(); err != nil {
		return nil, err
	}
	c.ended = make(chan error, 1)
	go func() { c.ended <- c.oned.Wait() }()
	for end := time.Now().Add(time.Minute); ; time.Sleep(pollPause) {
		if _, err = c.call("one.system.version"); err == nil {
			return c, nil
		}
		if time.Now().After(end) {
			c.stop()
			return nil, fmt.Errorf("oned does not answer: %w\n%s", err, said.String())
		}
	}
}

// stop ends oned with SIGTERM.
func (c *cloud) stop() {
	_ = c.oned.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.ended:
	case <-time.After(30 * time.Second):
		_ = c.oned.Process.Kill()
		<-c.ended
	}
}

func (c *cloud) path(names ...string) string {
	return filepath.Join(append([]string{c.dir}, names...)...)
}

// freePorts are ports that nobody listens on.
func freePorts(count int) ([]int, error) {
	var ports []int
	for range count {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// --- the interface ------------------------------------------------------------

// refused is an answer of oned that is no success.
type refused struct{ method, text string }

func (r *refused) Error() string { return r.method + ": " + r.text }

// call returns the value of a successful answer: a text or an int64.
func (c *cloud) call(method string, args ...any) (any, error) {
	client, err := xmlrpc.NewClient(c.endpoint, nil)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	var values []any
	if err := client.Call(method, append([]any{"oneadmin:opennebula"}, args...), &values); err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	if len(values) < 2 {
		return nil, fmt.Errorf("%s: an answer of %d values", method, len(values))
	}
	if ok, isBool := values[0].(bool); !isBool || !ok {
		return nil, &refused{method, fmt.Sprint(values[1])}
	}
	return values[1], nil
}

// must calls a method that answers with an id and has to succeed.
func (c *cloud) must(t *testing.T, method string, args ...any) int {
	t.Helper()
	value, err := c.call(method, args...)
	must(t, err)
	id, ok := value.(int64)
	if !ok {
		t.Fatalf("%s: the answer is no id: %v", method, value)
	}
	return int(id)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// node is an element of a document.
type node struct{ *etree.Element }

func (n node) text(path string) string {
	if e := n.FindElement("./" + path); e != nil {
		return e.Text()
	}
	return ""
}

func (n node) number(path string) int {
	i, _ := strconv.Atoi(n.text(path))
	return i
}

// info is the document of an object: info(t, "vm", 7).
func (c *cloud) info(t *testing.T, kind string, id int) node {
	t.Helper()
	value, err := c.call("one."+kind+".info", id)
	must(t, err)
	doc := etree.NewDocument()
	must(t, doc.ReadFromString(fmt.Sprint(value)))
	return node{doc.Root()}
}

// await polls until done says so.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(stateLimit); !done(); time.Sleep(pollPause) {
		if time.Now().After(end) {
			t.Fatalf("waited %v in vain: %s", stateLimit, what)
		}
	}
}

// vmState names the state of a machine: "PENDING", or, when it is active, "RUNNING" or what else it is doing.
func vmState(d node) string {
	if state := vm.State(d.number("STATE")); state != vm.Active {
		return state.String()
	}
	return vm.LCMState(d.number("LCM_STATE")).String()
}

// awaitVM waits for a state of a machine and returns its document. A machine
// that fails meanwhile ends the test.
func (c *cloud) awaitVM(t *testing.T, id int, want string) node {
	t.Helper()
	var d node
	await(t, fmt.Sprintf("VM %d %s", id, want), func() bool {
		d = c.info(t, "vm", id)
		state := vmState(d)
		if state == "FAILED" && want != state {
			t.Fatalf("VM %d is FAILED: %s\n%s", id, d.text("USER_TEMPLATE/ERROR"), c.vmLog(id))
		}
		return state == want
	})
	return d
}

// act does an action and waits for its end.
func (c *cloud) act(t *testing.T, action string, id int, state string) node {
	t.Helper()
	c.must(t, "one.vm.action", action, id)
	return c.awaitVM(t, id, state)
}

func (c *cloud) vmLog(id int) string {
	return lastLines(c.path("var", "vms", strconv.Itoa(id), "vm.log"), 40)
}

// awaitLog waits until the log of a machine holds a line count times.
func (c *cloud) awaitLog(t *testing.T, id int, line string, count int) {
	t.Helper()
	file := c.path("var", "vms", strconv.Itoa(id), "vm.log")
	await(t, fmt.Sprintf("vm.log of %d: %s", id, line), func() bool {
		text, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		return strings.Count(string(text), line) >= count
	})
}

func imageState(d node) string { return image.State(d.number("STATE")).String() }

func (c *cloud) awaitImage(t *testing.T, id int, want string) node {
	t.Helper()
	var d node
	await(t, fmt.Sprintf("image %d %s", id, want), func() bool {
		d = c.info(t, "image", id)
		if state := imageState(d); state == "ERROR" && want != state {
			t.Fatalf("image %d is in ERROR: %s", id, d.text("TEMPLATE/ERROR"))
		}
		return imageState(d) == want
	})
	return d
}

// makeImage registers an image and waits until it is there.
func (c *cloud) makeImage(t *testing.T, datastore int, template string) int {
	t.Helper()
	id := c.must(t, "one.image.allocate", template, datastore)
	c.awaitImage(t, id, "READY")
	return id
}

// run makes a machine of a template and has it started on a host.
func (c *cloud) run(t *testing.T, template, host string) int {
	t.Helper()
	id := c.must(t, "one.vm.allocate", template, false)
	c.must(t, "one.vm.deploy", id, c.host(t, host), false, systemDatastore)
	return id
}

// host returns the number of a host, which is made if it is not known.
func (c *cloud) host(t *testing.T, name string) int {
	t.Helper()
	c.hostsLock.Lock()
	defer c.hostsLock.Unlock()
	if id, ok := c.hosts[name]; ok {
		return id
	}
	id := c.must(t, "one.host.allocate", name, "xen", "xen", "dummy", -1)
	await(t, "host "+name+" monitored", func() bool {
		d := c.info(t, "host", id)
		if host.State(d.number("STATE")) == host.Error {
			t.Fatalf("host %s: %s", name, d.text("TEMPLATE/ERROR"))
		}
		return host.State(d.number("STATE")) == host.Monitored
	})
	c.hosts[name] = id
	return id
}

// second is the host for what does not need the first one.
func second() string {
	if os.Getenv("XEN_LAB_HOSTS") == "1" {
		return "xen01"
	}
	return "xen02"
}

// lastLines is the end of a log file, without the many lines about requests.
func lastLines(path string, count int) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := slices.DeleteFunc(strings.SplitAfter(string(text), "\n"), func(line string) bool { return strings.Contains(line, "[ReM]") })
	return strings.Join(lines[max(0, len(lines)-count):], "")
}
