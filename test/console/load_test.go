//go:build load

package console

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/sync/errgroup"

	"goned/test/output"
)

// The load: connections that each carry rate bytes a second in each direction.
const (
	chunk  = 64 << 10
	rate   = 1 << 20
	warmUp = 2 * time.Second
)

// connections and seconds may be set from outside, for other machines.
func setting(t testing.TB, name string, def int) int {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return def
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		t.Fatalf("%s=%s is not a number above 0", name, s)
	}
	return n
}

// TestLoad puts the same load through onevnc and through the installed
// websockify, one after the other, and compares CPU time per byte. Everything
// stays on 127.0.0.1.
func TestLoad(t *testing.T) {
	n := setting(t, "LOAD_CONNECTIONS", 500)
	window := time.Duration(setting(t, "LOAD_SECONDS", 8)) * time.Second
	exe := filepath.Join(t.TempDir(), "onevnc")
	if out, err := exec.Command("go", "build", "-o", exe, "goned/cmd/onevnc").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	ours := measure(t, "onevnc", exe, n, window)
	report(t, ours)
	if perConn := (ours.peakRSS - ours.baseRSS) / int64(n); perConn >= 100<<10 {
		t.Errorf("onevnc: %d KB of memory per connection, want less than 100", perConn>>10)
	}
	other, err := exec.LookPath("websockify")
	if err != nil {
		t.Skip("websockify is not installed: nothing to compare with")
	}
	theirs := measure(t, "websockify", other, n, window)
	report(t, theirs)
	if ratio := ours.cpuPerMB() / theirs.cpuPerMB(); ratio > 0.5 {
		t.Errorf("CPU per byte is %.2f of websockify's, want at most 0.5", ratio)
	} else {
		t.Logf("CPU per byte: %.2f of websockify's", ratio)
	}
}

type result struct {
	name             string
	connections      int
	window           time.Duration
	bytes            int64 // both directions
	cpu              time.Duration
	baseRSS, idleRSS int64 // of the first process, before and with idle connections
	peakRSS          int64
}

func (r result) cpuPerMB() float64 {
	return float64(r.cpu.Microseconds()) / (float64(r.bytes) / 1e6)
}

func report(t testing.TB, r result) {
	t.Helper()
	n := int64(r.connections)
	wanted := 2 * rate * r.window.Seconds() * float64(n)
	t.Logf("%s: %d connections, %.0f MB/s both ways together (%.0f%% of the load offered), CPU %.2f cores, %.0f µs per MB, "+
		"memory per connection of the first process: %d KB idle, %d KB at its peak",
		r.name, n, float64(r.bytes)/1e6/r.window.Seconds(), 100*float64(r.bytes)/wanted,
		r.cpu.Seconds()/r.window.Seconds(), r.cpuPerMB(), (r.idleRSS-r.baseRSS)/n>>10, (r.peakRSS-r.baseRSS)/n>>10)
}

// measure starts a proxy with "source target", opens n connections and runs the
// load through them.
func measure(t *testing.T, name, exe string, n int, window time.Duration) result {
	t.Helper()
	var wg sync.WaitGroup
	defer wg.Wait()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	run := &load{stop: make(chan struct{})}
	wg.Go(func() { run.targets(l, &wg) })
	address, pid, kill := startProxy(t, exe, l.Addr().String())
	defer kill() // before waiting for the targets, whose connections it ends
	r := result{name: name, connections: n, window: window, baseRSS: rss(t, pid, "VmRSS")}
	conns, err := dialAll(address, n)
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	t.Logf("%s: %d connections are open", name, n)
	time.Sleep(500 * time.Millisecond) // the proxy dials its targets after the handshake
	r.idleRSS = rss(t, pid, "VmRSS")
	for _, c := range conns {
		wg.Go(func() { run.write(c, frameHeader) })
		wg.Go(func() { run.readFrames(c) })
	}
	time.Sleep(warmUp)
	cpu, moved, start := cpuOf(t, pid), run.moved.Load(), time.Now()
	time.Sleep(window)
	r.cpu, r.bytes, r.window = cpuOf(t, pid)-cpu, run.moved.Load()-moved, time.Since(start)
	r.peakRSS = rss(t, pid, "VmHWM")
	close(run.stop)
	if err := run.failure(); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	return r
}

// dialAll opens n connections, a few at a time. It returns those it opened even with an error.
func dialAll(address string, n int) ([]net.Conn, error) {
	var (
		mu    sync.Mutex // guards conns
		conns []net.Conn
		group errgroup.Group
	)
	group.SetLimit(16)
	for range n {
		group.Go(func() error {
			d := websocket.Dialer{Subprotocols: []string{"binary"}, HandshakeTimeout: 30 * time.Second}
			ws, _, err := d.Dial("ws://"+address, nil)
			if err != nil {
				return fmt.Errorf("open a connection: %w", err)
			}
			mu.Lock()
			defer mu.Unlock()
			conns = append(conns, ws.NetConn())
			return nil
		})
	}
	err := group.Wait()
	return conns, err
}

