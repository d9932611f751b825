package tm

import "testing"

func TestScript(t *testing.T) {
	fe, host := "fe", "h1"
	dir := "/var/lib/one//datastores/0/25"
	got := Script([]Command{
		{"LN", "shared", []string{At(fe, "/ds/1/img"), At(host, dir+"/disk.0")}, 25, 1},
		{"CLONE", "ceph", []string{At(fe, "h9:vg.lv"), At(host, dir+"/disk.1")}, 25, 100},
		{"MKSWAP", "shared", []string{"64", At(host, dir+"/disk.2")}, 25, 0},
		{"CONTEXT", "shared", []string{"/v/vms/25/context.sh", "/a/b /c/d:newname ", At(host, dir+"/disk.4")}, 25, 0},
		{"MVDS", "shared", []string{At(host, dir+"/disk.0"), "/ds/1/img"}, 25, 1},
	})
	want := `LN shared fe:/ds/1/img h1:/var/lib/one//datastores/0/25/disk.0 25 1
CLONE ceph h9:vg.lv h1:/var/lib/one//datastores/0/25/disk.1 25 100
MKSWAP shared 64 h1:/var/lib/one//datastores/0/25/disk.2 25 0
CONTEXT shared /v/vms/25/context.sh /a/b /c/d:newname  h1:/var/lib/one//datastores/0/25/disk.4 25 0
MVDS shared h1:/var/lib/one//datastores/0/25/disk.0 /ds/1/img 25 1
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := Script(nil); got != "" {
		t.Errorf("empty script: %q", got)
	}
}

func TestLineFeedsDoNotMakeCommands(t *testing.T) {
	c := Command{"CONTEXT", "shared", []string{"/x\nDELETE shared /etc"}, 1, 0}
	if got, want := c.String(), "CONTEXT shared /x DELETE shared /etc 1 0"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestTexts(t *testing.T) {
	for got, want := range map[string]string{
		TransferLine(3, "/v/vms/3/transfer.0.prolog"): "TRANSFER 3 /v/vms/3/transfer.0.prolog",
		FailureText(""):        "Error executing image transfer script",
		FailureText("no room"): "Error executing image transfer script: no room",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
