package lifecycle_test

import (
	"strings"
	"testing"

	"goned/core/cloud"
	"goned/core/datastore"
	"goned/core/image"
	"goned/core/lifecycle"
	"goned/core/message"
	"goned/core/state"
	"goned/core/template"
	"goned/core/vm"
)

// Defects of 4.6's life of VMs and images that are none here; docs/compatibility.md lists them.

// rest makes a VM that rests, with the action that ended its record.
func rest(s vm.State, a vm.Action) *vm.VM {
	v := cutOff(vm.LCMInit)
	v.State, v.Interrupted = s, false
	v.History[1].Action = a
	return v
}

func act(e lifecycle.Event) func(*state.Tx) error {
	return func(tx *state.Tx) error { return lifecycle.Act(tx, 0, e) }
}

func deploy(tx *state.Tx) error {
	return lifecycle.Fire(tx, 0, lifecycle.Deploy, lifecycle.Args{Target: lifecycle.Target{HostID: 1, Hostname: "new", VMMAD: "kvm",
		TMMAD: "shared", DSLocation: "/ds"}})
}

// answered is the answer of a hypervisor driver about VM 0.
func answered(action string, ok bool) func(*state.Tx) error {
	return func(tx *state.Tx) error {
		return lifecycle.VMMAnswer(tx, lifecycle.Answer{Action: action, VM: 0, Success: ok})
	}
}

func (r *restart) vm() *vm.VM { return r.store.Snapshot().VMs.Get(0) }

// TestRecreateStartsAfresh: delete-recreate of a VM that was stopped or undeployed, or failed on the way there, does not resume it.
func TestRecreateStartsAfresh(t *testing.T) {
	for name, tc := range map[string]struct {
		v *vm.VM
	}{
		"stopped":       {rest(vm.Stopped, vm.ActionStop)},
		"undeployed":    {rest(vm.Undeployed, vm.ActionUndeploy)},
		"failed epilog": {rest(vm.Failed, vm.ActionStop)},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRestart(t, &state.Snapshot{})
			r.with(tc.v)
			r.do(act(lifecycle.Recreate))
			if r.place() == "CLEANUP_RESUBMIT" {
				r.do(func(tx *state.Tx) error {
					return lifecycle.TransferAnswer(tx, lifecycle.Answer{Action: "TRANSFER", VM: 0, Success: true})
				})
			}
			if got := r.place(); got != "PENDING" {
				t.Fatalf("the VM is in %s", got)
			}
			r.do(deploy)
			if got := r.place(); got != "PROLOG" {
				t.Errorf("the VM is in %s", got)
			}
		})
	}
}

// TestFailedResumeClosesItsRecord: the record of a resume that failed counts no more in accounting, and forbids no migration.
func TestFailedResumeClosesItsRecord(t *testing.T) {
	for s, action := range map[vm.State]string{vm.Suspended: "RESTORE", vm.Poweroff: "DEPLOY"} {
		t.Run(s.String(), func(t *testing.T) {
			r := newRestart(t, &state.Snapshot{})
			r.with(rest(s, vm.ActionNone))
			r.do(act(lifecycle.Resume))
			r.do(answered(action, false))
			if got := r.place(); got != s.String() {
				t.Fatalf("the VM is in %s", got)
			}
			if cur := r.vm().Current(); cur.Seq != 2 || cur.ETime == 0 || cur.RETime == 0 || cur.Reason != vm.ReasonError {
				t.Errorf("record %+v", cur)
			}
		})
	}
}

