package check

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"goned/drivers/auth"
	"goned/drivers/datastore"
	"goned/drivers/im"
	"goned/drivers/tm"
	"goned/drivers/vmm"
)

// hostile returns values that run the canary tool if a shell reads them. Most
// have no blank and no slash, so that they can be part of a file name. In
// rounds where it is about the tools, one value will do.
func (c *checker) hostile() []string {
	const run = canaryTool
	if c.round == dying || c.round == unreachable || c.Quick && c.round == failing {
		return []string{"plain"}
	}
	if c.Quick {
		return []string{"';" + run + ";'$(" + run + ") " + splitWord + " *\\"}
	}
	return []string{
		"plain", "';" + run + ";'", "$(" + run + ")", "`" + run + "`", "\";" + run + ";\"", ";" + run + ";", "&" + run + "&",
		"a\n" + run + "\nb", "$HOME ' \" \\", strings.Repeat("x", 10<<10), "|" + run,
		"a " + splitWord + " b",
	}
}

func cdata(s string) string {
	return "<![CDATA[" + strings.ReplaceAll(s, "]]>", "]]]]><![CDATA[>") + "]]>"
}

// vmDocument is a VM whose attributes all have the value, or a few of them if
// it is long: the document is one argument of a script, and the kernel takes
// no more than 128 KB for one.
func vmDocument(value string) string {
	v, more := cdata(value), cdata(value)
	if len(value) > 1<<10 {
		more = "x"
	}
	return "<VM><ID>7</ID><NAME>" + more + "</NAME><DEPLOY_ID>" + more + "</DEPLOY_ID><TEMPLATE>" +
		"<CPU>1</CPU><MEMORY>64</MEMORY><VMID>7</VMID>" +
		"<DISK><ATTACH>YES</ATTACH><DISK_ID>1</DISK_ID><DRIVER>" + v + "</DRIVER><TYPE>FILE</TYPE><TARGET>hdb</TARGET>" +
		"<SOURCE>" + more + "</SOURCE><READONLY>NO</READONLY><CACHE>" + v + "</CACHE><CEPH_HOST>" + more + "</CEPH_HOST></DISK>" +
		"<NIC><ATTACH>YES</ATTACH><NIC_ID>0</NIC_ID><NETWORK_ID>0</NETWORK_ID><BRIDGE>" + v + "</BRIDGE><MAC>02:00:0a:00:00:01</MAC>" +
		"<IP>10.0.0.1</IP><MODEL>" + v + "</MODEL><VLAN>YES</VLAN><PHYDEV>" + more + "</PHYDEV><VLAN_ID>" + more + "</VLAN_ID>" +
		"<WHITE_PORTS_TCP>" + more + "</WHITE_PORTS_TCP><BLACK_PORTS_UDP>" + more + "</BLACK_PORTS_UDP><ICMP>no</ICMP></NIC>" +
		"<SNAPSHOT><ACTIVE>YES</ACTIVE><SNAPSHOT_ID>0</SNAPSHOT_ID><HYPERVISOR_ID>" + v + "</HYPERVISOR_ID></SNAPSHOT>" +
		"</TEMPLATE><HISTORY_RECORDS><HISTORY><HOSTNAME>host1</HOSTNAME></HISTORY></HISTORY_RECORDS></VM>"
}

// checkVMM sends every action. With stand-ins that succeed a domain never
// goes away, so actions that wait for its end are left out then.
func checkVMM(c *checker) {
	if err := c.dummies(); err != nil {
		c.verdict("prepare", false, "%v", err)
		return
	}
	d := c.start("one_vmm_exec " + c.name)
	if d == nil {
		return
	}
	defer d.stop()
	for i, value := range c.hostile() {
		for _, action := range vmm.Actions() {
			if !c.wanted(string(action)) || c.round == succeeding && (action == vmm.Shutdown || action == vmm.Cancel || action == vmm.Cleanup) {
				continue
			}
			point := fmt.Sprintf("%s with value %d", action, i)
			r := c.vmmRequest(value)
			if action == vmm.Migrate {
				r.TMCommand = "MIGRATE dummy host1 host2 " + filepath.Dir(r.RemoteFile) + " 7 0\n"
			}
			m, ok := d.ask(point, r.Line(action, 7))
			if !ok {
				continue
			}
			switch action {
			case vmm.Cleanup:
			case vmm.Cancel, vmm.Poll:
				c.mayPass(strings.ToLower(string(action)), m)
			default:
				c.mustFail(point, m)
			}
			if m.Success() && action == vmm.Poll {
				_, err := vmm.ParseMonitor(m.Text)
				c.verdict(point, err == nil, "%v in %q", err, m.Text)
			}
		}
	}
}

