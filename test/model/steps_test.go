package model

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"goned/core/image"
	"goned/core/lifecycle"
	"goned/core/monitor"
	"goned/core/state"
	"goned/core/vm"
)

// kind is a kind of step.
type kind struct {
	name   string
	weight int
	do     func(*world)
}

// calls are what users do.
var calls = []kind{
	{"allocate a VM", 60, (*world).allocateVM},
	{"deploy", 70, (*world).deploy},
	{"migrate", 40, (*world).migrate},
	{"action", 160, (*world).action},
	{"delete", 12, func(w *world) { w.actOn(lifecycle.Delete) }},
	{"delete-recreate", 12, func(w *world) { w.actOn(lifecycle.Recreate) }},
	{"recover", 30, (*world).recover},
	{"attach a disk", 25, (*world).attachDisk},
	{"detach a disk", 20, (*world).detachDisk},
	{"attach a NIC", 20, (*world).attachNIC},
	{"detach a NIC", 15, (*world).detachNIC},
	{"snapshot", 25, (*world).snapshot},
	{"savedisk", 40, (*world).saveDisk},
	{"resize", 20, (*world).resize},
	{"change a VM", 15, (*world).changeVM},

	{"allocate an image", 25, (*world).allocateImage},
	{"clone an image", 12, (*world).cloneImage},
	{"change an image", 40, (*world).changeImage},
	{"change a network", 40, (*world).changeNet},
	{"change a host", 15, (*world).changeHost},
	{"change clusters", 20, (*world).changeCluster},
	{"instantiate a template", 40, (*world).instantiate},
	{"change a template", 25, (*world).changeTemplate},
	{"change permissions", 30, (*world).chmod},
	{"change a datastore", 8, (*world).changeDatastore},
	{"set quotas", 20, (*world).setQuotas},
	{"change users", 10, (*world).changeUsers},
}

// kinds are all that can happen.
var kinds = append(slices.Clip(calls), []kind{
	{"a driver answers well", 450, func(w *world) { w.someAnswer(true) }},
	{"a driver answers badly", 90, func(w *world) { w.someAnswer(false) }},
	{"a driver takes too long", 20, (*world).giveUp},
	{"a late answer", 20, (*world).lateAnswer},
	{"an answer comes twice", 15, (*world).answerTwice},
	{"an answer out of nowhere", 15, (*world).strayAnswer},
	{"a host reports", 40, (*world).reportHost},
	{"monitoring", 20, (*world).monitor},
	{"a driver dies", 10, func(w *world) { w.die(pick(w, "vmm", "tm", "ds", "im")) }},
	{"the database refuses the next batch", 6, (*world).refuseNext},
	{"the database hangs", 12, (*world).hang},
	{"the database works again", 30, (*world).works},
	{"time passes", 60, (*world).pass},
	{"the clock is set", 4, (*world).setClock},
	{"restart", 8, nil}, // see world.step
}...)

var totalWeight = func() (sum int) {
	for _, k := range kinds {
		sum += k.weight
	}
	return sum
}()

// step is one thing that happens: a kind, and a number from which its choices follow.
type step struct {
	kind int
	seed uint64
}

func randomStep(r *rand.Rand) step {
	n := r.IntN(totalWeight)
	for i, k := range kinds {
		if n -= k.weight; n < 0 {
			return step{i, r.Uint64()}
		}
	}
	panic("unreachable")
}

// step carries out a step and gives what is wrong then.
func (w *world) step(s step) []string {
	k := kinds[s.kind]
	w.rand = rand.New(rand.NewPCG(s.seed, 0))
	var problems []string
	if k.do == nil {
		problems = w.restart()
	} else {
		k.do(w)
	}
	return append(problems, w.check()...)
}

func pick[T any](w *world, from ...T) T { return from[w.rand.IntN(len(from))] }

func chance(w *world, percent int) bool { return w.rand.IntN(100) < percent }

// one is a random element of a list, the zero value if it is empty.
func one[T any](w *world, from []T) (t T) {
	if len(from) > 0 {
		t = from[w.rand.IntN(len(from))]
	}
	return t
}

