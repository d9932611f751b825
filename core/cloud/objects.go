package cloud

import (
	"errors"
	"fmt"

	"goned/core/acl"
	"goned/core/auth"
	"goned/core/cluster"
	"goned/core/document"
	"goned/core/group"
	"goned/core/hook"
	"goned/core/host"
	"goned/core/message"
	"goned/core/resource"
	"goned/core/state"
	"goned/core/template"
	"goned/core/vmtemplate"
	"goned/core/zone"
)

func logError(tx *state.Tx, module, text string) {
	tx.Send(message.Log{VM: message.OnedLog, Module: module, Level: message.Error, Text: text})
}

// nameTaken is 4.6's text for a name that somebody has.
func nameTaken(kind string, id int) error {
	return fmt.Errorf("NAME is already taken by %s %d.", kind, id)
}

// notXML is 4.6's text for an object that could not be stored.
func notXML(what string) error { return errors.New("Error transforming the " + what + " to XML.") }

// newBase is the common part of an object that a user makes.
func newBase(tx *state.Tx, owner *auth.Caller, id int, name string) resource.Base {
	return resource.Base{
		ID: id, UID: owner.UID, GID: owner.GID, UName: owner.UName, GName: owner.GName, Name: name, Perms: NewPermissions(tx, owner),
	}
}

// takeName takes NAME out of a template; a vector counts as no name.
func takeName(t *template.Template) string {
	name := t.Get("NAME")
	t.Erase("NAME")
	return name
}

// AddRule adds an access rule. The error's text is 4.6's.
func AddRule(tx *state.Tx, r acl.Rule) (int, error) {
	if err := tx.ACL().Check(r); err != nil {
		return 0, err
	}
	r.ID = tx.NextID(state.RuleIDs)
	tx.SetACL(tx.ACL().With(r))
	return r.ID, nil
}

// RemoveRule removes the rule with the same words as r, if there is one.
func RemoveRule(tx *state.Tx, r acl.Rule) {
	rules, _ := tx.ACL().WithoutRule(r)
	tx.SetACL(rules)
}

// EveryCluster is the cluster id that stands for all clusters of a zone in a resource provider.
const EveryCluster = 10

// ProviderRules are the rules that a group's resource provider stands for.
func ProviderRules(gid int, p group.Provider) [2]acl.Rule {
	return acl.ForProvider(gid, p.Zone, p.Cluster, p.Cluster == EveryCluster)
}

// AddZone makes a zone of a template.
func AddZone(tx *state.Tx, t *template.Template) (*zone.Zone, error) {
	z, err := zone.New(tx.NextID(state.ZoneIDs), t)
	if err != nil {
		return nil, err
	}
	if other := tx.Zones.ByName(z.Key()); other != nil {
		return nil, nameTaken("Zone", other.ID)
	}
	if z.Template.XMLSafe() != nil {
		return nil, notXML("Zone")
	}
	tx.Zones.Insert(z)
	return z, nil
}

// AddCluster makes a cluster.
func AddCluster(tx *state.Tx, name string) (*cluster.Cluster, error) {
	c, err := cluster.New(tx.NextID(state.ClusterIDs), name)
	if err != nil {
		return nil, err
	}
	if other := tx.Clusters.ByName(c.Key()); other != nil {
		return nil, nameTaken("CLUSTER", other.ID)
	}
	tx.Clusters.Insert(c)
	return c, nil
}

// AddHost makes a host, in a cluster or in none.
func AddHost(tx *state.Tx, name, im, vmm, vnm string, clusterID int) (*host.Host, error) {
	h, err := host.New(tx.NextID(state.HostIDs), name, im, vmm, vnm, resource.NoCluster, "")
	if err != nil {
		return nil, err
	}
	if other := tx.Hosts.ByName(h.Key()); other != nil {
		return nil, nameTaken("HOST", other.ID)
	}
	tx.Hosts.Insert(h)
	MoveHost(tx, h.ID, clusterID)
	hook.HostCreated(tx, h)
	return h, nil
}

// RemoveHost removes a host without VMs: its driver stops monitoring it and its cluster loses it.
func RemoveHost(tx *state.Tx, id int) error {
	h := tx.Hosts.Get(id)
	if err := h.CheckDelete(); err != nil {
		return err
	}
	h = tx.Hosts.Edit(id)
	was := h.State
	h.Disable()
	hook.HostMoved(tx, h, was)
	MoveHost(tx, id, resource.NoCluster)
	tx.Hosts.Delete(id)
	tx.Send(message.StopMonitor{Host: id, Name: h.Name, Driver: h.IMMad})
	return nil
}

// AddDocument makes a document of a template, which it consumes.
func AddDocument(tx *state.Tx, owner *auth.Caller, t *template.Template, kind int) (*document.Document, error) {
	id := tx.NextID(state.DocumentIDs)
	name, err := document.NewName(takeName(t), id)
	if err != nil {
		return nil, err
	}
	if t.XMLSafe() != nil {
		return nil, notXML("Document")
	}
	d := &document.Document{Base: newBase(tx, owner, id, name), Type: kind, Template: t, Fresh: true}
	tx.Documents.Insert(d)
	return d, nil
}

// AddTemplate makes a VM template, consuming t.
func AddTemplate(tx *state.Tx, owner *auth.Caller, t *template.Template) (*vmtemplate.VMTemplate, error) {
	name := takeName(t)
	if err := resource.CheckName(name, ""); err != nil {
		return nil, err
	}
	if other := tx.Templates.ByName(vmtemplate.Key(owner.UID, name)); other != nil {
		return nil, nameTaken("TEMPLATE", other.ID)
	}
	if t.XMLSafe() != nil {
		return nil, notXML("Template")
	}
	v := &vmtemplate.VMTemplate{
		Base: newBase(tx, owner, tx.NextID(state.TemplateIDs), name), RegTime: tx.Now, Template: t, Fresh: true,
	}
	tx.Templates.Insert(v)
	return v, nil
}

// HostRenamed gives the running VMs' records the new name of their host.
func HostRenamed(tx *state.Tx, h *host.Host) {
	for _, id := range h.VMs {
		v := tx.VMs.Edit(id)
		if v == nil {
			continue
		}
		if cur := v.Current(); cur != nil && cur.HID == h.ID {
			cur.Hostname = h.Name
			tx.SaveRecord(cur)
		}
	}
}
