package rpc

import (
	"errors"
	"fmt"

	"goned/core/auth"
	"goned/core/cloud"
	"goned/core/lifecycle"
	"goned/core/quota"
	"goned/core/refusal"
	"goned/core/resource"
	"goned/core/state"
	"goned/core/template"
	"goned/core/vm"
)

// oneVector is the single vector of a name that a hot-plug request has to bring.
func oneVector(t *template.Template, name string) (*template.Vector, error) {
	all := t.All(name)
	switch {
	case len(all) != 1:
		return nil, refusal.OfAction("The template must contain one " + name + " attribute")
	case all[0].Vec == nil:
		return nil, refusal.OfAction("Internal error parsing " + name + " attribute")
	}
	return all[0].Vec, nil
}

// parseHotplug reads the text of a hot-plug request.
func parseHotplug(c *Call) (*template.Template, error) {
	t, err := template.Parse(c.Str(2))
	if err != nil {
		return nil, refusal.BareText(refusal.Internal, err.Error())
	}
	return t, nil
}

// hasOwners refuses to count for a user or a group that is gone.
func hasOwners(s *state.Snapshot, v *vm.VM) error {
	switch {
	case v.UID > cloud.RootUser && s.Users.Get(v.UID) == nil:
		return refusal.New(refusal.Authorization, "User not found", "")
	case v.GID > cloud.RootGroup && s.Groups.Get(v.GID) == nil:
		return refusal.New(refusal.Authorization, "Group not found", "")
	}
	return nil
}

// ownerOf is whose images and networks the names in a hot-plug request mean: the VM's owner's, also when somebody else asks.
func ownerOf(s *state.Snapshot, id, caller int) int {
	if v := s.VMs.Get(id); v != nil {
		return v.UID
	}
	return caller
}

func vmAttach(c *Call) (any, error) {
	id := c.Int(1)
	parsed, err := parseHotplug(c)
	if err != nil {
		return nil, err
	}
	return c.UpdateID(id, func(tx *state.Tx) error {
		t := parsed.Clone()
		var uses []auth.Check
		for _, disk := range t.Vectors("DISK") {
			if check, ok := imageCheck(tx.View(), disk, ownerOf(tx.View(), id, c.UID)); ok {
				uses = append(uses, check)
			}
		}
		v, err := findVM(c, tx.View(), auth.Manage, id, uses...)
		if err != nil {
			return err
		}
		var asked []quota.Request
		volatile := false
		for _, disk := range t.Vectors("DISK") {
			asked = append(asked, cloud.DiskUse(disk)...)
			volatile = volatile || vm.IsVolatile(disk)
		}
		if err := hasOwners(tx.View(), v); err != nil && !volatile {
			return err
		}
		if err := cloud.Charge(tx, v.UID, v.GID, asked...); err != nil {
			return err
		}
		if !lifecycle.Can(v, lifecycle.AttachDisk) {
			return refusal.OfAction(fmt.Sprintf("Could not attach a new disk to VM %d, wrong state.", id))
		}
		disk, err := oneVector(t, "DISK")
		if err != nil {
			return err
		}
		v = tx.VMs.Edit(id)
		if err := cloud.AttachDisk(tx, v, disk); err != nil {
			return asAction(err)
		}
		if err := recharge(tx, v.UID, v.GID, asked, cloud.DiskUse(disk)); err != nil {
			return err
		}
		v.Template.AddVector("DISK", disk)
		return lifecycle.Fire(tx, id, lifecycle.AttachDisk, lifecycle.Args{})
	})
}

func vmDetach(c *Call) (any, error) {
	return onVM(c, c.Int(1), auth.Manage, func(tx *state.Tx, v *vm.VM) error {
		if !lifecycle.Can(v, lifecycle.DetachDisk) {
			return refusal.OfAction(fmt.Sprintf("Could not detach disk from VM %d, wrong state.", v.ID))
		}
		disk := tx.VMs.Edit(v.ID).Disk(c.Int(2))
		if disk == nil {
			return refusal.OfAction(fmt.Sprintf("Could not detach disk with DISK_ID %d, it does not exist.", c.Int(2)))
		}
		disk.Set("ATTACH", "YES")
		return lifecycle.Fire(tx, v.ID, lifecycle.DetachDisk, lifecycle.Args{})
	})
}

