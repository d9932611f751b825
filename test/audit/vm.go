package audit

import (
	"fmt"
	"slices"

	"goned/core/image"
	"goned/core/resource"
	"goned/core/template"
	"goned/core/vm"
)

// vm checks what a VM says of itself.
func (a *audit) vm(v *vm.VM) {
	fail := func(format string, args ...any) {
		a.fail("VM %d (%s) "+format, append([]any{v.ID, where(v)}, args...)...)
	}
	if v.State != vm.Active && v.LCMState != vm.LCMInit {
		fail("rests with LCM_STATE %s", v.LCMState)
	}
	if v.State == vm.Active && (v.LCMState == vm.LCMInit || v.LCMState == vm.Failure || v.LCMState == vm.CleanupDelete) {
		fail("is in a state that it only passes through")
	}
	if v.State == vm.Active && v.Current() == nil {
		fail("has no history")
	}
	// compat: savedisk is the one action that leaves the wish to be rescheduled.
	if v.Resched && !(v.State == vm.Active && (v.LCMState == vm.Running || v.LCMState == vm.HotplugSaveas)) {
		fail("waits for rescheduling")
	}
	if (v.State == vm.Done || v.State == vm.Failed) && v.ETime == 0 {
		fail("has no ETIME")
	}
	if v.State == vm.Done {
		return
	}
	active := func(states ...vm.LCMState) bool {
		for _, l := range states {
			if v.State == vm.Active && v.LCMState == l {
				return true
			}
		}
		return false
	}
	for _, m := range []struct {
		kind string
		keys []string
		here bool
	}{
		{"DISK", []string{"ATTACH"}, active(vm.Hotplug)},
		{"NIC", []string{"ATTACH"}, active(vm.HotplugNIC)},
		{"SNAPSHOT", []string{"ACTIVE"}, active(vm.HotplugSnapshot)},
		{"DISK", []string{"HOTPLUG_SAVE_AS_ACTIVE", "SAVE_AS_ACTIVE"},
			active(vm.HotplugSaveas, vm.HotplugSaveasPoweroff, vm.HotplugSaveasSuspended)},
	} {
		n := marks(v.Template.Vectors(m.kind), m.keys)
		if m.here && n != 1 || !m.here && n != 0 {
			fail("has %d %s marked %v", n, m.kind, m.keys)
		}
	}
	a.unique(v, "DISK", "DISK_ID")
	a.unique(v, "NIC", "NIC_ID")
	a.unique(v, "SNAPSHOT", "SNAPSHOT_ID")
}

func marks(all []*template.Vector, keys []string) int {
	n := 0
	for _, one := range all {
		for _, key := range keys {
			if one.Get(key) != "" {
				n++
			}
		}
	}
	return n
}

func (a *audit) unique(v *vm.VM, kind, key string) {
	seen := map[string]bool{}
	for _, one := range v.Template.Vectors(kind) {
		if id := one.Get(key); id == "" || seen[id] {
			a.fail("VM %d has two %s with %s %q", v.ID, kind, key, id)
		} else {
			seen[id] = true
		}
	}
}

// history checks that the runs of a VM follow each other.
//
// compat: the record of a migration begins when the migration does, while the VM still runs on the old host: STIME of the one lies
// before ETIME of the other. The times of running never overlap.
func (a *audit) history(v *vm.VM) {
	last := len(v.History) - 1
	for i := range v.History {
		r := &v.History[i]
		fail := func(format string, args ...any) {
			a.fail("VM %d (%s) record %d (%s): "+format, append([]any{v.ID, where(v), i, r.Action}, args...)...)
		}
		if r.OID != v.ID || r.Seq != i {
			fail("OID %d SEQ %d", r.OID, r.Seq)
		}
		if r.STime == 0 {
			fail("no STIME")
		}
		ordered(fail, []named{{"STIME", r.STime}, {"PSTIME", r.PSTime}, {"PETIME", r.PETime}, {"RSTIME", r.RSTime}, {"RETIME", r.RETime},
			{"ESTIME", r.ESTime}, {"EETIME", r.EETime}, {"ETIME", r.ETime}})
		if (r.ETime == 0) != (r.Reason == vm.ReasonNone) && !closing(v, i) {
			fail("ETIME %d, REASON %s", r.ETime, r.Reason)
		}
		if mayBeOpen := open(v, i); r.ETime == 0 && !mayBeOpen {
			fail("is open")
		} else if r.ETime != 0 && mayBeOpen {
			fail("is closed")
		}
		if i == last {
			continue
		}
		next := &v.History[i+1]
		ordered(fail, []named{{"STIME", r.STime}, {"the next STIME", next.STime}})
		ordered(fail, []named{{"RETIME", r.RETime}, {"the next RSTIME", next.RSTime}})
		migrated := r.Action == vm.ActionMigrate || r.Action == vm.ActionLiveMigrate
		if !migrated {
			ordered(fail, []named{{"ETIME", r.ETime}, {"the next STIME", next.STime}})
		}
	}
}

