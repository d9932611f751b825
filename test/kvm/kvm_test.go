//go:build e2e

package kvm

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Datastores that oned makes at its first start.
const (
	systemDatastore = 0
	imageDatastore  = 1
	fileDatastore   = 2
)

// cloud is a lab with what virtual machines are made of.
type cloud struct {
	*lab
	network int
}

// The second host has a network driver that does something.
var networkDrivers = []string{"dummy", "ebtables"}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	c := &cloud{lab: newLab(t)}
	const add = 1
	c.must(t, "one.datastore.update", systemDatastore, `TM_MAD = "qcow2"`, add)
	c.must(t, "one.datastore.update", imageDatastore, fmt.Sprintf("TM_MAD = \"qcow2\"\nDS_MAD = \"fs\"\nSAFE_DIRS = %q", c.dir), add)
	c.must(t, "one.datastore.update", fileDatastore, fmt.Sprintf("TM_MAD = \"shared\"\nDS_MAD = \"fs\"\nSAFE_DIRS = %q", c.dir), add)
	for _, d := range []int{imageDatastore, fileDatastore} {
		// Until then they have no room for images.
		eventually(t, hostLimit, func() (bool, string) {
			return c.info(t, "datastore", d).number("FREE_MB") > 0, fmt.Sprintf("datastore %d has no figures", d)
		})
	}
	for i, h := range c.hosts {
		h.id = c.must(t, "one.host.allocate", h.name, "kvm", "kvm", networkDrivers[i], -1)
	}
	c.network = c.must(t, "one.vn.allocate", `NAME = "lan"
TYPE = "RANGED"
BRIDGE = "br0"
VLAN = "YES"
NETWORK_ADDRESS = "10.77.0.0"
NETWORK_MASK = "255.255.255.0"
IP_START = "10.77.0.50"
IP_END = "10.77.0.99"
`, -1)
	motd := filepath.Join(c.dir, "motd")
	must(t, os.WriteFile(motd, []byte("good morning\n"), 0o644))
	for _, f := range []struct{ name, kind, path string }{
		{"kernel", "KERNEL", filepath.Join(c.dir, "kernel")},
		{"initrd", "RAMDISK", filepath.Join(c.dir, "initrd")},
		{"motd", "CONTEXT", motd},
	} {
		template := fmt.Sprintf("NAME = %q\nTYPE = %s\nPATH = %q", f.name, f.kind, f.path)
		c.awaitImage(t, c.must(t, "one.image.allocate", template, fileDatastore), "READY")
	}
	return c
}

// greeting has what quoting gets wrong.
const greeting = "it's \"good\" `reboot` \\ & <早上好>"

// template is a machine whose serial port is a socket and a file on its host.
func (c *cloud) template(name, disk, nic string) string {
	return fmt.Sprintf(`NAME = %[1]q
CPU = 0.5
MEMORY = 128
OS = [ KERNEL_DS = "$FILE[IMAGE=\"kernel\"]", INITRD_DS = "$FILE[IMAGE=\"initrd\"]",
       KERNEL_CMD = "console=ttyS0 quiet loglevel=1 no_timer_check mitigations=off audit=0 cryptomgr.notests" ]
%[2]s
NIC = [ NETWORK_ID = %[3]d, MODEL = "virtio"%[4]s ]
GRAPHICS = [ TYPE = "vnc", LISTEN = "0.0.0.0" ]
CONTEXT = [ NETWORK = "YES", HOSTNAME = "guest-$VMID", VMID = "$VMID", FILES_DS = "$FILE[IMAGE=\"motd\"]", GREETING = "%[5]s" ]
RAW = [ TYPE = "kvm", DATA = "<devices><serial type='unix'><source mode='bind' path='/run/serial/%[1]s.sock'/><log file='/run/serial/%[1]s.log' append='on'/><target port='0'/></serial></devices>" ]
`, name, disk, c.network, nic, strings.ReplaceAll(greeting, `"`, `\"`))
}

