package agent

import (
	"context"
	"io"
	"strconv"
	"strings"
	"sync"
	"unicode"
)

// Marks that enclose the error message in a script's stderr.
const (
	ErrorBegin = "ERROR MESSAGE --8<------"
	ErrorEnd   = "ERROR MESSAGE ------>8--"
)

// Output writes lines to oned, each whole.
type Output struct {
	mu sync.Mutex // guards w and broken
	w  io.Writer
	// broken is set when oned is gone; what is written later goes nowhere.
	broken bool
}

// NewOutput returns an Output on oned's end of the driver's stdout.
func NewOutput(w io.Writer) *Output { return &Output{w: w} }

// Send writes the words as one line; line feeds and other control characters
// inside them become blanks, so that no text can pose as a line of its own.
func (o *Output) Send(words ...string) {
	line := Clean(strings.Join(words, " ")) + "\n"
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.broken {
		return
	}
	if _, err := io.WriteString(o.w, line); err != nil {
		o.broken = true
	}
}

// Answer replies to a request whose id is given as it was received.
func (o *Output) Answer(action, result, id, info string) { o.Send(action, result, id, info) }

// Reply answers r unless it was cancelled: oned waits for nothing then.
func (o *Output) Reply(ctx context.Context, r Request, result, info string) {
	if ctx.Err() == nil {
		o.Send(r.Action, result, strconv.Itoa(r.ID), info)
	}
}

// Log writes a text of any number of lines as LOG lines for an object. The
// level follows 4.6's marks: text between the error marks is an error, a line
// beginning with ERROR:, DEBUG: or INFO: has that level, all else is
// information.
func (o *Output) Log(id int, text string) {
	number := strconv.Itoa(id)
	inError := false
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		line = strings.TrimSpace(line)
		level := "I"
		switch {
		case line == ErrorBegin:
			inError = true
			continue
		case line == ErrorEnd:
			inError = false
			continue
		case inError:
			level = "E"
		default:
			level, line = severity(line)
		}
		o.Send("LOG", level, number, line)
	}
}

func severity(line string) (level, text string) {
	for _, prefix := range []string{"ERROR:", "DEBUG:", "INFO:"} {
		if rest, ok := strings.CutPrefix(line, prefix); ok {
			return prefix[:1], strings.TrimSpace(rest)
		}
	}
	return "I", line
}

// Clean makes a text fit for one line and for an XML document: control
// characters become blanks, bytes that are not UTF-8 a replacement character.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\t' && unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}
