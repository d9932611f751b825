package config

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goned/core/template"
)

const shippedDir = "../../share/etc"

func shipped(t *testing.T) (text string, c *Config) {
	t.Helper()
	path := filepath.Join(shippedDir, "oned.conf")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c, err = Load(path, Dirs{Var: "/var/lib/one/"})
	if err != nil {
		t.Fatal(err)
	}
	return string(data), c
}

// TestShippedValues says what the shipped file sets otherwise than the program without a file.
func TestShippedValues(t *testing.T) {
	_, c := shipped(t)
	bare, err := Parse("", c.Dirs)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"SESSION_EXPIRATION_TIME=900"}
	var got []string
	for a := range c.Attributes.Attrs() {
		if a.Vec == nil && bare.Attributes.Has(a.Name) && !strings.EqualFold(a.Value, bare.Attributes.Get(a.Name)) {
			got = append(got, a.Name+"="+a.Value)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("other values than the defaults (-want +got):\n%s", diff)
	}
	if c.Log != bare.Log || c.DB != bare.DB || c.Federation != bare.Federation {
		t.Errorf("LOG, DB or FEDERATION are not the defaults: %+v %+v %+v", c.Log, c.DB, c.Federation)
	}
	for _, list := range []struct {
		name      string
		got, want []string
	}{
		{"VM_RESTRICTED_ATTR", c.VMRestricted, []string{"CONTEXT/FILES", "NIC/MAC", "NIC/VLAN_ID", "NIC/BRIDGE"}},
		{"IMAGE_RESTRICTED_ATTR", c.ImageRestricted, []string{"SOURCE"}},
		{"INHERIT_DATASTORE_ATTR", c.InheritDS,
			[]string{"CEPH_HOST", "CEPH_SECRET", "CEPH_USER", "RBD_FORMAT", "GLUSTER_HOST", "GLUSTER_VOLUME"}},
		{"INHERIT_VNET_ATTR", c.InheritVNet, []string{"VLAN_TAGGED_ID"}},
	} {
		if diff := cmp.Diff(list.want, list.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", list.name, diff)
		}
	}
}

// TestShippedIsComplete finds every attribute that the program knows in the file, be it in a comment.
func TestShippedIsComplete(t *testing.T) {
	text, _ := shipped(t)
	source, err := os.ReadFile("config.go")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range regexp.MustCompile(`"([A-Z][A-Z_]+)"`).FindAllStringSubmatch(string(source), -1) {
		names = append(names, m[1])
	}
	slices.Sort(names)
	// Words of config.go that are no names: values.
	values := []string{"NO", "OS", "YES"}
	for _, name := range slices.Compact(names) {
		if slices.Contains(values, name) {
			continue
		}
		if !regexp.MustCompile(`\b` + name + `\b`).MatchString(text) {
			t.Errorf("%s is not in the shipped oned.conf", name)
		}
	}
}

func TestShippedDrivers(t *testing.T) {
	_, c := shipped(t)
	for _, name := range []string{"kvm", "xen", "qemu", "dummy"} {
		if !named(c.VMMads, name) || !named(c.IMMads, name) {
			t.Errorf("no VM_MAD or IM_MAD %s", name)
		}
	}
	for _, mad := range c.VMMads {
		if kind := mad.Get("TYPE"); !slices.Contains([]string{"xen", "kvm", "qemu", "vmware", "xml"}, kind) {
			t.Errorf("VM_MAD %s has the TYPE %q", mad.Get("NAME"), kind)
		}
		if file := mad.Get("DEFAULT"); file != "" {
			data, err := os.ReadFile(filepath.Join(shippedDir, file))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := template.ParseText(string(data)); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
	for what, v := range map[string]*template.Vector{
		"TM_MAD": c.TMMad, "DATASTORE_MAD": c.DatastoreMad, "HM_MAD": c.HMMad, "AUTH_MAD": c.AuthMad,
	} {
		if v.Get("EXECUTABLE") == "" {
			t.Errorf("no %s", what)
		}
	}
	// Every transfer driver that may be used has to be described, too.
	_, list, _ := strings.Cut(c.TMMad.Get("ARGUMENTS"), "-d ")
	for _, name := range strings.Split(list, ",") {
		if !named(c.TMConfs, name) {
			t.Errorf("no TM_MAD_CONF for %s", name)
		}
	}
}

func named(all []*template.Vector, name string) bool {
	return slices.ContainsFunc(all, func(v *template.Vector) bool { return v.Get("NAME") == name })
}
