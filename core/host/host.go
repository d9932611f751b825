// Package host is a hypervisor host: its document, its states, its capacity, and what a monitoring answer does to it. Nothing here
// does I/O or reads a clock.
package host

import (
	"errors"
	"fmt"

	"goned/core/resource"
	"goned/core/template"
	"goned/core/template/xmldoc"
)

// State is the state of a host; the numbers are 4.6's.
type State int

// The states. Those named Monitoring… are what the state behind it becomes while an answer is awaited.
const (
	Init State = iota
	MonitoringMonitored
	Monitored
	Error
	Disabled
	MonitoringError
	MonitoringInit
	MonitoringDisabled
)

// Share is the capacity of a host and how much of it is used. CPU is in percent of one core, memory in KB, disk in MB.
type Share struct {
	DiskUsage, MemUsage, CPUUsage int64 // what the VMs on the host were promised
	MaxDisk, MaxMem, MaxCPU       int64 // what there is, less what is reserved
	FreeDisk, FreeMem, FreeCPU    int64 // as monitored
	UsedDisk, UsedMem, UsedCPU    int64 // as monitored
	RunningVMs                    int64
	// Datastores holds a DS for each system datastore that is local to the host.
	Datastores *template.Template
}

// Host is a host. One in a pool is not changed; Clone gives a copy that may be.
type Host struct {
	ID                  int
	Name                string
	State               State
	IMMad, VMMad, VNMad string
	// LastMonTime is when the host was asked, or answered, last; seconds since 1970.
	LastMonTime int64
	// ClusterID is resource.NoCluster, and Cluster empty, when it is in none.
	ClusterID int
	Cluster   string
	Share     Share
	VMs       resource.IDs
	Template  *template.Template

	// Candidates of the last good answer, of which the next one makes zombies and lost VMs. They live in memory only: after a
	// restart there is one more cycle of grace, as in 4.6.
	strays, missing resource.IDs
}

// New makes a host that was never monitored. The error's text is 4.6's.
func New(id int, name, im, vmm, vnm string, clusterID int, cluster string) (*Host, error) {
	if err := resource.CheckName(name, ""); err != nil {
		return nil, err
	}
	switch {
	case im == "":
		return nil, errors.New("IM_MAD_NAME cannot be empty.")
	case vmm == "":
		return nil, errors.New("VMM_MAD_NAME cannot be empty.")
	case vnm == "":
		return nil, errors.New("VNM_MAD_NAME cannot be empty.")
	}
	t := &template.Template{}
	t.AddSimple("RESERVED_CPU", "")
	t.AddSimple("RESERVED_MEM", "")
	return &Host{
		ID: id, Name: name, IMMad: im, VMMad: vmm, VNMad: vnm, ClusterID: clusterID, Cluster: cluster, Template: t,
		Share: Share{Datastores: &template.Template{}},
	}, nil
}

// OID is the host's number.
func (h *Host) OID() int { return h.ID }

// Label is the host's name.
func (h *Host) Label() string { return h.Name }

// Access gives a host to oneadmin, who may use and manage it.
func (h *Host) Access() resource.Access {
	return resource.Access{Cluster: h.ClusterID, Perms: resource.OwnerU | resource.OwnerM}
}

// Key is the name, unique among all hosts.
func (h *Host) Key() string { return h.Name }

// Clone is a deep copy.
func (h *Host) Clone() *Host {
	c := *h
	c.Template = h.Template.Clone()
	c.Share.Datastores = h.Share.Datastores.Clone()
	return &c
}

// PoolXML is the document, the same in the database, in listings and for one.host.info.
func (h *Host) PoolXML() []byte {
	dst := append(make([]byte, 0, 2048), "<HOST>"...)
	dst = resource.AppendInt(dst, "ID", int64(h.ID))
	dst = resource.AppendText(dst, "NAME", h.Name)
	dst = resource.AppendInt(dst, "STATE", int64(h.State))
	dst = resource.AppendCDATA(dst, "IM_MAD", h.IMMad)
	dst = resource.AppendCDATA(dst, "VM_MAD", h.VMMad)
	dst = resource.AppendCDATA(dst, "VN_MAD", h.VNMad)
	dst = resource.AppendInt(dst, "LAST_MON_TIME", h.LastMonTime)
	dst = resource.AppendInt(dst, "CLUSTER_ID", int64(h.ClusterID))
	dst = resource.AppendText(dst, "CLUSTER", h.Cluster)
	dst = h.Share.appendXML(dst)
	dst = h.VMs.AppendXML(dst, "VMS")
	dst = h.Template.AppendXML(dst, "TEMPLATE")
	return append(dst, "</HOST>"...)
}

// shareElement is a counter in the order of the document.
type shareElement struct {
	name string
	n    *int64
}

func (s *Share) elements() [13]shareElement {
	return [13]shareElement{
		{"DISK_USAGE", &s.DiskUsage}, {"MEM_USAGE", &s.MemUsage}, {"CPU_USAGE", &s.CPUUsage},
		{"MAX_DISK", &s.MaxDisk}, {"MAX_MEM", &s.MaxMem}, {"MAX_CPU", &s.MaxCPU},
		{"FREE_DISK", &s.FreeDisk}, {"FREE_MEM", &s.FreeMem}, {"FREE_CPU", &s.FreeCPU},
		{"USED_DISK", &s.UsedDisk}, {"USED_MEM", &s.UsedMem}, {"USED_CPU", &s.UsedCPU},
		{"RUNNING_VMS", &s.RunningVMs},
	}
}

func (s *Share) appendXML(dst []byte) []byte {
	dst = append(dst, "<HOST_SHARE>"...)
	for _, e := range s.elements() {
		dst = resource.AppendInt(dst, e.name, *e.n)
	}
	dst = s.Datastores.AppendXML(dst, "DATASTORES")
	return append(dst, "</HOST_SHARE>"...)
}

// Parse reads a database body. As in 4.6, every element must be there.
func Parse(body string) (*Host, error) {
	doc, err := xmldoc.Parse(body)
	if err != nil {
		return nil, fmt.Errorf("host body: %w", err)
	}
	r := resource.Reader{Node: doc}
	h := &Host{
		ID: r.Int("ID"), Name: r.Text("NAME"), State: State(r.Int("STATE")),
		IMMad: r.Text("IM_MAD"), VMMad: r.Text("VM_MAD"), VNMad: r.Text("VN_MAD"),
		LastMonTime: r.Int64("LAST_MON_TIME"), ClusterID: r.Int("CLUSTER_ID"), Cluster: r.Text("CLUSTER"),
		VMs:      resource.ReadIDs(r.Element("VMS")),
		Template: template.FromElement(r.Element("TEMPLATE")),
	}
	if share := r.Element("HOST_SHARE"); share != nil {
		s := resource.Reader{Node: share}
		for _, e := range h.Share.elements() {
			*e.n = s.Int64(e.name)
		}
		h.Share.Datastores = template.FromElement(s.Element("DATASTORES"))
		if r.Err == nil {
			r.Err = s.Err
		}
	}
	if r.Err != nil {
		return nil, fmt.Errorf("host body %d: %w", h.ID, r.Err)
	}
	return h, nil
}
