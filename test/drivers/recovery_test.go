package driverstest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// moody is a hypervisor driver whose file "mood" tells what it does when asked to deploy.
const moody = `#!/bin/sh
while read -r action id rest; do
	mood=$(cat "$0.mood")
	case $action in
	INIT) echo "INIT SUCCESS" ;;
	FINALIZE) exit 0 ;;
	LOG) ;;
	DRIVER_CANCEL) echo "DEPLOY SUCCESS $id one-$id-late" ;;
	POLL) echo "POLL SUCCESS $id STATE=a" ;;
	DEPLOY)
		case $mood in
		die) kill -9 $$ ;;
		silent) echo "$id" >"$0.silent" ;;
		*) echo "DEPLOY SUCCESS $id one-$id" ;;
		esac ;;
	*) echo "$action SUCCESS $id -" ;;
	esac
done
`

// moodyCloud has host 0 with a moody driver.
func moodyCloud(t *testing.T, mood, conf string) *cloud {
	t.Helper()
	var driver string
	prepareConf := func(dir string) {
		driver = filepath.Join(dir, "moody")
		write(t, driver, moody)
		must(t, os.Chmod(driver, 0o755))
		write(t, driver+".mood", mood)
		old, err := os.ReadFile(filepath.Join(dir, "etc/oned.conf"))
		must(t, err)
		write(t, filepath.Join(dir, "etc/oned.conf"), string(old)+`
IM_MAD = [ NAME = "dummy", EXECUTABLE = "one_im_dummy" ]
VM_MAD = [ NAME = "moody", EXECUTABLE = "`+driver+`", TYPE = "xml" ]
`+conf)
	}
	c := newCloud(t, "", prepareConf)
	c.admin("one.datastore.update", 0, `TM_MAD = "dummy"`, 1)
	c.admin("one.host.allocate", "node", "dummy", "moody", "dummy", -1)
	return c
}

func (c *cloud) mood(text string) { write(c.t, c.path("moody.mood"), text) }

func (c *cloud) newVM(template string) int {
	c.t.Helper()
	id, ok := c.admin("one.vm.allocate", "CPU = 1\nMEMORY = 64\n"+template, false).(int64)
	if !ok {
		c.t.Fatal("no id")
	}
	return int(id)
}

func (c *cloud) deploy(id int) {
	c.t.Helper()
	c.admin("one.vm.deploy", id, 0, false, -1)
}

// awaitVM waits for STATE/LCM_STATE of a VM.
func (c *cloud) awaitVM(id int, state string) {
	c.t.Helper()
	await(c.t, fmt.Sprintf("VM %d is in %s", id, state), func() bool {
		doc := c.admin("one.vm.info", id)
		return element(c.t, doc, "VM/STATE")+"/"+element(c.t, doc, "VM/LCM_STATE") == state
	})
}

const (
	running = "3/3"
	failed  = "7/0"
)

func (c *cloud) vmLog(id int) string { return c.log(fmt.Sprintf("var/vms/%d/vm.log", id)) }

// awaitLog waits for a text in the log of a VM, which is written a moment after the change it tells of.
func (c *cloud) awaitLog(id int, text string) {
	c.t.Helper()
	await(c.t, fmt.Sprintf("%q in the log of VM %d", text, id), func() bool { return strings.Contains(c.vmLog(id), text) })
}

// TestDriverDies: what a driver was doing when it died has failed, and the next action reaches its successor.
func TestDriverDies(t *testing.T) {
	c := moodyCloud(t, "die", "")
	c.deploy(c.newVM(""))
	c.awaitVM(0, failed)
	c.awaitLog(0, "Error deploying virtual machine: the driver moody died during the action")
	c.mood("fine")
	c.deploy(c.newVM("")) // the driver may be down still: the request waits
	c.awaitVM(1, running)
	c.admin("one.vm.action", "delete-recreate", 0)
	c.awaitVM(0, "1/0")
	c.deploy(0)
	c.awaitVM(0, running)
}

// TestDriverIsSilent: a deadline ends an action, and what the driver says later changes nothing.
func TestDriverIsSilent(t *testing.T) {
	c := moodyCloud(t, "silent", "DRIVER_ACTION_TIMEOUT = [ DEPLOY = 1 ]\n")
	c.deploy(c.newVM(""))
	c.awaitVM(0, failed)
	c.awaitLog(0, "Ignored: DEPLOY SUCCESS 0 one-0-late")
	text := c.vmLog(0)
	if !strings.Contains(text, "Error deploying virtual machine: no answer within 1s") {
		t.Errorf("the log of the VM:\n%s", text)
	}
	if id := element(t, c.admin("one.vm.info", 0), "VM/DEPLOY_ID"); id != "" {
		t.Errorf("DEPLOY_ID %q", id)
	}
}

