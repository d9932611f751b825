package state

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"goned/core/config"
	"goned/core/db"
)

var (
	errFull    = errors.New("database or disk is full")
	errTooLong = &mysql.MySQLError{Number: 1406, Message: "Data too long for column 'body'"}
)

// fakeDatabase keeps rows as text and fails on command.
type fakeDatabase struct {
	mu     sync.Mutex
	err    error
	poison string // rows with this key are refused
	saved  []string
	gate   chan struct{} // each Save takes one, if it is set
	begun  chan struct{}
}

func (f *fakeDatabase) Save(_ context.Context, rows []db.Row) error {
	f.mu.Lock()
	gate := f.gate
	f.mu.Unlock()
	if gate != nil {
		f.begun <- struct{}{}
		<-gate
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return f.err
	}
	var texts []string
	for _, r := range rows {
		texts = append(texts, strings.TrimSpace(fmt.Sprintln(r.Values...)))
		if r.Values[0] == f.poison {
			return errTooLong
		}
	}
	f.saved = append(f.saved, texts...)
	return nil
}

func (f *fakeDatabase) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

// blockSaves makes each Save wait for open; begun tells that one does.
func (f *fakeDatabase) blockSaves() (begun <-chan struct{}, open func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gate, f.begun = make(chan struct{}), make(chan struct{}, 100)
	gate := f.gate
	return f.begun, func() {
		f.mu.Lock()
		f.gate = nil
		f.mu.Unlock()
		close(gate)
	}
}

// testStore is an empty cloud whose messages arrive in sent.
type testStore struct {
	*Store
	db   *fakeDatabase
	sent chan any
}

func newTestStore(t *testing.T) *testStore {
	first := &Snapshot{}
	for i := range first.lastID {
		first.lastID[i] = -1
	}
	s := &testStore{db: &fakeDatabase{}, sent: make(chan any, 100)}
	sink := SinkFunc(func(_ *Snapshot, messages []any) {
		for _, m := range messages {
			s.sent <- m
		}
	})
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	s.Store = NewStore(first, &config.Config{}, s.db, sink, time.Now, log)
	t.Cleanup(func() {
		s.db.fail(nil)
		s.Close()
	})
	return s
}

// take is a transaction: it takes the next id of c and says so.
func take(c Counter) func(*Tx) error {
	return func(tx *Tx) error {
		tx.Send(fmt.Sprintf("%s %d", counterTables[c], tx.NextID(c)))
		return nil
	}
}

func (s *testStore) await(t *testing.T, want ...string) {
	t.Helper()
	for _, w := range want {
		select {
		case got := <-s.sent:
			if got != w {
				t.Fatalf("message %q, want %q", got, w)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("no message %q", w)
		}
	}
}

// What a driver reports while the database takes nothing is kept until it does; clients are refused meanwhile, and reads go on.
func TestPostsOutliveAnOutage(t *testing.T) {
	s := newTestStore(t)
	if err := s.Update(take(HostIDs)); err != nil {
		t.Fatal(err)
	}
	s.await(t, "host_pool 0")
	s.db.fail(errFull)
	if err := s.Update(take(HostIDs)); !errors.Is(err, ErrNotSaved) || !errors.Is(err, errFull) {
		t.Fatalf("an update that is not on disk: %v", err)
	}
	if err := s.Post(take(VMIDs)); err != nil {
		t.Fatal(err)
	}
	if err := s.Post(take(VMIDs)); err != nil {
		t.Fatal(err)
	}
	for s.refuses() == nil { // until the committer has tried
		time.Sleep(time.Millisecond)
	}
	if err := s.Update(take(HostIDs)); !errors.Is(err, ErrNotSaved) {
		t.Errorf("an update during the outage: %v", err)
	}
	if last := s.Snapshot().lastID; last[HostIDs] != 0 || last[VMIDs] != -1 {
		t.Errorf("visible though not on disk: %v", last)
	}
	if err := s.Post(take(ImageIDs)); err != nil {
		t.Fatal(err)
	}

	s.db.fail(nil)
	s.await(t, "vm_pool 0", "vm_pool 1", "image_pool 0")
	if err := s.Update(take(HostIDs)); err != nil {
		t.Fatalf("after the outage: %v", err)
	}
	s.await(t, "host_pool 1")
	if last := s.Snapshot().lastID; last[HostIDs] != 1 || last[VMIDs] != 1 || last[ImageIDs] != 0 {
		t.Errorf("after the outage: %v", last)
	}
	for _, row := range []string{"vm_pool 1", "image_pool 0", "host_pool 1"} {
		if !slices.Contains(s.db.saved, row) {
			t.Errorf("%q is not in the database: %v", row, s.db.saved)
		}
	}
}

func (s *testStore) refuses() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.outage
}

