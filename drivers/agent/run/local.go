package run

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const (
	// killGrace is how long a cancelled command may tidy up after SIGTERM.
	killGrace = 120 * time.Millisecond
	// outputGrace is how long output is still read after the command's end
	// if something it left running holds it open.
	outputGrace = 500 * time.Millisecond
)

// Command is a program on the front-end.
type Command struct {
	// Label is the command for the log; Argv joined by blanks if empty.
	Label string
	Argv  []string
	Stdin []byte
	// Timeout ends the command; 0 for never, as in 4.6.
	Timeout time.Duration
}

// Local runs a command to its end. If ctx ends first, the command's process
// group is killed. What a command leaves running in the background when it
// ends by itself is left alone.
func Local(ctx context.Context, c Command) Result {
	if c.Label == "" {
		c.Label = strings.Join(c.Argv, " ")
	}
	if c.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.Timeout)
		defer cancel()
	}
	res, err := start(ctx, c, c.Argv)
	if errors.Is(err, syscall.ENOEXEC) { // no #! line: a shell would read it itself
		res, err = start(ctx, c, append([]string{"/bin/sh"}, c.Argv...))
	}
	if err != nil {
		res = notStarted(c, err)
	}
	traced("", c.Argv, res)
	return res
}

// notStarted gives the codes a shell gives.
func notStarted(c Command, err error) Result {
	code := 126
	var errno syscall.Errno
	text := err.Error()
	if errors.As(err, &errno) {
		text = c.Argv[0] + ": " + errno.Error()
		if errno == syscall.ENOENT {
			code = 127
		}
	}
	return Result{Label: c.Label, Code: code, Stderr: withExitCode(text+"\n", code)}
}

func start(ctx context.Context, c Command, argv []string) (Result, error) {
	stdout, stderr := newCapture(stdoutLimit), newCapture(stderrLimit)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin = bytes.NewReader(c.Stdin)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = outputGrace
	var killer *time.Timer
	cmd.Cancel = func() error {
		group := -cmd.Process.Pid
		killer = time.AfterFunc(killGrace, func() { _ = syscall.Kill(group, syscall.SIGKILL) })
		return syscall.Kill(group, syscall.SIGTERM)
	}
	if err := cmd.Start(); err != nil {
		return Result{}, err
	}
	_ = cmd.Wait() // the state says all there is to know
	if killer != nil && killer.Stop() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	code, note := exitCode(cmd)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		note = fmt.Sprintf("ERROR: command timed out after %v\n", c.Timeout)
	}
	text := string(stderr.bytes())
	if note != "" && text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return Result{
		Label: c.Label, Code: code,
		Stdout: string(stdout.bytes()),
		Stderr: withExitCode(text+note, code),
	}, nil
}

// exitCode is the code a shell would show, with a note if a signal was it.
func exitCode(cmd *exec.Cmd) (code int, note string) {
	if cmd.ProcessState == nil {
		return failedCode, ""
	}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), fmt.Sprintf("killed by signal %d (%v)\n", int(status.Signal()), status.Signal())
	}
	return cmd.ProcessState.ExitCode(), ""
}
