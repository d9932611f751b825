//go:build e2e

package xen

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The tests share the hosts and one cloud: a host takes minutes to boot.
var (
	labDir string // of the hosts' disks, keys and logs
	front  *cloud
)

// TestMain starts the hosts and the cloud, and ends them. With XEN_LAB_KEEP set
// the hosts go on, for the next run to use.
func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	// oned is told when the thread that has started it ends.
	runtime.LockOSThread()
	if os.Geteuid() != 0 {
		fmt.Println("skipped: building the disks of the hosts needs root")
		return 0
	}
	began := time.Now()
	labDir = os.Getenv("XEN_LAB")
	if labDir == "" {
		var err error
		if labDir, err = filepath.Abs(filepath.Join("..", "artifacts", "xen")); err != nil {
			return complain(err)
		}
	}
	if os.Getenv("XEN_LAB_KEEP") == "" {
		defer lab("down")
		interrupted := make(chan os.Signal, 1)
		signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
		go func() {
			<-interrupted
			_ = lab("down")
			os.Exit(1)
		}()
	}
	if err := lab("up"); err != nil {
		return complain(err)
	}
	report("hosts built and booted", began, "ok")

	dir, err := os.MkdirTemp("", "goned-xen-")
	if err != nil {
		return complain(err)
	}
	defer os.RemoveAll(dir)
	front, err = newCloud(dir)
	if err != nil {
		return complain(err)
	}
	defer front.stop()

	// All tests wait for their hosts; that is not what the processors of this machine limit.
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		return complain(err)
	}
	status := m.Run()
	if status != 0 {
		fmt.Printf("end of oned.log:\n%s\n", lastLines(front.path("var", "oned.log"), 80))
	}
	printReport(time.Since(began))
	return status
}

// lab calls the program that makes the hosts.
func lab(args ...string) error {
	cmd := exec.Command("./lab", args...)
	cmd.Env = append(os.Environ(), "XEN_LAB="+labDir)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("lab %v: %w", args, err)
	}
	return nil
}

func complain(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// hostLocks keep two tests from one host: see alone.
var hostLocks = map[string]*sync.Mutex{"xen01": {}, "xen02": {}}

// alone has a test run when no other is on these hosts, and beside one on another
// host: an emulated processor is one thread. All tests take their hosts in the
// same order.
func alone(t *testing.T, hosts ...string) {
	t.Helper()
	t.Parallel()
	for _, name := range hosts {
		hostLocks[name].Lock()
		t.Cleanup(hostLocks[name].Unlock)
	}
}

var (
	checksLock sync.Mutex
	checks     []struct {
		name, result string
		took         time.Duration
	}
)

func report(name string, began time.Time, result string) {
	checksLock.Lock()
	defer checksLock.Unlock()
	checks = append(checks, struct {
		name, result string
		took         time.Duration
	}{name, result, time.Since(began)})
}

func printReport(total time.Duration) {
	fmt.Printf("\n%-72s %8s  result\n", "check", "seconds")
	for _, c := range checks {
		fmt.Printf("%-72s %8.1f  %s\n", c.name, c.took.Seconds(), c.result)
	}
	fmt.Printf("%-72s %8.1f\n", "all", total.Seconds())
}

// check runs one check and notes its result and time. A false answer means that
// it failed.
func check(t *testing.T, name string, run func(t *testing.T)) bool {
	t.Helper()
	began := time.Now()
	result := "FAILED"
	ok := t.Run(name, func(t *testing.T) {
		defer func() {
			if t.Skipped() {
				result = "skipped"
			}
		}()
		run(t)
	})
	if ok && result == "FAILED" {
		result = "ok"
	}
	report(t.Name()+"/"+name, began, result)
	return ok
}

// need is check for what the checks after it depend on.
func need(t *testing.T, name string, run func(t *testing.T)) {
	t.Helper()
	if !check(t, name, run) {
		t.FailNow()
	}
}
