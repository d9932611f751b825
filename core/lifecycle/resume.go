package lifecycle

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"goned/core/cloud"
	"goned/core/image"
	"goned/core/message"
	"goned/core/state"
	"goned/core/vm"
)

// A daemon that ends leaves VMs and images behind that wait for drivers which have died with it. 4.6 leaves them there until somebody
// runs recover, boot or delete. Here they begin as 4.6 shows them; then the hypervisor is asked, and what it says is followed where
// it leaves no doubt. Images stay as they were for one monitoring interval.

// interruption is an action that was cut off.
type interruption struct {
	// alive and gone are what it means when the hypervisor runs the VM, or when the VM's host has not had it twice in a row; empty
	// where that says nothing about the action.
	alive, gone Event
	advice      string
}

// interruptions says for each place in which a VM waits for a driver what can be done when nobody answers.
var interruptions = func() map[vm.LCMState]interruption {
	all := map[vm.LCMState]interruption{}
	add := func(i interruption, places ...vm.LCMState) {
		for _, l := range places {
			all[l] = i
		}
	}
	add(interruption{alive: RecoverOK, advice: "If it does not turn out to run: boot it again, or recover with failure, or delete it."},
		vm.Boot, vm.BootUnknown, vm.BootPoweroff, vm.BootSuspended, vm.BootStopped, vm.BootUndeploy)
	add(interruption{alive: RecoverOK, advice: "If it does not turn out to run on the new host: recover with failure when it runs on the " +
		"old one, with success when it has moved."}, vm.Migrate)
	add(interruption{alive: RecoverFail, advice: "If it does not turn out to run still: recover with success when the checkpoint is " +
		"complete, with failure when it is not, or delete it."}, vm.SaveSuspend, vm.SaveStop, vm.SaveMigrate)
	add(interruption{gone: RecoverOK, advice: "If it does not go away: recover with failure, and shut it down again."},
		vm.Shutdown, vm.ShutdownPoweroff, vm.ShutdownUndeploy)
	add(interruption{alive: RecoverFail, gone: RecoverOK, advice: "If nothing follows: recover with success when the hypervisor does not " +
		"have it any more, with failure when it has."}, vm.Cancel)
	add(interruption{advice: "Look at its files: recover with success when they are complete, with failure or delete-recreate when they " +
		"are not."}, vm.Prolog, vm.PrologResume, vm.PrologUndeploy, vm.PrologMigrate)
	add(interruption{advice: "Look at its files: recover with success when they have been moved, with failure or delete when not."},
		vm.Epilog, vm.EpilogStop, vm.EpilogUndeploy)
	add(interruption{advice: "Recover with success when the device has been attached, or is still there, with failure when not."},
		vm.Hotplug, vm.HotplugNIC)
	add(interruption{advice: "Recover; the snapshot is forgotten then."}, vm.HotplugSnapshot)
	add(interruption{advice: "Recover with success when the disk has been copied, with failure when not."},
		vm.HotplugSaveas, vm.HotplugSaveasPoweroff, vm.HotplugSaveasSuspended)
	add(interruption{advice: "See that its hosts are clean, then recover, or delete it."}, vm.CleanupResubmit)
	return all
}()

// Resumed is what happens at start-up: the directories of living VMs are made sure of, what was cut off between two steps of the
// daemon itself goes on, and drivers are asked about what they were doing.
func Resumed(tx *state.Tx) error {
	var open []int
	for v := range tx.VMs.All() {
		if v.State != vm.Done {
			tx.Send(message.VMDirectory{VM: v.ID})
		}
		if v.State == vm.Active {
			open = append(open, v.ID)
		}
	}
	for _, id := range open {
		if err := resume(tx, id); err != nil {
			return err
		}
	}
	return nil
}

func resume(tx *state.Tx, id int) error {
	v := tx.VMs.Get(id)
	if cur := v.Current(); Can(v, Restarted) && (v.LCMState != vm.LCMInit || cur != nil && cur.STime == 0) {
		return Fire(tx, id, Restarted, Args{})
	}
	i, waits := interruptions[v.LCMState]
	if !waits {
		return nil
	}
	text := "oned has ended during " + v.LCMState.String() + ", nobody waits for the driver any more. "
	if i.alive != "" && !networkSettled(v) {
		text += "Even if it runs, the rules of its network may be missing. "
	}
	logVM(tx, id, "LCM", message.Warning, text+i.advice)
	askAgain(tx, v)
	return nil
}

