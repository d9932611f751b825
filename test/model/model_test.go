package model

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"goned/core/vm"
)

var (
	flagSteps = flag.Int("model.steps", 120_000, "how many steps to take in all")
	flagSeed  = flag.Uint64("model.seed", 0, "seed of the only sequence to run; 0: the usual ones")
	flagAfter = flag.Uint64("model.after", 0, "seed after which the usual ones begin, to go on where another run has ended")
)

// sequenceLength is the number of steps from one new cloud.
const sequenceLength = 400

func secondsOf(n int) time.Duration { return time.Duration(n) * time.Second }

func testOrigin(t testing.TB) *origin {
	t.Helper()
	dir := t.TempDir()
	authFile := filepath.Join(dir, "one_auth")
	if err := os.WriteFile(authFile, []byte("oneadmin:pw\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := newOrigin(dir, authFile)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func sequence(seed uint64) []step {
	r := rand.New(rand.NewPCG(seed, 1))
	steps := make([]step, sequenceLength)
	for i := range steps {
		steps[i] = randomStep(r)
	}
	return steps
}

// run takes the steps from a new cloud on, then ends all that lives. It gives the number of steps that it took, what was wrong
// after the last, and where VMs have been. Time passes in no time there: it is known when nothing moves any more.
func run(t *testing.T, o *origin, steps []step, trace func(string, ...any)) (taken int, problems []string, seen map[place]bool) {
	synctest.Test(t, func(*testing.T) { taken, problems, seen = play(o, steps, trace) })
	return taken, problems, seen
}

func play(o *origin, steps []step, trace func(string, ...any)) (taken int, problems []string, seen map[place]bool) {
	w := newWorld(o, trace)
	seen = w.seen
	defer func() {
		if w.db.hang != nil { // a panic of the test
			close(w.db.hang)
		}
		if p := recover(); p != nil {
			problems = []string{fmt.Sprintf("panic: %v\n%s", p, debug.Stack())}
		}
		if err := w.close(); err != nil {
			problems = append(problems, err.Error())
		}
	}()
	for i, s := range steps {
		trace("-- %d: %s", i, kinds[s.kind].name)
		if problems := w.step(s); len(problems) > 0 {
			return i + 1, problems, seen
		}
	}
	trace("-- the end")
	return len(steps), w.end(), seen
}

// shrink leaves out steps as long as the same kind of thing stays wrong.
func shrink(t *testing.T, o *origin, steps []step, deadline time.Time) []step {
	silent := func(string, ...any) {}
	for size := len(steps) / 2; size > 0; size /= 2 {
		for at := 0; at+size <= len(steps); {
			if time.Now().After(deadline) {
				return steps
			}
			shorter := append(append([]step{}, steps[:at]...), steps[at+size:]...)
			if taken, problems, _ := run(t, o, shorter, silent); len(problems) > 0 {
				steps = shorter[:taken]
			} else {
				at += size
			}
		}
	}
	return steps
}

// TestModel takes random steps. `go test ./test/model -model.steps=5000000` takes more, -model.seed=N -v shows one sequence.
func TestModel(t *testing.T) {
	o := testOrigin(t)
	if *flagSeed != 0 {
		if _, problems, _ := run(t, o, sequence(*flagSeed), t.Logf); len(problems) > 0 {
			t.Error(strings.Join(problems, "\n"))
		}
		return
	}
	var next, taken atomic.Uint64
	next.Store(*flagAfter)
	var failed atomic.Bool
	var mu sync.Mutex // guards seen
	seen := map[place]bool{}
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for !failed.Load() && taken.Load() < uint64(*flagSteps) {
				seed := next.Add(1)
				n, problems, places := run(t, o, sequence(seed), func(string, ...any) {})
				if sum := taken.Add(uint64(n)); sum/1_000_000 != (sum-uint64(n))/1_000_000 {
					t.Logf("%d steps, seeds %d to %d", sum, *flagAfter+1, next.Load())
				}
				mu.Lock()
				maps.Copy(seen, places)
				mu.Unlock()
				if len(problems) > 0 && failed.CompareAndSwap(false, true) {
					report(t, o, seed, n)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d steps, seeds %d to %d", taken.Load(), *flagAfter+1, next.Load())
	if !failed.Load() && taken.Load() >= 100_000 {
		everywhere(t, seen)
	}
}

// everywhere checks that the steps have led to all places of the life of a VM. DONE is no place in memory.
func everywhere(t *testing.T, seen map[place]bool) {
	for s := vm.Pending; s <= vm.Undeployed; s++ {
		if s != vm.Active && s != vm.Done && !seen[place{state: s}] {
			t.Errorf("no VM has ever been %s", s)
		}
	}
	for l := vm.Prolog; l <= vm.BootUndeploy; l++ {
		passing := l == vm.Failure || l == vm.CleanupDelete
		if seen[place{vm.Active, l}] == passing {
			t.Errorf("VMs have been seen in %s: %v", l, !passing)
		}
	}
}

// report shows the shortest sequence that still goes wrong.
func report(t *testing.T, o *origin, seed uint64, length int) {
	steps := shrink(t, o, sequence(seed)[:length], time.Now().Add(20*time.Second))
	var log strings.Builder
	_, problems, _ := run(t, o, steps, func(format string, args ...any) { fmt.Fprintf(&log, format+"\n", args...) })
	t.Errorf("seed %d goes wrong after %d steps, cut down to %d:\n%s\n%s", seed, length, len(steps), log.String(), strings.Join(problems, "\n"))
}
