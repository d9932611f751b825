//go:build e2e

package storage

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// labVariable is set in the virtual machine of test/lab, where a test may do what
// it likes and what cannot be tested is a failure.
const labVariable = "GONED_LAB_VM"

func inLab() bool { return os.Getenv(labVariable) != "" }

func init() {
	if inLab() {
		hostUser = labUser
	}
}

// labUser makes a user for the hosts' commands, who may run LVM's by sudo.
func labUser() (string, error) {
	const name = "onehost"
	sudoers := name + " ALL = (root) NOPASSWD: ALL\n"
	if err := os.WriteFile("/etc/sudoers.d/"+name, []byte(sudoers), 0o440); err != nil {
		return "", err
	}
	out, err := exec.Command("useradd", "--create-home", "--shell", "/bin/sh", "--password", "*", name).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("useradd: %w: %s", err, out)
	}
	return name, nil
}

// skip ends a test that needs what this machine does not have.
func skip(t *testing.T, format string, args ...any) {
	t.Helper()
	if inLab() {
		t.Fatalf(format, args...)
	}
	t.Skipf(format+"; make e2e-storage uses a virtual machine", args...)
}

// volumeGroup makes a volume group on a loop device.
func volumeGroup(t *testing.T, name string) {
	t.Helper()
	if os.Geteuid() != 0 {
		skip(t, "a volume group needs root")
	}
	for _, tool := range []string{"losetup", "vgcreate", "lvcreate", "sudo"} {
		if _, err := exec.LookPath(tool); err != nil {
			skip(t, "%s is not installed", tool)
		}
	}
	_ = exec.Command("modprobe", "-a", "loop", "dm-mod").Run()
	if err := exec.Command("dmsetup", "version").Run(); err != nil {
		skip(t, "the kernel has no device mapper")
	}
	if inLab() {
		// There is no udev in there to make the devices.
		must(t, os.WriteFile("/etc/lvm/lvmlocal.conf", []byte("activation {\nudev_sync = 0\nudev_rules = 0\n}\ndevices {\nobtain_device_list_from_udev = 0\n}\n"), 0o644))
	}
	backing := filepath.Join(t.TempDir(), "disk")
	command(t, "truncate", "-s", "200M", backing)
	loop := command(t, "losetup", "-f", "--show", backing)
	t.Cleanup(func() { _ = exec.Command("losetup", "-d", loop).Run() })
	command(t, "vgcreate", name, loop)
	t.Cleanup(func() { _ = exec.Command("vgremove", "-f", name).Run() })
}

// volumes describes the volumes of a group: size, and how they begin.
func volumes(t *testing.T, group string) files {
	t.Helper()
	found := files{}
	for _, line := range strings.Split(command(t, "lvs", "--noheadings", "--units", "m", "--nosuffix", "-o", "lv_name,lv_size", group), "\n") {
		words := strings.Fields(line)
		if len(words) != 2 {
			continue
		}
		device := "/dev/" + group + "/" + words[0]
		f, err := os.Open(device)
		must(t, err)
		head := make([]byte, 8)
		_, err = f.Read(head)
		f.Close()
		must(t, err)
		what := strings.TrimRight(string(head), "\x00")
		if kind, _ := exec.Command("blkid", "-p", "-o", "value", "-s", "TYPE", device).Output(); len(kind) > 0 {
			what = strings.TrimSpace(string(kind))
		}
		found[device] = strings.TrimSuffix(words[1], ".00") + " MB: " + what
	}
	return found
}

// volumeStep is a step, and what it does to volumes.
type volumeStep struct {
	step
	volumes files
}

func transferVolumes(t *testing.T, s *site, driver, group string, steps []volumeStep) {
	t.Helper()
	state := volumes(t, group)
	for _, st := range steps {
		transfer(t, s, driver, []step{st.step})
		maps.Copy(state, st.volumes)
		maps.DeleteFunc(state, func(_, what string) bool { return what == "" })
		if got := volumes(t, group); !maps.Equal(got, state) {
			t.Fatalf("%s %s leaves the volumes %v, not %v", driver, st.action, got, state)
		}
	}
}