// dummies makes sure that the network and transfer driver `dummy` are there,
// which VM actions are sent with.
func (c *checker) dummies() error {
	for _, script := range []string{"vnm/dummy/pre", "vnm/dummy/post", "vnm/dummy/clean",
		"tm/dummy/premigrate", "tm/dummy/postmigrate", "tm/dummy/delete"} {
		path := filepath.Join(c.root, "var/remotes", script)
		if _, err := os.Stat(path); err == nil {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte("#!/bin/sh\nexit 0\n"), 0o755); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) vmmRequest(value string) vmm.Request {
	dir := filepath.Join(c.root, "var/datastores/0/7")
	local := filepath.Join(c.root, "var/deployment.0")
	_ = os.WriteFile(local, []byte("name = '"+value+"'\n<domain>"+value+"</domain>\n"), 0o644)
	return vmm.Request{
		Host: "host1", NetDriver: "dummy", MigrHost: "host2", MigrNetDriver: "dummy", DeployID: "check-" + value,
		LocalFile: local, RemoteFile: filepath.Join(dir, "deployment.0"), CheckpointFile: filepath.Join(dir, "checkpoint"),
		TMCommand: "DELETE dummy host1:" + dir + "/disk.1 7 0\n", DiskTarget: filepath.Join(dir, "disk.1"), VM: vmDocument(value),
	}
}

// checkTM copies, links and removes real files of the check's own.
func checkTM(c *checker) {
	d := c.start("one_tm -d " + c.name)
	if d == nil {
		return
	}
	defer d.stop()
	for i, value := range c.hostile() {
		if strings.ContainsAny(value, "\n") || len(value) > 200 {
			continue // cannot be part of a path
		}
		// A blank separates the words of a transfer script, a slash directories.
		name := strings.NewReplacer(" ", "_", "/", "_").Replace(value)
		c.transfers(d, i, name)
	}
}

func (c *checker) transfers(d *driver, i int, name string) {
	datastores := filepath.Join(c.root, "var/datastores")
	image, dir := filepath.Join(datastores, "1", name), filepath.Join(datastores, "0/7")
	if err := os.WriteFile(image, []byte("image\n"), 0o644); err != nil {
		c.verdict("prepare", false, "%v", err)
		return
	}
	quoted := "'" + strings.ReplaceAll(image, "'", `'\''`) + "'"
	at := func(path string) string { return "host1:" + path }
	disk := at(dir + "/disk.0")
	contextFile := filepath.Join(c.root, "var/vms/context.sh")
	_ = os.WriteFile(contextFile, []byte("A='b'\n"), 0o644)
	run := func(command string, args ...string) {
		if !c.wanted(command) {
			return
		}
		point := fmt.Sprintf("%s with value %d", command, i)
		script := filepath.Join(c.root, "var/vms/transfer.0.check")
		line := tm.Command{Name: strings.ToUpper(command), Driver: c.name, Args: args, VMID: 7, DSID: 0}
		if err := os.WriteFile(script, []byte(tm.Script([]tm.Command{line})), 0o644); err != nil {
			c.verdict(point, false, "%v", err)
			return
		}
		if m, ok := d.ask(point, tm.TransferLine(7, script)); ok {
			c.mustFail(point, m)
		}
	}
	run("clone", at(quoted), disk)
	run("cpds", disk, quoted)
	run("delete", disk)
	run("ln", at(quoted), disk)
	run("mvds", disk, quoted)
	if c.has("mkimage") {
		run("mkimage", "1", "raw", at(dir+"/disk.1"))
	}
	if c.has("mkswap") {
		run("mkswap", "1", at(dir+"/disk.2"))
	}
	if c.has("context") {
		run("context", contextFile, at(dir+"/disk.3"))
	}
	run("mv", at(dir), at(filepath.Join(datastores, "0/8")))
	run("premigrate", "host1", "host2", dir)
	run("postmigrate", "host1", "host2", dir)
	run("delete", at(filepath.Join(datastores, "0/8")))
	run("delete", at(dir))
	_ = os.MkdirAll(dir, 0o755)
}

// checkDatastore registers a real file and removes it again.
func checkDatastore(c *checker) {
	d := c.start("one_datastore -d " + c.name)
	if d == nil {
		return
	}
	defer d.stop()
	base := filepath.Join(c.root, "var/datastores/1")
	for i, value := range c.hostile() {
		source := ""
		path := filepath.Join(c.root, "image"+fmt.Sprint(i))
		if !strings.ContainsRune(value, '\n') && len(value) < 200 {
			path = filepath.Join(c.root, strings.ReplaceAll(value, "/", "_"))
		}
		_ = os.WriteFile(path, []byte(strings.Repeat("image\n", 1000)), 0o644)
		ds := "<DATASTORE><ID>1</ID><NAME>" + cdata(value) + "</NAME><DS_MAD>" + cdata(c.name) + "</DS_MAD><BASE_PATH>" + cdata(base) +
			"</BASE_PATH><TEMPLATE><SAFE_DIRS>/</SAFE_DIRS><BRIDGE_LIST>host1</BRIDGE_LIST><VG_NAME>" + cdata(value) + "</VG_NAME><POOL_NAME>" +
			cdata(value) + "</POOL_NAME></TEMPLATE></DATASTORE>"
		for _, action := range []datastore.Action{datastore.Stat, datastore.Copy, datastore.Clone, datastore.MakeFS, datastore.Remove, datastore.Monitor} {
			if !c.wanted(string(action)) {
				continue
			}
			image := "<IMAGE><ID>9</ID><NAME>" + cdata(value) + "</NAME><PATH>" + cdata(path) + "</PATH><SOURCE>" + cdata(source) +
				"</SOURCE><SIZE>1</SIZE><FSTYPE>raw</FSTYPE><TYPE>0</TYPE><TEMPLATE></TEMPLATE></IMAGE>"
			switch action {
			case datastore.Stat:
				image = datastore.StatImage(path)
			case datastore.Monitor:
				image = ""
			}
			point := fmt.Sprintf("%s with value %d", action, i)
			m, ok := d.ask(point, datastore.Line(action, 9, image, ds))
			if !ok {
				continue
			}
			c.mustFail(point, m)
			if !m.Success() {
				continue
			}
			switch action {
			case datastore.Stat:
				_, err := datastore.Size(m.Text)
				c.verdict(point, err == nil, "%v", err)
			case datastore.Copy:
				source = datastore.Source(m.Text)
				c.verdict(point, source != "", "answers without a source")
			case datastore.Monitor:
				text, _ := datastore.MonitorText(m.Text)
				for _, name := range []string{"USED_MB=", "TOTAL_MB=", "FREE_MB="} {
					c.verdict(point, strings.Contains(text, name), "no %s in %q", name, text)
				}
			}
		}
	}
}

// checkNetwork calls the scripts through a VM action of the dummy hypervisor
// scripts that the check writes.
func checkNetwork(c *checker) {
	dir := filepath.Join(c.root, "var/remotes/vmm/check-dummy")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		c.verdict("prepare", false, "%v", err)
		return
	}
	for _, s := range []string{"restore", "shutdown", "cancel"} {
		if err := os.WriteFile(filepath.Join(dir, s), []byte("#!/bin/sh\nexit 0\n"), 0o755); err != nil {
			c.verdict("prepare", false, "%v", err)
			return
		}
	}
	d := c.start("one_vmm_exec check-dummy")
	if d == nil {
		return
	}
	defer d.stop()
	for i, value := range c.hostile() {
		r := c.vmmRequest(value)
		r.NetDriver = c.name
		for _, action := range []vmm.Action{vmm.Restore, vmm.Shutdown} {
			point := fmt.Sprintf("%s with value %d", map[vmm.Action]string{vmm.Restore: "pre and post", vmm.Shutdown: "clean"}[action], i)
			if m, ok := d.ask(point, r.Line(action, 7)); ok {
				c.mayPass(map[vmm.Action]string{vmm.Restore: "pre or post", vmm.Shutdown: "clean"}[action], m)
			}
		}
	}
}

