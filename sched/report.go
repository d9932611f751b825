package sched

import (
	"fmt"
	"iter"
	"strconv"
	"strings"

	"goned/core/match"
)

// pendingTable shows the machines to place and what they need.
func pendingTable(vms []*match.VM) string {
	var b strings.Builder
	b.WriteString("Pending/rescheduling VM and capacity requirements:\n")
	fmt.Fprintf(&b, "%8s %4s %11s %11s  Image DS\n", "VM", "CPU", "Memory", "System DS")
	b.WriteString(strings.Repeat("-", 60))
	for _, vm := range vms {
		fmt.Fprintf(&b, "\n%8d %4d %11d %11d ", vm.ID, vm.CPU, vm.Memory, vm.Disk)
		for _, use := range vm.Images {
			fmt.Fprintf(&b, " DS %d: %d ", use.DatastoreID, use.MB)
		}
	}
	return b.String()
}

func hostList(hosts []*match.Host) string {
	var b strings.Builder
	b.WriteString("Discovered Hosts (enabled):\n")
	for _, h := range hosts {
		fmt.Fprintf(&b, " %d", h.ID)
	}
	return b.String()
}

// results shows the candidates of each machine that has some, best first, in
// pieces.
func results(m *match.Matcher, decisions []*match.Decision) iter.Seq[string] {
	return func(yield func(string) bool) {
		if !yield("Scheduling Results:\n") {
			return
		}
		var b []byte
		for _, d := range decisions {
			if len(d.Hosts) == 0 {
				continue
			}
			b = fmt.Appendf(b[:0], "Virtual Machine: %d\n\n\tPRI\tID - HOSTS\n\t------------------------\n", d.VM.ID)
			for _, c := range d.Hosts {
				b = appendCandidate(b, c.Priority, m.Host(c).ID)
			}
			b = append(b, "\n\tPRI\tID - DATASTORES\n\t------------------------\n"...)
			if d.VM.Resched {
				// Its datastore is listed even if it is none any more.
				b = appendCandidate(b, 0, d.VM.DatastoreID)
			} else {
				for _, c := range d.Datastores {
					b = appendCandidate(b, c.Priority, m.Datastore(c).ID)
				}
			}
			b = append(b, '\n')
			if !yield(string(b)) {
				return
			}
		}
	}
}

// appendCandidate prints the priority as C++ does, with six significant digits.
func appendCandidate(b []byte, priority float32, id int) []byte {
	b = append(b, '\t')
	b = strconv.AppendFloat(b, float64(priority), 'g', 6, 64)
	b = append(b, '\t')
	b = strconv.AppendInt(b, int64(id), 10)
	return append(b, '\n')
}
