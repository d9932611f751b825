package group

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"goned/core/resource"
)

func TestProviders(t *testing.T) {
	g, err := New(100, "g")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []Provider{{100, 10}, {0, 101}, {0, 10}} {
		if err := g.AddProvider(p); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]Provider{{0, 10}, {0, 101}, {100, 10}}, g.Providers); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	c := g.Clone()
	if err := c.DelProvider(Provider{0, 101}); err != nil || len(g.Providers) != 3 || len(c.Providers) != 2 {
		t.Errorf("%v, %v, %v", err, g.Providers, c.Providers)
	}
	if err := g.AddProvider(Provider{0, 10}); err == nil || err.Error() != "Resource provider is already assigned to this group" {
		t.Error(err)
	}
	if err := g.DelProvider(Provider{7, 7}); err == nil || err.Error() != "Resource provider is not assigned to this group" {
		t.Error(err)
	}
	const want = "<GROUP><ID>100</ID><NAME>g</NAME><TEMPLATE></TEMPLATE><USERS></USERS><RESOURCE_PROVIDER><ZONE_ID>0</ZONE_ID>" +
		"<CLUSTER_ID>10</CLUSTER_ID></RESOURCE_PROVIDER><RESOURCE_PROVIDER><ZONE_ID>100</ZONE_ID><CLUSTER_ID>10</CLUSTER_ID>" +
		"</RESOURCE_PROVIDER></GROUP>"
	if diff := cmp.Diff(want, string(c.PoolXML())); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestCheckDelete(t *testing.T) {
	for want, g := range map[string]*Group{
		"System Groups (ID < 100) cannot be deleted.": {ID: 1, Users: resource.IDs{2}},
		"Group 100 is not empty.":                     {ID: 100, Users: resource.IDs{2}},
		"":                                            {ID: 100},
	} {
		got := ""
		if err := g.CheckDelete(); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestAccess(t *testing.T) {
	want := resource.Access{GID: 100, Cluster: resource.NoCluster, Perms: resource.OwnerU | resource.OwnerM | resource.GroupU}
	if got := (&Group{ID: 100}).Access(); got != want {
		t.Errorf("%+v", got)
	}
	if _, err := New(100, "a/b"); err == nil || err.Error() != "Invalid NAME, char '/' is not allowed" {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(string((&Group{ID: 1, Name: "a", Users: resource.IDs{1, 2}, Providers: []Provider{{0, 10}}}).PoolXML()))
	f.Fuzz(func(t *testing.T, body string) {
		g, err := Parse(body)
		if err != nil || g.Template.XMLSafe() != nil {
			return
		}
		again, err := Parse(string(g.PoolXML()))
		if err != nil || again.Name != g.Name || !cmp.Equal(again.Providers, g.Providers) || !cmp.Equal(again.Users, g.Users) {
			t.Errorf("%v\n%s", err, g.PoolXML())
		}
	})
}
