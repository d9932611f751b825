// Package image is an image (disk, kernel, RAM disk or context file) in a datastore: its document, its states, and the rules
// for its use by VMs and clones. Nothing here does I/O.
package image

import (
	"fmt"
	"strconv"
	"strings"

	"goned/core/resource"
	"goned/core/template"
	"goned/core/template/xmldoc"
)

// Type is what an image is for; the numbers are 4.6's.
type Type int

// The types.
const (
	OS Type = iota
	CDROM
	Datablock
	Kernel
	Ramdisk
	Context
)

var typeNames = [...]string{"OS", "CDROM", "DATABLOCK", "KERNEL", "RAMDISK", "CONTEXT"}

// String is the name in templates and messages.
func (t Type) String() string { return nameOf(typeNames[:], int(t)) }

// IsFile reports whether images of this type are files (kernel, RAM disk, context), which only file datastores hold.
func (t Type) IsFile() bool { return t == Kernel || t == Ramdisk || t == Context }

// ParseType reads a name in any case.
func ParseType(name string) (Type, bool) {
	n, ok := numberOf(typeNames[:], name)
	return Type(n), ok
}

// DiskType is how hypervisors get at an image; the numbers are 4.6's.
type DiskType int

// The disk types.
const (
	File DiskType = iota
	CDROMDisk
	Block
	RBD
	RBDCDROM
	Gluster
	GlusterCDROM
)

var diskTypeNames = [...]string{"FILE", "CDROM", "BLOCK", "RBD", "RBD_CDROM", "GLUSTER", "GLUSTER_CDROM"}

// String is the name that DISK/TYPE of a VM carries.
func (t DiskType) String() string { return nameOf(diskTypeNames[:], int(t)) }

// ParseDiskType reads, in any case, the name of a disk type that a datastore may have: the CD-ROM variants of RBD and Gluster
// are not among them, 4.6 derives these itself.
func ParseDiskType(name string) (DiskType, bool) {
	n, ok := numberOf(diskTypeNames[:], name)
	t := DiskType(n)
	return t, ok && t != RBDCDROM && t != GlusterCDROM
}

// State is an image's state; the numbers are 4.6's.
type State int

// The states.
const (
	Init State = iota
	Ready
	Used
	Disabled
	Locked
	Error
	Clone
	Delete
	UsedPers
)

var stateNames = [...]string{"INIT", "READY", "USED", "DISABLED", "LOCKED", "ERROR", "CLONE", "DELETE", "USED"}

// String is the name in messages, where both used states are USED.
func (s State) String() string { return nameOf(stateNames[:], int(s)) }

// Image is an image. An image in a pool is not changed; Clone gives a copy that may be.
type Image struct {
	resource.Base

	Type     Type
	DiskType DiskType
	// Persistent images keep what the one VM using them writes.
	Persistent bool
	// RegTime is the time of creation, epoch seconds.
	RegTime int64
	// Source is where the datastore driver keeps it, Path where it came from.
	Source, Path, FSType string
	// SizeMB is the size in MB.
	SizeMB int64
	State  State
	// VMs are the VMs using it; RunningVMs is their number, kept apart because 4.6 stores it.
	RunningVMs int
	VMs        resource.ManyIDs
	// Clones are the images that are being made from it, CloningOps their number.
	CloningOps int
	Clones     resource.ManyIDs
	// CloningID is the image of which this one is being made, -1 if none.
	CloningID   int
	DatastoreID int
	Datastore   string
	Template    *template.Template
}

// Key is the unique name: names are unique per owner.
func (i *Image) Key() string { return Key(i.UID, i.Name) }

// Key is the pool key of the image of that owner and name.
func Key(uid int, name string) string { return strconv.Itoa(uid) + ":" + name }

// Clone is a deep copy.
func (i *Image) Clone() *Image {
	c := *i
	c.Template = i.Template.Clone()
	return &c
}

// PoolXML is the document, the same in the database, in listings and for one.image.info.
func (i *Image) PoolXML() []byte { return i.AppendPoolXML(make([]byte, 0, 1536+i.VMs.Size())) }

// AppendPoolXML appends what PoolXML gives.
func (i *Image) AppendPoolXML(dst []byte) []byte {
	dst = i.Base.AppendXML(append(dst, "<IMAGE>"...), nil)
	dst = resource.AppendInt(dst, "TYPE", int64(i.Type))
	dst = resource.AppendInt(dst, "DISK_TYPE", int64(i.DiskType))
	dst = resource.AppendInt(dst, "PERSISTENT", number(i.Persistent))
	dst = resource.AppendInt(dst, "REGTIME", i.RegTime)
	dst = resource.AppendCDATA(dst, "SOURCE", i.Source)
	dst = resource.AppendCDATA(dst, "PATH", i.Path)
	dst = resource.AppendCDATA(dst, "FSTYPE", i.FSType)
	dst = resource.AppendInt(dst, "SIZE", i.SizeMB)
	dst = resource.AppendInt(dst, "STATE", int64(i.State))
	dst = resource.AppendInt(dst, "RUNNING_VMS", int64(i.RunningVMs))
	dst = resource.AppendInt(dst, "CLONING_OPS", int64(i.CloningOps))
	dst = resource.AppendInt(dst, "CLONING_ID", int64(i.CloningID))
	dst = resource.AppendInt(dst, "DATASTORE_ID", int64(i.DatastoreID))
	dst = resource.AppendText(dst, "DATASTORE", i.Datastore)
	dst = i.VMs.AppendXML(dst, "VMS")
	dst = i.Clones.AppendXML(dst, "CLONES")
	dst = i.Template.AppendXML(dst, "TEMPLATE")
	return append(dst, "</IMAGE>"...)
}

// Parse reads a database body. As in 4.6, every element but PATH and FSTYPE must be there.
func Parse(body string) (*Image, error) {
	doc, err := xmldoc.Parse(body)
	if err != nil {
		return nil, fmt.Errorf("image body: %w", err)
	}
	base, err := resource.ReadBase(doc)
	if err != nil {
		return nil, fmt.Errorf("image body: %w", err)
	}
	r := resource.Reader{Node: doc}
	i := &Image{
		Base: base,
		Type: Type(r.Int("TYPE")), DiskType: DiskType(r.Int("DISK_TYPE")), Persistent: r.Int("PERSISTENT") != 0,
		RegTime: r.Int64("REGTIME"), Source: r.Text("SOURCE"), Path: doc.ChildText("PATH"), FSType: doc.ChildText("FSTYPE"),
		SizeMB: r.Int64("SIZE"), State: State(r.Int("STATE")),
		RunningVMs: r.Int("RUNNING_VMS"), CloningOps: r.Int("CLONING_OPS"), CloningID: r.Int("CLONING_ID"),
		DatastoreID: r.Int("DATASTORE_ID"), Datastore: r.Text("DATASTORE"),
		VMs: resource.ReadManyIDs(r.Element("VMS")), Clones: resource.ReadManyIDs(r.Element("CLONES")),
		Template: template.FromElement(r.Element("TEMPLATE")),
	}
	if r.Err != nil {
		return nil, fmt.Errorf("image body %d: %w", i.ID, r.Err)
	}
	return i, nil
}

func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func nameOf(names []string, n int) string {
	if n >= 0 && n < len(names) {
		return names[n]
	}
	return strconv.Itoa(n)
}

func numberOf(names []string, name string) (int, bool) {
	for n, known := range names {
		if strings.EqualFold(known, name) {
			return n, true
		}
	}
	return 0, false
}
