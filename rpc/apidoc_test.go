package rpc

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write docs/api.md")

// meanings says what parameters are, by name; where a method means something else, by method and name.
var meanings = map[string]string{
	"id":             "its id",
	"action":         "name of the action; the names of 3.8 are understood too",
	"append":         "0: the text is the new template; 1: it replaces the attributes that it names",
	"clone_template": "copy the VM's template, with the new image in it",
	"cluster":        "id of a cluster; -1: none",
	"datastore":      "id of a datastore",
	"disk":           "DISK_ID of a disk",
	"driver":         "authentication driver",
	"enable":         "enable it, or disable it",
	"end":            "last id, -1: no end; below -1: a page of so many objects",
	"enforce":        "refuse when the host has no room",
	"extra":          "attributes that replace those of the template; needs hold",
	"filter":         "whose: a user's id, -1: the caller's and his groups', -2: all that he may use, -3: the caller's",
	"group":          "id of a group",
	"hold":           "make it in state HOLD",
	"host":           "id of a host",
	"hot":            "copy the disk at once; otherwise when the VM ends",
	"im_mad":         "name of the information driver",
	"leases":         "text with LEASES=[IP=…,MAC=…]; the first counts",
	"live":           "migrate it without a stop",
	"name":           "a name",
	"nic":            "NIC_ID of an interface",
	"object":         "id of the host, datastore or network",
	"password":       "password, in the form that the driver stores",
	"persistent":     "make it persistent, or not",
	"quotas":         "text with VM=[…], DATASTORE=[ID=…], NETWORK=[ID=…], IMAGE=[ID=…]; -1: the default limit, 0: no limit",
	"resource":       "hexadecimal: kinds, selector and id",
	"rights":         "hexadecimal: USE 1, MANAGE 2, ADMIN 4, CREATE 8",
	"snapshot":       "SNAPSHOT_ID of a snapshot",
	"start":          "first id, -1: all; of a page: how many objects to leave out",
	"state":          "number of a state up to 7, -1: any but DONE, -2: any",
	"success":        "as if the driver had succeeded, or failed",
	"template":       "its attributes, as text or XML",
	"type":           "a type",
	"user":           "id of a user",
	"vmm_mad":        "name of the hypervisor driver",
	"vnm_mad":        "name of the network driver",
	"zone":           "id of a zone",

	"one.acl.addrule user":             "hexadecimal: selector and id",
	"one.acl.addrule zone":             "hexadecimal: selector and id",
	"one.document.allocate type":       "a number of the client's choice",
	"one.documentpool.info type":       "type of the documents",
	"one.group.addprovider cluster":    "id of a cluster; 10: all",
	"one.group.delprovider cluster":    "id of a cluster; 10: all",
	"one.cluster.delhost cluster":      "not looked at, of any type",
	"one.cluster.deldatastore cluster": "not looked at, of any type",
	"one.cluster.delvnet cluster":      "not looked at, of any type",
	"one.image.chtype type":            "OS, CDROM, DATABLOCK, KERNEL, RAMDISK or CONTEXT; empty: the default",
	"one.template.instantiate name":    "name of the VM; empty: made of the template's name and the VM's id",
	"one.vm.attach disk":               "text with one DISK=[…]",
	"one.vm.attachnic nic":             "text with one NIC=[…]",
	"one.vm.deploy datastore":          "id of a system datastore; -1: the host's default",
	"one.vm.resize template":           "text with CPU, MEMORY, VCPU; what it leaves out stays",
	"one.vm.savedisk name":             "name of the image",
	"one.vm.savedisk type":             "type of the image; empty: as the disk's",
	"one.vm.snapshotcreate name":       "name of the snapshot; empty: made of its id",
	"one.vmpool.accounting end":        "records that began before this second; -1: all",
	"one.vmpool.accounting start":      "records that ended after this second, or not yet; -1: all",
	"one.user.allocate driver":         "authentication driver; empty: core",
	"one.user.chauth password":         "password, in the form that the driver stores; empty: as it is",
	"one.userquota.update quotas":      "text with VM=[…], DATASTORE=[ID=…], NETWORK=[ID=…], IMAGE=[ID=…]; 0: no limit",
	"one.groupquota.update quotas":     "text with VM=[…], DATASTORE=[ID=…], NETWORK=[ID=…], IMAGE=[ID=…]; 0: no limit",
	"one.zone.allocate template":       "its attributes, with NAME and ENDPOINT",
	"one.template.clone name":          "name of the copy",
	"one.document.clone name":          "name of the copy; empty: made of its id",
	"one.image.clone name":             "name of the copy",
	"one.cluster.addhost object":       "id of the host",
	"one.cluster.delhost object":       "id of the host",
	"one.cluster.adddatastore object":  "id of the datastore",
	"one.cluster.deldatastore object":  "id of the datastore",
	"one.cluster.addvnet object":       "id of the network",
	"one.cluster.delvnet object":       "id of the network",
	"one.image.allocate template":      "its attributes, with NAME, and PATH, SOURCE or SIZE",
	"one.vn.allocate template":         "its attributes, with NAME, TYPE and BRIDGE",
	"one.datastore.allocate template":  "its attributes, with NAME, TM_MAD and, unless TYPE is SYSTEM_DS, DS_MAD",
	"one.template.allocate template":   "its attributes, with NAME",
	"one.vm.allocate template":         "its attributes, with CPU and MEMORY",
	"one.user.update template":         "his attributes, as text or XML; of attributes with one name the last counts",
	"one.user.update id":               "his id",
	"one.user.info id":                 "his id; -1: the caller's",
	"one.group.info id":                "its id; -1: the caller's primary group",
	"one.user.delete id":               "his id",
	"one.user.passwd id":               "his id",
	"one.user.chgrp id":                "his id",
	"one.user.chgrp group":             "id of the group",
	"one.user.addgroup id":             "his id",
	"one.user.delgroup id":             "his id",
	"one.user.chauth id":               "his id",
	"one.user.quota id":                "his id",
	"one.host.allocate name":           "its name, which drivers reach it by",
	"one.host.monitoring id":           "its id",
}

