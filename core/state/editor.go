package state

import "iter"

// Editor is a pool inside a write transaction: it reads what the transaction has done so far.
type Editor[T Object[T]] struct {
	tx     *Tx
	pool   *Pool[T]
	rows   func(before, after T) []pendingRow // what a change means to the database; before or after may be the zero value
	before map[int]T                          // objects as they were when the transaction began, by id; zero value: none
	order  []int                              // ids in the order in which they were first touched
}

// Get is the object with this id, or the zero value. It must not be changed: see Edit.
func (e *Editor[T]) Get(id int) T { return e.pool.Get(id) }

// ByName is the object with this unique key, or the zero value.
func (e *Editor[T]) ByName(key string) T { return e.pool.ByName(key) }

// All walks the objects by ascending id.
func (e *Editor[T]) All() iter.Seq[T] { return e.pool.All() }

// Len is the number of objects.
func (e *Editor[T]) Len() int { return e.pool.Len() }

// Edit is the object with this id for the transaction to change, or the zero value when there is none.
func (e *Editor[T]) Edit(id int) T {
	obj := e.pool.Get(id)
	var none T
	if obj == none {
		return none
	}
	if _, ours := e.before[id]; ours {
		return obj
	}
	dup := obj.Clone()
	e.touch(id, obj)
	e.pool.put(dup, "", e.tx.number)
	return dup
}

// Insert adds an object, whose id comes from Tx.NextID. It may be changed further until the transaction ends.
func (e *Editor[T]) Insert(obj T) {
	var none T
	e.touch(obj.OID(), none)
	e.pool.put(obj, "", e.tx.number)
	e.pool.rename(obj.OID(), "", obj.Key())
}

// Delete removes the object with this id.
func (e *Editor[T]) Delete(id int) {
	obj := e.pool.Get(id)
	var none T
	if obj == none {
		return
	}
	e.touch(id, obj)
	e.pool.rename(id, obj.Key(), "")
	e.pool.remove(id, e.tx.number)
}

// Renamed brings the name index up to date after the name or owner of an edited object has changed from the key it had.
func (e *Editor[T]) Renamed(id int, from string) {
	e.pool.rename(id, from, e.pool.Get(id).Key())
}

func (e *Editor[T]) touch(id int, was T) {
	if _, known := e.before[id]; known {
		return
	}
	if e.before == nil {
		e.before = map[int]T{}
	}
	e.before[id] = was
	e.order = append(e.order, id)
}

// finish refreshes what the pool keeps beside the objects, and lists the rows to write.
func (e *Editor[T]) finish(out []pendingRow) []pendingRow {
	var none T
	for _, id := range e.order {
		after := e.pool.Get(id)
		if after != none {
			if p, ok := any(after).(Packer); ok {
				p.Pack()
			}
			e.pool.put(after, "", e.tx.number)
		}
		if before := e.before[id]; before != none || after != none {
			out = append(out, e.rows(before, after)...)
		}
	}
	return out
}
