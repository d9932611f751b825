package state

import (
	"bytes"
	"iter"
	"sync"
	"sync/atomic"

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

// Packer is a kind of object of which there are many.
type Packer interface {
	// Pack brings the object, which nobody changes any more, into the form that takes the least memory.
	Pack()
}

const (
	chunkBits = 6
	chunkSize = 1 << chunkBits
)

// entry is a slot's content: the object and its listing form, made at most once.
type entry[T Object[T]] struct {
	obj    T
	stored string // the body as the database has it, until the listing form is made; empty for objects changed since

	listed  sync.Once
	escaped []byte

	compared sync.Once
	reread   splice
}

// splice is a document that is another one but for what stands between its first head and its last tail bytes.
type splice struct {
	head, tail int
	middle     []byte
}

// newSplice expresses doc by another document, from.
func newSplice(from, doc []byte) splice {
	s := splice{}
	for s.head < min(len(from), len(doc)) && from[s.head] == doc[s.head] {
		s.head++
	}
	for rest := min(len(from), len(doc)) - s.head; s.tail < rest && from[len(from)-1-s.tail] == doc[len(doc)-1-s.tail]; {
		s.tail++
	}
	s.middle = bytes.Clone(doc[s.head : len(doc)-s.tail])
	return s
}

// pieces are the document, made of the other one.
func (s *splice) pieces(from []byte) [][]byte {
	if s.head == len(from) && len(s.middle) == 0 {
		return [][]byte{from}
	}
	return [][]byte{from[:s.head], s.middle, from[len(from)-s.tail:]}
}

// listing is the object's document, escaped for an XML-RPC string.
func (e *entry[T]) listing() []byte {
	e.listed.Do(func() {
		if e.stored != "" {
			e.escaped = escape(e.stored)
			e.stored = ""
			return
		}
		e.escaped = escape(e.obj.PoolXML())
	})
	return e.escaped
}

// Reloader is a kind of object that loses something when 4.6 reads it back from its database, once, after it was made.
type Reloader interface {
	// ReloadedXML is the document after that.
	ReloadedXML() []byte
}

// reloaded is the document as reading the object back gives it, in pieces. Of most objects it is the listing form but for an empty
// value or two, and shares its memory.
func (e *entry[T]) reloaded() [][]byte {
	r, ok := any(e.obj).(Reloader)
	if !ok {
		return [][]byte{e.listing()}
	}
	e.compared.Do(func() { e.reread = newSplice(e.listing(), escape(r.ReloadedXML())) })
	return e.reread.pieces(e.listing())
}

func escape[B string | []byte](body B) []byte {
	size := len(body)
	for i := range len(body) {
		switch body[i] {
		case '<', '>':
			size += len("&lt;") - 1
		case '&':
			size += len("&amp;") - 1
		}
	}
	return resource.AppendEscaped(make([]byte, 0, size), body)
}

// accesses are the access data of a chunk. Most changes of objects leave them as they are.
type accesses [chunkSize]resource.Access

// chunk is a run of chunkSize ids. The access data lie side by side, so that filtering a pool reads a few cache lines a chunk.
type chunk[T Object[T]] struct {
	writer  uint64    // the transaction that may change this chunk in place
	access  *accesses // shared with the chunk it was copied from, unless owned
	owned   bool
	slot    [chunkSize]*entry[T]
	summary atomic.Pointer[resource.Summary] // made when a filter asks, dropped by changes
}

// summarize is the chunk's summary; first is the id of its first slot.
func (c *chunk[T]) summarize(first int) *resource.Summary {
	if s := c.summary.Load(); s != nil {
		return s
	}
	s := &resource.Summary{First: first, Last: first + chunkSize - 1}
	for i := range c.slot {
		if c.slot[i] != nil {
			s.Add(&c.access[i])
		}
	}
	c.summary.Store(s)
	return s
}

// copyFor is a copy that writer may change.
func (c *chunk[T]) copyFor(writer uint64) *chunk[T] {
	dup := &chunk[T]{writer: writer, access: c.access, slot: c.slot}
	dup.summary.Store(c.summary.Load())
	return dup
}

func (c *chunk[T]) setAccess(i int, a resource.Access) {
	if c.access[i] == a {
		return
	}
	if !c.owned {
		own := *c.access
		c.access, c.owned = &own, true
	}
	c.access[i] = a
	c.summary.Store(nil)
}

// Pool is a persistent array of objects by id: a copy is a few words, a change copies one chunk. Ids are dense and never used
// again in 4.6, so an array beats a tree.
type Pool[T Object[T]] struct {
	chunks  []*chunk[T]
	names   *iradix.Tree
	n       int
	archive *archive[T] // nil: all objects are in memory
}

// Len is the number of objects, archived ones included.
func (p *Pool[T]) Len() int { return p.n }

func (p *Pool[T]) find(id int) *entry[T] {
	i := id >> chunkBits
	if id < 0 || i >= len(p.chunks) || p.chunks[i] == nil {
		return nil
	}
	return p.chunks[i].slot[id&(chunkSize-1)]
}

// Get is the object with this id, or the zero value. An archived object is read from the database.
func (p *Pool[T]) Get(id int) T {
	e := p.find(id)
	if e == nil {
		var none T
		return none
	}
	if p.archive.holds(e) {
		return p.archive.get(id)
	}
	return e.obj
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

// Access is what filters look at; nil when there is no object with this id.
func (p *Pool[T]) Access(id int) *resource.Access {
	if p.find(id) == nil {
		return nil
	}
	return &p.chunks[id>>chunkBits].access[id&(chunkSize-1)]
}

// Listing is the document of the object with this id, escaped for an XML-RPC string; nil when there is none.
func (p *Pool[T]) Listing(id int) []byte {
	e := p.find(id)
	switch {
	case e == nil:
		return nil
	case p.archive.holds(e):
		return p.archive.listings([]int{id})[id]
	}
	return e.listing()
}

// Listings appends the documents of these ids to dst, each escaped for an XML-RPC string.
func (p *Pool[T]) Listings(dst [][]byte, ids []int) [][]byte {
	var archived []int
	for _, id := range ids {
		if p.archive.holds(p.find(id)) {
			archived = append(archived, id)
		}
	}
	read := p.archive.listings(archived)
	for _, id := range ids {
		if e := p.find(id); !p.archive.holds(e) {
			dst = append(dst, e.listing())
		} else if doc := read[id]; doc != nil {
			dst = append(dst, doc)
		}
	}
	return dst
}

// Reloaded is the document of the object with this id as reading it back from the database gives it, escaped for an XML-RPC
// string and in pieces: what info methods return (see Reloader).
func (p *Pool[T]) Reloaded(id int) [][]byte {
	e := p.find(id)
	switch {
	case e == nil:
		return nil
	case p.archive.holds(e):
		return [][]byte{p.archive.listings([]int{id})[id]}
	}
	return e.reloaded()
}

// All walks the objects in memory by ascending id.
func (p *Pool[T]) All() iter.Seq[T] {
	return func(yield func(T) bool) {
		for _, c := range p.chunks {
			if c == nil {
				continue
			}
			for _, e := range c.slot {
				if e != nil && !p.archive.holds(e) && !yield(e.obj) {
					return
				}
			}
		}
	}
}

// Filter chooses the objects of a listing.
type Filter interface {
	// Pass looks at one object.
	Pass(id int, a *resource.Access) bool
	// Passing is how many objects of a run pass, if its summary is enough to tell, otherwise -1.
	Passing(run *resource.Summary) int
}

// Select walks the ids, from first on, of the objects that pass a filter, without the skip first ones.
func (p *Pool[T]) Select(first, skip int, f Filter) iter.Seq[int] {
	return func(yield func(int) bool) {
		for ci := max(first, 0) >> chunkBits; ci < len(p.chunks); ci++ {
			c := p.chunks[ci]
			if c == nil {
				continue
			}
			start := ci << chunkBits
			n := f.Passing(c.summarize(start))
			if n == 0 {
				continue
			}
			if n > 0 && n <= skip && first <= start {
				skip -= n
				continue
			}
			for i := max(first-start, 0); i < chunkSize; i++ {
				if c.slot[i] == nil || !f.Pass(start+i, &c.access[i]) {
					continue
				}
				if skip > 0 {
					skip--
				} else if !yield(start + i) {
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
		c = &chunk[T]{writer: writer, access: &accesses{}, owned: true}
	case c.writer == writer:
		return c
	default:
		c = c.copyFor(writer)
	}
	chunks := make([]*chunk[T], len(p.chunks))
	copy(chunks, p.chunks)
	chunks[i] = c
	p.chunks = chunks
	return c
}

// put stores obj under its id on behalf of writer.
func (p *Pool[T]) put(obj T, stored string, writer uint64) {
	p.set(obj.OID(), &entry[T]{obj: obj, stored: stored}, obj.Access(), writer)
}

func (p *Pool[T]) set(id int, e *entry[T], a resource.Access, writer uint64) {
	c := p.own(id, writer)
	i := id & (chunkSize - 1)
	if c.slot[i] == nil {
		p.n++
		c.summary.Store(nil)
	}
	c.slot[i] = e
	c.setAccess(i, a)
}

func (p *Pool[T]) remove(id int, writer uint64) {
	if p.find(id) == nil {
		return
	}
	c := p.own(id, writer)
	i := id & (chunkSize - 1)
	c.slot[i] = nil
	c.summary.Store(nil)
	c.setAccess(i, resource.Access{})
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