func meaning(m *Method, p Param) string {
	if strings.HasSuffix(m.Name, ".chown") && p.Name != "id" {
		return "id of the new " + map[string]string{"user": "owner", "group": "group"}[p.Name] + "; -1: as it is"
	}
	if whose, right, ok := strings.Cut(p.Name, "_"); ok && strings.HasSuffix(m.Name, ".chmod") {
		whose = map[string]string{"owner": "the owner", "group": "the group", "other": "all others"}[whose]
		return fmt.Sprintf("1: %s may %s it; 0: may not; -1: as it is", whose, map[string]string{"u": "use", "m": "manage", "a": "administer"}[right])
	}
	if text, ok := meanings[m.Name+" "+p.Name]; ok {
		return text
	}
	return meanings[p.Name]
}

const apiHead = `# API reference

Generated from the method table; ` + "`go test ./rpc -run TestReference -update`" + ` writes it anew.

The endpoint is ` + "`http://HOST:2633/RPC2`" + `. The first parameter of every method is the session, ` + "`USER:PASSWORD`" + `; those below follow
it. What has a default may be left out. The answer is an array of three values: whether the call succeeded; the result, or else the
text of the error; 0, or else the code of the error.

| code | meaning |
|---|---|
| 256 | the session is not good |
| 512 | the caller may not do it, or is over quota |
| 1024 | a parameter names an object that does not exist |
| 2048 | it cannot be done as things are |
| 4096 | a parameter has a value that means nothing |
| 8192 | everything else: texts that do not parse, objects that cannot be made or removed |

All methods may answer 256, 512 where they need a right, and 1024 where they take an id; below is what they refuse besides. Faults:
-501, a parameter is missing or has the wrong type; -503, the call is no XML-RPC; -506, there is no such method.

Rights are what permission bits, membership of group 0 and access rules give: USE, MANAGE, ADMIN of an object, CREATE of a kind. "filter"
means that objects without the right are left out.
`

// reference is the text of docs/api.md.
func reference() string {
	var b strings.Builder
	b.WriteString(apiHead)
	methods := slices.SortedFunc(slices.Values(Methods()), func(a, b *Method) int { return strings.Compare(a.Name, b.Name) })
	section := ""
	for _, m := range methods {
		if s := strings.Split(m.Name, ".")[1]; s != section {
			section = s
			fmt.Fprintf(&b, "\n## one.%s\n", s)
		}
		fmt.Fprintf(&b, "\n### %s\n\n%s.\n\n", m.Name, m.Help)
		if len(m.Params) > 0 {
			b.WriteString("| parameter | type | default | meaning |\n|---|---|---|---|\n")
			for _, p := range m.Params {
				byDefault := ""
				switch {
				case p.Kind == AnyParam:
				case p.Default == "":
					byDefault = "empty"
				case p.Default != nil:
					byDefault = fmt.Sprint(p.Default)
				}
				if m.Name == "one.acl.addrule" && p.Name == "zone" {
					byDefault = "this zone"
				}
				fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", p.Name, p.Kind, byDefault, meaning(m, p))
			}
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "- Rights: %s\n- Result: %s\n", m.Auth, m.Result)
		if m.Errors != "" {
			fmt.Fprintf(&b, "- Errors: %s\n", m.Errors)
		}
		fmt.Fprintf(&b, "- In messages and log: %s\n", m.Log)
	}
	return b.String()
}

// TestReference keeps docs/api.md equal to the table.
func TestReference(t *testing.T) {
	for _, m := range Methods() {
		for _, p := range m.Params {
			if meaning(m, p) == "" {
				t.Errorf("%s: nothing says what %s is", m.Name, p.Name)
			}
		}
	}
	path := filepath.Join("..", "docs", "api.md")
	want := reference()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/api.md is not what the table says; -update writes it (-table +file)\n%s", diff)
	}
}

// TestRecordedNames compares the table with the methods that the real 4.6.2 lists, in its order.
func TestRecordedNames(t *testing.T) {
	shared := os.Getenv("GONED_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "..", "shared")
	}
	text, err := os.ReadFile(filepath.Join(shared, "golden", "system.json"))
	if err != nil {
		t.Skipf("no recordings of 4.6.2: %v; set GONED_SHARED", err)
	}
	var recorded struct {
		Scenarios []struct {
			Steps []struct {
				Call   string
				Result struct{ Array []struct{ String string } }
			}
		}
	}
	if err := json.Unmarshal(text, &recorded); err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, s := range recorded.Scenarios {
		for _, step := range s.Steps {
			if step.Call != "system.listMethods" {
				continue
			}
			for _, name := range step.Result.Array {
				if strings.HasPrefix(name.String, "one.") {
					want = append(want, name.String)
				}
			}
		}
	}
	for _, m := range Methods() {
		got = append(got, m.Name)
	}
	if len(want) != 129 {
		t.Fatalf("%d recorded names", len(want))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-recorded +table)\n%s", diff)
	}
}
