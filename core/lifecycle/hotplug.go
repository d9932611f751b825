package lifecycle

import (
	"strconv"

	"goned/core/cloud"
	"goned/core/image"
	"goned/core/template"
)

// marked is the element of a kind that a running hot-plug action is about.
func (m *machine) marked(kind, mark string) *template.Vector {
	for _, v := range m.vm.Template.Vectors(kind) {
		if v.Get(mark) == "YES" {
			return v
		}
	}
	return nil
}

func (m *machine) markedDisk() *template.Vector { return m.marked("DISK", "ATTACH") }

// unmark ends a hot-plug action that leaves the element where it is.
func unmark(kind, mark string) Step {
	return Step{Name: "unmark " + kind, do: func(m *machine) {
		if v := m.marked(kind, mark); v != nil {
			v.Del(mark)
		}
	}}
}

// drop removes the element that a hot-plug action was about and gives back what it held.
func drop(kind, mark string, release func(*machine, *template.Vector)) Step {
	return Step{Name: "remove " + kind, do: func(m *machine) {
		v := m.marked(kind, mark)
		if v == nil {
			return
		}
		attrs := m.vm.Template.Take(kind)
		for _, a := range attrs {
			if a.Vec != v {
				m.vm.Template.Add(a)
			}
		}
		if release != nil {
			release(m, v)
		}
	}}
}

// releaseDisk gives back what a disk that was taken off holds, also the target of its deferred copy.
func (m *machine) releaseDisk(v *template.Vector, copied bool) {
	cloud.ReleaseDisk(m.tx, m.vm, v, false)
	if id, err := strconv.Atoi(v.Get("SAVE_AS")); err == nil {
		cloud.ReleaseImage(m.tx, m.vm.ID, id, !copied)
	}
}

var (
	unmarkDisk     = unmark("DISK", "ATTACH")
	unmarkNIC      = unmark("NIC", "ATTACH")
	unmarkSnapshot = unmark("SNAPSHOT", "ACTIVE")

	// removeDisk takes off a disk that was not attached; or, when somebody recovers with failure while one is detached, that one. A
	// deferred copy of it will not be made then; 4.6 leaves its target locked.
	removeDisk = drop("DISK", "ATTACH", func(m *machine, v *template.Vector) { m.releaseDisk(v, false) })
	// removeDetachedDisk: the driver made the deferred copy of the disk while detaching it.
	removeDetachedDisk = drop("DISK", "ATTACH", func(m *machine, v *template.Vector) { m.releaseDisk(v, true) })
	removeNIC          = drop("NIC", "ATTACH", func(m *machine, v *template.Vector) { cloud.ReleaseNIC(m.tx, m.vm, v) })
	removeSnapshot     = drop("SNAPSHOT", "ACTIVE", nil)

	nameSnapshot = Step{Name: "note the hypervisor's name of the snapshot", do: func(m *machine) {
		if v := m.marked("SNAPSHOT", "ACTIVE"); v != nil {
			v.Set("HYPERVISOR_ID", m.args.Info)
		}
	}}
)

// Keys of a disk that is being saved: hot, or deferred until the VM ends.
const (
	hotMark      = "HOTPLUG_SAVE_AS_ACTIVE"
	deferredMark = "SAVE_AS_ACTIVE"
)

// deferDiskCopy notes on the disk where the epilog has to copy it.
var deferDiskCopy = Step{Name: "note the target of the copy", do: func(m *machine) {
	if v := m.marked("DISK", deferredMark); v != nil {
		v.Del(deferredMark)
		v.Set("SAVE", "YES")
	}
}}

// endDiskCopy ends a savedisk: the target image is ready, or an error. One that the datastore driver has not made yet holds nothing:
// 4.6 leaves it locked.
func endDiskCopy(ok bool) Step {
	name := "the target image is in ERROR"
	if ok {
		name = "the target image is READY"
	}
	return Step{Name: name, do: func(m *machine) {
		v := m.marked("DISK", hotMark)
		if v == nil {
			v = m.marked("DISK", deferredMark)
		}
		if v == nil {
			return
		}
		if id, err := strconv.Atoi(v.Get("HOTPLUG_SAVE_AS")); err == nil {
			cloud.ReleaseImage(m.tx, m.vm.ID, id, !ok)
		} else if img := m.unmadeTarget(); img != nil {
			imageFailed(m.tx, m.tx.Images.Edit(img.ID), "The copy of the disk has ended before the image was made.")
		}
		for _, key := range []string{hotMark, deferredMark, "HOTPLUG_SAVE_AS", "HOTPLUG_SAVE_AS_SOURCE"} {
			v.Del(key)
		}
	}}
}

// unmadeTarget is the image that the datastore driver has been asked to make for the disk that is being saved.
func (m *machine) unmadeTarget() *image.Image {
	for img := range m.tx.Images.All() {
		if img.State == image.Locked && img.Template.Get("SAVED_VM_ID") == strconv.Itoa(m.vm.ID) && isTarget(m.vm, img) {
			return img
		}
	}
	return nil
}

// saveImageMade goes on with a savedisk when the datastore driver has made, or failed to make, the target image.
func saveImageMade(m *machine, img *image.Image, source string) {
	id := strconv.Itoa(img.ID)
	if v := m.marked("DISK", hotMark); v != nil {
		v.Set("HOTPLUG_SAVE_AS", id)
		v.Set("HOTPLUG_SAVE_AS_SOURCE", source)
		m.transfer("saveas_hot")
		return
	}
	if v := m.marked("DISK", deferredMark); v != nil {
		v.Set("SAVE_AS", id)
		v.Set("SAVE_AS_SOURCE", source)
	}
}
