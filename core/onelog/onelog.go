// Package onelog writes 4.6's logs: oned.log (or syslog, or stderr), and one log per VM. A line is
// "<ctime> [<module>][<level>]: <text>".
package onelog

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"log/syslog"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"goned/core/config"
	"goned/core/message"
)

// Module is the key of the attribute that names the module of a line, as in log.With(onelog.Module, "ReM").
const Module = "module"

// Log is the daemon's log.
type Log struct {
	conf *config.Config
	now  func() time.Time

	out *Lines
	sys *syslog.Writer

	mu     sync.Mutex // guards what follows
	second int64      // the time of stamp
	stamp  string     // the time at the beginning of a line
	line   []byte
	vms    map[int]*os.File
	lru    []int // ids with an open file, oldest first
}

// openVMLogs bounds how many VM logs are kept open.
const openVMLogs = 128

// Open opens the log that conf names for a program ("oned", "mm_sched"). The file is truncated, as 4.6 does at every start.
func Open(conf *config.Config, program string, now func() time.Time) (*Log, error) {
	l := &Log{conf: conf, now: now, vms: map[int]*os.File{}}
	var err error
	switch conf.Log.System {
	case "syslog":
		l.sys, err = syslog.New(syslog.LOG_DAEMON|syslog.LOG_INFO, program+"["+strconv.Itoa(os.Getpid())+"]")
	case "stderr":
		l.out = NewLines(stderr{})
	default:
		var file *os.File
		if file, err = os.OpenFile(conf.Dirs.Log+program+".log", os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o640); err == nil {
			l.out = NewLines(file)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	return l, nil
}

// stderr is standard error, which stays open.
type stderr struct{}

func (stderr) Write(p []byte) (int, error) { return os.Stderr.Write(p) }
func (stderr) Close() error                { return nil }

// Write writes a line to oned.log or, when m.VM is a VM, to its log.
func (l *Log) Write(m message.Log) {
	if int(m.Level) > l.conf.Log.Level {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sys != nil {
		l.writeSyslog(m)
		return
	}
	now := l.now()
	if second := now.Unix(); second != l.second || l.stamp == "" {
		l.second, l.stamp = second, now.Format(time.ANSIC)
	}
	l.line = append(l.line[:0], l.stamp...)
	for _, part := range [...]string{" [", m.Module, "][", letter(m.Level), "]: ", m.Text, "\n"} {
		l.line = append(l.line, part...)
	}
	out := io.Writer(l.out)
	if m.VM != message.OnedLog {
		f := l.vmLog(m.VM)
		if f == nil {
			return
		}
		out = f
	}
	// A full disk must not stop the cloud; there is nowhere left to say so.
	_, _ = out.Write(l.line)
}

func (l *Log) writeSyslog(m message.Log) {
	prefix := "[" + m.Module + "][" + letter(m.Level) + "]: "
	if m.VM != message.OnedLog {
		prefix = "[VM " + strconv.Itoa(m.VM) + "]" + prefix
	}
	for line := range strings.SplitSeq(m.Text, "\n") {
		var err error
		switch m.Level {
		case message.Error:
			err = l.sys.Err(prefix + line)
		case message.Warning:
			err = l.sys.Warning(prefix + line)
		case message.Info:
			err = l.sys.Info(prefix + line)
		default:
			err = l.sys.Debug(prefix + line)
		}
		if err != nil {
			return
		}
	}
}

// vmLog is the open log of a VM, or nil when its directory does not exist: nothing is ever logged for such a VM.
func (l *Log) vmLog(id int) *os.File {
	if f := l.vms[id]; f != nil {
		return f
	}
	f, err := os.OpenFile(l.conf.Dirs.VMLog(strconv.Itoa(id)), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return nil
	}
	if len(l.lru) >= openVMLogs {
		oldest := l.lru[0]
		l.lru = l.lru[1:]
		l.vms[oldest].Close()
		delete(l.vms, oldest)
	}
	l.vms[id] = f
	l.lru = append(l.lru, id)
	return f
}

// Close closes all files.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.vms {
		f.Close()
	}
	l.vms, l.lru = nil, nil
	if l.sys != nil {
		return l.sys.Close()
	}
	return l.out.Close()
}

func letter(level message.Level) string {
	if level < message.Error || level > message.Debug {
		return "D"
	}
	return "EWID"[level : level+1]
}

// Logger gives a slog.Logger whose lines carry the module's tag.
func (l *Log) Logger(module string) *slog.Logger { return slog.New(&handler{log: l, module: module}) }

// handler turns slog records into 4.6's lines.
type handler struct {
	log    *Log
	module string
	attrs  string
}

func (h *handler) Enabled(_ context.Context, level slog.Level) bool {
	return int(messageLevel(level)) <= h.log.conf.Log.Level
}

func (h *handler) Handle(_ context.Context, r slog.Record) error {
	text := r.Message + h.attrs
	r.Attrs(func(a slog.Attr) bool {
		text += " " + a.Key + "=" + a.Value.String()
		return true
	})
	h.log.Write(message.Log{VM: message.OnedLog, Module: h.module, Level: messageLevel(r.Level), Text: text})
	return nil
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	dup := *h
	for _, a := range attrs {
		if a.Key == Module {
			dup.module = a.Value.String()
			continue
		}
		dup.attrs += " " + a.Key + "=" + a.Value.String()
	}
	return &dup
}

func (h *handler) WithGroup(string) slog.Handler { return h }

func messageLevel(l slog.Level) message.Level {
	switch {
	case l >= slog.LevelError:
		return message.Error
	case l >= slog.LevelWarn:
		return message.Warning
	case l >= slog.LevelInfo:
		return message.Info
	}
	return message.Debug
}
