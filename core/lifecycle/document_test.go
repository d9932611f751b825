package lifecycle

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"goned/core/config"
	"goned/core/datastore"
	"goned/core/db"
	"goned/core/host"
	"goned/core/image"
	"goned/core/resource"
	"goned/core/state"
	"goned/core/template"
	"goned/core/vm"
)

var update = flag.Bool("update", false, "write docs/lifecycle.md anew")

// TestDocument: docs/lifecycle.md tells of the tables as they are.
func TestDocument(t *testing.T) {
	const path = "../../docs/lifecycle.md"
	want := document(t)
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s does not tell of the tables as they are; go test ./core/lifecycle -run TestDocument -update", path)
	}
}

func document(t *testing.T) string {
	var b strings.Builder
	b.WriteString(`# The life of VMs, images and hosts

Written by ` + "`go test ./core/lifecycle -run TestDocument -update`" + ` from the tables that the daemon follows; a test fails when they differ.
Places of a VM are its STATE, and its LCM_STATE while it is ACTIVE.

`)
	for _, part := range []struct {
		title, text string
		events      []Event
	}{
		{"What users do", "", []Event{Hold, Release, Deploy, Suspend, Stop, Migrate, LiveMigrate, Shutdown, ShutdownHard, Undeploy,
			UndeployHard, Poweroff, PoweroffHard, Resume, Boot}},
		{"What drivers answer, and what monitoring finds", "", []Event{PrologOK, PrologFail, DeployOK, DeployFail, SaveOK, SaveFail, ShutdownOK,
			ShutdownFail, CancelOK, CancelFail, EpilogOK, EpilogFail, CleanupDone, Lost, Paused, Crashed, Found}},
		{"Devices, snapshots and copies of disks", "", []Event{AttachDisk, DetachDisk, AttachNIC, DetachNIC, SnapshotCreate, SnapshotRevert,
			SnapshotDelete, SaveDisk, AttachOK, AttachFail, DetachOK, DetachFail, AttachNICOK, AttachNICFail, DetachNICOK, DetachNICFail,
			SnapshotCreateOK, SnapshotCreateFail, SnapshotRevertDone, SnapshotDeleteOK, SnapshotDeleteFail, DiskReady, SaveDiskOK, SaveDiskFail}},
		{"Delete-recreate", "`delete` leads to DONE from everywhere.\n\n", []Event{Recreate}},
	} {
		b.WriteString("## " + part.title + "\n\n" + part.text)
		d := diagram{}
		for c, steps := range VM {
			if slices.Contains(part.events, c.event) {
				for _, to := range destinations(c.place, steps) {
					d.add(c.place.String(), to.String(), string(c.event), slices.Index(part.events, c.event))
				}
			}
		}
		b.WriteString(d.String())
	}
	recoveries(&b)
	b.WriteString("## Images\n\nUSED_PERS is the USED of persistent images.\n\n" + images(t).String())
	b.WriteString("## Hosts\n\n" + hosts(t).String())
	transitions(&b)
	return b.String()
}

// destinations are where the steps can leave a VM.
func destinations(from Place, steps []Step) []Place {
	to := []Place{from}
	for _, s := range steps {
		if len(s.To) > 0 {
			to = s.To
		}
	}
	return to
}

// diagram is a set of arrows, each with its labels in order.
type diagram map[[2]string]map[string]int

func (d diagram) add(from, to, label string, order int) {
	if from == to {
		return
	}
	a := [2]string{from, to}
	if d[a] == nil {
		d[a] = map[string]int{}
	}
	d[a][label] = order
}

func (d diagram) String() string {
	var b strings.Builder
	b.WriteString("```mermaid\nstateDiagram-v2\n")
	for _, a := range slices.SortedFunc(maps.Keys(d), func(x, y [2]string) int { return slices.Compare(x[:], y[:]) }) {
		labels := slices.SortedFunc(maps.Keys(d[a]), func(x, y string) int { return d[a][x] - d[a][y] })
		fmt.Fprintf(&b, "    %s --> %s: %s\n", a[0], a[1], strings.Join(labels, ", "))
	}
	b.WriteString("```\n\n")
	return b.String()
}

