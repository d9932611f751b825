package vm

import (
	"strings"
	"testing"

	"goned/core/template"
)

// TestFresh: a new VM is listed as it was written, with empty values; what reads it back, and its first change, lose them.
func TestFresh(t *testing.T) {
	made, err := template.Parse("CONTEXT=[A=\"1\",B=\"\"]\nC=\"\"")
	if err != nil {
		t.Fatal(err)
	}
	v := &VM{Template: made, UserTemplate: made.Clone(), Fresh: true}
	const with, without = "<CONTEXT><A><![CDATA[1]]></A><B/></CONTEXT>", "<CONTEXT><A><![CDATA[1]]></A></CONTEXT>"
	for name, tc := range map[string]struct {
		document []byte
		want     string
	}{
		"listing":            {v.PoolXML(), with},
		"info":               {v.InfoXML(), without},
		"changed":            {v.Clone().PoolXML(), without},
		"changed twice":      {v.Clone().Clone().PoolXML(), without},
		"still as it was":    {v.PoolXML(), with},
		"empty simple value": {v.Clone().PoolXML(), "<C><![CDATA[]]></C>"},
	} {
		if got := strings.Count(string(tc.document), tc.want); got != 2 {
			t.Errorf("%s: %s is in both templates %d times:\n%s", name, tc.want, got, tc.document)
		}
	}
	if v.Clone().Fresh {
		t.Error("a changed VM is still fresh")
	}
}
