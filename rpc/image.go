package rpc

import (
	"errors"

	"goned/core/auth"
	"goned/core/cloud"
	"goned/core/datastore"
	"goned/core/image"
	"goned/core/lifecycle"
	"goned/core/quota"
	"goned/core/refusal"
	"goned/core/resource"
	"goned/core/state"
	"goned/core/template"
	dsmad "goned/drivers/datastore"
)

var images = &family[*image.Image]{
	kind: resource.Image, root: "IMAGE_POOL",
	pool:  func(s *state.Snapshot) *state.Pool[*image.Image] { return &s.Images },
	edit:  func(tx *state.Tx) *state.Editor[*image.Image] { return tx.Images },
	name:  func(i *image.Image) *string { return &i.Name },
	body:  func(i *image.Image) **template.Template { return &i.Template },
	base:  func(i *image.Image) *resource.Base { return &i.Base },
	parse: template.ParseUnique,
	updating: func(_ *Call, _ *state.Tx, i *image.Image, t *template.Template, appending bool) error {
		keep := i.Awaiting()
		replaceOrAppend(&i.Template, t, appending)
		for _, a := range keep {
			i.Template.Erase(a.Name)
			i.Template.Add(a)
		}
		return nil
	},
	chowned: func(_ *Call, tx *state.Tx, i *image.Image, from resource.Base) error {
		if i.State == image.Delete {
			// It counts for nobody any more.
			return nil
		}
		return cloud.ChangeOwner(tx, from, i.Base, cloud.ImageUse(i))
	},
	chmodding: func(i *image.Image, p resource.Permissions) error {
		if i.Persistent && p&(resource.GroupU|resource.OtherU) != 0 {
			return errors.New("Image cannot be public and persistent.")
		}
		return nil
	},
	deleting: func(_ *Call, tx *state.Tx, i *image.Image) error { return lifecycle.RemoveImage(tx, i) },
}

func imageMethods() []*Method {
	return []*Method{
		{Name: "one.image.persistent", Log: "ImagePersistent",
			Help:   "Makes an image persistent or not",
			Errors: "2048 a kernel, ramdisk or context file. 8192 wrong state; others may use the image",
			Auth:   "MANAGE IMAGE", Result: "image id", Params: idAnd(boolParam("persistent")), Handler: imagePersistent},
		{Name: "one.image.enable", Log: "ImageEnable",
			Help:   "Enables or disables an image",
			Errors: "8192 wrong state",
			Auth:   "MANAGE IMAGE", Result: "image id", Params: idAnd(boolParam("enable")), Handler: imageEnable},
		{Name: "one.image.update", Log: "ImageUpdateTemplate",
			Help:   "Replaces the template of an image, or changes some of its attributes",
			Errors: "4096 a type that is neither 0 nor 1. 8192 the text does not parse or cannot be stored",
			Auth:   "MANAGE IMAGE", Result: "image id", Params: updateParams(), Handler: images.update},
		{Name: "one.image.allocate", Log: "ImageAllocate",
			Help:   "Makes an image",
			Errors: "512 a restricted attribute; over quota. 2048 the datastore is full. 8192 the text does not parse or makes no image",
			Auth:   "CREATE IMAGE, USE DATASTORE", Result: "image id",
			Params: []Param{strParam("template"), intParam("datastore").late()}, Handler: imageAllocate},
		{Name: "one.image.delete", Log: "ImageDelete",
			Help:   "Removes an image",
			Errors: "8192 a VM or a clone needs it",
			Auth:   "MANAGE IMAGE", Result: "image id", Params: idAnd(), Handler: images.delete},
		{Name: "one.image.info", Log: "ImageInfo",
			Help: "Returns an image",
			Auth: "USE IMAGE", Result: "IMAGE document", Params: idAnd(), Handler: images.info},
		{Name: "one.image.chown", Log: "ImageChown",
			Help:   "Gives an image to another user, another group or both",
			Errors: "512 over the quota of the new user or group. 8192 the new owner has an image of this name",
			Auth:   "MANAGE IMAGE, MANAGE USER, USE GROUP", Result: "image id",
			Params: idAnd(intParam("user"), intParam("group")), Handler: images.chown},
		{Name: "one.image.chmod", Log: "ImageChmod",
			Help:   "Changes the permission bits of an image",
			Errors: "512 bits of others, where ENABLE_OTHER_PERMISSIONS forbids them. 8192 a value that is not -1, 0 or 1; a persistent image for more than its owner",
			Auth:   "MANAGE or ADMIN IMAGE", Result: "image id", Params: chmodParams(), Handler: images.chmod},
		{Name: "one.image.chtype", Log: "ImageChangeType",
			Help:   "Changes the type of an image",
			Errors: "2048 a type that the datastore cannot have. 8192 there is no such type",
			Auth:   "MANAGE IMAGE", Result: "image id", Params: idAnd(strParam("type")), Handler: imageChtype},
		{Name: "one.image.clone", Log: "ImageClone",
			Help:   "Copies an image; the copy is the caller's",
			Errors: "512 over quota. 2048 a kernel, ramdisk or context file; the datastore is full. 8192 wrong state; a name that is taken or not allowed",
			Auth:   "CREATE IMAGE, USE IMAGE, USE DATASTORE", Result: "new image id",
			Params: idAnd(strParam("name")), Handler: imageClone},
		{Name: "one.image.rename", Log: "ImageRename",
			Help:   "Gives an image another name",
			Errors: "2048 a name that is taken or not allowed",
			Auth:   "MANAGE IMAGE", Result: "image id", Params: idAnd(strParam("name")), Handler: images.rename},
		{Name: "one.imagepool.info", Log: "ImagePoolInfo",
			Help:   "Lists the images that pass a filter",
			Errors: "4096 a filter flag below -3",
			Auth:   "USE IMAGE (filter)", Result: "IMAGE_POOL document", Params: rangeParams(), Handler: images.filtered},
	}
}

