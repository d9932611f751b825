package host

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"goned/core/resource"
	"goned/core/template"
)

// MonitorTimeout is the age in seconds at which an outstanding monitoring request counts as lost.
const MonitorTimeout = 300

// Enabled reports whether the host is not disabled.
func (h *Host) Enabled() bool { return h.State != Disabled && h.State != MonitoringDisabled }

// Monitoring reports whether an answer is awaited.
func (h *Host) Monitoring() bool {
	switch h.State {
	case MonitoringMonitored, MonitoringError, MonitoringInit, MonitoringDisabled:
		return true
	}
	return false
}

// Step is what the monitoring loop does with a host that is due.
type Step int

// The steps.
const (
	Wait Step = iota // an answer is outstanding
	Ask              // ask the driver
	Idle             // disabled and empty: only note the time, see Rest
)

// Next decides what to do with a host that is due at now, in a daemon that runs since start: answers to what the last one asked do not
// come any more. 4.6 waits for them.
func (h *Host) Next(now, start int64) Step {
	switch {
	case !h.Enabled() && h.Share.RunningVMs <= 0:
		return Idle
	case h.Monitoring() && h.LastMonTime > start && h.LastMonTime <= now && now-h.LastMonTime < MonitorTimeout:
		return Wait
	}
	return Ask
}

// Asked notes that a monitoring request was sent.
func (h *Host) Asked(now int64) {
	switch h.State {
	case Init:
		h.State = MonitoringInit
	case Monitored:
		h.State = MonitoringMonitored
	case Error:
		h.State = MonitoringError
	case Disabled:
		h.State = MonitoringDisabled
	}
	h.LastMonTime = now
}

// Rest notes the time of a monitoring cycle in which a disabled host was not asked.
func (h *Host) Rest(now int64) {
	h.State = Disabled
	h.LastMonTime = now
}

// answered notes that an answer came.
func (h *Host) answered(now int64, good bool) {
	switch {
	case !h.Enabled():
		h.State = Disabled
	case good:
		h.State = Monitored
	default:
		h.State = Error
	}
	h.LastMonTime = now
}

// NoDriver notes that the host's information driver is not loaded. The time stays, so that the host is tried on every tick. In 4.6
// that enables a disabled host.
func (h *Host) NoDriver() {
	if h.Enabled() {
		h.State = Error
	} else {
		h.State = Disabled
	}
}

// Enable makes the host one that was never monitored, also when it was enabled; nothing else changes.
func (h *Host) Enable() { h.State = Init }

// Disable takes the host out of use: it has no capacity, and what was monitored is forgotten.
func (h *Host) Disable() {
	h.State = Disabled
	s := &h.Share
	s.MaxCPU, s.MaxMem, s.FreeCPU, s.FreeMem, s.UsedCPU, s.UsedMem = 0, 0, 0, 0, 0, 0
	for _, name := range []string{"TOTALCPU", "TOTALMEMORY", "FREECPU", "FREEMEMORY", "USEDCPU", "USEDMEMORY"} {
		h.Template.Erase(name)
	}
}

// Fail notes a bad answer. The result is the text for the log; every VM of the host is to be treated as not found. date is the
// time as ctime writes it, without line end.
func (h *Host) Fail(now int64, date, message string) string {
	text := fmt.Sprintf("Error monitoring Host %s (%d): %s", h.Name, h.ID, message)
	h.answered(now, false)
	h.setError(date, text)
	return text
}

// Unreadable notes an answer that is no template. The VMs of the host are not affected. date is as in Fail.
func (h *Host) Unreadable(now int64, date string) {
	h.answered(now, false)
	h.setError(date, "Error parsing monitor information. Check oned.log for more details.")
}

func (h *Host) setError(date, text string) { h.Template.Replace("ERROR", date+" : "+text) }

// DS is a datastore that a host reports.
type DS struct {
	ID     int
	Values *template.Vector // ID, TOTAL_MB, FREE_MB, USED_MB
}

// ReportedDS are the datastores in a host's answer, by ascending id; of several reports of one the first counts.
func ReportedDS(answer *template.Template) []DS {
	var found []DS
	for _, v := range answer.Vectors("DS") {
		id, ok := v.Int32("ID")
		if !ok || id == -1 || slices.ContainsFunc(found, func(d DS) bool { return d.ID == int(id) }) {
			continue
		}
		found = append(found, DS{int(id), v})
	}
	slices.SortFunc(found, func(a, b DS) int { return a.ID - b.ID })
	return found
}

// Found is a VM that a host reports and should have, with its monitoring data as the driver gave them.
type Found struct {
	ID   int
	Poll string
}

// Report is what a good answer says about VMs.
type Report struct {
	// VMPoll tells that the answer speaks of VMs at all; otherwise nothing of the rest is to be acted upon.
	VMPoll bool
	// Found are sorted by id.
	Found []Found
	// Lost are the VMs that were in neither this nor the previous answer.
	Lost resource.IDs
}

