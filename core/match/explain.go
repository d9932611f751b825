package match

import (
	"fmt"
	"slices"

	"goned/core/template/xmldoc"
)

// Explanation tells what a pass does with one machine, and why.
type Explanation struct {
	VM    *VM
	State string // what it does now
	// Notes tell about the machine as a whole, and where the languages differ
	// from what one would expect.
	Notes []string
	// Hosts and Datastores have a verdict each, in ascending order of id.
	Hosts, Datastores []Verdict
	// Ranking of the hosts and datastores that suit, best first, with how the
	// rank came about.
	HostRank, DatastoreRank string
	HostRanking             []Ranked
	DatastoreRanking        []Ranked
	// Attempts are the hosts in the order in which the pass tries them.
	Attempts []Verdict
	// Result is one sentence.
	Result string
}

// Verdict is about one host or datastore.
type Verdict struct {
	ID      int
	Name    string
	OK      bool
	Reasons []string // why not, or what is remarkable
}

// Ranked is a host or datastore with its rank.
type Ranked struct {
	ID       int
	Priority float32
	Terms    string // the values that went into it
}

// Explain plays a pass over the pools in which oned accepts every order, and
// tells what becomes of machine id. maxVM is the limit of machines of a pass.
// It is an error if the machine is not in the pool.
func Explain(pools *Pools, policy Policy, maxVM, id int) (*Explanation, error) {
	snap, err := pools.Snapshot(maxVM)
	if err != nil {
		return nil, err
	}
	x := &explainer{snap: snap, out: &Explanation{}}
	if err := x.findVM(pools, maxVM, id); err != nil {
		return nil, err
	}
	x.m = NewMatcher(snap, policy, true)
	decisions := x.m.Match(func(d *Decision) {
		if d.VM.ID == id {
			x.events = d.Events
		}
	})
	at := slices.IndexFunc(decisions, func(d *Decision) bool { return d.VM.ID == id })
	x.decision = decisions[at]
	x.explainRequests()
	x.explainHosts()
	x.explainOtherHosts(pools.Hosts)
	x.explainDatastores()
	x.explainRanking(policy)
	x.explainDispatch(decisions, at)
	return x.out, nil
}

type explainer struct {
	snap     *Snapshot
	m        *Matcher
	vm       *VM
	decision *Decision
	events   []Event
	out      *Explanation
	// onlyDatastores: all attempts so far failed for lack of a datastore.
	onlyDatastores bool
}

func (x *explainer) note(format string, args ...any) {
	x.out.Notes = append(x.out.Notes, fmt.Sprintf(format, args...))
}

// findVM finds the machine among those of the pass; one that the pass would
// not look at is put among them, with a note.
func (x *explainer) findVM(pools *Pools, maxVM, id int) error {
	var node *xmldoc.Node
	for _, n := range pools.VMs.All("VM") {
		if numberOf(n, "ID") == id {
			node = n
		}
	}
	if node == nil {
		return fmt.Errorf("no VM %d: it does not exist, or it is done", id)
	}
	x.out.State = vmState(numberOf(node, "STATE"), numberOf(node, "LCM_STATE"))
	for _, vm := range x.snap.VMs {
		if vm.ID == id {
			x.vm, x.out.VM = vm, vm
			return nil
		}
	}
	waiting := ReadVMs(pools.VMs, 0)
	before := slices.IndexFunc(waiting, func(vm *VM) bool { return vm.ID == id })
	if before >= 0 {
		x.note("A pass looks at the first %d waiting machines only (MAX_VM) and %d with lower ids wait: "+
			"it does not get to this one. What follows is as if it did.", maxVM, before)
	} else {
		x.note("The machine does not wait for a place: only PENDING machines and RUNNING ones with RESCHED=1 do. " +
			"What follows is as if it did.")
	}
	x.vm = readVM(node)
	x.out.VM = x.vm
	i, _ := slices.BinarySearchFunc(x.snap.VMs, id, func(vm *VM, id int) int { return vm.ID - id })
	x.snap.VMs = slices.Insert(x.snap.VMs, i, x.vm)
	return nil
}