// byPlace sorts places by their numbers.
func byPlace(x, y Place) int {
	if d := int(x.State - y.State); d != 0 {
		return d
	}
	return int(x.LCM - y.LCM)
}

func names(places []Place) string {
	var all []string
	for _, p := range places {
		all = append(all, p.String())
	}
	return strings.Join(all, " or ")
}

func recoveries(b *strings.Builder) {
	b.WriteString("## Recover, and the restart of the daemon\n\nWhat `recover` makes of a VM that waits for an answer, and what follows " +
		"after a restart when the hypervisor\nruns the VM, or when its host has not had it twice in a row. Empty: it stays.\n\n" +
		"| place | recover success | recover failure | runs | is gone |\n|---|---|---|---|---|\n")
	places := map[Place]bool{}
	for c := range VM {
		if c.event == RecoverOK {
			places[c.place] = true
		}
	}
	for _, p := range slices.SortedFunc(maps.Keys(places), byPlace) {
		after := func(e Event) string {
			if to := destinations(p, VM[cell{p, e}]); e != "" && !slices.Equal(to, []Place{p}) {
				return names(to)
			}
			return ""
		}
		i := interruptions[p.LCM]
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", p, after(RecoverOK), after(RecoverFail), after(i.alive), after(i.gone))
	}
	b.WriteString("\n")
}

