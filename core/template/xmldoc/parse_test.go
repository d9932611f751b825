package xmldoc_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"goned/core/template/xmldoc"
)

// show prints a tree: name, text in quotes (CDATA in brackets), children.
func show(n *xmldoc.Node) string {
	var b strings.Builder
	b.WriteString(n.Name)
	switch {
	case n.CDATA:
		fmt.Fprintf(&b, "[%s]", n.Text)
	case n.HasText():
		fmt.Fprintf(&b, "%q", n.Text)
	}
	if n.Simple() {
		b.WriteByte('!')
	}
	if len(n.Children) > 0 {
		b.WriteByte('(')
		for i, c := range n.Children {
			if i > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(show(c))
		}
		b.WriteByte(')')
	}
	return b.String()
}

func TestParse(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"empty element", "<A/>", "A"},
		{"start and end tag", "<A></A >", "A"},
		{"text", "<A>x</A>", `A"x"!`},
		{"white space counts", "<A> <B/>\n</A>", `A" "(B)`},
		{"CDATA", "<A><![CDATA[<x>&amp;]]></A>", `A[<x>&amp;]!`},
		{"empty CDATA", "<A><![CDATA[]]></A>", `A[]!`},
		{"split CDATA", "<A><![CDATA[a]]]]><![CDATA[>b]]></A>", `A[a]]>b]!`},
		{"text and CDATA", "<A>x<![CDATA[y]]></A>", `A"x"`},
		{"CDATA and text", "<A><![CDATA[y]]>x</A>", `A[y]`},
		{"comment first", "<A><!-- c -->x</A>", `A`},
		{"comment behind", "<A>x<!-- c -->y</A>", `A"x"`},
		{"instruction", "<A>x<?p q?></A>", `A"x"`},
		{"references", "<A>&lt;&gt;&amp;&quot;&apos;&#65;&#x4e2d;&#13;</A>", `A"<>&\"'A中\r"!`},
		{"line ends", "<A>a\r\nb\rc<B/><C><![CDATA[d\r]]></C></A>", "A\"a\\nb\\nc\"(B C[d\n]!)"},
		{"attributes", `<A x="1" y='&lt;"'><B z = "2"/></A>`, "A(B)"},
		{"prefixes", `<p:A xmlns:p="u"><p:B/></p:A>`, "A(B)"},
		{"prolog", "\ufeff<?xml version='1.0' encoding=\"utf-8\" standalone='yes'?>\n<!-- c --><?p?><!DOCTYPE A [<!ELEMENT A ANY>]>\n<A/> <!-- d -->\n", "A"},
		{"latin1", "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><A>\xe9</A>", `A"é"!`},
		{"wide names", "<é中/>", "é中"},
		{"nested", "<A><B>1</B><B>2</B><C><D/></C></A>", `A(B"1"! B"2"! C(D))`},
		{"greater than", "<A>a>b]]b</A>", `A"a>b]]b"!`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n, err := xmldoc.Parse(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, show(n)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tt.in, diff)
			}
		})
	}
}