// imageSize finds the size of an image that is to be made; when it has to be measured, the driver is asked, outside of any
// transaction.
func imageSize(c *Call, t *template.Template, ds *datastore.Datastore) (int64, error) {
	fail := func(err error) (int64, error) {
		return 0, refusal.New(refusal.Internal, "Cannot determine Image SIZE", err.Error())
	}
	size, stat, err := image.Size(t, cloud.ImageDefaults(c.Conf()))
	if err != nil {
		return fail(err)
	}
	if !stat {
		return size, nil
	}
	answer, err := c.srv.drivers.Stat(c.ctx, t.Get("PATH"), string(ds.PoolXML()))
	if err != nil {
		return fail(err)
	}
	if size, err = dsmad.Size(answer); err != nil {
		return 0, refusal.New(refusal.Internal, err.Error(), "")
	}
	t.Replace("SIZE", itoa(int(size)))
	return size, nil
}

func imageAllocate(c *Call) (any, error) {
	noun := resource.Image.Noun()
	parsed, err := template.ParseUnique(c.Str(1))
	if err != nil {
		return nil, refusal.OfAllocation(noun, err.Error())
	}
	if err := c.ReadLate(); err != nil {
		return nil, err
	}
	dsID := c.Int(2)
	ds := c.Snapshot().Datastores.Get(dsID)
	if ds == nil {
		return nil, refusal.NotFound(resource.Datastore.Noun(), dsID)
	}
	if ds.Type == datastore.System {
		return nil, refusal.OfAllocation(noun, "New images cannot be allocated in a system datastore.")
	}
	size, err := imageSize(c, parsed, ds)
	if err != nil {
		return nil, err
	}
	var id int
	err = c.Update(func(tx *state.Tx) error {
		t := parsed.Clone()
		ds := tx.Datastores.Get(dsID)
		if ds == nil {
			return refusal.NotFound(resource.Datastore.Noun(), dsID)
		}
		if err := checkSpace(c, ds, size); err != nil {
			return err
		}
		if err := mayAddImage(c, tx, t, ds, size); err != nil {
			return err
		}
		img, err := cloud.AddImage(tx, &c.Caller, t, ds)
		if err != nil {
			return refusal.OfAllocation(noun, err.Error())
		}
		id = img.ID
		return nil
	})
	return id, err
}

func checkSpace(c *Call, ds *datastore.Datastore, size int64) error {
	if err := ds.CheckSpace(size, cloud.DatastoreConfig(c.Conf())); err != nil {
		return refusal.BareText(refusal.Action, err.Error())
	}
	return nil
}

