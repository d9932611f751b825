package vmexec

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"goned/drivers/agent"
	"goned/drivers/agent/run"
	"goned/drivers/agent/transfer"
	"goned/drivers/vmm"
	"goned/test/output"
)

// world is a front-end and two hosts whose scripts write down how they are
// called. A script fails if a file fail/<name> exists, with its content as
// shell text run before.
type world struct {
	t    *testing.T
	base string
	out  output.Buffer
	d    *Driver
}

const recordingScript = `#!/bin/sh
name=$(basename "$0")
dir=$(basename "$(dirname "$0")")
case $0 in
@BASE@/remotes/*) place=local ;;
*) place=$WORLD_HOST ;;
esac
{
	printf '%s %s/%s' "$place" "$dir" "$name"
	printf ' [%s]' "$@"
	echo
} >> @BASE@/trace
case $name in
deploy) cat > "@BASE@/stdin"; [ -e @BASE@/fail/deploy ] || echo "one-$3" ;;
poll) echo "STATE=a USEDCPU=1" ;;
esac
if [ -e "@BASE@/fail/$name" ]; then
	. "@BASE@/fail/$name"
	exit 1
fi
`

const sshStubScript = `#!/bin/sh
WORLD_HOST=$1
export WORLD_HOST
shift
if [ "$WORLD_HOST" = bad2 ]; then
	echo "ssh: Could not resolve hostname bad2: Name or service not known" >&2
	exit 255
fi
exec sh -c "$*"
`

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, base: t.TempDir()}
	body := strings.ReplaceAll(recordingScript, "@BASE@", w.base)
	for _, dir := range []string{"remotes", "host"} {
		for _, s := range []string{"vmm/xen4/deploy", "vmm/xen4/shutdown", "vmm/xen4/cancel", "vmm/xen4/save", "vmm/xen4/restore",
			"vmm/xen4/migrate", "vmm/xen4/poll", "vmm/xen4/reboot", "vmm/xen4/reset", "vmm/xen4/attach_disk", "vmm/xen4/detach_disk",
			"vmm/xen4/attach_nic", "vmm/xen4/detach_nic", "vmm/xen4/snapshot_create", "vmm/xen4/snapshot_revert", "vmm/xen4/snapshot_delete",
			"vnm/fw/pre", "vnm/fw/post", "vnm/fw/clean", "vnm/dummy/pre", "vnm/dummy/post", "vnm/dummy/clean",
			"tm/shared/premigrate", "tm/shared/postmigrate", "tm/shared/delete", "tm/shared/ln", "tm/shared/mvds"} {
			w.write(dir+"/"+s, body)
		}
	}
	ssh := &run.SSH{Program: w.write("ssh", sshStubScript)}
	out := agent.NewOutput(&w.out)
	w.d = &Driver{
		Hypervisor: "xen4", LocalActions: map[string]string{},
		LocalDir: w.base + "/remotes", RemoteDir: w.base + "/host",
		SSH: ssh, Remotes: &run.Remotes{Local: w.base + "/remotes", Remote: w.base + "/host", SSH: ssh},
		Transfer: &transfer.Runner{Dir: w.base + "/remotes/tm", Out: out}, Out: out,
	}
	return w
}

func (w *world) write(name, body string) string {
	w.t.Helper()
	path := filepath.Join(w.base, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(body), 0o755); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// request sends one request and returns the lines up to its answer.
func (w *world) request(line string) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	r, in, err := os.Pipe()
	if err != nil {
		w.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- agent.NewServer(w.d.Out, 5, w.d.Actions()).Serve(ctx, r) }()
	fmt.Fprintln(in, line)
	action := strings.Fields(line)[0]
	for !strings.Contains("\n"+w.out.String(), "\n"+action+" ") && ctx.Err() == nil {
		time.Sleep(2 * time.Millisecond)
	}
	in.Close()
	if err := <-done; err != nil {
		w.t.Error(err)
	}
	r.Close()
	return w.tidy(w.out.String())
}

