// Package run executes the scripts of driver directories, on the front-end and
// over ssh, and takes their result apart: exit code, output, error message.
//
// Commands are lists of words. They reach a local program as its arguments
// and a remote shell quoted, so no value of a template is ever read as shell
// text.
package run

import (
	"regexp"
	"strconv"
	"strings"
)

// Limits of what is kept of a command's output; more is read and left out.
const (
	stdoutLimit = 32 << 20
	stderrLimit = 1 << 20
)

// Exit codes with a meaning of their own.
const (
	// MissingCode is what a check for an executable remote script answers.
	MissingCode = 42
	// failedCode stands for a command that could not be run at all.
	failedCode = 255
)

// Result is how a command ended.
type Result struct {
	// Label is the command as 4.6 logs it.
	Label string
	Code  int
	// Stdout and Stderr are the output; Stderr ends with a line
	// `ExitCode: N`, as 4.6's shell wrapper adds it.
	Stdout, Stderr string
	// Remote steps log their stderr after a success too (4.6).
	logAlways bool
}

// OK reports whether the command succeeded.
func (r Result) OK() bool { return r.Code == 0 }

// LogText is what is logged about the command, empty for nothing.
func (r Result) LogText() string {
	switch {
	case !r.OK():
		return "Command execution fail: " + r.Label + "\n" + r.Stderr
	case r.logAlways:
		return r.Stderr
	}
	return ""
}

// Info is the text for the answer to oned: the output's first line after a
// success, the error message after a failure, `-` for none.
func (r Result) Info() string {
	info := ""
	if r.OK() {
		info, _, _ = strings.Cut(strings.TrimSpace(r.Stdout), "\n")
		info = strings.TrimSpace(info)
	} else {
		info = r.ErrorMessage()
	}
	if info == "" {
		return "-"
	}
	return info
}

// Data is the whole output after a success, else the error message, for
// answers that are sent in base64.
func (r Result) Data() string {
	if r.OK() {
		return r.Stdout
	}
	return r.ErrorMessage()
}

var errorBlock = regexp.MustCompile(`(?ms)^ERROR MESSAGE --8<------\n(.*?)^?ERROR MESSAGE ------>8--$`)

// ErrorMessage is the text that the script put between the error marks, its
// lines joined. 4.6 knows no cause if there is none; here the last thing the
// command complained about is taken, so that the user sees why.
func (r Result) ErrorMessage() string {
	if m := errorBlock.FindStringSubmatch(r.Stderr); m != nil {
		if text := joinLines(m[1]); text != "" {
			return text
		}
	}
	cause, reported := "", ""
	for line := range strings.Lines(r.Stderr) {
		line = strings.TrimSpace(line)
		if text, ok := strings.CutPrefix(line, "ERROR:"); ok {
			reported = strings.TrimSpace(text)
			continue
		}
		if line == "" || exitCodeLine.MatchString(line) || strings.HasPrefix(line, "INFO:") ||
			strings.HasPrefix(line, "DEBUG:") || strings.HasPrefix(line, "ERROR MESSAGE") {
			continue
		}
		cause = line
	}
	switch {
	case reported != "":
		return reported
	case cause != "":
		return cause
	}
	return "-"
}

var exitCodeLine = regexp.MustCompile(`^Exit(SSH)?Code: *\d*$`)

func joinLines(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "; ")
}

func withExitCode(stderr string, code int) string {
	if stderr != "" && !strings.HasSuffix(stderr, "\n") {
		stderr += "\n"
	}
	return stderr + "ExitCode: " + strconv.Itoa(code) + "\n"
}

// Quote makes s one word for a POSIX shell.
func Quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// QuoteIfNeeded is Quote, but leaves alone what a shell takes as it is.
func QuoteIfNeeded(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return Quote(s)
}
