package rpc

import (
	"bytes"
	"reflect"
	"strconv"

	"goned/core/auth"
	"goned/core/cloud"
	"goned/core/hook"
	"goned/core/lifecycle"
	"goned/core/quota"
	"goned/core/refusal"
	"goned/core/resource"
	"goned/core/state"
	"goned/core/template"
	"goned/core/vm"
)

var vms = &family[*vm.VM]{
	kind: resource.VM, root: "VM_POOL",
	pool:     func(s *state.Snapshot) *state.Pool[*vm.VM] { return &s.VMs },
	edit:     func(tx *state.Tx) *state.Editor[*vm.VM] { return tx.VMs },
	document: vmDocument,
	name:     func(v *vm.VM) *string { return &v.Name },
	body:     func(v *vm.VM) **template.Template { return &v.UserTemplate },
	base:     func(v *vm.VM) *resource.Base { return &v.Base },
	updating: func(c *Call, _ *state.Tx, v *vm.VM, t *template.Template, appending bool) error {
		if !c.Privileged() {
			keepRestricted(v.UserTemplate, t, c.Conf().VMRestricted, appending)
		}
		replaceOrAppend(&v.UserTemplate, t, appending)
		return nil
	},
	chowned: func(_ *Call, tx *state.Tx, v *vm.VM, from resource.Base) error {
		if v.State == vm.Done {
			// It counts for nobody any more.
			return nil
		}
		return cloud.ChangeOwner(tx, from, v.Base, cloud.VMUse(v)...)
	},
}

// vmDocument is a VM with all its history records, where listings have the last one only.
func vmDocument(s *state.Snapshot, v *vm.VM) Document {
	doc := Document(s.VMs.Reloaded(v.ID))
	if len(v.History) < 2 {
		return doc
	}
	last := doc[len(doc)-1]
	// The last one is it: a value of a template before it may contain the same.
	records := bytes.LastIndex(last, []byte("&lt;HISTORY_RECORDS&gt;"))
	if records < 0 {
		return escaped(v.InfoXML())
	}
	doc[len(doc)-1] = last[:records]
	return append(doc, resource.AppendEscaped(nil, v.AppendHistory(nil)), []byte("&lt;/VM&gt;"))
}

