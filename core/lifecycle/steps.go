package lifecycle

import (
	"strconv"

	"goned/core/cloud"
	"goned/core/vm"
)

// to moves the VM and logs a line.
func to(p Place, module, line string) Step {
	return Step{To: []Place{p}, do: func(m *machine) {
		m.move(p)
		m.log(module, line)
	}}
}

// lcm moves an active VM and logs it with the state's name.
func lcm(l vm.LCMState) Step { return lcmNamed(l, "New VM state is "+l.String()) }

func lcmNamed(l vm.LCMState, line string) Step { return to(in(l), "LCM", line) }

// quietly moves the VM without a line of its own.
func quietly(p Place) Step {
	return Step{To: []Place{p}, do: func(m *machine) { m.move(p) }}
}

// reach ends the work of the life-cycle on a VM that now rests.
func reach(s vm.State) Step {
	p := at(s)
	return Step{To: []Place{p}, do: func(m *machine) {
		cur := m.vm.Current()
		if cur != nil && cur.Action == vm.ActionNone {
			switch s {
			case vm.Stopped:
				cur.Action, m.saveCur = vm.ActionStop, true
			case vm.Undeployed:
				cur.Action, m.saveCur = vm.ActionUndeploy, true
			}
		}
		m.move(p)
		m.log("DiM", "New VM state is "+s.String())
	}}
}

var (
	pending   = at(vm.Pending)
	toPending = to(pending, "DiM", "New VM state is PENDING.")
	// requeue ends a clean-up: the line has no stop, as in 4.6.
	requeue = to(pending, "DiM", "New VM state is PENDING")
)

func logLCM(line string) Step { return Step{do: func(m *machine) { m.log("LCM", line) }} }
func logDiM(line string) Step { return Step{do: func(m *machine) { m.log("DiM", line) }} }
func logVMM(line string) Step { return Step{do: func(m *machine) { m.log("VMM", line) }} }

// Changes of the VM itself.
var (
	setResched = Step{Name: "ask for rescheduling", do: func(m *machine) { m.vm.Resched = true }}
	noResched  = Step{Name: "no rescheduling", do: func(m *machine) { m.vm.Resched = false }}

	// resetInfo forgets what was monitored: the VM does not run any more.
	resetInfo = Step{Name: "forget monitoring", do: (*machine).resetInfo}

	dropSnapshots  = Step{Name: "drop snapshots", do: func(m *machine) { m.vm.ForgetSnapshots() }}
	nameDeployment = Step{Name: "name the deployment if nobody has", do: func(m *machine) {
		if m.vm.DeployID == "" {
			m.vm.DeployID = "one-" + strconv.Itoa(m.vm.ID)
		}
	}}
)

func (m *machine) resetInfo() {
	m.vm.ForgetSnapshots()
	m.vm.ClearMonitorError()
	m.vm.Memory, m.vm.CPU = 0, 0
	m.vm.LastPoll = m.tx.Now
	m.refresh(m.vm.Current(), &m.saveCur)
}

// refresh puts the VM as it is now into a record.
func (m *machine) refresh(r *vm.Record, save *bool) {
	if r != nil {
		r.VMInfo = string(m.vm.SnapshotXML())
		*save = true
	}
}

// change is a step on the current record.
func change(name string, do func(r *vm.Record, now int64)) Step {
	return Step{Name: name, do: func(m *machine) {
		if r := m.vm.Current(); r != nil {
			do(r, m.now)
			m.saveCur = true
		}
	}}
}

// changePrev is a step on the record before.
func changePrev(name string, do func(r *vm.Record, now int64)) Step {
	return Step{Name: name, do: func(m *machine) {
		if r := m.vm.Previous(); r != nil {
			do(r, m.now)
			m.savePrev = true
		}
	}}
}

