package rpc

import (
	"goned/core/auth"
	"goned/core/cloud"
	"goned/core/cluster"
	"goned/core/refusal"
	"goned/core/resource"
	"goned/core/state"
	"goned/core/template"
)

var clusters = &family[*cluster.Cluster]{
	kind: resource.Cluster, root: "CLUSTER_POOL",
	pool:    func(s *state.Snapshot) *state.Pool[*cluster.Cluster] { return &s.Clusters },
	edit:    func(tx *state.Tx) *state.Editor[*cluster.Cluster] { return tx.Clusters },
	name:    func(x *cluster.Cluster) *string { return &x.Name },
	body:    func(x *cluster.Cluster) **template.Template { return &x.Template },
	renamed: func(tx *state.Tx, x *cluster.Cluster, _ string) error { cloud.RenameCluster(tx, x.ID); return nil },
	deleter: auth.Admin,
	deleting: func(c *Call, tx *state.Tx, x *cluster.Cluster) error {
		if err := x.CheckDelete(); err != nil {
			c.srv.logRefusal("CLUSTER", err)
			return err
		}
		tx.Clusters.Delete(x.ID)
		return nil
	},
}

func clusterMethods() []*Method {
	add := []Param{intParam("cluster"), intParam("object")}
	del := []Param{anyParam("cluster"), intParam("object")}
	return []*Method{
		{Name: "one.cluster.allocate", Log: "ClusterAllocate",
			Help:   "Makes a cluster",
			Errors: "8192 a name that is taken or not allowed",
			Auth:   "CREATE CLUSTER", Result: "cluster id",
			Params: []Param{strParam("name").late()}, Handler: clusterAllocate},
		{Name: "one.cluster.delete", Log: "ClusterDelete",
			Help:   "Removes a cluster",
			Errors: "8192 something is in it",
			Auth:   "ADMIN CLUSTER", Result: "cluster id", Params: idAnd(), Handler: clusters.delete},
		{Name: "one.cluster.info", Log: "ClusterInfo",
			Help: "Returns a cluster",
			Auth: "USE CLUSTER", Result: "CLUSTER document", Params: idAnd(), Handler: clusters.info},
		{Name: "one.cluster.update", Log: "ClusterUpdateTemplate",
			Help:   "Replaces the template of a cluster, or changes some of its attributes",
			Errors: "4096 a type that is neither 0 nor 1. 8192 the text does not parse or cannot be stored",
			Auth:   "MANAGE CLUSTER", Result: "cluster id", Params: updateParams(), Handler: clusters.update},
		{Name: "one.cluster.rename", Log: "ClusterRename",
			Help:   "Gives a cluster another name",
			Errors: "2048 a name that is taken or not allowed",
			Auth:   "MANAGE CLUSTER", Result: "cluster id", Params: idAnd(strParam("name")), Handler: clusters.rename},
		{Name: "one.cluster.addhost", Log: "ClusterAddHost",
			Help: "Moves a host into a cluster; -1: into none",
			Auth: "ADMIN CLUSTER, ADMIN HOST", Result: "cluster id", Params: add,
			Handler: joinCluster(resource.Host, hostIn, cloud.MoveHost)},
		{Name: "one.cluster.delhost", Log: "ClusterDelHost",
			Help: "Takes a host out of its cluster, whichever that is",
			Auth: "ADMIN HOST", Result: "-1", Params: del,
			Handler: leaveCluster(resource.Host, hostIn, cloud.MoveHost)},
		{Name: "one.cluster.adddatastore", Log: "ClusterAddDatastore",
			Help: "Moves a datastore into a cluster; -1: into none",
			Auth: "ADMIN CLUSTER, ADMIN DATASTORE", Result: "cluster id", Params: add,
			Handler: joinCluster(resource.Datastore, datastoreIn, cloud.MoveDatastore)},
		{Name: "one.cluster.deldatastore", Log: "ClusterDelDatastore",
			Help: "Takes a datastore out of its cluster, whichever that is",
			Auth: "ADMIN DATASTORE", Result: "-1", Params: del,
			Handler: leaveCluster(resource.Datastore, datastoreIn, cloud.MoveDatastore)},
		{Name: "one.cluster.addvnet", Log: "ClusterAddVNet",
			Help: "Moves a virtual network into a cluster; -1: into none",
			Auth: "ADMIN CLUSTER, ADMIN NET", Result: "cluster id", Params: add,
			Handler: joinCluster(resource.Net, netIn, cloud.MoveNet)},
		{Name: "one.cluster.delvnet", Log: "ClusterDelVNet",
			Help: "Takes a virtual network out of its cluster, whichever that is",
			Auth: "ADMIN NET", Result: "-1", Params: del,
			Handler: leaveCluster(resource.Net, netIn, cloud.MoveNet)},
		{Name: "one.clusterpool.info", Log: "ClusterPoolInfo",
			Help: "Lists the clusters that the caller may use",
			Auth: "USE CLUSTER (filter)", Result: "CLUSTER_POOL document", Handler: clusters.all},
	}
}

