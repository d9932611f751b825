package match

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the expected texts in testdata")

// pinned is the case of an operator of 2014: the machine is pinned to the one
// host left, whose cluster has no system datastore.
func pinned() *cloud {
	return new(cloud).
		host(0, -1, 8, "<HYPERVISOR>xen</HYPERVISOR>").host(30, 100, 8, "<HYPERVISOR>kvm</HYPERVISOR>").
		datastore(0, 1, -1, 10000, "").datastore(1, 0, -1, 10000, "").
		vm(234, `<SCHED_REQUIREMENTS>ID="30"</SCHED_REQUIREMENTS>`, "<AUTOMATIC_REQUIREMENTS>!(PUBLIC_CLOUD = YES)</AUTOMATIC_REQUIREMENTS>")
}

func TestExplain(t *testing.T) {
	conf := Policy{HostRank: HostPolicy(1, ""), DatastoreRank: DatastorePolicy(1, ""), MaxDispatch: 30, MaxHost: 1}
	hosts := func() *cloud {
		return new(cloud).host(0, -1, 2, "<X>1.5</X><RACK>r1</RACK>").host(1, -1, 1, "<RACK>r2</RACK>").host(2, 100, 4, "<X>7</X>").
			datastore(0, 1, -1, 100, "").datastore(9, 1, 100, 5, "<SHARED>NO</SHARED>").datastore(5, 0, -1, 50, "")
	}
	tests := []struct {
		name  string
		cloud *cloud
		maxVM int
		id    int
	}{
		{"pinned", pinned(), 0, 234},
		{"surprises", hosts().vm(3, `<SCHED_REQUIREMENTS>RACK != "r9" | X = 1 &amp; X &gt; 1</SCHED_REQUIREMENTS><SCHED_RANK>X * 0.5</SCHED_RANK>`, ""), 0, 3},
		{"rank", hosts().vm(3, `<SCHED_RANK>X * 0.5 + NOPE - RACK</SCHED_RANK>`, ""), 0, 3},
		{"broken-rank", hosts().vm(3, `<SCHED_RANK>X X</SCHED_RANK><SCHED_DS_RANK>1 / 0</SCHED_DS_RANK>`, ""), 0, 3},
		{"capacity", hosts().vm(1, "", "").rawVM("<VM><ID>2</ID><UID>0</UID><GID>0</GID><NAME>big</NAME><STATE>1</STATE><LCM_STATE>0</LCM_STATE><TEMPLATE>" +
			"<CPU>9</CPU><MEMORY>9999999</MEMORY></TEMPLATE><USER_TEMPLATE/></VM>"), 0, 2},
		{"not-authorized", hosts().rawVM("<VM><ID>2</ID><UID>7</UID><GID>8</GID><NAME>u</NAME><STATE>1</STATE><LCM_STATE>0</LCM_STATE><TEMPLATE>" +
			"<CPU>1</CPU><MEMORY>9</MEMORY></TEMPLATE><USER_TEMPLATE/></VM>"), 0, 2},
		{"syntax-error", hosts().vm(4, "<SCHED_REQUIREMENTS>X &gt;= 1</SCHED_REQUIREMENTS><SCHED_RANK>X - </SCHED_RANK>", ""), 0, 4},
		{"escape", hosts().vm(4, "<SCHED_REQUIREMENTS>X = 1 ) | ( X = 7</SCHED_REQUIREMENTS>", "<AUTOMATIC_REQUIREMENTS>CLUSTER_ID = -1</AUTOMATIC_REQUIREMENTS>"), 0, 4},
		{"taken-before", new(cloud).host(0, -1, 1, "").datastore(0, 1, -1, 100, "").vm(1, "", "").vm(2, "", ""), 0, 2},
		{"beyond-max-vm", hosts().vm(1, "", "").vm(2, "", ""), 1, 2},
		{"image-datastore", hosts().vm(1, "", "<DISK><DATASTORE_ID>5</DATASTORE_ID><SIZE>50</SIZE><CLONE>NO</CLONE><LN_TARGET>SELF</LN_TARGET></DISK>"), 0, 1},
		{"local-space", new(cloud).host(2, 100, 4, "").datastore(9, 1, 100, 5, "<SHARED>NO</SHARED>").
			vm(1, "", "<DISK><TYPE>swap</TYPE><SIZE>2000</SIZE></DISK>"), 0, 1},
		{"running", hosts().rawVM("<VM><ID>1</ID><UID>0</UID><GID>0</GID><NAME>r</NAME><STATE>3</STATE><LCM_STATE>3</LCM_STATE><RESCHED>0</RESCHED>" +
			"<TEMPLATE><CPU>1</CPU><MEMORY>9</MEMORY></TEMPLATE><USER_TEMPLATE/></VM>"), 0, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, err := Explain(tt.cloud.pools(t), conf, tt.maxVM, tt.id)
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			if err := e.WriteText(&b); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", "explain", tt.name+".txt")
			if *update {
				if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if b.String() != string(want) {
				t.Errorf("got\n%s\nwant\n%s", b.String(), want)
			}
		})
	}
}

// The explanation and the pass must agree about what happens.
func TestExplainTellsWhatThePassDoes(t *testing.T) {
	c := pinned().vm(235, "", "").host(31, -1, 1, "")
	orders, _, _ := pass(c.snapshot(t), unlimited, nil)
	if want := []Dispatch{{VM: 235, Host: 31, Datastore: 0}}; len(orders) != 1 || orders[0] != want[0] {
		t.Fatalf("orders %v, want %v", orders, want)
	}
	for id, want := range map[int]string{234: "it stays PENDING", 235: "deployed on host 31 with system datastore 0"} {
		e, err := Explain(c.pools(t), unlimited, 0, id)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(e.Result, want) {
			t.Errorf("VM %d: %s", id, e.Result)
		}
	}
}

func TestExplainUnknownVM(t *testing.T) {
	if _, err := Explain(pinned().pools(t), unlimited, 0, 1); err == nil {
		t.Error("no error")
	}
}

func TestParsePoolsRefusesOtherDocuments(t *testing.T) {
	for _, text := range []string{"", "<VM_POOL/>", "<SCHED_SNAPSHOT/>", "<SCHED_SNAPSHOT><VM_POOL>"} {
		if _, err := ParsePools(text); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}
