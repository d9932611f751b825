package vnet

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestTable compares a table of many blocks with a map, and each copy with what it was when it was made.
func TestTable(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		const last = 6 * blockSize
		var now table
		model := map[IP]Lease{}
		old, oldModel := now.clone(), maps.Clone(model)
		check := func(what string, got *table, want map[IP]Lease) {
			leases := slices.Collect(got.all())
			if got.n != len(want) || len(leases) != len(want) {
				r.Fatalf("%s: n is %d, %d leases, want %d", what, got.n, len(leases), len(want))
			}
			for i, l := range leases {
				if want[l.IP] != l || i > 0 && leases[i-1].IP >= l.IP {
					r.Fatalf("%s: lease %d is %+v behind %+v, want %+v", what, i, l, leases[max(i-1, 0)], want[l.IP])
				}
			}
		}
		for range rapid.IntRange(1, 30).Draw(r, "steps") {
			from := rapid.IntRange(1, last).Draw(r, "from")
			to := min(from+rapid.IntRange(0, last).Draw(r, "many"), last)
			switch rapid.IntRange(0, 3).Draw(r, "step") {
			case 0:
				old, oldModel = now.clone(), maps.Clone(model)
			case 1:
				for ip := from; ip <= to; ip++ {
					now.remove(IP(ip))
					delete(model, IP(ip))
				}
			default:
				used := rapid.Bool().Draw(r, "used")
				for ip := from; ip <= to; ip++ {
					l := Lease{IP: IP(ip), Used: used, VID: to}
					now.set(l)
					model[l.IP] = l
				}
			}
			check("table", &now, model)
			check("copy", &old, oldModel)
		}
		put, gone := now.changes(&old)
		for _, ip := range gone {
			delete(oldModel, ip)
		}
		for _, l := range put {
			oldModel[l.IP] = l
		}
		if !maps.Equal(oldModel, model) {
			r.Fatalf("changes lead to %v, want %v", oldModel, model)
		}
		from := rapid.IntRange(1, last).Draw(r, "gap from")
		want := IP(from)
		for model[want].Used {
			want++
		}
		if got := now.gap(IP(from)); got != want {
			r.Fatalf("gap from %d is %d, want %d", from, got, want)
		}
		leases := slices.Collect(now.all())
		first := rapid.IntRange(0, last).Draw(r, "free from")
		index := -1
		for i := first; i < len(leases); i++ {
			if !leases[i].Used {
				index = i
				break
			}
		}
		if i, ip, ok := now.free(first); ok != (index >= 0) || ok && (i != index || ip != leases[i].IP) {
			r.Fatalf("free from %d is %d %d %v, want %d", first, i, ip, ok, index)
		}
	})
}

// TestTableShares: a change copies one block, so that giving an address costs the same in a network of any size.
func TestTableShares(t *testing.T) {
	var big table
	for ip := range 100 * blockSize {
		big.set(Lease{IP: IP(2 * ip), Used: true})
	}
	copied := big.clone()
	copied.set(Lease{IP: 999, Used: true})
	copied.remove(2000)
	own := 0
	for _, b := range copied.blocks {
		if !slices.Contains(big.blocks, b) {
			own++
		}
	}
	if own == 0 || own > 3 {
		t.Errorf("%d blocks of %d are copied", own, len(copied.blocks))
	}
}
