package rpc

import (
	"goned/core/auth"
	"goned/core/resource"
)

// Samples of monitoring and finished history are not kept in memory: they are read from the database, row by row.

// samples is a MONITORING_DATA document of one object.
func (c *Call) samples(query string, id int) (any, error) {
	out := Document{[]byte("&lt;MONITORING_DATA&gt;")}
	err := c.srv.rows.Query(c.ctx, query, []any{id}, func(scan func(...any) error) error {
		var body string
		if err := scan(&body); err != nil {
			return err
		}
		out = append(out, resource.AppendEscaped(nil, body))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return append(out, []byte("&lt;/MONITORING_DATA&gt;")), nil
}

// samplesOf is a MONITORING_DATA document of the objects that the caller sees. The query gives id and body.
func (f *family[T]) samplesOf(c *Call, flag int, query string) (any, error) {
	bodies, err := f.rowsOf(c, flag, query)
	if err != nil {
		return nil, err
	}
	out := append(Document{[]byte("&lt;MONITORING_DATA&gt;")}, bodies...)
	return append(out, []byte("&lt;/MONITORING_DATA&gt;")), nil
}

// rowsOf are the bodies that a query gives, of the objects that a filter flag lets the caller see.
func (f *family[T]) rowsOf(c *Call, flag int, query string, args ...any) (Document, error) {
	if err := auth.CheckFilter(flag); err != nil {
		return nil, err
	}
	s := c.Snapshot()
	v := auth.NewVisible(s.ACL, c.Conf().Federation.Zone, &c.Caller, f.kind, flag)
	seen := map[int]bool{}
	for id := range f.pool(s).Select(0, v.Pass) {
		seen[id] = true
	}
	var out Document
	err := c.srv.rows.Query(c.ctx, query, args, func(scan func(...any) error) error {
		var id int
		var body string
		if err := scan(&id, &body); err != nil {
			return err
		}
		if seen[id] {
			out = append(out, resource.AppendEscaped(nil, body))
		}
		return nil
	})
	return out, err
}
