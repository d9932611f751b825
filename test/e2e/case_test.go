package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// The case is that of a user of 4.6, who ran HVM machines on Xen and later KVM
// hosts. notebook has his templates, and what the real 4.6.2 wrote for them
// (as VM 226, on a front end of that name).

// refusedFiles are the machines whose deployment file no hypervisor takes: 4.6
// sends it nevertheless, we say what is wrong with it.
var refusedFiles = map[string]string{
	"xen-hvm-cd-twice":   "xvdc:cdrom:cdrom",
	"xen-hvm-target-xvd": "xvd",
}

// notebook has the templates of the case, which other tests use, too, and the files that the real 4.6.2 wrote for them.
const notebook = "../drivers/testdata/inputs"

func caseText(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(notebook, name))
	if errors.Is(err, fs.ErrNotExist) {
		text, err = os.ReadFile(filepath.Join("testdata", "case", name))
	}
	must(t, err)
	return string(text)
}

// prepareCase makes user attributes, networks and images of the case.
func (c *cloud) prepareCase(t *testing.T) {
	t.Helper()
	const add = 1
	c.must(t, "one.user.update", 0, caseText(t, "user-oneadmin.one"), add)
	for _, name := range []string{"vnet-public.one", "vnet-backup.one"} {
		c.must(t, "one.vn.allocate", caseText(t, name), -1)
	}
	for _, id := range []int{1, 2} {
		c.poll(t, fmt.Sprintf("datastore %d has no figures", id), func() (bool, error) {
			d, err := c.Document("one.datastore.info", id)
			return err == nil && d.Number("TOTAL_MB") > 0, err
		})
	}
	datastore := regexp.MustCompile(`(?m)^DATASTORE +=.*(\d)$`)
	for block := range strings.SplitSeq(caseText(t, "images.one"), "---\n") {
		var ds int
		_, err := fmt.Sscan(datastore.FindStringSubmatch(block)[1], &ds)
		must(t, err)
		id := c.must(t, "one.image.allocate", datastore.ReplaceAllString(block, ""), ds)
		c.awaitImage(t, id, "READY")
	}
}

