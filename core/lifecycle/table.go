package lifecycle

import "goned/core/vm"

// Event is what happens to a VM: a user's action, a driver's answer, a monitoring result.
type Event string

// User actions. The names are those of one.vm.action where it has them.
const (
	Deploy       Event = "deploy"
	Migrate      Event = "migrate"
	LiveMigrate  Event = "live-migrate"
	Shutdown     Event = "shutdown"
	ShutdownHard Event = "shutdown-hard"
	Undeploy     Event = "undeploy"
	UndeployHard Event = "undeploy-hard"
	Poweroff     Event = "poweroff"
	PoweroffHard Event = "poweroff-hard"
	Stop         Event = "stop"
	Suspend      Event = "suspend"
	Resume       Event = "resume"
	Boot         Event = "boot"
	Reboot       Event = "reboot"
	RebootHard   Event = "reboot-hard"
	Hold         Event = "hold"
	Release      Event = "release"
	Resched      Event = "resched"
	Unresched    Event = "unresched"
	Delete       Event = "delete"
	Recreate     Event = "delete-recreate"

	AttachDisk     Event = "attach"
	DetachDisk     Event = "detach"
	AttachNIC      Event = "attachnic"
	DetachNIC      Event = "detachnic"
	SnapshotCreate Event = "snapshotcreate"
	SnapshotRevert Event = "snapshotrevert"
	SnapshotDelete Event = "snapshotdelete"
	SaveDisk       Event = "savedisk"
)

// Driver answers and monitoring results.
const (
	PrologOK     Event = "prolog success"
	PrologFail   Event = "prolog failure"
	DeployOK     Event = "deploy success" // of DEPLOY, RESTORE and MIGRATE
	DeployFail   Event = "deploy failure"
	SaveOK       Event = "save success"
	SaveFail     Event = "save failure"
	ShutdownOK   Event = "shutdown success"
	ShutdownFail Event = "shutdown failure"
	CancelOK     Event = "cancel success"
	CancelFail   Event = "cancel failure"
	EpilogOK     Event = "epilog success"
	EpilogFail   Event = "epilog failure"
	CleanupDone  Event = "cleanup answer"

	AttachOK           Event = "attach success"
	AttachFail         Event = "attach failure"
	DetachOK           Event = "detach success"
	DetachFail         Event = "detach failure"
	AttachNICOK        Event = "attach nic success"
	AttachNICFail      Event = "attach nic failure"
	DetachNICOK        Event = "detach nic success"
	DetachNICFail      Event = "detach nic failure"
	SnapshotCreateOK   Event = "snapshot create success"
	SnapshotCreateFail Event = "snapshot create failure"
	SnapshotRevertDone Event = "snapshot revert answer"
	SnapshotDeleteOK   Event = "snapshot delete success"
	SnapshotDeleteFail Event = "snapshot delete failure"
	DiskReady          Event = "savedisk image made" // MKFS of a deferred savedisk
	SaveDiskOK         Event = "savedisk success"
	SaveDiskFail       Event = "savedisk failure"

	Lost    Event = "monitor lost"    // not found, or its host cannot be reached
	Paused  Event = "monitor paused"  // found suspended
	Crashed Event = "monitor error"   // found in error
	Found   Event = "monitor running" // found alive

	RecoverOK   Event = "recover success"
	RecoverFail Event = "recover failure"

	Restarted Event = "restart of the daemon"
)

// Place is where a VM is in its life. LCM means something only in ACTIVE.
type Place struct {
	State vm.State
	LCM   vm.LCMState
}

func in(lcm vm.LCMState) Place { return Place{vm.Active, lcm} }
func at(state vm.State) Place  { return Place{State: state} }
func (p Place) String() string { return placeName(p) }
func placeName(p Place) string {
	if p.State == vm.Active {
		return p.LCM.String()
	}
	return p.State.String()
}

type cell struct {
	place Place
	event Event
}

// Table is the life of a VM: for each place and event the steps to take. What is not in it is refused.
type Table map[cell][]Step

