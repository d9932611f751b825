package cloud

import (
	"errors"
	"fmt"

	"goned/core/auth"
	"goned/core/config"
	"goned/core/datastore"
	"goned/core/hook"
	"goned/core/image"
	"goned/core/message"
	"goned/core/quota"
	"goned/core/resource"
	"goned/core/state"
	"goned/core/template"
	"goned/core/vnet"
)

// DatastoreConfig is what the configuration says about datastores.
func DatastoreConfig(c *config.Config) datastore.Config {
	return datastore.Config{BasePath: c.DatastoreBasePath, TM: c.TMConfs, CheckCapacity: c.CapacityCheck}
}

// ImageDefaults is what the configuration says about images.
func ImageDefaults(c *config.Config) image.Defaults {
	return image.Defaults{Type: c.DefaultImageType, DevPrefix: c.DefaultDevicePrefix, CDROMDevPrefix: c.DefaultCDROMPrefix}
}

// AddDatastore makes a datastore of a template, which it consumes.
func AddDatastore(tx *state.Tx, owner *auth.Caller, t *template.Template, clusterID int) (*datastore.Datastore, error) {
	name := takeName(t)
	if err := resource.CheckName(name, ""); err != nil {
		return nil, err
	}
	if other := tx.Datastores.ByName(name); other != nil {
		return nil, nameTaken("DATASTORE", other.ID)
	}
	base := newBase(tx, owner, tx.NextID(state.DatastoreIDs), name)
	d, err := datastore.New(base, resource.NoCluster, "", t, DatastoreConfig(tx.Conf))
	if err != nil {
		return nil, err
	}
	if d.Template.XMLSafe() != nil {
		return nil, notXML("Datastore")
	}
	d.Template = d.Template.Reloaded()
	tx.Datastores.Insert(d)
	MoveDatastore(tx, d.ID, clusterID)
	MonitorDatastore(tx, d)
	return d, nil
}

// RemoveDatastore removes a datastore without images. Number 0 stays: VMs of hosts without cluster live in it.
func RemoveDatastore(tx *state.Tx, d *datastore.Datastore) error {
	if d.Images.Len() > 0 {
		return fmt.Errorf("Datastore %d is not empty.", d.ID)
	}
	if d.ID == datastore.SystemID {
		return errors.New("The default system datastore cannot be deleted.")
	}
	MoveDatastore(tx, d.ID, resource.NoCluster)
	tx.Datastores.Delete(d.ID)
	return nil
}

// MonitorDatastore asks for the sizes of a datastore. System datastores are measured with the hosts.
func MonitorDatastore(tx *state.Tx, d *datastore.Datastore) {
	if d.Type == datastore.System {
		return
	}
	tx.Send(message.Log{VM: message.OnedLog, Module: "InM", Level: message.Debug,
		Text: fmt.Sprintf("Monitoring datastore %s (%d)", d.Name, d.ID)})
	tx.Send(message.MonitorDatastore{Datastore: d.ID, DSXML: string(d.PoolXML())})
}

// CheckImageName refuses the name of a new image.
func CheckImageName(s *state.Snapshot, uid int, name string) error {
	if err := resource.CheckName(name, ""); err != nil {
		return err
	}
	if other := s.Images.ByName(image.Key(uid, name)); other != nil {
		return nameTaken("IMAGE", other.ID)
	}
	return nil
}

// AddImage makes an image in a datastore of a template, which it consumes, and has the driver fill it.
func AddImage(tx *state.Tx, owner *auth.Caller, t *template.Template, ds *datastore.Datastore) (*image.Image, error) {
	name := takeName(t)
	if err := resource.CheckName(name, ""); err != nil {
		return nil, err
	}
	kind := firstOf(t.Get("TYPE"), tx.Conf.DefaultImageType)
	if typ, ok := image.ParseType(kind); ok || kind != "" {
		if err := image.CheckPlace(typ, ds.Type == datastore.Files); err != nil {
			return nil, err
		}
	}
	if other := tx.Images.ByName(image.Key(owner.UID, name)); other != nil {
		return nil, nameTaken("IMAGE", other.ID)
	}
	base := newBase(tx, owner, tx.NextID(state.ImageIDs), name)
	img, err := image.New(base, image.Place{ID: ds.ID, Name: ds.Name, DiskType: ds.DiskType}, t, ImageDefaults(tx.Conf), tx.Now)
	if err != nil {
		return nil, err
	}
	if err := insertImage(tx, img); err != nil {
		return nil, err
	}
	switch img.Origin() {
	case image.Copied:
		logInfo(tx, fmt.Sprintf("Copying %s to repository for image %d", img.Path, img.ID))
		sendImage(tx, "CP", img)
	case image.Made:
		logInfo(tx, fmt.Sprintf("Creating disk at %s of %dMb (type: %s)", img.Source, img.SizeMB, img.FSType))
		sendImage(tx, "MKFS", img)
	default:
		img.State = image.Ready
		logInfo(tx, "Using source "+img.Source+" from template for image "+img.Name)
	}
	listInDatastore(tx, img)
	return img, nil
}

func insertImage(tx *state.Tx, img *image.Image) error {
	if img.Template.XMLSafe() != nil {
		return notXML("Image")
	}
	img.Template = img.Template.Reloaded()
	tx.Images.Insert(img)
	hook.Run(tx, tx.Conf.ImageHooks, "CREATE", img.ID, img.PoolXML())
	return nil
}

// listInDatastore puts a new image into its datastore's list, after the driver has been asked: what the driver gets does not have
// it yet.
func listInDatastore(tx *state.Tx, img *image.Image) {
	ds := tx.Datastores.Edit(img.DatastoreID)
	ds.Images, _ = ds.Images.With(img.ID)
}

