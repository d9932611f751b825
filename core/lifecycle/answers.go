package lifecycle

import (
	"errors"
	"strconv"
	"strings"

	"goned/core/message"
	"goned/core/state"
	"goned/core/vm"
)

// Answer is what a driver said about an action on a VM.
type Answer struct {
	Action  string // of the driver protocol
	VM      int
	Success bool
	Info    string
	Line    string // the whole line, for the log
	Late    bool   // the action has been given up before
}

// answerTexts are 4.6's lines for the answers of hypervisor drivers.
var answerTexts = map[string]struct{ ok, fail string }{
	"DEPLOY":         {"", "Error deploying virtual machine"},
	"SHUTDOWN":       {"", "Error shutting down VM"},
	"CANCEL":         {"", "Error canceling VM"},
	"SAVE":           {"", "Error saving VM state"},
	"RESTORE":        {"", "Error restoring VM"},
	"MIGRATE":        {"", "Error live migrating VM"},
	"REBOOT":         {"VM successfully rebooted.", "Error rebooting VM, assume it's still running"},
	"RESET":          {"VM successfully rebooted-hard.", "Error rebooting-hard VM, assume it's still running"},
	"ATTACHDISK":     {"VM Disk successfully attached.", "Error attaching new VM Disk"},
	"DETACHDISK":     {"VM Disk successfully detached.", "Error detaching VM Disk"},
	"ATTACHNIC":      {"VM NIC Successfully attached.", "Error attaching new VM NIC"},
	"DETACHNIC":      {"VM NIC Successfully detached.", "Error detaching VM NIC"},
	"SNAPSHOTCREATE": {"VM Snapshot successfully created.", "Error creating new VM Snapshot"},
	"SNAPSHOTREVERT": {"VM Snapshot successfully reverted.", "Error reverting VM Snapshot"},
	"SNAPSHOTDELETE": {"VM Snapshot successfully deleted.", "Error deleting VM Snapshot"},
	"CLEANUP":        {"Host successfully cleaned.", "Error cleaning Host"},
	"POLL":           {"", "Error monitoring VM"},
}

// answerEvents are the events that answers stand for: success, failure. Actions that are not here change no state.
var answerEvents = map[string][2]Event{
	"DEPLOY": {DeployOK, DeployFail}, "RESTORE": {DeployOK, DeployFail}, "MIGRATE": {DeployOK, DeployFail},
	"SHUTDOWN": {ShutdownOK, ShutdownFail}, "CANCEL": {CancelOK, CancelFail}, "SAVE": {SaveOK, SaveFail},
	"ATTACHDISK": {AttachOK, AttachFail}, "DETACHDISK": {DetachOK, DetachFail},
	"ATTACHNIC": {AttachNICOK, AttachNICFail}, "DETACHNIC": {DetachNICOK, DetachNICFail},
	"SNAPSHOTCREATE": {SnapshotCreateOK, SnapshotCreateFail}, "SNAPSHOTREVERT": {SnapshotRevertDone, SnapshotRevertDone},
	"SNAPSHOTDELETE": {SnapshotDeleteOK, SnapshotDeleteFail}, "CLEANUP": {CleanupDone, CleanupDone},
}

// wrongStateNames are what 4.6 calls the events in its log when they come at a wrong time.
var wrongStateNames = map[Event]string{
	SaveOK: "save_success_action", SaveFail: "save_failure_action", DeployOK: "deploy_success_action",
	DeployFail: "deploy_failure_action", ShutdownOK: "shutdown_success_action", ShutdownFail: "shutdown_failure_action",
	CancelOK: "cancel_success_action", CancelFail: "cancel_failure_action", PrologOK: "prolog_success_action",
	PrologFail: "prolog_failure_action", EpilogOK: "epilog_success_action", EpilogFail: "epilog_failure_action",
	CleanupDone: "cleanup_callback_action", AttachOK: "attach_success_action", AttachFail: "attach_failure_action",
	DetachOK: "attach_failure_action", DetachFail: "attach_success_action", AttachNICOK: "attach_nic_success_action",
	AttachNICFail: "attach_nic_failure_action", DetachNICOK: "attach_nic_failure_action", DetachNICFail: "attach_nic_success_action",
	SnapshotCreateOK: "snapshot_create_success", SnapshotCreateFail: "snapshot_create_failure",
	SnapshotRevertDone: "snapshot_revert_success", SnapshotDeleteOK: "snapshot_delete_success",
	SnapshotDeleteFail: "snapshot_delete_failure", SaveDiskOK: "saveas_hot_success_action", SaveDiskFail: "saveas_hot_success_action",
}

// expected finds the VM that an answer is about. An answer for a VM that rests is noted in its log and ignored.
func expected(tx *state.Tx, a Answer, module string) *vm.VM {
	v := tx.VMs.Get(a.VM)
	if v == nil {
		return nil
	}
	if v.State != vm.Active || v.LCMState == vm.LCMInit || v.LCMState == vm.Failure {
		logVM(tx, v.ID, module, message.Warning, "Ignored: "+a.Line)
		return nil
	}
	return v
}

