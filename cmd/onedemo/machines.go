package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"goned/core/host"
	osimage "goned/core/image"
	"goned/core/vm"
)

// Arguments of the pool calls.
const (
	allResources = -2
	notDone      = -1
)

// Limits of what is waited for.
const (
	imageLimit   = time.Minute
	runningLimit = 3 * time.Minute
	suspendLimit = time.Minute
)

// name is that of the machine and its template.
const name = "first"

// provide makes what is missing for the first machine, and returns its id.
func (c *cloud) provide(ctx context.Context) (int, error) {
	const defaultDatastore, append_ = 1, 1
	steps := []struct {
		name, pool string
		poolArgs   []any
		method     string
		args       []any
	}{
		{"localhost", "one.hostpool.info", nil, "one.host.allocate",
			[]any{"localhost", c.settings.Hypervisor, c.settings.Hypervisor, "dummy", -1}},
		{"private", "one.vnpool.info", []any{allResources, -1, -1}, "one.vn.allocate", []any{networkTemplate, -1}},
		{"guest", "one.imagepool.info", []any{allResources, -1, -1}, "one.image.allocate",
			[]any{fmt.Sprintf(imageTemplate, c.path("images", "guest.img")), defaultDatastore}},
		{name, "one.templatepool.info", []any{allResources, -1, -1}, "one.template.allocate", []any{c.machineTemplate()}},
	}
	// The datastore driver refuses files in home directories unless they are listed.
	safe := fmt.Sprintf("SAFE_DIRS = %q\n", c.path("images"))
	if _, err := c.api.call(ctx, "one.datastore.update", defaultDatastore, safe, append_); err != nil {
		return 0, err
	}
	ids := map[string]int{}
	for _, s := range steps {
		id, err := c.ensure(ctx, s.name, s.pool, s.poolArgs, s.method, s.args)
		if err != nil {
			return 0, err
		}
		ids[s.pool] = id
	}
	if err := c.awaitImage(ctx, ids["one.imagepool.info"]); err != nil {
		return 0, err
	}
	return c.ensure(ctx, name, "one.vmpool.info", []any{allResources, -1, -1, notDone},
		"one.template.instantiate", []any{ids["one.templatepool.info"], name, false, ""})
}

const networkTemplate = `NAME = "private"
TYPE = "RANGED"
BRIDGE = "onebr"
NETWORK_ADDRESS = "192.168.122.0"
NETWORK_MASK = "255.255.255.0"
GATEWAY = "192.168.122.1"
`

const imageTemplate = `NAME = "guest"
TYPE = "OS"
PATH = %q
DESCRIPTION = "Shows a line and echoes keys"
`

// machineTemplate has a context CD where a program for that is installed.
func (c *cloud) machineTemplate() string {
	t := `NAME = "` + name + `"
CPU = 0.1
MEMORY = 64
DISK = [ IMAGE = "guest", IMAGE_UNAME = "oneadmin" ]
NIC = [ NETWORK = "private", NETWORK_UNAME = "oneadmin" ]
GRAPHICS = [ TYPE = "vnc", LISTEN = "127.0.0.1" ]
`
	for _, program := range []string{"genisoimage", "xorrisofs", "mkisofs"} {
		if _, err := exec.LookPath(program); err == nil {
			return t + "CONTEXT = [ NETWORK = \"YES\" ]\n"
		}
	}
	return t
}

// ensure returns the id of the object of that name, which is made if it is missing.
func (c *cloud) ensure(ctx context.Context, name, pool string, poolArgs []any, method string, args []any) (int, error) {
	objects, err := c.api.pool(ctx, pool, poolArgs...)
	if err != nil {
		return 0, err
	}
	for _, o := range objects {
		if o.Name == name {
			return o.ID, nil
		}
	}
	id, err := c.api.create(ctx, method, args...)
	if err == nil {
		kind := strings.Split(method, ".")[1]
		if method == "one.template.instantiate" {
			kind = "vm"
		}
		c.say("made %s %d (%s)", kind, id, name)
	}
	return id, err
}

func (c *cloud) awaitImage(ctx context.Context, id int) error {
	return poll(ctx, imageLimit, fmt.Sprintf("image %d does not become READY", id), func() (bool, error) {
		image, err := c.api.info(ctx, "one.image.info", id)
		if err == nil && image.State == int(osimage.Error) {
			err = fmt.Errorf("image %d: %s", id, image.Template.Error)
		}
		return err == nil && (image.State == int(osimage.Ready) || image.State == int(osimage.Used)), err
	})
}

