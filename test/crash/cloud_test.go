package crash

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"goned/rpc/xmlrpc"
)

// onedPath is the daemon, built once for all tests.
var onedPath string

func TestMain(m *testing.M) {
	if runDriver(os.Args[1:]) {
		return
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "goned-crash-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	onedPath = filepath.Join(dir, "oned")
	build := exec.Command("go", "build", "-o", onedPath, "./cmd/oned")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v: %v\n%s", build, err, out)
		return 1
	}
	return m.Run()
}

const usualConf = `
LOG  = [ SYSTEM = "file", DEBUG_LEVEL = 3 ]
DB   = [ BACKEND = "sqlite" ]
PORT = %d
MANAGER_TIMER       = 1
MONITORING_INTERVAL = 2
HOST_PER_INTERVAL   = 100
TM_MAD_CONF = [ NAME = "dummy",  LN_TARGET = "NONE", CLONE_TARGET = "SYSTEM", SHARED = "yes" ]
TM_MAD_CONF = [ NAME = "shared", LN_TARGET = "NONE", CLONE_TARGET = "SYSTEM", SHARED = "yes" ]
TM_MAD_CONF = [ NAME = "ssh",    LN_TARGET = "SYSTEM", CLONE_TARGET = "SYSTEM", SHARED = "no" ]
`

// answerLimit bounds what is waited for. It is far above what is usual: a loaded machine must not fail a test that asks for no figure.
const answerLimit = time.Minute

// cloud is an oned, and what belongs to it, in a directory of its own.
type cloud struct {
	t    *testing.T
	dir  string
	port int
	http *http.Client
	oned *process
}

type process struct {
	cmd    *exec.Cmd
	output bytes.Buffer // complete when done is closed
	done   chan struct{}
}

func newCloud(t *testing.T, conf string) *cloud {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	c := &cloud{t: t, dir: t.TempDir(), port: freePort(t), http: &http.Client{Transport: transport, Timeout: answerLimit}}
	for _, dir := range []string{"etc", "var/vms", "var/datastores", "lib/mads"} {
		must(t, os.MkdirAll(filepath.Join(c.dir, dir), 0o750))
	}
	must(t, os.WriteFile(filepath.Join(c.dir, "etc", "oned.conf"), fmt.Appendf(nil, usualConf+conf, c.port), 0o640))
	must(t, os.WriteFile(filepath.Join(c.dir, "etc", "one_auth"), []byte("oneadmin:opennebula\n"), 0o600))
	t.Cleanup(func() {
		c.kill()
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(c.dir, "var", "oned.log"))
			t.Logf("end of oned.log:\n%s", log[max(0, len(log)-8000):])
		}
	})
	return c
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// launch starts oned and does not wait.
func (c *cloud) launch() {
	c.t.Helper()
	p := &process{cmd: exec.Command(onedPath, "-f"), done: make(chan struct{})}
	p.cmd.Dir = c.dir
	p.cmd.Env = append(os.Environ(), "ONE_LOCATION="+c.dir, "ONE_AUTH="+filepath.Join(c.dir, "etc", "one_auth"))
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	must(c.t, p.cmd.Start())
	go func() {
		_ = p.cmd.Wait() // how it ended does not matter: mostly it was killed
		close(p.done)
	}()
	c.oned = p
}

// start starts oned and waits until it answers.
func (c *cloud) start() {
	c.t.Helper()
	c.launch()
	var err error
	for end := time.Now().Add(answerLimit); time.Now().Before(end); time.Sleep(3 * time.Millisecond) {
		if _, err = c.call("oneadmin:opennebula", "one.system.version"); err == nil {
			return
		}
		select {
		case <-c.oned.done:
			c.t.Fatalf("oned ended by itself:\n%s", c.oned.output.String())
		default:
		}
	}
	c.t.Fatalf("oned does not answer: %v", err)
}

// kill ends oned as a crash does. Its drivers see the end of their input.
func (c *cloud) kill() {
	if c.oned == nil {
		return
	}
	_ = c.oned.cmd.Process.Kill() // it may have ended already
	<-c.oned.done
	c.oned = nil
	c.http.CloseIdleConnections()
}

// refusal is an answer of oned that is no success.
type refusal struct{ method, text string }

func (r *refusal) Error() string { return r.method + ": " + r.text }

// buffers are for the documents of calls.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// call returns the value of a successful answer: a text or an int. An error that is no *refusal leaves open whether the call was
// carried out.
func (c *cloud) call(session, method string, args ...any) (any, error) {
	params := []xmlrpc.Value{xmlrpc.String(session)}
	for _, a := range args {
		switch v := a.(type) {
		case int:
			params = append(params, xmlrpc.Int(v))
		case bool:
			params = append(params, xmlrpc.Bool(v))
		case string:
			params = append(params, xmlrpc.String(v))
		default:
			panic(fmt.Sprintf("%s with a %T", method, a))
		}
	}
	body := xmlrpc.EncodeCall(&xmlrpc.Call{Method: method, Params: params})
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, fmt.Sprintf("http://127.0.0.1:%d/RPC2", c.port), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "text/xml")
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	buf := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(buf)
	buf.Reset()
	if _, err := io.Copy(buf, resp.Body); err != nil {
		return nil, err
	}
	value, fault, err := xmlrpc.DecodeResponse(buf.Bytes())
	if err != nil {
		return nil, err
	}
	if fault != nil {
		return nil, &refusal{method, fault.Text}
	}
	items, _ := value.AsArray()
	if len(items) < 2 {
		return nil, fmt.Errorf("%s: an answer of %d values", method, len(items))
	}
	ok, _ := items[0].AsBool()
	text, isText := items[1].AsString()
	if !ok {
		return nil, &refusal{method, text}
	}
	if isText {
		return text, nil
	}
	id, _ := items[1].AsInt()
	return id, nil
}

// root is call for oneadmin, when it has to succeed.
func (c *cloud) root(method string, args ...any) any {
	c.t.Helper()
	value, err := c.call("oneadmin:opennebula", method, args...)
	must(c.t, err)
	return value
}

// id is root for calls that answer with an id.
func (c *cloud) id(method string, args ...any) int {
	c.t.Helper()
	return c.root(method, args...).(int)
}

// document is root for calls that answer with a document.
func (c *cloud) document(method string, args ...any) string {
	c.t.Helper()
	return c.root(method, args...).(string)
}