// A post that stands on updates which are lost runs again without them.
func TestPostsAreRebuiltWithoutLostUpdates(t *testing.T) {
	s := newTestStore(t)
	begun, open := s.db.blockSaves()
	answers := make(chan error, 2)
	go func() { answers <- s.Update(take(VMIDs)) }()
	<-begun
	go func() { answers <- s.Update(take(VMIDs)) }()
	for s.queued() == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := s.Post(take(VMIDs)); err != nil {
		t.Fatal(err)
	}
	s.db.fail(errFull)
	open()
	for range 2 {
		if err := <-answers; !errors.Is(err, ErrNotSaved) {
			t.Errorf("update: %v", err)
		}
	}
	s.db.fail(nil)
	s.await(t, "vm_pool 0")
}

func (s *testStore) queued() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue)
}

// A row that the database never takes costs its own transaction only, be it a client's or a driver's.
func TestRefusedRow(t *testing.T) {
	for _, posted := range []bool{false, true} {
		t.Run(fmt.Sprintf("posted=%v", posted), func(t *testing.T) {
			s := newTestStore(t)
			s.db.poison = counterTables[ZoneIDs]
			begun, open := s.db.blockSaves()
			first := make(chan error, 1)
			go func() { first <- s.Update(take(HostIDs)) }()
			<-begun

			var order []chan error
			for _, c := range []Counter{VMIDs, ZoneIDs, VMIDs} {
				answer := make(chan error, 1)
				order = append(order, answer)
				before := s.queued()
				if posted && c == ZoneIDs {
					answer <- s.Post(take(c))
					continue
				}
				go func() { answer <- s.Update(take(c)) }()
				for s.queued() == before {
					time.Sleep(time.Millisecond)
				}
			}
			open()
			if err := <-first; err != nil {
				t.Error(err)
			}
			if err := <-order[0]; err != nil {
				t.Error(err)
			}
			if err := <-order[1]; !posted && !errors.Is(err, ErrNotSaved) {
				t.Errorf("the bad row is answered with %v", err)
			}
			if err := <-order[2]; err != nil {
				t.Error(err)
			}
			s.await(t, "host_pool 0", "vm_pool 0", "vm_pool 1")
			if last := s.Snapshot().lastID[ZoneIDs]; last != -1 {
				t.Errorf("the bad row is visible: %d", last)
			}
		})
	}
}

// Close does not wait for a database that takes nothing.
func TestCloseDuringOutage(t *testing.T) {
	s := newTestStore(t)
	s.db.fail(errFull)
	if err := s.Post(take(VMIDs)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(take(VMIDs)); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// A transaction that panics is an error of its caller.
func TestPanic(t *testing.T) {
	s := newTestStore(t)
	err := s.Update(func(*Tx) error { panic("boom") })
	if err == nil || !strings.Contains(err.Error(), "boom") {
		t.Errorf("%v", err)
	}
	if err := s.Update(take(VMIDs)); err != nil {
		t.Error(err)
	}
}
