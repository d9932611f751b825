package match

import (
	"math"
	"runtime"
	"slices"
	"sync"

	"goned/core/template/xmldoc"
)

// Candidate is a host or a system datastore that suits a machine.
type Candidate struct {
	index    int32   // in the snapshot
	Priority float32 // -1 to 1: the rank divided by the largest magnitude
}

// Decision is what matching found out about one machine.
type Decision struct {
	VM *VM
	// Hosts and Datastores that suit, best first. Datastores is empty for a
	// machine that can only go to a public cloud.
	Hosts, Datastores []Candidate
	// Message tells the owner why there is no place, "" if there is one or if
	// 4.6 says nothing. It belongs into SCHED_MESSAGE.
	Message string
	// Events are for the log, in order; filtered hosts and datastores are left
	// out unless the matcher traces.
	Events []Event

	onlyPublic bool
	// guards are set when the user's text is no expression on its own, see
	// joined.
	hostGuard, datastoreGuard *boundBool
}

// Matcher matches the machines of a snapshot. It is safe for concurrent use.
type Matcher struct {
	snap   *Snapshot
	policy Policy
	trace  bool

	hosts, datastores *table
	images            map[int]*Datastore

	mu           sync.Mutex
	requirements map[requirementKey]joined // guarded by mu
	authorizers  map[ownerKey]*authorizer  // guarded by mu
}

// ownerKey is the owner of a machine and what is asked about.
type ownerKey struct {
	uid, gid int
	kind     uint64
}

type requirementKey struct {
	automatic, user string
	hasUser         bool
	hosts           bool
}

// NewMatcher prepares a pass over the snapshot, which must not change any
// more. With trace the decisions tell about every filtered host and datastore.
func NewMatcher(snap *Snapshot, policy Policy, trace bool) *Matcher {
	m := &Matcher{
		snap: snap, policy: policy, trace: trace,
		images:       make(map[int]*Datastore),
		requirements: make(map[requirementKey]joined),
		authorizers:  make(map[ownerKey]*authorizer),
	}
	docs := make([]*xmldoc.Node, len(snap.Hosts))
	vms := make([]map[int32]bool, len(snap.Hosts))
	for i, h := range snap.Hosts {
		docs[i], vms[i] = h.doc, h.vms
	}
	m.hosts = newTable(hostKind, docs)
	m.hosts.vms = vms
	docs = make([]*xmldoc.Node, len(snap.SystemDatastores))
	for i, d := range snap.SystemDatastores {
		docs[i] = d.doc
	}
	m.datastores = newTable(datastoreKind, docs)
	for _, d := range snap.ImageDatastores {
		m.images[d.ID] = d
	}
	return m
}

// matchChunk is how many machines are matched before their decisions are
// handed out: enough to keep the processors busy, few enough to bound the
// events in memory.
const matchChunk = 64

// Match decides about all machines and hands the decisions to visit, in
// ascending order of id and one at a time. It works on all processors, which
// changes nothing in the result.
func (m *Matcher) Match(visit func(*Decision)) []*Decision {
	decisions := make([]*Decision, len(m.snap.VMs))
	for start := 0; start < len(decisions); start += matchChunk {
		chunk := decisions[start:min(start+matchChunk, len(decisions))]
		m.matchChunk(start, chunk)
		for _, d := range chunk {
			visit(d)
			d.Events = nil
		}
	}
	return decisions
}

func (m *Matcher) matchChunk(start int, chunk []*Decision) {
	var wg sync.WaitGroup
	workers := min(runtime.GOMAXPROCS(0), len(chunk))
	for w := range workers {
		wg.Go(func() {
			var s scratch
			for i := w; i < len(chunk); i += workers {
				chunk[i] = m.decide(m.snap.VMs[start+i], &s)
			}
		})
	}
	wg.Wait()
}

// scratch is memory that is used again from machine to machine.
type scratch struct {
	candidates []Candidate
	keys       []uint64
}

// Decide matches one machine of the snapshot.
func (m *Matcher) Decide(vm *VM) *Decision { return m.decide(vm, new(scratch)) }

func (m *Matcher) decide(vm *VM, s *scratch) *Decision {
	d := &Decision{VM: vm}
	if !vm.Resched && !m.imagesFit(d, func(ds *Datastore) int64 { return ds.FreeMB }) {
		if !vm.Public {
			return d
		}
		m.restrictToPublic(d)
	}
	if !m.matchHosts(d, s) {
		return d
	}
	m.rank(d, d.Hosts, vm.Rank, m.policy.HostRank, m.hosts, s)
	if vm.Resched {
		d.Datastores = m.currentDatastore(vm)
		return d
	}
	m.matchDatastores(d, s)
	return d
}

