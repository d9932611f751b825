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
	// Save writes rows in one transaction. Their texts are valid until it returns.
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

// Bounds of the pause between two attempts to write to a database that does not take anything; it doubles from one to the other.
const firstRetry, lastRetry = 100 * time.Millisecond, 2 * time.Second

// Errors of Update and Post.
var (
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("the store is closed")
	// ErrNotSaved says that the database has not taken an update.
	ErrNotSaved = errors.New("cannot write to the database")
)

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
	outage error // why the database takes nothing, while posts wait for it
	closed bool

	render renderer // used by the committer alone

	wake    chan struct{} // has room for one: there is something in queue
	closing chan struct{} // closed by Close
	done    chan struct{} // closed when the committer has ended
}

// commit is a transaction: what is to be done and, once it has run, its result, which waits for the disk.
type commit struct {
	fn  func(*Tx) error
	now time.Time
	// result has room for the answer of an update; nil for a post, whose caller is not waiting.
	result chan error

	snap     *Snapshot
	rows     []pendingRow
	messages []any
	ended    []int // VMs that have come to their end
}

// answer tells the caller of an update how it ended.
func (c *commit) answer(err error) {
	if c.result != nil {
		c.result <- err
	}
}

// NewStore starts a store on an initial snapshot. Close stops it.
func NewStore(first *Snapshot, conf *config.Config, database Database, sink Sink, now func() time.Time, log *slog.Logger) *Store {
	s := &Store{
		conf: conf, db: database, log: log, now: now, sink: sink, head: first,
		wake: make(chan struct{}, 1), closing: make(chan struct{}), done: make(chan struct{}),
	}
	if a := first.VMs.archive; a != nil {
		a.log = log
	}
	s.published.Store(first)
	go s.commitLoop()
	return s
}

// Snapshot is the state as of the last commit. It never changes; hold it as long as one answer takes.
func (s *Store) Snapshot() *Snapshot { return s.published.Load() }

// Update runs fn in a write transaction and returns when its changes are on disk and visible. If fn fails, or the database does
// not take the changes (ErrNotSaved), nothing has happened. fn may run more than once: it has to leave the same behind each time.
func (s *Store) Update(fn func(*Tx) error) error {
	c := &commit{fn: fn, result: make(chan error, 1)}
	queued, err := s.submit(c)
	if err != nil || !queued {
		return err
	}
	return <-c.result
}

// Post runs fn in a write transaction and returns when it has run, without waiting for the disk: for what happened outside and
// has happened, whether or not it can be written down. The order of posts and updates is the order of their calls. fn's own error
// is returned. A database that takes nothing is tried until it takes what was posted; updates are refused meanwhile. For that fn
// may run again, on a state that does not have the updates which got lost.
func (s *Store) Post(fn func(*Tx) error) error {
	_, err := s.submit(&commit{fn: fn})
	return err
}

// submit runs a transaction and queues its changes, if there are any.
func (s *Store) submit(c *commit) (queued bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false, ErrClosed
	}
	if s.outage != nil && c.result != nil {
		return false, s.outage
	}
	c.now = s.now()
	return s.attempt(c)
}

// attempt runs a transaction on the newest state and queues its changes, if there are any. Call it with mu held.
func (s *Store) attempt(c *commit) (queued bool, err error) {
	s.number++
	tx := newTx(s.head, s.number, s.conf, c.now)
	if err := call(c.fn, tx); err != nil {
		return false, err
	}
	if !tx.finish(c) {
		return false, nil
	}
	s.head = c.snap
	s.queue = append(s.queue, c)
	s.signal()
	return true, nil
}

// signal wakes the committer.
func (s *Store) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
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
	pause := firstRetry
	var pace pace
	for range s.wake {
		s.gather(&pace)
		s.mu.Lock()
		batch, closed := s.queue, s.closed
		s.queue = nil
		s.mu.Unlock()

		start := time.Now()
		left, err := s.commit(batch)
		pace.note(len(batch), time.Since(start))
		switch {
		case err == nil:
			pause = firstRetry
		case closed:
			s.log.Error(fmt.Sprintf("The database takes nothing: what %d transactions have changed is lost", len(left)))
			for _, c := range left {
				c.answer(err)
			}
			return
		default:
			s.suspend(left, err)
			s.rest(pause)
			pause = min(2*pause, lastRetry)
		}
		if closed && s.queued() == 0 {
			return
		}
	}
}

