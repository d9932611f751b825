package vmexec

import (
	"strconv"
	"strings"
)

// plan is the sequence of one action.
type plan struct {
	// steps returns the sequence, or why the request cannot be carried out.
	steps func(a *action) (steps []step, problem string)
	// result names the step whose output is the answer's text.
	result string
}

// plans are 4.6's sequences.
var plans = map[string]plan{
	"DEPLOY":     {deploySteps, "deploy"},
	"SHUTDOWN":   {stopSteps("shutdown"), "shutdown"},
	"CANCEL":     {stopSteps("cancel"), "cancel"},
	"SAVE":       {saveSteps, "save"},
	"RESTORE":    {restoreSteps, "restore"},
	"MIGRATE":    {migrateSteps, "migrate"},
	"ATTACHDISK": {attachDiskSteps, "attach_disk"},
	"DETACHDISK": {detachDiskSteps, "detach_disk"},
	"ATTACHNIC":  {attachNICSteps, "attach_nic"},
	"DETACHNIC":  {detachNICSteps, "detach_nic"},
	"CLEANUP":    {cleanupSteps, "cleanup"},
}

// data makes step arguments of members of the request.
func data(paths ...string) func(a *action) []string {
	return func(a *action) []string {
		args := make([]string, len(paths))
		for i, p := range paths {
			args[i] = a.msg.text(p)
		}
		return args
	}
}

func fixed(args ...string) func(a *action) []string {
	return func(*action) []string { return args }
}

// deployID is the id that the deploy script printed.
func deployID(a *action) string { return a.infos["deploy"] }

func deploySteps(a *action) ([]step, string) {
	file := a.msg.text("LOCAL_DEPLOYMENT_FILE")
	domain, ok := readDeployment(file)
	if !ok {
		return nil, "Cannot open deployment file " + file
	}
	// A local script gets the file on its stdin as well: it writes what it
	// reads to the path it is given, which is this very file.
	if _, local := a.driver.LocalActions["DEPLOY"]; !local {
		file = a.msg.text("REMOTE_DEPLOYMENT_FILE")
	}
	return []step{
		{kind: network, name: "pre"},
		{kind: hypervisor, name: "deploy", args: fixed(file, a.host), stdin: domain},
		{kind: network, name: "post",
			args: func(a *action) []string { return []string{deployID(a)} },
			rollback: []step{{kind: hypervisor, name: "cancel",
				args: func(a *action) []string { return []string{deployID(a), a.host} }}}},
	}, ""
}

// stopSteps is the sequence of shutdown and cancel.
func stopSteps(script string) func(a *action) ([]step, string) {
	return func(*action) ([]step, string) {
		return []step{
			{kind: hypervisor, name: script, args: data("DEPLOY_ID", "HOST")},
			{kind: network, name: "clean"},
		}, ""
	}
}

func saveSteps(*action) ([]step, string) {
	return []step{
		{kind: hypervisor, name: "save", args: data("DEPLOY_ID", "CHECKPOINT_FILE", "HOST")},
		{kind: network, name: "clean"},
	}, ""
}

func restoreSteps(*action) ([]step, string) {
	return []step{
		{kind: network, name: "pre"},
		{kind: hypervisor, name: "restore", args: data("CHECKPOINT_FILE", "HOST", "DEPLOY_ID")},
		{kind: network, name: "post", args: data("DEPLOY_ID"),
			rollback: []step{{kind: hypervisor, name: "cancel", args: data("DEPLOY_ID", "HOST")}}},
	}, ""
}

// migrateSteps: once the VM has moved, failures no longer fail the action,
// for oned would believe the VM on its old host.
func migrateSteps(a *action) ([]step, string) {
	if a.destination == "" {
		return nil, "Cannot perform MIGRATE, expecting MIGR_HOST"
	}
	line := strings.TrimSpace(a.msg.text("TM_COMMAND"))
	if line == "" {
		return nil, "Cannot perform MIGRATE, expecting TM_COMMAND"
	}
	line += " " + a.msg.vm()
	transfer := func(prefix, name string, mayFail bool) step {
		return step{kind: transferManager, name: name, line: prefix + line, mayFail: mayFail}
	}
	// Transfer drivers later than 4.6 have a script that undoes premigrate.
	var undo []step
	if words := strings.Fields(line); len(words) > 1 && a.driver.Transfer.HasScript(words[1], "failmigrate") {
		undo = []step{transfer("FAIL", "tm_failmigrate", true)}
	}
	return []step{
		transfer("PRE", "tm_premigrate", false),
		{kind: network, name: "pre", destination: true, rollback: undo},
		{kind: hypervisor, name: "migrate", args: data("DEPLOY_ID", "MIGR_HOST", "HOST"), rollback: undo},
		{kind: network, name: "clean", mayFail: true},
		{kind: network, name: "post", args: data("DEPLOY_ID"), destination: true, mayFail: true},
		transfer("POST", "tm_postmigrate", true),
	}, ""
}

