package run

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// SSH says how hosts are reached.
type SSH struct {
	// Program is the client, `ssh` unless set.
	Program string
	// Options come before the host.
	Options []string
	// Shell is the program that reads our commands on the host, `sh` unless
	// set (4.6: bash, which not every hypervisor host has).
	Shell string
	// LocalHosts are names of this very machine: their commands run here,
	// without ssh.
	LocalHosts []string
}

// MuxOptions makes connections to the same host and user share one TCP
// connection, kept for a minute after its last use. dir holds the sockets; it
// is made if missing and must belong to us alone, else (nil) every command
// opens its own connection. So does ssh itself where a shared one cannot be
// had: too many sessions for the host, a socket without a process behind it.
// A host that fell silent is given up after 45 seconds.
func MuxOptions(dir string) []string {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil
	}
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() || info.Mode().Perm()&0o077 != 0 {
		return nil
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || int(st.Uid) != os.Geteuid() {
		return nil
	}
	path := filepath.Join(dir, "%C")
	const socketLimit, expanded = 107, 40 + 18 // sun_path; the digest and ssh's temporary suffix
	if len(dir)+1+expanded > socketLimit {
		return nil
	}
	return []string{"-o", "ControlMaster=auto", "-o", "ControlPath=" + path, "-o", "ControlPersist=60",
		"-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=3"}
}

// muxNoise is what ssh says before it goes on with a connection of its own.
var muxNoise = regexp.MustCompile(`(?m)^(mux_client_|ControlSocket .* disabling multiplexing).*\n`)

// argv is the program that runs a command, one shell text, on a host.
func (s *SSH) argv(host, command string) []string {
	if s.isLocal(host) {
		return []string{"/bin/sh", "-c", command}
	}
	program := s.Program
	if program == "" {
		program = "ssh"
	}
	return append(append(append([]string{program}, s.Options...), host), command)
}

func (s *SSH) isLocal(host string) bool { return slices.Contains(s.LocalHosts, host) }

func (s *SSH) shell() string {
	if s.Shell == "" {
		return "sh"
	}
	return s.Shell
}

var hostWord = regexp.MustCompile(`^[^-\s][^\s]*$`)

// Stream is one ssh session to a host in which commands run one after the
// other, as 4.6 runs the steps of a request. It is used by one goroutine.
type Stream struct {
	ssh    *SSH
	host   string
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *capture
	stderr *capture
	ended  chan struct{} // closed when the client has ended
	// lastWords is the stderr of a client that ended too early.
	lastWords string
}

// Open prepares a session; the connection is made by the first command.
func (s *SSH) Open(host string) *Stream { return &Stream{ssh: s, host: host} }

