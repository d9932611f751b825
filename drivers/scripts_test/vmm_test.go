package scriptstest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const xenFile = `name = 'one-5'
#O CPU_CREDITS = 256
memory  = '128'
builder = 'hvm'
disk = [
    'file:@DIR@/ds/0/5/disk.0,xvda,w',
    'file:@DIR@/ds/0/5/disk.1,hdb:cdrom,r',
]
vif = [
    ' mac=02:00:0a:00:01:01,ip=10.0.1.1,bridge=br0',
]
`

const xenList = `[
    {
        "domid": 7,
        "config": {
            "c_info": { "name": "one-5" },
            "disks": [
                { "pdev_path": "@DIR@/ds/0/5/disk.0", "vdev": "xvda", "readwrite": 1 },
                { "pdev_path": "@DIR@/ds/0/5/disk.1", "vdev": "hdb", "is_cdrom": 1 }
            ]
        }
    }
]
`

const attachRequest = `<VMM_DRIVER_ACTION_DATA><HOST>h1</HOST><VM><ID>5</ID><TEMPLATE>
<DISK><DISK_ID>0</DISK_ID><DRIVER>tap</DRIVER></DISK>
<DISK><ATTACH>YES</ATTACH><DISK_ID>2</DISK_ID>%</DISK></TEMPLATE></VM></VMM_DRIVER_ACTION_DATA>`

// attach is the driver request for a disk with the given elements.
func attach(elements string) string {
	return b64(strings.Replace(attachRequest, "%", elements, 1))
}

const xentop = `xentop - 10:00:00   Xen 4.3.0
      NAME  STATE   CPU(sec) CPU(%)     MEM(k) MEM(%)  MAXMEM(k) MAXMEM(%) VCPUS NETS NETTX(k) NETRX(k) VBDS   VBD_OO   VBD_RD   VBD_WR  VBD_RSECT  VBD_WSECT SSID
  Domain-0 -----r         10    0.0    1048576    6.2   no limit       n/a     4    0        0        0    0        0        0        0          0          0    0
     one-0 --b---          5    0.0     131072    0.8     132096       0.8     1    1        1        2    1        0        1        1          1          1    0
xentop - 10:00:01   Xen 4.3.0
      NAME  STATE   CPU(sec) CPU(%)     MEM(k) MEM(%)  MAXMEM(k) MAXMEM(%) VCPUS NETS NETTX(k) NETRX(k) VBDS   VBD_OO   VBD_RD   VBD_WR  VBD_RSECT  VBD_WSECT SSID
  Domain-0 -----r         10    5.0    1048576    6.2   no limit       n/a     4    0        0        0    0        0        0        0          0          0    0
     one-0 --b---          5    1.5     131072    0.8     132096       0.8     1    1       10       20    1        0        1        1          1          1    0
    one-10 --p---          5    0.0     131072    0.8     132096       0.8     1    1        0        0    1        0        1        1          1          1    0
    broken ----c-          5    0.0       1024    0.8       1024       0.8     1    0        0        0    1        0        1        1          1          1    0
     other ------          5    0.0       1024    0.8       1024       0.8     1    0        0        0    1        0        1        1          1          1    0
`