// hotplugDisk reads what both disk actions need.
func hotplugDisk(a *action) (line, target, index, problem string) {
	line = strings.TrimSpace(a.msg.text("TM_COMMAND"))
	if line == "" {
		return "", "", "", "Cannot perform " + a.req.Action + ", expecting TM_COMMAND"
	}
	if disk := a.msg.marked("DISK", "ATTACH"); disk != nil && disk.SelectElement("TARGET") != nil {
		target = strings.TrimSpace(disk.SelectElement("TARGET").Text())
	}
	if target == "" {
		return "", "", "", "Cannot perform " + a.req.Action + ", expecting VM/TEMPLATE/DISK[ATTACH='YES']/TARGET"
	}
	last := strings.ToLower(target[len(target)-1:])[0]
	return line, target, strconv.Itoa(int(last) - 'a'), ""
}

func attachDiskSteps(a *action) ([]step, string) {
	line, target, index, problem := hotplugDisk(a)
	if problem != "" {
		return nil, problem
	}
	request := a.msg.request()
	if a.driver.Hypervisor == "vmware" { // ESX limits the length of an argument
		request = "drv_message"
	}
	var undo []step
	if rollback := strings.TrimSpace(a.msg.text("TM_COMMAND_ROLLBACK")); rollback != "" {
		undo = []step{{kind: transferManager, name: "tm_detach", line: rollback}}
	}
	return []step{
		{kind: transferManager, name: "tm_attach", line: line},
		{kind: hypervisor, name: "attach_disk", rollback: undo, args: func(a *action) []string {
			return []string{a.msg.text("DEPLOY_ID"), a.msg.text("DISK_TARGET_PATH"), target, index, request}
		}},
	}, ""
}

func detachDiskSteps(a *action) ([]step, string) {
	line, target, index, problem := hotplugDisk(a)
	if problem != "" {
		return nil, problem
	}
	return []step{
		{kind: hypervisor, name: "detach_disk", args: func(a *action) []string {
			return []string{a.msg.text("DEPLOY_ID"), a.msg.text("DISK_TARGET_PATH"), target, index}
		}},
		{kind: transferManager, name: "tm_detach", line: line},
	}, ""
}

// nicMember is a member of the NIC being attached or detached.
func nicMember(a *action, name string) string {
	nic := a.msg.marked("NIC", "ATTACH")
	if nic == nil || nic.SelectElement(name) == nil {
		return ""
	}
	return strings.TrimSpace(nic.SelectElement(name).Text())
}

func attachNICSteps(a *action) ([]step, string) {
	bridge, mac := nicMember(a, "BRIDGE"), nicMember(a, "MAC")
	if bridge == "" || mac == "" {
		return nil, "Error in ATTACHNIC, BRIDGE and MAC needed in NIC"
	}
	dash := func(s string) string {
		if s == "" {
			return "-"
		}
		return s
	}
	model, driver := dash(nicMember(a, "MODEL")), dash(strings.TrimSpace(a.msg.text("NET_DRV")))
	return []step{
		{kind: network, name: "pre"},
		{kind: hypervisor, name: "attach_nic", args: func(a *action) []string {
			return []string{a.msg.text("DEPLOY_ID"), mac, bridge, model, driver}
		}},
		{kind: network, name: "post", args: data("DEPLOY_ID"), rollback: []step{
			{kind: hypervisor, name: "detach_nic", args: func(a *action) []string {
				return []string{a.msg.text("DEPLOY_ID"), mac}
			}}}},
	}, ""
}

// detachNICSteps cleans up for the detached NIC alone. 4.6 hands all NICs of
// the VM to the clean script and so takes away the rules of the others.
func detachNICSteps(a *action) ([]step, string) {
	mac := nicMember(a, "MAC")
	if mac == "" {
		return nil, "Error in DETACHNIC, MAC needed in NIC"
	}
	return []step{
		{kind: hypervisor, name: "detach_nic", args: func(a *action) []string {
			return []string{a.msg.text("DEPLOY_ID"), mac}
		}},
		{kind: network, name: "clean", onlyNIC: a.msg.marked("NIC", "ATTACH")},
	}, ""
}

// cleanupSteps frees what a VM holds on its host, and on the other host of a
// migration; whatever fails, the rest is still tried.
func cleanupSteps(a *action) ([]step, string) {
	var steps []step
	if a.msg.text("DEPLOY_ID") != "" {
		steps = append(steps,
			step{kind: hypervisor, name: "cancel", args: data("DEPLOY_ID", "HOST"), mayFail: true},
			step{kind: network, name: "clean", mayFail: true})
	}
	if a.destination != "" {
		steps = append(steps,
			step{kind: hypervisor, name: "cancel", args: data("DEPLOY_ID", "MIGR_HOST"), destination: true, mayFail: true},
			step{kind: network, name: "clean", destination: true, mayFail: true})
	}
	for line := range strings.Lines(a.msg.text("TM_COMMAND")) {
		if line = strings.TrimSpace(line); line != "" {
			steps = append(steps, step{kind: transferManager, name: "tm_delete", line: line, mayFail: true})
		}
	}
	return steps, ""
}