// TestCaseFiles compares the files that oned writes for the machines of the
// case with those of 4.6.2: deployment files, contexts, transfer scripts.
func TestCaseFiles(t *testing.T) {
	t.Parallel()
	const firstID, recordedID, vncBase = 4321, 226, 5900
	const persistentImage = 1
	drivers := scriptedConf(t, "")
	self, err := os.Executable()
	must(t, err)
	for _, kind := range []struct{ name, kind, defaults string }{
		{"xen4", "xen", "vmm_exec/vmm_exec_xen4.conf"}, {"kvm", "kvm", "vmm_exec/vmm_exec_kvm.conf"},
	} {
		drivers += fmt.Sprintf("VM_MAD = [ NAME = %q, TYPE = %q, DEFAULT = %q, EXECUTABLE = %q, ARGUMENTS = \"%s vmm\" ]\n",
			kind.name, kind.kind, kind.defaults, self, scriptedDriver)
	}
	c := newCloud(t, settings{untouched: true, drivers: drivers,
		conf: "DATASTORE_LOCATION = /var/lib/one/datastores\nDATASTORE_BASE_PATH = /var/lib/one/datastores\n"})
	c.stop()
	db := c.openDatabase()
	_, err = db.Exec("REPLACE INTO pool_control VALUES ('vm_pool', ?)", firstID-1)
	must(t, err)
	must(t, db.Close())
	c.start()
	c.prepareCase(t)
	hosts := map[string]int{"xen": c.addHost(t, "xen01", "scripted", "xen4"), "kvm": c.addHost(t, "kvm01", "scripted", "kvm")}
	frontend, err := os.Hostname()
	must(t, err)

	recorded, err := filepath.Glob(filepath.Join(notebook, "expected", "*"))
	must(t, err)
	files := map[string][]string{} // of each template
	for _, path := range recorded {
		name, file, _ := strings.Cut(filepath.Base(path), ".")
		files[name] = append(files[name], file)
	}
	if len(files) < 10 {
		t.Fatalf("only %d machines are recorded", len(files))
	}
	for name, files := range files {
		t.Run(name, func(t *testing.T) {
			host, suffix := hosts["xen"], ".one"
			if strings.HasPrefix(name, "kvm") {
				host = hosts["kvm"]
			}
			if name == "template-as-xml" {
				suffix = ".xml"
			}
			id := c.must(t, "one.vm.allocate", caseText(t, name+suffix), false)
			c.must(t, "one.vm.deploy", id, host, false)
			if reason := refusedFiles[name]; reason == "" {
				c.awaitVM(t, id, "RUNNING")
			} else {
				d := c.awaitVM(t, id, "FAILED")
				if text := d.Text("USER_TEMPLATE/ERROR"); !strings.Contains(text, reason) {
					t.Errorf("ERROR is %q, without %q", text, reason)
				}
				files = slices.DeleteFunc(files, func(file string) bool { return file == "deployment.0" })
			}
			number := func(n int) *regexp.Regexp { return regexp.MustCompile(fmt.Sprintf(`\b%d\b`, n)) }
			for _, file := range files {
				got := c.read("var", "vms", fmt.Sprint(id), file)
				got = number(id).ReplaceAllString(got, fmt.Sprint(recordedID))
				got = number(id+vncBase).ReplaceAllString(got, fmt.Sprint(recordedID+vncBase))
				got = strings.ReplaceAll(got, c.dir+"/var/", "/var/lib/one/")
				got = strings.ReplaceAll(got, " "+frontend+":", " frontend:")
				goldenText(t, "..", notebook, "expected", name+"."+file).compare(t, got)
			}
			c.must(t, "one.vm.action", "delete", id)
			c.awaitVM(t, id, "DONE")
			if refusedFiles[name] != "" {
				c.must(t, "one.image.enable", persistentImage, true) // it failed with the machine
			}
			c.awaitImage(t, persistentImage, "READY")
		})
	}
	t.Run("refused", func(t *testing.T) {
		for name, want := range map[string]string{
			"context-dollar-paren.one": "Error parsing: DISK_ID=0 @^_^@ START=echo $(id) @^_^@ TARGET=hda. " +
				"syntax error, unexpected EOA, expecting $end or VARIABLE or RSTRING at line 1, columns 29:30",
			"windows-context-dollar.one": "Error parsing: DISK_ID=0 @^_^@ TARGET=hda @^_^@ USER_DATA=#ps1\n$ip = '192.168.70.1'\nWrite-Host $ip. " +
				"syntax error, unexpected EQUAL, expecting OBRACKET or EOA at line 2, columns 52:55",
		} {
			_, err := c.Number("one.vm.allocate", caseText(t, name), false)
			want = "one.vm.allocate: [VirtualMachineAllocate] Error allocating a new virtual machine. " + want
			if err == nil || err.Error() != want {
				t.Errorf("%s: %v, not %s", name, err, want)
			}
		}
	})
}