func clusterAllocate(c *Call) (any, error) {
	var id int
	err := c.Update(func(tx *state.Tx) error {
		if err := c.Authorize(tx.View(), c.ToCreate(resource.Cluster, nil)); err != nil {
			return err
		}
		if err := c.ReadLate(); err != nil {
			return err
		}
		x, err := cloud.AddCluster(tx, c.Str(1))
		if err != nil {
			return refusal.OfAllocation(resource.Cluster.Noun(), err.Error())
		}
		id = x.ID
		return nil
	})
	return id, err
}

// member is what joins and leaves clusters.
type member interface {
	OID() int
	Access() resource.Access
}

func hostIn(s *state.Snapshot, id int) member      { return orNil(s.Hosts.Get(id)) }
func datastoreIn(s *state.Snapshot, id int) member { return orNil(s.Datastores.Get(id)) }
func netIn(s *state.Snapshot, id int) member       { return orNil(s.Nets.Get(id)) }

// orNil turns a nil pointer into a nil interface.
func orNil[T interface {
	comparable
	member
}](obj T) member {
	var none T
	if obj == none {
		return nil
	}
	return obj
}

func joinCluster(kind resource.Kind, find func(*state.Snapshot, int) member, move func(*state.Tx, int, int)) func(*Call) (any, error) {
	return func(c *Call) (any, error) {
		cid, id := c.Int(1), c.Int(2)
		return c.UpdateID(cid, func(tx *state.Tx) error {
			s := tx.View()
			var checks []auth.Check
			if cid != resource.NoCluster {
				x := s.Clusters.Get(cid)
				if x == nil {
					return refusal.NotFound(resource.Cluster.Noun(), cid)
				}
				checks = append(checks, auth.On(auth.Admin, resource.Cluster, x))
			}
			obj := find(s, id)
			if obj == nil {
				return refusal.NotFound(kind.Noun(), id)
			}
			if err := c.Authorize(s, append(checks, auth.On(auth.Admin, kind, obj))...); err != nil {
				return err
			}
			move(tx, id, cid)
			return nil
		})
	}
}

// leaveCluster ignores which cluster the caller names, as 4.6 does: the object leaves the one it is in.
func leaveCluster(kind resource.Kind, find func(*state.Snapshot, int) member, move func(*state.Tx, int, int)) func(*Call) (any, error) {
	return func(c *Call) (any, error) {
		id := c.Int(2)
		return c.UpdateID(resource.NoCluster, func(tx *state.Tx) error {
			obj := find(tx.View(), id)
			if obj == nil {
				return refusal.NotFound(kind.Noun(), id)
			}
			if err := c.Authorize(tx.View(), auth.On(auth.Admin, kind, obj)); err != nil {
				return err
			}
			move(tx, id, resource.NoCluster)
			return nil
		})
	}
}