// fire is Fire for what nobody waits for: a wrong state goes to the VM's log.
func fire(tx *state.Tx, id int, e Event, args Args) error {
	err := Fire(tx, id, e, args)
	if errors.Is(err, ErrWrongState) {
		if name := wrongStateNames[e]; name != "" {
			logVM(tx, id, "LCM", message.Error, name+", VM in a wrong state")
		}
		return nil
	}
	return err
}

// info is the text of an answer that is worth showing: drivers say "-" for nothing.
func (a *Answer) info() string {
	if strings.HasPrefix(a.Info, "-") {
		return ""
	}
	return a.Info
}

// failure logs a failure and keeps it where clients see it.
func failure(tx *state.Tx, id int, module, text, info string) {
	if info != "" {
		text += ": " + info
		setError(tx, tx.VMs.Edit(id), text)
	}
	logVM(tx, id, module, message.Error, text)
}

// tooLate notes an answer to an action that has been given up, and reports whether there is nothing to follow: the failure has been
// assumed, and a success counts only where the VM waits for one.
func tooLate(tx *state.Tx, a Answer, v *vm.VM, module string, success Event) bool {
	if !a.Late {
		return false
	}
	ignored := !a.Success || !Can(v, success)
	text := "Late answer: "
	if ignored {
		text = "Late answer, ignored: "
	}
	logVM(tx, v.ID, module, message.Warning, text+a.Line)
	return ignored
}

// VMMAnswer takes in the answer of a hypervisor driver.
func VMMAnswer(tx *state.Tx, a Answer) error {
	v := expected(tx, a, "VMM")
	texts, known := answerTexts[a.Action]
	if v == nil || !known {
		return nil
	}
	if a.Action == "POLL" {
		return pollAnswer(tx, a)
	}
	events, follows := answerEvents[a.Action]
	if tooLate(tx, a, v, "VMM", events[0]) {
		return nil
	}
	id := v.ID
	switch {
	case !a.Success:
		failure(tx, id, "VMM", texts.fail, a.info())
	case a.Action == "DEPLOY":
		tx.VMs.Edit(id).DeployID = firstWord(a.Info)
	case texts.ok != "":
		logVM(tx, id, "VMM", message.Info, texts.ok)
	}
	if !follows {
		return nil
	}
	e := events[0]
	if !a.Success {
		e = events[1]
	}
	return fire(tx, id, e, Args{Info: firstWord(a.Info)})
}

// transferEvents says what the end of a transfer means where the VM is.
var transferEvents = map[vm.LCMState][2]Event{
	vm.Prolog: {PrologOK, PrologFail}, vm.PrologMigrate: {PrologOK, PrologFail}, vm.PrologResume: {PrologOK, PrologFail},
	vm.PrologUndeploy: {PrologOK, PrologFail}, vm.Epilog: {EpilogOK, EpilogFail}, vm.EpilogStop: {EpilogOK, EpilogFail},
	vm.EpilogUndeploy: {EpilogOK, EpilogFail}, vm.CleanupResubmit: {EpilogOK, EpilogFail},
	vm.HotplugSaveas: {SaveDiskOK, SaveDiskFail}, vm.HotplugSaveasPoweroff: {SaveDiskOK, SaveDiskFail},
	vm.HotplugSaveasSuspended: {SaveDiskOK, SaveDiskFail},
}

// TransferAnswer takes in the answer of the transfer driver.
func TransferAnswer(tx *state.Tx, a Answer) error {
	v := expected(tx, a, "TM")
	if v == nil || a.Action != "TRANSFER" {
		return nil
	}
	events, ok := transferEvents[v.LCMState]
	if tooLate(tx, a, v, "TM", events[0]) {
		return nil
	}
	if !a.Success {
		failure(tx, v.ID, "TM", "Error executing image transfer script", a.info())
	}
	if !ok {
		logVM(tx, v.ID, "TM", message.Error, "Wrong state in TM answer for VM "+strconv.Itoa(v.ID))
		return nil
	}
	e := events[0]
	if !a.Success {
		e = events[1]
	}
	return fire(tx, v.ID, e, Args{})
}

func firstWord(s string) string {
	if f := strings.Fields(s); len(f) > 0 {
		return f[0]
	}
	return ""
}

func itoa(n int) string { return strconv.Itoa(n) }

// pollAnswer takes in the answer of a POLL.
func pollAnswer(tx *state.Tx, a Answer) error {
	if a.Success {
		return askedAbout(tx, a)
	}
	text := "Error monitoring VM"
	if info := a.info(); info != "" {
		text += ": " + info
		tx.VMs.Edit(a.VM).SetMonitorError(stamp(tx.Now), text)
	}
	logVM(tx, a.VM, "VMM", message.Error, text)
	return fire(tx, a.VM, Lost, Args{})
}
