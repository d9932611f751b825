package template_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"goned/core/template"
)

// anyTemplate draws a template with texts of all kinds: empty ones, long ones, ones that are not UTF-8, and names that come more
// than once.
func anyTemplate(t *rapid.T, label string) *template.Template {
	name := rapid.SampledFrom([]string{"A", "AA", "B", "DISK", "NIC", strings.Repeat("N", 70), strings.Repeat("N", 9000)})
	text := rapid.OneOf(rapid.Just(""), rapid.StringN(0, 5, -1), rapid.Just(strings.Repeat("v", 127)), rapid.Just(strings.Repeat("v", 20000)),
		rapid.Just("\xff\x00]]>"))
	tmpl := &template.Template{}
	for range rapid.IntRange(0, 12).Draw(t, label) {
		if rapid.Bool().Draw(t, "simple") {
			tmpl.AddSimple(name.Draw(t, "name"), text.Draw(t, "value"))
			continue
		}
		v := template.NewVector()
		for range rapid.IntRange(0, 6).Draw(t, "pairs") {
			v.Set(rapid.OneOf(name, rapid.Just("")).Draw(t, "key"), text.Draw(t, "value"))
		}
		tmpl.AddVector(name.Draw(t, "name"), v)
	}
	return tmpl
}

// reading is all that can be read of a template.
func reading(t *template.Template) map[string]any {
	r := map[string]any{
		"Len": t.Len(), "XML": t.XML("T"), "Text": t.Text(), "Reloaded": t.Reloaded().XML("T"), "Clone": t.Clone().XML("T"),
		"XMLSafe": t.XMLSafe() == nil,
	}
	for a := range t.Attrs() {
		value, found := t.Lookup(a.Name)
		r[a.Name] = []any{value, found, t.Has(a.Name), len(t.All(a.Name)), len(t.Vectors(a.Name)), t.Vector(a.Name).Marshal(",")}
	}
	r["none"] = []any{t.Has("AAA"), t.Get("AAA"), t.Vector("AAA") == nil}
	return r
}

func TestPack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		loose, other := anyTemplate(rt, "attributes"), anyTemplate(rt, "others")
		packed := loose.Clone()
		packed.Pack()
		same := func(what string) {
			rt.Helper()
			if diff := cmp.Diff(reading(loose), reading(packed)); diff != "" {
				rt.Fatalf("after %s (-loose +packed):\n%s", what, diff)
			}
		}
		same("packing")
		if !packed.Equal(loose) || !loose.Equal(packed) || packed.Equal(other) != loose.Equal(other) {
			rt.Fatal("Equal tells them apart")
		}
		list := []string{"A/B", "DISK", "NIC/A"}
		wantAttr, want := loose.Restricted(list)
		if attr, found := packed.Restricted(list); attr != wantAttr || found != want {
			rt.Fatalf("Restricted: %q, %v", attr, found)
		}
		if diff := cmp.Diff(loose.RestrictedAttrs(list), packed.RestrictedAttrs(list), cmp.AllowUnexported(template.Vector{})); diff != "" {
			rt.Fatalf("RestrictedAttrs: %s", diff)
		}
		changes := map[string]func(*template.Template){
			"AddSimple":         func(t *template.Template) { t.AddSimple("AB", "1") },
			"AddVector":         func(t *template.Template) { t.AddVector("DISK", nil) },
			"Replace":           func(t *template.Template) { t.Replace("B", "1") },
			"Erase":             func(t *template.Template) { t.Erase("A") },
			"Take":              func(t *template.Template) { t.Take("NIC") },
			"Merge":             func(t *template.Template) { t.Merge(other) },
			"Merge of packed":   func(t *template.Template) { o := other.Clone(); o.Pack(); t.Merge(o) },
			"ReplaceDuplicates": func(t *template.Template) { t.ReplaceDuplicates() },
			"RemoveRestricted":  func(t *template.Template) { t.RemoveRestricted(list) },
			"DropBadNames":      func(t *template.Template) { t.DropBadNames() },
			"nothing":           func(*template.Template) {},
		}
		for _, change := range slices.Sorted(maps.Keys(changes)) {
			changes[change](loose)
			changes[change](packed)
			same(change)
			packed.Pack()
			same(change + ", packed again")
		}
	})
}

// A vector of a packed template is the reader's own.
func TestPackedVectors(t *testing.T) {
	tmpl := mustParse(t, "A=1 V=[X=1] V=[Y=2]")
	tmpl.Pack()
	tmpl.Vector("V").Set("X", "2")
	tmpl.Vectors("V")[1].Del("Y")
	c := tmpl.Clone()
	c.Vectors("V")[0].Set("Z", "3")
	c.Vectors("V")[1].Set("Z", "3")
	if got, want := tmpl.Text(), "A=\"1\"\nV=[X=\"1\"]\nV=[Y=\"2\"]\n"; got != want {
		t.Errorf("the packed one is %s", got)
	}
	if got, want := c.Text(), "A=\"1\"\nV=[X=\"1\",Z=\"3\"]\nV=[Y=\"2\",Z=\"3\"]\n"; got != want {
		t.Errorf("its copy is %s", got)
	}
}
