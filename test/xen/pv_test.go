//go:build e2e

package xen

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// note is what a context has to carry unharmed. Values of a context may hold no
// $ of their own in 4.6; an attribute of the network brings it in.
const (
	note     = "it's \"quoted\" \\back `id` 中文\nsecond line"
	netNote  = "costs $5 $(id) ${HOME}"
	initFile = `#!/bin/sh
# The FILES_DS entry of the test guest: shows what its context said.
echo "NOTE=<$NOTE>"
echo "NET_NOTE=<$NET_NOTE>"
echo "ADDRESS=<$ADDRESS>"
echo "NAMES=<$(ls "$CONTEXT_DIR" | tr '\n' ' ')>"
`
)

// guestFiles are the images of the Linux guest.
type guestFiles struct{ kernel, ramdisk, init, network int }

var (
	filesLock sync.Mutex
	files     *guestFiles
)

// prepare registers, once, what the Linux guest is made of.
func prepare(t *testing.T) *guestFiles {
	t.Helper()
	filesLock.Lock()
	defer filesLock.Unlock()
	if files != nil {
		return files
	}
	front.host(t, second())
	const add = 1
	for _, id := range []int{systemDatastore, imageDatastore, fileDatastore} {
		front.must(t, "one.datastore.update", id, fmt.Sprintf("TM_MAD = ssh\nDS_MAD = fs\nSAFE_DIRS = %q", labDir+" "+front.dir), add)
	}
	for _, id := range []int{imageDatastore, fileDatastore} {
		await(t, "space of the datastore", func() bool { return front.info(t, "datastore", id).number("TOTAL_MB") > 0 })
	}
	init := front.path("init.sh")
	must(t, os.WriteFile(init, []byte(initFile), 0o644))
	register := func(name, kind, path string) int {
		return front.makeImage(t, fileDatastore, fmt.Sprintf("NAME=%q\nTYPE=%s\nPATH=%q", name, kind, path))
	}
	files = &guestFiles{
		kernel:  register("kernel", "KERNEL", filepath.Join(labDir, "guest", "kernel")),
		ramdisk: register("ramdisk", "RAMDISK", filepath.Join(labDir, "guest", "ramdisk")),
		init:    register("init.sh", "CONTEXT", init),
		network: front.must(t, "one.vn.allocate", fmt.Sprintf("NAME=guests\nTYPE=RANGED\nBRIDGE=br0\nNETWORK_ADDRESS=192.0.2.0\nNETWORK_MASK=255.255.255.0\nIP_START=192.0.2.100\nIP_END=192.0.2.120\nNOTE=%q", netNote), -1),
	}
	return files
}

// linuxDisk registers a disk of the Linux guest.
func linuxDisk(t *testing.T, name string, persistent bool) int {
	t.Helper()
	answer := "NO"
	if persistent {
		answer = "YES"
	}
	return front.makeImage(t, imageDatastore, fmt.Sprintf("NAME=%q\nTYPE=OS\nPERSISTENT=%s\nPATH=%q", name, answer, filepath.Join(labDir, "guest", "disk")))
}

// linux is the template of the Linux guest.
func linux(t *testing.T, name string, disk int) string {
	t.Helper()
	f := prepare(t)
	return fmt.Sprintf(`NAME=%q
CPU=0.5
MEMORY=96
OS=[KERNEL_DS="$FILE[IMAGE_ID=%d]", INITRD_DS="$FILE[IMAGE_ID=%d]", KERNEL_CMD="console=hvc0 mitigations=off quiet"]
DISK=[IMAGE_ID=%d]
NIC=[NETWORK_ID=%d]
CONTEXT=[ADDRESS="$NIC[IP]", NOTE="%s", NET_NOTE="$NETWORK[NOTE, NETWORK_ID=%d]", HOSTNAME="guest-$VMID",
  FILES_DS="$FILE[IMAGE_ID=%d]", TARGET="xvdb"]
`, name, f.kernel, f.ramdisk, disk, f.network, escape(note), f.network, f.init)
}

// escape makes a value of a template in double quotes. A backslash stays one.
func escape(s string) string { return strings.ReplaceAll(s, `"`, `\"`) }

