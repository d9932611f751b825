package db

import (
	"slices"
	"strconv"
	"strings"
)

// Table is a table of 4.6's schema. The first Keys columns are its primary key.
type Table struct {
	Name    string
	Keys    int
	Columns []string

	ddl    string
	sql    [4]string // by Op
	insert string
	unique bool // there is a UNIQUE constraint beside the key
	// update changes a row that is there and keeps its key and its unique columns; it has the numbered values of insert. Only tables
	// that are unique have it, if another column is left.
	update string
	// lists says that bodies hold the ids of other objects and grow with them.
	lists bool
}

func table(name string, keys int, columns string) *Table {
	t := &Table{Name: name, Keys: keys, ddl: "CREATE TABLE IF NOT EXISTS " + name + " (" + columns + ")"}
	var unique []string
	for _, c := range strings.Split(columns, ", ") {
		if list, ok := strings.CutPrefix(c, "UNIQUE("); ok {
			unique = strings.Split(strings.TrimSuffix(list, ")"), ",")
			continue
		}
		if strings.HasPrefix(c, "PRIMARY KEY(") {
			continue
		}
		name, _, _ := strings.Cut(c, " ")
		t.Columns = append(t.Columns, name)
	}
	row := " INTO " + name + " (" + strings.Join(t.Columns, ",") + ") VALUES (?" + strings.Repeat(",?", len(t.Columns)-1) + ")"
	t.insert = "INSERT" + row
	if unique != nil {
		t.unique = true
		t.update = update(t, unique)
	}
	t.sql = [...]string{
		Put:       "REPLACE" + row,
		Delete:    "DELETE FROM " + name + " WHERE " + strings.Join(t.Columns[:keys], "=? AND ") + "=?",
		DeleteAll: "DELETE FROM " + name + " WHERE " + t.Columns[0] + "=?",
		Expire:    "DELETE FROM " + name + " WHERE " + t.Columns[1] + "<?",
	}
	return t
}

func update(t *Table, unique []string) string {
	var set, where []string
	for i, c := range t.Columns {
		if value := c + "=?" + strconv.Itoa(i+1); i < t.Keys || slices.Contains(unique, c) {
			where = append(where, value)
		} else {
			set = append(set, value)
		}
	}
	if set == nil {
		return ""
	}
	return "UPDATE " + t.Name + " SET " + strings.Join(set, ",") + " WHERE " + strings.Join(where, " AND ")
}

// withLists marks a table whose bodies grow with the objects that they list.
func withLists(t *Table) *Table {
	t.lists = true
	return t
}

const (
	objectColumns = "oid INTEGER PRIMARY KEY, name VARCHAR(128), body MEDIUMTEXT"
	ownerColumns  = ", uid INTEGER, gid INTEGER, owner_u INTEGER, group_u INTEGER, other_u INTEGER"
)

// The tables of 4.6, with its columns, keys and types: other programs (onedb, dumps, replication) depend on them.
var (
	VMPool = table("vm_pool", 1, objectColumns+", uid INTEGER, gid INTEGER, last_poll INTEGER, state INTEGER, lcm_state INTEGER"+
		", owner_u INTEGER, group_u INTEGER, other_u INTEGER")
	VMMonitoring = table("vm_monitoring", 2, "vmid INTEGER, last_poll INTEGER, body MEDIUMTEXT, PRIMARY KEY(vmid,last_poll)")
	History      = table("history", 2, "vid INTEGER, seq INTEGER, body MEDIUMTEXT, stime INTEGER, etime INTEGER, PRIMARY KEY(vid,seq)")
	HostPool     = withLists(table("host_pool", 1, objectColumns+", state INTEGER, last_mon_time INTEGER"+ownerColumns+", cid INTEGER, UNIQUE(name)"))

	HostMonitoring = table("host_monitoring", 2,
		"hid INTEGER, last_mon_time INTEGER, body MEDIUMTEXT, PRIMARY KEY(hid,last_mon_time)")
	NetworkPool   = table("network_pool", 1, objectColumns+ownerColumns+", cid INTEGER, UNIQUE(name,uid)")
	Leases        = table("leases", 2, "oid INTEGER, ip BIGINT, body MEDIUMTEXT, PRIMARY KEY(oid,ip)")
	ImagePool     = withLists(table("image_pool", 1, objectColumns+ownerColumns+", UNIQUE(name,uid)"))
	TemplatePool  = table("template_pool", 1, objectColumns+ownerColumns)
	DatastorePool = withLists(table("datastore_pool", 1, objectColumns+ownerColumns+", cid INTEGER, UNIQUE(name)"))
	ClusterPool   = withLists(table("cluster_pool", 1, objectColumns+ownerColumns+", UNIQUE(name)"))
	DocumentPool  = table("document_pool", 1, objectColumns+", type INTEGER"+ownerColumns)
	UserQuotas    = table("user_quotas", 1, "user_oid INTEGER PRIMARY KEY, body MEDIUMTEXT")
	GroupQuotas   = table("group_quotas", 1, "group_oid INTEGER PRIMARY KEY, body MEDIUMTEXT")
	PoolControl   = table("pool_control", 1, "tablename VARCHAR(32) PRIMARY KEY, last_oid BIGINT UNSIGNED")
	LocalVersions = table("local_db_versioning", 1,
		"oid INTEGER PRIMARY KEY, version VARCHAR(256), timestamp INTEGER, comment VARCHAR(256), is_slave BOOLEAN")
	SystemAttributes = table("system_attributes", 1, "name VARCHAR(128) PRIMARY KEY, body MEDIUMTEXT")

	GroupPool = withLists(table("group_pool", 1, objectColumns+ownerColumns+", UNIQUE(name)"))
	UserPool  = table("user_pool", 1, objectColumns+ownerColumns+", UNIQUE(name)")
	ACL       = table("acl", 1,
		"oid INT PRIMARY KEY, user BIGINT, resource BIGINT, rights BIGINT, zone BIGINT, UNIQUE(user,resource,rights,zone)")
	ZonePool       = table("zone_pool", 1, objectColumns+ownerColumns+", UNIQUE(name)")
	SharedVersions = table("db_versioning", 1,
		"oid INTEGER PRIMARY KEY, version VARCHAR(256), timestamp INTEGER, comment VARCHAR(256)")
)

// localTables belong to one zone; sharedTables are replicated from a federation's master to its slaves. Both are in the order in
// which a fresh database gets them.
var (
	localTables = []*Table{VMPool, VMMonitoring, History, HostPool, HostMonitoring, NetworkPool, Leases, ImagePool, TemplatePool,
		DatastorePool, ClusterPool, DocumentPool, UserQuotas, GroupQuotas, PoolControl, LocalVersions, SystemAttributes}
	sharedTables = []*Table{GroupPool, UserPool, ACL, ZonePool, SharedVersions}
)

// Op is what a Row asks for.
type Op int

const (
	// Put inserts the row or replaces the one with its key.
	Put Op = iota
	// Delete removes the row with this key; Values holds the key alone.
	Delete
	// DeleteAll removes all rows whose first key column is Values[0].
	DeleteAll
	// Expire removes all rows whose second key column is less than Values[0].
	Expire
)

// Row is one change of the database.
type Row struct {
	Table  *Table
	Op     Op
	Values []any
}

func (r *Row) statement() string { return r.Table.sql[r.Op] }
