package vmm

import (
	"encoding/base64"
	"encoding/xml"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func decodeLine(t *testing.T, line string) (head, doc string) {
	t.Helper()
	f := strings.Split(line, " ")
	if len(f) != 3 {
		t.Fatalf("line has %d words: %q", len(f), line)
	}
	data, err := base64.StdEncoding.DecodeString(f[2])
	if err != nil {
		t.Fatal(err)
	}
	return f[0] + " " + f[1], string(data)
}

func TestRequestLine(t *testing.T) {
	tests := []struct {
		name   string
		action Action
		req    Request
		head   string
		want   string
	}{
		{"deploy", Deploy, Request{Host: "h1", NetDriver: "fw",
			LocalFile: "/v/vms/0/deployment.0", RemoteFile: "/v//datastores/0/0/deployment.0", VM: "<VM><ID>0</ID></VM>"},
			"DEPLOY 0",
			"<VMM_DRIVER_ACTION_DATA><HOST>h1</HOST><NET_DRV>fw</NET_DRV><MIGR_HOST/><MIGR_NET_DRV/><DEPLOY_ID/>" +
				"<LOCAL_DEPLOYMENT_FILE>/v/vms/0/deployment.0</LOCAL_DEPLOYMENT_FILE>" +
				"<REMOTE_DEPLOYMENT_FILE>/v//datastores/0/0/deployment.0</REMOTE_DEPLOYMENT_FILE>" +
				"<CHECKPOINT_FILE/><TM_COMMAND/><TM_COMMAND_ROLLBACK/><DISK_TARGET_PATH/><VM><ID>0</ID></VM></VMM_DRIVER_ACTION_DATA>"},
		{"migrate", Migrate, Request{Host: "h1", NetDriver: "dummy", MigrHost: "h2", MigrNetDriver: "fw", DeployID: "one-7",
			TMCommand: "MIGRATE shared h1 h2 /d/0/7 7 0\n", VM: "<VM/>"},
			"MIGRATE 0",
			"<VMM_DRIVER_ACTION_DATA><HOST>h1</HOST><NET_DRV>dummy</NET_DRV><MIGR_HOST>h2</MIGR_HOST><MIGR_NET_DRV>fw</MIGR_NET_DRV>" +
				"<DEPLOY_ID>one-7</DEPLOY_ID><LOCAL_DEPLOYMENT_FILE/><REMOTE_DEPLOYMENT_FILE/><CHECKPOINT_FILE/>" +
				"<TM_COMMAND><![CDATA[MIGRATE shared h1 h2 /d/0/7 7 0\n]]></TM_COMMAND><TM_COMMAND_ROLLBACK/><DISK_TARGET_PATH/><VM/></VMM_DRIVER_ACTION_DATA>"},
		{"attach disk", AttachDisk, Request{Host: "h", DeployID: "one-1", TMCommand: "LN a\n", TMRollback: "DELETE a\n", DiskTarget: "/d/disk.2", VM: "<VM/>"},
			"ATTACHDISK 0",
			"<VMM_DRIVER_ACTION_DATA><HOST>h</HOST><NET_DRV/><MIGR_HOST/><MIGR_NET_DRV/><DEPLOY_ID>one-1</DEPLOY_ID>" +
				"<LOCAL_DEPLOYMENT_FILE/><REMOTE_DEPLOYMENT_FILE/><CHECKPOINT_FILE/><TM_COMMAND><![CDATA[LN a\n]]></TM_COMMAND>" +
				"<TM_COMMAND_ROLLBACK><![CDATA[DELETE a\n]]></TM_COMMAND_ROLLBACK><DISK_TARGET_PATH>/d/disk.2</DISK_TARGET_PATH><VM/></VMM_DRIVER_ACTION_DATA>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			head, doc := decodeLine(t, tt.req.Line(tt.action, 0))
			if head != tt.head {
				t.Errorf("head %q, want %q", head, tt.head)
			}
			if diff := cmp.Diff(tt.want, doc); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
	if got := CancelLine(12); got != "DRIVER_CANCEL 12" {
		t.Error(got)
	}
}

func FuzzRequestIsOneWellFormedLine(f *testing.F) {
	f.Add("h1", "a]]>b", "<x>&")
	f.Add("</HOST><HOST>evil", "\n\n", "'\"")
	f.Fuzz(func(t *testing.T, host, command, target string) {
		line := Request{Host: host, TMCommand: command, DiskTarget: target, VM: "<VM/>"}.Line(AttachDisk, 3)
		if strings.ContainsAny(line, "\n\r") {
			t.Fatalf("line feed in %q", line)
		}
		_, text := decodeLine(t, line)
		var parsed struct {
			Host    []string `xml:"HOST"`
			Command []string `xml:"TM_COMMAND"`
			Target  []string `xml:"DISK_TARGET_PATH"`
		}
		if err := xml.Unmarshal([]byte(text), &parsed); err != nil {
			return // characters that no XML can carry
		}
		norm := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace
		for _, v := range []struct {
			got  []string
			want string
		}{{parsed.Host, host}, {parsed.Command, command}, {parsed.Target, target}} {
			if len(v.got) != 1 || v.got[0] != norm(v.want) {
				t.Fatalf("read back %q, want %q", v.got, v.want)
			}
		}
	})
}

func TestTexts(t *testing.T) {
	for _, a := range Actions() {
		if FailureText(a, "") == "" {
			t.Errorf("%s has no failure text", a)
		}
	}
	if got, want := FailureText(Deploy, "no memory"), "Error deploying virtual machine: no memory"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := FailureText(Reboot, ""), "Error rebooting VM, assume it's still running"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := SuccessText(AttachNIC), "VM NIC Successfully attached."; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for text, want := range map[string]string{"one-3 rest": "one-3", "": "", "  ": ""} {
		if got := HypervisorID(text); got != want {
			t.Errorf("HypervisorID(%q) = %q", text, got)
		}
	}
}

func TestParseMonitor(t *testing.T) {
	i, l := func(n int) *int { return &n }, func(n int64) *int64 { return &n }
	tests := []struct {
		name, text string
		want       Monitor
		err        bool
	}{
		{name: "usual", text: "STATE=a USEDCPU=50.5 USEDMEMORY=65536 NETTX=100 NETRX=200",
			want: Monitor{State: 'a', CPU: i(50), MemoryKB: i(65536), NetTx: l(100), NetRx: l(200)}},
		{name: "xen name", text: "NAME=one-5 STATE=d", want: Monitor{State: 'd', Custom: []Attribute{{"NAME", "one-5"}}}},
		{name: "equal sign in a value", text: "X=a=b", want: Monitor{Custom: []Attribute{{"X", "a=b"}}}},
		{name: "runs of blanks", text: "STATE=-  USEDCPU=1 ", want: Monitor{State: '-', CPU: i(1)}},
		{name: "long state", text: "STATE=paused", want: Monitor{State: 'p'}},
		{name: "64 bit traffic", text: "NETRX=9999999999", want: Monitor{NetRx: l(9999999999)}},
		{name: "32 bit memory", text: "USEDMEMORY=9999999999", err: true},
		{name: "empty", text: "  ", err: true},
		{name: "no equal sign", text: "STATE=a running", err: true},
		{name: "empty value", text: "FOO=", err: true},
		{name: "empty name", text: "=x", err: true},
		{name: "no number", text: "USEDCPU=x", err: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseMonitor(tt.text)
			if (err != nil) != tt.err {
				t.Fatalf("error %v", err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func FuzzParseMonitor(f *testing.F) {
	f.Add("STATE=a USEDCPU=50.5 NETTX=-")
	f.Add("=\xff A=\x00")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := ParseMonitor(text)
		if err != nil && (m.State != 0 || m.Custom != nil || m.CPU != nil) {
			t.Fatalf("error with figures: %+v", m)
		}
	})
}
