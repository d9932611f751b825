package e2e

import (
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	_ "modernc.org/sqlite" // reads what oned leaves behind
)

const writers = 64

// allocations is what clients that make machines have been told.
type allocations struct {
	mu     sync.Mutex
	ids    []int // acknowledged
	errors []error
}

// allocate makes count machines with 64 clients at once; less when they meet an error.
func (c *cloud) allocate(count int) *allocations {
	var a allocations
	work := make(chan int, count)
	for i := range count {
		work <- i
	}
	close(work)
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for i := range work {
				id, err := c.Number("one.vm.allocate", fmt.Sprintf("NAME=m%d\nCPU=0.1\nMEMORY=16", i), false)
				a.mu.Lock()
				if err == nil {
					a.ids = append(a.ids, id)
				} else {
					a.errors = append(a.errors, err)
				}
				a.mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	slices.Sort(a.ids)
	return &a
}

// storedVMs are the ids in the database of a daemon that does not run.
func (c *cloud) storedVMs() map[int]bool {
	c.t.Helper()
	db := c.openDatabase()
	defer db.Close()
	var healthy string
	must(c.t, db.QueryRow("PRAGMA integrity_check").Scan(&healthy))
	if healthy != "ok" {
		c.t.Errorf("integrity check: %s", healthy)
	}
	rows, err := db.Query("SELECT oid FROM vm_pool")
	must(c.t, err)
	defer rows.Close()
	stored := map[int]bool{}
	for rows.Next() {
		var id int
		must(c.t, rows.Scan(&id))
		stored[id] = true
	}
	must(c.t, rows.Err())
	return stored
}

func (c *cloud) openDatabase() *sql.DB {
	c.t.Helper()
	db, err := sql.Open("sqlite", "file:"+c.path("var", "one.db"))
	must(c.t, err)
	db.SetMaxOpenConns(1)
	return db
}

// TestManyClients makes 2,000 machines with 64 clients at once.
func TestManyClients(t *testing.T) {
	t.Parallel()
	const count = 2000
	c := newCloud(t, settings{})
	began := time.Now()
	a := c.allocate(count)
	took := time.Since(began)
	t.Logf("%d machines in %v: %.0f/s", len(a.ids), took, float64(len(a.ids))/took.Seconds())
	if len(a.errors) > 0 {
		t.Fatalf("%d errors, the first: %v", len(a.errors), a.errors[0])
	}
	for i, id := range a.ids {
		if id != i {
			t.Fatalf("id %d where %d has to be", id, i)
		}
	}
	pool, err := c.Document("one.vmpool.info", -2, -1, -1, -2)
	must(t, err)
	if n := len(pool.All("VM")); n != count {
		t.Errorf("the pool lists %d machines", n)
	}
	c.kill()
	if stored := c.storedVMs(); len(stored) != count {
		t.Errorf("%d machines are in the database", len(stored))
	}
}

// TestKill kills oned at any moment while 64 clients make machines: all that a
// client was told of is there afterwards, and the cloud goes on.
func TestKill(t *testing.T) {
	t.Parallel()
	c := newCloud(t, settings{})
	known := map[int]bool{}
	for round := range 6 {
		after := time.Duration(rand.Int64N(int64(600 * time.Millisecond)))
		killed := time.AfterFunc(after, func() { _ = c.oned.cmd.Process.Kill() })
		a := c.allocate(2000)
		killed.Stop()
		c.kill()
		for _, id := range a.ids {
			if known[id] {
				t.Errorf("round %d: id %d is given out twice", round, id)
			}
			known[id] = true
		}
		stored := c.storedVMs()
		for id := range known {
			if !stored[id] {
				t.Errorf("round %d: machine %d was acknowledged and is not in the database", round, id)
			}
		}
		t.Logf("killed after %v: %d acknowledged, %d in the database", after, len(known), len(stored))
		for id := range stored { // made, though nobody was told
			known[id] = true
		}
		began := time.Now()
		c.start()
		t.Logf("answers again after %v", time.Since(began))
		if next := c.must(t, "one.vm.allocate", "CPU=1\nMEMORY=1", false); next != len(known) {
			t.Errorf("round %d: the next id is %d, not %d", round, next, len(known))
		} else {
			known[next] = true
		}
	}
}

// TestStop ends oned in an orderly way while clients work.
func TestStop(t *testing.T) {
	t.Parallel()
	c := newCloud(t, settings{})
	host := c.addHost(t, "h", "dummy", "dummy")
	for range 20 {
		c.must(t, "one.vm.deploy", c.must(t, "one.vm.allocate", "CPU=0.1\nMEMORY=16", false), host, false)
	}
	idle := c.idleConnections(t, 20)
	for _, conn := range idle[10:] { // some of them begin a call and never end it
		_, err := fmt.Fprintf(conn, head+"%s", len(versionCall), versionCall[:50])
		must(t, err)
	}
	loaded := make(chan *allocations)
	go func() { loaded <- c.allocate(1 << 20) }()
	c.poll(t, "there is no load", func() (bool, error) {
		_, err := c.Document("one.vm.info", 200)
		return err == nil, nil
	})
	took := c.stop()
	a := <-loaded
	for _, conn := range idle {
		conn.Close()
	}
	t.Logf("ended %v after SIGTERM, with %d machines made", took, len(a.ids))
	if code := c.oned.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit status %d: %s", code, c.oned.said())
	}
	if took > 5*time.Second {
		t.Errorf("it took %v to end", took)
	}

	// One file in the journal mode that 4.6's library knows; no lock.
	for _, name := range []string{".lock", "one.db-wal", "one.db-shm", "one.db-journal"} {
		if _, err := os.Stat(c.path("var", name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("var/%s is still there: %v", name, err)
		}
	}
	const writeVersion, readVersion, rollback = 18, 19, 1
	if head := c.read("var", "one.db"); head[writeVersion] != rollback || head[readVersion] != rollback {
		t.Errorf("the database's format versions are %d and %d", head[writeVersion], head[readVersion])
	}
	stored := c.storedVMs()
	for _, id := range a.ids {
		if !stored[id] {
			t.Errorf("machine %d was acknowledged and is not in the database", id)
		}
	}
	c.start()
	if next := c.must(t, "one.vm.allocate", "CPU=1\nMEMORY=1", false); next != len(stored) {
		t.Errorf("the next id is %d, not %d", next, len(stored))
	}
}

// stopLimit is how long oned may take to end, whatever clients and drivers do.
const stopLimit = 500 * time.Millisecond

// TestStopWithHalfSentCalls ends oned while clients are in the middle of sending a call, some of them still at it: it cuts them off,
// and keeps what it has acknowledged. A loaded machine gets more than one chance, one that looks for races no figure.
func TestStopWithHalfSentCalls(t *testing.T) {
	t.Parallel()
	c := newCloud(t, settings{})
	known := map[int]bool{}
	fastest := time.Hour
	for range 8 {
		for range 10 {
			known[c.must(t, "one.vm.allocate", "CPU=0.1\nMEMORY=16", true)] = true
		}
		var senders sync.WaitGroup
		for i, conn := range c.idleConnections(t, 40) {
			text := fmt.Sprintf(head, len(versionCall))
			switch i % 4 {
			case 0: // half the head
				text = text[:len(text)/2]
			case 1:
				text += versionCall[:len(versionCall)/2]
			case 2: // the end of a chunk is missing
				text = "POST /RPC2 HTTP/1.1\r\nHost: one\r\nContent-Type: text/xml\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n<?xml"
			case 3: // a slow one, until it is cut off
				text = fmt.Sprintf(head, 1<<20)
			}
			_, err := conn.Write([]byte(text))
			must(t, err)
			senders.Go(func() {
				defer conn.Close()
				for err = nil; i%4 == 3 && err == nil; time.Sleep(5 * time.Millisecond) {
					_, err = conn.Write([]byte(" "))
				}
				_, _ = io.Copy(io.Discard, conn) // until oned closes it
			})
		}
		a := make(chan *allocations)
		go func() { a <- c.allocate(1 << 20) }()
		c.poll(t, "there is no load", func() (bool, error) {
			_, err := c.Document("one.vm.info", len(known)+20)
			return err == nil, nil
		})
		took := c.stop()
		for _, id := range (<-a).ids {
			known[id] = true
		}
		senders.Wait()
		if code := c.oned.cmd.ProcessState.ExitCode(); code != 0 {
			t.Fatalf("exit status %d: %s", code, c.oned.said())
		}
		stored := c.storedVMs()
		for id := range known {
			if !stored[id] {
				t.Errorf("machine %d was acknowledged and is not in the database", id)
			}
		}
		for id := range stored {
			known[id] = true
		}
		t.Logf("ended %v after SIGTERM; %d machines", took, len(stored))
		if fastest = min(fastest, took); fastest <= stopLimit || len(buildFlags) > 0 {
			return
		}
		c.start()
	}
	t.Errorf("it takes %v to end", fastest)
}

// TestLock starts a second oned on the directories of a first, alive and killed.
func TestLock(t *testing.T) {
	t.Parallel()
	c := newCloud(t, settings{})
	for _, args := range [][]string{{"-f"}, {}} {
		second := c.run("oned", args...)
		<-second.done
		want := fmt.Sprintf("Error: Cannot start oned, opening lock file %s/var/.lock\n", c.dir)
		if code := second.cmd.ProcessState.ExitCode(); code != 255 || second.said() != want {
			t.Errorf("%v: exit status %d, %q", args, code, second.said())
		}
	}
	if _, err := c.Call("one.system.version"); err != nil {
		t.Errorf("the first one suffers: %v", err)
	}
	c.kill()
	if c.read("var", ".lock") == "" {
		t.Error("the lock file of the killed one is empty")
	}
	c.start()
	c.stop()

	// An empty one is 4.6's, whose life nobody can see.
	c.write("var/.lock", "")
	third := c.run("oned", "-f")
	<-third.done
	if code := third.cmd.ProcessState.ExitCode(); code != 255 {
		t.Errorf("beside a lock file of 4.6: exit status %d, %s", code, third.said())
	}
}
