package transport

import "sync/atomic"

// budget is an amount of memory shared by all connections.
type budget struct {
	limit int64
	used  atomic.Int64
}

// take reserves n bytes if they are free.
func (b *budget) take(n int) bool {
	if b.used.Add(int64(n)) > b.limit {
		b.used.Add(int64(-n))
		return false
	}
	return true
}

func (b *budget) give(n int) { b.used.Add(int64(-n)) }
