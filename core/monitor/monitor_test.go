package monitor_test

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"goned/core/config"
	"goned/core/db"
	"goned/core/host"
	"goned/core/message"
	"goned/core/monitor"
	"goned/core/resource"
	"goned/core/state"
	"goned/core/template"
	"goned/core/vm"
)

type noDatabase struct{}

func (noDatabase) Save(context.Context, []db.Row) error { return nil }

const now = 100000

// cloud is a store with that many hosts; each transaction's messages are kept.
type cloud struct {
	t     *testing.T
	store *state.Store
	sent  []any
}

func newCloud(t *testing.T, hosts int) *cloud {
	t.Helper()
	conf, err := config.Parse(`HOST_PER_INTERVAL = 15 MONITORING_INTERVAL = 60 IM_MAD = [ NAME = im, EXECUTABLE = x ]`, config.Dirs{})
	if err != nil {
		t.Fatal(err)
	}
	c := &cloud{t: t}
	sink := state.SinkFunc(func(_ *state.Snapshot, messages []any) { c.sent = append(c.sent, messages...) })
	c.store = state.NewStore(&state.Snapshot{}, conf, noDatabase{}, sink, func() time.Time { return time.Unix(now, 0) },
		slog.New(slog.DiscardHandler))
	t.Cleanup(func() { _ = c.store.Close() })
	c.do(func(tx *state.Tx) error {
		for id := range hosts {
			h, err := host.New(id, "h"+string(rune('a'+id)), "im", "vmm", "dummy", resource.NoCluster, "")
			if err != nil {
				return err
			}
			tx.Hosts.Insert(h)
		}
		return nil
	})
	return c
}

func (c *cloud) do(fn func(*state.Tx) error) {
	c.t.Helper()
	c.sent = nil
	if err := c.store.Update(fn); err != nil {
		c.t.Fatal(err)
	}
}

// asked are the hosts that were asked in the last transaction.
func (c *cloud) asked() []int {
	var ids []int
	for _, m := range c.sent {
		if x, ok := m.(message.MonitorHost); ok {
			ids = append(ids, x.Host)
		}
	}
	return ids
}

func ask(tx *state.Tx) error { monitor.AskHosts(tx, 0); return nil }

// TestOutstandingHostsDoNotStarveOthers: 4.6 counts hosts that do not answer against the limit, so that the others wait.
func TestOutstandingHostsDoNotStarveOthers(t *testing.T) {
	c := newCloud(t, 20)
	c.do(ask)
	if got := len(c.asked()); got != 15 {
		t.Fatalf("asked %d hosts", got)
	}
	// Their answers are overdue, but not yet given up.
	c.do(func(tx *state.Tx) error {
		for id := range 15 {
			tx.Hosts.Edit(id).LastMonTime = now - 200
		}
		return nil
	})
	c.do(ask)
	if got := c.asked(); !slices.Equal(got, []int{15, 16, 17, 18, 19}) {
		t.Errorf("asked %v", got)
	}
	c.do(func(tx *state.Tx) error {
		tx.Hosts.Edit(3).LastMonTime = now - host.MonitorTimeout
		return nil
	})
	c.do(ask)
	if got := c.asked(); !slices.Equal(got, []int{3}) {
		t.Errorf("after the time of an answer: asked %v", got)
	}
}

// TestAskedBeforeTheStart: nobody waits for the answer to what the last daemon has asked.
func TestAskedBeforeTheStart(t *testing.T) {
	c := newCloud(t, 2)
	c.do(func(tx *state.Tx) error {
		for id, at := range []int64{now - 100, now - 99} {
			h := tx.Hosts.Edit(id)
			h.State, h.LastMonTime = host.MonitoringMonitored, at
		}
		return nil
	})
	c.do(func(tx *state.Tx) error { monitor.AskHosts(tx, now-100); return nil })
	if got := c.asked(); !slices.Equal(got, []int{0}) {
		t.Errorf("asked %v", got)
	}
}

// TestClockSetBack: hosts that were asked at a time which is still to come do not wait for it.
func TestClockSetBack(t *testing.T) {
	c := newCloud(t, 4)
	c.do(func(tx *state.Tx) error {
		for id, at := range []int64{now - 10, now, now + 3600, now + 3600} {
			h := tx.Hosts.Edit(id)
			h.State, h.LastMonTime = host.Monitored, at
		}
		tx.Hosts.Edit(3).State = host.MonitoringMonitored
		return nil
	})
	c.do(ask)
	if got := c.asked(); !slices.Equal(got, []int{2, 3}) {
		t.Errorf("asked %v", got)
	}
}

func (c *cloud) addVM(l vm.LCMState, interrupted bool) {
	c.t.Helper()
	c.do(func(tx *state.Tx) error {
		v := &vm.VM{State: vm.Active, LCMState: l, Interrupted: interrupted, Template: &template.Template{}, UserTemplate: &template.Template{}}
		v.AddRecord(vm.Record{Hostname: "ha", VMMMAD: "vmm", TMMAD: "tm"})
		tx.VMs.Insert(v)
		h := tx.Hosts.Edit(0)
		h.VMs, _ = h.VMs.With(0)
		h.Share.RunningVMs = 1
		return nil
	})
}

func (c *cloud) answer(ok bool, text string) {
	c.t.Helper()
	c.do(func(tx *state.Tx) error { return monitor.HostAnswer(tx, 0, ok, text) })
}

func (c *cloud) lcm() string { return c.store.Snapshot().VMs.Get(0).LCMState.String() }

// TestMissingVM: a VM that a host does not report is lost the second time; one whose host fails is lost at once.
func TestMissingVM(t *testing.T) {
	for name, tc := range map[string]struct {
		l           vm.LCMState
		interrupted bool
		first, both string // where it is when its host has not had it once, twice
		failed      string // when its host fails
	}{
		"running":              {vm.Running, false, "RUNNING", "UNKNOWN", "UNKNOWN"},
		"shutting down":        {vm.Shutdown, false, "SHUTDOWN", "SHUTDOWN", "SHUTDOWN"},
		"shutdown was cut off": {vm.ShutdownUndeploy, true, "SHUTDOWN_UNDEPLOY", "EPILOG_UNDEPLOY", "SHUTDOWN_UNDEPLOY"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCloud(t, 1)
			c.addVM(tc.l, tc.interrupted)
			c.answer(true, "VM_POLL=YES")
			if got := c.lcm(); got != tc.first {
				t.Errorf("missing once: %s, want %s", got, tc.first)
			}
			c.answer(true, "VM_POLL=YES")
			if got := c.lcm(); got != tc.both {
				t.Errorf("missing twice: %s, want %s", got, tc.both)
			}
			c = newCloud(t, 1)
			c.addVM(tc.l, tc.interrupted)
			c.answer(false, "broken")
			if got := c.lcm(); got != tc.failed {
				t.Errorf("host failed: %s, want %s", got, tc.failed)
			}
		})
	}
}

// TestHostWithoutDriver: a disabled host stays disabled.
func TestHostWithoutDriver(t *testing.T) {
	c := newCloud(t, 2)
	c.do(func(tx *state.Tx) error {
		tx.Hosts.Edit(1).Disable()
		return nil
	})
	for id, want := range []host.State{host.Error, host.Disabled} {
		c.do(func(tx *state.Tx) error { return monitor.NoDriver(tx, id) })
		if got := c.store.Snapshot().Hosts.Get(id).State; got != want {
			t.Errorf("host %d is in state %d, want %d", id, got, want)
		}
	}
}
