package xpath

import (
	"errors"
	"testing"

	"goned/core/template/xmldoc"
)

const sample = `<HOST><ID>1</ID><NAME>h1</NAME><VMS><ID>3</ID><ID>7</ID></VMS><TEMPLATE><X>1</X><X>2</X>` +
	`<V><K1>a</K1><K2>b</K2></V><E></E><div>d</div></TEMPLATE></HOST>`

// first returns the name and the text of what the expression selects first, ""
// for nothing.
func first(t *testing.T, text string, steps int) (string, error) {
	t.Helper()
	root, err := xmldoc.Parse(sample)
	if err != nil {
		t.Fatal(err)
	}
	e, err := Compile(text)
	if err != nil {
		return "", err
	}
	n, err := e.First(NewDocument(root), &steps)
	if n == nil {
		return "", err
	}
	return n.Name + " " + n.Text, err
}

func TestFirst(t *testing.T) {
	tests := []struct{ text, want string }{
		{"/HOST/NAME", "NAME h1"},
		{"HOST/ID", ""},
		{".", ""},
		{"//X[../V/K1 = 'a']", "X 1"},
		{"string()", ""},
		{"//X[string() = '2']", "X 2"},
		{"//ID", "ID 1"},
		{"//VMS/ID[2]", "ID 7"},
		{"//VMS/ID[last()]", "ID 7"},
		{"//VMS/ID[position() > 1]", "ID 7"},
		{"(//ID)[2]", "ID 3"},
		{"//X[. = 2]", "X 2"},
		{"//X[text() = '2']", "X 2"},
		{"//V/*", "K1 a"},
		{"//K1/..", "V "},
		{"//K2/../../X[2]", "X 2"},
		{"//K2/preceding-sibling::*", "K1 a"},
		{"//K1/following-sibling::K2", "K2 b"},
		{"//K1/ancestor::HOST/NAME", "NAME h1"},
		{"//K1/following::*", "K2 b"},
		{"//K1/preceding::NAME", "NAME h1"},
		{"//VMS/descendant::ID", "ID 3"},
		{"/HOST/VMS/self::VMS/ID", "ID 3"},
		{"//NOPE|//K2|//NAME", "NAME h1"},
		{"/HOST[ID=1]/NAME", "NAME h1"},
		{"/HOST[ID=2]/NAME", ""},
		{"/HOST[ID != VMS/ID]/NAME", "NAME h1"},
		{"//*[K1 and K2]/K2", "K2 b"},
		{"//*[not(*)][3]", "E "},
		{"//V[count(*) = 2]/K1", "K1 a"},
		{"//TEMPLATE/div", "div d"},
		{"//TEMPLATE[X * 2 = 4 div 2]/div", "div d"},
		{"//TEMPLATE/*[name() = 'div']", "div d"},
		{"//X[. mod 2 = 0]", "X 2"},
		{"//*[starts-with(., '1h')]", "HOST "},
		{"//*[starts-with(., 'h')][not(*)]", "NAME h1"},
		{"//NAME[contains(., '1') and string-length() = 2]", "NAME h1"},
		{"//NAME[substring(., 2, 1) = '1']", "NAME h1"},
		{"//NAME[translate(., 'h', 'H') = 'H1']", "NAME h1"},
		{"//NAME[concat(., '-', //K1) = 'h1-a']", "NAME h1"},
		{"//VMS[sum(ID) = 10]/ID", "ID 3"},
		{"//X[- . < -1]", "X 2"},
		{"//X[number(.) >= 2 or false()]", "X 2"},
		{"//NAME[normalize-space(' a  b ') = 'a b']", "NAME h1"},
		{"//node()[self::K2]", "K2 b"},
		{"//text()", ""},
		{"//X/@id", ""},
		{"/", ""},
		{"/..", ""},
		{"count(//X)", ""},
		{"'text'", ""},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			got, err := first(t, tt.text, 10000)
			if err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestCompileRefuses(t *testing.T) {
	for _, text := range []string{
		"", "a b", "a[", "a[1", "a]", "//", "a//", "a/", "1X", "'a", "$v", "a:b", "f(", "nofunction()", "count()", "count(a,b)",
		"not(", "a | ", "a + ", "bad::x", "((((", "#", "a[1]]", "()",
	} {
		if _, err := Compile(text); err == nil {
			t.Errorf("%q was compiled", text)
		}
	}
}

func TestBudget(t *testing.T) {
	const hostile = "//*[//*[//*[//*[//*[contains(/, 'zz')]]]]]"
	if _, err := first(t, hostile, 5000); !errors.Is(err, ErrBudget) {
		t.Errorf("error %v, want ErrBudget", err)
	}
}

func FuzzCompile(f *testing.F) {
	for _, s := range []string{"//*[last()]|X", "a[b='c']/..", "(//ID)[2]", "- - 1 div 2", "substring(., 2, 1)", "/HOST[ID=1]/NAME"} {
		f.Add(s)
	}
	root, err := xmldoc.Parse(sample)
	if err != nil {
		f.Fatal(err)
	}
	doc := NewDocument(root)
	f.Fuzz(func(t *testing.T, text string) {
		e, err := Compile(text)
		if err != nil {
			return
		}
		steps := 2000
		if _, err := e.First(doc, &steps); err == nil && steps < 0 {
			t.Error("over budget without an error")
		}
	})
}
