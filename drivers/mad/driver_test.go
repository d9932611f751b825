package mad

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The test binary is its own fake driver: with MAD_FAKE set it speaks the
// protocol in the way the variable names.
func TestMain(m *testing.M) {
	if mode := os.Getenv("MAD_FAKE"); mode != "" {
		fakeDriver(mode)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func fakeDriver(mode string) {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	line, _ := in.ReadString('\n')
	switch {
	case line != "INIT\n":
		return
	case mode == "init-failure":
		fmt.Println("INIT FAILURE no hypervisor")
		return
	case mode == "init-wrong":
		fmt.Println("LOG I - hello")
		time.Sleep(time.Minute)
	case mode == "init-never":
		time.Sleep(time.Minute)
	case mode == "init-odd":
		fmt.Println("INIT WHATEVER")
	default:
		fmt.Println("INIT SUCCESS - -")
	}
	switch mode {
	case "never-reads":
		time.Sleep(time.Minute)
	case "deaf": // neither FINALIZE nor a signal ends it
		ignoreTerm()
		child := exec.Command("sleep", "300")
		child.Stdout = os.Stdout
		_ = child.Start()
		fmt.Println("CHILD SUCCESS", child.Process.Pid)
		time.Sleep(time.Minute)
	case "leaves-child": // ends, but a child keeps its stdout open
		child := exec.Command("sleep", "300")
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		_ = child.Start()
		fmt.Println("LAST SUCCESS 1 words")
		os.Exit(3)
	case "slow-line":
		for _, part := range []string{"POLL SUC", "CESS 5 ST", "ATE=a", "\n"} {
			fmt.Print(part)
			time.Sleep(120 * time.Millisecond)
		}
	case "huge-line":
		fmt.Println("MONITOR SUCCESS 1 " + strings.Repeat("A", 2<<20))
		fmt.Println("MONITOR SUCCESS 2 " + strings.Repeat("B", 8<<20))
		fmt.Println("MONITOR SUCCESS 3 end")
	case "garbage":
		_, _ = os.Stdout.Write([]byte("\x00\xff\xfe\n\n nonsense\nDEPLOY what x12\nwarning: locale not set up\n"))
		_, _ = os.Stderr.Write([]byte(strings.Repeat("e", 1<<20) + "\nmore\n"))
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil || line == "FINALIZE\n" {
			return
		}
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		if f[0] == "DIE" {
			os.Exit(7)
		}
		fmt.Printf("%s SUCCESS %s %d\n", f[0], f[1], len(line))
	}
}

// record is a Handler that keeps what it gets.
type record struct {
	mu    sync.Mutex
	lines []Message
	downs []error
	ups   int
}

func (r *record) handler() Handler {
	return Handler{
		Line: func(m Message) { r.mu.Lock(); defer r.mu.Unlock(); r.lines = append(r.lines, m) },
		Down: func(err error) { r.mu.Lock(); defer r.mu.Unlock(); r.downs = append(r.downs, err) },
		Up:   func() { r.mu.Lock(); defer r.mu.Unlock(); r.ups++ },
	}
}

func (r *record) snapshot() (lines []Message, downs []error, ups int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Message(nil), r.lines...), append([]error(nil), r.downs...), r.ups
}

func (r *record) texts() []string {
	lines, _, _ := r.snapshot()
	var out []string
	for _, m := range lines {
		out = append(out, fmt.Sprint(m.Action, m.ID, " ", m.Text))
	}
	return out
}

func waitFor(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("timeout waiting for %s", what)
		}
	}
}

func fake(t *testing.T, mode string, change func(*Config)) (*Driver, *record) {
	t.Helper()
	cfg := Config{
		Name: mode, Executable: os.Args[0], Env: []string{"MAD_FAKE=" + mode}, WorkDir: t.TempDir(),
		BackoffMin: time.Millisecond, BackoffMax: 50 * time.Millisecond,
	}
	if change != nil {
		change(&cfg)
	}
	rec := &record{}
	return New(cfg, rec.handler()), rec
}

func mustStart(t *testing.T, d *Driver) {
	t.Helper()
	if err := d.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Stop)
}

