// Package vmexec is the driver process one_vmm_exec (one_vmm_ssh, one_vmm_sh):
// it carries out VM actions as sequences of network, hypervisor and transfer
// scripts, on the VM's host over ssh or on the front-end.
package vmexec

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/beevik/etree"

	"goned/drivers/agent"
	"goned/drivers/agent/run"
	"goned/drivers/agent/transfer"
)

// Driver serves the hosts of one hypervisor kind.
type Driver struct {
	// Hypervisor names the directory of scripts, vmm/<name>.
	Hypervisor string
	// LocalActions are the script keys that run on the front-end, upper case,
	// with the script's name if it differs.
	LocalActions map[string]string
	// Retries is how often a failed poll, reboot, reset or snapshot action is
	// repeated.
	Retries int
	// Timeout ends a step; 0 for never, as 4.6.
	Timeout time.Duration

	LocalDir, RemoteDir string // remotes on the front-end and on hosts
	SSH                 *run.SSH
	Remotes             *run.Remotes
	Transfer            *transfer.Runner
	Out                 *agent.Output
}

// ParseLocalActions reads the value of -l: `deploy,poll=poll_ganglia, cancel`.
func ParseLocalActions(list string) map[string]string {
	actions := map[string]string{}
	for item := range strings.SplitSeq(list, ",") {
		key, script, _ := strings.Cut(strings.TrimSpace(item), "=")
		if key = strings.TrimSpace(key); key != "" {
			actions[strings.ToUpper(key)] = strings.TrimSpace(script)
		}
	}
	return actions
}

// Actions are the requests the driver answers. One request per host runs at a
// time, later ones for other hosts overtake (4.6).
func (d *Driver) Actions() map[string]agent.Action {
	actions := map[string]agent.Action{}
	for name, plan := range plans {
		actions[name] = agent.Action{Args: 1, Lane: hostOf, Run: func(ctx context.Context, r agent.Request) {
			d.runPlan(ctx, r, plan)
		}}
	}
	for name, script := range directScripts {
		actions[name] = agent.Action{Args: 1, Lane: hostOf, Run: func(ctx context.Context, r agent.Request) {
			d.runDirect(ctx, r, script)
		}}
	}
	return actions
}

// hostOf is the host a request occupies.
func hostOf(r agent.Request) string {
	m, err := decode(r.Args[0])
	if err != nil {
		return ""
	}
	return m.text("HOST")
}

// message is a decoded VMM_DRIVER_ACTION_DATA document.
type message struct {
	encoded string
	root    *etree.Element
}

func decode(encoded string) (*message, error) {
	data, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, fmt.Errorf("decode request: %w", err)
	}
	doc := etree.NewDocument()
	doc.ReadSettings.PreserveCData = true
	if err := doc.ReadFromBytes(data); err != nil {
		return nil, fmt.Errorf("parse request: %w", err)
	}
	if doc.Root() == nil {
		return nil, fmt.Errorf("parse request: empty document")
	}
	return &message{encoded: encoded, root: doc.Root()}, nil
}

// text is the content of the first element on a path below the root.
func (m *message) text(path string) string {
	if e := m.root.FindElement("./" + path); e != nil {
		return e.Text()
	}
	return ""
}

// marked is the first VM/TEMPLATE element of a name whose member flag is YES:
// the disk or NIC being attached or detached, the snapshot in work.
func (m *message) marked(name, flag string) *etree.Element {
	for _, e := range m.root.FindElements("./VM/TEMPLATE/" + name) {
		if f := e.SelectElement(flag); f != nil && f.Text() == "YES" {
			return e
		}
	}
	return nil
}

// expendable are the parts of a VM that may be long, and that disk scripts and
// those of migrations have no use for.
var expendable = []string{"USER_TEMPLATE", "TEMPLATE/CONTEXT", "TEMPLATE/RAW"}

// vm is the base64 of the VM element, for a script.
func (m *message) vm() string {
	e := m.root.FindElement("./VM")
	if e == nil {
		return ""
	}
	return run.FitDocument(encodeElement(e.Copy()), expendable...)
}

// request is the base64 of the whole, for a script.
func (m *message) request() string {
	paths := make([]string, len(expendable))
	for i, path := range expendable {
		paths[i] = "VM/" + path
	}
	return run.FitDocument(m.encoded, paths...)
}