// expired is what a good answer clears before it is merged.
var expired = []string{"ERROR", "ZOMBIES", "TOTAL_ZOMBIES", "WILDS", "TOTAL_WILDS", "VM", "VM_POLL", "DS"}

// Monitored applies a good answer. reservedCPU and reservedMem are what the host's cluster keeps back; local tells the system
// datastores whose space each host has for itself.
func (h *Host) Monitored(answer *template.Template, reservedCPU, reservedMem int64, local func(ds int) bool, now int64) Report {
	for _, name := range expired {
		h.Template.Erase(name)
	}
	answer.DropBadNames()
	h.Template.Merge(answer)
	h.answered(now, true)
	if h.Enabled() {
		h.takeCapacity(reservedCPU, reservedMem)
	}
	poll, _ := h.Template.Bool("VM_POLL")
	h.Template.Erase("VM_POLL")
	report := h.correlate(h.Template.Take("VM"))
	report.VMPoll = poll
	h.keepDatastores(h.Template.Take("DS"), local)
	return report
}

// takeCapacity moves the monitored counters out of the template.
func (h *Host) takeCapacity(reservedCPU, reservedMem int64) {
	reservedCPU = h.reserved("RESERVED_CPU", reservedCPU)
	reservedMem = h.reserved("RESERVED_MEM", reservedMem)
	s := &h.Share
	for _, m := range []struct {
		name     string
		to       *int64
		reserved int64
	}{
		{"TOTALCPU", &s.MaxCPU, reservedCPU}, {"TOTALMEMORY", &s.MaxMem, reservedMem}, {"DS_LOCATION_TOTAL_MB", &s.MaxDisk, 0},
		{"FREECPU", &s.FreeCPU, 0}, {"FREEMEMORY", &s.FreeMem, 0}, {"DS_LOCATION_FREE_MB", &s.FreeDisk, 0},
		{"USEDCPU", &s.UsedCPU, 0}, {"USEDMEMORY", &s.UsedMem, 0}, {"DS_LOCATION_USED_MB", &s.UsedDisk, 0},
	} {
		v, _ := h.Template.Float(m.name)
		h.Template.Erase(m.name)
		*m.to = toCounter(float32(v) - float32(m.reserved))
	}
}

// toCounter cuts a monitored value off. 4.6 computes them in 32-bit floats, which large memories show.
func toCounter(v float32) int64 {
	switch {
	case v >= math.MaxInt64:
		return math.MaxInt64
	case v <= math.MinInt64:
		return math.MinInt64
	}
	return int64(v)
}

// reserved is what the host itself reserves, else what its cluster does; a value that is no integer is made empty.
func (h *Host) reserved(name string, ofCluster int64) int64 {
	if v, ok := h.Template.Int(name); ok {
		return v
	}
	h.Template.Replace(name, "")
	return ofCluster
}

// correlate compares the reported VMs with those that should be there, and writes the strangers into the template.
func (h *Host) correlate(reported []template.Attr) Report {
	var report Report
	var zombies, wilds []string
	wasStray, wasMissing := h.strays, h.missing
	h.strays, h.missing = nil, h.VMs
	for _, a := range reported {
		id, ok := a.Vec.Int32("ID")
		if !ok {
			continue
		}
		if id == -1 {
			wilds = append(wilds, a.Vec.Get("DEPLOY_ID"))
			continue
		}
		if rest, expected := h.missing.Without(int(id)); expected {
			h.missing = rest
			report.Found = append(report.Found, Found{int(id), a.Vec.Get("POLL")})
			continue
		}
		h.strays, _ = h.strays.With(int(id))
		if wasStray.Has(int(id)) {
			zombies = append(zombies, a.Vec.Get("DEPLOY_ID"))
		}
	}
	for _, id := range h.missing {
		if wasMissing.Has(id) {
			report.Lost = append(report.Lost, id)
		}
	}
	slices.SortFunc(report.Found, func(a, b Found) int { return a.ID - b.ID })
	h.list("WILDS", wilds)
	h.list("ZOMBIES", zombies)
	return report
}

func (h *Host) list(name string, deployIDs []string) {
	if len(deployIDs) > 0 {
		h.Template.AddSimple("TOTAL_"+name, strconv.Itoa(len(deployIDs)))
		h.Template.AddSimple(name, strings.Join(deployIDs, ", "))
	}
}

// keepDatastores replaces the list of local system datastores.
func (h *Host) keepDatastores(reported []template.Attr, local func(int) bool) {
	h.Share.Datastores = &template.Template{}
	for _, a := range reported {
		if id, ok := a.Vec.Int32("ID"); ok && local(int(id)) {
			h.Share.Datastores.AddVector("DS", a.Vec)
		}
	}
}
