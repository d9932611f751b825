package auth

import (
	"errors"
	"strings"
	"testing"
)

func TestAuthenticationLine(t *testing.T) {
	tests := []struct {
		name string
		a    Authentication
		want string
	}{
		{"known user", Authentication{2, "dummy", "ext", "stored", "bad"}, "AUTHENTICATE 5 2 dummy ext stored bad"},
		{"unknown user", Authentication{-1, "default", "newcomer", "-", "auto-1"}, "AUTHENTICATE 5 -1 default newcomer - auto-1"},
		{"blank in token", Authentication{2, "ldap", "ext", "dn", "two words"}, ""},
		{"line feed in token", Authentication{2, "ldap", "ext", "dn", "x\nAUTHENTICATE 1"}, ""},
		{"empty token", Authentication{2, "ldap", "ext", "dn", ""}, "AUTHENTICATE 5 2 ldap ext dn "},
		{"empty password", Authentication{2, "ldap", "ext", "", "x"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.a.Line(5)
			if got != tt.want || (err != nil) != (tt.want == "") {
				t.Errorf("%q, %v", got, err)
			}
			if err != nil && !errors.Is(err, ErrBlank) {
				t.Error(err)
			}
		})
	}
}

func TestAuthorizationLine(t *testing.T) {
	got, err := Authorization{2, []Access{{"VM", "PFZNLz4=", "CREATE", 2, true}, {"IMAGE", "0", "USE", 0, false}, {"NET", "0", "USE", 0, true}}}.Line(24)
	if want := "AUTHORIZE 24 2 VM:PFZNLz4=:CREATE:2:1 IMAGE:0:USE:0:0 NET:0:USE:0:1 0"; got != want || err != nil {
		t.Errorf("%q %v, want %q", got, err, want)
	}
	got, _ = Authorization{3, []Access{{"HOST", "0", "USE", 0, true}}}.Line(1)
	if want := "AUTHORIZE 1 3 HOST:0:USE:0:1 1"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestParseNewUser(t *testing.T) {
	tests := []struct {
		info string
		want NewUser
		ok   bool
	}{
		{"ldap joe cn=joe,dc=x", NewUser{"ldap", "joe", "cn=joe,dc=x"}, true},
		{" ldap  joe  cn=joe, dc=x y ", NewUser{"ldap", "joe", "cn=joe, dc=x y"}, true},
		{"ldap joe", NewUser{"ldap", "joe", ""}, false},
		{"-", NewUser{"-", "", ""}, false},
		{"", NewUser{}, false},
	}
	for _, tt := range tests {
		got, ok := ParseNewUser(tt.info)
		if got != tt.want || ok != tt.ok {
			t.Errorf("ParseNewUser(%q) = %+v, %v", tt.info, got, ok)
		}
	}
}

func FuzzParseNewUser(f *testing.F) {
	f.Add("ldap joe cn=joe")
	f.Fuzz(func(t *testing.T, info string) {
		u, ok := ParseNewUser(info)
		if ok && (u.Driver == "" || u.Name == "" || strings.ContainsAny(u.Driver+u.Name, " \t")) {
			t.Errorf("%+v from %q", u, info)
		}
	})
}
