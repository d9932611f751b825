package datastore

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"goned/core/image"
	"goned/core/resource"
	"goned/core/template"
)

// SystemID is the id of the datastore that is always a system datastore.
const SystemID = 0

// Config is what the configuration says about datastores.
type Config struct {
	// BasePath is DATASTORE_BASE_PATH.
	BasePath string
	// TM are the TM_MAD_CONF vectors.
	TM []*template.Vector
	// CheckCapacity is DATASTORE_CAPACITY_CHECK.
	CheckCapacity bool
}

// New makes a datastore of the template of an allocation, which it takes over. The base, with id and name, and the cluster have
// been decided and checked before. As in 4.6 the group may use it whatever the umask says. The error's text is 4.6's.
func New(base resource.Base, clusterID int, cluster string, t *template.Template, conf Config) (*Datastore, error) {
	base.Perms |= resource.GroupU
	d := &Datastore{
		Base: base, ClusterID: clusterID, Cluster: cluster, Template: t,
		DSMad: t.Get("DS_MAD"), TMMad: t.Get("TM_MAD"), Type: ParseType(t.Get("TYPE")),
	}
	t.Erase("NAME")
	switch {
	case d.Type == System && d.DSMad != "":
		return nil, errors.New("SYSTEM datastores cannot have DS_MAD defined.")
	case d.Type == System:
		d.DSMad = "-"
	case d.DSMad == "":
		return nil, errors.New("No DS_MAD in template.")
	}
	if d.TMMad == "" {
		return nil, errors.New("No TM_MAD in template.")
	}
	if err := applyTM(t, d.Type, d.TMMad, conf.TM); err != nil {
		return nil, err
	}
	path := t.Get("BASE_PATH")
	if path == "" {
		path = conf.BasePath
	}
	d.setBasePath(path)
	kind := t.Get("DISK_TYPE")
	t.Erase("DISK_TYPE")
	if d.Type != Images {
		return d, nil
	}
	if kind != "" {
		var ok bool
		if d.DiskType, ok = image.ParseDiskType(kind); !ok {
			return nil, errors.New("Unknown DISK_TYPE in template.")
		}
	}
	t.AddSimple("DISK_TYPE", d.DiskType.String())
	return d, nil
}

// setBasePath puts a path, with a slash behind it, into the template and derives the datastore's own directory.
func (d *Datastore) setBasePath(path string) {
	if !strings.HasSuffix(path, "/") {
		path += "/"
	}
	d.Template.Replace("BASE_PATH", path)
	d.BasePath = path + strconv.Itoa(d.ID)
}

// applyTM writes what TM_MAD_CONF says about a transfer driver into the template of a datastore of that type.
func applyTM(t *template.Template, kind Type, tm string, conf []*template.Vector) error {
	c := findTM(conf, tm)
	if c == nil {
		return fmt.Errorf("TM_MAD named \"%s\" is not defined in oned.conf", tm)
	}
	shared, hasShared := c.Bool("SHARED")
	ln, clone := strings.ToUpper(c.Get("LN_TARGET")), strings.ToUpper(c.Get("CLONE_TARGET"))
	if kind == System && !hasShared || kind != System && !(isTarget(ln) && isTarget(clone)) {
		return fmt.Errorf("Attribute shared, ln_target or clone_target in TM_MAD_CONF for %s is missing or has wrong value in oned.conf", tm)
	}
	if kind != System {
		t.Replace("LN_TARGET", ln)
		t.Replace("CLONE_TARGET", clone)
		t.Erase("SHARED")
		return nil
	}
	t.Replace("SHARED", yesNo(shared))
	t.Erase("LN_TARGET")
	t.Erase("CLONE_TARGET")
	return nil
}

func findTM(conf []*template.Vector, name string) *template.Vector {
	for _, c := range conf {
		if c.Get("NAME") == name {
			return c
		}
	}
	return nil
}

func isTarget(s string) bool { return s == "NONE" || s == "SELF" || s == "SYSTEM" }

func yesNo(b bool) string {
	if b {
		return "YES"
	}
	return "NO"
}

