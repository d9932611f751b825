package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestFullDisk fills the disk of the database while a machine boots: clients
// get 4.6's error, reads go on, and what the driver has said meanwhile is not
// lost when there is room again.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	gate := filepath.Join(t.TempDir(), "gate")
	c := newCloud(t, settings{drivers: scriptedConf(t, "gate="+gate), smallDisk: true})
	host := c.addHost(t, "h", "scripted", "scripted")
	id := c.must(t, "one.vm.allocate", "CPU=0.1\nMEMORY=16", false)
	c.must(t, "one.vm.deploy", id, host, false)
	c.awaitVM(t, id, "BOOT") // until the driver finds the gate open

	ballast := c.fillDisk(t)
	refusedAllocation := func() bool {
		_, err := c.Number("one.vm.allocate", "CPU=1\nMEMORY=1", false)
		if err == nil {
			return false
		}
		if want := "one.vm.allocate: [VirtualMachineAllocate] Error allocating a new virtual machine."; err.Error() != want {
			t.Errorf("an allocation on a full disk: %v", err)
		}
		return true
	}
	c.poll(t, "the disk does not get full", func() (bool, error) { return refusedAllocation(), nil })
	must(t, os.WriteFile(gate, nil, 0o644))
	c.poll(t, "the driver's answer does not arrive", func() (bool, error) {
		_, answered, _ := strings.Cut(c.log(), "DEPLOY SUCCESS")
		return strings.Count(answered, "Cannot write to the database") > 1, nil // it has been tried again
	})
	for range 20 {
		if !refusedAllocation() {
			t.Fatal("an allocation on a full disk succeeds")
		}
		d, err := c.Document("one.vm.info", id)
		if err != nil {
			t.Fatalf("a read on a full disk: %v", err)
		}
		if state := d.VMState(); state != "BOOT" {
			t.Fatalf("visible though not on disk: %s", state)
		}
	}
	must(t, os.Remove(ballast))
	d := c.awaitVM(t, id, "RUNNING")
	if deployed := d.Text("DEPLOY_ID"); deployed != fmt.Sprintf("scripted-%d", id) {
		t.Errorf("DEPLOY_ID is %q", deployed)
	}
	c.poll(t, "no allocation after the disk has room again", func() (bool, error) {
		_, err := c.Number("one.vm.allocate", "CPU=1\nMEMORY=1", false)
		return err == nil, nil
	})
	c.stop()
	if n := len(c.storedVMs()); n < 2 {
		t.Errorf("%d machines are in the database", n)
	}
}

// mountSmallDisk gives var a file system of its own, with the log elsewhere.
func (c *cloud) mountSmallDisk() {
	c.t.Helper()
	if err := syscall.Mount("tmpfs", c.path("var"), "tmpfs", 0, "size=16m,mode=0750"); err != nil {
		c.t.Skipf("cannot mount a small file system: %v", err)
	}
	c.t.Cleanup(func() {
		if err := syscall.Unmount(c.path("var"), syscall.MNT_DETACH); err != nil {
			c.t.Error(err)
		}
	})
	must(c.t, os.Symlink(c.path("oned.log"), c.path("var", "oned.log")))
}

// fillDisk leaves no room in var; removing the file that it returns makes some.
func (c *cloud) fillDisk(t *testing.T) string {
	t.Helper()
	path := c.path("var", "ballast")
	f, err := os.Create(path)
	must(t, err)
	defer f.Close()
	for size := 64 << 10; size >= 1; size /= 2 {
		for err == nil {
			_, err = f.Write(make([]byte, size))
		}
		err = nil
	}
	return path
}