func TestXen(t *testing.T) {
	failing := func(tool string) []answer {
		return []answer{{Call: "sudo /usr/sbin/xl " + tool, Exit: 3, Stderr: "libxl: error: something bad\n"}}
	}
	gone := answer{Call: "sudo /usr/sbin/xl list one-5", Exit: 1}
	noPV := func(tool string) answer {
		return answer{Call: "sudo /usr/sbin/xl " + tool + " one-5", Exit: 1,
			Stderr: "PV control interface not available:\nexternal graceful shutdown not possible.\nUse \"-F\" to fallback to ACPI power event.\n"}
	}
	listed := answer{Call: "sudo /usr/sbin/xl list", Stdout: "Name ID Mem VCPUs State Time\nDomain-0 0 1 1 r 1\nxone-5 3 1 1 r 1\none-5 7 1 1 b 1\n", Times: 2}
	tests := []struct {
		name   string
		script string
		args   []string
		stdin  string
		answer []answer
		env    []string
	}{
		{name: "deploy", script: "deploy", args: []string{"@DIR@/ds/0/5/deployment.0", "h1"}, stdin: xenFile},
		{name: "deploy-fails", script: "deploy", args: []string{"@DIR@/ds/0/5/deployment.0", "h1"}, stdin: xenFile,
			answer: []answer{{Call: "sudo /usr/sbin/xl create", Exit: 3, Stderr: "Parsing config from x\nlibxl: error: something bad\n"}}},
		{name: "deploy-no-credits", script: "deploy", args: []string{"@DIR@/ds/0/5/deployment.0", "h1"}, stdin: xenFile,
			answer: []answer{{Call: "sudo /usr/sbin/xl sched-credit", Exit: 1, Stderr: "no such scheduler\n"}}},
		{name: "deploy-raw-with-xm", script: "deploy", args: []string{"@DIR@/ds/0/5/deployment.0", "h1"},
			stdin: strings.ReplaceAll(xenFile, "'file:", "'raw:"), env: []string{"XM_PATH=/usr/sbin/xm"}},
		{name: "deploy-phy-is-a-file", script: "deploy", args: []string{"@DIR@/ds/0/5/deployment.0", "h1"},
			stdin: strings.Replace(xenFile, "'file:", "'phy:", 1)},
		{name: "deploy-target-without-letter", script: "deploy", args: []string{"@DIR@/ds/0/5/deployment.0", "h1"},
			stdin: strings.Replace(xenFile, ",xvda,", ",xvd,", 1)},
		{name: "deploy-target-twice", script: "deploy", args: []string{"@DIR@/ds/0/5/deployment.0", "h1"},
			stdin: strings.Replace(xenFile, ",hdb:cdrom,", ",xvda:cdrom,", 1)},
		{name: "deploy-cdrom-twice", script: "deploy", args: []string{"@DIR@/ds/0/5/deployment.0", "h1"},
			stdin: strings.Replace(xenFile, ":cdrom,", ":cdrom:cdrom,", 1)},
		{name: "deploy-context-no-cdrom", script: "deploy", args: []string{"@DIR@/ds/0/5/deployment.0", "h1"},
			stdin: strings.Replace(xenFile, ":cdrom,", ",", 1)},
		{name: "deploy-nothing", script: "deploy", args: []string{"@DIR@/none/deployment.0", "h1"}},
		{name: "deploy-local", script: "deploy", args: []string{"@DIR@/local/deployment.0", "h1"}},
		{name: "shutdown", script: "shutdown", args: []string{"one-5", "h1"}, answer: []answer{{Call: "sudo /usr/sbin/xl list one-5", Times: 2}, gone}},
		{name: "shutdown-fails", script: "shutdown", args: []string{"one-5", "h1"}, answer: failing("shutdown")},
		{name: "shutdown-no-pv-drivers", script: "shutdown", args: []string{"one-5", "h1"}, answer: []answer{noPV("shutdown"), gone}},
		{name: "reboot-no-pv-drivers", script: "reboot", args: []string{"one-5", "h1"}, answer: []answer{noPV("reboot")}},
		{name: "shutdown-times-out", script: "shutdown", args: []string{"one-5", "h1"}, env: []string{"SHUTDOWN_TIMEOUT=3"}},
		{name: "shutdown-forced", script: "shutdown", args: []string{"one-5", "h1"}, env: []string{"SHUTDOWN_TIMEOUT=2", "FORCE_DESTROY=yes"}},
		{name: "cancel", script: "cancel", args: []string{"one-5", "h1"}, answer: []answer{listed}},
		{name: "cancel-gone", script: "cancel", args: []string{"one-6", "h1"}, answer: []answer{listed}},
		{name: "cancel-fails", script: "cancel", args: []string{"one-5", "h1"}, answer: append(failing("destroy"), listed)},
		{name: "save", script: "save", args: []string{"one-5", "@DIR@/ds/0/5/checkpoint", "h1"}},
		{name: "save-fails", script: "save", args: []string{"one-5", "@DIR@/ds/0/5/none", "h1"}, answer: failing("save")},
		{name: "restore", script: "restore", args: []string{"@DIR@/ds/0/5/checkpoint", "h1", "one-5"}},
		{name: "restore-fails", script: "restore", args: []string{"@DIR@/ds/0/5/checkpoint", "h1", "one-5"}, answer: failing("restore")},
		{name: "reboot", script: "reboot", args: []string{"one-5", "h1"}},
		{name: "reboot-fails", script: "reboot", args: []string{"one-5", "h1"}, answer: failing("reboot")},
		{name: "reset", script: "reset", args: []string{"one-5", "h1"},
			answer: []answer{gone, {Call: "sudo /usr/sbin/xl list -l one-5", Stdout: xenList}}},
		{name: "reset-xm", script: "reset", args: []string{"one-5", "h1"}, env: []string{"XM_PATH=/usr/sbin/xm"}},
		{name: "attach-disk", script: "attach_disk", args: []string{"one-5", "@DIR@/ds/0/5/disk.2", "xvdc", "2", attach("<TYPE>FILE</TYPE>")}},
		{name: "attach-disk-driver", script: "attach_disk", args: []string{"one-5", "/p/disk.2", "xvdc", "2",
			attach("<TYPE>FILE</TYPE><DRIVER>phy:</DRIVER><READONLY>YES</READONLY>")}},
		{name: "attach-disk-fails", script: "attach_disk", args: []string{"one-5", "/p/disk.2", "xvdc", "2", attach("<TYPE>block</TYPE>")}, answer: failing("block-attach")},
		{name: "attach-disk-bad-request", script: "attach_disk", args: []string{"one-5", "/p/disk.2", "xvdc", "2", b64("<VM>")}},
		{name: "detach-disk", script: "detach_disk", args: []string{"one-5", "/p/disk.2", "xvdc", "2"}},
		{name: "attach-nic", script: "attach_nic", args: []string{"one-5", "02:00:0a:00:00:02", "br0", "-", "dummy"}},
		{name: "detach-nic", script: "detach_nic", args: []string{"one-5", "02:00:0A:00:00:02"},
			answer: []answer{{Call: "sudo /usr/sbin/xl network-list", Stdout: "Idx BE Mac Addr.         handle state\n0   0  02:00:0a:00:00:01 0 4\n1   0  02:00:0a:00:00:02 1 4\n"}}},
		{name: "detach-nic-unknown", script: "detach_nic", args: []string{"one-5", "02:00:0a:00:00:09"}},
		{name: "poll", script: "poll", args: []string{"one-0", "h1"}, answer: []answer{{Call: "sudo /usr/sbin/xentop", Stdout: xentop}}},
		{name: "poll-gone", script: "poll", args: []string{"one-1", "h1"}, answer: []answer{{Call: "sudo /usr/sbin/xentop", Stdout: xentop}}},
		{name: "poll-all", script: "poll", args: []string{"-t"}, answer: []answer{{Call: "sudo /usr/sbin/xentop", Stdout: xentop}}},
		{name: "poll-fails", script: "poll", args: []string{"-t"}, answer: []answer{{Call: "sudo /usr/sbin/xentop", Exit: 1, Stderr: "no hypervisor\n"}}},
		{name: "snapshot-create", script: "snapshot_create", args: []string{"one-5", "3"},
			answer: []answer{{Call: "sudo /usr/sbin/xl list -l one-5", Stdout: xenList}}},
		{name: "snapshot-create-no-pause", script: "snapshot_create", args: []string{"one-5", "3"},
			answer: []answer{{Call: "sudo /usr/sbin/xl list -l one-5", Stdout: xenList},
				{Call: "sudo /usr/sbin/xl save -p", Exit: 2, Stderr: "invalid option -- 'p'\n"},
				{Call: "sudo /usr/sbin/xl list one-5", Times: 1}, gone}},
		{name: "snapshot-create-fails", script: "snapshot_create", args: []string{"one-5", "3"},
			answer: append([]answer{{Call: "sudo /usr/sbin/xl list -l one-5", Stdout: xenList}}, failing("save")...)},
		{name: "snapshot-revert", script: "snapshot_revert", args: []string{"one-5", "snapshot.9"},
			answer: []answer{gone, {Call: "sudo /usr/sbin/xl list -l one-5", Stdout: xenList}}},
		{name: "snapshot-revert-unknown", script: "snapshot_revert", args: []string{"one-5", "snapshot.8"},
			answer: []answer{{Call: "sudo /usr/sbin/xl list -l one-5", Stdout: xenList}}},
		{name: "snapshot-delete", script: "snapshot_delete", args: []string{"one-5", "snapshot.9"},
			answer: []answer{{Call: "sudo /usr/sbin/xl list -l one-5", Stdout: xenList}}},
		{name: "snapshot-delete-bad-name", script: "snapshot_delete", args: []string{"one-5", "../0"}},
		{name: "migrate", script: "migrate", args: []string{"one-5", "h2", "h1"}},
		{name: "migrate-fails", script: "migrate", args: []string{"one-5", "h2", "h1"}, answer: failing("migrate")},
	}
	for _, tt := range tests {
		for _, hypervisor := range []string{"xen4", "xen3"} {
			// The directories differ in their settings and in migrate.
			if hypervisor == "xen3" && tt.script != "migrate" && tt.script != "attach_disk" && tt.script != "detach_disk" {
				continue
			}
			t.Run(hypervisor+"/"+tt.name, func(t *testing.T) {
				dir := xenHost(t)
				c := vmmCall(dir, hypervisor+"/"+tt.script, tt.args, tt.answer)
				c.stdin, c.env = strings.ReplaceAll(tt.stdin, "@DIR@", dir), tt.env
				if hypervisor == "xen3" {
					c.env = append(c.env, "XM_PATH=/usr/sbin/xm")
					for i := range c.answers {
						c.answers[i].Call = strings.Replace(c.answers[i].Call, "/xl ", "/xm ", 1)
					}
				}
				golden(t, "vmm/"+hypervisor+"/"+tt.name, dir, run(t, dir, c))
			})
		}
	}
}

