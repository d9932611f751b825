// Package manager connects the core with the driver processes: it carries out the messages of committed transactions (requests to
// drivers, files they need, hooks, log lines) and brings the drivers' answers back as transactions.
package manager

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"goned/core/config"
	"goned/core/message"
	"goned/core/onelog"
	"goned/core/state"
	"goned/core/template"
	"goned/drivers/mad"
)

// hypervisor is a loaded VM_MAD.
type hypervisor struct {
	driver   *mad.Driver
	kind     string             // xen, kvm, vmware, qemu, xml
	defaults *template.Template // the file named by DEFAULT
}

// Manager owns all driver processes of the daemon.
type Manager struct {
	conf  *config.Config
	log   *onelog.Log
	store *state.Store
	now   func() time.Time

	hypervisors map[string]*hypervisor
	info        map[string]*mad.Driver
	transfer    *mad.Driver
	datastore   *mad.Driver
	hooks       *mad.Driver
	auth        *mad.Driver // nil without AUTH_MAD
	authz       bool

	outbox   *outbox
	pending  *pending
	requests requests
	runs     hookRuns
}

// New makes a manager; Start loads the drivers.
func New(conf *config.Config, log *onelog.Log, now func() time.Time) *Manager {
	m := &Manager{
		conf: conf, log: log, now: now,
		hypervisors: map[string]*hypervisor{}, info: map[string]*mad.Driver{}, pending: newPending(),
	}
	m.outbox = newOutbox(m)
	return m
}

// Deliver queues the messages of a committed transaction; it implements state.Sink and never blocks.
func (m *Manager) Deliver(_ *state.Snapshot, messages []any) { m.outbox.put(messages) }

// load describes one driver that Start has to bring up.
type load struct {
	module     string      // tag of its log lines
	begin, end string      // lines before and after
	driver     *mad.Driver // nil: problem tells why
	problem    string
	started    chan error
	family     string // line before the first driver of a kind
}

// Start loads all drivers of the configuration, at the same time, and begins to carry out messages. store takes the answers. An
// error says that a driver could not be loaded, which is fatal in 4.6; the reason is in the log.
func (m *Manager) Start(ctx context.Context, store *state.Store) error {
	m.store = store
	loads := m.loads() // before any process runs: their answers look at what it fills in
	for _, l := range loads {
		if l.driver == nil {
			continue
		}
		go func() { l.started <- l.driver.Start(ctx) }()
	}
	var failed bool
	for _, l := range loads {
		if l.family != "" {
			m.logLine(l.module, message.Info, l.family)
		}
		if l.begin != "" {
			m.logLine(l.module, message.Info, l.begin)
		}
		if l.driver == nil {
			if l.problem != "" {
				m.logLine(l.module, message.Error, l.problem)
			}
			continue
		}
		err := <-l.started
		if err != nil {
			m.logLine("MAD", message.Error, err.Error())
			failed = true
			continue
		}
		m.logLine(l.module, message.Info, l.end)
	}
	if failed {
		m.logLine("ONE", message.Error, "Could not load driver")
		m.Stop()
		return errors.New("Could not load driver")
	}
	m.outbox.start()
	return nil
}

func (m *Manager) loads() []*load {
	var all []*load
	add := func(l *load) {
		l.started = make(chan error, 1)
		all = append(all, l)
	}
	add(&load{module: "VMM", family: "Loading Virtual Machine Manager drivers."})
	for _, v := range m.conf.VMMads {
		add(m.hypervisorLoad(v))
	}
	add(&load{module: "InM", family: "Loading Information Manager drivers."})
	for _, v := range m.conf.IMMads {
		name := v.Get("NAME")
		d := m.process(name, v, nil, "InM", m.infoAnswer)
		m.info[name] = d
		add(&load{module: "InM", begin: "\tLoading driver: " + name, end: "\tDriver " + name + " loaded", driver: d})
	}
	m.transfer = m.process(transferDriver, m.conf.TMMad, nil, "TM", m.transferAnswer)
	add(&load{module: "TM", family: "Loading Transfer Manager driver.", end: "\tTransfer manager driver loaded", driver: m.transfer})
	m.hooks = m.process(hookDriver, m.conf.HMMad, nil, "HKM", m.hookAnswer)
	add(&load{module: "HKM", family: "Loading Hook Manager driver.", end: "\tHook Manager loaded", driver: m.hooks})
	m.datastore = m.process(imageDriver, m.conf.DatastoreMad, nil, "ImM", m.imageAnswer)
	add(&load{module: "ImM", family: "Loading Image Manager driver.", end: "\tImage Manager loaded", driver: m.datastore})
	if v := m.conf.AuthMad; v != nil {
		words := "--authn " + v.Get("AUTHN")
		if authz := v.Get("AUTHZ"); authz != "" {
			words += " --authz " + authz
			m.authz = true
		}
		m.auth = m.process("auth_exe", v, []string{words}, "AuM", m.authAnswer)
		add(&load{module: "AuM", family: "Loading Auth. Manager driver.", end: "\tAuth Manager loaded", driver: m.auth})
	}
	return all
}

