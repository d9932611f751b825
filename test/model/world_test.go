package model

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"goned/core/auth"
	"goned/core/bootstrap"
	"goned/core/config"
	"goned/core/lifecycle"
	"goned/core/message"
	"goned/core/monitor"
	"goned/core/state"
	"goned/core/vm"
	"goned/rpc"
	"goned/rpc/xmlrpc"
	"goned/test/audit"
)

const configuration = `
VM_MAD = [ NAME = "dummy", EXECUTABLE = "dummy", TYPE = "xml" ]
IM_MAD = [ NAME = "dummy", EXECUTABLE = "dummy" ]
TM_MAD = [ EXECUTABLE = "dummy" ]
DATASTORE_MAD = [ EXECUTABLE = "dummy" ]
HM_MAD = [ EXECUTABLE = "dummy" ]
TM_MAD_CONF = [ NAME = "dummy",  LN_TARGET = "NONE",   CLONE_TARGET = "SYSTEM", SHARED = "yes" ]
TM_MAD_CONF = [ NAME = "shared", LN_TARGET = "NONE",   CLONE_TARGET = "SYSTEM", SHARED = "yes" ]
TM_MAD_CONF = [ NAME = "ssh",    LN_TARGET = "SYSTEM", CLONE_TARGET = "SYSTEM", SHARED = "no" ]
VM_HOOK = [ NAME = "running", ON = "RUNNING", COMMAND = "x", ARGUMENTS = "$ID $TEMPLATE $PREV_STATE" ]
VM_HOOK = [ NAME = "failed", ON = "FAILED", COMMAND = "x", ARGUMENTS = "$ID" ]
VM_HOOK = [ NAME = "custom", ON = "CUSTOM", STATE = "ACTIVE", LCM_STATE = "HOTPLUG", COMMAND = "x", REMOTE = "YES" ]
HOST_HOOK = [ NAME = "error", ON = "ERROR", COMMAND = "x", ARGUMENTS = "$ID" ]
IMAGE_HOOK = [ NAME = "gone", ON = "REMOVE", COMMAND = "x", ARGUMENTS = "$TEMPLATE" ]
`

// request is something that a driver has been asked and has not answered.
type request struct {
	driver, action string
	object         int // the VM, image, host or datastore
	vm             int // the VM that waits for it, -1 for none
	onlyFails      bool
	late           bool // it has been given up
}

func (r request) String() string { return fmt.Sprintf("%s %s %d", r.driver, r.action, r.object) }

// world is a cloud and everything around it.
type world struct {
	conf   *config.Config
	db     *database
	clock  time.Time
	start  int64 // of the daemon
	store  *state.Store
	server *rpc.Server
	rand   *rand.Rand // of the current step

	open    bool          // calls are begun only, see call
	begun   []chan answer // of those
	unheard *unheard

	mu   sync.Mutex // guards sent, which the committer appends to
	sent []any

	asked     []request
	answered  []request     // the last few, to be answered once more
	overdue   []request     // given up, but still being worked on
	cut       map[int]place // VMs whose request may have been lost, and where they were then
	seen      map[place]bool
	lostImage map[int]bool // images whose request may have been lost by a full disk
	names     int
	audited   *state.Snapshot // the last that was checked
	living    map[int]bool    // the VMs that were in memory then
	problems  []string        // seen in between
	trace     func(format string, args ...any)
}

// place is where a VM is.
type place struct {
	state vm.State
	lcm   vm.LCMState
}

func placeOf(v *vm.VM) place { return place{v.State, v.LCMState} }

// origin is a new cloud, from which every world starts.
type origin struct {
	conf *config.Config
	db   *database
}

var epoch = time.Unix(1400000000, 0)

func newOrigin(dir, authFile string) (*origin, error) {
	conf, err := config.Parse(configuration, config.Dirs{Var: dir + "/", VMs: dir + "/vms/"})
	if err != nil {
		return nil, err
	}
	o := &origin{conf: conf, db: newDatabase()}
	snap, err := state.Load(context.Background(), o.db, conf.MACPrefix)
	if err != nil {
		return nil, err
	}
	store := state.NewStore(snap, conf, o.db, state.SinkFunc(func(*state.Snapshot, []any) {}), func() time.Time { return epoch }, quiet)
	err = bootstrap.Run(store, conf, func(string) string { return authFile })
	return o, errors.Join(err, store.Close())
}

var quiet = slog.New(slog.DiscardHandler)

// unheard keeps what the store says in the log: that it could not do something which nobody can be told otherwise.
type unheard struct {
	slog.Handler
	mu    sync.Mutex
	texts []string
}

func (u *unheard) Enabled(context.Context, slog.Level) bool { return true }

