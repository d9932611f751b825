// Package vmm holds the messages between oned and VM_MAD drivers: the request
// lines, what an answer means and the texts that go with it. It knows strings
// and numbers only; which VM state follows is the core's business.
package vmm

import (
	"encoding/base64"
	"strconv"
	"strings"
)

// Action is the first word of a VM_MAD request and of its answer.
type Action string

// The actions of 4.6's VM_MAD protocol.
const (
	Deploy         Action = "DEPLOY"
	Shutdown       Action = "SHUTDOWN"
	Cancel         Action = "CANCEL"
	Reboot         Action = "REBOOT"
	Reset          Action = "RESET"
	Save           Action = "SAVE"
	Restore        Action = "RESTORE"
	Migrate        Action = "MIGRATE"
	Poll           Action = "POLL"
	AttachDisk     Action = "ATTACHDISK"
	DetachDisk     Action = "DETACHDISK"
	AttachNIC      Action = "ATTACHNIC"
	DetachNIC      Action = "DETACHNIC"
	SnapshotCreate Action = "SNAPSHOTCREATE"
	SnapshotRevert Action = "SNAPSHOTREVERT"
	SnapshotDelete Action = "SNAPSHOTDELETE"
	Cleanup        Action = "CLEANUP"
)

// Actions lists every action that takes a Request.
func Actions() []Action {
	return []Action{Deploy, Shutdown, Cancel, Reboot, Reset, Save, Restore, Migrate, Poll,
		AttachDisk, DetachDisk, AttachNIC, DetachNIC,
		SnapshotCreate, SnapshotRevert, SnapshotDelete, Cleanup}
}

// Request is the document that goes with an action. Which members an action
// fills is 4.6's table; empty ones are sent as empty elements.
type Request struct {
	// Host is where the VM runs (the previous host for MIGRATE and for SAVE
	// in SAVE_MIGRATE), NetDriver that host's VN_MAD.
	Host, NetDriver string
	// MigrHost and MigrNetDriver are the destination of MIGRATE, or the host
	// that CLEANUP has to clean as well.
	MigrHost, MigrNetDriver string
	// DeployID is the hypervisor's name of the VM.
	DeployID string
	// LocalFile and RemoteFile are the deployment file on front-end and host.
	LocalFile, RemoteFile string
	// CheckpointFile is where SAVE leaves the memory and RESTORE finds it.
	CheckpointFile string
	// TMCommand and TMRollback are lines of a transfer script, each with its
	// line feed.
	TMCommand, TMRollback string
	// DiskTarget is the path of the disk to attach or detach on the host.
	DiskTarget string
	// VM is the VM document, `<VM>…</VM>`, with its latest history record.
	VM string
}

// Line is the request for the VM with the given id, without line feed.
func (r Request) Line(a Action, vmid int) string {
	return string(a) + " " + strconv.Itoa(vmid) + " " + base64.StdEncoding.EncodeToString([]byte(r.document()))
}

// CancelLine asks a VM_MAD or TM_MAD driver to give up what it does for a VM.
// No answer follows.
func CancelLine(vmid int) string { return "DRIVER_CANCEL " + strconv.Itoa(vmid) }

func (r Request) document() string {
	var b strings.Builder
	b.Grow(len(r.VM) + 1024)
	b.WriteString("<VMM_DRIVER_ACTION_DATA>")
	for _, e := range [...]struct{ tag, text string }{
		{"HOST", r.Host}, {"NET_DRV", r.NetDriver},
		{"MIGR_HOST", r.MigrHost}, {"MIGR_NET_DRV", r.MigrNetDriver},
		{"DEPLOY_ID", r.DeployID},
		{"LOCAL_DEPLOYMENT_FILE", r.LocalFile}, {"REMOTE_DEPLOYMENT_FILE", r.RemoteFile},
		{"CHECKPOINT_FILE", r.CheckpointFile},
	} {
		element(&b, e.tag, escape(e.text))
	}
	element(&b, "TM_COMMAND", cdata(r.TMCommand))
	element(&b, "TM_COMMAND_ROLLBACK", cdata(r.TMRollback))
	element(&b, "DISK_TARGET_PATH", escape(r.DiskTarget))
	b.WriteString(r.VM)
	b.WriteString("</VMM_DRIVER_ACTION_DATA>")
	return b.String()
}

func element(b *strings.Builder, tag, content string) {
	if content == "" {
		b.WriteString("<" + tag + "/>")
		return
	}
	b.WriteString("<" + tag + ">" + content + "</" + tag + ">")
}

// escape touches only what would make the document ill-formed. 4.6 writes the
// values bare; drivers that look for text see the same bytes for every value
// that 4.6 could transport.
var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;").Replace

func cdata(text string) string {
	if text == "" {
		return ""
	}
	return "<![CDATA[" + strings.ReplaceAll(text, "]]>", "]]]]><![CDATA[>") + "]]>"
}