// TestDriverIsSilentForOthers: one driver that never answers delays no other VM.
func TestDriverIsSilentForOthers(t *testing.T) {
	c := moodyCloud(t, "silent", "")
	c.deploy(c.newVM(""))
	await(t, "the driver has been asked", func() bool { return c.log("moody.silent") == "0\n" })
	c.awaitVM(0, "3/2")
	c.mood("fine")
	for i := 1; i <= 20; i++ {
		c.deploy(c.newVM(""))
	}
	for i := 1; i <= 20; i++ {
		c.awaitVM(i, running)
	}
	c.awaitVM(0, "3/2")
	c.admin("one.vm.recover", 0, true)
	c.awaitVM(0, running)
}

// TestHooks: every ON of VMs and hosts, with its arguments; a template of 1 MB arrives.
func TestHooks(t *testing.T) {
	var conf strings.Builder
	hook := func(kind, on, rest string) {
		fmt.Fprintf(&conf, "%s = [ NAME = %q, ON = %q, COMMAND = \"note\", ARGUMENTS = \"%s-%s $ID $PREV_STATE $PREV_LCM_STATE\"%s ]\n",
			kind, kind+on, on, kind, on, rest)
	}
	for _, on := range []string{"CREATE", "PROLOG", "RUNNING", "SHUTDOWN", "STOP", "DONE", "UNKNOWN", "FAILED"} {
		hook("VM_HOOK", on, "")
	}
	hook("VM_HOOK", "CUSTOM", `, STATE = "ACTIVE", LCM_STATE = "SAVE_STOP"`)
	for _, on := range []string{"CREATE", "DISABLE"} {
		hook("HOST_HOOK", on, "")
	}
	conf.WriteString(`VM_HOOK = [ NAME = "size", ON = "CREATE", COMMAND = "size", ARGUMENTS = "$ID $TEMPLATE" ]
VM_HOOK = [ NAME = "read", ON = "CREATE", COMMAND = "size", ARGUMENTS = "$ID", TEMPLATE_ON_STDIN = "YES" ]
VM_HOOK = [ NAME = "none", ON = "NEVER", COMMAND = "size" ]
`)
	c := moodyCloud(t, "fine", conf.String())
	// The hooks were not there yet when the host was made: they are now.
	for name, body := range map[string]string{
		"note": `echo "$*" >>"` + c.path("noted") + `"`,
		"size": `echo "$1 ${#2} $(wc -c)" >>"` + c.path("sizes") + `"`,
	} {
		write(t, c.path("var/remotes/hooks/"+name), "#!/bin/sh\n"+body+"\n")
		must(t, os.Chmod(c.path("var/remotes/hooks/"+name), 0o755))
	}
	lines := func(name string) []string { return strings.Split(strings.TrimSpace(c.log(name)), "\n") }
	// Variables that are none for a hook reach the shell, which knows nothing of them.
	noted := func(want string) {
		t.Helper()
		await(t, want, func() bool { return strings.Contains("\n"+c.log("noted"), "\n"+want+"\n") })
	}

	c.newVM(`TEXT = "` + strings.Repeat("x", 1<<20) + `"`)
	await(t, "both hooks have read", func() bool { return len(lines("sizes")) == 2 })
	for _, line := range lines("sizes") {
		var id, argument, read int
		if n, _ := fmt.Sscan(line, &id, &argument, &read); n != 3 && !strings.HasPrefix(line, "0 0 ") {
			t.Fatalf("a hook notes %q", line)
		}
		if argument > 1 || read < 1<<20 {
			t.Errorf("a hook got an argument of %d bytes and read %d", argument, read)
		}
	}
	noted("VM_HOOK-CREATE 0")
	c.deploy(0)
	noted("VM_HOOK-PROLOG 0 ACTIVE LCM_INIT")
	noted("VM_HOOK-RUNNING 0 ACTIVE BOOT")
	c.awaitVM(0, running)
	c.admin("one.vm.action", "stop", 0)
	noted("VM_HOOK-CUSTOM 0 ACTIVE RUNNING")
	noted("VM_HOOK-STOP 0 ACTIVE EPILOG_STOP")
	c.admin("one.vm.action", "resume", 0)
	c.deploy(0)
	c.awaitVM(0, running)
	c.admin("one.vm.action", "shutdown", 0)
	noted("VM_HOOK-SHUTDOWN 0 ACTIVE SHUTDOWN")
	noted("VM_HOOK-DONE 0 ACTIVE EPILOG")

	c.mood("silent")
	c.deploy(c.newVM(""))
	c.awaitVM(1, "3/2")
	c.admin("one.vm.recover", 1, false)
	noted("VM_HOOK-FAILED 1 ACTIVE FAILURE")

	c.admin("one.host.allocate", "second", "dummy", "moody", "dummy", -1)
	noted("HOST_HOOK-CREATE 1")
	c.admin("one.host.enable", 1, false)
	noted("HOST_HOOK-DISABLE 1")
	if text := c.log("var/oned.log"); !strings.Contains(text, "[VM][W]: Unknown VM_HOOK NEVER. Hook not registered!") {
		t.Error("nothing is said about a hook that is none")
	}
	c.awaitLog(0, "[HKM][I]: Success executing Hook: VM_HOOKDONE: . ")
}
