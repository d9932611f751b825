package dummy

import (
	"bytes"
	"context"
	"encoding/base64"
	"os"
	"regexp"
	"strings"
	"testing"

	"goned/drivers/agent"
	"goned/drivers/vmm"
)

func TestVMMDummy(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/save", []byte("1\nfailure\n-\nsuccess 0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	d := &VMM{Dir: dir, Out: agent.NewOutput(&out)}
	do := func(a vmm.Action) string {
		out.Reset()
		req := vmm.Request{Host: "h1", VM: "<VM><NAME>one-3</NAME><NET_TX>1000</NET_TX><TEMPLATE><CPU>2</CPU><MEMORY>64</MEMORY></TEMPLATE></VM>"}
		d.Actions()[string(a)].Run(context.Background(), agent.Request{Action: string(a), ID: 3, Args: strings.Fields(req.Line(a, 3))[2:]})
		return out.String()
	}
	if got := do(vmm.Deploy); got != "DEPLOY SUCCESS 3 h1:one-3:dummy\n" {
		t.Error(got)
	}
	if got := do(vmm.SnapshotCreate); got != "SNAPSHOTCREATE SUCCESS 3 dummy-snap\n" {
		t.Error(got)
	}
	for i, want := range []string{"SAVE SUCCESS 3 -\n", "SAVE FAILURE 3 -\n", "SAVE  3 -\n", "SAVE SUCCESS 3 -\n", "SAVE SUCCESS 3 -\n", "SAVE FAILURE 3 -\n"} {
		if got := do(vmm.Save); got != want {
			t.Errorf("save %d: %q, want %q", i, got, want)
		}
	}
	for _, a := range vmm.Actions() {
		if got := do(a); !strings.HasPrefix(got, string(a)+" ") {
			t.Errorf("%s: %q", a, got)
		}
	}
	poll := do(vmm.Poll)
	m := regexp.MustCompile(`^POLL SUCCESS 3 (STATE=a NETTX=1\d\d\d NETRX=\d+ USEDMEMORY=\d+ USEDCPU=\d+)\n$`).FindStringSubmatch(poll)
	if m == nil {
		t.Fatal(poll)
	}
	if mon, err := vmm.ParseMonitor(m[1]); err != nil || *mon.MemoryKB > 65536 || *mon.CPU > 200 {
		t.Errorf("%+v %v", mon, err)
	}
}

func TestIMDummy(t *testing.T) {
	var out bytes.Buffer
	d := &IM{Out: agent.NewOutput(&out)}
	d.monitor(context.Background(), agent.Request{Action: "MONITOR", ID: 4, Args: []string{"node1", "/ds", "1"}})
	f := strings.Fields(out.String())
	text, err := base64.StdEncoding.DecodeString(f[3])
	if err != nil || strings.Join(f[:3], " ") != "MONITOR SUCCESS 4" {
		t.Fatal(out.String(), err)
	}
	for _, want := range []string{"HYPERVISOR=dummy\n", "HOSTNAME=node1\n", "TOTALMEMORY=16777216\n", "TOTALCPU=800\n", "DS_LOCATION_FREE_MB=20480\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
}