// open reports whether a record must be open where the VM is: the last one while the VM is active, and the one before during a
// migration. In clean-ups all are closed.
func open(v *vm.VM, i int) bool {
	if v.State != vm.Active {
		return false
	}
	switch v.LCMState {
	case vm.CleanupResubmit, vm.HotplugSaveasPoweroff, vm.HotplugSaveasSuspended:
		return false
	case vm.Migrate, vm.SaveMigrate:
		return i >= len(v.History)-2
	}
	return i == len(v.History)-1
}

// closing reports whether a record has its REASON before its ETIME: while the VM's files are moved away.
func closing(v *vm.VM, i int) bool {
	return open(v, i) && (v.LCMState == vm.Epilog || v.LCMState == vm.EpilogStop || v.LCMState == vm.EpilogUndeploy)
}

type named struct {
	name string
	at   int64
}

// ordered checks that the times that are set do not go back.
func ordered(fail func(string, ...any), times []named) {
	var last named
	for _, t := range times {
		if t.at == 0 {
			continue
		}
		if t.at < last.at {
			fail("%s %d lies before %s %d", t.name, t.at, last.name, last.at)
		}
		last = t
	}
}

// sets checks that what names each other does so both ways.
func (a *audit) sets() {
	hosts, datastores, nets := map[int]map[int]bool{}, map[int]map[int]bool{}, map[int]map[int]bool{}
	names := map[int]string{resource.NoCluster: ""}
	for _, c := range a.Clusters {
		hosts[c.ID], datastores[c.ID], nets[c.ID] = map[int]bool{}, map[int]bool{}, map[int]bool{}
		names[c.ID] = c.Name
	}
	join := func(what string, id, clusterID int, clusterName string, members map[int]map[int]bool) {
		if name, ok := names[clusterID]; !ok || name != clusterName {
			a.fail("%s %d is in cluster %d %q, whose name is %q", what, id, clusterID, clusterName, name)
		}
		if members[clusterID] != nil {
			members[clusterID][id] = true
		}
	}
	for _, h := range a.Hosts {
		join("host", h.ID, h.ClusterID, h.Cluster, hosts)
	}
	for _, n := range a.Nets {
		join("network", n.ID, n.ClusterID, n.Cluster, nets)
	}
	images := map[int]map[int]bool{}
	for _, d := range a.Datastores {
		join("datastore", d.ID, d.ClusterID, d.Cluster, datastores)
		images[d.ID] = map[int]bool{}
	}
	for _, c := range a.Clusters {
		name := fmt.Sprintf("cluster %d ", c.ID)
		a.equalIDs(name+"HOSTS", c.Hosts, hosts[c.ID])
		a.equalIDs(name+"DATASTORES", c.Datastores, datastores[c.ID])
		a.equalIDs(name+"VNETS", c.Nets, nets[c.ID])
	}
	for _, img := range a.Images {
		if images[img.DatastoreID] == nil {
			if img.State != image.Delete {
				a.fail("image %d is in datastore %d, which does not exist", img.ID, img.DatastoreID)
			}
			continue
		}
		if img.State != image.Delete {
			images[img.DatastoreID][img.ID] = true
		}
	}
	for _, d := range a.Datastores {
		a.equalIDs(fmt.Sprintf("datastore %d IMAGES", d.ID), slices.Collect(d.Images.All()), images[d.ID])
	}
	a.members()
}

func (a *audit) members() {
	members := map[int]map[int]bool{}
	for _, g := range a.Groups {
		members[g.ID] = map[int]bool{}
	}
	for _, u := range a.Users {
		if !u.Groups.Has(u.GID) {
			a.fail("user %d has primary group %d, but GROUPS %v", u.ID, u.GID, u.Groups)
		}
		for _, gid := range u.Groups {
			if members[gid] == nil {
				a.fail("user %d is in group %d, which does not exist", u.ID, gid)
				continue
			}
			members[gid][u.ID] = true
		}
	}
	for _, g := range a.Groups {
		a.equalIDs(fmt.Sprintf("group %d USERS", g.ID), g.Users, members[g.ID])
	}
}