// AskInterrupted asks about the VMs whose action was cut off and of which nothing certain is known yet.
func AskInterrupted(tx *state.Tx) error {
	for v := range tx.VMs.All() {
		if v.Interrupted {
			askAgain(tx, v)
		}
	}
	return nil
}

// askAgain sends a POLL where its answer may settle the matter. The VM stays as it is: also its LAST_POLL.
func askAgain(tx *state.Tx, v *vm.VM) {
	if interruptions[v.LCMState].alive == "" || !networkSettled(v) || v.Current() == nil {
		return
	}
	m := &machine{tx: tx, vm: v, from: placeOf(v)}
	m.send("POLL", func(x *message.VMAction) {
		if prev := v.Previous(); v.LCMState == vm.SaveMigrate && prev != nil {
			x.Driver, x.Host, x.NetDriver = prev.VMMMAD, prev.Hostname, prev.VNMMAD
		}
	})
}

// networkSettled reports whether a VM that runs has its network for sure: other drivers make rules after the boot.
func networkSettled(v *vm.VM) bool {
	switch v.LCMState {
	case vm.SaveSuspend, vm.SaveStop, vm.SaveMigrate, vm.Cancel:
		return true // it had it before
	}
	cur := v.Current()
	return cur == nil || cur.VNMMAD == "dummy" || len(v.Template.Vectors("NIC")) == 0
}

// askedAbout takes in the answer to a POLL.
func askedAbout(tx *state.Tx, a Answer) error {
	if err := Polled(tx, a.VM, a.Info); err != nil {
		return err
	}
	v := tx.VMs.Get(a.VM)
	if p, err := vm.ParsePoll(a.Info); err != nil || p.State != 'a' || !v.Interrupted || !networkSettled(v) {
		return nil
	}
	return settle(tx, v, interruptions[v.LCMState].alive, "The hypervisor runs the VM")
}

// Gone is the event of a VM that its host has not reported twice in a row.
func Gone(tx *state.Tx, id int) error {
	if v := tx.VMs.Get(id); v != nil && v.Interrupted {
		return settle(tx, v, interruptions[v.LCMState].gone, "The host does not have the VM any more")
	}
	return Vanish(tx, id)
}

// settle follows what is known now about an action that was cut off.
func settle(tx *state.Tx, v *vm.VM, e Event, why string) error {
	if e == "" {
		return nil
	}
	outcome := "failed"
	if e == RecoverOK {
		outcome = "succeeded"
	}
	logVM(tx, v.ID, "LCM", message.Info, fmt.Sprintf("%s: %s, which was cut off, has %s.", why, v.LCMState, outcome))
	return Fire(tx, v.ID, e, Args{})
}

// CutOffImages are the images that wait for a driver when the daemon starts, with the states in which they do.
func CutOffImages(s *state.Snapshot) map[int]image.State {
	open := map[int]image.State{}
	for img := range s.Images.All() {
		if img.State == image.Locked || img.State == image.Delete {
			open[img.ID] = img.State
		}
	}
	return open
}

// RedoImages asks the datastore driver again for what it was doing with images that are still as they were: copying, making, cloning
// and removing can be repeated, whatever had been done of it. A target of a savedisk that no VM will fill any more is in error.
func RedoImages(tx *state.Tx, open map[int]image.State) {
	for _, id := range slices.Sorted(maps.Keys(open)) {
		img := tx.Images.Get(id)
		switch {
		case img == nil || img.State != open[id]:
			// Somebody has decided meanwhile.
		case img.State == image.Locked && img.IsSaving() && orphaned(tx, img):
			imageFailed(tx, tx.Images.Edit(img.ID), "Image created for SAVE_AS, but no VM is going to fill it.")
		case img.State == image.Locked && img.IsSaving() && img.Source != "":
			// It waits for its VM.
		case cloud.RedoImage(tx, img):
			logOned(tx, "ImM", message.Warning, "oned has ended during the driver's work on image "+strconv.Itoa(img.ID)+": it is done again")
		}
	}
}

// orphaned reports whether no VM fills, or will fill, the target of a savedisk.
func orphaned(tx *state.Tx, img *image.Image) bool {
	id, exists, saving := savedVM(tx, img)
	if !exists {
		return true
	}
	return !saving && !promised(tx.VMs.Get(id), img.ID)
}

// promised reports whether a VM's end will fill the image.
func promised(v *vm.VM, image int) bool {
	if v.State == vm.Done {
		return false
	}
	for _, disk := range v.Template.Vectors("DISK") {
		if target, ok := disk.Int("SAVE_AS"); ok && target == int64(image) {
			return true
		}
	}
	return false
}