// Update replaces the template by t, which it takes over, and applies what it says about the datastore. On an error, whose text is
// 4.6's, nothing changes; 4.6 has replaced the template by then.
func (d *Datastore) Update(t *template.Template, conf Config) error {
	next := *d
	next.Template = t
	next.applyType()
	next.applyDSMad()
	if err := next.applyTMMad(d.Template, conf.TM); err != nil {
		return err
	}
	path := t.Get("BASE_PATH")
	t.Erase("BASE_PATH")
	if path != "" {
		next.setBasePath(path)
	}
	*d = next
	return nil
}

// special are the attributes that decide what a datastore is.
var special = []string{"TYPE", "DISK_TYPE", "DS_MAD", "TM_MAD", "BASE_PATH", "SHARED", "LN_TARGET", "CLONE_TARGET"}

// Append adds the attributes of t to the template. One that decides what the datastore is takes effect as with Update, which 4.6
// forgets.
func (d *Datastore) Append(t *template.Template, conf Config) error {
	merged := d.Template.Clone()
	merged.Merge(t)
	for _, name := range special {
		if t.Has(name) {
			return d.Update(merged, conf)
		}
	}
	d.Template = merged
	return nil
}

func (d *Datastore) applyType() {
	t := d.Template
	if name := t.Get("TYPE"); name != "" {
		d.Type = ParseType(name)
	}
	if d.ID == SystemID {
		d.Type = System
	}
	t.Replace("TYPE", d.Type.String())
	kind := t.Get("DISK_TYPE")
	t.Erase("DISK_TYPE")
	if d.Type != Images {
		d.DiskType = image.File
		return
	}
	if known, ok := image.ParseDiskType(kind); ok {
		d.DiskType = known
	}
	t.AddSimple("DISK_TYPE", d.DiskType.String())
}

func (d *Datastore) applyDSMad() {
	mad := d.Template.Get("DS_MAD")
	switch {
	case d.Type == System:
		d.DSMad = "-"
		d.Template.Erase("DS_MAD")
	case mad == "":
		d.Template.Replace("DS_MAD", d.DSMad)
	case mad != d.DSMad:
		d.DSMad = mad
		d.resetUsage()
	}
}

// applyTMMad takes the transfer driver of the new template, or keeps the one there was. What the configuration says about it is
// written either way; when the configuration no longer knows a driver that is kept, the old template's attributes stay.
func (d *Datastore) applyTMMad(old *template.Template, conf []*template.Vector) error {
	t := d.Template
	mad := t.Get("TM_MAD")
	if mad == "" {
		t.Replace("TM_MAD", d.TMMad)
		if applyTM(t, d.Type, d.TMMad, conf) == nil {
			return nil
		}
		for _, name := range []string{"LN_TARGET", "CLONE_TARGET", "SHARED"} {
			if value, ok := old.Lookup(name); ok {
				t.Replace(name, value)
			}
		}
		return nil
	}
	if err := applyTM(t, d.Type, mad, conf); err != nil {
		return err
	}
	if d.Type == System && mad != d.TMMad {
		d.resetUsage()
	}
	d.TMMad = mad
	return nil
}

// resetUsage forgets what was monitored: another driver will report.
func (d *Datastore) resetUsage() { d.TotalMB, d.FreeMB, d.UsedMB = 0, 0, 0 }

// Available is the room for new images in MB. check tells whether it is to be respected.
func (d *Datastore) Available(conf Config) (mb int64, check bool) {
	mb = d.FreeMB
	if limit, ok := d.Template.Int("LIMIT_MB"); ok {
		mb = min(mb, limit-d.UsedMB)
	}
	check, ok := d.Template.Bool("DATASTORE_CAPACITY_CHECK")
	if !ok {
		check = conf.CheckCapacity
	}
	return max(mb, 0), check
}

// ErrNoSpace is the refusal of an image that does not fit.
var ErrNoSpace = errors.New("Not enough space in datastore")

// CheckSpace refuses an image of that size when it does not fit and the room is to be respected.
func (d *Datastore) CheckSpace(mb int64, conf Config) error {
	if available, check := d.Available(conf); check && mb > available {
		return ErrNoSpace
	}
	return nil
}
