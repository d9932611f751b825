package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"goned/drivers/auth"
	"goned/drivers/datastore"
	"goned/drivers/hooks"
	"goned/drivers/im"
	"goned/drivers/mad"
	"goned/drivers/tm"
	"goned/drivers/vmm"
	"goned/test/sshd"
)

// The test binary is onemad when ONEMAD_TEST is set.
func TestMain(m *testing.M) {
	if os.Getenv("ONEMAD_TEST") != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// cloud is a self-contained installation with the drivers of lib/mads.
type cloud struct {
	t    *testing.T
	root string
	env  []string
	// tmp is the temporary directory of drivers, after realHost.
	tmp string
}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	c := &cloud{t: t, root: t.TempDir()}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(c.root+"/lib/mads", 0o755); err != nil {
		t.Fatal(err)
	}
	for name := range programs {
		if err := os.Symlink(self, c.root+"/lib/mads/"+name); err != nil {
			t.Fatal(err)
		}
	}
	c.file("etc/defaultrc", "PRIORITY=5\nFROM_RC='a b'\n", 0o644)
	c.file("var/config", "SCRIPTS_REMOTE_DIR="+c.root+"/host\n", 0o644)
	c.env = []string{"ONEMAD_TEST=1", "ONE_LOCATION=" + c.root}
	return c
}

func (c *cloud) file(name, body string, mode os.FileMode) string {
	c.t.Helper()
	path := filepath.Join(c.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(body), mode); err != nil {
		c.t.Fatal(err)
	}
	return path
}

func (c *cloud) script(name, body string) string { return c.file(name, "#!/bin/sh\n"+body, 0o755) }

// driver is a running driver process and what it said.
type driver struct {
	*mad.Driver
	t     *testing.T
	mu    sync.Mutex
	lines []string
}

func (c *cloud) start(name, args string) *driver {
	c.t.Helper()
	d := &driver{t: c.t}
	d.Driver = mad.New(mad.Config{
		Name: name, Executable: name, Dir: c.root + "/lib/mads", Args: []string{args}, Env: c.env, WorkDir: c.root + "/var",
	}, mad.Handler{Line: func(m mad.Message) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.lines = append(d.lines, strings.TrimRight(fmt.Sprintf("%s %s %d %s", m.Action, m.Result, m.ID, m.Text), " "))
	}})
	if err := d.Start(context.Background()); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(d.Stop)
	return d
}

func (d *driver) said() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.lines, "\n")
}

// ask sends a request and waits for a line that begins with prefix.
func (d *driver) ask(line, prefix string) string {
	d.t.Helper()
	if err := d.Send(line); err != nil {
		d.t.Fatal(err)
	}
	return d.await(prefix)
}

// await waits for a line that begins with one of the prefixes.
func (d *driver) await(prefixes ...string) string {
	d.t.Helper()
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(3 * time.Millisecond) {
		d.mu.Lock()
		for _, l := range d.lines {
			for _, p := range prefixes {
				if strings.HasPrefix(l, p) {
					d.mu.Unlock()
					return l
				}
			}
		}
		d.mu.Unlock()
	}
	d.t.Fatalf("no answer %q; driver said:\n%s", prefixes, d.said())
	return ""
}