func TestHost(t *testing.T) {
	alone(t, "xen01")
	need(t, "added over ssh and monitored", func(t *testing.T) {
		var d node
		await(t, "a report of dom0 alone", func() bool { // the last one can be of a guest that was on its way here
			d = front.info(t, "host", front.host(t, "xen01"))
			return d.text("TEMPLATE/WILDS") == "Domain-0"
		})
		total := dom0Number(t, "xen01", "sudo xl info total_memory") * 1024
		for path, want := range map[string]string{
			"TEMPLATE/HYPERVISOR": "xen", "TEMPLATE/XEN_TOOLSTACK": "xl", "TEMPLATE/HOSTNAME": "xen01", "TEMPLATE/ARCH": "x86_64",
			"HOST_SHARE/MAX_CPU": "100", "HOST_SHARE/MAX_MEM": fmt.Sprint(total),
		} {
			if got := d.text(path); got != want {
				t.Errorf("%s is %q, not %q", path, got, want)
			}
		}
		if d.text("TEMPLATE/MODELNAME") == "" || d.number("TEMPLATE/CPUSPEED") <= 0 {
			t.Errorf("model %q, speed %q", d.text("TEMPLATE/MODELNAME"), d.text("TEMPLATE/CPUSPEED"))
		}
		free, used := d.number("HOST_SHARE/FREE_MEM"), d.number("HOST_SHARE/USED_MEM")
		if free <= 0 || used <= 0 || free+used != total {
			t.Errorf("memory: %d free, %d used, %d in all", free, used, total)
		}
		if disk := d.number("HOST_SHARE/MAX_DISK"); disk < 1000 {
			t.Errorf("a disk of %d MB", disk)
		}
	})
	check(t, "pushes its figures", func(t *testing.T) {
		first := front.info(t, "host", front.host(t, "xen01")).number("LAST_MON_TIME")
		mustSSH(t, "xen01", "pgrep -f collectd-client.sh")
		await(t, "a pushed message", func() bool {
			return front.info(t, "host", front.host(t, "xen01")).number("LAST_MON_TIME") > first
		})
	})
}

