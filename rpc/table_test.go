package rpc

import "testing"

func TestMethodsAreWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range Methods() {
		if seen[m.Name] {
			t.Errorf("%s is there twice", m.Name)
		}
		seen[m.Name] = true
		if m.Handler == nil || m.Log == "" || m.Auth == "" || m.Result == "" {
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
