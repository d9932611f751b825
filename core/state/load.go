package state

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"

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

// Source is what loading needs of package db.
type Source interface {
	Query(ctx context.Context, query string, args []any, fn func(scan func(dest ...any) error) error) error
}

// loader is the transaction number of objects that come from the database.
const loader = 0

// Load reads the whole cloud from a database. macPrefix are the first two bytes of MAC addresses that networks make.
func Load(ctx context.Context, src Source, macPrefix uint16) (*Snapshot, error) {
	s := &Snapshot{}
	for i := range s.lastID {
		s.lastID[i] = -1
	}
	for _, step := range []func() error{
		func() error { return loadPool(ctx, src, db.ZonePool, &s.Zones, zone.Parse) },
		func() error { return loadPool(ctx, src, db.GroupPool, &s.Groups, group.Parse) },
		func() error { return loadPool(ctx, src, db.UserPool, &s.Users, user.Parse) },
		func() error { return loadPool(ctx, src, db.ClusterPool, &s.Clusters, cluster.Parse) },
		func() error { return loadPool(ctx, src, db.HostPool, &s.Hosts, host.Parse) },
		func() error { return loadPool(ctx, src, db.DatastorePool, &s.Datastores, datastore.Parse) },
		func() error { return loadPool(ctx, src, db.ImagePool, &s.Images, image.Parse) },
		func() error { return loadPool(ctx, src, db.NetworkPool, &s.Nets, vnet.Parse) },
		func() error { return loadPool(ctx, src, db.TemplatePool, &s.Templates, vmtemplate.Parse) },
		func() error { return loadPool(ctx, src, db.DocumentPool, &s.Documents, document.Parse) },
		func() error { return s.loadVMs(ctx, src) },
		func() error { return loadQuotas(ctx, src, db.UserQuotas, false, &s.UserQuotas) },
		func() error { return loadQuotas(ctx, src, db.GroupQuotas, true, &s.GroupQuotas) },
		func() error { return s.loadHistory(ctx, src) },
		func() error { return s.loadLeases(ctx, src, macPrefix) },
		func() error { return s.loadRules(ctx, src) },
		func() error { return s.loadDefaults(ctx, src) },
		func() error { return s.loadCounters(ctx, src) },
	} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("load: %w", err)
		}
	}
	return s, nil
}

func loadPool[T Object[T]](ctx context.Context, src Source, t *db.Table, pool *Pool[T], parse func(string) (T, error)) error {
	key := t.Columns[0] // not oid everywhere, though SQLite takes that for any row's number
	query := "SELECT " + key + ", body FROM " + t.Name + " ORDER BY " + key
	return src.Query(ctx, query, nil, func(scan func(...any) error) error {
		var oid int
		var body sql.RawBytes
		if err := scan(&oid, &body); err != nil {
			return err
		}
		// A long body may have spaces behind its end, which are SQLite's.
		text := string(bytes.TrimRight(body, " "))
		obj, err := parse(text)
		if err != nil {
			return fmt.Errorf("%s %d: %w", t.Name, oid, err)
		}
		pool.put(obj, text, loader)
		pool.rename(oid, "", obj.Key())
		return nil
	})
}

// loadVM reads a VM. The driver that worked on it has ended with the last daemon.
func loadVM(body string) (*vm.VM, error) {
	v, err := vm.Parse(body)
	if err == nil {
		v.Interrupted = v.State == vm.Active && v.LCMState.Waits()
		v.Pack()
	}
	return v, err
}

func loadQuotas(ctx context.Context, src Source, t *db.Table, ofGroup bool, pool *Pool[*quota.Account]) error {
	return loadPool(ctx, src, t, pool, func(body string) (*quota.Account, error) { return quota.ParseAccount(body, ofGroup) })
}

// loadHistory gives each living VM all its records; the body of a VM holds the last one only.
func (s *Snapshot) loadHistory(ctx context.Context, src Source) error {
	query := "SELECT h.vid, h.seq, h.body FROM vm_pool v JOIN history h ON h.vid = v.oid WHERE v.state <> " +
		strconv.Itoa(int(vm.Done)) + " ORDER BY h.vid, h.seq"
	parser := newParser(vm.ParseRecord)
	err := src.Query(ctx, query, nil, func(scan func(...any) error) error {
		var vid, seq int
		var body sql.RawBytes
		if err := scan(&vid, &seq, &body); err != nil {
			return err
		}
		parser.add(vid, string(body))
		return nil
	})
	if err != nil {
		return err
	}
	return parser.each(func(vid int, _ string, r *vm.Record, err error) error {
		if err != nil {
			return fmt.Errorf("history of VM %d: %w", vid, err)
		}
		return s.VMs.Get(vid).LoadRecord(r)
	})
}

func (s *Snapshot) loadLeases(ctx context.Context, src Source, macPrefix uint16) error {
	for n := range s.Nets.All() {
		n.SetMACPrefix(macPrefix)
	}
	return src.Query(ctx, "SELECT oid, body FROM leases ORDER BY oid, ip", nil, func(scan func(...any) error) error {
		var oid int
		var body string
		if err := scan(&oid, &body); err != nil {
			return err
		}
		n := s.Nets.Get(oid)
		if n == nil {
			return nil
		}
		l, err := vnet.ParseLease(body)
		if err != nil {
			return fmt.Errorf("lease of network %d: %w", oid, err)
		}
		n.LoadLease(l)
		return nil
	})
}

func (s *Snapshot) loadRules(ctx context.Context, src Source) error {
	var rules []acl.Rule
	err := src.Query(ctx, "SELECT oid, user, resource, rights, zone FROM acl ORDER BY oid", nil, func(scan func(...any) error) error {
		var id int
		var u, res, rights, z int64
		if err := scan(&id, &u, &res, &rights, &z); err != nil {
			return err
		}
		rules = append(rules, acl.Rule{ID: id, User: u, Resource: res, Rights: rights, Zone: z})
		return nil
	})
	s.ACL = acl.NewRules(rules...)
	return err
}

func (s *Snapshot) loadDefaults(ctx context.Context, src Source) error {
	return src.Query(ctx, "SELECT name, body FROM system_attributes", nil, func(scan func(...any) error) error {
		var name, body string
		if err := scan(&name, &body); err != nil {
			return err
		}
		q, err := quota.Parse(body)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		switch name {
		case "DEFAULT_USER_QUOTAS":
			s.UserDefaults = q
		case "DEFAULT_GROUP_QUOTAS":
			s.GroupDefaults = q
		}
		return nil
	})
}

func (s *Snapshot) loadCounters(ctx context.Context, src Source) error {
	return src.Query(ctx, "SELECT tablename, last_oid FROM pool_control", nil, func(scan func(...any) error) error {
		var table, last string
		if err := scan(&table, &last); err != nil {
			return err
		}
		n, err := strconv.ParseInt(strings.TrimSpace(last), 10, 64)
		if err != nil {
			return fmt.Errorf("pool_control %s: %w", table, err)
		}
		for c, name := range counterTables {
			if name == table {
				s.lastID[c] = int(n)
			}
		}
		return nil
	})
}

// HasCounter reports whether a sequence has ever given an id: the default rows of most pools are made when it has not.
func (s *Snapshot) HasCounter(c Counter) bool { return s.lastID[c] >= 0 }