// tidy replaces what differs from run to run.
func (w *world) tidy(text string) string {
	text = strings.ReplaceAll(text, w.base, "@")
	for _, f := range strings.Fields(text) {
		f = strings.Trim(f, "[]'")
		if data, err := base64.StdEncoding.DecodeString(f); err == nil && len(f) > 60 {
			name := "<other b64>"
			switch s := string(data); {
			case strings.HasPrefix(s, "<VM>"):
				name = "<vm b64>"
			case strings.HasPrefix(s, "<VMM_DRIVER"):
				name = "<request b64>"
			}
			text = strings.ReplaceAll(text, f, name)
		}
	}
	return text
}

func (w *world) trace() string {
	data, _ := os.ReadFile(w.base + "/trace")
	return w.tidy(string(data))
}

const vmDocument = `<VM><ID>1</ID><NAME>x</NAME><DEPLOY_ID>one-1</DEPLOY_ID><TEMPLATE>` +
	`<DISK><DISK_ID>0</DISK_ID><TARGET>hda</TARGET></DISK><DISK><ATTACH><![CDATA[YES]]></ATTACH><TARGET><![CDATA[vdc]]></TARGET></DISK>` +
	`<NIC><BRIDGE>br0</BRIDGE><MAC>02:00:00:00:00:01</MAC><NIC_ID>0</NIC_ID></NIC>` +
	`<NIC><ATTACH><![CDATA[YES]]></ATTACH><BRIDGE><![CDATA[br1]]></BRIDGE><MAC><![CDATA[02:00:00:00:00:02]]></MAC><NIC_ID>1</NIC_ID></NIC>` +
	`<SNAPSHOT><SNAPSHOT_ID>0</SNAPSHOT_ID><HYPERVISOR_ID>snap-0</HYPERVISOR_ID></SNAPSHOT>` +
	`<SNAPSHOT><ACTIVE><![CDATA[YES]]></ACTIVE><SNAPSHOT_ID>3</SNAPSHOT_ID><HYPERVISOR_ID><![CDATA[snap-3]]></HYPERVISOR_ID></SNAPSHOT>` +
	`</TEMPLATE><HISTORY_RECORDS><HISTORY><HOSTNAME>host1</HOSTNAME></HISTORY></HISTORY_RECORDS></VM>`

func (w *world) base1() vmm.Request {
	return vmm.Request{Host: "host1", NetDriver: "fw", DeployID: "one-1", VM: vmDocument,
		CheckpointFile: "/d/0/1/checkpoint"}
}

