package lifecycle_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"goned/core/config"
	"goned/core/datastore"
	"goned/core/db"
	"goned/core/host"
	"goned/core/image"
	"goned/core/internal/golden"
	"goned/core/lifecycle"
	"goned/core/message"
	"goned/core/resource"
	"goned/core/state"
	"goned/core/template"
	"goned/core/vm"
)

// noDatabase keeps nothing.
type noDatabase struct{}

func (noDatabase) Save(context.Context, []db.Row) error { return nil }

// restart is a daemon that has just begun on what another one left.
type restart struct {
	t     *testing.T
	store *state.Store
	sent  []any
}

func newRestart(t *testing.T, snap *state.Snapshot) *restart {
	t.Helper()
	conf, err := config.Parse(`TM_MAD = [ EXECUTABLE = "x" ]`, config.Dirs{VMs: "/vms/"})
	if err != nil {
		t.Fatal(err)
	}
	r := &restart{t: t}
	sink := state.SinkFunc(func(_ *state.Snapshot, messages []any) { r.sent = append(r.sent, messages...) })
	r.store = state.NewStore(snap, conf, noDatabase{}, sink, func() time.Time { return time.Unix(5000, 0) }, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { _ = r.store.Close() })
	return r
}

// do runs a transaction and gives what it sent.
func (r *restart) do(fn func(*state.Tx) error) []any {
	r.t.Helper()
	r.sent = nil
	if err := r.store.Update(fn); err != nil {
		r.t.Fatal(err)
	}
	return r.sent
}

func messagesOf[T any](messages []any) []T {
	var found []T
	for _, m := range messages {
		if x, ok := m.(T); ok {
			found = append(found, x)
		}
	}
	return found
}

// cutOff is a VM whose action the end of the daemon has cut off, on host 1, before that on host 0.
func cutOff(l vm.LCMState) *vm.VM {
	v := &vm.VM{
		State: vm.Active, LCMState: l, Template: &template.Template{}, UserTemplate: &template.Template{}, Interrupted: true,
		History: []vm.Record{
			{Seq: 0, Hostname: "old", HID: 0, VMMMAD: "kvm", VNMMAD: "dummy", TMMAD: "shared", DSLocation: "/ds", ETime: 1, Reason: vm.ReasonUser},
			{Seq: 1, Hostname: "new", HID: 1, VMMMAD: "kvm", VNMMAD: "dummy", TMMAD: "shared", DSLocation: "/ds", STime: 1},
		},
	}
	v.Template.AddSimple("CPU", "1")
	v.Template.AddSimple("MEMORY", "64")
	return v
}

func (r *restart) with(v *vm.VM) {
	r.t.Helper()
	r.do(func(tx *state.Tx) error {
		for id, name := range []string{"old", "new"} {
			h, err := host.New(id, name, "kvm", "kvm", "dummy", resource.NoCluster, "")
			if err != nil {
				return err
			}
			h.VMs, _ = h.VMs.With(0)
			h.Share.RunningVMs = 1
			tx.Hosts.Insert(h)
		}
		tx.VMs.Insert(v)
		return nil
	})
}

func (r *restart) place() string {
	v := r.store.Snapshot().VMs.Get(0)
	if v.State == vm.Active {
		return v.LCMState.String()
	}
	return v.State.String()
}

func poll(ok bool, info string) func(*state.Tx) error {
	return func(tx *state.Tx) error {
		return lifecycle.VMMAnswer(tx, lifecycle.Answer{Action: "POLL", VM: 0, Success: ok, Info: info})
	}
}

