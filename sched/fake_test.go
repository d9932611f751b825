package sched

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"goned/core/template/xmldoc"
)

// fakeOned answers calls with what a test sets and remembers them.
type fakeOned struct {
	*httptest.Server
	mu      sync.Mutex
	calls   []string            // guarded by mu: "method arg arg", without the session
	answers map[string][]answer // guarded by mu: by method, the last one is repeated
}

// answer is a success, a refusal or, with body, a raw response.
type answer struct {
	ok   bool
	text string
	body string
	hang bool
}

func good(text string) answer { return answer{ok: true, text: text} }
func bad(text string) answer  { return answer{text: text} }

const session = "oneadmin:secret"

func newFakeOned(t *testing.T) *fakeOned {
	t.Helper()
	f := &fakeOned{answers: map[string][]answer{
		"one.system.config":      {good("<TEMPLATE><FEDERATION><ZONE_ID><![CDATA[0]]></ZONE_ID></FEDERATION></TEMPLATE>")},
		"one.vmpool.info":        {good("<VM_POOL></VM_POOL>")},
		"one.hostpool.info":      {good("<HOST_POOL></HOST_POOL>")},
		"one.datastorepool.info": {good("<DATASTORE_POOL></DATASTORE_POOL>")},
		"one.clusterpool.info":   {good("<CLUSTER_POOL></CLUSTER_POOL>")},
		"one.acl.info":           {good("<ACL_POOL></ACL_POOL>")},
	}}
	done := make(chan struct{})
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		a := f.answer(t, string(body))
		if a.hang {
			select {
			case <-done:
			case <-r.Context().Done():
			}
			return
		}
		io.WriteString(w, a.render())
	}))
	t.Cleanup(func() { close(done); f.Close() })
	return f
}

func (f *fakeOned) answer(t *testing.T, body string) answer {
	call, err := xmldoc.Parse(body)
	if err != nil {
		t.Errorf("a call that is no XML: %v", err)
		return bad("no XML")
	}
	var args []string
	for _, p := range call.Child("params").All("param") {
		v := p.Child("value")
		args = append(args, v.Text+v.Children[0].Text)
	}
	if args[0] != session {
		t.Errorf("session %q", args[0])
	}
	method := call.Child("methodName").Text
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, strings.TrimSpace(method+" "+strings.Join(args[1:], " ")))
	list := f.answers[method]
	if len(list) == 0 {
		return good("")
	}
	if len(list) > 1 {
		f.answers[method] = list[1:]
	}
	return list[0]
}

func (f *fakeOned) set(method string, answers ...answer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[method] = answers
}

func (f *fakeOned) seen() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.calls...)
}

func (a answer) render() string {
	if a.body != "" {
		return a.body
	}
	var text bytes.Buffer
	_ = xml.EscapeText(&text, []byte(a.text)) // a buffer takes everything
	ok := 0
	if a.ok {
		ok = 1
	}
	return fmt.Sprintf("<?xml version=\"1.0\"?><methodResponse><params><param><value><array><data><value><boolean>%d</boolean></value>"+
		"<value><string>%s</string></value><value><i4>0</i4></value></data></array></value></param></params></methodResponse>", ok, text.String())
}

// running is a scheduler at work.
type running struct {
	t       *testing.T
	oned    *fakeOned
	logPath string
	stop    context.CancelFunc
	stopped chan struct{}
}

var clock = time.Date(2026, 11, 22, 21, 54, 34, 0, time.Local)

// start runs a scheduler against the fake, with a pass every few milliseconds.
func start(t *testing.T, f *fakeOned, conf string) *running {
	t.Helper()
	c, err := ParseConfig(conf)
	if err != nil {
		t.Fatal(err)
	}
	c.Interval = 5 * time.Millisecond
	r := &running{t: t, oned: f, logPath: filepath.Join(t.TempDir(), "sched.log"), stopped: make(chan struct{})}
	log, err := OpenLog(c, r.logPath, func() time.Time { return clock })
	if err != nil {
		t.Fatal(err)
	}
	oned := NewOned(f.URL, session, c.MessageSize)
	s := New(c, oned, log, func() time.Time { return clock })
	s.retry = 5 * time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	go func() {
		defer close(r.stopped)
		s.Run(ctx)
		oned.Close()
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { r.end() })
	return r
}

// end stops the scheduler and waits for it.
func (r *running) end() {
	r.t.Helper()
	r.stop()
	select {
	case <-r.stopped:
	case <-time.After(10 * time.Second):
		r.t.Fatal("the scheduler does not stop")
	}
}

func (r *running) log() string {
	r.t.Helper()
	text, err := os.ReadFile(r.logPath)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}

// waitFor polls until the condition holds.
func (r *running) waitFor(what string, condition func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("no %s\ncalls: %s\nlog:\n%s", what, strings.Join(r.oned.seen(), "\n"), r.log())
		}
	}
}

func (r *running) waitLog(line string) {
	r.t.Helper()
	r.waitFor("log line "+line, func() bool { return strings.Contains(r.log(), line) })
}

func (r *running) waitCall(call string) {
	r.t.Helper()
	r.waitFor("call "+call, func() bool {
		for _, c := range r.oned.seen() {
			if c == call {
				return true
			}
		}
		return false
	})
}