// TestCleanupInShutdownUndeploy: the host is cleaned, as in the other shutdowns.
func TestCleanupInShutdownUndeploy(t *testing.T) {
	for e, want := range map[lifecycle.Event]string{lifecycle.Delete: "DONE", lifecycle.Recreate: "CLEANUP_RESUBMIT"} {
		r := newRestart(t, &state.Snapshot{})
		r.with(cutOff(vm.ShutdownUndeploy))
		sent := r.do(act(e))
		if x := messagesOf[message.VMAction](sent); len(x) != 1 || x[0].Action != "CLEANUP" || x[0].Host != "new" || x[0].TMCommand == "" {
			t.Errorf("%s sends %+v", e, x)
		}
		if got := r.place(); got != want {
			t.Errorf("after %s the VM is in %s", e, got)
		}
		r.do(answered("CLEANUP", true))
		if got := r.place(); e == lifecycle.Recreate && got != "PENDING" {
			t.Errorf("after the clean-up the VM is in %s", got)
		}
	}
}

// TestCleanupOnPublicCloud: the VM there is destroyed, too; there are no files to delete.
func TestCleanupOnPublicCloud(t *testing.T) {
	r := newRestart(t, &state.Snapshot{})
	v := cutOff(vm.Running)
	v.History[1].TMMAD, v.History[1].DSID = "", -1
	r.with(v)
	x := messagesOf[message.VMAction](r.do(act(lifecycle.Delete)))
	if len(x) != 1 || x[0].Action != "CLEANUP" || x[0].TMCommand != "" {
		t.Errorf("delete sends %+v", x)
	}
}

// TestRacingEnds: an answer that comes after recover has done its work, or twice, harms nothing and locks nothing.
func TestRacingEnds(t *testing.T) {
	r := newRestart(t, &state.Snapshot{})
	r.with(cutOff(vm.CleanupResubmit))
	r.do(func(tx *state.Tx) error { return lifecycle.Recover(tx, 0, true) })
	r.do(answered("CLEANUP", true))
	r.do(answered("CLEANUP", false))
	if got := r.place(); got != "PENDING" {
		t.Fatalf("the VM is in %s", got)
	}
	r.do(deploy)
	if got := r.place(); got != "PROLOG" {
		t.Errorf("the VM is in %s", got)
	}
}

// TestPollOfAVMThatRests: what comes late about it is dropped.
func TestPollOfAVMThatRests(t *testing.T) {
	r := newRestart(t, &state.Snapshot{})
	r.with(rest(vm.Poweroff, vm.ActionNone))
	before := string(r.vm().PoolXML())
	r.do(func(tx *state.Tx) error { return lifecycle.Polled(tx, 0, "STATE=a USEDCPU=50") })
	if after := string(r.vm().PoolXML()); after != before {
		t.Errorf("the VM has changed:\n%s\n%s", before, after)
	}
}

// TestRecoverOfUnmadeSaveDisk: when the datastore driver has not made the target image, recover leaves neither it locked nor the
// disk marked.
func TestRecoverOfUnmadeSaveDisk(t *testing.T) {
	for _, mark := range []string{"SAVE_AS_ACTIVE", "HOTPLUG_SAVE_AS_ACTIVE"} {
		for _, ok := range []bool{true, false} {
			r := newRestart(t, &state.Snapshot{})
			v := cutOff(vm.HotplugSaveas)
			v.Template = parse(t, `CPU=1 MEMORY=64 DISK=[DISK_ID="0",IMAGE_ID="7",`+mark+`="YES"]`)
			r.with(v)
			r.do(func(tx *state.Tx) error {
				tx.Datastores.Insert(&datastore.Datastore{Template: &template.Template{}})
				tx.Images.Insert(&image.Image{State: image.Locked, CloningID: -1,
					Template: parse(t, `SAVE_AS="YES" SAVED_VM_ID="0" SAVED_DISK_ID="0" SAVED_IMAGE_ID="7"`)})
				return nil
			})
			r.do(func(tx *state.Tx) error { return lifecycle.Recover(tx, 0, ok) })
			if got := r.place(); got != "RUNNING" {
				t.Errorf("%s: the VM is in %s", mark, got)
			}
			if doc := string(r.vm().PoolXML()); strings.Contains(doc, "SAVE_AS") {
				t.Errorf("%s: the disk is still marked: %s", mark, doc)
			}
			img := r.store.Snapshot().Images.Get(0)
			if img.State != image.Error || !img.Template.Has("ERROR") {
				t.Errorf("%s: the image is %s", mark, img.PoolXML())
			}
			r.do(func(tx *state.Tx) error {
				return lifecycle.ImageAnswer(tx, lifecycle.ImageResult{Action: "MKFS", Image: 0, Success: true, Info: "/late"})
			})
			if img := r.store.Snapshot().Images.Get(0); img.State != image.Error || img.Source != "/late" {
				t.Errorf("%s: after the late answer the image is %s", mark, img.PoolXML())
			}
			r.do(func(tx *state.Tx) error { return tx.Images.Edit(0).Enable(true) })
		}
	}
}

