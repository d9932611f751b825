package cloud

import (
	"goned/core/resource"
	"goned/core/state"
)

// Cluster membership is stored with the cluster and with the member; the two change together, here.

// MoveHost puts a host into a cluster, or with resource.NoCluster into none.
func MoveHost(tx *state.Tx, id, cluster int) {
	h := tx.Hosts.Get(id)
	if h.ClusterID == cluster {
		return
	}
	if old := tx.Clusters.Edit(h.ClusterID); old != nil {
		old.Hosts, _ = old.Hosts.Without(id)
	}
	h = tx.Hosts.Edit(id)
	h.ClusterID, h.Cluster = resource.NoCluster, ""
	if c := tx.Clusters.Edit(cluster); c != nil {
		c.Hosts, _ = c.Hosts.With(id)
		h.ClusterID, h.Cluster = c.ID, c.Name
	}
}

// MoveDatastore puts a datastore into a cluster or into none.
func MoveDatastore(tx *state.Tx, id, cluster int) {
	d := tx.Datastores.Get(id)
	if d.ClusterID == cluster {
		return
	}
	if old := tx.Clusters.Edit(d.ClusterID); old != nil {
		old.Datastores, _ = old.Datastores.Without(id)
	}
	d = tx.Datastores.Edit(id)
	d.ClusterID, d.Cluster = resource.NoCluster, ""
	if c := tx.Clusters.Edit(cluster); c != nil {
		c.Datastores, _ = c.Datastores.With(id)
		d.ClusterID, d.Cluster = c.ID, c.Name
	}
}

// MoveNet puts a network into a cluster or into none.
func MoveNet(tx *state.Tx, id, cluster int) {
	n := tx.Nets.Get(id)
	if n.ClusterID == cluster {
		return
	}
	if old := tx.Clusters.Edit(n.ClusterID); old != nil {
		old.Nets, _ = old.Nets.Without(id)
	}
	n = tx.Nets.Edit(id)
	n.ClusterID, n.Cluster = resource.NoCluster, ""
	if c := tx.Clusters.Edit(cluster); c != nil {
		c.Nets, _ = c.Nets.With(id)
		n.ClusterID, n.Cluster = c.ID, c.Name
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