// add enters the same steps for several places.
func (t Table) add(event Event, places []Place, steps ...Step) {
	for _, p := range places {
		c := cell{p, event}
		if _, twice := t[c]; twice {
			panic("lifecycle: " + placeName(p) + " has two entries for " + string(event))
		}
		t[c] = steps
	}
}

var (
	running = in(vm.Running)
	unknown = in(vm.Unknown)
	booting = []Place{in(vm.Boot), in(vm.BootUnknown), in(vm.BootPoweroff), in(vm.BootSuspended),
		in(vm.BootStopped), in(vm.BootUndeploy)}
)

// VM is the table that the daemon follows.
var VM = newTable()

func newTable() Table {
	t := Table{}
	t.userActions()
	t.answers()
	t.hotplug()
	t.cleanups()
	t.recoveries()
	return t
}

func (t Table) userActions() {
	alive := []Place{running, unknown}
	one := func(p Place) []Place { return []Place{p} }
	queued := []Place{at(vm.Pending), at(vm.Hold)}

	t.add(Hold, one(at(vm.Pending)), to(at(vm.Hold), "DiM", "New VM state is HOLD."))
	t.add(Release, one(at(vm.Hold)), toPending)
	t.add(Deploy, queued, newRecord, to(in(vm.LCMInit), "DiM", "New VM state is ACTIVE."), startProlog)

	t.add(Suspend, one(running), noResched, curAction(vm.ActionSuspend), lcm(vm.SaveSuspend), send("SAVE"))
	t.add(Stop, one(running), noResched, curAction(vm.ActionStop), lcm(vm.SaveStop), send("SAVE"))
	t.add(Migrate, one(running), noResched, copyRecordToHost, curSTime, prevAction(vm.ActionMigrate), lcm(vm.SaveMigrate), takeCapacity, send("SAVE"))
	t.add(LiveMigrate, one(running), noResched, copyRecordToHost, curSTime, prevAction(vm.ActionLiveMigrate), lcm(vm.Migrate), takeCapacity, send("MIGRATE"))

	t.add(Shutdown, alive, noResched, curAction(vm.ActionShutdown), lcm(vm.Shutdown), send("SHUTDOWN"))
	t.add(ShutdownHard, alive, noResched, curAction(vm.ActionShutdownHard), lcmNamed(vm.Cancel, "New state is CANCEL"), send("CANCEL"))
	t.add(Undeploy, alive, noResched, curAction(vm.ActionUndeploy), lcm(vm.ShutdownUndeploy), send("SHUTDOWN"))
	t.add(UndeployHard, alive, noResched, curAction(vm.ActionUndeployHard), lcm(vm.ShutdownUndeploy), send("CANCEL"))
	t.add(Poweroff, alive, noResched, curAction(vm.ActionPoweroff), lcm(vm.ShutdownPoweroff), send("SHUTDOWN"))
	t.add(PoweroffHard, alive, noResched, curAction(vm.ActionPoweroffHard), lcm(vm.ShutdownPoweroff), send("CANCEL"))

	t.add(Resume, []Place{at(vm.Stopped), at(vm.Undeployed)}, toPending)
	t.add(Resume, one(at(vm.Suspended)), logDiM("New VM state is ACTIVE."), logLCM("Restoring VM"), copyRecord,
		lcmNamed(vm.BootSuspended, "New state is BOOT_SUSPENDED"), send("RESTORE"))
	t.add(Resume, one(at(vm.Poweroff)), logDiM("New VM state is ACTIVE."), copyRecord, lcm(vm.BootPoweroff), send("DEPLOY"))

	t.add(Boot, one(unknown), lcm(vm.BootUnknown), send("DEPLOY"))
	t.add(Boot, booting, logLCM("Sending BOOT command to VM again"), send("DEPLOY"))
	t.add(Reboot, one(running), noResched, send("REBOOT"))
	t.add(RebootHard, one(running), noResched, send("RESET"))
	t.add(Resched, one(running), setResched)
	t.add(Unresched, one(running), noResched)
}

