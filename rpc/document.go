package rpc

import (
	"goned/core/cloud"
	"goned/core/document"
	"goned/core/refusal"
	"goned/core/resource"
	"goned/core/state"
	"goned/core/template"
)

var documents = &family[*document.Document]{
	kind: resource.Document, root: "DOCUMENT_POOL",
	pool: func(s *state.Snapshot) *state.Pool[*document.Document] { return &s.Documents },
	edit: func(tx *state.Tx) *state.Editor[*document.Document] { return tx.Documents },
	name: func(d *document.Document) *string { return &d.Name },
	body: func(d *document.Document) **template.Template { return &d.Template },
	base: func(d *document.Document) *resource.Base { return &d.Base },
	deleting: func(_ *Call, tx *state.Tx, d *document.Document) error {
		tx.Documents.Delete(d.ID)
		return nil
	},
}

func documentMethods() []*Method {
	return []*Method{
		{Name: "one.document.allocate", Log: "DocumentAllocate",
			Help:   "Makes a document",
			Errors: "8192 the text does not parse; a name that is too long",
			Auth:   "CREATE DOCUMENT", Result: "document id",
			Params: []Param{strParam("template"), intParam("type").late()}, Handler: documentAllocate},
		{Name: "one.document.delete", Log: "DocumentDelete",
			Help: "Removes a document",
			Auth: "MANAGE DOCUMENT", Result: "document id", Params: idAnd(), Handler: documents.delete},
		{Name: "one.document.info", Log: "DocumentInfo",
			Help: "Returns a document",
			Auth: "USE DOCUMENT", Result: "DOCUMENT document", Params: idAnd(), Handler: documents.info},
		{Name: "one.document.update", Log: "DocumentUpdateTemplate",
			Help:   "Replaces the template of a document, or changes some of its attributes",
			Errors: "4096 a type that is neither 0 nor 1. 8192 the text does not parse or cannot be stored",
			Auth:   "MANAGE DOCUMENT", Result: "document id", Params: updateParams(), Handler: documents.update},
		{Name: "one.document.chown", Log: "DocumentChown",
			Help: "Gives a document to another user, another group or both",
			Auth: "MANAGE DOCUMENT, MANAGE USER, USE GROUP", Result: "document id",
			Params: idAnd(intParam("user"), intParam("group")), Handler: documents.chown},
		{Name: "one.document.chmod", Log: "DocumentChmod",
			Help:   "Changes the permission bits of a document",
			Errors: "512 bits of others, where ENABLE_OTHER_PERMISSIONS forbids them. 8192 a value that is not -1, 0 or 1",
			Auth:   "MANAGE or ADMIN DOCUMENT", Result: "document id", Params: chmodParams(), Handler: documents.chmod},
		{Name: "one.document.clone", Log: "DocumentClone",
			Help:   "Copies a document; the copy is the caller's",
			Errors: "8192 a name that is too long",
			Auth:   "USE DOCUMENT, CREATE DOCUMENT", Result: "new document id",
			Params: idAnd(strParam("name")), Handler: documentClone},
		{Name: "one.document.rename", Log: "DocumentRename",
			Help:   "Gives a document another name",
			Errors: "2048 a name that is not allowed",
			Auth:   "MANAGE DOCUMENT", Result: "document id", Params: idAnd(strParam("name")), Handler: documents.rename},
		{Name: "one.documentpool.info", Log: "DocumentPoolInfo",
			Help:   "Lists the documents of a type that pass a filter",
			Errors: "4096 a filter flag below -3",
			Auth:   "USE DOCUMENT (filter)", Result: "DOCUMENT_POOL document",
			Params: append(rangeParams(), intParam("type")), Handler: documentPool},
	}
}

func documentAllocate(c *Call) (any, error) {
	noun := resource.Document.Noun()
	var id int
	err := c.Update(func(tx *state.Tx) error {
		t, err := template.Parse(c.Str(1))
		if err != nil {
			return refusal.OfAllocation(noun, err.Error())
		}
		if err := c.Authorize(tx.View(), c.ToCreate(resource.Document, t)); err != nil {
			return err
		}
		if err := c.ReadLate(); err != nil {
			return err
		}
		d, err := cloud.AddDocument(tx, &c.Caller, t, c.Int(2))
		if err != nil {
			return refusal.OfAllocation(noun, err.Error())
		}
		id = d.ID
		return nil
	})
	return id, err
}

func documentClone(c *Call) (any, error) {
	return documents.clone(c, func(tx *state.Tx, d *document.Document) (int, error) {
		t := d.Clone().Template
		t.Replace("NAME", c.Str(2))
		n, err := cloud.AddDocument(tx, &c.Caller, t, d.Type)
		if err != nil {
			return 0, err
		}
		return n.ID, nil
	})
}

func documentPool(c *Call) (any, error) {
	kind := c.Int(4)
	return documents.listing(c, c.Int(1), c.Int(2), c.Int(3), func(t int32) bool { return int(t) == kind })
}
