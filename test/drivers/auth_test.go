package driverstest

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// login is one attempt to call the API.
type login struct {
	name, session string
	user          string // who the server takes the caller for; empty if refused
	log           string // of oned, when refused
}

// try makes the attempts and tells who one is taken for.
func (c *cloud) try(t *testing.T, attempts []login) {
	t.Helper()
	for _, a := range attempts {
		t.Run(a.name, func(t *testing.T) {
			before := len(c.log("var/oned.log"))
			v, err := c.call(a.session, "one.user.info", -1)
			if a.user == "" {
				const refusal = "User couldn't be authenticated, aborting call."
				if err == nil || !strings.Contains(err.Error(), refusal) {
					t.Fatalf("answer %v, %v; want a refusal", v, err)
				}
				await(t, fmt.Sprintf("%q is logged", a.log), func() bool { return strings.Contains(c.log("var/oned.log")[before:], a.log) })
				return
			}
			if err != nil {
				t.Fatalf("refused: %v\n%s", err, c.log("var/oned.log")[before:])
			}
			if got := element(t, v, "USER/NAME"); got != a.user {
				t.Errorf("taken for %q, want %q", got, a.user)
			}
		})
	}
}

// noCache makes every call go to the driver.
const noCache = `
SESSION_EXPIRATION_TIME = 0
AUTH_MAD = [ EXECUTABLE = "one_auth_mad", AUTHN = "%s" ]
`

func inAnHour() int64     { return time.Now().Add(time.Hour).Unix() }
func anHourAgo() int64    { return time.Now().Add(-time.Hour).Unix() }
func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// identity is a key with a certificate, as files, made by openssl.
type identity struct{ key, cert string }

func newKey(t *testing.T, openssl, path string) {
	t.Helper()
	command(t, "", openssl, "genrsa", "-out", path, "2048")
}

// encrypt is the operation with the private key that logins are made with.
func encrypt(t *testing.T, openssl, key, text string) string {
	t.Helper()
	return b64(command(t, text, openssl, "pkeyutl", "-sign", "-inkey", key))
}

func pemBody(pem string) string {
	var b strings.Builder
	for line := range strings.Lines(pem) {
		if !strings.HasPrefix(line, "-----") {
			b.WriteString(strings.TrimSpace(line))
		}
	}
	return b.String()
}

func TestSSHLogin(t *testing.T) {
	openssl := program(t, "openssl")
	c := newCloud(t, fmt.Sprintf(noCache, "ssh"), nil)
	key, other := c.path("key"), c.path("other")
	newKey(t, openssl, key)
	newKey(t, openssl, other)
	public := pemBody(command(t, "", openssl, "rsa", "-in", key, "-pubout"))
	c.admin("one.user.allocate", "ann", public, "ssh")
	token := func(key, text string, expires int64) string {
		return encrypt(t, openssl, key, fmt.Sprintf("%s:%d", text, expires))
	}
	c.try(t, []login{
		{name: "valid", session: "ann:" + token(key, "ann", inAnHour()), user: "ann"},
		{name: "expired", session: "ann:" + token(key, "ann", anHourAgo()), log: "Auth Error: ssh proxy expired, login again to renew it"},
		{name: "for another", session: "ann:" + token(key, "bob", inAnHour()), log: "Auth Error: invalid credentials"},
		{name: "with another key", session: "ann:" + token(other, "ann", inAnHour()), log: "Auth Error: error"},
		{name: "nonsense", session: "ann:nonsense", log: "Auth Error: error"},
		{name: "hostile", session: "ann:$(touch${IFS}" + c.path("pwned") + ")';touch${IFS}pwned;'", log: "Auth Error: error"},
	})
	if _, err := os.Stat(c.path("pwned")); err == nil {
		t.Error("a token was executed")
	}
	if strings.Contains(c.log("var/oned.log"), "Could not open") {
		t.Error("driver problem in the log")
	}
}

// authority signs certificates with openssl.
func authority(t *testing.T, openssl, dir, subject string) identity {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o755))
	id := identity{filepath.Join(dir, "key.pem"), filepath.Join(dir, "cert.pem")}
	command(t, "", openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", id.key, "-out", id.cert, "-days", "2", "-subj", subject)
	return id
}

func (id identity) sign(t *testing.T, openssl, dir, subject string) identity {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o755))
	out := identity{filepath.Join(dir, "key.pem"), filepath.Join(dir, "cert.pem")}
	request := filepath.Join(dir, "request.pem")
	command(t, "", openssl, "req", "-newkey", "rsa:2048", "-nodes", "-keyout", out.key, "-out", request, "-subj", subject)
	command(t, "", openssl, "x509", "-req", "-in", request, "-CA", id.cert, "-CAkey", id.key, "-CAcreateserial", "-days", "1", "-out", out.cert)
	return out
}

