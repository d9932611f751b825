package driverstest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"goned/test/sshd"
)

// reachByName starts an ssh server that goes by the names, and lets every program that
// the test starts know it.
func reachByName(t *testing.T, env []string, names ...string) *sshd.Server {
	t.Helper()
	self, err := user.Current()
	must(t, err)
	server, err := sshd.Start(t.TempDir(), sshd.Options{Hosts: names, User: self.Username, Env: env})
	if errors.Is(err, sshd.ErrMissing) {
		t.Skip(err)
	}
	must(t, err)
	t.Cleanup(server.Stop)
	// The drivers' shared connections have their sockets here; the name has to be short.
	tmp, err := os.MkdirTemp("/tmp", "gd")
	must(t, err)
	t.Cleanup(func() {
		sockets, _ := filepath.Glob(tmp + "/one-ssh-*/*")
		for _, socket := range sockets {
			_ = exec.Command("ssh", "-S", socket, "-O", "exit", "any").Run()
		}
		os.RemoveAll(tmp)
	})
	t.Setenv("TMPDIR", tmp)
	t.Setenv("PATH", server.Bin+":"+os.Getenv("PATH"))
	return server
}

// syncConf has one driver whose hosts report by themselves, every second.
const syncConf = `
HOST_PER_INTERVAL  = 15
IM_MAD = [ NAME = "collectd", EXECUTABLE = "collectd", ARGUMENTS = "-a 127.0.0.1 -p %[1]d -f 1 -i 1" ]
IM_MAD = [ NAME = "qemu", EXECUTABLE = "one_im_ssh", ARGUMENTS = "-r 3 -t 15 qemu" ]
VM_MAD = [ NAME = "dummy", EXECUTABLE = "one_vmm_dummy", TYPE = "xml" ]
`

func freeUDPPort(t *testing.T) int {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	must(t, err)
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).Port
}

// syncCloud is a cloud whose host h1 has its own directory of scripts.
type syncCloud struct {
	*cloud
	// front and host are the trees of scripts, client is the file with the id of the
	// process that reports.
	front, host, client string
}

func newSyncCloud(t *testing.T) *syncCloud {
	t.Helper()
	away := t.TempDir()
	must(t, os.Mkdir(filepath.Join(away, "var"), 0o755))
	reachByName(t, []string{"ONE_LOCATION=" + away}, "h1")
	c := &syncCloud{host: filepath.Join(away, "remotes"), client: filepath.Join(away, "var/.collectd-client.pid")}
	c.cloud = newCloud(t, "", func(dir string) {
		path := filepath.Join(dir, "etc/oned.conf")
		conf, err := os.ReadFile(path)
		must(t, err)
		text := strings.NewReplacer(`"/var/tmp/one"`, `"`+c.host+`"`, "MONITORING_INTERVAL = 600", "MONITORING_INTERVAL = 3").Replace(string(conf))
		write(t, path, text+fmt.Sprintf(syncConf, freeUDPPort(t)))
	})
	c.front = c.path("var/remotes")
	t.Cleanup(func() { // the client would go on until the scripts change
		must(t, os.RemoveAll(c.host))
		await(t, "the host's client ends", func() bool { return !c.reporting() })
	})
	c.probe("echo SITE=old")
	c.admin("one.host.allocate", "h1", "qemu", "dummy", "dummy", -1)
	return c
}

// probe changes the site's own probe on the front-end.
func (c *syncCloud) probe(body string) {
	c.t.Helper()
	path := filepath.Join(c.front, "im/qemu-probes.d/site.sh")
	write(c.t, path, "#!/bin/sh\n"+body+"\n")
	must(c.t, os.Chmod(path, 0o755))
}

// value is what the host reports.
func (c *syncCloud) value(name string) string {
	return element(c.t, c.admin("one.host.info", c.hostID()), "HOST/TEMPLATE/"+name)
}

func (c *syncCloud) hostID() int {
	pool := c.admin("one.hostpool.info")
	var id int
	_, _ = fmt.Sscan(element(c.t, pool, "HOST_POOL/HOST/ID"), &id)
	return id
}

func (c *syncCloud) awaitValue(name, want string) {
	c.t.Helper()
	await(c.t, name+" is "+want, func() bool { return c.value(name) == want })
}

func (c *syncCloud) reporting() bool {
	pid, err := os.ReadFile(c.client)
	if err != nil {
		return false
	}
	text, _ := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/cmdline")
	return strings.Contains(string(text), "collectd-client")
}

