package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// scriptedConf lets the test binary be the drivers.
func scriptedConf(t *testing.T, extra string) string {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	entry := func(attribute, name, kind, more string) string {
		return fmt.Sprintf("%s = [ %sEXECUTABLE = %q, ARGUMENTS = \"%s %s %s\"%s ]\n", attribute, name, self, scriptedDriver, kind, extra, more)
	}
	return entry("IM_MAD", `NAME = "scripted", `, "im", "") + entry("VM_MAD", `NAME = "scripted", `, "vmm", `, TYPE = "xml"`) +
		entry("TM_MAD", "", "tm", "") + entry("DATASTORE_MAD", "", "datastore", "") + entry("HM_MAD", "", "hm", "")
}

// life takes a machine with an image through its life.
func (c *cloud) life(t *testing.T, name string, host int) {
	t.Helper()
	img := c.must(t, "one.image.allocate", fmt.Sprintf("NAME=%q\nTYPE=OS\nPATH=/image", name), 1)
	c.awaitImage(t, img, "READY")
	id := c.must(t, "one.vm.allocate", fmt.Sprintf("NAME=%q\nCPU=0.1\nMEMORY=16\nDISK=[IMAGE_ID=%d]", name, img), false)
	c.must(t, "one.vm.deploy", id, host, false)
	c.awaitVM(t, id, "RUNNING")
	for _, step := range []struct{ action, state string }{
		{"suspend", "SUSPENDED"}, {"resume", "RUNNING"}, {"poweroff", "POWEROFF"}, {"resume", "RUNNING"},
		{"stop", "STOPPED"}, {"resume", "PENDING"},
	} {
		c.must(t, "one.vm.action", step.action, id)
		c.awaitVM(t, id, step.state)
	}
	c.must(t, "one.vm.deploy", id, host, false)
	c.awaitVM(t, id, "RUNNING")
	c.must(t, "one.vm.action", "shutdown", id)
	c.awaitVM(t, id, "DONE")
	c.must(t, "one.image.delete", img)
	c.poll(t, "the image stays", func() (bool, error) {
		_, err := c.Document("one.image.info", img)
		return isRefused(err), nil
	})
}

// TestScriptedDriver runs a cloud on another implementation of the driver
// protocol, TestNoisyDriver on one that says a lot of nonsense besides.
func TestScriptedDriver(t *testing.T) {
	t.Parallel()
	c := newCloud(t, settings{drivers: scriptedConf(t, "")})
	c.life(t, "one", c.addHost(t, "h", "scripted", "scripted"))
}

func TestNoisyDriver(t *testing.T) {
	t.Parallel()
	c := newCloud(t, settings{drivers: scriptedConf(t, "noisy")})
	host := c.addHost(t, "h", "scripted", "scripted")
	c.life(t, "one", host)
	c.life(t, "two", host)
	log := c.log()
	for _, want := range []string{"driver line is too long, left out", "driver line is no message, ignored: x"} {
		if !strings.Contains(log, want) {
			t.Errorf("oned.log does not say %q", want)
		}
	}
	if strings.Contains(log, " ended: ") {
		t.Error("a driver has been taken for dead")
	}
}

// TestSharedDummyDriver runs a cloud on the drivers with which the recordings of 4.6.2 were made.
func TestSharedDummyDriver(t *testing.T) {
	t.Parallel()
	program := shared(t, "tools", "dummy", "dummy_driver.py")
	need(t, "python3")
	entry := func(attribute, rest, arguments string) string {
		return fmt.Sprintf("%s = [ %s, EXECUTABLE = %q, ARGUMENTS = %q ]\n", attribute, rest, program, arguments)
	}
	c := newCloud(t, settings{drivers: entry("IM_MAD", `NAME = "scripted"`, "im") + entry("VM_MAD", `NAME = "scripted", TYPE = "xml"`, "vmm") +
		entry("TM_MAD", `X = "1"`, "tm -t 15 -d dummy,shared,ssh,qcow2") + entry("DATASTORE_MAD", `X = "1"`, "datastore -t 15 -d dummy,fs") +
		entry("HM_MAD", `X = "1"`, "hm")})
	c.life(t, "one", c.addHost(t, "h", "scripted", "scripted"))
}

