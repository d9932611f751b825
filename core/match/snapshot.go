package match

import (
	"fmt"
	"sort"
	"strings"

	"goned/core/template"
	"goned/core/template/xmldoc"
)

// Snapshot is the cloud as one pass of the scheduler sees it. All slices are
// in ascending order of id.
type Snapshot struct {
	Zone             int
	VMs              []*VM
	Hosts            []*Host
	SystemDatastores []*Datastore
	ImageDatastores  []*Datastore
	Rules            []Rule
}

// Host is a host that takes machines (monitored, or being monitored for the
// first time).
type Host struct {
	ID        int
	Name      string
	ClusterID int   // -1 without cluster
	CPUUsage  int64 // percent of one CPU, as all CPU figures
	MaxCPU    int64
	MemUsage  int64 // KB
	MaxMem    int64 // KB
	FreeDisk  int64 // MB
	// LocalFree is the free space in MB of the system datastores this host
	// reported itself.
	LocalFree map[int]int64
	// Public marks a host that stands for a public cloud.
	Public bool

	vms map[int32]bool
	doc *xmldoc.Node
}

// Datastore is a system or an image datastore.
type Datastore struct {
	ID        int
	Name      string
	ClusterID int
	UID, GID  int
	FreeMB    int64 // what may be used: free space, or what LIMIT_MB leaves
	Shared    bool
	Monitored bool

	use struct{ owner, group, other bool } // the USE permissions
	doc *xmldoc.Node
}

// central reports whether the datastore's own figure counts; else each host
// has one.
func (d *Datastore) central() bool { return d.Shared && d.Monitored }

// VM is a machine that waits for a place or for another one.
type VM struct {
	ID, UID, GID int
	Name         string
	CPU          int64 // percent
	Memory       int64 // KB
	Disk         int64 // MB in the system datastore
	// Images is the space in MB its disks take in image datastores.
	Images []ImageUse
	// Resched asks for another host than HostID, with the same datastore.
	Resched             bool
	HostID, DatastoreID int // -1 if it never ran
	// Public allows hosts that stand for a public cloud, which need no
	// datastores.
	Public bool
	// Automatic is the requirement oned made; no text of the user may loosen it.
	Automatic string
	// Requirements and DatastoreRequirements are nil when the user gave none.
	Requirements, DatastoreRequirements *string
	Rank, DatastoreRank                 string

	UserTemplate *xmldoc.Node
}

// ImageUse is space in an image datastore.
type ImageUse struct {
	DatastoreID int
	MB          int64
}

// States of the pools, as oned numbers them.
const (
	vmPending      = 1
	lcmRunning     = 3
	hostMonitoring = 1
	hostMonitored  = 2
	dsImage        = 0
	dsSystem       = 1
)

// ReadVMs reads a VM_POOL and returns the machines to place, at most limit of
// them in pool order (0: all).
func ReadVMs(pool *xmldoc.Node, limit int) []*VM {
	var vms []*VM
	for _, n := range pool.All("VM") {
		waits := numberOf(n, "STATE") == vmPending
		moves := numberOf(n, "LCM_STATE") == lcmRunning && numberOf(n, "RESCHED") == 1
		if !waits && !moves {
			continue
		}
		vms = append(vms, readVM(n))
		if len(vms) == limit {
			break
		}
	}
	sort.SliceStable(vms, func(i, j int) bool { return vms[i].ID < vms[j].ID })
	return vms
}