// someone is who makes a call: mostly oneadmin.
func (w *world) someone() string {
	return pick(w, "oneadmin", "oneadmin", "oneadmin", "alice", "bob", "carol")
}

// someVM is a VM, mostly one for which fit holds.
func (w *world) someVM(fit func(*vm.VM) bool) int {
	var fitting, others []int
	for v := range w.store.Snapshot().VMs.All() {
		switch {
		case fit(v):
			fitting = append(fitting, v.ID)
		case v.State != vm.Done || w.rand.IntN(8) == 0:
			others = append(others, v.ID)
		}
	}
	if len(fitting) == 0 || len(others) > 0 && chance(w, 10) {
		return one(w, others)
	}
	return one(w, fitting)
}

func (w *world) able(e lifecycle.Event) int {
	return w.someVM(func(v *vm.VM) bool { return lifecycle.Can(v, e) && (e != lifecycle.Delete || v.State != vm.Done) })
}

// maxVMs bounds the population.
const maxVMs = 9

func (w *world) allocateVM() {
	living := 0
	for v := range w.store.Snapshot().VMs.All() {
		if v.State != vm.Done {
			living++
		}
	}
	if living >= maxVMs {
		w.actOn(lifecycle.Delete)
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "CPU=%s\nMEMORY=%d\n", pick(w, "1", "0.29", "0.5", "2.675", "0.145"), pick(w, 64, 100, 1024))
	for range w.rand.IntN(4) {
		b.WriteString("DISK=[" + w.disk() + "]\n")
	}
	for range w.rand.IntN(3) {
		b.WriteString("NIC=[" + w.nic() + "]\n")
	}
	if chance(w, 30) {
		b.WriteString("CONTEXT=[HOST=\"$NAME\",NETWORK=YES]\nGRAPHICS=[TYPE=VNC]\n")
	}
	w.call(w.someone(), "one.vm.allocate", b.String(), chance(w, 15))
}

// disk is the inside of a DISK.
func (w *world) disk() string {
	switch {
	case chance(w, 25):
		return fmt.Sprintf("TYPE=%s,SIZE=%d", pick(w, "fs", "swap"), 1+w.rand.IntN(100))
	case chance(w, 5):
		return "TYPE=fs,SIZE=-5"
	}
	img := one(w, collect(w.store.Snapshot().Images.All()))
	if img == nil {
		return "IMAGE_ID=0"
	}
	if chance(w, 20) {
		return "IMAGE=\"" + img.Name + "\",IMAGE_UNAME=" + img.UName
	}
	return "IMAGE_ID=" + strconv.Itoa(img.ID) + pick(w, "", "", ",TYPE=fs,SIZE=10")
}

// nic is the inside of a NIC.
func (w *world) nic() string {
	n := one(w, collect(w.store.Snapshot().Nets.All()))
	if n == nil {
		return "NETWORK_ID=0"
	}
	text := "NETWORK_ID=" + strconv.Itoa(n.ID)
	if chance(w, 20) {
		text = "NETWORK=\"" + n.Name + "\",NETWORK_UNAME=" + n.UName
	}
	return text + pick(w, "", "", "", fmt.Sprintf(",IP=10.0.%d.%d", n.ID, 1+w.rand.IntN(6)))
}

func (w *world) someHost() int {
	h := one(w, collect(w.store.Snapshot().Hosts.All()))
	if h == nil {
		return 0
	}
	return h.ID
}

func (w *world) deploy() {
	w.call(pick(w, "oneadmin", "oneadmin", "oneadmin", "alice"), "one.vm.deploy", w.able(lifecycle.Deploy), w.someHost(), chance(w, 20), pick(w, -1, -1, -1, 0, 1, 100))
}

func (w *world) migrate() {
	w.call("oneadmin", "one.vm.migrate", w.able(lifecycle.Migrate), w.someHost(), chance(w, 50), chance(w, 20))
}

// actions are those of one.vm.action that are drawn evenly.
var actions = []lifecycle.Event{
	lifecycle.Shutdown, lifecycle.ShutdownHard, lifecycle.Undeploy, lifecycle.UndeployHard, lifecycle.Poweroff, lifecycle.PoweroffHard,
	lifecycle.Stop, lifecycle.Suspend, lifecycle.Resume, lifecycle.Resume, lifecycle.Resume, lifecycle.Boot, lifecycle.Reboot,
	lifecycle.RebootHard, lifecycle.Hold, lifecycle.Release, lifecycle.Resched, lifecycle.Unresched,
}

