package agent

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"goned/test/output"
)

// session is a running Server with its input and output.
type session struct {
	t   *testing.T
	in  *io.PipeWriter
	out *output.Buffer
	end chan error
}

func serve(t *testing.T, limit int, actions func(out *Output) map[string]Action) *session {
	t.Helper()
	r, w := io.Pipe()
	s := &session{t: t, in: w, out: &output.Buffer{}, end: make(chan error, 1)}
	out := NewOutput(s.out)
	server := NewServer(out, limit, actions(out))
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() { cancel(); w.Close() })
	go func() { s.end <- server.Serve(ctx, r) }()
	return s
}

func (s *session) send(lines string) {
	s.t.Helper()
	if _, err := io.WriteString(s.in, lines); err != nil {
		s.t.Fatal(err)
	}
}

func (s *session) expect(text string) {
	s.t.Helper()
	for end := time.Now().Add(20 * time.Second); !strings.Contains(s.out.String(), text); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("no %q in output:\n%s", text, s.out.String())
		}
	}
}

func (s *session) ended() error {
	s.t.Helper()
	select {
	case err := <-s.end:
		return err
	case <-time.After(20 * time.Second):
		s.t.Fatal("server does not end")
		return nil
	}
}

func TestServerAnswers(t *testing.T) {
	s := serve(t, 2, func(out *Output) map[string]Action {
		return map[string]Action{
			"PING": {Args: 1, Run: func(ctx context.Context, r Request) { out.Reply(ctx, r, Success, r.Args[0]) }},
			"MANY": {Args: -1, Run: func(ctx context.Context, r Request) { out.Reply(ctx, r, Failure, strings.Join(r.Args, "+")) }},
		}
	})
	s.send("INIT\n")
	s.expect("INIT SUCCESS - -\n")
	s.send("\n  \nping 7x a\nUNKNOWN 1 a\nPING 8\nPING 9 a b\nMANY 4 a b c\nMANY 5\n")
	s.expect("PING SUCCESS 7 a\n")
	s.expect("PING FAILURE 8 Wrong number of words in PING request: 1\n")
	s.expect("PING FAILURE 9 Wrong number of words in PING request: 3\n")
	s.expect("MANY FAILURE 4 a+b+c\n")
	s.expect("MANY FAILURE 5 Wrong number of words in MANY request: 1\n")
	if strings.Contains(s.out.String(), "UNKNOWN") {
		t.Error("unknown action was answered")
	}
	s.in.Close()
	if err := s.ended(); err != nil {
		t.Error(err)
	}
}

// gate holds actions until it is opened and counts what runs.
type gate struct {
	mu      sync.Mutex
	running []string
	peak    int
	open    chan struct{}
}

func (g *gate) run(out *Output) func(ctx context.Context, r Request) {
	return func(ctx context.Context, r Request) {
		g.mu.Lock()
		g.running = append(g.running, r.Args[0])
		g.peak = max(g.peak, len(g.running))
		g.mu.Unlock()
		select {
		case <-g.open:
		case <-ctx.Done():
		}
		g.mu.Lock()
		for i, h := range g.running {
			if h == r.Args[0] {
				g.running = append(g.running[:i], g.running[i+1:]...)
				break
			}
		}
		g.mu.Unlock()
		out.Reply(ctx, r, Success, "-")
	}
}

func (g *gate) hosts() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return strings.Join(g.running, ",")
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("timeout: " + what)
		}
	}
}

