package sched

import (
	"fmt"
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

// results shows the candidates of each machine that has some, best first.
func results(m *match.Matcher, decisions []*match.Decision) string {
	var b strings.Builder
	b.WriteString("Scheduling Results:\n")
	for _, d := range decisions {
		if len(d.Hosts) == 0 {
			continue
		}
		fmt.Fprintf(&b, "Virtual Machine: %d\n\n\tPRI\tID - HOSTS\n\t------------------------\n", d.VM.ID)
		for _, c := range d.Hosts {
			candidateLine(&b, c.Priority, m.Host(c).ID)
		}
		b.WriteString("\n\tPRI\tID - DATASTORES\n\t------------------------\n")
		for _, c := range d.Datastores {
			candidateLine(&b, c.Priority, m.Datastore(c).ID)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// candidateLine prints the priority as C++ does, with six significant digits.
func candidateLine(b *strings.Builder, priority float32, id int) {
	fmt.Fprintf(b, "\t%s\t%d\n", formatPriority(priority), id)
}

func formatPriority(p float32) string {
	if p == float32(int(p)) && p < 1e5 && p > -1e5 {
		return strconv.Itoa(int(p))
	}
	return fmt.Sprintf("%.6g", p)
}
