package acl

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"goned/core/resource"
)

func hexRule(t testing.TB, words string) Rule {
	t.Helper()
	f := strings.Fields(words)
	if len(f) != 4 {
		t.Fatalf("%q has not four words", words)
	}
	return Rule{User: ParseHex(f[0]), Resource: ParseHex(f[1]), Rights: ParseHex(f[2]), Zone: ParseHex(f[3])}
}

func TestStringAndMalformed(t *testing.T) {
	for name, tc := range map[string]struct{ words, text, wrong string }{
		"boot 0":         {"200000001 42d400000000 8 100000000", "@1 VM+NET+IMAGE+TEMPLATE+DOCUMENT/* CREATE #0", ""},
		"boot 1":         {"400000000 800400000000 1 400000000", "* ZONE/* USE *", ""},
		"all rights":     {"100000002 2100000003 f 100000005", "#2 HOST/#3 USE+MANAGE+ADMIN+CREATE #5", ""},
		"cluster":        {"200000064 106800000064 1 100000000", "@100 HOST+NET+DATASTORE/%100 USE #0", ""},
		"ACL type alone": {"100000002 80400000000 2 100000000", "#2 /* MANAGE #0", ""},
		"nothing": {
			"0 0 0 0", "?? /??  ??",
			"[user] is missing one of the INDIVIDUAL, GROUP or ALL bits; " +
				"[resource] is missing one of the INDIVIDUAL, GROUP, CLUSTER or ALL bits; [resource] type is missing; " +
				"wrong [rights], it cannot be 0; [zone] is missing one of the INDIVIDUAL or ALL bits",
		},
		"everything": {
			"7ffffffff fffffffffffff 1f 7ffffffff",
			"@-1 VM+HOST+NET+IMAGE+USER+TEMPLATE+GROUP+DATASTORE+CLUSTER+DOCUMENT+ZONE/@-1 USE+MANAGE+ADMIN+CREATE #-1",
			"[user] INDIVIDUAL (#) and GROUP (@) bits are exclusive; [user] INDIVIDUAL (#) and ALL (*) bits are exclusive; " +
				"[user] GROUP (@) and ALL (*) bits are exclusive; [user] ID cannot be negative; " +
				"when using the ALL bit, [user] ID must be 0; " +
				"[resource] INDIVIDUAL (#), GROUP (@), CLUSTER (%) and ALL (*) bits are exclusive; " +
				"[resource] CLUSTER(%) selector can be applied only to DATASTORE, HOST and NET types; " +
				"[resource] GROUP(@) selector cannot be applied to HOST, GROUP, CLUSTER or ZONE types; " +
				"[resource] ID cannot be negative; when using the ALL bit, [resource] ID must be 0; wrong [resource] type; " +
				"wrong [rights], it cannot be bigger than 0xF[zone] GROUP (@) bit is not supported; " +
				"[zone] INDIVIDUAL (#) and ALL (*) bits are exclusive; [zone] ID cannot be negative; " +
				"when using the ALL bit, [zone] ID must be 0; " +
				"[resource] INDIVIDUAL(#) selector cannot be applied to ALL zones, except for USER, GROUP and ZONE types",
		},
		"wrong type":            {"400000000 1000000000000000 1 100000000", "* /?? USE #0", "[resource] is missing one of the INDIVIDUAL, GROUP, CLUSTER or ALL bits; [resource] type is missing; wrong [resource] type"},
		"several selectors":     {"100000000 1c00000000 1 100000000", "#0 VM/%0 USE #0", "[resource] INDIVIDUAL (#), GROUP (@), CLUSTER (%) and ALL (*) bits are exclusive; [resource] CLUSTER(%) selector can be applied only to DATASTORE, HOST and NET types"},
		"negative rights pass":  {"400000000 1400000000 -1 100000000", "* VM/* USE+MANAGE+ADMIN+CREATE #0", ""},
		"a user in all zones":   {"400000000 10100000005 1 400000000", "* USER/#5 USE *", ""},
		"an image in all zones": {"400000000 8100000005 1 400000000", "* IMAGE/#5 USE *", "[resource] INDIVIDUAL(#) selector cannot be applied to ALL zones, except for USER, GROUP and ZONE types"},
		"zone group alone":      {"400000000 1400000000 1 200000001", "* VM/* USE ??", "[zone] GROUP (@) bit is not supported"},
	} {
		t.Run(name, func(t *testing.T) {
			r := hexRule(t, tc.words)
			if got := r.String(); got != tc.text {
				t.Errorf("String %q, want %q", got, tc.text)
			}
			if diff := cmp.Diff(tc.wrong, r.Malformed()); diff != "" {
				t.Errorf("Malformed (-want +got)\n%s", diff)
			}
		})
	}
}

func TestParseHex(t *testing.T) {
	for in, want := range map[string]int64{
		"": 0, "0x": 0, "zz": 0, "1f": 0x1f, "0X1F": 0x1f, "12 34": 0x12, "1g": 1, " 2": 2, "-1": -1,
		"7fffffffffffffff": math.MaxInt64, "8000000000000000": math.MaxInt64, "fffffffffffffffffffffff": math.MaxInt64,
		"-ffffffffffffffff": math.MinInt64,
	} {
		if got := ParseHex(in); got != want {
			t.Errorf("ParseHex(%q) = %#x, want %#x", in, got, want)
		}
	}
}

