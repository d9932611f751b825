package rpc

import (
	"fmt"

	"goned/core/auth"
	"goned/core/cloud"
	"goned/core/refusal"
	"goned/core/resource"
	"goned/core/state"
	"goned/core/template"
	"goned/core/zone"
)

var zones = &family[*zone.Zone]{
	kind: resource.Zone, root: "ZONE_POOL",
	pool:    func(s *state.Snapshot) *state.Pool[*zone.Zone] { return &s.Zones },
	edit:    func(tx *state.Tx) *state.Editor[*zone.Zone] { return tx.Zones },
	name:    func(z *zone.Zone) *string { return &z.Name },
	body:    func(z *zone.Zone) **template.Template { return &z.Template },
	deleter: auth.Admin,
	updating: func(_ *Call, _ *state.Tx, z *zone.Zone, t *template.Template, appending bool) error {
		if appending {
			merged := z.Template.Clone()
			merged.Merge(t)
			t = merged
		}
		z.SetTemplate(t)
		return nil
	},
	deleting: func(_ *Call, tx *state.Tx, z *zone.Zone) error {
		if err := z.CheckDelete(); err != nil {
			return err
		}
		tx.Zones.Delete(z.ID)
		return nil
	},
}

func zoneMethods() []*Method {
	return []*Method{
		{Name: "one.zone.allocate", Log: "ZoneAllocate",
			Help:   "Makes a zone",
			Errors: "8192 the daemon is not a master of a federation; the text does not parse; no ENDPOINT; a name that is taken or not allowed",
			Auth:   "CREATE ZONE", Result: "zone id", Forwarded: true,
			Params: []Param{strParam("template").late()}, Handler: zoneAllocate},
		{Name: "one.zone.update", Log: "ZoneUpdateTemplate",
			Help:   "Replaces the template of a zone, or changes some of its attributes",
			Errors: "4096 a type that is neither 0 nor 1. 8192 the text does not parse or cannot be stored",
			Auth:   "MANAGE ZONE", Result: "zone id", Forwarded: true,
			Params: updateParams(), Handler: zones.update},
		{Name: "one.zone.delete", Log: "ZoneDelete",
			Help:   "Removes a zone",
			Errors: "8192 a zone of the system",
			Auth:   "ADMIN ZONE", Result: "zone id", Forwarded: true, Params: idAnd(), Handler: zones.delete},
		{Name: "one.zone.info", Log: "ZoneInfo",
			Help: "Returns a zone",
			Auth: "USE ZONE", Result: "ZONE document", Params: idAnd(), Handler: zones.info},
		{Name: "one.zone.rename", Log: "ZoneRename",
			Help:   "Gives a zone another name",
			Errors: "2048 a name that is taken or not allowed",
			Auth:   "MANAGE ZONE", Result: "zone id", Params: idAnd(strParam("name")), Handler: zones.rename},
		{Name: "one.zonepool.info", Log: "ZonePoolInfo",
			Help: "Lists the zones that the caller may use",
			Auth: "USE ZONE (filter)", Result: "ZONE_POOL document", Handler: zones.all},
	}
}

func zoneAllocate(c *Call) (any, error) {
	noun := resource.Zone.Noun()
	if c.Conf().Federation.Mode != "MASTER" {
		return nil, refusal.OfAllocation(noun, "New Zones can only be created if OpenNebula is configured as a Federation Master.")
	}
	if err := c.ReadLate(); err != nil {
		return nil, err
	}
	var id int
	err := c.Update(func(tx *state.Tx) error {
		t, err := template.Parse(c.Str(1))
		if err != nil {
			return refusal.OfAllocation(noun, err.Error())
		}
		if err := c.Authorize(tx.View(), c.ToCreate(resource.Zone, t)); err != nil {
			return err
		}
		z, err := cloud.AddZone(tx, t)
		if err != nil {
			return refusal.OfAllocation(noun, err.Error())
		}
		id = z.ID
		return nil
	})
	return id, err
}

// logRefusal writes why something was refused into oned.log, where 4.6 does.
func (s *Server) logRefusal(module string, err error) {
	s.log.Error(fmt.Sprintf("%v", err), "module", module)
}
