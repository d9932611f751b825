package rpc

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"goned/core/auth"
	"goned/core/state"
)

// storedIs is a driver that accepts a token which equals the stored password.
func storedIs(_ int, _, _, stored, token string) (string, error) {
	if token != stored {
		return "", errors.New("wrong token")
	}
	return "-", nil
}

// login tries a session and reports whether it is good and how often the driver has been asked.
func (c *testCloud) login(session string) (good bool, asked int) {
	c.t.Helper()
	before := c.drivers.asked
	a := c.call(session, "one.user.info", -1)
	if a.fault != nil || !a.ok && a.code != 256 {
		c.t.Fatalf("%s: %v", session, a)
	}
	return a.ok, c.drivers.asked - before
}

// logins tries sessions one after the other: "yes" and "no" tell what becomes of them, the number how often the driver is asked.
func (c *testCloud) logins(about string, steps ...[2]string) {
	c.t.Helper()
	for _, s := range steps {
		good, asked := c.login(s[0])
		got := fmt.Sprintf("%s %d", map[bool]string{true: "yes", false: "no"}[good], asked)
		if got != s[1] {
			c.t.Errorf("%s: session %s: %s, want %s", about, s[0], got, s[1])
		}
	}
}

func TestSessionCache(t *testing.T) {
	c := newCloud(t, "")
	c.drivers.authenticate = storedIs
	id := c.must(root, "one.user.allocate", "dave", "key", "ssh")

	c.logins("first login, then from the cache", [2]string{"dave:key", "yes 1"}, [2]string{"dave:key", "yes 0"})
	c.logins("another token", [2]string{"dave:other", "no 1"}, [2]string{"dave:key", "yes 0"})
	c.now = c.now.Add(899 * time.Second)
	c.logins("just before its end", [2]string{"dave:key", "yes 0"})
	c.now = c.now.Add(time.Second)
	c.logins("hits do not prolong it", [2]string{"dave:key", "yes 1"}, [2]string{"dave:key", "yes 0"})

	c.must(root, "one.user.passwd", id, "new")
	c.logins("new password", [2]string{"dave:key", "no 1"}, [2]string{"dave:new", "yes 1"}, [2]string{"dave:new", "yes 0"})
	c.must(root, "one.user.chauth", id, "x509", "")
	c.logins("new driver", [2]string{"dave:new", "yes 1"})
	c.must(root, "one.user.chauth", id, "public", "")
	c.logins("public", [2]string{"dave:new", "no 0"})
	c.must(root, "one.user.chauth", id, "core", "pw")
	c.logins("core needs no driver", [2]string{"dave:pw", "yes 0"}, [2]string{"dave:new", "no 0"})
	c.must(root, "one.user.chauth", id, "ssh", "key")
	c.logins("back", [2]string{"dave:key", "yes 1"})

	// On a federation's slave a password changes without a call.
	c.update(func(tx *state.Tx) error { tx.Users.Edit(id).Password = "elsewhere"; return nil })
	c.logins("changed on the master", [2]string{"dave:key", "no 1"}, [2]string{"dave:elsewhere", "yes 1"})
	c.must(root, "one.user.delete", id)
	c.logins("deleted", [2]string{"dave:elsewhere", "no 1"})
}

func TestNoSessionCache(t *testing.T) {
	c := newCloud(t, "")
	c.conf.SessionExpiration = 0
	c.drivers.authenticate = storedIs
	c.must(root, "one.user.allocate", "dave", "key", "ssh")
	c.logins("", [2]string{"dave:key", "yes 1"}, [2]string{"dave:key", "yes 1"})
}

