//go:build e2e

package kvm

import (
	"bytes"
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

// lab is the front-end and its hosts.
type lab struct {
	client
	dir   string
	hosts []*host
	// accel is the type of domains: kvm, or qemu where the guest does not boot with KVM.
	accel string
}

// host is a machine that libvirt runs on.
type host struct {
	name, address, dir string
	id                 int
}

// Bounds of what is waited for: far above what is usual, for slow machines
// without KVM.
const (
	stateLimit = 6 * time.Minute
	guestLimit = 12 * time.Minute
	hostLimit  = 2 * time.Minute
	pause      = 100 * time.Millisecond
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// command runs a program on the front-end and returns what it printed.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// eventually polls until ok.
func eventually(t *testing.T, limit time.Duration, ok func() (bool, string)) {
	t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(pause) {
		done, state := ok()
		if done {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("after %v: %s", limit, state)
		}
	}
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{dir: labDir, hosts: []*host{{name: "h1", address: "10.77.0.11"}, {name: "h2", address: "10.77.0.12"}}}
	args := []string{"front.sh", l.dir}
	for _, h := range l.hosts {
		h.dir = filepath.Join(l.dir, h.name)
		args = append(args, h.name+"="+h.address)
	}
	command(t, "sh", args...)
	for _, h := range l.hosts {
		h.start(t)
	}
	l.accel = domainType(t, l.dir)
	t.Logf("domains are of the type %s", l.accel)
	l.startOned(t)
	return l
}

func (h *host) start(t *testing.T) {
	t.Helper()
	must(t, os.MkdirAll(h.dir, 0o755))
	log, err := os.Create(filepath.Join(h.dir, "host.log"))
	must(t, err)
	defer log.Close()
	cmd := exec.Command("sh", "host.sh", h.name, h.address, h.dir)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("end of libvirtd.log of %s:\n%s", h.name, lastLines(filepath.Join(h.dir, "libvirtd.log"), 20))
		}
	})
	eventually(t, hostLimit, func() (bool, string) {
		out, err := exec.Command("ssh", h.name, "virsh -c qemu:///system version").CombinedOutput()
		return err == nil, fmt.Sprintf("host %s: %v, %s\n%s", h.name, err, out, lastLines(log.Name(), 20))
	})
}

// virsh asks the host's libvirt and returns what it printed.
func (h *host) virsh(t *testing.T, args string) string {
	t.Helper()
	return command(t, "ssh", h.name, "virsh -c qemu:///system "+args)
}

// domains lists the names of what runs on the host.
func (h *host) domains(t *testing.T) []string { return strings.Fields(h.virsh(t, "list --name")) }

// domainType is kvm if the guest boots with it, which nested KVM does not promise.
func domainType(t *testing.T, dir string) string {
	t.Helper()
	if _, err := os.Stat("/dev/kvm"); err != nil {
		return "qemu"
	}
	cmd := exec.Command("kvm", "-machine", "pc,accel=kvm", "-m", "128", "-nodefaults", "-display", "none", "-no-reboot",
		"-kernel", filepath.Join(dir, "kernel"), "-initrd", filepath.Join(dir, "initrd"),
		"-append", "console=ttyS0 quiet", "-serial", "file:"+filepath.Join(dir, "kvm-probe"))
	must(t, cmd.Start())
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(pause) {
		if said, _ := os.ReadFile(filepath.Join(dir, "kvm-probe")); bytes.Contains(said, []byte("guest: kernel")) {
			return "kvm"
		}
	}
	return "qemu"
}

const onedConf = `
LOG  = [ SYSTEM = "file", DEBUG_LEVEL = 2 ]
DB   = [ BACKEND = "sqlite" ]
PORT = 2633
MANAGER_TIMER       = 2
MONITORING_INTERVAL = 10
SCRIPTS_REMOTE_DIR  = "/var/tmp/one"
VNC_BASE_PORT       = 5900
MAC_PREFIX   = "02:00"
NETWORK_SIZE = 254
DEFAULT_IMAGE_TYPE          = "OS"
DEFAULT_DEVICE_PREFIX       = "vd"
DEFAULT_CDROM_DEVICE_PREFIX = "hd"
IM_MAD = [ NAME = "collectd", EXECUTABLE = "collectd", ARGUMENTS = "-p 4124 -f 1 -t 10 -i 8" ]
IM_MAD = [ NAME = "kvm", EXECUTABLE = "one_im_ssh", ARGUMENTS = "-r 3 -t 4 kvm" ]
VM_MAD = [ NAME = "kvm", EXECUTABLE = "one_vmm_exec", ARGUMENTS = "-t 4 -r 0 kvm", DEFAULT = "vmm_exec/vmm_exec_kvm.conf", TYPE = %q ]
TM_MAD        = [ EXECUTABLE = "one_tm", ARGUMENTS = "-t 4 -d dummy,shared,qcow2,ssh" ]
DATASTORE_MAD = [ EXECUTABLE = "one_datastore", ARGUMENTS = "-t 4 -d dummy,fs" ]
HM_MAD        = [ EXECUTABLE = "one_hm" ]
AUTH_MAD      = [ EXECUTABLE = "one_auth_mad", AUTHN = "ssh,x509,ldap,server_cipher,server_x509" ]
TM_MAD_CONF = [ NAME = "dummy",  LN_TARGET = "NONE", CLONE_TARGET = "SYSTEM", SHARED = "yes" ]
TM_MAD_CONF = [ NAME = "shared", LN_TARGET = "NONE", CLONE_TARGET = "SYSTEM", SHARED = "yes" ]
TM_MAD_CONF = [ NAME = "qcow2",  LN_TARGET = "NONE", CLONE_TARGET = "SYSTEM", SHARED = "yes" ]
TM_MAD_CONF = [ NAME = "ssh",    LN_TARGET = "SYSTEM", CLONE_TARGET = "SYSTEM", SHARED = "no" ]
`

