package quota

import (
	"fmt"
	"strconv"
	"strings"

	"goned/core/resource"
	"goned/core/template/xmldoc"
)

// AppendXML writes the four quota elements as they are in a user's and a group's document and, within QUOTAS, in the database.
func (q *Quotas) AppendXML(dst []byte) []byte {
	for k := range kinds {
		name := k.String()
		dst = append(dst, '<')
		dst = append(dst, name...)
		dst = append(dst, "_QUOTA>"...)
		if q != nil {
			for i := range q.entries[k] {
				dst = q.entries[k][i].append(dst, k)
			}
		}
		dst = append(dst, '<', '/')
		dst = append(dst, name...)
		dst = append(dst, "_QUOTA>"...)
	}
	return dst
}

func (e *entry) append(dst []byte, k Kind) []byte {
	name := k.String()
	dst = append(dst, '<')
	dst = append(dst, name...)
	dst = append(dst, '>')
	id := k == VM // written; VMs have none
	for _, m := range xmlOrder[k] {
		if !id && "ID" < m.String() {
			dst = resource.AppendCDATA(dst, "ID", strconv.Itoa(e.id))
			id = true
		}
		i := m - kindMetrics[k][0]
		dst = appendNumber(dst, m.String(), "", e.limit[i])
		dst = appendNumber(dst, m.String(), "_USED", e.used[i])
	}
	dst = append(dst, '<', '/')
	dst = append(dst, name...)
	return append(dst, '>')
}

func appendNumber(dst []byte, name, suffix string, n number) []byte {
	dst = append(dst, '<')
	dst = append(dst, name...)
	dst = append(dst, suffix...)
	dst = append(dst, "><![CDATA["...)
	dst = n.append(dst)
	dst = append(dst, "]]></"...)
	dst = append(dst, name...)
	dst = append(dst, suffix...)
	return append(dst, '>')
}

// The elements of default limits, which are also their names in the database.
const (
	UserDefaults  = "DEFAULT_USER_QUOTAS"
	GroupDefaults = "DEFAULT_GROUP_QUOTAS"
)

// AppendDefaultsXML writes the element of default limits, UserDefaults or GroupDefaults.
func (q *Quotas) AppendDefaultsXML(dst []byte, name string) []byte {
	dst = append(dst, '<')
	dst = append(dst, name...)
	dst = append(dst, '>')
	dst = q.AppendXML(dst)
	dst = append(dst, '<', '/')
	dst = append(dst, name...)
	return append(dst, '>')
}

// DefaultsXML is what AppendDefaultsXML writes.
func (q *Quotas) DefaultsXML(name string) []byte { return q.AppendDefaultsXML(nil, name) }

// Parse reads a database body: QUOTAS of an owner, or default limits.
func Parse(body string) (*Quotas, error) {
	doc, err := xmldoc.Parse(body)
	if err != nil {
		return nil, fmt.Errorf("quotas: %w", err)
	}
	return read(doc)
}

func read(doc *xmldoc.Node) (*Quotas, error) {
	q := &Quotas{Default: doc.Name == UserDefaults || doc.Name == GroupDefaults}
	for k := range kinds {
		group := doc.Child(k.String() + "_QUOTA")
		if group == nil {
			continue
		}
		for _, n := range group.Children {
			if n.Name != k.String() {
				continue
			}
			if err := q.readEntry(k, n); err != nil {
				return nil, err
			}
		}
	}
	return q, nil
}

func (q *Quotas) readEntry(k Kind, n *xmldoc.Node) error {
	id := 0
	if k != VM {
		var err error
		if id, err = ParseID(n.ChildText("ID")); err != nil {
			return fmt.Errorf("quotas: %s: %w", k, err)
		}
	}
	if q.find(k, id) != nil {
		return nil
	}
	e := q.at(k, id)
	for i := range count(k) {
		name := (kindMetrics[k][0] + Metric(i)).String()
		for field, to := range map[string]*number{name: &e.limit[i], name + "_USED": &e.used[i]} {
			text := strings.TrimSpace(n.ChildText(field))
			if text == "" {
				continue // written by a version that did not count it
			}
			var ok bool
			if *to, ok = parseNumber(text); !ok {
				return fmt.Errorf("quotas: %s of %s %d is %.40q", field, k, id, text)
			}
		}
	}
	return nil
}