func (u *unheard) Handle(_ context.Context, r slog.Record) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.texts = append(u.texts, r.Message)
	return nil
}

// take gives what has been said and is more than that the database takes nothing.
func (u *unheard) take() (texts []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, text := range u.texts {
		if !strings.Contains(text, errDisk.Error()) && !strings.Contains(text, "The database takes nothing") {
			texts = append(texts, "in the log: "+text)
		}
	}
	u.texts = nil
	return texts
}

func newWorld(o *origin, trace func(string, ...any)) *world {
	w := &world{
		conf: o.conf, db: o.db.clone(), clock: epoch, cut: map[int]place{}, seen: map[place]bool{}, lostImage: map[int]bool{},
		unheard: &unheard{Handler: slog.DiscardHandler}, trace: func(string, ...any) {},
	}
	snap, err := state.Load(context.Background(), w.db, w.conf.MACPrefix)
	if err != nil {
		panic(err) // o was made of such a database
	}
	w.begin(snap)
	w.populate()
	w.trace = trace
	return w
}

// begin starts a daemon on a state.
func (w *world) begin(snap *state.Snapshot) {
	now := func() time.Time { return w.clock }
	w.start = w.clock.Unix()
	w.store = state.NewStore(snap, w.conf, w.db, state.SinkFunc(w.deliver), now, slog.New(w.unheard))
	w.server = rpc.NewServer(rpc.Options{
		Store: w.store, Conf: w.conf, Drivers: w, Log: quiet, AuthLog: quiet, Now: func() time.Time { return w.clock },
	})
}

func (w *world) close() error { return w.store.Close() }

func (w *world) deliver(_ *state.Snapshot, messages []any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, messages...)
}

// The parts of rpc.Drivers.

func (w *world) Authenticate(context.Context, int, string, string, string, string) (string, error) {
	return "", errors.New("no driver")
}
func (w *world) External() bool { return false }
func (w *world) AskAuthorization(context.Context, int, []auth.Check, []bool) (bool, string, error) {
	return false, "", errors.New("no driver")
}
func (w *world) Stat(context.Context, string, string) (string, error) {
	if w.rand.IntN(8) == 0 {
		return "", errors.New("no such file")
	}
	return strconv.Itoa(1 + w.rand.IntN(50)), nil
}

// update runs a transaction of periodic work. When the database refuses it, nothing has happened.
func (w *world) update(fn func(*state.Tx) error) {
	switch err := w.store.Update(fn); {
	case errors.Is(err, errDisk):
		w.trace("  the database refuses")
	case err != nil:
		panic(fmt.Sprintf("a transaction of the daemon itself failed: %v", err))
	}
	w.settle()
}

// happened runs a transaction for something that has happened outside, as the driver manager does: nobody waits for the disk, and a
// database that takes nothing gets it later.
func (w *world) happened(fn func(*state.Tx) error) {
	if err := w.store.Post(fn); err != nil {
		panic(fmt.Sprintf("a transaction for an event failed: %v", err))
	}
	w.settle()
}

// settle waits until the store has nothing to do, or the database takes nothing, and takes its messages to the drivers.
func (w *world) settle() {
	synctest.Wait()
	if refused, down := w.db.trouble(); refused && !down {
		time.Sleep(time.Minute) // it tries again
		synctest.Wait()
	}
	w.db.set(func() { w.db.refused = false })
	w.post()
}

// answer is that of an API call.
type answer struct {
	as, method string
	args       []any
	result     any
	ok         bool
}

// call makes an API call and gives its result; ok is false when it was refused. While calls are open it gives nothing.
func (w *world) call(as, method string, args ...any) (result any, ok bool) {
	if !w.open {
		a := w.serve(as, method, args)
		w.heard(a)
		w.settle()
		return a.result, a.ok
	}
	later := make(chan answer, 1)
	w.begun = append(w.begun, later)
	go func() { later <- w.serve(as, method, args) }()
	synctest.Wait()
	return nil, false
}

func (w *world) serve(as, method string, args []any) answer {
	params := []xmlrpc.Value{xmlrpc.String(as + ":pw")}
	for _, a := range args {
		switch v := a.(type) {
		case int:
			params = append(params, xmlrpc.Int(v))
		case bool:
			params = append(params, xmlrpc.Bool(v))
		case string:
			params = append(params, xmlrpc.String(v))
		}
	}
	value, fault := w.server.ServeCall(context.Background(), &xmlrpc.Call{Method: method, Params: params})
	if fault != nil {
		return answer{as, method, args, fault, false}
	}
	items, _ := value.AsArray()
	ok, _ := items[0].AsBool()
	if n, isInt := items[1].AsInt(); isInt {
		return answer{as, method, args, n, ok}
	}
	text, _ := items[1].AsString()
	return answer{as, method, args, text, ok}
}

