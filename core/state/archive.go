package state

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"goned/core/resource"
	"goned/core/vm"
)

// archive reads the objects of a pool that have come to their end: they stay in the database, and memory keeps only what filters
// look at. What it reads is as new as the last commit, which an object in the archive has not changed since.
type archive[T Object[T]] struct {
	src   Source
	table string
	parse func(ctx context.Context, src Source, body string) (T, error)
	// ended reports whether an object belongs here.
	ended func(T) bool
	log   *slog.Logger

	slot entry[T] // stands in the slots of all archived objects
}

// archiveTimeout bounds one look into the archive, which a write transaction may wait for.
const archiveTimeout = 10 * time.Second

// archiveBatch is how many objects one query reads.
const archiveBatch = 500

func (a *archive[T]) holds(e *entry[T]) bool { return a != nil && e == &a.slot }

// get reads an object; like 4.6, what cannot be read is not there.
func (a *archive[T]) get(id int) (obj T) {
	ctx, cancel := context.WithTimeout(context.Background(), archiveTimeout)
	defer cancel()
	err := a.bodies(ctx, []int{id}, func(_ int, body string) (err error) {
		obj, err = a.parse(ctx, a.src, body)
		return err
	})
	if err != nil {
		a.report(err)
		var none T
		return none
	}
	return obj
}

// listings are the listing forms of some archived objects by id.
func (a *archive[T]) listings(ids []int) map[int][]byte {
	if len(ids) == 0 {
		return nil
	}
	docs := make(map[int][]byte, len(ids))
	for len(ids) > 0 {
		n := min(len(ids), archiveBatch)
		ctx, cancel := context.WithTimeout(context.Background(), archiveTimeout)
		err := a.bodies(ctx, ids[:n], func(id int, body string) error {
			docs[id] = escape(body)
			return nil
		})
		cancel()
		if err != nil {
			a.report(err)
			return docs
		}
		ids = ids[n:]
	}
	return docs
}

func (a *archive[T]) bodies(ctx context.Context, ids []int, fn func(id int, body string) error) error {
	query := "SELECT oid, body FROM " + a.table + " WHERE oid IN (" + joinIDs(ids) + ")"
	return a.src.Query(ctx, query, nil, func(scan func(...any) error) error {
		var id int
		var body string
		if err := scan(&id, &body); err != nil {
			return err
		}
		return fn(id, body)
	})
}

func joinIDs(ids []int) string {
	var b strings.Builder
	for i, id := range ids {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(id))
	}
	return b.String()
}

func (a *archive[T]) report(err error) {
	a.log.Error("Cannot read " + a.table + ": " + err.Error())
}

// retire moves those of the objects with these ids that have come to their end into the archive, unless they have been changed
// since they were committed. It reports whether there were any.
func (p *Pool[T]) retire(ids []int, committed *Pool[T], writer uint64) bool {
	any := false
	for _, id := range ids {
		e := p.find(id)
		if e == nil || p.archive.holds(e) || e != committed.find(id) || !p.archive.ended(e.obj) {
			continue
		}
		p.set(id, &p.archive.slot, e.obj.Access(), writer)
		any = true
	}
	return any
}

// hasEnded reports whether an object belongs into the archive once it is committed.
func (p *Pool[T]) hasEnded(obj T) bool { return p.archive != nil && p.archive.ended(obj) }

// loadVMs loads the VMs that live, and of the others what filters look at: a cloud may have had many more than it has.
func (s *Snapshot) loadVMs(ctx context.Context, src Source) error {
	s.VMs.archive = &archive[*vm.VM]{
		src: src, table: "vm_pool", log: slog.New(slog.DiscardHandler), parse: readVM,
		ended: func(v *vm.VM) bool { return v.State == vm.Done },
	}
	done := strconv.Itoa(int(vm.Done))
	query := "SELECT oid, uid, gid, owner_u, group_u, other_u, state, CASE state WHEN " + done + " THEN NULL ELSE body END" +
		" FROM vm_pool ORDER BY oid"
	parser := newParser(loadVM)
	err := src.Query(ctx, query, nil, func(scan func(...any) error) error {
		var id, uid, gid, ownerU, groupU, otherU, state int
		var body sql.RawBytes
		if err := scan(&id, &uid, &gid, &ownerU, &groupU, &otherU, &state, &body); err != nil {
			return err
		}
		if body != nil {
			parser.add(id, string(body))
			return nil
		}
		a := resource.Access{UID: uid, GID: gid, Cluster: resource.NoCluster, Class: int32(state)}
		for _, p := range []struct {
			bit int
			use resource.Permissions
		}{{ownerU, resource.OwnerU}, {groupU, resource.GroupU}, {otherU, resource.OtherU}} {
			if p.bit != 0 {
				a.Perms |= p.use
			}
		}
		s.VMs.set(id, &s.VMs.archive.slot, a, loader)
		return nil
	})
	if err != nil {
		return err
	}
	return parser.each(func(id int, text string, v *vm.VM, err error) error {
		if err != nil {
			return fmt.Errorf("vm_pool %d: %w", id, err)
		}
		s.VMs.put(v, text, loader)
		return nil
	})
}

// readVM makes a VM of its body and its rows in the history table.
func readVM(ctx context.Context, src Source, body string) (*vm.VM, error) {
	v, err := vm.Parse(body)
	if err != nil {
		return nil, err
	}
	err = src.Query(ctx, "SELECT body FROM history WHERE vid = ? ORDER BY seq", []any{v.ID}, func(scan func(...any) error) error {
		var body sql.RawBytes
		if err := scan(&body); err != nil {
			return err
		}
		r, err := vm.ParseRecord(string(body))
		if err != nil {
			return err
		}
		return v.LoadRecord(r)
	})
	if err != nil {
		return nil, fmt.Errorf("history of VM %d: %w", v.ID, err)
	}
	return v, nil
}