func (s *Stream) start() error {
	if !hostWord.MatchString(s.host) {
		return fmt.Errorf("%q is no host name", s.host)
	}
	argv := s.ssh.argv(s.host, s.ssh.shell()+" -s")
	cmd := exec.Command(argv[0], argv[1:]...)
	if s.ssh.isLocal(s.host) {
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = s.stdout, s.stderr
	cmd.WaitDelay = outputGrace // a shared connection's master may hold stderr
	if err := cmd.Start(); err != nil {
		stdin.Close()
		return err
	}
	s.cmd, s.stdin, s.ended = cmd, stdin, make(chan struct{})
	go func() { // ends with the client, which Close ends
		_ = cmd.Wait()
		close(s.ended)
	}()
	return nil
}

// Step is one command in a session.
type Step struct {
	// Label is the command for the log.
	Label string
	Argv  []string
	// Stdin is fed to the command if not nil. It is text: a line feed is
	// added if the last line has none.
	Stdin []byte
	// Timeout ends the session; 0 for never.
	Timeout time.Duration
}

// Run runs one step and waits for its end. It does not wait for what the step
// leaves running in the background. When ctx ends, the session is closed.
func (s *Stream) Run(ctx context.Context, step Step) Result {
	words := make([]string, len(step.Argv))
	for i, w := range step.Argv {
		words[i] = Quote(w)
	}
	res := s.script(ctx, step.Label, strings.Join(words, " "), step.Stdin, step.Timeout)
	traced(s.host, step.Argv, res)
	return res
}

// Executable checks that a script is there and may be executed: code 0 or
// MissingCode, anything else means that the host cannot be asked.
func (s *Stream) Executable(ctx context.Context, path string, timeout time.Duration) Result {
	q := Quote(path)
	return s.script(ctx, "[ -x "+q+" ]", "if [ ! -x "+q+" ]; then exit "+strconv.Itoa(MissingCode)+"; fi", nil, 0)
}

// script runs shell text, which must not contain values that are not quoted.
func (s *Stream) script(ctx context.Context, label, text string, stdin []byte, timeout time.Duration) Result {
	first := s.cmd == nil
	if first {
		s.stdout, s.stderr = newCapture(stdoutLimit), newCapture(stderrLimit)
	}
	mark := newMark()
	// Before the client starts: it may fail at once, and say why.
	outEnd, errEnd := s.stdout.begin(mark+"\n"), s.stderr.begin(mark+"\n")
	if first {
		if err := s.start(); err != nil {
			return s.connectionError(label, failedCode, err.Error()+"\n")
		}
	}
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	var feeder sync.WaitGroup
	feeder.Go(func() { _, _ = io.WriteString(s.stdin, program(text, mark, stdin)) })
	defer feeder.Wait()
	for outEnd != nil || errEnd != nil {
		select {
		case <-outEnd:
			outEnd = nil
		case <-errEnd:
			errEnd = nil
		case <-s.ended:
			if !s.stdout.complete() || !s.stderr.complete() {
				return s.sessionLost(label)
			}
			outEnd, errEnd = nil, nil
		case <-ctx.Done():
			s.abort()
			return s.interrupted(ctx, label, timeout)
		}
	}
	code, stderr := cutExitCode(muxNoise.ReplaceAllString(string(s.stderr.bytes()), ""))
	return Result{Label: label, Code: code, Stdout: string(s.stdout.bytes()),
		Stderr: withExitCode(stderr, code), logAlways: true}
}

// program wraps the text so that its end shows in both output channels. The
// here-document's delimiter is quoted: the host's shell reads the data as it
// is (4.6 lets it expand $ and backquotes).
func program(text, mark string, stdin []byte) string {
	input := " </dev/null"
	here := ""
	if stdin != nil {
		input = " <<'" + mark + "'"
		here = string(stdin)
		if !strings.HasSuffix(here, "\n") {
			here += "\n"
		}
		here += mark + "\n"
	}
	if strings.HasPrefix(text, "if ") {
		input = ""
	}
	return "(" + text + input + "\n" + here + ")\n" +
		"echo \"ExitCode: $? " + mark + "\" >&2; echo " + mark + "\n"
}

func newMark() string {
	b := make([]byte, 12)
	_, _ = rand.Read(b) // never fails
	return "END-" + hex.EncodeToString(b)
}

// cutExitCode takes the last `ExitCode: N ` off.
func cutExitCode(stderr string) (code int, rest string) {
	i := strings.LastIndex(stderr, "ExitCode: ")
	if i < 0 {
		return failedCode, stderr
	}
	code, err := strconv.Atoi(strings.TrimSpace(stderr[i+len("ExitCode: "):]))
	if err != nil {
		return failedCode, stderr
	}
	return code, stderr[:i]
}

// sessionLost reports that the client ended before the command did. Later
// commands of the same session get the same report.
func (s *Stream) sessionLost(label string) Result {
	code, _ := exitCode(s.cmd)
	if s.lastWords == "" {
		s.lastWords = muxNoise.ReplaceAllString(string(s.stderr.bytes()), "")
	}
	return s.connectionError(label, code, s.lastWords)
}

// connectionError is 4.6's message, with what ssh said behind it.
func (s *Stream) connectionError(label string, code int, stderr string) Result {
	if code == 0 { // the session ended by itself before the command did
		code = failedCode
	}
	cause := Result{Stderr: stderr}.ErrorMessage()
	message := "Error connecting to " + s.host
	if cause != "-" {
		message += ": " + cause
	}
	if stderr != "" && !strings.HasSuffix(stderr, "\n") {
		stderr += "\n"
	}
	return Result{Label: label, Code: code, logAlways: true,
		Stderr: stderr + "ExitSSHCode: " + strconv.Itoa(code) + "\n" + errorBlockText(message)}
}

func (s *Stream) interrupted(ctx context.Context, label string, timeout time.Duration) Result {
	message := "Cancelled"
	if ctx.Err() == context.DeadlineExceeded {
		message = fmt.Sprintf("Timeout: no answer from %s after %v", s.host, timeout)
	}
	return Result{Label: label, Code: failedCode, logAlways: true,
		Stderr: withExitCode(string(s.stderr.bytes()), failedCode) + errorBlockText(message)}
}

func errorBlockText(message string) string {
	return "ERROR MESSAGE --8<------\n" + message + "\nERROR MESSAGE ------>8--\n"
}

// abort kills the client. On this machine what it runs is killed as well; on
// another, the end of the connection has to do.
func (s *Stream) abort() {
	if s.ssh.isLocal(s.host) {
		_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
	}
	_ = s.cmd.Process.Kill()
	s.stdin.Close()
	<-s.ended
}

// Close ends the session and waits for the client to go.
func (s *Stream) Close() {
	if s.cmd == nil {
		return
	}
	s.stdin.Close()
	timer := time.NewTimer(killGrace)
	defer timer.Stop()
	select {
	case <-s.ended:
	case <-timer.C:
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
}