// vmState names a state as oned numbers it.
func vmState(state, lcm int) string {
	names := []string{"INIT", "PENDING", "HOLD", "ACTIVE", "STOPPED", "SUSPENDED", "DONE", "FAILED", "POWEROFF", "UNDEPLOYED"}
	if state < 0 || state >= len(names) {
		return fmt.Sprintf("state %d", state)
	}
	if names[state] == "ACTIVE" {
		return fmt.Sprintf("ACTIVE, LCM_STATE %d", lcm)
	}
	return names[state]
}

func (x *explainer) explainRequests() {
	vm := x.vm
	if vm.Resched {
		x.note("The machine moves: any host but %d, and its datastore %d stays.", vm.HostID, vm.DatastoreID)
	}
	if vm.CPU == 0 && vm.Memory == 0 {
		x.note("CPU or MEMORY is missing or 0, so the machine counts as one that needs nothing.")
	}
	if vm.Public {
		x.note("PUBLIC_CLOUD or EC2 is in the template: hosts of a public cloud need no datastore for it.")
	}
	if x.decision.onlyPublic {
		x.note("The datastores do not suffice, so only hosts of a public cloud are left.")
	}
	if len(x.decision.Hosts) > 0 || x.hostsTested() {
		return
	}
	for _, e := range x.events {
		if e.Kind == EventImageDatastoreFull || e.Kind == EventImageDatastoreMissing {
			x.note("%s", x.imageNote(e))
		}
	}
}

// hostsTested reports whether matching came as far as the hosts.
func (x *explainer) hostsTested() bool { return x.decision.Message != "" }

func (x *explainer) imageNote(e Event) string {
	ds := x.m.images[e.Datastore]
	if ds == nil {
		return fmt.Sprintf("A disk is in image datastore %d, which does not exist or holds no images. No host is tried.", e.Datastore)
	}
	var need int64
	for _, use := range x.vm.Images {
		if use.DatastoreID == e.Datastore {
			need = use.MB
		}
	}
	return fmt.Sprintf("Image datastore %d (%s) has %d MB free and must have more than %d. No host is tried.",
		ds.ID, ds.Name, ds.FreeMB, need)
}

func (x *explainer) explainHosts() {
	vm := x.vm
	req := x.m.requirement(vm.Automatic, vm.Requirements, x.m.hosts)
	x.explainText("SCHED_REQUIREMENTS", req)
	auth := x.m.authorizer(vm, aclHost)
	for i, h := range x.snap.Hosts {
		v := Verdict{ID: h.ID, Name: h.Name}
		switch {
		case !auth.manages(h):
			v.reason("the owner (user %d with the machine's group %d) has no right to MANAGE it", vm.UID, vm.GID)
		case x.decision.onlyPublic && !h.Public:
			v.reason("it is local, and only a public cloud is left for the machine")
		case vm.Resched && vm.HostID == h.ID:
			v.reason("the machine runs there and is to move")
		case req.err != nil:
			v.reason("the requirements can't be read")
		case !req.bound.eval(i):
			v.Reasons = req.bound.whyFalse(i)
		case !req.guard.eval(i):
			v.reason("what oned requires must hold as well")
			v.Reasons = append(v.Reasons, req.guard.whyFalse(i)...)
		default:
			v.OK = true
			v.capacity(vm, h, h.CPUUsage, h.MemUsage)
		}
		x.out.Hosts = append(x.out.Hosts, v)
	}
}

func (v *Verdict) reason(format string, args ...any) {
	v.Reasons = append(v.Reasons, fmt.Sprintf(format, args...))
}

