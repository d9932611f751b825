package manager

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"time"

	"goned/core/lifecycle"
	"goned/core/message"
	"goned/core/monitor"
	"goned/core/state"
	"goned/core/template"
	"goned/drivers/datastore"
	"goned/drivers/hooks"
	"goned/drivers/im"
	"goned/drivers/mad"
	"goned/drivers/tm"
	"goned/drivers/vmm"
	"goned/drivers/vmm/deploy"
)

// readDefaults reads the file with a hypervisor driver's default attributes.
func (m *Manager) readDefaults(h *hypervisor, path string) {
	h.defaults = &template.Template{}
	if path == "" {
		return
	}
	if !strings.HasPrefix(path, "/") {
		path = m.conf.Dirs.Etc + path
	}
	text, err := os.ReadFile(path)
	if err == nil {
		h.defaults, err = template.ParseText(string(text))
	}
	if err != nil {
		h.defaults = &template.Template{}
		m.logLine("VMM", message.Error, "Error loading driver configuration file "+path+": "+err.Error())
	}
}

// post runs a transaction for something that has happened outside. Nobody can be told when it fails, but the log.
func (m *Manager) post(module, what string, fn func(*state.Tx) error) {
	if err := m.store.Post(fn); err != nil {
		m.logLine(module, message.Error, what+": "+err.Error())
	}
}

func (m *Manager) sendVMAction(x message.VMAction) {
	fail := func(reason string) {
		m.post("VMM", x.Action, func(tx *state.Tx) error {
			return lifecycle.VMMAnswer(tx, lifecycle.Answer{Action: x.Action, VM: x.VM, Info: reason})
		})
	}
	refuse := func(text string) {
		m.log.Write(message.Log{VM: x.VM, Module: "VMM", Level: message.Error, Text: text})
		fail("")
	}
	h := m.hypervisors[x.Driver]
	if h == nil {
		refuse(lifecycle.ActionName(x.Action) + "_action, error getting driver " + x.Driver)
		return
	}
	if x.Deployment {
		if err := m.writeDeployment(h, x); err != nil {
			m.log.Write(message.Log{VM: x.VM, Module: "VMM", Level: message.Error,
				Text: "deploy_action, error generating deployment file: " + x.LocalFile})
			fail(err.Error())
			return
		}
	}
	line := vmm.Request{
		Host: x.Host, NetDriver: x.NetDriver, MigrHost: x.MigrHost, MigrNetDriver: x.MigrNetDriver, DeployID: x.DeployID,
		LocalFile: x.LocalFile, RemoteFile: x.RemoteFile, CheckpointFile: x.Checkpoint, TMCommand: x.TMCommand,
		TMRollback: x.TMRollback, DiskTarget: x.DiskTarget, VM: x.Document,
	}.Line(vmm.Action(x.Action), x.VM)
	m.pending.ask(&action{
		driver: x.Driver, to: h.driver, object: x.VM, name: x.Action, line: line, fail: fail, limit: m.limit(x.Action),
		cancel:   func() { m.note("VMM", h.driver.Send(vmm.CancelLine(x.VM))) },
		harmless: x.Action == string(vmm.Poll),
	})
}

// limit is how long an action may take; 0 for ever.
func (m *Manager) limit(action string) time.Duration { return m.conf.ActionTimeouts.Of(action) }

// writeDeployment writes the file that tells the hypervisor what to run. What the hypervisor is certain to refuse fails here, with
// the reason in the VM's log and its ERROR; the file is there to be looked at.
func (m *Manager) writeDeployment(h *hypervisor, x message.VMAction) error {
	in := deploy.Input{VM: x.Document, HostTemplate: x.HostTemplate, Defaults: h.defaults}
	refused := deploy.Check(h.kind, in)
	if refused == nil {
		warnings := deploy.Warnings(h.kind, in)
		if err := deploy.Malformed(h.kind, in); err != nil {
			warnings = append(warnings, "The hypervisor will not take the deployment file: "+err.Error())
		}
		for _, text := range warnings {
			m.log.Write(message.Log{VM: x.VM, Module: "VMM", Level: message.Warning, Text: text})
		}
	}
	content, incomplete := deploy.Render(h.kind, in)
	if err := writeFile(x.LocalFile, content, 0o644); err != nil {
		return err
	}
	return cmp.Or(refused, incomplete)
}

