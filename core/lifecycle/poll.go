package lifecycle

import (
	"goned/core/message"
	"goned/core/state"
	"goned/core/vm"
)

// Polled takes in what was reported about an active VM, by a POLL or inside its host's monitoring; what the hypervisor says of its
// state counts only while it runs. What comes late about a VM that rests is dropped: 4.6 writes it down.
func Polled(tx *state.Tx, id int, text string) error {
	v := tx.VMs.Get(id)
	if v == nil || v.State != vm.Active {
		return nil
	}
	p, err := vm.ParsePoll(text)
	if err != nil {
		line := "Error parsing monitoring information: " + text
		logOned(tx, "VMM", message.Error, line)
		logVM(tx, id, "VMM", message.Error, line)
		setError(tx, tx.VMs.Edit(id), line)
		return fireIfPossible(tx, id, Lost)
	}
	logOned(tx, "VMM", message.Debug, "VM "+itoa(id)+" successfully monitored: "+text)
	v = tx.VMs.Edit(id)
	v.ApplyPoll(p, tx.Now)
	if cur := v.Current(); cur != nil {
		tx.SaveRecord(cur)
	}
	if tx.Conf.VMMonitoringExpiration > 0 {
		tx.SaveVMSample(v)
	}
	if v.LCMState != vm.Running && v.LCMState != vm.Unknown {
		return nil
	}
	switch p.State {
	case 'a':
		return fireIfPossible(tx, id, Found)
	case 'p':
		logVM(tx, id, "VMM", message.Info, "VM running but monitor state is PAUSED.")
		return fireIfPossible(tx, id, Paused)
	case 'e':
		logVM(tx, id, "VMM", message.Info, "VM running but monitor state is ERROR.")
		return fireIfPossible(tx, id, Crashed)
	case 'd':
		logVM(tx, id, "VMM", message.Info,
			"VM running but it was not found. Boot and delete actions available or try to recover it manually")
		return fireIfPossible(tx, id, Lost)
	}
	return nil
}

// Vanish is the event of a VM that its host does not report any more, or whose host cannot be reached.
func Vanish(tx *state.Tx, id int) error { return fireIfPossible(tx, id, Lost) }

// fireIfPossible is for events that mean nothing in most states.
func fireIfPossible(tx *state.Tx, id int, e Event) error {
	if v := tx.VMs.Get(id); v == nil || !Can(v, e) {
		return nil
	}
	return Fire(tx, id, e, Args{})
}

// Poll asks the hypervisor about a VM.
func Poll(tx *state.Tx, id int) {
	logOned(tx, "VMM", message.Debug, "Monitoring VM "+itoa(id)+".")
	v := tx.VMs.Edit(id)
	v.LastPoll = tx.Now
	m := &machine{tx: tx, vm: v, from: placeOf(v)}
	m.send("POLL", nil)
}
