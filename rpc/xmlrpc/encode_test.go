package xmlrpc

import (
	"bytes"
	"encoding/xml"
	"io"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestAppendResponse(t *testing.T) {
	const head = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<methodResponse>\r\n<params>\r\n<param>"
	const tail = "</param>\r\n</params>\r\n</methodResponse>\r\n"
	for _, tc := range []struct {
		name string
		v    Value
		want string
	}{
		{"result of a call", Array(Bool(true), String("4.6.2"), Int(0)),
			"<value><array><data>\r\n<value><boolean>1</boolean></value>\r\n<value><string>4.6.2</string></value>\r\n<value><i4>0</i4></value>\r\n</data></array></value>"},
		{"empty array", Array(), "<value><array><data>\r\n</data></array></value>"},
		{"markup", String("<a b=\"c\" d='e'>&amp;</a>"), "<value><string>&lt;a b=\"c\" d='e'&gt;&amp;amp;&lt;/a&gt;</string></value>"},
		{"line ends", String("a\rb\r\nc\n\td"), "<value><string>a\nb\nc\n\td</string></value>"},
		{"what XML cannot carry", String("a\x00\x1b\xff\uFFFE\uFFFFz"), "<value><string>a\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDz</string></value>"},
		{"cut characters", String("\xe2\x82<\xed\xa0\x80\xf0\x9f\x98"), "<value><string>\uFFFD&lt;\uFFFD\uFFFD\uFFFD\uFFFD</string></value>"},
		{"other alphabets", String("é中😀\u007f"), "<value><string>é中😀\u007f</string></value>"},
		{"int", Int(-2147483648), "<value><i4>-2147483648</i4></value>"},
		{"i8", I8(math.MaxInt64), "<value><i8>9223372036854775807</i8></value>"},
		{"false", Bool(false), "<value><boolean>0</boolean></value>"},
		{"nil", Nil(), "<value><nil/></value>"},
		{"double", Double(0.1), "<value><double>0.1</double></value>"},
		{"double of many digits", Double(123456789.123456789), "<value><double>123456789.1234568</double></value>"},
		{"large double", Double(1e20), "<value><double>100000000000000000000</double></value>"},
		{"small double", Double(1e-7), "<value><double>0.0000001</double></value>"},
		{"negative zero", Double(math.Copysign(0, -1)), "<value><double>0</double></value>"},
		{"not a number", Double(math.NaN()), "<value><double>0</double></value>"},
		{"largest double", Double(math.MaxFloat64), "<value><double>179769313486231570" + strings.Repeat("0", 291) + "</double></value>"},
		{"date", DateTime("20140101T00:00:00"), "<value><dateTime.iso8601>20140101T00:00:00</dateTime.iso8601></value>"},
		{"base64", Base64([]byte("hello")), "<value><base64>\r\naGVsbG8=\r\n</base64></value>"},
		{"struct", Struct(Member{"z<", Int(1)}, Member{"a", Nil()}),
			"<value><struct>\r\n<member><name>z&lt;</name>\r\n<value><i4>1</i4></value></member>\r\n<member><name>a</name>\r\n<value><nil/></value></member>\r\n</struct></value>"},
		{"struct with a repeated name", Struct(Member{"a", Int(1)}, Member{"a", Int(2)}),
			"<value><struct>\r\n<member><name>a</name>\r\n<value><i4>2</i4></value></member>\r\n</struct></value>"},
		{"escaped", Escaped([]byte("&lt;A&gt;"), []byte("&lt;/A&gt;")), "<value><string>&lt;A&gt;&lt;/A&gt;</string></value>"},
		{"escaped nothing", Escaped(), "<value><string></string></value>"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(head+tc.want+tail, string(AppendResponse(nil, tc.v))); diff != "" {
				t.Errorf("document (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAppendFault(t *testing.T) {
	want := "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<methodResponse>\r\n<fault>\r\n<value><struct>\r\n" +
		"<member><name>faultCode</name>\r\n<value><i4>-501</i4></value></member>\r\n" +
		"<member><name>faultString</name>\r\n<value><string>Not enough parameters</string></value></member>\r\n" +
		"</struct></value>\r\n</fault>\r\n</methodResponse>\r\n"
	got := AppendFault([]byte("x"), Faultf(FaultType, "Not enough parameters"))
	if diff := cmp.Diff("x"+want, string(got)); diff != "" {
		t.Errorf("document (-want +got):\n%s", diff)
	}
}

func TestEncodeResponseRefersToChunks(t *testing.T) {
	long := bytes.Repeat([]byte("x"), referMin)
	v := Array(Bool(true), Escaped([]byte("short"), long, []byte("tail"), long), Int(0))
	parts, size := EncodeResponse(make([]byte, 0, 64), v, nil)
	var all []byte
	shared := 0
	for _, p := range parts {
		if len(p) == len(long) && &p[0] == &long[0] {
			shared++
		}
		all = append(all, p...)
	}
	if shared != 2 {
		t.Errorf("%d of 2 long chunks are referred to", shared)
	}
	if size != len(all) {
		t.Errorf("size %d, pieces have %d bytes", size, len(all))
	}
	if diff := cmp.Diff(string(AppendResponse(nil, v)), string(all)); diff != "" {
		t.Errorf("pieces (-flat +pieces):\n%s", diff)
	}
	fault := Faultf(FaultParse, "no")
	parts, size = EncodeResponse(nil, Value{}, fault)
	if want := AppendFault(nil, fault); len(parts) != 1 || !bytes.Equal(parts[0], want) || size != len(want) {
		t.Errorf("fault: %q, size %d", parts, size)
	}
}

func TestEscapedValue(t *testing.T) {
	text := "<A>1 & 2</A>\nlong"
	whole := Escaped(AppendEscaped(nil, text))
	if got, ok := whole.AsString(); !ok || got != text {
		t.Errorf("AsString %q, %v", got, ok)
	}
	for n := range len(text) + 3 {
		want := text[:min(n, len(text))]
		if got := whole.Head(n); got != want {
			t.Errorf("Head(%d) of escaped: %q, want %q", n, got, want)
		}
		if got := String(text).Head(n); got != want {
			t.Errorf("Head(%d): %q, want %q", n, got, want)
		}
	}
	if got := Int(1).Head(3); got != "" {
		t.Errorf("Head of an int: %q", got)
	}
}

// TestAppendEscapedParses compares with an independent reader: what AppendEscaped
// writes is well-formed and means the text with LF line ends.
func TestAppendEscapedParses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.StringOf(rapid.RuneFrom([]rune("<>&\r\n\t'\"ab]é中😀\x00"))),
			rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "s")
		out := AppendEscaped(nil, s)
		dec := xml.NewDecoder(strings.NewReader("<a>" + string(out) + "</a>"))
		var got strings.Builder
		for {
			tok, err := dec.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%q: %v", out, err)
			}
			if cd, ok := tok.(xml.CharData); ok {
				got.Write(cd)
			}
		}
		if utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !xmlChar(r) }) {
			want := strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
			if got.String() != want {
				t.Fatalf("text %q reads back as %q", want, got.String())
			}
		}
		if back, _ := Escaped(out).AsString(); back != got.String() {
			t.Fatalf("AsString %q, parser %q", back, got.String())
		}
	})
}