func (w *world) action() { w.actOn(pick(w, actions...)) }

func (w *world) actOn(e lifecycle.Event) { w.call(w.someone(), "one.vm.action", string(e), w.able(e)) }

func (w *world) recover() {
	id := w.someVM(func(v *vm.VM) bool { return v.State == vm.Active && v.LCMState != vm.Running })
	w.call("oneadmin", "one.vm.recover", id, chance(w, 50))
}

func (w *world) attachDisk() {
	w.call(w.someone(), "one.vm.attach", w.able(lifecycle.AttachDisk), "DISK=["+w.disk()+"]"+pick(w, "", "", "\nDISK=["+w.disk()+"]"))
}

func (w *world) detachDisk() {
	w.call(w.someone(), "one.vm.detach", w.able(lifecycle.DetachDisk), w.rand.IntN(4))
}

func (w *world) attachNIC() {
	w.call(w.someone(), "one.vm.attachnic", w.able(lifecycle.AttachNIC), "NIC=["+w.nic()+"]")
}

func (w *world) detachNIC() {
	w.call(w.someone(), "one.vm.detachnic", w.able(lifecycle.DetachNIC), w.rand.IntN(3))
}

func (w *world) snapshot() {
	switch id := w.able(lifecycle.SnapshotCreate); w.rand.IntN(4) {
	case 0:
		w.call(w.someone(), "one.vm.snapshotrevert", id, w.rand.IntN(3))
	case 1:
		w.call(w.someone(), "one.vm.snapshotdelete", id, w.rand.IntN(3))
	default:
		w.call(w.someone(), "one.vm.snapshotcreate", id, pick(w, "", "mine"))
	}
}

// name is one that nobody has, mostly.
func (w *world) name(prefix string) string {
	if chance(w, 95) {
		w.names++
	}
	return prefix + strconv.Itoa(w.names)
}

func (w *world) saveDisk() {
	id := w.someVM(func(v *vm.VM) bool {
		return lifecycle.Can(v, lifecycle.SaveDisk) && len(v.Template.Vectors("DISK")) > 0
	})
	w.call(w.someone(), "one.vm.savedisk", id, w.rand.IntN(3), w.name("saved"), pick(w, "", "OS", "DATABLOCK"), chance(w, 50), false)
}

func (w *world) resize() {
	id := w.someVM(func(v *vm.VM) bool {
		return v.State == vm.Poweroff || v.State == vm.Undeployed || v.State == vm.Failed || v.State == vm.Pending
	})
	text := fmt.Sprintf("CPU=%s\nMEMORY=%d\n", pick(w, "0", "0.1", "0.57", "3", "-1"), pick(w, 0, 32, 2048))
	w.call(w.someone(), "one.vm.resize", id, text, chance(w, 50))
}

func (w *world) changeVM() {
	id := w.someVM(func(v *vm.VM) bool { return v.State != vm.Done })
	switch w.rand.IntN(4) {
	case 0:
		w.call(w.someone(), "one.vm.update", id, pick(w, "A=1", "DISK=[IMAGE_ID=1]\nCPU=3", "ERROR=x"), pick(w, 0, 1))
	case 1:
		w.call(w.someone(), "one.vm.rename", id, w.name("vm"))
	default:
		w.call(w.someone(), "one.vm.chown", id, w.someUser(), w.someGroup())
	}
}

func (w *world) someUser() int {
	return pick(w, -1, 0, one(w, collect(w.store.Snapshot().Users.All())).ID)
}

func (w *world) someGroup() int {
	return pick(w, -1, 0, one(w, collect(w.store.Snapshot().Groups.All())).ID)
}

func (w *world) someDatastore() int { return one(w, collect(w.store.Snapshot().Datastores.All())).ID }