// heard looks at an answer.
func (w *world) heard(a answer) {
	w.trace("%s: %s%v = %v", a.as, a.method, a.args, a.result)
	text, _ := a.result.(string)
	_, isFault := a.result.(*xmlrpc.Fault)
	refused, down := w.db.trouble()
	if isFault || strings.HasSuffix(text, "Internal Error") && !refused && !down {
		w.problems = append(w.problems, fmt.Sprintf("%s%v: %v", a.method, a.args, a.result))
	}
}

// post takes the messages of committed transactions to the drivers.
func (w *world) post() {
	w.mu.Lock()
	sent := w.sent
	w.sent = nil
	w.mu.Unlock()
	for _, msg := range sent {
		switch x := msg.(type) {
		case message.VMAction:
			w.ask(request{driver: "vmm", action: x.Action, object: x.VM, vm: x.VM, onlyFails: x.Driver != "dummy"})
		case message.Transfer:
			w.ask(request{driver: "tm", action: "TRANSFER", object: x.VM, vm: x.VM})
		case message.ImageAction:
			w.ask(request{driver: "ds", action: x.Action, object: x.Image, vm: w.waiting(x.Image)})
		case message.MonitorHost:
			w.ask(request{driver: "im", action: "MONITOR", object: x.Host, vm: -1})
		case message.CancelVMAction:
			w.trace("  > vmm DRIVER_CANCEL %d", x.VM)
		case message.CancelTransfer:
			w.trace("  > tm DRIVER_CANCEL %d", x.VM)
		}
	}
}

// waiting is the VM whose savedisk waits for an image.
func (w *world) waiting(imageID int) int {
	img := w.store.Snapshot().Images.Get(imageID)
	if img == nil {
		return -1
	}
	if id, ok := img.Template.Int("SAVED_VM_ID"); ok && img.IsSaving() {
		return int(id)
	}
	return -1
}

func (w *world) ask(r request) {
	w.trace("  > %s", r)
	w.asked = append(w.asked, r)
}

// answer brings the answer to a request, as the driver manager does.
func (w *world) answer(r request, ok bool) { w.answerWith(r, ok, w.info(r, ok)) }

func (w *world) answerWith(r request, ok bool, info string) {
	w.trace("  < %s %v %s", r, ok, info)
	line := fmt.Sprintf("%s %v %d %s", r.action, ok, r.object, info)
	switch r.driver {
	case "vmm":
		w.happened(func(tx *state.Tx) error {
			return lifecycle.VMMAnswer(tx, lifecycle.Answer{Action: r.action, VM: r.object, Success: ok, Info: info, Line: line, Late: r.late})
		})
	case "tm":
		w.happened(func(tx *state.Tx) error {
			return lifecycle.TransferAnswer(tx, lifecycle.Answer{Action: r.action, VM: r.object, Success: ok, Info: info, Line: line, Late: r.late})
		})
	case "ds":
		w.happened(func(tx *state.Tx) error {
			return lifecycle.ImageAnswer(tx, lifecycle.ImageResult{Action: r.action, Image: r.object, Success: ok, Info: info})
		})
	case "im":
		if ok {
			info = w.hostReport(r.object)
		}
		w.happened(func(tx *state.Tx) error { return monitor.HostAnswer(tx, r.object, ok, info) })
	}
}

// info is the text of an answer.
func (w *world) info(r request, ok bool) string {
	switch {
	case !ok:
		return pick(w, "", "-", "it broke", "it <broke> & \"badly\"")
	case r.action == "POLL":
		return w.poll()
	case r.action == "DEPLOY":
		return pick(w, "one-"+strconv.Itoa(r.object), "", "other")
	case r.driver == "ds":
		return "/var/images/" + strconv.Itoa(r.object)
	}
	return pick(w, "-", "", "hv-snap 1")
}

// poll is what a hypervisor says of a VM.
func (w *world) poll() string {
	text := pick(w, "STATE=a", "STATE=a", "STATE=a", "STATE=p", "STATE=d", "STATE=e", "STATE=-", "STATE=x", "nonsense", "")
	return text + pick(w, "", " USEDMEMORY=1024 USEDCPU=33.7 NETRX=10 NETTX=20", " CUSTOM=1", " MEMORY=7 CPU=9 DISK=none NIC=none")
}

