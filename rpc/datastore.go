package rpc

import (
	"goned/core/auth"
	"goned/core/cloud"
	"goned/core/datastore"
	"goned/core/refusal"
	"goned/core/resource"
	"goned/core/state"
	"goned/core/template"
)

var datastores = &family[*datastore.Datastore]{
	kind: resource.Datastore, root: "DATASTORE_POOL",
	pool: func(s *state.Snapshot) *state.Pool[*datastore.Datastore] { return &s.Datastores },
	edit: func(tx *state.Tx) *state.Editor[*datastore.Datastore] { return tx.Datastores },
	name: func(d *datastore.Datastore) *string { return &d.Name },
	body: func(d *datastore.Datastore) **template.Template { return &d.Template },
	base: func(d *datastore.Datastore) *resource.Base { return &d.Base },
	renamed: func(tx *state.Tx, d *datastore.Datastore, _ string) error {
		for id := range d.Images.All() {
			tx.Images.Edit(id).Datastore = d.Name
		}
		return nil
	},
	updating: func(c *Call, _ *state.Tx, d *datastore.Datastore, t *template.Template, appending bool) error {
		change := d.Update
		if appending {
			change = d.Append
		}
		if err := change(t, cloud.DatastoreConfig(c.Conf())); err != nil {
			return refusal.New(refusal.Internal, "Cannot update template", err.Error())
		}
		return nil
	},
	deleter:  auth.Admin,
	deleting: func(_ *Call, tx *state.Tx, d *datastore.Datastore) error { return cloud.RemoveDatastore(tx, d) },
}

func datastoreMethods() []*Method {
	return []*Method{
		{Name: "one.datastore.allocate", Log: "DatastoreAllocate",
			Help:   "Makes a datastore",
			Errors: "8192 the text does not parse or makes no datastore",
			Auth:   "CREATE DATASTORE, ADMIN CLUSTER", Result: "datastore id",
			Params: []Param{strParam("template"), intParam("cluster").late()}, Handler: datastoreAllocate},
		{Name: "one.datastore.delete", Log: "DatastoreDelete",
			Help:   "Removes a datastore",
			Errors: "8192 there are images in it; datastore 0",
			Auth:   "ADMIN DATASTORE", Result: "datastore id", Params: idAnd(), Handler: datastores.delete},
		{Name: "one.datastore.info", Log: "DatastoreInfo",
			Help: "Returns a datastore",
			Auth: "USE DATASTORE", Result: "DATASTORE document", Params: idAnd(), Handler: datastores.info},
		{Name: "one.datastore.update", Log: "DatastoreUpdateTemplate",
			Help:   "Replaces the template of a datastore, or changes some of its attributes",
			Errors: "4096 a type that is neither 0 nor 1. 8192 the text does not parse or cannot be stored",
			Auth:   "MANAGE DATASTORE", Result: "datastore id", Params: updateParams(), Handler: datastores.update},
		{Name: "one.datastore.chown", Log: "Datastore",
			Help: "Gives a datastore to another user, another group or both",
			Auth: "MANAGE DATASTORE, MANAGE USER, USE GROUP", Result: "datastore id",
			Params: idAnd(intParam("user"), intParam("group")), Handler: datastores.chown},
		{Name: "one.datastore.chmod", Log: "DatastoreChmod",
			Help:   "Changes the permission bits of a datastore",
			Errors: "512 bits of others, where ENABLE_OTHER_PERMISSIONS forbids them. 8192 a value that is not -1, 0 or 1",
			Auth:   "MANAGE or ADMIN DATASTORE", Result: "datastore id", Params: chmodParams(), Handler: datastores.chmod},
		{Name: "one.datastore.rename", Log: "DatastoreRename",
			Help:   "Gives a datastore another name",
			Errors: "2048 a name that is taken or not allowed",
			Auth:   "MANAGE DATASTORE", Result: "datastore id", Params: idAnd(strParam("name")), Handler: datastores.rename},
		{Name: "one.datastorepool.info", Log: "DatastorePoolInfo",
			Help: "Lists the datastores that the caller may use",
			Auth: "USE DATASTORE (filter)", Result: "DATASTORE_POOL document", Handler: datastores.all},
	}
}

func datastoreAllocate(c *Call) (any, error) {
	return allocateInCluster(c, resource.Datastore, func(tx *state.Tx, t *template.Template, cluster int) (int, error) {
		d, err := cloud.AddDatastore(tx, &c.Caller, t, cluster)
		if err != nil {
			return 0, err
		}
		return d.ID, nil
	})
}

// allocateInCluster answers the allocations that take a template and a cluster.
func allocateInCluster(c *Call, kind resource.Kind, add func(*state.Tx, *template.Template, int) (int, error)) (any, error) {
	var id int
	err := c.Update(func(tx *state.Tx) error {
		t, err := template.Parse(c.Str(1))
		if err != nil {
			return refusal.OfAllocation(kind.Noun(), err.Error())
		}
		if err := c.ReadLate(); err != nil {
			return err
		}
		checks, err := clusterCheck(tx.View(), c.Int(2))
		if err != nil {
			return err
		}
		create := c.ToCreate(kind, t)
		if err := c.Authorize(tx.View(), append([]auth.Check{create}, checks...)...); err != nil {
			return err
		}
		if id, err = add(tx, t, c.Int(2)); err != nil {
			return refusal.OfAllocation(kind.Noun(), err.Error())
		}
		return nil
	})
	return id, err
}
