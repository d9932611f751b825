package datastore

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"goned/core/image"
	"goned/core/internal/golden"
	"goned/core/resource"
	"goned/core/template"
)

func TestStoredDatastoresSurvive(t *testing.T) {
	n := 0
	golden.Rows(t, "SELECT body FROM datastore_pool", func(path string, c []string) {
		n++
		checkRoundTrip(t, path, c[0])
	})
	if n == 0 {
		t.Error("no datastores")
	}
}

func checkRoundTrip(t *testing.T, label, body string) {
	t.Helper()
	d, err := Parse(body)
	if err != nil {
		t.Errorf("%s: %v", label, err)
		return
	}
	if got := string(d.PoolXML()); got != body {
		t.Errorf("%s:\n got %s\nwant %s", label, got, body)
	}
}

func sample(t testing.TB) string {
	t.Helper()
	body, err := os.ReadFile("testdata/image.xml")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(string(body), "\n")
}

func TestBody(t *testing.T) {
	body := sample(t)
	checkRoundTrip(t, "image.xml", body)
	d, err := Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	if a := d.Access(); a.Cluster != 100 || a.Perms != d.Perms {
		t.Errorf("access %+v", a)
	}
	for _, name := range []string{"DS_MAD", "TM_MAD", "BASE_PATH", "TYPE", "CLUSTER", "IMAGES", "TEMPLATE", "FREE_MB"} {
		loc := regexp.MustCompile(`(?s)<` + name + `>.*?</` + name + `>`).FindStringIndex(body)
		if name == "TEMPLATE" {
			loc = regexp.MustCompile(`(?s)<TEMPLATE>.*</TEMPLATE>`).FindStringIndex(body)
		}
		if _, err := Parse(body[:loc[0]] + body[loc[1]:]); err == nil && !strings.Contains("TYPE", name) {
			t.Errorf("a body without %s was read", name)
		}
	}
}

// conf is the configuration of the recordings.
func conf(t testing.TB) Config {
	t.Helper()
	tmpl, err := template.ParseText(`
TM_MAD_CONF = [ NAME = "dummy", LN_TARGET = "NONE", CLONE_TARGET = "SYSTEM", SHARED = "yes" ]
TM_MAD_CONF = [ NAME = "shared", LN_TARGET = "NONE", CLONE_TARGET = "SYSTEM", SHARED = "yes" ]
TM_MAD_CONF = [ NAME = "qcow2", LN_TARGET = "NONE", CLONE_TARGET = "SYSTEM", SHARED = "yes" ]
TM_MAD_CONF = [ NAME = "ssh", LN_TARGET = "system", CLONE_TARGET = "SYSTEM", SHARED = "no" ]
TM_MAD_CONF = [ NAME = "lvm", LN_TARGET = "NONE", CLONE_TARGET = "SELF", SHARED = "yes" ]
TM_MAD_CONF = [ NAME = "ceph", LN_TARGET = "NONE", CLONE_TARGET = "SELF", SHARED = "yes" ]
TM_MAD_CONF = [ NAME = "broken", LN_TARGET = "ELSEWHERE", CLONE_TARGET = "SELF" ]
`)
	if err != nil {
		t.Fatal(err)
	}
	return Config{BasePath: "@DIR@/var//datastores", TM: tmpl.Vectors("TM_MAD_CONF"), CheckCapacity: true}
}

func TestRecordedDatastores(t *testing.T) {
	compared := 0
	for _, s := range golden.Read(t, golden.Dir(t)+"/datastore.json") {
		stores := map[int]*Datastore{}
		for i := range s.Steps {
			if replay(t, stores, &s.Steps[i]) {
				compared++
			}
		}
	}
	if compared < 20 {
		t.Errorf("only %d steps compared", compared)
	}
	t.Logf("%d steps compared", compared)
}