// hostReport is what a host says of itself and its VMs.
func (w *world) hostReport(id int) string {
	var b strings.Builder
	b.WriteString("TOTALCPU=800\nTOTALMEMORY=8000000\nFREECPU=700\nFREEMEMORY=7000000\n")
	if w.rand.IntN(6) == 0 {
		return pick(w, "TOTALCPU=", "", "A=[")
	}
	if w.rand.IntN(6) > 0 {
		b.WriteString("VM_POLL=YES\n")
	}
	h := w.store.Snapshot().Hosts.Get(id)
	if h == nil {
		return b.String()
	}
	for _, v := range h.VMs {
		if w.rand.IntN(4) > 0 {
			fmt.Fprintf(&b, "VM=[ID=%d,DEPLOY_ID=one-%d,POLL=\"%s\"]\n", v, v, w.poll())
		}
	}
	if w.rand.IntN(3) == 0 {
		b.WriteString("VM=[ID=-1,DEPLOY_ID=wild,POLL=\"STATE=a\"]\nVM=[ID=77,DEPLOY_ID=one-77,POLL=\"STATE=a\"]\n")
	}
	fmt.Fprintf(&b, "DS=[ID=0,TOTAL_MB=1000,FREE_MB=%d,USED_MB=1]\n", w.rand.IntN(1000))
	return b.String()
}

// answerOne lets a driver answer one of its requests.
func (w *world) answerOne(at int, ok bool) {
	r := w.asked[at]
	w.asked = slices.Delete(w.asked, at, at+1)
	w.answered = append(w.answered[max(0, len(w.answered)-7):], r)
	w.answer(r, ok && !r.onlyFails)
}

// die ends a driver process: the manager fails what it had been asked.
func (w *world) die(driver string) {
	w.trace("driver %s dies", driver)
	var failing []request
	w.asked = slices.DeleteFunc(w.asked, func(r request) bool {
		if r.driver == driver {
			failing = append(failing, r)
		}
		return r.driver == driver
	})
	w.overdue = slices.DeleteFunc(w.overdue, func(r request) bool { return r.driver == driver })
	for _, r := range failing {
		w.answer(r, false)
	}
}

// restart kills the daemon and starts it on its database. The drivers die with it.
func (w *world) restart() []string {
	w.trace("restart")
	before := w.store.Snapshot()
	if err := w.close(); err != nil {
		return []string{err.Error()}
	}
	after, err := state.Load(context.Background(), w.db, w.conf.MACPrefix)
	if err != nil {
		return []string{err.Error()}
	}
	problems := append(differences(before, after), w.unheard.take()...)
	w.asked, w.answered, w.overdue = nil, nil, nil
	w.db.set(func() { w.db.refuse, w.db.down, w.db.refused = false, false, false })
	w.begin(after)
	w.cutOff()
	clear(w.lostImage) // what was done with images is done again
	w.update(lifecycle.Resumed)
	w.update(func(tx *state.Tx) error {
		lifecycle.RedoImages(tx, lifecycle.CutOffImages(after))
		return nil
	})
	return problems
}

// cutOff notes that an answer may never come to what has been asked until now.
func (w *world) cutOff() {
	for v := range w.store.Snapshot().VMs.All() {
		w.cut[v.ID] = placeOf(v)
	}
	for img := range w.store.Snapshot().Images.All() {
		w.lostImage[img.ID] = true
	}
}

// check looks for what is wrong after a step.
func (w *world) check() []string {
	problems := append(w.problems, w.unheard.take()...)
	w.problems = nil
	if _, down := w.db.trouble(); down {
		return problems // what drivers have answered waits to be written down
	}
	if s := w.store.Snapshot(); s != w.audited {
		cloud := audit.Of(s)
		cloud.VMs = append(cloud.VMs, w.ended(s)...)
		problems = append(problems, cloud.Check()...)
		w.audited = s
	}
	return append(problems, w.stuck()...)
}

// ended are the VMs that have come to their end since the last check and left memory.
func (w *world) ended(s *state.Snapshot) (ended []*vm.VM) {
	living := map[int]bool{}
	for v := range s.VMs.All() {
		living[v.ID] = true
	}
	for id := range w.living {
		if !living[id] {
			ended = append(ended, s.VMs.Get(id))
		}
	}
	w.living = living
	return ended
}

// stuck lists VMs and images that wait for a driver which nobody has asked.
func (w *world) stuck() []string {
	var problems []string
	s := w.store.Snapshot()
	for v := range s.VMs.All() {
		w.seen[placeOf(v)] = true
		if where, cut := w.cut[v.ID]; cut && where == placeOf(v) {
			continue
		}
		delete(w.cut, v.ID)
		if v.State != vm.Active || v.LCMState == vm.Running || v.LCMState == vm.Unknown {
			continue
		}
		if !slices.ContainsFunc(w.asked, func(r request) bool { return r.vm == v.ID }) {
			problems = append(problems, fmt.Sprintf("VM %d is in %s, and no driver has been asked anything", v.ID, v.LCMState))
		}
	}
	return append(problems, w.stuckImages(s)...)
}
