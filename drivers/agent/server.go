// Package agent is the driver's side of 4.6's line protocol: it reads requests
// from oned, runs them a bounded number at a time and writes answers and log
// lines. The drivers proper, below this directory, register actions with it.
package agent

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
)

// Results of an answer.
const (
	Success = "SUCCESS"
	Failure = "FAILURE"
)

// Request is one line from oned.
type Request struct {
	Action string
	// ID is the second word, the number that the answer must repeat.
	ID int
	// Args are the words after the id.
	Args []string
}

// Action says how a request is handled.
type Action struct {
	// Args is how many words must follow the id; -n means n or more. 4.6
	// drops a request with another number in silence, which leaves oned
	// waiting; here it is answered with a failure.
	Args int
	// Run handles the request and sends its answer. ctx ends when oned
	// cancels the request or the driver ends; nothing is sent after that.
	Run func(ctx context.Context, r Request)
	// Lane names what must not be worked on by two requests at once, such as
	// the host of a VM action; empty for no restriction. Nil means empty.
	Lane func(r Request) string
}

// Server runs the requests of one driver process.
type Server struct {
	out     *Output
	limit   int
	actions map[string]Action

	mu      sync.Mutex // guards the fields below
	queue   []*task
	running map[*task]struct{}
	lanes   map[string]bool
	closed  bool
	idle    chan struct{} // closed when closed and nothing runs
	tasks   sync.WaitGroup
}

type task struct {
	req    Request
	action Action
	lane   string
	ctx    context.Context
	cancel context.CancelFunc
}

// NewServer returns a server that writes to out and runs at most limit
// requests at a time (at least one).
func NewServer(out *Output, limit int, actions map[string]Action) *Server {
	return &Server{
		out: out, limit: max(limit, 1), actions: actions,
		running: map[*task]struct{}{}, lanes: map[string]bool{}, idle: make(chan struct{}),
	}
}

// maxRequest bounds one request line; a VM document is some ten KB, one with
// many disks a few hundred.
const maxRequest = 64 << 20

// Serve handles requests until in ends, oned sends FINALIZE and what runs is
// done, or ctx ends. What still runs then is cancelled, and Serve waits for it.
func (s *Server) Serve(ctx context.Context, in io.Reader) error {
	ctx, cancel := context.WithCancel(ctx)
	defer s.tasks.Wait()
	defer cancel()

	lines := make(chan string)
	readErr := make(chan error, 1)
	go func() { // ends with in, or with the process: a blocked read cannot be interrupted
		readErr <- readRequests(ctx, in, lines)
	}()
	for {
		select {
		case line := <-lines:
			s.handle(ctx, line)
		case err := <-readErr:
			return err
		case <-s.idle:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

func readRequests(ctx context.Context, in io.Reader, lines chan<- string) error {
	r := bufio.NewReaderSize(in, 64<<10)
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > maxRequest {
			return fmt.Errorf("request is longer than %d bytes", maxRequest)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read requests: %w", err)
		}
		select {
		case lines <- string(line):
		case <-ctx.Done():
			return nil
		}
		line = nil
	}
}

func (s *Server) handle(ctx context.Context, line string) {
	words := strings.Fields(line)
	if len(words) == 0 {
		return
	}
	name := strings.ToUpper(words[0])
	req := Request{Action: name}
	idText := "0"
	if len(words) > 1 {
		req.ID, req.Args, idText = leadingInt(words[1]), words[2:], words[1]
	}
	switch name {
	case "INIT":
		s.out.Send("INIT", Success, "-", "-")
		return
	case "FINALIZE":
		s.finalize()
		return
	case "DRIVER_CANCEL":
		s.cancelAll(req.ID)
		s.out.Log(req.ID, fmt.Sprintf("Driver command for %d cancelled", req.ID))
		return
	}
	action, ok := s.actions[name]
	if !ok {
		return
	}
	if n := len(req.Args); action.Args >= 0 && n != action.Args || action.Args < 0 && n < -action.Args {
		s.out.Answer(name, Failure, idText, fmt.Sprintf("Wrong number of words in %s request: %d", name, n+1))
		return
	}
	t := &task{req: req, action: action}
	t.ctx, t.cancel = context.WithCancel(ctx)
	if action.Lane != nil {
		t.lane = action.Lane(req)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		t.cancel()
		return
	}
	s.queue = append(s.queue, t)
	s.dispatch()
}

// dispatch starts what may run; requests for free lanes overtake others.
// s.mu is held.
func (s *Server) dispatch() {
	waiting := s.queue[:0]
	for _, t := range s.queue {
		if len(s.running) >= s.limit || t.lane != "" && s.lanes[t.lane] {
			waiting = append(waiting, t)
			continue
		}
		s.running[t] = struct{}{}
		if t.lane != "" {
			s.lanes[t.lane] = true
		}
		s.tasks.Go(func() { s.run(t) })
	}
	clear(s.queue[len(waiting):])
	s.queue = waiting
	if s.closed && len(s.running) == 0 && len(s.queue) == 0 {
		close(s.idle)
	}
}

func (s *Server) run(t *task) {
	defer func() {
		t.cancel()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.running, t)
		if t.lane != "" {
			delete(s.lanes, t.lane)
		}
		s.dispatch()
	}()
	t.action.Run(t.ctx, t.req)
}

// cancelAll ends everything that runs or waits for an object. 4.6 ends one
// request and leaves its child process running; here the process ends too, so
// that the clean-up that follows does not race with it.
func (s *Server) cancelAll(id int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	waiting := s.queue[:0]
	for _, t := range s.queue {
		if t.req.ID == id {
			t.cancel()
			continue
		}
		waiting = append(waiting, t)
	}
	clear(s.queue[len(waiting):])
	s.queue = waiting
	for t := range s.running {
		if t.req.ID == id {
			t.cancel()
		}
	}
}

func (s *Server) finalize() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	for _, t := range s.queue {
		t.cancel()
	}
	s.queue = nil
	s.dispatch()
}

// leadingInt is the number a word begins with, 0 without one.
func leadingInt(word string) int {
	n := 0
	if strings.HasPrefix(word, "-") {
		n++
	}
	for n < len(word) && word[n] >= '0' && word[n] <= '9' {
		n++
	}
	v, _ := strconv.Atoi(word[:n])
	return v
}
