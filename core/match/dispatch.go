package match

// Dispatch is an order to the cloud: run VM on Host with the system datastore,
// or move it there.
type Dispatch struct {
	VM, Host  int
	Datastore int // -1 on a public cloud host
	Migrate   bool
}

// Dispatcher turns decisions into orders, one at a time: what an order takes,
// if the cloud accepts it, is no longer there for the next. Not safe for
// concurrent use.
type Dispatcher struct {
	m         *Matcher
	decisions []*Decision
	policy    Policy

	cpu, mem []int64         // used on each host
	started  []int           // on each host
	free     []int64         // MB in each system datastore
	local    []map[int]int64 // MB in system datastores, by host
	images   map[int]int64   // MB in image datastores

	vm, host int // the machine at hand and the next of its candidates
	done     int
	current  Dispatch
	h, ds    int // indexes of current, ds -1 without
}

// NewDispatcher starts the dispatch of the decisions Match returned.
func (m *Matcher) NewDispatcher(decisions []*Decision) *Dispatcher {
	p := &Dispatcher{
		m: m, decisions: decisions, policy: m.policy,
		cpu: make([]int64, len(m.snap.Hosts)), mem: make([]int64, len(m.snap.Hosts)),
		started: make([]int, len(m.snap.Hosts)), local: make([]map[int]int64, len(m.snap.Hosts)),
		free: make([]int64, len(m.snap.SystemDatastores)), images: make(map[int]int64),
	}
	for i, h := range m.snap.Hosts {
		p.cpu[i], p.mem[i] = h.CPUUsage, h.MemUsage
	}
	for i, ds := range m.snap.SystemDatastores {
		p.free[i] = ds.FreeMB
	}
	for _, ds := range m.snap.ImageDatastores {
		p.images[ds.ID] = ds.FreeMB
	}
	return p
}

// Next returns the next order and what the log has to say before it; ok is
// false at the end of the pass. Accept or Refuse must follow each order.
func (p *Dispatcher) Next(log func(vm int, e Event)) (order Dispatch, ok bool) {
	for ; p.vm < len(p.decisions); p.vm, p.host = p.vm+1, 0 {
		if p.policy.MaxDispatch > 0 && p.done >= p.policy.MaxDispatch {
			return Dispatch{}, false
		}
		d := p.decisions[p.vm]
		if p.host == 0 && !p.begin(d, log) {
			continue
		}
		for p.host < len(d.Hosts) {
			h := int(d.Hosts[p.host].index)
			p.host++
			if p.place(d, h, log) == placed {
				return p.current, true
			}
		}
	}
	return Dispatch{}, false
}

// begin tests once more what a machine needs in image datastores, with what is
// left of them.
func (p *Dispatcher) begin(d *Decision, log func(int, Event)) bool {
	if len(d.Hosts) == 0 || d.VM.Resched {
		return len(d.Hosts) > 0
	}
	ok := p.m.imagesFit(d, func(ds *Datastore) int64 { return p.images[ds.ID] })
	if !ok && d.VM.Public {
		p.m.restrictToPublic(d)
		ok = true
	}
	for _, e := range d.Events {
		log(d.VM.ID, e)
	}
	d.Events = nil
	return ok
}

// outcome is what came of trying a host.
type outcome uint8

const (
	placed outcome = iota
	noCapacity
	notPublic
	hostLimit
	noDatastore
	escaped
)

// place tries host h for the machine and makes it the current order if it is
// to be used.
func (p *Dispatcher) place(d *Decision, h int, log func(int, Event)) outcome {
	vm, host := d.VM, p.m.snap.Hosts[h]
	switch {
	case !fits(vm, host, p.cpu[h], p.mem[h]):
		return noCapacity
	case d.onlyPublic && !host.Public:
		return notPublic
	case p.started[h] >= p.policy.MaxHost:
		return hostLimit
	}
	p.h, p.ds = h, -1
	p.current = Dispatch{VM: vm.ID, Host: host.ID, Datastore: -1, Migrate: vm.Resched}
	if !host.Public {
		if p.ds = p.datastore(d, h, log); p.ds < 0 {
			log(vm.ID, Event{Kind: EventNoDatastoreForHost, Host: host.ID})
			return noDatastore
		}
		p.current.Datastore = p.m.snap.SystemDatastores[p.ds].ID
	}
	if !d.hostGuard.eval(h) {
		log(vm.ID, Event{Kind: EventHostEscaped, Host: host.ID})
		return escaped
	}
	return placed
}

// datastore returns the best datastore for the machine on host h, -1 if there
// is none. Host and datastore must be in the same cluster, or both in none.
func (p *Dispatcher) datastore(d *Decision, h int, log func(int, Event)) int {
	host := p.m.snap.Hosts[h]
	for _, c := range d.Datastores {
		i := int(c.index)
		ds := p.m.snap.SystemDatastores[i]
		if ds.ClusterID != host.ClusterID || !d.datastoreGuard.eval(i) {
			continue
		}
		if d.VM.Resched || d.VM.Disk < p.spaceFor(h, i) {
			return i // a machine that moves has its files there already
		}
		if p.m.trace && !ds.central() {
			log(d.VM.ID, Event{Kind: EventLocalDatastoreCapacity, Host: host.ID, Datastore: ds.ID})
		}
	}
	return -1
}

// spaceFor is what is left in MB in datastore i for machines on host h.
func (p *Dispatcher) spaceFor(h, i int) int64 {
	ds := p.m.snap.SystemDatastores[i]
	if ds.central() {
		return p.free[i]
	}
	return p.localFree(h, ds.ID)
}

// localFree is what is left for a datastore on a host: what the host reported
// for it, else the host's free disk.
func (p *Dispatcher) localFree(h, ds int) int64 {
	if free, ok := p.local[h][ds]; ok {
		return free
	}
	return p.m.snap.Hosts[h].freeFor(ds)
}

func (h *Host) freeFor(ds int) int64 {
	if free, ok := h.LocalFree[ds]; ok {
		return free
	}
	return h.FreeDisk
}

// Accept books the current order: the cloud took it. The next order is for the
// next machine.
func (p *Dispatcher) Accept() {
	d := p.decisions[p.vm]
	vm, host := d.VM, p.m.snap.Hosts[p.h]
	if !vm.Resched && !host.Public {
		p.bookStorage(vm)
	}
	p.cpu[p.h] += vm.CPU
	p.mem[p.h] += vm.Memory
	p.started[p.h]++
	p.done++
	p.vm, p.host = p.vm+1, 0
}

func (p *Dispatcher) bookStorage(vm *VM) {
	ds := p.m.snap.SystemDatastores[p.ds]
	if ds.central() {
		p.free[p.ds] -= vm.Disk
	} else {
		left := p.localFree(p.h, ds.ID) - vm.Disk
		if p.local[p.h] == nil {
			p.local[p.h] = make(map[int]int64)
		}
		p.local[p.h][ds.ID] = left
	}
	for _, use := range vm.Images {
		p.images[use.DatastoreID] -= use.MB
	}
}

// Refuse tells that the cloud did not take the current order: the machine's
// next host is tried, and the refused host stays free.
func (p *Dispatcher) Refuse() {}
