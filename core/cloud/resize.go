package cloud

import (
	"errors"
	"fmt"
	"strconv"

	"goned/core/auth"
	"goned/core/config"
	"goned/core/host"
	"goned/core/image"
	"goned/core/quota"
	"goned/core/resource"
	"goned/core/state"
	"goned/core/template"
	"goned/core/vm"
	"goned/core/vmtemplate"
)

// Size is a new capacity for a VM; zero means that the old value stays.
type Size struct {
	CPU    float64
	Memory int64 // MB
	VCPU   int64
}

// ParseSize reads the template of a resize. What is no number counts as absent.
func ParseSize(t *template.Template) (Size, error) {
	var s Size
	s.CPU, _ = t.Float("CPU")
	if memory, ok := t.Int32("MEMORY"); ok {
		s.Memory = int64(memory)
	}
	if vcpu, ok := t.Int32("VCPU"); ok {
		s.VCPU = int64(vcpu)
	}
	switch {
	case s.CPU < 0:
		return s, errors.New("CPU must be a positive float or integer value.")
	case s.Memory < 0:
		return s, errors.New("MEMORY must be a positive integer value.")
	case s.VCPU < 0:
		return s, errors.New("VCPU must be a positive integer value.")
	}
	return s, nil
}

// NoCapacity says that the host of this number has no room.
type NoCapacity int

func (n NoCapacity) Error() string { return fmt.Sprintf("host %d is full", int(n)) }

// Resize changes the capacity of a VM, the usage of its owner and, when it has a host, what the host has promised.
func Resize(tx *state.Tx, id int, s Size, enforce bool) error {
	v := tx.VMs.Get(id)
	oldCPU, _ := v.Template.Float("CPU")
	oldMemory, _ := v.Template.Int("MEMORY")
	if s.CPU == 0 {
		s.CPU = oldCPU
	}
	if s.Memory == 0 {
		s.Memory = oldMemory
	}
	if err := Charge(tx, v.UID, v.GID, quota.ForResize(oldCPU, s.CPU, oldMemory, s.Memory)); err != nil {
		return err
	}
	v = tx.VMs.Edit(id)
	before := v.Capacity()
	v.Template.Replace("CPU", formatFloat(s.CPU))
	v.Template.Replace("MEMORY", strconv.FormatInt(s.Memory, 10))
	if s.VCPU > 0 {
		v.Template.Replace("VCPU", strconv.FormatInt(s.VCPU, 10))
	}
	cur := v.Current()
	if v.State != vm.Poweroff || cur == nil {
		return nil
	}
	h := tx.Hosts.Edit(cur.HID)
	if h == nil {
		return nil
	}
	// The difference of what is counted, not what the difference counts for: so the host's sums stay those of its VMs.
	after := v.Capacity()
	cpu, memory := after.CPU-before.CPU, after.Memory-before.Memory
	if enforce && !h.Fits(cpu, memory, 0) {
		return NoCapacity(h.ID)
	}
	h.Resize(cpu, memory, 0)
	return nil
}

// DSLocation is the directory of the datastores on a host.
func DSLocation(s *state.Snapshot, c *config.Config, h *host.Host) string {
	if h.ClusterID != resource.NoCluster {
		if x := s.Clusters.Get(h.ClusterID); x != nil {
			if location := x.Template.Get("DATASTORE_LOCATION"); location != "" {
				return location
			}
		}
	}
	return c.DatastoreLocation
}

// SavedImage is the template of the image that a VM's disk is to be saved in.
func SavedImage(v *vm.VM, source *image.Image, disk *template.Vector, name, kind string, hot bool) *template.Template {
	t := &template.Template{}
	t.AddSimple("NAME", name)
	t.AddSimple("SIZE", strconv.FormatInt(source.SizeMB, 10))
	t.AddSimple("SAVED_IMAGE_ID", strconv.Itoa(source.ID))
	t.AddSimple("SAVED_DISK_ID", disk.Get("DISK_ID"))
	t.AddSimple("SAVED_VM_ID", strconv.Itoa(v.ID))
	t.AddSimple("SAVE_AS", "YES")
	if hot {
		t.AddSimple("SAVE_AS_HOT", "YES")
	}
	for _, key := range []string{"DRIVER", "TARGET", "DEV_PREFIX"} {
		if value := source.Template.Get(key); value != "" {
			t.AddSimple(key, value)
		}
	}
	t.AddSimple("TYPE", firstOf(kind, source.Type.String()))
	return t
}

// SaveTemplate copies a VM template, with one image in the place of another.
func SaveTemplate(tx *state.Tx, owner *auth.Caller, source *vmtemplate.VMTemplate, oldImage, newImage int) error {
	old, made := tx.Images.Get(oldImage), tx.Images.Get(newImage)
	t := source.Clone().Template
	t.Replace("NAME", fmt.Sprintf("%s-%d", made.Name, made.ID))
	t.Replace("SAVED_TEMPLATE_ID", strconv.Itoa(source.ID))
	t.Replace("SAVED_TO_IMAGE_ID", strconv.Itoa(newImage))
	for _, disk := range t.Vectors("DISK") {
		if id, ok := disk.Int("IMAGE_ID"); ok && int(id) == oldImage || !ok && disk.Get("IMAGE") == old.Name &&
			(disk.Get("IMAGE_UNAME") == "" || disk.Get("IMAGE_UNAME") == old.UName) {
			disk.Del("IMAGE_ID")
			disk.Set("IMAGE", made.Name)
			disk.Set("IMAGE_UNAME", owner.UName)
			break
		}
	}
	_, err := AddTemplate(tx, owner, t)
	return err
}
