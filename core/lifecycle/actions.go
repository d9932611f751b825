package lifecycle

import (
	"errors"

	"goned/core/message"
	"goned/core/refusal"
	"goned/core/state"
	"goned/core/vm"
)

// aliases are the names that actions had before 4.0.
var aliases = map[string]Event{
	"cancel": ShutdownHard, "restart": Boot, "finalize": Delete, "resubmit": Recreate, "reset": RebootHard,
}

// doing are 4.6's lines in oned.log for the actions of one.vm.action: on receipt, and when the VM is in the wrong state.
var doing = map[Event]struct{ received, refused string }{
	Shutdown: {"Shutting down VM ", "shutdown"}, ShutdownHard: {"Cancelling VM ", "cancel"},
	Undeploy: {"Undeploying VM ", "undeploy"}, UndeployHard: {"Undeploying VM ", "undeploy"},
	Poweroff: {"Powering off VM ", "power off"}, PoweroffHard: {"Powering off VM ", "power off"},
	Hold: {"Holding VM ", "hold"}, Release: {"Releasing VM ", "release"}, Stop: {"Stopping VM ", "stop"},
	Suspend: {"Suspending VM ", "suspend"}, Resume: {"Resuming VM ", "resume"}, Boot: {"Restarting VM ", "restart"},
	Reboot: {"Rebooting VM ", "reboot"}, RebootHard: {"Resetting VM ", "reset"},
	Resched: {"Setting rescheduling flag on VM ", ""}, Unresched: {"Setting rescheduling flag on VM ", ""},
	Delete: {"Finalizing VM ", ""}, Recreate: {},
}

// ParseAction finds the action of one.vm.action by its name or an old name of it.
func ParseAction(name string) (Event, bool) {
	if e, ok := aliases[name]; ok {
		return e, true
	}
	_, ok := doing[Event(name)]
	return Event(name), ok
}

// Act carries out an action of one.vm.action on a VM that exists.
func Act(tx *state.Tx, id int, e Event) error {
	texts := doing[e]
	if texts.received != "" {
		logOned(tx, "DiM", message.Debug, texts.received+itoa(id))
	}
	err := Fire(tx, id, e, Args{})
	if errors.Is(err, ErrWrongState) {
		return refusal.OfAction(`Wrong state to perform action "` + string(e) + `"`)
	}
	return err
}

// RefusedLine is the line that oned.log gets when Act refuses; a refused transaction leaves no messages of its own.
func RefusedLine(v *vm.VM, e Event) string {
	switch word := doing[e].refused; {
	case e == Resched || e == Unresched:
		return "Could not set rescheduling flag for VM " + itoa(v.ID) + ", wrong state."
	case e == Recreate && v.State == vm.Poweroff:
		return "Cannot delete-recreate a powered off VM. Resume it first"
	case e == Recreate && v.State == vm.Suspended:
		return "Cannot delete-recreate a suspended VM. Resume it first"
	case e == Recreate:
		return "Cannot delete-recreate a VM already in DONE state"
	case word != "":
		return "Could not " + word + " VM " + itoa(v.ID) + ", wrong state."
	}
	return ""
}

// Recover resolves a VM that waits for an answer which does not come: as if the driver had answered. It never refuses an active VM.
func Recover(tx *state.Tx, id int, success bool) error {
	v := tx.VMs.Get(id)
	if v.State != vm.Active {
		return refusal.OfAction("Wrong state to perform action")
	}
	e := RecoverFail
	if success {
		e = RecoverOK
	}
	return fire(tx, id, e, Args{})
}