// deploy makes a machine on a host and waits until its guest is ready.
func (c *cloud) deploy(t *testing.T, h *host, name, template string) *guest {
	t.Helper()
	began := time.Now()
	g := &guest{id: c.must(t, "one.vm.allocate", template, false), name: name, host: h}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("vm.log of VM %d:\n%s\nconsole:\n%s", g.id, lastLines(c.one("var", "vms", fmt.Sprint(g.id), "vm.log"), 60), g.console())
		}
	})
	c.must(t, "one.vm.deploy", g.id, h.id, false, systemDatastore)
	c.awaitVM(t, g.id, "RUNNING")
	running := time.Since(began)
	g.wait(t, "guest: ready")
	t.Logf("VM %d runs after %.1f s, its guest is ready after %.1f s", g.id, running.Seconds(), time.Since(began).Seconds())
	return g
}

// disk makes an image with a file system and returns a DISK of it.
func (c *cloud) disk(t *testing.T, name, attributes string) (id int, disk string) {
	t.Helper()
	raw, path := filepath.Join(c.dir, name+".raw"), filepath.Join(c.dir, name+".qcow2")
	command(t, "truncate", "-s", "24M", raw)
	command(t, "mkfs.ext4", "-q", "-O", "^has_journal", raw)
	command(t, "qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, path)
	id = c.must(t, "one.image.allocate", fmt.Sprintf("NAME = %q\nTYPE = OS\nDRIVER = qcow2\nPATH = %q\n%s", name, path, attributes), imageDatastore)
	c.awaitImage(t, id, "READY")
	return id, fmt.Sprintf("DISK = [ IMAGE_ID = %d ]", id)
}

// inside is the content of a file in an image with an ext4 file system.
func (c *cloud) inside(t *testing.T, image int, file string) string {
	t.Helper()
	raw, out := filepath.Join(c.dir, fmt.Sprintf("inside-%d.raw", image)), filepath.Join(c.dir, "inside.txt")
	command(t, "qemu-img", "convert", "-O", "raw", c.info(t, "image", image).text("SOURCE"), raw)
	command(t, "debugfs", "-R", fmt.Sprintf("dump %s %s", file, out), raw)
	text, err := os.ReadFile(out)
	must(t, err)
	return strings.TrimSpace(string(text))
}

// wantGone checks that nothing of a machine is left, and that its image is free.
func (c *cloud) wantGone(t *testing.T, g *guest, image int) {
	t.Helper()
	for _, h := range c.hosts {
		if domains := h.domains(t); slices.Contains(domains, g.domain()) {
			t.Errorf("%s still runs %v", h.name, domains)
		}
	}
	// A failed machine is DONE before its files are removed.
	eventually(t, hostLimit, func() (bool, string) {
		left, err := filepath.Glob(c.one("var", "datastores", "0", fmt.Sprint(g.id), "*"))
		return err == nil && left == nil, fmt.Sprintf("left in the system datastore: %v, %v", left, err)
	})
	if d := c.awaitImage(t, image, "READY"); d.number("RUNNING_VMS") != 0 {
		t.Errorf("image %d is used by %s machines", image, d.text("RUNNING_VMS"))
	}
}

func (g *guest) domain() string { return fmt.Sprintf("one-%d", g.id) }

func TestKVM(t *testing.T) {
	c := newCloud(t)
	t.Run("hosts", c.testHosts)
	t.Run("failing deploy", c.testFailingDeploy)
	t.Run("life", c.testLife)
	t.Run("migration", c.testMigration)
}

func (c *cloud) testHosts(t *testing.T) {
	for _, h := range c.hosts {
		var d node
		eventually(t, hostLimit, func() (bool, string) {
			d = c.info(t, "host", h.id)
			return d.text("STATE") == "2" && d.number("HOST_SHARE/MAX_MEM") > 0,
				fmt.Sprintf("host %s is not monitored: state %s, %s", h.name, d.text("STATE"), d.text("TEMPLATE/ERROR"))
		})
		for path, want := range map[string]string{
			"TEMPLATE/HYPERVISOR": "kvm", "TEMPLATE/HOSTNAME": h.name, "TEMPLATE/ARCH": "x86_64",
		} {
			if got := d.text(path); got != want {
				t.Errorf("%s of %s is %q, not %q", path, h.name, got, want)
			}
		}
		for _, path := range []string{
			"HOST_SHARE/MAX_CPU", "HOST_SHARE/MAX_MEM", "HOST_SHARE/FREE_MEM", "HOST_SHARE/USED_MEM", "HOST_SHARE/MAX_DISK",
			"HOST_SHARE/FREE_DISK", "TEMPLATE/CPUSPEED",
		} {
			if d.number(path) <= 0 {
				t.Errorf("%s of %s is %q", path, h.name, d.text(path))
			}
		}
		if d.number("HOST_SHARE/FREE_CPU")+d.number("HOST_SHARE/USED_CPU") == 0 {
			t.Errorf("host %s has no CPU figures", h.name)
		}
	}
}

func (c *cloud) testFailingDeploy(t *testing.T) {
	h := c.hosts[0]
	image, disk := c.disk(t, "fails", "")
	c.must(t, "one.vn.allocate", "NAME = \"nowhere\"\nTYPE = \"FIXED\"\nBRIDGE = \"no-such-bridge\"\nLEASES = [ IP = 10.99.0.1 ]", -1)
	template := c.template("fails", disk, "") + "NIC = [ NETWORK = \"nowhere\" ]\n"
	g := &guest{id: c.must(t, "one.vm.allocate", template, false), name: "fails", host: h}
	c.must(t, "one.vm.deploy", g.id, h.id, false, systemDatastore)
	reason := c.awaitVM(t, g.id, "FAILED").text("USER_TEMPLATE/ERROR")
	t.Logf("the VM says %q", reason)
	for _, want := range []string{"Error deploying virtual machine: Could not create domain from ", "no-such-bridge"} {
		if !strings.Contains(reason, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	c.act(t, "delete", g.id, "DONE")
	c.wantGone(t, g, image)
}

// testLife is the life of one machine: everything that can be done with it, in the
// order that needs the fewest boots.
func (c *cloud) testLife(t *testing.T) {
	h := c.hosts[0]
	image, disk := c.disk(t, "os", "")
	g := c.deploy(t, h, "life", c.template("life", disk, ""))
	// again deploys the machine after a stop that took it from its host.
	again := func(t *testing.T) {
		t.Helper()
		c.must(t, "one.vm.action", "resume", g.id)
		c.must(t, "one.vm.deploy", g.id, h.id, false, systemDatastore)
		c.awaitVM(t, g.id, "RUNNING")
	}
	wantNotRunning := func(t *testing.T) {
		t.Helper()
		if slices.Contains(h.domains(t), g.domain()) {
			t.Error("the domain runs")
		}
	}

	t.Run("context", func(t *testing.T) {
		for _, want := range []string{
			"context on /dev/sr0: ", "context.sh", "motd",
			fmt.Sprintf("I am guest-%[1]d, VM %[1]d, at 10.77.0.", g.id), "greeting is " + greeting + "\n",
		} {
			if !strings.Contains(g.console(), want) {
				t.Errorf("the console has not said %q", want)
			}
		}
		if got := g.run(t, "cat /cd/motd"); got != "good morning" {
			t.Errorf("the file on the CD holds %q", got)
		}
	})
	t.Run("network", func(t *testing.T) { c.ping(t, c.info(t, "vm", g.id).text("TEMPLATE/NIC/IP")) })
	t.Run("console", func(t *testing.T) {
		port := c.info(t, "vm", g.id).text("TEMPLATE/GRAPHICS/PORT")
		if port != fmt.Sprint(5900+g.id) {
			t.Errorf("the VNC port is %s", port)
		}
		conn, err := net.DialTimeout("tcp", net.JoinHostPort(h.address, port), 10*time.Second)
		must(t, err)
		defer conn.Close()
		must(t, conn.SetDeadline(time.Now().Add(time.Minute)))
		banner := make([]byte, 12)
		if _, err := io.ReadFull(conn, banner); err != nil || string(banner) != "RFB 003.008\n" {
			t.Errorf("the console greets with %q, %v", banner, err)
		}
	})
	t.Run("figures", func(t *testing.T) {
		eventually(t, stateLimit, func() (bool, string) {
			d := c.info(t, "vm", g.id)
			return d.number("MEMORY") > 10_000 && d.number("CPU") > 0 && d.number("NET_TX") > 0 && d.number("NET_RX") > 0 && d.number("LAST_POLL") > 0,
				fmt.Sprintf("MEMORY %s, CPU %s, NET_TX %s, NET_RX %s", d.text("MEMORY"), d.text("CPU"), d.text("NET_TX"), d.text("NET_RX"))
		})
	})
	t.Run("attach disk", func(t *testing.T) {
		c.must(t, "one.vm.attach", g.id, "DISK = [ TYPE = fs, FORMAT = ext4, SIZE = 16, DEV_PREFIX = vd ]")
		d := c.wantParts(t, g, "DISK", 2)
		g.run(t, "for i in $(seq 99); do [ -b /dev/vdb ] && break; usleep 100000; done; mkdir -p /b && mount -t ext4 /dev/vdb /b && echo attached >/b/file && umount /b")
		c.must(t, "one.vm.detach", g.id, d.number("TEMPLATE/DISK[2]/DISK_ID"))
		c.wantParts(t, g, "DISK", 1)
		g.run(t, "for i in $(seq 99); do [ -b /dev/vdb ] || break; usleep 100000; done; ! [ -b /dev/vdb ]")
	})
	t.Run("attach nic", func(t *testing.T) {
		c.must(t, "one.vm.attachnic", g.id, fmt.Sprintf("NIC = [ NETWORK_ID = %d, MODEL = virtio ]", c.network))
		d := c.wantParts(t, g, "NIC", 2)
		mac, ip := d.text("TEMPLATE/NIC[2]/MAC"), d.text("TEMPLATE/NIC[2]/IP")
		g.run(t, "for i in $(seq 99); do [ -e /sys/class/net/eth1 ] && break; usleep 100000; done; grep -q "+mac+" /sys/class/net/eth1/address")
		g.run(t, "ip link set eth1 up && ip addr add "+ip+"/24 dev eth1")
		c.ping(t, ip)
		c.must(t, "one.vm.detachnic", g.id, d.number("TEMPLATE/NIC[2]/NIC_ID"))
		c.wantParts(t, g, "NIC", 1)
		g.run(t, "for i in $(seq 99); do [ -e /sys/class/net/eth1 ] || break; usleep 100000; done; ! [ -e /sys/class/net/eth1 ]")
	})
	t.Run("snapshot", func(t *testing.T) {
		g.run(t, "mount -t ext4 /dev/vda /data && echo before >/data/file && memory=before && sync")
		id := c.must(t, "one.vm.snapshotcreate", g.id, "calm")
		if name := c.wantParts(t, g, "SNAPSHOT", 1).text("TEMPLATE/SNAPSHOT/HYPERVISOR_ID"); name == "" {
			t.Error("the snapshot has no name")
		}
		g.run(t, "echo after >/data/file && memory=after && sync")
		c.must(t, "one.vm.snapshotrevert", g.id, id)
		c.wantParts(t, g, "SNAPSHOT", 1)
		if got := g.run(t, "echo $memory $(cat /data/file)"); got != "before before" {
			t.Errorf("after revert memory and disk say %q", got)
		}
		c.must(t, "one.vm.snapshotdelete", g.id, id)
		c.wantParts(t, g, "SNAPSHOT", 0)
		if left := strings.TrimSpace(h.virsh(t, "snapshot-list --name "+g.domain())); left != "" {
			t.Errorf("libvirt still has the snapshot %q", left)
		}
	})
	t.Run("suspend", func(t *testing.T) {
		g.run(t, "memory=suspended")
		c.act(t, "suspend", g.id, "SUSPENDED")
		wantNotRunning(t)
		c.act(t, "resume", g.id, "RUNNING")
		if got := g.run(t, "echo $memory"); got != "suspended" {
			t.Errorf("memory says %q", got)
		}
	})
	t.Run("stop", func(t *testing.T) {
		g.run(t, "memory=stopped")
		c.act(t, "stop", g.id, "STOPPED")
		wantNotRunning(t)
		again(t)
		if got := g.run(t, "echo $memory"); got != "stopped" {
			t.Errorf("memory says %q", got)
		}
	})
	t.Run("savedisk hot", func(t *testing.T) {
		g.run(t, "echo hot >/data/file && sync")
		saved := c.must(t, "one.vm.savedisk", g.id, 0, "saved hot", "", true, false)
		c.awaitVM(t, g.id, "RUNNING")
		c.awaitImage(t, saved, "READY")
		if got := c.inside(t, saved, "file"); got != "hot" {
			t.Errorf("the file in the saved image holds %q", got)
		}
	})
	t.Run("paused by hand", func(t *testing.T) {
		h.virsh(t, "suspend "+g.domain())
		c.awaitVM(t, g.id, "UNKNOWN")
		h.virsh(t, "resume "+g.domain())
		c.awaitVM(t, g.id, "RUNNING")
	})
	t.Run("reboot", func(t *testing.T) {
		g.skip()
		c.must(t, "one.vm.action", "reboot", g.id)
		g.wait(t, "guest: power button")
		g.wait(t, "guest: ready")
		c.awaitVM(t, g.id, "RUNNING")
	})
	t.Run("reset", func(t *testing.T) {
		g.skip()
		c.must(t, "one.vm.action", "reboot-hard", g.id)
		g.wait(t, "guest: ready")
		c.awaitVM(t, g.id, "RUNNING")
	})
	t.Run("poweroff", func(t *testing.T) {
		g.skip()
		c.act(t, "poweroff", g.id, "POWEROFF")
		g.wait(t, "guest: power button")
		wantNotRunning(t)
		c.act(t, "resume", g.id, "RUNNING")
		g.wait(t, "guest: ready")
		if got := g.run(t, "mount -t ext4 /dev/vda /data && cat /data/file && umount /data"); got != "hot" {
			t.Errorf("the disk holds %q", got)
		}
	})
	t.Run("destroyed by hand", func(t *testing.T) {
		h.virsh(t, "destroy "+g.domain())
		c.awaitVM(t, g.id, "UNKNOWN")
		g.skip()
		c.act(t, "boot", g.id, "RUNNING")
		g.wait(t, "guest: ready")
	})
	t.Run("undeploy", func(t *testing.T) {
		c.act(t, "undeploy", g.id, "UNDEPLOYED")
		wantNotRunning(t)
		g.skip()
		again(t)
		g.wait(t, "guest: ready")
	})
	t.Run("shutdown", func(t *testing.T) {
		g.run(t, "mount -t ext4 /dev/vda /data && echo deferred >/data/file && sync")
		saved := c.must(t, "one.vm.savedisk", g.id, 0, "saved at the end", "", false, false)
		c.awaitVM(t, g.id, "RUNNING")
		c.act(t, "shutdown", g.id, "DONE")
		g.wait(t, "guest: power button")
		c.wantGone(t, g, image)
		c.awaitImage(t, saved, "READY")
		if got := c.inside(t, saved, "file"); got != "deferred" {
			t.Errorf("the file in the saved image holds %q", got)
		}
	})
}

// wantParts waits for the end of an attachment and counts what the machine has.
func (c *cloud) wantParts(t *testing.T, g *guest, part string, want int) node {
	t.Helper()
	d := c.awaitVM(t, g.id, "RUNNING")
	if got := len(d.FindElements("./TEMPLATE/" + part)); got != want {
		t.Fatalf("the VM has %d %s, not %d: %s", got, part, want, d.text("USER_TEMPLATE/ERROR"))
	}
	return d
}

// ping asks a guest from the front-end.
func (c *cloud) ping(t *testing.T, address string) {
	t.Helper()
	command(t, "ping", "-c", "3", "-w", "60", address)
}

// testMigration moves a machine between the hosts, one of which filters packets.
func (c *cloud) testMigration(t *testing.T) {
	plain, filtering := c.hosts[0], c.hosts[1]
	image, disk := c.disk(t, "moves", "")
	g := c.deploy(t, filtering, "moves", c.template("moves", disk, `, WHITE_PORTS_TCP = "22,80:90", ICMP = "drop"`))
	ip := c.info(t, "vm", g.id).text("TEMPLATE/NIC/IP")
	g.run(t, "memory=kept && mount -t ext4 /dev/vda /data && echo kept >/data/file")

	// on checks that the machine is there and nowhere else, with its memory.
	on := func(t *testing.T, h *host) {
		t.Helper()
		for _, other := range c.hosts {
			if is := slices.Contains(other.domains(t), g.domain()); is != (other == h) {
				t.Errorf("%s runs the domain: %v", other.name, is)
			}
		}
		d := c.info(t, "vm", g.id)
		if records := d.FindElements("./HISTORY_RECORDS/HISTORY"); (node{records[len(records)-1]}).number("HID") != h.id {
			t.Fatalf("the VM has not gone to %s: %s", h.name, d.text("USER_TEMPLATE/ERROR"))
		}
		g.host = h
		if got := g.run(t, "echo $memory $(cat /data/file)"); got != "kept kept" {
			t.Errorf("memory and disk say %q", got)
		}
	}
	chain := fmt.Sprintf("one-%d-%d", g.id, c.network)
	// filtered compares the rules of the host and what they do to a ping.
	filtered := func(t *testing.T, want bool) {
		t.Helper()
		rules := command(t, "ssh", filtering.name, "ebtables -L FORWARD; iptables -S")
		if got := strings.Contains(rules, chain) && strings.Contains(rules, "-j DROP"); got != want {
			t.Errorf("rules for the VM: %v\n%s", got, rules)
		}
	}
	t.Run("rules", func(t *testing.T) {
		filtered(t, true)
		if out := unanswered(ip); out != "" {
			t.Errorf("the guest answers pings that are to be dropped:\n%s", out)
		}
	})
	t.Run("live", func(t *testing.T) {
		began := time.Now()
		c.must(t, "one.vm.migrate", g.id, plain.id, true, false)
		c.awaitVM(t, g.id, "RUNNING")
		t.Logf("%.1f s", time.Since(began).Seconds())
		on(t, plain)
		filtered(t, false)
		c.ping(t, ip)
	})
	t.Run("by a saved state", func(t *testing.T) {
		began := time.Now()
		c.must(t, "one.vm.migrate", g.id, filtering.id, false, false)
		c.awaitVM(t, g.id, "RUNNING")
		t.Logf("%.1f s", time.Since(began).Seconds())
		on(t, filtering)
		filtered(t, true)
	})
	t.Run("delete", func(t *testing.T) {
		c.act(t, "delete", g.id, "DONE")
		c.wantGone(t, g, image)
		filtered(t, false)
	})
}
