package hook_test

import (
	"context"
	"encoding/base64"
	"log/slog"
	"strings"
	"testing"
	"time"

	"goned/core/config"
	"goned/core/db"
	"goned/core/hook"
	"goned/core/host"
	"goned/core/image"
	"goned/core/message"
	"goned/core/resource"
	"goned/core/state"
	"goned/core/template"
	"goned/core/vm"
)

type noDatabase struct{}

func (noDatabase) Save(context.Context, []db.Row) error { return nil }

// run gives the hooks that a transaction sends, with a configuration.
func run(t *testing.T, conf string, fn func(*state.Tx)) []message.Hook {
	t.Helper()
	c, err := config.Parse(conf, config.Dirs{Remotes: "/var/lib/one/remotes/"})
	if err != nil {
		t.Fatal(err)
	}
	var sent []message.Hook
	sink := state.SinkFunc(func(_ *state.Snapshot, messages []any) {
		for _, m := range messages {
			if h, ok := m.(message.Hook); ok {
				sent = append(sent, h)
			}
		}
	})
	store := state.NewStore(&state.Snapshot{}, c, noDatabase{}, sink, time.Now, slog.New(slog.DiscardHandler))
	defer func() { _ = store.Close() }()
	if err := store.Update(func(tx *state.Tx) error { fn(tx); return nil }); err != nil {
		t.Fatal(err)
	}
	return sent
}

func testVM(s vm.State, l vm.LCMState) *vm.VM {
	v := &vm.VM{Base: resource.Base{ID: 7}, State: s, LCMState: l, Template: &template.Template{}, UserTemplate: &template.Template{}}
	v.AddRecord(vm.Record{Hostname: "node"})
	return v
}

// TestVMStates: each ON of a VM_HOOK, at each state.
func TestVMStates(t *testing.T) {
	type place struct {
		s vm.State
		l vm.LCMState
	}
	targets := map[string]place{
		"PROLOG": {vm.Active, vm.Prolog}, "RUNNING": {vm.Active, vm.Running}, "SHUTDOWN": {vm.Active, vm.Epilog},
		"STOP": {vm.Stopped, vm.LCMInit}, "DONE": {vm.Done, vm.LCMInit}, "FAILED": {vm.Failed, vm.LCMInit},
		"UNKNOWN": {vm.Active, vm.Unknown}, "CUSTOM": {vm.Active, vm.BootPoweroff},
	}
	for on, target := range targets {
		conf := `VM_HOOK = [ NAME = n, ON = ` + strings.ToLower(on) + `, COMMAND = "/c", ARGUMENTS = "$PREV_STATE $PREV_LCM_STATE", ` +
			`STATE = active, LCM_STATE = boot_poweroff ]`
		for s := vm.Init; s <= vm.Undeployed; s++ {
			for l := vm.LCMInit; l <= vm.BootUndeploy; l++ {
				if s != vm.Active && l != vm.LCMInit {
					continue
				}
				sent := run(t, conf, func(tx *state.Tx) { hook.VMMoved(tx, testVM(s, l), vm.Active, vm.Hotplug) })
				if fires := (place{s, l}) == target; fires != (len(sent) == 1) {
					t.Errorf("ON=%s at %s/%s: %+v", on, s, l, sent)
				} else if fires && sent[0].Arguments != "ACTIVE HOTPLUG" {
					t.Errorf("ON=%s: arguments %q", on, sent[0].Arguments)
				}
			}
		}
	}
}

// TestRun: where a hook runs and what it gets.
func TestRun(t *testing.T) {
	v := testVM(vm.Active, vm.Running)
	encoded := base64.StdEncoding.EncodeToString(v.PoolXML())
	moved := func(tx *state.Tx) { hook.VMMoved(tx, v, vm.Active, vm.Boot) }
	created := func(tx *state.Tx) { hook.VMCreated(tx, v) }
	for _, tc := range []struct {
		name, def string
		do        func(*state.Tx)
		want      message.Hook
	}{
		{"absolute", `COMMAND = "/c x", ARGUMENTS = "$ID"`, moved, message.Hook{Name: "/c x", Command: "/c x", Arguments: "7"}},
		{"relative", `NAME = n, COMMAND = "c"`, moved, message.Hook{Name: "n", Command: "/var/lib/one/remotes//hooks/c"}},
		{"remote", `NAME = n, COMMAND = "c", REMOTE = yes`, moved, message.Hook{Name: "n", Host: "node", Command: "/var/tmp/one/hooks//c"}},
		{"remote, absolute", `NAME = n, COMMAND = "/c", REMOTE = YES`, moved, message.Hook{Name: "n", Host: "node", Command: "/c"}},
		{"new VM", `NAME = n, COMMAND = "c", ON = CREATE, REMOTE = yes, ARGUMENTS = "$PREV_STATE"`, created,
			message.Hook{Name: "n", Command: "/var/tmp/one/hooks//c", Arguments: "$PREV_STATE"}},
		{"all variables, once each", `NAME = n, COMMAND = "/c", ARGUMENTS = "$ID $ID $TEMPLATE $TEMPLATE $PREV_STATE $PREV_LCM_STATE"`, moved,
			message.Hook{Name: "n", Command: "/c", Arguments: "7 $ID " + encoded + " $TEMPLATE ACTIVE BOOT"}},
		{"to read", `NAME = n, COMMAND = "/c", TEMPLATE_ON_STDIN = yes`, moved,
			message.Hook{Name: "n", Command: "/c", Stdin: string(v.PoolXML())}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			def := tc.def
			if !strings.Contains(def, "ON = CREATE") {
				def += ", ON = RUNNING"
			}
			sent := run(t, "VM_HOOK = [ "+def+" ]", tc.do)
			tc.want.Object, tc.want.VM = 7, 7
			if len(sent) != 1 || sent[0] != tc.want {
				t.Errorf("got  %+v\nwant %+v", sent, tc.want)
			}
		})
	}
	if sent := run(t, `VM_HOOK = [ ON = RUNNING, COMMAND = c, REMOTE = yes ]`, func(tx *state.Tx) {
		never := testVM(vm.Active, vm.Running)
		never.History = nil
		hook.VMMoved(tx, never, vm.Active, vm.Boot)
	}); len(sent) != 0 {
		t.Errorf("a remote hook of a VM without host: %+v", sent)
	}
}

