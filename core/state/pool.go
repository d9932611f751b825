package state

import (
	"iter"
	"sync"

	iradix "github.com/hashicorp/go-immutable-radix"

	"goned/core/resource"
)

// Object is an immutable value kept in a pool. Once a transaction that made it has ended, nobody changes it.
type Object[T any] interface {
	comparable
	// OID is the object's id.
	OID() int
	// Access is what permission checks and pool filters look at.
	Access() resource.Access
	// Key is the object's unique name in its pool (with the owner in it where names are unique per owner), or "" when names
	// of this kind need not be unique.
	Key() string
	// PoolXML is the document as pool listings show it; for most kinds it is also the database body.
	PoolXML() []byte
	// Clone is a deep copy, free to be changed.
	Clone() T
}

const (
	chunkBits = 7
	chunkSize = 1 << chunkBits
)

// entry is a slot's content: the object and its listing form, made at most once.
type entry[T Object[T]] struct {
	obj    T
	stored string // the body as the database has it, until the listing form is made; nil for objects changed since

	once    sync.Once
	escaped []byte
}

// listing is the object's document, escaped for an XML-RPC string.
func (e *entry[T]) listing() []byte {
	e.once.Do(func() {
		if e.stored != "" {
			e.escaped = resource.AppendEscaped(make([]byte, 0, len(e.stored)+len(e.stored)/2), e.stored)
			e.stored = ""
			return
		}
		body := e.obj.PoolXML()
		e.escaped = resource.AppendEscaped(make([]byte, 0, len(body)+len(body)/2), body)
	})
	return e.escaped
}

// chunk is a run of chunkSize ids. The access data lie side by side, so that filtering a pool reads a few cache lines a chunk.
type chunk[T Object[T]] struct {
	writer uint64 // the transaction that may change this chunk in place
	n      int
	access [chunkSize]resource.Access
	slot   [chunkSize]*entry[T]
}

// Pool is a persistent array of objects by id: a copy is two words, a change copies one chunk. Ids are dense and never used
// again in 4.6, so an array beats a tree.
type Pool[T Object[T]] struct {
	chunks []*chunk[T]
	names  *iradix.Tree
	n      int
}

// Len is the number of objects.
func (p *Pool[T]) Len() int { return p.n }

func (p *Pool[T]) find(id int) *entry[T] {
	i := id >> chunkBits
	if id < 0 || i >= len(p.chunks) || p.chunks[i] == nil {
		return nil
	}
	return p.chunks[i].slot[id&(chunkSize-1)]
}

// Get is the object with this id, or the zero value.
func (p *Pool[T]) Get(id int) T {
	if e := p.find(id); e != nil {
		return e.obj
	}
	var none T
	return none
}

// ByName is the object with this unique key (see Object.Key), or the zero value.
func (p *Pool[T]) ByName(key string) T {
	if p.names != nil {
		if id, ok := p.names.Get([]byte(key)); ok {
			return p.Get(id.(int))
		}
	}
	var none T
	return none
}

// Listing is the document of the object with this id, escaped for an XML-RPC string; nil when there is none.
func (p *Pool[T]) Listing(id int) []byte {
	if e := p.find(id); e != nil {
		return e.listing()
	}
	return nil
}

// All walks the objects by ascending id.
func (p *Pool[T]) All() iter.Seq[T] {
	return func(yield func(T) bool) {
		for _, c := range p.chunks {
			if c == nil {
				continue
			}
			for _, e := range c.slot {
				if e != nil && !yield(e.obj) {
					return
				}
			}
		}
	}
}

// Select walks the ids, from first on, of the objects whose access data pass.
func (p *Pool[T]) Select(first int, pass func(id int, a *resource.Access) bool) iter.Seq[int] {
	return func(yield func(int) bool) {
		for ci := max(first, 0) >> chunkBits; ci < len(p.chunks); ci++ {
			c := p.chunks[ci]
			if c == nil {
				continue
			}
			for i := range c.slot {
				id := ci<<chunkBits | i
				if c.slot[i] != nil && id >= first && pass(id, &c.access[i]) && !yield(id) {
					return
				}
			}
		}
	}
}

// own returns the chunk of id, made private to writer.
func (p *Pool[T]) own(id int, writer uint64) *chunk[T] {
	i := id >> chunkBits
	if i >= len(p.chunks) {
		grown := make([]*chunk[T], i+1)
		copy(grown, p.chunks)
		p.chunks = grown
	}
	c := p.chunks[i]
	switch {
	case c == nil:
		c = &chunk[T]{writer: writer}
	case c.writer == writer:
		return c
	default:
		dup := *c
		dup.writer = writer
		c = &dup
	}
	chunks := make([]*chunk[T], len(p.chunks))
	copy(chunks, p.chunks)
	chunks[i] = c
	p.chunks = chunks
	return c
}

// put stores obj under its id on behalf of writer.
func (p *Pool[T]) put(obj T, stored string, writer uint64) {
	id := obj.OID()
	c := p.own(id, writer)
	i := id & (chunkSize - 1)
	if c.slot[i] == nil {
		c.n++
		p.n++
	}
	c.slot[i] = &entry[T]{obj: obj, stored: stored}
	c.access[i] = obj.Access()
}

func (p *Pool[T]) remove(id int, writer uint64) {
	if p.find(id) == nil {
		return
	}
	c := p.own(id, writer)
	i := id & (chunkSize - 1)
	c.slot[i] = nil
	c.access[i] = resource.Access{}
	c.n--
	p.n--
}

// rename moves id in the name index; an empty key is no entry.
func (p *Pool[T]) rename(id int, from, to string) {
	if from == to {
		return
	}
	if p.names == nil {
		p.names = iradix.New()
	}
	if from != "" {
		if held, ok := p.names.Get([]byte(from)); ok && held.(int) == id {
			p.names, _, _ = p.names.Delete([]byte(from))
		}
	}
	if to != "" {
		p.names, _, _ = p.names.Insert([]byte(to), id)
	}
}