func TestMalformed(t *testing.T) {
	tests := []struct{ name, in string }{
		{"nothing", ""},
		{"blanks", "  "},
		{"text", "x"},
		{"text in front", "x<A/>"},
		{"text behind", "<A/>x"},
		{"two roots", "<A/><B/>"},
		{"lone bracket", "<"},
		{"open tag", "<A"},
		{"not closed", "<A>"},
		{"bracket at the end", "<A><"},
		{"inner not closed", "<A><B></A>"},
		{"wrong end", "<A></B>"},
		{"longer end", "<A></AB>"},
		{"end tag first", "</A>"},
		{"prefix differs", "<p:A></q:A>"},
		{"bad name", "<1/>"},
		{"space before name", "< A/>"},
		{"name with minus first", "<-A/>"},
		{"bad wide name", "<A\u00d7/>"},
		{"slash apart", "<A/ >"},
		{"undefined entity", "<A>&nbsp;</A>"},
		{"declared entity", "<!DOCTYPE A [<!ENTITY x \"y\">]><A>&x;</A>"},
		{"entity bomb", "<!DOCTYPE A [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><A>&b;</A>"},
		{"lone ampersand", "<A>a & b</A>"},
		{"ampersand at the end", "<A>&</A>"},
		{"empty reference", "<A>&;</A>"},
		{"reference to nothing", "<A>&#;</A>"},
		{"reference to zero", "<A>&#0;</A>"},
		{"reference to control", "<A>&#1;</A>"},
		{"reference to surrogate", "<A>&#xd800;</A>"},
		{"reference too large", "<A>&#x110000;</A>"},
		{"reference with sign", "<A>&#+65;</A>"},
		{"capital X", "<A>&#X41;</A>"},
		{"CDATA end in text", "<A>]]></A>"},
		{"CDATA not closed", "<A><![CDATA[</A>"},
		{"CDATA outside", "<![CDATA[x]]><A/>"},
		{"comment not closed", "<A><!-- </A>"},
		{"dashes in comment", "<A><!-- -- --></A>"},
		{"three dashes", "<A><!-- ---></A>"},
		{"declaration inside", "<A><?xml version=\"1.0\"?></A>"},
		{"declaration late", " <?xml version=\"1.0\"?><A/>"},
		{"declaration without version", "<?xml encoding=\"UTF-8\"?><A/>"},
		{"instruction not closed", "<A><?p </A>"},
		{"unknown markup", "<A><!X></A>"},
		{"doctype inside", "<A><!DOCTYPE A></A>"},
		{"doctype not closed", "<!DOCTYPE A [<A/>"},
		{"attribute without value", "<A x/>"},
		{"attribute without quotes", "<A x=1/>"},
		{"attribute not closed", "<A x=\"1/>"},
		{"attributes without space", "<A x=\"1\"y=\"2\"/>"},
		{"attribute repeated", "<A x=\"1\" x=\"2\"/>"},
		{"bracket in attribute", "<A x=\"<\"/>"},
		{"entity in attribute", "<A x=\"&y;\"/>"},
		{"control character", "<A>\x01</A>"},
		{"zero byte", "<A>\x00</A>"},
		{"not UTF-8", "<A>\xff</A>"},
		{"surrogate bytes", "<A>\xed\xa0\x80</A>"},
		{"no character", "<A>\uffff</A>"},
		{"encoding unknown", "<?xml version=\"1.0\" encoding=\"EBCDIC-X\"?><A/>"},
		{"deep", strings.Repeat("<A>", xmldoc.MaxDepth+1) + strings.Repeat("</A>", xmldoc.MaxDepth+1)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n, err := xmldoc.Parse(tt.in)
			var syntax *xmldoc.SyntaxError
			if !errors.As(err, &syntax) {
				t.Fatalf("%.60q: got %v, %v", tt.in, n, err)
			}
			if syntax.Offset < 0 || syntax.Offset > len(tt.in) {
				t.Errorf("offset %d is outside", syntax.Offset)
			}
		})
	}
}

func TestAccess(t *testing.T) {
	n, err := xmldoc.Parse("<VM><ID>7</ID><A> 8</A><B>9 </B><T><X>1</X></T><ID>10</ID></VM>")
	if err != nil {
		t.Fatal(err)
	}
	if id, ok := n.Int("ID"); id != 7 || !ok {
		t.Errorf("Int(ID) = %d, %v", id, ok)
	}
	if a, ok := n.Int("A"); a != 8 || !ok {
		t.Errorf("Int(A) = %d, %v", a, ok)
	}
	for _, name := range []string{"B", "T", "Z"} {
		if v, ok := n.Int(name); ok {
			t.Errorf("Int(%s) = %d", name, v)
		}
	}
	if n.ChildText("A") != " 8" || n.ChildText("Z") != "" || len(n.All("ID")) != 2 || n.Path("T", "X").Text != "1" {
		t.Error("wrong children")
	}
	var none *xmldoc.Node
	if none.Child("A") != nil || none.ChildText("A") != "" || none.All("A") != nil || n.Path("Z", "X") != nil || none.Simple() || none.HasText() {
		t.Error("a nil node has something")
	}
}