func TestSequences(t *testing.T) {
	tests := []struct {
		name   string
		action vmm.Action
		edit   func(w *world, r *vmm.Request)
		fail   map[string]string
		trace  string
		output string
	}{
		{name: "deploy", action: vmm.Deploy,
			edit: func(w *world, r *vmm.Request) {
				r.DeployID = ""
				r.LocalFile = w.write("deployment.0", "name = '$one-1' `id`\n")
				r.RemoteFile = "/d/0/1/deployment.0"
			},
			trace: "host1 fw/pre [<vm b64>]\n" +
				"host1 xen4/deploy [/d/0/1/deployment.0] [host1] [1] [host1]\n" +
				"host1 fw/post [<vm b64>] [one-1]\n",
			output: "LOG I 1 ExitCode: 0\nLOG I 1 Successfully execute network driver operation: pre.\n" +
				"LOG I 1 ExitCode: 0\nLOG I 1 Successfully execute virtualization driver operation: deploy.\n" +
				"LOG I 1 ExitCode: 0\nLOG I 1 Successfully execute network driver operation: post.\n" +
				"DEPLOY SUCCESS 1 one-1\n"},
		{name: "deploy fails", action: vmm.Deploy,
			edit: func(w *world, r *vmm.Request) {
				r.LocalFile, r.RemoteFile = w.write("deployment.0", "x\n"), "/d/0/1/deployment.0"
			},
			fail: map[string]string{"deploy": "echo 'Parsing config from /d/0/1/deployment.0' >&2\necho 'libxl: error: something bad' >&2\n" +
				"echo 'ERROR MESSAGE --8<------' >&2\necho Unable >&2\necho 'ERROR MESSAGE ------>8--' >&2\nexit 3\n"},
			trace: "host1 fw/pre [<vm b64>]\nhost1 xen4/deploy [/d/0/1/deployment.0] [host1] [1] [host1]\n",
			output: "LOG I 1 ExitCode: 0\nLOG I 1 Successfully execute network driver operation: pre.\n" +
				"LOG I 1 Command execution fail: cat << EOT | @/host/vmm/xen4/deploy '/d/0/1/deployment.0' 'host1' 1 host1\n" +
				"LOG I 1 Parsing config from /d/0/1/deployment.0\nLOG I 1 libxl: error: something bad\nLOG E 1 Unable\nLOG I 1 ExitCode: 3\n" +
				"LOG I 1 Failed to execute virtualization driver operation: deploy.\nDEPLOY FAILURE 1 Unable\n"},
		{name: "deploy rolls back", action: vmm.Deploy,
			edit: func(w *world, r *vmm.Request) {
				r.LocalFile, r.RemoteFile = w.write("deployment.0", "x\n"), "/d/0/1/deployment.0"
			},
			fail: map[string]string{"post": "echo 'iptables: denied' >&2\n"},
			trace: "host1 fw/pre [<vm b64>]\nhost1 xen4/deploy [/d/0/1/deployment.0] [host1] [1] [host1]\n" +
				"host1 fw/post [<vm b64>] [one-1]\nhost1 xen4/cancel [one-1] [host1] [1] [host1]\n",
			output: "LOG I 1 ExitCode: 0\nLOG I 1 Successfully execute network driver operation: pre.\n" +
				"LOG I 1 ExitCode: 0\nLOG I 1 Successfully execute virtualization driver operation: deploy.\n" +
				"LOG I 1 Command execution fail: @/host/vnm/fw/post <vm b64> 'one-1'\nLOG I 1 iptables: denied\nLOG I 1 ExitCode: 1\n" +
				"LOG I 1 ExitCode: 0\nLOG I 1 Successfully execute virtualization driver operation: cancel.\n" +
				"LOG I 1 Failed to execute network driver operation: post.\nDEPLOY FAILURE 1 iptables: denied\n"},
		{name: "deploy without file", action: vmm.Deploy,
			edit:   func(w *world, r *vmm.Request) { r.LocalFile = "/no/deployment.0" },
			output: "DEPLOY FAILURE 1 Cannot open deployment file /no/deployment.0\n"},
		{name: "host cannot be reached", action: vmm.Shutdown,
			edit: func(w *world, r *vmm.Request) { r.Host = "bad2" },
			output: "LOG I 1 Command execution fail: @/host/vmm/xen4/shutdown 'one-1' 'bad2' 1 bad2\n" +
				"LOG I 1 ssh: Could not resolve hostname bad2: Name or service not known\nLOG I 1 ExitSSHCode: 255\n" +
				"LOG E 1 Error connecting to bad2: ssh: Could not resolve hostname bad2: Name or service not known\n" +
				"LOG I 1 Failed to execute virtualization driver operation: shutdown.\n" +
				"SHUTDOWN FAILURE 1 Error connecting to bad2: ssh: Could not resolve hostname bad2: Name or service not known\n"},
		{name: "shutdown", action: vmm.Shutdown,
			trace: "host1 xen4/shutdown [one-1] [host1] [1] [host1]\nhost1 fw/clean [<vm b64>]\n",
			output: "LOG I 1 ExitCode: 0\nLOG I 1 Successfully execute virtualization driver operation: shutdown.\n" +
				"LOG I 1 ExitCode: 0\nLOG I 1 Successfully execute network driver operation: clean.\nSHUTDOWN SUCCESS 1 -\n"},
		{name: "save", action: vmm.Save,
			trace: "host1 xen4/save [one-1] [/d/0/1/checkpoint] [host1] [1] [host1]\nhost1 fw/clean [<vm b64>]\n"},
		{name: "restore", action: vmm.Restore,
			trace: "host1 fw/pre [<vm b64>]\nhost1 xen4/restore [/d/0/1/checkpoint] [host1] [one-1] [1] [host1]\nhost1 fw/post [<vm b64>] [one-1]\n"},
		{name: "migrate", action: vmm.Migrate,
			edit: func(w *world, r *vmm.Request) {
				r.MigrHost, r.MigrNetDriver, r.TMCommand = "host2", "dummy", "MIGRATE shared host1 host2 /d/0/1 1 0\n"
			},
			trace: "local shared/premigrate [host1] [host2] [/d/0/1] [1] [0] [<vm b64>]\n" +
				"host2 dummy/pre [<vm b64>]\nhost1 xen4/migrate [one-1] [host2] [host1] [1] [host1]\n" +
				"host1 fw/clean [<vm b64>]\nhost2 dummy/post [<vm b64>] [one-1]\n" +
				"local shared/postmigrate [host1] [host2] [/d/0/1] [1] [0] [<vm b64>]\n"},
		{name: "migrate: late failures are ignored", action: vmm.Migrate,
			edit: func(w *world, r *vmm.Request) {
				r.MigrHost, r.MigrNetDriver, r.TMCommand = "host2", "dummy", "MIGRATE shared host1 host2 /d/0/1 1 0\n"
			},
			fail: map[string]string{"clean": "", "post": "", "postmigrate": ""},
			output: "LOG I 1 Successfully execute transfer manager driver operation: tm_premigrate.\n" +
				"LOG I 1 ExitCode: 0\nLOG I 1 Successfully execute network driver operation: pre.\n" +
				"LOG I 1 ExitCode: 0\nLOG I 1 Successfully execute virtualization driver operation: migrate.\n" +
				"LOG I 1 Command execution fail: @/host/vnm/fw/clean <vm b64>\nLOG I 1 ExitCode: 1\nLOG I 1 Failed to execute network driver operation: clean.\n" +
				"LOG I 1 Command execution fail: @/host/vnm/dummy/post <vm b64> 'one-1'\nLOG I 1 ExitCode: 1\nLOG I 1 Failed to execute network driver operation: post.\n" +
				"LOG I 1 Command execution fail: @/remotes/tm/shared/postmigrate host1 host2 /d/0/1 1 0 <vm b64>\nLOG I 1 ExitCode: 1\n" +
				"LOG I 1 Failed to execute transfer manager driver operation: tm_postmigrate.\nMIGRATE SUCCESS 1 -\n"},
		{name: "migrate fails with a script to undo", action: vmm.Migrate,
			edit: func(w *world, r *vmm.Request) {
				w.write("remotes/tm/shared/failmigrate", strings.ReplaceAll(recordingScript, "@BASE@", w.base))
				r.MigrHost, r.MigrNetDriver, r.TMCommand = "host2", "dummy", "MIGRATE shared host1 host2 /d/0/1 1 0\n"
			},
			fail: map[string]string{"migrate": ""},
			trace: "local shared/premigrate [host1] [host2] [/d/0/1] [1] [0] [<vm b64>]\n" +
				"host2 dummy/pre [<vm b64>]\nhost1 xen4/migrate [one-1] [host2] [host1] [1] [host1]\n" +
				"local shared/failmigrate [host1] [host2] [/d/0/1] [1] [0] [<vm b64>]\n"},
		{name: "attach disk", action: vmm.AttachDisk,
			edit: func(w *world, r *vmm.Request) {
				r.TMCommand, r.TMRollback = "LN shared fe:/img host1:/d/0/1/disk.2 1 1\n", "MVDS shared host1:/d/0/1/disk.2 /img 1 1\n"
				r.DiskTarget = "/d/0/1/disk.2"
			},
			trace: "local shared/ln [fe:/img] [host1:/d/0/1/disk.2] [1] [1]\n" +
				"host1 xen4/attach_disk [one-1] [/d/0/1/disk.2] [vdc] [2] [<request b64>] [1] [host1]\n"},
		{name: "attach disk rolls back", action: vmm.AttachDisk,
			edit: func(w *world, r *vmm.Request) {
				r.TMCommand, r.TMRollback = "LN shared fe:/img host1:/d/0/1/disk.2 1 1\n", "MVDS shared host1:/d/0/1/disk.2 /img 1 1\n"
				r.DiskTarget = "/d/0/1/disk.2"
			},
			fail: map[string]string{"attach_disk": ""},
			trace: "local shared/ln [fe:/img] [host1:/d/0/1/disk.2] [1] [1]\n" +
				"host1 xen4/attach_disk [one-1] [/d/0/1/disk.2] [vdc] [2] [<request b64>] [1] [host1]\n" +
				"local shared/mvds [host1:/d/0/1/disk.2] [/img] [1] [1]\n"},
		{name: "attach disk without command", action: vmm.AttachDisk, output: "ATTACHDISK FAILURE 1 Cannot perform ATTACHDISK, expecting TM_COMMAND\n"},
		{name: "attach disk without disk", action: vmm.AttachDisk,
			edit:   func(w *world, r *vmm.Request) { r.TMCommand, r.VM = "LN shared a b\n", "<VM><ID>1</ID></VM>" },
			output: "ATTACHDISK FAILURE 1 Cannot perform ATTACHDISK, expecting VM/TEMPLATE/DISK[ATTACH='YES']/TARGET\n"},
		{name: "detach disk", action: vmm.DetachDisk,
			edit: func(w *world, r *vmm.Request) {
				r.TMCommand, r.DiskTarget = "DELETE shared host1:/d/0/1/disk.2 1 1\n", "/d/0/1/disk.2"
			},
			trace: "host1 xen4/detach_disk [one-1] [/d/0/1/disk.2] [vdc] [2] [1] [host1]\nlocal shared/delete [host1:/d/0/1/disk.2] [1] [1]\n"},
		{name: "attach nic", action: vmm.AttachNIC,
			trace: "host1 fw/pre [<vm b64>]\nhost1 xen4/attach_nic [one-1] [02:00:00:00:00:02] [br1] [-] [fw] [1] [host1]\nhost1 fw/post [<vm b64>] [one-1]\n"},
		{name: "attach nic rolls back", action: vmm.AttachNIC, fail: map[string]string{"post": ""},
			trace: "host1 fw/pre [<vm b64>]\nhost1 xen4/attach_nic [one-1] [02:00:00:00:00:02] [br1] [-] [fw] [1] [host1]\nhost1 fw/post [<vm b64>] [one-1]\n" +
				"host1 xen4/detach_nic [one-1] [02:00:00:00:00:02] [1] [host1]\n"},
		{name: "attach nic without nic", action: vmm.AttachNIC, edit: func(w *world, r *vmm.Request) { r.VM = "<VM/>" },
			output: "ATTACHNIC FAILURE 1 Error in ATTACHNIC, BRIDGE and MAC needed in NIC\n"},
		{name: "detach nic", action: vmm.DetachNIC,
			trace: "host1 xen4/detach_nic [one-1] [02:00:00:00:00:02] [1] [host1]\nhost1 fw/clean [<vm b64>]\n"},
		{name: "cleanup of two hosts", action: vmm.Cleanup,
			edit: func(w *world, r *vmm.Request) {
				r.MigrHost, r.MigrNetDriver = "host2", "dummy"
				r.TMCommand = "DELETE shared host1:/d/0/1/disk.0 1 1\n\nDELETE shared host1:/d/0/1 1 0\n"
			},
			fail: map[string]string{"cancel": "", "clean": "", "delete": ""},
			trace: "host1 xen4/cancel [one-1] [host1] [1] [host1]\nhost1 fw/clean [<vm b64>]\n" +
				"host2 xen4/cancel [one-1] [host2] [1] [host2]\nhost2 dummy/clean [<vm b64>]\n" +
				"local shared/delete [host1:/d/0/1/disk.0] [1] [1]\nlocal shared/delete [host1:/d/0/1] [1] [0]\n"},
		{name: "cleanup before deploy", action: vmm.Cleanup,
			edit: func(w *world, r *vmm.Request) {
				r.DeployID, r.TMCommand = "", "DELETE shared host1:/d/0/1 1 0\n"
			},
			trace:  "local shared/delete [host1:/d/0/1] [1] [0]\n",
			output: "LOG I 1 Successfully execute transfer manager driver operation: tm_delete.\nCLEANUP SUCCESS 1 \n"},
		{name: "unknown transfer driver", action: vmm.DetachDisk,
			edit: func(w *world, r *vmm.Request) { r.TMCommand = "DELETE ../../x host1:/d 1 1\n" },
			output: "LOG I 1 ExitCode: 0\nLOG I 1 Successfully execute virtualization driver operation: detach_disk.\n" +
				"LOG I 1 Failed to execute transfer manager driver operation: tm_detach.\nDETACHDISK FAILURE 1 Transfer Driver '../../x' not available\n"},
		{name: "poll", action: vmm.Poll, trace: "host1 xen4/poll [one-1] [host1] [1] [host1]\n", output: "POLL SUCCESS 1 STATE=a USEDCPU=1\n"},
		{name: "reset fails", action: vmm.Reset, fail: map[string]string{"reset": "echo 'ERROR MESSAGE --8<------' >&2\necho 'Could not reset' >&2\necho 'ERROR MESSAGE ------>8--' >&2\n"},
			output: "LOG I 1 Command execution fail: 'if [ -x \"@/host/vmm/xen4/reset\" ]; then @/host/vmm/xen4/reset one-1 host1 1 host1; else                              exit 42; fi'\n" +
				"LOG E 1 Could not reset\nLOG I 1 ExitCode: 1\nRESET FAILURE 1 Could not reset\n"},
		{name: "snapshot create", action: vmm.SnapshotCreate, trace: "host1 xen4/snapshot_create [one-1] [3] [1] [host1]\n"},
		{name: "snapshot revert", action: vmm.SnapshotRevert, trace: "host1 xen4/snapshot_revert [one-1] [snap-3] [1] [host1]\n"},
		{name: "snapshot delete without snapshot", action: vmm.SnapshotDelete, edit: func(w *world, r *vmm.Request) { r.VM = "<VM/>" },
			output: "SNAPSHOTDELETE FAILURE 1 Cannot perform SNAPSHOTDELETE, no active snapshot in the VM\n"},
		{name: "hostile values stay words", action: vmm.Cancel,
			edit: func(w *world, r *vmm.Request) {
				r.DeployID, r.Host = "'; touch "+w.base+"/evil; '$(touch "+w.base+"/evil)`touch "+w.base+"/evil`", "host1"
			},
			trace: "host1 xen4/cancel ['; touch @/evil; '$(touch @/evil)`touch @/evil`] [host1] [1] [host1]\nhost1 fw/clean [<vm b64>]\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			for name, body := range tt.fail {
				w.write("fail/"+name, body)
			}
			r := w.base1()
			if tt.edit != nil {
				tt.edit(w, &r)
			}
			out := w.request(r.Line(tt.action, 1))
			if tt.output != "" {
				if diff := cmp.Diff(tt.output, out); diff != "" {
					t.Errorf("output (-want +got)\n%s", diff)
				}
			} else if !strings.Contains(out, string(tt.action)+" ") {
				t.Errorf("no answer:\n%s", out)
			}
			if tt.trace != "" || tt.output == "" {
				if diff := cmp.Diff(tt.trace, w.trace()); diff != "" {
					t.Errorf("calls (-want +got)\n%s", diff)
				}
			}
			if _, err := os.Stat(w.base + "/evil"); err == nil {
				t.Error("a value was executed")
			}
		})
	}
}