func readVM(n *xmldoc.Node) *VM {
	user, tmpl := n.Child("USER_TEMPLATE"), n.Child("TEMPLATE")
	vm := &VM{
		ID: numberOf(n, "ID"), UID: numberOf(n, "UID"), GID: numberOf(n, "GID"),
		Name:          textOf(n, "NAME"),
		Resched:       numberOf(n, "RESCHED") == 1,
		HostID:        -1,
		DatastoreID:   -1,
		Automatic:     textOf(tmpl, "AUTOMATIC_REQUIREMENTS"),
		Rank:          textOf(user, "SCHED_RANK"),
		DatastoreRank: textOf(user, "SCHED_DS_RANK"),
		Public:        user.Child("PUBLIC_CLOUD") != nil || user.Child("EC2") != nil,
		UserTemplate:  user,
	}
	if user.Child("SCHED_RANK") == nil {
		vm.Rank = textOf(user, "RANK")
	}
	vm.Requirements = optional(user, "SCHED_REQUIREMENTS")
	vm.DatastoreRequirements = optional(user, "SCHED_DS_REQUIREMENTS")

	// The answer of one.vmpool.info has the last history record only, and 4.6
	// takes the first it finds.
	if last := n.Child("HISTORY_RECORDS").Child("HISTORY"); last != nil {
		vm.HostID, vm.DatastoreID = numberOf(last, "HID"), numberOf(last, "DS_ID")
	}
	vm.readCapacity(tmpl)
	return vm
}

// readCapacity: without CPU or memory 4.6 takes the machine for one that needs
// nothing, its volatile disks included.
func (vm *VM) readCapacity(tmpl *xmldoc.Node) {
	cpu, _ := leadingFloat(textOf(tmpl, "CPU"))
	memory := atoll(textOf(tmpl, "MEMORY"))
	disk := vm.readDisks(tmpl.All("DISK"))
	if cpu == 0 || memory == 0 {
		return
	}
	vm.CPU = int64(truncate(float32(cpu * 100)))
	vm.Memory = memory * 1024
	vm.Disk = disk
}

// readDisks fills Images and returns the space for the system datastore.
func (vm *VM) readDisks(disks []*xmldoc.Node) int64 {
	var system int64
	images := make(map[int]int64)
	for _, e := range disks {
		d := template.VectorFromElement(e)
		size, ok := d.Int("SIZE")
		if !ok {
			continue
		}
		switch strings.ToUpper(d.Get("TYPE")) {
		case "SWAP", "FS":
			system += size
			continue
		}
		ds, ok := d.Int("DATASTORE_ID")
		if !ok {
			continue
		}
		images[int(ds)] += 0 // listed even when it needs no space there
		clone, ok := d.Bool("CLONE")
		if !ok {
			continue
		}
		target := d.Get("LN_TARGET")
		if clone {
			target = d.Get("CLONE_TARGET")
		}
		switch strings.ToUpper(target) {
		case "SELF":
			images[int(ds)] += size
		case "SYSTEM":
			system += size
		}
	}
	for id, mb := range images {
		vm.Images = append(vm.Images, ImageUse{id, mb})
	}
	sort.Slice(vm.Images, func(i, j int) bool { return vm.Images[i].DatastoreID < vm.Images[j].DatastoreID })
	return system
}

// ReadHosts reads a HOST_POOL and returns the hosts that take machines. A host
// in a cluster sees the template of its cluster in the CLUSTER_POOL.
func ReadHosts(pool, clusters *xmldoc.Node) []*Host {
	templates := make(map[int]*xmldoc.Node)
	for _, c := range clusters.All("CLUSTER") {
		if t := c.Child("TEMPLATE"); t != nil {
			templates[numberOf(c, "ID")] = &xmldoc.Node{Name: "CLUSTER_TEMPLATE", Text: t.Text, Children: t.Children}
		}
	}
	var hosts []*Host
	for _, n := range pool.All("HOST") {
		if s := numberOf(n, "STATE"); s != hostMonitoring && s != hostMonitored {
			continue
		}
		hosts = append(hosts, readHost(n, templates))
	}
	sort.SliceStable(hosts, func(i, j int) bool { return hosts[i].ID < hosts[j].ID })
	return hosts
}

