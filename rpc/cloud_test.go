package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"goned/core/auth"
	"goned/core/bootstrap"
	"goned/core/config"
	"goned/core/db"
	"goned/core/lifecycle"
	"goned/core/message"
	"goned/core/state"
	"goned/rpc/xmlrpc"
)

// The sessions of the users that newCloud makes. alice, bob and eve are in group users.
const (
	root  = "oneadmin:opennebula"
	alice = "alice:pw"
	bob   = "bob:pw"
	eve   = "eve:pw"
)

const testConf = `
DEFAULT_UMASK = 177
DATASTORE_CAPACITY_CHECK = "no"
SESSION_EXPIRATION_TIME = 900
VM_RESTRICTED_ATTR = "CONTEXT/FILES"
VM_RESTRICTED_ATTR = "NIC/MAC"
VM_RESTRICTED_ATTR = "NIC/VLAN_ID"
VM_RESTRICTED_ATTR = "PRIORITY"
IMAGE_RESTRICTED_ATTR = "SOURCE"
TM_MAD_CONF = [ NAME = "dummy", LN_TARGET = "NONE", CLONE_TARGET = "SYSTEM", SHARED = "yes" ]
TM_MAD_CONF = [ NAME = "shared", LN_TARGET = "NONE", CLONE_TARGET = "SYSTEM", SHARED = "yes" ]
TM_MAD_CONF = [ NAME = "ssh", LN_TARGET = "SYSTEM", CLONE_TARGET = "SYSTEM", SHARED = "no" ]
`

// testCloud is a server on a new database, whose drivers do what a test lets them do.
type testCloud struct {
	t       testing.TB
	conf    *config.Config
	db      *db.DB
	store   *state.Store
	srv     *Server
	drivers *testDrivers
	now     time.Time
	todo    []any // messages of committed transactions that drivers have not answered
}

// testDrivers stands for the driver processes that calls wait for.
type testDrivers struct {
	authenticate func(uid int, driver, name, stored, token string) (string, error)
	authorize    func(uid int, checks []auth.Check, granted []bool) (bool, string) // nil: no such driver
	asked        int
}

func (d *testDrivers) Authenticate(_ context.Context, uid int, driver, name, stored, token string) (string, error) {
	d.asked++
	if d.authenticate == nil {
		return "", errors.New("Authentication driver not enabled. Check AUTH_MAD in oned.conf")
	}
	return d.authenticate(uid, driver, name, stored, token)
}

func (d *testDrivers) External() bool { return d.authorize != nil }

func (d *testDrivers) AskAuthorization(_ context.Context, uid int, checks []auth.Check, granted []bool) (bool, string, error) {
	d.asked++
	ok, text := d.authorize(uid, checks, granted)
	return ok, text, nil
}

func (d *testDrivers) Stat(context.Context, string, string) (string, error) { return "1024", nil }

