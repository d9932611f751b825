package match

import (
	"fmt"

	"goned/core/template/xmldoc"
)

func (x *explainer) explainRanking(policy Policy) {
	d := x.decision
	if len(d.Hosts) == 0 {
		return
	}
	x.out.HostRank, x.out.HostRanking = x.ranking(d.Hosts, x.vm.Rank, policy.HostRank, x.m.hosts,
		func(c Candidate) int { return x.m.Host(c).ID })
	if x.vm.Resched {
		return
	}
	x.out.DatastoreRank, x.out.DatastoreRanking = x.ranking(d.Datastores, x.vm.DatastoreRank, policy.DatastoreRank, x.m.datastores,
		func(c Candidate) int { return x.m.Datastore(c).ID })
}

// ranking describes the rank of sorted candidates.
func (x *explainer) ranking(candidates []Candidate, own, byPolicy string, t *table, id func(Candidate) int) (string, []Ranked) {
	text, origin := own, "the machine's own"
	if text == "" {
		text, origin = byPolicy, "from sched.conf"
	}
	about := text + "  (" + origin + ")"
	if text == "" {
		about = "none: all are equal"
	}
	rank, err := ParseRank(text)
	if err != nil {
		about += "; " + err.Error() + ". It counts as the part before the error, if that is complete, else as 0"
	}
	bound := rank.bind(t)
	list := make([]Ranked, len(candidates))
	for i, c := range candidates {
		list[i] = Ranked{ID: id(c), Priority: c.Priority, Terms: bound.terms(int(c.index))}
	}
	return about, list
}

// explainDispatch plays the dispatch of the machines before this one and then
// tries its hosts.
func (x *explainer) explainDispatch(decisions []*Decision, at int) {
	d := x.decision
	switch {
	case len(d.Hosts) > 0:
	case d.Message == "":
		x.out.Result = "No host is tried, it stays " + x.stays() + ". " + x.tells("")
		return
	default:
		x.out.Result = "No host is left, it stays " + x.stays() + ". " + x.tells(d.Message)
		return
	}
	quiet := func(int, Event) {}
	p := x.m.NewDispatcher(decisions[:at])
	for {
		if _, ok := p.Next(quiet); !ok {
			break
		}
		p.Accept()
	}
	if most := p.policy.MaxDispatch; most > 0 && p.done >= most {
		x.out.Result = fmt.Sprintf("Hosts suit, but a pass dispatches %d machines (MAX_DISPATCH) and those with lower ids come first: "+
			"it waits for the next pass.", most)
		return
	}
	p.decisions, p.vm, p.host = decisions, at, 0
	x.onlyDatastores = true
	var full []Event
	if !p.begin(d, func(_ int, e Event) { full = append(full, e) }) {
		for _, e := range full {
			x.note("Image datastore %d has %d MB left after what this pass dispatches before it.", e.Datastore, p.images[e.Datastore])
		}
		x.out.Result = "It stays " + x.stays() + ": its image datastore has no space left. " + x.tells("")
		return
	}
	for _, c := range d.Hosts {
		v := x.attempt(p, c)
		x.out.Attempts = append(x.out.Attempts, v)
		if v.OK {
			x.out.Result = x.order(p.current)
			return
		}
	}
	why := "None of the hosts that suit can be used"
	if x.onlyDatastores {
		why = "No host that suits has a suitable system datastore in its cluster"
	}
	x.out.Result = why + ": it stays " + x.stays() + ". " + x.tells("")
}

func (x *explainer) stays() string {
	if x.vm.Resched {
		return "where it is"
	}
	return "PENDING"
}

// tells says where the owner can read the reason.
func (x *explainer) tells(message string) string {
	if message == "" {
		return "No SCHED_MESSAGE is stored for this reason; it is in sched.log only."
	}
	return "SCHED_MESSAGE: " + message
}

func (x *explainer) order(o Dispatch) string {
	switch {
	case o.Migrate:
		return fmt.Sprintf("It is moved to host %d.", o.Host)
	case o.Datastore < 0:
		return fmt.Sprintf("It is deployed on host %d, which needs no datastore.", o.Host)
	}
	return fmt.Sprintf("It is deployed on host %d with system datastore %d.", o.Host, o.Datastore)
}

// attempt tries a host and says why it can't be used.
func (x *explainer) attempt(p *Dispatcher, c Candidate) Verdict {
	h := int(c.index)
	host := x.m.Host(c)
	v := Verdict{ID: host.ID, Name: host.Name}
	out := p.place(x.decision, h, func(int, Event) {})
	x.onlyDatastores = x.onlyDatastores && out == noDatastore
	switch out {
	case placed:
		v.OK = true
	case noCapacity:
		v.reason("machines dispatched before it in this pass take the place")
		v.capacity(x.vm, host, p.cpu[h], p.mem[h])
	case notPublic:
		v.reason("it is local, and only a public cloud is left for the machine")
	case hostLimit:
		if p.policy.MaxHost == 0 {
			v.reason("MAX_HOST is 0: nothing is ever dispatched")
		} else {
			v.reason("MAX_HOST: this pass dispatched %d to it before and may not dispatch more", p.started[h])
		}
	case noDatastore:
		x.whyNoDatastore(p, &v, h)
	case escaped:
		v.reason("what oned requires must hold as well")
		v.Reasons = append(v.Reasons, x.decision.hostGuard.whyFalse(h)...)
	}
	return v
}

// whyNoDatastore goes through all system datastores, also those that were
// ruled out before: the remedy is often there.
func (x *explainer) whyNoDatastore(p *Dispatcher, v *Verdict, h int) {
	host := x.snap.Hosts[h]
	v.reason("no system datastore for it: host and datastore must be in the same cluster, or both in none. The host is in %s", clusterOf(host.doc))
	suits := make(map[int]bool)
	for _, c := range x.decision.Datastores {
		suits[int(c.index)] = true
	}
	same := 0
	for i, ds := range x.snap.SystemDatastores {
		here := ds.ClusterID == host.ClusterID
		if here {
			same++
		}
		switch {
		case !here:
			v.reason("  datastore %d (%s) is in %s", ds.ID, ds.Name, clusterOf(ds.doc))
		case !suits[i] || !x.decision.datastoreGuard.eval(i):
			v.reason("  datastore %d (%s) is in the same, but does not suit, see above", ds.ID, ds.Name)
		default:
			v.reason("  datastore %d (%s) is in the same, but has %d MB free for this host and must have more than %d",
				ds.ID, ds.Name, p.spaceFor(h, i), x.vm.Disk)
		}
	}
	if same == 0 {
		v.reason("  remedy: put a system datastore into that cluster, or let the machine run on a host of another one")
	}
}

func clusterOf(doc *xmldoc.Node) string {
	id := numberOf(doc, "CLUSTER_ID")
	if id < 0 {
		return "no cluster"
	}
	return fmt.Sprintf("cluster %d (%s)", id, textOf(doc, "CLUSTER"))
}
