package template_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goned/core/template"
	"goned/core/template/xmldoc"
)

func mustParse(t testing.TB, text string) *template.Template {
	t.Helper()
	tmpl, err := template.Parse(text)
	if err != nil {
		t.Fatalf("parse %q: %v", text, err)
	}
	return tmpl
}

func TestNumbers(t *testing.T) {
	tests := []struct {
		in        string
		i         int64
		isInt     bool
		f         float64
		isFloat   bool
		onlyLarge bool // a number, but not one of 32 bits
	}{
		{in: ""},
		{in: " "},
		{in: "5", i: 5, isInt: true, f: 5, isFloat: true},
		{in: " \t\n5", i: 5, isInt: true, f: 5, isFloat: true},
		{in: "5 "},
		{in: "5x"},
		{in: "0x5"},
		{in: "1_0"},
		{in: "+5", i: 5, isInt: true, f: 5, isFloat: true},
		{in: "-07", i: -7, isInt: true, f: -7, isFloat: true},
		{in: "--7"},
		{in: "-"},
		{in: "1.5", f: 1.5, isFloat: true},
		{in: ".5", f: .5, isFloat: true},
		{in: "5.", f: 5, isFloat: true},
		{in: "."},
		{in: "1.2.3"},
		{in: "1e3", f: 1000, isFloat: true},
		{in: "1e"},
		{in: "1e+"},
		{in: "inf"},
		{in: "NaN"},
		{in: "1e39"},
		{in: "4294967296", i: 4294967296, isInt: true, f: 4294967296, isFloat: true, onlyLarge: true},
		{in: "9223372036854775808", f: 9223372036854775808, isFloat: true},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			v := template.NewVector(template.Pair{Key: "K", Value: tt.in})
			tmpl := &template.Template{}
			tmpl.AddSimple("K", tt.in)
			if i, ok := v.Int("K"); ok != tt.isInt || ok && i != tt.i {
				t.Errorf("Vector.Int = %d, %v", i, ok)
			}
			if i, ok := tmpl.Int("K"); ok != tt.isInt || ok && i != tt.i {
				t.Errorf("Template.Int = %d, %v", i, ok)
			}
			if i, ok := v.Int32("K"); ok != (tt.isInt && !tt.onlyLarge) || ok && int64(i) != tt.i {
				t.Errorf("Vector.Int32 = %d, %v", i, ok)
			}
			if f, ok := v.Float("K"); ok != tt.isFloat || ok && f != tt.f {
				t.Errorf("Vector.Float = %g, %v", f, ok)
			}
			if f, ok := tmpl.Float("K"); ok != tt.isFloat || ok && f != tt.f {
				t.Errorf("Template.Float = %g, %v", f, ok)
			}
		})
	}
}

func TestBool(t *testing.T) {
	tmpl := mustParse(t, "A=yes B=YES C=true D=\"\" V=[A=Yes,B=no]")
	for name, want := range map[string][2]bool{"A": {true, true}, "B": {true, true}, "C": {false, true}, "D": {}, "X": {}, "V": {}} {
		if val, ok := tmpl.Bool(name); val != want[0] || ok != want[1] {
			t.Errorf("Bool(%s) = %v, %v", name, val, ok)
		}
	}
	v := tmpl.Vector("V")
	if val, ok := v.Bool("A"); !val || !ok {
		t.Errorf("Bool(V/A) = %v, %v", val, ok)
	}
	if val, ok := v.Bool("B"); val || !ok {
		t.Errorf("Bool(V/B) = %v, %v", val, ok)
	}
}

func TestVector(t *testing.T) {
	v := template.NewVector(template.Pair{Key: "B", Value: "1"}, template.Pair{Key: "A", Value: "2"}, template.Pair{Key: "B", Value: "3"})
	v.Set("C", "4")
	v.Set("A", "5")
	v.Del("X")
	if got, want := v.Marshal(","), "A=5,B=3,C=4"; got != want {
		t.Errorf("Marshal = %s, want %s", got, want)
	}
	c := v.Clone()
	c.Set("A", "6")
	c.Del("B")
	if v.Get("A") != "5" || v.Len() != 3 || c.Equal(v) {
		t.Errorf("a change of the clone reached the original: %v, %v", v.Pairs(), c.Pairs())
	}
	var none *template.Vector
	if none.Get("A") != "" || none.Len() != 0 || none.Clone() != nil || none.Marshal(",") != "" || !none.Equal(&template.Vector{}) {
		t.Error("a nil vector does not read as an empty one")
	}
}

