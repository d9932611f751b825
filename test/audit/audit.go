// Package audit checks that the books of a cloud balance: what is counted in one place is what is there in the others. It looks at
// documents only, and counts by itself instead of asking the packages that it checks.
package audit

import (
	"fmt"
	"maps"
	"slices"

	"goned/core/cluster"
	"goned/core/datastore"
	"goned/core/group"
	"goned/core/host"
	"goned/core/image"
	"goned/core/quota"
	"goned/core/state"
	"goned/core/user"
	"goned/core/vm"
	"goned/core/vnet"
)

// Cloud is what is audited: all objects, of one moment.
type Cloud struct {
	VMs                     []*vm.VM
	Hosts                   []*host.Host
	Images                  []*image.Image
	Nets                    []*vnet.VNet
	Datastores              []*datastore.Datastore
	Clusters                []*cluster.Cluster
	Users                   []*user.User
	Groups                  []*group.Group
	UserQuotas, GroupQuotas []*quota.Account
}

// Of is the cloud that a snapshot holds.
func Of(s *state.Snapshot) *Cloud {
	return &Cloud{
		VMs: slices.Collect(s.VMs.All()), Hosts: slices.Collect(s.Hosts.All()), Images: slices.Collect(s.Images.All()),
		Nets: slices.Collect(s.Nets.All()), Datastores: slices.Collect(s.Datastores.All()), Clusters: slices.Collect(s.Clusters.All()),
		Users: slices.Collect(s.Users.All()), Groups: slices.Collect(s.Groups.All()),
		UserQuotas: slices.Collect(s.UserQuotas.All()), GroupQuotas: slices.Collect(s.GroupQuotas.All()),
	}
}

// Check lists what is wrong.
func (c *Cloud) Check() []string {
	a := &audit{Cloud: c}
	a.hosts()
	a.images()
	a.leases()
	a.quotas()
	a.sets()
	for _, v := range c.VMs {
		a.vm(v)
		a.history(v)
	}
	return a.problems
}

type audit struct {
	*Cloud
	problems []string
}

func (a *audit) fail(format string, args ...any) {
	a.problems = append(a.problems, fmt.Sprintf(format, args...))
}

func (a *audit) equalIDs(what string, got []int, want map[int]bool) {
	same := len(got) == len(want) && slices.IsSorted(got)
	for _, id := range got {
		same = same && want[id]
	}
	if !same {
		a.fail("%s: %v, but there are %v", what, got, slices.Sorted(maps.Keys(want)))
	}
}

func (a *audit) equal(what string, got, want int64) {
	if got != want {
		a.fail("%s: %d, but it should be %d", what, got, want)
	}
}

// HostsOf are the hosts whose capacity a VM holds. A VM that migrates holds both.
func HostsOf(v *vm.VM) []int {
	cur, prev := v.Current(), v.Previous()
	if cur == nil {
		return nil
	}
	switch v.State {
	case vm.Suspended, vm.Poweroff:
		return []int{cur.HID}
	case vm.Active:
	default:
		return nil
	}
	switch v.LCMState {
	case vm.LCMInit, vm.Failure, vm.CleanupDelete, vm.CleanupResubmit:
		return nil
	case vm.Migrate, vm.SaveMigrate:
		return []int{cur.HID, prev.HID}
	}
	return []int{cur.HID}
}

func (a *audit) hosts() {
	type sums struct {
		cpu, memory int64
		vms         map[int]bool
	}
	want := map[int]*sums{}
	for _, h := range a.Hosts {
		want[h.ID] = &sums{vms: map[int]bool{}}
	}
	for _, v := range a.VMs {
		for _, id := range HostsOf(v) {
			s := want[id]
			if s == nil {
				a.fail("VM %d (%s) is on host %d, which does not exist", v.ID, where(v), id)
				continue
			}
			cpu, _ := v.Template.Float("CPU")
			memory, _ := v.Template.Int("MEMORY")
			s.cpu += int64(float32(cpu) * 100)
			s.memory += memory * 1024
			s.vms[v.ID] = true
		}
	}
	for _, h := range a.Hosts {
		w, name := want[h.ID], fmt.Sprintf("host %d ", h.ID)
		a.equalIDs(name+"VMS", h.VMs, w.vms)
		a.equal(name+"RUNNING_VMS", h.Share.RunningVMs, int64(len(w.vms)))
		a.equal(name+"CPU_USAGE", h.Share.CPUUsage, w.cpu)
		a.equal(name+"MEM_USAGE", h.Share.MemUsage, w.memory)
		a.equal(name+"DISK_USAGE", h.Share.DiskUsage, 0)
	}
}

