package match

import (
	"fmt"
	"io"
	"strings"
)

// WriteText writes the explanation for people.
func (e *Explanation) WriteText(w io.Writer) error {
	var b strings.Builder
	vm := e.VM
	fmt.Fprintf(&b, "VM %d (%s), user %d, group %d, %s\n", vm.ID, vm.Name, vm.UID, vm.GID, e.State)
	fmt.Fprintf(&b, "Needs: CPU %d (percent of one), memory %d KB, %d MB in the system datastore\n", vm.CPU, vm.Memory, vm.Disk)
	for _, use := range vm.Images {
		fmt.Fprintf(&b, "       %d MB in image datastore %d\n", use.MB, use.DatastoreID)
	}
	for _, n := range e.Notes {
		b.WriteString(n + "\n")
	}
	writeVerdicts(&b, "Hosts", e.Hosts, "fits")
	writeVerdicts(&b, "System datastores", e.Datastores, "fits")
	writeRanking(&b, "Ranking of hosts", e.HostRank, e.HostRanking)
	writeRanking(&b, "Ranking of datastores", e.DatastoreRank, e.DatastoreRanking)
	writeVerdicts(&b, "Tried in this order", e.Attempts, "taken")
	b.WriteString("\nResult: " + e.Result + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func writeVerdicts(b *strings.Builder, title string, verdicts []Verdict, yes string) {
	if len(verdicts) == 0 {
		return
	}
	b.WriteString("\n" + title + ":\n")
	for _, v := range verdicts {
		word := "no"
		if v.OK {
			word = yes
		}
		fmt.Fprintf(b, "%6d %-20s %s\n", v.ID, v.Name, word)
		for _, r := range v.Reasons {
			b.WriteString("         " + r + "\n")
		}
	}
}

func writeRanking(b *strings.Builder, title, rank string, list []Ranked) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s: %s\n", title, rank)
	b.WriteString("  priority = rank / largest magnitude, equal ones by descending id\n")
	for _, r := range list {
		fmt.Fprintf(b, "%6d  %-10.6g %s\n", r.ID, r.Priority, r.Terms)
	}
}
