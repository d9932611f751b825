// Package golden gives tests the recordings of the real 4.6.2, where they are at hand.
package golden

import (
	"database/sql"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	// Databases of 4.6 are SQLite files.
	_ "modernc.org/sqlite"
)

// Dir is the directory of the recordings: $GONED_SHARED/golden, or shared/golden beside the module. The test is skipped without it.
func Dir(t testing.TB) string {
	t.Helper()
	shared := os.Getenv("GONED_SHARED")
	if shared == "" {
		_, file, _, _ := runtime.Caller(0)
		shared = filepath.Join(filepath.Dir(file), "..", "..", "..", "..", "shared")
	}
	dir := filepath.Join(shared, "golden")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no recordings of 4.6.2 in %s: set GONED_SHARED", dir)
	}
	return dir
}

// Databases are the paths of the recorded databases.
func Databases(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(Dir(t), "db", "*.sqlite"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no databases: %v", err)
	}
	return paths
}

// Rows calls visit for each row of a query that gives text columns, on every recorded database.
func Rows(t testing.TB, query string, visit func(path string, columns []string)) {
	t.Helper()
	for _, path := range Databases(t) {
		db, err := sql.Open("sqlite", "file:"+path+"?mode=ro&immutable=1")
		if err != nil {
			t.Fatal(err)
		}
		if err := eachRow(db, query, func(columns []string) { visit(filepath.Base(path), columns) }); err != nil {
			t.Fatalf("%s: %s: %v", path, query, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func eachRow(db *sql.DB, query string, visit func([]string)) error {
	rows, err := db.Query(query)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	names, err := rows.Columns()
	if err != nil {
		return err
	}
	for rows.Next() {
		columns := make([]string, len(names))
		into := make([]any, len(names))
		for i := range columns {
			into[i] = &columns[i]
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
		visit(columns)
	}
	return rows.Err()
}

// Scenario is a sequence of recorded steps on one daemon.
type Scenario struct {
	Name  string
	Steps []Step
}

// Step is a call and its result; steps of other kinds have no Call.
type Step struct {
	Call   string
	As     string
	Params []map[string]any
	Result struct {
		Array []map[string]any
	}
	Content map[string]string
}

// Text is the text of parameter n, "" if it is none.
func (s *Step) Text(n int) string {
	if n >= len(s.Params) {
		return ""
	}
	text, _ := s.Params[n]["string"].(string)
	return text
}

// Int is the number of parameter n, -1 if it is none.
func (s *Step) Int(n int) int {
	if n < len(s.Params) {
		if v, ok := s.Params[n]["int"].(float64); ok {
			return int(v)
		}
	}
	return -1
}

// OK reports whether the call succeeded.
func (s *Step) OK() bool {
	if len(s.Result.Array) == 0 {
		return false
	}
	ok, _ := s.Result.Array[0]["boolean"].(bool)
	return ok
}

// Answer is the text that the call returned.
func (s *Step) Answer() string {
	if len(s.Result.Array) < 2 {
		return ""
	}
	text, _ := s.Result.Array[1]["string"].(string)
	return text
}

// ID is the number that the call returned, -1 if none.
func (s *Step) ID() int {
	if len(s.Result.Array) < 2 {
		return -1
	}
	for _, v := range s.Result.Array[1] {
		if n, ok := v.(float64); ok {
			return int(n)
		}
	}
	return -1
}

// Read reads a file of recorded scenarios.
func Read(t testing.TB, path string) []Scenario {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct{ Scenarios []Scenario }
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return doc.Scenarios
}
