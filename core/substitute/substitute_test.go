package substitute

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []Part
		err        string
	}{
		{name: "literal", text: "a b", want: []Part{{Literal: "a b"}}},
		{name: "name", text: "x$name!y", want: []Part{{Literal: "x"}, {Var: &Variable{Name: "NAME", Follow: "!"}}, {Literal: "y"}}},
		{name: "at the end", text: "$NAME", want: []Part{{Var: &Variable{Name: "NAME"}}}},
		{name: "two in a row", text: "$A$B", want: []Part{{Var: &Variable{Name: "A"}}, {Var: &Variable{Name: "B"}}}},
		{name: "attribute", text: "$NIC[ IP ]", want: []Part{{Var: &Variable{Name: "NIC", Attribute: "IP"}}}},
		{name: "selector", text: `$NIC[ip, network="a b"] c`, want: []Part{
			{Var: &Variable{Name: "NIC", Attribute: "IP", Key: "NETWORK", Value: "a b", Follow: " "}}, {Literal: "c"}}},
		{name: "blank before the bracket", text: "$NIC [IP]", want: []Part{{Var: &Variable{Name: "NIC", Follow: " "}}, {Literal: "[IP]"}}},
		{name: "comma", text: "$CPU,$MEMORY", err: "syntax error, unexpected COMMA, expecting OBRACKET or EOA at line 1, columns 5:6"},
		{name: "word behind", text: "$NIC[IP]abc", err: "syntax error, unexpected VARIABLE, expecting EOA at line 1, columns 9:12"},
		{name: "braces", text: "a ${NAME}", err: "syntax error, unexpected EOA, expecting $end or VARIABLE or RSTRING at line 1, columns 4:5"},
		{name: "dollar", text: "$", err: "syntax error, unexpected EOA, expecting VARIABLE or RSTRING at line 1, columns 1:2"},
		{name: "dollar behind a text", text: "a$", err: "syntax error, unexpected EOA, expecting $end or VARIABLE or RSTRING at line 1, columns 2:3"},
		{name: "broken off", text: "$NAME[", err: "syntax error, unexpected EOA, expecting VARIABLE at line 1, columns 6:7"},
		{name: "line break behind", text: "$A\n b", want: []Part{{Var: &Variable{Name: "A", Follow: " "}}, {Literal: "b"}}},
		{name: "line break behind, a word", text: "A=$NAME\nx", err: "syntax error, unexpected VARIABLE, expecting OBRACKET or EOA at line 1, columns 9:10"},
		{name: "several lines", text: "echo $A\n$B\n", want: []Part{{Literal: "echo "}, {Var: &Variable{Name: "A"}}, {Var: &Variable{Name: "B"}}}},
		{name: "line breaks inside", text: "$\nNIC\n[\nIP\n,\nID=\n0\n]\n.", want: []Part{{Var: &Variable{Name: "NIC", Attribute: "IP", Key: "ID", Value: "0", Follow: "."}}}},
		{name: "no value at first", text: "$NIC[IP,ID=-_\"0]", want: []Part{{Var: &Variable{Name: "NIC", Attribute: "IP", Key: "ID", Value: "0"}}}},
		{name: "no value at all", text: "$NIC[IP,NIC_ID=]", err: "syntax error, unexpected $end, expecting STRING at line 1, columns 16:17"},
		{name: "no value before a word", text: "x$NIC[IP,NIC_ID=-]y", err: "syntax error, unexpected EOA, expecting CBRACKET at line 1, columns 19:20"},
		{name: "empty", text: "", err: "syntax error, unexpected $end, expecting VARIABLE or RSTRING at line 1, columns 1:1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Parse(c.text)
			if text := errText(err); text != c.err {
				t.Fatalf("error %q, want %q", text, c.err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestParseFiles(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       [][]Selector
		err        string
	}{
		{name: "by name", text: "$FILE[IMAGE=k]", want: [][]Selector{{{"IMAGE", "k"}}}},
		{name: "several", text: " $FILE[IMAGE=\"a b\", IMAGE_UNAME=u]  $file[image_id=3];", want: [][]Selector{
			{{"IMAGE", "a b"}, {"IMAGE_UNAME", "u"}}, {{"IMAGE_ID", "3"}}}},
		{name: "garbage", text: "garbage", err: "syntax error, unexpected RSTRING, expecting VARIABLE at line 1, columns 1:8"},
		{name: "other variable", text: "$NIC[IP=1]", err: "Must use FILE variable for attribute."},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParseFiles(c.text)
			if text := errText(err); text != c.err {
				t.Fatalf("error %q, want %q", text, c.err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "$", "$A[B, C=\"d\"] e", "$FILE[IMAGE=x]", "$$", "$A\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if parts, err := Parse(text); err == nil && len(parts) == 0 {
			t.Error("no parts and no error")
		}
		if files, err := ParseFiles(text); err == nil && len(files) == 0 {
			t.Error("no files and no error")
		}
	})
}
