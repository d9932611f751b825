package scriptstest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// scripts lists every shell file of the drivers: those with a shell's first line
// and the libraries, which say so to shellcheck.
func scripts(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, root := range []string{driversDir(t), filepath.Join(driversDir(t), "..", "share", "context")} {
		err := filepath.Walk(root, func(path string, info os.FileInfo, err error) error {
			if err != nil {
				return err
			}
			if !info.Mode().IsRegular() || strings.Contains(path, "/testdata/") {
				return nil
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			head := string(data[:min(len(data), 2000)])
			if strings.HasPrefix(head, "#!/bin/sh\n") || strings.Contains(head, "\n# shellcheck shell=sh") {
				found = append(found, path)
			}
			return nil
		})
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	return found
}

func TestShellcheck(t *testing.T) {
	if _, err := exec.LookPath("shellcheck"); err != nil {
		t.Skip("shellcheck is not installed")
	}
	files := scripts(t)
	if len(files) < 100 {
		t.Fatalf("only %d scripts found", len(files))
	}
	cmd := exec.Command("shellcheck", append([]string{"-x", "-P", filepath.Join(driversDir(t), "..")}, files...)...)
	cmd.Dir = filepath.Join(driversDir(t), "..")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("shellcheck: %v\n%s", err, out)
	}
}

// No script may need more than a POSIX shell: that of Debian takes nothing else.
func TestSyntax(t *testing.T) {
	for _, file := range scripts(t) {
		if out, err := exec.Command("sh", "-n", file).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", file, err, out)
		}
	}
}

func TestScriptsAreComplete(t *testing.T) {
	want := map[string][]string{
		"vmm/kvm":  {"deploy", "shutdown", "cancel", "save", "restore", "migrate", "migrate_local", "reboot", "reset", "poll", "attach_disk", "detach_disk", "attach_nic", "detach_nic", "snapshot_create", "snapshot_revert", "snapshot_delete"},
		"vmm/xen3": {"deploy", "shutdown", "cancel", "save", "restore", "migrate", "reboot", "reset", "poll", "attach_disk", "detach_disk", "attach_nic", "detach_nic", "snapshot_create", "snapshot_revert", "snapshot_delete"},
		"im":       {"run_probes", "stop_probes"},
		"hooks/ft": {"host_error.rb"},
	}
	want["vmm/xen4"] = want["vmm/xen3"]
	want["vmm/qemu"] = want["vmm/xen3"]
	for _, tm := range []string{"shared", "ssh", "qcow2", "lvm", "fs_lvm", "ceph", "vmfs", "dummy"} {
		want["tm/"+tm] = []string{"clone", "ln", "mv", "mvds", "cpds", "delete", "premigrate", "postmigrate", "failmigrate"}
	}
	for _, tm := range []string{"shared", "ssh", "qcow2", "dummy"} {
		want["tm/"+tm] = append(want["tm/"+tm], "context", "mkimage", "mkswap")
	}
	for _, ds := range []string{"fs", "lvm", "ceph", "vmfs", "dummy"} {
		want["datastore/"+ds] = []string{"cp", "clone", "mkfs", "rm", "stat"}
		want["datastore/"+ds] = append(want["datastore/"+ds], "monitor")
	}
	for _, vnm := range []string{"dummy", "fw", "ebtables", "802.1Q", "ovswitch", "ovswitch_brcompat"} {
		want["vnm/"+vnm] = []string{"pre", "post", "clean"}
	}
	for dir, names := range want {
		for _, name := range names {
			info, err := os.Stat(filepath.Join(driversDir(t), dir, name))
			if err != nil || info.Mode()&0o111 == 0 {
				t.Errorf("%s/%s: missing or not executable: %v", dir, name, err)
			}
		}
	}
}

// hostile are values that a shell would do something with. Each tries, in more than
// one way, to make a file named pwned in the working directory.
var hostile = []string{
	"$(touch pwned)`touch pwned`; touch pwned; $(touch${IFS}pwned) | touch pwned && touch pwned #",
	"' ; touch pwned; '\" ; touch pwned; \"'\"$(touch pwned)\"'a\\'; touch pwned #",
	"\ntouch pwned\nEOF\ntouch pwned\n'\ntouch pwned\n",
	"-o ProxyCommand=touch pwned",
	"x]]></A><B>$(touch pwned)</B> * ? [a ~ 中文 'é' %s %n \\",
	strings.Repeat("A", 10240) + "'; touch pwned",
}

