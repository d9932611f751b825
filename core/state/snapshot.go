package state

import (
	"goned/core/acl"
	"goned/core/cluster"
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

// Snapshot is the whole cloud at one moment. It is immutable.
type Snapshot struct {
	VMs        Pool[*vm.VM]
	Hosts      Pool[*host.Host]
	Images     Pool[*image.Image]
	Nets       Pool[*vnet.VNet]
	Datastores Pool[*datastore.Datastore]
	Clusters   Pool[*cluster.Cluster]
	Templates  Pool[*vmtemplate.VMTemplate]
	Documents  Pool[*document.Document]
	Users      Pool[*user.User]
	Groups     Pool[*group.Group]
	Zones      Pool[*zone.Zone]

	// UserQuotas and GroupQuotas hold what each user and group may use and uses, by the owner's id. An owner without an entry
	// uses nothing and has no limits of its own.
	UserQuotas, GroupQuotas Pool[*quota.Account]
	// UserDefaults and GroupDefaults are the limits of owners that have none of their own; nil in a new database.
	UserDefaults, GroupDefaults *quota.Quotas

	ACL *acl.Rules

	lastID [counters]int
}

// Counter is a sequence of ids. Ids are never used again.
type Counter int

// The sequences, one per table that hands out ids.
const (
	VMIDs Counter = iota
	HostIDs
	ImageIDs
	NetIDs
	DatastoreIDs
	ClusterIDs
	TemplateIDs
	DocumentIDs
	UserIDs
	GroupIDs
	ZoneIDs
	RuleIDs
	counters
)

// counterTables are the keys of the sequences in pool_control.
var counterTables = [counters]string{
	VMIDs: db.VMPool.Name, HostIDs: db.HostPool.Name, ImageIDs: db.ImagePool.Name, NetIDs: db.NetworkPool.Name,
	DatastoreIDs: db.DatastorePool.Name, ClusterIDs: db.ClusterPool.Name, TemplateIDs: db.TemplatePool.Name,
	DocumentIDs: db.DocumentPool.Name, UserIDs: db.UserPool.Name, GroupIDs: db.GroupPool.Name, ZoneIDs: db.ZonePool.Name,
	RuleIDs: db.ACL.Name,
}
