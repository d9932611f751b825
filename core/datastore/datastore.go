// Package datastore is a datastore: its document, and the rules by which its template decides what it is. Nothing here does I/O.
package datastore

import (
	"fmt"
	"strconv"
	"strings"

	"goned/core/image"
	"goned/core/resource"
	"goned/core/template"
	"goned/core/template/xmldoc"
)

// Type is what a datastore holds; the numbers are 4.6's.
type Type int

// The types.
const (
	Images Type = iota
	System
	Files
)

var typeNames = [...]string{"IMAGE_DS", "SYSTEM_DS", "FILE_DS"}

// String is the name in templates and messages.
func (t Type) String() string {
	if t >= 0 && int(t) < len(typeNames) {
		return typeNames[t]
	}
	return strconv.Itoa(int(t))
}

// ParseType reads a name in any case. As in 4.6, whatever is no name is IMAGE_DS.
func ParseType(name string) Type {
	for n, known := range typeNames {
		if strings.EqualFold(known, name) {
			return Type(n)
		}
	}
	return Images
}

// Datastore is a datastore. One in a pool is not changed; Clone gives a copy that may be.
type Datastore struct {
	resource.Base

	// DSMad is "-" for system datastores, which have no driver.
	DSMad, TMMad string
	// BasePath is the datastore's own directory.
	BasePath string
	Type     Type
	DiskType image.DiskType
	// ClusterID is resource.NoCluster, and Cluster empty, when it is in none.
	ClusterID int
	Cluster   string
	// TotalMB, FreeMB and UsedMB are the values monitored last.
	TotalMB, FreeMB, UsedMB int64
	Images                  resource.ManyIDs
	Template                *template.Template
}

// Access is what permission checks and pool filters look at.
func (d *Datastore) Access() resource.Access {
	a := d.Base.Access()
	a.Cluster = d.ClusterID
	return a
}

// Key is the name, unique among all datastores.
func (d *Datastore) Key() string { return d.Name }

// Clone is a deep copy.
func (d *Datastore) Clone() *Datastore {
	c := *d
	c.Template = d.Template.Clone()
	return &c
}

// PoolXML is the document, the same in the database, in listings and for one.datastore.info.
func (d *Datastore) PoolXML() []byte {
	dst := d.Base.AppendXML(append(make([]byte, 0, 1536), "<DATASTORE>"...), nil)
	dst = resource.AppendCDATA(dst, "DS_MAD", d.DSMad)
	dst = resource.AppendCDATA(dst, "TM_MAD", d.TMMad)
	dst = resource.AppendCDATA(dst, "BASE_PATH", d.BasePath)
	dst = resource.AppendInt(dst, "TYPE", int64(d.Type))
	dst = resource.AppendInt(dst, "DISK_TYPE", int64(d.DiskType))
	dst = resource.AppendInt(dst, "CLUSTER_ID", int64(d.ClusterID))
	dst = resource.AppendText(dst, "CLUSTER", d.Cluster)
	dst = resource.AppendInt(dst, "TOTAL_MB", d.TotalMB)
	dst = resource.AppendInt(dst, "FREE_MB", d.FreeMB)
	dst = resource.AppendInt(dst, "USED_MB", d.UsedMB)
	dst = d.Images.AppendXML(dst, "IMAGES")
	dst = d.Template.AppendXML(dst, "TEMPLATE")
	return append(dst, "</DATASTORE>"...)
}

// Parse reads a database body. As in 4.6, every element must be there.
func Parse(body string) (*Datastore, error) {
	doc, err := xmldoc.Parse(body)
	if err != nil {
		return nil, fmt.Errorf("datastore body: %w", err)
	}
	base, err := resource.ReadBase(doc)
	if err != nil {
		return nil, fmt.Errorf("datastore body: %w", err)
	}
	r := resource.Reader{Node: doc}
	d := &Datastore{
		Base:  base,
		DSMad: r.Text("DS_MAD"), TMMad: r.Text("TM_MAD"), BasePath: r.Text("BASE_PATH"),
		Type: Type(r.Int("TYPE")), DiskType: image.DiskType(r.Int("DISK_TYPE")),
		ClusterID: r.Int("CLUSTER_ID"), Cluster: r.Text("CLUSTER"),
		TotalMB: r.Int64("TOTAL_MB"), FreeMB: r.Int64("FREE_MB"), UsedMB: r.Int64("USED_MB"),
		Images:   resource.ReadManyIDs(r.Element("IMAGES")),
		Template: template.FromElement(r.Element("TEMPLATE")),
	}
	if r.Err != nil {
		return nil, fmt.Errorf("datastore body %d: %w", d.ID, r.Err)
	}
	return d, nil
}
