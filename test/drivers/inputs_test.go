package driverstest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goned/test/oned"
)

// The files in testdata/inputs are an operator's notebook: what he fed to 4.6.2
// and, in expected/, what it wrote. Its README says what must come out.
const inputs = "testdata/inputs"

// inputsConf has the drivers of the notebook's two hosts; ones that do nothing
// stand in for the hypervisors and for the transfers.
const inputsConf = `
DATASTORE_LOCATION = "/var/lib/one/datastores"
IM_MAD = [ NAME = "dummy", EXECUTABLE = "one_im_dummy" ]
VM_MAD = [ NAME = "xen4", EXECUTABLE = "one_vmm_dummy", TYPE = "xen", DEFAULT = "vmm_exec/vmm_exec_xen4.conf" ]
VM_MAD = [ NAME = "kvm", EXECUTABLE = "one_vmm_dummy", TYPE = "kvm", DEFAULT = "vmm_exec/vmm_exec_kvm.conf" ]
`

const obligingTransfer = `#!/bin/sh
while read -r action id rest; do
    case $action in
        INIT) echo "INIT SUCCESS" ;;
        FINALIZE) exit 0 ;;
        TRANSFER) echo "TRANSFER SUCCESS $id -" ;;
    esac
done
`

func input(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(inputs, name))
	must(t, err)
	return string(text)
}

// notebook is a cloud set up as the notebook's README says.
func notebook(t *testing.T) *cloud {
	t.Helper()
	c := newCloud(t, inputsConf, func(dir string) {
		transfer := filepath.Join(dir, "transfer")
		must(t, os.WriteFile(transfer, []byte(obligingTransfer), 0o755))
		conf := filepath.Join(dir, "etc/oned.conf")
		text, err := os.ReadFile(conf)
		must(t, err)
		write(t, conf, strings.Replace(string(text), `EXECUTABLE = "one_tm"`, `EXECUTABLE = "`+transfer+`"`, 1))
	})
	const add = 1
	for _, ds := range []int{1, 2} {
		c.admin("one.datastore.update", ds, "DS_MAD = dummy\nTM_MAD = shared", add)
	}
	for _, h := range [][2]string{{"xen01", "xen4"}, {"kvm01", "kvm"}} {
		c.admin("one.host.allocate", h[0], "dummy", h[1], "dummy", -1)
	}
	c.admin("one.user.update", 0, input(t, "user-oneadmin.one"), add)
	c.admin("one.vn.allocate", input(t, "vnet-public.one"), -1)
	c.admin("one.vn.allocate", input(t, "vnet-backup.one"), -1)
	for i, block := range strings.Split(input(t, "images.one"), "\n---\n") {
		ds := 1
		line := regexp.MustCompile(`(?m)^DATASTORE *= *(\d)\n`)
		_, err := fmt.Sscan(line.FindStringSubmatch(block)[1], &ds)
		must(t, err)
		c.admin("one.image.allocate", line.ReplaceAllString(block, ""), ds)
		c.awaitImage(i)
	}
	return c
}

func (c *cloud) awaitImage(id int) {
	c.t.Helper()
	const ready = "1"
	await(c.t, fmt.Sprintf("image %d is ready", id), func() bool {
		return element(c.t, c.admin("one.image.info", id), "IMAGE/STATE") == ready
	})
}

// deployOn deploys a VM and waits until it runs, or has failed.
func (c *cloud) deployOn(host int, template string) (id int, state string) {
	c.t.Helper()
	id = int(c.admin("one.vm.allocate", template, false).(int64))
	c.admin("one.vm.deploy", id, host, false, -1)
	await(c.t, fmt.Sprintf("VM %d is deployed", id), func() bool {
		doc := c.admin("one.vm.info", id)
		state = element(c.t, doc, "VM/STATE") + "/" + element(c.t, doc, "VM/LCM_STATE")
		return state == running || state == failed
	})
	return id, state
}

// run deploys a VM that must run.
func (c *cloud) run(template string, host int) (id int) {
	c.t.Helper()
	id, state := c.deployOn(host, template)
	if state != running {
		c.t.Fatalf("VM %d has failed:\n%s", id, c.vmLog(id))
	}
	return id
}

// remove deletes a VM, so that the next one finds its leases and images free.
func (c *cloud) remove(id int) {
	c.t.Helper()
	c.admin("one.vm.action", "delete", id)
	c.awaitVM(id, "6/0")
	const persistent, inError = 1, "5"
	// The images of a VM that is deleted in FAILED go into error, as in 4.6.
	if element(c.t, c.admin("one.image.info", persistent), "IMAGE/STATE") == inError {
		c.admin("one.image.enable", persistent, true)
	}
	for image := range 7 {
		c.awaitImage(image)
	}
}

