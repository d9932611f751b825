package cloud

import (
	"fmt"
	"strconv"

	"goned/core/image"
	"goned/core/message"
	"goned/core/state"
	"goned/core/template"
	"goned/core/vm"
)

// acquireImage lets a VM use an image.
func acquireImage(tx *state.Tx, id, vmID int) (*image.Image, error) {
	img := tx.Images.Get(id)
	switch img.State {
	case image.Ready, image.Used:
	case image.UsedPers:
		return nil, fmt.Errorf("Cannot acquire image %d, it is persistent and already in use", id)
	default:
		return nil, fmt.Errorf("Cannot acquire image %d, it is in state: %s", id, img.State)
	}
	img = tx.Images.Edit(id)
	if img.State == image.Ready {
		img.State = image.Used
		if img.Persistent {
			img.State = image.UsedPers
		}
	}
	// A VM that uses an image in two disks counts once.
	if vms, added := img.VMs.With(vmID); added {
		img.VMs = vms
		img.RunningVMs++
	}
	return img, nil
}

// ReleaseImage ends a VM's use of an image, or the wait of a savedisk image for its content. A persistent image that was released
// by a failed VM is in error until somebody enables it.
func ReleaseImage(tx *state.Tx, vmID, id int, failed bool) {
	img := tx.Images.Edit(id)
	if img == nil {
		return
	}
	leave := func() {
		if vms, removed := img.VMs.Without(vmID); removed {
			img.VMs = vms
			img.RunningVMs--
		}
	}
	end := image.Ready
	if failed {
		end = image.Error
	}
	switch {
	case img.State == image.UsedPers:
		leave()
		img.State = end
	case img.State == image.Used:
		leave()
		if img.RunningVMs == 0 && img.CloningOps == 0 {
			img.State = image.Ready
		}
	case img.State == image.Locked && img.Template.Has("SAVED_IMAGE_ID"):
		img.State = end
	default:
		tx.Send(message.Log{VM: message.OnedLog, Module: "ImM", Level: message.Error,
			Text: "Releasing image in wrong state: " + img.State.String()})
	}
}

// ReleaseDisk gives back what a disk of a VM holds: its image and the quota.
func ReleaseDisk(tx *state.Tx, v *vm.VM, disk *template.Vector, failed bool) {
	if id, err := strconv.Atoi(disk.Get("IMAGE_ID")); err == nil {
		ReleaseImage(tx, v.ID, id, failed)
	}
	Discharge(tx, v.UID, v.GID, DiskUse(disk))
}

// ReleaseNIC gives back what a NIC of a VM holds: its lease and the quota.
func ReleaseNIC(tx *state.Tx, v *vm.VM, nic *template.Vector) {
	leaveNetwork(tx, v, nic)
	Discharge(tx, v.UID, v.GID, NICUse(nic))
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
	for _, disk := range v.Template.Vectors("DISK") {
		if id, err := strconv.Atoi(disk.Get("IMAGE_ID")); err == nil {
			ReleaseImage(tx, v.ID, id, end.Failed)
		}
		if id, err := strconv.Atoi(disk.Get("SAVE_AS")); err == nil {
			ReleaseImage(tx, v.ID, id, !end.Epilog)
		}
	}
	Discharge(tx, v.UID, v.GID, VMUse(v))
}
