package template

import "strings"

// RestrictedAttrs are the attributes that an entry of the list is about: simple ones or vectors by name, vectors with a
// non-empty restricted key as a whole.
func (t *Template) RestrictedAttrs(list []string) []Attr {
	var out []Attr
	for a := range t.Attrs() {
		for _, entry := range list {
			name, key, vector := strings.Cut(upperASCII(entry), "/")
			if a.Name == name && (!vector || a.Vec != nil && a.Vec.Get(key) != "") {
				out = append(out, a)
				break
			}
		}
	}
	return out
}

// RemoveRestricted takes away what the entries of the list are about: attributes by name, single keys out of vectors.
func (t *Template) RemoveRestricted(list []string) {
	t.unpack()
	for _, entry := range list {
		name, key, vector := strings.Cut(upperASCII(entry), "/")
		if !vector {
			t.Erase(name)
			continue
		}
		for _, v := range t.Vectors(name) {
			v.Del(key)
		}
	}
}
