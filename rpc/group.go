package rpc

import (
	"goned/core/acl"
	"goned/core/auth"
	"goned/core/cloud"
	"goned/core/group"
	"goned/core/quota"
	"goned/core/refusal"
	"goned/core/resource"
	"goned/core/state"
	"goned/core/template"
)

var groups = &family[*group.Group]{
	kind: resource.Group, root: "GROUP_POOL",
	pool:     func(s *state.Snapshot) *state.Pool[*group.Group] { return &s.Groups },
	edit:     func(tx *state.Tx) *state.Editor[*group.Group] { return tx.Groups },
	also:     func(s *state.Snapshot, id int) []byte { return quotasOf(&s.GroupQuotas, id) },
	last:     func(s *state.Snapshot) []byte { return escapedDefaults(s.GroupDefaults, quota.GroupDefaults) },
	document: func(s *state.Snapshot, g *group.Group) Document { return escaped(cloud.GroupDocument(s, g)) },
	self:     func(c *Call) int { return c.GID },
	body:     func(g *group.Group) **template.Template { return &g.Template },
	deleter:  auth.Admin,
	deleting: func(c *Call, tx *state.Tx, g *group.Group) error {
		err := cloud.RemoveGroup(tx, g)
		if err != nil {
			c.srv.logRefusal("GROUP", err)
		}
		return err
	},
}

func groupMethods() []*Method {
	provider := []Param{intParam("group"), intParam("zone"), intParam("cluster")}
	return []*Method{
		{Name: "one.group.allocate", Log: "GroupAllocate",
			Help:   "Makes a group",
			Errors: "8192 a name that is taken or not allowed",
			Auth:   "CREATE GROUP", Result: "group id", Forwarded: true,
			Params: []Param{strParam("name").late()}, Handler: groupAllocate},
		{Name: "one.group.delete", Log: "GroupDelete",
			Help:   "Removes a group",
			Errors: "8192 a group of the system, or one with members",
			Auth:   "ADMIN GROUP", Result: "group id", Forwarded: true, Params: idAnd(), Handler: groups.delete},
		{Name: "one.group.info", Log: "GroupInfo",
			Help: "Returns a group with its quotas",
			Auth: "USE GROUP", Result: "GROUP document", Params: idAnd(), Handler: groups.info},
		{Name: "one.group.quota", Log: "GroupSetQuota",
			Help:   "Sets limits of a group",
			Errors: "2048 group 0; the text does not parse; a limit that is wrong (none is set then)",
			Auth:   "ADMIN GROUP", Result: "group id",
			Params: idAnd(strParam("quotas")), Handler: groupQuota},
		{Name: "one.group.addprovider", Log: "GroupAddProvider",
			Help:   "Lets a group use a cluster of a zone",
			Errors: "8192 the group has it",
			Auth:   "ADMIN GROUP, ADMIN ZONE, ADMIN CLUSTER", Result: "group id",
			Forwarded: true, Params: provider, Handler: groupAddProvider},
		{Name: "one.group.delprovider", Log: "GroupDelProvider",
			Help:   "Ends the use of a cluster of a zone by a group",
			Errors: "8192 the group does not have it",
			Auth:   "ADMIN GROUP, ADMIN ZONE, ADMIN CLUSTER", Result: "group id",
			Forwarded: true, Params: provider, Handler: groupDelProvider},
		{Name: "one.group.update", Log: "GroupUpdateTemplate",
			Help:   "Replaces the template of a group, or changes some of its attributes",
			Errors: "4096 a type that is neither 0 nor 1. 8192 the text does not parse or cannot be stored",
			Auth:   "MANAGE GROUP", Result: "group id", Forwarded: true,
			Params: updateParams(), Handler: groups.update},
		{Name: "one.grouppool.info", Log: "GroupPoolInfo",
			Help: "Lists the groups that the caller may use, with their quotas",
			Auth: "USE GROUP (filter)", Result: "GROUP_POOL document", Handler: groups.all},
		{Name: "one.groupquota.info", Log: "GroupQuotaInfo",
			Help: "Returns the default limits of groups",
			Auth: "any user", Result: "DEFAULT_GROUP_QUOTAS document", Handler: groupDefaults},
		{Name: "one.groupquota.update", Log: "GroupQuotaUpdate",
			Help:   "Sets default limits of groups",
			Errors: "2048 the text does not parse; a limit that is wrong (none is set then)",
			Auth:   "primary group oneadmin", Result: "DEFAULT_GROUP_QUOTAS document",
			Params: []Param{strParam("quotas")}, Handler: setGroupDefaults},
	}
}

