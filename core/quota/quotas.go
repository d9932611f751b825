package quota

import (
	"slices"
)

// entry is the quota of one datastore, network or image, or of VMs (whose id is 0). The metrics are those of the kind, from its
// first on.
type entry struct {
	id    int
	limit [most]number
	used  [most]number
}

// Quotas are limits and usage of one user or group, or the default limits of all users or all groups. The zero value has none; a
// nil *Quotas reads as that.
type Quotas struct {
	// Default tells that these are default limits: a limit there cannot refer to another default, and nothing is used.
	Default bool

	entries [kinds][]*entry // in the order of their creation; shared with copies, see at
}

// Clone is a copy that may be changed, of nil an empty one.
func (q *Quotas) Clone() *Quotas {
	c := &Quotas{}
	if q != nil {
		c.Default = q.Default
		for k := range q.entries {
			c.entries[k] = slices.Clone(q.entries[k])
		}
	}
	return c
}

// none is the limit that a new entry has.
func (q *Quotas) none() Amount {
	if q.Default {
		return Unlimited
	}
	return UseDefault
}

func (q *Quotas) find(k Kind, id int) *entry {
	if q == nil {
		return nil
	}
	for _, e := range q.entries[k] {
		if e.id == id {
			return e
		}
	}
	return nil
}

// at is the entry of that id to be changed: a copy, since others share it, or a new one.
func (q *Quotas) at(k Kind, id int) *entry {
	for i, e := range q.entries[k] {
		if e.id == id {
			own := *e
			q.entries[k][i] = &own
			return &own
		}
	}
	e := &entry{id: id}
	for i := range e.limit {
		e.limit[i].Amount = q.none()
	}
	q.entries[k] = append(q.entries[k], e)
	return e
}

// dropIdle removes the entry of that id when it limits nothing and nothing is used.
func (q *Quotas) dropIdle(k Kind, id int) {
	q.entries[k] = slices.DeleteFunc(q.entries[k], func(e *entry) bool {
		if e.id != id {
			return false
		}
		for i := range count(k) {
			if e.used[i].Amount != 0 || e.limit[i].Amount != q.none() {
				return false
			}
		}
		return true
	})
}

func count(k Kind) int { return int(kindMetrics[k][1] - kindMetrics[k][0]) }

// Used is what is used of a metric of that object (id 0 for VMs).
func (q *Quotas) Used(m Metric, id int) Amount {
	k := kindOf(m)
	if e := q.find(k, id); e != nil {
		return e.used[m-kindMetrics[k][0]].Amount
	}
	return 0
}

// Limit is the limit of a metric of that object (id 0 for VMs), UseDefault or, in defaults, Unlimited when there is none.
func (q *Quotas) Limit(m Metric, id int) Amount {
	k := kindOf(m)
	if e := q.find(k, id); e != nil {
		return e.limit[m-kindMetrics[k][0]].Amount
	}
	if q == nil {
		return UseDefault
	}
	return q.none()
}

func kindOf(m Metric) Kind {
	k := Datastore
	for m >= kindMetrics[k][1] {
		k++
	}
	return k
}
