package vmm

import "strings"

// outcome holds 4.6's texts for the answers to one action.
type outcome struct{ success, failure string }

var outcomes = map[Action]outcome{
	Deploy:         {"", "Error deploying virtual machine"},
	Shutdown:       {"", "Error shutting down VM"},
	Cancel:         {"", "Error canceling VM"},
	Save:           {"", "Error saving VM state"},
	Restore:        {"", "Error restoring VM"},
	Migrate:        {"", "Error live migrating VM"},
	Reboot:         {"VM successfully rebooted.", "Error rebooting VM, assume it's still running"},
	Reset:          {"VM successfully rebooted-hard.", "Error rebooting-hard VM, assume it's still running"},
	AttachDisk:     {"VM Disk successfully attached.", "Error attaching new VM Disk"},
	DetachDisk:     {"VM Disk successfully detached.", "Error detaching VM Disk"},
	AttachNIC:      {"VM NIC Successfully attached.", "Error attaching new VM NIC"},
	DetachNIC:      {"VM NIC Successfully detached.", "Error detaching VM NIC"},
	SnapshotCreate: {"VM Snapshot successfully created.", "Error creating new VM Snapshot"},
	SnapshotRevert: {"VM Snapshot successfully reverted.", "Error reverting VM Snapshot"},
	SnapshotDelete: {"VM Snapshot successfully deleted.", "Error deleting VM Snapshot"},
	Cleanup:        {"Host successfully cleaned.", "Error cleaning Host"},
	Poll:           {"", "Error monitoring VM"},
}

// SuccessText is what 4.6 writes to the VM's log (level I) after a success;
// empty where it writes nothing.
func SuccessText(a Action) string { return outcomes[a].success }

// FailureText is what 4.6 writes to the VM's log (level E) after a failure.
// With an info text, the same is stored in the user template: as ERROR_MONITOR
// for Poll, as ERROR for all others. Without, ERROR stays as it is.
func FailureText(a Action, info string) string {
	text := outcomes[a].failure
	if info != "" {
		text += ": " + info
	}
	return text
}

// HypervisorID is the id that a DEPLOY or SNAPSHOTCREATE answer carries: its
// first word, or nothing.
func HypervisorID(text string) string {
	if f := strings.Fields(text); len(f) > 0 {
		return f[0]
	}
	return ""
}