// History records. Times are those of one transition: all "now" in it are the same second.
var (
	curSTime   = change("STIME", func(r *vm.Record, now int64) { r.STime = now })
	curPSTime  = change("PSTIME", func(r *vm.Record, now int64) { r.PSTime = now })
	curPETime  = change("PETIME", func(r *vm.Record, now int64) { r.PETime = now })
	curRSTime  = change("RSTIME", func(r *vm.Record, now int64) { r.RSTime = now })
	curRETime  = change("RETIME", func(r *vm.Record, now int64) { r.RETime = now })
	curEETime  = change("EETIME", func(r *vm.Record, now int64) { r.EETime = now })
	endProlog  = change("PETIME, RSTIME", func(r *vm.Record, now int64) { r.PETime, r.RSTime = now, now })
	endEpilog  = change("EETIME, ETIME", func(r *vm.Record, now int64) { r.EETime, r.ETime = now, now })
	forgetStop = change("forget that it was stopped", func(r *vm.Record, now int64) {
		// 4.6 keeps it, and then resumes what was to be recreated.
		r.Action = vm.ActionDeleteRecreate
	})
)

func curAction(a vm.Action) Step {
	return change("ACTION "+a.String(), func(r *vm.Record, _ int64) { r.Action = a })
}

func prevAction(a vm.Action) Step {
	return changePrev("ACTION "+a.String()+" of the old record", func(r *vm.Record, _ int64) { r.Action = a })
}

func startEpilog(reason vm.Reason) Step {
	return change("ESTIME, RETIME, REASON", func(r *vm.Record, now int64) { r.ESTime, r.RETime, r.Reason = now, now, reason })
}

func closeCur(reason vm.Reason) Step {
	return Step{Name: "close the record", do: func(m *machine) { m.close(m.vm.Current(), &m.saveCur, reason) }}
}

// closeCurFailed closes the record of an attempt to resume. 4.6 leaves it open, which counts in accounting for ever and forbids
// migration.
var closeCurFailed = Step{Name: "close the record of the attempt", do: func(m *machine) {
	if r := m.vm.Current(); r != nil {
		r.RETime = m.now
		m.close(r, &m.saveCur, vm.ReasonError)
	}
}}

func (m *machine) close(r *vm.Record, save *bool, reason vm.Reason) {
	if r != nil {
		r.ETime, r.Reason = m.now, reason
		m.refresh(r, save)
	}
}

// newRecord begins a record on the host that a deployment goes to.
var newRecord = Step{Name: "new record", do: func(m *machine) { m.addRecord(m.args.Target) }}

func (m *machine) addRecord(t Target) {
	m.vm.AddRecord(vm.Record{
		Hostname: t.Hostname, HID: t.HostID, CID: t.ClusterID, VMMMAD: t.VMMAD, VNMMAD: t.VNMAD, TMMAD: t.TMMAD,
		DSLocation: t.DSLocation, DSID: t.DSID,
	})
	m.saveCur = true
}

// copyRecordToHost begins the record of a migration: system datastore and transfer driver stay.
var copyRecordToHost = Step{Name: "new record", do: func(m *machine) {
	t, cur := m.args.Target, m.vm.Current()
	t.DSID, t.TMMAD = cur.DSID, cur.TMMAD
	m.addRecord(t)
}}

// copyRecord begins a record on the same host.
var copyRecord = Step{Name: "new record, same host", do: func(m *machine) { m.duplicate(m.vm.Current()) }}

func (m *machine) duplicate(r *vm.Record) {
	cur := m.vm.CopyRecord(*r)
	cur.STime, cur.RSTime = m.now, m.now
	m.saveCur = true
}