func (w *world) allocateImage() {
	text := fmt.Sprintf("NAME=%s\nPERSISTENT=%s\n", w.name("image"), pick(w, "YES", "NO", "NO"))
	text += pick(w, "PATH=/a", "PATH=/a\nTYPE=CDROM", "PATH=/k\nTYPE=KERNEL", "TYPE=DATABLOCK\nSIZE=30", "TYPE=DATABLOCK\nSIZE=30\nSOURCE=/s",
		"SOURCE=/s\nSIZE=20", "PATH=/a\nSAVE_AS=YES\nSAVED_VM_ID=1\nSAVED_DISK_ID=0\nSAVED_IMAGE_ID=1")
	w.call(w.someone(), "one.image.allocate", text, pick(w, 1, 1, 1, 2, w.someDatastore()))
}

func (w *world) someImage() *image.Image {
	img := one(w, collect(w.store.Snapshot().Images.All()))
	if img == nil {
		img = &image.Image{}
	}
	return img
}

func (w *world) cloneImage() {
	w.call(w.someone(), "one.image.clone", w.someImage().ID, w.name("clone"))
}

func (w *world) changeImage() {
	id, as := w.someImage().ID, w.someone()
	switch w.rand.IntN(12) {
	case 0, 1, 2:
		w.call(as, "one.image.delete", id)
	case 3, 4, 5:
		w.call(as, "one.image.enable", id, chance(w, 70))
	case 6, 7:
		w.call(as, "one.image.persistent", id, chance(w, 50))
	case 8:
		w.call(as, "one.image.chown", id, w.someUser(), w.someGroup())
	case 9:
		w.call(as, "one.image.rename", id, w.name("image"))
	case 10:
		w.call(as, "one.image.update", id, pick(w, "A=1", "SAVE_AS=YES", "SIZE=3"), pick(w, 0, 1))
	case 11:
		w.call(as, "one.image.chtype", id, pick(w, "OS", "CDROM", "DATABLOCK", "KERNEL"))
	}
}

func (w *world) changeNet() {
	n := one(w, collect(w.store.Snapshot().Nets.All()))
	as := w.someone()
	if n == nil || chance(w, 5) {
		w.allocateNet(as)
		return
	}
	lease := fmt.Sprintf("LEASES=[IP=10.0.%d.%d]", n.ID, 1+w.rand.IntN(6))
	switch w.rand.IntN(12) {
	case 0:
		w.call(as, "one.vn.delete", n.ID)
	case 1:
		w.call(as, "one.vn.chown", n.ID, w.someUser(), w.someGroup())
	case 2:
		w.call(as, "one.vn.rename", n.ID, w.name("net"))
	case 3:
		w.call(as, "one.vn.update", n.ID, "A=1", 0)
	case 4:
		w.call(as, "one.vn.addleases", n.ID, lease)
	case 5:
		w.call(as, "one.vn.rmleases", n.ID, lease)
	case 6, 7, 8:
		w.call(as, "one.vn.hold", n.ID, lease)
	default:
		w.call(as, "one.vn.release", n.ID, lease)
	}
}

func (w *world) allocateNet(as string) {
	next := 0
	for n := range w.store.Snapshot().Nets.All() {
		next = n.ID + 1
	}
	text := fmt.Sprintf("NAME=%s\nBRIDGE=br0\n", w.name("net"))
	ip := fmt.Sprintf("10.0.%d.", next)
	if chance(w, 50) {
		text += "TYPE=RANGED\nIP_START=" + ip + "1\nIP_END=" + ip + "5"
	} else {
		text += "TYPE=FIXED\nLEASES=[IP=" + ip + "1]\nLEASES=[IP=" + ip + "2]\nLEASES=[IP=" + ip + "3]"
	}
	w.call(as, "one.vn.allocate", text, pick(w, -1, -1, 100))
}

func (w *world) changeHost() {
	id := w.someHost()
	switch w.rand.IntN(8) {
	case 0:
		w.call("oneadmin", "one.host.allocate", w.name("host"), "dummy", pick(w, "dummy", "dummy", "ghost"), "dummy", pick(w, -1, -1, 100))
	case 1:
		w.call("oneadmin", "one.host.delete", id)
	case 2:
		w.call("oneadmin", "one.host.rename", id, w.name("host"))
	case 3:
		w.call("oneadmin", "one.host.update", id, pick(w, "PUBLIC_CLOUD=YES", "A=1", "RESERVED_CPU=50"), 0)
	default:
		w.call("oneadmin", "one.host.enable", id, chance(w, 60))
	}
}