// TestParavirtual leads one Linux guest through its life.
func TestParavirtual(t *testing.T) {
	alone(t, "xen01")
	prepare(t)
	disk := linuxDisk(t, "system", true)
	var id int
	var guest *linuxGuest

	need(t, "boots and shows its context", func(t *testing.T) {
		guest = runLinux(t, "xen01", linux(t, "linux", disk), disk)
		id = guest.id
	})
	check(t, "has the address of its context", func(t *testing.T) {
		mustSSH(t, "xen01", "sudo busybox ping -c 5 -s 1000 -W 20 "+front.info(t, "vm", id).text("TEMPLATE/NIC/IP"))
	})
	check(t, "is monitored as measured", func(t *testing.T) {
		await(t, "figures of the VM", func() bool {
			d := front.info(t, "vm", id)
			return d.number("MEMORY") > 0 && d.number("NET_TX") > 0 && d.number("NET_RX") > 0
		})
		// xentop counts what the domain really has.
		has := dom0Number(t, "xen01", "sudo xl list "+guest.name+" | awk 'NR == 2 { print $3 }'") * 1024
		if got := front.info(t, "vm", id).number("MEMORY"); got < has-4096 || got > has+4096 {
			t.Errorf("MEMORY is %d, the domain has %d", got, has)
		}
		guest.startLoad(t)
		await(t, "CPU figure", func() bool { return front.info(t, "vm", id).number("CPU") > 0 })
		await(t, "CPU figure of the host", func() bool {
			return front.info(t, "host", front.host(t, "xen01")).number("HOST_SHARE/USED_CPU") > 0
		})
		guest.stopLoad(t)
	})

	check(t, "disk attached and detached", func(t *testing.T) { guest.attachDisk(t) })
	check(t, "card attached and detached", func(t *testing.T) { guest.attachCard(t) })
	check(t, "suspend and resume", func(t *testing.T) {
		guest.run(t, "kept=suspended")
		front.act(t, "suspend", id, "SUSPENDED")
		if guest.isListed(t) {
			t.Error("the domain runs still")
		}
		mustSSH(t, "xen01", "test -s "+front.path("var", "datastores", "0", fmt.Sprint(id), "checkpoint"))
		front.act(t, "resume", id, "RUNNING")
		if out := guest.run(t, "echo $kept"); out != "suspended" {
			t.Errorf("the shell does not remember: %q", out)
		}
	})
	check(t, "stop and resume", func(t *testing.T) {
		guest.run(t, "kept=stopped")
		front.act(t, "stop", id, "STOPPED")
		if guest.isListed(t) {
			t.Error("the domain runs still")
		}
		directory := front.path("var", "datastores", "0", fmt.Sprint(id))
		if _, err := os.Stat(filepath.Join(directory, "checkpoint")); err != nil {
			t.Errorf("the state did not come to the front-end: %v", err)
		}
		front.must(t, "one.vm.action", "resume", id)
		front.must(t, "one.vm.deploy", id, front.host(t, "xen01"), false, systemDatastore)
		front.awaitVM(t, id, "RUNNING")
		if out := guest.run(t, "echo $kept"); out != "stopped" {
			t.Errorf("the shell does not remember: %q", out)
		}
		if _, err := os.Stat(filepath.Join(directory, "checkpoint")); err == nil {
			t.Error("the state is still on the front-end")
		}
	})
	check(t, "snapshot and revert", func(t *testing.T) { guest.snapshot(t) })
	check(t, "disk of the running guest saved as an image", func(t *testing.T) {
		guest.run(t, "echo saved-while-running >/root/saved; sync")
		saved := front.must(t, "one.vm.savedisk", id, 0, "saved", "OS", true, false)
		front.awaitVM(t, id, "RUNNING")
		d := front.awaitImage(t, saved, "READY")
		content, err := os.ReadFile(d.text("SOURCE"))
		if err != nil || !strings.Contains(string(content), "saved-while-running\n") {
			t.Errorf("the image does not hold what the guest wrote (%v)", err)
		}
	})
	check(t, "reboot", func(t *testing.T) { guest.reboot(t) })
	check(t, "reset", func(t *testing.T) {
		before := strings.Count(guest.console(t), "GUEST READY")
		front.must(t, "one.vm.action", "reboot-hard", id)
		front.awaitLog(t, id, "VM successfully rebooted-hard.", 1)
		guest.awaitConsole(t, "GUEST READY", before+1)
		front.awaitVM(t, id, "RUNNING")
	})
	check(t, "destroyed by hand: UNKNOWN, boots again", func(t *testing.T) {
		before := strings.Count(guest.console(t), "GUEST READY")
		guest.xl(t, "destroy")
		front.awaitVM(t, id, "UNKNOWN")
		front.act(t, "boot", id, "RUNNING")
		guest.awaitConsole(t, "GUEST READY", before+1)
	})
	check(t, "poweroff and resume", func(t *testing.T) {
		before := strings.Count(guest.console(t), "GUEST READY")
		front.act(t, "poweroff", id, "POWEROFF")
		if guest.isListed(t) {
			t.Error("the domain runs still")
		}
		front.act(t, "resume", id, "RUNNING")
		guest.awaitConsole(t, "GUEST READY", before+1)
	})
	check(t, "shutdown; the image keeps what was written", func(t *testing.T) { guest.shutdown(t) })
}

// startLoad keeps the guest's processor busy.
func (d *domain) startLoad(t *testing.T) {
	t.Helper()
	d.run(t, "(while :; do :; done) & load=$!")
}

func (d *domain) stopLoad(t *testing.T) {
	t.Helper()
	d.run(t, "kill $load; sleep 1")
}

// TestDelete ends a running guest at once.
func TestDelete(t *testing.T) {
	alone(t, "xen01")
	prepare(t)
	disk := linuxDisk(t, "deleted", false)
	check(t, "delete while running", func(t *testing.T) {
		id := front.run(t, linux(t, "short", disk), "xen01")
		front.awaitVM(t, id, "RUNNING")
		guest := newDomain("xen01", id)
		began := time.Now()
		front.act(t, "delete", id, "DONE")
		t.Logf("gone after %v", time.Since(began).Round(time.Second))
		await(t, "the domain gone", func() bool { return !guest.isListed(t) })
		await(t, "its files gone", func() bool {
			_, err := ssh("xen01", "! test -e "+front.path("var", "datastores", "0", fmt.Sprint(id)))
			return err == nil
		})
		if state := imageState(front.info(t, "image", disk)); state != "READY" {
			t.Errorf("the image is %s", state)
		}
	})
}