// checkAuth offers credentials that no driver but dummy ones may accept.
func checkAuth(c *checker) {
	d := c.start("one_auth_mad --authn " + c.name)
	if d == nil {
		return
	}
	defer d.stop()
	for i, value := range c.hostile() {
		word := strings.Join(strings.Fields(value), "")
		line, err := auth.Authentication{UserID: -1, Driver: c.name, User: word, Password: "stored", Secret: word}.Line(9)
		if err != nil {
			continue
		}
		point := fmt.Sprintf("authenticate with value %d", i)
		m, ok := d.ask(point, line)
		if !ok {
			continue
		}
		if m.Success() && m.Info() != "" {
			_, complete := auth.ParseNewUser(m.Info())
			c.verdict(point, complete, "accepts with %q, want driver, name and password", m.Info())
		}
	}
}

// checkProbes runs a round of probes on this machine. Directories that start
// a client in the background are not run.
func checkProbes(c *checker) {
	hypervisor, plain := strings.CutSuffix(c.name, ".d")
	if !plain || !strings.HasSuffix(hypervisor, "-probes") {
		return
	}
	d := c.start("one_im_sh " + hypervisor)
	if d == nil {
		return
	}
	defer d.stop()
	m, ok := d.ask("MONITOR", im.MonitorLine(3, "host1", filepath.Join(c.root, "var/datastores"), true))
	if !ok {
		return
	}
	text := im.MonitorText(m.Success(), m.Text)
	if !m.Success() {
		c.verdict("MONITOR", text != "" && text != "-", "fails without a reason")
		return
	}
	_, err := base64.StdEncoding.DecodeString(m.Text)
	c.verdict("MONITOR", err == nil && strings.Contains(text, "="), "answer is no monitor text: %q", text)
}