// shared is a file among the recordings of the real 4.6.2, which are no part of the project.
func shared(t *testing.T, names ...string) string {
	t.Helper()
	root := os.Getenv("SHARED")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared")
	}
	path, err := filepath.Abs(filepath.Join(append([]string{root}, names...)...))
	must(t, err)
	if _, err := os.Stat(path); err != nil {
		t.Skip("there are no recordings of the real 4.6.2 here; SHARED=DIR names the directory with golden and tools")
	}
	return path
}

// children are the driver processes of oned, by the name under which they were started.
func (c *cloud) children(t *testing.T) map[int]string {
	t.Helper()
	children := map[int]string{}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	must(t, err)
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		must(t, err)
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		if fields[0] == "Z" || fields[1] != strconv.Itoa(c.oned.cmd.Process.Pid) {
			continue
		}
		if cmdline, err := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline")); err == nil && len(cmdline) > 0 {
			program, _, _ := strings.Cut(string(cmdline), "\x00")
			children[pid] = filepath.Base(program)
		}
	}
	return children
}

// TestDriversKilled kills driver processes at random while machines come and
// go: what was under way fails, the drivers come back, and the cloud goes on.
func TestDriversKilled(t *testing.T) {
	t.Parallel()
	c := newCloud(t, settings{})
	host := c.addHost(t, "h", "dummy", "dummy")
	before := c.children(t)
	if len(before) < 6 {
		t.Fatalf("oned has %d drivers: %v", len(before), before)
	}

	var over atomic.Bool
	var wg sync.WaitGroup
	var lives, failures atomic.Int64
	for range 4 {
		wg.Go(func() {
			for !over.Load() {
				if state := c.shortLife(t, host); state == "DONE" {
					lives.Add(1)
				} else {
					failures.Add(1)
				}
			}
		})
	}
	const kills = 10
	for range kills {
		time.Sleep(time.Duration(rand.Int64N(int64(100 * time.Millisecond))))
		drivers := c.children(t)
		victim := rand.IntN(max(len(drivers), 1))
		for pid := range drivers {
			if victim--; victim < 0 {
				_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended by itself
				break
			}
		}
		lived := lives.Load()
		c.poll(t, "the cloud does not go on", func() (bool, error) { return lives.Load() > lived, nil })
	}
	over.Store(true)
	wg.Wait()
	t.Logf("%d killed; %d machines lived and %d failed meanwhile", kills, lives.Load(), failures.Load())

	c.poll(t, "the datastore driver does not come back", func() (bool, error) {
		_, err := c.Number("one.image.allocate", "NAME=probe\nTYPE=OS\nPATH=/image", 1)
		return err == nil, nil
	})
	c.poll(t, "the drivers are not all back", func() (bool, error) {
		return len(c.children(t)) == len(before), nil
	})
	c.life(t, "after", host)
}

// shortLife makes a machine, runs it and ends it; the state it returns is DONE
// or that in which a driver's death has left the machine, which is deleted.
func (c *cloud) shortLife(t *testing.T, host int) string {
	id, err := c.Number("one.vm.allocate", "CPU=0.01\nMEMORY=1", false)
	if err != nil {
		t.Error(err)
		return "none"
	}
	if _, err := c.Number("one.vm.deploy", id, host, false); err != nil {
		t.Error(err)
		return "none"
	}
	asked := false
	for end := time.Now().Add(stateLimit); time.Now().Before(end); time.Sleep(time.Millisecond) {
		d, err := c.Document("one.vm.info", id)
		if err != nil {
			t.Error(err)
			return "none"
		}
		switch state := d.VMState(); {
		case state == "DONE":
			return state
		case state == "RUNNING" && !asked:
			asked = true
			if _, err := c.Number("one.vm.action", "shutdown", id); err != nil {
				t.Error(err)
				return state
			}
		case state == "RUNNING", state == "FAILED", state == "UNKNOWN": // the shutdown has failed, or what came before
			if _, err := c.Number("one.vm.action", "delete", id); err != nil && !isRefused(err) {
				t.Error(err)
			}
			return state
		}
	}
	t.Errorf("machine %d hangs", id)
	return "hangs"
}
