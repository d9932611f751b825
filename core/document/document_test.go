package document

import (
	"strings"
	"testing"

	"goned/core/resource"
)

func TestNewName(t *testing.T) {
	for _, tc := range []struct{ given, want, err string }{
		{"", "document-7", ""},
		{"a/b <c>", "a/b <c>", ""},
		{strings.Repeat("é", 64), strings.Repeat("é", 64), ""},
		{strings.Repeat("é", 64) + "x", "", "NAME is too long; max length is 128 chars."},
	} {
		got, err := NewName(tc.given, 7)
		if got != tc.want || (err != nil) != (tc.err != "") || err != nil && err.Error() != tc.err {
			t.Errorf("%q: %q, %v", tc.given, got, err)
		}
	}
}

func TestNameSurvives(t *testing.T) {
	d := &Document{Base: resource.Base{ID: 1, Name: "a < b & c"}, Type: -5}
	again, err := Parse(string(d.PoolXML()))
	if err != nil || again.Name != d.Name || again.Type != -5 {
		t.Errorf("%+v, %v", again, err)
	}
	if d.Key() != "" || d.Clone().Template.Len() != 0 {
		t.Error("key or clone")
	}
}