func (t Table) answers() {
	one := func(l vm.LCMState) []Place { return []Place{in(l)} }

	t.add(PrologOK, one(vm.Prolog), endProlog, lcmNamed(vm.Boot, "New VM state is BOOT"), send("DEPLOY"))
	t.add(PrologOK, one(vm.PrologUndeploy), endProlog, lcmNamed(vm.BootUndeploy, "New VM state is BOOT"), send("DEPLOY"))
	t.add(PrologOK, one(vm.PrologResume), endProlog, lcmNamed(vm.BootStopped, "New VM state is BOOT"), send("RESTORE"))
	t.add(PrologOK, one(vm.PrologMigrate), endProlog, lcmNamed(vm.Boot, "New VM state is BOOT"), send("RESTORE"))
	t.add(PrologFail, []Place{in(vm.Prolog), in(vm.PrologMigrate)}, curPETime, fail)
	t.add(PrologFail, one(vm.PrologResume), noResched, curPETime, closeCur(vm.ReasonError), giveCapacity, reach(vm.Stopped))
	t.add(PrologFail, one(vm.PrologUndeploy), noResched, curPETime, closeCur(vm.ReasonError), giveCapacity, reach(vm.Undeployed))

	t.add(DeployOK, booting, lcmNamed(vm.Running, "New VM state is RUNNING"))
	t.add(DeployOK, one(vm.Migrate), curRSTime, endOldHost, dropSnapshots, lcmNamed(vm.Running, "New VM state is RUNNING"))
	t.add(DeployFail, one(vm.Boot), curRETime, fail)
	t.add(DeployFail, one(vm.BootUnknown), logLCM("Fail to boot VM. New VM state is UNKNOWN"), quietly(in(vm.Unknown)))
	t.add(DeployFail, one(vm.BootPoweroff), logLCM("Fail to boot VM. New VM state is POWEROFF"), closeCurFailed, quietly(at(vm.Poweroff)))
	t.add(DeployFail, one(vm.BootSuspended), logLCM("Fail to boot VM. New VM state is SUSPENDED"), closeCurFailed, quietly(at(vm.Suspended)))
	t.add(DeployFail, one(vm.BootStopped), logLCM("Fail to boot VM. New VM state is EPILOG_STOP"),
		startEpilog(vm.ReasonError), quietly(in(vm.EpilogStop)), moveFiles("stop"))
	t.add(DeployFail, one(vm.BootUndeploy), logLCM("Fail to boot VM. New VM state is EPILOG_UNDEPLOY"),
		startEpilog(vm.ReasonError), quietly(in(vm.EpilogUndeploy)), moveFiles("stop"))
	back := []Step{quietly(running), backToOldHost, send("POLL")}
	t.add(DeployFail, one(vm.Migrate), append([]Step{logLCM("Fail to live migrate VM. Assuming that the VM is still RUNNING (will poll VM).")}, back...)...)
	t.add(SaveFail, one(vm.SaveMigrate), append([]Step{logLCM("Fail to save VM state while migrating. Assuming that the VM is still RUNNING (will poll VM).")}, back...)...)

	t.add(SaveOK, one(vm.SaveSuspend), resetInfo, curRETime, closeCur(vm.ReasonUser), reach(vm.Suspended))
	t.add(SaveOK, one(vm.SaveStop), lcm(vm.EpilogStop), resetInfo, startEpilog(vm.ReasonUser), moveFiles("stop"))
	t.add(SaveOK, one(vm.SaveMigrate), lcm(vm.PrologMigrate), resetInfo, endOldHost, curPSTime, moveFiles("migrate"))
	still := func(what string) []Step {
		return []Step{logLCM("Fail to " + what + ". Assuming that the VM is still RUNNING (will poll VM)."),
			curAction(vm.ActionNone), quietly(running), send("POLL")}
	}
	t.add(SaveFail, []Place{in(vm.SaveSuspend), in(vm.SaveStop)}, still("save VM state")...)

	for _, e := range []Event{ShutdownOK, CancelOK} {
		t.add(e, one(vm.ShutdownPoweroff), resetInfo, curRETime, closeCur(vm.ReasonUser), reach(vm.Poweroff))
		t.add(e, one(vm.ShutdownUndeploy), lcm(vm.EpilogUndeploy), resetInfo, startEpilog(vm.ReasonUser), moveFiles("stop"))
	}
	t.add(ShutdownOK, one(vm.Shutdown), lcm(vm.Epilog), resetInfo, startEpilog(vm.ReasonUser), moveFiles("epilog"))
	t.add(CancelOK, one(vm.Cancel), lcm(vm.Epilog), resetInfo, startEpilog(vm.ReasonUser), moveFiles("epilog"))
	t.add(ShutdownFail, []Place{in(vm.Shutdown), in(vm.ShutdownPoweroff), in(vm.ShutdownUndeploy)}, still("shutdown VM")...)
	t.add(CancelFail, []Place{in(vm.Cancel), in(vm.ShutdownPoweroff), in(vm.ShutdownUndeploy)}, still("cancel VM")...)

	t.add(EpilogOK, one(vm.EpilogStop), endEpilog, giveCapacity, reach(vm.Stopped))
	t.add(EpilogOK, one(vm.EpilogUndeploy), endEpilog, giveCapacity, reach(vm.Undeployed))
	t.add(EpilogOK, one(vm.Epilog), endEpilog, giveCapacity, done)
	t.add(EpilogFail, []Place{in(vm.Epilog), in(vm.EpilogStop), in(vm.EpilogUndeploy)}, curEETime, fail)
	for _, e := range []Event{EpilogOK, EpilogFail, CleanupDone} {
		t.add(e, one(vm.CleanupResubmit), requeue)
	}

	t.add(Lost, []Place{running}, noResched, to(unknown, "LCM", "New VM state is UNKNOWN"))
	t.add(Found, []Place{unknown}, logVMM("VM found again, state is RUNNING"), quietly(running))
	t.add(Paused, []Place{running, unknown}, noResched, logLCM("VM is suspended."), quietly(in(vm.SaveSuspend)), resetInfo, curRETime,
		closeCur(vm.ReasonError), reach(vm.Suspended))
	t.add(Crashed, []Place{running, unknown}, curRETime, fail)
}