func TestDeploymentFileArrivesAsItIs(t *testing.T) {
	const text = "name = '$one' `id` \\ \"x\"\n  last line without end"
	for _, local := range []bool{false, true} {
		w := newWorld(t)
		r := w.base1()
		r.LocalFile, r.RemoteFile = w.write("deployment.0", text), "/d/deployment.0"
		want, path := text+"\n", "[/d/deployment.0]"
		if local {
			w.d.LocalActions = ParseLocalActions("deploy")
			want, path = text, "[@/deployment.0]"
		}
		out := w.request(r.Line(vmm.Deploy, 1))
		got, _ := os.ReadFile(w.base + "/stdin")
		if string(got) != want || !strings.Contains(out, "DEPLOY SUCCESS 1 one-1") || !strings.Contains(w.trace(), path) {
			t.Errorf("local %v: stdin %q, output\n%s%s", local, got, out, w.trace())
		}
	}
}

func TestLocalActions(t *testing.T) {
	w := newWorld(t)
	w.d.LocalActions = ParseLocalActions(" shutdown=cancel, clean , poll")
	w.request(w.base1().Line(vmm.Shutdown, 1))
	w.out.Reset()
	out := w.request(w.base1().Line(vmm.Poll, 1))
	want := "local xen4/cancel [one-1] [host1] [1] [host1]\nlocal fw/clean [<vm b64>]\nlocal xen4/poll [one-1] [host1] [1] [host1]\n"
	if diff := cmp.Diff(want, w.trace()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if out != "POLL SUCCESS 1 STATE=a USEDCPU=1\n" {
		t.Error(out)
	}
}

func TestNetworkDocument(t *testing.T) {
	m, err := decode(strings.Fields((&world{}).base1().Line(vmm.DetachNIC, 1))[2])
	if err != nil {
		t.Fatal(err)
	}
	decoded := func(s string) string { data, _ := base64.StdEncoding.DecodeString(s); return string(data) }
	nic0 := `<TEMPLATE><NIC><BRIDGE>br0</BRIDGE><MAC>02:00:00:00:00:01</MAC><NIC_ID>0</NIC_ID></NIC></TEMPLATE>`
	nic1 := `<TEMPLATE><NIC><ATTACH><![CDATA[YES]]></ATTACH><BRIDGE><![CDATA[br1]]></BRIDGE><MAC><![CDATA[02:00:00:00:00:02]]></MAC><NIC_ID>1</NIC_ID></NIC></TEMPLATE>`
	wrap := func(nics string) string {
		return `<VM><ID>1</ID><DEPLOY_ID>one-1</DEPLOY_ID>` + nics +
			`<HISTORY_RECORDS><HISTORY><HOSTNAME>host1</HOSTNAME></HISTORY></HISTORY_RECORDS></VM>`
	}
	if diff := cmp.Diff(wrap(nic0+nic1), decoded(m.networkVM(nil))); diff != "" {
		t.Errorf("all NICs (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(wrap(nic1), decoded(m.networkVM(m.marked("NIC", "ATTACH")))); diff != "" {
		t.Errorf("one NIC (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(vmDocument, decoded(m.vm())); diff != "" {
		t.Errorf("VM (-want +got)\n%s", diff)
	}
}

func TestMissingScriptsAreCopied(t *testing.T) {
	w := newWorld(t)
	if err := os.RemoveAll(w.base + "/host"); err != nil {
		t.Fatal(err)
	}
	out := w.request(w.base1().Line(vmm.Cancel, 1))
	want := "LOG I 1 Remote worker node files not found\nLOG I 1 Updating remotes\nLOG I 1 ExitCode: 0\n" +
		"LOG I 1 Successfully execute virtualization driver operation: cancel.\nLOG I 1 ExitCode: 0\n" +
		"LOG I 1 Successfully execute network driver operation: clean.\nCANCEL SUCCESS 1 -\n"
	if diff := cmp.Diff(want, out); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestBrokenRequests(t *testing.T) {
	w := newWorld(t)
	for _, doc := range []string{"", "x", "<A>", "<A/><B/>", "no xml", "<VMM_DRIVER_ACTION_DATA/>"} {
		w.out.Reset()
		line := "SNAPSHOTREVERT 4 " + base64.StdEncoding.EncodeToString([]byte(doc+" "))
		if out := w.request(line); !strings.Contains(out, "SNAPSHOTREVERT FAILURE 4 ") {
			t.Errorf("%q: %s", doc, out)
		}
	}
	w.out.Reset()
	if out := w.request("DEPLOY 4 %%%"); !strings.Contains(out, "DEPLOY FAILURE 4 decode request") {
		t.Error(out)
	}
}

// TestLongDocuments: a VM with much text can have disks attached and be moved;
// what scripts look at is there.
func TestLongDocuments(t *testing.T) {
	text := strings.Repeat("x", 100<<10)
	for _, tt := range []struct{ name, user, context, gone, kept string }{
		{name: "short", user: "<NOTES>y</NOTES>", kept: "<NOTES>y</NOTES>"},
		{name: "long user template", user: "<NOTES>" + text + "</NOTES>", context: "<CONTEXT><A>b</A></CONTEXT>", gone: "USER_TEMPLATE", kept: "<A>b</A>"},
		{name: "long context", user: "<NOTES>y</NOTES>", context: "<CONTEXT><A>" + text + "</A></CONTEXT>", gone: "<CONTEXT>", kept: "HISTORY"},
		{name: "long both", user: "<NOTES>" + text + "</NOTES>", context: "<CONTEXT><A>" + text + "</A></CONTEXT><RAW>r</RAW>", gone: "<CONTEXT>", kept: "<RAW>r</RAW>"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			r := w.base1()
			r.TMCommand, r.DiskTarget = "LN shared fe:/ds/1/img host1:/d/0/1/disk.2 1 1", "/d/0/1/disk.2"
			r.VM = strings.Replace(vmDocument, "</TEMPLATE>", tt.context+"</TEMPLATE><USER_TEMPLATE>"+tt.user+"</USER_TEMPLATE>", 1)
			last := func(script string) string {
				t.Helper()
				data, _ := os.ReadFile(w.base + "/trace")
				for line := range strings.Lines(string(data)) {
					for word := range strings.FieldsSeq(line) {
						document, err := base64.StdEncoding.DecodeString(strings.Trim(word, "[]"))
						if err == nil && strings.Contains(line, script+" ") && strings.Contains(string(document), "<VM>") {
							return string(document)
						}
					}
				}
				return ""
			}
			check := func(out, success, document string) {
				t.Helper()
				if !strings.Contains(out, success) {
					t.Fatalf("%.2000s", out)
				}
				for _, want := range []string{"<ATTACH><![CDATA[YES]]></ATTACH><TARGET><![CDATA[vdc]]></TARGET>", "host1", tt.kept} {
					if !strings.Contains(document, want) {
						t.Errorf("no %s in %.2000s", want, document)
					}
				}
				if tt.gone != "" && strings.Contains(document, tt.gone) {
					t.Errorf("%s is in a document of %d bytes", tt.gone, len(document))
				}
			}
			check(w.request(r.Line(vmm.AttachDisk, 1)), "ATTACHDISK SUCCESS 1", last("xen4/attach_disk"))
			r.TMCommand, r.MigrHost, r.MigrNetDriver = "MIGRATE shared host1 host2 /d/0/1 1 1", "host2", "dummy"
			check(w.request(r.Line(vmm.Migrate, 1)), "MIGRATE SUCCESS 1", last("shared/premigrate"))
		})
	}
}
