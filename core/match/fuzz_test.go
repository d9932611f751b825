package match

import (
	"strings"
	"testing"

	"goned/core/template/xmldoc"
)

const fuzzHosts = `<HOST_POOL>
<HOST><ID>0</ID><NAME>h0</NAME><STATE>2</STATE><CLUSTER_ID>100</CLUSTER_ID><HOST_SHARE><MAX_CPU>800</MAX_CPU><FREE_CPU>10.5</FREE_CPU></HOST_SHARE>
<VMS><ID>3</ID><ID>7</ID></VMS><TEMPLATE><X>1</X><S>red</S><V><K1>a</K1><K2>b</K2></V></TEMPLATE></HOST>
<HOST><ID>1</ID><NAME>h1</NAME><STATE>2</STATE><CLUSTER_ID>101</CLUSTER_ID><HOST_SHARE><MAX_CPU>800</MAX_CPU></HOST_SHARE>
<VMS></VMS><TEMPLATE><X>-2e3</X><PUBLIC_CLOUD>YES</PUBLIC_CLOUD></TEMPLATE></HOST>
</HOST_POOL>`

// FuzzExpression parses and evaluates a text as requirement, as rank and as
// name. Whatever it is, nothing panics, and no host is used that the automatic
// requirement excludes.
func FuzzExpression(f *testing.F) {
	for _, seed := range []string{
		"", "X = 1", `X = 1 ) | ( X = 1`, `!(A = "b*") & C != -1.5 | D > 3`, "FREE_CPU * 2 - - X / 0", "((((", "! ! !",
		`"V/K1" = "[a-z]"`, `"//*[last()]" = "?"`, `"/HOST[ID=1]/NAME" = h1`, `CURRENT_VMS = 3`, `"" = 1`, `X = "[[:alpha:]`,
		"X\n=\t1;", "é = 1", "99999999999999999999 - 0.0000000001", `"X[1]|V" = "*"`, `"count(//*) > 3" = 1`,
	} {
		f.Add(seed)
	}
	pool, err := xmldoc.Parse(fuzzHosts)
	if err != nil {
		f.Fatal(err)
	}
	hosts := ReadHosts(pool, nil)
	const automatic = "CLUSTER_ID = 100 & !(PUBLIC_CLOUD = YES)"

	f.Fuzz(func(t *testing.T, text string) {
		m := NewMatcher(&Snapshot{Hosts: hosts}, Policy{}, true)
		auto, err := ParseRequirement(automatic)
		if err != nil {
			t.Fatal(err)
		}
		mustHold := auto.bind(m.hosts)
		j := join(automatic, &text, m.hosts)
		if j.err != nil && !strings.Contains(j.err.Error(), ", columns ") {
			t.Errorf("error without a position: %v", j.err)
		}
		for i := range hosts {
			if j.err == nil && j.bound.eval(i) && j.guard.eval(i) && !mustHold.eval(i) {
				t.Errorf("%q puts the machine on host %d, which the automatic requirement excludes", text, i)
			}
		}
		if req, err := ParseRequirement(text); err == nil {
			req.bind(m.hosts).eval(0)
		}
		rank, _ := ParseRank(text)
		rank.bind(m.hosts).of(0)
		m.hosts.column(text)
		fnmatch(text, "red")
	})
}