func where(v *vm.VM) string {
	if v.State == vm.Active {
		return v.LCMState.String()
	}
	return v.State.String()
}

func (a *audit) images() {
	users, clones := map[int]map[int]bool{}, map[int]map[int]bool{}
	for _, img := range a.Images {
		users[img.ID], clones[img.ID] = map[int]bool{}, map[int]bool{}
	}
	for _, v := range a.VMs {
		if v.State == vm.Done {
			continue
		}
		for _, disk := range v.Template.Vectors("DISK") {
			id, ok := disk.Int("IMAGE_ID")
			switch {
			case !ok:
			case users[int(id)] == nil:
				a.fail("VM %d has a disk of image %d, which does not exist", v.ID, id)
			default:
				users[int(id)][v.ID] = true
			}
		}
	}
	for _, img := range a.Images {
		if img.CloningID == -1 {
			continue
		}
		if clones[img.CloningID] == nil {
			a.fail("image %d is being cloned from image %d, which does not exist", img.ID, img.CloningID)
			continue
		}
		clones[img.CloningID][img.ID] = true
	}
	for _, img := range a.Images {
		name := fmt.Sprintf("image %d (%s) ", img.ID, img.State)
		a.equalIDs(name+"VMS", slices.Collect(img.VMs.All()), users[img.ID])
		a.equal(name+"RUNNING_VMS", int64(img.RunningVMs), int64(len(users[img.ID])))
		a.equalIDs(name+"CLONES", slices.Collect(img.Clones.All()), clones[img.ID])
		a.equal(name+"CLONING_OPS", int64(img.CloningOps), int64(len(clones[img.ID])))
		a.imageState(name, img)
	}
}

func (a *audit) imageState(name string, img *image.Image) {
	inUse, cloned := img.RunningVMs > 0, img.CloningOps > 0
	ok := true
	switch img.State {
	case image.Used:
		ok = inUse || cloned
	case image.UsedPers:
		ok = img.RunningVMs == 1 && !cloned && img.Persistent
	case image.Clone:
		ok = cloned && !inUse && img.Persistent
	default:
		ok = !inUse && !cloned
	}
	if !ok {
		a.fail("%sdoes not fit %d VMs, %d clones, persistent %v", name, img.RunningVMs, img.CloningOps, img.Persistent)
	}
}

func (a *audit) leases() {
	type address struct {
		net int
		ip  vnet.IP
	}
	owner := map[address]int{}
	for _, v := range a.VMs {
		if v.State == vm.Done {
			continue
		}
		for _, nic := range v.Template.Vectors("NIC") {
			id, ok := nic.Int("NETWORK_ID")
			if !ok {
				continue
			}
			ip, _ := vnet.ParseIP(nic.Get("IP"))
			if other, taken := owner[address{int(id), ip}]; taken {
				a.fail("address %s of network %d is VM %d's and VM %d's", ip, id, other, v.ID)
			}
			owner[address{int(id), ip}] = v.ID
		}
	}
	for _, n := range a.Nets {
		used := 0
		for l := range n.Leases() {
			if l.Used {
				used++
			}
			want, owned := owner[address{n.ID, l.IP}]
			delete(owner, address{n.ID, l.IP})
			switch {
			case owned && (!l.Used || l.VID != want):
				a.fail("network %d: %s is VM %d's, but the lease says used %v by %d", n.ID, l.IP, want, l.Used, l.VID)
			case !owned && l.VID != vnet.Held:
				a.fail("network %d: %s is leased to VM %d, which has no such NIC", n.ID, l.IP, l.VID)
			}
		}
		a.equal(fmt.Sprintf("network %d TOTAL_LEASES", n.ID), int64(n.Used()), int64(used))
	}
	for at, vid := range owner {
		a.fail("VM %d has address %s of network %d, which knows no such lease", vid, at.ip, at.net)
	}
}