func genValue(depth int) *rapid.Generator[Value] {
	text := rapid.StringOf(rapid.RuneFrom([]rune("<>&\n\t'\"ab]é中😀")))
	leaves := []*rapid.Generator[Value]{
		rapid.Map(rapid.Int32(), func(n int32) Value { return Int(int(n)) }),
		rapid.Map(rapid.Int64(), I8),
		rapid.Map(rapid.Bool(), Bool),
		rapid.Map(text, String),
		rapid.Map(rapid.SliceOf(rapid.Byte()), Base64),
		rapid.Just(Nil()),
		rapid.Just(DateTime("20141231T23:59:59")),
		rapid.Map(rapid.Int32(), func(n int32) Value { return Double(float64(n) / 8) }),
	}
	if depth == 0 {
		return rapid.OneOf(leaves...)
	}
	inner := genValue(depth - 1)
	arrays := rapid.Map(rapid.SliceOfN(inner, 0, 4), func(vs []Value) Value { return Array(vs...) })
	structs := rapid.Custom(func(t *rapid.T) Value {
		var ms []Member
		for _, name := range rapid.SliceOfNDistinct(text, 0, 4, rapid.ID).Draw(t, "names") {
			ms = append(ms, Member{name, inner.Draw(t, "value")})
		}
		return Struct(ms...)
	})
	return rapid.OneOf(append(leaves, arrays, structs)...)
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		params := rapid.SliceOfN(genValue(3), 0, 4).Draw(t, "params")
		c := &Call{Method: "one.x", Params: append([]Value{}, params...)}
		got, f := DecodeCall(EncodeCall(c))
		if f != nil {
			t.Fatal(f)
		}
		if diff := cmp.Diff(c, got, cmp.Comparer(sameValue)); diff != "" {
			t.Errorf("call (-want +got):\n%s", diff)
		}
	})
}

