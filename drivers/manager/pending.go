package manager

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"goned/drivers/mad"
)

// The fixed names of drivers that no VM or host names.
const (
	transferDriver = "transfer_exe"
	imageDriver    = "image_exe"
	hookDriver     = "hook_exe"
)

// restartTimeout is how long requests wait for a driver that is being started again; 4.6 gives the driver up then.
const restartTimeout = 30 * time.Second

// noAnswer is what the reason begins with when an action has failed by its deadline.
const noAnswer = "no answer"

// sender is what takes requests for a driver process.
type sender interface{ Send(line string) error }

// action is something that a driver is asked and has to answer.
type action struct {
	driver string
	to     sender
	object int
	name   string // the action's, as the answer repeats it
	line   string
	// fail ends the action without an answer.
	fail func(reason string)
	// limit is how long the answer may take; 0 for ever.
	limit time.Duration
	// cancel tells the driver to give up; nil where the protocol has no way to say so.
	cancel func()
	// harmless actions are asked again when the driver dies: it says nothing about what they ask for.
	harmless bool

	again   bool // has been asked a second time
	waiting bool // the driver is not up yet
	overdue bool // has failed for want of an answer, which may still come
	timer   func() bool
}

// pending knows what drivers have been asked and have not answered, so that every question comes to an end: by the answer, by the
// driver's death, by its deadline. An answer names action and object, nothing else.
type pending struct {
	// after is time.AfterFunc; the result stops the timer.
	after func(d time.Duration, f func()) (stop func() bool)

	mu     sync.Mutex // guards the rest
	open   []*action  // in the order in which they were asked
	down   map[string]func() bool
	lost   map[string]bool // drivers that have been down for too long
	closed bool
}

func newPending() *pending {
	return &pending{
		after: func(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop },
		down:  map[string]func() bool{}, lost: map[string]bool{},
	}
}

// ask sends a request. While the driver is started again the request waits; what cannot be sent at all fails.
func (p *pending) ask(a *action) {
	if err := p.add(a); err != nil {
		a.fail(err.Error())
	}
}

func (p *pending) add(a *action) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		// The daemon ends. The next one finds what waits for an answer.
		return nil
	}
	if p.lost[a.driver] {
		return fmt.Errorf("the driver %s does not run", a.driver)
	}
	// From now on an answer belongs to this one: what was given up, or asked before, waits no more.
	p.open = slices.DeleteFunc(p.open, func(o *action) bool {
		replaced := (o.overdue || o.harmless) && o.same(a.driver, a.name, a.object)
		if replaced {
			o.stopTimer()
		}
		return replaced
	})
	p.open = append(p.open, a)
	if _, down := p.down[a.driver]; down {
		a.waiting = true
		return nil
	}
	if err := p.send(a); err != nil {
		p.remove(a)
		return err
	}
	return nil
}

// send gives the request to the driver and starts its deadline. A driver that has just died keeps it waiting. p.mu is held.
func (p *pending) send(a *action) error {
	err := a.to.Send(a.line)
	if a.waiting = errors.Is(err, mad.ErrDown); a.waiting {
		return nil
	}
	if err == nil && a.limit > 0 {
		a.timer = p.after(a.limit, func() { p.expire(a) })
	}
	return err
}

func (a *action) same(driver, name string, object int) bool {
	return a.driver == driver && a.name == name && a.object == object
}

func (a *action) stopTimer() {
	if a.timer != nil {
		a.timer()
	}
}

// remove reports whether the action was open. p.mu is held.
func (p *pending) remove(a *action) bool {
	i := slices.Index(p.open, a)
	if i < 0 {
		return false
	}
	a.stopTimer()
	p.open = slices.Delete(p.open, i, i+1)
	return true
}

// expire ends an action that was not answered in time.
func (p *pending) expire(a *action) {
	p.mu.Lock()
	expired := !p.closed && !a.overdue && slices.Contains(p.open, a)
	a.overdue = a.overdue || expired
	p.mu.Unlock()
	if !expired {
		return
	}
	if a.cancel != nil {
		a.cancel()
	}
	a.fail(fmt.Sprintf("%s within %v", noAnswer, a.limit))
}

// answered takes the action that an answer is about off the list: the oldest that waits for it, else one that has been given up.
// late tells the latter.
func (p *pending) answered(driver, name string, object int) (late bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var given *action
	for _, a := range p.open {
		switch {
		case !a.same(driver, name, object) || a.waiting:
		case a.overdue:
			given = a
		default:
			p.remove(a)
			return false
		}
	}
	return given != nil && p.remove(given)
}

// drop forgets the requests for an object that have not been sent yet.
func (p *pending) drop(driver string, object int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = slices.DeleteFunc(p.open, func(a *action) bool { return a.waiting && a.driver == driver && a.object == object })
}

// died ends what a driver has not answered. Later requests wait for its successor.
func (p *pending) died(driver string) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	var failed, kept []*action
	for _, a := range p.open {
		if a.driver != driver || a.waiting {
			kept = append(kept, a)
			continue
		}
		a.stopTimer()
		switch {
		case a.overdue:
		case a.harmless && !a.again:
			a.again, a.waiting = true, true
			kept = append(kept, a)
		default:
			failed = append(failed, a)
		}
	}
	p.open = kept
	p.down[driver] = p.after(restartTimeout, func() { p.giveUp(driver) })
	p.mu.Unlock()
	for _, a := range failed {
		a.fail("the driver " + driver + " died during the action")
	}
}

// giveUp ends the waiting for a driver that does not come back.
func (p *pending) giveUp(driver string) {
	p.mu.Lock()
	var failed []*action
	if _, down := p.down[driver]; down && !p.closed {
		p.lost[driver] = true
		p.open = slices.DeleteFunc(p.open, func(a *action) bool {
			gone := a.driver == driver && a.waiting
			if gone {
				failed = append(failed, a)
			}
			return gone
		})
	}
	p.mu.Unlock()
	for _, a := range failed {
		a.fail("the driver " + driver + " does not run")
	}
}

// up sends what has waited for a driver.
func (p *pending) up(driver string) {
	p.mu.Lock()
	if stop := p.down[driver]; stop != nil {
		stop()
	}
	delete(p.down, driver)
	delete(p.lost, driver)
	type failure struct {
		a   *action
		err error
	}
	var failed []failure
	for _, a := range slices.Clone(p.open) {
		if a.driver != driver || !a.waiting {
			continue
		}
		if err := p.send(a); err != nil {
			p.remove(a)
			failed = append(failed, failure{a, err})
		}
	}
	p.mu.Unlock()
	for _, f := range failed {
		f.a.fail(f.err.Error())
	}
}

// close ends the waiting without a word: the daemon ends, not what drivers do.
func (p *pending) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, a := range p.open {
		a.stopTimer()
	}
	for _, stop := range p.down {
		stop()
	}
	p.open = nil
}
