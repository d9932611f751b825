package db_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"goned/core/db"
	"goned/core/internal/golden"
)

var quiet = slog.New(slog.DiscardHandler)

// backends are the ways to keep the tables, by name. Each call gives the configuration of a database that is not there yet.
func backends(t *testing.T) map[string]func(t *testing.T) db.Config {
	return map[string]func(t *testing.T) db.Config{
		"sqlite": func(t *testing.T) db.Config { return db.Config{Path: filepath.Join(t.TempDir(), "one.db")} },
		"mysql":  mysqlConfig,
	}
}

func onEach(t *testing.T, test func(t *testing.T, cfg db.Config)) {
	for name, cfg := range backends(t) {
		t.Run(name, func(t *testing.T) { test(t, cfg(t)) })
	}
}

// open opens a database and prepares it; it is closed when the test is over.
func open(t *testing.T, cfg db.Config) (d *db.DB, fresh bool) {
	t.Helper()
	d, err := db.Open(t.Context(), cfg, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	fresh, err = d.Prepare(t.Context(), time.Unix(1400000000, 0))
	if err != nil {
		t.Fatal(err)
	}
	return d, fresh
}

// rows reads a table whole; texts and numbers of both backends become strings.
func rows(t *testing.T, d *db.DB, table *db.Table) [][]string {
	t.Helper()
	var all [][]string
	err := d.Each(t.Context(), table, func(scan func(...any) error) error {
		values := make([]sql.NullString, len(table.Columns))
		into := make([]any, len(values))
		for i := range values {
			into[i] = &values[i]
		}
		if err := scan(into...); err != nil {
			return err
		}
		row := make([]string, len(values))
		for i, v := range values {
			row[i] = v.String
		}
		all = append(all, row)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// shut closes a database before its time, so that it can be opened again. (Only its last user can leave SQLite's WAL mode.)
func shut(t *testing.T, d *db.DB) {
	t.Helper()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

func save(t *testing.T, d *db.DB, rows ...db.Row) {
	t.Helper()
	if err := d.Save(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
}

func TestPrepareCreatesOnce(t *testing.T) {
	onEach(t, func(t *testing.T, cfg db.Config) {
		d, fresh := open(t, cfg)
		if !fresh {
			t.Error("a new database is not fresh")
		}
		want := [][]string{{"0", db.LocalVersion, "1400000000", "OpenNebula 4.6.2 daemon bootstrap", "0"}}
		if got := rows(t, d, db.LocalVersions); !reflect.DeepEqual(got, want) {
			t.Errorf("local versions: %q, want %q", got, want)
		}
		want = [][]string{{"0", db.SharedVersion, "1400000000", "OpenNebula 4.6.2 daemon bootstrap"}}
		if got := rows(t, d, db.SharedVersions); !reflect.DeepEqual(got, want) {
			t.Errorf("shared versions: %q, want %q", got, want)
		}
		shut(t, d)
		if _, fresh := open(t, cfg); fresh {
			t.Error("the second opening finds a fresh database")
		}
	})
}

// TestRowsComeBack writes every table, with text that is not ASCII and bytes that are no text, as bodies of old clients can hold.
func TestRowsComeBack(t *testing.T) {
	const body = "<X><![CDATA[数据 \"quoted\" 'single' \\ back \x00\xff\x80 🙂]]></X>"
	onEach(t, func(t *testing.T, cfg db.Config) {
		d, _ := open(t, cfg)
		save(t, d,
			db.Row{Table: db.VMPool, Values: []any{7, "名", body, 2, 100, 1400000001, 3, 3, 1, 0, 0}},
			db.Row{Table: db.Leases, Values: []any{0, int64(4294967295), body}},
			db.Row{Table: db.UserQuotas, Values: []any{2, body}},
			db.Row{Table: db.GroupQuotas, Values: []any{100, body}},
			db.Row{Table: db.ACL, Values: []any{0, int64(0x400000000), int64(0x7fffffffffffffff), int64(8), int64(0x400000000)}},
			db.Row{Table: db.PoolControl, Values: []any{"vm_pool", 7}},
			db.Row{Table: db.SystemAttributes, Values: []any{"DEFAULT_QUOTAS", body}},
		)
		shut(t, d)
		d, _ = open(t, cfg)
		for table, want := range map[*db.Table][]string{
			db.VMPool:           {"7", "名", body, "2", "100", "1400000001", "3", "3", "1", "0", "0"},
			db.Leases:           {"0", "4294967295", body},
			db.UserQuotas:       {"2", body},
			db.GroupQuotas:      {"100", body},
			db.ACL:              {"0", "17179869184", "9223372036854775807", "8", "17179869184"},
			db.PoolControl:      {"vm_pool", "7"},
			db.SystemAttributes: {"DEFAULT_QUOTAS", body},
		} {
			if got := rows(t, d, table); !reflect.DeepEqual(got, [][]string{want}) {
				t.Errorf("%s: %q, want %q", table.Name, got, want)
			}
		}
	})
}

func TestOperations(t *testing.T) {
	onEach(t, func(t *testing.T, cfg db.Config) {
		d, _ := open(t, cfg)
		for vm := range 3 {
			for poll := range 4 {
				save(t, d, db.Row{Table: db.VMMonitoring, Values: []any{vm, poll, "old"}})
			}
		}
		save(t, d,
			db.Row{Table: db.VMMonitoring, Values: []any{0, 3, "new"}},
			db.Row{Table: db.VMMonitoring, Op: db.Delete, Values: []any{1, 3}},
			db.Row{Table: db.VMMonitoring, Op: db.DeleteAll, Values: []any{2}},
			db.Row{Table: db.VMMonitoring, Op: db.Expire, Values: []any{2}},
		)
		want := [][]string{{"0", "2", "old"}, {"0", "3", "new"}, {"1", "2", "old"}}
		if got := rows(t, d, db.VMMonitoring); !reflect.DeepEqual(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

// TestBatchIsWholeOrNothing has a batch fail in its last row.
func TestBatchIsWholeOrNothing(t *testing.T) {
	onEach(t, func(t *testing.T, cfg db.Config) {
		d, _ := open(t, cfg)
		err := d.Save(t.Context(), []db.Row{
			{Table: db.SystemAttributes, Values: []any{"A", "1"}},
			{Table: db.VMPool, Values: []any{1, "too few values"}},
		})
		if err == nil || !strings.Contains(err.Error(), "vm_pool") {
			t.Fatalf("error %v, want one that names vm_pool", err)
		}
		if got := rows(t, d, db.SystemAttributes); got != nil {
			t.Errorf("half a batch is there: %q", got)
		}
		save(t, d, db.Row{Table: db.SystemAttributes, Values: []any{"A", "2"}})
	})
}

// TestNamesThatMySQLTakesForEqual must not remove an object when another gets such a name.
func TestNamesThatMySQLTakesForEqual(t *testing.T) {
	onEach(t, func(t *testing.T, cfg db.Config) {
		d, _ := open(t, cfg)
		user := func(id int, name, body string) db.Row {
			return db.Row{Table: db.UserPool, Values: []any{id, name, body, id, 1, 1, 0, 0}}
		}
		save(t, d, user(2, "abc", "1"))
		save(t, d, user(2, "abc", "2"))
		want := [][]string{{"2", "abc", "2", "2", "1", "1", "0", "0"}}
		err := d.Save(t.Context(), []db.Row{user(3, "ABC", "3")})
		switch {
		case err == nil:
			want = append(want, []string{"3", "ABC", "3", "3", "1", "1", "0", "0"})
		case !cfg.MySQL || !db.Refused(err):
			t.Errorf("error %v", err)
		}
		if got := rows(t, d, db.UserPool); !reflect.DeepEqual(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

// TestLongListsAreChangedInPlace lets images be used by more and more VMs: what a commit writes must not grow with the list.
func TestLongListsAreChangedInPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "one.db")
	d, _ := open(t, db.Config{Path: path})
	body := func(vms int) string {
		var b strings.Builder
		b.WriteString("<IMAGE><VMS>")
		for id := range vms {
			fmt.Fprintf(&b, "<ID>%d</ID>", 100000+id)
		}
		return b.String() + "</VMS><TEMPLATE><DEV_PREFIX>hd</DEV_PREFIX></TEMPLATE></IMAGE>"
	}
	image := func(vms int) {
		save(t, d, db.Row{Table: db.ImagePool, Values: []any{7, "image", body(vms), 0, 0, 1, 0, 0}})
	}
	logged := func() int64 {
		info, err := os.Stat(path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		return info.Size() / (24 + 4096) // a header and a page
	}
	for _, vms := range []int{1, 200, 1000, 5000, 10000} {
		image(vms)
		if got := rows(t, d, db.ImagePool); strings.TrimRight(got[0][2], " ") != body(vms) {
			t.Errorf("with %d VMs the body comes back as %.40q…", vms, got[0][2])
		}
		before := logged()
		const more = 100
		for range more {
			vms++
			image(vms)
		}
		if n := logged() - before; n > 3*more {
			t.Errorf("after %d VMs, %d more write %d pages", vms-more, more, n)
		}
	}
}

// TestNamesChangeHands gives each of two objects the other's name, in one batch.
func TestNamesChangeHands(t *testing.T) {
	d, _ := open(t, db.Config{Path: filepath.Join(t.TempDir(), "one.db")})
	image := func(id int, name, body string) db.Row {
		return db.Row{Table: db.ImagePool, Values: []any{id, name, body, 2, 1, 1, 0, 0}}
	}
	save(t, d, image(0, "a", "1"), image(1, "b", "1"))
	save(t, d, image(0, "b", "2"), image(1, "a", "2"))
	want := [][]string{{"0", "b", "2", "2", "1", "1", "0", "0"}, {"1", "a", "2", "2", "1", "1", "0", "0"}}
	if got := rows(t, d, db.ImagePool); !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestOtherVersionsAreLeftAlone(t *testing.T) {
	onEach(t, func(t *testing.T, cfg db.Config) {
		for i, table := range []*db.Table{db.LocalVersions, db.SharedVersions} {
			d, _ := open(t, cfg)
			later := []any{i + 1, "4.8.0", 0, "", 0}
			save(t, d, db.Row{Table: table, Values: later[:len(table.Columns)]})
			shut(t, d)

			d, err := db.Open(t.Context(), cfg, quiet)
			if err != nil {
				t.Fatal(err)
			}
			_, err = d.Prepare(t.Context(), time.Unix(0, 0))
			var version *db.VersionError
			if !errors.As(err, &version) || version.Table != table.Name || version.Found != "4.8.0" {
				t.Errorf("%s: error %v", table.Name, err)
			}
			for _, versions := range []*db.Table{db.LocalVersions, db.SharedVersions} {
				want := 1
				if versions == table {
					want = 2
				}
				if got := rows(t, d, versions); len(got) != want {
					t.Errorf("%s has %q", versions.Name, got)
				}
			}
			save(t, d, db.Row{Table: table, Op: db.Delete, Values: []any{i + 1}})
			shut(t, d)
		}
	})
}

func TestSlaveNeedsSharedTables(t *testing.T) {
	onEach(t, func(t *testing.T, cfg db.Config) {
		slave := cfg
		slave.Slave = true
		d, err := db.Open(t.Context(), slave, quiet)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		if _, err := d.Prepare(t.Context(), time.Unix(0, 0)); !errors.Is(err, db.ErrNoSharedTables) {
			t.Errorf("error %v, want %v", err, db.ErrNoSharedTables)
		}
	})
}

// TestSQLiteFileIsSingleWhenClosed is what lets the real 4.6.2 take the file back.
func TestSQLiteFileIsSingleWhenClosed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "one.db")
	d, err := db.Open(t.Context(), db.Config{Path: path}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Prepare(t.Context(), time.Unix(0, 0)); err != nil {
		t.Fatal(err)
	}
	save(t, d, db.Row{Table: db.SystemAttributes, Values: []any{"A", "1"}})
	shut(t, d)
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("beside the closed file there is something: %v %v", entries, err)
	}
	const writeVersion = 18 // offset in the header: 1 is the rollback journal, 2 is WAL
	if data, err := os.ReadFile(path); err != nil || data[writeVersion] != 1 {
		t.Errorf("the file is not in the journal mode of 4.6: %v", err)
	}
}

// TestSQLiteSchemaIsThatOf46 compares tables, columns, types and keys with a database that the real 4.6.2 has made.
func TestSQLiteSchemaIsThatOf46(t *testing.T) {
	cfg := db.Config{Path: filepath.Join(t.TempDir(), "one.db")}
	d, _ := open(t, cfg)
	shut(t, d) // into the one file that schema reads
	ours := schema(t, cfg.Path)
	theirs := schema(t, filepath.Join(golden.Dir(t), "db", "one-fresh.sqlite"))
	if len(theirs) == 0 {
		t.Fatal("the recorded database has no table")
	}
	for name, want := range theirs {
		if ours[name] != want {
			t.Errorf("%s:\n got %s\nwant %s", name, ours[name], want)
		}
	}
	for name := range ours {
		if theirs[name] == "" {
			t.Errorf("4.6 has no table %s", name)
		}
	}
}

// schema describes the tables of an SQLite file, by name: columns, then indices.
func schema(t *testing.T, path string) map[string]string {
	t.Helper()
	file, err := sql.Open("sqlite", "file:"+path+"?mode=ro&immutable=1")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	tables := map[string]string{}
	each(t, file, "SELECT name FROM sqlite_master WHERE type='table'", func(r []string) { tables[r[0]] = "" })
	for name := range tables {
		var b strings.Builder
		each(t, file, "SELECT name, type, pk FROM pragma_table_info('"+name+"')", func(r []string) { fmt.Fprintf(&b, "%s ", r) })
		each(t, file, `SELECT l."unique", group_concat(i.name) FROM pragma_index_list('`+name+`') l, pragma_index_info(l.name) i
			GROUP BY l.name ORDER BY 2`, func(r []string) { fmt.Fprintf(&b, "index %s ", r) })
		tables[name] = b.String()
	}
	return tables
}

func each(t *testing.T, file *sql.DB, query string, fn func(row []string)) {
	t.Helper()
	found, err := file.QueryContext(context.Background(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer found.Close()
	columns, _ := found.Columns()
	for found.Next() {
		row, into := make([]string, len(columns)), make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := found.Scan(into...); err != nil {
			t.Fatal(err)
		}
		fn(row)
	}
	if err := found.Err(); err != nil {
		t.Fatal(err)
	}
}
