// Package lifecycle is the life of VMs, as a table: for each state and event the next state and what has to be done. User actions,
// driver answers and monitoring results are all events. The steps work on a write transaction; what has to happen outside they
// leave there as messages.
package lifecycle

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"goned/core/hook"
	"goned/core/message"
	"goned/core/state"
	"goned/core/vm"
)

// ErrWrongState says that the table has no entry for what was to happen.
var ErrWrongState = errors.New("wrong state")

// Args are what some events bring along.
type Args struct {
	// Target is where deploy and migrate go.
	Target Target
	// Info is the text of a driver's answer.
	Info string
}

// Target is the host of a new history record, and what the record says about it.
type Target struct {
	HostID     int
	Hostname   string
	ClusterID  int
	VMMAD      string
	VNMAD      string
	TMMAD      string
	DSLocation string
	DSID       int
}

// machine is one transition of one VM.
type machine struct {
	tx   *state.Tx
	vm   *vm.VM
	from Place
	args Args
	now  int64 // for history records

	saveCur, savePrev bool    // history records that have to be stored
	next              []Event // what happens right after this transition
}

// Step is one thing that a transition does.
type Step struct {
	// Name says what it does, for the documentation.
	Name string
	// To are the places that it takes the VM to, one of them at a time; empty for other steps.
	To []Place
	do func(*machine)
}

// placeOf is where a VM is.
func placeOf(v *vm.VM) Place {
	if v.State != vm.Active {
		return Place{State: v.State}
	}
	return Place{v.State, v.LCMState}
}

// Can reports whether the table has an entry for the event where the VM is now.
func Can(v *vm.VM, e Event) bool {
	_, ok := VM[cell{placeOf(v), e}]
	return ok
}

// Fire takes a VM through an event. ErrWrongState means that nothing has happened.
func Fire(tx *state.Tx, id int, e Event, args Args) error {
	v := tx.VMs.Get(id)
	if v == nil {
		return fmt.Errorf("VM %d: %w", id, ErrWrongState)
	}
	from := placeOf(v)
	steps, ok := VM[cell{from, e}]
	if !ok {
		return fmt.Errorf("VM %d: %s: %w", id, e, ErrWrongState)
	}
	if len(steps) == 0 {
		return nil
	}
	m := &machine{tx: tx, vm: tx.VMs.Edit(id), from: from, args: args, now: clock(tx.Now, v)}
	for _, s := range steps {
		s.do(m)
	}
	m.saveRecords()
	for _, e := range m.next {
		if err := fire(tx, id, e, Args{}); err != nil {
			return err
		}
	}
	return nil
}

// clock is the time for a VM's history: when the machine's clock has been set back it stands still, so that records do not overlap
// and no run ends before it has begun.
func clock(now int64, v *vm.VM) int64 {
	now = max(now, v.STime, v.ETime)
	for _, r := range []*vm.Record{v.Previous(), v.Current()} {
		if r != nil {
			now = max(now, r.STime, r.PSTime, r.PETime, r.RSTime, r.RETime, r.ESTime, r.EETime, r.ETime)
		}
	}
	return now
}

// saveRecords stores the history records that the steps have changed.
func (m *machine) saveRecords() {
	if prev := m.vm.Previous(); m.savePrev && prev != nil {
		m.tx.SaveRecord(prev)
	}
	if cur := m.vm.Current(); m.saveCur && cur != nil {
		m.tx.SaveRecord(cur)
	}
}

// move sets the VM's place and lets the hooks see it: each place counts, also one that a later step leaves at once.
func (m *machine) move(p Place) {
	was := placeOf(m.vm)
	m.vm.Interrupted = m.vm.Interrupted && was == p
	m.vm.State, m.vm.LCMState = p.State, p.LCM
	if was != p {
		hook.VMMoved(m.tx, m.vm, was.State, was.LCM)
	}
}

func (m *machine) log(module string, text string) { logVM(m.tx, m.vm.ID, module, message.Info, text) }

func logVM(tx *state.Tx, id int, module string, level message.Level, text string) {
	tx.Send(message.Log{VM: id, Module: module, Level: level, Text: text})
}

func logOned(tx *state.Tx, module string, level message.Level, text string) {
	logVM(tx, message.OnedLog, module, level, text)
}

// stamp is a time as 4.6 puts it in front of error texts.
func stamp(now int64) string { return time.Unix(now, 0).Format(time.ANSIC) }

// setError is what clients see of the last failure; it is never cleared.
func setError(tx *state.Tx, v *vm.VM, text string) {
	v.SetError(stamp(tx.Now), text)
}

// frontendDir is the VM's directory on the front-end.
func (m *machine) frontendDir() string { return m.tx.Conf.Dirs.VMs + strconv.Itoa(m.vm.ID) }