func TestAccess(t *testing.T) {
	tmpl := mustParse(t, "A=1\nA=2\nB=[X=1]\nB=2\nB=[X=2]\nC=\"\"")
	if tmpl.Get("A") != "1" || tmpl.Get("B") != "" || tmpl.Get("Z") != "" {
		t.Errorf("Get: %q %q %q", tmpl.Get("A"), tmpl.Get("B"), tmpl.Get("Z"))
	}
	if _, ok := tmpl.Lookup("C"); !ok {
		t.Error("empty value is taken for none")
	}
	if tmpl.Vector("A") != nil || tmpl.Vector("B").Get("X") != "1" || len(tmpl.Vectors("B")) != 2 {
		t.Error("wrong vectors")
	}
	if got := len(tmpl.All("B")); got != 3 {
		t.Errorf("All(B) has %d", got)
	}
	var names []string
	for a := range tmpl.Attrs() {
		names = append(names, a.Name)
	}
	if diff := cmp.Diff([]string{"A", "A", "B", "B", "B", "C"}, names); diff != "" {
		t.Errorf("Attrs (-want +got):\n%s", diff)
	}
}

func TestNilTemplate(t *testing.T) {
	var none *template.Template
	if none.Get("A") != "" || none.Vector("A") != nil || none.Len() != 0 || none.All("A") != nil || none.Has("A") {
		t.Error("a nil template does not read as an empty one")
	}
	if got := none.XML("TEMPLATE"); got != "<TEMPLATE></TEMPLATE>" {
		t.Errorf("XML = %s", got)
	}
	if c := none.Clone(); c == nil || c.Len() != 0 || none.Reloaded().Len() != 0 || none.Text() != "" || none.XMLSafe() != nil {
		t.Error("copies of a nil template are not empty")
	}
	if _, found := none.Restricted([]string{"A", "A/B"}); found {
		t.Error("a nil template has a restricted attribute")
	}
}

