package crash

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"goned/core/image"
	"goned/core/vm"
)

// place is a state of a VM, with what it does when it is active.
type place struct {
	state vm.State
	lcm   vm.LCMState
}

func resting(s vm.State) place { return place{state: s} }

var running = place{vm.Active, vm.Running}

// cutOff is a VM that waits for a driver when oned is killed.
type cutOff struct {
	at vm.LCMState
	// before are the calls that bring a VM from RUNNING to where the last call is made, with the places that they lead to.
	before []call
	silent string // the kind of driver that does not answer the last call
	last   call
	// found is where the next oned brings it by itself, once the hypervisor has said whether it runs, and after a host has said twice
	// that it is not there; recovered is where a recovery with success brings those that stay.
	found, gone, recovered place
}

// call is an API call about a VM; the parameter ID stands for its id.
type call struct {
	method string
	args   []any
	place  place
}

type idOf struct{}

// ID is the parameter of a call that is the id of the VM.
var ID idOf

func action(name string, to place) call { return call{"one.vm.action", []any{name, ID}, to} }

func (c *cloud) make(x call, id int) {
	c.t.Helper()
	args := slices.Clone(x.args)
	args[slices.Index(args, any(ID))] = id
	c.root(x.method, args...)
}

var (
	deploy     = call{"one.vm.deploy", []any{ID, 0, false, -1}, running}
	suspended  = action("suspend", resting(vm.Suspended))
	stopped    = action("stop", resting(vm.Stopped))
	poweredOff = action("poweroff-hard", resting(vm.Poweroff))
	undeployed = action("undeploy-hard", resting(vm.Undeployed))
	recreated  = action("delete-recreate", resting(vm.Pending))
	waiting    = action("resume", resting(vm.Pending))
	savedisk   = call{"one.vm.savedisk", []any{ID, 0, "", "", true, false}, place{}}
)

var cutOffs = func() []cutOff {
	before := func(calls ...call) []call { return calls }
	stays := func(l vm.LCMState, before []call, silent string, last call, recovered place) cutOff {
		return cutOff{l, before, silent, last, place{}, place{}, recovered}
	}
	runs := func(l vm.LCMState, before []call, last call) cutOff {
		return cutOff{l, before, "vmm", last, running, place{}, place{}}
	}
	goes := func(l vm.LCMState, last call, gone place) cutOff {
		return cutOff{l, nil, "vmm", last, place{}, gone, place{}}
	}
	migrate := func(live bool) call { return call{"one.vm.migrate", []any{ID, 1, live, false}, place{}} }
	attach := func(method, what string) call { return call{"one.vm." + method, []any{ID, what}, place{}} }
	return []cutOff{
		runs(vm.Boot, before(recreated), deploy),
		runs(vm.BootPoweroff, before(poweredOff), action("resume", place{})),
		runs(vm.BootSuspended, before(suspended), action("resume", place{})),
		runs(vm.BootStopped, before(stopped, waiting), deploy),
		runs(vm.BootUndeploy, before(undeployed, waiting), deploy),
		runs(vm.Migrate, nil, migrate(true)),
		runs(vm.SaveSuspend, nil, suspended),
		runs(vm.SaveStop, nil, stopped),
		runs(vm.SaveMigrate, nil, migrate(false)),
		runs(vm.Cancel, nil, action("shutdown-hard", place{})),
		goes(vm.Shutdown, action("shutdown", place{}), resting(vm.Done)),
		goes(vm.ShutdownPoweroff, action("poweroff", place{}), resting(vm.Poweroff)),
		goes(vm.ShutdownUndeploy, action("undeploy", place{}), resting(vm.Undeployed)),
		stays(vm.Prolog, before(recreated), "tm", deploy, running),
		stays(vm.PrologResume, before(stopped, waiting), "tm", deploy, running),
		stays(vm.PrologUndeploy, before(undeployed, waiting), "tm", deploy, running),
		stays(vm.PrologMigrate, nil, "tm", migrate(false), running),
		stays(vm.Epilog, nil, "tm", action("shutdown", place{}), resting(vm.Done)),
		stays(vm.EpilogStop, nil, "tm", stopped, resting(vm.Stopped)),
		stays(vm.EpilogUndeploy, nil, "tm", undeployed, resting(vm.Undeployed)),
		stays(vm.Hotplug, nil, "vmm", attach("attach", "DISK = [ TYPE = fs, SIZE = 1 ]"), running),
		stays(vm.HotplugNIC, nil, "vmm", attach("attachnic", "NIC = [ NETWORK_ID = 0 ]"), running),
		stays(vm.HotplugSnapshot, nil, "vmm", attach("snapshotcreate", "s"), running),
		stays(vm.HotplugSaveas, nil, "tm", savedisk, running),
		stays(vm.HotplugSaveasPoweroff, before(poweredOff), "tm", savedisk, resting(vm.Poweroff)),
		stays(vm.HotplugSaveasSuspended, before(suspended), "tm", savedisk, resting(vm.Suspended)),
		stays(vm.CleanupResubmit, nil, "vmm", recreated, resting(vm.Pending)),
	}
}()