func TestStockDriversAnswerOned(t *testing.T) {
	c := newCloud(t)
	c.script("var/remotes/tm/shared/ln", `[ "$FROM_RC" = "a b" ] || { echo "no rc" >&2; exit 1; }`+"\n")
	script := c.file("var/vms/3/transfer.0.prolog", tm.Script([]tm.Command{{Name: "LN", Driver: "shared", Args: []string{"fe:/a", "h:/b"}, VMID: 3, DSID: 1}}), 0o644)
	c.script("var/remotes/datastore/fs/stat", "echo 17\n")
	c.script("var/remotes/auth/plain/authenticate", "exit 0\n")
	c.script("var/remotes/hooks/x.sh", "echo \"nice $(ps -o ni= -p $$)\"\n")
	c.script("var/remotes/im/run_probes", "echo \"HYPERVISOR=$1\"\n")
	c.script("var/remotes/vmm/kvm/poll", "echo STATE=a\n")

	authLine, err := auth.Authentication{UserID: 2, Driver: "plain", User: "joe", Password: "x", Secret: "y"}.Line(9)
	if err != nil {
		t.Fatal(err)
	}
	poll := vmm.Request{Host: "h1", DeployID: "one-1", VM: "<VM><NAME>n</NAME></VM>"}
	for _, tt := range []struct{ program, args, line, want string }{
		{"one_tm", "-t 15 -d dummy,shared", tm.TransferLine(3, script), "TRANSFER SUCCESS 3 -"},
		{"one_datastore", "-t 15 -d fs", datastore.Line(datastore.Stat, 4, datastore.StatImage("/x"), "<DATASTORE><DS_MAD>fs</DS_MAD></DATASTORE>"), "STAT SUCCESS 4 17"},
		{"one_auth_mad", "--authn plain,ssh", authLine, "AUTHENTICATE SUCCESS 9 -"},
		{"one_hm", "", hooks.Execution{ObjectID: 5, Name: "x", Host: hooks.Local, Command: c.root + "/var/remotes//hooks/x.sh"}.Line(), "EXECUTE SUCCESS 5 x: nice"},
		{"one_im_sh", "-r 0 -t 15 kvm", im.MonitorLine(6, "h1", "/ds", true), "MONITOR SUCCESS 6 " + base64.StdEncoding.EncodeToString([]byte("HYPERVISOR=kvm\n"))},
		{"one_im_dummy", "", im.MonitorLine(6, "h1", "/ds", true), "MONITOR SUCCESS 6 "},
		{"one_vmm_sh", "-t 15 -r 0 kvm", poll.Line(vmm.Poll, 7), "POLL SUCCESS 7 STATE=a"},
		{"one_vmm_exec", "-l poll kvm", poll.Line(vmm.Poll, 7), "POLL SUCCESS 7 STATE=a"},
		{"one_vmm_dummy", "", poll.Line(vmm.Deploy, 7), "DEPLOY SUCCESS 7 h1:n:dummy"},
	} {
		t.Run(tt.program, func(t *testing.T) {
			d := c.start(tt.program, tt.args)
			got := d.ask(tt.line, strings.Fields(tt.want)[0]+" ")
			if !strings.HasPrefix(got, tt.want) {
				t.Errorf("%q, want %q\n%s", got, tt.want, d.said())
			}
		})
	}
}

func TestWrongArgumentsAreRefused(t *testing.T) {
	c := newCloud(t)
	for _, tt := range []struct{ program, args string }{
		{"one_vmm_exec", "-t 15"}, {"one_vmm_exec", "../x"}, {"one_tm", "-z"}, {"one_im_ssh", ""}, {"collectd", "-p port"},
	} {
		cmd := exec.Command(c.root+"/lib/mads/"+tt.program, tt.args)
		cmd.Env = append(os.Environ(), c.env...)
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != 255 || len(out) == 0 {
			t.Errorf("%s %q: %v, %q", tt.program, tt.args, err, out)
		}
	}
}

func TestStopKillsWhatRuns(t *testing.T) {
	c := newCloud(t)
	pidFile := c.root + "/pid"
	c.script("var/remotes/tm/shared/ln", "echo $$ > "+pidFile+"\nsleep 300\n")
	script := c.file("var/vms/3/transfer.0.prolog", "LN shared a b 3 1\n", 0o644)
	d := c.start("one_tm", "")
	if err := d.Send(tm.TransferLine(3, script)); err != nil {
		t.Fatal(err)
	}
	pid := waitPID(t, pidFile)
	start := time.Now()
	d.Stop()
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("Stop took %v", took)
	}
	for end := time.Now().Add(20 * time.Second); running(pid); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("script survives its driver")
		}
	}
}

func TestCancelKillsTheScript(t *testing.T) {
	c := newCloud(t)
	pidFile := c.root + "/pid"
	c.script("var/remotes/tm/shared/ln", "echo $$ > "+pidFile+"\nsleep 300\n")
	script := c.file("var/vms/3/transfer.0.prolog", "LN shared a b 3 1\n", 0o644)
	d := c.start("one_tm", "")
	if err := d.Send(tm.TransferLine(3, script)); err != nil {
		t.Fatal(err)
	}
	pid := waitPID(t, pidFile)
	d.ask(vmm.CancelLine(3), "LOG I 3 Driver command for 3 cancelled")
	for end := time.Now().Add(20 * time.Second); running(pid); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("script survives its cancellation")
		}
	}
	if strings.Contains(d.said(), "TRANSFER") {
		t.Errorf("cancelled request was answered:\n%s", d.said())
	}
}

func waitPID(t *testing.T, path string) int {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		data, _ := os.ReadFile(path)
		if pid, err := strconv.Atoi(strings.TrimSpace(string(data))); err == nil {
			return pid
		}
	}
	t.Fatal("script did not start")
	return 0
}

func running(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z")
}

