package introspect

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goned/rpc/xmlrpc"
)

// fake is an API of three methods.
type fake struct{ calls []string }

func (f *fake) Methods() []MethodInfo {
	return []MethodInfo{
		{"one.echo", []string{"array", "string", "int"}, "Returns its parameters"},
		{"one.boom", nil, ""},
		{"one.x", []string{"array", "string"}, "Succeeds"},
	}
}

func (f *fake) ServeCall(_ context.Context, c *xmlrpc.Call) (xmlrpc.Value, *xmlrpc.Fault) {
	f.calls = append(f.calls, c.Method)
	switch c.Method {
	case "one.echo":
		return xmlrpc.Array(c.Params...), nil
	case "one.boom":
		return xmlrpc.Value{}, xmlrpc.Faultf(xmlrpc.FaultInternal, "boom")
	case "one.x":
		return xmlrpc.Bool(true), nil
	}
	return xmlrpc.Value{}, xmlrpc.NoSuchMethod(c.Method)
}

func str(s string) xmlrpc.Value { return xmlrpc.String(s) }

func strs(ss ...string) xmlrpc.Value {
	vs := make([]xmlrpc.Value, len(ss))
	for i, s := range ss {
		vs[i] = str(s)
	}
	return xmlrpc.Array(vs...)
}

// oneCall is an element of a multicall.
func oneCall(method, params xmlrpc.Value) xmlrpc.Value {
	return xmlrpc.Struct(xmlrpc.Member{Name: "methodName", Value: method}, xmlrpc.Member{Name: "params", Value: params})
}

func list(vs ...xmlrpc.Value) xmlrpc.Value { return xmlrpc.Array(vs...) }

func TestResults(t *testing.T) {
	for _, tc := range []struct {
		name, method string
		params       []xmlrpc.Value
		want         xmlrpc.Value
	}{
		{"passed on", "one.x", nil, xmlrpc.Bool(true)},
		{"list", "system.listMethods", nil, strs("system.listMethods", "system.methodExist", "system.methodHelp", "system.methodSignature",
			"system.multicall", "system.shutdown", "system.capabilities", "system.getCapabilities", "one.echo", "one.boom", "one.x")},
		{"exists", "system.methodExist", list1("one.x"), xmlrpc.Bool(true)},
		{"system method exists", "system.methodExist", list1("system.multicall"), xmlrpc.Bool(true)},
		{"does not exist", "system.methodExist", list1("one"), xmlrpc.Bool(false)},
		{"help", "system.methodHelp", list1("one.echo"), str("Returns its parameters")},
		{"no help", "system.methodHelp", list1("one.boom"), str("No help is available for this method.")},
		{"help of a system method", "system.methodHelp", list1("system.methodHelp"), str("Given the name of a method, return a help string.")},
		{"signature", "system.methodSignature", list1("one.echo"), list(strs("array", "string", "int"))},
		{"no signature", "system.methodSignature", list1("one.boom"), str("undef")},
		{"signature of a system method", "system.methodSignature", list1("system.capabilities"), list(strs("struct"))},
		{"empty multicall", "system.multicall", []xmlrpc.Value{list()}, list()},
		{"multicall", "system.multicall", []xmlrpc.Value{list(
			oneCall(str("one.boom"), list()), oneCall(str("nosuch"), list()), oneCall(str("one.echo"), strs("a")),
			oneCall(str("system.methodExist"), strs("one.x")))},
			list(xmlrpc.FaultStruct(xmlrpc.Faultf(-500, "boom")), xmlrpc.FaultStruct(xmlrpc.Faultf(-506, "Method 'nosuch' not defined")),
				list(strs("a")), list(xmlrpc.Bool(true)))},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := &fake{}
			v, fault := New(f, f).ServeCall(t.Context(), &xmlrpc.Call{Method: tc.method, Params: tc.params})
			if fault != nil {
				t.Fatal(fault)
			}
			if diff := cmp.Diff(wire(tc.want), wire(v)); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
		})
	}
}

func list1(s string) []xmlrpc.Value { return []xmlrpc.Value{str(s)} }