func readHost(n *xmldoc.Node, clusters map[int]*xmldoc.Node) *Host {
	share := n.Child("HOST_SHARE")
	h := &Host{
		ID: numberOf(n, "ID"), Name: textOf(n, "NAME"), ClusterID: numberOf(n, "CLUSTER_ID"),
		CPUUsage: atoll(textOf(share, "CPU_USAGE")), MaxCPU: atoll(textOf(share, "MAX_CPU")),
		MemUsage: atoll(textOf(share, "MEM_USAGE")), MaxMem: atoll(textOf(share, "MAX_MEM")),
		FreeDisk:  atoll(textOf(share, "FREE_DISK")),
		LocalFree: make(map[int]int64),
		Public:    strings.EqualFold(textOf(n.Child("TEMPLATE"), "PUBLIC_CLOUD"), "YES"),
		vms:       make(map[int32]bool),
		doc:       n,
	}
	for _, ds := range share.Child("DATASTORES").All("DS") {
		if ds.Child("ID") != nil && ds.Child("FREE_MB") != nil {
			h.LocalFree[numberOf(ds, "ID")] = atoll(textOf(ds, "FREE_MB"))
		}
	}
	for _, id := range n.Child("VMS").All("ID") {
		if v, ok := leadingInt(content(id)); ok {
			h.vms[v] = true
		}
	}
	if t := clusters[h.ClusterID]; t != nil {
		doc := *n
		doc.Children = append(n.Children[:len(n.Children):len(n.Children)], t)
		h.doc = &doc
	}
	return h
}

// ReadDatastores reads a DATASTORE_POOL and returns its system and its image
// datastores.
func ReadDatastores(pool *xmldoc.Node) (system, image []*Datastore) {
	for _, n := range pool.All("DATASTORE") {
		switch numberOf(n, "TYPE") {
		case dsSystem:
			system = append(system, readDatastore(n))
		case dsImage:
			image = append(image, readDatastore(n))
		}
	}
	for _, list := range [][]*Datastore{system, image} {
		sort.SliceStable(list, func(i, j int) bool { return list[i].ID < list[j].ID })
	}
	return system, image
}

func readDatastore(n *xmldoc.Node) *Datastore {
	tmpl := n.Child("TEMPLATE")
	free, total, used := atoll(textOf(n, "FREE_MB")), atoll(textOf(n, "TOTAL_MB")), atoll(textOf(n, "USED_MB"))
	d := &Datastore{
		ID: numberOf(n, "ID"), Name: textOf(n, "NAME"), ClusterID: numberOf(n, "CLUSTER_ID"),
		UID: numberOf(n, "UID"), GID: numberOf(n, "GID"),
		FreeMB:    free,
		Shared:    tmpl.Child("SHARED") == nil || strings.EqualFold(textOf(tmpl, "SHARED"), "YES"),
		Monitored: free != 0 || total != 0 || used != 0,
		doc:       n,
	}
	permissions := n.Child("PERMISSIONS")
	d.use.owner = numberOf(permissions, "OWNER_U") == 1
	d.use.group = numberOf(permissions, "GROUP_U") == 1
	d.use.other = numberOf(permissions, "OTHER_U") == 1
	if limit := tmpl.Child("LIMIT_MB"); limit != nil {
		d.FreeMB = min(free, atoll(content(limit))-used)
	}
	return d
}

// ReadRules reads an ACL_POOL.
func ReadRules(pool *xmldoc.Node) ([]Rule, error) {
	var rules []Rule
	for _, n := range pool.All("ACL") {
		r, err := readRule(n)
		if err != nil {
			return nil, fmt.Errorf("ACL rule %s: %w", textOf(n, "ID"), err)
		}
		rules = append(rules, r)
	}
	return rules, nil
}

// textOf is the content of the first child of that name, "" without one.
func textOf(n *xmldoc.Node, name string) string {
	if c := n.Child(name); c != nil {
		return content(c)
	}
	return ""
}

func optional(n *xmldoc.Node, name string) *string {
	c := n.Child(name)
	if c == nil {
		return nil
	}
	s := content(c)
	return &s
}

func numberOf(n *xmldoc.Node, name string) int { return int(atoll(textOf(n, name))) }