func TestCollectdRelays(t *testing.T) {
	c := newCloud(t)
	probe, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := probe.LocalAddr().(*net.UDPAddr).Port
	probe.Close()
	d := c.start("collectd", fmt.Sprintf("-a 127.0.0.1 -p %d -f 1 -t 50 -i 20", port))
	conn, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for end := time.Now().Add(20 * time.Second); !strings.Contains(d.said(), "MONITOR SUCCESS 3 QT0xCg=="); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("nothing relayed: %q", d.said())
		}
		_, _ = conn.Write([]byte("MONITOR SUCCESS 3 QT0xCg==\n"))
	}
}

// TestOverRealSSH drives a host behind a real sshd: the first request finds
// no scripts there, and one connection serves all.
func TestOverRealSSH(t *testing.T) {
	c := newCloud(t)
	server := c.realHost()
	c.script("var/remotes/vmm/kvm/deploy", "cat > "+c.root+"/domain; echo \"one-$3\"; echo note >&2\n")
	c.script("var/remotes/vmm/kvm/poll", "echo STATE=a USEDCPU=1\n")
	c.script("var/remotes/vmm/kvm/cancel", "exit 0\n")
	for _, s := range []string{"pre", "post", "clean"} {
		c.script("var/remotes/vnm/dummy/"+s, "exit 0\n")
	}
	c.script("var/remotes/im/run_probes", "echo HYPERVISOR=$1\n")
	domain := "<domain>$HOME `id` 'x' \\ é</domain>\n"
	r := vmm.Request{Host: "host1", NetDriver: "dummy", LocalFile: c.file("var/vms/1/deployment.0", domain, 0o644),
		RemoteFile: "/d/deployment.0", VM: "<VM><ID>1</ID></VM>"}

	d := c.start("one_vmm_exec", "-t 15 -r 0 kvm")
	if got := d.ask(r.Line(vmm.Deploy, 1), "DEPLOY "); got != "DEPLOY SUCCESS 1 one-1" {
		t.Fatalf("%q\n%s", got, d.said())
	}
	if got, _ := os.ReadFile(c.root + "/domain"); string(got) != domain {
		t.Errorf("deployment file arrived as %q", got)
	}
	want := "LOG I 1 Remote worker node files not found\nLOG I 1 Updating remotes\nLOG I 1 ExitCode: 0\n" +
		"LOG I 1 Successfully execute network driver operation: pre.\nLOG I 1 note\nLOG I 1 ExitCode: 0\n" +
		"LOG I 1 Successfully execute virtualization driver operation: deploy.\nLOG I 1 ExitCode: 0\n" +
		"LOG I 1 Successfully execute network driver operation: post.\nDEPLOY SUCCESS 1 one-1"
	if got := d.said(); got != want {
		t.Errorf("log\n%s\nwant\n%s", got, want)
	}
	r.DeployID = "one-1"
	for i := 2; i < 10; i++ {
		if got := d.ask(r.Line(vmm.Poll, i), fmt.Sprintf("POLL SUCCESS %d ", i)); !strings.HasSuffix(got, "STATE=a USEDCPU=1") {
			t.Error(got)
		}
	}
	if n := server.Connections(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
	r.Host = "nohost.invalid"
	if got := d.ask(r.Line(vmm.Cancel, 20), "CANCEL "); !strings.HasPrefix(got, "CANCEL FAILURE 20 Error connecting to nohost.invalid: ssh: ") {
		t.Error(got)
	}
	monitor := c.start("one_im_ssh", "-r 0 -t 15 kvm")
	if got := monitor.ask(im.MonitorLine(3, "host1", "/ds", true), "MONITOR "); !strings.HasPrefix(got, "MONITOR SUCCESS 3 ") {
		t.Errorf("%s\n%s", got, monitor.said())
	}
}

// realHost starts a server that is host1 and puts clients that know it first in
// the drivers' PATH.
func (c *cloud) realHost() *sshd.Server {
	c.t.Helper()
	self, err := user.Current()
	if err != nil {
		c.t.Fatal(err)
	}
	server, err := sshd.Start(c.root+"/ssh", sshd.Options{Hosts: []string{"host1"}, User: self.Username, MaxSessions: 3})
	if errors.Is(err, sshd.ErrMissing) {
		c.t.Skip(err)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(server.Stop)
	// Shared connections have their sockets in the temporary directory, whose
	// name has to be short.
	tmp, err := os.MkdirTemp("/tmp", "om")
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { os.RemoveAll(tmp) })
	c.tmp = tmp
	c.env = append(c.env, "TMPDIR="+tmp, "PATH="+server.Bin+":"+os.Getenv("PATH"))
	return server
}