func (w *world) someCluster() int {
	c := one(w, collect(w.store.Snapshot().Clusters.All()))
	if c == nil {
		return 100
	}
	return c.ID
}

func (w *world) changeCluster() {
	id := w.someCluster()
	net := one(w, collect(w.store.Snapshot().Nets.All()))
	switch w.rand.IntN(10) {
	case 0:
		w.call("oneadmin", "one.cluster.allocate", w.name("cluster"))
	case 1:
		w.call("oneadmin", "one.cluster.delete", id)
	case 2:
		w.call("oneadmin", "one.cluster.rename", id, w.name("cluster"))
	case 3:
		w.call("oneadmin", "one.cluster.addhost", id, w.someHost())
	case 4:
		w.call("oneadmin", "one.cluster.adddatastore", id, w.someDatastore())
	case 5:
		if net != nil {
			w.call("oneadmin", "one.cluster.addvnet", id, net.ID)
		}
	case 6, 7:
		w.call("oneadmin", "one.cluster.delhost", id, w.someHost())
	case 8:
		w.call("oneadmin", "one.cluster.deldatastore", id, w.someDatastore())
	case 9:
		if net != nil {
			w.call("oneadmin", "one.cluster.delvnet", id, net.ID)
		}
	}
}

func (w *world) changeDatastore() {
	id := w.someDatastore()
	switch w.rand.IntN(4) {
	case 0:
		text := pick(w, "TYPE=SYSTEM_DS\nTM_MAD=shared", "TYPE=IMAGE_DS\nDS_MAD=fs\nTM_MAD=shared", "DS_MAD=fs\nTM_MAD=ssh\nTYPE=FILE_DS")
		w.call("oneadmin", "one.datastore.allocate", "NAME="+w.name("ds")+"\n"+text, pick(w, -1, -1, 100))
	case 1:
		w.call("oneadmin", "one.datastore.delete", id)
	case 2:
		w.call("oneadmin", "one.datastore.rename", id, w.name("ds"))
	case 3:
		w.call("oneadmin", "one.datastore.chown", id, w.someUser(), w.someGroup())
	}
}

func (w *world) someTemplate() int {
	t := one(w, collect(w.store.Snapshot().Templates.All()))
	if t == nil {
		return 0
	}
	return t.ID
}

func (w *world) instantiate() {
	if len(collect(w.store.Snapshot().VMs.All())) >= maxVMs {
		w.actOn(lifecycle.Delete)
		return
	}
	more := pick(w, "", "", "MEMORY=128\nA=1", "NIC=["+w.nic()+"]", "DISK=["+w.disk()+"]", "CPU=0", "A=")
	w.call(w.someone(), "one.template.instantiate", w.someTemplate(), pick(w, "", "", w.name("vm"), "vm-$VMID"), chance(w, 15), more)
}

func (w *world) changeTemplate() {
	id, as := w.someTemplate(), w.someone()
	switch w.rand.IntN(8) {
	case 0, 1:
		text := "NAME=" + w.name("template") + "\nCPU=1\nMEMORY=64\n"
		for range w.rand.IntN(3) {
			text += "DISK=[" + w.disk() + "]\nNIC=[" + w.nic() + "]\n"
		}
		w.call(as, "one.template.allocate", text)
	case 2:
		w.call(as, "one.template.delete", id)
	case 3:
		w.call(as, "one.template.update", id, pick(w, "A=1", "CPU=2\nMEMORY=32", "DISK=["+w.disk()+"]"), pick(w, 0, 1))
	case 4:
		w.call(as, "one.template.rename", id, w.name("template"))
	case 5:
		w.call(as, "one.template.chown", id, w.someUser(), w.someGroup())
	default:
		w.call(as, "one.template.clone", id, w.name("template"))
	}
}

