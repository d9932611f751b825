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
			b = appendCandidates(b, d.Hosts, func(c match.Candidate) int { return m.Host(c).ID })
			b = append(b, "\n\tPRI\tID - DATASTORES\n\t------------------------\n"...)
			if d.VM.Resched {
				// Its datastore is listed even if it is none any more.
				b = fmt.Appendf(b, "\t0\t%d\n", d.VM.DatastoreID)
			} else {
				b = appendCandidates(b, d.Datastores, func(c match.Candidate) int { return m.Datastore(c).ID })
			}
			b = append(b, '\n')
			if !yield(string(b)) {
				return
			}
		}
	}
}

// appendCandidates prints a line for each candidate, the priority as C++ does,
// with six significant digits. Equal priorities stand next to each other and
// are formatted once: a pass of a large cloud has millions of lines.
func appendCandidates(b []byte, candidates []match.Candidate, id func(match.Candidate) int) []byte {
	var head []byte
	for i, c := range candidates {
		if i == 0 || c.Priority != candidates[i-1].Priority {
			head = append(head[:0], '\t')
			head = strconv.AppendFloat(head, float64(c.Priority), 'g', 6, 64)
			head = append(head, '\t')
		}
		b = append(b, head...)
		b = strconv.AppendInt(b, int64(id(c)), 10)
		b = append(b, '\n')
	}
	return b
}
