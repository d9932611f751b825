package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
)

// defaultPriority is the nice value of drivers unless an rc file sets PRIORITY.
const defaultPriority = 19

// setPriority lowers the priority of the whole process. The system call acts
// on one thread only, so the program is executed once more from that thread.
func setPriority() error {
	wanted := defaultPriority
	if v := os.Getenv("PRIORITY"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			return fmt.Errorf("PRIORITY=%q is no number", v)
		}
		wanted = n
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if current() >= wanted {
		return nil
	}
	if err := syscall.Setpriority(syscall.PRIO_PROCESS, 0, wanted); err != nil {
		return fmt.Errorf("set priority %d: %w", wanted, err)
	}
	if current() < wanted {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("set priority: %w", err)
	}
	return syscall.Exec(self, os.Args, os.Environ())
}

// current is the nice value of this thread; the system call gives 20 minus it.
func current() int {
	v, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
	if err != nil {
		return defaultPriority
	}
	return 20 - v
}
