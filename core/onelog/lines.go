package onelog

import (
	"errors"
	"io"
	"sync"
	"time"
)

const (
	// gather is how long a line may wait for others that are written with it.
	gather = 2 * time.Millisecond
	// backlog bounds the bytes that wait; who would exceed it writes them himself.
	backlog = 1 << 20
)

// Lines writes lines of many goroutines to a file, those of about the same moment together: a busy API logs two lines a call,
// and a write of its own for each would cost as much as the call. What a killed process loses are the last milliseconds.
type Lines struct {
	out io.WriteCloser

	mu      sync.Mutex // guards what follows
	pending []byte
	err     error // of the last write
	closed  bool

	wake chan struct{} // has room for one: there is something in pending
	stop chan struct{} // closed by Close
	done chan struct{} // closed when the writer has ended

	writing sync.Mutex // held while bytes go out, so that they go in order; taken before mu
	spare   []byte     // guarded by writing
}

// NewLines starts a writer for out. Close ends it and closes out.
func NewLines(out io.WriteCloser) *Lines {
	l := &Lines{out: out, wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	go l.loop()
	return l
}

// Write takes whole lines. The error is that of an earlier write, if the newest one failed.
func (l *Lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return 0, errClosed
	}
	first := len(l.pending) == 0
	l.pending = append(l.pending, p...)
	full, err := len(l.pending) >= backlog, l.err
	l.mu.Unlock()
	switch {
	case full:
		err = l.Flush()
	case first:
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
	return len(p), err
}

var errClosed = errors.New("the log is closed")

func (l *Lines) loop() {
	defer close(l.done)
	for {
		select {
		case <-l.wake:
			time.Sleep(gather)
			_ = l.Flush() // reported by the next Write
		case <-l.stop:
			return
		}
	}
}

// Flush writes what waits.
func (l *Lines) Flush() error {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.mu.Lock()
	text := l.pending
	l.pending = l.spare[:0]
	l.mu.Unlock()
	l.spare = nil
	if len(text) == 0 {
		return nil
	}
	_, err := l.out.Write(text)
	if cap(text) <= backlog {
		l.spare = text
	}
	l.mu.Lock()
	l.err = err
	l.mu.Unlock()
	return err
}

// Close writes what waits and closes the file.
func (l *Lines) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return errClosed
	}
	l.closed = true
	l.mu.Unlock()
	close(l.stop)
	<-l.done
	return errors.Join(l.Flush(), l.out.Close())
}