// asRecorded puts the notebook's names in place of ours: VM 226, its directory,
// VNC port, and the front-end.
func (c *cloud) asRecorded(text string, id int) string {
	host, _ := os.Hostname()
	text = strings.ReplaceAll(text, c.path("var/vms"), "/var/lib/one/vms")
	text = regexp.MustCompile(`( )`+regexp.QuoteMeta(host)+`:`).ReplaceAllString(text, "${1}frontend:")
	text = regexp.MustCompile(`\b`+fmt.Sprint(5900+id)+`\b`).ReplaceAllString(text, "6126")
	for _, place := range []string{`one-%d\b`, `/%d/`, `disk\.\d %d \d`, `vncdisplay = '%d'`, `'203\.0\.113\.%d'`, `'WIN-%d'`} {
		re := regexp.MustCompile(fmt.Sprintf(place, id))
		number := regexp.MustCompile(`\b` + fmt.Sprint(id) + `\b`)
		text = re.ReplaceAllStringFunc(text, func(s string) string {
			at := number.FindAllStringIndex(s, -1)
			last := at[len(at)-1]
			if strings.HasPrefix(place, `disk`) {
				last = number.FindAllStringIndex(s[:len(s)-1], -1)[len(number.FindAllStringIndex(s[:len(s)-1], -1))-1]
			}
			return s[:last[0]] + "226" + s[last[1]:]
		})
	}
	return text
}

func TestNotebookFiles(t *testing.T) {
	c := notebook(t)
	// VM ids that are not also numbers of disks and datastores.
	for c.admin("one.vm.allocate", "CPU=1\nMEMORY=1", true).(int64) < 10 {
	}
	expected, err := filepath.Glob(inputs + "/expected/*.deployment.0")
	must(t, err)
	if len(expected) != 12 {
		t.Fatalf("%d deployment files", len(expected))
	}
	for _, file := range expected {
		name := strings.TrimSuffix(filepath.Base(file), ".deployment.0")
		t.Run(name, func(t *testing.T) {
			template, host := name+".one", 0
			if _, err := os.Stat(filepath.Join(inputs, template)); err != nil {
				template = name + ".xml"
			}
			if strings.HasPrefix(input(t, "expected/"+name+".deployment.0"), "<domain") {
				host = 1
			}
			// What no hypervisor takes fails, after the file has been written.
			id, _ := c.deployOn(host, input(t, template))
			defer c.remove(id)
			for _, kind := range []string{"deployment.0", "context.sh", "transfer.0.prolog"} {
				want, err := os.ReadFile(filepath.Join(inputs, "expected", name+"."+kind))
				if os.IsNotExist(err) {
					continue
				}
				must(t, err)
				got := c.asRecorded(c.log(fmt.Sprintf("var/vms/%d/%s", id, kind)), id)
				if diff := cmp.Diff(string(want), got); diff != "" {
					t.Errorf("%s (-4.6.2 +ours)\n%s", kind, diff)
				}
			}
		})
	}
}

// TestNotebookAdvice looks for the messages that would have saved the operator
// his evenings.
func TestNotebookAdvice(t *testing.T) {
	c := notebook(t)
	const add = 1
	c.admin("one.host.update", 0, "XEN_TOOLSTACK = xm", add) // as the host's probes report it
	for name, want := range map[string]string{
		"xen-hvm-raw-default": "DRIVER",
		"xen-hvm-context-phy": "DRIVER",
		"xen-hvm-target-xvd":  "belongs into DEV_PREFIX",
		"xen-hvm-cd-twice":    "leave it out of TARGET",
	} {
		t.Run(name, func(t *testing.T) {
			id, state := c.deployOn(0, input(t, name+".one"))
			defer c.remove(id)
			if log := c.vmLog(id); state != failed || !regexp.MustCompile(`\[VMM\]\[E\]: .*`+want).MatchString(log) {
				t.Errorf("state %s; no word about %s in\n%s", state, want, log)
			}
			if got := element(t, c.admin("one.vm.info", id), "VM/USER_TEMPLATE/ERROR"); !strings.Contains(got, want) {
				t.Errorf("the user sees only %q", got)
			}
		})
	}
}

