package onelog

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
)

// file is a file in memory; it fails while err is set.
type file struct {
	mu     sync.Mutex
	text   bytes.Buffer
	err    error
	closed bool
}

func (f *file) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return 0, f.err
	}
	return f.text.Write(p)
}

func (f *file) Close() error {
	f.closed = true
	return nil
}

// Every line of every goroutine arrives whole, and those of one in order.
func TestLinesOfMany(t *testing.T) {
	f := &file{}
	l := NewLines(f)
	const writers, lines = 8, 2000
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range lines {
				if _, err := fmt.Fprintf(l, "%d %d %s\n", w, i, strings.Repeat("x", i%300)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := l.Close(); err != nil || !f.closed {
		t.Fatalf("Close: %v; closed: %v", err, f.closed)
	}
	next := [writers]int{}
	for line := range strings.Lines(f.text.String()) {
		var w, i int
		if _, err := fmt.Sscanf(line, "%d %d", &w, &i); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if i != next[w] || line != fmt.Sprintf("%d %d %s\n", w, i, strings.Repeat("x", i%300)) {
			t.Fatalf("%q comes instead of line %d of %d", line, next[w], w)
		}
		next[w]++
	}
	for w, n := range next {
		if n != lines {
			t.Errorf("%d lines of %d", n, w)
		}
	}
}

func TestLinesOfAFullDisk(t *testing.T) {
	full := errors.New("no space left on device")
	f := &file{err: full}
	l := NewLines(f)
	if _, err := l.Write([]byte("lost\n")); err != nil {
		t.Errorf("Write: %v before anything has failed", err)
	}
	if err := l.Flush(); err != full && err != nil { // the writer may have been first
		t.Errorf("Flush: %v", err)
	}
	for {
		if _, err := l.Write([]byte("lost\n")); err == full {
			break
		}
		if err := l.Flush(); err != nil && err != full {
			t.Fatal(err)
		}
	}
	f.mu.Lock()
	f.err = nil
	f.mu.Unlock()
	if err := l.Flush(); err != nil {
		t.Error(err)
	}
	if _, err := l.Write([]byte("kept\n")); err != nil && err != full {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if !strings.HasSuffix(f.text.String(), "kept\n") {
		t.Errorf("the file has %q", f.text.String())
	}
	if _, err := l.Write([]byte("late\n")); err != errClosed {
		t.Errorf("Write after Close: %v", err)
	}
	if err := l.Close(); err != errClosed {
		t.Errorf("second Close: %v", err)
	}
}

// Who writes faster than the file takes does the writing himself: memory stays bounded.
func TestLinesAreBounded(t *testing.T) {
	f := &file{}
	l := NewLines(f)
	line := []byte(strings.Repeat("x", 4095) + "\n")
	for range 4 * backlog / len(line) {
		if _, err := l.Write(line); err != nil {
			t.Fatal(err)
		}
		l.mu.Lock()
		if len(l.pending) > backlog {
			t.Fatalf("%d bytes wait", len(l.pending))
		}
		l.mu.Unlock()
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if f.text.Len() != 4*backlog {
		t.Errorf("%d bytes arrive", f.text.Len())
	}
}
