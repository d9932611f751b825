package lifecycle

import (
	"strconv"
	"strings"

	"goned/core/cloud"
	"goned/core/hook"
	"goned/core/image"
	"goned/core/message"
	"goned/core/state"
	"goned/core/vm"
)

// ImageResult is what the datastore driver said about an action on an image.
type ImageResult struct {
	Action  string // CP, MKFS, CLONE or RM
	Image   int
	Success bool
	Info    string
}

// imageTexts are 4.6's lines for the answers of the datastore driver; # stands for the image's id.
var imageTexts = map[string]struct{ ok, fail, gone string }{
	"CP":    {"Image (#) copied and ready to use.", "Error copying image in the datastore", "CP"},
	"MKFS":  {"Image created and ready to use", "Error creating datablock", "MkFS"},
	"CLONE": {"Image cloned and ready to use.", "Error cloning from Image ", "CLONE"},
	"RM":    {"Image successfully removed.", "Error removing image from datastore. Manually remove image source ", ""},
}

// ImageAnswer takes in the answer of the datastore driver.
func ImageAnswer(tx *state.Tx, r ImageResult) error {
	texts, known := imageTexts[r.Action]
	if !known {
		return nil
	}
	img := tx.Images.Get(r.Image)
	if img == nil {
		if r.Success && texts.gone != "" {
			logOned(tx, "ImM", message.Error, texts.gone+" operation succeeded but image no longer exists. Source image: "+
				firstWord(r.Info)+", may be left in datastore")
		}
		return nil
	}
	if r.Action == "RM" {
		if img.State != image.Delete {
			return nil
		}
		imageRemoved(tx, img, r)
	} else {
		if err := imageMade(tx, tx.Images.Edit(img.ID), r); err != nil {
			return err
		}
	}
	if ds := tx.Datastores.Get(img.DatastoreID); ds != nil {
		cloud.MonitorDatastore(tx, ds)
	}
	return nil
}

func imageRemoved(tx *state.Tx, img *image.Image, r ImageResult) {
	if r.Success {
		logOned(tx, "ImM", message.Info, imageTexts["RM"].ok)
	} else {
		logOned(tx, "ImM", message.Error, withInfo(imageTexts["RM"].fail+img.Source+" to completely delete the image", r.Info))
	}
	tx.Images.Delete(img.ID)
	hook.Run(tx, tx.Conf.ImageHooks, "REMOVE", img.ID, img.PoolXML())
}

// imageMade ends the making of an image by copy, as a new file system or as a clone.
func imageMade(tx *state.Tx, img *image.Image, r ImageResult) error {
	texts := imageTexts[r.Action]
	original := img.CloningID
	if !awaited(img, r) {
		logOned(tx, "ImM", message.Warning, "Ignored: the answer to "+r.Action+" of image "+strconv.Itoa(img.ID)+", which is in state "+
			img.State.String())
		return nil
	}
	if r.Action == "CLONE" {
		img.CloningID = -1
		cloud.ReleaseClone(tx, original, img.ID)
	}
	waits := r.Action == "MKFS" && img.Template.Has("SAVED_IMAGE_ID")
	switch {
	case !r.Success:
		text := texts.fail
		if r.Action == "CLONE" {
			text += strconv.Itoa(original)
		}
		imageFailed(tx, img, withInfo(text, r.Info))
		if waits {
			return savingFailed(tx, img)
		}
	case waits && img.State == image.Locked:
		img.Source = firstWord(r.Info)
		return savingGoesOn(tx, img)
	case waits: // its VM has gone on without it
		img.Source = firstWord(r.Info)
	default:
		img.Source = firstWord(r.Info)
		img.State = image.Ready
		logOned(tx, "ImM", message.Info, strings.Replace(texts.ok, "#", strconv.Itoa(img.ID), 1))
	}
	return nil
}

