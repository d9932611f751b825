package state

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"goned/core/config"
	"goned/core/host"
	"goned/core/resource"
)

const (
	stressHosts = 200 // several chunks of the pool
	stressVMs   = 50
)

// stressed is a store whose hosts share a fixed number of VM ids: each id is on one host at any moment. Every transaction takes a
// number, updates of one sequence and posts of another, and says it.
type stressed struct {
	*Store
	db *fakeDatabase

	mu   sync.Mutex // guards said
	said map[Counter][]int
}

type said struct {
	sequence Counter
	number   int
}

func newStressed(t *testing.T) *stressed {
	s := &stressed{db: &fakeDatabase{}, said: map[Counter][]int{}}
	first := &Snapshot{}
	for i := range first.lastID {
		first.lastID[i] = -1
	}
	sink := SinkFunc(func(_ *Snapshot, messages []any) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, m := range messages {
			x := m.(said)
			s.said[x.sequence] = append(s.said[x.sequence], x.number)
		}
	})
	s.Store = NewStore(first, &config.Config{}, s.db, sink, time.Now, slog.New(slog.NewTextHandler(io.Discard, nil)))
	t.Cleanup(func() { s.Close() })
	err := s.Update(func(tx *Tx) error {
		for i := range stressHosts {
			h, err := host.New(tx.NextID(HostIDs), fmt.Sprint("h", i), "im", "vmm", "vnm", resource.NoCluster, "")
			if err != nil {
				return err
			}
			tx.Hosts.Insert(h)
		}
		for id := range stressVMs {
			tx.Hosts.Edit(id%stressHosts).AddVM(id, 1, 1, 0)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// move takes a VM from its host to another in two steps, between which the ids do not add up.
func move(tx *Tx, id, to int, between func()) {
	for h := range tx.Hosts.All() {
		if h.VMs.Has(id) {
			tx.Hosts.Edit(h.ID).RemoveVM(id, 1, 1, 0)
			break
		}
	}
	if between != nil {
		between()
	}
	tx.Hosts.Edit(to).AddVM(id, 1, 1, 0)
	h := tx.Hosts.Edit(to)
	key := h.Key()
	h.Name = fmt.Sprintf("h%d-%d", to, tx.number)
	tx.Hosts.Renamed(to, key)
}

// check looks at one snapshot.
func (s *stressed) check(snap *Snapshot) error {
	seen := map[int]bool{}
	n := 0
	for h := range snap.Hosts.All() {
		n++
		if int64(len(h.VMs)) != h.Share.RunningVMs || h.Share.CPUUsage != h.Share.RunningVMs {
			return fmt.Errorf("host %d: %v, %+v", h.ID, h.VMs, h.Share)
		}
		for _, id := range h.VMs {
			if seen[id] {
				return fmt.Errorf("VM %d is on two hosts", id)
			}
			seen[id] = true
		}
		if snap.Hosts.ByName(h.Name) != h {
			return fmt.Errorf("%q does not name host %d", h.Name, h.ID)
		}
		if want := resource.AppendEscaped(nil, h.PoolXML()); !bytes.Equal(snap.Hosts.Listing(h.ID), want) {
			return fmt.Errorf("host %d is listed as another", h.ID)
		}
	}
	if n != stressHosts || len(seen) != stressVMs {
		return fmt.Errorf("%d hosts, %d VMs", n, len(seen))
	}
	return nil
}

// TestStress has writers, readers and a database that fails now and then work at the same time. Readers see whole transactions only,
// never go back in time, and see what they have written; what was posted happens once, whatever the database does.
func TestStress(t *testing.T) {
	s := newStressed(t)
	const writers, each = 4, 150
	var work, watch sync.WaitGroup
	done := make(chan struct{})
	var mu sync.Mutex // guards kept and posted
	kept, posted := 0, 0

	for w := range writers {
		work.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(w)))
			for range each {
				id, to, ending := r.IntN(stressVMs), r.IntN(stressHosts), r.IntN(10)
				var number int
				fn := func(sequence Counter) func(*Tx) error {
					return func(tx *Tx) error {
						number = tx.NextID(sequence)
						move(tx, id, to, func() {
							if ending == 0 {
								panic("in the middle")
							}
						})
						if ending == 1 {
							return errors.New("refused after the change")
						}
						tx.Send(said{sequence, number})
						return nil
					}
				}
				if w%2 == 0 {
					if err := s.Post(fn(ImageIDs)); err == nil {
						mu.Lock()
						posted++
						mu.Unlock()
					}
					continue
				}
				err := s.Update(fn(NetIDs))
				for errors.Is(err, ErrNotSaved) {
					time.Sleep(time.Millisecond)
					err = s.Update(fn(NetIDs))
				}
				if err == nil {
					mu.Lock()
					kept++
					mu.Unlock()
					if s.Snapshot().lastID[NetIDs] < number {
						t.Errorf("update %d is not visible to its writer", number)
					}
				}
			}
		})
	}
	for range 3 {
		watch.Go(func() {
			last := s.Snapshot().lastID
			for {
				snap := s.Snapshot()
				if err := s.check(snap); err != nil {
					t.Error(err)
					return
				}
				for c := range last {
					if snap.lastID[c] < last[c] {
						t.Errorf("sequence %d went back from %d to %d", c, last[c], snap.lastID[c])
						return
					}
				}
				last = snap.lastID
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	work.Go(func() {
		for range 4 {
			s.db.fail(errFull)
			time.Sleep(5 * time.Millisecond)
			s.db.fail(nil)
			time.Sleep(5 * time.Millisecond)
		}
	})
	work.Wait()
	close(done)
	watch.Wait()
	s.db.fail(nil)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	snap := s.Snapshot()
	if err := s.check(snap); err != nil {
		t.Error(err)
	}
	if kept == 0 || snap.lastID[NetIDs]+1 != kept || snap.lastID[ImageIDs]+1 != posted {
		t.Errorf("%d updates and %d posts have succeeded, %d and %d are there", kept, posted, snap.lastID[NetIDs]+1, snap.lastID[ImageIDs]+1)
	}
	for sequence, count := range map[Counter]int{NetIDs: kept, ImageIDs: posted} {
		if len(s.said[sequence]) != count {
			t.Errorf("%d messages of %d transactions", len(s.said[sequence]), count)
		}
		for i, n := range s.said[sequence] {
			if n != i {
				t.Fatalf("message %d comes as number %d", n, i)
			}
		}
	}
	t.Logf("%d updates, %d posts", kept, posted)
}