func TestLVM(t *testing.T) {
	const group = "vg-goned-test"
	volumeGroup(t, group)
	s := newSite(t)
	s.write(t, "in/img", "image...")
	datastore := "<BRIDGE_LIST>h1</BRIDGE_LIST><VG_NAME>" + group + "</VG_NAME>"
	ds := func(action, image, id string) string {
		t.Helper()
		return s.succeed(t, "datastore/lvm/"+action, s.request(image, datastore), id)
	}
	dev := func(volume string) string { return "/dev/" + group + "/" + volume }
	wantVolumes := func(want files) {
		t.Helper()
		if got := volumes(t, group); !maps.Equal(got, want) {
			t.Fatalf("volumes %v, not %v", got, want)
		}
	}

	state := files{}
	for _, tt := range []struct{ action, image, id, what string }{
		{"cp", "<PATH>" + s.path("in/img") + "</PATH><SIZE>4</SIZE>", "1", "4 MB: image..."},
		{"mkfs", "<FSTYPE>ext3</FSTYPE><SIZE>8</SIZE>", "2", "8 MB: ext3"},
		{"mkfs", "<FSTYPE>swap</FSTYPE><SIZE>4</SIZE>", "3", "4 MB: swap"},
		{"mkfs", "<FSTYPE>raw</FSTYPE><SIZE>4</SIZE>", "4", "4 MB: "},
		{"mkfs", "<FSTYPE>save_as</FSTYPE><SIZE>4</SIZE>", "5", ""},
		{"clone", "<PATH>h1:" + group + ".lv-one-1</PATH><SIZE>4</SIZE>", "6", "4 MB: image..."},
	} {
		if got, want := ds(tt.action, tt.image, tt.id), "h1:"+group+".lv-one-"+tt.id; got != want {
			t.Errorf("%s prints %q, not %q", tt.action, got, want)
		}
		if tt.what != "" {
			state[dev("lv-one-"+tt.id)] = tt.what
		}
		wantVolumes(state)
	}
	// A new volume where another one with a file system was.
	ds("rm", "<SOURCE>h1:"+group+".lv-one-2</SOURCE>", "2")
	ds("mkfs", "<FSTYPE>raw</FSTYPE><SIZE>8</SIZE>", "2")
	state[dev("lv-one-2")] = "8 MB: "
	wantVolumes(state)
	if got := ds("monitor", "", "1"); !regexp.MustCompile(`^USED_MB=[0-9.]+\nTOTAL_MB=[0-9.]+\nFREE_MB=[0-9.]+$`).MatchString(got) || strings.Contains(got, "FREE_MB=0\n") {
		t.Errorf("monitor prints %q", got)
	}
	for _, tt := range []struct{ action, image, datastore, message string }{
		{"cp", "<PATH>" + s.path("in/none") + "</PATH><SIZE>4</SIZE>", datastore, "^Error dumping .*No such file"},
		{"cp", "<PATH>" + s.path("in/img") + "</PATH><SIZE>4</SIZE><TEMPLATE><MD5>0</MD5></TEMPLATE>", datastore, "^Error dumping .*Hash does not match"},
		{"cp", "<PATH>" + s.path("in/img") + "</PATH><SIZE>4000</SIZE>", datastore, "^Error registering h1:/dev/.*insufficient free space"},
		{"mkfs", "<FSTYPE>raw</FSTYPE><SIZE>4</SIZE>", "<BRIDGE_LIST>h1</BRIDGE_LIST><VG_NAME>none</VG_NAME>", "^Error registering h1:/dev/none/lv-one-9.*not found"},
		{"mkfs", "<FSTYPE>nonesuch</FSTYPE><SIZE>4</SIZE>", datastore, "^Error registering h1:/dev/.*mkfs.nonesuch"},
		{"clone", "<PATH>h1:" + group + ".lv-one-77</PATH><SIZE>4</SIZE>", datastore, "^Error registering h1:/dev/.*No such file"},
		{"rm", "<SOURCE>h1:" + group + ".lv-one-77</SOURCE>", datastore, "^Error removing h1:/dev/.*[Ff]ailed to find"},
		{"monitor", "", "<BRIDGE_LIST>h1</BRIDGE_LIST><VG_NAME>none</VG_NAME>", "^Cannot monitor h1"},
	} {
		s.fail(t, tt.message, "datastore/lvm/"+tt.action, s.request(tt.image, tt.datastore), "9")
		wantVolumes(state)
	}

	const source = "h1:" + group + ".lv-one-1"
	disk := func(n int) string { return fmt.Sprintf("h1:@/h1/0/5/disk.%d", n) }
	vm := []string{"5", "1"}
	do := func(action string, args ...string) step { return step{action, append(args, vm...), nil} }
	with := func(st step, changes files) step { st.changes = changes; return st }
	steps := []volumeStep{
		{with(do("clone", source, disk(0)), files{"h1/0": "", "h1/0/5/disk.0": "-> " + dev("lv-one-1-5-0")}), files{dev("lv-one-1-5-0"): "4 MB: image..."}},
		{with(do("ln", source, disk(1)), files{"h1/0/5/disk.1": "-> " + dev("lv-one-1")}), nil},
		{with(do("clone", source, disk(2)), files{"h1/0/5/disk.2": "-> " + dev("lv-one-1-5-2")}), files{dev("lv-one-1-5-2"): "4 MB: image..."}},
		{do("cpds", disk(0), "h1:"+group+".lv-one-20"), files{dev("lv-one-20"): "4 MB: image..."}},
		{do("mvds", disk(0), "h1:"+group+".lv-one-21"), files{dev("lv-one-1-5-0"): "", dev("lv-one-21"): "4 MB: image..."}},
		{do("mvds", disk(1), source), nil},
		{with(do("delete", disk(2)), files{"h1/0/5/disk.2": ""}), files{dev("lv-one-1-5-2"): ""}},
		{with(do("delete", disk(1)), files{"h1/0/5/disk.1": ""}), nil},
	}
	for _, st := range idle("mv", "premigrate", "postmigrate", "failmigrate") {
		steps = append(steps, volumeStep{step: st})
	}
	steps = append(steps, volumeStep{step: with(do("delete", "h1:@/h1/0/5"), files{"h1/0/5/disk.0": "", "h1/0": "directory"})})
	transferVolumes(t, s, "lvm", group, steps)
	s.fail(t, "^Error cloning .*(not found|Failed to find)", "tm/lvm/clone", "h1:"+group+".lv-one-77", "h1:"+s.path("h1/0/6/disk.0"), "6", "1")

	for volume := range volumes(t, group) {
		ds("rm", "<SOURCE>h1:"+group+"."+filepath.Base(volume)+"</SOURCE>", "1")
	}
	wantVolumes(files{})
}