// xenHost is a directory with a VM in it that has run before.
func xenHost(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	file := strings.ReplaceAll(xenFile, "@DIR@", dir)
	for _, name := range []string{"ds/0/5/disk.0", "ds/0/5/disk.1", "ds/0/5/checkpoint", "ds/0/5/snapshot.9/memory", "ds/0/5/snapshot.9/disk.0"} {
		writeFile(t, filepath.Join(dir, name), name)
	}
	writeFile(t, filepath.Join(dir, "ds/0/5/deployment.0"), file)
	writeFile(t, filepath.Join(dir, "local/deployment.0"), file)
	return dir
}

func TestXenDeployStoresFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "new", "deployment.0")
	stdin := "name = 'one-5'\nextra = '$HOME `id` \\'\n"
	if r := run(t, dir, call{script: "vmm/xen4/deploy", args: []string{file, "h1", "5", "h1"}, stdin: stdin}); r.Exit != 0 {
		t.Fatalf("deploy: %+v", r)
	}
	got, err := os.ReadFile(file)
	if err != nil || string(got) != stdin {
		t.Errorf("stored %q, %v; want the bytes of stdin", got, err)
	}
}

func TestXenSnapshotRestoresDisks(t *testing.T) {
	dir := xenHost(t)
	answers := []answer{
		{Call: "sudo /usr/sbin/xl list one-5", Exit: 1},
		{Call: "sudo /usr/sbin/xl list -l one-5", Stdout: strings.ReplaceAll(xenList, "@DIR@", dir)},
	}
	r := run(t, dir, call{script: "vmm/xen4/snapshot_revert", args: []string{"one-5", "snapshot.9", "5", "h1"}, answers: answers})
	if r.Exit != 0 {
		t.Fatalf("revert: %+v", r)
	}
	got, err := os.ReadFile(filepath.Join(dir, "ds/0/5/disk.0"))
	if want := "ds/0/5/snapshot.9/disk.0"; err != nil || string(got) != want {
		t.Errorf("disk.0 is %q, %v; want that of the snapshot, %q", got, err, want)
	}
}

