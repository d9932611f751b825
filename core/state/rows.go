package state

import (
	"goned/core/cluster"
	"goned/core/datastore"
	"goned/core/db"
	"goned/core/document"
	"goned/core/group"
	"goned/core/host"
	"goned/core/image"
	"goned/core/quota"
	"goned/core/resource"
	"goned/core/user"
	"goned/core/vm"
	"goned/core/vmtemplate"
	"goned/core/vnet"
	"goned/core/zone"
)

// key makes keys comparable whatever integer type they came from.
func key(parts ...int) [2]any {
	var k [2]any
	for i, p := range parts {
		k[i] = int64(p)
	}
	return k
}

// objectRow is the row of an object in its pool's table: id, name, body, then what the table has besides.
func objectRow[T Object[T]](t *db.Table, before, after T, rest func(*renderer, T) []any) []pendingRow {
	var none T
	if after == none {
		return []pendingRow{{table: t, op: db.Delete, key: key(before.OID())}}
	}
	return []pendingRow{{table: t, key: key(after.OID()), values: func(r *renderer) []any { return rest(r, after) }}}
}

// ownerValues are uid, gid, owner_u, group_u, other_u as the tables have them.
func ownerValues(a resource.Access) []any {
	return []any{a.UID, a.GID, a.Perms.Bit(resource.OwnerU), a.Perms.Bit(resource.GroupU), a.Perms.Bit(resource.OtherU)}
}

func vmRows(before, after *vm.VM) []pendingRow {
	return objectRow(db.VMPool, before, after, func(r *renderer, v *vm.VM) []any {
		perms := v.Perms
		return []any{v.ID, v.Name, r.document(v), v.UID, v.GID, v.LastPoll, int(v.State), int(v.LCMState),
			perms.Bit(resource.OwnerU), perms.Bit(resource.GroupU), perms.Bit(resource.OtherU)}
	})
}

func hostRows(before, after *host.Host) []pendingRow {
	return objectRow(db.HostPool, before, after, func(r *renderer, h *host.Host) []any {
		return []any{h.ID, h.Name, r.document(h), int(h.State), h.LastMonTime, 0, 0, 1, 0, 0, h.ClusterID}
	})
}

func imageRows(before, after *image.Image) []pendingRow {
	return objectRow(db.ImagePool, before, after, func(r *renderer, i *image.Image) []any {
		return append([]any{i.ID, i.Name, r.document(i)}, ownerValues(i.Access())...)
	})
}

func netRows(before, after *vnet.VNet) []pendingRow {
	rows := objectRow(db.NetworkPool, before, after, func(r *renderer, n *vnet.VNet) []any {
		values := append([]any{n.ID, n.Name, r.document(n)}, ownerValues(n.Access())...)
		return append(values, n.ClusterID)
	})
	return append(rows, leaseRows(before, after)...)
}

func datastoreRows(before, after *datastore.Datastore) []pendingRow {
	return objectRow(db.DatastorePool, before, after, func(r *renderer, d *datastore.Datastore) []any {
		values := append([]any{d.ID, d.Name, r.document(d)}, ownerValues(d.Access())...)
		return append(values, d.ClusterID)
	})
}

func clusterRows(before, after *cluster.Cluster) []pendingRow {
	return objectRow(db.ClusterPool, before, after, func(r *renderer, c *cluster.Cluster) []any {
		return []any{c.ID, c.Name, r.document(c), 0, 0, 1, 0, 0}
	})
}

func templateRows(before, after *vmtemplate.VMTemplate) []pendingRow {
	return objectRow(db.TemplatePool, before, after, func(r *renderer, t *vmtemplate.VMTemplate) []any {
		return append([]any{t.ID, t.Name, r.document(t)}, ownerValues(t.Access())...)
	})
}

func documentRows(before, after *document.Document) []pendingRow {
	return objectRow(db.DocumentPool, before, after, func(r *renderer, d *document.Document) []any {
		return append([]any{d.ID, d.Name, r.document(d), d.Type}, ownerValues(d.Access())...)
	})
}