// networkVM is what network scripts get: id, deploy id, NICs (each in a
// TEMPLATE of its own, as 4.6 writes them) and host name of the VM. only
// restricts it to one NIC.
func (m *message) networkVM(only *etree.Element) string {
	vm := etree.NewElement("VM")
	add := func(parent *etree.Element, e *etree.Element) {
		if e != nil {
			parent.AddChild(e.Copy())
		}
	}
	add(vm, m.root.FindElement("./VM/ID"))
	add(vm, m.root.FindElement("./VM/DEPLOY_ID"))
	for _, nic := range m.root.FindElements("./VM/TEMPLATE/NIC") {
		if only == nil || nic == only {
			add(vm.CreateElement("TEMPLATE"), nic)
		}
	}
	if h := m.root.FindElement("./VM/HISTORY_RECORDS/HISTORY/HOSTNAME"); h != nil {
		add(vm.CreateElement("HISTORY_RECORDS").CreateElement("HISTORY"), h)
	}
	return encodeElement(vm)
}

func encodeElement(e *etree.Element) string {
	doc := etree.NewDocument()
	doc.SetRoot(e)
	text, err := doc.WriteToString()
	if err != nil {
		return ""
	}
	return base64.StdEncoding.EncodeToString([]byte(text))
}

// scriptPath is where a script of a directory below remotes is run from.
func (d *Driver) scriptPath(key, defaultName, directory string) (path string, local bool) {
	script, local := d.LocalActions[strings.ToUpper(key)]
	if script == "" {
		script = defaultName
	}
	base := d.RemoteDir
	if local {
		base = d.LocalDir
	}
	return filepath.Join(base, directory, script), local
}

// directScripts are the actions that are one script in a session of its own.
var directScripts = map[string]struct {
	script string
	// argument is what follows the deploy id; false means it is missing.
	argument func(m *message) (string, bool)
}{
	"POLL":           {"poll", hostArgument},
	"REBOOT":         {"reboot", hostArgument},
	"RESET":          {"reset", hostArgument},
	"SNAPSHOTCREATE": {"snapshot_create", snapshotArgument("SNAPSHOT_ID")},
	"SNAPSHOTREVERT": {"snapshot_revert", snapshotArgument("HYPERVISOR_ID")},
	"SNAPSHOTDELETE": {"snapshot_delete", snapshotArgument("HYPERVISOR_ID")},
}

func hostArgument(m *message) (string, bool) { return m.text("HOST"), true }

func snapshotArgument(member string) func(m *message) (string, bool) {
	return func(m *message) (string, bool) {
		snapshot := m.marked("SNAPSHOT", "ACTIVE")
		if snapshot == nil || snapshot.SelectElement(member) == nil {
			return "", false
		}
		return snapshot.SelectElement(member).Text(), true
	}
}

// runDirect runs `script deploy-id argument vmid host`.
func (d *Driver) runDirect(ctx context.Context, r agent.Request, script struct {
	script   string
	argument func(m *message) (string, bool)
}) {
	m, err := decode(r.Args[0])
	if err != nil {
		d.Out.Reply(ctx, r, agent.Failure, err.Error())
		return
	}
	argument, ok := script.argument(m)
	if !ok {
		d.Out.Reply(ctx, r, agent.Failure, "Cannot perform "+r.Action+", no active snapshot in the VM")
		return
	}
	host := m.text("HOST")
	path, local := d.scriptPath(r.Action, script.script, "vmm/"+d.Hypervisor)
	argv := []string{path, m.text("DEPLOY_ID"), argument, strconv.Itoa(r.ID), host}
	var res run.Result
	if local {
		res = run.Local(ctx, run.Command{Argv: argv, Timeout: d.Timeout})
		d.log(ctx, r.ID, res.LogText())
	} else {
		checked := run.Checked{
			SSH: d.SSH, Remotes: d.Remotes, Retries: d.Retries, Timeout: d.Timeout,
			Log: func(text string) { d.log(ctx, r.ID, text) },
		}
		res = checked.Run(ctx, host, argv)
	}
	result := agent.Failure
	if res.OK() {
		result = agent.Success
	}
	d.Out.Reply(ctx, r, result, res.Info())
}

// log writes to the VM's log unless the request was cancelled.
func (d *Driver) log(ctx context.Context, vmid int, text string) {
	if text != "" && ctx.Err() == nil {
		d.Out.Log(vmid, text)
	}
}

// readDeployment is the content of a deployment file, which must not be empty.
func readDeployment(path string) ([]byte, bool) {
	if path == "" {
		return nil, false
	}
	data, err := os.ReadFile(path)
	return data, err == nil && len(data) > 0
}