// vmmCall is a call of a hypervisor script for VM 5 on h1; @DIR@ stands for the directory.
func vmmCall(dir, script string, args []string, answers []answer) call {
	c := call{script: "vmm/" + script}
	if args[0] != "-t" { // of all VMs
		args = append(args, "5", "h1")
	}
	for _, a := range args {
		c.args = append(c.args, strings.ReplaceAll(a, "@DIR@", dir))
	}
	for _, a := range answers {
		a.Stdout = strings.ReplaceAll(a.Stdout, "@DIR@", dir)
		c.answers = append(c.answers, a)
	}
	return c
}

func TestKVM(t *testing.T) {
	const uri = "virsh --connect qemu:///system "
	failing := func(command string) []answer {
		return []answer{{Call: uri + command, Exit: 1, Stderr: "error: Failed\nerror: internal error: something bad\n"}}
	}
	gone := answer{Call: uri + "--readonly dominfo one-5", Exit: 1}
	const unreachable = "error: failed to connect to the hypervisor\nerror: Failed to connect socket\n"
	tests := []struct {
		name   string
		script string
		args   []string
		stdin  string
		answer []answer
		env    []string
	}{
		{name: "deploy", script: "deploy", args: []string{"@DIR@/ds/0/5/deployment.0", "h1"}, stdin: "<domain/>\n",
			answer: []answer{{Call: uri + "create", Stdout: "Domain one-5 created from @DIR@/ds/0/5/deployment.0\n\n"}}},
		{name: "deploy-new-virsh", script: "deploy", args: []string{"@DIR@/ds/0/5/deployment.0", "h1"}, stdin: "<domain/>\n",
			answer: []answer{{Call: uri + "create", Stdout: "Domain 'one-5' created from @DIR@/ds/0/5/deployment.0\n\n"}}},
		{name: "deploy-fails", script: "deploy", args: []string{"@DIR@/ds/0/5/deployment.0", "h1"}, stdin: "<domain/>\n", answer: failing("create")},
		{name: "shutdown", script: "shutdown", args: []string{"one-5", "h1"}, answer: []answer{{Call: uri + "--readonly dominfo", Times: 2}, gone}},
		{name: "shutdown-fails", script: "shutdown", args: []string{"one-5", "h1"}, answer: failing("shutdown")},
		{name: "shutdown-times-out", script: "shutdown", args: []string{"one-5", "h1"}, env: []string{"SHUTDOWN_TIMEOUT=4"}},
		{name: "shutdown-no-acpi", script: "shutdown", args: []string{"one-5", "h1"}, env: []string{"CANCEL_NO_ACPI=yes"}, answer: []answer{gone}},
		{name: "cancel", script: "cancel", args: []string{"one-5", "h1"}, answer: []answer{{Call: uri + "--readonly dominfo", Times: 1}, gone}},
		{name: "cancel-fails", script: "cancel", args: []string{"one-5", "h1"}, answer: failing("destroy"), env: []string{"CANCEL_TIMEOUT=3"}},
		{name: "cancel-comes-back", script: "cancel", args: []string{"one-5", "h1"}, answer: []answer{
			{Call: uri + "destroy", Times: 2, Exit: 1, Stderr: unreachable}, {Call: uri + "--readonly dominfo", Times: 2, Exit: 1, Stderr: unreachable},
			{Call: uri + "--readonly list", Times: 2, Exit: 1, Stderr: unreachable}, gone}},
		{name: "cancel-listed", script: "cancel", args: []string{"one-5", "h1"}, answer: []answer{
			{Call: uri + "--readonly list", Times: 1, Stdout: " Id    Name                           State\n----\n 3     one-5                          running\n"}, gone}},
		{name: "shutdown-unreachable", script: "shutdown", args: []string{"one-5", "h1"}, env: []string{"SHUTDOWN_TIMEOUT=4"}, answer: []answer{
			{Call: uri + "--readonly", Exit: 1, Stderr: unreachable}}},
		{name: "save", script: "save", args: []string{"one-5", "@DIR@/ds/0/5/checkpoint", "h1"}},
		{name: "save-fails", script: "save", args: []string{"one-5", "@DIR@/ds/0/5/new", "h1"}, answer: failing("save")},
		{name: "restore", script: "restore", args: []string{"@DIR@/ds/0/5/checkpoint", "h1", "one-5"}},
		{name: "restore-fails", script: "restore", args: []string{"@DIR@/ds/0/5/checkpoint", "h1", "one-5"}, answer: failing("restore")},
		{name: "migrate", script: "migrate", args: []string{"one-5", "h2", "h1"}},
		{name: "migrate-fails", script: "migrate", args: []string{"one-5", "h2", "h1"}, answer: failing("migrate")},
		{name: "migrate-local", script: "migrate_local", args: []string{"one-5", "h2", "h1"}},
		{name: "reboot", script: "reboot", args: []string{"one-5", "h1"}},
		{name: "reset-fails", script: "reset", args: []string{"one-5", "h1"}, answer: failing("reset")},
		{name: "attach-disk", script: "attach_disk", args: []string{"one-5", "@DIR@/ds/0/5/disk.2", "vdc", "2", attach("<TYPE>FILE</TYPE>")}},
		{name: "attach-disk-fails", script: "attach_disk", args: []string{"one-5", "@DIR@/ds/0/5/disk.2", "vdc", "2", attach("<TYPE>FILE</TYPE>")}, answer: failing("attach-device")},
		{name: "detach-disk", script: "detach_disk", args: []string{"one-5", "/p/disk.2", "vdc", "2"}},
		{name: "attach-nic", script: "attach_nic", args: []string{"one-5", "02:00:0a:00:00:02", "br'0", "-", "dummy"}},
		{name: "attach-nic-model", script: "attach_nic", args: []string{"one-5", "02:00:0a:00:00:02", "br0", "virtio", "ovswitch"}},
		{name: "attach-nic-fails", script: "attach_nic", args: []string{"one-5", "02:00:0a:00:00:02", "br0", "-", "dummy"}, answer: failing("attach-device")},
		{name: "detach-nic", script: "detach_nic", args: []string{"one-5", "02:00:0a:00:00:02"}},
		{name: "snapshot-create", script: "snapshot_create", args: []string{"one-5", "0"},
			answer: []answer{{Call: uri + "snapshot-create-as", Stdout: "Domain snapshot 1400000000 created\n"}}},
		{name: "snapshot-create-fails", script: "snapshot_create", args: []string{"one-5", "0"}, answer: failing("snapshot-create-as")},
		{name: "snapshot-revert", script: "snapshot_revert", args: []string{"one-5", "1400000000"}},
		{name: "snapshot-delete", script: "snapshot_delete", args: []string{"one-5", "1400000000"}},
		{name: "poll", script: "poll", args: []string{"one-0", "h1"}, answer: kvmDomains(uri)},
		{name: "poll-gone", script: "poll", args: []string{"one-9", "h1"}, answer: kvmDomains(uri)},
		{name: "poll-all", script: "poll", args: []string{"-t"}, answer: kvmDomains(uri)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, name := range []string{"ds/0/5/disk.2", "ds/0/5/checkpoint"} {
				writeFile(t, filepath.Join(dir, name), name)
			}
			c := vmmCall(dir, "kvm/"+tt.script, tt.args, tt.answer)
			c.stdin, c.env = tt.stdin, tt.env
			golden(t, "vmm/kvm/"+tt.name, dir, run(t, dir, c))
		})
	}
}

