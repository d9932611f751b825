package mad

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
	"unicode"
)

// LoadError is the text 4.6 logs under the tag MAD when a driver cannot be
// started; it is written as it is.
type LoadError string

func (e LoadError) Error() string { return string(e) }

func loadErrorf(format string, args ...any) error {
	return LoadError(fmt.Sprintf(format, args...))
}

// drainGrace is how long the output of a process that has ended is still read
// when a child of it keeps the pipe open.
const drainGrace = 250 * time.Millisecond

// process is one running instance of the driver program, leader of a process
// group of its own.
type process struct {
	log    *slog.Logger
	cmd    *exec.Cmd
	in     *os.File // our end of its stdin
	out    *os.File // our end of its stdout
	reader *bufio.Reader

	exited     chan struct{} // closed when it has been waited for
	stderrDone chan struct{}
}

// launch starts the program. The child gets its own process group so that a
// kill reaches what it started, and a terminal's signals do not reach it.
func launch(cfg *Config) (*process, error) {
	path := cfg.path()
	childIn, in, err := os.Pipe()
	if err != nil {
		return nil, loadErrorf("Cannot create driver pipes, %s", errnoText(err))
	}
	out, childOut, err := os.Pipe()
	if err != nil {
		closeAll(childIn, in)
		return nil, loadErrorf("Cannot create driver pipes, %s", errnoText(err))
	}
	stderr, childErr, err := os.Pipe()
	if err != nil {
		closeAll(childIn, in, out, childOut)
		return nil, loadErrorf("Cannot create driver pipes, %s", errnoText(err))
	}
	cmd := &exec.Cmd{
		Path:        path,
		Args:        append([]string{path}, cfg.Args...),
		Dir:         cfg.WorkDir,
		Stdin:       childIn,
		Stdout:      childOut,
		Stderr:      childErr,
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true},
	}
	if len(cfg.Env) > 0 {
		cmd.Env = append(os.Environ(), cfg.Env...)
	}
	err = cmd.Start()
	closeAll(childIn, childOut, childErr)
	if err != nil {
		closeAll(in, out, stderr)
		return nil, loadErrorf("Cannot load driver %s, %s", path, errnoText(err))
	}
	p := &process{
		log: cfg.Log, cmd: cmd, in: in, out: out,
		exited:     make(chan struct{}),
		stderrDone: make(chan struct{}),
	}
	p.reader = bufio.NewReaderSize(&lastWords{p: p, left: pipeCapacity}, 64<<10)
	go p.wait()
	go p.drainStderr(stderr)
	return p, nil
}

func (p *process) wait() {
	_ = p.cmd.Wait() // the state is in ProcessState
	// A grandchild that inherited stdout would keep the reader waiting.
	_ = p.out.SetReadDeadline(time.Now().Add(drainGrace))
	close(p.exited)
}

// pipeCapacity is the most a pipe can hold on Linux without privilege.
const pipeCapacity = 1 << 20

// lastWords reads the process's output. Once the process has ended, what it
// left in the pipe is still read however late we come to it, but not the
// endless output of a child that has inherited the pipe.
type lastWords struct {
	p    *process
	left int // bytes still accepted after the end of the process
}

func (r *lastWords) Read(b []byte) (int, error) {
	n, err := r.p.out.Read(b)
	if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) || r.left <= 0 {
		return n, err
	}
	select {
	case <-r.p.exited:
	default:
		return n, err
	}
	_ = r.p.out.SetReadDeadline(time.Now().Add(drainGrace))
	n, err = r.p.out.Read(b)
	r.left -= n
	_ = r.p.out.SetReadDeadline(time.Now())
	return n, err
}

// drainStderr keeps the program from blocking on a full pipe and shows what
// it says. 4.6 starts drivers with stderr closed, so nothing else reads it.
func (p *process) drainStderr(stderr *os.File) {
	defer close(p.stderrDone)
	defer stderr.Close()
	go func() {
		<-p.exited
		_ = stderr.SetReadDeadline(time.Now().Add(drainGrace))
	}()
	r := bufio.NewReaderSize(stderr, 8<<10)
	for {
		line, err := readLine(r, 8<<10)
		if errors.Is(err, errLineTooLong) {
			line, err = "(line longer than 8 KiB left out)", nil
		}
		if err != nil {
			return
		}
		p.log.Debug("driver stderr: " + line)
	}
}

// handshake sends INIT and checks the answer. The texts are 4.6's, written to
// oned.log behind the tag MAD.
func (p *process) handshake(ctx context.Context, timeout time.Duration) error {
	deadline := time.Now().Add(timeout)
	_ = p.out.SetReadDeadline(deadline)
	_ = p.in.SetWriteDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { _ = p.out.SetReadDeadline(time.Now()) })
	defer stop()
	if _, err := io.WriteString(p.in, "INIT\n"); err != nil {
		return LoadError("MAD did not answer INIT command")
	}
	line, err := readLine(p.reader, maxInitLine)
	if err != nil {
		return LoadError("MAD did not answer INIT command")
	}
	action, rest := cutWord(line)
	result, text := cutWord(rest)
	switch {
	case action != "INIT":
		return LoadError("Wrong action in MAD response")
	case result == "FAILURE":
		return loadErrorf("MAD initialization failed, %s", trimBlanks(text))
	}
	_ = p.in.SetWriteDeadline(time.Time{})
	_ = p.out.SetReadDeadline(time.Time{})
	select {
	case <-p.exited: // its wait may have set the deadline that was just removed
		_ = p.out.SetReadDeadline(time.Now().Add(drainGrace))
	default:
	}
	return nil
}

// maxInitLine bounds the answer to INIT.
const maxInitLine = 64 << 10

// stop ends the process within about the given time: FINALIZE and end of
// input first, which lets a driver end by itself, then SIGTERM, then SIGKILL
// for the whole group. It returns when the process has been reaped.
func (p *process) stop(within time.Duration) {
	_ = p.in.SetWriteDeadline(time.Now().Add(within / 4))
	_, _ = io.WriteString(p.in, "FINALIZE\n")
	p.in.Close()
	if !p.exitsWithin(within / 2) {
		p.signal(syscall.SIGTERM)
		p.exitsWithin(within / 4)
	}
	p.kill()
}

// reapTimeout is how long a killed process may take to vanish; only one stuck
// in the kernel takes longer, and nobody can wait for that.
const reapTimeout = 2 * time.Second

// kill ends the process group at once and reaps its leader.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	reaped := p.exitsWithin(reapTimeout)
	p.in.Close()
	p.out.Close()
	if !reaped {
		p.log.Error("driver process cannot be killed", "pid", p.cmd.Process.Pid)
		return
	}
	<-p.stderrDone
}

func (p *process) exitsWithin(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-p.exited:
		return true
	case <-timer.C:
		return false
	}
}

// signal reaches the whole group. The group outlives its leader as long as it
// has members, and its number is not reused before that.
func (p *process) signal(sig syscall.Signal) {
	_ = syscall.Kill(-p.cmd.Process.Pid, sig)
}

func closeAll(files ...*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// errnoText is the system's text with a capital letter, as strerror gives it
// and as 4.6 logs it.
func errnoText(err error) string {
	var errno syscall.Errno
	text := err.Error()
	if errors.As(err, &errno) {
		text = errno.Error()
	}
	r := []rune(text)
	if len(r) > 0 {
		r[0] = unicode.ToUpper(r[0])
	}
	return strings.TrimSpace(string(r))
}