func vmAttachNIC(c *Call) (any, error) {
	id := c.Int(1)
	parsed, err := parseHotplug(c)
	if err != nil {
		return nil, err
	}
	return c.UpdateID(id, func(tx *state.Tx) error {
		t := parsed.Clone()
		var uses []auth.Check
		for _, nic := range t.Vectors("NIC") {
			if check, ok := netCheck(tx.View(), nic, ownerOf(tx.View(), id, c.UID)); ok {
				uses = append(uses, check)
			}
		}
		v, err := findVM(c, tx.View(), auth.Manage, id, uses...)
		if err != nil {
			return err
		}
		if !c.Privileged() {
			if attr, found := t.Restricted(c.Conf().VMRestricted); found {
				return refusal.Denied("NIC includes a restricted attribute " + attr)
			}
		}
		if err := hasOwners(tx.View(), v); err != nil {
			return err
		}
		for _, nic := range t.Vectors("NIC") {
			if err := cloud.Charge(tx, v.UID, v.GID, cloud.NICUse(nic)...); err != nil {
				return err
			}
		}
		if !lifecycle.Can(v, lifecycle.AttachNIC) {
			return refusal.OfAction(fmt.Sprintf("Could not add a new NIC to VM %d, wrong state.", id))
		}
		nic, err := oneVector(t, "NIC")
		if err != nil {
			return err
		}
		v = tx.VMs.Edit(id)
		if err := cloud.JoinNetwork(tx, v, nic, v.NextNICID()); err != nil {
			return asAction(err)
		}
		nic.Set("ATTACH", "YES")
		v.Template.AddVector("NIC", nic)
		return lifecycle.Fire(tx, id, lifecycle.AttachNIC, lifecycle.Args{})
	})
}

func vmDetachNIC(c *Call) (any, error) {
	return onVM(c, c.Int(1), auth.Manage, func(tx *state.Tx, v *vm.VM) error {
		if !lifecycle.Can(v, lifecycle.DetachNIC) {
			return refusal.OfAction(fmt.Sprintf("Could not detach NIC from VM %d, wrong state.", v.ID))
		}
		nic := tx.VMs.Edit(v.ID).NIC(c.Int(2))
		if nic == nil {
			return refusal.OfAction(fmt.Sprintf("Could not detach NIC with NIC_ID %d, it does not exist.", c.Int(2)))
		}
		nic.Set("ATTACH", "YES")
		return lifecycle.Fire(tx, v.ID, lifecycle.DetachNIC, lifecycle.Args{})
	})
}

func vmSnapshotCreate(c *Call) (any, error) {
	var snapshot int
	_, err := onVM(c, c.Int(1), auth.Manage, func(tx *state.Tx, v *vm.VM) error {
		if !lifecycle.Can(v, lifecycle.SnapshotCreate) {
			return refusal.OfAction(fmt.Sprintf("Could not create a new snapshot for VM %d, wrong state.", v.ID))
		}
		snapshot = tx.VMs.Edit(v.ID).NewSnapshot(c.Str(2), tx.Now)
		return lifecycle.Fire(tx, v.ID, lifecycle.SnapshotCreate, lifecycle.Args{})
	})
	return snapshot, err
}

func vmSnapshotRevert(c *Call) (any, error) {
	return onSnapshot(c, lifecycle.SnapshotRevert, func(v, s int) string { return fmt.Sprintf("Could not revert VM %d to snapshot %d", v, s) })
}

func vmSnapshotDelete(c *Call) (any, error) {
	return onSnapshot(c, lifecycle.SnapshotDelete, func(v, s int) string { return fmt.Sprintf("Could not delete snapshot %d for VM %d", s, v) })
}

