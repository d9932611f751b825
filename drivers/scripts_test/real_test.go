package scriptstest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// realTools skips the test unless all tools are there.
func realTools(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not installed", name)
		}
	}
}

// local runs a script with nothing stubbed, on this machine as the host h1.
func local(t *testing.T, dir, script string, stdin string, args ...string) result {
	t.Helper()
	return run(t, dir, call{script: script, args: args, stdin: stdin, env: []string{"ONE_LOCAL_HOSTS=h1 fe"}, real: stubbed})
}

func mustSucceed(t *testing.T, what string, r result) result {
	t.Helper()
	if r.Exit != 0 {
		t.Fatalf("%s: exit %d, stdout %s, stderr %s", what, r.Exit, r.Stdout, r.Stderr)
	}
	return r
}

func TestRealQcow2(t *testing.T) {
	realTools(t, "qemu-img", "qemu-io")
	dir := t.TempDir()
	image := filepath.Join(dir, "var/datastores/1/img")
	disk := filepath.Join(dir, "var/datastores/0/5/disk.0")
	saved := filepath.Join(dir, "var/datastores/1/saved")
	writeFile(t, image, strings.Repeat("base", 256<<10))

	mustSucceed(t, "clone", local(t, dir, "tm/qcow2/clone", "", "fe:"+image, "h1:"+disk, "5", "1"))
	info, err := exec.Command("qemu-img", "info", "-U", disk).CombinedOutput()
	if err != nil || !strings.Contains(string(info), "file format: qcow2") || !strings.Contains(string(info), "backing file: "+image) {
		t.Fatalf("the disk is %s, %v", info, err)
	}
	if out, err := exec.Command("qemu-io", "-c", "write -P 0x41 0 64k", disk).CombinedOutput(); err != nil {
		t.Fatalf("qemu-io: %v\n%s", err, out)
	}
	if got, err := os.ReadFile(image); err != nil || !bytes.HasPrefix(got, []byte("base")) {
		t.Errorf("writing the disk changed the image: %v", err)
	}
	mustSucceed(t, "cpds", local(t, dir, "tm/qcow2/cpds", "", "h1:"+disk, saved, "5", "1"))
	mustSucceed(t, "mvds", local(t, dir, "tm/qcow2/mvds", "", "h1:"+disk, saved, "5", "1"))
	if _, err := os.Lstat(disk); !os.IsNotExist(err) {
		t.Errorf("mvds leaves the disk: %v", err)
	}
	for offset, pattern := range map[string]string{"0": "0x41", "65536": "0x62"} {
		length := "64k"
		if offset != "0" {
			length = "1"
		}
		if out, err := exec.Command("qemu-io", "-r", "-c", "read -P "+pattern+" "+offset+" "+length, saved).CombinedOutput(); err != nil || strings.Contains(string(out), "verification failed") {
			t.Errorf("the saved image at %s: %v\n%s", offset, err, out)
		}
	}
	if info, err := exec.Command("qemu-img", "info", saved).CombinedOutput(); err != nil || strings.Contains(string(info), "backing file") {
		t.Errorf("the saved image is %s, %v", info, err)
	}
}