// pace is what the last batches tell about the next one.
type pace struct {
	sizes [2]int
	took  time.Duration
}

func (p *pace) note(size int, took time.Duration) {
	p.sizes = [2]int{p.sizes[1], size}
	p.took = took
}

// gatherMax bounds the wait for company.
const gatherMax = time.Millisecond

// gather waits, for as long as a write takes and no longer than gatherMax, until as many updates are queued as came together before.
// Their callers have all been answered at the same moment; without this the first one to come back would have a write of its own,
// and the others would wait for that.
func (s *Store) gather(p *pace) {
	want := max(p.sizes[0], p.sizes[1])
	if want < 2 {
		return
	}
	timer := time.NewTimer(min(p.took, gatherMax))
	defer timer.Stop()
	for s.queued() < want {
		select {
		case <-s.wake:
		case <-s.closing:
			return
		case <-timer.C:
			return
		}
	}
}

func (s *Store) queued() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue)
}

// rest waits before the next attempt.
func (s *Store) rest(pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.closing:
	}
}

// commit writes a batch and makes it public. An error says that the database does not work now, for the transactions in left.
func (s *Store) commit(batch []*commit) (left []*commit, err error) {
	err = s.save(batch)
	if err == nil {
		s.publish(batch)
		return nil, nil
	}
	if !db.Refused(err) {
		return batch, err
	}
	// One of them is at fault. The others shall not suffer.
	for i, c := range batch {
		err := s.save(batch[i : i+1])
		switch {
		case err == nil:
			s.publish(batch[i : i+1])
			continue
		case !db.Refused(err):
			return batch[i:], err
		}
		c.answer(err)
		s.mu.Lock()
		s.rebase(append(batch[i+1:], s.queue...)) // without what c has done
		s.mu.Unlock()
		return nil, nil
	}
	return nil, nil
}

func (s *Store) save(batch []*commit) error {
	if len(batch) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), saveTimeout)
	defer cancel()
	if err := s.db.Save(ctx, s.render.rows(batch)); err != nil {
		s.log.Error("Cannot write to the database: " + err.Error())
		return fmt.Errorf("%w: %w", ErrNotSaved, err)
	}
	return nil
}

// publish makes a batch that is on disk visible and carries out what it has to say.
func (s *Store) publish(batch []*commit) {
	s.mu.Lock()
	s.outage = nil
	s.mu.Unlock()
	for _, c := range batch {
		s.published.Store(c.snap)
		if len(c.messages) > 0 {
			s.sink.Deliver(c.snap, c.messages)
		}
	}
	s.retire(batch)
	for _, c := range batch {
		c.answer(nil)
	}
}

// retire moves the VMs that have come to their end in a batch to the archive, now that the database has them.
func (s *Store) retire(batch []*commit) {
	var ended []int
	for _, c := range batch {
		ended = append(ended, c.ended...)
	}
	if len(ended) == 0 {
		return
	}
	committed := batch[len(batch)-1].snap
	s.mu.Lock()
	defer s.mu.Unlock()
	next := *s.head
	s.number++
	if !next.VMs.retire(ended, &committed.VMs, s.number) {
		return
	}
	if s.head == committed {
		s.published.Store(&next)
	}
	s.head = &next
}

// suspend answers the updates among what could not be written, and keeps the posts for the next attempt.
func (s *Store) suspend(batch []*commit, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	batch = append(batch, s.queue...)
	var posts []*commit
	for _, c := range batch {
		if c.result == nil {
			posts = append(posts, c)
		} else {
			c.answer(err)
		}
	}
	if len(posts) == len(batch) { // none of them is built on what is lost
		s.queue = batch
	} else {
		s.rebase(posts)
	}
	s.outage = nil
	if len(s.queue) > 0 {
		s.outage = err
		s.signal()
	}
}

// rebase runs transactions again, on the state that is on disk. Call it with mu held.
func (s *Store) rebase(pending []*commit) {
	s.head = s.published.Load()
	s.queue = nil
	for _, c := range pending {
		queued, err := s.attempt(c)
		switch {
		case c.result != nil && !queued:
			c.answer(err)
		case err != nil:
			s.log.Error("What a driver has reported fits no more: " + err.Error())
		}
	}
}

// Close ends the store when everything that is queued has been written, or the database has once more refused it.
func (s *Store) Close() error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.closing)
		s.signal()
	}
	s.mu.Unlock()
	<-s.done
	return nil
}