func TestFsLVM(t *testing.T) {
	const system = "90001"
	const group = "vg-one-" + system
	volumeGroup(t, group)
	s := newSite(t)
	shareImages(t, s, "h1")
	s.write(t, "var/datastores/1/img", "image..."+strings.Repeat("\x00", 5<<20))
	must(t, os.Remove(s.path("h1/0")))
	must(t, os.Mkdir(s.path("h1/"+system), 0o777))
	must(t, os.Chmod(s.path("h1/"+system), 0o777))

	dev := func(n int) string { return fmt.Sprintf("/dev/%s/lv-one-5-%d", group, n) }
	disk := func(n int) string { return fmt.Sprintf("h1:@/h1/%s/5/disk.%d", system, n) }
	link := func(n int) string { return fmt.Sprintf("h1/%s/5/disk.%d", system, n) }
	const what = "8 MB: image..."
	steps := []volumeStep{
		{step{"clone", []string{"fe:@/var/datastores/1/img", disk(0), "5", "1"}, files{"h1/" + system: "", link(0): "-> " + dev(0)}}, files{dev(0): what}},
		{step{"ln", []string{"fe:@/var//datastores/1/img", disk(1), "5", "1"}, files{link(1): "-> " + dev(1)}}, files{dev(1): what}},
		{step{"cpds", []string{disk(0), "@/var/datastores/1/copy", "5", "1"}, files{"var/datastores/1/copy": "8388608 bytes"}}, nil},
		{step{"mvds", []string{disk(1), "@/var/datastores/1/img", "5", "1"}, files{"var/datastores/1/img": "8388608 bytes"}}, files{dev(1): ""}},
		{step{"delete", []string{disk(0), "5", system}, files{link(0): ""}}, files{dev(0): ""}},
	}
	for _, st := range idle("mv", "premigrate", "postmigrate", "failmigrate") {
		steps = append(steps, volumeStep{step: st})
	}
	steps = append(steps, volumeStep{step: step{"delete", []string{"h1:@/h1/" + system + "/5", "5", system}, files{link(1): "", "h1/" + system: "directory"}}})
	transferVolumes(t, s, "fs_lvm", group, steps)
	for _, name := range []string{"img", "copy"} {
		if text, err := os.ReadFile(s.path("var/datastores/1/" + name)); err != nil || !strings.HasPrefix(string(text), "image...") {
			t.Errorf("%s holds %.8q, %v", name, text, err)
		}
	}
	s.fail(t, "^Cannot determine size for ", "tm/fs_lvm/clone", "fe:"+s.path("var/datastores/1/none"), "h1:"+s.path("h1/"+system+"/6/disk.0"), "6", "1")
}

// TestHostSpace is the monitoring of a host with a volume group for a datastore.
func TestHostSpace(t *testing.T) {
	volumeGroup(t, "vg-one-90002")
	s := newSite(t)
	must(t, os.Mkdir(s.path("h1/90002"), 0o755))
	got := s.succeed(t, "im/common.d/monitor_ds.sh", "kvm", s.path("h1"))
	want := regexp.MustCompile(`DS = \[\n  ID = 90002,\n  USED_MB = 0,\n  TOTAL_MB = 196,\n  FREE_MB = 196,\n  VOLATILE_USED_MB = \d+,\n  VOLATILE_TOTAL_MB = \d+,\n  VOLATILE_FREE_MB = \d+\n\]`)
	if !want.MatchString(got) {
		t.Errorf("monitor_ds.sh prints %s", got)
	}
}

// TestSSHOtherUser has the hosts' commands run by another user than the front-end's.
func TestSSHOtherUser(t *testing.T) {
	if !inLab() {
		skip(t, "no account is made on this machine")
	}
	TestSSH(t)
}