func replay(t *testing.T, stores map[int]*Datastore, s *golden.Step) bool {
	t.Helper()
	switch s.Call {
	case "one.datastore.allocate":
		tmpl, err := template.Parse(s.Text(0))
		_, want, _ := strings.Cut(s.Answer(), "Error allocating a new datastore. ")
		if err != nil || !s.OK() && want == "" || strings.Contains(want, "NAME") || strings.Contains(want, "transforming") {
			return false // refused before the datastore is made
		}
		d, err := New(resource.Base{ID: s.ID()}, -1, "", tmpl, conf(t))
		switch {
		case s.OK() && err != nil:
			t.Errorf("%s: %v", s.Text(0), err)
		case s.OK():
			stores[s.ID()] = d
		case err == nil || err.Error() != want:
			t.Errorf("%s: error %v, want %s", s.Text(0), err, want)
		}
		return true
	case "one.datastore.update":
		d, tmpl := stores[s.Int(0)], parse(t, s.Text(1))
		if d == nil {
			return false
		}
		change := d.Update
		if s.Int(2) == 1 {
			change = d.Append
		}
		_, want, _ := strings.Cut(s.Answer(), "Cannot update template. ")
		if got := errorText(change(tmpl, conf(t))); got != want {
			t.Errorf("%s: error %q, want %q", s.Text(1), got, want)
		}
		// What we do better than 4.6 in updates has its own tests.
		delete(stores, s.Int(0))
		return true
	case "one.datastore.info":
		d := stores[s.Int(0)]
		if d == nil || !s.OK() {
			return false
		}
		want, err := Parse(s.Answer())
		if err != nil {
			t.Errorf("%v", err)
			return false
		}
		d.Base, d.ClusterID, d.Cluster, d.Images = want.Base, want.ClusterID, want.Cluster, want.Images
		d.TotalMB, d.FreeMB, d.UsedMB = want.TotalMB, want.FreeMB, want.UsedMB
		if got := string(d.PoolXML()); got != s.Answer() {
			t.Errorf("\n got %s\nwant %s", got, s.Answer())
		}
		return true
	}
	return false
}