func TestCoreLogin(t *testing.T) {
	c := newCloud(t, "")
	c.logins("no driver is asked for core", [2]string{alice, "yes 0"}, [2]string{"alice:PW", "no 0"}, [2]string{"Alice:pw", "no 1"})
	c.must(alice, "one.user.passwd", 2, "a:b")
	c.logins("a token may contain colons", [2]string{"alice:a:b", "yes 0"}, [2]string{alice, "no 0"})
	// No method sets ENABLED, and 4.6 does not look at it.
	c.update(func(tx *state.Tx) error { tx.Users.Edit(2).Enabled = false; return nil })
	c.logins("disabled", [2]string{"alice:a:b", "yes 0"})
}

// TestDelegatedLogin is what Sunstone does: serveradmin logs in for somebody else, with a token that the driver judges.
func TestDelegatedLogin(t *testing.T) {
	c := newCloud(t, "")
	server := c.store.Snapshot().Users.Get(1)
	c.drivers.authenticate = func(uid int, driver, name, stored, token string) (string, error) {
		if uid != 1 || driver != server.Driver || name != "serveradmin" || stored != server.Password {
			t.Errorf("asked about %d %s %s %s", uid, driver, name, stored)
		}
		target, expiry, _ := strings.Cut(token, "@")
		if expires, err := time.ParseDuration(expiry); err != nil || !c.now.Before(time.Unix(1_400_000_000, 0).Add(expires)) {
			return "", errors.New("login token expired")
		}
		return "target " + target, nil
	}
	const token = "serveradmin:alice:alice@1h"
	if got := c.get(token, "one.user.info", -1); !strings.HasPrefix(got, "<USER><ID>2<") {
		t.Errorf("the call runs as %s", got)
	}
	c.logins("from the cache", [2]string{token, "yes 0"})
	c.logins("a new token", [2]string{"serveradmin:alice:alice@2h", "yes 1"}, [2]string{"serveradmin:alice:alice@2h", "yes 0"})
	c.logins("a token for somebody else", [2]string{"serveradmin:bob:alice@2h", "no 1"}, [2]string{"serveradmin:oneadmin:alice@2h", "no 1"})
	c.logins("nobody", [2]string{"serveradmin:nobody:nobody@2h", "no 0"})
	c.logins("malformed", [2]string{"serveradmin:alice", "no 0"}, [2]string{"serveradmin:", "no 0"})
	if c.store.Snapshot().Users.ByName("nobody") != nil {
		t.Error("a server's token has made a user")
	}

	// The server's token is not alice's password, nor is her password the server's token.
	c.must(root, "one.user.chauth", 2, "ssh", "alice@5h")
	c.logins("after chauth", [2]string{"serveradmin:alice:alice@2h", "yes 1"})
	asked := c.drivers.authenticate
	c.drivers.authenticate = storedIs
	c.logins("directly with the server's token", [2]string{"alice:alice@2h", "no 1"}, [2]string{"alice:alice@5h", "yes 1"})
	c.logins("through the server with her own", [2]string{"serveradmin:alice:alice@5h", "no 1"})
	c.drivers.authenticate = asked
	c.logins("both stay", [2]string{"serveradmin:alice:alice@2h", "yes 0"}, [2]string{"alice:alice@5h", "yes 0"})

	c.must(root, "one.user.passwd", 2, "x")
	c.logins("her new password ends the server's session, too", [2]string{"serveradmin:alice:alice@2h", "yes 1"})
	c.now = c.now.Add(900 * time.Second)
	c.logins("session over, token good", [2]string{"serveradmin:alice:alice@2h", "yes 1"})
	c.now = c.now.Add(2 * time.Hour)
	c.logins("token expired", [2]string{"serveradmin:alice:alice@2h", "no 1"})
	c.logins("a new one", [2]string{"serveradmin:alice:alice@4h", "yes 1"})
	c.must(root, "one.user.passwd", 1, "0123456789012345678901234567890123456789")
	server = c.store.Snapshot().Users.Get(1)
	c.logins("the server's new password ends its sessions", [2]string{"serveradmin:alice:alice@4h", "yes 1"})

	// Who may only be reached through a server.
	c.must(root, "one.user.allocate", "carol", "x", "public")
	c.logins("public", [2]string{"carol:x", "no 0"}, [2]string{"serveradmin:carol:carol@4h", "yes 1"})
}

