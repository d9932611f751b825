package vmtemplate

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"goned/core/resource"
	"goned/core/template"
)

func TestVMTemplate(t *testing.T) {
	tmpl, err := template.Parse("CPU=1\nDISK=[IMAGE=x]")
	if err != nil {
		t.Fatal(err)
	}
	v := &VMTemplate{
		Base:    resource.Base{ID: 3, UID: 2, GID: 1, UName: "u1", GName: "users", Name: "a b", Perms: 0o600},
		RegTime: 1795383918, Template: tmpl,
	}
	const want = "<VMTEMPLATE><ID>3</ID><UID>2</UID><GID>1</GID><UNAME>u1</UNAME><GNAME>users</GNAME><NAME>a b</NAME><PERMISSIONS>" +
		"<OWNER_U>1</OWNER_U><OWNER_M>1</OWNER_M><OWNER_A>0</OWNER_A><GROUP_U>0</GROUP_U><GROUP_M>0</GROUP_M><GROUP_A>0</GROUP_A>" +
		"<OTHER_U>0</OTHER_U><OTHER_M>0</OTHER_M><OTHER_A>0</OTHER_A></PERMISSIONS><REGTIME>1795383918</REGTIME><TEMPLATE>" +
		"<CPU><![CDATA[1]]></CPU><DISK><IMAGE><![CDATA[x]]></IMAGE></DISK></TEMPLATE></VMTEMPLATE>"
	if diff := cmp.Diff(want, string(v.PoolXML())); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	c := v.Clone()
	c.Template.Vector("DISK").Set("IMAGE", "y")
	if diff := cmp.Diff(want, string(v.PoolXML())); diff != "" {
		t.Errorf("a change of the clone changed the original\n%s", diff)
	}
	c.UID = 9
	if v.Key() != Key(2, "a b") || c.Key() == v.Key() {
		t.Errorf("keys %q and %q", v.Key(), c.Key())
	}
}
