package driverstest

import (
	"encoding/xml"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/beevik/etree"
)

// recorder is a hypervisor script or hook that notes what it is given. An argument that is
// a document is noted decoded, as is what there is to read.
const recorder = `#!/bin/sh
name=$(basename "$0")
case $0 in
    @DIR@/var/*) place=local ;;
    *) place=remote ;;
esac
case $name in
    deploy) vm=$3 ;;
    attach_disk) vm=$6 document=$5 ;;
    hook) vm=$1 document=$2 ;;
    poll) echo STATE=a; exit ;;
    *) exit 0 ;;
esac
note() { # the hook runs again when the disk is attached
    cat >"@DIR@/noted/$$.$1" && mv "@DIR@/noted/$$.$1" "@DIR@/noted/$vm.$name.$place.$1"
}
if [ -n "${document:-}" ]; then
    printf '%s' "$document" | base64 -d | note argument
fi
note read
echo "$# words" | note words
echo "one-$vm"
`

const hostileConf = `
IM_MAD = [ NAME = "dummy", EXECUTABLE = "one_im_dummy" ]
VM_MAD = [ NAME = "recorder", EXECUTABLE = "one_vmm_exec", ARGUMENTS = "-t 15 -r 0 recorder", TYPE = "xml" ]
VM_HOOK = [ NAME = "create", ON = "CREATE", COMMAND = "hook", ARGUMENTS = "$ID $TEMPLATE" ]
VM_HOOK = [ NAME = "run", ON = "RUNNING", COMMAND = "hook", ARGUMENTS = "$ID $TEMPLATE", REMOTE = "YES" ]
`

// hostileValue is text that a shell, an XML reader or the driver protocol might take for
// more than text. Every command in it makes the canary.
func hostileValue(r *rand.Rand, canary string) string {
	parts := []string{
		"'", `"`, "`", ";", "&", "|", "\n", "\t", " ", "\\", "$", "<", ">", "&amp;", "<!--", "#", "*", "~", "!", "é", "日本",
		"; touch " + canary + " ;", "$(touch " + canary + ")", "`touch " + canary + "`", "'; touch " + canary + "; '", `"; touch ` + canary + `; "`,
		"\ntouch " + canary + "\n", "'\"'$(touch " + canary + ")", "EOT\ntouch " + canary + "\n", "$ID", "$TEMPLATE", "STDIN:PFZNLz4=",
		"${IFS}", "-rf", "--", "DEPLOY SUCCESS 0 x\n", "\nEXECUTE SUCCESS 0 x: y\n", "PFZNLz4=", "%s%n", "</VM>",
	}
	var b strings.Builder
	for range 1 + r.IntN(8) {
		b.WriteString(parts[r.IntN(len(parts))])
	}
	if r.IntN(8) == 0 {
		part := parts[r.IntN(len(parts))] + "x"
		b.WriteString(strings.Repeat(part, 10<<10/len(part)))
	}
	return b.String()
}

func xmlText(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a strings.Builder takes everything
	return b.String()
}