// kvmDomains is a host with a running and a paused domain.
func kvmDomains(uri string) []answer {
	const uuid0, uuid7 = "11111111-aaaa-bbbb-cccc-000000000000", "22222222-aaaa-bbbb-cccc-000000000000"
	return []answer{
		{Call: uri + "--readonly list", Stdout: " Id    Name                           State\n----------------------------------------------------\n 1     one-0                          running\n 2     web                            paused\n\n"},
		{Call: uri + "--readonly dominfo one-0", Stdout: "Id:             1\nName:           one-0\nUUID:           " + uuid0 + "\nMax memory:     131072 KiB\n"},
		{Call: uri + "--readonly dominfo web", Stdout: "Id:             2\nName:           web\nUUID:           " + uuid7 + "\nMax memory:     65536 KiB\n"},
		{Call: "ps auxwww", Stdout: "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND\none 100 1.0 2.0 900000 98765 ? Sl 10:00 0:01 /usr/bin/kvm -name one-0 -uuid " + uuid0 + " -m 128\n"},
		{Call: "top -b -d2 -n 2 -p 100", Stdout: "top - 1\n  PID USER PR NI VIRT RES SHR S %CPU %MEM TIME+ COMMAND\n  100 one 20 0 1g 98m 1m S 99.0 0.1 0:01 kvm\ntop - 2\n  PID USER PR NI VIRT RES SHR S %CPU %MEM TIME+ COMMAND\n  100 one 20 0 1g 98m 1m S 3.0 0.1 0:01 kvm\n"},
		{Call: uri + "--readonly domstate --reason web", Stdout: "paused (user)\n\n"},
		{Call: uri + "--readonly dumpxml one-0", Stdout: "<domain>\n <devices>\n  <interface type='bridge'>\n   <mac address='02:00:0a:00:00:01'/>\n   <target dev='vnet0'/>\n  </interface>\n  <disk><target dev='vda'/></disk>\n  <interface type='bridge'>\n   <target dev='vnet1'/>\n  </interface>\n </devices>\n</domain>\n"},
		{Call: uri + "--readonly domifstat one-0 vnet0", Stdout: "vnet0 rx_bytes 600\nvnet0 rx_packets 1\nvnet0 tx_bytes 2000\n"},
		{Call: uri + "--readonly domifstat one-0 vnet1", Stdout: "vnet1 rx_bytes 400\nvnet1 tx_bytes 0\n"},
	}
}

