package model

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"goned/core/db"
)

// database is 4.6's tables in memory.
type database struct {
	tables map[string]map[key][]any
	// refuse makes the next batch fail as a whole; refused counts such batches.
	refuse  bool
	refused int
}

// key is a primary key; of one column the second part is nil.
type key [2]any

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
	if d.refuse {
		d.refuse = false
		d.refused++
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
			t[keyOf(r.Values[:r.Table.Keys])] = r.Values
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
	for i, v := range values {
		k[i] = number(v)
	}
	return k
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

// Query implements state.Source for what state.Load asks: columns of a table in the order of its key.
func (d *database) Query(_ context.Context, query string, _ []any, fn func(scan func(dest ...any) error) error) error {
	rest, ok := strings.CutPrefix(query, "SELECT ")
	list, from, found := strings.Cut(rest, " FROM ")
	if !ok || !found {
		return fmt.Errorf("unexpected query %q", query)
	}
	name, _, _ := strings.Cut(from, " ")
	table := tableNamed(name)
	if table == nil {
		return fmt.Errorf("no table %q", name)
	}
	var columns []int
	for _, c := range strings.Split(list, ", ") {
		at := slices.Index(table.Columns, c)
		if at < 0 {
			return fmt.Errorf("table %s has no column %q", name, c)
		}
		columns = append(columns, at)
	}
	rows := d.tables[name]
	keys := make([]key, 0, len(rows))
	for k := range rows {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, compareKeys)
	for _, k := range keys {
		values := rows[k]
		err := fn(func(dest ...any) error {
			for i, to := range dest {
				if err := scan(to, values[columns[i]]); err != nil {
					return fmt.Errorf("%s.%s: %w", name, table.Columns[columns[i]], err)
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
