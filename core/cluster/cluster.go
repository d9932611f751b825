// Package cluster is a cluster: its document, its members, and the capacity it reserves on its hosts. Nothing here does I/O.
package cluster

import (
	"errors"
	"fmt"

	"goned/core/resource"
	"goned/core/template"
	"goned/core/template/xmldoc"
)

// FirstID is the first id of clusters; those below are reserved (10 means all clusters in a resource provider).
const FirstID = 100

// Cluster is a cluster. One in a pool is not changed; Clone gives a copy that may be.
type Cluster struct {
	ID       int
	Name     string
	Template *template.Template
	// Hosts, Datastores and Nets are the ids of the members, each of which names the cluster too.
	Hosts, Datastores, Nets resource.IDs
}

// New makes an empty cluster that reserves nothing.
func New(id int, name string) (*Cluster, error) {
	if err := resource.CheckName(name, ""); err != nil {
		return nil, err
	}
	t := &template.Template{}
	t.AddSimple("RESERVED_CPU", "")
	t.AddSimple("RESERVED_MEM", "")
	return &Cluster{ID: id, Name: name, Template: t}, nil
}

// OID is the cluster's number.
func (c *Cluster) OID() int { return c.ID }

// Label is the cluster's name.
func (c *Cluster) Label() string { return c.Name }

// Access gives a cluster to oneadmin, who may use and manage it.
func (c *Cluster) Access() resource.Access {
	return resource.Access{Cluster: resource.NoCluster, Perms: resource.OwnerU | resource.OwnerM}
}

// Key is the name, unique among all clusters.
func (c *Cluster) Key() string { return c.Name }

// Clone is a deep copy.
func (c *Cluster) Clone() *Cluster {
	d := *c
	d.Template = c.Template.Clone()
	return &d
}

// Reserved is what the cluster keeps back of each host's CPU (percent) and memory (KB). A value that is no integer is 0.
func (c *Cluster) Reserved() (cpu, memory int64) {
	cpu, _ = c.Template.Int("RESERVED_CPU")
	memory, _ = c.Template.Int("RESERVED_MEM")
	return cpu, memory
}

// CheckDelete refuses the deletion of a system cluster and of one that has members.
func (c *Cluster) CheckDelete() error {
	if c.ID < FirstID {
		return errors.New("System Clusters (ID < 100) cannot be deleted.")
	}
	for _, members := range []struct {
		ids  resource.IDs
		noun string
	}{{c.Hosts, "hosts"}, {c.Datastores, "datastores"}, {c.Nets, "vnets"}} {
		if n := len(members.ids); n > 0 {
			return fmt.Errorf("Cluster %d is not empty, it contains %d %s.", c.ID, n, members.noun)
		}
	}
	return nil
}

// PoolXML is the document, the same in the database, in listings and for one.cluster.info.
func (c *Cluster) PoolXML() []byte {
	dst := append(make([]byte, 0, 512), "<CLUSTER>"...)
	dst = resource.AppendInt(dst, "ID", int64(c.ID))
	dst = resource.AppendText(dst, "NAME", c.Name)
	dst = c.Hosts.AppendXML(dst, "HOSTS")
	dst = c.Datastores.AppendXML(dst, "DATASTORES")
	dst = c.Nets.AppendXML(dst, "VNETS")
	dst = c.Template.AppendXML(dst, "TEMPLATE")
	return append(dst, "</CLUSTER>"...)
}

// Parse reads a database body. As in 4.6, every element must be there.
func Parse(body string) (*Cluster, error) {
	doc, err := xmldoc.Parse(body)
	if err != nil {
		return nil, fmt.Errorf("cluster body: %w", err)
	}
	r := resource.Reader{Node: doc}
	c := &Cluster{
		ID: r.Int("ID"), Name: r.Text("NAME"),
		Hosts:      resource.ReadIDs(r.Element("HOSTS")),
		Datastores: resource.ReadIDs(r.Element("DATASTORES")),
		Nets:       resource.ReadIDs(r.Element("VNETS")),
		Template:   template.FromElement(r.Element("TEMPLATE")),
	}
	if r.Err != nil {
		return nil, fmt.Errorf("cluster body %d: %w", c.ID, r.Err)
	}
	return c, nil
}
