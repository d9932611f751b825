// Package vm is the virtual machine as a value: its document, its states, its history of runs, and what 4.6 computes from them
// without asking anybody. Nothing here does I/O or looks at a clock: ids, times and texts come in as arguments.
package vm

import (
	"cmp"
	"fmt"
	"slices"

	"goned/core/resource"
	"goned/core/template"
)

// VM is a virtual machine. A VM in a pool is not changed; Clone gives a copy that may be.
type VM struct {
	resource.Base

	// LastPoll is when the last monitor answer came, epoch seconds.
	LastPoll int64
	State    State
	// LCMState means something only while State is Active; otherwise it is LCMInit.
	LCMState LCMState
	// Resched asks the scheduler to move the VM.
	Resched bool
	// STime is the time of creation, ETime that of the end (0 until State is Done), epoch seconds.
	STime, ETime int64
	// DeployID is the hypervisor's name of the VM.
	DeployID string
	// Memory (KB), CPU (percent of one core), NetTX and NetRX (bytes) are the values monitored last.
	Memory, CPU  int64
	NetTX, NetRX int64
	// Template is what the daemon made of the request (disks, NICs, capacity); UserTemplate is what it left alone.
	Template     *template.Template
	UserTemplate *template.Template
	// Fresh tells that nobody has changed the VM since it was made. Until then listings and database have empty values of
	// vectors, which 4.6 loses when it reads the VM back: Clone, ReloadedXML and InfoXML do without them.
	Fresh bool
	// Interrupted tells that the end of the last daemon has cut off the driver action that the VM waits for. It lives in memory
	// only.
	Interrupted bool
	// History are all records by ascending SEQ. A VM read with Parse has only its last one, as the database body does.
	History []Record
}

// Key is empty: VM names need not be unique.
func (v *VM) Key() string { return "" }

// Access is what filters look at: the state is among it.
func (v *VM) Access() resource.Access {
	a := v.Base.Access()
	a.Class = int32(v.State)
	return a
}

// Clone is a deep copy, free to be changed.
func (v *VM) Clone() *VM {
	c := *v
	if c.Fresh = false; v.Fresh {
		c.Template, c.UserTemplate = v.Template.Reloaded(), v.UserTemplate.Reloaded()
	} else {
		c.Template, c.UserTemplate = v.Template.Clone(), v.UserTemplate.Clone()
	}
	c.History = slices.Clone(v.History)
	return &c
}

// Pack brings the templates into the form that takes the least memory.
func (v *VM) Pack() {
	v.Template.Pack()
	v.UserTemplate.Pack()
}

// Current is the last history record, nil when the VM has never been deployed.
func (v *VM) Current() *Record {
	if len(v.History) == 0 {
		return nil
	}
	return &v.History[len(v.History)-1]
}

// Previous is the record before the last, nil when there is none.
func (v *VM) Previous() *Record {
	if len(v.History) < 2 {
		return nil
	}
	return &v.History[len(v.History)-2]
}

// AddRecord appends a record: it gets this VM's id, the next SEQ and a snapshot of the VM, and is returned to be filled further.
func (v *VM) AddRecord(r Record) *Record {
	r.OID = v.ID
	r.Seq = 0
	if cur := v.Current(); cur != nil {
		r.Seq = cur.Seq + 1
	}
	r.VMInfo = string(v.SnapshotXML())
	v.History = append(v.History, r)
	v.forgetInfo()
	return v.Current()
}

// forgetInfo drops the VM documents of old records: their rows are not written again.
func (v *VM) forgetInfo() {
	for i := range v.History[:max(len(v.History)-2, 0)] {
		v.History[i].VMInfo = ""
	}
}

// CopyRecord appends a copy of an earlier record with all times, reason and action unset: the VM runs on where that record says.
func (v *VM) CopyRecord(from Record) *Record {
	return v.AddRecord(Record{
		Hostname: from.Hostname, HID: from.HID, CID: from.CID, VMMMAD: from.VMMMAD, VNMMAD: from.VNMMAD, TMMAD: from.TMMAD,
		DSLocation: from.DSLocation, DSID: from.DSID,
	})
}

// LoadRecord adds a record read from the history table, in any order. The last one has come with the VM's own body already, without
// its VM document; it gets that.
func (v *VM) LoadRecord(r *Record) error {
	if r.OID != v.ID {
		return fmt.Errorf("history record %d/%d loaded into VM %d", r.OID, r.Seq, v.ID)
	}
	i, exists := slices.BinarySearchFunc(v.History, r.Seq, func(r Record, seq int) int { return cmp.Compare(r.Seq, seq) })
	if exists {
		// After a crash the two may differ; clients of 4.6 see what the VM's own body says.
		v.History[i].VMInfo = r.VMInfo
	} else {
		v.History = slices.Insert(v.History, i, *r)
	}
	v.forgetInfo()
	return nil
}

// RefreshSnapshot stores the VM as it is now in its current record.
func (v *VM) RefreshSnapshot() {
	if cur := v.Current(); cur != nil {
		cur.VMInfo = string(v.SnapshotXML())
	}
}