// TestHostileValues hands every script hostile arguments and documents, and runs
// what would be run on hosts, too.
func TestHostileValues(t *testing.T) {
	values := hostile
	if testing.Short() {
		values = hostile[:1]
	}
	for script := range hostileCalls("", "") {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			writeFile(t, filepath.Join(dir, "home/.keep"), "")
			for _, value := range values {
				for _, args := range hostileCalls(dir, value)[script] {
					checkHostile(t, dir, script, args, value)
				}
			}
		})
	}
}

func checkHostile(t *testing.T, dir, script string, args []string, stdin string) {
	t.Helper()
	r := run(t, dir, call{script: script, args: args, stdin: stdin, remote: true,
		env: []string{"SHUTDOWN_TIMEOUT=1", "CANCEL_TIMEOUT=2", "VNM_HYPERVISOR=xen", "DETACH_TIMEOUT=1"}})
	if left, err := filepath.Glob(filepath.Join(dir, "*pwned*")); err != nil || len(left) > 0 {
		t.Fatalf("%q executed a value; stderr: %s", args, r.Stderr)
	}
	// 126, 127 and a signal are the shell's own complaints.
	if r.Exit == 126 || r.Exit == 127 || r.Exit < 0 {
		t.Errorf("%q: exit %d, stderr: %s", args, r.Exit, r.Stderr)
	}
	if strings.Contains(r.Stderr, "yntax error") || strings.Contains(r.Stderr, "Unterminated quoted") {
		t.Errorf("%q: a value became syntax: %s", args, r.Stderr)
	}
}