func logInfo(tx *state.Tx, text string) {
	tx.Send(message.Log{VM: message.OnedLog, Module: "ImM", Level: message.Info, Text: text})
}

func sendImage(tx *state.Tx, action string, img *image.Image) {
	ds := tx.Datastores.Get(img.DatastoreID)
	tx.Send(message.ImageAction{
		Action: action, Image: img.ID, Datastore: ds.ID, ImageXML: string(img.PoolXML()), DSXML: string(ds.PoolXML()),
	})
}

// RedoImage asks the driver again for what it was doing with an image, and reports whether it was doing anything.
func RedoImage(tx *state.Tx, img *image.Image) bool {
	action := ImageWork(img)
	if action == "" || tx.Datastores.Get(img.DatastoreID) == nil {
		return false
	}
	sendImage(tx, action, img)
	return true
}

// ImageWork is what the driver does with an image in its state; empty: nothing. The image's type does not tell: it may have been
// changed meanwhile.
func ImageWork(img *image.Image) string {
	switch {
	case img.State == image.Delete:
		return "RM"
	case img.State != image.Locked:
	case img.CloningID != -1:
		return "CLONE"
	case img.Path != "":
		return "CP"
	case img.Source == "":
		return "MKFS"
	}
	return "" // it waits for a VM
}

// CloneImage makes an image with the content of another, in the same datastore. The error's text is 4.6's, empty when the source's
// state forbids it.
func CloneImage(tx *state.Tx, owner *auth.Caller, source *image.Image, name string) (*image.Image, error) {
	if err := CheckImageName(tx.View(), owner.UID, name); err != nil {
		return nil, err
	}
	ds := tx.Datastores.Get(source.DatastoreID)
	if ds == nil {
		return nil, errors.New("Datastore no longer exists")
	}
	base := newBase(tx, owner, tx.NextID(state.ImageIDs), name)
	if err := tx.Images.Edit(source.ID).AcquireClone(base.ID); err != nil {
		// 4.6 gives no reason here.
		return nil, errors.New("")
	}
	place := image.Place{ID: ds.ID, Name: ds.Name, DiskType: ds.DiskType}
	img, err := image.New(base, place, source.CloneTemplate(name), ImageDefaults(tx.Conf), tx.Now)
	if err != nil {
		return nil, err
	}
	img.CloningID = source.ID
	if err := insertImage(tx, img); err != nil {
		return nil, err
	}
	logInfo(tx, fmt.Sprintf("Cloning image %s to repository as image %d", img.Path, img.ID))
	sendImage(tx, "CLONE", img)
	listInDatastore(tx, img)
	return img, nil
}

// RemoveImage begins the removal of an image that nobody uses: the row goes when the driver has answered.
func RemoveImage(tx *state.Tx, img *image.Image) error {
	if err := img.CheckDelete(); err != nil {
		return err
	}
	if tx.Datastores.Get(img.DatastoreID) == nil {
		return errors.New("Datastore no longer exists cannot remove image")
	}
	if img.State == image.Delete {
		// The driver has been asked and the quota given back already.
		return nil
	}
	if img.CloningID != -1 && img.State == image.Locked {
		ReleaseClone(tx, img.CloningID, img.ID)
	}
	if img.Source != "" {
		// The driver gets the image as it was.
		sendImage(tx, "RM", img)
	}
	ds := tx.Datastores.Edit(img.DatastoreID)
	ds.Images, _ = ds.Images.Without(img.ID)
	Discharge(tx, img.UID, img.GID, quota.ForImage(img.DatastoreID, img.SizeMB))
	if img.Source == "" {
		tx.Images.Delete(img.ID)
		hook.Run(tx, tx.Conf.ImageHooks, "REMOVE", img.ID, img.PoolXML())
		return nil
	}
	img = tx.Images.Edit(img.ID)
	img.State, img.CloningID = image.Delete, -1
	return nil
}

// AddNet makes a network of a template, which it consumes.
func AddNet(tx *state.Tx, owner *auth.Caller, t *template.Template, clusterID int) (*vnet.VNet, error) {
	name := takeName(t)
	if err := resource.CheckName(name, ""); err != nil {
		return nil, err
	}
	if other := tx.Nets.ByName(vnet.Key(owner.UID, name)); other != nil {
		return nil, nameTaken("NET", other.ID)
	}
	base := newBase(tx, owner, tx.NextID(state.NetIDs), name)
	def := vnet.Defaults{Size: uint32(max(tx.Conf.NetworkSize, 0)), MACPrefix: tx.Conf.MACPrefix}
	n, skipped, err := vnet.New(base, resource.NoCluster, "", t, def)
	if err != nil {
		return nil, err
	}
	for _, text := range skipped {
		logError(tx, "VNM", text)
	}
	if n.Template.XMLSafe() != nil {
		return nil, notXML("Virtual Network")
	}
	n.Template = n.Template.Reloaded()
	tx.Nets.Insert(n)
	MoveNet(tx, n.ID, clusterID)
	hook.Run(tx, tx.Conf.NetHooks, "CREATE", n.ID, n.PoolXML())
	return n, nil
}

// RemoveNet removes a network of which nobody has an address.
func RemoveNet(tx *state.Tx, n *vnet.VNet) error {
	if n.Used() > 0 {
		return errors.New("Can not remove a virtual network with leases in use")
	}
	MoveNet(tx, n.ID, resource.NoCluster)
	tx.Nets.Delete(n.ID)
	hook.Run(tx, tx.Conf.NetHooks, "REMOVE", n.ID, n.PoolXML())
	return nil
}

// ImageUse is what an image counts for in its datastore.
func ImageUse(img *image.Image) quota.Request { return quota.ForImage(img.DatastoreID, img.SizeMB) }
