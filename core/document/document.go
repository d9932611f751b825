// Package document is a document: a template of a type that only its clients understand. Nothing here does I/O.
package document

import (
	"errors"
	"fmt"
	"strconv"

	"goned/core/resource"
	"goned/core/template"
	"goned/core/template/xmldoc"
)

// maxName is the longest name, in bytes.
const maxName = 128

// Document is a document. One in a pool is not changed; Clone gives a copy that may be.
type Document struct {
	resource.Base

	// Type is any number its client chose. It never changes.
	Type     int
	Template *template.Template
	// Fresh tells that nobody has changed it since it was made. Until then listings and database have empty values of vectors,
	// which 4.6 loses when it reads the document back: Clone and ReloadedXML do without them.
	Fresh bool
}

// NewName is the name of a new document: as in 4.6 only its length is limited, and an empty one is made up of the id.
func NewName(name string, id int) (string, error) {
	if name == "" {
		return "document-" + strconv.Itoa(id), nil
	}
	if len(name) > maxName {
		return "", errors.New("NAME is too long; max length is 128 chars.")
	}
	return name, nil
}

// Key is empty: names of documents are not unique.
func (d *Document) Key() string { return "" }

// Access is what filters look at: the type is among it.
func (d *Document) Access() resource.Access {
	a := d.Base.Access()
	a.Class = int32(d.Type)
	return a
}

// Clone is a deep copy.
func (d *Document) Clone() *Document {
	c := *d
	if c.Fresh = false; d.Fresh {
		c.Template = d.Template.Reloaded()
	} else {
		c.Template = d.Template.Clone()
	}
	return &c
}

// ReloadedXML is the document of one.document.info.
func (d *Document) ReloadedXML() []byte {
	if d.Fresh {
		d = d.Clone()
	}
	return d.PoolXML()
}

// PoolXML is the document of the database and of listings.
func (d *Document) PoolXML() []byte {
	dst := d.Base.AppendXML(append(make([]byte, 0, 1024), "<DOCUMENT>"...), func(dst []byte) []byte {
		return resource.AppendInt(dst, "TYPE", int64(d.Type))
	})
	dst = d.Template.AppendXML(dst, "TEMPLATE")
	return append(dst, "</DOCUMENT>"...)
}

// Parse reads a database body. As in 4.6, every element must be there.
func Parse(body string) (*Document, error) {
	doc, err := xmldoc.Parse(body)
	if err != nil {
		return nil, fmt.Errorf("document body: %w", err)
	}
	base, err := resource.ReadBase(doc)
	if err != nil {
		return nil, fmt.Errorf("document body: %w", err)
	}
	r := resource.Reader{Node: doc}
	d := &Document{Base: base, Type: r.Int("TYPE"), Template: template.FromElement(r.Element("TEMPLATE"))}
	if r.Err != nil {
		return nil, fmt.Errorf("document body %d: %w", d.ID, r.Err)
	}
	return d, nil
}