// TestCase installs a machine of the case, with its names in Chinese: on qemu
// where that is installed, else with the dummy driver.
func TestCase(t *testing.T) {
	t.Parallel()
	hypervisor, drivers := "dummy", usualDrivers
	if installedPrograms("qemu-system-x86_64", "qemu-img", "genisoimage") {
		hypervisor = "qemu"
		drivers += `IM_MAD = [ NAME = "qemu", EXECUTABLE = "one_im_sh", ARGUMENTS = "-r 0 -t 4 qemu-probes" ]
VM_MAD = [ NAME = "qemu", EXECUTABLE = "one_vmm_exec", TYPE = "xml",
           ARGUMENTS = "-t 4 -r 0 -l deploy,shutdown,cancel,save,restore,migrate,reboot,reset,poll,pre,post,clean,cleanup qemu" ]
`
	}
	vncBase := freePort(t)
	c := newCloud(t, settings{tm: "shared", datastore: "fs", drivers: drivers, env: []string{"ONE_LOCAL_HOSTS=localhost"}, conf: fmt.Sprintf("VNC_BASE_PORT = %d\n", vncBase)})
	c.schedule()
	const add = 1
	c.must(t, "one.user.update", 0, caseText(t, "user-oneadmin.one"), add)
	c.must(t, "one.vn.allocate", caseText(t, "vnet-public.one"), -1)
	c.write("cd.iso", strings.Repeat("CD", 1<<20))
	for _, template := range []string{
		"NAME = \"安装光盘\"\nTYPE = CDROM\nPATH = \"" + c.path("cd.iso") + "\"",
		"NAME = \"数据盘\"\nTYPE = DATABLOCK\nSIZE = 8192\nFSTYPE = raw\nPERSISTENT = YES\nDEV_PREFIX = xvd\nDRIVER = file",
	} {
		c.awaitImage(t, c.must(t, "one.image.allocate", template, 1), "READY")
	}
	c.addHost(t, "localhost", hypervisor, hypervisor)

	template := c.must(t, "one.template.allocate", caseText(t, "install-chinese.one"))
	began := time.Now()
	id := c.must(t, "one.template.instantiate", template, "", false, "")
	t.Cleanup(func() { // the machine is a process of its own, which outlives oned
		if t.Failed() {
			_, _ = c.Call("one.vm.action", "delete", id)
			c.awaitVM(t, id, "DONE")
		}
	})
	d := c.awaitVM(t, id, "RUNNING")
	t.Logf("RUNNING on %s after %v", hypervisor, time.Since(began))
	value, err := c.Call("one.vm.info", id)
	must(t, err)
	goldenText(t, "case", "install-chinese.document.xml").compare(t, c.canonical(fmt.Sprint(value), hypervisor, vncBase))

	if hypervisor == "qemu" {
		address := fmt.Sprintf("127.0.0.1:%d", d.Number("TEMPLATE/GRAPHICS/PORT"))
		conn, err := net.Dial("tcp4", address)
		must(t, err)
		defer conn.Close()
		must(t, conn.SetDeadline(time.Now().Add(answerLimit)))
		if banner, err := bufio.NewReader(conn).ReadString('\n'); !strings.HasPrefix(banner, "RFB ") {
			t.Errorf("the console says %q, %v", banner, err)
		}
	}
	c.must(t, "one.vm.action", "shutdown-hard", id)
	c.awaitVM(t, id, "DONE")
	c.awaitImage(t, 1, "READY") // with the system on it
}

func installedPrograms(names ...string) bool {
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			return false
		}
	}
	return true
}

var (
	times    = regexp.MustCompile(`<(STIME|RSTIME|PSTIME|PETIME|ESTIME|LAST_POLL|MEMORY|CPU|NET_RX|NET_TX)>\d+</`)
	deployed = regexp.MustCompile(`<DEPLOY_ID>[^<]*<`)
)

// canonical is the document of a machine, an element per line, without what
// differs from one run or hypervisor to the next.
func (c *cloud) canonical(document, hypervisor string, vncBase int) string {
	document = times.ReplaceAllString(document, "<$1>N</")
	document = deployed.ReplaceAllString(document, "<DEPLOY_ID>ID<")
	document = strings.NewReplacer(
		"<VMMMAD>"+hypervisor+"<", "<VMMMAD>HYPERVISOR<", c.dir+"/", "ONE_LOCATION/",
		fmt.Sprintf("<PORT><![CDATA[%d]]>", vncBase), "<PORT><![CDATA[VNC_BASE_PORT]]>",
	).Replace(document)
	source := regexp.MustCompile(`(datastores/1/)[0-9a-f]{32}`)
	return strings.ReplaceAll(source.ReplaceAllString(document, "${1}MD5"), "><", ">\n<") + "\n"
}