func (t Table) hotplug() {
	r := []Place{running}
	t.add(AttachDisk, r, noResched, quietly(in(vm.Hotplug)), sendAttach)
	t.add(DetachDisk, r, noResched, quietly(in(vm.Hotplug)), sendDetach)
	t.add(AttachNIC, r, noResched, quietly(in(vm.HotplugNIC)), send("ATTACHNIC"))
	t.add(DetachNIC, r, noResched, quietly(in(vm.HotplugNIC)), send("DETACHNIC"))
	t.add(SnapshotCreate, r, noResched, quietly(in(vm.HotplugSnapshot)), send("SNAPSHOTCREATE"))
	t.add(SnapshotRevert, r, noResched, quietly(in(vm.HotplugSnapshot)), send("SNAPSHOTREVERT"))
	t.add(SnapshotDelete, r, noResched, quietly(in(vm.HotplugSnapshot)), send("SNAPSHOTDELETE"))
	t.add(SaveDisk, r, quietly(in(vm.HotplugSaveas)))
	t.add(SaveDisk, []Place{at(vm.Poweroff)}, quietly(in(vm.HotplugSaveasPoweroff)))
	t.add(SaveDisk, []Place{at(vm.Suspended)}, quietly(in(vm.HotplugSaveasSuspended)))

	disk, nic, snap := []Place{in(vm.Hotplug)}, []Place{in(vm.HotplugNIC)}, []Place{in(vm.HotplugSnapshot)}
	t.add(AttachOK, disk, unmarkDisk, quietly(running))
	t.add(DetachFail, disk, unmarkDisk, quietly(running))
	t.add(AttachFail, disk, removeDisk, quietly(running))
	t.add(DetachOK, disk, removeDetachedDisk, quietly(running))
	t.add(AttachNICOK, nic, unmarkNIC, quietly(running))
	t.add(DetachNICFail, nic, unmarkNIC, quietly(running))
	t.add(AttachNICFail, nic, removeNIC, quietly(running))
	t.add(DetachNICOK, nic, removeNIC, quietly(running))
	t.add(SnapshotCreateOK, snap, nameSnapshot, unmarkSnapshot, quietly(running))
	t.add(SnapshotCreateFail, snap, removeSnapshot, quietly(running))
	t.add(SnapshotRevertDone, snap, unmarkSnapshot, quietly(running))
	t.add(SnapshotDeleteOK, snap, removeSnapshot, quietly(running))
	t.add(SnapshotDeleteFail, snap, unmarkSnapshot, quietly(running))
	for place, back := range savingDisk {
		t.add(DiskReady, []Place{place}, deferDiskCopy, quietly(back))
		t.add(SaveDiskOK, []Place{place}, endDiskCopy(true), quietly(back))
		t.add(SaveDiskFail, []Place{place}, endDiskCopy(false), quietly(back))
	}
}

