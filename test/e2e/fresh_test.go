package e2e

import (
	"database/sql"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write testdata anew")

// TestFreshDatabase compares a database that oned has just made with the one
// that the real 4.6.2 makes, table by table, but for secrets and times.
func TestFreshDatabase(t *testing.T) {
	t.Parallel()
	want := goldenText(t, "fresh-database.txt")
	t.Run("recording", func(t *testing.T) {
		db, err := sql.Open("sqlite", "file:"+shared(t, "golden", "db", "one-fresh.sqlite")+"?mode=ro&immutable=1")
		must(t, err)
		defer db.Close()
		want.compare(t, dump(t, db))
	})
	t.Run("ours", func(t *testing.T) {
		c := newCloud(t, settings{untouched: true, conf: "MONITORING_INTERVAL = 2000000000\n" +
			"DATASTORE_LOCATION = /var/lib/one/datastores\nDATASTORE_BASE_PATH = /var/lib/one/datastores\n"})
		c.stop()
		db := c.openDatabase()
		defer db.Close()
		want.compare(t, dump(t, db))
	})
}

// dump writes tables and rows as text, without what differs from one database to the next.
func dump(t *testing.T, db *sql.DB) string {
	t.Helper()
	var b strings.Builder
	for _, table := range texts(t, db, "SELECT name FROM sqlite_master WHERE type='table' ORDER BY name") {
		for _, ddl := range texts(t, db, "SELECT sql FROM sqlite_master WHERE name='"+table+"'") {
			ddl = strings.NewReplacer(", ", ",", " )", ")").Replace(ddl)
			fmt.Fprintln(&b, strings.Replace(ddl, "CREATE TABLE "+table+" (", "\n"+table+" (", 1))
		}
		rows, err := db.Query("SELECT * FROM " + table + " ORDER BY 1, 2")
		must(t, err)
		columns, err := rows.Columns()
		must(t, err)
		for rows.Next() {
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new(sql.NullString)
			}
			must(t, rows.Scan(values...))
			for i, v := range values {
				text := v.(*sql.NullString).String
				if columns[i] == "timestamp" {
					text = "TIME"
				}
				fmt.Fprintf(&b, " | %s", text)
			}
			fmt.Fprintln(&b)
		}
		must(t, rows.Err())
	}
	return strings.NewReplacer("><", ">\n    <").Replace(masked(b.String()))
}

// secrets are the random words of a database, and the port of the daemon.
var secrets = regexp.MustCompile(`(<TOKEN_PASSWORD><!\[CDATA\[|<NAME>serveradmin</NAME><PASSWORD>|http://localhost:)[0-9a-f]+`)

func masked(text string) string { return secrets.ReplaceAllString(text, "${1}SECRET") }

func texts(t *testing.T, db *sql.DB, query string) []string {
	t.Helper()
	rows, err := db.Query(query)
	must(t, err)
	defer rows.Close()
	var all []string
	for rows.Next() {
		var text string
		must(t, rows.Scan(&text))
		all = append(all, text)
	}
	must(t, rows.Err())
	return all
}

// golden is a text in testdata.
type golden struct{ path, text string }

func goldenText(t *testing.T, names ...string) golden {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(append([]string{"testdata"}, names...)...))
	must(t, err)
	text, err := os.ReadFile(path)
	if !*update {
		must(t, err)
	}
	return golden{path, string(text)}
}

// compare fails the test if got is another text, or with -update takes it over.
func (g golden) compare(t *testing.T, got string) {
	t.Helper()
	if *update {
		must(t, os.WriteFile(g.path, []byte(got), 0o644))
		return
	}
	if diff := cmp.Diff(strings.Split(g.text, "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s (-) and what there is (+) differ:\n%s", filepath.Base(g.path), diff)
	}
}