// TestCutOff: what drivers were doing when oned was killed is found out by the next one; what cannot be found out stays, with advice,
// until somebody recovers it. All places in which a VM waits for a driver are there.
func TestCutOff(t *testing.T) {
	gates := t.TempDir()
	write := func(name, text string) { must(t, os.WriteFile(filepath.Join(gates, name), []byte(text), 0o600)) }
	// without does something whose requests to a kind of drivers, for an object, are not answered.
	without := func(kind string, do func() (id int)) {
		t.Helper()
		gate := filepath.Join(gates, kind)
		must(t, os.WriteFile(gate, nil, 0o600))
		noted := fmt.Sprintf("%s-%d", gate, do())
		for end := time.Now().Add(answerLimit); ; time.Sleep(5 * time.Millisecond) {
			if _, err := os.Stat(noted); err == nil {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("no driver is asked: there is no %s", noted)
			}
		}
		must(t, os.Remove(gate))
	}
	c := newCloud(t, driverConf(gates))
	c.start()
	for _, name := range []string{"host-0", "host-1"} {
		c.id("one.host.allocate", name, "dummy", "dummy", "dummy", -1)
	}
	c.root("one.datastore.update", 0, "TM_MAD = dummy", 1)
	c.root("one.datastore.update", 1, "TM_MAD = dummy\nDS_MAD = dummy\nDATASTORE_CAPACITY_CHECK = NO", 1)
	c.id("one.image.allocate", "NAME = base\nPATH = /base", 1)
	c.awaitImage(0, image.Ready)
	c.id("one.vn.allocate", "NAME = base\nBRIDGE = br0\nTYPE = RANGED\nIP_START = 10.0.0.1\nIP_END = 10.0.0.9", -1)
	makeRunning := func() int {
		id := c.id("one.vm.allocate", "CPU = 1\nMEMORY = 1\nDISK = [ IMAGE_ID = 0 ]")
		c.make(deploy, id)
		c.await(id, vm.Active, vm.Running)
		return id
	}

	// One is lost while it is the only one, and booted again.
	lost := makeRunning()
	write("report", fmt.Sprintf("VM_POLL=YES\nVM=[ID=%d,DEPLOY_ID=one-%d,POLL=\"STATE=d\"]\n", lost, lost))
	c.await(lost, vm.Active, vm.Unknown)
	must(t, os.Remove(filepath.Join(gates, "report")))
	all := cutOffs
	without("vmm", func() int {
		c.make(action("boot", place{}), lost)
		return lost
	})
	c.await(lost, vm.Active, vm.BootUnknown)
	all = append(slices.Clip(all), cutOff{at: vm.BootUnknown, found: running})
	ids := make([]int, len(all))
	ids[len(all)-1] = lost

	for i, x := range cutOffs {
		ids[i] = makeRunning()
		for _, b := range x.before {
			c.make(b, ids[i])
			c.await(ids[i], b.place.state, b.place.lcm)
		}
		if x.last.method == "one.vm.savedisk" {
			x.last.args = slices.Clone(x.last.args)
			x.last.args[2] = x.at.String() // the name of the image
		}
		without(x.silent, func() int {
			c.make(x.last, ids[i])
			return ids[i]
		})
		c.await(ids[i], vm.Active, x.at)
	}
	for l := vm.Prolog; l <= vm.BootUndeploy; l++ {
		switch l {
		case vm.Running, vm.Unknown, vm.Failure, vm.CleanupDelete: // nobody waits there, or not for long
			continue
		}
		if !slices.ContainsFunc(all, func(x cutOff) bool { return x.at == l }) {
			t.Errorf("%s is not tested", l)
		}
	}

	// Images: a copy, a new file system, a clone, a removal.
	removed := c.id("one.image.allocate", "NAME = removed\nPATH = /base", 1)
	c.awaitImage(removed, image.Ready)
	var made []int
	for _, x := range []call{
		{method: "one.image.allocate", args: []any{"NAME = copied\nPATH = /base", 1}},
		{method: "one.image.allocate", args: []any{"NAME = made\nTYPE = DATABLOCK\nSIZE = 1", 1}},
		{method: "one.image.clone", args: []any{0, "cloned"}},
	} {
		without("datastore", func() int {
			made = append(made, c.id(x.method, x.args...))
			return made[len(made)-1]
		})
	}
	without("datastore", func() int { return c.id("one.image.delete", removed) })
	for _, id := range made {
		c.awaitImage(id, image.Locked)
	}
	c.awaitImage(removed, image.Delete)

	c.kill()
	c.start()
	stay := func(x cutOff) bool { return x.found == place{} }
	var report strings.Builder
	for i, x := range all {
		if !stay(x) {
			c.await(ids[i], x.found.state, x.found.lcm)
		}
		if log := c.vmLog(ids[i]); !strings.Contains(log, "oned has ended during "+x.at.String()+", nobody waits for the driver any more. ") ||
			!stay(x) && !strings.Contains(log, "The hypervisor runs the VM: "+x.at.String()+", which was cut off, has ") {
			t.Errorf("the log of the VM that was in %s:\n%s", x.at, log)
		}
	}
	for _, id := range made {
		c.awaitImage(id, image.Ready)
	}
	for end := time.Now().Add(answerLimit); ; time.Sleep(5 * time.Millisecond) {
		if _, err := c.call("oneadmin:opennebula", "one.image.info", removed); err != nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the image is not removed")
		}
	}

	for i, x := range all {
		if stay(x) {
			c.await(ids[i], vm.Active, x.at)
		}
		if x.gone == (place{}) {
			fmt.Fprintf(&report, "VM=[ID=%d,DEPLOY_ID=one-%d,POLL=\"STATE=a\"]\n", ids[i], ids[i])
		}
	}
	write("report", "VM_POLL=YES\n"+report.String())
	for i, x := range all {
		if x.gone != (place{}) {
			c.await(ids[i], x.gone.state, x.gone.lcm)
		}
	}
	for i, x := range all {
		if x.recovered != (place{}) {
			c.await(ids[i], vm.Active, x.at)
			c.root("one.vm.recover", ids[i], true)
			c.await(ids[i], x.recovered.state, x.recovered.lcm)
		}
	}
	for _, x := range all {
		if strings.HasPrefix(x.at.String(), "HOTPLUG_SAVEAS") {
			c.awaitImage(c.imageNamed(x.at.String()), image.Ready)
		}
	}
	if problems := books(c).Check(); len(problems) > 0 {
		t.Error(strings.Join(problems, "\n"))
	}
}

func (c *cloud) vmLog(id int) string {
	c.t.Helper()
	log, err := os.ReadFile(filepath.Join(c.dir, "var", "vms", fmt.Sprint(id), "vm.log"))
	must(c.t, err)
	return string(log)
}

func (c *cloud) imageNamed(name string) int {
	c.t.Helper()
	for _, img := range parsed(c.t, c.document("one.imagepool.info", -2, -1, -1), "IMAGE", image.Parse) {
		if img.Name == name {
			return img.ID
		}
	}
	c.t.Fatalf("there is no image %s", name)
	return -1
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
