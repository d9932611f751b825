package rpc

import (
	"goned/core/auth"
	"goned/core/cloud"
	"goned/core/refusal"
	"goned/core/resource"
	"goned/core/state"
	"goned/core/template"
	"goned/core/vnet"
)

var nets = &family[*vnet.VNet]{
	kind: resource.Net, root: "VNET_POOL",
	pool:     func(s *state.Snapshot) *state.Pool[*vnet.VNet] { return &s.Nets },
	edit:     func(tx *state.Tx) *state.Editor[*vnet.VNet] { return tx.Nets },
	document: func(_ *state.Snapshot, n *vnet.VNet) Document { return escaped(n.InfoXML()) },
	name:     func(n *vnet.VNet) *string { return &n.Name },
	body:     func(n *vnet.VNet) **template.Template { return &n.Template },
	base:     func(n *vnet.VNet) *resource.Base { return &n.Base },
	updating: func(_ *Call, _ *state.Tx, n *vnet.VNet, t *template.Template, appending bool) error {
		if appending {
			merged := n.Template.Clone()
			merged.Merge(t)
			t = merged
		}
		n.SetTemplate(t)
		return nil
	},
	deleting: func(_ *Call, tx *state.Tx, n *vnet.VNet) error { return cloud.RemoveNet(tx, n) },
}

func netMethods() []*Method {
	leases := idAnd(strParam("leases"))
	return []*Method{
		{Name: "one.vn.addleases", Log: "VirtualNetworkAddLeases",
			Help:   "Adds a lease to a fixed network",
			Errors: "8192 the text does not parse; a ranged network; a lease that is malformed or there",
			Auth:   "MANAGE NET", Result: "network id", Params: leases, Handler: leaseCall((*vnet.VNet).AddLeases)},
		{Name: "one.vn.rmleases", Log: "VirtualNetworkRemoveLeases",
			Help:   "Removes a lease from a fixed network",
			Errors: "8192 the text does not parse; a ranged network; a lease that is malformed, unknown or in use",
			Auth:   "MANAGE NET", Result: "network id", Params: leases, Handler: leaseCall((*vnet.VNet).RemoveLeases)},
		{Name: "one.vn.hold", Log: "VirtualNetworkHold",
			Help:   "Keeps a lease from being given to VMs",
			Errors: "8192 the text does not parse; a lease that is unknown or in use",
			Auth:   "MANAGE NET", Result: "network id", Params: leases, Handler: leaseCall((*vnet.VNet).HoldLeases)},
		{Name: "one.vn.release", Log: "VirtualNetworkRelease",
			Help:   "Ends the hold of a lease",
			Errors: "8192 the text does not parse; a lease that is not on hold",
			Auth:   "MANAGE NET", Result: "network id", Params: leases, Handler: leaseCall((*vnet.VNet).ReleaseLeases)},
		{Name: "one.vn.allocate", Log: "VirtualNetworkAllocate",
			Help:   "Makes a virtual network",
			Errors: "8192 the text does not parse or makes no network",
			Auth:   "CREATE NET, ADMIN CLUSTER", Result: "network id",
			Params: []Param{strParam("template"), intParam("cluster").late()}, Handler: netAllocate},
		{Name: "one.vn.update", Log: "VirtualNetworkUpdateTemplate",
			Help:   "Replaces the template of a virtual network, or changes some of its attributes",
			Errors: "4096 a type that is neither 0 nor 1. 8192 the text does not parse or cannot be stored",
			Auth:   "MANAGE NET", Result: "network id", Params: updateParams(), Handler: nets.update},
		{Name: "one.vn.delete", Log: "VirtualNetworkDelete",
			Help:   "Removes a virtual network",
			Errors: "8192 leases are in use",
			Auth:   "MANAGE NET", Result: "network id", Params: idAnd(), Handler: nets.delete},
		{Name: "one.vn.info", Log: "VirtualNetworkInfo",
			Help: "Returns a virtual network with its leases",
			Auth: "USE NET", Result: "VNET document with leases", Params: idAnd(), Handler: nets.info},
		{Name: "one.vn.chown", Log: "VirtualNetworkChown",
			Help:   "Gives a virtual network to another user, another group or both",
			Errors: "8192 the new owner has a network of this name",
			Auth:   "MANAGE NET, MANAGE USER, USE GROUP", Result: "network id",
			Params: idAnd(intParam("user"), intParam("group")), Handler: nets.chown},
		{Name: "one.vn.chmod", Log: "VirtualNetworkChmod",
			Help:   "Changes the permission bits of a virtual network",
			Errors: "512 bits of others, where ENABLE_OTHER_PERMISSIONS forbids them. 8192 a value that is not -1, 0 or 1",
			Auth:   "MANAGE or ADMIN NET", Result: "network id", Params: chmodParams(), Handler: nets.chmod},
		{Name: "one.vn.rename", Log: "VirtualNetworkRename",
			Help:   "Gives a virtual network another name",
			Errors: "2048 a name that is taken or not allowed",
			Auth:   "MANAGE NET", Result: "network id", Params: idAnd(strParam("name")), Handler: nets.rename},
		{Name: "one.vnpool.info", Log: "VirtualNetworkPoolInfo",
			Help:   "Lists the virtual networks that pass a filter",
			Errors: "4096 a filter flag below -3",
			Auth:   "USE NET (filter)", Result: "VNET_POOL document", Params: rangeParams(), Handler: nets.filtered},
	}
}

func netAllocate(c *Call) (any, error) {
	return allocateInCluster(c, resource.Net, func(tx *state.Tx, t *template.Template, cluster int) (int, error) {
		n, err := cloud.AddNet(tx, &c.Caller, t, cluster)
		if err != nil {
			return 0, err
		}
		return n.ID, nil
	})
}

// leaseCall answers the methods that change one lease of a network.
func leaseCall(change func(*vnet.VNet, *template.Template) error) func(*Call) (any, error) {
	return func(c *Call) (any, error) {
		id := c.Int(1)
		return c.UpdateID(id, func(tx *state.Tx) error {
			if _, err := nets.find(c, tx.View(), auth.Manage, id); err != nil {
				return err
			}
			t, err := template.Parse(c.Str(2))
			if err == nil {
				err = change(tx.Nets.Edit(id), t)
			}
			if err != nil {
				return refusal.New(refusal.Internal, "Error modifying network leases", err.Error())
			}
			return nil
		})
	}
}
