package rpc

import (
	"goned/core/auth"
	"goned/core/cloud"
	"goned/core/refusal"
	"goned/core/resource"
	"goned/core/state"
	"goned/core/template"
	"goned/core/vmtemplate"
)

var templates = &family[*vmtemplate.VMTemplate]{
	kind: resource.Template, root: "VMTEMPLATE_POOL",
	pool: func(s *state.Snapshot) *state.Pool[*vmtemplate.VMTemplate] { return &s.Templates },
	edit: func(tx *state.Tx) *state.Editor[*vmtemplate.VMTemplate] { return tx.Templates },
	name: func(t *vmtemplate.VMTemplate) *string { return &t.Name },
	body: func(t *vmtemplate.VMTemplate) **template.Template { return &t.Template },
	base: func(t *vmtemplate.VMTemplate) *resource.Base { return &t.Base },
	deleting: func(_ *Call, tx *state.Tx, t *vmtemplate.VMTemplate) error {
		tx.Templates.Delete(t.ID)
		return nil
	},
}

func templateMethods() []*Method {
	return []*Method{
		{Name: "one.template.update", Log: "TemplateUpdateTemplate",
			Help:   "Replaces the template of a VM template, or changes some of its attributes",
			Errors: "4096 a type that is neither 0 nor 1. 8192 the text does not parse or cannot be stored",
			Auth:   "MANAGE TEMPLATE", Result: "template id", Params: updateParams(), Handler: templates.update},
		{Name: "one.template.instantiate", Log: "TemplateInstantiate",
			Help:   "Makes a VM of a VM template",
			Errors: "512 a restricted attribute; over quota. 8192 the text does not parse or makes no VM",
			Auth:   "USE TEMPLATE, USE IMAGE, USE NET; CREATE TEMPLATE with extra attributes", Result: "VM id",
			Params: idAnd(strParam("name"), boolParam("hold").or(false), strParam("extra").or("")), Handler: templateInstantiate},
		{Name: "one.template.allocate", Log: "TemplateAllocate",
			Help:   "Makes a VM template",
			Errors: "8192 the text does not parse; no name, or one that is taken or not allowed",
			Auth:   "CREATE TEMPLATE", Result: "template id",
			Params: []Param{strParam("template")}, Handler: templateAllocate},
		{Name: "one.template.delete", Log: "TemplateDelete",
			Help: "Removes a VM template",
			Auth: "MANAGE TEMPLATE", Result: "template id", Params: idAnd(), Handler: templates.delete},
		{Name: "one.template.info", Log: "TemplateInfo",
			Help: "Returns a VM template",
			Auth: "USE TEMPLATE", Result: "VMTEMPLATE document", Params: idAnd(), Handler: templates.info},
		{Name: "one.template.chown", Log: "TemplateChown",
			Help:   "Gives a VM template to another user, another group or both",
			Errors: "8192 the new owner has a template of this name",
			Auth:   "MANAGE TEMPLATE, MANAGE USER, USE GROUP", Result: "template id",
			Params: idAnd(intParam("user"), intParam("group")), Handler: templates.chown},
		{Name: "one.template.chmod", Log: "TemplateChmod",
			Help:   "Changes the permission bits of a VM template",
			Errors: "512 bits of others, where ENABLE_OTHER_PERMISSIONS forbids them. 8192 a value that is not -1, 0 or 1",
			Auth:   "MANAGE or ADMIN TEMPLATE", Result: "template id", Params: chmodParams(), Handler: templates.chmod},
		{Name: "one.template.clone", Log: "VMTemplateClone",
			Help:   "Copies a VM template; the copy is the caller's",
			Errors: "8192 a name that is taken or not allowed",
			Auth:   "USE TEMPLATE, CREATE TEMPLATE", Result: "new template id",
			Params: idAnd(strParam("name")), Handler: templateClone},
		{Name: "one.template.rename", Log: "TemplateRename",
			Help:   "Gives a VM template another name",
			Errors: "2048 a name that is taken or not allowed",
			Auth:   "MANAGE TEMPLATE", Result: "template id", Params: idAnd(strParam("name")), Handler: templates.rename},
		{Name: "one.templatepool.info", Log: "TemplatePoolInfo",
			Help:   "Lists the VM templates that pass a filter",
			Errors: "4096 a filter flag below -3",
			Auth:   "USE TEMPLATE (filter)", Result: "VMTEMPLATE_POOL document",
			Params: rangeParams(), Handler: templates.filtered},
	}
}

