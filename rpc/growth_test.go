package rpc

import (
	"fmt"
	"runtime"
	"testing"

	"goned/core/resource"
	"goned/core/state"
	"goned/core/template"
	"goned/core/vm"
)

// TestCostDoesNotGrow calls methods of every kind in a cloud with 10 VMs and in one with 10,000: both allocate about the same. What
// they allocate stands for what they look at and copy; time would depend on the machine.
func TestCostDoesNotGrow(t *testing.T) {
	type call struct {
		session, method string
		params          []any
	}
	calls := []call{
		{root, "one.vm.info", []any{5}},
		{root, "one.vm.update", []any{5, "A=1", 1}},
		{root, "one.vm.chmod", []any{5, 1, 1, -1, -1, -1, -1, -1, -1, -1}},
		{root, "one.vm.chown", []any{5, 2, 1}},
		{root, "one.vm.rename", []any{5, "name"}},
		{root, "one.vm.action", []any{"reboot", 5}},
		{root, "one.vm.recover", []any{5, true}},
		{root, "one.vm.monitoring", []any{5}},
		{alice, "one.vm.allocate", []any{"CPU=1\nMEMORY=1", true}},
		{alice, "one.vmpool.info", []any{-3, -1, -1, -1}},
		{bob, "one.vmpool.info", []any{-2, -1, -1, -1}},
		{bob, "one.vmpool.info", []any{-1, -1, -1, -2}},
		{root, "one.vmpool.info", []any{-2, 0, -5, -1}},
		{root, "one.vmpool.info", []any{-2, 5, 9, -1}},
		{bob, "one.vmpool.accounting", []any{-3, -1, -1}},
		{bob, "one.vmpool.monitoring", []any{-3}},
		{root, "one.user.info", []any{2}},
		{root, "one.userpool.info", nil},
		{root, "one.group.info", []any{1}},
		{root, "one.grouppool.info", nil},
		{root, "one.host.allocate", []any{"h%d", "dummy", "dummy", "dummy", -1}},
		{root, "one.hostpool.info", nil},
		{root, "one.datastorepool.info", nil},
		{root, "one.imagepool.info", []any{-2, -1, -1}},
		{root, "one.vnpool.info", []any{-2, -1, -1}},
		{root, "one.template.allocate", []any{"NAME=t%d"}},
		{root, "one.document.allocate", []any{"NAME=d", 1}},
		{root, "one.acl.info", nil},
		{root, "one.system.version", nil},
	}
	cost := func(n int) map[string]uint64 {
		c := newCloud(t, "")
		// Nobody but oneadmin sees them.
		c.update(func(tx *state.Tx) error {
			for range n {
				tx.VMs.Insert(&vm.VM{
					Base:     resource.Base{ID: tx.NextID(state.VMIDs), UID: 99, GID: 99, Perms: resource.OwnerU | resource.OwnerM},
					Template: &template.Template{}, UserTemplate: &template.Template{}, State: vm.Hold,
				})
			}
			return nil
		})
		serial := 0
		found := map[string]uint64{}
		for _, call := range calls {
			once := func() {
				params := append([]any{}, call.params...)
				if len(params) > 0 {
					if text, ok := params[0].(string); ok && text != "" && text[len(text)-1] == 'd' && text != "d" {
						serial++
						params[0] = fmt.Sprintf(text, serial)
					}
				}
				c.call(call.session, call.method, params...)
			}
			once() // what is made once is made now
			const runs = 8
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range runs {
				once()
			}
			runtime.ReadMemStats(&after)
			found[fmt.Sprint(call.session, call.method, call.params)] = (after.TotalAlloc - before.TotalAlloc) / runs
		}
		return found
	}
	few, many := cost(10), cost(10_000)
	for _, call := range calls {
		key := fmt.Sprint(call.session, call.method, call.params)
		// The pool is an array of runs: its first level is copied, 8 bytes for 64 objects.
		if many[key] > 2*few[key]+16<<10 {
			t.Errorf("%s of %s: %d bytes with 10 VMs, %d with 10,000", call.method, call.session, few[key], many[key])
		}
	}
}