// chmod changes who may do what with something.
func (w *world) chmod() {
	s := w.store.Snapshot()
	kind, id := "vm", w.someVM(func(v *vm.VM) bool { return v.State != vm.Done })
	switch n := one(w, collect(s.Nets.All())); w.rand.IntN(6) {
	case 0, 1:
		kind, id = "image", w.someImage().ID
	case 2:
		if n != nil {
			kind, id = "vn", n.ID
		}
	case 3:
		kind, id = "template", w.someTemplate()
	case 4:
		kind, id = "datastore", w.someDatastore()
	}
	args := []any{id}
	for range 9 {
		args = append(args, pick(w, -1, -1, 0, 1, 1))
	}
	w.call(w.someone(), "one."+kind+".chmod", args...)
}

func (w *world) setQuotas() {
	limit := pick(w, "-1", "0", "0", "1", "3", "1000")
	text := pick(w, "VM=[VMS="+limit+",CPU=-1,MEMORY=-1,VOLATILE_SIZE=-1]", "VM=[VMS=-1,CPU="+limit+",MEMORY=0,VOLATILE_SIZE="+limit+"]",
		"NETWORK=[ID=0,LEASES="+limit+"]", "IMAGE=[ID=1,RVMS="+limit+"]", "DATASTORE=[ID=1,IMAGES="+limit+",SIZE=-1]", "VM=[VMS=x]")
	switch w.rand.IntN(4) {
	case 0:
		w.call("oneadmin", "one.userquota.update", text)
	case 1:
		w.call("oneadmin", "one.group.quota", max(w.someGroup(), 1), text)
	default:
		w.call("oneadmin", "one.user.quota", max(w.someUser(), 2), text)
	}
}

func (w *world) changeUsers() {
	uid, gid := max(w.someUser(), 0), max(w.someGroup(), 0)
	switch w.rand.IntN(9) {
	case 0:
		w.call("oneadmin", "one.user.allocate", w.name("user"), "pw", "core")
	case 1:
		w.call("oneadmin", "one.group.allocate", w.name("group"))
	case 2:
		if uid > 1 && chance(w, 20) {
			w.call("oneadmin", "one.user.delete", uid)
		}
	case 3:
		w.call("oneadmin", "one.group.delete", gid)
	case 4, 5:
		w.call("oneadmin", "one.user.chgrp", uid, gid)
	case 6, 7:
		w.call("oneadmin", "one.user.addgroup", uid, gid)
	case 8:
		w.call("oneadmin", "one.user.delgroup", uid, gid)
	}
}

func (w *world) someAnswer(ok bool) {
	if len(w.asked) > 0 {
		w.answerOne(w.rand.IntN(len(w.asked)), ok)
	}
}

// giveUp ends an action whose deadline is over, as the driver manager does. The driver may go on.
func (w *world) giveUp() {
	if len(w.asked) == 0 {
		return
	}
	at := w.rand.IntN(len(w.asked))
	r := w.asked[at]
	w.asked = slices.Delete(w.asked, at, at+1)
	w.trace("too long:")
	w.answer(r, false)
	r.late = true
	w.overdue = append(w.overdue[max(0, len(w.overdue)-7):], r)
}

func (w *world) lateAnswer() {
	if len(w.overdue) == 0 {
		return
	}
	at := w.rand.IntN(len(w.overdue))
	r := w.overdue[at]
	w.overdue = slices.Delete(w.overdue, at, at+1)
	w.trace("late:")
	w.answer(r, chance(w, 70) && !r.onlyFails)
}

func (w *world) answerTwice() {
	if len(w.answered) > 0 {
		w.trace("again:")
		w.answer(one(w, w.answered), chance(w, 50))
	}
}

// strayAnswer is an answer that nobody has asked for.
func (w *world) strayAnswer() {
	id := w.someVM(func(v *vm.VM) bool { return v.State == vm.Active })
	r := request{driver: "vmm", object: id, action: pick(w, "DEPLOY", "RESTORE", "MIGRATE", "SHUTDOWN", "CANCEL", "SAVE", "ATTACHDISK", "DETACHDISK",
		"ATTACHNIC", "DETACHNIC", "SNAPSHOTCREATE", "SNAPSHOTREVERT", "SNAPSHOTDELETE", "CLEANUP", "POLL", "REBOOT", "NONSENSE")}
	switch w.rand.IntN(4) {
	case 0:
		r.driver, r.action = "tm", pick(w, "TRANSFER", "TRANSFER", "NONSENSE")
	case 1:
		r = request{driver: "ds", object: w.someImage().ID, action: pick(w, "CP", "MKFS", "CLONE", "RM", "NONSENSE")}
	}
	w.trace("out of nowhere:")
	w.answer(r, chance(w, 50))
}