// TestCutOffActions: after a restart a VM stays where it was until the hypervisor leaves no doubt. An empty place: it stays.
func TestCutOffActions(t *testing.T) {
	for _, tc := range []struct {
		place       vm.LCMState
		asked       string // host that gets a POLL
		alive, gone string // where it is then
	}{
		{vm.Prolog, "", "", ""},
		{vm.PrologResume, "", "", ""},
		{vm.PrologUndeploy, "", "", ""},
		{vm.PrologMigrate, "", "", ""},
		{vm.Boot, "new", "RUNNING", ""},
		{vm.BootUnknown, "new", "RUNNING", ""},
		{vm.BootPoweroff, "new", "RUNNING", ""},
		{vm.BootSuspended, "new", "RUNNING", ""},
		{vm.BootStopped, "new", "RUNNING", ""},
		{vm.BootUndeploy, "new", "RUNNING", ""},
		{vm.Migrate, "new", "RUNNING", ""},
		{vm.SaveSuspend, "new", "RUNNING", ""},
		{vm.SaveStop, "new", "RUNNING", ""},
		{vm.SaveMigrate, "old", "RUNNING", ""},
		{vm.Shutdown, "", "", "EPILOG"},
		{vm.ShutdownPoweroff, "", "", "POWEROFF"},
		{vm.ShutdownUndeploy, "", "", "EPILOG_UNDEPLOY"},
		{vm.Cancel, "new", "RUNNING", "EPILOG"},
		{vm.Hotplug, "", "", ""},
		{vm.HotplugNIC, "", "", ""},
		{vm.HotplugSnapshot, "", "", ""},
		{vm.HotplugSaveas, "", "", ""},
		{vm.HotplugSaveasPoweroff, "", "", ""},
		{vm.HotplugSaveasSuspended, "", "", ""},
		{vm.Epilog, "", "", ""},
		{vm.EpilogStop, "", "", ""},
		{vm.EpilogUndeploy, "", "", ""},
		{vm.CleanupResubmit, "", "", ""},
	} {
		name := tc.place.String()
		start := func(t *testing.T) *restart {
			r := newRestart(t, &state.Snapshot{})
			r.with(cutOff(tc.place))
			return r
		}
		check := func(t *testing.T, r *restart, want string) {
			t.Helper()
			if want == "" {
				want = name
			}
			if got := r.place(); got != want {
				t.Errorf("the VM is in %s, want %s", got, want)
			}
			if v := r.store.Snapshot().VMs.Get(0); v.Interrupted != (want == name) {
				t.Errorf("interrupted: %v in %s", v.Interrupted, r.place())
			}
		}
		t.Run(name+"/restart", func(t *testing.T) {
			r := start(t)
			before := string(r.store.Snapshot().VMs.Get(0).PoolXML())
			sent := r.do(lifecycle.Resumed)
			check(t, r, "")
			if after := string(r.store.Snapshot().VMs.Get(0).PoolXML()); after != before {
				t.Errorf("the document has changed:\n%s\n%s", before, after)
			}
			logs := messagesOf[message.Log](sent)
			if len(logs) != 1 || logs[0].VM != 0 || logs[0].Level != message.Warning || !strings.Contains(logs[0].Text, "during "+name+",") {
				t.Errorf("log: %+v", logs)
			}
			asked := ""
			for _, x := range messagesOf[message.VMAction](sent) {
				asked += x.Action + " " + x.Host
			}
			if want := strings.TrimSuffix("POLL "+tc.asked, "POLL "); asked != want {
				t.Errorf("asked %q, want %q", asked, want)
			}
		})
		t.Run(name+"/alive", func(t *testing.T) {
			r := start(t)
			r.do(poll(true, "STATE=a USEDCPU=1"))
			check(t, r, tc.alive)
		})
		t.Run(name+"/not found by a poll", func(t *testing.T) {
			r := start(t)
			r.do(poll(true, "STATE=d"))
			check(t, r, "")
			r.do(poll(false, "no connection"))
			check(t, r, "")
		})
		t.Run(name+"/not on its host twice", func(t *testing.T) {
			r := start(t)
			r.do(func(tx *state.Tx) error { return lifecycle.Gone(tx, 0) })
			check(t, r, tc.gone)
		})
		t.Run(name+"/host in error", func(t *testing.T) {
			r := start(t)
			r.do(func(tx *state.Tx) error { return lifecycle.Vanish(tx, 0) })
			check(t, r, "")
		})
	}
}

