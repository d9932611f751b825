package cloud

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"goned/core/image"
	"goned/core/resource"
	"goned/core/state"
	"goned/core/template"
	"goned/core/vm"
)

// maxDisks is 4.6's limit of DISK attributes in a new VM.
const maxDisks = 20

// diskPlan is a disk of a new VM and what decides about its target.
type diskPlan struct {
	disk   *template.Vector
	prefix string
	image  *image.Image // nil for volatile disks
}

// images takes the images of all disks, then gives the disks and the context device their targets.
func (b *builder) images() error {
	disks := b.vm.Template.Vectors("DISK")
	if len(disks) > maxDisks {
		return fmt.Errorf("Exceeded the maximum number of disks (%d)", maxDisks)
	}
	taken := targets{}
	context := b.vm.Template.Vector("CONTEXT")
	if context != nil {
		taken[context.Get("TARGET")] = true
		context.Set("DISK_ID", strconv.Itoa(len(disks)))
	}
	for i, disk := range disks {
		p, err := planDisk(b.tx, b.vm, disk, i)
		if err != nil {
			return fmt.Errorf("DISK %d: %w", i, err)
		}
		if name := disk.Get("TARGET"); name != "" {
			if taken[name] {
				return errors.New("Two disks have defined the same target " + name)
			}
			taken[name] = true
		}
		b.disks = append(b.disks, p)
	}
	taken.assign(b.disks, context, b.tx.Conf.DefaultCDROMPrefix)
	return nil
}

// ownDiskAttributes are what only the daemon writes into a disk. In 4.6 users can: the content of a disk then goes to any file of the
// front-end (SAVE, SAVE_AS_SOURCE), images of others are given back (SAVE_AS), and another disk is taken for the one that is attached.
var ownDiskAttributes = []string{"ATTACH", "SAVE", "SAVE_AS", "SAVE_AS_ACTIVE", "SAVE_AS_SOURCE", "HOTPLUG_SAVE_AS",
	"HOTPLUG_SAVE_AS_ACTIVE", "HOTPLUG_SAVE_AS_SOURCE"}

// planDisk completes a disk, taking its image if it has one.
func planDisk(tx *state.Tx, v *vm.VM, disk *template.Vector, id int) (*diskPlan, error) {
	for _, key := range ownDiskAttributes {
		disk.Del(key)
	}
	disk.Set("DISK_ID", strconv.Itoa(id))
	img, err := FindImage(tx.View(), disk, v.UID)
	if err != nil {
		return nil, err
	}
	if img == nil {
		return planVolatile(tx, disk)
	}
	if img.Type.IsFile() {
		return nil, fmt.Errorf("Image %d (%s) of type %s cannot be used as DISK.", img.ID, img.Name, img.Type)
	}
	if img, err = acquireImage(tx, img.ID, v.ID); err != nil {
		return nil, err
	}
	p := &diskPlan{disk: disk, image: img}
	fillFromImage(tx, p)
	return p, fillFromDatastore(tx, p)
}

func planVolatile(tx *state.Tx, disk *template.Vector) (*diskPlan, error) {
	if !vm.IsVolatile(disk) {
		return nil, errors.New("Unknown disk type " + strings.ToUpper(disk.Get("TYPE")))
	}
	if size, ok := disk.Int("SIZE"); !ok || size <= 0 {
		return nil, errors.New("SIZE attribute must be a positive integer value.")
	}
	if disk.Get("DEV_PREFIX") == "" {
		disk.Set("DEV_PREFIX", tx.Conf.DefaultDevicePrefix)
	}
	return &diskPlan{disk: disk, prefix: disk.Get("DEV_PREFIX")}, nil
}

// FindImage is the image that a disk names for a VM of user uid: by name and owner, or by id. Both results nil: it names none.
func FindImage(s *state.Snapshot, disk *template.Vector, uid int) (*image.Image, error) {
	if name := disk.Get("IMAGE"); name != "" {
		owner := uid
		switch {
		case disk.Get("IMAGE_UID") != "":
			id, err := leadingInt(disk.Get("IMAGE_UID"))
			if err != nil {
				return nil, notOwner(uid, name)
			}
			owner = id
		case disk.Get("IMAGE_UNAME") != "":
			u := s.Users.ByName(disk.Get("IMAGE_UNAME"))
			if u == nil {
				return nil, notOwner(uid, name)
			}
			owner = u.ID
		}
		if img := s.Images.ByName(image.Key(owner, name)); img != nil {
			return img, nil
		}
		return nil, notOwner(owner, name)
	}
	text, ok := disk.Lookup("IMAGE_ID")
	if !ok || text == "" {
		return nil, nil
	}
	id, err := leadingInt(text)
	if err != nil {
		return nil, errors.New("Wrong ID set in IMAGE_ID")
	}
	if img := s.Images.Get(id); img != nil {
		return img, nil
	}
	return nil, fmt.Errorf("Image with ID: %d does not exist", id)
}

func notOwner(uid int, name string) error {
	return fmt.Errorf("User %d does not own an image with name: %s . Set IMAGE_UNAME or IMAGE_UID of owner in DISK.", uid, name)
}

