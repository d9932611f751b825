package manager

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"goned/drivers/mad"
)

// process stands for a driver process: it notes what it is sent.
type process struct {
	down bool
	err  error
	sent []string
}

func (p *process) Send(line string) error {
	if p.down {
		return mad.ErrDown
	}
	if p.err == nil {
		p.sent = append(p.sent, line)
	}
	return p.err
}

// bench is a pending with timers that run when told to.
type bench struct {
	*pending
	*process
	timers map[int]func()
	limits []time.Duration
	failed []string
}

func newBench() *bench {
	b := &bench{pending: newPending(), process: &process{}, timers: map[int]func(){}}
	b.after = func(d time.Duration, f func()) func() bool {
		n := len(b.limits)
		b.limits = append(b.limits, d)
		b.timers[n] = f
		return func() bool { _, running := b.timers[n]; delete(b.timers, n); return running }
	}
	return b
}

// fire runs all timers that have been started.
func (b *bench) fire() {
	timers := b.timers
	b.timers = map[int]func(){}
	for n := range len(b.limits) {
		if f := timers[n]; f != nil {
			f()
		}
	}
}

// request is an action of VM or image id on the driver d.
func (b *bench) request(name string, id int, change func(*action)) {
	a := &action{driver: "d", to: b.process, object: id, name: name, line: name}
	a.fail = func(reason string) { b.failed = append(b.failed, name+": "+reason) }
	if change != nil {
		change(a)
	}
	b.ask(a)
}

func (b *bench) crash() {
	b.process.down = true
	b.died("d")
}

func (b *bench) restart() {
	b.process.down = false
	b.up("d")
}

func (b *bench) check(t *testing.T, sent, failed string) {
	t.Helper()
	if got := strings.Join(b.sent, " "); got != sent {
		t.Errorf("sent %q, want %q", got, sent)
	}
	if got := strings.Join(b.failed, "; "); got != failed {
		t.Errorf("failed %q, want %q", got, failed)
	}
}

func limit(a *action) { a.limit = time.Minute }

// TestDeath: what a driver has not answered when it dies ends; what it is asked meanwhile waits for its successor.
func TestDeath(t *testing.T) {
	b := newBench()
	b.request("DEPLOY", 1, nil)
	b.request("SAVE", 2, nil)
	if b.answered("d", "SAVE", 2) {
		t.Error("the answer counts as late")
	}
	b.crash()
	b.request("POLL", 3, nil)
	b.check(t, "DEPLOY SAVE", "DEPLOY: the driver d died during the action")
	b.restart()
	b.check(t, "DEPLOY SAVE POLL", "DEPLOY: the driver d died during the action")
	b.fire()
	b.crash()
	b.check(t, "DEPLOY SAVE POLL", "DEPLOY: the driver d died during the action; POLL: the driver d died during the action")
}

// TestOtherDriversDeath concerns nobody else.
func TestOtherDriversDeath(t *testing.T) {
	b := newBench()
	b.request("DEPLOY", 1, nil)
	b.died("other")
	b.request("SAVE", 2, nil)
	b.check(t, "DEPLOY SAVE", "")
}

// TestHarmlessDeath: questions are asked again, once.
func TestHarmlessDeath(t *testing.T) {
	b := newBench()
	b.request("POLL", 1, func(a *action) { a.harmless = true })
	b.crash()
	b.restart()
	b.check(t, "POLL POLL", "")
	b.crash()
	b.check(t, "POLL POLL", "POLL: the driver d died during the action")
}

// TestHarmlessAgain: of equal questions the last one counts, however often a silent driver is asked.
func TestHarmlessAgain(t *testing.T) {
	b := newBench()
	for range 3 {
		b.request("POLL", 1, func(a *action) { a.harmless = true; limit(a) })
	}
	if len(b.open) != 1 || len(b.timers) != 1 {
		t.Errorf("%d actions and %d timers are open", len(b.open), len(b.timers))
	}
	b.fire()
	b.check(t, "POLL POLL POLL", "POLL: no answer within 1m0s")
}

