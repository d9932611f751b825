package vm

import (
	"strconv"
	"strings"
)

// State is the state of a VM as clients see it; the numbers are 4.6's.
type State int

// The states.
const (
	Init State = iota
	Pending
	Hold
	Active
	Stopped
	Suspended
	Done
	Failed
	Poweroff
	Undeployed
)

var stateNames = [...]string{"INIT", "PENDING", "HOLD", "ACTIVE", "STOPPED", "SUSPENDED", "DONE", "FAILED", "POWEROFF", "UNDEPLOYED"}

// String is the name that hooks use.
func (s State) String() string { return nameOf(stateNames[:], int(s)) }

// ParseState reads a name in any case.
func ParseState(name string) (State, bool) {
	n, ok := numberOf(stateNames[:], name)
	return State(n), ok
}

// LCMState is what is going on with an active VM; the numbers are 4.6's.
type LCMState int

// The life-cycle states.
const (
	LCMInit LCMState = iota
	Prolog
	Boot
	Running
	Migrate
	SaveStop
	SaveSuspend
	SaveMigrate
	PrologMigrate
	PrologResume
	EpilogStop
	Epilog
	Shutdown
	Cancel
	Failure
	CleanupResubmit
	Unknown
	Hotplug
	ShutdownPoweroff
	BootUnknown
	BootPoweroff
	BootSuspended
	BootStopped
	CleanupDelete
	HotplugSnapshot
	HotplugNIC
	HotplugSaveas
	HotplugSaveasPoweroff
	HotplugSaveasSuspended
	ShutdownUndeploy
	EpilogUndeploy
	PrologUndeploy
	BootUndeploy
)

var lcmStateNames = [...]string{
	"LCM_INIT", "PROLOG", "BOOT", "RUNNING", "MIGRATE", "SAVE_STOP", "SAVE_SUSPEND", "SAVE_MIGRATE", "PROLOG_MIGRATE",
	"PROLOG_RESUME", "EPILOG_STOP", "EPILOG", "SHUTDOWN", "CANCEL", "FAILURE", "CLEANUP_RESUBMIT", "UNKNOWN", "HOTPLUG",
	"SHUTDOWN_POWEROFF", "BOOT_UNKNOWN", "BOOT_POWEROFF", "BOOT_SUSPENDED", "BOOT_STOPPED", "CLEANUP_DELETE",
	"HOTPLUG_SNAPSHOT", "HOTPLUG_NIC", "HOTPLUG_SAVEAS", "HOTPLUG_SAVEAS_POWEROFF", "HOTPLUG_SAVEAS_SUSPENDED",
	"SHUTDOWN_UNDEPLOY", "EPILOG_UNDEPLOY", "PROLOG_UNDEPLOY", "BOOT_UNDEPLOY",
}

// String is the name that hooks use.
func (s LCMState) String() string { return nameOf(lcmStateNames[:], int(s)) }

// Waits reports whether a driver works on a VM in this state.
func (s LCMState) Waits() bool {
	switch s {
	case LCMInit, Running, Unknown, Failure, CleanupDelete:
		return false
	}
	return true
}

// ParseLCMState reads a name in any case.
func ParseLCMState(name string) (LCMState, bool) {
	n, ok := numberOf(lcmStateNames[:], name)
	return LCMState(n), ok
}

// Reason says why a history record was closed.
type Reason int

// The reasons.
const (
	ReasonNone Reason = iota
	ReasonError
	ReasonUser
)

// String is the reason's name.
func (r Reason) String() string { return nameOf([]string{"NONE", "ERROR", "USER"}, int(r)) }

// Action is the user's action that ended a history record.
type Action int

// The actions. 4.6 reserves numbers also for those that it never writes into a record.
const (
	ActionNone Action = iota
	ActionMigrate
	ActionLiveMigrate
	ActionShutdown
	ActionShutdownHard
	ActionUndeploy
	ActionUndeployHard
	ActionHold
	ActionRelease
	ActionStop
	ActionSuspend
	ActionResume
	ActionBoot
	ActionDelete
	ActionDeleteRecreate
	ActionReboot
	ActionRebootHard
	ActionResched
	ActionUnresched
	ActionPoweroff
	ActionPoweroffHard
)

var actionNames = [...]string{
	"none", "migrate", "live-migrate", "shutdown", "shutdown-hard", "undeploy", "undeploy-hard", "hold", "release", "stop",
	"suspend", "resume", "boot", "delete", "delete-recreate", "reboot", "reboot-hard", "resched", "unresched", "poweroff",
	"poweroff-hard",
}

// String is the name by which one.vm.action knows it.
func (a Action) String() string { return nameOf(actionNames[:], int(a)) }

// ParseAction reads the name as String gives it.
func ParseAction(name string) (Action, bool) {
	n, ok := numberOf(actionNames[:], name)
	return Action(n), ok
}

func nameOf(names []string, n int) string {
	if n >= 0 && n < len(names) {
		return names[n]
	}
	return strconv.Itoa(n)
}

func numberOf(names []string, name string) (int, bool) {
	for n, known := range names {
		if strings.EqualFold(known, name) {
			return n, true
		}
	}
	return 0, false
}
