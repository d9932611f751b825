// Package group is a group of users: its document, its members and the resource providers assigned to it. Nothing here does I/O.
package group

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"goned/core/resource"
	"goned/core/template"
	"goned/core/template/xmldoc"
)

// Ids of the groups that every cloud has, and the first of those that can be deleted.
const (
	OneadminID = 0
	UsersID    = 1
	FirstID    = 100
)

// AllClusters is the cluster id of a provider that stands for all clusters of its zone.
const AllClusters = 10

// Provider is a cluster of a zone, or all of them (AllClusters), whose resources a group may use.
type Provider struct {
	Zone, Cluster int
}

func compareProviders(a, b Provider) int {
	return cmp.Or(cmp.Compare(a.Zone, b.Zone), cmp.Compare(a.Cluster, b.Cluster))
}

// Group is a group. One in a pool is not changed; Clone gives a copy that may be.
type Group struct {
	ID       int
	Name     string
	Template *template.Template
	// Users are the members, for whom this is the primary or a secondary group.
	Users resource.IDs
	// Providers are sorted by zone, then cluster; see AddProvider.
	Providers []Provider
}

// New makes an empty group.
func New(id int, name string) (*Group, error) {
	if err := resource.CheckName(name, ""); err != nil {
		return nil, err
	}
	return &Group{ID: id, Name: name, Template: &template.Template{}}, nil
}

// AddProvider assigns a resource provider.
func (g *Group) AddProvider(p Provider) error {
	i, found := slices.BinarySearchFunc(g.Providers, p, compareProviders)
	if found {
		return errors.New("Resource provider is already assigned to this group")
	}
	g.Providers = slices.Insert(slices.Clone(g.Providers), i, p)
	return nil
}

// DelProvider takes a resource provider away.
func (g *Group) DelProvider(p Provider) error {
	i, found := slices.BinarySearchFunc(g.Providers, p, compareProviders)
	if !found {
		return errors.New("Resource provider is not assigned to this group")
	}
	g.Providers = slices.Delete(slices.Clone(g.Providers), i, i+1)
	return nil
}

// CheckDelete refuses the deletion of a system group and of one that has members.
func (g *Group) CheckDelete() error {
	if g.ID < FirstID {
		return errors.New("System Groups (ID < 100) cannot be deleted.")
	}
	if len(g.Users) > 0 {
		return fmt.Errorf("Group %d is not empty.", g.ID)
	}
	return nil
}

// OID is the group's number.
func (g *Group) OID() int { return g.ID }

// Label is the group's name.
func (g *Group) Label() string { return g.Name }

// Access gives a group to oneadmin, who may use and manage it; its members may use it.
func (g *Group) Access() resource.Access {
	return resource.Access{GID: g.ID, Cluster: resource.NoCluster, Perms: resource.OwnerU | resource.OwnerM | resource.GroupU}
}

// Key is the name, unique among all groups.
func (g *Group) Key() string { return g.Name }

// Clone is a deep copy.
func (g *Group) Clone() *Group {
	c := *g
	c.Template = g.Template.Clone()
	c.Providers = slices.Clone(g.Providers)
	return &c
}

// PoolXML is the document without quotas: the database body, and the GROUP element of pool listings.
func (g *Group) PoolXML() []byte { return append(g.appendOpen(make([]byte, 0, 512)), "</GROUP>"...) }

// InfoXML is the document of one.group.info. quotas and defaults append the elements of the group's quotas and of
// DEFAULT_GROUP_QUOTAS; either may be nil.
func (g *Group) InfoXML(quotas, defaults func([]byte) []byte) []byte {
	dst := g.appendOpen(make([]byte, 0, 2048))
	for _, more := range []func([]byte) []byte{quotas, defaults} {
		if more != nil {
			dst = more(dst)
		}
	}
	return append(dst, "</GROUP>"...)
}

func (g *Group) appendOpen(dst []byte) []byte {
	dst = append(dst, "<GROUP>"...)
	dst = resource.AppendInt(dst, "ID", int64(g.ID))
	dst = resource.AppendText(dst, "NAME", g.Name)
	dst = g.Template.AppendXML(dst, "TEMPLATE")
	dst = g.Users.AppendXML(dst, "USERS")
	for _, p := range g.Providers {
		dst = append(dst, "<RESOURCE_PROVIDER>"...)
		dst = resource.AppendInt(dst, "ZONE_ID", int64(p.Zone))
		dst = resource.AppendInt(dst, "CLUSTER_ID", int64(p.Cluster))
		dst = append(dst, "</RESOURCE_PROVIDER>"...)
	}
	return dst
}

// Parse reads a database body. As in 4.6, every element but the providers must be there.
func Parse(body string) (*Group, error) {
	doc, err := xmldoc.Parse(body)
	if err != nil {
		return nil, fmt.Errorf("group body: %w", err)
	}
	r := resource.Reader{Node: doc}
	g := &Group{
		ID: r.Int("ID"), Name: r.Text("NAME"),
		Template: template.FromElement(r.Element("TEMPLATE")),
		Users:    resource.ReadIDs(r.Element("USERS")),
	}
	for _, c := range doc.Children {
		if c.Name == "RESOURCE_PROVIDER" {
			p := resource.Reader{Node: c}
			g.Providers = append(g.Providers, Provider{Zone: p.Int("ZONE_ID"), Cluster: p.Int("CLUSTER_ID")})
			r.Err = cmp.Or(r.Err, p.Err)
		}
	}
	if r.Err != nil {
		return nil, fmt.Errorf("group body %d: %w", g.ID, r.Err)
	}
	slices.SortFunc(g.Providers, compareProviders)
	g.Providers = slices.Compact(g.Providers)
	return g, nil
}
