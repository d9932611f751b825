package crash

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"goned/core/vm"
)

// await waits until a VM is in a state.
func (c *cloud) await(id int, state vm.State, lcm vm.LCMState) {
	c.t.Helper()
	var last *vm.VM
	for end := time.Now().Add(answerLimit); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		var err error
		last, err = vm.Parse(c.document("one.vm.info", id))
		must(c.t, err)
		if last.State == state && last.LCMState == lcm {
			return
		}
	}
	c.t.Fatalf("VM %d does not get to %s %s: it is %s %s", id, state, lcm, last.State, last.LCMState)
}

// TestHungDriver: VM 0 waits for a transfer that never ends, VM 1 is deployed by a hypervisor driver that reads nothing any more,
// with more requests than a pipe holds behind it. All others live and die as usual.
func TestHungDriver(t *testing.T) {
	c := newCloud(t, driverConf("silent", "deaf"))
	c.start()
	c.id("one.host.allocate", "good", "dummy", "dummy", "dummy", -1)
	c.id("one.host.allocate", "deaf", "dummy", "deaf", "dummy", -1)
	for id := range 2 {
		c.root("one.datastore.update", id, "TM_MAD = dummy", 1)
	}
	c.root("one.datastore.update", 1, "DS_MAD = dummy\nDATASTORE_CAPACITY_CHECK = NO", 1)
	c.root("one.image.allocate", "NAME = base\nPATH = /base", 1)
	allocate := func(extra string) int {
		return c.id("one.vm.allocate", "CPU = 0.1\nMEMORY = 1\n"+extra)
	}
	hung := allocate("")
	c.root("one.vm.deploy", hung, 0, false, -1)
	c.await(hung, vm.Active, vm.Prolog)

	// The document of each VM is a part of its request.
	ballast := "BALLAST = \"" + strings.Repeat("x", 16<<10) + "\"\n"
	var unheard []int
	for range 30 {
		id := allocate(ballast)
		c.root("one.vm.deploy", id, 1, false, -1)
		unheard = append(unheard, id)
	}
	for _, id := range unheard {
		c.await(id, vm.Active, vm.Boot)
	}
	for i := range 20 {
		id := allocate("DISK = [ IMAGE_ID = 0 ]\n")
		c.root("one.vm.deploy", id, 0, false, -1)
		c.await(id, vm.Active, vm.Running)
		c.root("one.vm.snapshotcreate", id, fmt.Sprint("s", i))
		c.await(id, vm.Active, vm.Running)
		c.root("one.vm.action", "shutdown", id)
		c.await(id, vm.Done, vm.LCMInit)
	}
	c.await(hung, vm.Active, vm.Prolog)
	// What hangs can be given up, and does not come back.
	for _, id := range append(unheard, hung) {
		c.root("one.vm.action", "delete", id)
		c.await(id, vm.Done, vm.LCMInit)
	}
}
