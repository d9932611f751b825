package crash

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"goned/core/image"
	"goned/core/vm"
)

// TestCutOff: what drivers were doing when oned was killed is found out by the next one; what cannot be found out stays, with advice.
func TestCutOff(t *testing.T) {
	good := driverConf("")
	silent := strings.NewReplacer("datastore \"", "datastore deaf\"", "vmm \"", "vmm deaf\"", "tm \"", "tm silent\"").Replace(good)
	if silent == good {
		t.Fatalf("no driver is silent in\n%s", silent)
	}
	c := newCloud(t, silent)
	c.start()
	c.id("one.host.allocate", "good", "dummy", "dummy", "dummy", -1)
	for id := range 2 {
		c.root("one.datastore.update", id, "TM_MAD = dummy", 1)
	}
	c.root("one.datastore.update", 1, "DS_MAD = dummy\nDATASTORE_CAPACITY_CHECK = NO", 1)
	made := c.id("one.image.allocate", "NAME = made\nTYPE = DATABLOCK\nSIZE = 1", 1)
	inProlog, inBoot := c.id("one.vm.allocate", "CPU = 1\nMEMORY = 1"), c.id("one.vm.allocate", "CPU = 1\nMEMORY = 1")
	c.root("one.vm.deploy", inProlog, 0, false, -1)
	c.root("one.vm.deploy", inBoot, 0, false, -1)
	c.await(inProlog, vm.Active, vm.Prolog)
	c.await(inBoot, vm.Active, vm.Boot)
	c.awaitImage(made, image.Locked)

	c.kill()
	must(t, os.WriteFile(filepath.Join(c.dir, "etc", "oned.conf"), fmt.Appendf(nil, usualConf+good, c.port), 0o640))
	c.start()
	c.await(inBoot, vm.Active, vm.Running)
	c.awaitImage(made, image.Ready)
	c.await(inProlog, vm.Active, vm.Prolog)
	for id, want := range map[int]string{
		inBoot:   "The hypervisor runs the VM: BOOT, which was cut off, has succeeded.",
		inProlog: "oned has ended during PROLOG, nobody waits for the driver any more. Look at its files: recover with success",
	} {
		log, err := os.ReadFile(filepath.Join(c.dir, "var", "vms", fmt.Sprint(id), "vm.log"))
		must(t, err)
		if !strings.Contains(string(log), want) {
			t.Errorf("the log of VM %d does not say %q:\n%s", id, want, log)
		}
	}
	c.root("one.vm.recover", inProlog, true)
	c.await(inProlog, vm.Active, vm.Running)
}

// awaitImage waits until an image is in a state.
func (c *cloud) awaitImage(id int, want image.State) {
	c.t.Helper()
	for end := time.Now().Add(answerLimit); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		img, err := image.Parse(c.document("one.image.info", id))
		must(c.t, err)
		if img.State == want {
			return
		}
	}
	c.t.Fatalf("image %d does not get to %s", id, want)
}
