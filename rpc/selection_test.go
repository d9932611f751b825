package rpc

import (
	"math/rand/v2"
	"slices"
	"testing"

	"goned/core/acl"
	"goned/core/auth"
	"goned/core/resource"
	"goned/core/state"
	"goned/core/template"
	"goned/core/vm"
)

// manyVMs adds VMs of various owners, with various rights and states, to a cloud.
func manyVMs(t testing.TB, c *testCloud, n int, owner func(i int) (uid, gid int)) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	err := c.store.Update(func(tx *state.Tx) error {
		for i := range n {
			v := &vm.VM{
				Base:     resource.Base{ID: tx.NextID(state.VMIDs), Perms: resource.OwnerU | resource.OwnerM},
				Template: &template.Template{}, UserTemplate: &template.Template{}, State: vm.Hold,
			}
			v.UID, v.GID = owner(i)
			switch random.IntN(400) {
			case 0:
				v.Perms |= resource.GroupU
			case 1:
				v.Perms |= resource.OtherU
			case 2, 3, 4:
				v.State = vm.Failed
			case 5, 6, 7:
				v.State = vm.Done
			}
			tx.VMs.Insert(v)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestSelection compares listings, which pass over whole runs of a pool, with looking at every object.
func TestSelection(t *testing.T) {
	const n = 3000
	c := newCloud(t, "")
	manyVMs(t, c, n, func(i int) (int, int) { return 3 + i/1000*i%7, 1 + i/700 })
	pool := &c.store.Snapshot().VMs
	const all, individual, group = 0x400000000, 0x100000000, 0x200000000
	rules := map[string][]acl.Rule{
		"no rules":   nil,
		"a VM":       {{User: individual | 3, Resource: int64(resource.VM) | individual | 2222, Rights: 1, Zone: all}},
		"a group":    {{User: individual | 3, Resource: int64(resource.VM) | group | 4, Rights: 1, Zone: all}},
		"everything": {{User: individual | 3, Resource: int64(resource.VM) | all, Rights: 1, Zone: all}},
	}
	callers := []auth.Caller{
		{UID: 0, GID: 0, Groups: resource.IDs{0}}, {UID: 3, GID: 1, Groups: resource.IDs{1}}, {UID: 5, GID: 3, Groups: resource.IDs{2, 3}},
		{UID: 99, GID: 99, Groups: resource.IDs{99}},
	}
	classes := map[string]func(int32) bool{
		"any": nil, "living": func(s int32) bool { return s != int32(vm.Done) }, "failed": func(s int32) bool { return s == int32(vm.Failed) },
	}
	for ruleName, rs := range rules {
		for _, caller := range callers {
			for _, flag := range []int{auth.Mine, auth.All, auth.MineGroup, 3, 5} {
				for className, class := range classes {
					f := &selection{auth.NewVisible(acl.NewRules(rs...), 0, &caller, resource.VM, flag), class}
					var want []int
					for id := range n {
						if f.Pass(id, pool.Access(id)) {
							want = append(want, id)
						}
					}
					for _, first := range []int{0, 1000, 2999} {
						for _, skip := range []int{0, 1, 130, 2000} {
							rest := want[min(skip+lower(want, first), len(want)):]
							if got := slices.Collect(pool.Select(first, skip, f)); !slices.Equal(got, rest) {
								t.Errorf("%s, user %d, flag %d, %s, from %d without %d: got %d ids, want %d",
									ruleName, caller.UID, flag, className, first, skip, len(got), len(rest))
							}
						}
					}
				}
			}
		}
	}
}

func lower(ids []int, first int) int { i, _ := slices.BinarySearch(ids, first); return i }

// counting tells how much of a pool a listing looks at.
type counting struct {
	state.Filter
	runs, objects int
}

func (c *counting) Passing(run *resource.Summary) int { c.runs++; return c.Filter.Passing(run) }

func (c *counting) Pass(id int, a *resource.Access) bool { c.objects++; return c.Filter.Pass(id, a) }

// TestListingsLookAtFew: what a listing costs depends on what it returns, not on the size of the pool.
func TestListingsLookAtFew(t *testing.T) {
	const n = 10_000
	c := newCloud(t, "")
	manyVMs(t, c, n, func(i int) (int, int) {
		if i%2000 == 17 {
			return 3, 1
		}
		return 4, 5
	})
	s := c.store.Snapshot()
	user, root := auth.Caller{UID: 3, GID: 1, Groups: resource.IDs{1}}, auth.Caller{Groups: resource.IDs{0}}
	living := func(state int32) bool { return state != int32(vm.Done) }
	tests := map[string]struct {
		caller     *auth.Caller
		flag       int
		skip, page int
		objects    int
	}{
		"own":        {&user, auth.Mine, 0, n, 5 * 128},
		"first page": {&root, auth.All, 0, 100, 256},
		"last page":  {&root, auth.All, 9700, 100, 512},
	}
	for name, tc := range tests {
		f := &counting{Filter: &selection{auth.NewVisible(s.ACL, 0, tc.caller, resource.VM, tc.flag), living}}
		got := 0
		for range s.VMs.Select(0, tc.skip, f) {
			if got++; got == tc.page {
				break
			}
		}
		if got == 0 || f.objects > tc.objects || f.runs > n/50 {
			t.Errorf("%s: %d objects found, %d looked at in %d runs", name, got, f.objects, f.runs)
		}
	}
}

// TestArchivedVM: clients cannot tell a VM that has left memory.
func TestArchivedVM(t *testing.T) {
	c := newCloud(t, "")
	id := c.must(alice, "one.vm.allocate", "NAME=x\nCPU=1\nMEMORY=1")
	living := c.get(alice, "one.vm.info", id)
	c.must(alice, "one.vm.action", "delete", id)
	c.must(alice, "one.vm.allocate", "NAME=y\nCPU=1\nMEMORY=1")
	info := c.get(alice, "one.vm.info", id)
	if info == living {
		t.Error("the VM lives on")
	}
	for _, state := range []int{-2, int(vm.Done)} {
		if got, want := c.get(alice, "one.vmpool.info", -3, id, id, state), "<VM_POOL>"+info+"</VM_POOL>"; got != want {
			t.Errorf("state %d: got %s, want %s", state, got, want)
		}
	}
	if got := c.get(alice, "one.vmpool.info", -3, id, id, -1); got != "<VM_POOL></VM_POOL>" {
		t.Errorf("living VMs: %s", got)
	}
	c.must(alice, "one.vm.rename", id, "z")
	c.must(root, "one.vm.chown", id, c.uid(root), -1)
	if a := c.call(alice, "one.vm.info", id); a.ok {
		t.Errorf("alice still sees the VM that was hers: %s", a)
	}
	if a := c.call(alice, "one.vm.action", "resume", id); a.ok {
		t.Errorf("it goes on: %s", a)
	}
}
