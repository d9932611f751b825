package cluster

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"goned/core/resource"
	"goned/core/template"
)

func TestNew(t *testing.T) {
	c, err := New(100, "c1")
	if err != nil {
		t.Fatal(err)
	}
	const want = "<CLUSTER><ID>100</ID><NAME>c1</NAME><HOSTS></HOSTS><DATASTORES></DATASTORES><VNETS></VNETS><TEMPLATE>" +
		"<RESERVED_CPU><![CDATA[]]></RESERVED_CPU><RESERVED_MEM><![CDATA[]]></RESERVED_MEM></TEMPLATE></CLUSTER>"
	if diff := cmp.Diff(want, string(c.PoolXML())); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if _, err := New(100, "a|b"); err == nil || err.Error() != "Invalid NAME, char '|' is not allowed" {
		t.Error(err)
	}
}

func TestReserved(t *testing.T) {
	for text, want := range map[string][2]int64{"": {}, "RESERVED_CPU=50\nRESERVED_MEM=x": {50, 0}, "RESERVED_MEM=-9": {0, -9}} {
		tmpl, err := template.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		cpu, mem := (&Cluster{Template: tmpl}).Reserved()
		if cpu != want[0] || mem != want[1] {
			t.Errorf("%q: %d %d", text, cpu, mem)
		}
	}
}

func TestCheckDelete(t *testing.T) {
	ids := resource.IDs{1, 2}
	for want, c := range map[string]*Cluster{
		"System Clusters (ID < 100) cannot be deleted.":       {ID: 10},
		"Cluster 100 is not empty, it contains 2 hosts.":      {ID: 100, Hosts: ids, Nets: ids},
		"Cluster 100 is not empty, it contains 2 datastores.": {ID: 100, Datastores: ids, Nets: ids},
		"Cluster 100 is not empty, it contains 2 vnets.":      {ID: 100, Nets: ids},
		"": {ID: 100},
	} {
		got := ""
		if err := c.CheckDelete(); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