func wire(v xmlrpc.Value) string { return string(xmlrpc.AppendResponse(nil, v)) }

// The texts are those the library of 4.6.2 sends for the same calls.
func TestFaults(t *testing.T) {
	i, nested := xmlrpc.Int(1), xmlrpc.Struct(xmlrpc.Member{Name: "a", Value: str("b")})
	for _, tc := range []struct {
		name, method string
		params       []xmlrpc.Value
		code         int
		text         string
	}{
		{"unknown method", "system.nosuch", nil, -506, "Method 'system.nosuch' not defined"},
		{"surplus parameter", "system.listMethods", list1("x"), -502, "Format string requests exactly 0 items from array, but array has 1 items.  (A '*' at the end would avoid this failure)"},
		{"no name", "system.methodHelp", nil, -502, "Format string requests 1 items from array, but array has only 0 items."},
		{"name is no string", "system.methodHelp", []xmlrpc.Value{i}, -501, "Value of type INT supplied where string type was expected."},
		{"two names", "system.methodExist", []xmlrpc.Value{str("a"), str("b")}, -502, "Format string requests exactly 1 items from array, but array has 2 items.  (A '*' at the end would avoid this failure)"},
		{"help of nothing", "system.methodHelp", list1("nosuch"), -506, "Method 'nosuch' does not exist"},
		{"signature of nothing", "system.methodSignature", list1(""), -506, "Method '' does not exist"},
		{"signature without name", "system.methodSignature", nil, -502, "Invalid parameter list.  Format string requests 1 items from array, but array has only 0 items."},
		{"capabilities with parameter", "system.capabilities", list1("x"), -502, "There are no parameters.  You supplied 1"},
		{"standard capabilities with parameter", "system.getCapabilities", list1("x"), -502, "There are no parameters.  You supplied 1"},
		{"shutdown", "system.shutdown", list1("x"), 0, "This server program is not capable of shutting down"},
		{"shutdown without reason", "system.shutdown", nil, -502, "Invalid parameter list.  Format string requests 1 items from array, but array has only 0 items."},
		{"multicall of nothing", "system.multicall", nil, -503, "system.multicall takes one parameter, which is an array, each element describing one RPC.  You supplied 0 arguments"},
		{"multicall of a string", "system.multicall", list1("x"), -501, "system.multicall's parameter should be an array, each element describing one RPC.  But it is type 4 instead."},
		{"multicall of a nil", "system.multicall", []xmlrpc.Value{xmlrpc.Nil()}, -501, "system.multicall's parameter should be an array, each element describing one RPC.  But it is type 9 instead."},
		{"multicall of an i8", "system.multicall", []xmlrpc.Value{xmlrpc.I8(1)}, -501, "system.multicall's parameter should be an array, each element describing one RPC.  But it is type 10 instead."},
		{"element is no struct", "system.multicall", []xmlrpc.Value{list(oneCall(str("one.x"), list()), str("x"))}, -501, "An element of the multicall array is type 4, but should be a struct (with members 'methodName' and 'params')"},
		{"no method name", "system.multicall", []xmlrpc.Value{list(nested)}, -502, "No member of struct has key 'methodName'"},
		{"no params", "system.multicall", []xmlrpc.Value{list(xmlrpc.Struct(xmlrpc.Member{Name: "methodName", Value: str("one.x")}))}, -502, "No member of struct has key 'params'"},
		{"method name is no string", "system.multicall", []xmlrpc.Value{list(oneCall(i, list()))}, -501, "Value of type INT supplied where string type was expected."},
		{"params are a struct", "system.multicall", []xmlrpc.Value{list(oneCall(str("one.x"), nested))}, -501, "Value to be decomposed is of type STRUCT, but the 'A' specifier requires type ARRAY"},
		{"nested", "system.multicall", []xmlrpc.Value{list(oneCall(str("one.x"), list()), oneCall(str("system.multicall"), list(list())))}, -507, "Recursive system.multicall forbidden"},
		{"too many", "system.multicall", []xmlrpc.Value{list(make([]xmlrpc.Value, maxCalls+1)...)}, -503, "system.multicall makes at most 1000 calls.  You supplied 1001"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := &fake{}
			_, fault := New(f, f).ServeCall(t.Context(), &xmlrpc.Call{Method: tc.method, Params: tc.params})
			if fault == nil || fault.Code != tc.code || fault.Text != tc.text {
				t.Errorf("fault %v, want %d %s", fault, tc.code, tc.text)
			}
			if len(f.calls) > 0 && strings.HasPrefix(tc.method, "system.multicall") {
				t.Errorf("a refused multicall has called %v", f.calls)
			}
		})
	}
}

func TestMulticallStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f := &fake{}
	_, fault := New(f, f).ServeCall(ctx, &xmlrpc.Call{Method: "system.multicall", Params: []xmlrpc.Value{list(oneCall(str("one.x"), list()))}})
	if fault == nil || fault.Code != xmlrpc.FaultInternal || len(f.calls) > 0 {
		t.Errorf("fault %v, calls %v", fault, f.calls)
	}
}

// golden is an API with the methods a recording lists.
type golden struct {
	fake
	infos []MethodInfo
}

func (g *golden) Methods() []MethodInfo { return g.infos }

func TestRecordedIntrospection(t *testing.T) {
	dir := os.Getenv("GONED_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared")
	}
	data, err := os.ReadFile(filepath.Join(dir, "golden", "system.json"))
	if err != nil {
		t.Skipf("no recordings: %v (set GONED_SHARED)", err)
	}
	var doc struct {
		Scenarios []struct{ Steps []recordedCall }
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	var steps []recordedCall
	g := &golden{}
	for _, sc := range doc.Scenarios {
		for _, s := range sc.Steps {
			if !strings.HasPrefix(s.Call, "system.") {
				continue
			}
			steps = append(steps, s)
			if s.Call == "system.listMethods" {
				for _, v := range s.Result["array"].([]any)[8:] {
					g.infos = append(g.infos, MethodInfo{v.(map[string]any)["string"].(string), nil, "?"})
				}
			}
		}
	}
	if len(steps) < 8 || len(g.infos) < 100 {
		t.Fatalf("%d calls, %d methods recorded", len(steps), len(g.infos))
	}
	m := New(g, g)
	for _, s := range steps {
		if s.Call == "system.methodHelp" && s.Fault.Code == 0 || s.Call == "system.methodSignature" && s.Fault.Code == 0 {
			continue // texts of the method table
		}
		t.Run(s.Call, func(t *testing.T) {
			v, f := m.ServeCall(t.Context(), &xmlrpc.Call{Method: s.Call, Params: s.values()})
			if s.Fault.Code != 0 {
				if f == nil || f.Code != s.Fault.Code || f.Text != s.Fault.String {
					t.Errorf("fault %v, want %v", f, s.Fault)
				}
				return
			}
			if f != nil {
				t.Fatal(f)
			}
			if diff := cmp.Diff(s.Result, typed(v)); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
		})
	}
}

type recordedCall struct {
	Call   string
	Params []map[string]any
	Result map[string]any
	Fault  struct {
		Code   int
		String string
	}
}

func (r recordedCall) values() []xmlrpc.Value {
	var vs []xmlrpc.Value
	for _, p := range r.Params {
		if s, ok := p["string"].(string); ok {
			vs = append(vs, str(s))
		}
	}
	return vs
}

// typed is the form values have in recordings.
func typed(v xmlrpc.Value) map[string]any {
	if s, ok := v.AsString(); ok {
		return map[string]any{"string": s}
	}
	if n, ok := v.AsInt(); ok {
		return map[string]any{"i4": float64(n)}
	}
	if b, ok := v.AsBool(); ok {
		return map[string]any{"boolean": b}
	}
	if items, ok := v.AsArray(); ok {
		out := make([]any, len(items))
		for i, it := range items {
			out[i] = typed(it)
		}
		return map[string]any{"array": out}
	}
	out := map[string]any{}
	for _, m := range v.Members() {
		out[m.Name] = typed(m.Value)
	}
	return map[string]any{"struct": out}
}