// TestHostile feeds documents on which a careless parser needs quadratic time
// or a deep stack.
func TestHostile(t *testing.T) {
	const n = 1 << 18
	attributes := func() string {
		var b strings.Builder
		b.WriteString("<A")
		for i := range n {
			fmt.Fprintf(&b, " a%d=\"\"", i)
		}
		return b.String() + "/>"
	}
	tests := map[string]string{
		"deep":              strings.Repeat("<A>", n),
		"wide":              "<A>" + strings.Repeat("<B/>", n) + "</A>",
		"attributes":        attributes(),
		"CDATA sections":    "<A>" + strings.Repeat("<![CDATA[x]]>", n) + "</A>",
		"references":        "<A>" + strings.Repeat("&lt;", n) + "</A>",
		"line ends":         "<A>" + strings.Repeat("&lt;\r", n) + "</A>",
		"comments":          "<A>" + strings.Repeat("<!-- -->x", n) + "</A>",
		"ampersands":        "<A>" + strings.Repeat("&", n) + "</A>",
		"open comments":     "<A>" + strings.Repeat("<!--", n),
		"open CDATA":        "<A>" + strings.Repeat("<![CDATA[", n),
		"long name":         "<" + strings.Repeat("A", n) + "></" + strings.Repeat("A", n-1) + ">",
		"long declaration":  "<?xml " + strings.Repeat("encoding=", n),
		"doctype brackets":  "<!DOCTYPE A " + strings.Repeat("[]", n),
		"open instructions": "<A>" + strings.Repeat("<?p ", n),
	}
	for name, in := range tests {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			_, err := xmldoc.Parse(in)
			if d := time.Since(start); d > time.Minute {
				t.Errorf("took %v", d)
			}
			if err != nil && len(err.Error()) > 200 {
				t.Errorf("error text of %d bytes", len(err.Error()))
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"<A/>", "<A x='1'>&lt;<![CDATA[x]]><!-- c --><?p q?></A>", "<?xml version='1.0'?><!DOCTYPE A [<!ENTITY x 'y'>]><p:A>\r\n</p:A>",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		n, err := xmldoc.Parse(in)
		if err != nil {
			return
		}
		again, err := xmldoc.Parse(write(n))
		if err != nil || show(again) != show(n) {
			t.Fatalf("%q: %s, written as %q", in, show(n), write(n))
		}
	})
}

// write gives a document whose tree is that of n again.
func write(n *xmldoc.Node) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<%s>", n.Name)
	switch {
	case n.CDATA:
		b.WriteString("<![CDATA[" + strings.ReplaceAll(n.Text, "]]>", "]]]]><![CDATA[>") + "]]>")
	case n.HasText():
		b.WriteString(strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\r", "&#13;").Replace(n.Text))
	}
	if n.HasText() != n.Simple() || !n.HasText() && len(n.Children) == 0 {
		b.WriteString("<!-- other nodes -->")
	}
	for _, c := range n.Children {
		b.WriteString(write(c))
	}
	fmt.Fprintf(&b, "</%s>", n.Name)
	return b.String()
}