func FuzzRule(f *testing.F) {
	f.Add("0x200000001", "42d400000000", "8", "100000000")
	f.Fuzz(func(t *testing.T, user, res, rights, zone string) {
		r := Rule{User: ParseHex(user), Resource: ParseHex(res), Rights: ParseHex(rights), Zone: ParseHex(zone)}
		err := NewRules().Check(r)
		if (r.Malformed() != "") != (err != nil) {
			t.Errorf("%v is malformed: %q, but Check says %v", r, r.Malformed(), err)
		}
		if err == nil && strings.Contains(r.String(), "??") {
			t.Errorf("%s is accepted", r.String())
		}
		if w := strconv.FormatInt(r.User, 16); ParseHex(w) != r.User {
			t.Errorf("%s reads as %#x", w, ParseHex(w))
		}
	})
}

func TestSetIsImmutableAndOrdered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, model := NewRules(), map[int]Rule{}
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			id := rapid.IntRange(0, 9).Draw(t, "id")
			before := slices.Collect(s.All())
			was := s
			if rapid.Bool().Draw(t, "add") {
				r := Rule{ID: id, User: All, Resource: int64(resource.VM) | All, Rights: rapid.Int64Range(1, 15).Draw(t, "rights"), Zone: All}
				s, model[id] = s.With(r), r
			} else {
				_, known := model[id]
				var ok bool
				if s, ok = s.Without(id); ok != known {
					t.Fatalf("Without(%d) says %v", id, ok)
				}
				delete(model, id)
			}
			if !slices.Equal(before, slices.Collect(was.All())) {
				t.Fatal("the old set changed")
			}
			if s.Len() != len(model) || !slices.IsSortedFunc(slices.Collect(s.All()), func(a, b Rule) int { return a.ID - b.ID }) {
				t.Fatalf("%v, want %v", slices.Collect(s.All()), model)
			}
			for id, want := range model {
				if got, ok := s.Get(id); !ok || got != want {
					t.Fatalf("rule %d is %v", id, got)
				}
			}
		}
	})
}

func TestCheckDuplicate(t *testing.T) {
	r := hexRule(t, "200000001 42d400000000 8 100000000")
	r.ID = 4
	again := r
	again.ID = 9
	err := NewRules(r).Check(again)
	if err == nil || err.Error() != "Rule @1 VM+NET+IMAGE+TEMPLATE+DOCUMENT/* CREATE #0 already exists" {
		t.Errorf("got %v", err)
	}
	if err := (*Rules)(nil).Check(r); err != nil {
		t.Error(err)
	}
}

func TestWithoutObject(t *testing.T) {
	words := []string{
		0:  "100000005 1400000000 1 100000000",   // #5 VM/* USE #0
		1:  "200000005 1400000000 1 100000000",   // @5 VM/* USE #0
		2:  "400000000 10100000005 1 100000000",  // * USER/#5 USE #0
		3:  "400000000 30100000005 1 100000000",  // * USER+TEMPLATE/#5 USE #0
		4:  "400000000 1200000005 1 100000000",   // * VM/@5 USE #0
		5:  "400000000 2800000005 1 100000000",   // * HOST/%5 USE #0
		6:  "400000000 1400000000 1 100000005",   // * VM/* USE #5
		7:  "400000000 1100000005 1 100000000",   // * VM/#5 USE #0
		8:  "400000000 40100000005 1 100000000",  // * GROUP/#5 USE #0
		9:  "400000000 200100000005 1 100000000", // * CLUSTER/#5 USE #0
		10: "400000000 800100000005 1 400000000", // * ZONE/#5 USE *
	}
	all := NewRules()
	for id, w := range words {
		r := hexRule(t, w)
		r.ID = id
		all = all.With(r)
	}
	for name, tc := range map[string]struct {
		kind    resource.Kind
		removed []int
	}{
		"vm":       {resource.VM, []int{7}},
		"user":     {resource.User, []int{0, 2}},
		"group":    {resource.Group, []int{1, 4, 8}},
		"cluster":  {resource.Cluster, []int{5, 9}},
		"zone":     {resource.Zone, []int{6, 10}},
		"template": {resource.Template, nil},
	} {
		t.Run(name, func(t *testing.T) {
			left := all.WithoutObject(tc.kind, 5)
			var removed []int
			for r := range all.All() {
				if _, ok := left.Get(r.ID); !ok {
					removed = append(removed, r.ID)
				}
			}
			if !slices.Equal(removed, tc.removed) {
				t.Errorf("removed %v, want %v", removed, tc.removed)
			}
			if all.WithoutObject(tc.kind, 6) != all {
				t.Error("another id gives another set")
			}
		})
	}
}

func TestForProvider(t *testing.T) {
	rules := ForProvider(100, 0, 101, false)
	rules[1].ID = 1
	s := NewRules(rules[:]...)
	want := "<ACL_POOL><ACL><ID>0</ID><USER>200000064</USER><RESOURCE>2800000065</RESOURCE><RIGHTS>2</RIGHTS><ZONE>100000000</ZONE>" +
		"<STRING>@100 HOST/%101 MANAGE #0</STRING></ACL><ACL><ID>1</ID><USER>200000064</USER><RESOURCE>104800000065</RESOURCE>" +
		"<RIGHTS>1</RIGHTS><ZONE>100000000</ZONE><STRING>@100 NET+DATASTORE/%101 USE #0</STRING></ACL></ACL_POOL>"
	if diff := cmp.Diff(want, string(s.AppendXML(nil))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for _, r := range ForProvider(1, 0, 10, true) {
		if wrong := r.Malformed(); wrong != "" || !strings.Contains(r.String(), "/* ") {
			t.Errorf("%s: %s", r.String(), wrong)
		}
	}
	left, ok := s.WithoutRule(ForProvider(100, 0, 101, false)[0])
	if _, kept := left.Get(1); !ok || !kept || left.Len() != 1 {
		t.Errorf("left %v", slices.Collect(left.All()))
	}
}
