// Package vmtemplate is a stored description of virtual machines (kind TEMPLATE). Nothing here does I/O.
package vmtemplate

import (
	"fmt"
	"strconv"

	"goned/core/resource"
	"goned/core/template"
	"goned/core/template/xmldoc"
)

// VMTemplate is a virtual machine template. One in a pool is not changed; Clone gives a copy that may be.
type VMTemplate struct {
	resource.Base

	// RegTime is the time of its creation, seconds since 1970.
	RegTime  int64
	Template *template.Template
	// Fresh tells that nobody has changed it since it was made. Until then listings and database have empty values of vectors,
	// which 4.6 loses when it reads the template back: Clone and ReloadedXML do without them.
	Fresh bool
}

// Key is the name with its owner: names are unique per owner.
func (t *VMTemplate) Key() string { return Key(t.UID, t.Name) }

// Key is the pool key of the template of that owner and name.
func Key(uid int, name string) string { return strconv.Itoa(uid) + ":" + name }

// Clone is a deep copy.
func (t *VMTemplate) Clone() *VMTemplate {
	c := *t
	if c.Fresh = false; t.Fresh {
		c.Template = t.Template.Reloaded()
	} else {
		c.Template = t.Template.Clone()
	}
	return &c
}

// ReloadedXML is the document of one.template.info.
func (t *VMTemplate) ReloadedXML() []byte {
	if t.Fresh {
		t = t.Clone()
	}
	return t.PoolXML()
}

// PoolXML is the document of the database and of listings.
func (t *VMTemplate) PoolXML() []byte {
	dst := t.Base.AppendXML(append(make([]byte, 0, 1536), "<VMTEMPLATE>"...), nil)
	dst = resource.AppendInt(dst, "REGTIME", t.RegTime)
	dst = t.Template.AppendXML(dst, "TEMPLATE")
	return append(dst, "</VMTEMPLATE>"...)
}

// Parse reads a database body. As in 4.6, every element must be there.
func Parse(body string) (*VMTemplate, error) {
	doc, err := xmldoc.Parse(body)
	if err != nil {
		return nil, fmt.Errorf("template body: %w", err)
	}
	base, err := resource.ReadBase(doc)
	if err != nil {
		return nil, fmt.Errorf("template body: %w", err)
	}
	r := resource.Reader{Node: doc}
	t := &VMTemplate{Base: base, RegTime: r.Int64("REGTIME"), Template: template.FromElement(r.Element("TEMPLATE"))}
	if r.Err != nil {
		return nil, fmt.Errorf("template body %d: %w", t.ID, r.Err)
	}
	return t, nil
}
