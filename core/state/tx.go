package state

import (
	"time"

	"goned/core/acl"
	"goned/core/cluster"
	"goned/core/config"
	"goned/core/datastore"
	"goned/core/db"
	"goned/core/document"
	"goned/core/group"
	"goned/core/host"
	"goned/core/image"
	"goned/core/quota"
	"goned/core/user"
	"goned/core/vm"
	"goned/core/vmtemplate"
	"goned/core/vnet"
	"goned/core/zone"
)

// Tx is a write transaction: it sees the newest state and its own changes, and what it does is kept as a whole or not at all.
// Time and configuration come in through it, so that the rules of the cloud need no clock and no globals.
type Tx struct {
	// Now is the moment of the transaction, in seconds since 1970.
	Now int64
	// Conf is the daemon's configuration.
	Conf *config.Config

	VMs         *Editor[*vm.VM]
	Hosts       *Editor[*host.Host]
	Images      *Editor[*image.Image]
	Nets        *Editor[*vnet.VNet]
	Datastores  *Editor[*datastore.Datastore]
	Clusters    *Editor[*cluster.Cluster]
	Templates   *Editor[*vmtemplate.VMTemplate]
	Documents   *Editor[*document.Document]
	Users       *Editor[*user.User]
	Groups      *Editor[*group.Group]
	Zones       *Editor[*zone.Zone]
	UserQuotas  *Editor[*quota.Account]
	GroupQuotas *Editor[*quota.Account]

	number  uint64
	base    *Snapshot
	snap    Snapshot
	editors []interface {
		finish([]pendingRow) []pendingRow
	}
	rows     []pendingRow
	messages []any
	adopted  bool // its changes come from the database
}

func edit[T Object[T]](tx *Tx, pool *Pool[T], rows func(before, after T) []pendingRow) *Editor[T] {
	e := &Editor[T]{tx: tx, pool: pool, rows: rows}
	tx.editors = append(tx.editors, e)
	return e
}

func newTx(base *Snapshot, number uint64, conf *config.Config, now time.Time) *Tx {
	tx := &Tx{Now: now.Unix(), Conf: conf, number: number, base: base, snap: *base}
	s := &tx.snap
	tx.VMs = edit(tx, &s.VMs, vmRows)
	tx.Hosts = edit(tx, &s.Hosts, hostRows)
	tx.Images = edit(tx, &s.Images, imageRows)
	tx.Nets = edit(tx, &s.Nets, netRows)
	tx.Datastores = edit(tx, &s.Datastores, datastoreRows)
	tx.Clusters = edit(tx, &s.Clusters, clusterRows)
	tx.Templates = edit(tx, &s.Templates, templateRows)
	tx.Documents = edit(tx, &s.Documents, documentRows)
	tx.Users = edit(tx, &s.Users, userRows)
	tx.Groups = edit(tx, &s.Groups, groupRows)
	tx.Zones = edit(tx, &s.Zones, zoneRows)
	tx.UserQuotas = edit(tx, &s.UserQuotas, userQuotaRows)
	tx.GroupQuotas = edit(tx, &s.GroupQuotas, groupQuotaRows)
	return tx
}

// View is the state as the transaction sees it, for code that only reads. It is valid while the transaction runs.
func (tx *Tx) View() *Snapshot { return &tx.snap }

// NextID takes the next id of a sequence. When the transaction fails, the id is given to the next object.
func (tx *Tx) NextID(c Counter) int {
	tx.snap.lastID[c]++
	return tx.snap.lastID[c]
}

// ReserveIDs leaves the ids up to last to the daemon: the next one given out is greater.
func (tx *Tx) ReserveIDs(c Counter, last int) { tx.snap.lastID[c] = max(tx.snap.lastID[c], last) }

// Send gives a message to whoever carries it out after the commit: drivers, hooks, logs (see package message).
func (tx *Tx) Send(m any) { tx.messages = append(tx.messages, m) }

// ACL is the set of access rules.
func (tx *Tx) ACL() *acl.Rules { return tx.snap.ACL }

// SetACL replaces the set of access rules.
func (tx *Tx) SetACL(r *acl.Rules) { tx.snap.ACL = r }

// SetUserDefaults replaces the default limits of users.
func (tx *Tx) SetUserDefaults(q *quota.Quotas) { tx.snap.UserDefaults = q }

// SetGroupDefaults replaces the default limits of groups.
func (tx *Tx) SetGroupDefaults(q *quota.Quotas) { tx.snap.GroupDefaults = q }

// SaveRecord stores a VM's history record as it is now, with the VM document it holds.
func (tx *Tx) SaveRecord(r *vm.Record) {
	vid, seq, stime, etime, body := r.OID, r.Seq, r.STime, r.ETime, string(r.Body())
	tx.rows = append(tx.rows, pendingRow{table: db.History, key: key(vid, seq), values: func(*renderer) []any {
		return []any{vid, seq, body, stime, etime}
	}})
}

// SaveVMSample stores a monitoring sample of a VM.
func (tx *Tx) SaveVMSample(v *vm.VM) {
	id, at, body := v.ID, v.LastPoll, string(v.PoolXML())
	tx.rows = append(tx.rows, pendingRow{table: db.VMMonitoring, key: key(id, int(at)), values: func(*renderer) []any { return []any{id, at, body} }})
}

// SaveHostSample stores a monitoring sample of a host.
func (tx *Tx) SaveHostSample(h *host.Host) {
	id, at, body := h.ID, h.LastMonTime, string(h.PoolXML())
	tx.rows = append(tx.rows, pendingRow{table: db.HostMonitoring, key: key(id, int(at)), values: func(*renderer) []any { return []any{id, at, body} }})
}

// ExpireSamples deletes the monitoring samples of VMs and hosts that are older than the given moments.
func (tx *Tx) ExpireSamples(vms, hosts int64) {
	tx.rows = append(tx.rows,
		pendingRow{table: db.VMMonitoring, op: db.Expire, key: [2]any{vms}},
		pendingRow{table: db.HostMonitoring, op: db.Expire, key: [2]any{hosts}})
}

// finish ends the transaction and hands its results to c; false means that it changed nothing.
func (tx *Tx) finish(c *commit) bool {
	rows := tx.rows
	for _, e := range tx.editors {
		rows = e.finish(rows)
	}
	if !tx.adopted {
		rows = append(rows, tx.sharedRows()...)
	}
	if len(rows) == 0 && len(tx.messages) == 0 && !tx.adopted {
		return false
	}
	snap := tx.snap
	c.snap, c.rows, c.messages = &snap, rows, tx.messages
	c.ended = nil
	for _, id := range tx.VMs.order {
		if v := tx.VMs.Get(id); v != nil && snap.VMs.hasEnded(v) {
			c.ended = append(c.ended, id)
		}
	}
	return true
}