func TestStartErrors(t *testing.T) {
	tests := []struct {
		mode string
		edit func(*Config)
		want string
	}{
		{"init-failure", nil, "MAD initialization failed, no hypervisor"},
		{"init-wrong", nil, "Wrong action in MAD response"},
		{"init-never", func(c *Config) { c.InitTimeout = 200 * time.Millisecond }, "MAD did not answer INIT command"},
		{"ends", func(c *Config) { c.Executable = "/bin/true" }, "MAD did not answer INIT command"},
		{"missing", func(c *Config) { c.Executable = "/no/such" }, "Cannot load driver /no/such, No such file or directory"},
		{"relative", func(c *Config) { c.Executable, c.Dir = "one_x", "/no/mads" }, "Cannot load driver /no/mads/one_x, No such file or directory"},
		{"unset", func(c *Config) { c.Executable = "" }, "Wrong attributes for the driver"},
	}
	for _, tt := range tests {
		t.Run(tt.mode, func(t *testing.T) {
			d, _ := fake(t, tt.mode, tt.edit)
			err := d.Start(context.Background())
			var load LoadError
			if !errors.As(err, &load) || err.Error() != tt.want {
				t.Errorf("error %q, want %q", err, tt.want)
			}
			d.Stop() // harmless on a driver that never ran
		})
	}
}

func TestAnyInitAnswerButFailureLoads(t *testing.T) {
	d, _ := fake(t, "init-odd", nil)
	mustStart(t, d)
}

func TestRequestsAndAnswersKeepOrder(t *testing.T) {
	d, rec := fake(t, "echo", nil)
	mustStart(t, d)
	const n = 2000
	for i := range n {
		if err := d.Send(fmt.Sprintf("POLL %d x", i)); err != nil {
			t.Fatal(err)
		}
	}
	waitFor(t, "all answers", func() bool { l, _, _ := rec.snapshot(); return len(l) == n })
	lines, _, _ := rec.snapshot()
	for i, m := range lines {
		if m.ID != i {
			t.Fatalf("answer %d has id %d", i, m.ID)
		}
	}
}

