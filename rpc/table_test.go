package rpc

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"goned/rpc/introspect"
)

func TestMethodsAreWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range Methods() {
		if seen[m.Name] {
			t.Errorf("%s is there twice", m.Name)
		}
		seen[m.Name] = true
		if m.Handler == nil || m.Log == "" || m.Help == "" || m.Auth == "" || m.Result == "" {
			t.Errorf("%s has an incomplete row", m.Name)
		}
		optional := false
		for _, p := range m.Params {
			if p.Default == nil && optional {
				t.Errorf("%s: mandatory parameter %s follows an optional one", m.Name, p.Name)
			}
			optional = optional || p.Default != nil && p.Kind != AnyParam
		}
	}
	if len(seen) != 129 {
		t.Errorf("%d methods, 4.6 has 129", len(seen))
	}
}

// TestMethodsTold checks what clients are told about methods: recorded help texts, and signatures without the type of an update.
func TestMethodsTold(t *testing.T) {
	told := map[string]introspect.MethodInfo{}
	for _, m := range (&Server{}).Methods() {
		told[m.Name] = m
	}
	for _, want := range []introspect.MethodInfo{
		{Name: "one.vm.info", Signature: []string{"array", "string", "int"}, Help: "Returns virtual machine instance information"},
		{Name: "one.vm.deploy", Signature: []string{"array", "string", "int", "int", "boolean", "int"}, Help: "Deploys a virtual machine"},
		{Name: "one.vm.update", Signature: []string{"array", "string", "int", "string"}, Help: told["one.vm.update"].Help},
		{Name: "one.acl.addrule", Signature: []string{"array", "string", "string", "string", "string", "string"}, Help: "Adds an access rule"},
	} {
		if diff := cmp.Diff(want, told[want.Name]); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
}
