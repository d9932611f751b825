package model

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"goned/core/db"
)

// database is 4.6's tables in memory.
type database struct {
	mu     sync.Mutex // guards the rest: the committer writes, transactions read
	tables map[string]map[key][]any
	// refuse makes the next batch fail as a whole, down all of them; refused tells that one has failed in this step.
	refuse, down, refused bool
	hang                  chan struct{} // closed when a database that hangs goes on; nil for one that does not
}

// key is a primary key; of one column the second part is nil.
type key [2]any

// set changes how the database behaves.
func (d *database) set(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
}

// trouble reports whether it has refused something in this step, and whether it takes nothing now.
func (d *database) trouble() (refused, down bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.refused, d.down
}

func newDatabase() *database { return &database{tables: map[string]map[key][]any{}} }

func (d *database) clone() *database {
	c := newDatabase()
	for name, rows := range d.tables {
		copied := make(map[key][]any, len(rows))
		for k, v := range rows {
			copied[k] = v
		}
		c.tables[name] = copied
	}
	return c
}

var errDisk = errors.New("no space left on device")

// Save implements state.Database.
func (d *database) Save(_ context.Context, rows []db.Row) error {
	d.mu.Lock()
	hang := d.hang
	d.mu.Unlock()
	if hang != nil {
		<-hang
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refuse || d.down {
		d.refuse = false
		d.refused = true
		return errDisk
	}
	for _, r := range rows {
		t := d.tables[r.Table.Name]
		if t == nil {
			t = map[key][]any{}
			d.tables[r.Table.Name] = t
		}
		switch r.Op {
		case db.Put:
			t[keyOf(r.Values[:r.Table.Keys])] = kept(r.Values)
		case db.Delete:
			delete(t, keyOf(r.Values))
		case db.DeleteAll:
			for k := range t {
				if k[0] == number(r.Values[0]) {
					delete(t, k)
				}
			}
		case db.Expire:
			for k := range t {
				if k[1].(int64) < number(r.Values[0]).(int64) {
					delete(t, k)
				}
			}
		}
	}
	return nil
}

func keyOf(values []any) (k key) {
	for i, v := range kept(values) {
		k[i] = number(v)
	}
	return k
}

// kept is a copy of values, whose memory is used again when Save has returned.
func kept(values []any) []any {
	copied := slices.Clone(values)
	for i, v := range copied {
		if text, ok := v.(string); ok {
			copied[i] = strings.Clone(text)
		}
	}
	return copied
}

// number makes integers comparable whatever type they came in.
func number(v any) any {
	switch n := v.(type) {
	case int:
		return int64(n)
	case int64:
		return n
	}
	return v
}

func compareKeys(a, b key) int {
	for i := range a {
		switch x := a[i].(type) {
		case int64:
			if y := b[i].(int64); x != y {
				return int(min(max(x-y, -1), 1))
			}
		case string:
			if c := strings.Compare(x, b[i].(string)); c != 0 {
				return c
			}
		}
	}
	return 0
}

// Query implements state.Source for what package state asks. It knows these queries, not SQL.
func (d *database) Query(_ context.Context, query string, args []any, fn func(scan func(dest ...any) error) error) error {
	rest, ok := strings.CutPrefix(query, "SELECT ")
	list, from, found := strings.Cut(rest, " FROM ")
	if !ok || !found {
		return fmt.Errorf("unexpected query %q", query)
	}
	var pass func(k key, values []any) bool
	switch name, _, _ := strings.Cut(from, " "); {
	case strings.Contains(list, "CASE state WHEN 6 THEN NULL ELSE body END"):
		list = strings.Replace(list, "CASE state WHEN 6 THEN NULL ELSE body END", bodyUnlessDone, 1)
	case strings.HasPrefix(from, "vm_pool v JOIN history h ON h.vid = v.oid WHERE v.state <> 6 "):
		list, from = strings.ReplaceAll(list, "h.", ""), "history"
		pass = func(k key, _ []any) bool { return !d.done(key{k[0]}) }
	case strings.Contains(from, " WHERE oid IN ("):
		_, in, _ := strings.Cut(strings.TrimSuffix(from, ")"), "(")
		ids := strings.Split(in, ",")
		pass = func(k key, _ []any) bool { return slices.Contains(ids, fmt.Sprint(k[0])) }
	case from == "history WHERE vid = ? ORDER BY seq":
		pass = func(k key, _ []any) bool { return k[0] == number(args[0]) }
	case strings.Contains(from, "WHERE"):
		return fmt.Errorf("unexpected query %q of %s", query, name)
	}
	name, _, _ := strings.Cut(from, " ")
	table := tableNamed(name)
	if table == nil {
		return fmt.Errorf("no table %q", name)
	}
	return d.rows(table, strings.Split(list, ", "), pass, fn)
}

const bodyUnlessDone = "body unless done"

func (d *database) done(vm key) bool {
	return number(d.tables["vm_pool"][vm][slices.Index(db.VMPool.Columns, "state")]) == int64(6)
}

// rows hands the rows of a table that pass to fn, in the order of the key.
func (d *database) rows(table *db.Table, list []string, pass func(key, []any) bool, fn func(scan func(dest ...any) error) error) error {
	columns := make([]int, len(list))
	for i, c := range list {
		if c == bodyUnlessDone {
			c = "body"
		}
		if columns[i] = slices.Index(table.Columns, c); columns[i] < 0 {
			return fmt.Errorf("table %s has no column %q", table.Name, c)
		}
	}
	rows := d.tables[table.Name]
	keys := make([]key, 0, len(rows))
	for k, values := range rows {
		if pass == nil || pass(k, values) {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, compareKeys)
	for _, k := range keys {
		values := rows[k]
		err := fn(func(dest ...any) error {
			for i, to := range dest {
				value := values[columns[i]]
				if list[i] == bodyUnlessDone && d.done(k) {
					value = nil
				}
				if err := scan(to, value); err != nil {
					return fmt.Errorf("%s.%s: %w", table.Name, list[i], err)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func tableNamed(name string) *db.Table {
	for _, t := range []*db.Table{
		db.VMPool, db.History, db.HostPool, db.NetworkPool, db.Leases, db.ImagePool, db.TemplatePool, db.DatastorePool, db.ClusterPool,
		db.DocumentPool, db.UserQuotas, db.GroupQuotas, db.PoolControl, db.UserPool, db.GroupPool, db.ZonePool, db.ACL,
		db.SystemAttributes,
	} {
		if t.Name == name {
			return t
		}
	}
	return nil
}

func scan(to, value any) error {
	text, isText := value.(string)
	n, isNumber := number(value).(int64)
	switch p := to.(type) {
	case *int:
		*p = int(n)
		isText = false
	case *int64:
		*p = n
		isText = false
	case *string:
		if *p = text; !isText {
			*p = fmt.Sprint(n)
		}
		return nil
	case *sql.RawBytes:
		if *p = nil; value == nil {
			return nil
		}
		*p = sql.RawBytes(text)
		isNumber = isText
	default:
		return fmt.Errorf("cannot scan into %T", to)
	}
	if !isNumber {
		return fmt.Errorf("cannot scan a %T into a %T", value, to)
	}
	return nil
}
