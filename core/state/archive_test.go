package state

import (
	"bytes"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"goned/core/config"
	"goned/core/db"
	"goned/core/image"
	"goned/core/resource"
	"goned/core/template"
	"goned/core/vm"
)

// openStore opens a store on the database of a directory.
func openStore(t testing.TB, dir string) (*Store, *db.DB) {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	database, err := db.Open(t.Context(), db.Config{Path: filepath.Join(dir, "one.db")}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := database.Prepare(t.Context(), time.Unix(0, 0)); err != nil {
		t.Fatal(err)
	}
	first, err := Load(t.Context(), database, 0x200)
	if err != nil {
		t.Fatal(err)
	}
	clock := func() time.Time { return time.Unix(1_400_000_000, 0) }
	return NewStore(first, &config.Config{}, database, SinkFunc(func(*Snapshot, []any) {}), clock, quiet), database
}

func closeStore(t testing.TB, s *Store, database *db.DB) {
	t.Helper()
	if err := errors.Join(s.Close(), database.Close()); err != nil {
		t.Fatal(err)
	}
}

func update(t testing.TB, s *Store, fn func(tx *Tx)) {
	t.Helper()
	if err := s.Update(func(tx *Tx) error { fn(tx); return nil }); err != nil {
		t.Fatal(err)
	}
}

// ended makes a VM that has run once and come to its end.
func ended(t testing.TB, s *Store) int {
	t.Helper()
	var id int
	update(t, s, func(tx *Tx) {
		id = tx.NextID(VMIDs)
		v := &vm.VM{
			Base:     resource.Base{ID: id, UID: 7, GID: 8, Name: "one", Perms: resource.OwnerU | resource.OwnerM | resource.GroupU},
			Template: &template.Template{}, UserTemplate: &template.Template{},
		}
		v.UserTemplate.AddSimple("MARK", "a & b")
		tx.SaveRecord(v.AddRecord(vm.Record{Hostname: "first"}))
		tx.SaveRecord(v.AddRecord(vm.Record{Hostname: "second"}))
		tx.VMs.Insert(v)
	})
	update(t, s, func(tx *Tx) { tx.VMs.Edit(id).State = vm.Done })
	return id
}

// archived reports whether the newest state holds a VM in the archive. The transaction waits for the committer to have done that.
func archived(t testing.TB, s *Store, id int) bool {
	t.Helper()
	update(t, s, func(tx *Tx) { tx.ReserveIDs(VMIDs, tx.snap.lastID[VMIDs]+1) })
	p := &s.Snapshot().VMs
	return p.archive.holds(p.find(id))
}

// TestArchive: a VM that has ended leaves memory, and everything that can be asked of it is answered as before, also after a start.
func TestArchive(t *testing.T) {
	dir := t.TempDir()
	s, database := openStore(t, dir)
	id := ended(t, s)
	check := func(when string) {
		t.Helper()
		if !archived(t, s, id) {
			t.Fatalf("%s: the VM is in memory", when)
		}
		p := &s.Snapshot().VMs
		v := p.Get(id)
		if v == nil || v.State != vm.Done || len(v.History) != 2 || v.UserTemplate.Get("MARK") != "a & b" {
			t.Fatalf("%s: got %+v", when, v)
		}
		if got, want := string(p.Listing(id)), string(escape(v.PoolXML())); got != want {
			t.Errorf("%s: listed as %s, want %s", when, got, want)
		}
		a := p.Access(id)
		if a == nil || a.UID != 7 || a.GID != 8 || a.Class != int32(vm.Done) ||
			a.Perms&(resource.OwnerU|resource.GroupU|resource.OtherU) != resource.OwnerU|resource.GroupU {
			t.Errorf("%s: access %+v", when, a)
		}
		for v := range p.All() {
			t.Errorf("%s: VM %d is walked", when, v.ID)
		}
	}
	check("at its end")
	closeStore(t, s, database)
	s, database = openStore(t, dir)
	check("after a start")
	update(t, s, func(tx *Tx) { tx.VMs.Edit(id).UID = 9 })
	if !archived(t, s, id) {
		t.Error("a changed VM stays in memory")
	}
	if v := s.Snapshot().VMs.Get(id); v.UID != 9 || s.Snapshot().VMs.Access(id).UID != 9 {
		t.Errorf("the change is lost: %+v", v)
	}
	closeStore(t, s, database)
}

// TestArchiveKeepsChanges: what a transaction has changed and nobody has written yet is not looked for in the database.
func TestArchiveKeepsChanges(t *testing.T) {
	s, database := openStore(t, t.TempDir())
	defer closeStore(t, s, database)
	id := ended(t, s)
	if !archived(t, s, id) {
		t.Fatal("the VM is in memory")
	}
	update(t, s, func(tx *Tx) {
		tx.VMs.Edit(id).Name = "renamed"
		if got := tx.VMs.Get(id).Name; got != "renamed" {
			t.Errorf("the transaction sees %q", got)
		}
		if got := tx.View().VMs.Get(id).Name; got != "renamed" {
			t.Errorf("its view sees %q", got)
		}
	})
	if got := s.Snapshot().VMs.Get(id).Name; got != "renamed" {
		t.Errorf("after the commit: %q", got)
	}
}

// TestListings: archived and living VMs come in the order of the ids.
func TestListings(t *testing.T) {
	s, database := openStore(t, t.TempDir())
	defer closeStore(t, s, database)
	var ids []int
	for range 3 {
		ids = append(ids, ended(t, s))
		update(t, s, func(tx *Tx) {
			id := tx.NextID(VMIDs)
			ids = append(ids, id)
			tx.VMs.Insert(&vm.VM{Base: resource.Base{ID: id}, Template: &template.Template{}, UserTemplate: &template.Template{}})
		})
	}
	if !archived(t, s, ids[0]) || !archived(t, s, ids[4]) {
		t.Fatal("VMs that have ended are in memory")
	}
	p := &s.Snapshot().VMs
	docs := p.Listings(nil, ids)
	if len(docs) != len(ids) {
		t.Fatalf("%d documents", len(docs))
	}
	for i, id := range ids {
		if string(docs[i]) != string(p.Listing(id)) {
			t.Errorf("document %d is not that of VM %d: %s", i, id, docs[i])
		}
	}
}

// TestReloaded: a new object is listed with its empty values and told about without them.
func TestReloaded(t *testing.T) {
	s, database := openStore(t, t.TempDir())
	defer closeStore(t, s, database)
	for _, value := range []string{"", "1"} {
		var id int
		update(t, s, func(tx *Tx) {
			id = tx.NextID(VMIDs)
			v := &vm.VM{Base: resource.Base{ID: id}, Template: &template.Template{}, UserTemplate: &template.Template{}, Fresh: true}
			v.Template.AddVector("CONTEXT", template.NewVector(template.Pair{Key: "A", Value: value}, template.Pair{Key: "B", Value: "2"}))
			v.UserTemplate.AddVector("V", template.NewVector(template.Pair{Key: "A", Value: value}, template.Pair{Key: "B", Value: "2"}))
			tx.VMs.Insert(v)
		})
		p := &s.Snapshot().VMs
		for range 2 {
			if got, want := string(bytes.Join(p.Reloaded(id), nil)), string(escape(p.Get(id).ReloadedXML())); got != want {
				t.Errorf("A=%q: got %s, want %s", value, got, want)
			}
		}
		if &p.Reloaded(id)[0][0] != &p.Listing(id)[0] {
			t.Errorf("A=%q: nothing of the listing is used", value)
		}
	}
}

func TestSplice(t *testing.T) {
	for _, from := range []string{"", "a", "aa", "aaa", "abcabc", "xaay"} {
		for _, doc := range []string{"", "a", "aa", "aaaa", "abc", "xay", "xaaay", "other"} {
			s := newSplice([]byte(from), []byte(doc))
			if got := string(bytes.Join(s.pieces([]byte(from)), nil)); got != doc {
				t.Errorf("%q by %q: got %q", doc, from, got)
			}
		}
	}
}

// TestLongBodyComesBack loads an image whose row SQLite has filled up: its document must be what it was.
func TestLongBodyComesBack(t *testing.T) {
	dir := t.TempDir()
	s, database := openStore(t, dir)
	update(t, s, func(tx *Tx) {
		i := &image.Image{Base: resource.Base{ID: tx.NextID(ImageIDs), Name: "image"}, Template: &template.Template{}}
		for vid := range 1000 {
			i.VMs, _ = i.VMs.With(vid)
		}
		tx.Images.Insert(i)
	})
	before := bytes.Clone(s.Snapshot().Images.Listing(0))
	closeStore(t, s, database)
	s, database = openStore(t, dir)
	defer closeStore(t, s, database)
	if after := s.Snapshot().Images.Listing(0); !bytes.Equal(after, before) {
		t.Errorf("after loading …%q, before …%q", after[len(after)-40:], before[len(before)-40:])
	}
}