func TestArgumentsAreOneWord(t *testing.T) {
	dir := t.TempDir()
	script := "#!/bin/sh\nread x\necho INIT SUCCESS\necho ARGS SUCCESS $# \"$0|$1|$PWD|$MAD_TEST\"\nread x\n"
	if err := os.WriteFile(filepath.Join(dir, "one_x"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	d, rec := fake(t, "", func(c *Config) {
		c.Executable, c.Dir, c.Args = "one_x", dir, []string{"-t 15 -r 0 kvm"}
		c.Env, c.WorkDir = []string{"MAD_TEST=yes"}, dir
	})
	mustStart(t, d)
	waitFor(t, "line", func() bool { return len(rec.texts()) > 0 })
	want := "ARGS1 " + dir + "/one_x|-t 15 -r 0 kvm|" + dir + "|yes"
	if got := rec.texts()[0]; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPausesInsideALineDoNotMatter(t *testing.T) {
	d, rec := fake(t, "slow-line", nil)
	mustStart(t, d)
	waitFor(t, "line", func() bool { return len(rec.texts()) == 1 })
	if got := rec.texts()[0]; got != "POLL5 STATE=a" {
		t.Error(got)
	}
	if _, downs, _ := rec.snapshot(); len(downs) != 0 {
		t.Errorf("driver restarted: %v", downs)
	}
}

func TestHugeLines(t *testing.T) {
	d, rec := fake(t, "huge-line", func(c *Config) { c.MaxLine = 4 << 20 })
	mustStart(t, d)
	waitFor(t, "last line", func() bool { l, _, _ := rec.snapshot(); return len(l) > 0 && l[len(l)-1].ID == 3 })
	lines, _, _ := rec.snapshot()
	if len(lines) != 2 || len(lines[0].Text) != 2<<20 {
		t.Errorf("%d lines, first with %d bytes; want the 2 MiB line and the one after the 8 MiB line", len(lines), len(lines[0].Text))
	}
}

func TestGarbageIsIgnored(t *testing.T) {
	d, rec := fake(t, "garbage", nil)
	mustStart(t, d)
	if err := d.Send("POLL 3"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "answer", func() bool { return len(rec.texts()) == 1 })
	if got := rec.texts()[0]; got != "POLL3 7" {
		t.Error(got)
	}
}

func TestSendRefusesSeveralLines(t *testing.T) {
	d, _ := fake(t, "echo", nil)
	if err := d.Send("POLL 1"); !errors.Is(err, ErrDown) {
		t.Errorf("before Start: %v", err)
	}
	mustStart(t, d)
	if err := d.Send("POLL 1\nDEPLOY 2"); !errors.Is(err, ErrLineFeed) {
		t.Errorf("two lines: %v", err)
	}
	d.Stop()
	if err := d.Send("POLL 1"); !errors.Is(err, ErrDown) {
		t.Errorf("after Stop: %v", err)
	}
}

func TestDeathIsReportedAfterLastAnswerAndBeforeNewRequests(t *testing.T) {
	d, rec := fake(t, "echo", nil)
	mustStart(t, d)
	for _, line := range []string{"POLL 1", "POLL 2", "DIE 3", "POLL 4"} {
		if err := d.Send(line); err != nil {
			t.Fatal(err)
		}
	}
	waitFor(t, "restart", func() bool { _, _, ups := rec.snapshot(); return ups == 1 })
	if err := d.Send("POLL 5"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "answer of the successor", func() bool { return len(rec.texts()) >= 3 })
	if got := strings.Join(rec.texts(), ","); got != "POLL1 7,POLL2 7,POLL5 7" {
		t.Errorf("answers %s; requests sent before the death must not reach the successor", got)
	}
	_, downs, _ := rec.snapshot()
	if len(downs) != 1 || !strings.Contains(downs[0].Error(), "exit status 7") {
		t.Errorf("downs %v", downs)
	}
}

func TestChildHoldingTheOutputDoesNotHideDeath(t *testing.T) {
	d, rec := fake(t, "leaves-child", nil)
	mustStart(t, d)
	waitFor(t, "restart", func() bool { _, _, ups := rec.snapshot(); return ups >= 1 })
	if got := rec.texts(); len(got) == 0 || got[0] != "LAST1 words" {
		t.Errorf("last words lost: %v", got)
	}
}

func TestSlowHandlerLosesNothingOfADeadDriver(t *testing.T) {
	rec := &record{}
	h := rec.handler()
	line := h.Line
	h.Line = func(m Message) { time.Sleep(30 * time.Millisecond); line(m) }
	script := filepath.Join(t.TempDir(), "d")
	body := "#!/bin/sh\nread x\necho INIT SUCCESS\nfor i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do echo POLL SUCCESS $i; done\n"
	if err := os.WriteFile(script, []byte(body), 0o755); err != nil {
		t.Fatal(err)
	}
	d := New(Config{Executable: script, BackoffMin: time.Hour, BackoffMax: time.Hour}, h)
	mustStart(t, d)
	waitFor(t, "death", func() bool { _, downs, _ := rec.snapshot(); return len(downs) == 1 })
	if got := len(rec.texts()); got != 20 {
		t.Errorf("%d of 20 lines", got)
	}
}

func TestNeverReadingDriverIsReplaced(t *testing.T) {
	d, rec := fake(t, "never-reads", func(c *Config) { c.WriteTimeout, c.MaxQueue = 100*time.Millisecond, 1<<20 })
	mustStart(t, d)
	big := "DEPLOY 1 " + strings.Repeat("A", 400<<10)
	var full bool
	waitFor(t, "replacement", func() bool {
		if errors.Is(d.Send(big), ErrFull) {
			full = true
		}
		_, downs, ups := rec.snapshot()
		return ups > 0 && errors.Is(downs[0], ErrFull)
	})
	if !full {
		t.Error("queue never reported full")
	}
}

func TestStopIsBoundedAndLeavesNoProcess(t *testing.T) {
	for _, mode := range []string{"echo", "deaf", "never-reads"} {
		t.Run(mode, func(t *testing.T) {
			d, rec := fake(t, mode, nil)
			mustStart(t, d)
			pids := []int{}
			if mode == "deaf" {
				waitFor(t, "child", func() bool { return len(rec.texts()) == 1 })
				lines, _, _ := rec.snapshot()
				pids = append(pids, lines[0].ID)
			}
			_ = d.Send("DEPLOY 1 " + strings.Repeat("A", 1<<20))
			start := time.Now()
			d.Stop()
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("Stop took %v", took)
			}
			for _, pid := range pids {
				waitFor(t, "child of the driver to go", func() bool { return !alive(pid) })
			}
			if _, downs, _ := rec.snapshot(); len(downs) != 0 {
				t.Errorf("Down called for a Stop: %v", downs)
			}
		})
	}
}

// alive tells a running process from none and from a zombie, which an orphan
// is until init collects it.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(after, "Z")
}

func TestKilledAtRandomGoesOn(t *testing.T) {
	d, rec := fake(t, "echo", nil)
	mustStart(t, d)
	rnd := rand.New(rand.NewSource(1))
	answered := func() int { l, _, _ := rec.snapshot(); return len(l) }
	killed := 0
	for killed < 20 {
		if d.Send("POLL 1") != nil {
			time.Sleep(time.Millisecond)
			continue
		}
		if rnd.Intn(3) == 0 {
			if pid := childPID(t); pid > 0 {
				_ = syscall.Kill(pid, syscall.SIGKILL)
				killed++
			}
		}
		time.Sleep(time.Duration(rnd.Intn(5)) * time.Millisecond)
	}
	waitFor(t, "service after the last kill", func() bool {
		n := answered()
		_ = d.Send("POLL 9")
		time.Sleep(20 * time.Millisecond)
		return answered() > n
	})
	d.Stop()
	if pid := childPID(t); pid > 0 {
		t.Errorf("process %d left (zombie or running)", pid)
	}
}

// childPID finds a child of the test process, running or zombie.
func childPID(t *testing.T) int {
	t.Helper()
	tasks, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		data, _ := os.ReadFile(task)
		for _, f := range strings.Fields(string(data)) {
			pid, _ := strconv.Atoi(f)
			return pid
		}
	}
	return 0
}