// TestLostDriver: when the successor does not come, nothing waits for it any more.
func TestLostDriver(t *testing.T) {
	b := newBench()
	b.crash()
	b.request("DEPLOY", 1, nil)
	if !slices.Equal(b.limits, []time.Duration{restartTimeout}) {
		t.Errorf("timers %v", b.limits)
	}
	b.fire()
	b.request("SAVE", 2, nil)
	b.check(t, "", "DEPLOY: the driver d does not run; SAVE: the driver d does not run")
	b.restart()
	b.request("CANCEL", 3, nil)
	b.check(t, "CANCEL", "DEPLOY: the driver d does not run; SAVE: the driver d does not run")
}

// TestDeathUnnoticed: a request between the end of the process and the news of it waits too, and fails only once.
func TestDeathUnnoticed(t *testing.T) {
	b := newBench()
	b.process.down = true
	b.request("DEPLOY", 1, nil)
	b.crash()
	b.restart()
	b.check(t, "DEPLOY", "")
}

// TestUnsendable requests fail at once.
func TestUnsendable(t *testing.T) {
	b := newBench()
	b.process.err = errors.New("full")
	b.request("DEPLOY", 1, nil)
	b.crash()
	b.check(t, "", "DEPLOY: full")
}

// TestDrop: a VM that is deleted needs nothing that has not been begun.
func TestDrop(t *testing.T) {
	b := newBench()
	b.crash()
	b.request("DEPLOY", 1, nil)
	b.request("DEPLOY", 2, nil)
	b.drop("d", 1)
	b.request("CLEANUP", 1, nil)
	b.restart()
	b.check(t, "DEPLOY CLEANUP", "")
}

// TestDeadline: an action that is not answered in time fails, and is cancelled where that is possible.
func TestDeadline(t *testing.T) {
	b := newBench()
	b.request("SAVE", 1, limit)
	b.request("RESTORE", 2, limit)
	b.request("BOOT", 4, nil)
	b.answered("d", "SAVE", 1)
	cancelled := 0
	b.request("DEPLOY", 3, func(a *action) { limit(a); a.cancel = func() { cancelled++ } })
	b.fire()
	b.check(t, "SAVE RESTORE BOOT DEPLOY", "RESTORE: no answer within 1m0s; DEPLOY: no answer within 1m0s")
	if cancelled != 1 {
		t.Errorf("cancelled %d times", cancelled)
	}
	if !b.answered("d", "DEPLOY", 3) {
		t.Error("the answer does not count as late")
	}
	if b.answered("d", "DEPLOY", 3) {
		t.Error("a second answer counts as late")
	}
	b.crash()
	b.check(t, "SAVE RESTORE BOOT DEPLOY",
		"RESTORE: no answer within 1m0s; DEPLOY: no answer within 1m0s; BOOT: the driver d died during the action")
}

// TestDeadlineAndNewAction: an answer belongs to the action that waits for one.
func TestDeadlineAndNewAction(t *testing.T) {
	b := newBench()
	b.request("DEPLOY", 1, limit)
	b.fire()
	b.request("DEPLOY", 1, nil)
	if b.answered("d", "DEPLOY", 1) {
		t.Error("the answer counts as late")
	}
	if len(b.open) != 0 {
		t.Errorf("%d actions are open", len(b.open))
	}
}

// TestDeadlineOfWaiting starts when the request is sent.
func TestDeadlineOfWaiting(t *testing.T) {
	b := newBench()
	b.crash()
	b.request("DEPLOY", 1, limit)
	if len(b.limits) != 1 {
		t.Errorf("timers %v", b.limits)
	}
	b.restart()
	b.fire()
	b.check(t, "DEPLOY", "DEPLOY: no answer within 1m0s")
}

// TestClose: the end of the daemon is no failure of an action.
func TestClose(t *testing.T) {
	b := newBench()
	b.request("DEPLOY", 1, limit)
	b.close()
	b.fire()
	b.crash()
	b.request("SAVE", 1, nil)
	b.check(t, "DEPLOY", "")
}
