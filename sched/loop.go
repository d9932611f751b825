package sched

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/kolo/xmlrpc"

	"goned/core/match"
	"goned/core/template"
	"goned/core/template/xmldoc"
)

// Scheduler is the loop: at every interval it runs the scheduled actions that
// are due and places the machines that wait.
type Scheduler struct {
	conf *Config
	oned *Oned
	log  *Log
	now  func() time.Time
	zone int
	// retry is the pause between attempts to reach oned at start.
	retry time.Duration
	// unanswered counts the calls of this pass that got no answer, in a row.
	unanswered int
}

// New makes a scheduler. Run starts it.
func New(conf *Config, oned *Oned, log *Log, now func() time.Time) *Scheduler {
	return &Scheduler{conf: conf, oned: oned, log: log, now: now, retry: contactRetry}
}

// contactRetry is 4.6's.
const contactRetry = 2 * time.Second

// Run writes the head of the log, waits until oned answers and makes passes
// until ctx ends.
func (s *Scheduler) Run(ctx context.Context) {
	s.info("SCHED", "Init Scheduler Log system")
	s.info("SCHED", "Starting Scheduler Daemon\n"+
		"----------------------------------------\n"+
		"     Scheduler Configuration File       \n"+
		"----------------------------------------\n"+
		s.conf.Dump()+
		"----------------------------------------")
	s.info("SCHED", "XML-RPC client using "+strconv.FormatInt(s.conf.MessageSize, 10)+" bytes for response buffer.\n")
	s.log.Flush()
	if !s.contact(ctx) {
		return
	}
	s.info("SCHED", "Starting scheduler loop...")
	s.info("SCHED", "Scheduler loop started.")
	s.log.Flush()

	for sleep(ctx, s.conf.Interval) {
		s.pass(ctx)
		s.log.Flush()
	}
	s.info("SCHED", "Stopping the scheduler...")
	s.info("SCHED", "Scheduler loop stopped.")
	s.log.Flush()
}

// sleep waits, with an interval of 0 for ever; false means that ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	var timer <-chan time.Time
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-ctx.Done():
		return false
	case <-timer:
		return true
	}
}

// contact waits until a call to oned gets through and learns the zone. As in
// 4.6, a refusal is logged and otherwise taken for an answer.
func (s *Scheduler) contact(ctx context.Context) bool {
	for {
		zone, err := readZone(ctx, s.oned)
		var refused *Refusal
		if err != nil {
			s.error("SCHED", "Cannot contact oned, will retry... Error: "+err.Error())
			s.log.Flush()
		}
		if err == nil || errors.As(err, &refused) {
			s.zone = zone
			s.info("SCHED", "oned successfully contacted.")
			s.info("SCHED", "Configuring scheduler for Zone ID: "+strconv.Itoa(s.zone))
			return true
		}
		if !sleep(ctx, s.retry) {
			return false
		}
	}
}

// readZone asks oned for the zone whose ACL rules count.
func readZone(ctx context.Context, oned *Oned) (int, error) {
	conf, err := oned.Document(ctx, "one.system.config")
	if err != nil {
		return 0, err
	}
	zone, _ := template.VectorFromElement(conf.Child("FEDERATION")).Int("ZONE_ID")
	return int(zone), nil
}

// pass is one cycle. A pool that can't be read ends it.
func (s *Scheduler) pass(ctx context.Context) {
	s.unanswered = 0
	s.runActions(ctx)
	snap := s.readSnapshot(ctx)
	if snap == nil {
		return
	}
	s.log.Flush()
	m := match.NewMatcher(snap, s.conf.Policy, s.log.Shows(match.LevelDebug))
	decisions := m.Match(func(d *match.Decision) {
		for _, e := range d.Events {
			s.log.Event(d.VM.ID, e)
		}
		if d.Message != "" && !s.over(ctx) {
			s.tellOwner(ctx, d)
		}
	})
	if s.over(ctx) {
		return
	}
	s.log.Lines("SCHED", match.LevelInfo, results(m, decisions))
	s.dispatch(ctx, m.NewDispatcher(decisions))
}

// maxUnanswered is how many calls in a row may get no answer in a pass. Each
// may have taken the whole time limit, and the next machine would fare no better.
const maxUnanswered = 3

// over reports whether a pass has to end before its time.
func (s *Scheduler) over(ctx context.Context) bool {
	return ctx.Err() != nil || s.unanswered >= maxUnanswered
}

// call makes a call that changes something and notes whether oned answers.
func (s *Scheduler) call(ctx context.Context, method string, args ...any) error {
	_, err := s.oned.Call(ctx, method, args...)
	var refused *Refusal
	var fault xmlrpc.FaultError
	if err == nil || errors.As(err, &refused) || errors.As(err, &fault) {
		s.unanswered = 0
		return err
	}
	if s.unanswered++; s.unanswered == maxUnanswered {
		s.error("SCHED", "oned does not answer, giving up this pass. Error: "+err.Error())
	}
	return err
}

