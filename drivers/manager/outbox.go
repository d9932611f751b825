package manager

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"goned/core/message"
)

// outbox carries out messages one after the other, in the order in which their transactions were committed, apart from the
// committer, which never waits for a file or a pipe.
type outbox struct {
	m *Manager

	mu      sync.Mutex // guards the rest
	more    *sync.Cond
	queue   []any
	running bool
	stopped bool
	done    chan struct{}
}

func newOutbox(m *Manager) *outbox {
	o := &outbox{m: m, done: make(chan struct{})}
	o.more = sync.NewCond(&o.mu)
	return o
}

func (o *outbox) put(messages []any) {
	o.mu.Lock()
	o.queue = append(o.queue, messages...)
	o.mu.Unlock()
	o.more.Signal()
}

// start begins the work; what was put before is done now, when the drivers are there.
func (o *outbox) start() {
	o.running = true
	go o.loop()
}

func (o *outbox) loop() {
	defer close(o.done)
	for {
		o.mu.Lock()
		for len(o.queue) == 0 && !o.stopped {
			o.more.Wait()
		}
		batch := o.queue
		o.queue = nil
		o.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		for _, msg := range batch {
			o.m.carryOut(msg)
		}
	}
}

// stop ends the work when the queue is empty.
func (o *outbox) stop() {
	if !o.running {
		return
	}
	o.mu.Lock()
	o.stopped = true
	o.mu.Unlock()
	o.more.Signal()
	<-o.done
}

func (m *Manager) carryOut(msg any) {
	switch x := msg.(type) {
	case message.Log:
		m.log.Write(x)
	case message.VMDirectory:
		m.makeVMDirectory(x.VM)
	case message.VMAction:
		m.sendVMAction(x)
	case message.CancelVMAction:
		m.sendCancelVM(x)
	case message.Transfer:
		m.sendTransfer(x)
	case message.CancelTransfer:
		m.sendCancelTransfer(x)
	case message.ImageAction:
		m.sendImageAction(x)
	case message.MonitorDatastore:
		m.sendMonitorDatastore(x)
	case message.MonitorHost:
		m.sendMonitorHost(x)
	case message.StopMonitor:
		m.sendStopMonitor(x)
	case message.Hook:
		m.sendHook(x)
	default:
		m.logLine("ONE", message.Error, fmt.Sprintf("Nobody carries out a %T", msg))
	}
}

func (m *Manager) makeVMDirectory(id int) {
	dir := m.conf.Dirs.VMs + strconv.Itoa(id)
	if err := os.Mkdir(dir, 0o700); err != nil && !os.IsExist(err) {
		m.logLine("VM", message.Error, "Error creating the directory of VM "+strconv.Itoa(id)+": "+err.Error())
	}
}

// writeFile replaces a file as a whole: after a crash it has the old content or the new one.
func writeFile(path, content string, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails after the rename, as it should
	if _, err := f.WriteString(content); err != nil {
		f.Close()
		return err
	}
	if err := f.Chmod(mode); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