func (m *Manager) sendCancelVM(x message.CancelVMAction) {
	h := m.hypervisors[x.Driver]
	if h == nil {
		m.log.Write(message.Log{VM: x.VM, Module: "VMM", Level: message.Error,
			Text: "driver_cancel_action, error getting driver " + x.Driver})
		return
	}
	m.pending.drop(x.Driver, x.VM)
	m.note("VMM", h.driver.Send(vmm.CancelLine(x.VM)))
}

// note logs that a request without an answer could not be sent.
func (m *Manager) note(module string, err error) {
	if err != nil {
		m.logLine(module, message.Error, "Cannot send to driver: "+err.Error())
	}
}

func (m *Manager) sendTransfer(x message.Transfer) {
	fail := func(reason string) {
		m.post("TM", "TRANSFER", func(tx *state.Tx) error {
			return lifecycle.TransferAnswer(tx, lifecycle.Answer{Action: "TRANSFER", VM: x.VM, Info: reason})
		})
	}
	for _, f := range append(x.Files, message.File{Path: x.Path, Content: x.Script}) {
		if err := writeFile(f.Path, f.Content, 0o644); err != nil {
			m.log.Write(message.Log{VM: x.VM, Module: "TM", Level: message.Error, Text: "could not open file: " + f.Path})
			fail("")
			return
		}
	}
	m.pending.ask(&action{
		driver: transferDriver, to: m.transfer, object: x.VM, name: "TRANSFER", line: tm.TransferLine(x.VM, x.Path), fail: fail,
		limit:  m.limit("TRANSFER"),
		cancel: func() { m.note("TM", m.transfer.Send(vmm.CancelLine(x.VM))) },
	})
}

func (m *Manager) sendCancelTransfer(x message.CancelTransfer) {
	m.pending.drop(transferDriver, x.VM)
	m.note("TM", m.transfer.Send(vmm.CancelLine(x.VM)))
}

func (m *Manager) sendImageAction(x message.ImageAction) {
	fail := func(reason string) {
		m.post("ImM", x.Action, func(tx *state.Tx) error {
			return lifecycle.ImageAnswer(tx, lifecycle.ImageResult{Action: x.Action, Image: x.Image, Info: reason})
		})
	}
	m.pending.ask(&action{
		driver: imageDriver, to: m.datastore, object: x.Image, name: x.Action, fail: fail, limit: m.limit(x.Action),
		line: datastore.Line(datastore.Action(x.Action), x.Image, x.ImageXML, x.DSXML),
	})
}

func (m *Manager) sendMonitorDatastore(x message.MonitorDatastore) {
	m.note("ImM", m.datastore.Send(datastore.Line(datastore.Monitor, x.Datastore, "", x.DSXML)))
}

func (m *Manager) sendMonitorHost(x message.MonitorHost) {
	noDriver := func() {
		m.logLine("InM", message.Error, "Could not find information driver "+x.Driver)
		m.post("InM", "MONITOR", func(tx *state.Tx) error { return monitor.NoDriver(tx, x.Host) })
	}
	d := m.info[x.Driver]
	if d == nil {
		noDriver()
		return
	}
	limit := m.limit("MONITOR")
	m.pending.ask(&action{
		driver: x.Driver, to: d, object: x.Host, name: "MONITOR", line: im.MonitorLine(x.Host, x.Name, x.DSLocation, x.First),
		limit: limit, harmless: true,
		// Only a host that keeps silent is in error with its VMs; a driver that is not there says nothing about them.
		fail: func(reason string) {
			if !strings.HasPrefix(reason, noAnswer) {
				noDriver()
				return
			}
			m.post("InM", "MONITOR", func(tx *state.Tx) error { return monitor.HostAnswer(tx, x.Host, false, reason) })
		},
	})
}