func TestServerLimitsAndLanes(t *testing.T) {
	g := &gate{open: make(chan struct{})}
	s := serve(t, 3, func(out *Output) map[string]Action {
		return map[string]Action{"DO": {Args: 1, Run: g.run(out), Lane: func(r Request) string { return r.Args[0] }}}
	})
	s.send("DO 1 h1\nDO 2 h1\nDO 3 h2\nDO 4 h3\nDO 5 h4\n")
	eventually(t, "three hosts at work", func() bool { return len(strings.Split(g.hosts(), ",")) == 3 && g.hosts() != "" })
	if strings.Count(g.hosts(), "h1") != 1 || strings.Contains(g.hosts(), "h4") {
		t.Errorf("running %s", g.hosts())
	}
	close(g.open)
	for _, id := range []string{"1", "2", "3", "4", "5"} {
		s.expect("DO SUCCESS " + id + " -\n")
	}
	if g.peak != 3 {
		t.Errorf("%d at a time, want 3", g.peak)
	}
}

func TestServerCancels(t *testing.T) {
	g := &gate{open: make(chan struct{})}
	s := serve(t, 1, func(out *Output) map[string]Action {
		return map[string]Action{"DO": {Args: 1, Run: g.run(out)}}
	})
	s.send("DO 1 a\nDO 2 b\nDO 1 c\nDO 3 d\n")
	eventually(t, "first at work", func() bool { return g.hosts() == "a" })
	s.send("DRIVER_CANCEL 1\n")
	s.expect("LOG I 1 Driver command for 1 cancelled\n")
	eventually(t, "next at work", func() bool { return g.hosts() == "b" })
	close(g.open)
	s.expect("DO SUCCESS 3 -\n")
	if strings.Contains(s.out.String(), "SUCCESS 1") {
		t.Errorf("cancelled request was answered:\n%s", s.out.String())
	}
}

func TestServerFinalize(t *testing.T) {
	g := &gate{open: make(chan struct{})}
	s := serve(t, 1, func(out *Output) map[string]Action {
		return map[string]Action{"DO": {Args: 1, Run: g.run(out)}}
	})
	s.send("DO 1 a\n")
	eventually(t, "at work", func() bool { return g.hosts() == "a" })
	s.send("DO 2 b\nFINALIZE\nDO 3 c\nINIT\n")
	s.expect("INIT SUCCESS") // everything before it has been taken in
	close(g.open)
	if err := s.ended(); err != nil {
		t.Error(err)
	}
	if got, want := s.out.String(), "INIT SUCCESS - -\nDO SUCCESS 1 -\n"; got != want {
		t.Errorf("%q, want %q: what runs is finished, nothing new begun", got, want)
	}
}

func TestServerEndsWithItsInput(t *testing.T) {
	g := &gate{open: make(chan struct{})}
	s := serve(t, 1, func(out *Output) map[string]Action {
		return map[string]Action{"DO": {Args: 1, Run: g.run(out)}}
	})
	s.send("DO 1 a\n")
	eventually(t, "at work", func() bool { return g.hosts() == "a" })
	s.in.Close()
	if err := s.ended(); err != nil {
		t.Error(err)
	}
	if s.out.String() != "" {
		t.Errorf("output %q", s.out.String())
	}
}

