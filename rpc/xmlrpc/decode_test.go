package xmlrpc

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// recorded is one element of testdata/calls.json.
type recorded struct {
	Call       string `json:"call"`
	CallBase64 []byte `json:"call_base64"`
	Fault      int    `json:"fault"`
	Text       string `json:"text"`
	Params     string `json:"params"`
}

func (r recorded) body() []byte {
	if r.CallBase64 != nil {
		return r.CallBase64
	}
	return []byte(r.Call)
}

func readRecorded(t testing.TB) []recorded {
	t.Helper()
	data, err := os.ReadFile("testdata/calls.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []recorded
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	if len(all) < 500 {
		t.Fatalf("only %d recorded calls", len(all))
	}
	return all
}

// answer is what a server with the methods echo and boom sends for a body.
func answer(body []byte) []byte {
	c, f := DecodeCall(body)
	switch {
	case f != nil:
	case c.Method == "boom":
		f = Faultf(FaultInternal, "boom")
	case c.Method != "echo":
		f = NoSuchMethod(c.Method)
	}
	if f != nil {
		return AppendFault(nil, f)
	}
	return AppendResponse(nil, Array(c.Params...))
}

func TestDecodeCallAsRecorded(t *testing.T) {
	for _, r := range readRecorded(t) {
		t.Run(fmt.Sprintf("%.60q", r.body()), func(t *testing.T) {
			got := answer(r.body())
			var want []byte
			if r.Fault != 0 {
				want = AppendFault(nil, Faultf(r.Fault, "%s", r.Text))
			} else {
				want = []byte(responseOpen + "<params>\r\n<param><value><array><data>\r\n" + r.Params +
					"</data></array></value></param>\r\n</params>\r\n" + responseClose)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

// oneParam is a call with the given content of its one <value>.
func oneParam(value string) []byte {
	return []byte("<methodCall><methodName>m</methodName><params><param><value>" + value + "</value></param></params></methodCall>")
}

func TestDecodeCallBetterThanRecorded(t *testing.T) {
	const notCall = "Call XML not a proper XML-RPC call.  "
	for _, tc := range []struct {
		name string
		body []byte
		want Value
		text string // of the fault
	}{
		{name: "non-BMP character", body: oneParam("a😀b"), want: String("a😀b")},
		{name: "non-BMP character reference", body: oneParam("&#x1F600;&#128512;"), want: String("😀😀")},
		{name: "overlong form of a non-BMP character", body: oneParam("\xf0\x80\x80\x80"),
			text: notCall + "4-byte supposed UTF-8 string is not valid UTF-8.  Overlong UTF-8 sequence not allowed"},
		{name: "i8 with junk", body: oneParam("<i8>12x</i8>"), text: notCall + "<i8> value '12x' contains non-numerical junk: 'x'"},
		{name: "i8 out of range", body: oneParam("<i8>9223372036854775808</i8>"),
			text: notCall + "<i8> XML element value '9223372036854775808' represents a number beyond the range that XML-RPC allows (-9223372036854775808 - 9223372036854775807)"},
		{name: "infinite double", body: oneParam("<double>inf</double>"),
			text: notCall + "<double> element value 'inf' is not a valid floating point number.  Garbage (not sign, digit, or period) starting at 'inf'"},
		{name: "long double out of range", body: oneParam("<double>1" + strings.Repeat("0", 400) + "</double>"),
			text: notCall + "<double> element value '1" + strings.Repeat("0", 400) + "' is not a valid floating point number.  Out of range"},
		{name: "declared entity", body: append([]byte(`<!DOCTYPE a [<!ENTITY x "y">]>`), oneParam("&x;")...),
			text: notCall + "Call is not valid XML.  Invalid XML \"content\".  Problem with token at '&x;</value></param></params></methodCall...': undefined entity"},
		{name: "external entity", body: append([]byte(`<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>`), oneParam("&x;")...),
			text: notCall + "Call is not valid XML.  Invalid XML \"content\".  Problem with token at '&x;</value></param></params></methodCall...': undefined entity"},
		{name: "malformed UTF-8 in a tag", body: []byte("<m\xc3(/>"),
			text: notCall + "Call is not valid XML.  Invalid XML \"content\".  Problem with token at '<m\\xc3(/>...': Invalid token, starting 2 bytes in"},
		{name: "unpaired surrogate in UTF-16", body: []byte("\xfe\xff\x00<\xd8\x00\x00>"), text: notCall + "Call is not valid XML.  not well-formed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, f := DecodeCall(tc.body)
			if tc.text != "" {
				if f == nil || f.Code != FaultParse || f.Text != tc.text {
					t.Fatalf("got call %v, fault %v; want fault %d %s", c, f, FaultParse, tc.text)
				}
				return
			}
			if f != nil {
				t.Fatal(f)
			}
			if diff := cmp.Diff([]Value{tc.want}, c.Params, cmp.Comparer(sameValue)); diff != "" {
				t.Errorf("params (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeCallBounds(t *testing.T) {
	bomb := "<!DOCTYPE a [<!ENTITY a \"aaaaaaaaaa\">"
	for c := 'b'; c < 'k'; c++ {
		bomb += fmt.Sprintf("<!ENTITY %c \"%s\">", c, strings.Repeat(fmt.Sprintf("&%c;", c-1), 10))
	}
	for _, tc := range []struct {
		name, body, text string
	}{
		{"many elements", string(oneParam("<array><data>" + strings.Repeat("<value/>", MaxElements) + "</data></array>")), "more than 131072 elements"},
		{"deep elements", strings.Repeat("<a>", MaxElements+1), "more than 131072 elements"},
		{"deep values", string(oneParam(strings.Repeat("<array><data><value>", MaxDepth) + strings.Repeat("</value></data></array>", MaxDepth))), "Nested data structure too deep."},
		{"entity bomb", bomb + "]>" + string(oneParam("&j;")), "undefined entity"},
		{"endless attributes", "<a " + strings.Repeat("b='' ", 1<<18), "unclosed token"},
		{"endless comment", "<!--" + strings.Repeat("- ", 1<<18), "unclosed token"},
		{"endless brackets", "<a>" + strings.Repeat("]", 1<<20), "no element found"},
		{"endless doctype", "<!DOCTYPE a [" + strings.Repeat("<!ELEMENT a ANY>", 1<<16), "no element found"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, f := DecodeCall([]byte(tc.body))
			if f == nil || f.Code != FaultParse || !strings.HasSuffix(f.Text, tc.text) {
				t.Errorf("fault %.300v, want %d …%s", f, FaultParse, tc.text)
			}
		})
	}
}

func TestDecodeCallDoesNotAlias(t *testing.T) {
	body := oneParam("<string>text</string>")
	c, f := DecodeCall(body)
	if f != nil {
		t.Fatal(f)
	}
	clear(body)
	if s, _ := c.Params[0].AsString(); s != "text" || c.Method != "m" {
		t.Errorf("call changed with the body: %q %q", c.Method, s)
	}
}

func TestDecodeResponse(t *testing.T) {
	for _, v := range []Value{
		Array(Bool(true), String("<VM/>"), Int(0)),
		Struct(Member{"a", Nil()}, Member{"b", I8(1 << 40)}),
		Base64([]byte{0, 1, 2}),
		DateTime("20140101T00:00:00"),
		Double(-0.25),
	} {
		got, f, err := DecodeResponse(AppendResponse(nil, v))
		if err != nil || f != nil {
			t.Fatalf("%v: fault %v, error %v", v, f, err)
		}
		if diff := cmp.Diff(v, got, cmp.Comparer(sameValue)); diff != "" {
			t.Errorf("value (-want +got):\n%s", diff)
		}
	}
	want := Faultf(FaultType, "Not enough <parameters>")
	if _, f, err := DecodeResponse(AppendFault(nil, want)); err != nil || f == nil || *f != *want {
		t.Errorf("fault %v, error %v", f, err)
	}
	for name, body := range map[string]string{
		"not XML":        "HTTP/1.1 502",
		"a call":         string(oneParam("x")),
		"empty":          "<methodResponse/>",
		"two results":    "<methodResponse><params><param><value/></param><param><value/></param></params></methodResponse>",
		"no code":        "<methodResponse><fault><value>x</value></fault></methodResponse>",
		"unknown child":  "<methodResponse><foo/></methodResponse>",
		"bad value":      "<methodResponse><params><param><value><i4>x</i4></value></param></params></methodResponse>",
		"bad fault":      "<methodResponse><fault/></methodResponse>",
		"bad fault code": "<methodResponse><fault><value><i4>x</i4></value></fault></methodResponse>",
	} {
		if v, f, err := DecodeResponse([]byte(body)); err == nil {
			t.Errorf("%s: value %v, fault %v, no error", name, v, f)
		}
	}
}

func FuzzDecodeCall(f *testing.F) {
	for _, r := range readRecorded(f) {
		f.Add(r.body())
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c, fault := DecodeCall(body)
		if fault != nil {
			if _, got, err := DecodeResponse(AppendFault(nil, fault)); err != nil || got.Code != fault.Code {
				t.Fatalf("fault %q does not parse: %v", fault.Text, err)
			}
			return
		}
		again, fault := DecodeCall(EncodeCall(c))
		if fault != nil {
			t.Fatalf("%q: %v", EncodeCall(c), fault)
		}
		if diff := cmp.Diff(normal(c), again, cmp.Comparer(sameValue)); diff != "" {
			t.Errorf("decode(encode(call)) (-want +got):\n%s", diff)
		}
	})
}

// normal is what encoding makes of a call: doubles are rounded.
func normal(c *Call) *Call {
	out := &Call{Method: c.Method, Params: []Value{}}
	for _, p := range c.Params {
		out.Params = append(out.Params, rounded(p))
	}
	return out
}

func rounded(v Value) Value {
	if f, ok := v.AsDouble(); ok {
		r, err := parseDouble(string(appendDouble(nil, f)))
		if err != nil {
			panic(err)
		}
		return r
	}
	items := v.items
	v.items = nil
	for _, it := range items {
		v.items = append(v.items, rounded(it))
	}
	if v.kind == KindArray && v.items == nil {
		v.items = []Value{}
	}
	return v
}

func FuzzDecodeResponse(f *testing.F) {
	f.Add(AppendResponse(nil, Array(Bool(true), String("x"), Int(0))))
	f.Add(AppendFault(nil, Faultf(-501, "Not enough parameters")))
	f.Add([]byte("<methodResponse><params><param><value><struct/></value></param></params></methodResponse>"))
	f.Fuzz(func(t *testing.T, body []byte) {
		v, fault, err := DecodeResponse(body)
		if err != nil {
			return
		}
		var again []byte
		if fault != nil {
			again = AppendFault(nil, fault)
		} else {
			again = AppendResponse(nil, v)
		}
		if _, _, err := DecodeResponse(again); err != nil {
			t.Errorf("%q: %v", again, err)
		}
	})
}

func BenchmarkDecodeCallSmall(b *testing.B) {
	body := []byte("<?xml version=\"1.0\"?>\n<methodCall>\n  <methodName>one.vm.info</methodName>\n  <params>\n    <param><value><string>oneadmin:opennebula</string></value></param>\n    <param><value><i4>123</i4></value></param>\n  </params>\n</methodCall>\n")
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, f := DecodeCall(body); f != nil {
			b.Fatal(f)
		}
	}
}

func BenchmarkDecodeCallLargeString(b *testing.B) {
	body := oneParam("<string>" + strings.Repeat("NAME = &quot;value&quot;\r\nDISK = [ IMAGE_ID = 1 ]\n", 20000) + "</string>")
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, f := DecodeCall(body); f != nil {
			b.Fatal(f)
		}
	}
}

func TestBase64RoundTrip(t *testing.T) {
	for n := range 200 {
		data := make([]byte, n)
		for i := range data {
			data[i] = byte(i * 7)
		}
		v, f, err := DecodeResponse(AppendResponse(nil, Base64(data)))
		got, ok := v.AsBase64()
		if err != nil || f != nil || !ok || got != string(data) {
			t.Fatalf("%d bytes: got %s, %v %v", n, base64.StdEncoding.EncodeToString([]byte(got)), f, err)
		}
	}
}
