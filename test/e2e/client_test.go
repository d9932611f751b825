package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"goned/core/host"
	"goned/core/vm"
	"goned/test/oned"
)

// client is one user's access to an oned, in a test.
type client struct{ oned.Client }

func newClient(t *testing.T, port int, session string) client {
	t.Helper()
	c := client{oned.New(fmt.Sprintf("http://127.0.0.1:%d/RPC2", port), session)}
	t.Cleanup(c.HTTP.CloseIdleConnections)
	return c
}

// as is the same access for another user.
func (c client) as(session string) client {
	c.Session = session
	return c
}

// must is Number for calls that have to succeed.
func (c client) must(t *testing.T, method string, args ...any) int {
	t.Helper()
	id, err := c.Number(method, args...)
	must(t, err)
	return id
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

// awaitVM waits for a machine to reach one of the states, and returns its document.
func (c client) awaitVM(t *testing.T, id int, states ...string) oned.Node {
	t.Helper()
	var last string
	for end := time.Now().Add(stateLimit); time.Now().Before(end); time.Sleep(pollPause) {
		d, err := c.Document("one.vm.info", id)
		must(t, err)
		if last = d.VMState(); slices.Contains(states, last) {
			return d
		}
		if last == vm.Failed.String() {
			break
		}
	}
	t.Fatalf("VM %d is %s, not %s", id, last, strings.Join(states, " or "))
	return oned.Node{}
}

func (c client) awaitImage(t *testing.T, id int, state string) oned.Node {
	t.Helper()
	var d oned.Node
	c.poll(t, fmt.Sprintf("image %d does not become %s", id, state), func() (bool, error) {
		var err error
		d, err = c.Document("one.image.info", id)
		if err == nil && d.ImageState() == "ERROR" && state != "ERROR" {
			err = fmt.Errorf("it is in ERROR: %s", d.Text("TEMPLATE/ERROR"))
		}
		return err == nil && d.ImageState() == state, err
	})
	return d
}

// addHost makes a host and waits until it is monitored.
func (c client) addHost(t *testing.T, name, im, vmm string) int {
	t.Helper()
	id := c.must(t, "one.host.allocate", name, im, vmm, "dummy", -1)
	c.poll(t, fmt.Sprintf("host %s is not monitored", name), func() (bool, error) {
		d, err := c.Document("one.host.info", id)
		return err == nil && d.Number("STATE") == int(host.Monitored), err
	})
	return id
}
