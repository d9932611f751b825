package rpc

import (
	"errors"
	"fmt"
	"strconv"

	"goned/core/auth"
	"goned/core/cloud"
	"goned/core/datastore"
	"goned/core/host"
	"goned/core/lifecycle"
	"goned/core/message"
	"goned/core/refusal"
	"goned/core/resource"
	"goned/core/state"
	"goned/core/template"
	"goned/core/vm"
)

// wrongState is the refusal of an action whose name is not told.
func wrongState() error { return refusal.OfAction("Wrong state to perform action") }

// vmAndHost finds a VM that the caller may administer and a host that he may manage.
func vmAndHost(c *Call, s *state.Snapshot, id, hid int) (*vm.VM, *host.Host, error) {
	h := s.Hosts.Get(hid)
	if h == nil {
		return nil, nil, refusal.NotFound(resource.Host.Noun(), hid)
	}
	if h.ClusterID != resource.NoCluster && s.Clusters.Get(h.ClusterID) == nil {
		return nil, nil, refusal.NotFound(resource.Cluster.Noun(), h.ClusterID)
	}
	v, err := findVM(c, s, auth.Admin, id, auth.On(auth.Manage, resource.Host, h))
	return v, h, err
}

// targetOn is the part of a history record that the host decides.
func targetOn(tx *state.Tx, h *host.Host) lifecycle.Target {
	return lifecycle.Target{
		HostID: h.ID, Hostname: h.Name, ClusterID: h.ClusterID, VMMAD: h.VMMad, VNMAD: h.VNMad,
		DSLocation: cloud.DSLocation(tx.View(), tx.Conf, h),
	}
}

func vmDeploy(c *Call) (any, error) {
	id, hid := c.Int(1), c.Int(2)
	return c.UpdateID(id, func(tx *state.Tx) error {
		v, h, err := vmAndHost(c, tx.View(), id, hid)
		if err != nil {
			return err
		}
		t := targetOn(tx, h)
		if err := deployDatastore(tx.View(), v, h, c.Int(4), &t); err != nil {
			return err
		}
		if !lifecycle.Can(v, lifecycle.Deploy) {
			return wrongState()
		}
		if err := checkFit(v, h, c.Bool(3)); err != nil {
			return err
		}
		tx.Send(message.Log{VM: message.OnedLog, Module: "DiM", Level: message.Debug, Text: "Deploying VM " + itoa(id)})
		return lifecycle.Fire(tx, id, lifecycle.Deploy, lifecycle.Args{Target: t})
	})
}

// checkFit refuses a host without room when that is asked for.
func checkFit(v *vm.VM, h *host.Host, enforce bool) error {
	need := v.Capacity()
	if enforce && !h.Fits(need.CPU, need.Memory, need.Disk) {
		return refusal.OfAction(fmt.Sprintf("host %d does not have enough capacity.", h.ID))
	}
	return nil
}

// deployDatastore settles the system datastore of a deployment: the one where a stopped VM's files are, the one asked for, or the
// host's default. Public clouds have none.
func deployDatastore(s *state.Snapshot, v *vm.VM, h *host.Host, wanted int, t *lifecycle.Target) error {
	if h.PublicCloud() {
		t.DSID = -1
		return nil
	}
	if cur := v.Current(); cur != nil {
		switch cur.Action {
		case vm.ActionStop, vm.ActionUndeploy, vm.ActionUndeployHard:
			wanted = cur.DSID
		}
	}
	explicit := wanted != -1
	if !explicit {
		id, err := defaultDatastore(s, h)
		if err != nil {
			return err
		}
		wanted = id
	}
	ds := s.Datastores.Get(wanted)
	if ds == nil {
		return refusal.NotFound(resource.Datastore.Noun(), wanted)
	}
	if ds.Type != datastore.System {
		return refusal.New(refusal.Internal, fmt.Sprintf(
			"Trying to use datastore [%d] to deploy the VM, but it is not of type system datastore.", ds.ID), "")
	}
	if explicit && ds.ClusterID != h.ClusterID {
		return refusal.OfAction(fmt.Sprintf("datastore [%d] and host [%d] are not in the same cluster.", ds.ID, h.ID))
	}
	t.DSID, t.TMMAD = ds.ID, ds.TMMad
	return nil
}

func defaultDatastore(s *state.Snapshot, h *host.Host) (int, error) {
	if h.ClusterID == resource.NoCluster {
		return datastore.SystemID, nil
	}
	for _, id := range s.Clusters.Get(h.ClusterID).Datastores {
		if ds := s.Datastores.Get(id); ds != nil && ds.Type == datastore.System {
			return id, nil
		}
	}
	return 0, refusal.OfAction(fmt.Sprintf("cluster [%d] does not have any datastore of type SYSTEM_DS.", h.ClusterID))
}

func vmMigrate(c *Call) (any, error) {
	id, hid := c.Int(1), c.Int(2)
	event := lifecycle.Migrate
	line := "Migrating VM "
	if c.Bool(3) {
		event, line = lifecycle.LiveMigrate, "Live-migrating VM "
	}
	return c.UpdateID(id, func(tx *state.Tx) error {
		v, h, err := vmAndHost(c, tx.View(), id, hid)
		if err != nil {
			return err
		}
		if prev := v.Previous(); !lifecycle.Can(v, event) || prev != nil && prev.Reason == vm.ReasonNone {
			return wrongState()
		}
		cur := v.Current()
		if cur.HID == hid {
			return refusal.OfAction(fmt.Sprintf("VM is already running on host [%d]", hid))
		}
		if err := checkFit(v, h, c.Bool(4)); err != nil {
			return err
		}
		from := tx.Hosts.Get(cur.HID)
		if from == nil {
			return refusal.NotFound(resource.Host.Noun(), cur.HID)
		}
		if from.ClusterID != h.ClusterID {
			return refusal.OfAction(fmt.Sprintf("Cannot migrate to a different cluster. VM running in a host in cluster [%d] , "+
				"and new host is in cluster [%d]", from.ClusterID, h.ClusterID))
		}
		if from.PublicCloud() || h.PublicCloud() {
			return refusal.OfAction("Cannot migrate to or from a Public Cloud Host")
		}
		tx.Send(message.Log{VM: message.OnedLog, Module: "DiM", Level: message.Debug, Text: line + itoa(id)})
		return lifecycle.Fire(tx, id, event, lifecycle.Args{Target: targetOn(tx, h)})
	})
}

// vmResize changes the capacity of a VM that does not run. What the text leaves out, or has as zero, stays.
func vmResize(c *Call) (any, error) {
	t, err := template.Parse(c.Str(2))
	if err != nil {
		return nil, refusal.BareText(refusal.Internal, err.Error())
	}
	return onVM(c, c.Int(1), auth.Manage, func(tx *state.Tx, v *vm.VM) error {
		if !c.Privileged() {
			if attr, found := t.Restricted(c.Conf().VMRestricted); found {
				return refusal.Denied("Template includes a restricted attribute " + attr)
			}
		}
		switch v.State {
		case vm.Init, vm.Pending, vm.Hold, vm.Failed, vm.Poweroff, vm.Undeployed:
		default:
			return wrongState()
		}
		size, err := cloud.ParseSize(t)
		if err != nil {
			return refusal.New(refusal.Internal, "Could resize the VM", err.Error())
		}
		enforce := c.Bool(3) || !c.Privileged()
		err = cloud.Resize(tx, v.ID, size, enforce)
		var full cloud.NoCapacity
		if errors.As(err, &full) {
			return refusal.OfAction("host " + strconv.Itoa(int(full)) + " does not have enough capacity.")
		}
		return err
	})
}