// fillFromImage writes what the image says into the disk.
func fillFromImage(tx *state.Tx, p *diskPlan) {
	d, img := p.disk, p.image
	t := img.Template
	d.Set("IMAGE", img.Name)
	d.Set("IMAGE_ID", strconv.Itoa(img.ID))
	d.Set("SOURCE", img.Source)
	d.Set("SIZE", strconv.FormatInt(img.SizeMB, 10))
	fallback := tx.Conf.DefaultDevicePrefix
	if img.Type == image.CDROM {
		fallback = tx.Conf.DefaultCDROMPrefix
	}
	p.prefix = firstOf(d.Get("DEV_PREFIX"), t.Get("DEV_PREFIX"), fallback)
	d.Set("DEV_PREFIX", p.prefix)
	setIf(d, "DRIVER", firstOf(d.Get("DRIVER"), t.Get("DRIVER")))
	setIf(d, "TARGET", firstOf(d.Get("TARGET"), t.Get("TARGET")))

	immutable := strings.EqualFold(t.Get("PERSISTENT_TYPE"), "IMMUTABLE")
	switch readonly, set := t.Bool("READONLY"); {
	case img.Type == image.CDROM || immutable:
		d.Set("READONLY", "YES")
	case d.Get("READONLY") != "":
	case set:
		d.Set("READONLY", yesNo(readonly))
	default:
		d.Set("READONLY", "NO")
	}
	if img.Persistent {
		d.Set("PERSISTENT", "YES")
		d.Set("CLONE", "NO")
		d.Set("SAVE", yesNo(!immutable))
	} else {
		d.Set("CLONE", yesNo(img.Type != image.CDROM))
		d.Set("SAVE", "NO")
	}
	d.Set("TYPE", diskType(img))
	for _, name := range tx.Conf.InheritImage {
		setIf(d, name, t.Get(name))
	}
}

// diskType is the TYPE of a disk: how the image is stored, and whether it is a CD.
func diskType(img *image.Image) string {
	if img.Type != image.CDROM {
		return img.DiskType.String()
	}
	switch img.DiskType {
	case image.RBD, image.RBDCDROM:
		return "RBD_CDROM"
	case image.Gluster, image.GlusterCDROM:
		return "GLUSTER_CDROM"
	}
	return "CDROM"
}

func fillFromDatastore(tx *state.Tx, p *diskPlan) error {
	ds := tx.Datastores.Get(p.image.DatastoreID)
	if ds == nil {
		return errors.New("Associated datastore for the image does not exist")
	}
	d := p.disk
	d.Set("DATASTORE", ds.Name)
	d.Set("DATASTORE_ID", strconv.Itoa(ds.ID))
	d.Set("TM_MAD", ds.TMMad)
	if ds.ClusterID != resource.NoCluster {
		d.Set("CLUSTER_ID", strconv.Itoa(ds.ClusterID))
	}
	for _, name := range []string{"CLONE_TARGET", "LN_TARGET"} {
		if value, ok := ds.Template.Lookup(name); ok {
			d.Set(name, value)
		}
	}
	for _, name := range tx.Conf.InheritDS {
		setIf(d, name, ds.Template.Get(name))
	}
	return nil
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// targets knows the device names that are taken.
type targets map[string]bool

// next takes the first free device with a prefix. When all letters are taken the last one serves again, as in 4.6.
func (t targets) next(prefix string) string {
	name := ""
	for letter := 'a'; letter <= 'z'; letter++ {
		name = prefix + string(letter)
		if !t[name] {
			break
		}
	}
	t[name] = true
	return name
}

// assign gives a device to each disk that has none: the first such disk with an OS image, then the context and the CDs, then the rest.
func (t targets) assign(disks []*diskPlan, context *template.Vector, contextPrefix string) {
	give := func(p *diskPlan) {
		if p.disk.Get("TARGET") == "" {
			p.disk.Set("TARGET", t.next(p.prefix))
		}
	}
	for _, p := range disks {
		if p.image != nil && p.image.Type == image.OS && p.disk.Get("TARGET") == "" {
			give(p)
			break
		}
	}
	if context != nil && context.Get("TARGET") == "" {
		context.Set("TARGET", t.next(firstOf(context.Get("DEV_PREFIX"), contextPrefix)))
	}
	for _, p := range disks {
		if p.image != nil && p.image.Type == image.CDROM {
			give(p)
		}
	}
	for _, p := range disks {
		give(p)
	}
}

// AttachDisk completes a disk that is to be attached to a running VM, taking its image. The error's text is 4.6's.
func AttachDisk(tx *state.Tx, v *vm.VM, disk *template.Vector) error {
	p, err := planDisk(tx, v, disk, v.NextDiskID())
	if err != nil {
		return err
	}
	// 4.6 does not look; the host may not see the image's datastore.
	if id, ok := disk.Int("CLUSTER_ID"); ok {
		if cur := v.Current(); cur != nil && cur.CID != int(id) {
			return errors.New("Could not attach disk because of cluster incompatibility.")
		}
	}
	taken := targets{}
	for _, other := range append(v.Template.Vectors("DISK"), v.Template.Vectors("CONTEXT")...) {
		taken[other.Get("TARGET")] = true
	}
	if name := disk.Get("TARGET"); name == "" {
		disk.Set("TARGET", taken.next(p.prefix))
	} else if taken[name] {
		return errors.New("Target " + name + " is already in use.")
	}
	disk.Set("ATTACH", "YES")
	return nil
}