func TestFailingRestartBacksOffAndRecovers(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "drv")
	good := "#!/bin/sh\nread x\necho INIT SUCCESS\nread x\n"
	if err := os.WriteFile(program, []byte(good), 0o755); err != nil {
		t.Fatal(err)
	}
	d, rec := fake(t, "", func(c *Config) { c.Executable = program })
	mustStart(t, d)
	if err := os.Rename(program, program+".away"); err != nil {
		t.Fatal(err)
	}
	if err := d.Send("X 1"); err != nil { // ends it
		t.Fatal(err)
	}
	waitFor(t, "death", func() bool { _, downs, _ := rec.snapshot(); return len(downs) == 1 })
	if err := d.Send("X 2"); !errors.Is(err, ErrDown) {
		t.Errorf("Send while down: %v", err)
	}
	if err := os.Rename(program+".away", program); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "recovery", func() bool { _, _, ups := rec.snapshot(); return ups == 1 })
}

// The recordings' dummy driver is a program by another author that speaks the
// same protocol.
func TestThirdPartyDriver(t *testing.T) {
	shared := os.Getenv("GONED_SHARED")
	if shared == "" {
		shared = "../../../shared"
	}
	program, err := filepath.Abs(filepath.Join(shared, "tools/dummy/dummy_driver.py"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		t.Skipf("no third-party driver to test with: %v", err)
	}
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("no python3")
	}
	for kind, c := range map[string]struct{ request, want string }{
		"im":                {"STOPMONITOR 4 h ", "STOPMONITOR4 "},
		"tm -t 15 -d dummy": {"TRANSFER 2 /no/such", "TRANSFER2 "},
		"hm":                {"EXECUTE 3 hook LOCAL /bin/true -", "EXECUTE3 hook"},
		"--authn dummy":     {"AUTHENTICATE 9 2 dummy ext stored stored", "AUTHENTICATE9 -"},
		"datastore":         {"STAT 1 x", "STAT1 1024"},
		"vmm":               {"SNAPSHOTCREATE 1 x", "SNAPSHOTCREATE1 dummy-snap"},
	} {
		t.Run(kind, func(t *testing.T) {
			d, rec := fake(t, "", func(cfg *Config) { cfg.Executable, cfg.Args = program, []string{kind} })
			mustStart(t, d)
			if err := d.Send(c.request); err != nil {
				t.Fatal(err)
			}
			waitFor(t, "answer", func() bool { return len(rec.texts()) == 1 })
			if got := rec.texts()[0]; got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