// A volume group on a loop device, where the machine lets us have one.
func TestRealLVM(t *testing.T) {
	realTools(t, "losetup", "vgcreate", "lvcreate", "sudo")
	if os.Getuid() != 0 {
		t.Skip("a volume group needs root")
	}
	dir := t.TempDir()
	backing := filepath.Join(dir, "pv")
	if out, err := exec.Command("truncate", "-s", "128M", backing).CombinedOutput(); err != nil {
		t.Fatalf("truncate: %v\n%s", err, out)
	}
	out, err := exec.Command("losetup", "-f", "--show", backing).CombinedOutput()
	if err != nil {
		t.Skipf("no loop device to be had: %s", out)
	}
	loop := strings.TrimSpace(string(out))
	t.Cleanup(func() { _ = exec.Command("losetup", "-d", loop).Run() })
	group := fmt.Sprintf("vg-onetest%d", os.Getpid())
	if out, err := exec.Command("vgcreate", group, loop).CombinedOutput(); err != nil {
		t.Skipf("no volume group to be had: %s", out)
	}
	t.Cleanup(func() { _ = exec.Command("vgremove", "-f", group).Run() })

	image := filepath.Join(dir, "in/image")
	writeFile(t, image, strings.Repeat("data", 1<<18))
	template := "<BRIDGE_LIST>h1</BRIDGE_LIST><VG_NAME>" + group + "</VG_NAME><SAFE_DIRS>" + dir + "</SAFE_DIRS>"
	request := b64(dsRequest("<PATH>"+image+"</PATH><SIZE>4</SIZE>", template))
	r := local(t, dir, "datastore/lvm/cp", "", request, "7")
	if r.Exit != 0 && strings.Contains(r.Stderr, "device-mapper") {
		t.Skipf("no device mapper here: %s", r.Stderr)
	}
	source := strings.TrimSpace(mustSucceed(t, "cp", r).Stdout)
	if source != "h1:"+group+".lv-one-7" {
		t.Fatalf("source %q", source)
	}
	disk := filepath.Join(dir, "var/datastores/0/5/disk.0")
	mustSucceed(t, "clone", local(t, dir, "tm/lvm/clone", "", source, "h1:"+disk, "5", "1"))
	got, err := os.ReadFile(disk)
	if err != nil || !bytes.HasPrefix(got, []byte(strings.Repeat("data", 1<<18))) {
		t.Errorf("the clone differs from the image: %v", err)
	}
	monitor := mustSucceed(t, "monitor", local(t, dir, "datastore/lvm/monitor", "", request, "1"))
	if !regexp.MustCompile(`^USED_MB=[0-9.]+\nTOTAL_MB=[0-9.]+\nFREE_MB=[0-9.]+\n$`).MatchString(monitor.Stdout) {
		t.Errorf("monitor prints %q", monitor.Stdout)
	}
	mustSucceed(t, "delete", local(t, dir, "tm/lvm/delete", "", "h1:"+disk, "5", "1"))
	mustSucceed(t, "rm", local(t, dir, "datastore/lvm/rm", "", b64(dsRequest("<SOURCE>"+source+"</SOURCE>", template)), "7"))
	if out, err := exec.Command("lvs", "--noheadings", group).CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "" {
		t.Errorf("volumes are left: %s, %v", out, err)
	}
}

const qemuVM = `<VM><ID>5</ID><NAME>it's "real" $(touch pwned)</NAME><TEMPLATE><CPU>1</CPU><MEMORY>32</MEMORY>
<CONTEXT><DISK_ID>1</DISK_ID><TARGET>xvdc:cdrom</TARGET></CONTEXT>
<DISK><DISK_ID>0</DISK_ID><TARGET>xvda</TARGET><TYPE>FILE</TYPE><DRIVER>file</DRIVER></DISK>
<NIC><NIC_ID>0</NIC_ID><MAC>02:00:c0:a8:46:96</MAC><IP>192.168.70.150</IP><BRIDGE>no-such-bridge</BRIDGE></NIC>
<GRAPHICS><TYPE>VNC</TYPE><LISTEN>127.0.0.1</LISTEN><PORT>@PORT@</PORT><PASSWD>secret</PASSWD></GRAPHICS>
</TEMPLATE><HISTORY_RECORDS><HISTORY><DS_LOCATION>/elsewhere</DS_LOCATION><DS_ID>0</DS_ID></HISTORY>
<HISTORY><DS_LOCATION>@DIR@/var//datastores</DS_LOCATION><DS_ID>0</DS_ID></HISTORY></HISTORY_RECORDS></VM>`

// qemuHost is a directory with the disks of a VM, and its deployment document.
func qemuHost(t *testing.T) (dir, vm, document string) {
	t.Helper()
	realTools(t, "qemu-system-x86_64")
	dir = t.TempDir()
	vm = filepath.Join(dir, "var/datastores/0/5")
	writeFile(t, filepath.Join(vm, "disk.0"), strings.Repeat("\x00", 1<<20))
	writeFile(t, filepath.Join(vm, "disk.1"), strings.Repeat("\x00", 1<<20))
	writeFile(t, filepath.Join(vm, "disk.2"), strings.Repeat("\x00", 1<<20))
	document = strings.NewReplacer("@DIR@", dir, "@PORT@", fmt.Sprint(freeVNCPort(t))).Replace(qemuVM)
	t.Cleanup(func() { local(t, dir, "vmm/qemu/cancel", "", "one-5", "h1", "5", "h1") })
	return dir, vm, document
}

// freeVNCPort asks the kernel for a port; VNC displays begin at 5900.
func freeVNCPort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

var polled = regexp.MustCompile(`^STATE=a USEDCPU=[0-9.]+ USEDMEMORY=[1-9][0-9]*\n$`)