// readSnapshot reads the pools, nil when there is nothing to place or a pool
// can't be read.
func (s *Scheduler) readSnapshot(ctx context.Context) *match.Snapshot {
	pool := s.readVMs(ctx)
	if pool == nil {
		return nil
	}
	snap := &match.Snapshot{Zone: s.zone, VMs: match.ReadVMs(pool, s.conf.MaxVM)}
	if len(snap.VMs) == 0 {
		return nil
	}
	s.debug("VM", pendingTable(snap.VMs))

	system := s.read(ctx, "DATASTORE", "one.datastorepool.info")
	if system == nil {
		return nil
	}
	snap.SystemDatastores, _ = match.ReadDatastores(system)
	image := s.read(ctx, "DATASTORE", "one.datastorepool.info")
	if image == nil {
		return nil
	}
	_, snap.ImageDatastores = match.ReadDatastores(image)

	hosts := s.read(ctx, "HOST", "one.hostpool.info")
	if hosts == nil {
		return nil
	}
	snap.Hosts = match.ReadHosts(hosts, nil)
	s.debug("HOST", hostList(snap.Hosts))
	clusters := s.read(ctx, "CLUSTER", "one.clusterpool.info")
	if clusters == nil {
		return nil
	}
	snap.Hosts = match.ReadHosts(hosts, clusters)

	rules := s.read(ctx, "ACL", "one.acl.info")
	if rules == nil {
		return nil
	}
	var err error
	if snap.Rules, err = match.ReadRules(rules); err != nil {
		s.poolError("ACL", err)
		return nil
	}
	return snap
}

// allVMs are the arguments of one.vmpool.info: of all users, no range of ids,
// all states but DONE.
var allVMs = []any{-2, -1, -1, -1}

func (s *Scheduler) readVMs(ctx context.Context) *xmldoc.Node {
	return s.read(ctx, "VM", "one.vmpool.info", allVMs...)
}

// read reads a pool; what goes wrong is logged as 4.6 does and gives nil.
func (s *Scheduler) read(ctx context.Context, module, method string, args ...any) *xmldoc.Node {
	doc, err := s.oned.Document(ctx, method, args...)
	if err != nil {
		s.poolError(module, err)
		return nil
	}
	return doc
}

func (s *Scheduler) poolError(module string, err error) {
	var refused *Refusal
	if errors.As(err, &refused) {
		s.error("POOL", "ONE returned error while retrieving pool info:\n"+refused.Message)
		return
	}
	s.error(module, "Exception raised: "+err.Error())
	s.error("POOL", "Could not retrieve pool info from ONE")
}

// tellOwner stores why a machine has no place in its template. Failures are
// silent, as in 4.6: the next pass tries again.
func (s *Scheduler) tellOwner(ctx context.Context, d *match.Decision) {
	t := template.FromElement(d.VM.UserTemplate)
	t.Replace("SCHED_MESSAGE", s.now().Format(time.ANSIC)+" : "+d.Message)
	s.log.Flush()
	s.updateVM(ctx, d.VM.ID, t)
}

// updateVM replaces the user template of a machine.
func (s *Scheduler) updateVM(ctx context.Context, id int, t *template.Template) {
	if err := t.XMLSafe(); err != nil {
		s.error("VM", "Cannot update the template of VM "+strconv.Itoa(id)+": "+err.Error())
		return
	}
	_ = s.call(ctx, "one.vm.update", id, t.XML("TEMPLATE"))
}

func (s *Scheduler) dispatch(ctx context.Context, d *match.Dispatcher) {
	for !s.over(ctx) {
		order, ok := d.Next(s.log.Event)
		if !ok {
			return
		}
		if s.send(ctx, order) {
			d.Accept()
		} else {
			d.Refuse()
		}
	}
}

// send gives an order to oned and reports whether oned took it.
func (s *Scheduler) send(ctx context.Context, o match.Dispatch) bool {
	vm, host := strconv.Itoa(o.VM), strconv.Itoa(o.Host)
	var err error
	if o.Migrate {
		s.info("VM", "Rescheduling VM "+vm+" to host "+host)
		s.log.Flush()
		err = s.call(ctx, "one.vm.migrate", o.VM, o.Host, s.conf.LiveReschedule, false)
	} else {
		s.info("VM", "Dispatching VM "+vm+" to host "+host+" and datastore "+strconv.Itoa(o.Datastore))
		s.log.Flush()
		err = s.call(ctx, "one.vm.deploy", o.VM, o.Host, false, o.Datastore)
	}
	var refused *Refusal
	switch {
	case err == nil:
		return true
	case errors.As(err, &refused):
		s.error("VM", "Error deploying virtual machine "+vm+" to HID: "+host+". Reason: "+refused.Message)
	default:
		s.error("VM", "Exception raised: "+err.Error()+"\n")
	}
	s.log.Flush()
	return false
}

func (s *Scheduler) error(module, text string) { s.log.Line(module, match.LevelError, text) }
func (s *Scheduler) info(module, text string)  { s.log.Line(module, match.LevelInfo, text) }
func (s *Scheduler) debug(module, text string) { s.log.Line(module, match.LevelDebug, text) }