// newCloud boots a cloud with testConf and what conf adds, and the users alice, bob and eve.
func newCloud(t testing.TB, conf string) *testCloud {
	t.Helper()
	dir := t.TempDir()
	dirs, err := config.LookDirs(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	c := &testCloud{t: t, drivers: &testDrivers{}, now: time.Unix(1_400_000_000, 0)}
	if c.conf, err = config.Parse(testConf+conf, dirs); err != nil {
		t.Fatal(err)
	}
	account := filepath.Join(dir, "one_auth")
	for _, err := range []error{os.MkdirAll(dirs.Var, 0o700), os.WriteFile(account, []byte(root+"\n"), 0o600)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	clock := func() time.Time { return c.now }
	quiet := slog.New(slog.DiscardHandler)
	database, err := db.Open(t.Context(), db.Config{Path: dirs.Var + "one.db"}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := database.Prepare(t.Context(), c.now); err != nil {
		t.Fatal(err)
	}
	first, err := state.Load(t.Context(), database, c.conf.MACPrefix)
	if err != nil {
		t.Fatal(err)
	}
	c.db = database
	sink := state.SinkFunc(func(_ *state.Snapshot, m []any) { c.todo = append(c.todo, m...) })
	c.store = state.NewStore(first, c.conf, database, sink, clock, quiet)
	t.Cleanup(func() {
		for _, err := range []error{c.store.Close(), database.Close()} {
			if err != nil {
				t.Error(err)
			}
		}
	})
	env := func(name string) string { return map[string]string{"ONE_AUTH": account}[name] }
	if err := bootstrap.Run(c.store, c.conf, env); err != nil {
		t.Fatal(err)
	}
	c.srv = NewServer(Options{
		Store: c.store, Conf: c.conf, DB: database, Drivers: c.drivers, Log: quiet, AuthLog: quiet, Now: clock,
	})
	for _, session := range []string{alice, bob, eve} {
		name, password, _ := strings.Cut(session, ":")
		c.must(root, "one.user.allocate", name, password, "core")
	}
	return c
}

// answer is what came back of a call.
type answer struct {
	ok    bool
	text  string // string result or error
	id    int    // int result
	code  int
	fault *xmlrpc.Fault
}

func (a answer) String() string {
	switch {
	case a.fault != nil:
		return fmt.Sprintf("fault %d %s", a.fault.Code, a.fault.Text)
	case !a.ok:
		return fmt.Sprintf("%d %s", a.code, a.text)
	case a.text != "":
		return "ok " + a.text
	}
	return fmt.Sprintf("ok %d", a.id)
}

// call makes a call. Parameters are int, string, bool or an xmlrpc.Value.
func (c *testCloud) call(session, method string, params ...any) answer {
	c.t.Helper()
	in := &xmlrpc.Call{Method: method, Params: []xmlrpc.Value{xmlrpc.String(session)}}
	for _, p := range params {
		in.Params = append(in.Params, value(c.t, p))
	}
	return c.raw(in)
}

func value(t testing.TB, p any) xmlrpc.Value {
	switch v := p.(type) {
	case int:
		return xmlrpc.Int(v)
	case string:
		return xmlrpc.String(v)
	case bool:
		return xmlrpc.Bool(v)
	case xmlrpc.Value:
		return v
	}
	t.Fatalf("no parameter: %T", p)
	return xmlrpc.Value{}
}

func (c *testCloud) raw(in *xmlrpc.Call) answer {
	c.t.Helper()
	v, fault := c.srv.ServeCall(c.t.Context(), in)
	if fault != nil {
		return answer{fault: fault}
	}
	parts, _ := v.AsArray()
	if len(parts) != 3 {
		c.t.Fatalf("%s: not three values: %v", in.Method, v)
	}
	var a answer
	a.ok, _ = parts[0].AsBool()
	a.id, _ = parts[1].AsInt()
	a.text, _ = parts[1].AsString()
	a.code, _ = parts[2].AsInt()
	if a.ok != (a.code == 0) {
		c.t.Fatalf("%s: success %v and code %d", in.Method, a.ok, a.code)
	}
	return a
}

// must makes a call that has to succeed, and gives its int.
func (c *testCloud) must(session, method string, params ...any) int {
	c.t.Helper()
	a := c.call(session, method, params...)
	if a.fault != nil || !a.ok {
		c.t.Fatalf("%s%v: %v", method, params, a)
	}
	return a.id
}

// get makes a call that has to succeed, and gives its string.
func (c *testCloud) get(session, method string, params ...any) string {
	c.t.Helper()
	a := c.call(session, method, params...)
	if a.fault != nil || !a.ok {
		c.t.Fatalf("%s%v: %v", method, params, a)
	}
	return a.text
}

// want makes a call that has to be answered as the text says: "ok …", "512 [M] …", "fault -501 …".
func (c *testCloud) want(want, session, method string, params ...any) {
	c.t.Helper()
	if got := c.call(session, method, params...).String(); got != want {
		c.t.Errorf("%s%v\n got %s\nwant %s", method, params, got, want)
	}
}

// update changes the state directly.
func (c *testCloud) update(fn func(*state.Tx) error) {
	c.t.Helper()
	if err := c.store.Update(fn); err != nil {
		c.t.Fatal(err)
	}
}

// drive answers with success all that drivers have been asked, until nothing is left.
func (c *testCloud) drive() {
	c.t.Helper()
	for len(c.todo) > 0 {
		todo := c.todo
		c.todo = nil
		for _, m := range todo {
			c.update(func(tx *state.Tx) error {
				switch m := m.(type) {
				case message.ImageAction:
					return lifecycle.ImageAnswer(tx, lifecycle.ImageResult{Action: m.Action, Image: m.Image, Success: true, Info: "/source"})
				case message.Transfer:
					return lifecycle.TransferAnswer(tx, lifecycle.Answer{Action: "TRANSFER", VM: m.VM, Success: true, Info: "-"})
				case message.VMAction:
					return lifecycle.VMMAnswer(tx, lifecycle.Answer{Action: m.Action, VM: m.VM, Success: true, Info: "one-0"})
				}
				return nil
			})
		}
	}
}

// uid is the id of a session's user.
func (c *testCloud) uid(session string) int {
	name, _, _ := strings.Cut(session, ":")
	return c.store.Snapshot().Users.ByName(name).ID
}

// between is the text between two marks, the first time they occur; "" when they do not.
func between(text, from, to string) string {
	_, rest, ok := strings.Cut(text, from)
	if !ok {
		return ""
	}
	inner, _, _ := strings.Cut(rest, to)
	return inner
}

var listedID = regexp.MustCompile(`<ID>(-?\d+)</ID><(?:UID|NAME|GID)>`)

// listed are the ids of the objects in a pool document.
func listed(document string) string {
	var ids []string
	for _, m := range listedID.FindAllStringSubmatch(document, -1) {
		ids = append(ids, m[1])
	}
	return strings.Join(ids, " ")
}
