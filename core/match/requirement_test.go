package match

import (
	"strings"
	"testing"
)

const (
	oddHosts = `<HOST_POOL>
<HOST><ID>0</ID><NAME>h0</NAME><STATE>2</STATE><CLUSTER_ID>100</CLUSTER_ID><CLUSTER>prod</CLUSTER>
<HOST_SHARE><MAX_CPU>800</MAX_CPU><FREE_CPU>700</FREE_CPU></HOST_SHARE><VMS><ID>3</ID><ID>7</ID></VMS>
<TEMPLATE><X>1</X><FLT>1.5</FLT><GIGS>8G</GIGS><BIG>4294967296</BIG><COLOR>red</COLOR><PATH>/usr/lib</PATH><EMPTY></EMPTY>
<STATE>77</STATE><MAX_CPU>1</MAX_CPU><V><K1>a</K1><K2>b</K2></V><L>one</L><L>two</L><EXP>2e3</EXP><BADEXP>2e</BADEXP></TEMPLATE></HOST>
</HOST_POOL>`
	oddClusters = `<CLUSTER_POOL><CLUSTER><ID>100</ID><NAME>prod</NAME><TEMPLATE><COLOR>blue</COLOR><ROOM>12</ROOM></TEMPLATE></CLUSTER></CLUSTER_POOL>`
)

func oddTable(tb testing.TB) *table {
	tb.Helper()
	return NewMatcher(&Snapshot{Hosts: ReadHosts(mustParse(tb, oddHosts), mustParse(tb, oddClusters))}, Policy{}, false).hosts
}

func TestRequirementHolds(t *testing.T) {
	tests := []struct {
		name, text string
		want       bool
	}{
		{"empty", "", true},
		{"blanks and junk only", " \t;\n", true},
		{"equal integer", "X = 1", true},
		{"integer with junk between", "X~=\n1;", true},
		{"the value's integer prefix", "GIGS = 8", true},
		{"a float read as integer", "FLT = 1", true},
		{"an integer comparison cuts", "FLT > 1", false},
		{"a float comparison does not", "FLT > 1.4", true},
		{"an integer value in a float comparison", "X = 1.0", true},
		{"an exponent in a float comparison", "EXP = 2000.0", true},
		{"an exponent without digits is no number", "BADEXP = 2.0", false},
		{"beyond 32 bits", "BIG > 1", false},
		{"beyond 32 bits, unequal", "BIG != 1", false},
		{"text as integer", "COLOR = 0", false},
		{"text as integer, unequal", "COLOR != 0", false},
		{"text", `COLOR = red`, true},
		{"text is compared with case", `COLOR = Red`, false},
		{"names have case", `color = red`, false},
		{"unequal text", `COLOR != "blue"`, true},
		{"wildcard", `COLOR = "r?*"`, true},
		{"wildcard over slashes", `PATH = "*lib"`, true},
		{"the whole value must match", `COLOR = "re"`, false},
		{"empty text never matches", `EMPTY = ""`, false},
		{"empty text never matches, unequal", `COLOR != ""`, false},
		{"an empty value matches *", `EMPTY = "*"`, true},
		{"missing", "NOPE = 1", false},
		{"missing, unequal", "NOPE != 1", false},
		{"missing, unequal text", `NOPE != "x"`, false},
		{"missing, negated", "!(NOPE = 1)", true},
		{"the host's own attributes win", "STATE = 2", true},
		{"the share wins over the template", "MAX_CPU = 800", true},
		{"the template wins over the cluster", `COLOR = "blue"`, false},
		{"the cluster's template", "ROOM = 12", true},
		{"the first of several", `L = "one"`, true},
		{"not the second of several", `L = "two"`, false},
		{"a vector is the sum of its texts", `V = "ab"`, true},
		{"a path", `"V/K2" = "b"`, true},
		{"an absolute path", `"/HOST/VMS/ID" = 3`, true},
		{"XPath", `"V/*[last()]" = "b"`, true},
		{"broken XPath", `"V[" = "b"`, false},
		{"runs the machine", "CURRENT_VMS = 7", true},
		{"does not run the machine", "CURRENT_VMS = 8", false},
		{"does not run the machine, unequal", "CURRENT_VMS != 8", true},
		{"CURRENT_VMS with text is an attribute", `CURRENT_VMS = "7"`, false},
		{"& and | have one precedence", "X = 1 | X = 1 & X = 2", false},
		{"! binds to what follows", "!X = 2 & X = 2", false},
		{"! twice", "! ! X = 1", true},
		{"parentheses", "X = 1 | (X = 1 & X = 2)", true},
		{"negative constant", "X > -1", true},
		{"quoted name", `"X" = 1`, true},
	}
	table := oddTable(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req, err := ParseRequirement(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			if got := req.bind(table).eval(0); got != tt.want {
				t.Errorf("%s is %v, want %v", tt.text, got, tt.want)
			}
		})
	}
}

