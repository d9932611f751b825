package sched

import (
	"bytes"
	"fmt"
	"io"
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

	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
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
	if !l.Shows(level) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	tag := "[" + module + "][" + "EWID"[level:level+1] + "]: "
	if l.sys != nil {
		l.syslog(level, tag, text)
		return
	}
	l.buf.Write(l.now().AppendFormat(l.buf.AvailableBuffer(), time.ANSIC))
	l.buf.WriteByte(' ')
	l.buf.WriteString(tag)
	l.buf.WriteString(text)
	l.buf.WriteByte('\n')
	if l.buf.Len() >= flushAt {
		l.flush()
	}
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

// flush needs mu. A full disk must not stop the scheduler: what can't be
// written is dropped.
func (l *Log) flush() {
	if l.buf.Len() > 0 {
		_, _ = l.out.Write(l.buf.Bytes())
		l.buf.Reset()
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