// imagesFit tests the space in image datastores; free gives what is left.
func (m *Matcher) imagesFit(d *Decision, free func(*Datastore) int64) bool {
	for _, use := range d.VM.Images {
		ds := m.images[use.DatastoreID]
		if ds == nil {
			d.event(Event{Kind: EventImageDatastoreMissing, Datastore: use.DatastoreID})
			return false
		}
		if use.MB >= free(ds) {
			d.event(Event{Kind: EventImageDatastoreFull, Datastore: use.DatastoreID})
			return false
		}
	}
	return true
}

func (m *Matcher) restrictToPublic(d *Decision) {
	d.onlyPublic = true
	d.event(Event{Kind: EventOnlyPublic})
}

func (d *Decision) event(e Event) { d.Events = append(d.Events, e) }

func (m *Matcher) filtered(d *Decision, e Event) {
	if m.trace {
		d.event(e)
	}
}

// matchHosts fills the candidates and reports whether there is one; if not,
// the message says why.
func (m *Matcher) matchHosts(d *Decision, s *scratch) bool {
	vm := d.VM
	req := m.requirement(vm.Automatic, vm.Requirements, m.hosts)
	auth := m.authorizer(vm, aclHost)
	authorized, matched := 0, 0
	found := s.candidates[:0]
	for i, h := range m.snap.Hosts {
		if !auth.manages(h) {
			m.filtered(d, Event{Kind: EventHostNotAuthorized, Host: h.ID})
			continue
		}
		authorized++
		if d.onlyPublic && !h.Public {
			m.filtered(d, Event{Kind: EventHostNotPublic, Host: h.ID})
			continue
		}
		if vm.Resched && vm.HostID == h.ID {
			m.filtered(d, Event{Kind: EventHostCurrent, Host: h.ID})
			continue
		}
		if req.err != nil {
			d.Message = "Error in SCHED_REQUIREMENTS: '" + req.text + "', error: " + req.err.Error()
			d.event(Event{Kind: EventRequirementError, Detail: d.Message})
			return false
		}
		if !req.bound.eval(i) {
			m.filtered(d, Event{Kind: EventHostRequirements, Host: h.ID})
			continue
		}
		matched++
		if !fits(vm, h, h.CPUUsage, h.MemUsage) {
			m.filtered(d, Event{Kind: EventHostCapacity, Host: h.ID})
			continue
		}
		found = append(found, Candidate{index: int32(i)})
	}
	s.candidates = found
	d.hostGuard = req.guard
	escaped := len(found) > 0 && !anyMeets(found, req.guard)
	if len(found) > 0 && !escaped {
		d.Hosts = slices.Clone(found)
		return true
	}
	switch {
	case len(m.snap.Hosts) == 0:
		d.Message = "No hosts enabled to run VMs"
	case authorized == 0:
		d.Message = "User is not authorized to use any host"
	case matched == 0 || escaped:
		d.Message = "No host meets SCHED_REQUIREMENTS: " + req.text
	default:
		d.Message = "No host with enough capacity to deploy the VM"
	}
	return false
}

func fits(vm *VM, h *Host, cpuUsage, memUsage int64) bool {
	return h.MaxCPU-cpuUsage >= vm.CPU && h.MaxMem-memUsage >= vm.Memory
}

func anyMeets(candidates []Candidate, guard *boundBool) bool {
	return slices.ContainsFunc(candidates, func(c Candidate) bool { return guard.eval(int(c.index)) })
}

// currentDatastore is the only one a machine that moves can have.
func (m *Matcher) currentDatastore(vm *VM) []Candidate {
	for i, ds := range m.snap.SystemDatastores {
		if ds.ID == vm.DatastoreID {
			return []Candidate{{index: int32(i)}}
		}
	}
	return nil
}