// TestCutOffBetweenSteps: what no driver had a part in goes on by itself.
func TestCutOffBetweenSteps(t *testing.T) {
	for _, tc := range []struct {
		from vm.LCMState
		want string
	}{{vm.LCMInit, "PROLOG"}, {vm.Failure, "FAILED"}, {vm.CleanupDelete, "DONE"}, {vm.Running, "RUNNING"}, {vm.Unknown, "UNKNOWN"}} {
		t.Run(tc.from.String(), func(t *testing.T) {
			r := newRestart(t, &state.Snapshot{})
			v := cutOff(tc.from)
			v.Interrupted = false
			v.History[1].STime = 0
			r.with(v)
			r.do(lifecycle.Resumed)
			if got := r.place(); got != tc.want {
				t.Errorf("the VM is in %s, want %s", got, tc.want)
			}
		})
	}
}

// TestCutOffNetwork: a VM that runs may lack the rules that its network driver makes after the boot.
func TestCutOffNetwork(t *testing.T) {
	r := newRestart(t, &state.Snapshot{})
	v := cutOff(vm.Boot)
	v.History[1].VNMMAD = "fw"
	v.Template.AddVector("NIC", template.NewVector(template.Pair{Key: "NIC_ID", Value: "0"}))
	r.with(v)
	sent := r.do(lifecycle.Resumed)
	if asked := messagesOf[message.VMAction](sent); len(asked) != 0 {
		t.Errorf("asked %+v", asked)
	}
	if logs := messagesOf[message.Log](sent); len(logs) != 1 || !strings.Contains(logs[0].Text, "the rules of its network may be missing") {
		t.Errorf("log %+v", logs)
	}
	r.do(poll(true, "STATE=a"))
	if got := r.place(); got != "BOOT" {
		t.Errorf("the VM is in %s", got)
	}
}

// TestCutOffAndSentAgain: once somebody has sent the action again, its own answer counts.
func TestCutOffAndSentAgain(t *testing.T) {
	r := newRestart(t, &state.Snapshot{})
	r.with(cutOff(vm.Boot))
	r.do(lifecycle.Resumed)
	if asked := messagesOf[message.VMAction](r.do(lifecycle.AskInterrupted)); len(asked) != 1 {
		t.Errorf("asked %+v", asked)
	}
	r.do(func(tx *state.Tx) error { return lifecycle.Act(tx, 0, lifecycle.Boot) })
	r.do(poll(true, "STATE=a"))
	if got := r.place(); got != "BOOT" {
		t.Errorf("the VM is in %s", got)
	}
	if asked := messagesOf[message.VMAction](r.do(lifecycle.AskInterrupted)); len(asked) != 0 {
		t.Errorf("asked again: %+v", asked)
	}
}

