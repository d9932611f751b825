// Package state holds the cloud: all live objects as immutable values in one snapshot, which any number of readers use without
// waiting, and one writer that changes it by transactions. A transaction's rows are in the database before its snapshot is
// published, its messages sent and its caller answered; many transactions share one disk sync.
package state

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"goned/core/config"
	"goned/core/db"
)

// Database is what a Store needs of package db.
type Database interface {
	Save(ctx context.Context, rows []db.Row) error
}

// Sink receives what committed transactions have to say to drivers, hooks and logs, in the order of the transactions. It must
// not block: it is called by the committer.
type Sink interface {
	Deliver(snap *Snapshot, messages []any)
}

// SinkFunc makes a function a Sink.
type SinkFunc func(*Snapshot, []any)

// Deliver calls f.
func (f SinkFunc) Deliver(snap *Snapshot, messages []any) { f(snap, messages) }

// saveTimeout bounds one batch's write to the database.
const saveTimeout = 2 * time.Minute

// ErrClosed is returned by updates after Close.
var ErrClosed = errors.New("the store is closed")

// Store is the one place where state changes.
type Store struct {
	conf *config.Config
	db   Database
	log  *slog.Logger
	now  func() time.Time
	sink Sink

	published atomic.Pointer[Snapshot]

	mu     sync.Mutex
	head   *Snapshot // newest state; ahead of published while a batch is being written
	number uint64    // of the last transaction
	queue  []*commit
	closed bool

	wake chan struct{} // has room for one: there is something in queue
	done chan struct{} // closed when the committer has ended
}

// commit is a finished transaction that waits for the disk.
type commit struct {
	snap     *Snapshot
	rows     []pendingRow
	messages []any
	result   chan error
}

// NewStore starts a store on an initial snapshot. Close stops it.
func NewStore(first *Snapshot, conf *config.Config, database Database, sink Sink, now func() time.Time, log *slog.Logger) *Store {
	s := &Store{
		conf: conf, db: database, log: log, now: now, sink: sink, head: first,
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	s.published.Store(first)
	go s.commitLoop()
	return s
}

// Snapshot is the state as of the last commit. It never changes; hold it as long as one answer takes.
func (s *Store) Snapshot() *Snapshot { return s.published.Load() }

// Update runs fn in a write transaction and returns when its changes are on disk and visible. If fn fails, nothing has happened.
func (s *Store) Update(fn func(*Tx) error) error {
	c, err := s.run(fn)
	if err != nil || c == nil {
		return err
	}
	return <-c.result
}

// Post runs fn in a write transaction and returns when it has run, without waiting for the disk: for what happened outside and
// has happened, whether or not it can be written down. The order of posts and updates is the order of their calls. fn's own error
// is returned; should the database refuse the batch, that is logged and what fn did is lost, as everything since.
func (s *Store) Post(fn func(*Tx) error) error {
	_, err := s.run(fn)
	return err
}

func (s *Store) run(fn func(*Tx) error) (c *commit, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	s.number++
	tx := newTx(s.head, s.number, s.conf, s.now())
	if err := call(fn, tx); err != nil {
		return nil, err
	}
	c = tx.finish()
	if c == nil {
		return nil, nil
	}
	s.head = c.snap
	s.queue = append(s.queue, c)
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return c, nil
}

// call turns a panic of a transaction into an error: the transaction is dropped and the daemon lives.
func call(fn func(*Tx) error, tx *Tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("transaction panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return fn(tx)
}

func (s *Store) commitLoop() {
	defer close(s.done)
	for range s.wake {
		s.mu.Lock()
		batch := s.queue
		s.queue = nil
		closed := s.closed
		s.mu.Unlock()
		if len(batch) > 0 {
			s.commitBatch(batch)
		}
		if closed {
			return
		}
	}
}

func (s *Store) commitBatch(batch []*commit) {
	ctx, cancel := context.WithTimeout(context.Background(), saveTimeout)
	err := s.db.Save(ctx, mergeRows(batch))
	cancel()
	if err != nil {
		s.abandon(batch, err)
		return
	}
	for _, c := range batch {
		s.published.Store(c.snap)
		if len(c.messages) > 0 {
			s.sink.Deliver(c.snap, c.messages)
		}
		c.result <- nil
	}
}

// abandon drops a batch that could not be written, and every transaction that has been built on it since.
func (s *Store) abandon(batch []*commit, err error) {
	s.log.Error("Cannot write to the database: " + err.Error())
	s.mu.Lock()
	batch = append(batch, s.queue...)
	s.queue = nil
	s.head = s.published.Load()
	s.mu.Unlock()
	for _, c := range batch {
		c.result <- fmt.Errorf("save: %w", err)
	}
}

type rowKey struct {
	table *db.Table
	key   [2]any
}

// mergeRows renders the rows of a batch; of several changes to one row only the last is written. The order among different rows
// does not matter, except that rows which delete by a part of the key stay in front of what was written later.
func mergeRows(batch []*commit) []db.Row {
	var all []*pendingRow
	last := map[rowKey]int{}
	for _, c := range batch {
		for i := range c.rows {
			r := &c.rows[i]
			if r.op == db.Put || r.op == db.Delete {
				k := rowKey{r.table, r.key}
				if at, seen := last[k]; seen {
					all[at] = nil
				}
				last[k] = len(all)
			}
			all = append(all, r)
		}
	}
	rows := make([]db.Row, 0, len(all))
	for _, r := range all {
		if r != nil {
			rows = append(rows, r.row())
		}
	}
	return rows
}

// Close ends the store when everything that is queued has been written.
func (s *Store) Close() error {
	s.mu.Lock()
	already := s.closed
	s.closed = true
	s.mu.Unlock()
	if !already {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
	<-s.done
	return nil
}
