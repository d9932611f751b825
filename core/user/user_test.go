package user

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goned/core/resource"
	"goned/core/template"
)

func TestCheckName(t *testing.T) {
	for name, want := range map[string]string{
		"alice": "", "研发": "", "": "Invalid NAME, it cannot be empty",
		"a b":                    "Invalid NAME, char ' ' is not allowed",
		"a:b":                    "Invalid NAME, char ':' is not allowed",
		"a\tb":                   "Invalid NAME, char '\t' is not allowed",
		strings.Repeat("x", 129): "Invalid NAME, max length is 128 chars",
	} {
		got := ""
		if err := CheckName(name); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func TestSetPassword(t *testing.T) {
	for name, tc := range map[string]struct{ driver, password, stored, err string }{
		"core is hashed":       {"core", "opennebula", "4478db59d30855454ece114e8ccfa5563d21c9bd", ""},
		"others as they are":   {"ssh", "AAAA+/=", "AAAA+/=", ""},
		"empty":                {"core", "", "old", "Invalid password, it cannot be empty"},
		"white space":          {"core", "a b", "old", "Invalid password, character ' ' is not allowed"},
		"white space, any way": {"x509", "a\nb", "old", "Invalid password, character '\n' is not allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			u := &User{Driver: tc.driver, Password: "old"}
			err := u.SetPassword(tc.password)
			if (err != nil) != (tc.err != "") || err != nil && err.Error() != tc.err {
				t.Errorf("error %v", err)
			}
			if u.Password != tc.stored {
				t.Errorf("stored %q", u.Password)
			}
		})
	}
}

func TestSetDriver(t *testing.T) {
	for name, tc := range map[string]struct {
		driver, password string
		want             User
		fails            bool
	}{
		"password kept":    {"ssh", "", User{Driver: "ssh", Password: "old"}, false},
		"under new driver": {"core", "opennebula", User{Driver: "core", Password: "4478db59d30855454ece114e8ccfa5563d21c9bd"}, false},
		"all or nothing":   {"core", "a b", User{Driver: "x509", Password: "old"}, true},
		"empty driver":     {"", "", User{Password: "old"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			u := &User{Driver: "x509", Password: "old"}
			if err := u.SetDriver(tc.driver, tc.password); (err != nil) != tc.fails {
				t.Errorf("error %v", err)
			}
			if u.Driver != tc.want.Driver || u.Password != tc.want.Password {
				t.Errorf("got %q %q", u.Driver, u.Password)
			}
		})
	}
}

func TestGroups(t *testing.T) {
	u := &User{GID: 1, GName: "users", Groups: resource.IDs{1, 100}}
	step := func(what string, gid int, groups ...int) {
		t.Helper()
		if u.GID != gid || !slices.Equal(u.Groups, groups) {
			t.Errorf("%s: primary %d of %v, want %d of %v", what, u.GID, u.Groups, gid, groups)
		}
	}
	if left, joined := u.SetPrimary(1, "users"); left != -1 || joined {
		t.Error("the same primary group changes something")
	}
	if left, joined := u.SetPrimary(100, "g"); left != -1 || joined {
		t.Error("a secondary group is joined")
	}
	step("secondary becomes primary", 100, 1, 100)
	if left, joined := u.SetPrimary(101, "h"); left != 100 || !joined || u.GName != "h" {
		t.Errorf("left %d, joined %v", left, joined)
	}
	step("new primary", 101, 1, 101)
	for _, tc := range []struct {
		err  error
		want string
	}{
		{u.Join(5), ""},
		{u.Join(5), "User is already in this group"},
		{u.Leave(9), "User is not part of this group"},
		{u.Leave(101), "Cannot remove user from the primary group"},
		{u.Leave(1), ""},
	} {
		if (tc.err == nil) != (tc.want == "") || tc.err != nil && tc.err.Error() != tc.want {
			t.Errorf("got %v, want %q", tc.err, tc.want)
		}
	}
	step("joined and left", 101, 5, 101)
}

func TestXML(t *testing.T) {
	tmpl, err := ParseTemplate("A=1\nA=2\nTOKEN_PASSWORD=x")
	if err != nil {
		t.Fatal(err)
	}
	u := &User{ID: 2, GID: 1, Groups: resource.IDs{1}, GName: "users", Name: "u1", Password: "<&", Driver: "ssh", Enabled: true, Template: tmpl}
	const open = "<USER><ID>2</ID><GID>1</GID><GROUPS><ID>1</ID></GROUPS><GNAME>users</GNAME><NAME>u1</NAME><PASSWORD>&lt;&amp;</PASSWORD>" +
		"<AUTH_DRIVER>ssh</AUTH_DRIVER><ENABLED>1</ENABLED><TEMPLATE><A><![CDATA[2]]></A><TOKEN_PASSWORD><![CDATA[x]]></TOKEN_PASSWORD></TEMPLATE>"
	if diff := cmp.Diff(open+"</USER>", string(u.PoolXML())); diff != "" {
		t.Errorf("pool (-want +got)\n%s", diff)
	}
	text := func(s string) func([]byte) []byte { return func(dst []byte) []byte { return append(dst, s...) } }
	if diff := cmp.Diff(open+"<Q></Q><D></D></USER>", string(u.InfoXML(text("<Q></Q>"), text("<D></D>")))); diff != "" {
		t.Errorf("info (-want +got)\n%s", diff)
	}
	again, err := Parse(string(u.PoolXML()))
	if err != nil || again.Password != "<&" || !again.Enabled {
		t.Errorf("read again: %+v, %v", again, err)
	}
	c := u.Clone()
	c.Template.Replace("A", "3")
	if u.Template.Get("A") != "2" || (&User{}).Clone().Template.Len() != 0 {
		t.Error("clone is not deep")
	}
	if a := u.Access(); a.UID != 2 || a.GID != 1 || a.Perms != resource.OwnerU|resource.OwnerM {
		t.Errorf("access %+v", a)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(string((&User{ID: 1, Name: "a", Template: &template.Template{}}).PoolXML()))
	f.Fuzz(func(t *testing.T, body string) {
		u, err := Parse(body)
		if err != nil || u.Template.XMLSafe() != nil {
			return
		}
		if again, err := Parse(string(u.PoolXML())); err != nil || again.Name != u.Name || again.Password != u.Password || !slices.Equal(again.Groups, u.Groups) {
			t.Errorf("%v\n%s", err, u.PoolXML())
		}
	})
}