// TestImagesOfAFailedVM: they are usable again once the VM is deleted, a persistent one after enable, as in 4.6.
func TestImagesOfAFailedVM(t *testing.T) {
	for _, persistent := range []bool{true, false} {
		r := newRestart(t, &state.Snapshot{})
		v := cutOff(vm.Boot)
		v.Template = parse(t, `CPU=1 MEMORY=64 DISK=[DISK_ID="0",IMAGE_ID="0",SAVE_AS="1"]`)
		r.with(v)
		r.do(func(tx *state.Tx) error {
			tx.Datastores.Insert(&datastore.Datastore{Template: &template.Template{}})
			img := &image.Image{State: image.Ready, Persistent: persistent, Source: "/s", CloningID: -1, Template: &template.Template{}}
			tx.Images.Insert(img)
			target := &image.Image{State: image.Locked, Source: "/t", CloningID: -1, Template: parse(t, `SAVE_AS="YES"`)}
			target.ID = 1
			tx.Images.Insert(target)
			return img.Acquire(0)
		})
		r.do(answered("DEPLOY", false))
		if got := r.place(); got != "FAILED" {
			t.Fatalf("the VM is in %s", got)
		}
		r.do(act(lifecycle.Delete))
		want := image.Ready
		if persistent {
			want = image.Error
		}
		img := r.store.Snapshot().Images.Get(0)
		if img.State != want || img.RunningVMs != 0 {
			t.Errorf("persistent %v: the image is %s with %d VMs", persistent, img.State, img.RunningVMs)
		}
		if target := r.store.Snapshot().Images.Get(1); target.State != image.Error {
			t.Errorf("the target of a savedisk is %s", target.State)
		}
		r.do(func(tx *state.Tx) error {
			if err := tx.Images.Edit(0).Enable(true); err != nil {
				return err
			}
			return tx.Images.Edit(0).Acquire(9)
		})
	}
}

// TestImageIsRemovedOnce: a second delete asks for nothing and gives no quota back.
func TestImageIsRemovedOnce(t *testing.T) {
	r := newRestart(t, &state.Snapshot{})
	r.do(func(tx *state.Tx) error {
		tx.Datastores.Insert(&datastore.Datastore{Template: &template.Template{}})
		tx.Images.Insert(&image.Image{State: image.Ready, Source: "/s", CloningID: -1, Template: &template.Template{}})
		return nil
	})
	remove := func(tx *state.Tx) error { return cloud.RemoveImage(tx, tx.Images.Get(0)) }
	if x := messagesOf[message.ImageAction](r.do(remove)); len(x) != 1 || x[0].Action != "RM" {
		t.Errorf("sent %+v", x)
	}
	if x := r.do(remove); len(x) != 0 {
		t.Errorf("sent again %+v", x)
	}
}

// TestDataBlockWithSource: what is there is used, not made anew.
func TestDataBlockWithSource(t *testing.T) {
	img := &image.Image{Type: image.Datablock, Source: "/there", Template: &template.Template{}}
	if img.Origin() != image.Existing {
		t.Error("a data block with a source is made")
	}
}