// TestHosts: CREATE, and the entry into ERROR and DISABLED. 4.6 runs ERROR hooks again with each failed monitoring.
func TestHosts(t *testing.T) {
	h, err := host.New(3, "node", "im", "vmm", "vnm", resource.NoCluster, "")
	if err != nil {
		t.Fatal(err)
	}
	const conf = `HOST_HOOK = [ NAME = created,  ON = CREATE,  COMMAND = "c", REMOTE = yes, ARGUMENTS = "$ID" ]
		HOST_HOOK = [ NAME = error,    ON = ERROR,   COMMAND = "/c", ARGUMENTS = "$ID $PREV_STATE" ]
		HOST_HOOK = [ NAME = disabled, ON = DISABLE, COMMAND = "/c" ]`
	check := func(what string, sent []message.Hook, want string) {
		t.Helper()
		var names []string
		for _, s := range sent {
			names = append(names, s.Name)
			if s.Object != 3 || s.VM != message.OnedLog {
				t.Errorf("%s: %+v", what, s)
			}
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	sent := run(t, conf, func(tx *state.Tx) { hook.HostCreated(tx, h) })
	check("created", sent, "created")
	if want := (message.Hook{Object: 3, Name: "created", Host: "node", Command: "/var/tmp/one/hooks//c", Arguments: "3", VM: message.OnedLog}); sent[0] != want {
		t.Errorf("got %+v, want %+v", sent[0], want)
	}
	for was := host.Init; was <= host.MonitoringDisabled; was++ {
		for is := host.Init; is <= host.MonitoringDisabled; is++ {
			want := ""
			switch {
			case is == host.Error && was != host.Error && was != host.MonitoringError:
				want = "error"
			case is == host.Disabled && was != host.Disabled:
				want = "disabled"
			}
			h := h.Clone()
			h.State = is
			sent := run(t, conf, func(tx *state.Tx) { hook.HostMoved(tx, h, was) })
			check("moved", sent, want)
			if want == "error" && sent[0].Arguments != "3 $PREV_STATE" {
				t.Errorf("arguments %q", sent[0].Arguments)
			}
		}
	}
}

// TestOthers: hooks of networks, images, users and groups run on the front-end.
func TestOthers(t *testing.T) {
	img := &image.Image{Base: resource.Base{ID: 4}, Template: &template.Template{}}
	const conf = `IMAGE_HOOK = [ NAME = made, ON = create, COMMAND = "c", REMOTE = yes, ARGUMENTS = "$ID $TEMPLATE" ]
		IMAGE_HOOK = [ NAME = gone, ON = REMOVE, COMMAND = "c" ]`
	sent := run(t, conf, func(tx *state.Tx) { hook.Run(tx, tx.Conf.ImageHooks, "CREATE", img.ID, img.PoolXML()) })
	want := message.Hook{Object: 4, Name: "made", Command: "/var/lib/one/remotes//hooks/c",
		Arguments: "4 " + base64.StdEncoding.EncodeToString(img.PoolXML()), VM: message.OnedLog}
	if len(sent) != 1 || sent[0] != want {
		t.Errorf("got %+v, want %+v", sent, want)
	}
}

// TestProblems: 4.6's lines about hooks that are not registered.
func TestProblems(t *testing.T) {
	for def, want := range map[string]string{
		`VM_HOOK = [ ON = RUNNING, COMMAND = c ]`:                                  "",
		`VM_HOOK = [ ON = create, COMMAND = c ]`:                                   "",
		`VM_HOOK = [ COMMAND = c ]`:                                                "VM: Empty ON or COMMAND attribute in VM_HOOK. Hook not registered!",
		`VM_HOOK = [ ON = Boot, COMMAND = c ]`:                                     "VM: Unknown VM_HOOK BOOT. Hook not registered!",
		`VM_HOOK = [ ON = CUSTOM, COMMAND = c, STATE = x, LCM_STATE = y ]`:         "VM: Wrong LCM_STATE: y. Hook not registered!",
		`VM_HOOK = [ ON = CUSTOM, COMMAND = c, STATE = x, LCM_STATE = boot ]`:      "VM: Wrong STATE: x. Hook not registered!",
		`VM_HOOK = [ ON = CUSTOM, COMMAND = c, STATE = active, LCM_STATE = boot ]`: "",
		`HOST_HOOK = [ ON = ERROR ]`:                                               "ONE: Empty ON or COMMAND attribute in HOST_HOOK. Hook not registered!",
		`HOST_HOOK = [ ON = other, COMMAND = c ]`:                                  "",
		`VNET_HOOK = [ ON = CREATE ]`:                                              "VM: Empty ON or COMMAND attribute in Hook, not registered!",
	} {
		c, err := config.Parse(def, config.Dirs{})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, p := range hook.Problems(c) {
			got += p.Module + ": " + p.Text
		}
		if got != want {
			t.Errorf("%s: %q, want %q", def, got, want)
		}
	}
}
