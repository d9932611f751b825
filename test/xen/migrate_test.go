//go:build e2e

package xen

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMigrate moves a guest between the hosts: with its disk, at a standstill,
// and while it runs, on a file system that both hosts have.
func TestMigrate(t *testing.T) {
	if hosts := os.Getenv("XEN_LAB_HOSTS"); hosts == "1" {
		t.Skip("there is one host only")
	}
	alone(t, "xen01", "xen02")
	prepare(t)
	need(t, "a second host", func(t *testing.T) { front.host(t, "xen02") })

	check(t, "to the other host, at a standstill", func(t *testing.T) {
		disk := linuxDisk(t, "moved", false)
		id := front.run(t, linux(t, "moved", disk), "xen01")
		front.awaitVM(t, id, "RUNNING")
		guest := newDomain("xen01", id)
		guest.awaitConsole(t, "GUEST READY", 1)
		guest.run(t, "kept=moved; echo moved >/root/file; sync")
		front.must(t, "one.vm.migrate", id, front.host(t, "xen02"), false, false)
		arrived(t, id, guest)
		if out := guest.run(t, "echo $kept; cat /root/file"); out != "moved\nmoved" {
			t.Errorf("the guest says %q", out)
		}
		mustSSH(t, "xen01", "! test -e "+front.path("var", "datastores", "0", fmt.Sprint(id)))
		front.act(t, "shutdown", id, "DONE")
	})

	system, images := sharedDatastores(t)
	start := func(t *testing.T, name, more string) (id, disk int, guest *domain) {
		disk = front.makeImage(t, images, fmt.Sprintf("NAME=%q\nTYPE=OS\nPERSISTENT=YES\nPATH=%q", name, filepath.Join(labDir, "guest", "disk")))
		id = front.must(t, "one.vm.allocate", linux(t, name, disk)+more, false)
		front.must(t, "one.vm.deploy", id, front.host(t, "xen01"), false, system)
		front.awaitVM(t, id, "RUNNING")
		guest = newDomain("xen01", id)
		guest.awaitConsole(t, "GUEST READY", 1)
		guest.run(t, "kept="+name)
		return id, disk, guest
	}
	check(t, "live, refused by the hypervisor: runs on where it was", func(t *testing.T) {
		// Debian's Xen has no shadow paging, without which it cannot follow what a paravirtual guest writes.
		id, _, guest := start(t, "stays", "")
		front.must(t, "one.vm.migrate", id, front.host(t, "xen02"), true, false)
		d := front.awaitVM(t, id, "RUNNING")
		if text := d.text("USER_TEMPLATE/ERROR"); !strings.Contains(text, "Failed to enable logdirty") {
			t.Errorf("ERROR: %s\n%s", text, front.vmLog(id))
		}
		if out := guest.run(t, "echo $kept"); out != "stays" {
			t.Errorf("after the failure the guest says %q", out)
		}
		hosts := d.FindElements("./HISTORY_RECORDS/HISTORY/HOSTNAME")
		if host := hosts[len(hosts)-1].Text(); host != "xen01" {
			t.Errorf("the last record says %s", host)
		}
		front.act(t, "shutdown", id, "DONE")
	})
	check(t, "live, and back", func(t *testing.T) {
		// With nested pages the processor itself follows what a guest writes. Linux loses the input of such a guest's console on the way: it is
		// asked by the network.
		id, disk, guest := start(t, "live", `RAW=[TYPE="xen", DATA="type = 'pvh'"]`)
		guest.run(t, "mkdir /www; mount -t tmpfs none /www; mkdir /www/cgi-bin; echo in-memory >/www/kept; cd /www/cgi-bin; "+
			"printf '#!/bin/sh\\necho; cat /www/kept; echo on-$QUERY_STRING >>/root/file; sync\\n' >mark; chmod 755 mark; httpd -h /www")
		address := front.info(t, "vm", id).text("TEMPLATE/NIC/IP")
		for _, host := range []string{"xen02", "xen01"} {
			front.must(t, "one.vm.migrate", id, front.host(t, host), true, false)
			arrived(t, id, &domain{host: guest.host, name: guest.name})
			guest.host = host
			if out := mustSSH(t, "xen01", fmt.Sprintf("busybox wget -q -O - 'http://%s/cgi-bin/mark?%s'", address, host)); out != "in-memory\n" {
				t.Errorf("on %s the guest says %q", host, out)
			}
		}
		front.act(t, "shutdown", id, "DONE")
		source := front.awaitImage(t, disk, "READY").text("SOURCE")
		if content, err := os.ReadFile(source); err != nil || !strings.Contains(string(content), "on-xen02\non-xen01\n") {
			t.Errorf("what the guest wrote on both hosts is not in the image (%v)", err)
		}
	})
}

// arrived waits until a migration is over; the domain must be gone from where it
// was. It is on the other host then.
func arrived(t *testing.T, id int, guest *domain) {
	t.Helper()
	front.awaitVM(t, id, "RUNNING")
	if text := front.info(t, "vm", id).text("USER_TEMPLATE/ERROR"); text != "" {
		t.Fatalf("ERROR: %s\n%s", text, front.vmLog(id))
	}
	if guest.isListed(t) {
		t.Errorf("%s has the domain still", guest.host)
	}
	if guest.host == "xen01" {
		guest.host = "xen02"
	} else {
		guest.host = "xen01"
	}
	if !guest.isListed(t) {
		t.Errorf("%s does not have the domain", guest.host)
	}
}

// sharedDatastores makes datastores that lie on a file system of both hosts and
// of the front-end.
func sharedDatastores(t *testing.T) (system, images int) {
	t.Helper()
	system = front.must(t, "one.datastore.allocate", "NAME=shared-system\nTYPE=SYSTEM_DS\nTM_MAD=shared", -1)
	images = front.must(t, "one.datastore.allocate", fmt.Sprintf("NAME=shared-images\nDS_MAD=fs\nTM_MAD=shared\nSAFE_DIRS=%q", labDir), -1)
	for _, id := range []int{system, images} {
		// Each host and the front-end see labDir/shared/ID at the place of the datastore.
		place := front.path("var", "datastores", fmt.Sprint(id))
		directory := filepath.Join(labDir, "shared", fmt.Sprint(id))
		must(t, os.RemoveAll(directory))
		must(t, os.MkdirAll(directory, 0o755))
		// The drivers come as another user than the front-end's.
		must(t, os.Chmod(directory, 0o777))
		_ = os.Remove(place)
		must(t, os.Symlink(directory, place))
		for _, host := range []string{"xen01", "xen02"} {
			mustSSH(t, host, fmt.Sprintf("mountpoint -q /shared || sudo sh -c 'modprobe 9pnet_virtio && mkdir -p /shared && mount -t 9p -o trans=virtio,version=9p2000.L shared /shared'; mkdir -p %s && rm -rf %s && ln -s /shared/%d %s",
				filepath.Dir(place), place, id, place))
		}
	}
	await(t, "space of the shared datastore", func() bool { return front.info(t, "datastore", images).number("TOTAL_MB") > 0 })
	return system, images
}