// sync is "onehost sync" of 4.6: what that command does with a host, or the command itself
// if GONED_ONEHOST names it.
func (c *syncCloud) sync(options ...string) string {
	c.t.Helper()
	if command := os.Getenv("GONED_ONEHOST"); command != "" {
		cmd := exec.Command("/bin/sh", "-c", command+` sync "$@"`, "onehost")
		cmd.Args = append(cmd.Args, options...)
		cmd.Env = append(os.Environ(), "ONE_LOCATION="+c.dir, "ONE_AUTH="+c.path("etc/one_auth"),
			fmt.Sprintf("ONE_XMLRPC=http://127.0.0.1:%d/RPC2", c.port))
		out, err := cmd.CombinedOutput()
		if err != nil {
			c.t.Fatalf("onehost sync: %v\n%s", err, out)
		}
		return string(out)
	}
	version, err := os.ReadFile(filepath.Join(c.front, "VERSION"))
	must(c.t, err)
	want := strings.TrimSpace(string(version))
	dir := element(c.t, c.admin("one.system.config"), "TEMPLATE/SCRIPTS_REMOTE_DIR")
	now := time.Now()
	write(c.t, filepath.Join(c.front, ".update"), "")
	must(c.t, os.Chtimes(filepath.Join(c.front, ".update"), now, now))
	arguments := strings.Join(options, " ")
	if c.value("VERSION") >= want && !strings.Contains(arguments, "--force") {
		return "No hosts are going to be updated."
	}
	if strings.Contains(arguments, "--rsync") {
		command(c.t, "", "rsync", "-Laz", "--delete", c.front+"/", "h1:"+dir)
	} else {
		command(c.t, "", "scp", "-rp", c.front+"/.", "h1:"+dir)
	}
	c.admin("one.host.update", c.hostID(), fmt.Sprintf("VERSION = %q", want), 1)
	return "All hosts updated successfully."
}

const (
	updated   = "All hosts updated successfully."
	unchanged = "No hosts are going to be updated."
)

func (c *syncCloud) mustSync(want string, options ...string) {
	c.t.Helper()
	if got := c.sync(options...); !strings.Contains(got, want) {
		c.t.Fatalf("onehost sync %v: %s", options, got)
	}
}

// loseScripts: a host whose scripts are gone gets them back with its next monitoring.
func (c *syncCloud) loseScripts() {
	c.t.Helper()
	must(c.t, os.RemoveAll(c.host))
	await(c.t, "the scripts are back", func() bool {
		_, err := os.Stat(filepath.Join(c.host, ".checksum"))
		return err == nil
	})
	await(c.t, "the host reports again", c.reporting)
}

// TestOnehostSync: what a site changes reaches its hosts, and what they report follows.
func TestOnehostSync(t *testing.T) {
	c := newSyncCloud(t)
	onHost := func(name string) string { text, _ := os.ReadFile(filepath.Join(c.host, name)); return string(text) }

	// The first monitoring copies; the host then reports by itself.
	c.awaitValue("VERSION", "4.6.2")
	c.awaitValue("SITE", "old")
	await(t, "the host reports", c.reporting)
	c.loseScripts()
	first := onHost("../var/.collectd-client.pid")

	// A change stays on the front-end until somebody says so.
	c.mustSync(unchanged)
	c.probe("echo SITE=new")
	write(t, filepath.Join(c.front, "VERSION"), "4.6.3\n")
	seen := element(t, c.admin("one.host.info", 0), "HOST/LAST_MON_TIME")
	await(t, "another report", func() bool { return element(t, c.admin("one.host.info", 0), "HOST/LAST_MON_TIME") > seen })
	if got := c.value("SITE"); got != "old" {
		t.Fatalf("SITE is %q before onehost sync", got)
	}
	c.mustSync(updated)
	c.awaitValue("SITE", "new")
	c.awaitValue("VERSION", "4.6.3")
	await(t, "the host reports with the new scripts", func() bool { return c.reporting() && onHost("../var/.collectd-client.pid") != first })
	c.mustSync(unchanged)

	// rsync takes away what the front-end has no more.
	if _, err := exec.LookPath("rsync"); err == nil {
		must(t, os.Remove(filepath.Join(c.front, "im/qemu-probes.d/site.sh")))
		c.mustSync(unchanged, "--rsync")
		c.mustSync(updated, "--rsync", "--force")
		if onHost("im/qemu-probes.d/site.sh") != "" {
			t.Error("the probe is still on the host")
		}
		await(t, "the host reports again", c.reporting)
	}

	c.loseScripts()

	// The first monitoring of a host that is added again finds the same checksum.
	write(t, filepath.Join(c.host, "mark"), "")
	write(t, filepath.Join(c.host, "VERSION"), "changed on the host\n")
	c.admin("one.host.delete", 0)
	c.admin("one.host.allocate", "h1", "qemu", "dummy", "dummy", -1)
	c.awaitValue("VERSION", "changed on the host")
	if state := element(t, c.admin("one.host.info", 1), "HOST/STATE"); state != "2" {
		t.Errorf("the host's state is %s", state)
	}

	// With another one it copies.
	c.admin("one.host.delete", 1)
	c.probe("echo SITE=newest")
	c.admin("one.host.allocate", "h1", "qemu", "dummy", "dummy", -1)
	c.awaitValue("SITE", "newest")
	c.awaitValue("VERSION", "4.6.3")
}