// vmBody resembles the body of a running machine, about 4 kB.
func vmBody(id int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<VM><ID>%d</ID><UID>0</UID><GID>0</GID><UNAME>oneadmin</UNAME><GNAME>oneadmin</GNAME><NAME>vm-%d</NAME>", id, id)
	b.WriteString("<PERMISSIONS><OWNER_U>1</OWNER_U><OWNER_M>1</OWNER_M><OWNER_A>0</OWNER_A><GROUP_U>0</GROUP_U><GROUP_M>0</GROUP_M><GROUP_A>0</GROUP_A><OTHER_U>0</OTHER_U><OTHER_M>0</OTHER_M><OTHER_A>0</OTHER_A></PERMISSIONS>")
	b.WriteString("<LAST_POLL>1416700000</LAST_POLL><STATE>3</STATE><LCM_STATE>3</LCM_STATE><RESCHED>0</RESCHED><STIME>1416690000</STIME><ETIME>0</ETIME><DEPLOY_ID>one-1</DEPLOY_ID><MEMORY>524288</MEMORY><CPU>12</CPU><NET_TX>1024</NET_TX><NET_RX>2048</NET_RX><TEMPLATE>")
	for range 4 {
		b.WriteString("<DISK><CLONE><![CDATA[YES]]></CLONE><DATASTORE><![CDATA[default]]></DATASTORE><DATASTORE_ID><![CDATA[1]]></DATASTORE_ID><DEV_PREFIX><![CDATA[vd]]></DEV_PREFIX><DISK_ID><![CDATA[0]]></DISK_ID><IMAGE><![CDATA[ubuntu]]></IMAGE><IMAGE_ID><![CDATA[7]]></IMAGE_ID><READONLY><![CDATA[NO]]></READONLY><SAVE><![CDATA[NO]]></SAVE><SOURCE><![CDATA[/var/lib/one/datastores/1/0123456789abcdef]]></SOURCE><TARGET><![CDATA[vda]]></TARGET><TM_MAD><![CDATA[shared]]></TM_MAD><TYPE><![CDATA[FILE]]></TYPE></DISK>")
	}
	b.WriteString("<NIC><BRIDGE><![CDATA[br0]]></BRIDGE><IP><![CDATA[10.0.0.1]]></IP><MAC><![CDATA[02:00:0a:00:00:01]]></MAC><NETWORK><![CDATA[public]]></NETWORK><NETWORK_ID><![CDATA[0]]></NETWORK_ID><NIC_ID><![CDATA[0]]></NIC_ID><VLAN><![CDATA[NO]]></VLAN></NIC></TEMPLATE><USER_TEMPLATE><NOTE><![CDATA[none]]></NOTE></USER_TEMPLATE>")
	b.WriteString("<HISTORY_RECORDS><HISTORY><OID>0</OID><SEQ>0</SEQ><HOSTNAME>node1</HOSTNAME><HID>1</HID><CID>0</CID><STIME>1416690000</STIME><ETIME>0</ETIME><VMMMAD>kvm</VMMMAD><VNMMAD>dummy</VNMMAD><TMMAD>shared</TMMAD><DS_LOCATION>/var/lib/one/datastores</DS_LOCATION><DS_ID>0</DS_ID><PSTIME>0</PSTIME><PETIME>0</PETIME><RSTIME>0</RSTIME><RETIME>0</RETIME><ESTIME>0</ESTIME><EETIME>0</EETIME><REASON>0</REASON><ACTION>0</ACTION></HISTORY></HISTORY_RECORDS></VM>")
	return b.String()
}

// BenchmarkVMBodies is the start of a server with 10,000 machines.
func BenchmarkVMBodies(b *testing.B) {
	bodies := make([]string, 10000)
	total := 0
	for i := range bodies {
		bodies[i] = vmBody(i)
		total += len(bodies[i])
	}
	b.SetBytes(int64(total))
	b.ReportAllocs()
	for b.Loop() {
		for _, body := range bodies {
			if _, err := xmldoc.Parse(body); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain <&> ]] >\t\r\n\U0001F600": "plain <&> ]] >\t\r\n\U0001F600",
		"\x1b[31mred\x1b[0m":             "?[31mred?[0m",
		"\xff\xfe caf\xe9":               "? caf?",
		"a\x00b\uffffc\ufffed":           "a?b?c?d",
		"x]]>y":                          "x]]?y",
	} {
		got := xmldoc.CleanCDATA(in)
		if got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
		if _, err := xmldoc.Parse("<A><![CDATA[" + got + "]]></A>"); err != nil {
			t.Errorf("%q: %v", got, err)
		}
	}
	if got := xmldoc.Clean("x]]>y"); got != "x]]>y" {
		t.Errorf("%q", got)
	}
}