// mayAddImage is what is asked of a user who adds an image, oneadmin apart.
func mayAddImage(c *Call, tx *state.Tx, t *template.Template, ds *datastore.Datastore, size int64) error {
	if c.Root() {
		return nil
	}
	if !c.Privileged() {
		if attr, found := t.Restricted(c.Conf().ImageRestricted); found {
			return refusal.Denied("Template includes a restricted attribute " + attr)
		}
	}
	create := c.ToCreate(resource.Image, t)
	if err := c.Authorize(tx.View(), create, auth.On(auth.Use, resource.Datastore, ds)); err != nil {
		return err
	}
	return cloud.Charge(tx, c.UID, c.GID, quota.ForImage(ds.ID, size))
}

func imageClone(c *Call) (any, error) {
	noun := resource.Image.Noun()
	var id int
	err := c.Update(func(tx *state.Tx) error {
		img := tx.Images.Get(c.Int(1))
		if img == nil {
			return refusal.NotFound(noun, c.Int(1))
		}
		if img.Type.IsFile() {
			r := refusal.OfAllocation(noun, "KERNEL, RAMDISK and CONTEXT files cannot be cloned.")
			r.Kind = refusal.Action
			return r
		}
		ds := tx.Datastores.Get(img.DatastoreID)
		if ds == nil {
			return refusal.NotFound(resource.Datastore.Noun(), img.DatastoreID)
		}
		if ds.Type == datastore.Files {
			return refusal.BareText(refusal.Action, "Clone not supported for FILE_DS Datastores")
		}
		if err := checkSpace(c, ds, img.SizeMB); err != nil {
			return err
		}
		if err := c.Authorize(tx.View(), c.ToCreate(resource.Image, img.CloneTemplate(c.Str(2))),
			auth.On(auth.Use, resource.Image, img), auth.On(auth.Use, resource.Datastore, ds)); err != nil {
			return err
		}
		if err := cloud.Charge(tx, c.UID, c.GID, cloud.ImageUse(img)); err != nil {
			return err
		}
		made, err := cloud.CloneImage(tx, &c.Caller, img, c.Str(2))
		if err != nil {
			return refusal.OfAllocation(noun, err.Error())
		}
		id = made.ID
		return nil
	})
	return id, err
}

// onImage runs a change of an image that the caller may manage.
func onImage(c *Call, change func(tx *state.Tx, img *image.Image) error) (any, error) {
	id := c.Int(1)
	return c.UpdateID(id, func(tx *state.Tx) error {
		if _, err := images.find(c, tx.View(), auth.Manage, id); err != nil {
			return err
		}
		return change(tx, tx.Images.Edit(id))
	})
}

func imageEnable(c *Call) (any, error) {
	what := "Could not disable image"
	if c.Bool(2) {
		what = "Could not enable image"
	}
	id, err := onImage(c, func(_ *state.Tx, img *image.Image) error { return because(what, img.Enable(c.Bool(2))) })
	if r, ok := refusal.As(err); ok && r.Kind == refusal.NoExists && c.Int(1) < 0 {
		// That there is no such image is noticed only where the reason is not told.
		return nil, because(what, errors.New(""))
	}
	return id, err
}

func imagePersistent(c *Call) (any, error) {
	return onImage(c, func(_ *state.Tx, img *image.Image) error {
		err := img.SetPersistent(c.Bool(2))
		if errors.Is(err, image.ErrFilePersistent) {
			return asAction(err)
		}
		what := "Could not make image non-persistent"
		if c.Bool(2) {
			what = "Could not make image persistent"
		}
		return because(what, err)
	})
}

// because puts what could not be done in front of a rule's refusal, whose code is INTERNAL.
func because(what string, err error) error {
	if err == nil {
		return nil
	}
	return refusal.New(refusal.Internal, what+": "+err.Error(), "")
}

func imageChtype(c *Call) (any, error) {
	return onImage(c, func(_ *state.Tx, img *image.Image) error {
		name := c.Str(2)
		if name == "" {
			name = c.Conf().DefaultImageType
		}
		err := img.ChangeType(name)
		if errors.Is(err, image.ErrIncompatibleType) {
			return asAction(err)
		}
		if err != nil {
			return refusal.New(refusal.Internal, err.Error(), "")
		}
		return nil
	})
}