func (w *world) reportHost() {
	w.answer(request{driver: "im", action: "MONITOR", object: w.someHost()}, chance(w, 85))
}

// monitor is a tick of the timers.
func (w *world) monitor() {
	switch w.rand.IntN(4) {
	case 3:
		w.trace("what was cut off is asked about")
		w.update(lifecycle.AskInterrupted)
	case 0:
		w.trace("hosts are due")
		w.update(func(tx *state.Tx) error { monitor.AskHosts(tx, w.start); return nil })
	case 1:
		w.trace("datastores report")
		id := w.someDatastore()
		text := fmt.Sprintf("TOTAL_MB=%d\nFREE_MB=%d\nUSED_MB=1\n", 100000, pick(w, 100000, 100000, 100))
		w.happened(func(tx *state.Tx) error { return monitor.DatastoreAnswer(tx, id, true, text) })
	case 2:
		id := w.someVM(func(v *vm.VM) bool {
			return v.State == vm.Active && (v.LCMState == vm.Running || v.LCMState == vm.Unknown)
		})
		v := w.store.Snapshot().VMs.Get(id)
		if v == nil || v.State != vm.Active || v.LCMState != vm.Running && v.LCMState != vm.Unknown {
			return
		}
		w.trace("VM %d is due", id)
		w.update(func(tx *state.Tx) error { lifecycle.Poll(tx, id); return nil })
	}
}

func (w *world) pass() {
	seconds := pick(w, 1, 10, 100, 1000)
	w.clock = w.clock.Add(secondsOf(seconds))
	w.trace("%d s pass", seconds)
}

// setClock is somebody who sets a clock that has gone wrong.
func (w *world) setClock() {
	seconds := pick(w, -1, -60, -3600, 3600)
	w.clock = w.clock.Add(secondsOf(seconds))
	w.trace("the clock is set by %d s", seconds)
}

func (w *world) refuseNext() {
	w.trace("the next batch will be refused")
	w.db.set(func() { w.db.refuse = true })
}

// hang is a database that hangs: calls wait for it, which other calls and the answers of drivers build on. Then either all of them
// are written down, or it takes nothing any more: the calls are refused, and the answers have to do without what the calls did.
func (w *world) hang() {
	if _, down := w.db.trouble(); down {
		return
	}
	w.trace("the database hangs")
	hang := make(chan struct{})
	w.db.set(func() { w.db.hang = hang })
	w.open = true
	for range 2 + w.rand.IntN(6) {
		if chance(w, 40) {
			w.someAnswer(chance(w, 80))
		} else {
			pick(w, calls...).do(w)
		}
	}
	w.open = false
	down := chance(w, 60)
	w.trace("the database goes on; does it take anything: %v", !down)
	w.db.set(func() { w.db.down, w.db.hang = down, nil })
	close(hang)
	for _, answer := range w.begun {
		w.heard(<-answer)
	}
	w.begun = nil
	w.settle()
}

// works ends the time in which the database takes nothing.
func (w *world) works() {
	if _, down := w.db.trouble(); !down {
		return
	}
	w.trace("the database works again")
	w.db.set(func() { w.db.down, w.db.refused = false, true }) // it may have refused something
	w.settle()
}

