package monitor

import (
	"cmp"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"goned/core/cloud"
	"goned/core/config"
	"goned/core/host"
	"goned/core/image"
	"goned/core/lifecycle"
	"goned/core/message"
	"goned/core/state"
	"goned/core/vm"
)

// markInterval is how often 4.6's managers say in the log that they live, in seconds.
const markInterval = 600

// Timers run the periodic work.
type Timers struct {
	store *state.Store
	conf  *config.Config
	log   func(module string) *slog.Logger
	stop  chan struct{}
	wg    sync.WaitGroup

	sinceMark, sinceDatastores int64 // seconds
	rounds                     int   // of monitoring datastores
	cutOff                     map[int]image.State
	start                      time.Time
}

// StartTimers begins the periodic work; Stop ends it. Call it before clients can change anything.
func StartTimers(store *state.Store, conf *config.Config, log func(module string) *slog.Logger) *Timers {
	t := &Timers{
		store: store, conf: conf, log: log, stop: make(chan struct{}), sinceDatastores: conf.MonitoringInterval, start: time.Now(),
		cutOff: lifecycle.CutOffImages(store.Snapshot()),
	}
	t.wg.Go(t.loop)
	return t
}

// Stop waits until no periodic work is done any more.
func (t *Timers) Stop() {
	close(t.stop)
	t.wg.Wait()
}

func (t *Timers) loop() {
	period := time.Duration(max(t.conf.ManagerTimer, 1)) * time.Second
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for {
		select {
		case <-t.stop:
			return
		case <-ticker.C:
			t.tick()
		}
	}
}

func (t *Timers) tick() {
	period := max(t.conf.ManagerTimer, 1)
	if t.sinceMark += period; t.sinceMark >= markInterval {
		t.sinceMark = 0
		for _, module := range []string{"VMM", "InM", "ImM"} {
			t.log(module).Info("--Mark--")
		}
	}
	t.update("InM", func(tx *state.Tx) error {
		tx.ExpireSamples(tx.Now-t.conf.VMMonitoringExpiration, tx.Now-t.conf.HostMonitoringExpiration)
		AskHosts(tx, t.start.Unix())
		if t.conf.VMIndividualMonitoring {
			t.pollVMs(tx)
		}
		return nil
	})
	// The first tick measures the datastores, then every interval one does.
	if t.sinceDatastores >= t.conf.MonitoringInterval {
		t.sinceDatastores = 0
		t.update("ImM", AskDatastores)
		t.update("VMM", lifecycle.AskInterrupted)
		// Until the second round everybody can see, and repair, what the last daemon has left behind.
		if t.rounds++; t.rounds >= 2 && len(t.cutOff) > 0 {
			asked := t.update("ImM", func(tx *state.Tx) error {
				lifecycle.RedoImages(tx, t.cutOff)
				return nil
			})
			if asked {
				t.cutOff = nil
			}
		}
	}
	t.sinceDatastores += period
}

func (t *Timers) update(module string, fn func(*state.Tx) error) bool {
	if err := t.store.Update(fn); err != nil {
		t.log(module).Error("Periodic work failed: " + err.Error())
		return false
	}
	return true
}

// AskHosts asks for the figures of the hosts that are due, those first that have waited longest. Hosts whose answer is
// outstanding do not count against the limit: in 4.6 they starve the others. start is when the daemon began.
func AskHosts(tx *state.Tx, start int64) {
	var hosts []*host.Host
	for h := range tx.Hosts.All() {
		if due(tx.Now, h.LastMonTime, tx.Conf.MonitoringInterval) {
			hosts = append(hosts, h)
		}
	}
	slices.SortStableFunc(hosts, func(a, b *host.Host) int { return cmp.Compare(a.LastMonTime, b.LastMonTime) })
	left := tx.Conf.HostPerInterval
	for _, h := range hosts {
		if left == 0 {
			return
		}
		switch h.Next(tx.Now, start) {
		case host.Ask:
			askHost(tx, h)
			left--
		case host.Idle:
			h = tx.Hosts.Edit(h.ID)
			h.Rest(tx.Now)
			saveSample(tx, h)
			left--
		}
	}
}

func askHost(tx *state.Tx, h *host.Host) {
	first := h.LastMonTime == 0
	log(tx, "InM", message.Debug, fmt.Sprintf("Monitoring host %s (%d)", h.Name, h.ID))
	h = tx.Hosts.Edit(h.ID)
	if !knownDriver(tx.Conf, h.IMMad) {
		// As long as no driver can be asked the host stays due.
		tx.Send(message.MonitorHost{Host: h.ID, Name: h.Name, Driver: h.IMMad})
		return
	}
	h.Asked(tx.Now)
	tx.Send(message.MonitorHost{
		Host: h.ID, Name: h.Name, Driver: h.IMMad, DSLocation: cloud.DSLocation(tx.View(), tx.Conf, h), First: first,
	})
}

// due reports whether something that was last done at a time is to be done every so often. A time that is still to come is of a clock
// that was set back since: 4.6 waits for it.
func due(now, last, period int64) bool { return last <= now-period || last > now }

func knownDriver(c *config.Config, name string) bool {
	for _, v := range c.IMMads {
		if v.Get("NAME") == name {
			return true
		}
	}
	return false
}

// pollVMs polls VMs one by one, besides what their hosts report.
func (t *Timers) pollVMs(tx *state.Tx) {
	period := t.conf.MonitoringInterval * 5 / 2
	if time.Since(t.start) < time.Duration(period)*time.Second {
		return
	}
	var vms []*vm.VM
	for v := range tx.VMs.All() {
		if v.State == vm.Active && (v.LCMState == vm.Running || v.LCMState == vm.Unknown) &&
			due(tx.Now, v.LastPoll, period) {
			vms = append(vms, v)
		}
	}
	slices.SortStableFunc(vms, func(a, b *vm.VM) int { return cmp.Compare(a.LastPoll, b.LastPoll) })
	for _, v := range vms[:min(len(vms), max(t.conf.VMPerInterval, 0))] {
		cur := v.Current()
		switch {
		case cur == nil:
			log(tx, "VMM", message.Error, fmt.Sprintf("Monitoring VM %d but it has no history.", v.ID))
		case due(tx.Now, cur.RSTime, period):
			lifecycle.Poll(tx, v.ID)
		}
	}
}