// TestTokenOfOldDriver: 4.6's own driver does not say for whom a token is; it is not refused for that.
func TestTokenOfOldDriver(t *testing.T) {
	c := newCloud(t, "")
	c.drivers.authenticate = func(int, string, string, string, string) (string, error) { return "-", nil }
	c.logins("", [2]string{"serveradmin:alice:token", "yes 1"})
}

func TestUserMadeByDriver(t *testing.T) {
	c := newCloud(t, "")
	reply := ""
	c.drivers.authenticate = func(uid int, driver, name, stored, token string) (string, error) {
		if uid != -1 || driver != "default" || stored != "-" {
			t.Errorf("asked about %d %s %s %s", uid, driver, name, stored)
		}
		if reply == "" {
			return "", errors.New("unknown")
		}
		return reply, nil
	}
	c.logins("refused", [2]string{"frank:x", "no 1"})
	for _, bad := range []string{"-", "ldap", "ldap frank", "ldap alice secret", "ldap fr:ank secret", "ldap frank two words"} {
		reply = bad
		c.logins("answer "+bad, [2]string{"frank:x", "no 1"})
	}
	if n := c.store.Snapshot().Users.Len(); n != 5 {
		t.Fatalf("%d users", n)
	}
	reply = "ldap franklin secret"
	got := c.get("frank:x", "one.user.info", -1)
	for _, want := range []string{
		"<USER><ID>5</ID><GID>1</GID><GROUPS><ID>1</ID></GROUPS><GNAME>users</GNAME><NAME>franklin</NAME><PASSWORD>secret</PASSWORD><AUTH_DRIVER>ldap</AUTH_DRIVER><ENABLED>1</ENABLED>",
		"<VM_QUOTA></VM_QUOTA>",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is not in\n%s", want, got)
		}
	}
	c.logins("his name is taken now", [2]string{"frank:x", "no 1"})
	c.drivers.authenticate = storedIs
	c.logins("his own driver", [2]string{"franklin:secret", "yes 1"}, [2]string{"franklin:secret", "yes 0"}, [2]string{"franklin:x", "no 1"})
	c.drivers.authenticate = func(int, string, string, string, string) (string, error) { return "core gina pw", nil }
	c.logins("made for core", [2]string{"gina:anything", "yes 1"}, [2]string{"gina:pw", "yes 0"}, [2]string{"gina:anything", "no 0"})
}

// TestAuthorizationDriver: the driver has the last word on everything but pools and oneadmin's calls.
func TestAuthorizationDriver(t *testing.T) {
	c := newCloud(t, "")
	var asked []string
	c.drivers.authorize = func(uid int, checks []auth.Check, granted []bool) (bool, string) {
		asked = append(asked, fmt.Sprintf("%d %v %v", uid, checks[0].Op, granted))
		switch checks[0].Op {
		case auth.Use:
			return true, ""
		case auth.Manage:
			return false, "denied by policy"
		}
		return false, ""
	}
	c.get(alice, "one.user.info", 3)
	c.want("512 [UserUpdateTemplate] User [2] : denied by policy.", alice, "one.user.update", 2, "A=1")
	c.want("512 [UserUpdateTemplate] User [2] : Not authorized to perform MANAGE USER [3]; denied by policy.", alice, "one.user.update", 3, "A=1")
	c.want("512 [TemplateAllocate] User [2] not authorized to perform action on virtual machine template.", alice, "one.template.allocate", "NAME=t")
	before := len(asked)
	c.get(alice, "one.userpool.info")
	c.get(root, "one.user.info", 3)
	if len(asked) != before {
		t.Errorf("asked about what it has no say in: %v", asked[before:])
	}
}
