//go:build e2e

package kvm

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/kolo/xmlrpc"

	"goned/core/image"
	"goned/core/vm"
)

// client is one user's access to oned.
type client struct {
	endpoint, session string
	http              *http.Client
}

func newClient(endpoint, session string) client {
	return client{endpoint: endpoint, session: session, http: &http.Client{Timeout: time.Minute}}
}

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
		return nil, fmt.Errorf("%s: %v", method, values[1])
	}
	return values[1], nil
}

// must calls a method that answers with an id.
func (c client) must(t *testing.T, method string, args ...any) int {
	t.Helper()
	value, err := c.call(method, args...)
	must(t, err)
	id, ok := value.(int64)
	if !ok {
		t.Fatalf("%s: the answer is no id: %v", method, value)
	}
	return int(id)
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

// info reads a resource: "vm", "host", "image" and so on.
func (c client) info(t *testing.T, resource string, id int) node {
	t.Helper()
	value, err := c.call("one."+resource+".info", id)
	must(t, err)
	doc := etree.NewDocument()
	must(t, doc.ReadFromString(fmt.Sprint(value)))
	return node{doc.Root()}
}

// vmState names the state of a machine: "PENDING", or, when it is active, "RUNNING" or what else it is doing.
func vmState(d node) string {
	if state := vm.State(d.number("STATE")); state != vm.Active {
		return state.String()
	}
	return vm.LCMState(d.number("LCM_STATE")).String()
}

// awaitVM waits for a machine to be in one of the states.
func (c client) awaitVM(t *testing.T, id int, states ...string) node {
	t.Helper()
	var d node
	eventually(t, stateLimit, func() (bool, string) {
		d = c.info(t, "vm", id)
		state := vmState(d)
		if state == "FAILED" && !slices.Contains(states, state) {
			t.Fatalf("VM %d is FAILED: %s", id, d.text("USER_TEMPLATE/ERROR"))
		}
		return slices.Contains(states, state),
			fmt.Sprintf("VM %d is %s, not %s; %s", id, state, strings.Join(states, " or "), d.text("USER_TEMPLATE/ERROR"))
	})
	return d
}

func (c client) awaitImage(t *testing.T, id int, state string) node {
	t.Helper()
	var d node
	eventually(t, stateLimit, func() (bool, string) {
		d = c.info(t, "image", id)
		is := image.State(d.number("STATE")).String()
		if is == "ERROR" && state != "ERROR" {
			t.Fatalf("image %d is in ERROR: %s", id, d.text("TEMPLATE/ERROR"))
		}
		return is == state, fmt.Sprintf("image %d is %s, not %s", id, is, state)
	})
	return d
}

// act asks for an action and waits for the state that it leads to.
func (c client) act(t *testing.T, action string, id int, state string) node {
	t.Helper()
	began := time.Now()
	c.must(t, "one.vm.action", action, id)
	d := c.awaitVM(t, id, state)
	t.Logf("VM %d: %s: %s after %.1f s", id, action, state, time.Since(began).Seconds())
	return d
}