// hostileCalls puts the value where users' or administrators' texts end up.
func hostileCalls(dir, value string) map[string][][]string {
	store := dir + "/var/datastores/"
	xml := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(value)
	path := "h1:" + store + "0/5/" + value
	image := "fe:" + store + "1/" + value
	request := func(image string) string {
		return strings.ReplaceAll(b64("<DS_DRIVER_ACTION_DATA><IMAGE>"+image+"</IMAGE><DATASTORE><BASE_PATH>"+store+"1</BASE_PATH><TEMPLATE><BRIDGE_LIST>h1</BRIDGE_LIST><SAFE_DIRS>/</SAFE_DIRS><LIMIT_TRANSFER_BW>"+xml+"</LIMIT_TRANSFER_BW></TEMPLATE></DATASTORE></DS_DRIVER_ACTION_DATA>"), "\n", "")
	}
	anImage := "<PATH>" + xml + "</PATH><SOURCE>" + xml + "</SOURCE><SIZE>1</SIZE><FSTYPE>" + xml + "</FSTYPE><TEMPLATE><MD5>" + xml + "</MD5></TEMPLATE>"
	nic := "<NIC><NIC_ID>0</NIC_ID><VLAN>YES</VLAN><MAC>02:00:00:00:00:01</MAC><BRIDGE>" + xml + "</BRIDGE><PHYDEV>" + xml + "</PHYDEV><WHITE_PORTS_TCP>" + xml + "</WHITE_PORTS_TCP></NIC>"
	vm := b64("<VM><ID>5</ID><DEPLOY_ID/><TEMPLATE>" + nic + "</TEMPLATE></VM>")
	portsOnly := b64("<VM><ID>5</ID><DEPLOY_ID/><TEMPLATE><NIC><NETWORK_ID>1</NETWORK_ID><WHITE_PORTS_TCP>" + xml + "</WHITE_PORTS_TCP><ICMP>" + xml + "</ICMP></NIC></TEMPLATE></VM>")
	attachDisk := attach("<TYPE>RBD</TYPE><SOURCE>" + xml + "</SOURCE><DRIVER>" + xml + "</DRIVER><CEPH_HOST>" + xml + "</CEPH_HOST><CACHE>" + xml + "</CACHE>")
	calls := map[string][][]string{
		"datastore/downloader.sh": {{value, store + "1/new"}, {"--md5", value, "/dev/null", store + "1/new"}, {"--limit", value, "http://h/x", "-"}},
		"datastore/xpath.rb":      {{"-b", b64("<A>" + xml + "</A>"), "/A", value}},
		"tm/shared/context":       {{"/dev/null", "/etc/hostname:" + value, "h1:" + store + "0/5/disk.1", "5", "0"}, {"/dev/null", value, path, "5", "0"}},
		"tm/shared/mkimage":       {{"1", value, path, "5", "0"}, {value, "raw", path, "5", "0"}},
	}
	for _, tm := range []string{"shared", "ssh", "qcow2", "fs_lvm", "vmfs"} {
		calls["tm/"+tm+"/clone"] = [][]string{{image, path, value, "1"}, {"http://h/" + value, "h1:" + store + "0/5/disk.0", "5", "1"}}
		calls["tm/"+tm+"/ln"] = [][]string{{image, path, "5", "1"}}
		calls["tm/"+tm+"/mvds"] = [][]string{{path, store + "1/" + value, "5", "1"}}
		calls["tm/"+tm+"/delete"] = [][]string{{path, "5", "1"}}
	}
	calls["tm/ssh/mv"] = [][]string{{"h1:" + store + "0/" + value, "h2:" + store + "9/" + value, "5", "0"}, {value + ":" + store + "0/5", "h2:" + store + "9/5", "5", "0"}}
	calls["tm/lvm/clone"] = [][]string{{"h1:vg." + value, path, "5", "1"}, {"h1:vg.lv", path, value, "1"}}
	calls["tm/lvm/delete"] = [][]string{{path, "5", "1"}}
	calls["tm/ceph/clone"] = [][]string{{"one/" + value, "h1:" + store + "0/5/disk.0", "5", "1"}}
	for _, ds := range []string{"fs", "lvm", "ceph", "vmfs"} {
		for _, action := range []string{"cp", "clone", "mkfs", "rm", "stat"} {
			calls["datastore/"+ds+"/"+action] = [][]string{{request(anImage), "7"}, {request("<PATH>http://h/" + xml + "</PATH><SIZE>1</SIZE>"), value}}
		}
	}
	for _, vnm := range []string{"fw/post", "fw/clean", "ebtables/post", "802.1Q/pre", "ovswitch/post"} {
		calls["vnm/"+vnm] = [][]string{{vm, value}, {portsOnly, "one-5"}}
	}
	for _, hypervisor := range []string{"xen4", "kvm"} {
		for _, action := range []string{"shutdown", "cancel", "reboot", "reset", "poll"} {
			calls["vmm/"+hypervisor+"/"+action] = [][]string{{value, "h1", "5", "h1"}}
		}
		calls["vmm/"+hypervisor+"/attach_disk"] = [][]string{{"one-5", dir + "/disk.1", value, "0", attachDisk, "5", "h1"}}
		calls["vmm/"+hypervisor+"/attach_nic"] = [][]string{{"one-5", value, value, value, value, "5", "h1"}}
		calls["vmm/"+hypervisor+"/migrate"] = [][]string{{"one-5", value, "h1", "5", "h1"}}
		calls["vmm/"+hypervisor+"/snapshot_revert"] = [][]string{{"one-5", value, "5", "h1"}}
		calls["vmm/"+hypervisor+"/deploy"] = [][]string{{dir + "/deployment.0", "h1", "5", "h1"}}
	}
	for _, action := range []string{"shutdown", "cancel", "save", "snapshot_create", "attach_nic", "detach_nic", "detach_disk"} {
		calls["vmm/qemu/"+action] = [][]string{{value, value, value, value, "5", "h1"}}
	}
	if len(value) > 4000 {
		// A path has its limits; what is longer belongs into a document.
		for name := range calls {
			if strings.HasPrefix(name, "tm/") {
				delete(calls, name)
			}
		}
	}
	return calls
}

// The document parser is what stands between users' texts and the shell: whatever
// it reads, eval of what it prints must set the one variable and do nothing else.
func FuzzXMLVars(f *testing.F) {
	for _, value := range hostile {
		f.Add("<A><B>" + value + "</B></A>")
		f.Add("<A><B><![CDATA[" + value + "]]></B></A>")
		f.Add(value)
	}
	f.Add("<A><B>&#x24;(touch pwned)&apos;&#39;;</B></A>")
	drivers, err := filepath.Abs("..")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, document string) {
		dir := t.TempDir()
		cmd := exec.Command("sh", "-c", `. "$0/scripts_common.sh"
vars=$(xml_vars B=/A/B 2>/dev/null) || exit 0
eval "$vars"
calls=$(xml_each count /A/B . 2>/dev/null </dev/null) || :
[ "$(ls -A)" = "" ] || exit 9`, drivers)
		cmd.Dir = dir
		cmd.Env = []string{"PATH=/usr/bin:/bin", "REMOTES=" + drivers}
		cmd.Stdin = bytes.NewReader([]byte(document))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", document, err, out)
		}
	})
}
