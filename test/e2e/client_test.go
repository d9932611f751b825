package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/kolo/xmlrpc"

	"goned/core/host"
	"goned/core/image"
	"goned/core/vm"
)

// client is one user's access to an oned.
type client struct {
	endpoint, session string
	http              *http.Client
}

func newClient(t *testing.T, port int, session string) client {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 128}
	t.Cleanup(transport.CloseIdleConnections)
	return client{
		endpoint: fmt.Sprintf("http://127.0.0.1:%d/RPC2", port), session: session,
		http: &http.Client{Transport: transport, Timeout: time.Minute},
	}
}

// as is the same access for another user.
func (c client) as(session string) client {
	c.session = session
	return c
}

// refused is an answer of oned that is no success.
type refused struct{ method, text string }

func (r *refused) Error() string { return r.method + ": " + r.text }

// call returns the value of a successful answer: a text or an int64.
func (c client) call(method string, args ...any) (any, error) {
	req, err := xmlrpc.NewRequest(c.endpoint, method, append([]any{c.session}, args...))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: HTTP status %s", method, resp.Status)
	}
	answer := xmlrpc.Response(body)
	if err := answer.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	var values []any
	if err := answer.Unmarshal(&values); err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	if len(values) < 2 {
		return nil, fmt.Errorf("%s: an answer of %d values", method, len(values))
	}
	if ok, isBool := values[0].(bool); !isBool || !ok {
		return nil, &refused{method, fmt.Sprint(values[1])}
	}
	return values[1], nil
}

// number calls a method that answers with an id.
func (c client) number(method string, args ...any) (int, error) {
	value, err := c.call(method, args...)
	if err != nil {
		return 0, err
	}
	id, ok := value.(int64)
	if !ok {
		return 0, fmt.Errorf("%s: the answer is no id: %v", method, value)
	}
	return int(id), nil
}

// must is number for calls that have to succeed.
func (c client) must(t *testing.T, method string, args ...any) int {
	t.Helper()
	id, err := c.number(method, args...)
	must(t, err)
	return id
}

// node is an element of a document.
type node struct{ *etree.Element }

// text is what an element below holds, "" if it is not there.
func (n node) text(path string) string {
	if e := n.FindElement("./" + path); e != nil {
		return e.Text()
	}
	return ""
}

func (n node) number(path string) int {
	var i int
	_, _ = fmt.Sscan(n.text(path), &i)
	return i
}

func (n node) all(path string) []node {
	var out []node
	for _, e := range n.FindElements("./" + path) {
		out = append(out, node{e})
	}
	return out
}

// document calls a method that answers with an XML document.
func (c client) document(method string, args ...any) (node, error) {
	value, err := c.call(method, args...)
	if err != nil {
		return node{etree.NewElement("NONE")}, err
	}
	return parse(fmt.Sprint(value))
}

func parse(text string) (node, error) {
	doc := etree.NewDocument()
	if err := doc.ReadFromString(text); err != nil {
		return node{etree.NewElement("NONE")}, err
	}
	if doc.Root() == nil {
		return node{etree.NewElement("NONE")}, fmt.Errorf("no document: %q", text)
	}
	return node{doc.Root()}, nil
}

// poll calls done until it is true; an error or the end of the time fails the test.
func (c client) poll(t *testing.T, complaint string, done func() (bool, error)) {
	t.Helper()
	for end := time.Now().Add(stateLimit); time.Now().Before(end); time.Sleep(pollPause) {
		ok, err := done()
		if err != nil {
			t.Fatalf("%s: %v", complaint, err)
		}
		if ok {
			return
		}
	}
	t.Fatal(complaint)
}

// vmState names the state of a machine: "PENDING", or, when it is active, "RUNNING" or what else it is doing.
func vmState(d node) string {
	if state := vm.State(d.number("STATE")); state != vm.Active {
		return state.String()
	}
	return vm.LCMState(d.number("LCM_STATE")).String()
}

// awaitVM waits for a machine to reach one of the states, and returns its document.
func (c client) awaitVM(t *testing.T, id int, states ...string) node {
	t.Helper()
	var last string
	for end := time.Now().Add(stateLimit); time.Now().Before(end); time.Sleep(pollPause) {
		d, err := c.document("one.vm.info", id)
		must(t, err)
		last = vmState(d)
		for _, s := range states {
			if s == last {
				return d
			}
		}
		if last == vm.Failed.String() {
			break
		}
	}
	t.Fatalf("VM %d is %s, not %s", id, last, strings.Join(states, " or "))
	return node{}
}

// imageState is "READY", "USED" and so on.
func imageState(d node) string { return image.State(d.number("STATE")).String() }

func (c client) awaitImage(t *testing.T, id int, state string) node {
	t.Helper()
	var d node
	c.poll(t, fmt.Sprintf("image %d does not become %s", id, state), func() (bool, error) {
		var err error
		d, err = c.document("one.image.info", id)
		if err == nil && imageState(d) == "ERROR" && state != "ERROR" {
			err = fmt.Errorf("it is in ERROR: %s", d.text("TEMPLATE/ERROR"))
		}
		return err == nil && imageState(d) == state, err
	})
	return d
}

// addHost makes a host and waits until it is monitored.
func (c client) addHost(t *testing.T, name, im, vmm string) int {
	t.Helper()
	id := c.must(t, "one.host.allocate", name, im, vmm, "dummy", -1)
	c.poll(t, fmt.Sprintf("host %s is not monitored", name), func() (bool, error) {
		d, err := c.document("one.host.info", id)
		return err == nil && d.number("STATE") == int(host.Monitored), err
	})
	return id
}