func (m *Matcher) matchDatastores(d *Decision, s *scratch) {
	vm := d.VM
	req := m.requirement(vm.Automatic, vm.DatastoreRequirements, m.datastores)
	authorized, matched := 0, 0
	for i, ds := range m.snap.SystemDatastores {
		if !m.mayUse(vm, ds) {
			m.filtered(d, Event{Kind: EventDatastoreNotAuthorized, Datastore: ds.ID})
			continue
		}
		authorized++
		if req.err != nil {
			d.Message = "Error in SCHED_DS_REQUIREMENTS: '" + req.text + "', error: " + req.err.Error()
			d.event(Event{Kind: EventDatastoreRequirementError, Detail: d.Message})
			break
		}
		if !req.bound.eval(i) {
			m.filtered(d, Event{Kind: EventDatastoreRequirements, Datastore: ds.ID})
			continue
		}
		matched++
		if ds.central() && vm.Disk >= ds.FreeMB {
			m.filtered(d, Event{Kind: EventDatastoreCapacity, Datastore: ds.ID})
			continue
		}
		d.Datastores = append(d.Datastores, Candidate{index: int32(i)})
	}
	d.datastoreGuard = req.guard
	escaped := len(d.Datastores) > 0 && !anyMeets(d.Datastores, req.guard)
	if len(d.Datastores) > 0 && !escaped {
		m.rank(d, d.Datastores, vm.DatastoreRank, m.policy.DatastoreRank, m.datastores, s)
		return
	}
	d.Datastores = nil
	if vm.Public {
		d.Message = "" // public hosts need no datastore
		m.restrictToPublic(d)
		return
	}
	d.Hosts = nil
	switch {
	case d.Message != "":
	case len(m.snap.SystemDatastores) == 0:
		d.Message = "No system datastores found to run VMs"
	case authorized == 0:
		d.Message = "User is not authorized to use any system datastore"
	case matched == 0 || escaped:
		d.Message = "No system datastore meets SCHED_DS_REQUIREMENTS: " + req.text
	default:
		d.Message = "No system datastore with enough capacity for the VM"
	}
}

// rank gives the candidates their priorities and sorts them, best first,
// equal ones by descending id.
func (m *Matcher) rank(d *Decision, candidates []Candidate, own, byPolicy string, t *table, s *scratch) {
	text := own
	if text == "" {
		text = byPolicy
	}
	if text != "" {
		rank, err := ParseRank(text)
		if err != nil {
			e := Event{Kind: EventRankError, Detail: "Computing rank, expression: " + text + ", error: " + err.Error()}
			for range candidates {
				d.event(e)
			}
		}
		prioritize(candidates, rank.bind(t))
	}
	sortCandidates(candidates, s)
}

// sortCandidates sorts by descending priority, equal ones by descending id,
// which is descending index. As integers, because this is the most frequent
// sort of a pass.
func sortCandidates(candidates []Candidate, s *scratch) {
	keys := s.keys[:0]
	for _, c := range candidates {
		ascending := math.Float32bits(c.Priority)
		if ascending>>31 == 1 {
			ascending = ^ascending
		} else {
			ascending |= 1 << 31
		}
		keys = append(keys, uint64(^ascending)<<32|uint64(^uint32(c.index)))
	}
	s.keys = keys
	slices.Sort(keys)
	for i, k := range keys {
		bits := ^uint32(k >> 32)
		if bits>>31 == 1 {
			bits &^= 1 << 31
		} else {
			bits = ^bits
		}
		candidates[i] = Candidate{index: int32(^uint32(k)), Priority: math.Float32frombits(bits)}
	}
}

func prioritize(candidates []Candidate, rank *boundRank) {
	var largest float32
	for i := range candidates {
		c := &candidates[i]
		c.Priority = float32(rank.of(int(c.index)))
		largest = max(largest, float32(math.Abs(float64(c.Priority))))
	}
	if largest == 0 {
		return
	}
	for i := range candidates {
		candidates[i].Priority /= largest
	}
}

// authorizer is the one for the owner of the machine and hosts (right to
// MANAGE) or datastores (right to USE).
func (m *Matcher) authorizer(vm *VM, kind uint64) *authorizer {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := ownerKey{vm.UID, vm.GID, kind}
	a, ok := m.authorizers[key]
	if !ok {
		right := uint64(aclManage)
		if kind == aclDatastore {
			right = aclUse
		}
		a = newAuthorizer(m.snap.Rules, m.snap.Zone, vm.UID, vm.GID, kind, right)
		m.authorizers[key] = a
	}
	return a
}

// mayUse reports whether the machine's owner may have it in the datastore.
func (m *Matcher) mayUse(vm *VM, ds *Datastore) bool {
	return !m.policy.AuthorizeDatastores || m.authorizer(vm, aclDatastore).uses(ds)
}

// Host is the host of a candidate.
func (m *Matcher) Host(c Candidate) *Host { return m.snap.Hosts[c.index] }

// Datastore is the system datastore of a candidate.
func (m *Matcher) Datastore(c Candidate) *Datastore { return m.snap.SystemDatastores[c.index] }
