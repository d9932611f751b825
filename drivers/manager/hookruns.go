package manager

import (
	"strings"
	"sync"

	"goned/core/message"
	"goned/drivers/hooks"
	"goned/drivers/mad"
)

// hookRuns remembers for which object a hook runs: the protocol's answers carry a bare number, and VM 3 is not host 3.
type hookRuns struct {
	mu   sync.Mutex // guards open
	open map[int][]message.Hook
}

func (r *hookRuns) add(h message.Hook) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open == nil {
		r.open = map[int][]message.Hook{}
	}
	r.open[h.Object] = append(r.open[h.Object], h)
}

// clear forgets all runs: nobody will answer any more.
func (r *hookRuns) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open = nil
}

// take is the run that an answer is about: the oldest with its number whose name the text begins with, else the oldest.
func (r *hookRuns) take(object int, text string) (message.Hook, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.open[object]
	if len(list) == 0 {
		return message.Hook{}, false
	}
	at := 0
	for i, h := range list {
		if strings.HasPrefix(text, h.Name) {
			at = i
			break
		}
	}
	h := list[at]
	list = append(list[:at:at], list[at+1:]...)
	if len(list) == 0 {
		delete(r.open, object)
	} else {
		r.open[object] = list
	}
	return h, true
}

func (m *Manager) hookAnswer(msg mad.Message) {
	m.logLine("HKM", message.Debug, "Message received: "+received(msg))
	if !msg.HasID {
		return
	}
	h, ok := m.runs.take(msg.ID, msg.Text)
	if !ok {
		return
	}
	level := message.Info
	if !msg.Success() {
		level = message.Error
	}
	m.outbox.put([]any{message.Log{VM: h.VM, Module: "HKM", Level: level, Text: hooks.ResultText(msg.Success(), msg.Text)}})
}
