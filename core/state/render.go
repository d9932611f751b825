package state

import (
	"slices"
	"unsafe"

	"goned/core/db"
)

// pendingRow is a row that is rendered when it is written, so that of several changes in one batch only the last costs anything.
type pendingRow struct {
	table  *db.Table
	op     db.Op
	key    [2]any
	values func(*renderer) []any // nil for deletions
}

func (p *pendingRow) row(r *renderer) db.Row {
	if p.values != nil {
		return db.Row{Table: p.table, Op: p.op, Values: p.values(r)}
	}
	n := p.table.Keys
	if p.op != db.Delete {
		n = 1
	}
	return db.Row{Table: p.table, Op: p.op, Values: slices.Clone(p.key[:n])}
}

// renderer renders the rows of batches. Documents of one batch lie in memory that the next batch uses again.
type renderer struct{ memory []byte }

// memoryMax is how much memory waits for the next batch.
const memoryMax = 4 << 20

// document is an object's body, valid until the next batch is rendered.
func (r *renderer) document(obj interface{ PoolXML() []byte }) string {
	a, ok := obj.(interface{ AppendPoolXML([]byte) []byte })
	if !ok {
		return string(obj.PoolXML())
	}
	start := len(r.memory)
	r.memory = a.AppendPoolXML(r.memory)
	doc := r.memory[start:]
	// When a later document does not fit and memory moves, doc stays where it is.
	return unsafe.String(unsafe.SliceData(doc), len(doc))
}

type rowKey struct {
	table *db.Table
	key   [2]any
}

// rows renders the rows of a batch; of several changes to one row only the last is written. The order among different rows does
// not matter, except that rows which delete by a part of the key stay in front of what was written later.
func (r *renderer) rows(batch []*commit) []db.Row {
	if r.memory = r.memory[:0]; cap(r.memory) > memoryMax {
		r.memory = nil
	}
	var all []*pendingRow
	last := map[rowKey]int{}
	for _, c := range batch {
		for i := range c.rows {
			p := &c.rows[i]
			if p.op == db.Put || p.op == db.Delete {
				k := rowKey{p.table, p.key}
				if at, seen := last[k]; seen {
					all[at] = nil
				}
				last[k] = len(all)
			}
			all = append(all, p)
		}
	}
	rows := make([]db.Row, 0, len(all))
	for _, p := range all {
		if p != nil {
			rows = append(rows, p.row(r))
		}
	}
	return rows
}
