package transport

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"
)

// accessLog writes the lines of one_xmlrpc.log:
//
//	127.0.0.1:53052 - no_user - [25/Nov/2014:04:15:59 +0000] "POST" 200 363
//
// the last number being the bytes of the answer with its header.
type accessLog struct {
	log *slog.Logger

	mu     sync.Mutex // guards what follows
	w      io.Writer  // nil: no access log
	failed bool
}

func newAccessLog(w io.Writer, log *slog.Logger) *accessLog { return &accessLog{w: w, log: log} }

// record writes the line of one answered request. method is empty for a request
// that could not be read.
func (l *accessLog) record(client net.Addr, method string, status, size int) {
	if l.w == nil {
		return
	}
	user := "no_user"
	if method == "" {
		method, user = "???", "???"
	}
	line := fmt.Appendf(nil, "%s - %s - [%s] %q %d %d\n", client, user,
		time.Now().Format("02/Jan/2006:15:04:05 -0700"), method, status, size)
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := l.w.Write(line)
	if err != nil && !l.failed {
		l.log.Error("write access log", "error", err)
	}
	l.failed = err != nil
}
