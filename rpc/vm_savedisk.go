package rpc

import (
	"fmt"

	"goned/core/image"
	"goned/core/lifecycle"
	"goned/core/refusal"
	"goned/core/resource"
	"goned/core/state"
	"goned/core/template"
	"goned/core/vm"
)

// savableDisk finds the disk that is to be saved and its image, in 4.6's order of complaints.
func savableDisk(tx *state.Tx, v *vm.VM, id int, hot, withTemplate bool) (*template.Vector, *image.Image, error) {
	if !lifecycle.Can(v, lifecycle.SaveDisk) {
		return nil, nil, refusal.New(refusal.Internal, "VM has to be RUNNING, POWEROFF or SUSPENDED to snapshot disks.", "")
	}
	unusable := func(format string, args ...any) (*template.Vector, *image.Image, error) {
		return nil, nil, refusal.New(refusal.Internal, "Cannot use selected DISK", fmt.Sprintf(format, args...))
	}
	disk := v.Disk(id)
	switch {
	case disk == nil:
		return unusable("The DISK %d does not exist for VM %d.", id, v.ID)
	case disk.Get("SAVE_AS") != "":
		return unusable("The DISK %d is already going to be saved.", id)
	case !hot && disk.Get("PERSISTENT") != "":
		return unusable("Source image for DISK %d is persistent.", id)
	}
	imageID, ok := disk.Int("IMAGE_ID")
	if !ok {
		return unusable("The DISK %d does not have a valid IMAGE_ID.", id)
	}
	if withTemplate && v.Template.Get("TEMPLATE_ID") == "" {
		return nil, nil, refusal.OfAction("VM has no template to be saved")
	}
	img := tx.Images.Get(int(imageID))
	if img == nil {
		return nil, nil, refusal.NotFound(resource.Image.Noun(), int(imageID))
	}
	if img.Type.IsFile() {
		return nil, nil, refusal.New(refusal.Internal, "Cannot save_as image of type "+img.Type.String(), "")
	}
	return disk, img, nil
}