// awaited reports whether an answer is one that the image waits for. An image that has failed for want of an answer, or that missed
// its VM, still takes a late success.
func awaited(img *image.Image, r ImageResult) bool {
	if img.State == image.Locked {
		return r.Action == cloud.ImageWork(img)
	}
	empty := img.Source == "" && (img.State == image.Error || img.State == image.Ready) // READY by enable
	return empty && r.Success && img.CloningID == -1
}

func imageFailed(tx *state.Tx, img *image.Image, text string) {
	logOned(tx, "ImM", message.Error, text)
	img.State = image.Error
	img.SetError(stamp(tx.Now), text)
}

func withInfo(text, info string) string {
	if info == "" || strings.HasPrefix(info, "-") {
		return text
	}
	return text + ": " + info
}

// savedVM is the VM whose disk an image is to hold.
func savedVM(tx *state.Tx, img *image.Image) (id int, exists, saving bool) {
	id, err := strconv.Atoi(img.Template.Get("SAVED_VM_ID"))
	v := tx.VMs.Get(id)
	if err != nil || v == nil {
		return id, false, false
	}
	_, saving = savingDisk[placeOf(v)]
	return id, true, saving && isTarget(v, img)
}

// isTarget reports whether the disk that is being saved goes into this image. Users can write anything into the template of theirs.
func isTarget(v *vm.VM, img *image.Image) bool {
	disk := v.HotSavingDisk()
	if disk == nil {
		disk = v.DeferredSavingDisk()
	}
	return disk != nil && disk.Get("DISK_ID") == img.Template.Get("SAVED_DISK_ID") && disk.Get("IMAGE_ID") == img.Template.Get("SAVED_IMAGE_ID")
}

// RemoveImage begins the removal of an image. A VM whose disk was to be saved in it goes back to where it was, and forgets a copy
// that its end would have made; 4.6 leaves it waiting.
func RemoveImage(tx *state.Tx, img *image.Image) error {
	if img.State == image.Locked && img.IsSaving() {
		id, _, saving := savedVM(tx, img)
		switch {
		case saving:
			if err := fire(tx, id, SaveDiskFail, Args{}); err != nil {
				return err
			}
		case tx.VMs.Get(id) != nil:
			forgetCopy(tx.VMs.Edit(id), img.ID)
		}
		img = tx.Images.Get(img.ID)
	}
	return cloud.RemoveImage(tx, img)
}

// forgetCopy takes the deferred copy into an image off the disk that it was to be made of.
func forgetCopy(v *vm.VM, image int) {
	for _, disk := range v.Template.Vectors("DISK") {
		if target, ok := disk.Int("SAVE_AS"); ok && target == int64(image) {
			disk.Del("SAVE_AS")
			disk.Del("SAVE_AS_SOURCE")
			disk.Set("SAVE", "NO")
		}
	}
}

// savingGoesOn begins the copy of a disk into its new image, or notes it for the end of the VM.
func savingGoesOn(tx *state.Tx, img *image.Image) error {
	id, exists, saving := savedVM(tx, img)
	switch {
	case !exists:
		imageFailed(tx, img, "Image created for SAVE_AS, but the associated VM does not exist.")
		return nil
	case !saving:
		imageFailed(tx, img, "Image created for SAVE_AS, but VM is no longer running")
		return nil
	}
	v := tx.VMs.Edit(id)
	m := &machine{tx: tx, vm: v, from: placeOf(v)}
	hot := m.marked("DISK", hotMark) != nil
	saveImageMade(m, img, img.Source)
	if !hot {
		m.next = append(m.next, DiskReady)
	}
	for _, e := range m.next {
		if err := fire(tx, id, e, Args{}); err != nil {
			return err
		}
	}
	return nil
}

// savingFailed takes a VM back to where it was when its new image could not be made.
func savingFailed(tx *state.Tx, img *image.Image) error {
	id, _, saving := savedVM(tx, img)
	if !saving {
		return nil
	}
	return fire(tx, id, SaveDiskFail, Args{})
}
