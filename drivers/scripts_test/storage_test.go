package scriptstest

import (
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
)

// storageCase is one run of a transfer or datastore script.
type storageCase struct {
	name, script string
	args         []string
	answers      []answer
	env          []string
}

func TestTransfer(t *testing.T) {
	const disk = "h1:@DIR@/var//datastores/0/5/disk."
	down := []answer{{Call: "ssh", Exit: 255, Stderr: "ssh: Could not resolve hostname h1: Name or service not known\n"}}
	vm := func(elements string) []answer {
		return []answer{
			{Call: "onevm show -x 5", Stdout: "<VM><ID>5</ID><TEMPLATE><DISK><DISK_ID>0</DISK_ID><SOURCE>one/one-1</SOURCE>" + elements + "</DISK></TEMPLATE></VM>"},
			{Call: "sudo lvs", Stdout: "  128.00\n"},
		}
	}
	tests := []storageCase{
		{name: "shared/clone", args: []string{"fe:@DIR@/var//datastores/1/img", disk + "0", "5", "1"}},
		{name: "shared/clone-over-link", script: "shared/clone", args: []string{"fe:@DIR@/var//datastores/1/img", disk + "9", "5", "1"}},
		{name: "shared/clone-missing", script: "shared/clone", args: []string{"fe:@DIR@/var//datastores/1/none", disk + "0", "5", "1"}},
		{name: "shared/clone-http", script: "shared/clone", args: []string{"http://h/x?a=1&b='2'", disk + "0", "5", "1"}},
		{name: "shared/clone-host-down", script: "shared/clone", args: []string{"fe:@DIR@/var//datastores/1/img", disk + "0", "5", "1"}, answers: down},
		{name: "shared/ln", args: []string{"fe:@DIR@/var//datastores/1/img", disk + "0", "5", "1"}},
		{name: "shared/mv", args: []string{disk + "0", "h2:@DIR@/var//datastores/0/5/disk.0", "5", "1"}},
		{name: "shared/mvds", args: []string{disk + "1", "@DIR@/var//datastores/1/saved", "5", "1"}},
		{name: "shared/mvds-link", script: "shared/mvds", args: []string{disk + "9", "@DIR@/var//datastores/1/img", "5", "1"}},
		{name: "shared/cpds", args: []string{disk + "1", "@DIR@/var//datastores/1/saved", "5", "1"}},
		{name: "shared/cpds-link", script: "shared/cpds", args: []string{disk + "9", "@DIR@/var//datastores/1/img", "5", "1"}},
		{name: "shared/delete", args: []string{disk + "1", "5", "1"}},
		{name: "shared/delete-directory", script: "shared/delete", args: []string{"h1:@DIR@/var//datastores/0/5", "5", "0"}},
		{name: "shared/delete-gone", script: "shared/delete", args: []string{disk + "7", "5", "1"}},
		{name: "shared/delete-nothing", script: "shared/delete", args: []string{"h1:", "5", "1"}},
		{name: "shared/mkimage-raw", script: "shared/mkimage", args: []string{"1", "raw", disk + "3", "5", "0"}},
		{name: "shared/mkimage-ext3", script: "shared/mkimage", args: []string{"4", "ext3", disk + "3", "5", "0"}},
		{name: "shared/mkimage-qcow2", script: "shared/mkimage", args: []string{"1", "qcow2", disk + "3", "5", "0"}},
		{name: "shared/mkimage-bad-type", script: "shared/mkimage", args: []string{"1", "ext3;id", disk + "3", "5", "0"}},
		{name: "shared/mkimage-bad-size", script: "shared/mkimage", args: []string{"1;id", "raw", disk + "3", "5", "0"}},
		{name: "shared/mkimage-host-down", script: "shared/mkimage", args: []string{"1", "raw", disk + "3", "5", "0"}, answers: down},
		{name: "shared/mkswap", args: []string{"1", disk + "3", "5", "0"}},
		{name: "shared/premigrate", args: []string{"h1", "h2", "@DIR@/var//datastores/0/5", "5", "0", b64("<VM/>")}},
		{name: "ssh/clone", args: []string{"fe:@DIR@/var//datastores/1/img", disk + "0", "5", "1"}},
		{name: "ssh/clone-fails", script: "ssh/clone", args: []string{"fe:@DIR@/var//datastores/1/img", disk + "0", "5", "1"},
			answers: []answer{{Call: "scp", Exit: 1, Stderr: "scp: /x: No space left on device\n"}}},
		{name: "ssh/mv", args: []string{"h1:@DIR@/var//datastores/0/5", "h2:@DIR@/var//moved/5", "5", "0"}},
		{name: "ssh/mv-disk", script: "ssh/mv", args: []string{disk + "1", "h2:@DIR@/var//datastores/0/5/disk.1", "5", "0"}},
		{name: "ssh/mv-same", script: "ssh/mv", args: []string{"h1:@DIR@/var//datastores/0/5", "h1:@DIR@/var/datastores/0/5/", "5", "0"}},
		{name: "ssh/mv-missing", script: "ssh/mv", args: []string{"h1:@DIR@/var//datastores/0/8", "h2:@DIR@/var//moved/8", "8", "0"}},
		{name: "ssh/mvds", args: []string{disk + "1", "@DIR@/var//datastores/1/saved", "5", "1"}},
		{name: "qcow2/clone", args: []string{"fe:@DIR@/var//datastores/1/img", disk + "0", "5", "1"}},
		{name: "qcow2/clone-missing", script: "qcow2/clone", args: []string{"fe:@DIR@/var//datastores/1/none", disk + "0", "5", "1"}},
		{name: "qcow2/mvds", args: []string{disk + "1", "@DIR@/var//datastores/1/saved", "5", "1"}},
		{name: "qcow2/mvds-link", script: "qcow2/mvds", args: []string{disk + "9", "@DIR@/var//datastores/1/img", "5", "1"}},
		{name: "qcow2/cpds", args: []string{disk + "1", "@DIR@/var//datastores/1/saved", "5", "1"}},
		{name: "lvm/clone", args: []string{"h1:vg-one.lv-one-1", disk + "0", "5", "1"}, answers: vm("")},
		{name: "lvm/clone-bad-name", script: "lvm/clone", args: []string{"h1:vg-one.lv;id", disk + "0", "5", "1"}},
		{name: "lvm/ln", args: []string{"h1:vg-one.lv-one-1", disk + "0", "5", "1"}},
		{name: "lvm/mvds", args: []string{disk + "8", "h1:vg-one.lv-one-4", "5", "1"}},
		{name: "lvm/mvds-persistent", script: "lvm/mvds", args: []string{disk + "6", "h1:vg-one.lv-one-1", "5", "1"}},
		{name: "lvm/cpds", args: []string{disk + "8", "h1:vg-one.lv-one-4", "5", "1"}, answers: vm("")},
		{name: "lvm/delete", args: []string{disk + "8", "5", "1"}},
		{name: "lvm/delete-persistent", script: "lvm/delete", args: []string{disk + "6", "5", "1"}},
		{name: "lvm/delete-directory", script: "lvm/delete", args: []string{"h1:@DIR@/var//datastores/0/5", "5", "1"}},
		{name: "fs_lvm/clone", args: []string{"fe:@DIR@/var//datastores/1/img", disk + "0", "5", "1"}},
		{name: "fs_lvm/clone-missing", script: "fs_lvm/clone", args: []string{"fe:@DIR@/var//datastores/1/none", disk + "0", "5", "1"}},
		{name: "fs_lvm/mvds", args: []string{disk + "8", "@DIR@/var//datastores/1/saved", "5", "1"}},
		{name: "fs_lvm/cpds", args: []string{disk + "8", "@DIR@/var//datastores/1/saved", "5", "1"}},
		{name: "fs_lvm/delete", args: []string{disk + "8", "5", "1"}},
		{name: "ceph/clone", args: []string{"one/one-1", disk + "0", "5", "1"}, answers: vm("")},
		{name: "ceph/clone-format-2", script: "ceph/clone", args: []string{"one/one-1", disk + "0", "5", "1"}, answers: vm("<RBD_FORMAT>2</RBD_FORMAT>")},
		{name: "ceph/mvds", args: []string{disk + "0", "one/one-4", "5", "1"}, answers: vm("<CLONE>YES</CLONE><RBD_FORMAT>2</RBD_FORMAT>")},
		{name: "ceph/mvds-persistent", script: "ceph/mvds", args: []string{disk + "0", "one/one-4", "5", "1"}, answers: vm("<CLONE>NO</CLONE>")},
		{name: "ceph/mvds-became-persistent", script: "ceph/mvds", args: []string{disk + "0", "one/one-4", "5", "1"}, answers: vm("<CLONE>YES</CLONE><PERSISTENT>YES</PERSISTENT>")},
		{name: "ceph/cpds", args: []string{disk + "0", "one/one-4", "5", "1"}, answers: vm("<CLONE>YES</CLONE>")},
		{name: "ceph/delete", args: []string{disk + "0", "5", "1"}, answers: vm("<CLONE>YES</CLONE><RBD_FORMAT>2</RBD_FORMAT>")},
		{name: "ceph/delete-persistent", script: "ceph/delete", args: []string{disk + "0", "5", "1"}, answers: vm("<CLONE>NO</CLONE>")},
		{name: "vmfs/clone", args: []string{"fe:@DIR@/var//datastores/1/vm", disk + "0", "5", "1"}, answers: vm("<TYPE>FILE</TYPE>")},
		{name: "vmfs/clone-cdrom", script: "vmfs/clone", args: []string{"fe:@DIR@/var//datastores/1/img", disk + "0", "5", "1"}, answers: vm("<TYPE>CDROM</TYPE>")},
		{name: "vmfs/ln", args: []string{"fe:@DIR@/var//datastores/1/vm", disk + "0", "5", "1"}, answers: vm("<TYPE>FILE</TYPE>")},
		{name: "vmfs/mvds", args: []string{disk + "1", "@DIR@/var//datastores/1/vm", "5", "1"}},
		{name: "vmfs/mkimage", args: []string{"10", "vmdk_thin", disk + "3", "5", "0"}},
		{name: "vmfs/delete", args: []string{"h1:@DIR@/var//datastores/0/5", "5", "0"}},
		{name: "dummy/clone", args: []string{"fe:dummy_path", disk + "0", "5", "1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			store := filepath.Join(dir, "var/datastores")
			writeFile(t, filepath.Join(store, "1/img"), "image\n")
			writeFile(t, filepath.Join(store, "1/vm/disk.vmdk"), "disk\n")
			writeFile(t, filepath.Join(store, "0/5/disk.1"), "written\n")
			link(t, filepath.Join(store, "1/img"), filepath.Join(store, "0/5/disk.9"))
			link(t, "/dev/vg-one/lv-one-1-5-8", filepath.Join(store, "0/5/disk.8"))
			link(t, "/dev/vg-one/lv-one-1", filepath.Join(store, "0/5/disk.6"))

			c := call{script: "tm/" + tt.name, answers: tt.answers, env: tt.env, remote: true}
			if tt.script != "" {
				c.script = "tm/" + tt.script
			}
			for _, a := range tt.answers {
				if a.Call == "ssh" {
					c.remote = false
				}
			}
			for _, a := range tt.args {
				c.args = append(c.args, strings.ReplaceAll(a, "@DIR@", dir))
			}
			r := run(t, dir, c)
			r.Calls += "-- files --\n" + tree(t, filepath.Join(dir, "var"))
			golden(t, "tm/"+tt.name, dir, r)
		})
	}
}

