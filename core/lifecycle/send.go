package lifecycle

import (
	"strconv"

	"goned/core/message"
	"goned/core/transfer"
	"goned/core/vm"
)

// actionNames are the words of 4.6's log lines for the actions of the driver protocol.
var actionNames = map[string]string{
	"DEPLOY": "deploy", "SAVE": "save", "SHUTDOWN": "shutdown", "REBOOT": "reboot", "RESET": "reset", "CANCEL": "cancel",
	"MIGRATE": "migrate", "RESTORE": "restore", "POLL": "poll", "ATTACHDISK": "attach", "DETACHDISK": "detach",
	"ATTACHNIC": "attach_nic", "DETACHNIC": "detach_nic", "SNAPSHOTCREATE": "snapshot_create",
	"SNAPSHOTREVERT": "snapshot_revert", "SNAPSHOTDELETE": "snapshot_delete", "CLEANUP": "cleanup",
}

// ActionName is the word of log lines for an action of the driver protocol.
func ActionName(action string) string { return actionNames[action] }

// send asks the hypervisor driver for an action.
func send(action string) Step {
	return Step{Name: "VMM " + action, do: func(m *machine) { m.send(action, nil) }}
}

// send composes the request for an action; fill may add to it.
func (m *machine) send(action string, fill func(*message.VMAction)) {
	cur := m.vm.Current()
	if cur == nil {
		logVM(m.tx, m.vm.ID, "VMM", message.Error, ActionName(action)+"_action, VM has no history")
		return
	}
	if action != "POLL" {
		m.vm.Interrupted = false
	}
	x := message.VMAction{
		Action: action, VM: m.vm.ID, Driver: cur.VMMMAD, Host: cur.Hostname, NetDriver: cur.VNMMAD, DeployID: m.vm.DeployID,
	}
	dir := cur.RemoteDir()
	switch action {
	case "DEPLOY":
		name := "deployment." + strconv.Itoa(cur.Seq)
		x.DeployID, x.Deployment = "", true
		x.LocalFile, x.RemoteFile = m.frontendDir()+"/"+name, dir+"/"+name
		m.log("VMM", "Generating deployment file: "+x.LocalFile)
	case "SAVE":
		x.Checkpoint = dir + "/checkpoint"
		if m.vm.LCMState == vm.SaveMigrate {
			prev := m.vm.Previous()
			x.Host, x.NetDriver = prev.Hostname, prev.VNMMAD
		}
	case "RESTORE":
		x.Checkpoint = dir + "/checkpoint"
	case "MIGRATE":
		prev := m.vm.Previous()
		x.Host, x.NetDriver, x.MigrHost, x.MigrNetDriver = prev.Hostname, prev.VNMMAD, cur.Hostname, cur.VNMMAD
		x.TMCommand = m.command(transfer.LiveMigration(m.vm))
	}
	if h := m.tx.Hosts.Get(cur.HID); h != nil {
		x.HostTemplate = string(h.Template.AppendXML(nil, "TEMPLATE"))
	}
	if fill != nil {
		fill(&x)
	}
	x.Document = string(m.vm.PoolXML())
	m.tx.Send(x)
}

// command is a transfer command for a request; one that cannot be made is logged, and the driver fails for want of it.
func (m *machine) command(text string, err error) string {
	if err != nil {
		logVM(m.tx, m.vm.ID, "TM", message.Error, err.Error())
	}
	return text
}

// deletion is the text of a script that a request carries. On public clouds there is nothing to delete.
func (m *machine) deletion(s transfer.Script, err error) string {
	if cur := m.vm.Current(); cur == nil || cur.TMMAD == "" {
		return ""
	}
	return m.command(s.Text, err)
}

// sendAttach asks for the disk that is marked to be attached.
var sendAttach = Step{Name: "VMM ATTACHDISK", do: func(m *machine) {
	disk := m.markedDisk()
	m.send("ATTACHDISK", func(x *message.VMAction) {
		do, undo, warning, err := transfer.Attach(m.vm, disk, hostname())
		if warning != "" {
			logVM(m.tx, m.vm.ID, "TM", message.Warning, warning)
		}
		x.TMCommand, x.TMRollback = m.command(do, err), undo
		x.DiskTarget = m.vm.Current().RemoteDir() + "/disk." + disk.Get("DISK_ID")
	})
}}

// sendDetach asks for the disk that is marked to be detached.
var sendDetach = Step{Name: "VMM DETACHDISK", do: func(m *machine) {
	disk := m.markedDisk()
	m.send("DETACHDISK", func(x *message.VMAction) {
		text, problem, err := transfer.Detach(m.vm, disk)
		if problem != "" {
			logVM(m.tx, m.vm.ID, "TM", message.Error, problem)
		}
		x.TMCommand = m.command(text, err)
		x.DiskTarget = m.vm.Current().RemoteDir() + "/disk." + disk.Get("DISK_ID")
	})
}}

// cancelDriver tells the hypervisor driver to give up what it does for the VM.
var cancelDriver = Step{Name: "VMM DRIVER_CANCEL", do: func(m *machine) {
	if cur := m.vm.Current(); cur != nil {
		m.tx.Send(message.CancelVMAction{VM: m.vm.ID, Driver: cur.VMMMAD})
	}
}}

var cancelTransfer = Step{Name: "TM DRIVER_CANCEL", do: func(m *machine) { m.tx.Send(message.CancelTransfer{VM: m.vm.ID}) }}

// The clean-up of hosts: the hypervisor driver destroys the domain and runs the transfer commands that delete the files.
var (
	cleanHost = Step{Name: "VMM CLEANUP", do: func(m *machine) {
		m.send("CLEANUP", func(x *message.VMAction) { x.TMCommand = m.deletion(transfer.Delete(m.vm)) })
	}}
	cleanBothHosts = Step{Name: "VMM CLEANUP of both hosts", do: func(m *machine) {
		m.send("CLEANUP", func(x *message.VMAction) {
			x.TMCommand = m.deletion(transfer.Delete(m.vm))
			if prev := m.vm.Previous(); prev != nil {
				x.MigrHost, x.MigrNetDriver = prev.Hostname, prev.VNMMAD
			}
		})
	}}
	cleanOldHost = Step{Name: "VMM CLEANUP of the old host", do: func(m *machine) {
		prev := m.vm.Previous()
		m.send("CLEANUP", func(x *message.VMAction) {
			x.Driver, x.Host, x.NetDriver = prev.VMMMAD, prev.Hostname, prev.VNMMAD
			x.TMCommand = m.deletion(transfer.DeletePrevious(m.vm))
		})
	}}
)