// awaitRunning waits until a machine runs. One that oned has in its books as
// running must have been seen since then: this computer may have been switched
// off meanwhile. What two rounds of monitoring don't find becomes UNKNOWN, and
// is started again.
func (c *cloud) awaitRunning(ctx context.Context, id int, then time.Time) (m object, err error) {
	var last string
	starting := false // it was not running when we looked
	err = poll(ctx, runningLimit, fmt.Sprintf("VM %d does not run", id), func() (bool, error) {
		if m, err = c.api.info(ctx, "one.vm.info", id); err != nil {
			return false, err
		}
		if state := m.describe(); state != last {
			c.say("VM %d: %s", id, state)
			last = state
		}
		starting = starting || !m.active(vm.Running)
		switch {
		case m.is(vm.Failed):
			return false, fmt.Errorf("VM %d failed: %s", id, m.UserTemplate.Error)
		case m.is(vm.Suspended), m.is(vm.Poweroff):
			return false, c.act(ctx, "resume", id)
		case m.active(vm.Unknown):
			return false, c.act(ctx, "boot", id)
		case m.active(vm.Running):
			// Nobody reports the machines of the dummy driver.
			return starting || m.LastPoll >= then.Unix() || c.settings.Hypervisor == "dummy", nil
		}
		return false, nil
	})
	if err != nil && m.UserTemplate.SchedMessage != "" {
		err = fmt.Errorf("%w; the scheduler says: %s", err, m.UserTemplate.SchedMessage)
	}
	return m, err
}

// describe names the state.
func (o object) describe() string {
	if o.is(vm.Active) {
		return vm.LCMState(o.LCMState).String()
	}
	return vm.State(o.State).String()
}

func (o object) is(s vm.State) bool { return o.State == int(s) }

// active reports whether a machine is in a life-cycle state.
func (o object) active(s vm.LCMState) bool { return o.is(vm.Active) && o.LCMState == int(s) }

// act asks for an action. A refusal means that the state has changed meanwhile.
func (c *cloud) act(ctx context.Context, action string, id int) error {
	_, err := c.api.call(ctx, "one.vm.action", action, id)
	var refused *refusal
	if errors.As(err, &refused) {
		return nil
	}
	return err
}

// localHost is the host that provide makes.
func (c *cloud) localHost(ctx context.Context) (object, error) {
	hosts, err := c.api.pool(ctx, "one.hostpool.info")
	if err != nil {
		return object{}, err
	}
	for _, h := range hosts {
		if h.Name == "localhost" {
			return h, nil
		}
	}
	return object{}, errors.New("host localhost has gone")
}

// askHost has the host monitored anew if it has not been since then. An oned that was killed may have left
// it waiting for an answer, which, as in 4.6, it would do for five minutes.
func (c *cloud) askHost(ctx context.Context, then time.Time) error {
	h, err := c.localHost(ctx)
	if err != nil || h.LastMonitored >= then.Unix() || h.State == int(host.Disabled) || h.State == int(host.MonitoringDisabled) {
		return err
	}
	_, err = c.api.call(ctx, "one.host.enable", h.ID, true)
	return err
}

// asideFile lists the machines that down has suspended.
func (c *cloud) asideFile() string { return c.path("var", "suspended.json") }

// suspendAll suspends what runs and waits for it.
func (c *cloud) suspendAll(ctx context.Context) error {
	vms, err := c.api.pool(ctx, "one.vmpool.info", allResources, -1, -1, notDone)
	if err != nil {
		return err
	}
	var ids []int
	for _, m := range vms {
		if m.active(vm.Running) {
			if _, err := c.api.call(ctx, "one.vm.action", "suspend", m.ID); err != nil {
				return err
			}
			ids = append(ids, m.ID)
		}
	}
	text, err := json.Marshal(ids)
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.asideFile(), text, 0o640); err != nil {
		return err
	}
	for _, id := range ids {
		err := poll(ctx, suspendLimit, fmt.Sprintf("VM %d is not suspended", id), func() (bool, error) {
			m, err := c.api.info(ctx, "one.vm.info", id)
			if err == nil && m.active(vm.Running) {
				err = fmt.Errorf("suspend VM %d: %s", id, m.UserTemplate.Error)
			}
			return !m.is(vm.Active), err
		})
		if err != nil {
			return err
		}
		c.say("VM %d is suspended", id)
	}
	return nil
}

// resumeAll resumes what suspendAll has suspended.
func (c *cloud) resumeAll(ctx context.Context) error {
	text, err := os.ReadFile(c.asideFile())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	var ids []int
	if err == nil {
		err = json.Unmarshal(text, &ids)
	}
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := c.act(ctx, "resume", id); err != nil {
			return err
		}
	}
	return os.Remove(c.asideFile())
}
