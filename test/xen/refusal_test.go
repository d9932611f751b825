//go:build e2e

package xen

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// failing runs a template that the host must refuse and returns what the user is
// told.
func failing(t *testing.T, template string) (id int, message string) {
	t.Helper()
	id = front.run(t, template, second())
	d := front.awaitVM(t, id, "FAILED")
	if newDomain(second(), id).isListed(t) {
		t.Error("there is a domain of it")
	}
	return id, d.text("USER_TEMPLATE/ERROR")
}

// TestRefused starts machines that cannot run.
func TestRefused(t *testing.T) {
	alone(t, second())
	f := prepare(t)
	disk := linuxDisk(t, "refused", false)
	check(t, "what the hypervisor says reaches the user, the image is free after delete", func(t *testing.T) {
		noKernel := front.path("no-kernel")
		must(t, os.WriteFile(noKernel, []byte(strings.Repeat("this is no kernel\n", 1000)), 0o644))
		bad := front.makeImage(t, fileDatastore, fmt.Sprintf("NAME=no-kernel\nTYPE=KERNEL\nPATH=%q", noKernel))
		// The hypervisor may have written to it: it stays in ERROR until somebody says that it is good.
		own := front.makeImage(t, imageDatastore, "NAME=own\nTYPE=DATABLOCK\nPERSISTENT=YES\nSIZE=1\nFSTYPE=raw")
		good := linux(t, "no-kernel", disk) + fmt.Sprintf("DISK=[IMAGE_ID=%d]\n", own)
		id, message := failing(t, strings.Replace(good, fmt.Sprintf("FILE[IMAGE_ID=%d]", f.kernel), fmt.Sprintf("FILE[IMAGE_ID=%d]", bad), 1))
		t.Log(message)
		if !strings.Contains(message, "Error deploying virtual machine: Unable to create domain: ") || !strings.Contains(message, "xc_dom") {
			t.Errorf("ERROR does not hold Xen's message: %s", message)
		}
		if !strings.Contains(front.vmLog(id), "xc_dom") {
			t.Errorf("the log does not, either:\n%s", front.vmLog(id))
		}
		if state := imageState(front.info(t, "image", disk)); state != "USED" {
			t.Errorf("the image of the failed VM is %s", state)
		}
		front.act(t, "delete", id, "DONE")
		front.awaitImage(t, disk, "READY")
		front.awaitImage(t, own, "ERROR")
		front.must(t, "one.image.enable", own, true)
		front.awaitImage(t, own, "READY")
		await(t, "its files gone", func() bool {
			_, err := ssh(second(), "! test -e "+front.path("var", "datastores", "0", fmt.Sprint(id)))
			return err == nil
		})
	})
	check(t, "more memory than the host has", func(t *testing.T) {
		id, message := failing(t, strings.Replace(linux(t, "huge", disk), "MEMORY=96", "MEMORY=50000", 1))
		t.Log(message)
		if !strings.Contains(message, "Unable to create domain: ") || !strings.Contains(strings.ToLower(message), "memory") {
			t.Errorf("ERROR is %s", message)
		}
		front.act(t, "delete", id, "DONE")
	})

	block := front.makeImage(t, imageDatastore, "NAME=trap\nTYPE=DATABLOCK\nSIZE=8\nFSTYPE=ext2\nDRIVER=file")
	one := func(attributes string) string { return fmt.Sprintf("DISK=[IMAGE_ID=%d, %s]", block, attributes) }
	context := `TARGET="xvdc:cdrom", DRIVER="file"`
	for _, trap := range []struct {
		name   string
		disks  []string
		change [2]string
		want   string
	}{
		{name: "a file where a block device is expected", disks: []string{one("TARGET=xvda, DRIVER=phy")},
			want: "is not a block device: set DRIVER = file"},
		{name: "a context CD as a block device", disks: []string{one("TARGET=xvda")},
			change: [2]string{context, `TARGET="xvdc:cdrom", DRIVER="phy:"`}, want: "is not a block device: set DRIVER = file"},
		{name: "a target without a number", disks: []string{one("TARGET=xvd")},
			want: "Unable to find number for device (xvd)"},
		{name: "a CD that is one twice", disks: []string{one("TARGET=xvda")},
			change: [2]string{context, `TARGET="xvdc:cdrom:cdrom", DRIVER="file"`}, want: "has :cdrom twice"},
		{name: "two disks on one target", disks: []string{one("TARGET=xvda")},
			change: [2]string{context, `TARGET="xvda:cdrom", DRIVER="file"`}, want: "DISK 0 and CONTEXT have the same target xvda"},
		{name: "a context disk that is no CD", disks: []string{one("TARGET=xvda")},
			change: [2]string{context, `TARGET="xvdc", DRIVER="file"`}, want: "has to be a CD-ROM"},
	} {
		check(t, "caught before: "+trap.name, func(t *testing.T) {
			template := fullyVirtual(t, "trap", "hd", trap.disks...)
			template = strings.Replace(template, trap.change[0], trap.change[1], 1)
			id, message := failing(t, template)
			t.Log(message)
			if !strings.Contains(message, trap.want) {
				t.Errorf("ERROR is %s", message)
			}
			front.act(t, "delete", id, "DONE")
			front.awaitImage(t, block, "READY")
		})
	}
}