// The messages reach users in SCHED_MESSAGE; they are 4.6's, with the
// columns of the text as a whole.
func TestRequirementErrors(t *testing.T) {
	tests := []struct{ text, want string }{
		{"X >= 1", "unexpected '=', expecting INTEGER or FLOAT at line 1, columns 4:5"},
		{"X == 1", "unexpected '=', expecting INTEGER or STRING or FLOAT at line 1, columns 4:5"},
		{"X !> 1", "unexpected '>', expecting '=' at line 1, columns 4:5"},
		{"X && X", "unexpected '&', expecting '!' or '=' or '>' or '<' at line 1, columns 3:4"},
		{"X = 1 && X = 1", "unexpected '&', expecting '!' or STRING or '(' at line 1, columns 8:9"},
		{"X = 1 Y", "unexpected STRING, expecting $end at line 1, columns 7:8"},
		{"(X = 1", "unexpected $end, expecting '&' or '|' or ')' at line 1, columns 6:7"},
		{"(X = 1 ! )", "unexpected '!', expecting '&' or '|' or ')' at line 1, columns 8:9"},
		{"X = 1)", "unexpected ')', expecting $end at line 1, columns 6:7"},
		{"X", "unexpected $end, expecting '!' or '=' or '>' or '<' at line 1, columns 1:2"},
		{"X = ", "unexpected $end, expecting INTEGER or STRING or FLOAT at line 1, columns 4:5"},
		{"= 1", "unexpected '=', expecting $end at line 1, columns 1:2"},
		{"-5", "unexpected INTEGER, expecting $end at line 1, columns 1:3"},
		{"!", "unexpected $end, expecting '!' or STRING or '(' at line 1, columns 1:2"},
		{`X > "a"`, "unexpected STRING, expecting INTEGER or FLOAT at line 1, columns 5:8"},
		{"X = 1 ^ 2", "unexpected $undefined, expecting $end at line 1, columns 7:8"},
		{"X\n=\n> 1", "unexpected '>', expecting INTEGER or STRING or FLOAT at line 1, columns 5:6"},
		{`"a b`, "unexpected STRING, expecting '!' or '=' or '>' or '<' at line 1, columns 4:5"},
		{"X = \"a\nb\" Y", "unexpected STRING, expecting $end at line 2, columns 11:12"},
		{"X = \"a\n\nb", "unexpected STRING, expecting $end at line 1, columns 9:10"},
		{`"" = 1`, "empty attribute name at line 1, columns 1:3"},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			_, err := ParseRequirement(tt.text)
			if err == nil {
				t.Fatal("no error")
			}
			if want := "syntax error, " + tt.want; err.Error() != want {
				t.Errorf("got  %s\nwant %s", err, want)
			}
		})
	}
}

func TestDeepNestingIsAnError(t *testing.T) {
	const deep = 1_000_000
	for _, c := range []string{"(", "!"} {
		if _, err := ParseRequirement(strings.Repeat(c, deep)); err == nil || !strings.Contains(err.Error(), "memory exhausted") {
			t.Errorf("%d × %s: %v", deep, c, err)
		}
	}
	for _, c := range []string{"(", "- "} {
		if _, err := ParseRank(strings.Repeat(c, deep)); err == nil || !strings.Contains(err.Error(), "memory exhausted") {
			t.Errorf("rank, %d × %s: %v", deep, c, err)
		}
	}
	if _, err := ParseRequirement(strings.Repeat("(", 5000) + "X=1" + strings.Repeat(")", 5000)); err != nil {
		t.Errorf("5000 parentheses: %v", err)
	}
}

// The automatic requirement holds whatever the user writes.
func TestJoinCannotBeEscaped(t *testing.T) {
	table := oddTable(t)
	const automatic = "CLUSTER_ID = 101" // not where the host is
	for _, user := range []string{
		"X = 1 ) | ( X = 1", "X = 1 ) | ! ( NOPE = 1", "X = 1 | X = 1", `X = 1 ) | ( "X" = 1 | X = 2`, "X=1)|(X=1)|(X=1",
	} {
		j := join(automatic, &user, table)
		if j.err != nil {
			continue // refused is safe too
		}
		if j.bound.eval(0) && j.guard.eval(0) {
			t.Errorf("%q leaves the automatic requirement", user)
		}
	}
}

func TestJoinKeepsTheTextOf46(t *testing.T) {
	user := "X >= 1"
	j := join("CLUSTER_ID = 100", &user, oddTable(t))
	if want := "CLUSTER_ID = 100 & ( X >= 1 )"; j.text != want {
		t.Errorf("text %q, want %q", j.text, want)
	}
	if want := "columns 25:26"; j.err == nil || !strings.Contains(j.err.Error(), want) {
		t.Errorf("error %v, want %s", j.err, want)
	}
}
