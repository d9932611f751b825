package image

import (
	"errors"
	"strconv"
	"strings"

	"goned/core/resource"
	"goned/core/template"
)

// Defaults are what the configuration says about images.
type Defaults struct {
	Type           string // DEFAULT_IMAGE_TYPE
	DevPrefix      string // DEFAULT_DEVICE_PREFIX
	CDROMDevPrefix string // DEFAULT_CDROM_DEVICE_PREFIX
}

// Place is the datastore that an image is made in.
type Place struct {
	ID       int
	Name     string
	DiskType DiskType
}

// CheckPlace refuses files outside of file datastores (files) and other images in them.
func CheckPlace(t Type, files bool) error {
	switch {
	case files && !t.IsFile():
		return errors.New("Only IMAGES of type KERNEL, RAMDISK and CONTEXT can be registered in a FILE_DS datastore")
	case !files && t.IsFile():
		return errors.New("IMAGES of type KERNEL, RAMDISK and CONTEXT cannot be registered in an IMAGE_DS datastore")
	}
	return nil
}

// Size is the size in MB that the template of an allocation says. stat tells that the datastore driver has to be asked for the
// size of PATH instead.
func Size(t *template.Template, def Defaults) (mb int64, stat bool, err error) {
	kind := strings.ToUpper(typeName(t, def))
	path, source := t.Get("PATH"), t.Get("SOURCE")
	switch {
	case kind == Datablock.String() && path == "", kind != Datablock.String() && source != "":
		mb, ok := t.Int("SIZE")
		if !ok {
			return 0, false, errors.New("Wrong number or missing SIZE attribute.")
		}
		return mb, false, nil
	case path != "":
		return 0, true, nil
	}
	return 0, false, errors.New("Either PATH or SOURCE are required for " + kind)
}

func typeName(t *template.Template, def Defaults) string {
	if name := t.Get("TYPE"); name != "" {
		return name
	}
	return def.Type
}

// New makes a locked image of the template of an allocation, which it takes over. The base, with id and name, has been decided and
// checked before; at is the time of registration. The error's text is 4.6's.
func New(base resource.Base, ds Place, t *template.Template, def Defaults, at int64) (*Image, error) {
	i := &Image{
		Base: base, DiskType: ds.DiskType, RegTime: at, State: Locked, CloningID: -1, DatastoreID: ds.ID, Datastore: ds.Name,
		Template: t,
	}
	name := typeName(t, def)
	t.Erase("NAME")
	t.Erase("TYPE")
	var ok bool
	if i.Type, ok = ParseType(name); !ok {
		return nil, errors.New("Incorrect TYPE in template.")
	}
	persistent, _ := t.Bool("PERSISTENT")
	t.Erase("PERSISTENT")
	i.Persistent = persistent && !i.Type.IsFile()
	i.applyDevPrefix(def)
	i.SizeMB, _ = strconv.ParseInt(strings.TrimSpace(take(t, "SIZE")), 10, 64)
	i.Path, i.Source = take(t, "PATH"), take(t, "SOURCE")
	switch {
	case i.savesAs():
		i.FSType = "save_as"
	case i.Source != "" && i.Path != "":
		return nil, errors.New("Template malformed, PATH and SOURCE are mutually exclusive.")
	case i.Source != "" || i.Path != "":
	case i.Type != Datablock:
		return nil, errors.New("No PATH in template.")
	default:
		if i.FSType = take(t, "FSTYPE"); i.FSType == "" {
			i.FSType = "raw"
		}
	}
	return i, nil
}

// CloneTemplate is the template from which an image of that name with this one's content is made: what users wrote into the template
// goes along, and what then contradicts a clone (a SOURCE, say) makes New refuse it, as in 4.6.
func (i *Image) CloneTemplate(name string) *template.Template {
	t := i.Template.Clone()
	t.Replace("NAME", name)
	t.Replace("TYPE", i.Type.String())
	t.Replace("PATH", i.Source)
	t.Replace("FSTYPE", i.FSType)
	t.Replace("SIZE", strconv.FormatInt(i.SizeMB, 10))
	persistent := "NO"
	if i.Persistent {
		persistent = "YES"
	}
	t.Replace("PERSISTENT", persistent)
	return t
}

func (i *Image) applyDevPrefix(def Defaults) {
	switch {
	case i.Type.IsFile():
		i.Template.Erase("DEV_PREFIX")
	case i.Template.Get("DEV_PREFIX") != "":
	case i.Type == CDROM:
		i.Template.Replace("DEV_PREFIX", def.CDROMDevPrefix)
	default:
		i.Template.Replace("DEV_PREFIX", def.DevPrefix)
	}
}

// take removes the attributes of that name and gives the value of the first.
func take(t *template.Template, name string) string {
	value := t.Get(name)
	t.Erase(name)
	return value
}

// Origin says how a new image gets its content.
type Origin int

// The ways: the driver copies Path, or makes an empty one, or the source is there already. (4.6 makes an empty data block even if its
// source is there.)
const (
	Copied Origin = iota
	Made
	Existing
)

// Origin says how this image, which is new, gets its content. A clone is neither: its driver operation is another.
func (i *Image) Origin() Origin {
	switch {
	case i.Path != "":
		return Copied
	case i.IsSaving(), i.Type == Datablock && i.Source == "":
		return Made
	}
	return Existing
}