// TestHostileAttributes: what users write into templates reaches hooks and hypervisor
// scripts, here and on hosts, as it is, and nothing of it is executed.
func TestHostileAttributes(t *testing.T) {
	const rounds = 40
	r := rand.New(rand.NewPCG(20140806, 2))
	host := filepath.Join(t.TempDir(), "remotes")
	reachByName(t, nil, "h1", "h2")
	c := newCloud(t, "", func(dir string) {
		path := filepath.Join(dir, "etc/oned.conf")
		conf, err := os.ReadFile(path)
		must(t, err)
		write(t, path, strings.Replace(string(conf), `"/var/tmp/one"`, `"`+host+`"`, 1)+hostileConf)
		body := strings.ReplaceAll(recorder, "@DIR@", dir)
		for _, name := range []string{"hooks/hook", "vmm/recorder/deploy", "vmm/recorder/attach_disk", "vmm/recorder/detach_disk", "vmm/recorder/cancel", "vmm/recorder/poll"} {
			write(t, filepath.Join(dir, "var/remotes", name), body)
			must(t, os.Chmod(filepath.Join(dir, "var/remotes", name), 0o755))
		}
		must(t, os.MkdirAll(filepath.Join(dir, "noted"), 0o755))
	})
	c.admin("one.datastore.update", 0, `TM_MAD = "dummy"`, 1)
	c.admin("one.host.allocate", "h1", "dummy", "recorder", "dummy", -1)
	canary := filepath.Join(t.TempDir(), "canary")
	noted := func(id int, what string) string { return c.log(fmt.Sprintf("noted/%d.%s", id, what)) }

	// carries says whether a document has the values below a path.
	carries := func(what, document, path string, values map[string]string) {
		t.Helper()
		doc := etree.NewDocument()
		if err := doc.ReadFromString(document); err != nil {
			t.Errorf("%s: %v: %.300q", what, err, document)
			return
		}
		for name, want := range values {
			if e := doc.FindElement(path + name); e == nil {
				t.Errorf("%s has no %s: %.600q", what, name, document)
			} else if e.Text() != want {
				t.Errorf("%s has %s %.200q, want %.200q", what, name, e.Text(), want)
			}
		}
	}
	for round := range rounds {
		values := map[string]string{"A": hostileValue(r, canary), "B": hostileValue(r, canary)}
		disk := map[string]string{"NOTE": hostileValue(r, canary), "CACHE": hostileValue(r, canary)}
		template := fmt.Sprintf("<TEMPLATE><CPU>1</CPU><MEMORY>64</MEMORY><A>%s</A><B>%s</B></TEMPLATE>",
			xmlText(values["A"]), xmlText(values["B"]))
		if round == 0 { // more than an argument can be
			values["LONG"] = strings.Repeat("'\"$(touch "+canary+")\n", 8000)
			template = strings.Replace(template, "</TEMPLATE>", "<LONG>"+xmlText(values["LONG"])+"</LONG></TEMPLATE>", 1)
		}
		created, ok := c.admin("one.vm.allocate", template, false).(int64)
		if !ok {
			t.Fatal("no id")
		}
		id := int(created)
		c.deploy(id)
		c.awaitVM(id, running)
		c.admin("one.vm.attach", id, fmt.Sprintf("<TEMPLATE><DISK><TYPE>fs</TYPE><FORMAT>raw</FORMAT><SIZE>1</SIZE><DEV_PREFIX>vd</DEV_PREFIX><NOTE>%s</NOTE><CACHE>%s</CACHE></DISK></TEMPLATE>",
			xmlText(disk["NOTE"]), xmlText(disk["CACHE"])))
		c.awaitVM(id, running)
		for _, hook := range []string{"hook.local", "hook.remote"} {
			await(t, fmt.Sprintf("%s of VM %d", hook, id), func() bool { return noted(id, hook+".words") != "" })
			if round > 0 {
				carries(hook+"'s argument", noted(id, hook+".argument"), "VM/USER_TEMPLATE/", values)
			}
			carries("what "+hook+" reads", noted(id, hook+".read"), "VM/USER_TEMPLATE/", values)
		}
		carries("attach_disk's argument", noted(id, "attach_disk.remote.argument"), "VMM_DRIVER_ACTION_DATA/VM/TEMPLATE/DISK[ATTACH='YES']/", disk)
		if text := noted(id, "deploy.remote.read"); !strings.Contains(text, "<VM") {
			t.Errorf("the deployment file arrived as %.200q", text)
		}
		c.awaitLog(id, "Success executing Hook: create: one-")
		c.awaitLog(id, "Success executing Hook: run: one-")
		if log := c.vmLog(id); strings.Contains(log, "[E]") {
			t.Errorf("log of VM %d: %s", id, log)
		}
		if _, err := os.Stat(canary); err == nil {
			t.Fatalf("something of %q, %q was executed", values, disk)
		}
		c.admin("one.vm.action", "delete", id)
		if t.Failed() {
			return
		}
	}
}