func parse(t testing.TB, text string) *template.Template {
	t.Helper()
	tmpl, err := template.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return tmpl
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func newStore(t testing.TB, id int, text string) *Datastore {
	t.Helper()
	d, err := New(resource.Base{ID: id, Name: "ds", Perms: 0o600}, -1, "", parse(t, text), conf(t))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestNewRefuses(t *testing.T) {
	tests := []struct{ name, template, want string }{
		{"system with driver", "TYPE=SYSTEM_DS\nDS_MAD=fs\nTM_MAD=ssh", "SYSTEM datastores cannot have DS_MAD defined."},
		{"no driver", "TM_MAD=ssh", "No DS_MAD in template."},
		{"no transfer driver", "DS_MAD=fs", "No TM_MAD in template."},
		{"unknown transfer driver", "DS_MAD=fs\nTM_MAD=x", `TM_MAD named "x" is not defined in oned.conf`},
		{"broken configuration", "DS_MAD=fs\nTM_MAD=broken",
			"Attribute shared, ln_target or clone_target in TM_MAD_CONF for broken is missing or has wrong value in oned.conf"},
		{"derived disk type", "DS_MAD=fs\nTM_MAD=ssh\nDISK_TYPE=RBD_CDROM", "Unknown DISK_TYPE in template."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := New(resource.Base{}, -1, "", parse(t, tt.template), conf(t))
			if errorText(err) != tt.want {
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
}

func TestUpdate(t *testing.T) {
	tests := []struct {
		name, old, text, want string
		append                bool
	}{
		{"targets stay without TM_MAD", "DS_MAD=fs\nTM_MAD=lvm", "NOTE=x",
			"BASE_PATH= CLONE_TARGET=SELF DISK_TYPE=FILE DS_MAD=fs LN_TARGET=NONE NOTE=x SHARED= TM_MAD=lvm TYPE=IMAGE_DS", false},
		{"another transfer driver", "DS_MAD=fs\nTM_MAD=lvm", "TM_MAD=ssh\nBASE_PATH=/b",
			"BASE_PATH=/b/ CLONE_TARGET=SYSTEM DISK_TYPE=FILE DS_MAD=fs LN_TARGET=SYSTEM NOTE= SHARED= TM_MAD=ssh TYPE=IMAGE_DS", false},
		{"becomes a system datastore", "DS_MAD=fs\nTM_MAD=lvm\nDISK_TYPE=RBD", "TYPE=system_ds",
			"BASE_PATH= CLONE_TARGET= DISK_TYPE= DS_MAD= LN_TARGET= NOTE= SHARED=YES TM_MAD=lvm TYPE=SYSTEM_DS", false},
		{"appending takes effect", "DS_MAD=fs\nTM_MAD=lvm", "TM_MAD=ssh",
			"BASE_PATH=@DIR@/var//datastores/ CLONE_TARGET=SYSTEM DISK_TYPE=FILE DS_MAD=fs LN_TARGET=SYSTEM NOTE= SHARED= TM_MAD=ssh TYPE=IMAGE_DS", true},
		{"appending something else", "DS_MAD=fs\nTM_MAD=lvm", "NOTE=y",
			"BASE_PATH=@DIR@/var//datastores/ CLONE_TARGET=SELF DISK_TYPE=FILE DS_MAD=fs LN_TARGET=NONE NOTE=y SHARED= TM_MAD=lvm TYPE=", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newStore(t, 100, tt.old)
			d.TotalMB = 5
			change := d.Update
			if tt.append {
				change = d.Append
			}
			if err := change(parse(t, tt.text), conf(t)); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, name := range []string{"BASE_PATH", "CLONE_TARGET", "DISK_TYPE", "DS_MAD", "LN_TARGET", "NOTE", "SHARED", "TM_MAD", "TYPE"} {
				got = append(got, name+"="+d.Template.Get(name))
			}
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("\n got %s\nwant %s", s, tt.want)
			}
			if tm := d.Template.Get("TM_MAD"); d.TMMad != tm {
				t.Errorf("TM_MAD %s, in the template %s", d.TMMad, tm)
			}
			if d.TotalMB != 5 {
				t.Error("usage was reset")
			}
		})
	}
}

func TestUpdateRefusedChangesNothing(t *testing.T) {
	d := newStore(t, 100, "DS_MAD=fs\nTM_MAD=lvm")
	before := string(d.PoolXML())
	if err := d.Update(parse(t, "TM_MAD=x\nTYPE=FILE_DS"), conf(t)); errorText(err) != `TM_MAD named "x" is not defined in oned.conf` {
		t.Errorf("error %v", err)
	}
	if got := string(d.PoolXML()); got != before {
		t.Errorf("\n got %s\nwant %s", got, before)
	}
}

func TestUpdateResetsUsage(t *testing.T) {
	tests := []struct {
		name, old, text string
		reset           bool
	}{
		{"driver of an image datastore", "DS_MAD=fs\nTM_MAD=lvm", "DS_MAD=ceph", true},
		{"transfer driver of an image datastore", "DS_MAD=fs\nTM_MAD=lvm", "TM_MAD=ssh", false},
		{"transfer driver of a system datastore", "TYPE=SYSTEM_DS\nTM_MAD=lvm", "TM_MAD=ssh", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newStore(t, 100, tt.old)
			d.FreeMB = 9
			if err := d.Update(parse(t, tt.text), conf(t)); err != nil {
				t.Fatal(err)
			}
			if got := d.FreeMB == 0; got != tt.reset {
				t.Errorf("reset %v, want %v", got, tt.reset)
			}
		})
	}
}

func TestDatastoreZeroStaysSystem(t *testing.T) {
	d := newStore(t, SystemID, "TYPE=SYSTEM_DS\nTM_MAD=shared")
	if err := d.Update(parse(t, "TYPE=IMAGE_DS"), conf(t)); err != nil || d.Type != System {
		t.Errorf("type %s, %v", d.Type, err)
	}
}

func TestAvailable(t *testing.T) {
	tests := []struct {
		name, template string
		check          bool
		mb             int64
		want           bool
	}{
		{"free", "", true, 100, true},
		{"limit", "LIMIT_MB=70", true, 40, true},
		{"limit above", "LIMIT_MB=700", true, 100, true},
		{"limit exceeded", "LIMIT_MB=7", true, 0, true},
		{"limit is no number", "LIMIT_MB=7x", true, 100, true},
		{"datastore says no", "DATASTORE_CAPACITY_CHECK=no", true, 100, false},
		{"datastore says yes", "DATASTORE_CAPACITY_CHECK=yes", false, 100, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newStore(t, 100, "DS_MAD=fs\nTM_MAD=ssh\n"+tt.template)
			d.FreeMB, d.UsedMB = 100, 30
			c := conf(t)
			c.CheckCapacity = tt.check
			mb, check := d.Available(c)
			if mb != tt.mb || check != tt.want {
				t.Errorf("got %d %v", mb, check)
			}
			if got := d.CheckSpace(mb+1, c) != nil; got != tt.want {
				t.Errorf("refused %v, want %v", got, tt.want)
			}
			if err := d.CheckSpace(mb, c); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]Type{"image_ds": Images, "SYSTEM_DS": System, "File_DS": Files, "FOO": Images, "": Images} {
		if got := ParseType(name); got != want {
			t.Errorf("%q: %s", name, got)
		}
	}
	if got, ok := image.ParseDiskType("gluster"); !ok || got != image.Gluster {
		t.Errorf("gluster: %s %v", got, ok)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(sample(f))
	f.Fuzz(func(t *testing.T, body string) {
		d, err := Parse(body)
		if err != nil || strings.Contains(d.DSMad+d.TMMad+d.BasePath, "]]>") || d.Template.XMLSafe() != nil {
			return
		}
		again, err := Parse(string(d.PoolXML()))
		if err != nil {
			t.Fatalf("written body does not read: %v", err)
		}
		if string(again.PoolXML()) != string(d.PoolXML()) {
			t.Errorf("got %s\nwant %s", again.PoolXML(), d.PoolXML())
		}
	})
}