func (m *Manager) hypervisorLoad(v *template.Vector) *load {
	name, kind := v.Get("NAME"), strings.ToLower(v.Get("TYPE"))
	shown := strings.ToUpper(kind)
	l := &load{module: "VMM", begin: "\tLoading driver: " + name + " (" + shown + ")"}
	switch kind {
	case "xen", "kvm", "vmware", "qemu", "xml":
	default:
		l.problem = "\tUnknown driver type: " + shown
		return l
	}
	h := &hypervisor{kind: kind}
	h.driver = m.process(name, v, nil, "VMM", func(msg mad.Message) { m.vmAnswer(name, msg) })
	m.readDefaults(h, v.Get("DEFAULT"))
	m.hypervisors[name] = h
	l.driver, l.end = h.driver, "\tDriver "+name+" loaded."
	return l
}

// process describes a driver process of the configuration. args nil: the attribute ARGUMENTS, as one word.
func (m *Manager) process(name string, v *template.Vector, args []string, module string, answer func(mad.Message)) *mad.Driver {
	if args == nil {
		if a := v.Get("ARGUMENTS"); a != "" {
			args = []string{a}
		}
	}
	log := m.log.Logger("MAD")
	return mad.New(mad.Config{
		Name: name, Executable: v.Get("EXECUTABLE"), Dir: m.conf.Dirs.Mads, Args: args, WorkDir: m.conf.Dirs.Var, Log: log,
	}, mad.Handler{
		Line: func(msg mad.Message) {
			if line, ok := msg.Log(); ok {
				m.driverLog(module, line)
				return
			}
			answer(msg)
		},
		Down: func(err error) { m.lost(name, module, err) },
		Up: func() {
			m.recovered(module)
			m.pending.up(name)
		},
	})
}

// driverLog writes a LOG line of a driver where it belongs.
func (m *Manager) driverLog(module string, line mad.LogLine) {
	level := map[mad.Severity]message.Level{'E': message.Error, 'D': message.Debug}[line.Severity]
	if line.Severity != 'E' && line.Severity != 'D' {
		level = message.Info
	}
	switch {
	case !line.HasID && module == "ImM":
		m.logLine("ImG", level, line.Text)
	case !line.HasID:
		m.logLine(module, level, line.Text)
	case module == "AuM": // the number is that of a request
		m.logLine(module, message.Info, line.Text)
	case module == "ImM", module == "InM": // of an image, a datastore or a host
		m.logLine(module, level, line.Text)
	default:
		// Through the outbox, so that the line stands behind what oned itself wrote before.
		m.outbox.put([]any{message.Log{VM: line.ID, Module: module, Level: level, Text: line.Text}})
	}
}

// recovered logs that a driver process runs again.
func (m *Manager) recovered(module string) {
	switch module {
	case "VMM", "TM":
		m.logLine(module, message.Info, "Recovering "+module+" drivers")
	case "InM":
		m.logLine(module, message.Error, "Information driver crashed, recovering...")
	case "HKM":
		m.logLine(module, message.Error, "Hook driver crashed, recovering...")
	case "ImM":
		m.logLine("ImG", message.Info, "Recovering Image Repository drivers")
	}
}

// lost ends the actions that a dead driver process has left open: in 4.6 they stay open for ever.
func (m *Manager) lost(name, module string, err error) {
	m.logLine("MAD", message.Error, fmt.Sprintf("Driver %s ended: %v", name, err))
	m.pending.died(name)
	switch module {
	case "HKM":
		m.runs.clear()
	case "AuM":
		m.requests.failAll(requestAuth, "the driver died")
	case "ImM":
		m.requests.failAll(requestStat, "the driver died")
	}
}

// Stop ends all drivers, each within a bounded time, and then the work on messages.
func (m *Manager) Stop() {
	m.pending.close()
	var wg sync.WaitGroup
	stop := func(d *mad.Driver) {
		if d != nil {
			wg.Go(d.Stop)
		}
	}
	for _, h := range m.hypervisors {
		stop(h.driver)
	}
	for _, d := range m.info {
		stop(d)
	}
	stop(m.transfer)
	stop(m.datastore)
	stop(m.hooks)
	stop(m.auth)
	wg.Wait()
	m.outbox.stop()
}

func (m *Manager) logLine(module string, level message.Level, text string) {
	m.log.Write(message.Log{VM: message.OnedLog, Module: module, Level: level, Text: text})
}
