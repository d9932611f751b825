package vm

import (
	"goned/core/template"
)

// Capacity is what a VM needs of a host, in the host's units.
type Capacity struct {
	CPU    int // percent of one core
	Memory int // KB
	Disk   int // 4.6 never asks a host for disk
}

// Capacity is what the VM's template asks for. As in 4.6 CPU is a 32-bit float before it is cut off, and what is no number
// makes the whole demand nothing.
func (v *VM) Capacity() Capacity {
	memory, okMemory := v.Template.Int("MEMORY")
	cpu, okCPU := v.Template.Float("CPU")
	if !okMemory || !okCPU {
		return Capacity{}
	}
	return Capacity{CPU: CPUUnits(cpu), Memory: int(memory) * 1024}
}

// CPUUnits turns a number of CPUs into percent of one core, cut off, computed in 32-bit floats as in 4.6.
func CPUUnits(cpu float64) int { return int(float32(cpu) * 100) }

// SetError writes ERROR into the user template; date is the time as ctime writes it, without line end.
func (v *VM) SetError(date, message string) { setDated(&v.UserTemplate, "ERROR", date, message) }

// SetMonitorError writes ERROR_MONITOR into the user template, as SetError does.
func (v *VM) SetMonitorError(date, message string) {
	setDated(&v.UserTemplate, "ERROR_MONITOR", date, message)
}

// ClearMonitorError removes ERROR_MONITOR: the VM could be monitored.
func (v *VM) ClearMonitorError() { v.UserTemplate.Erase("ERROR_MONITOR") }

func setDated(t **template.Template, name, date, message string) {
	if *t == nil {
		*t = &template.Template{}
	}
	(*t).Replace(name, date+" : "+message)
}
