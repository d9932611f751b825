package sched

import (
	"fmt"
	"io"
	"iter"
	"log/syslog"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"goned/core/match"
)

// Log is sched.log: lines "<ctime> [<module>][<level>]: <text>". Lines are
// collected and written by Flush, because a pass with debug lines has one for
// every filtered host of every machine.
type Log struct {
	level match.Level
	now   func() time.Time
	sys   *syslog.Writer
	out   io.WriteCloser

	mu     sync.Mutex // guards what follows
	buf    []byte
	second int64 // the one that date is for
	date   string
}

// flushAt is how much is collected at most.
const flushAt = 64 << 10

// OpenLog opens the log that conf names; a file is truncated, as 4.6 does at
// every start.
func OpenLog(conf *Config, path string, now func() time.Time) (*Log, error) {
	l := &Log{level: conf.LogLevel, now: now}
	var err error
	switch conf.LogSystem {
	case "syslog":
		l.sys, err = syslog.New(syslog.LOG_DAEMON|syslog.LOG_INFO, "mm_sched["+strconv.Itoa(os.Getpid())+"]")
	case "stderr":
		l.out = os.Stderr
	default:
		l.out, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o640)
	}
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	return l, nil
}

// Shows reports whether lines of that level are written.
func (l *Log) Shows(level match.Level) bool { return level <= l.level }

// Line adds a line. Further lines in text are written as they are.
func (l *Log) Line(module string, level match.Level, text string) {
	l.Lines(module, level, func(yield func(string) bool) { yield(text) })
}

// Lines adds a message whose text comes in pieces, for one that is too large
// to be held in memory. For syslog, pieces must end with a line.
func (l *Log) Lines(module string, level match.Level, pieces iter.Seq[string]) {
	if !l.Shows(level) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sys != nil {
		for text := range pieces {
			l.syslog(level, tag(module, level), text)
		}
		return
	}
	l.head(module, level)
	for text := range pieces {
		l.buf = append(l.buf, text...)
		l.spill()
	}
	l.buf = append(l.buf, '\n')
	l.spill()
}

// Event adds what happened to a machine.
func (l *Log) Event(vm int, e match.Event) {
	if !l.Shows(e.Level()) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sys != nil {
		l.syslog(e.Level(), tag(e.Module(), e.Level()), e.Text(vm))
		return
	}
	l.head(e.Module(), e.Level())
	l.buf = append(e.Append(l.buf, vm), '\n')
	l.spill()
}

func tag(module string, level match.Level) string {
	return "[" + module + "][" + "EWID"[level:level+1] + "]: "
}

// head needs mu. The date is made once a second.
func (l *Log) head(module string, level match.Level) {
	if now := l.now(); now.Unix() != l.second || l.date == "" {
		l.second, l.date = now.Unix(), now.Format(time.ANSIC)
	}
	l.buf = append(l.buf, l.date...)
	l.buf = append(l.buf, " ["...)
	l.buf = append(l.buf, module...)
	l.buf = append(l.buf, ']', '[', "EWID"[level], ']', ':', ' ')
}

func (l *Log) syslog(level match.Level, tag, text string) {
	write := l.sys.Debug
	switch level {
	case match.LevelError:
		write = l.sys.Err
	case match.LevelWarning:
		write = l.sys.Warning
	case match.LevelInfo:
		write = l.sys.Info
	}
	for line := range strings.SplitSeq(text, "\n") {
		if write(tag+line) != nil {
			return // there is nowhere left to say so
		}
	}
}

// Flush writes what was collected.
func (l *Log) Flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flush()
}

// spill needs mu; it writes when much was collected.
func (l *Log) spill() {
	if len(l.buf) >= flushAt {
		l.flush()
	}
}

// flush needs mu. A full disk must not stop the scheduler: what can't be
// written is dropped.
func (l *Log) flush() {
	if len(l.buf) > 0 {
		_, _ = l.out.Write(l.buf)
		l.buf = l.buf[:0]
	}
}

// Close flushes and closes the log.
func (l *Log) Close() error {
	l.Flush()
	switch {
	case l.sys != nil:
		return l.sys.Close()
	case l.out == os.Stderr:
		return nil
	}
	return l.out.Close()
}
