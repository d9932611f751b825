package quota

import (
	"errors"
	"math"

	"goned/core/template"
)

// Set changes limits as a client's template says: VM=[…], DATASTORE=[ID=…,…], NETWORK=[…], IMAGE=[…], any number of them. All
// of them are set, or none and the error, in 4.6's words, tells of the first bad one. 4.6 keeps those before the bad one.
//
// A new entry may leave out limits, which are then UseDefault; in defaults it may not. For an entry that exists every limit must
// be given.
func (q *Quotas) Set(t *template.Template) error {
	next := q.Clone()
	for _, k := range []Kind{Datastore, Network, Image, VM} {
		for _, a := range t.All(k.String()) {
			if !next.set(k, a.Vec) {
				text := "Negative limits or bad format in quota " + k.String()
				if a.Vec != nil {
					text += " = [ " + a.Vec.Marshal(",") + " ]"
				}
				return errors.New(text)
			}
		}
	}
	q.entries = next.entries
	return nil
}

func (q *Quotas) set(k Kind, v *template.Vector) bool {
	if v == nil {
		return false
	}
	id := 0
	if k != VM {
		var err error
		if id, err = ParseID(v.Get("ID")); err != nil {
			return false
		}
	}
	known := q.find(k, id) != nil
	var limits [most]number
	for i := range count(k) {
		limit, ok := v.Float((kindMetrics[k][0] + Metric(i)).String())
		switch {
		case !ok && known:
			return false
		case !ok:
			limit = -1
		}
		if limit < -1 || q.Default && limit < 0 {
			return false
		}
		limits[i] = limitOf(limit)
	}
	q.at(k, id).limit = limits
	q.dropIdle(k, id)
	return true
}

// limitOf is a limit as 4.6 keeps it: a 32-bit float, which large numbers show, rounded to hundredths.
func limitOf(v float64) number {
	v = float64(float32(v))
	return number{bounded(v), v != math.Ceil(v)}
}