func TestKVMAttachedDevice(t *testing.T) {
	tests := []struct {
		name, elements, want string
	}{
		{"file", "<TYPE>FILE</TYPE>", "<disk type='file' device='disk'>\n    <source file='@SOURCE@'/>\n    <target dev='vdc'/>\n    <driver name='qemu' type='raw'/>\n</disk>\n"},
		{"block read-only", "<TYPE>BLOCK</TYPE><DRIVER>qcow2</DRIVER><CACHE>none</CACHE><READONLY>YES</READONLY>",
			"<disk type='block' device='disk'>\n    <source dev='@SOURCE@'/>\n    <target dev='vdc'/>\n    <driver name='qemu' type='qcow2' cache='none'/>\n    <readonly/>\n</disk>\n"},
		{"markup in a value", "<TYPE>FILE</TYPE><CACHE><![CDATA['/><x y=\"&]]></CACHE>",
			"<disk type='file' device='disk'>\n    <source file='@SOURCE@'/>\n    <target dev='vdc'/>\n    <driver name='qemu' type='raw' cache='&apos;/>&lt;x y=\"&amp;'/>\n</disk>\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			source := filepath.Join(dir, "disk.2")
			kept := filepath.Join(dir, "kept")
			// virsh is a script here, which keeps the file it is given.
			writeFile(t, filepath.Join(dir, ".stubs", "virsh"), "#!/bin/sh\ncp \"$5\" '"+kept+"'\n")
			if err := os.Chmod(filepath.Join(dir, ".stubs", "virsh"), 0o755); err != nil {
				t.Fatal(err)
			}
			r := run(t, dir, call{script: "vmm/kvm/attach_disk", args: []string{"one-5", source, "vdc", "2", attach(tt.elements), "5", "h1"}})
			got, err := os.ReadFile(kept)
			if want := strings.ReplaceAll(tt.want, "@SOURCE@", source); r.Exit != 0 || err != nil || string(got) != want {
				t.Errorf("exit %d, %v, device:\n%s\nwant:\n%s\nstderr: %s", r.Exit, err, got, want, r.Stderr)
			}
			if _, err := os.Stat(source + ".attach"); !os.IsNotExist(err) {
				t.Errorf("the device file is left behind: %v", err)
			}
		})
	}
}