func TestRealQemu(t *testing.T) {
	dir, vm, document := qemuHost(t)
	act := func(script string, args ...string) result {
		t.Helper()
		return local(t, dir, "vmm/qemu/"+script, "", append(args, "5", "h1")...)
	}
	running := func(after string) {
		t.Helper()
		if r := act("poll", "one-5", "h1"); !polled.MatchString(r.Stdout) {
			t.Fatalf("after %s poll prints %q, %s", after, r.Stdout, r.Stderr)
		}
	}
	deployment := filepath.Join(vm, "deployment.0")
	deployed := mustSucceed(t, "deploy", local(t, dir, "vmm/qemu/deploy", document, deployment, "h1", "5", "h1"))
	if deployed.Stdout != "one-5\n" {
		t.Errorf("deploy prints %q", deployed.Stdout)
	}
	running("deploy")
	port := regexp.MustCompile(`<PORT>(\d+)`).FindStringSubmatch(document)[1]
	conn, err := net.DialTimeout("tcp", "127.0.0.1:"+port, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	greeting := make([]byte, 4)
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := conn.Read(greeting); err != nil || string(greeting) != "RFB " {
		t.Errorf("the console greets with %q, %v", greeting, err)
	}
	conn.Close()
	if r := local(t, dir, "vmm/qemu/deploy", document, deployment, "h1", "5", "h1"); r.Exit == 0 {
		t.Error("a domain can be deployed twice")
	}

	request := b64("<VMM_DRIVER_ACTION_DATA><VM><TEMPLATE><DISK><ATTACH>YES</ATTACH><TYPE>FILE</TYPE></DISK></TEMPLATE></VM></VMM_DRIVER_ACTION_DATA>")
	mustSucceed(t, "attach_disk", act("attach_disk", "one-5", filepath.Join(vm, "disk.2"), "sdb", "1", request))
	if r := act("attach_disk", "one-5", filepath.Join(vm, "disk.2"), "hdb", "1", request); r.Exit == 0 || !strings.Contains(r.Stderr, "DEV_PREFIX") {
		t.Errorf("attaching to IDE: exit %d, %s", r.Exit, r.Stderr)
	}
	mustSucceed(t, "attach_nic", act("attach_nic", "one-5", "02:00:00:00:00:09", "no-such-bridge", "-", "dummy"))

	checkpoint := filepath.Join(vm, "checkpoint")
	mustSucceed(t, "save", act("save", "one-5", checkpoint, "h1"))
	if r := act("poll", "one-5", "h1"); r.Stdout != "STATE=d\n" {
		t.Errorf("after save poll prints %q", r.Stdout)
	}
	mustSucceed(t, "restore", act("restore", checkpoint, "h1", "one-5"))
	running("restore")
	mustSucceed(t, "detach_disk", act("detach_disk", "one-5", filepath.Join(vm, "disk.2"), "sdb", "1"))

	disk := filepath.Join(vm, "disk.0")
	writeFile(t, disk, "before"+strings.Repeat("\x00", 1<<20-6))
	snapshot := mustSucceed(t, "snapshot_create", act("snapshot_create", "one-5", "3"))
	if snapshot.Stdout != "snapshot.3\n" {
		t.Errorf("snapshot_create prints %q", snapshot.Stdout)
	}
	writeFile(t, disk, "after!"+strings.Repeat("\x00", 1<<20-6))
	mustSucceed(t, "snapshot_revert", act("snapshot_revert", "one-5", "snapshot.3"))
	if got, err := os.ReadFile(disk); err != nil || !bytes.HasPrefix(got, []byte("before")) {
		t.Errorf("the disk after revert: %.6q, %v", got, err)
	}
	running("snapshot_revert")
	mustSucceed(t, "snapshot_delete", act("snapshot_delete", "one-5", "snapshot.3"))
	mustSucceed(t, "reset", act("reset", "one-5", "h1"))
	running("reset")

	all := mustSucceed(t, "poll -t", local(t, dir, "vmm/qemu/poll", "", "-t"))
	if !strings.Contains(all.Stdout, "VM_POLL=YES\nVM=[\n  ID=5,\n  DEPLOY_ID=one-5,\n  POLL=\"STATE=a ") {
		t.Errorf("poll -t prints %q", all.Stdout)
	}
	mustSucceed(t, "cancel", act("cancel", "one-5", "h1"))
	mustSucceed(t, "cancel again", act("cancel", "one-5", "h1"))
	if left, _ := filepath.Glob(filepath.Join(dir, "qemu", "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, err := os.Stat(filepath.Join(dir, "pwned")); err == nil {
		t.Error("the name of the VM was executed")
	}
}

// A guest of seabios alone does not hear the power button.
func TestRealQemuShutdown(t *testing.T) {
	dir, vm, document := qemuHost(t)
	mustSucceed(t, "deploy", local(t, dir, "vmm/qemu/deploy", document, filepath.Join(vm, "deployment.0"), "h1", "5", "h1"))
	late := func(force string) result {
		return run(t, dir, call{script: "vmm/qemu/shutdown", args: []string{"one-5", "h1", "5", "h1"},
			env: []string{"SHUTDOWN_TIMEOUT=2", "FORCE_DESTROY=" + force}, real: stubbed})
	}
	if r := late("no"); r.Exit != 255 || !strings.Contains(r.Stderr, "Timed out shutting down one-5") {
		t.Errorf("shutdown: exit %d, %s", r.Exit, r.Stderr)
	}
	mustSucceed(t, "forced shutdown", late("yes"))
	if r := local(t, dir, "vmm/qemu/poll", "", "one-5", "h1", "5", "h1"); r.Stdout != "STATE=d\n" {
		t.Errorf("poll prints %q", r.Stdout)
	}
}

func TestQemuRefuses(t *testing.T) {
	dir, vm, document := qemuHost(t)
	tests := []struct{ name, old, new, want string }{
		{"target without a letter", "<TARGET>xvda<", "<TARGET>xvd<", "no letter"},
		{"target twice", "<TARGET>xvda<", "<TARGET>xvdc<", "Two disks have the target xvdc"},
		{"unknown driver", "<DRIVER>file<", "<DRIVER>tape<", "Unknown disk driver"},
		{"disk of a cluster", "<TYPE>FILE<", "<TYPE>RBD<", "kvm driver"},
		{"no such disk", "<DISK><DISK_ID>0<", "<DISK><DISK_ID>9<", "Disk 9 not found"},
		{"bad boot device", "<CPU>1</CPU>", "<OS><BOOT>usb</BOOT></OS>", "Boot option not supported"},
		{"no memory", "<MEMORY>32</MEMORY>", "", "No MEMORY"},
		{"kernel that is not there", "<CPU>1</CPU>", "<OS><KERNEL>/none</KERNEL></OS>", "Kernel not found"},
		{"bad MAC", "02:00:c0:a8:46:96", "02:00,script=/x", "Not a MAC"},
		{"VNC below its ports", "<LISTEN>", "<PORT>80</PORT><LISTEN>", "between 5900"},
		{"not XML", "</VM>", "", "Cannot parse"},
		{"control character", "<CPU>1</CPU>", "<OS><KERNEL>/etc/hostname</KERNEL><KERNEL_CMD>a\n-daemonize</KERNEL_CMD></OS>", "control character"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			changed := strings.Replace(document, tt.old, tt.new, 1)
			r := local(t, dir, "vmm/qemu/deploy", changed, filepath.Join(vm, "deployment.0"), "h1", "5", "h1")
			if r.Exit != 255 || !strings.Contains(r.Stderr, tt.want) {
				t.Errorf("exit %d, stderr %s; want 255 and %q", r.Exit, r.Stderr, tt.want)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "qemu", "*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// TestKVMEnd asks the real virsh, which has a hypervisor for tests, when a domain is gone.
func TestKVMEnd(t *testing.T) {
	if _, err := exec.LookPath("virsh"); err != nil {
		t.Skip("virsh is not installed")
	}
	for _, tt := range []struct{ name, uri, domain, message string }{
		{"gone", "test:///default", "one-5", ""},
		// Each connection finds it running again.
		{"running", "test:///default", "test", "Could not destroy test"},
		{"no answer", "qemu+unix:///system?socket=/nonesuch", "one-5", "failed to connect"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := run(t, t.TempDir(), call{script: "vmm/kvm/cancel", args: []string{tt.domain, "h1", "5", "h1"}, real: []string{"virsh"},
				env: []string{"LIBVIRT_URI=" + tt.uri, "CANCEL_TIMEOUT=2"}})
			if (r.Exit == 0) != (tt.message == "") || !strings.Contains(r.Stderr, tt.message) {
				t.Errorf("exit %d, %s", r.Exit, r.Stderr)
			}
		})
	}
}
