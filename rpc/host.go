package rpc

import (
	"goned/core/auth"
	"goned/core/cloud"
	"goned/core/hook"
	"goned/core/host"
	"goned/core/refusal"
	"goned/core/resource"
	"goned/core/state"
	"goned/core/template"
)

var hosts = &family[*host.Host]{
	kind: resource.Host, root: "HOST_POOL",
	pool:     func(s *state.Snapshot) *state.Pool[*host.Host] { return &s.Hosts },
	edit:     func(tx *state.Tx) *state.Editor[*host.Host] { return tx.Hosts },
	manage:   auth.Admin,
	name:     func(h *host.Host) *string { return &h.Name },
	body:     func(h *host.Host) **template.Template { return &h.Template },
	renamed:  func(tx *state.Tx, h *host.Host, _ string) error { cloud.HostRenamed(tx, h); return nil },
	deleter:  auth.Admin,
	deleting: func(_ *Call, tx *state.Tx, h *host.Host) error { return cloud.RemoveHost(tx, h.ID) },
}

func hostMethods() []*Method {
	return []*Method{
		{Name: "one.host.enable", Log: "HostEnable",
			Help: "Enables or disables a host",
			Auth: "ADMIN HOST", Result: "host id", Params: idAnd(boolParam("enable")), Handler: hostEnable},
		{Name: "one.host.update", Log: "HostUpdateTemplate",
			Help:   "Replaces the template of a host, or changes some of its attributes",
			Errors: "4096 a type that is neither 0 nor 1. 8192 the text does not parse or cannot be stored",
			Auth:   "ADMIN HOST", Result: "host id", Params: updateParams(), Handler: hosts.update},
		{Name: "one.host.allocate", Log: "HostAllocate",
			Help:   "Makes a host",
			Errors: "8192 a name that is taken or not allowed; a driver without name",
			Auth:   "CREATE HOST, ADMIN CLUSTER", Result: "host id", Handler: hostAllocate,
			Params: []Param{strParam("name").late(), strParam("im_mad").late(), strParam("vmm_mad").late(), strParam("vnm_mad").late(), intParam("cluster")}},
		{Name: "one.host.delete", Log: "HostDelete",
			Help:   "Removes a host",
			Errors: "8192 there are VMs on it",
			Auth:   "ADMIN HOST", Result: "host id", Params: idAnd(), Handler: hosts.delete},
		{Name: "one.host.info", Log: "HostInfo",
			Help: "Returns a host",
			Auth: "USE HOST", Result: "HOST document", Params: idAnd(), Handler: hosts.info},
		{Name: "one.host.monitoring", Log: "HostMonitoring",
			Help: "Lists the monitoring samples of a host, the oldest first; -1: none",
			Auth: "USE HOST", Result: "MONITORING_DATA document", Params: idAnd(), Handler: hostMonitoring},
		{Name: "one.host.rename", Log: "HostRename",
			Help:   "Gives a host another name",
			Errors: "2048 a name that is taken or not allowed",
			Auth:   "ADMIN HOST", Result: "host id", Params: idAnd(strParam("name")), Handler: hosts.rename},
		{Name: "one.hostpool.info", Log: "HostPoolInfo",
			Help: "Lists the hosts that the caller may use",
			Auth: "USE HOST (filter)", Result: "HOST_POOL document", Handler: hosts.all},
		{Name: "one.hostpool.monitoring", Log: "HostPoolMonitoring",
			Help: "Lists the monitoring samples of the hosts that the caller may use",
			Auth: "USE HOST (filter)", Result: "MONITORING_DATA document", Handler: hostPoolMonitoring},
	}
}

// clusterCheck is the right that an allocation into a cluster needs besides.
func clusterCheck(s *state.Snapshot, id int) ([]auth.Check, error) {
	if id == resource.NoCluster {
		return nil, nil
	}
	x := s.Clusters.Get(id)
	if x == nil {
		return nil, refusal.NotFound(resource.Cluster.Noun(), id)
	}
	return []auth.Check{auth.On(auth.Admin, resource.Cluster, x)}, nil
}

func hostAllocate(c *Call) (any, error) {
	var id int
	err := c.Update(func(tx *state.Tx) error {
		checks, err := clusterCheck(tx.View(), c.Int(5))
		if err != nil {
			return err
		}
		if err := c.Authorize(tx.View(), append([]auth.Check{c.ToCreate(resource.Host, nil)}, checks...)...); err != nil {
			return err
		}
		if err := c.ReadLate(); err != nil {
			return err
		}
		h, err := cloud.AddHost(tx, c.Str(1), c.Str(2), c.Str(3), c.Str(4), c.Int(5))
		if err != nil {
			return refusal.OfAllocation(resource.Host.Noun(), err.Error())
		}
		id = h.ID
		return nil
	})
	return id, err
}

func hostEnable(c *Call) (any, error) {
	id := c.Int(1)
	return c.UpdateID(id, func(tx *state.Tx) error {
		if _, err := hosts.find(c, tx.View(), auth.Admin, id); err != nil {
			return err
		}
		h := tx.Hosts.Edit(id)
		was := h.State
		if c.Bool(2) {
			h.Enable()
		} else {
			h.Disable()
		}
		hook.HostMoved(tx, h, was)
		return nil
	})
}

func hostMonitoring(c *Call) (any, error) {
	id := c.Int(1)
	_, err := c.Read(func(s *state.Snapshot) (any, error) {
		if id == -1 && c.Root() {
			return nil, nil
		}
		_, err := hosts.find(c, s, auth.Use, id)
		return nil, err
	})
	if err != nil {
		return nil, err
	}
	return c.samples("SELECT body FROM host_monitoring WHERE hid = ? ORDER BY last_mon_time", id)
}

func hostPoolMonitoring(c *Call) (any, error) {
	return hosts.samplesOf(c, auth.All, hostSamples)
}