func userRows(before, after *user.User) []pendingRow {
	return objectRow(db.UserPool, before, after, func(r *renderer, u *user.User) []any {
		return []any{u.ID, u.Name, r.document(u), u.ID, u.GID, 1, 0, 0}
	})
}

func groupRows(before, after *group.Group) []pendingRow {
	return objectRow(db.GroupPool, before, after, func(r *renderer, g *group.Group) []any {
		return []any{g.ID, g.Name, r.document(g), 0, g.ID, 1, 1, 0}
	})
}

func zoneRows(before, after *zone.Zone) []pendingRow {
	return objectRow(db.ZonePool, before, after, func(r *renderer, z *zone.Zone) []any {
		return []any{z.ID, z.Name, r.document(z), 0, 0, 1, 0, 0}
	})
}

func userQuotaRows(before, after *quota.Account) []pendingRow {
	return objectRow(db.UserQuotas, before, after, func(r *renderer, a *quota.Account) []any { return []any{a.OID(), r.document(a)} })
}

func groupQuotaRows(before, after *quota.Account) []pendingRow {
	return objectRow(db.GroupQuotas, before, after, func(r *renderer, a *quota.Account) []any { return []any{a.OID(), r.document(a)} })
}

// leaseRows are the differences between the leases of a network before and after.
func leaseRows(before, after *vnet.VNet) []pendingRow {
	if after == nil {
		return []pendingRow{{table: db.Leases, op: db.DeleteAll, key: key(before.ID)}}
	}
	put, gone := after.LeaseChanges(before)
	var rows []pendingRow
	for _, ip := range gone {
		rows = append(rows, pendingRow{table: db.Leases, op: db.Delete, key: key(after.ID, int(ip))})
	}
	for _, l := range put {
		rows = append(rows, leaseRow(after.ID, l))
	}
	return rows
}

func leaseRow(net int, l vnet.Lease) pendingRow {
	return pendingRow{table: db.Leases, key: key(net, int(l.IP)), values: func(*renderer) []any {
		return []any{net, int64(l.IP), string(l.Row())}
	}}
}

// sharedRows are the changes of what is no pool: rules, default limits, id sequences.
func (tx *Tx) sharedRows() []pendingRow {
	var rows []pendingRow
	before, after := tx.base, &tx.snap
	if before.ACL != after.ACL {
		for r := range before.ACL.All() {
			if _, kept := after.ACL.Get(r.ID); !kept {
				rows = append(rows, pendingRow{table: db.ACL, op: db.Delete, key: key(r.ID)})
			}
		}
		for r := range after.ACL.All() {
			if was, had := before.ACL.Get(r.ID); !had || was != r {
				rows = append(rows, pendingRow{table: db.ACL, key: key(r.ID), values: func(*renderer) []any {
					return []any{r.ID, int64(r.User), int64(r.Resource), int64(r.Rights), int64(r.Zone)}
				}})
			}
		}
	}
	defaults := func(name string, q *quota.Quotas) pendingRow {
		return pendingRow{table: db.SystemAttributes, key: [2]any{name}, values: func(*renderer) []any {
			return []any{name, string(q.DefaultsXML(name))}
		}}
	}
	if before.UserDefaults != after.UserDefaults {
		rows = append(rows, defaults("DEFAULT_USER_QUOTAS", after.UserDefaults))
	}
	if before.GroupDefaults != after.GroupDefaults {
		rows = append(rows, defaults("DEFAULT_GROUP_QUOTAS", after.GroupDefaults))
	}
	for c, table := range counterTables {
		if last := after.lastID[c]; last != before.lastID[c] {
			rows = append(rows, pendingRow{table: db.PoolControl, key: [2]any{table}, values: func(*renderer) []any {
				return []any{table, last}
			}})
		}
	}
	return rows
}
