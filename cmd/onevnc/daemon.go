package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// daemonEnv marks the background process, which finds the pipe to its parent
// as file descriptor 3.
const (
	daemonEnv = "ONEVNC_DAEMON"
	readyFD   = 3
	readyWord = "ready"
)

func isDaemon() bool { return os.Getenv(daemonEnv) == "1" }

// startDaemon runs this program again in the background, as leader of its own
// session and process group (Sunstone kills the whole group of the proxy), and
// returns when that process has opened its port or has failed.
func startDaemon(args []string) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("start daemon: %w", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("start daemon: %w", err)
	}
	defer r.Close()
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), daemonEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.ExtraFiles = []*os.File{w}
	// Until it is ready the child's complaints go into the pipe, too.
	cmd.Stderr = w
	err = cmd.Start()
	w.Close()
	if err != nil {
		return fmt.Errorf("start daemon: %w", err)
	}
	said, err := io.ReadAll(io.LimitReader(r, 64<<10))
	if err != nil {
		return fmt.Errorf("start daemon: %w", err)
	}
	before, ready := strings.CutSuffix(string(said), readyWord)
	if ready {
		fmt.Fprint(os.Stderr, before)
		return cmd.Process.Release()
	}
	_ = cmd.Wait()
	msg := strings.TrimSpace(strings.TrimPrefix(before, "onevnc: "))
	if msg == "" {
		msg = cmd.ProcessState.String()
	}
	return errors.New(msg)
}

// reportReady tells the waiting parent of a daemon that the port is open and
// lets go of everything that ties the process to its terminal.
func reportReady() error {
	if !isDaemon() {
		return nil
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("become daemon: %w", err)
	}
	defer null.Close()
	if err := os.Chdir("/"); err != nil {
		return fmt.Errorf("become daemon: %w", err)
	}
	for fd := range 3 {
		if err := syscall.Dup3(int(null.Fd()), fd, 0); err != nil {
			return fmt.Errorf("become daemon: %w", err)
		}
	}
	pipe := os.NewFile(readyFD, "ready")
	defer pipe.Close()
	_, err = pipe.WriteString(readyWord)
	return err
}
