// Package mad is oned's side of a driver process (4.6 calls them MADs): it
// starts the program, shakes hands, writes request lines, reads answer lines
// and starts the program again when it ends. It knows the shape of a line but
// not what any driver kind means by it.
package mad

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Errors of Send.
var (
	// ErrDown says that no process takes requests now: it has died and its
	// successor is not ready, or the driver has been stopped.
	ErrDown = errors.New("driver process is not running")
	// ErrFull says that the process has not read for so long that the queue
	// of waiting requests is full.
	ErrFull = errors.New("driver process does not read its requests")
	// ErrLineFeed says that the request would not be one line.
	ErrLineFeed = errors.New("driver request contains a line feed")
)

// Config describes one driver. The zero value of a limit means its default.
type Config struct {
	// Name is the driver's name in the log: NAME of VM_MAD and IM_MAD, or
	// 4.6's fixed names (transfer_exe, hook_exe, image_exe, auth_exe).
	Name string
	// Executable is EXECUTABLE of oned.conf: absolute, or below Dir.
	Executable string
	// Dir is where programs without an absolute path are: /usr/lib/one/mads
	// or $ONE_LOCATION/lib/mads.
	Dir string
	// Args follow argv[0]. 4.6 passes ARGUMENTS as one word, unsplit, so a
	// driver entry has one element here, or none without ARGUMENTS.
	Args []string
	// Env is added to the environment inherited from oned.
	Env []string
	// WorkDir is where the process starts: oned's var directory.
	WorkDir string

	// InitTimeout is how long INIT may take (30 s, as 4.6).
	InitTimeout time.Duration
	// WriteTimeout is how long the process may refuse to read before it is
	// taken for dead (5 min: a driver that works off one request after the
	// other does not read meanwhile).
	WriteTimeout time.Duration
	// StopTimeout bounds Stop (400 ms).
	StopTimeout time.Duration
	// MaxLine bounds one line of the process (64 MiB); longer ones are
	// skipped. MaxQueue bounds the requests it has not read (256 MiB).
	MaxLine  int
	MaxQueue int
	// BackoffMin and BackoffMax bound the pause before a restart (100 ms and
	// 30 s); it doubles while the process ends soon after its start.
	BackoffMin, BackoffMax time.Duration

	Log *slog.Logger
}

// Handler receives what happens. Its functions are called one at a time, in
// order; they should hand over and return. Nil functions are skipped.
type Handler struct {
	// Line gets each well-formed line.
	Line func(Message)
	// Down is called when the process ended without being told to, after its
	// last line. No request for which Send returned before the call will be
	// answered any more, and none reaches the successor: whoever waits for an
	// answer has to be told now.
	Down func(err error)
	// Up is called when the successor has answered INIT. Not for the first
	// process, which Start reports.
	Up func()
}

// Driver is a supervised driver process. Start it once, Stop it once.
type Driver struct {
	cfg     Config
	handler Handler

	mu    sync.Mutex // guards queue, size, up
	queue []string
	size  int
	up    bool
	wake  chan struct{} // holds a token when queue may be non-empty

	cancel context.CancelFunc
	done   chan struct{}
}

// New describes a driver without starting it.
func New(cfg Config, h Handler) *Driver {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&cfg.InitTimeout, 30*time.Second)
	def(&cfg.WriteTimeout, 5*time.Minute)
	def(&cfg.StopTimeout, 400*time.Millisecond)
	def(&cfg.BackoffMin, 100*time.Millisecond)
	def(&cfg.BackoffMax, 30*time.Second)
	if cfg.MaxLine == 0 {
		cfg.MaxLine = 64 << 20
	}
	if cfg.MaxQueue == 0 {
		cfg.MaxQueue = 256 << 20
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg.Log = cfg.Log.With("driver", cfg.Name)
	return &Driver{cfg: cfg, handler: h, wake: make(chan struct{}, 1), done: make(chan struct{})}
}

// path is the program's file name.
func (c *Config) path() string {
	if filepath.IsAbs(c.Executable) {
		return c.Executable
	}
	return filepath.Join(c.Dir, c.Executable)
}

// Start launches the process and waits for its answer to INIT. The error's
// text is 4.6's, for oned.log under the tag MAD. After success the process is
// kept running until Stop.
func (d *Driver) Start(ctx context.Context) error {
	if d.cfg.Executable == "" {
		return LoadError("Wrong attributes for the driver")
	}
	p, err := d.launch(ctx)
	if err != nil {
		return err
	}
	run, cancel := context.WithCancel(context.Background())
	d.cancel = cancel
	d.setUp(true)
	go d.supervise(run, p)
	return nil
}

// Stop ends the process within StopTimeout and waits until it is gone. Lines
// read meanwhile are still delivered, Down is not called.
func (d *Driver) Stop() {
	if d.cancel == nil {
		return
	}
	d.setUp(false)
	d.cancel()
	<-d.done
}

