package cloud

import (
	"strconv"

	"goned/core/image"
	"goned/core/state"
	"goned/core/template"
	"goned/core/vm"
)

// acquireImage lets a VM use an image.
func acquireImage(tx *state.Tx, id, vmID int) (*image.Image, error) {
	img := tx.Images.Edit(id)
	return img, img.Acquire(vmID)
}

// ReleaseImage ends a VM's use of an image, or the wait of a savedisk image for its content. A persistent image that was released
// by a failed VM is in error until somebody enables it.
func ReleaseImage(tx *state.Tx, vmID, id int, failed bool) {
	if img := tx.Images.Edit(id); img != nil {
		if err := img.Release(vmID, failed); err != nil {
			logError(tx, "ImM", err.Error())
		}
	}
}

// ReleaseClone ends the use of an image as the source of another.
func ReleaseClone(tx *state.Tx, id, cloneID int) {
	if img := tx.Images.Edit(id); img != nil {
		if err := img.ReleaseClone(cloneID); err != nil {
			logError(tx, "ImM", err.Error())
		}
	}
}

// ReleaseDisk gives back what a disk that was taken off a VM holds: its image, unless another disk of the VM is of it, too, and the
// quota.
func ReleaseDisk(tx *state.Tx, v *vm.VM, disk *template.Vector, failed bool) {
	if id, err := strconv.Atoi(disk.Get("IMAGE_ID")); err == nil && !usesImage(v, id) {
		ReleaseImage(tx, v.ID, id, failed)
	}
	Discharge(tx, v.UID, v.GID, DiskUse(disk)...)
}

func usesImage(v *vm.VM, id int) bool {
	for _, disk := range v.Template.Vectors("DISK") {
		if other, err := strconv.Atoi(disk.Get("IMAGE_ID")); err == nil && other == id {
			return true
		}
	}
	return false
}

// ReleaseNIC gives back what a NIC of a VM holds: its lease and the quota.
func ReleaseNIC(tx *state.Tx, v *vm.VM, nic *template.Vector) {
	leaveNetwork(tx, v, nic)
	Discharge(tx, v.UID, v.GID, NICUse(nic)...)
}

// Ending says how a VM came to its end; it decides what becomes of its images.
type Ending struct {
	Failed bool // deleted in FAILED: persistent images may be damaged
	Epilog bool // shut down: deferred copies of disks have been made
}

// ReleaseVM gives back all that a VM holds, except host capacity: leases, images, quotas.
func ReleaseVM(tx *state.Tx, v *vm.VM, end Ending) {
	for _, nic := range v.Template.Vectors("NIC") {
		leaveNetwork(tx, v, nic)
	}
	released := map[int]bool{}
	for _, disk := range v.Template.Vectors("DISK") {
		if id, err := strconv.Atoi(disk.Get("IMAGE_ID")); err == nil && !released[id] {
			ReleaseImage(tx, v.ID, id, end.Failed)
			released[id] = true
		}
		if id, err := strconv.Atoi(disk.Get("SAVE_AS")); err == nil {
			ReleaseImage(tx, v.ID, id, !end.Epilog)
		}
	}
	Discharge(tx, v.UID, v.GID, VMUse(v)...)
}