// savingDisk is where a VM goes back to when a disk has been saved.
var savingDisk = map[Place]Place{
	in(vm.HotplugSaveas):          in(vm.Running),
	in(vm.HotplugSaveasPoweroff):  at(vm.Poweroff),
	in(vm.HotplugSaveasSuspended): at(vm.Suspended),
}

// cleanups are delete and delete-recreate.
func (t Table) cleanups() {
	direct := []Place{at(vm.Init), at(vm.Pending), at(vm.Hold)}
	t.add(Delete, direct, doneAtOnce)
	t.add(Delete, []Place{at(vm.Suspended), at(vm.Poweroff)}, giveCapacity, moveFiles("delete"), doneAtOnce)
	t.add(Delete, []Place{at(vm.Failed)}, moveFiles("delete"), doneAtOnce)
	t.add(Delete, []Place{at(vm.Stopped), at(vm.Undeployed)}, moveFiles("delete_frontend"), doneAtOnce)
	t.add(Delete, []Place{at(vm.Done)})

	t.add(Recreate, []Place{at(vm.Init), at(vm.Pending)})
	t.add(Recreate, []Place{at(vm.Hold)}, toPending)
	t.add(Recreate, []Place{at(vm.Stopped), at(vm.Undeployed)}, forgetStop, moveFiles("delete_frontend"), toPending)
	t.add(Recreate, []Place{at(vm.Failed)}, forgetStop, to(in(vm.CleanupResubmit), "DiM", "New VM state is CLEANUP."), moveFiles("delete"))

	type cleanup struct {
		places []Place
		steps  []Step
	}
	saving := []Place{}
	for p := range savingDisk {
		saving = append(saving, p)
	}
	for _, c := range []cleanup{
		{[]Place{in(vm.LCMInit)}, nil},
		{[]Place{in(vm.Prolog), in(vm.PrologResume), in(vm.PrologUndeploy)},
			[]Step{curPETime, cancelTransfer, moveFiles("delete")}},
		{append([]Place{running, unknown, in(vm.Shutdown), in(vm.ShutdownPoweroff), in(vm.ShutdownUndeploy), in(vm.Cancel),
			in(vm.HotplugSnapshot), in(vm.SaveStop), in(vm.SaveSuspend)}, booting...),
			[]Step{curRETime, cancelDriver, cleanHost}},
		{[]Place{in(vm.Hotplug)}, []Step{curRETime, unmarkDisk, cancelDriver, cleanHost}},
		{[]Place{in(vm.HotplugNIC)}, []Step{curRETime, unmarkNIC, cancelDriver, cleanHost}},
		{saving, []Step{curRETime, endDiskCopy(false), cancelTransfer, cancelDriver, cleanHost}},
		{[]Place{in(vm.Migrate)}, []Step{curRETime, endOldHost, cancelDriver, cleanBothHosts}},
		{[]Place{in(vm.SaveMigrate)}, []Step{curRETime, endOldHost, cancelDriver, cleanOldHost}},
		{[]Place{in(vm.PrologMigrate)}, []Step{curPETime, cancelTransfer, moveFiles("delete_both")}},
		{[]Place{in(vm.Epilog), in(vm.EpilogStop), in(vm.EpilogUndeploy)}, []Step{curEETime, cancelTransfer, moveFiles("delete")}},
	} {
		t.add(Delete, c.places, append(append([]Step{startCleanup(vm.CleanupDelete, vm.ActionDelete)}, c.steps...), done)...)
		t.add(Recreate, c.places, append([]Step{startCleanup(vm.CleanupResubmit, vm.ActionDeleteRecreate)}, c.steps...)...)
	}
	t.add(Delete, []Place{in(vm.Failure)}, quietly(in(vm.CleanupDelete)), moveFiles("delete"), done)
	t.add(Recreate, []Place{in(vm.Failure)}, quietly(in(vm.CleanupResubmit)), moveFiles("delete"))
	t.add(Delete, []Place{in(vm.CleanupDelete), in(vm.CleanupResubmit)}, quietly(in(vm.CleanupDelete)), done)
	t.add(Recreate, []Place{in(vm.CleanupResubmit)}, requeue)
}

