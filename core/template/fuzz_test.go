package template_test

import (
	"strings"
	"testing"
	"time"

	"goned/core/template"
)

var seeds = []string{
	"", "A=1", "A=\nB=[C=\"x\",D=y]", "A=\"x\\\"y\\\\\" #c\nB=1", "A=\"]]]>\" B=\"a]]\"", "#c\n[ ] , =", "A==[B=1]",
	"<T><A>1</A><B><C><![CDATA[x]]></C><D/></B></T>", "NAME=\"x \"\nNAME=y xmlA=1", "A=\"\\\"#]]>\n",
}

// checkText verifies what must hold for any text: an error of the documented
// type or a template that survives writing and reading.
func checkText(t *testing.T, text string) {
	tmpl, err := template.Parse(text)
	if err != nil {
		if !strings.HasPrefix(err.Error(), "Parse error: ") {
			t.Fatalf("%q: error %v", text, err)
		}
		return
	}
	if tmpl.XMLSafe() != nil {
		return
	}
	stored, err := template.ParseXML(tmpl.XML("T"))
	if err != nil {
		t.Fatalf("%q: safe, but %v", text, err)
	}
	if !stored.Equal(tmpl.Reloaded()) {
		t.Fatalf("%q: stored %s, reloaded %s", text, stored.XML("T"), tmpl.Reloaded().XML("T"))
	}
	if strings.HasPrefix(text, "<") || tmpl.Has("XML") {
		return // names the text form can't have
	}
	for a := range tmpl.Attrs() {
		if strings.HasPrefix(a.Name, "XML") {
			return
		}
	}
	back, err := template.Parse(tmpl.Text())
	if err != nil || !back.Equal(tmpl) {
		t.Fatalf("%q: written as %q, read back as %q, %v", text, tmpl.Text(), back.Text(), err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(checkText)
}

func FuzzValues(f *testing.F) {
	f.Add("a\\", "\"]]", "\n#")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		tmpl := &template.Template{}
		tmpl.AddSimple("A", a)
		tmpl.AddVector("V", template.NewVector(template.Pair{Key: "K", Value: b}, template.Pair{Key: "L", Value: c}))
		tmpl.AddSimple("Z", c)
		if tmpl.XMLSafe() != nil {
			return
		}
		back, err := template.Parse(tmpl.Text())
		if err != nil || !back.Equal(tmpl) {
			t.Fatalf("written as %q, read back as %q, %v", tmpl.Text(), back.Text(), err)
		}
	})
}

// TestHostileText feeds texts on which a careless parser needs quadratic time.
// With half a megabyte and more each that would be minutes; the limit leaves room for a slow,
// busy machine.
func TestHostileText(t *testing.T) {
	const n = 1 << 19
	var descending strings.Builder
	for i := range 1 << 16 {
		descending.WriteString("A")
		for bit := range 18 {
			descending.WriteByte('A' + byte(^i>>(17-bit)&1))
		}
		descending.WriteString("=1\n")
	}
	var keys strings.Builder
	keys.WriteString("V=[A=1")
	for i := range 1 << 16 {
		keys.WriteString(",K")
		for bit := range 18 {
			keys.WriteByte('A' + byte(^i>>(17-bit)&1))
		}
		keys.WriteString("=1")
	}
	keys.WriteString("]")
	tests := map[string]string{
		"hashes without newline": strings.Repeat("#", n),
		"blanks":                 strings.Repeat(" ", n) + "x",
		"blanks in a value":      "A==" + strings.Repeat(" ", n),
		"open quotes":            strings.Repeat("A=\"\n", n/4),
		"escaped quotes":         "A=" + strings.Repeat(`"\" `, n/4),
		"quotes that break off":  strings.Repeat(`A="x]]>B=`, n/8),
		"brackets":               "A=\"" + strings.Repeat("]", n),
		"same name":              strings.Repeat("A=1\n", n/4),
		"descending names":       descending.String(),
		"descending keys":        keys.String(),
		"same key":               "A=[B=1" + strings.Repeat(",B=1", n/4) + "]",
		"equals":                 "A" + strings.Repeat("=", n),
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			tmpl, err := template.ParseUnique(text)
			if err == nil {
				tmpl.Merge(tmpl.Clone())
				_ = tmpl.XML("T")
				_ = tmpl.XMLSafe()
				_ = tmpl.Text()
			}
			if d := time.Since(start); d > time.Minute {
				t.Errorf("took %v", d)
			}
		})
	}
}

func BenchmarkParseText(b *testing.B) {
	text := strings.Repeat("CPU=1\nMEMORY=512\nDISK=[IMAGE_ID=1,TARGET=\"vda\"]\nNIC=[NETWORK=\"public net\",MODEL=virtio]\n# comment\nGRAPHICS=[TYPE=\"vnc\",LISTEN=\"0.0.0.0\"]\n", 4)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := template.Parse(text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendXML(b *testing.B) {
	tmpl := mustParse(b, strings.Repeat("CPU=1\nDISK=[IMAGE_ID=1,TARGET=\"vda\"]\nNIC=[NETWORK=\"public net\",MODEL=virtio]\n", 4))
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = tmpl.AppendXML(buf[:0], "TEMPLATE")
	}
	b.SetBytes(int64(len(buf)))
}