func (m *Manager) sendStopMonitor(x message.StopMonitor) {
	if d := m.info[x.Driver]; d != nil {
		m.note("InM", d.Send(im.StopMonitorLine(x.Host, x.Name)))
	}
}

func (m *Manager) sendHook(x message.Hook) {
	host := x.Host
	if host == "" {
		host = hooks.Local
	}
	m.runs.add(x)
	m.note("HKM", m.hooks.Send(hooks.Execution{
		ObjectID: x.Object, Name: x.Name, Host: host, Command: x.Command, Arguments: x.Arguments, Stdin: x.Stdin,
	}.Line()))
}

// received is a driver's line as oned.log quotes it: the quoted line keeps its end, so an empty line follows.
func received(msg mad.Message) string { return msg.Raw + "\n" }

func (m *Manager) vmAnswer(driver string, msg mad.Message) {
	m.logLine("VMM", message.Debug, "Message received: "+received(msg))
	if !msg.HasID {
		return
	}
	late := m.pending.answered(driver, msg.Action, msg.ID)
	m.post("VMM", msg.Action, func(tx *state.Tx) error {
		return lifecycle.VMMAnswer(tx, lifecycle.Answer{
			Action: msg.Action, VM: msg.ID, Success: msg.Success(), Info: msg.Text, Line: received(msg), Late: late,
		})
	})
}

func (m *Manager) transferAnswer(msg mad.Message) {
	m.logLine("TM", message.Debug, "Message received: "+received(msg))
	if !msg.HasID {
		return
	}
	late := m.pending.answered(transferDriver, msg.Action, msg.ID)
	m.post("TM", msg.Action, func(tx *state.Tx) error {
		return lifecycle.TransferAnswer(tx, lifecycle.Answer{
			Action: msg.Action, VM: msg.ID, Success: msg.Success(), Info: msg.Text, Line: received(msg), Late: late,
		})
	})
}

func (m *Manager) imageAnswer(msg mad.Message) {
	if !msg.HasID {
		return
	}
	a := datastore.Action(msg.Action)
	ok := datastore.Succeeded(a, msg.Result)
	switch a {
	case datastore.Stat:
		m.requests.answer(requestStat, msg.ID, answer{ok, msg.Text})
	case datastore.Monitor:
		text, decoded := datastore.MonitorText(msg.Text)
		if !decoded {
			m.logLine("ImM", message.Error, fmt.Sprintf("Error monitoring datastore %d. Bad monitor data: %s", msg.ID, msg.Text))
			return
		}
		m.post("ImM", msg.Action, func(tx *state.Tx) error { return monitor.DatastoreAnswer(tx, msg.ID, ok, text) })
	case datastore.Copy, datastore.MakeFS, datastore.Clone, datastore.Remove:
		m.pending.answered(imageDriver, msg.Action, msg.ID)
		m.post("ImM", msg.Action, func(tx *state.Tx) error {
			return lifecycle.ImageAnswer(tx, lifecycle.ImageResult{Action: msg.Action, Image: msg.ID, Success: ok, Info: msg.Text})
		})
	}
}

func (m *Manager) infoAnswer(msg mad.Message) {
	if !msg.HasID || msg.Action != "MONITOR" {
		return
	}
	for name := range m.info {
		m.pending.answered(name, "MONITOR", msg.ID)
	}
	text := im.MonitorText(msg.Success(), msg.Text)
	m.post("InM", msg.Action, func(tx *state.Tx) error { return monitor.HostAnswer(tx, msg.ID, msg.Success(), text) })
}
