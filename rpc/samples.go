package rpc

import (
	"database/sql"
	"iter"
	"strconv"
	"strings"

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

// rowTable is a table with rows of objects: which columns are the object's id and the order of its rows.
type rowTable struct{ name, id, order string }

var (
	vmSamples   = rowTable{"vm_monitoring", "vmid", "last_poll"}
	hostSamples = rowTable{"host_monitoring", "hid", "last_mon_time"}
	vmHistory   = rowTable{"history", "vid", "seq"}
)

// samplesOf is a MONITORING_DATA document of the objects that the caller sees.
func (f *family[T]) samplesOf(c *Call, flag int, t rowTable) (any, error) {
	bodies, err := f.rowsOf(c, flag, t, "")
	if err != nil {
		return nil, err
	}
	out := append(Document{[]byte("&lt;MONITORING_DATA&gt;")}, bodies...)
	return append(out, []byte("&lt;/MONITORING_DATA&gt;")), nil
}

// rowsOf are the bodies in a table, of the objects that a filter flag lets the caller see. where is a further condition, "AND …".
func (f *family[T]) rowsOf(c *Call, flag int, t rowTable, where string, args ...any) (Document, error) {
	if err := auth.CheckFilter(flag); err != nil {
		return nil, err
	}
	s := c.Snapshot()
	pool := f.pool(s)
	v := &selection{Visible: auth.NewVisible(s.ACL, c.Conf().Federation.Zone, &c.Caller, f.kind, flag)}
	if ids, few := atMost(fewObjects, pool.Select(0, 0, v)); few {
		if len(ids) == 0 {
			return nil, nil
		}
		where += " AND " + t.id + " IN (" + strings.Join(ids, ",") + ")"
	}
	query := "SELECT " + t.id + ", body FROM " + t.name + " WHERE 1=1" + where + " ORDER BY " + t.id + ", " + t.order
	var out Document
	err := c.srv.rows.Query(c.ctx, query, args, func(scan func(...any) error) error {
		var id int
		var body sql.RawBytes
		if err := scan(&id, &body); err != nil {
			return err
		}
		if a := pool.Access(id); a != nil && v.Pass(id, a) {
			out = append(out, resource.AppendEscaped(nil, []byte(body)))
		}
		return nil
	})
	return out, err
}

// fewObjects is how many objects a query names one by one, so that it need not read the rows of all.
const fewObjects = 500

// atMost are the ids, if they are no more than n.
func atMost(n int, all iter.Seq[int]) (ids []string, ok bool) {
	for id := range all {
		if len(ids) == n {
			return nil, false
		}
		ids = append(ids, strconv.Itoa(id))
	}
	return ids, true
}