func link(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

// tree lists a directory: names, sizes of files, targets of links.
func tree(t *testing.T, root string) string {
	t.Helper()
	var lines []string
	err := filepath.Walk(root, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(root, path)
		switch {
		case info.Mode()&os.ModeSymlink != 0:
			target, _ := os.Readlink(path)
			lines = append(lines, name+" -> "+target)
		case info.IsDir():
			lines = append(lines, name+"/")
		case info.Size() < 100:
			content, _ := os.ReadFile(path)
			lines = append(lines, name+" "+strings.TrimSpace(string(content)))
		default:
			lines = append(lines, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n") + "\n"
}

// dsRequest is the driver request for an image in a datastore, not yet encoded.
func dsRequest(image, template string) string {
	return "<DS_DRIVER_ACTION_DATA><IMAGE><ID>7</ID>" + image + "</IMAGE>\n<DATASTORE><ID>1</ID>" +
		"<BASE_PATH><![CDATA[@DIR@/var//datastores/1]]></BASE_PATH>\n<TEMPLATE>" + template + "</TEMPLATE>\n</DATASTORE></DS_DRIVER_ACTION_DATA>"
}

func TestDatastore(t *testing.T) {
	const bridge = "<BRIDGE_LIST>h1 h2</BRIDGE_LIST>"
	vg := []answer{{Call: "sudo vgdisplay -o vg_size", Stdout: "  1000.00\n"}, {Call: "sudo vgdisplay -o vg_free", Stdout: "  400.50\n"}}
	tests := []struct {
		name, script, image, template string
		answers                       []answer
	}{
		{name: "fs/cp", image: "<PATH>@DIR@/in/image</PATH>"},
		{name: "fs/cp-file-url", script: "fs/cp", image: "<PATH>file://@DIR@/in/image</PATH>"},
		{name: "fs/cp-hash", script: "fs/cp", image: "<PATH>@DIR@/in/image</PATH><TEMPLATE><MD5>4802FCEBD761CA4F04C9A6320330FD10</MD5></TEMPLATE>"},
		{name: "fs/cp-wrong-hash", script: "fs/cp", image: "<PATH>@DIR@/in/image</PATH><TEMPLATE><SHA1>00</SHA1></TEMPLATE>"},
		{name: "fs/cp-directory", script: "fs/cp", image: "<PATH>@DIR@/in</PATH>"},
		{name: "fs/cp-missing", script: "fs/cp", image: "<PATH>@DIR@/in/none</PATH>"},
		{name: "fs/cp-restricted", script: "fs/cp", image: "<PATH>@DIR@/var/secret</PATH>"},
		{name: "fs/cp-restricted-dots", script: "fs/cp", image: "<PATH>@DIR@/in/../var/secret</PATH>"},
		{name: "fs/cp-restricted-url", script: "fs/cp", image: "<PATH>file://file://@DIR@/var/secret</PATH>"},
		{name: "fs/cp-restricted-dirs", script: "fs/cp", image: "<PATH>@DIR@/in/image</PATH>", template: "<RESTRICTED_DIRS>/x @DIR@/in/</RESTRICTED_DIRS>"},
		{name: "fs/cp-safe-dirs", script: "fs/cp", image: "<PATH>@DIR@/var/secret</PATH>", template: "<SAFE_DIRS>@DIR@/var</SAFE_DIRS>"},
		{name: "fs/cp-http", script: "fs/cp", image: "<PATH>http://h/a b?x='1'</PATH>", template: "<LIMIT_TRANSFER_BW>1M</LIMIT_TRANSFER_BW>",
			answers: []answer{{Call: "curl", Stdout: "downloaded"}}},
		{name: "fs/cp-http-fails", script: "fs/cp", image: "<PATH>http://h/x</PATH>",
			answers: []answer{{Call: "curl", Exit: 22, Stderr: "curl: (22) The requested URL returned error: 404\n"}}},
		{name: "fs/clone", image: "<PATH>@DIR@/in/image</PATH>"},
		{name: "fs/clone-missing", script: "fs/clone", image: "<PATH>@DIR@/in/none</PATH>"},
		{name: "fs/mkfs", image: "<SIZE>4</SIZE><FSTYPE>ext2</FSTYPE>"},
		{name: "fs/mkfs-save-as", script: "fs/mkfs", image: "<SIZE>1</SIZE><FSTYPE>save_as</FSTYPE>"},
		{name: "fs/mkfs-unknown", script: "fs/mkfs", image: "<SIZE>1</SIZE><FSTYPE>nofs</FSTYPE>"},
		{name: "fs/mkfs-no-size", script: "fs/mkfs", image: "<FSTYPE>raw</FSTYPE>"},
		{name: "fs/rm", image: "<SOURCE>@DIR@/var//datastores/1/old</SOURCE>"},
		{name: "fs/rm-elsewhere", script: "fs/rm", image: "<SOURCE>@DIR@/in/image</SOURCE>"},
		{name: "fs/rm-dots", script: "fs/rm", image: "<SOURCE>@DIR@/var/datastores/1/../../secret</SOURCE>"},
		{name: "fs/stat", image: "<PATH>@DIR@/in/image</PATH>"},
		{name: "fs/stat-missing", script: "fs/stat", image: "<PATH>@DIR@/in/none</PATH>"},
		{name: "fs/stat-empty", script: "fs/stat", image: "<PATH>@DIR@/in/empty</PATH>"},
		{name: "fs/stat-qcow2", script: "fs/stat", image: "<PATH>@DIR@/in/qcow2</PATH>"},
		{name: "fs/stat-http", script: "fs/stat", image: "<PATH>http://h/x</PATH>",
			answers: []answer{{Call: "curl", Stdout: "HTTP/1.1 302 Found\r\nContent-Length: 10\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3145729\r\n\r\n"}}},
		{name: "fs/stat-market", script: "fs/stat", image: "<PATH>http://h/x</PATH>",
			answers: []answer{{Call: "curl", Stdout: "HTTP/1.1 200 OK\r\nOpenNebula-AppMarket-Size: 10485760\r\nContent-Length: 10\r\n\r\n"}}},
		{name: "lvm/cp", image: "<PATH>@DIR@/in/image</PATH><SIZE>12</SIZE>", template: bridge},
		{name: "lvm/cp-no-bridge", script: "lvm/cp", image: "<PATH>@DIR@/in/image</PATH><SIZE>12</SIZE>"},
		{name: "lvm/cp-missing", script: "lvm/cp", image: "<PATH>@DIR@/in/none</PATH><SIZE>12</SIZE>", template: bridge},
		{name: "lvm/mkfs", image: "<SIZE>12</SIZE><FSTYPE>ext3</FSTYPE>", template: bridge + "<VG_NAME>vg0</VG_NAME>"},
		{name: "lvm/clone", image: "<PATH>h1:vg-one.lv-one-3</PATH><SIZE>12</SIZE>", template: bridge},
		{name: "lvm/rm", image: "<SOURCE>h1:vg-one.lv-one-3</SOURCE>", template: bridge},
		{name: "lvm/rm-bad-source", script: "lvm/rm", image: "<SOURCE>h1:vg-one.x;id</SOURCE>", template: bridge},
		{name: "lvm/monitor", template: "<BRIDGE_LIST>h1</BRIDGE_LIST>", answers: vg},
		{name: "lvm/monitor-fails", script: "lvm/monitor", template: "<BRIDGE_LIST>h1</BRIDGE_LIST>"},
		{name: "ceph/cp", image: "<PATH>@DIR@/in/image</PATH>", template: bridge + "<STAGING_DIR>@DIR@/staging</STAGING_DIR>"},
		{name: "ceph/cp-format-2", script: "ceph/cp", image: "<PATH>@DIR@/in/qcow2</PATH>", template: bridge + "<STAGING_DIR>@DIR@/staging</STAGING_DIR><RBD_FORMAT>2</RBD_FORMAT>"},
		{name: "ceph/cp-backing-file", script: "ceph/cp", image: "<PATH>@DIR@/in/qcow2</PATH>", template: bridge + "<STAGING_DIR>@DIR@/staging</STAGING_DIR>",
			answers: []answer{{Call: "qemu-img info", Stdout: "file format: qcow2\nbacking file: /etc/shadow\n"}}},
		{name: "ceph/mkfs-raw", script: "ceph/mkfs", image: "<SIZE>12</SIZE><FSTYPE>raw</FSTYPE>", template: bridge},
		{name: "ceph/mkfs", image: "<SIZE>4</SIZE><FSTYPE>ext3</FSTYPE>", template: bridge + "<STAGING_DIR>@DIR@/staging</STAGING_DIR>"},
		{name: "ceph/clone", image: "<PATH>one/one-3</PATH>", template: bridge},
		{name: "ceph/rm", image: "<SOURCE>one/one-3</SOURCE>", template: bridge},
		{name: "ceph/monitor", template: "<BRIDGE_LIST>h1</BRIDGE_LIST>",
			answers: []answer{{Call: "rados df", Stdout: "pool name category KB\ndata - 1\n  total used     2048  10\n  total avail    4096\n  total space    6144\n"}}},
		{name: "ceph/monitor-new", script: "ceph/monitor", template: "<BRIDGE_LIST>h1</BRIDGE_LIST>",
			answers: []answer{{Call: "rados df", Stdout: "POOL_NAME USED\none 1 GiB\ntotal_objects 3\ntotal_used 2.0 GiB\ntotal_avail 1.5 TiB\ntotal_space 1.6 TiB\n"}}},
		{name: "ceph/monitor-fails", script: "ceph/monitor", template: "<BRIDGE_LIST>h1</BRIDGE_LIST>",
			answers: []answer{{Call: "rados", Exit: 1, Stderr: "error connecting to the cluster\n"}}},
		{name: "vmfs/cp-directory", script: "vmfs/cp", image: "<PATH>@DIR@/in/vm</PATH><TYPE>0</TYPE>", template: bridge + "<DS_TMP_DIR>@DIR@/staging</DS_TMP_DIR>"},
		{name: "vmfs/cp-cdrom", script: "vmfs/cp", image: "<PATH>@DIR@/in/image</PATH><TYPE>1</TYPE>", template: bridge + "<DS_TMP_DIR>@DIR@/staging</DS_TMP_DIR>"},
		{name: "vmfs/mkfs", image: "<SIZE>12</SIZE><FSTYPE>vmdk_thin</FSTYPE>", template: bridge},
		{name: "vmfs/clone", image: "<PATH>@DIR@/var/datastores/1/old</PATH><TYPE>0</TYPE><CLONE_FSTYPE>thin</CLONE_FSTYPE>", template: bridge},
		{name: "vmfs/rm", image: "<SOURCE>@DIR@/var//datastores/1/old</SOURCE>", template: bridge},
		{name: "vmfs/rm-elsewhere", script: "vmfs/rm", image: "<SOURCE>@DIR@/in</SOURCE>", template: bridge},
		{name: "dummy/cp"}, {name: "dummy/stat"}, {name: "dummy/monitor"}, {name: "dummy/rm"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			writeFile(t, filepath.Join(dir, "in/image"), "image\n")
			writeFile(t, filepath.Join(dir, "in/empty"), "")
			writeFile(t, filepath.Join(dir, "in/qcow2"), "QFI\xfb\x00\x00\x00\x02"+strings.Repeat("\x00", 16)+"\x00\x00\x00\x00\x00\x50\x00\x01"+strings.Repeat("\x00", 40))
			writeFile(t, filepath.Join(dir, "in/vm/web.vmdk"), "disk\n")
			writeFile(t, filepath.Join(dir, "in/vm/web-flat.vmdk"), "flat\n")
			writeFile(t, filepath.Join(dir, "var/secret"), "secret\n")
			writeFile(t, filepath.Join(dir, "var/datastores/1/old"), "old\n")
			writeFile(t, filepath.Join(dir, "staging/.keep"), "")

			request := b64(strings.ReplaceAll(dsRequest(tt.image, tt.template), "@DIR@", dir))
			c := call{script: "datastore/" + tt.name, args: []string{request, "7"}, answers: tt.answers, remote: true}
			if tt.script != "" {
				c.script = "datastore/" + tt.script
			}
			r := run(t, dir, c)
			r.Calls += "-- files --\n" + tree(t, filepath.Join(dir, "var"))
			golden(t, "datastore/"+tt.name, dir, r)
		})
	}
}
