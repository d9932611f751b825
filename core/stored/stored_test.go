// Package stored_test checks that what 4.6 stored comes back byte for byte after it was read and written again.
package stored_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	_ "modernc.org/sqlite"

	"goned/core/cluster"
	"goned/core/document"
	"goned/core/group"
	"goned/core/host"
	"goned/core/quota"
	"goned/core/user"
	"goned/core/vmtemplate"
	"goned/core/zone"
)

// rewrite reads a body and writes it again.
type rewrite func(body string) (string, error)

func rewriter[T interface{ PoolXML() []byte }](parse func(string) (T, error)) rewrite {
	return func(body string) (string, error) {
		obj, err := parse(body)
		if err != nil {
			return "", err
		}
		return string(obj.PoolXML()), nil
	}
}

func account(ofGroup bool) rewrite {
	return rewriter(func(body string) (*quota.Account, error) { return quota.ParseAccount(body, ofGroup) })
}

func defaults(body string) (string, error) {
	q, err := quota.Parse(body)
	if err != nil {
		return "", err
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(body, "<"), ">")
	return string(q.DefaultsXML(name)), nil
}

var tables = map[string]rewrite{
	"user_pool":         rewriter(user.Parse),
	"group_pool":        rewriter(group.Parse),
	"zone_pool":         rewriter(zone.Parse),
	"cluster_pool":      rewriter(cluster.Parse),
	"host_pool":         rewriter(host.Parse),
	"host_monitoring":   rewriter(host.Parse),
	"document_pool":     rewriter(document.Parse),
	"template_pool":     rewriter(vmtemplate.Parse),
	"user_quotas":       account(false),
	"group_quotas":      account(true),
	"system_attributes": defaults,
}

// emptyKey is a vector key without value, emptyElement a vector without keys: 4.6 writes both, and drops them when it reads the
// body again.
var (
	emptyKey     = regexp.MustCompile(`<[A-Za-z0-9_]+/>`)
	emptyElement = regexp.MustCompile(`<[A-Za-z0-9_]+></[A-Za-z0-9_]+>`)
)

// reread is the body as 4.6 has it after reading.
func reread(body string) string {
	from, to := strings.Index(body, "<TEMPLATE>"), strings.LastIndex(body, "</TEMPLATE>")
	if from < 0 {
		return body
	}
	from += len("<TEMPLATE>")
	attributes := emptyElement.ReplaceAllString(body[from:to], "")
	return body[:from] + emptyKey.ReplaceAllString(attributes, "") + body[to:]
}

func check(t *testing.T, rewrite rewrite, body string) {
	t.Helper()
	got, err := rewrite(body)
	if err != nil {
		t.Errorf("%v\n%s", err, body)
		return
	}
	if diff := cmp.Diff(reread(body), got); diff != "" {
		t.Errorf("body changed (-stored +written):\n%s", diff)
	}
	again, err := rewrite(got)
	if err != nil || again != reread(got) {
		t.Errorf("second reading: %v\n%s", err, cmp.Diff(got, again))
	}
}

// bodies are the stored bodies in testdata/<table>.xml, with an empty line between them.
func bodies(t *testing.T, table string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", table+".xml"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n\n")
}

// TestBodies reads and writes the bodies in testdata.
func TestBodies(t *testing.T) {
	for table, rewrite := range tables {
		t.Run(table, func(t *testing.T) {
			for _, body := range bodies(t, table) {
				check(t, rewrite, body)
			}
		})
	}
}

// TestElementsRequired drops each element of the first body in turn: 4.6 cannot read what is left.
func TestElementsRequired(t *testing.T) {
	optional := map[string]bool{"RESOURCE_PROVIDER": true}
	element := regexp.MustCompile(`^<([A-Z_]+)>`)
	for table, rewrite := range tables {
		if strings.HasSuffix(table, "quotas") || table == "system_attributes" {
			continue
		}
		t.Run(table, func(t *testing.T) {
			body := bodies(t, table)[0]
			inner := body[strings.Index(body, ">")+1 : strings.LastIndex(body, "</")]
			head, tail := body[:strings.Index(body, ">")+1], body[strings.LastIndex(body, "</"):]
			dropped := 0
			for at := 0; at < len(inner); {
				m := element.FindStringSubmatch(inner[at:])
				if m == nil {
					t.Fatalf("no element at %q", inner[at:])
				}
				end := at + strings.Index(inner[at:], "</"+m[1]+">") + len(m[1]) + 3
				if _, err := rewrite(head + inner[:at] + inner[end:] + tail); err == nil && !optional[m[1]] {
					t.Errorf("a body without %s is read", m[1])
				}
				at = end
				dropped++
			}
			if dropped < 3 {
				t.Errorf("only %d elements", dropped)
			}
		})
	}
}

// TestHostile feeds what no oned wrote: an error, not a panic.
func TestHostile(t *testing.T) {
	for table, rewrite := range tables {
		for _, body := range []string{"", "<", "<A/>", "<A>x</A>", "<QUOTAS><ID>99999999999999999999</ID></QUOTAS>", "<USER><ID>x</ID></USER>"} {
			if got, err := rewrite(body); err == nil && table != "system_attributes" {
				t.Errorf("%s reads %q as %q", table, body, got)
			}
		}
	}
}

// TestRecordedDatabases reads every body of the recorded databases, if they are there.
func TestRecordedDatabases(t *testing.T) {
	shared := os.Getenv("GONED_SHARED")
	if shared == "" {
		shared = "../../../shared"
	}
	files, err := filepath.Glob(filepath.Join(shared, "golden", "db", "*.sqlite"))
	if err != nil || len(files) == 0 {
		t.Skipf("no recorded databases under %s (set GONED_SHARED)", shared)
	}
	for _, file := range files {
		path, err := filepath.Abs(file)
		if err != nil {
			t.Fatal(err)
		}
		db, err := sql.Open("sqlite", "file:"+path+"?mode=ro&immutable=1")
		if err != nil {
			t.Fatal(err)
		}
		for table, rewrite := range tables {
			t.Run(filepath.Base(file)+"/"+table, func(t *testing.T) {
				rows, err := db.Query("SELECT body FROM " + table)
				if err != nil {
					t.Fatal(err)
				}
				defer rows.Close()
				for rows.Next() {
					var body string
					if err := rows.Scan(&body); err != nil {
						t.Fatal(err)
					}
					check(t, rewrite, body)
				}
				if err := rows.Err(); err != nil {
					t.Fatal(err)
				}
			})
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}
