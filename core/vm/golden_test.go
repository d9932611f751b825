package vm

import (
	"regexp"
	"strings"
	"testing"

	"goned/core/internal/golden"
)

func TestStoredVMsSurvive(t *testing.T) {
	n := 0
	golden.Rows(t, "SELECT body FROM vm_pool UNION ALL SELECT body FROM vm_monitoring", func(path string, c []string) {
		n++
		v, err := Parse(c[0])
		if err != nil {
			t.Errorf("%s: %v", path, err)
			return
		}
		if got, want := string(v.PoolXML()), withoutEmpty(c[0]); got != want {
			t.Errorf("%s: VM %d\n got %s\nwant %s", path, v.ID, got, want)
		}
	})
	if n == 0 {
		t.Error("no VMs")
	}
}

func TestStoredRecordsSurvive(t *testing.T) {
	n := 0
	golden.Rows(t, "SELECT body, vid, seq, stime, etime FROM history", func(path string, c []string) {
		n++
		r, err := ParseRecord(c[0])
		if err != nil {
			t.Errorf("%s: %v", path, err)
			return
		}
		if got := string(r.Body()); got != c[0] {
			t.Errorf("%s: record %d/%d\n got %s\nwant %s", path, r.OID, r.Seq, got, c[0])
		}
		if r.VMInfo == "" {
			t.Errorf("%s: record %d/%d has no VM", path, r.OID, r.Seq)
			return
		}
		v, err := Parse(r.VMInfo)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			return
		}
		if got := string(v.SnapshotXML()); got != r.VMInfo {
			t.Errorf("%s: snapshot %d/%d\n got %s\nwant %s", path, r.OID, r.Seq, got, r.VMInfo)
		}
	})
	if n == 0 {
		t.Error("no records")
	}
}

// Every recorded one.vm.info document reads and writes back, once 4.6's own dropping of empty members is allowed for.
func TestRecordedDocuments(t *testing.T) {
	n := 0
	for _, name := range []string{"vm", "vm-lifecycle", "vm-states", "vm-hotplug"} {
		for _, s := range golden.Read(t, golden.Dir(t)+"/"+name+".json") {
			for i := range s.Steps {
				if s.Steps[i].Call != "one.vm.info" || !s.Steps[i].OK() {
					continue
				}
				n++
				doc := withoutEmpty(strings.ReplaceAll(s.Steps[i].Answer(), "@TIME@", "7"))
				v, err := Parse(doc)
				if err != nil {
					t.Errorf("%s: %v", s.Name, err)
					continue
				}
				if got := string(v.InfoXML()); got != doc {
					t.Errorf("%s:\n got %s\nwant %s", s.Name, got, doc)
				}
			}
		}
	}
	if n == 0 {
		t.Error("no documents")
	}
	t.Logf("%d documents", n)
}

var emptyElement = regexp.MustCompile(`<[A-Z0-9_]+/>|<([A-Z0-9_]+)></[A-Z0-9_]+>`)

// withoutEmpty drops members and vectors without value from the two templates of a document: 4.6 itself loses them at the next
// load, so they are not kept.
func withoutEmpty(doc string) string {
	from, to := strings.Index(doc, "<TEMPLATE>"), strings.LastIndex(doc, "<HISTORY_RECORDS")
	return doc[:from] + emptyElement.ReplaceAllStringFunc(doc[from:to], func(e string) string {
		if strings.HasSuffix(e, "TEMPLATE>") {
			return e
		}
		return ""
	}) + doc[to:]
}
