package image

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"goned/core/resource"
	"goned/core/template"
)

// ErrWrongState says that a release met an image in a state in which nobody can have it.
type ErrWrongState State

// Error is the text that 4.6 logs.
func (e ErrWrongState) Error() string { return "Releasing image in wrong state: " + State(e).String() }

// CheckDisk refuses images that cannot be a VM's disk.
func (i *Image) CheckDisk() error {
	if i.Type.IsFile() {
		return fmt.Errorf("Image %d (%s) of type %s cannot be used as DISK.", i.ID, i.Name, i.Type)
	}
	return nil
}

// Acquire takes the image for a VM. A VM that has it already, by another disk, does not count twice.
func (i *Image) Acquire(vid int) error {
	switch i.State {
	case Ready:
		i.State = Used
		if i.Persistent {
			i.State = UsedPers
		}
	case Used:
	case UsedPers:
		return fmt.Errorf("Cannot acquire image %d, it is persistent and already in use", i.ID)
	default:
		return fmt.Errorf("Cannot acquire image %d, it is in state: %s", i.ID, i.State)
	}
	i.VMs, i.RunningVMs = with(i.VMs, vid, i.RunningVMs)
	return nil
}

// Release gives the image back for a VM. failed leaves a persistent image, or one that waited for its content, in ERROR.
func (i *Image) Release(vid int, failed bool) error {
	after := Ready
	if failed {
		after = Error
	}
	switch {
	case i.State == UsedPers:
		i.VMs, i.RunningVMs = without(i.VMs, vid, i.RunningVMs)
		i.State = after
	case i.State == Used:
		i.VMs, i.RunningVMs = without(i.VMs, vid, i.RunningVMs)
		i.becomeFree()
	case i.State == Locked && i.IsSaving():
		i.State = after
	default:
		return ErrWrongState(i.State)
	}
	return nil
}

// IsSaving reports whether the image is to get the content of a VM's disk. The template alone does not tell: one that is copied, or
// cloned from an image that was made so, can have the same attributes.
func (i *Image) IsSaving() bool { return i.savesAs() && i.Path == "" && i.CloningID == -1 }

func (i *Image) savesAs() bool {
	yes, _ := i.Template.Bool("SAVE_AS")
	return yes
}

// Awaiting are the attributes by which an image that waits for the content of a disk is found when it comes. A user who takes them
// away in 4.6 leaves image and VM waiting for ever.
func (i *Image) Awaiting() []template.Attr {
	if i.State != Locked || !i.IsSaving() {
		return nil
	}
	var attrs []template.Attr
	for _, name := range []string{"SAVED_IMAGE_ID", "SAVED_DISK_ID", "SAVED_VM_ID", "SAVE_AS", "SAVE_AS_HOT"} {
		attrs = append(attrs, i.Template.All(name)...)
	}
	return slices.Clone(attrs)
}

// AcquireClone takes the image as the source of another image that is being made.
func (i *Image) AcquireClone(cloneID int) error {
	switch i.State {
	case Ready:
		i.State = Used
		if i.Persistent {
			i.State = Clone
		}
	case Used, Clone:
	default:
		return fmt.Errorf("Cannot clone image in state: %s", i.State)
	}
	i.Clones, i.CloningOps = with(i.Clones, cloneID, i.CloningOps)
	return nil
}

// ReleaseClone gives the image back as the source of another.
func (i *Image) ReleaseClone(cloneID int) error {
	if i.State != Used && i.State != Clone {
		return ErrWrongState(i.State)
	}
	i.Clones, i.CloningOps = without(i.Clones, cloneID, i.CloningOps)
	i.becomeFree()
	return nil
}

func (i *Image) becomeFree() {
	if i.RunningVMs == 0 && i.CloningOps == 0 {
		i.State = Ready
	}
}

func with(set resource.ManyIDs, id, count int) (resource.ManyIDs, int) {
	set, added := set.With(id)
	if added {
		count++
	}
	return set, count
}

func without(set resource.ManyIDs, id, count int) (resource.ManyIDs, int) {
	set, removed := set.Without(id)
	if removed {
		count--
	}
	return set, count
}

// Enable makes the image ready (yes) or disabled.
func (i *Image) Enable(yes bool) error {
	from, to := []State{Disabled, Error, Ready}, Ready
	if !yes {
		from, to = []State{Ready, Error, Disabled}, Disabled
	}
	if !slices.Contains(from, i.State) {
		return fmt.Errorf("Image cannot be in state %s.", i.State)
	}
	i.State = to
	return nil
}

// ErrFilePersistent is the refusal to make a file persistent or not; it has no text in front, unlike those of SetPersistent.
var ErrFilePersistent = errors.New("KERNEL, RAMDISK and CONTEXT files must be non-persistent")

// ErrPublicPersistent says that an image that others may use cannot be persistent.
var ErrPublicPersistent = errors.New("Image cannot be public and persistent.")

// SetPersistent makes the image persistent or not. File types are refused with ErrFilePersistent, even for no.
func (i *Image) SetPersistent(yes bool) error {
	if i.Type.IsFile() {
		return ErrFilePersistent
	}
	if i.State == Used || i.State == Clone || i.State == UsedPers {
		return fmt.Errorf("Image cannot be in state %s.", i.State)
	}
	if yes && i.Public() {
		return ErrPublicPersistent
	}
	i.Persistent = yes
	return nil
}

// Public reports whether group or others may use the image.
func (i *Image) Public() bool { return i.Perms&(resource.GroupU|resource.OtherU) != 0 }

// ErrIncompatibleType is the refusal to make a disk of a file or a file of a disk.
var ErrIncompatibleType = errors.New("Cannot change image type to an incompatible type for the current datastore.")

// ChangeType gives the image the type of that name, in any case.
func (i *Image) ChangeType(name string) error {
	t, known := ParseType(name)
	switch {
	case known && t.IsFile() == i.Type.IsFile():
		i.Type = t
		return nil
	case known || i.Type.IsFile():
		return ErrIncompatibleType
	}
	return fmt.Errorf("Unknown type %s", strings.ToUpper(name))
}

// CheckDelete says why the image cannot be deleted now.
func (i *Image) CheckDelete() error {
	switch {
	case i.State == Used || i.State == UsedPers || i.State == Ready && i.RunningVMs != 0:
		return fmt.Errorf("There are %d VMs using it.", i.RunningVMs)
	case i.State == Clone:
		return fmt.Errorf("There are %d active clone operations.", i.CloningOps)
	}
	return nil
}

// SetError writes ERROR into the template; date is the time as ctime writes it, without line end.
func (i *Image) SetError(date, message string) { i.Template.Replace("ERROR", date+" : "+message) }