func transitions(b *strings.Builder) {
	b.WriteString("## All transitions of VMs\n\nWhat is not here is refused. DRIVER_CANCEL has no answer.\n\n| place | event | steps | next |\n|---|---|---|---|\n")
	for _, c := range slices.SortedFunc(maps.Keys(VM), func(x, y cell) int {
		if d := byPlace(x.place, y.place); d != 0 {
			return d
		}
		return strings.Compare(string(x.event), string(y.event))
	}) {
		var does []string
		for _, s := range VM[c] {
			if s.Name != "" {
				does = append(does, s.Name)
			}
		}
		next := ""
		if to := destinations(c.place, VM[c]); !slices.Equal(to, []Place{c.place}) {
			next = names(to)
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", c.place, c.event, strings.Join(does, "; "), next)
	}
}

// images finds out what each operation makes of an image in each state.
func images(t *testing.T) diagram {
	d := diagram{}
	name := func(s image.State) string {
		if s == image.UsedPers {
			return "USED_PERS"
		}
		return s.String()
	}
	operations := []struct {
		label string
		do    func(*state.Tx, *image.Image) error
	}{
		{"VM takes it", func(_ *state.Tx, i *image.Image) error { return i.Acquire(1) }},
		{"last VM leaves it", func(_ *state.Tx, i *image.Image) error { return i.Release(1, false) }},
		{"failed VM leaves it", func(_ *state.Tx, i *image.Image) error { return i.Release(1, true) }},
		{"clone", func(_ *state.Tx, i *image.Image) error { return i.AcquireClone(2) }},
		{"last clone made", func(_ *state.Tx, i *image.Image) error { return i.ReleaseClone(2) }},
		{"enable", func(_ *state.Tx, i *image.Image) error { return i.Enable(true) }},
		{"disable", func(_ *state.Tx, i *image.Image) error { return i.Enable(false) }},
		{"CP, MKFS or CLONE success", answer(true)},
		{"CP, MKFS or CLONE failure", answer(false)},
		{"delete", func(tx *state.Tx, i *image.Image) error { return RemoveImage(tx, i) }},
	}
	for s := image.Ready; s <= image.UsedPers; s++ {
		for order, op := range operations {
			for _, persistent := range []bool{false, true} {
				img := &image.Image{State: s, Persistent: persistent, CloningID: -1, Template: &template.Template{}, Path: "/path", Source: "/source"}
				switch {
				case persistent && s == image.Used, !persistent && (s == image.UsedPers || s == image.Clone):
					continue
				case s == image.Used && strings.Contains(op.label, "clone"), s == image.Clone:
					img.Clones, img.CloningOps = resource.NewManyIDs(resource.IDs{2}), 1
				case s == image.Used, s == image.UsedPers:
					img.VMs, img.RunningVMs = resource.NewManyIDs(resource.IDs{1}), 1
				}
				if after, ok := tryImage(t, img, op.do); ok {
					d.add(name(s), name(after), op.label, order)
				}
			}
		}
	}
	return d
}

func answer(ok bool) func(*state.Tx, *image.Image) error {
	return func(tx *state.Tx, i *image.Image) error {
		return ImageAnswer(tx, ImageResult{Action: "CP", Image: i.ID, Success: ok, Info: "/source"})
	}
}

type nowhere struct{}

func (nowhere) Save(context.Context, []db.Row) error { return nil }

// tryImage is the state of an image after an operation, unless that refuses.
func tryImage(t *testing.T, img *image.Image, do func(*state.Tx, *image.Image) error) (after image.State, ok bool) {
	t.Helper()
	store := state.NewStore(&state.Snapshot{}, &config.Config{}, nowhere{}, state.SinkFunc(func(*state.Snapshot, []any) {}), time.Now,
		slog.New(slog.DiscardHandler))
	defer func() { _ = store.Close() }()
	refused := errors.New("refused")
	err := store.Update(func(tx *state.Tx) error {
		tx.Datastores.Insert(&datastore.Datastore{Template: &template.Template{}})
		tx.Images.Insert(img)
		if do(tx, tx.Images.Edit(0)) != nil {
			return refused
		}
		after = tx.Images.Get(0).State
		return nil
	})
	if err != nil && !errors.Is(err, refused) {
		t.Fatal(err)
	}
	return after, err == nil
}

// hosts finds out what each event makes of a host in each state.
func hosts(t *testing.T) diagram {
	t.Helper()
	d := diagram{}
	labels := []string{"INIT", "MONITORING_MONITORED", "MONITORED", "ERROR", "DISABLED", "MONITORING_ERROR", "MONITORING_INIT", "MONITORING_DISABLED"}
	for s := host.Init; s <= host.MonitoringDisabled; s++ {
		for order, e := range []struct {
			label string
			do    func(*host.Host)
		}{
			{"asked", func(h *host.Host) { h.Asked(0) }},
			{"good answer", func(h *host.Host) {
				h.Monitored(&template.Template{}, 0, 0, func(int) bool { return false }, 0)
			}},
			{"bad answer", func(h *host.Host) { h.Fail(0, "", "") }},
			{"no driver", (*host.Host).NoDriver},
			{"enable", (*host.Host).Enable},
			{"disable", (*host.Host).Disable},
		} {
			h, err := host.New(0, "h", "im", "vmm", "vnm", resource.NoCluster, "")
			if err != nil {
				t.Fatal(err)
			}
			h.State = s
			e.do(h)
			d.add(labels[s], labels[h.State], e.label, order)
		}
	}
	return d
}

// TestEveryPlaceHasAWayOut: recover or delete gets a VM out of each place, and what waits is known to the restart.
func TestEveryPlaceHasAWayOut(t *testing.T) {
	for l := vm.LCMInit; l <= vm.BootUndeploy; l++ {
		if to := destinations(in(l), VM[cell{in(l), Delete}]); !slices.Equal(to, []Place{at(vm.Done)}) {
			t.Errorf("delete leaves a VM in %s at %s", l, names(to))
		}
		for _, e := range []Event{RecoverOK, RecoverFail} {
			if to := destinations(in(l), VM[cell{in(l), e}]); l.Waits() && slices.Equal(to, []Place{in(l)}) {
				t.Errorf("%s leaves a VM in %s", e, l)
			}
		}
		if _, known := interruptions[l]; known != l.Waits() {
			t.Errorf("%s waits: %v, can be cut off: %v", l, l.Waits(), known)
		}
	}
}