func TestX509Login(t *testing.T) {
	openssl := program(t, "openssl")
	c := newCloud(t, fmt.Sprintf(noCache, "x509"), func(dir string) {
		write(t, filepath.Join(dir, "etc/auth/x509_auth.conf"), ":ca_dir: "+filepath.Join(dir, "trusted")+"\n")
	})
	root := authority(t, openssl, c.path("root"), "/O=Cloud/CN=Root")
	stranger := authority(t, openssl, c.path("stranger"), "/O=Cloud/CN=Root")
	ann := root.sign(t, openssl, c.path("ann"), "/O=Cloud/CN=Ann Example")
	forged := stranger.sign(t, openssl, c.path("forged"), "/O=Cloud/CN=Ann Example")
	proxy := ann.sign(t, openssl, c.path("proxy"), "/O=Cloud/CN=Ann Example/CN=proxy")
	bob := ann.sign(t, openssl, c.path("bob"), "/O=Cloud/CN=Bob")
	must(t, os.MkdirAll(c.path("trusted"), 0o755))
	command(t, "", "cp", root.cert, c.path("trusted/root.pem"))
	command(t, "", openssl, "rehash", c.path("trusted"))

	c.admin("one.user.allocate", "ann", `/O=Cloud/CN=Ann\20Example`, "x509")
	c.admin("one.user.allocate", "bob", `/O=Cloud/CN=Bob`, "x509")
	token := func(user string, expires int64, chain ...identity) string {
		parts := []string{encrypt(t, openssl, chain[0].key, fmt.Sprintf("%s:%d", user, expires))}
		for _, id := range chain {
			parts = append(parts, command(t, "", openssl, "x509", "-in", id.cert))
		}
		return user + ":" + b64(strings.Join(parts, ":"))
	}
	c.try(t, []login{
		{name: "valid", session: token("ann", inAnHour(), ann), user: "ann"},
		{name: "with the authority", session: token("ann", inAnHour(), ann, root), user: "ann"},
		{name: "proxy", session: token("ann", inAnHour(), proxy, ann), user: "ann"},
		{name: "expired", session: token("ann", anHourAgo(), ann), log: "Auth Error: x509 proxy expired"},
		{name: "another's certificate", session: token("bob", inAnHour(), ann), log: "Auth Error: Certificate subject missmatch"},
		{name: "of a stranger", session: token("ann", inAnHour(), forged, stranger), log: "Auth Error: Could not validate user credentials: /O=Cloud/CN=Root with issuer /O=Cloud/CN=Root was not verified"},
		{name: "issued by a user", session: token("bob", inAnHour(), bob, ann), log: "is no certificate authority"},
	})
}

// aesToken is a service's token, made by openssl.
func aesToken(t *testing.T, openssl, password, text string) string {
	t.Helper()
	sum := sha1.Sum([]byte(password))
	key := hex.EncodeToString([]byte(hex.EncodeToString(sum[:])[:32]))
	return b64(command(t, text, openssl, "enc", "-aes-256-cbc", "-K", key, "-iv", strings.Repeat("0", 32)))
}

// TestServiceLogin logs in as Sunstone does, with the file that oned leaves
// for it, for itself and for a user.
func TestServiceLogin(t *testing.T) {
	openssl := program(t, "openssl")
	c := newCloud(t, fmt.Sprintf(noCache, "server_cipher,server_x509"), func(dir string) {
		write(t, filepath.Join(dir, "etc/auth/server_x509_auth.conf"), ":srv_user: webadmin\n:one_cert: "+dir+"/service/cert.pem\n")
	})
	file, err := os.ReadFile(c.path("var/.one/sunstone_auth"))
	must(t, err)
	server, password, _ := strings.Cut(strings.TrimSpace(string(file)), ":")
	c.admin("one.user.allocate", "ann", "secret", "core")
	token := func(target string, expires int64) string {
		return server + ":" + target + ":" + aesToken(t, openssl, password, fmt.Sprintf("%s:%s:%d", server, target, expires))
	}
	c.try(t, []login{
		{name: "for a user", session: token("ann", inAnHour()), user: "ann"},
		{name: "for itself", session: token(server, inAnHour()), user: server},
		{name: "expired", session: token("ann", anHourAgo()), log: "Auth Error: login token expired"},
		{name: "for nobody", session: token("nobody", inAnHour()), log: "User: nobody does not exist. Returned by server auth"},
		{name: "another password", session: server + ":ann:" + aesToken(t, openssl, "x", fmt.Sprintf("%s:ann:%d", server, inAnHour())), log: "Auth Error: "},
		{name: "no target", session: server + ":token", log: "Wrong token format"},
	})

	service := authority(t, openssl, c.path("service"), "/O=Cloud/CN=the web")
	c.admin("one.user.allocate", "webadmin", `/O=Cloud/CN=the\20web`, "server_x509")
	certToken := func(target string, expires int64) string {
		return "webadmin:" + target + ":" + b64(encrypt(t, openssl, service.key, fmt.Sprintf("webadmin:%s:%d", target, expires)))
	}
	t.Run("with a certificate", func(t *testing.T) {
		c.try(t, []login{
			{name: "for a user", session: certToken("ann", inAnHour()), user: "ann"},
			{name: "expired", session: certToken("ann", anHourAgo()), log: "Auth Error: login token expired"},
			{name: "nonsense", session: "webadmin:ann:AAAA", log: "Auth Error: padding check failed"},
		})
	})
}

func TestPlainAndDummyLogin(t *testing.T) {
	c := newCloud(t, fmt.Sprintf(noCache, "plain,default"), func(dir string) {
		must(t, os.CopyFS(filepath.Join(dir, "var/remotes/auth/default"), os.DirFS(filepath.Join(dir, "var/remotes/auth/dummy"))))
	})
	c.admin("one.user.allocate", "ann", "it's$HOME", "plain")
	c.admin("one.user.allocate", "bob", "x", "other")
	c.try(t, []login{
		{name: "plain", session: "ann:it's$HOME", user: "ann"},
		{name: "wrong password", session: "ann:its", log: "Auth Error: Invalid credentials"},
		{name: "user made by the driver default", session: "new:secret", user: "new"},
		{name: "driver that is not there", session: "bob:x", log: "Auth Error: Authentication driver 'other' not available"},
	})
	v := c.admin("one.userpool.info")
	sum := sha1.Sum([]byte("secret"))
	if got := element(t, v, "USER_POOL/USER[NAME='new']/PASSWORD"); got != hex.EncodeToString(sum[:]) && got != "secret" {
		t.Errorf("the new user's password is %q", got)
	}
}
