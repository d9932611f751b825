// Package zone is a zone of a federation: its document and the rules for its endpoint. Nothing here does I/O.
package zone

import (
	"errors"
	"fmt"

	"goned/core/resource"
	"goned/core/template"
	"goned/core/template/xmldoc"
)

// FirstID is the first id of zones that can be made and deleted; those below are the system's.
const FirstID = 100

// Zone is a zone. One in a pool is not changed; Clone gives a copy that may be.
type Zone struct {
	ID       int
	Name     string
	Template *template.Template
}

// New makes a zone of a template with NAME and ENDPOINT, which it takes over. NAME leaves the template.
func New(id int, t *template.Template) (*Zone, error) {
	name := t.Get("NAME")
	t.Erase("NAME")
	if err := resource.CheckName(name, ""); err != nil {
		return nil, err
	}
	if t.Get("ENDPOINT") == "" {
		return nil, errors.New("ENDPOINT not present in template.")
	}
	return &Zone{ID: id, Name: name, Template: t}, nil
}

// OID is the zone's number.
func (z *Zone) OID() int { return z.ID }

// Label is the zone's name.
func (z *Zone) Label() string { return z.Name }

// Access gives a zone to oneadmin, who may use and manage it.
func (z *Zone) Access() resource.Access {
	return resource.Access{Cluster: resource.NoCluster, Perms: resource.OwnerU | resource.OwnerM}
}

// Key is the name, unique among all zones.
func (z *Zone) Key() string { return z.Name }

// Clone is a deep copy.
func (z *Zone) Clone() *Zone {
	c := *z
	c.Template = z.Template.Clone()
	return &c
}

// SetTemplate takes over t as the template. As in 4.6 a zone never lacks an endpoint: a missing or empty one is "-".
func (z *Zone) SetTemplate(t *template.Template) {
	if t.Get("ENDPOINT") == "" {
		t.Replace("ENDPOINT", "-")
	}
	z.Template = t
}

// CheckDelete refuses the deletion of system zones.
func (z *Zone) CheckDelete() error {
	if z.ID < FirstID {
		return errors.New("System Zones (ID < 100) cannot be deleted.")
	}
	return nil
}

// PoolXML is the document, the same in the database, in listings and for one.zone.info.
func (z *Zone) PoolXML() []byte {
	dst := append(make([]byte, 0, 256), "<ZONE>"...)
	dst = resource.AppendInt(dst, "ID", int64(z.ID))
	dst = resource.AppendText(dst, "NAME", z.Name)
	dst = z.Template.AppendXML(dst, "TEMPLATE")
	return append(dst, "</ZONE>"...)
}

// Parse reads a database body. As in 4.6, every element must be there.
func Parse(body string) (*Zone, error) {
	doc, err := xmldoc.Parse(body)
	if err != nil {
		return nil, fmt.Errorf("zone body: %w", err)
	}
	r := resource.Reader{Node: doc}
	z := &Zone{ID: r.Int("ID"), Name: r.Text("NAME"), Template: template.FromElement(r.Element("TEMPLATE"))}
	if r.Err != nil {
		return nil, fmt.Errorf("zone body %d: %w", z.ID, r.Err)
	}
	return z, nil
}