// Send queues one request line (without line feed) and does not wait. It may
// be called from any goroutine; the order of calls is the order of lines.
func (d *Driver) Send(line string) error {
	if strings.ContainsAny(line, "\n\x00") {
		return ErrLineFeed
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.up {
		return ErrDown
	}
	if d.size+len(line) > d.cfg.MaxQueue && d.size > 0 {
		return ErrFull
	}
	d.queue = append(d.queue, line)
	d.size += len(line)
	select {
	case d.wake <- struct{}{}:
	default:
	}
	return nil
}

func (d *Driver) setUp(up bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.up = up
	d.queue, d.size = nil, 0
}

// takeQueue returns all waiting lines as one block of bytes to write.
func (d *Driver) takeQueue() []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.queue) == 0 {
		return nil
	}
	block := make([]byte, 0, d.size+len(d.queue))
	for _, line := range d.queue {
		block = append(append(block, line...), '\n')
	}
	d.queue, d.size = nil, 0
	return block
}

func (d *Driver) launch(ctx context.Context) (*process, error) {
	p, err := launch(&d.cfg)
	if err != nil {
		return nil, err
	}
	if err := p.handshake(ctx, d.cfg.InitTimeout); err != nil {
		p.kill()
		return nil, err
	}
	return p, nil
}

// supervise owns the process, and all later ones, until ctx ends.
func (d *Driver) supervise(ctx context.Context, p *process) {
	defer close(d.done)
	pause := time.Duration(0)
	for {
		started := time.Now()
		err := d.serve(ctx, p)
		if ctx.Err() != nil {
			return
		}
		d.setUp(false)
		d.cfg.Log.Warn("driver process ended", "err", err)
		if d.handler.Down != nil {
			d.handler.Down(err)
		}
		if time.Since(started) > d.cfg.BackoffMax {
			pause = 0
		}
		if p, pause = d.restart(ctx, pause); p == nil {
			return
		}
		d.setUp(true)
		if d.handler.Up != nil {
			d.handler.Up()
		}
	}
}

// restart launches the program until it answers INIT. It returns nil if ctx
// ends before that, and else the pause to begin with the next time.
func (d *Driver) restart(ctx context.Context, pause time.Duration) (*process, time.Duration) {
	for {
		if pause > 0 {
			timer := time.NewTimer(pause)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return nil, 0
			}
		}
		pause = min(max(2*pause, d.cfg.BackoffMin), d.cfg.BackoffMax)
		p, err := d.launch(ctx)
		if ctx.Err() != nil {
			if err == nil {
				p.stop(d.cfg.StopTimeout)
			}
			return nil, 0
		}
		if err == nil {
			return p, pause
		}
		d.cfg.Log.Error(err.Error())
	}
}

// serve runs one process to its end and reaps it.
func (d *Driver) serve(ctx context.Context, p *process) error {
	writerCtx, stopWriter := context.WithCancel(ctx)
	var writer sync.WaitGroup
	var writeErr error
	writer.Go(func() {
		writeErr = d.writeLines(writerCtx, p)
		if writeErr != nil { // what it has said already is still wanted
			_ = p.out.SetReadDeadline(time.Now().Add(drainGrace))
		}
	})
	stopped := make(chan struct{})
	unhook := context.AfterFunc(ctx, func() {
		defer close(stopped)
		stopWriter()
		p.stop(d.cfg.StopTimeout)
	})

	err := d.readLines(p)
	stopWriter()
	_ = p.in.SetWriteDeadline(time.Now())
	writer.Wait()
	if unhook() {
		p.kill()
	} else {
		<-stopped
	}
	if writeErr != nil {
		return writeErr
	}
	select {
	case <-p.exited:
		return fmt.Errorf("%w: %s", err, p.cmd.ProcessState)
	default:
		return err
	}
}

// readLines delivers lines until the process closes its output.
func (d *Driver) readLines(p *process) error {
	for {
		line, err := readLine(p.reader, d.cfg.MaxLine)
		switch {
		case errors.Is(err, errLineTooLong):
			d.cfg.Log.Warn("driver line is too long, left out", "limit", d.cfg.MaxLine)
			continue
		case errors.Is(err, io.EOF), errors.Is(err, os.ErrDeadlineExceeded):
			return errors.New("driver closed its output")
		case err != nil:
			return fmt.Errorf("read from driver: %w", err)
		}
		m, ok := ParseMessage(line)
		if !ok {
			d.cfg.Log.Debug("driver line is no message, ignored: " + shorten(line))
			continue
		}
		if d.handler.Line != nil {
			d.handler.Line(m)
		}
	}
}

// writeLines writes queued requests until ctx ends or the process stops
// reading for WriteTimeout.
func (d *Driver) writeLines(ctx context.Context, p *process) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.wake:
		}
		for block := d.takeQueue(); len(block) > 0 && ctx.Err() == nil; {
			part := block[:min(len(block), 32<<10)]
			_ = p.in.SetWriteDeadline(time.Now().Add(d.cfg.WriteTimeout))
			if ctx.Err() != nil { // whoever ended ctx has set a deadline that is gone now
				return nil
			}
			n, err := p.in.Write(part)
			block = block[n:]
			switch {
			case err == nil, n > 0 && errors.Is(err, os.ErrDeadlineExceeded):
			case ctx.Err() != nil:
				return nil
			case errors.Is(err, os.ErrDeadlineExceeded):
				return ErrFull
			default:
				return fmt.Errorf("write to driver: %w", err)
			}
		}
	}
}

// shorten keeps an ill-formed line from filling the log.
func shorten(line string) string {
	const limit = 200
	if len(line) <= limit {
		return strings.ToValidUTF8(line, "?")
	}
	return strings.ToValidUTF8(line[:limit], "?") + "…"
}
