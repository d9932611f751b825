package model

import (
	"context"
	"fmt"
	"slices"
	"time"

	"goned/core/db"
	"goned/core/image"
	"goned/core/lifecycle"
	"goned/core/state"
	"goned/core/vm"
)

// end checks that everything can be brought to its end: first that each VM can be helped on its own, then all VMs are deleted, all
// drivers answer, and nothing may be left in use.
func (w *world) end() []string {
	w.db.set(func() { w.db.refuse = false })
	w.works()
	if problems := w.helpless(); len(problems) > 0 {
		return problems
	}
	for v := range w.store.Snapshot().VMs.All() {
		w.call("oneadmin", "one.vm.action", "delete", v.ID)
	}
	for len(w.asked) > 0 {
		w.answerOne(0, true)
	}
	problems := w.check()
	s := w.store.Snapshot()
	for v := range s.VMs.All() {
		if v.State != vm.Done {
			problems = append(problems, fmt.Sprintf("VM %d is %s after its deletion", v.ID, v.State))
		}
	}
	images := collect(s.Images.All())
	slices.Reverse(images) // clones before what they are made of
	for _, img := range images {
		problems = append(problems, w.endOfImage(img)...)
	}
	for _, n := range collect(w.store.Snapshot().Nets.All()) {
		for l := range n.Leases() {
			if l.Used {
				w.call("oneadmin", "one.vn.release", n.ID, fmt.Sprintf("LEASES=[IP=%s]", l.IP))
			}
		}
		if _, ok := w.call("oneadmin", "one.vn.delete", n.ID); !ok {
			problems = append(problems, fmt.Sprintf("network %d cannot be deleted", n.ID))
		}
	}
	problems = append(problems, w.check()...)
	return append(problems, w.restart()...)
}

// endOfImage deletes an image that nobody can be using any more.
func (w *world) endOfImage(img *image.Image) []string {
	if _, ok := w.call("oneadmin", "one.image.delete", img.ID); !ok {
		return []string{fmt.Sprintf("image %d cannot be deleted: it is %s", img.ID, img.State)}
	}
	for len(w.asked) > 0 {
		w.answerOne(0, true)
	}
	if left := w.store.Snapshot().Images.Get(img.ID); left != nil && !w.lostImage[img.ID] {
		return []string{fmt.Sprintf("image %d is still there: it is %s", img.ID, left.State)}
	}
	return nil
}

// helpless lists VMs that wait for an answer which never comes, and that `recover` does not help.
func (w *world) helpless() []string {
	var problems []string
	for v := range w.store.Snapshot().VMs.All() {
		for _, success := range []bool{true, false} {
			if v.State == vm.Active && !w.recovers(v.ID, success) {
				problems = append(problems, fmt.Sprintf("VM %d cannot be recovered out of %s (success %v)", v.ID, v.LCMState, success))
			}
		}
	}
	return problems
}

// recovers tries on a copy of the cloud, whose drivers never answer, whether calls of recover bring a VM to rest.
func (w *world) recovers(id int, success bool) bool {
	nothing := state.SinkFunc(func(*state.Snapshot, []any) {})
	store := state.NewStore(w.store.Snapshot(), w.conf, discard{}, nothing, func() time.Time { return w.clock }, quiet)
	defer store.Close()
	rests := false
	for range 5 {
		err := store.Update(func(tx *state.Tx) error {
			if err := lifecycle.Recover(tx, id, success); err != nil {
				return err
			}
			v := tx.VMs.Get(id)
			rests = v.State != vm.Active || v.LCMState == vm.Running
			return nil
		})
		if rests || err != nil {
			return rests
		}
	}
	return false
}

// discard is a database that keeps nothing.
type discard struct{}

func (discard) Save(context.Context, []db.Row) error { return nil }
