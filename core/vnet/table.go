package vnet

import (
	"iter"
	"slices"
	"sort"
)

// table is a list of leases sorted by IP, in blocks that the copies of a network share: a change copies one block, however many
// leases there are.
type table struct {
	blocks []*block // none is empty
	n      int
}

// block is a run of leases. It is not changed once it is in a table.
type block struct {
	leases []Lease
	used   int
}

// blockSize is the most leases in a block.
const blockSize = 64

func newBlock(leases []Lease) *block {
	b := &block{leases: leases}
	for _, l := range leases {
		b.used += int(number(l.Used))
	}
	return b
}

// full reports whether all leases of the block are used and their addresses follow each other.
func (b *block) full() bool {
	last := len(b.leases) - 1
	return b.used == len(b.leases) && int(b.leases[last].IP-b.leases[0].IP) == last
}

func (t *table) clone() table { return table{slices.Clone(t.blocks), t.n} }

// seek is the place of the lease of an address, or the place to insert it.
func (t *table) seek(ip IP) (b, i int, found bool) {
	b = max(sort.Search(len(t.blocks), func(i int) bool { return t.blocks[i].leases[0].IP > ip })-1, 0)
	if len(t.blocks) == 0 {
		return 0, 0, false
	}
	leases := t.blocks[b].leases
	i = sort.Search(len(leases), func(i int) bool { return leases[i].IP >= ip })
	return b, i, i < len(leases) && leases[i].IP == ip
}

// get is the lease of an address.
func (t *table) get(ip IP) (Lease, bool) {
	b, i, found := t.seek(ip)
	if !found {
		return Lease{}, false
	}
	return t.blocks[b].leases[i], true
}

// set puts a lease in the place of the one with its address, or adds it.
func (t *table) set(l Lease) {
	b, i, found := t.seek(l.IP)
	switch {
	case len(t.blocks) == 0:
		t.blocks = []*block{newBlock([]Lease{l})}
	case found:
		leases := slices.Clone(t.blocks[b].leases)
		leases[i] = l
		t.blocks[b] = newBlock(leases)
		return
	default:
		old := t.blocks[b].leases
		leases := make([]Lease, 0, len(old)+1)
		leases = append(append(append(leases, old[:i]...), l), old[i:]...)
		switch {
		case len(leases) <= blockSize:
			t.blocks[b] = newBlock(leases)
		case i == len(old): // addresses are handed out in their order: leave the block as full as it is
			t.blocks = slices.Insert(t.blocks, b+1, newBlock([]Lease{l}))
		default:
			half := len(leases) / 2
			t.blocks[b] = newBlock(leases[:half:half])
			t.blocks = slices.Insert(t.blocks, b+1, newBlock(leases[half:]))
		}
	}
	t.n++
}

// remove drops the lease of an address.
func (t *table) remove(ip IP) {
	b, i, found := t.seek(ip)
	if !found {
		return
	}
	t.n--
	if len(t.blocks[b].leases) == 1 {
		t.blocks = slices.Delete(t.blocks, b, b+1)
		return
	}
	t.blocks[b] = newBlock(slices.Delete(slices.Clone(t.blocks[b].leases), i, i+1))
}

// all walks the leases by ascending address.
func (t *table) all() iter.Seq[Lease] {
	return func(yield func(Lease) bool) {
		for _, b := range t.blocks {
			for _, l := range b.leases {
				if !yield(l) {
					return
				}
			}
		}
	}
}

// free is the index and the address of the first lease, from the given index on, that is not used.
func (t *table) free(from int) (index int, ip IP, ok bool) {
	for _, b := range t.blocks {
		if from -= len(b.leases); from >= 0 || b.used == len(b.leases) {
			index += len(b.leases)
			continue
		}
		for i := max(from+len(b.leases), 0); i < len(b.leases); i++ {
			if !b.leases[i].Used {
				return index + i, b.leases[i].IP, true
			}
		}
		index += len(b.leases)
	}
	return 0, 0, false
}

// gap is the first address, not below from, that is not used.
func (t *table) gap(from IP) IP {
	b, i, _ := t.seek(from)
	for ; b < len(t.blocks); b, i = b+1, 0 {
		run := t.blocks[b]
		if i == 0 && run.leases[0].IP == from && run.full() {
			from += IP(len(run.leases))
			continue
		}
		for ; i < len(run.leases); i++ {
			if l := &run.leases[i]; l.IP != from || !l.Used {
				return from
			}
			from++
		}
	}
	return from
}

// changes says which rows make the leases of old those of t: put are to be written, gone to be deleted. Blocks that both share are
// not looked at.
func (t *table) changes(old *table) (put []Lease, gone []IP) {
	was, now := cursor{t: old}, cursor{t: t}
	for !was.end() || !now.end() {
		switch {
		case now.end() || !was.end() && was.lease().IP < now.lease().IP:
			gone = append(gone, was.lease().IP)
			was.next()
		case was.end() || now.lease().IP < was.lease().IP:
			put = append(put, *now.lease())
			now.next()
		case was.i == 0 && now.i == 0 && was.t.blocks[was.b] == now.t.blocks[now.b]:
			was.skip()
			now.skip()
		default:
			if *was.lease() != *now.lease() {
				put = append(put, *now.lease())
			}
			was.next()
			now.next()
		}
	}
	return put, gone
}

// cursor is a place in a table.
type cursor struct {
	t    *table
	b, i int
}

func (c *cursor) end() bool     { return c.b == len(c.t.blocks) }
func (c *cursor) lease() *Lease { return &c.t.blocks[c.b].leases[c.i] }
func (c *cursor) skip()         { c.b, c.i = c.b+1, 0 }

func (c *cursor) next() {
	if c.i++; c.i == len(c.t.blocks[c.b].leases) {
		c.skip()
	}
}
