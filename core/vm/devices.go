package vm

import (
	"strconv"
	"strings"

	"goned/core/template"
)

// IsVolatile reports whether a DISK is made on the host for this run (swap or file system) rather than coming from an image.
func IsVolatile(disk *template.Vector) bool {
	kind := disk.Get("TYPE")
	return strings.EqualFold(kind, "SWAP") || strings.EqualFold(kind, "FS")
}

// Disk is the DISK with that DISK_ID, nil if there is none. It belongs to the VM.
func (v *VM) Disk(id int) *template.Vector {
	return numbered(v.Template.Vectors("DISK"), "DISK_ID", id)
}

// NIC is the NIC with that NIC_ID, nil if there is none. It belongs to the VM.
func (v *VM) NIC(id int) *template.Vector { return numbered(v.Template.Vectors("NIC"), "NIC_ID", id) }

func numbered(all []*template.Vector, key string, id int) *template.Vector {
	for _, one := range all {
		if n, ok := one.Int(key); ok && n == int64(id) {
			return one
		}
	}
	return nil
}

// NextDiskID is the DISK_ID of a disk to be attached: one more than the highest, the context's included.
func (v *VM) NextDiskID() int {
	next := highest(v.Template.Vectors("DISK"), "DISK_ID")
	return max(next, highest(v.Template.Vectors("CONTEXT"), "DISK_ID")) + 1
}

// NextNICID is the NIC_ID of a NIC to be attached: one more than the highest.
func (v *VM) NextNICID() int { return highest(v.Template.Vectors("NIC"), "NIC_ID") + 1 }

// highest is -1 when there is no such number.
func highest(all []*template.Vector, key string) int {
	top := -1
	for _, one := range all {
		if n, ok := one.Int32(key); ok {
			top = max(top, int(n))
		}
	}
	return top
}

// RemoveDisk removes a DISK, which must be one that Disk or Attaching gave, and reports whether it was there.
func (v *VM) RemoveDisk(disk *template.Vector) bool { return removeVector(v.Template, "DISK", disk) }

// RemoveNIC removes a NIC, as RemoveDisk does.
func (v *VM) RemoveNIC(nic *template.Vector) bool { return removeVector(v.Template, "NIC", nic) }

// removeVector removes this very vector; the others keep their order.
func removeVector(t *template.Template, name string, gone *template.Vector) bool {
	if gone == nil {
		return false
	}
	found := false
	for _, a := range t.Take(name) {
		if a.Vec == gone {
			found = true
			continue
		}
		t.Add(a)
	}
	return found
}

// AttachingDisk is the DISK that is being attached or detached, nil if none.
func (v *VM) AttachingDisk() *template.Vector { return marked(v.Template.Vectors("DISK"), "ATTACH") }

// AttachingNIC is the NIC that is being attached or detached, nil if none.
func (v *VM) AttachingNIC() *template.Vector { return marked(v.Template.Vectors("NIC"), "ATTACH") }

// HotSavingDisk is the DISK whose content is being copied into a new image right now, nil if none.
func (v *VM) HotSavingDisk() *template.Vector {
	return marked(v.Template.Vectors("DISK"), "HOTPLUG_SAVE_AS_ACTIVE")
}

// DeferredSavingDisk is the DISK for which an image is being made that will get its content at shutdown, nil if none.
func (v *VM) DeferredSavingDisk() *template.Vector {
	return marked(v.Template.Vectors("DISK"), "SAVE_AS_ACTIVE")
}

func marked(all []*template.Vector, key string) *template.Vector {
	for _, one := range all {
		if yes, _ := one.Bool(key); yes {
			return one
		}
	}
	return nil
}

// ClearHotSave removes all marks of a hot copy from all disks.
func (v *VM) ClearHotSave() {
	for _, disk := range v.Template.Vectors("DISK") {
		for _, key := range []string{"HOTPLUG_SAVE_AS", "HOTPLUG_SAVE_AS_ACTIVE", "HOTPLUG_SAVE_AS_SOURCE"} {
			disk.Del(key)
		}
	}
}

// NewSnapshot adds a SNAPSHOT that is being taken and gives its id. Without a name it is called by the id. at is epoch seconds.
func (v *VM) NewSnapshot(name string, at int64) int {
	id := highest(v.Template.Vectors("SNAPSHOT"), "SNAPSHOT_ID") + 1
	if name == "" {
		name = "snapshot-" + strconv.Itoa(id)
	}
	v.Template.AddVector("SNAPSHOT", template.NewVector(
		template.Pair{Key: "ACTIVE", Value: "YES"},
		template.Pair{Key: "HYPERVISOR_ID"},
		template.Pair{Key: "NAME", Value: name},
		template.Pair{Key: "SNAPSHOT_ID", Value: strconv.Itoa(id)},
		template.Pair{Key: "TIME", Value: strconv.FormatInt(at, 10)},
	))
	return id
}

// Snapshot is the SNAPSHOT with that id, nil if there is none.
func (v *VM) Snapshot(id int) *template.Vector {
	return numbered(v.Template.Vectors("SNAPSHOT"), "SNAPSHOT_ID", id)
}

// ActiveSnapshot is the SNAPSHOT that is being taken, reverted to or deleted, nil if none.
func (v *VM) ActiveSnapshot() *template.Vector {
	return marked(v.Template.Vectors("SNAPSHOT"), "ACTIVE")
}

// RemoveSnapshot removes one SNAPSHOT and reports whether it was there.
func (v *VM) RemoveSnapshot(snapshot *template.Vector) bool {
	return removeVector(v.Template, "SNAPSHOT", snapshot)
}

// ForgetSnapshots removes all: they don't survive the VM's leaving its host.
func (v *VM) ForgetSnapshots() { v.Template.Erase("SNAPSHOT") }