// Capacity of hosts.
var (
	takeCapacity = Step{Name: "take capacity of the host", do: func(m *machine) {
		cloud.TakeCapacity(m.tx, m.vm, m.vm.Current().HID)
	}}
	giveCapacity = Step{Name: "give capacity back", do: func(m *machine) {
		if r := m.vm.Current(); r != nil {
			cloud.GiveCapacity(m.tx, m.vm, r.HID)
		}
	}}
	// endOldHost closes the record of the host that the VM has left.
	endOldHost = Step{Name: "leave the old host", do: func(m *machine) {
		if prev := m.vm.Previous(); prev != nil {
			prev.RETime = m.now
			m.close(prev, &m.savePrev, vm.ReasonUser)
			cloud.GiveCapacity(m.tx, m.vm, prev.HID)
		}
	}}
	// backToOldHost undoes a migration that failed: a third record, on the old host.
	backToOldHost = Step{Name: "back to the old host", do: func(m *machine) {
		cur, prev := m.vm.Current(), m.vm.Previous()
		m.close(cur, &m.saveCur, vm.ReasonError)
		prev.RETime = m.now
		m.close(prev, &m.savePrev, vm.ReasonUser)
		cloud.GiveCapacity(m.tx, m.vm, cur.HID)
		old := *prev
		m.saveRecords()
		m.duplicate(&old)
		m.savePrev = false
	}}
)

var prologs = []Place{in(vm.Prolog), in(vm.PrologResume), in(vm.PrologUndeploy)}

// startProlog begins a deployment: a new one, or the return of a VM that was stopped or undeployed.
var startProlog = Step{Name: "STIME, PSTIME; take capacity; TM .prolog or .resume", To: prologs, do: func(m *machine) {
	script, next := "prolog", vm.Prolog
	if prev := m.vm.Previous(); prev != nil {
		switch prev.Action {
		case vm.ActionStop:
			script, next = "resume", vm.PrologResume
		case vm.ActionUndeploy, vm.ActionUndeployHard:
			script, next = "resume", vm.PrologUndeploy
		}
	}
	m.move(in(next))
	m.log("LCM", "New VM state is PROLOG.")
	cur := m.vm.Current()
	cur.STime, cur.PSTime = m.now, m.now
	m.saveCur = true
	cloud.TakeCapacity(m.tx, m.vm, cur.HID)
	m.transfer(script)
}}

// fail is the way to FAILED: files stay where they are until somebody deletes or recreates the VM.
var fail = Step{Name: "FAILURE; close the record; give capacity back", To: []Place{at(vm.Failed)}, do: func(m *machine) {
	m.move(in(vm.Failure))
	m.vm.Resched = false
	m.resetInfo()
	m.close(m.vm.Current(), &m.saveCur, vm.ReasonError)
	giveCapacity.do(m)
	failed.do(m)
}}

var failed = Step{Name: "ETIME", To: []Place{at(vm.Failed)}, do: func(m *machine) {
	m.vm.ETime = m.now
	m.move(at(vm.Failed))
	m.log("DiM", "New VM state is FAILED")
}}

// done ends the life of a VM that was active.
var done = Step{Name: "release leases, images and quotas", To: []Place{at(vm.Done)}, do: func(m *machine) { m.finish("New VM state is DONE") }}

// doneAtOnce ends the life of a VM that was not active.
var doneAtOnce = Step{Name: "release leases, images and quotas", To: []Place{at(vm.Done)}, do: func(m *machine) { m.finish("New VM state is DONE.") }}

func (m *machine) finish(line string) {
	cloud.ReleaseVM(m.tx, m.vm, cloud.Ending{
		Failed: m.from.State == vm.Failed,
		Epilog: m.from == in(vm.Epilog),
	})
	m.vm.ETime = m.now
	m.move(at(vm.Done))
	m.log("DiM", line)
}

// startCleanup is common to delete and delete-recreate of an active VM.
func startCleanup(l vm.LCMState, a vm.Action) Step {
	p := in(l)
	return Step{Name: "close the record; give capacity back", To: []Place{p}, do: func(m *machine) {
		m.log("LCM", "New VM state is CLEANUP.")
		if cur := m.vm.Current(); cur != nil {
			cur.Action = a
		}
		m.move(p)
		m.vm.Resched = false
		m.resetInfo()
		m.close(m.vm.Current(), &m.saveCur, vm.ReasonUser)
		giveCapacity.do(m)
	}}
}