// sameValue compares by content: nil and empty lists are the same.
func sameValue(a, b Value) bool {
	if a.kind != b.kind || a.num != b.num || a.str != b.str || len(a.items) != len(b.items) || len(a.names) != len(b.names) {
		return false
	}
	for i := range a.items {
		if !sameValue(a.items[i], b.items[i]) {
			return false
		}
	}
	for i := range a.names {
		if a.names[i] != b.names[i] {
			return false
		}
	}
	return true
}

func TestAccessors(t *testing.T) {
	s := Struct(Member{"a", Int(7)})
	if v, ok := s.Field("a"); !ok || v.Kind() != KindInt {
		t.Errorf("Field a: %v %v", v, ok)
	}
	if _, ok := s.Field("b"); ok {
		t.Error("Field b exists")
	}
	if _, ok := Int(1).Field("a"); ok {
		t.Error("an int has a field")
	}
	if ms := s.Members(); len(ms) != 1 || ms[0].Name != "a" {
		t.Errorf("Members %v", ms)
	}
	if _, ok := I8(1).AsInt(); ok {
		t.Error("i8 passes as int")
	}
	if _, ok := Int(1).AsBool(); ok {
		t.Error("int passes as boolean")
	}
	if n, ok := Int(1 << 33).AsInt(); !ok || n != 0 {
		t.Errorf("Int of 33 bits: %d %v", n, ok)
	}
}

func BenchmarkEncodeResponse5K(b *testing.B) {
	body := AppendEscaped(nil, strings.Repeat("<VM><ID>1</ID></VM>", 200))
	v := Array(Bool(true), Escaped(body), Int(0))
	scratch := make([]byte, 0, 8<<10)
	b.ReportAllocs()
	for b.Loop() {
		EncodeResponse(scratch, v, nil)
	}
}

func BenchmarkAppendEscapedXML(b *testing.B) {
	s := strings.Repeat("<VM><ID>1</ID><NAME><![CDATA[some name]]></NAME></VM>", 100)
	dst := make([]byte, 0, 2*len(s))
	b.SetBytes(int64(len(s)))
	for b.Loop() {
		AppendEscaped(dst, s)
	}
}

func BenchmarkAppendEscapedClean(b *testing.B) {
	s := strings.Repeat("nothing to escape here ", 200)
	dst := make([]byte, 0, 2*len(s))
	b.SetBytes(int64(len(s)))
	for b.Loop() {
		AppendEscaped(dst, s)
	}
}