func TestChanges(t *testing.T) {
	other := mustParse(t, "A=7 A=8 AA=5 V=v Z=z")
	tests := []struct {
		name   string
		change func(*template.Template)
		want   string
	}{
		{"add behind equals", func(t *template.Template) { t.AddSimple("a", "9") }, `A="1" A="2" A="9" B="3" V=[X="1"]`},
		{"add fixes the name", func(t *template.Template) { t.AddSimple("1", "9") }, `A="1" A="2" B="3" ONE_1="9" V=[X="1"]`},
		{"add vector", func(t *template.Template) { t.AddVector("V", template.NewVector(template.Pair{Key: "Y", Value: "2"})) }, `A="1" A="2" B="3" V=[X="1"] V=[Y="2"]`},
		{"replace all", func(t *template.Template) { t.Replace("A", "9") }, `A="9" B="3" V=[X="1"]`},
		{"replace none", func(t *template.Template) { t.Replace("C", "9") }, `A="1" A="2" B="3" C="9" V=[X="1"]`},
		{"erase", func(t *template.Template) { t.Erase("A"); t.Erase("Z") }, `B="3" V=[X="1"]`},
		{"take", func(t *template.Template) { t.Take("V") }, `A="1" A="2" B="3"`},
		{"merge", func(t *template.Template) {
			t.Merge(other)
		}, `A="7" A="8" AA="5" B="3" V="v" Z="z"`},
		{"merge nothing", func(t *template.Template) { t.Merge(nil) }, `A="1" A="2" B="3" V=[X="1"]`},
		{"last duplicate", func(t *template.Template) { t.ReplaceDuplicates() }, `A="2" B="3" V=[X="1"]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			original := mustParse(t, "A=1 A=2 B=3 V=[X=1]")
			tmpl := original.Clone()
			tt.change(tmpl)
			if got := strings.ReplaceAll(strings.TrimSpace(tmpl.Text()), "\n", " "); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if got := original.Text(); got != "A=\"1\"\nA=\"2\"\nB=\"3\"\nV=[X=\"1\"]\n" {
				t.Errorf("the original changed to %s", got)
			}
		})
	}
}

func TestParseUnique(t *testing.T) {
	for _, text := range []string{"NAME=a\nA=1\nNAME=\"b \"\nA=[X=1]\nA=2", "<T><NAME>a</NAME><A>1</A><NAME>b </NAME><A>2</A></T>"} {
		tmpl, err := template.ParseUnique(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := tmpl.XML("T"), "<T><A><![CDATA[2]]></A><NAME><![CDATA[b]]></NAME></T>"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestRestricted(t *testing.T) {
	list := []string{"CONTEXT/FILES", "nic/mac", "SOURCE"}
	tests := []struct{ text, want string }{
		{"A=1", ""},
		{"CONTEXT=[FILES=\"\"]", ""},
		{"CONTEXT=[A=1] NIC=[A=1] NIC=[MAC=x]", "NIC/MAC"},
		{"NIC=[MAC=x] CONTEXT=[FILES=y]", "CONTEXT/FILES"},
		{"NIC=x SOURCE=[A=1]", "SOURCE"},
	}
	for _, tt := range tests {
		got, found := mustParse(t, tt.text).Restricted(list)
		if got != tt.want || found != (tt.want != "") {
			t.Errorf("%s: %q, %v", tt.text, got, found)
		}
	}
}

func TestXMLSafe(t *testing.T) {
	tests := []struct {
		name string
		attr template.Attr
		safe bool
	}{
		{"plain", template.Attr{Name: "A", Value: "<&>\"]] >\t\r\n\u4e2d\U0001F600"}, true},
		{"end of CDATA", template.Attr{Name: "A", Value: "x]]>y"}, false},
		{"control character", template.Attr{Name: "A", Value: "\x01"}, false},
		{"not UTF-8", template.Attr{Name: "A", Value: "\xff"}, false},
		{"name", template.Attr{Name: "A B", Value: ""}, false},
		{"key", template.Attr{Name: "A", Vec: template.NewVector(template.Pair{Key: "1A", Value: "x"})}, false},
		{"empty key", template.Attr{Name: "A", Vec: template.NewVector(template.Pair{Key: "", Value: "x"})}, true},
		{"value of a key", template.Attr{Name: "A", Vec: template.NewVector(template.Pair{Key: "K", Value: "]]>"})}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tmpl := &template.Template{}
			tmpl.Add(tt.attr)
			err := tmpl.XMLSafe()
			if (err == nil) != tt.safe || err != nil && !errors.Is(err, template.ErrNotXML) {
				t.Errorf("XMLSafe = %v", err)
			}
			if _, parseErr := xmldoc.Parse(tmpl.XML("T")); (parseErr == nil) != (tt.name != "name" && tt.name != "key") {
				t.Errorf("reading it back: %v", parseErr)
			}
		})
	}
}

func TestReloaded(t *testing.T) {
	tmpl := mustParse(t, "A=\"\"\nB=\"a\r\nb\rc\"\nE=[X=\"\"]\nV=[X=\"\",Y=1]\nxmlA=1")
	tmpl.AddVector("N", nil)
	once := tmpl.Reloaded()
	want := "<T><A><![CDATA[]]></A><B><![CDATA[a\nb\nc]]></B><E></E><ONE_XMLA><![CDATA[1]]></ONE_XMLA><V><Y><![CDATA[1]]></Y></V></T>"
	if got := once.XML("T"); got != want {
		t.Errorf("once:\n got %s\nwant %s", got, want)
	}
	if got, want := once.Reloaded().XML("T"), strings.Replace(want, "<E></E>", "", 1); got != want {
		t.Errorf("twice:\n got %s\nwant %s", got, want)
	}
	root, err := xmldoc.Parse(tmpl.XML("T"))
	if err != nil {
		t.Fatal(err)
	}
	if got := template.FromElement(root).XML("T"); got != want {
		t.Errorf("read back:\n got %s\nwant %s", got, want)
	}
}

func TestParseErrorUnwraps(t *testing.T) {
	_, err := template.Parse("<T>")
	var syntax *xmldoc.SyntaxError
	var parse *template.ParseError
	if !errors.As(err, &syntax) || !errors.As(err, &parse) {
		t.Errorf("errors of the XML form are %T", err)
	}
	if _, err := template.ParseText("A"); !errors.As(err, &parse) || parse.Unwrap() != nil {
		t.Errorf("errors of the text form are %T", err)
	}
}

func TestTextReadsBack(t *testing.T) {
	values := []string{"", " ", `\`, `a\`, `\\`, `"`, `\"`, `"\`, `]`, `]]`, `]"`, `]]"`, `]\`, `]]\`, "]] >", "#", "=", "[", "a\nb", "\u00e9", `";`}
	tmpl := &template.Template{}
	for _, v := range values {
		tmpl.AddSimple("A", v)
		tmpl.AddVector("V", template.NewVector(template.Pair{Key: "K", Value: v}, template.Pair{Key: "L", Value: v}))
	}
	for _, order := range []string{"A", "V"} {
		attrs := tmpl.All(order)
		slices.Reverse(attrs)
		for _, a := range attrs {
			tmpl.Add(a)
		}
	}
	back, err := template.Parse(tmpl.Text())
	if err != nil {
		t.Fatalf("%v in\n%s", err, tmpl.Text())
	}
	if !back.Equal(tmpl) {
		t.Errorf("(-want +got):\n%s", cmp.Diff(tmpl.XML("T"), back.XML("T")))
	}
}