func (l *lab) one(names ...string) string {
	return filepath.Join(append([]string{l.dir, "one"}, names...)...)
}

// startOned starts the front-end, whose hosts are added as any administrator does.
func (l *lab) startOned(t *testing.T) {
	t.Helper()
	must(t, os.WriteFile(l.one("etc", "oned.conf"), fmt.Appendf(nil, onedConf, l.accel), 0o640))
	must(t, os.WriteFile(l.one("etc", "one_auth"), []byte("oneadmin:opennebula\n"), 0o600))
	log, err := os.Create(filepath.Join(l.dir, "oned.out"))
	must(t, err)
	defer log.Close()
	cmd := exec.Command(l.one("bin", "oned"), "-f")
	cmd.Env = append(os.Environ(), "ONE_LOCATION="+l.one(), "ONE_AUTH="+l.one("etc", "one_auth"))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("end of oned.log:\n%s", lastLines(l.one("var", "oned.log"), 40))
		}
	})
	l.client = newClient("http://127.0.0.1:2633/RPC2", "oneadmin:opennebula")
	eventually(t, hostLimit, func() (bool, string) {
		_, err := l.call("one.system.version")
		return err == nil, fmt.Sprintf("oned: %v\n%s", err, lastLines(log.Name(), 20))
	})
}

// lastLines is the end of a file.
func lastLines(path string, count int) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.SplitAfter(string(text), "\n")
	return strings.Join(lines[max(0, len(lines)-count):], "")
}

// guest is the operating system of a virtual machine, on its serial console.
type guest struct {
	id   int
	name string // of its serial port
	host *host
	// said is how much of the console has been read.
	said, requests int
}

// console is the text of the serial port since the machine came to its host.
func (g *guest) console() string {
	text, _ := os.ReadFile(filepath.Join(g.host.dir, "run/serial", g.name+".log"))
	return strings.ReplaceAll(string(text), "\r", "")
}

// skip makes wait look only at what the console says from now on.
func (g *guest) skip() { g.said = len(g.console()) }

// wait waits until the console has said something that it had not said before,
// and returns all that is new up to there.
func (g *guest) wait(t *testing.T, text string) string {
	t.Helper()
	var said string
	eventually(t, guestLimit, func() (bool, string) {
		all := g.console()
		news := all[min(g.said, len(all)):]
		before, _, found := strings.Cut(news, text)
		said = before + text
		return found, fmt.Sprintf("the console of VM %d has not said %q:\n%s", g.id, text, all)
	})
	g.said += len(said)
	return said
}

// run does a shell command in the guest and returns its output; its status must be 0.
func (g *guest) run(t *testing.T, command string) string {
	t.Helper()
	conn := g.dial(t)
	defer conn.Close() // not earlier: qemu drops what it has not yet given to the guest
	g.skip()
	g.requests++
	word := fmt.Sprintf("answer-%d", g.requests)
	_, err := fmt.Fprintf(conn, "%s %s\n", word, command)
	must(t, err)
	out := strings.TrimSuffix(g.wait(t, "\n"+word+": "), "\n"+word+": ")
	if status := strings.TrimSpace(g.wait(t, "\n")); status != "0" {
		t.Fatalf("VM %d: %s: status %s\n%s", g.id, command, status, out)
	}
	return strings.TrimSpace(out)
}

// dial opens the serial port, which one can do at a time.
func (g *guest) dial(t *testing.T) (conn net.Conn) {
	t.Helper()
	path := filepath.Join(g.host.dir, "run/serial", g.name+".sock")
	eventually(t, hostLimit, func() (bool, string) {
		var err error
		conn, err = net.DialTimeout("unix", path, 5*time.Second)
		return err == nil, fmt.Sprint(err)
	})
	return conn
}

// unanswered pings an address that must not answer, and returns what went wrong.
func unanswered(address string) string {
	out, err := exec.Command("ping", "-c", "3", "-w", "5", address).CombinedOutput()
	if err == nil {
		return string(out)
	}
	return ""
}