func TestNotebookRefusals(t *testing.T) {
	c := notebook(t)
	refusals := input(t, "README.md")
	_, refusals, _ = strings.Cut(refusals, "### Refusal texts (verified)\n\n```\n")
	refusals, _, _ = strings.Cut(refusals, "\n```\n")
	dollarParen, dollar, _ := strings.Cut(refusals, "\n")
	for name, want := range map[string]string{"context-dollar-paren": dollarParen, "windows-context-dollar": dollar} {
		_, err := c.call("oneadmin:opennebula", "one.vm.allocate", input(t, name+".one"), false)
		if refused := (*oned.Refused)(nil); !errors.As(err, &refused) || refused.Text != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	if n := strings.Count(c.admin("one.vmpool.info", -2, -1, -1, -2).(string), "<VM>"); n != 0 {
		t.Errorf("%d VMs were made of what was refused", n)
	}
	resp, err := c.http.Post(fmt.Sprintf("http://127.0.0.1:%d/RPC2", c.port), "text/xml", strings.NewReader(input(t, "allocate-old-arguments.xml")))
	must(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	must(t, err)
	if resp.StatusCode != http.StatusOK || !strings.Contains(string(body), "-501") ||
		!strings.Contains(string(body), "Parameter that is supposed to be a string is not") {
		t.Errorf("status %d, %s", resp.StatusCode, body)
	}
}

// sunstoneText is how Sunstone turns the JSON of a device into a template.
func sunstoneText(t *testing.T, action, kind string) string {
	t.Helper()
	var actions map[string]struct {
		Action struct{ Params map[string]json.RawMessage }
	}
	must(t, json.Unmarshal([]byte(input(t, "sunstone-actions.json")), &actions))
	var device map[string]map[string]string
	must(t, json.Unmarshal(actions[action].Action.Params[strings.ToLower(kind)+"_template"], &device))
	var parts []string
	for k, v := range device[kind] {
		parts = append(parts, fmt.Sprintf("%s = %q", k, v))
	}
	return kind + " = [ " + strings.Join(parts, ", ") + " ]"
}

func TestNotebookHotplug(t *testing.T) {
	c := notebook(t)
	id := c.run(input(t, "xen-hvm.one"), 0)
	if _, err := c.call("oneadmin:opennebula", "one.vm.attach", id, input(t, "attach-disk-no-commas.one")); err == nil ||
		!strings.Contains(err.Error(), "Parse error: syntax error, unexpected VARIABLE, expecting COMMA or CBRACKET at line 1, columns 23:34") {
		t.Errorf("blanks instead of commas: %v", err)
	}
	for name, text := range map[string]string{
		"XML": input(t, "attach-disk.xml"), "text": input(t, "attach-disk.one"), "Sunstone": sunstoneText(t, "attachdisk", "DISK"),
	} {
		t.Run("disk as "+name, func(t *testing.T) {
			c.admin("one.vm.attach", id, text)
			c.awaitVM(id, running)
			doc := c.admin("one.vm.info", id)
			for attribute, want := range map[string]string{"TARGET": "xvdc", "SIZE": "5120", "TYPE": "FILE", "DRIVER": "file", "IMAGE": "blk-5g"} {
				if got := element(t, doc, "VM/TEMPLATE/DISK[DISK_ID='3']/"+attribute); got != want {
					t.Errorf("%s is %q, want %q", attribute, got, want)
				}
			}
			c.admin("one.vm.detach", id, 3)
			c.awaitVM(id, running)
		})
	}
	// A fixed network gives its leases in turn; the second has a MAC of its own.
	for _, card := range []struct{ name, text, ip, mac string }{
		{"XML", input(t, "attach-nic.xml"), "198.51.100.10", "02:00:c6:33:64:0a"},
		{"text", input(t, "attach-nic.one"), "198.51.100.11", "02:00:c6:33:64:fb"},
		{"Sunstone", sunstoneText(t, "attachnic", "NIC"), "198.51.100.10", "02:00:c6:33:64:0a"},
	} {
		t.Run("card as "+card.name, func(t *testing.T) {
			c.admin("one.vm.attachnic", id, card.text)
			c.awaitVM(id, running)
			doc := c.admin("one.vm.info", id)
			for attribute, want := range map[string]string{"NETWORK": "backup", "IP": card.ip, "MAC": card.mac, "BRIDGE": "br1"} {
				if got := element(t, doc, "VM/TEMPLATE/NIC[NIC_ID='1']/"+attribute); got != want {
					t.Errorf("%s is %q, want %q", attribute, got, want)
				}
			}
			c.admin("one.vm.detachnic", id, 1)
			c.awaitVM(id, running)
		})
	}
}

// TestNotebookFlow is the way from an installation CD to a machine that is
// copied: install on a block, keep it, make it a system image.
func TestNotebookFlow(t *testing.T) {
	c := notebook(t)
	const block = 1
	id := c.run(input(t, "xen-hvm-install.one"), 0)
	script := c.log(fmt.Sprintf("var/vms/%d/transfer.0.prolog", id))
	if strings.Count(script, "LN shared ") != 2 {
		t.Errorf("not both linked:\n%s", script)
	}
	c.remove(id)
	c.admin("one.image.chtype", block, "OS")
	c.admin("one.image.persistent", block, false)
	id = c.run(input(t, "xen-hvm.one"), 0)
	script = c.log(fmt.Sprintf("var/vms/%d/transfer.0.prolog", id))
	if strings.Count(script, "CLONE shared ") != 2 {
		t.Errorf("the installed system is not copied:\n%s", script)
	}
	c.remove(id)
	c.admin("one.vm.allocate", input(t, "sched-pinned.one"), false)
}