// populate makes a cloud worth testing.
func (w *world) populate() {
	w.rand = rand.New(rand.NewPCG(0, 0))
	must := func(method string, args ...any) {
		if _, ok := w.call("oneadmin", method, args...); !ok {
			panic("cannot populate: " + method)
		}
	}
	for _, name := range []string{"alice", "bob", "carol"} {
		must("one.user.allocate", name, "pw", "core")
	}
	must("one.group.allocate", "group-a")
	must("one.user.chgrp", 3, 100)
	must("one.cluster.allocate", "cluster-a")
	for i, name := range []string{"host-0", "host-1", "host-2", "host-3", "host-4"} {
		vmm, cluster := "dummy", -1
		if i == 3 {
			vmm = "ghost"
		}
		if i == 4 {
			cluster = 100
		}
		must("one.host.allocate", name, "dummy", vmm, "dummy", cluster)
		w.happened(func(tx *state.Tx) error { return monitor.HostAnswer(tx, i, true, "TOTALCPU=800\nTOTALMEMORY=8000000") })
	}
	must("one.host.update", 2, "PUBLIC_CLOUD=YES", 1)
	for id := range w.store.Snapshot().Datastores.All() {
		w.happened(func(tx *state.Tx) error {
			return monitor.DatastoreAnswer(tx, id.ID, true, "TOTAL_MB=100000\nFREE_MB=100000\nUSED_MB=1")
		})
	}
	for i := range 6 {
		text := fmt.Sprintf("NAME=base-%d\nPATH=/a\nSIZE=10\nPERSISTENT=%s\nTYPE=%s", i, yesNo(i%3 == 2), pick(w, "OS", "OS", "CDROM"))
		must("one.image.allocate", "SOURCE=/img\n"+strings.Replace(text, "PATH=/a\n", "", 1), 1)
		must("one.image.chmod", i, 1, 1, 0, pick(w, 0, 1)*boolInt(i%3 != 2), 0, 0, boolInt(i%3 != 2), 0, 0)
	}
	for i, text := range []string{
		"DISK=[IMAGE_ID=0]\nNIC=[NETWORK_ID=0]", "DISK=[IMAGE_ID=1]\nDISK=[TYPE=fs,SIZE=20]\nNIC=[NETWORK_ID=1]\nGRAPHICS=[TYPE=VNC]",
		"DISK=[IMAGE=base-2]\nCONTEXT=[A=\"$NAME $TEMPLATE_ID\"]",
	} {
		must("one.template.allocate", fmt.Sprintf("NAME=base-%d\nCPU=0.3\nMEMORY=96\n%s", i, text))
		must("one.template.chmod", i, 1, 1, 0, 1, 0, 0, 1, 0, 0)
	}
	for i := range 2 {
		text := fmt.Sprintf("NAME=base-%d\nBRIDGE=br0\nTYPE=RANGED\nIP_START=10.0.%d.1\nIP_END=10.0.%d.6", i, i, i)
		if i == 1 {
			text = "NAME=base-1\nBRIDGE=br0\nTYPE=FIXED\nLEASES=[IP=10.0.1.1]\nLEASES=[IP=10.0.1.2]\nLEASES=[IP=10.0.1.3]"
		}
		must("one.vn.allocate", text, -1)
		must("one.vn.chmod", i, 1, 1, 0, 1, 0, 0, 1, 0, 0)
	}
}

func yesNo(b bool) string {
	if b {
		return "YES"
	}
	return "NO"
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// stuckImages lists images that wait for a driver which nobody has asked, or for a VM that does not know of them.
func (w *world) stuckImages(s *state.Snapshot) []string {
	var problems []string
	for img := range s.Images.All() {
		if img.State != image.Locked && img.State != image.Delete {
			delete(w.lostImage, img.ID)
			continue
		}
		asked := slices.ContainsFunc(w.asked, func(r request) bool { return r.driver == "ds" && r.object == img.ID })
		if !asked && !w.lostImage[img.ID] && !awaited(s, img) {
			problems = append(problems, fmt.Sprintf("image %d is %s, and nobody does anything with it", img.ID, img.State))
		}
	}
	return problems
}

// awaited reports whether a VM will fill an image at its end, or does so now.
func awaited(s *state.Snapshot, img *image.Image) bool {
	for v := range s.VMs.All() {
		if v.State == vm.Done {
			continue
		}
		for _, disk := range v.Template.Vectors("DISK") {
			id := strconv.Itoa(img.ID)
			if disk.Get("SAVE_AS") == id || disk.Get("HOTPLUG_SAVE_AS") == id {
				return true
			}
		}
	}
	return false
}