// startProxy runs exe in a process group of its own, for websockify forks a
// process per connection.
func startProxy(t *testing.T, exe, target string) (address string, pid int, kill func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = l.Addr().String()
	l.Close()
	cmd := exec.Command(exe, address, target)
	var log output.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("what %s said:\n%s", filepath.Base(exe), log.String())
		}
	})
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
	t.Cleanup(kill)
	deadline := time.Now().Add(20 * time.Second)
	for {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
			return address, cmd.Process.Pid, kill
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen: %v", exe, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// load is the traffic: what clients and targets do.
type load struct {
	stop  chan struct{}
	moved atomic.Int64 // bytes that have arrived at clients and targets
	err   atomic.Pointer[error]
}

func (l *load) fail(err error) {
	select {
	case <-l.stop: // the end of the run breaks connections
	default:
		l.err.CompareAndSwap(nil, &err)
	}
}

func (l *load) failure() error {
	if p := l.err.Load(); p != nil {
		return *p
	}
	return nil
}

// The stream carries its position, a byte for each KB, to be checked on arrival.
func fill(b []byte, pos int64) {
	for i := 0; i < len(b); i += 1 << 10 {
		b[i] = byte((pos + int64(i)) >> 10)
	}
}

// check looks at those bytes of the stream that b holds; pos is the position of b's first.
func check(b []byte, pos int64) error {
	for i := (1<<10 - pos&(1<<10-1)) & (1<<10 - 1); i < int64(len(b)); i += 1 << 10 {
		if p := pos + i; b[i] != byte(p>>10) {
			return fmt.Errorf("byte %d of the stream is wrong", p)
		}
	}
	return nil
}

// frameHeader starts a client's frame of one chunk. Its mask is zero, which
// saves the load generator the masking and the proxy nothing.
var frameHeader = append(binary.BigEndian.AppendUint64([]byte{0x82, 0xff}, chunk), 0, 0, 0, 0)

// write sends chunks, each behind header, at the load's rate.
func (l *load) write(c net.Conn, header []byte) {
	b := append(append([]byte{}, header...), make([]byte, chunk)...)
	next := time.Now()
	for pos := int64(0); ; pos += chunk {
		fill(b[len(header):], pos)
		if _, err := c.Write(b); err != nil {
			l.fail(fmt.Errorf("write: %w", err))
			return
		}
		next = next.Add(time.Second * chunk / rate)
		if now := time.Now(); next.Before(now) {
			next = now // what was late is not made up for: a slow proxy gets less load
		}
		select {
		case <-l.stop:
			return
		case <-time.After(time.Until(next)):
		}
	}
}

// targets serves the VNC side: it starts to send when the first bytes have come.
func (l *load) targets(listener net.Listener, wg *sync.WaitGroup) {
	for {
		c, err := listener.Accept()
		if err != nil {
			return
		}
		wg.Go(func() {
			defer c.Close()
			b := make([]byte, chunk)
			for pos := int64(0); ; {
				n, err := c.Read(b)
				if err != nil {
					if !errors.Is(err, io.EOF) || pos > 0 { // the probe of the port says nothing
						l.fail(fmt.Errorf("target: %w", err))
					}
					return
				}
				if err := check(b[:n], pos); err != nil {
					l.fail(fmt.Errorf("target: %w", err))
					return
				}
				if pos == 0 {
					wg.Go(func() { l.write(c, nil) })
				}
				pos += int64(n)
				l.moved.Add(int64(n))
			}
		})
	}
}

// readFrames is the client's side of what the target sends.
func (l *load) readFrames(c net.Conn) {
	r := bufio.NewReaderSize(c, chunk+16)
	pos := int64(0)
	for {
		var head [10]byte
		if _, err := io.ReadFull(r, head[:2]); err != nil {
			l.fail(fmt.Errorf("client: %w", err))
			return
		}
		size, more := uint64(head[1]&0x7f), 0
		switch size {
		case 126:
			more = 2
		case 127:
			more = 8
		}
		if _, err := io.ReadFull(r, head[2:2+more]); err != nil {
			l.fail(fmt.Errorf("client: %w", err))
			return
		}
		switch more {
		case 2:
			size = uint64(binary.BigEndian.Uint16(head[2:]))
		case 8:
			size = binary.BigEndian.Uint64(head[2:])
		}
		data := head[0] == 0x82
		if !data && head[0] != 0x89 || size > chunk {
			l.fail(fmt.Errorf("client: frame 0x%x of %d bytes", head[0], size))
			return
		}
		b, err := r.Peek(int(size))
		if err != nil {
			l.fail(fmt.Errorf("client: %w", err))
			return
		}
		if data {
			if err := check(b, pos); err != nil {
				l.fail(fmt.Errorf("client: %w", err))
				return
			}
			pos += int64(size)
			l.moved.Add(int64(size))
		}
		_, _ = r.Discard(int(size))
	}
}

// rss returns a memory figure of a process in bytes.
func rss(t testing.TB, pid int, field string) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kb << 10
		}
	}
	t.Fatalf("no %s on %s", field, runtime.GOOS)
	return 0
}

// cpuOf returns the CPU time a process and its children have used.
func cpuOf(t testing.TB, pid int) time.Duration {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	ticks := int64(0)
	for _, s := range stats {
		text, err := os.ReadFile(s)
		if err != nil {
			continue // ended meanwhile
		}
		// After the name in parentheses: state, parent, …, user and system time at 11 and 12.
		f := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		own, parent := strings.Split(s, "/")[2], f[1]
		if me := strconv.Itoa(pid); own != me && parent != me {
			continue
		}
		for _, field := range f[11:13] {
			n, err := strconv.ParseInt(field, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			ticks += n
		}
	}
	const ticksPerSecond = 100 // USER_HZ, the same on every Linux
	return time.Duration(ticks) * time.Second / ticksPerSecond
}