// capacity judges CPU and memory, with what is in use.
func (v *Verdict) capacity(vm *VM, h *Host, cpuUsed, memUsed int64) {
	if free := h.MaxCPU - cpuUsed; free < vm.CPU {
		v.OK = false
		v.reason("CPU: %d needed, %d free (MAX_CPU %d - %d in use), %d missing", vm.CPU, free, h.MaxCPU, cpuUsed, vm.CPU-free)
	}
	if free := h.MaxMem - memUsed; free < vm.Memory {
		v.OK = false
		v.reason("memory: %d KB needed, %d KB free (MAX_MEM %d - %d in use), %d KB missing", vm.Memory, free, h.MaxMem, memUsed, vm.Memory-free)
	}
}

// explainOtherHosts lists the hosts a pass never looks at.
func (x *explainer) explainOtherHosts(pool *xmldoc.Node) {
	states := []string{"INIT", "MONITORING_MONITORED", "MONITORED", "ERROR", "DISABLED", "MONITORING_ERROR", "MONITORING_INIT", "MONITORING_DISABLED"}
	for _, n := range pool.All("HOST") {
		s := numberOf(n, "STATE")
		if s == hostMonitoring || s == hostMonitored {
			continue
		}
		v := Verdict{ID: numberOf(n, "ID"), Name: textOf(n, "NAME")}
		name := fmt.Sprintf("%d", s)
		if s >= 0 && s < len(states) {
			name = states[s]
		}
		v.reason("its state is %s: only monitored hosts take machines", name)
		x.out.Hosts = append(x.out.Hosts, v)
	}
	slices.SortStableFunc(x.out.Hosts, func(a, b Verdict) int { return a.ID - b.ID })
}

func (x *explainer) explainDatastores() {
	vm := x.vm
	if vm.Resched {
		if len(x.m.currentDatastore(vm)) == 0 {
			x.note("Its datastore %d is no system datastore any more, so it can't move.", vm.DatastoreID)
		}
		return
	}
	req := x.m.requirement(vm.Automatic, vm.DatastoreRequirements, x.m.datastores)
	x.explainText("SCHED_DS_REQUIREMENTS", req)
	for i, ds := range x.snap.SystemDatastores {
		v := Verdict{ID: ds.ID, Name: ds.Name}
		switch {
		case !x.m.mayUse(vm, ds):
			v.reason("the owner (user %d with the machine's group %d) has no right to USE it, which DS_AUTHORIZATION asks for", vm.UID, vm.GID)
		case req.err != nil:
			v.reason("the requirements can't be read")
		case !req.bound.eval(i):
			v.Reasons = req.bound.whyFalse(i)
		case !req.guard.eval(i):
			v.reason("what oned requires must hold as well")
			v.Reasons = append(v.Reasons, req.guard.whyFalse(i)...)
		case ds.central() && vm.Disk >= ds.FreeMB:
			v.reason("space: it has %d MB free and must have more than %d", ds.FreeMB, vm.Disk)
		default:
			v.OK = true
			if !ds.central() {
				v.reason("not shared, or not monitored: the space is tested on each host")
			}
		}
		x.out.Datastores = append(x.out.Datastores, v)
	}
	if len(x.snap.SystemDatastores) == 0 {
		x.note("There is no system datastore.")
	}
}

// explainText shows how a text is read, or why it can't be.
func (x *explainer) explainText(name string, req joined) {
	switch {
	case req.err != nil:
		x.note("%s: %s", name, req.text)
		x.note("  %s. The columns count in the text above. Nothing matches.", req.err)
	case req.text == "":
		x.note("%s: none", name)
	default:
		x.note("%s: %s", name, req.text)
		if req.bound.operators() > 1 {
			x.note("  read as: %s  (&, | and ! have one precedence and group to the left)", req.bound)
		}
	}
	if req.guard != nil {
		x.note("  The user's part is no expression on its own; what oned requires (%s) is tested apart and can't be evaded.", req.guard)
	}
}