func TestOutputLog(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"levels", "ERROR: mkfs: no\nDEBUG: d\nINFO:i\nplain\n", "LOG E 3 mkfs: no\nLOG D 3 d\nLOG I 3 i\nLOG I 3 plain\n"},
		{"error block", "a\n" + ErrorBegin + "\nUnable\n\nreally\n" + ErrorEnd + "\nExitCode: 3\n",
			"LOG I 3 a\nLOG E 3 Unable\nLOG E 3 \nLOG E 3 really\nLOG I 3 ExitCode: 3\n"},
		{"outer empty lines", "\n\n a \n\n", "LOG I 3 a\n"},
		{"controls and bytes", "x\r\n\x1b[1mbold\x00\xff", "LOG I 3 x\nLOG I 3  [1mbold \uFFFD\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			NewOutput(&b).Log(3, tt.text)
			if diff := cmp.Diff(tt.want, b.String()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func FuzzOutputIsOneLine(f *testing.F) {
	f.Add("a\nDEPLOY SUCCESS 1 x")
	f.Add("\u2028\u0085\x00")
	f.Fuzz(func(t *testing.T, text string) {
		var b bytes.Buffer
		NewOutput(&b).Send("POLL", Success, "1", text)
		if got := b.String(); strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, "\n") {
			t.Errorf("%q", got)
		}
	})
}

func TestParseOptions(t *testing.T) {
	tests := []struct {
		name, args    string
		threads, list string
		local         bool
		rest          string
		err           bool
	}{
		{name: "usual", args: "-t 15 -d a,b kvm", threads: "15", list: "a,b", rest: "kvm"},
		{name: "long", args: "--threads=3 --list x kvm", threads: "3", list: "x", rest: "kvm"},
		{name: "glued", args: "-t15 -l kvm", threads: "15", local: true, rest: "kvm"},
		{name: "combined", args: "-lt 2 kvm", threads: "2", local: true, rest: "kvm"},
		{name: "options after words", args: "kvm -t 4", threads: "4", rest: "kvm"},
		{name: "optional value missing", args: "-t -l kvm", threads: "", local: true, rest: "kvm"},
		{name: "end of options", args: "-l -- -t", local: true, rest: "-t"},
		{name: "unknown", args: "-z", err: true},
		{name: "unknown long", args: "--zoo", err: true},
		{name: "value missing", args: "-d", err: true},
		{name: "value for a flag", args: "--local=yes", err: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var threads, list string
			var local bool
			rest, err := ParseOptions(strings.Fields(tt.args), []Option{
				{'t', "threads", MayHaveValue, func(v string) error { threads = v; return nil }},
				{'d', "list", NeedsValue, func(v string) error { list = v; return nil }},
				{'l', "local", NoValue, func(string) error { local = true; return nil }},
			})
			if tt.err {
				if err == nil {
					t.Error("no error")
				}
				return
			}
			if err != nil || threads != tt.threads || list != tt.list || local != tt.local || strings.Join(rest, " ") != tt.rest {
				t.Errorf("threads %q list %q local %v rest %q err %v", threads, list, local, rest, err)
			}
		})
	}
}

func TestSettings(t *testing.T) {
	text := "DB=BACKEND=sqlite\nIM_MAD=ARGUMENTS=-r 0 -t 15 kvm,EXECUTABLE=one_im_ssh,NAME=kvm\n" +
		"IM_MAD=ARGUMENTS=-p 5000 -f 5 -t 50 -i 30,EXECUTABLE=collectd,NAME=collectd\nSCRIPTS_REMOTE_DIR=/opt/one\n\n"
	got, err := parseSettings(strings.NewReader(text))
	if want := (Settings{"/opt/one", 5000, 30}); got != want || err != nil {
		t.Errorf("%+v %v", got, err)
	}
	got, err = parseSettings(strings.NewReader("nonsense\n=\n"))
	if got != DefaultSettings() || err != nil {
		t.Errorf("%+v %v", got, err)
	}
}

func TestLayout(t *testing.T) {
	if got, want := LayoutOf(""), (Layout{"/var/lib/one", "/etc/one", "/var/log/one"}); got != want {
		t.Errorf("%+v", got)
	}
	if got, want := LayoutOf("/srv/one"), (Layout{"/srv/one/var", "/srv/one/etc", "/srv/one/var"}); got != want {
		t.Errorf("%+v", got)
	}
}

func TestReadRC(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rc")
	text := "# comment\nPRIORITY=19 # nice\nONE_MAD_DEBUG=\nexport A=\"x $PRIORITY ${PRIORITY}\"\nB='$A'\nC=a\\ b;echo evil\n" +
		"D=$(touch /tmp/never)\nif true; then\nBAD-NAME=1\n"
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := ReadRC(path)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"PRIORITY=19", "ONE_MAD_DEBUG=", "A=x 19 19", "B=$A", "C=a b"}
	if diff := cmp.Diff(want, got[:min(len(got), 5)]); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got, err := ReadRC(path + "none"); got != nil || err != nil {
		t.Errorf("missing file: %v %v", got, err)
	}
}
