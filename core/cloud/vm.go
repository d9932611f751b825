// Package cloud is what happens to several resources at once: a VM that takes images, leases and capacity, a host that joins a
// cluster, a user who leaves. It works on write transactions: whatever an operation has begun is dropped with the transaction
// when it fails.
package cloud

import (
	"fmt"
	"strconv"
	"strings"

	"goned/core/auth"
	"goned/core/message"
	"goned/core/resource"
	"goned/core/state"
	"goned/core/template"
	"goned/core/vm"
)

// attributes of a VM template that are the daemon's and move to TEMPLATE.
var vmSections = []string{"OS", "NIC", "DISK", "CONTEXT", "GRAPHICS", "INPUT", "FEATURES", "RAW"}

// builder is a VM in the making.
type builder struct {
	tx    *state.Tx
	vm    *vm.VM
	owner *auth.Caller
	disks []*diskPlan
}

// AllocateVM makes a VM of a template, which it consumes. The error's text is the detail that 4.6 gives for the same fault.
func AllocateVM(tx *state.Tx, owner *auth.Caller, t *template.Template, hold bool) (*vm.VM, error) {
	id := tx.NextID(state.VMIDs)
	t.Erase("VMID")
	b := &builder{tx: tx, owner: owner, vm: &vm.VM{
		Base: resource.Base{
			ID: id, UID: owner.UID, GID: owner.GID, UName: owner.UName, GName: owner.GName,
			Perms: NewPermissions(tx, owner),
		},
		State: vm.Pending, STime: tx.Now, Template: &template.Template{}, UserTemplate: t,
	}}
	b.vm.Template.AddSimple("VMID", strconv.Itoa(id))
	for _, step := range []func() error{
		b.name, b.capacity, b.sections, b.bootFiles, b.nics, b.images, b.context, b.requirements, b.automaticRequirements, b.graphics,
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	v := b.vm
	if hold || tx.Conf.SubmitOnHold {
		v.State = vm.Hold
	}
	if v.Template.XMLSafe() != nil || v.UserTemplate.XMLSafe() != nil {
		return nil, fmt.Errorf("Error transforming the VM to XML.")
	}
	v.Fresh = true
	tx.VMs.Insert(v)
	tx.Send(message.VMDirectory{VM: id})
	return v, nil
}

// NewPermissions are the bits of an object that a user creates.
func NewPermissions(tx *state.Tx, owner *auth.Caller) resource.Permissions {
	return resource.NewPermissions(owner.Umask, owner.UID, owner.GID, tx.Conf.OtherPermissions)
}

func (b *builder) name() error {
	t := b.vm.UserTemplate
	name, prefix := t.Get("NAME"), t.Get("TEMPLATE_NAME")
	t.Erase("NAME")
	t.Erase("TEMPLATE_NAME")
	if id := t.Get("TEMPLATE_ID"); id != "" {
		b.vm.Template.AddSimple("TEMPLATE_ID", id)
	}
	t.Erase("TEMPLATE_ID")
	if name == "" {
		if prefix == "" {
			prefix = "one"
		}
		name = prefix + "-" + strconv.Itoa(b.vm.ID)
	}
	// The VM shall not hold the request, of which this is a part.
	b.vm.Name = strings.Clone(name)
	return resource.CheckName(name, "")
}

// capacity moves MEMORY, CPU and VCPU, as normalised numbers.
func (b *builder) capacity() error {
	t := b.vm.UserTemplate
	memory, ok := t.Int32("MEMORY")
	if !ok || memory <= 0 {
		return fmt.Errorf("MEMORY attribute must be a positive integer value.")
	}
	cpu, ok := t.Float("CPU")
	if !ok || cpu <= 0 {
		return fmt.Errorf("CPU attribute must be a positive float or integer value.")
	}
	b.vm.Template.AddSimple("MEMORY", strconv.Itoa(int(memory)))
	b.vm.Template.AddSimple("CPU", formatFloat(cpu))
	if t.Get("VCPU") != "" {
		vcpu, ok := t.Int32("VCPU")
		if !ok || vcpu <= 0 {
			return fmt.Errorf("VCPU attribute must be a positive integer value.")
		}
		b.vm.Template.AddSimple("VCPU", strconv.Itoa(int(vcpu)))
	}
	for _, name := range []string{"MEMORY", "CPU", "VCPU"} {
		t.Erase(name)
	}
	return nil
}

// sections moves the attributes that describe the machine. A DISK or NIC that is a plain string means nothing: it is dropped.
func (b *builder) sections() error {
	for _, name := range vmSections {
		for _, a := range b.vm.UserTemplate.Take(name) {
			switch {
			case a.Vec == nil && (name == "DISK" || name == "NIC"):
			default:
				b.vm.Template.Add(a)
			}
		}
	}
	return nil
}

// graphics gives the first GRAPHICS its port.
func (b *builder) graphics() error {
	all := b.vm.Template.All("GRAPHICS")
	if len(all) == 0 || all[0].Vec == nil {
		return nil
	}
	v := all[0].Vec
	if text := v.Get("PORT"); text != "" {
		if n, ok := v.Int32("PORT"); !ok || n < 0 {
			return fmt.Errorf("Wrong PORT number in GRAPHICS attribute")
		}
		return nil
	}
	base := b.tx.Conf.VNCBasePort
	v.Set("PORT", strconv.Itoa(base+b.vm.ID%max(65535-base, 1)))
	return nil
}

// requirements settles which attribute holds the scheduling requirements, and fills in variables.
func (b *builder) requirements() error {
	t := b.vm.UserTemplate
	attrs := t.Take("SCHED_REQUIREMENTS")
	old := t.Take("REQUIREMENTS")
	if len(attrs) == 0 {
		attrs = old
	}
	switch {
	case len(attrs) == 0:
		return nil
	case len(attrs) > 1:
		return fmt.Errorf("Only one SCHED_REQUIREMENTS attribute can be defined.")
	case attrs[0].Vec != nil:
		return fmt.Errorf("Wrong format for SCHED_REQUIREMENTS attribute.")
	}
	text, err := b.substitute(attrs[0].Value)
	if err != nil {
		return err
	}
	t.AddSimple("SCHED_REQUIREMENTS", text)
	return nil
}

// automaticRequirements are what the VM's resources demand of a host: their cluster, and a public cloud only if asked for.
func (b *builder) automaticRequirements() error {
	cluster, err := b.commonCluster()
	if err != nil {
		return err
	}
	text := "!(PUBLIC_CLOUD = YES)"
	if cluster != "" {
		text = "CLUSTER_ID = " + cluster + " & " + text
	}
	var clouds []string
	for _, v := range b.vm.UserTemplate.Vectors("PUBLIC_CLOUD") {
		if kind := v.Get("TYPE"); kind != "" {
			clouds = append(clouds, "HYPERVISOR = "+kind)
		}
	}
	if b.vm.UserTemplate.Has("EC2") {
		clouds = append(clouds, "HYPERVISOR = ec2")
	}
	if len(clouds) > 0 {
		text += " | (PUBLIC_CLOUD = YES & (" + strings.Join(clouds, " | ") + "))"
	}
	b.vm.Template.Replace("AUTOMATIC_REQUIREMENTS", text)
	return nil
}

// commonCluster is the one cluster that all elements with a cluster share; "" when none has one.
func (b *builder) commonCluster() (string, error) {
	cluster := ""
	fits := func(other string) bool {
		if other != "" && cluster == "" {
			cluster = other
		}
		return other == "" || other == cluster
	}
	for i, d := range b.vm.Template.Vectors("DISK") {
		if !fits(d.Get("CLUSTER_ID")) {
			return "", fmt.Errorf("Incompatible clusters in DISK. Datastore for DISK %d is not the same as the one used by other VM elements (cluster %s)", i, cluster)
		}
	}
	os := b.vm.Template.Vector("OS")
	for _, x := range []string{"KERNEL", "INITRD"} {
		if !fits(os.Get(x + "_CLUSTER_ID")) {
			return "", fmt.Errorf("Incompatible cluster in %s datastore, it should be in cluster %s.", x, cluster)
		}
	}
	for i, n := range b.vm.Template.Vectors("NIC") {
		if !fits(n.Get("CLUSTER_ID")) {
			return "", fmt.Errorf("Incompatible clusters in NIC. Network for NIC %d is not the same as the one used by other VM elements (cluster %s)", i, cluster)
		}
	}
	return cluster, nil
}

// formatFloat writes a number as 4.6 does: a 32-bit float in six significant digits.
func formatFloat(v float64) string { return strconv.FormatFloat(float64(float32(v)), 'g', 6, 64) }