func onSnapshot(c *Call, event lifecycle.Event, refused func(vm, snapshot int) string) (any, error) {
	return onVM(c, c.Int(1), auth.Manage, func(tx *state.Tx, v *vm.VM) error {
		if !lifecycle.Can(v, event) {
			return refusal.OfAction(refused(v.ID, c.Int(2)) + ", wrong state.")
		}
		snapshot := tx.VMs.Edit(v.ID).Snapshot(c.Int(2))
		if snapshot == nil {
			return refusal.OfAction(refused(v.ID, c.Int(2)) + ", it does not exist.")
		}
		snapshot.Set("ACTIVE", "YES")
		return lifecycle.Fire(tx, v.ID, event, lifecycle.Args{})
	})
}

// vmSaveDisk makes an image of a disk: hot, by copying it while the VM runs, or deferred, when the VM ends.
func vmSaveDisk(c *Call) (any, error) {
	id, hot := c.Int(1), c.Bool(5)
	var made int
	var afterwards error
	err := c.Update(func(tx *state.Tx) error {
		afterwards = nil
		v, err := findVM(c, tx.View(), auth.Manage, id)
		if err != nil {
			return err
		}
		disk, img, err := savableDisk(tx, v, c.Int(2), hot, c.Bool(6))
		if err != nil {
			return err
		}
		ds := tx.Datastores.Get(img.DatastoreID)
		if ds == nil {
			return refusal.NotFound(resource.Datastore.Noun(), img.DatastoreID)
		}
		if err := checkSpace(c, ds, img.SizeMB); err != nil {
			return err
		}
		t := cloud.SavedImage(v, img, disk, c.Str(3), c.Str(4), hot)
		create := c.ToCreate(resource.Image, t)
		if err := c.Authorize(tx.View(), auth.On(auth.Manage, resource.VM, v), create, auth.On(auth.Use, resource.Datastore, ds)); err != nil {
			return err
		}
		if err := cloud.Charge(tx, c.UID, c.GID, cloud.ImageUse(img)); err != nil {
			return err
		}
		mark := "SAVE_AS_ACTIVE"
		if hot {
			mark = "HOTPLUG_SAVE_AS_ACTIVE"
		}
		tx.VMs.Edit(id).Disk(c.Int(2)).Set(mark, "YES")
		if err := lifecycle.Fire(tx, id, lifecycle.SaveDisk, lifecycle.Args{}); err != nil {
			return err
		}
		n, err := cloud.AddImage(tx, &c.Caller, t, ds)
		if err != nil {
			return refusal.OfAllocation(resource.Image.Noun(), err.Error())
		}
		made = n.ID
		if c.Bool(6) {
			afterwards = saveTemplate(c, tx, v, img.ID, n.ID)
		}
		return nil
	})
	if err == nil {
		err = afterwards
	}
	return made, err
}

// saveTemplate copies the VM's template with the new image in it. That this fails does not undo the image: the error says so.
func saveTemplate(c *Call, tx *state.Tx, v *vm.VM, oldImage, newImage int) error {
	saved := fmt.Sprintf("Image successfully saved with id: %d", newImage)
	tid, _ := v.Template.Int("TEMPLATE_ID")
	also := func(err error) error {
		r, ok := refusal.As(err)
		if !ok {
			return err
		}
		return refusal.BareText(r.Kind, r.Message(c.method.Log, c.UID)+saved)
	}
	t := tx.Templates.Get(int(tid))
	if t == nil {
		return also(refusal.NotFound(resource.Template.Noun(), int(tid)))
	}
	create := c.ToCreate(resource.Template, t.Template)
	if err := c.Authorize(tx.View(), auth.On(auth.Use, resource.Template, t), create); err != nil {
		var pending *pendingDecision
		if errors.As(err, &pending) {
			return err
		}
		return also(err)
	}
	if err := cloud.SaveTemplate(tx, &c.Caller, t, oldImage, newImage); err != nil {
		return also(refusal.OfAllocation(resource.Template.Noun(), err.Error()))
	}
	return nil
}