func vmMethods() []*Method {
	return []*Method{
		{Name: "one.vm.deploy", Log: "VirtualMachineDeploy",
			Help:   "Deploys a virtual machine",
			Errors: "2048 wrong state; no system datastore, or one of another cluster; with enforce, no room on the host. 8192 not a system datastore",
			Auth:   "ADMIN VM, MANAGE HOST", Result: "VM id",
			Params: idAnd(intParam("host"), boolParam("enforce").or(false), intParam("datastore").or(-1)), Handler: vmDeploy},
		{Name: "one.vm.action", Log: "VirtualMachineAction",
			Help:   "Starts an action on a VM: shutdown, shutdown-hard, undeploy, undeploy-hard, poweroff, poweroff-hard, reboot, reboot-hard, stop, suspend, resume, boot, hold, release, delete, delete-recreate, resched or unresched",
			Errors: "2048 there is no such action, or not in this state",
			Auth:   "MANAGE VM; resched, unresched: ADMIN VM", Result: "VM id",
			Params: []Param{strParam("action"), intParam("id")}, Handler: vmAction},
		{Name: "one.vm.migrate", Log: "VirtualMachineMigrate",
			Help:   "Moves a running VM to another host, live or by way of a saved state",
			Errors: "2048 wrong state; the same host, one of another cluster or a public cloud; with enforce, no room on the host",
			Auth:   "ADMIN VM, MANAGE HOST", Result: "VM id",
			Params: idAnd(intParam("host"), boolParam("live"), boolParam("enforce").or(false)), Handler: vmMigrate},
		{Name: "one.vm.savedisk", Log: "VirtualMachineSaveDisk",
			Help:   "Makes an image of a disk of a VM, at once or when the VM ends",
			Errors: "512 over quota. 2048 the datastore is full; the VM has no template to copy. 8192 wrong state; a disk that cannot be saved; the name is taken",
			Auth:   "MANAGE VM, CREATE IMAGE, USE DATASTORE; USE and CREATE TEMPLATE with a copy of the template", Result: "new image id",
			Params: idAnd(intParam("disk"), strParam("name"), strParam("type"), boolParam("hot").or(false), boolParam("clone_template").or(false)), Handler: vmSaveDisk},
		{Name: "one.vm.allocate", Log: "VirtualMachineAllocate",
			Help:   "Makes a VM",
			Errors: "512 a restricted attribute; over quota. 8192 the text does not parse or makes no VM",
			Auth:   "CREATE VM, USE IMAGE, USE NET", Result: "VM id",
			Params: []Param{strParam("template"), boolParam("hold").or(false).late()}, Handler: vmAllocate},
		{Name: "one.vm.info", Log: "VirtualMachineInfo",
			Help: "Returns virtual machine instance information",
			Auth: "USE VM", Result: "VM document", Params: idAnd(), Handler: vms.info},
		{Name: "one.vm.chown", Log: "VirtualMachineChown",
			Help:   "Gives a VM to another user, another group or both",
			Errors: "512 over the quota of the new user or group",
			Auth:   "MANAGE VM, MANAGE USER, USE GROUP", Result: "VM id",
			Params: idAnd(intParam("user"), intParam("group")), Handler: vms.chown},
		{Name: "one.vm.chmod", Log: "VirtualMachineChmod",
			Help:   "Changes the permission bits of a VM",
			Errors: "512 bits of others, where ENABLE_OTHER_PERMISSIONS forbids them. 8192 a value that is not -1, 0 or 1",
			Auth:   "MANAGE or ADMIN VM", Result: "VM id", Params: chmodParams(), Handler: vms.chmod},
		{Name: "one.vm.monitoring", Log: "VirtualMachineMonitoring",
			Help: "Lists the monitoring samples of a VM, the oldest first",
			Auth: "USE VM", Result: "MONITORING_DATA document", Params: idAnd(), Handler: vmMonitoring},
		{Name: "one.vm.attach", Log: "VirtualMachineAttach",
			Help:   "Attaches a disk to a running VM",
			Errors: "512 over the owner's quota. 2048 wrong state; not one DISK, or one that cannot be attached. 8192 the text does not parse",
			Auth:   "MANAGE VM, USE IMAGE", Result: "VM id", Params: idAnd(strParam("disk")), Handler: vmAttach},
		{Name: "one.vm.detach", Log: "VirtualMachineDetach",
			Help:   "Detaches a disk from a running VM",
			Errors: "2048 wrong state; there is no such disk",
			Auth:   "MANAGE VM", Result: "VM id", Params: idAnd(intParam("disk")), Handler: vmDetach},
		{Name: "one.vm.attachnic", Log: "VirtualMachineAttachNic",
			Help:   "Attaches a network interface to a running VM",
			Errors: "512 a restricted attribute; over the owner's quota. 2048 wrong state; not one NIC, or one that cannot be attached. 8192 the text does not parse",
			Auth:   "MANAGE VM, USE NET", Result: "VM id", Params: idAnd(strParam("nic")), Handler: vmAttachNIC},
		{Name: "one.vm.detachnic", Log: "VirtualMachineDetachNic",
			Help:   "Detaches a network interface from a running VM",
			Errors: "2048 wrong state; there is no such interface",
			Auth:   "MANAGE VM", Result: "VM id", Params: idAnd(intParam("nic")), Handler: vmDetachNIC},
		{Name: "one.vm.rename", Log: "VirtualMachineRename",
			Help:   "Gives a VM another name",
			Errors: "2048 a name that is not allowed",
			Auth:   "MANAGE VM", Result: "VM id", Params: idAnd(strParam("name")), Handler: vms.rename},
		{Name: "one.vm.resize", Log: "VirtualMachineResize",
			Help:   "Changes CPU, MEMORY or VCPU of a VM that does not run",
			Errors: "512 a restricted attribute; over the owner's quota. 2048 wrong state; no room on the host. 8192 the text does not parse; negative values",
			Auth:   "MANAGE VM", Result: "VM id",
			Params: idAnd(strParam("template"), boolParam("enforce")), Handler: vmResize},
		{Name: "one.vm.update", Log: "VirtualMachineUpdateTemplate",
			Help:   "Replaces a VM's own attributes (USER_TEMPLATE), or changes some of them; restricted ones stay as they are",
			Errors: "4096 a type that is neither 0 nor 1. 8192 the text does not parse or cannot be stored",
			Auth:   "MANAGE VM", Result: "VM id", Params: updateParams(), Handler: vms.update},
		{Name: "one.vm.snapshotcreate", Log: "VirtualMachineSnapshotCreate",
			Help:   "Takes a snapshot of a running VM",
			Errors: "2048 wrong state",
			Auth:   "MANAGE VM", Result: "snapshot id", Params: idAnd(strParam("name")), Handler: vmSnapshotCreate},
		{Name: "one.vm.snapshotrevert", Log: "VirtualMachineSnapshotRevert",
			Help:   "Sets a running VM back to a snapshot",
			Errors: "2048 wrong state; there is no such snapshot",
			Auth:   "MANAGE VM", Result: "VM id", Params: idAnd(intParam("snapshot")), Handler: vmSnapshotRevert},
		{Name: "one.vm.snapshotdelete", Log: "VirtualMachineSnapshotDelete",
			Help:   "Deletes a snapshot of a running VM",
			Errors: "2048 wrong state; there is no such snapshot",
			Auth:   "MANAGE VM", Result: "VM id", Params: idAnd(intParam("snapshot")), Handler: vmSnapshotDelete},
		{Name: "one.vm.recover", Log: "VirtualMachineRecover",
			Help:   "Ends what a VM waits for, as if the driver had answered",
			Errors: "2048 the VM is not active",
			Auth:   "ADMIN VM", Result: "VM id", Params: idAnd(boolParam("success")), Handler: vmRecover},
		{Name: "one.vmpool.info", Log: "VirtualMachinePoolInfo",
			Help:   "Lists the VMs that pass a filter, with their last history record",
			Errors: "4096 a filter flag below -3, a state outside -2..7",
			Auth:   "USE VM (filter)", Result: "VM_POOL document",
			Params: append(rangeParams(), intParam("state")), Handler: vmPool},
		{Name: "one.vmpool.accounting", Log: "VirtualMachinePoolAccounting",
			Help:   "Lists the history records that overlap a time, with their VMs",
			Errors: "4096 a filter flag below -3",
			Auth:   "USE VM (filter)", Result: "HISTORY_RECORDS document",
			Params: []Param{intParam("filter"), intParam("start"), intParam("end")}, Handler: vmAccounting},
		{Name: "one.vmpool.monitoring", Log: "VirtualMachinePoolMonitoring",
			Help:   "Lists the monitoring samples of VMs",
			Errors: "4096 a filter flag below -3",
			Auth:   "USE VM (filter)", Result: "MONITORING_DATA document",
			Params: []Param{intParam("filter")}, Handler: vmPoolMonitoring},
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

func vmAllocate(c *Call) (any, error) {
	// Callers parse side by side; what follows they do one after the other.
	parsed, wrong := template.Parse(c.Str(1))
	var id int
	err := c.Update(func(tx *state.Tx) error {
		if wrong != nil {
			return refusal.OfAllocation(resource.VM.Noun(), wrong.Error())
		}
		t := parsed.Clone() // the VM consumes it, and the transaction may run again
		if err := c.ReadLate(); err != nil {
			return err
		}
		if !c.Privileged() {
			if attr, found := t.Restricted(c.Conf().VMRestricted); found {
				return refusal.Denied("VM Template includes a restricted attribute " + attr)
			}
		}
		create := c.ToCreate(resource.VM, t)
		var err error
		id, err = newVM(c, tx, t, []auth.Check{create}, c.Bool(2))
		return err
	})
	return id, err
}

// newVM makes a VM of a template if the caller may: checks, then the use of each image and network, then quotas.
func newVM(c *Call, tx *state.Tx, t *template.Template, checks []auth.Check, hold bool) (int, error) {
	var asked []quota.Request
	if !c.Root() {
		checks = append(checks, usedByVM(tx.View(), t, c.UID)...)
		if err := c.Authorize(tx.View(), checks...); err != nil {
			return 0, err
		}
		asked = quota.OfNewVM(t)
		if err := cloud.Charge(tx, c.UID, c.GID, asked...); err != nil {
			return 0, err
		}
	}
	v, err := cloud.AllocateVM(tx, &c.Caller, t, hold)
	if err != nil {
		return 0, refusal.OfAllocation(resource.VM.Noun(), err.Error())
	}
	if !c.Root() {
		if err := recharge(tx, c.UID, c.GID, asked, cloud.VMUse(v)); err != nil {
			return 0, err
		}
	}
	hook.VMCreated(tx, v)
	return v.ID, nil
}

// recharge counts what was made instead of what was asked for: that is what will be given back. A disk can have been something else
// in the text, TYPE=fs with an image, say.
func recharge(tx *state.Tx, uid, gid int, asked, made []quota.Request) error {
	if reflect.DeepEqual(asked, made) {
		return nil
	}
	cloud.Discharge(tx, uid, gid, asked...)
	return cloud.Charge(tx, uid, gid, made...)
}

// usedByVM are the checks for the images and networks that a template names. What cannot be found is left to the allocation to
// refuse; what is found by name is written down by number, which quotas go by.
func usedByVM(s *state.Snapshot, t *template.Template, uid int) []auth.Check {
	var checks []auth.Check
	for _, disk := range t.Vectors("DISK") {
		if check, ok := imageCheck(s, disk, uid); ok {
			checks = append(checks, check)
		}
	}
	for _, nic := range t.Vectors("NIC") {
		if check, ok := netCheck(s, nic, uid); ok {
			checks = append(checks, check)
		}
	}
	return checks
}

func imageCheck(s *state.Snapshot, disk *template.Vector, uid int) (auth.Check, bool) {
	img, err := cloud.FindImage(s, disk, uid)
	if err != nil || img == nil {
		return auth.Check{}, false
	}
	if disk.Get("IMAGE") != "" {
		disk.Set("IMAGE_ID", itoa(img.ID))
	}
	return auth.On(auth.Use, resource.Image, img), true
}

func netCheck(s *state.Snapshot, nic *template.Vector, uid int) (auth.Check, bool) {
	n, err := cloud.FindNetwork(s, nic, uid)
	if err != nil || n == nil {
		return auth.Check{}, false
	}
	if nic.Get("NETWORK") != "" {
		nic.Set("NETWORK_ID", itoa(n.ID))
	}
	return auth.On(auth.Use, resource.Net, n), true
}

// findVM is the VM that the caller may do op with. Methods that act on a VM look for it before they ask for rights, whatever its number.
func findVM(c *Call, s *state.Snapshot, op auth.Op, id int, more ...auth.Check) (*vm.VM, error) {
	v := s.VMs.Get(id)
	if v == nil {
		return nil, refusal.NotFound(resource.VM.Noun(), id)
	}
	return v, c.Authorize(s, append([]auth.Check{auth.On(op, resource.VM, v)}, more...)...)
}

// onVM runs a change of a VM that the caller may do op with.
func onVM(c *Call, id int, op auth.Op, change func(tx *state.Tx, v *vm.VM) error) (any, error) {
	return c.UpdateID(id, func(tx *state.Tx) error {
		v, err := findVM(c, tx.View(), op, id)
		if err != nil {
			return err
		}
		return change(tx, v)
	})
}

func vmAction(c *Call) (any, error) {
	name := c.Str(1)
	event, known := lifecycle.ParseAction(name)
	op := auth.Manage
	if event == lifecycle.Resched || event == lifecycle.Unresched {
		op = auth.Admin
	}
	return onVM(c, c.Int(2), op, func(tx *state.Tx, v *vm.VM) error {
		if !known {
			return refusal.OfAction(`Virtual machine action "` + name + `" is not supported`)
		}
		err := lifecycle.Act(tx, v.ID, event)
		if err != nil {
			if line := lifecycle.RefusedLine(v, event); line != "" {
				c.srv.log.Error(line, "module", "DiM")
			}
		}
		return err
	})
}

func vmRecover(c *Call) (any, error) {
	return onVM(c, c.Int(1), auth.Admin, func(tx *state.Tx, v *vm.VM) error { return lifecycle.Recover(tx, v.ID, c.Bool(2)) })
}

// vmPool lists VMs in a state: -2 any, -1 any but DONE, else that state. 4.6 knows no numbers above FAILED here.
func vmPool(c *Call) (any, error) {
	want := c.Int(4)
	if want < -2 || want > int(vm.Failed) {
		return nil, refusal.New(refusal.XMLRPCAPI, "Incorrect filter_flag, state", "")
	}
	return vms.listing(c, c.Int(1), c.Int(2), c.Int(3), func(state int32) bool {
		switch want {
		case -2:
			return true
		case -1:
			return vm.State(state) != vm.Done
		}
		return int(state) == want
	})
}

func vmMonitoring(c *Call) (any, error) {
	id := c.Int(1)
	if _, err := c.Read(func(s *state.Snapshot) (any, error) { return findVM(c, s, auth.Use, id) }); err != nil {
		return nil, err
	}
	return c.samples("SELECT body FROM vm_monitoring WHERE vmid = ? ORDER BY last_poll", id)
}

func vmPoolMonitoring(c *Call) (any, error) {
	return vms.samplesOf(c, c.Int(1), vmSamples)
}

// vmAccounting lists the history records that overlap a time.
func vmAccounting(c *Call) (any, error) {
	where, args := "", []any{}
	if start := c.Int(2); start != -1 {
		where += " AND (etime > ? OR etime = 0)"
		args = append(args, start)
	}
	if end := c.Int(3); end != -1 {
		where += " AND stime < ?"
		args = append(args, end)
	}
	bodies, err := vms.rowsOf(c, c.Int(1), vmHistory, where, args...)
	if err != nil {
		return nil, err
	}
	out := append(Document{[]byte("&lt;HISTORY_RECORDS&gt;")}, bodies...)
	return append(out, []byte("&lt;/HISTORY_RECORDS&gt;")), nil
}

// keepRestricted takes restricted attributes out of a text with which a user updates a VM; when the text replaces everything, the
// old ones stay.
func keepRestricted(old, text *template.Template, restricted []string, appending bool) {
	text.RemoveRestricted(restricted)
	if appending {
		return
	}
	for _, a := range old.RestrictedAttrs(restricted) {
		text.Erase(a.Name)
	}
	for _, a := range old.RestrictedAttrs(restricted) {
		text.Add(a)
	}
}
