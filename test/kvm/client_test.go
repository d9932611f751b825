//go:build e2e

package kvm

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"goned/test/oned"
)

// client is one user's access to oned, in a test.
type client struct{ oned.Client }

func newClient(endpoint, session string) client { return client{oned.New(endpoint, session)} }

func (c client) call(method string, args ...any) (any, error) { return c.Call(method, args...) }

// must calls a method that answers with an id.
func (c client) must(t *testing.T, method string, args ...any) int {
	t.Helper()
	id, err := c.Number(method, args...)
	must(t, err)
	return id
}

// node is an element of a document.
type node oned.Node

func (n node) text(path string) string { return oned.Node(n).Text(path) }

func (n node) number(path string) int { return oned.Node(n).Number(path) }

// info reads a resource: "vm", "host", "image" and so on.
func (c client) info(t *testing.T, resource string, id int) node {
	t.Helper()
	d, err := c.Document("one."+resource+".info", id)
	must(t, err)
	return node(d)
}

func vmState(d node) string { return oned.Node(d).VMState() }

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
		is := oned.Node(d).ImageState()
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
