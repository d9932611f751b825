package host

import "errors"

// Fits reports whether the host can promise that much more: CPU in percent of one core, memory in KB, disk in MB. A disabled host
// has no capacity.
func (h *Host) Fits(cpu, memory, disk int) bool {
	s := &h.Share
	return s.MaxCPU-s.CPUUsage >= int64(cpu) && s.MaxMem-s.MemUsage >= int64(memory) && s.MaxDisk-s.DiskUsage >= int64(disk)
}

// AddVM promises capacity to a VM, whether or not the host has it. It reports false, and does nothing, when the VM is there already.
func (h *Host) AddVM(id, cpu, memory, disk int) bool {
	vms, ok := h.VMs.With(id)
	if !ok {
		return false
	}
	h.VMs = vms
	h.Share.RunningVMs++
	h.Resize(cpu, memory, disk)
	return true
}

// RemoveVM takes a VM's capacity back. It reports false, and does nothing, when the VM is not there.
func (h *Host) RemoveVM(id, cpu, memory, disk int) bool {
	vms, ok := h.VMs.Without(id)
	if !ok {
		return false
	}
	h.VMs = vms
	h.Share.RunningVMs--
	h.Resize(-cpu, -memory, -disk)
	return true
}

// Resize changes what is promised to VMs that are there already.
func (h *Host) Resize(cpu, memory, disk int) {
	h.Share.CPUUsage += int64(cpu)
	h.Share.MemUsage += int64(memory)
	h.Share.DiskUsage += int64(disk)
}

// CheckDelete refuses the deletion of a host with VMs.
func (h *Host) CheckDelete() error {
	if h.Share.RunningVMs > 0 {
		return errors.New("Can not remove a host with running VMs")
	}
	return nil
}

// PublicCloud reports whether the host stands for a public cloud.
func (h *Host) PublicCloud() bool {
	public, _ := h.Template.Bool("PUBLIC_CLOUD")
	return public
}
