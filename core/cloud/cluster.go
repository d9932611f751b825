package cloud

import (
	"goned/core/cluster"
	"goned/core/datastore"
	"goned/core/host"
	"goned/core/resource"
	"goned/core/state"
	"goned/core/vnet"
)

// Cluster membership is stored with the cluster and with the member; the two change together, here.

// MoveHost puts a host into a cluster, or with resource.NoCluster into none.
func MoveHost(tx *state.Tx, id, to int) {
	move(tx, tx.Hosts, id, to,
		func(c *cluster.Cluster) *resource.IDs { return &c.Hosts },
		func(h *host.Host) (*int, *string) { return &h.ClusterID, &h.Cluster })
}

// MoveDatastore puts a datastore into a cluster or into none.
func MoveDatastore(tx *state.Tx, id, to int) {
	move(tx, tx.Datastores, id, to,
		func(c *cluster.Cluster) *resource.IDs { return &c.Datastores },
		func(d *datastore.Datastore) (*int, *string) { return &d.ClusterID, &d.Cluster })
}

// MoveNet puts a network into a cluster or into none.
func MoveNet(tx *state.Tx, id, to int) {
	move(tx, tx.Nets, id, to,
		func(c *cluster.Cluster) *resource.IDs { return &c.Nets },
		func(n *vnet.VNet) (*int, *string) { return &n.ClusterID, &n.Cluster })
}

// move changes the cluster of an object. members are a cluster's objects of its kind, place is the object's id and name of its
// cluster.
func move[T state.Object[T]](tx *state.Tx, pool *state.Editor[T], id, to int, members func(*cluster.Cluster) *resource.IDs,
	place func(T) (id *int, name *string)) {
	from, _ := place(pool.Get(id))
	if *from == to {
		return
	}
	if c := tx.Clusters.Edit(*from); c != nil {
		ids := members(c)
		*ids, _ = ids.Without(id)
	}
	at, name := place(pool.Edit(id))
	*at, *name = resource.NoCluster, ""
	if c := tx.Clusters.Edit(to); c != nil {
		ids := members(c)
		*ids, _ = ids.With(id)
		*at, *name = c.ID, c.Name
	}
}

// RenameCluster gives the members of a cluster its new name.
func RenameCluster(tx *state.Tx, id int) {
	c := tx.Clusters.Get(id)
	for _, h := range c.Hosts {
		tx.Hosts.Edit(h).Cluster = c.Name
	}
	for _, d := range c.Datastores {
		tx.Datastores.Edit(d).Cluster = c.Name
	}
	for _, n := range c.Nets {
		tx.Nets.Edit(n).Cluster = c.Name
	}
}
