//go:build e2e || load

package console

import (
	"bytes"
	"sync"
)

// output collects what a process writes.
type output struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// tail returns the last n bytes at most.
func (o *output) tail(n int) string {
	s := o.String()
	return s[max(0, len(s)-n):]
}