// TestCutOffImages: the datastore driver is asked again for what it was doing.
func TestCutOffImages(t *testing.T) {
	save := `SAVE_AS="YES" SAVED_VM_ID="0" SAVED_DISK_ID="0" SAVED_IMAGE_ID="7"`
	for name, tc := range map[string]struct {
		img  image.Image
		vm   string // template of VM 0; empty: there is none
		want string // action; empty: none
		end  image.State
	}{
		"copy":               {image.Image{State: image.Locked, Path: "/p", CloningID: -1}, "", "CP", image.Locked},
		"new file system":    {image.Image{State: image.Locked, Type: image.Datablock, CloningID: -1}, "", "MKFS", image.Locked},
		"clone":              {image.Image{State: image.Locked, Path: "/p", CloningID: 4}, "", "CLONE", image.Locked},
		"removal":            {image.Image{State: image.Delete, Source: "/s", CloningID: -1}, "", "RM", image.Delete},
		"ready":              {image.Image{State: image.Ready, Path: "/p", Source: "/s", CloningID: -1}, "", "", image.Ready},
		"savedisk, deferred": {image.Image{State: image.Locked, Source: "/s", CloningID: -1}, `DISK=[DISK_ID="0",SAVE_AS="0"]`, "", image.Locked},
		"savedisk, hot": {image.Image{State: image.Locked, Source: "/s", CloningID: -1},
			`DISK=[DISK_ID="0",IMAGE_ID="7",HOTPLUG_SAVE_AS_ACTIVE="YES",HOTPLUG_SAVE_AS="0"]`, "", image.Locked},
		"savedisk, not made": {image.Image{State: image.Locked, CloningID: -1},
			`DISK=[DISK_ID="0",IMAGE_ID="7",HOTPLUG_SAVE_AS_ACTIVE="YES"]`, "MKFS", image.Locked},
		"savedisk, forgotten": {image.Image{State: image.Locked, Source: "/s", CloningID: -1}, `DISK=[DISK_ID="0",IMAGE_ID="7"]`, "", image.Error},
		"savedisk, no VM":     {image.Image{State: image.Locked, Source: "/s", CloningID: -1}, "", "", image.Error},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRestart(t, &state.Snapshot{})
			text := "A=\"1\""
			if strings.HasPrefix(name, "savedisk") {
				text = save
			}
			tc.img.Template = parse(t, text)
			if tc.vm != "" {
				v := cutOff(vm.HotplugSaveas)
				v.Template = parse(t, tc.vm)
				r.with(v)
			}
			r.do(func(tx *state.Tx) error {
				tx.Datastores.Insert(&datastore.Datastore{Template: &template.Template{}})
				tx.Images.Insert(&tc.img)
				return nil
			})
			actions := messagesOf[message.ImageAction](r.do(redoImages))
			got := ""
			for _, a := range actions {
				got += a.Action
			}
			if got != tc.want {
				t.Errorf("asked for %q, want %q", got, tc.want)
			}
			if img := r.store.Snapshot().Images.Get(0); img.State != tc.end {
				t.Errorf("the image is %s, want %s", img.State, tc.end)
			}
		})
	}
}

func redoImages(tx *state.Tx) error {
	lifecycle.RedoImages(tx, lifecycle.CutOffImages(tx.View()))
	return nil
}

func parse(t *testing.T, text string) *template.Template {
	t.Helper()
	parsed, err := template.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// TestCrashedDatabase: on the database of a 4.6 that was killed in the middle of everything, a restart changes nothing that can be
// seen, and asks about what can be told.
func TestCrashedDatabase(t *testing.T) {
	body, err := os.ReadFile(filepath.Join(golden.Dir(t), "db", "one-crash.sqlite"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "one.db")
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := db.Open(t.Context(), db.Config{Path: path}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	snap, err := state.Load(t.Context(), d, 0x0200)
	if err != nil {
		t.Fatal(err)
	}
	r := newRestart(t, snap)
	sent := r.do(lifecycle.Resumed)
	after := r.store.Snapshot()
	for v := range snap.VMs.All() {
		if after.VMs.Get(v.ID) != v {
			t.Errorf("VM %d has been written", v.ID)
		}
	}
	for img := range snap.Images.All() {
		if after.Images.Get(img.ID) != img {
			t.Errorf("image %d has been written", img.ID)
		}
	}
	var asked []string
	for _, x := range messagesOf[message.VMAction](sent) {
		asked = append(asked, x.Action+" "+snap.VMs.Get(x.VM).LCMState.String())
	}
	slices.Sort(asked)
	want := []string{"POLL BOOT", "POLL BOOT", "POLL BOOT_POWEROFF", "POLL BOOT_STOPPED", "POLL BOOT_SUSPENDED", "POLL BOOT_UNDEPLOY",
		"POLL BOOT_UNKNOWN", "POLL CANCEL", "POLL MIGRATE", "POLL SAVE_MIGRATE", "POLL SAVE_STOP", "POLL SAVE_SUSPEND"}
	if !slices.Equal(asked, want) {
		t.Errorf("asked %q,\nwant  %q", asked, want)
	}
	var redone []string
	for _, x := range messagesOf[message.ImageAction](r.do(redoImages)) {
		redone = append(redone, x.Action)
	}
	slices.Sort(redone)
	if want := []string{"CLONE", "CLONE", "CP", "MKFS", "MKFS", "RM"}; !slices.Equal(redone, want) {
		t.Errorf("done again: %q, want %q", redone, want)
	}
}