func groupAllocate(c *Call) (any, error) {
	var id int
	err := c.Update(func(tx *state.Tx) error {
		if err := c.Authorize(tx.View(), c.ToCreate(resource.Group, nil)); err != nil {
			return err
		}
		if err := c.ReadLate(); err != nil {
			return err
		}
		g, err := cloud.AddGroup(tx, c.Str(1))
		if err != nil {
			return refusal.OfAllocation(resource.Group.Noun(), err.Error())
		}
		id = g.ID
		return nil
	})
	return id, err
}

func groupQuota(c *Call) (any, error) {
	id := c.Int(1)
	if id == cloud.RootGroup {
		return nil, refusal.OfAction("Cannot set quotas for oneadmin group")
	}
	return c.UpdateID(id, func(tx *state.Tx) error {
		if _, err := groups.find(c, tx.View(), auth.Admin, id); err != nil {
			return err
		}
		return setLimits(tx.GroupQuotas, id, true, c.Str(2))
	})
}

// providerChecks are the rights that a change of a group's resource providers needs; adding also needs what it names to exist.
func providerChecks(c *Call, s *state.Snapshot, adding bool) ([]auth.Check, error) {
	gid, zid, cid := c.Int(1), c.Int(2), c.Int(3)
	g := s.Groups.Get(gid)
	if g == nil {
		return nil, refusal.NotFound(resource.Group.Noun(), gid)
	}
	checks := []auth.Check{auth.On(auth.Admin, resource.Group, g)}
	z := s.Zones.Get(zid)
	if z == nil && adding {
		return nil, refusal.NotFound(resource.Zone.Noun(), zid)
	}
	if z != nil {
		checks = append(checks, auth.On(auth.Admin, resource.Zone, z))
	}
	if cid == cloud.EveryCluster || zid != c.Conf().Federation.Zone {
		return checks, nil
	}
	cl := s.Clusters.Get(cid)
	if cl == nil && adding {
		return nil, refusal.NotFound(resource.Cluster.Noun(), cid)
	}
	if cl != nil {
		checks = append(checks, auth.On(auth.Admin, resource.Cluster, cl))
	}
	return checks, nil
}

func changeProvider(c *Call, adding bool, change func(tx *state.Tx, g *group.Group, p group.Provider, rules [2]acl.Rule) error) (any, error) {
	gid := c.Int(1)
	return c.UpdateID(gid, func(tx *state.Tx) error {
		checks, err := providerChecks(c, tx.View(), adding)
		if err != nil {
			return err
		}
		if err := c.Authorize(tx.View(), checks...); err != nil {
			return err
		}
		p := group.Provider{Zone: c.Int(2), Cluster: c.Int(3)}
		if err := change(tx, tx.Groups.Edit(gid), p, cloud.ProviderRules(gid, p)); err != nil {
			return refusal.New(refusal.Internal, "Cannot edit resources", err.Error())
		}
		return nil
	})
}

func groupAddProvider(c *Call) (any, error) {
	return changeProvider(c, true, func(tx *state.Tx, g *group.Group, p group.Provider, rules [2]acl.Rule) error {
		if err := g.AddProvider(p); err != nil {
			return err
		}
		for _, r := range rules {
			if _, err := cloud.AddRule(tx, r); err != nil {
				c.srv.logRefusal("GROUP", err)
			}
		}
		return nil
	})
}

func groupDelProvider(c *Call) (any, error) {
	return changeProvider(c, false, func(tx *state.Tx, g *group.Group, p group.Provider, rules [2]acl.Rule) error {
		if err := g.DelProvider(p); err != nil {
			return err
		}
		for _, r := range rules {
			cloud.RemoveRule(tx, r)
		}
		return nil
	})
}