// recoveries say what recover stands for in each place: the answer that the VM waits for.
func (t Table) recoveries() {
	for _, r := range []struct {
		places   []vm.LCMState
		ok, fail Event
	}{
		{[]vm.LCMState{vm.Prolog, vm.PrologMigrate, vm.PrologResume, vm.PrologUndeploy}, PrologOK, PrologFail},
		{[]vm.LCMState{vm.Epilog, vm.EpilogStop, vm.EpilogUndeploy}, EpilogOK, EpilogFail},
		{[]vm.LCMState{vm.Boot, vm.BootUnknown, vm.BootPoweroff, vm.BootSuspended, vm.BootStopped, vm.BootUndeploy,
			vm.Migrate}, DeployOK, DeployFail},
		{[]vm.LCMState{vm.Shutdown, vm.ShutdownPoweroff, vm.ShutdownUndeploy}, ShutdownOK, ShutdownFail},
		{[]vm.LCMState{vm.Cancel}, CancelOK, CancelFail},
		{[]vm.LCMState{vm.SaveStop, vm.SaveSuspend, vm.SaveMigrate}, SaveOK, SaveFail},
		{[]vm.LCMState{vm.Hotplug}, AttachOK, AttachFail},
		{[]vm.LCMState{vm.HotplugNIC}, AttachNICOK, AttachNICFail},
		{[]vm.LCMState{vm.HotplugSnapshot}, SnapshotCreateFail, SnapshotCreateFail},
		{[]vm.LCMState{vm.HotplugSaveas, vm.HotplugSaveasPoweroff, vm.HotplugSaveasSuspended}, SaveDiskOK, SaveDiskFail},
	} {
		for _, l := range r.places {
			steps := t[cell{in(l), r.ok}]
			if r.ok == DeployOK {
				steps = append([]Step{nameDeployment}, steps...)
			}
			t.add(RecoverOK, []Place{in(l)}, steps...)
			t.add(RecoverFail, []Place{in(l)}, t[cell{in(l), r.fail}]...)
		}
	}
	for _, e := range []Event{RecoverOK, RecoverFail} {
		t.add(e, []Place{in(vm.LCMInit), running})
		t.add(e, []Place{unknown}, quietly(running))
		t.add(e, []Place{in(vm.CleanupDelete)}, done)
		t.add(e, []Place{in(vm.CleanupResubmit)}, requeue)
		t.add(e, []Place{in(vm.Failure)}, failed)
	}
	// 4.6 can end between two steps of its own. No driver has a part in what follows.
	t.add(Restarted, []Place{in(vm.LCMInit)}, startProlog)
	t.add(Restarted, []Place{in(vm.CleanupDelete)}, done)
	t.add(Restarted, []Place{in(vm.Failure)}, failed)
}