func templateAllocate(c *Call) (any, error) {
	noun := resource.Template.Noun()
	var id int
	err := c.Update(func(tx *state.Tx) error {
		t, err := template.Parse(c.Str(1))
		if err != nil {
			return refusal.OfAllocation(noun, err.Error())
		}
		if err := c.Authorize(tx.View(), c.ToCreate(resource.Template, t)); err != nil {
			return err
		}
		n, err := cloud.AddTemplate(tx, &c.Caller, t)
		if err != nil {
			return refusal.OfAllocation(noun, err.Error())
		}
		id = n.ID
		return nil
	})
	return id, err
}

func templateClone(c *Call) (any, error) {
	return templates.clone(c, func(tx *state.Tx, t *vmtemplate.VMTemplate) (int, error) {
		body := t.Clone().Template
		body.Replace("NAME", c.Str(2))
		n, err := cloud.AddTemplate(tx, &c.Caller, body)
		if err != nil {
			return 0, err
		}
		return n.ID, nil
	})
}

// clone answers one.X.clone(id, name).
func (f *family[T]) clone(c *Call, add func(*state.Tx, T) (int, error)) (any, error) {
	id := c.Int(1)
	var made int
	err := c.Update(func(tx *state.Tx) error {
		obj := f.pool(tx.View()).Get(id)
		var none T
		if obj == none {
			return refusal.NotFound(f.kind.Noun(), id)
		}
		create := c.ToCreate(f.kind, *f.body(obj))
		if err := c.Authorize(tx.View(), auth.On(auth.Use, f.kind, obj), create); err != nil {
			return err
		}
		n, err := add(tx, obj)
		if err != nil {
			return refusal.OfAllocation(f.kind.Noun(), err.Error())
		}
		made = n
		return nil
	})
	return made, err
}

// templateInstantiate makes a VM of a template. The optional parameters come both or not at all.
func templateInstantiate(c *Call) (any, error) {
	if c.Given(3) && !c.Given(4) {
		return nil, errNotEnough
	}
	var id int
	err := c.Update(func(tx *state.Tx) error {
		stored := tx.Templates.Get(c.Int(1))
		if stored == nil {
			return refusal.NotFound(resource.Template.Noun(), c.Int(1))
		}
		t, err := instanceOf(c, stored)
		if err != nil {
			return err
		}
		checks := []auth.Check{auth.On(auth.Use, resource.Template, stored)}
		if c.Str(4) != "" {
			checks = append(checks, c.ToCreate(resource.Template, t))
		}
		id, err = newVM(c, tx, t, checks, c.Bool(3))
		return err
	})
	return id, err
}

// instanceOf is the template of a VM: the stored one with the extra attributes merged over it.
func instanceOf(c *Call, stored *vmtemplate.VMTemplate) (*template.Template, error) {
	t := stored.Clone().Template
	if stored.UID != 0 && stored.GID != 0 {
		if attr, found := t.Restricted(c.Conf().VMRestricted); found {
			return nil, refusal.Denied("VM Template includes a restricted attribute " + attr)
		}
	}
	if text := c.Str(4); text != "" {
		extra, err := template.Parse(text)
		if err != nil {
			return nil, refusal.BareText(refusal.Internal, err.Error())
		}
		if !c.Privileged() {
			if attr, found := extra.Restricted(c.Conf().VMRestricted); found {
				return nil, refusal.Denied("User Template includes a restricted attribute " + attr)
			}
		}
		t.Merge(extra)
	}
	for _, name := range []string{"NAME", "TEMPLATE_NAME", "TEMPLATE_ID"} {
		t.Erase(name)
	}
	t.AddSimple("TEMPLATE_NAME", stored.Name)
	t.AddSimple("TEMPLATE_ID", itoa(stored.ID))
	if name := c.Str(2); name != "" {
		t.AddSimple("NAME", name)
	}
	return t, nil
}
