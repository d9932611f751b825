package driverstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const slapdConf = `
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile %[1]s/pid
database mdb
suffix "dc=example,dc=org"
rootdn "cn=reader,dc=example,dc=org"
rootpw reader-secret
directory %[1]s/db
access to attrs=userPassword by anonymous auth by * none
access to * by users read by * none
`

const directory = `
dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: cn=Ann Example,dc=example,dc=org
objectClass: inetOrgPerson
cn: Ann Example
sn: Example
uid: ann
userPassword: secret one

dn: cn=Bob,dc=example,dc=org
objectClass: inetOrgPerson
cn: Bob
sn: Bob
uid: bob
userPassword: bobs

dn: cn=cloud,dc=example,dc=org
objectClass: groupOfNames
cn: cloud
member: cn=Ann Example,dc=example,dc=org
`

// startSlapd runs OpenLDAP's server with additions to its configuration; urls are formats
// for the port, such as "ldaps://127.0.0.1:%d". It returns a port for each.
func startSlapd(t *testing.T, conf string, urls ...string) []int {
	t.Helper()
	slapd, slapadd := program(t, "slapd"), program(t, "slapadd")
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "db"), 0o700))
	file := filepath.Join(dir, "slapd.conf")
	write(t, file, conf+fmt.Sprintf(slapdConf, dir))
	command(t, directory, slapadd, "-f", file)
	ports := make([]int, len(urls))
	for i, url := range urls {
		ports[i] = freePort(t)
		urls[i] = fmt.Sprintf(url, ports[i])
	}
	cmd := exec.Command(slapd, "-f", file, "-h", strings.Join(urls, " "), "-d", "0")
	must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for _, port := range ports {
		awaitPort(t, port)
	}
	return ports
}

func TestLDAPLogin(t *testing.T) {
	port := startSlapd(t, "", "ldap://127.0.0.1:%d")[0]
	c := newCloud(t, fmt.Sprintf(noCache, "ldap,default"), func(dir string) {
		must(t, os.CopyFS(filepath.Join(dir, "var/remotes/auth/default"), os.DirFS(filepath.Join(dir, "var/remotes/auth/ldap"))))
		write(t, filepath.Join(dir, "etc/auth/ldap_auth.conf"), fmt.Sprintf(`
server down:
    :host: 127.0.0.1
    :port: 1
    :base: 'dc=example,dc=org'
server 1:
    :user: 'cn=reader,dc=example,dc=org'
    :password: 'reader-secret'
    :auth_method: :simple
    :host: 127.0.0.1
    :port: %d
    :base: 'dc=example,dc=org'
    :group: 'cn=cloud,dc=example,dc=org'
    :user_field: 'uid'
:order:
    - server down
    - server 1
`, port))
	})
	c.admin("one.user.allocate", "bob", "-", "ldap")
	c.admin("one.user.allocate", "*", "-", "ldap")
	c.try(t, []login{
		{name: "first login makes the user", session: "ann:secret%20one", user: "ann"},
		{name: "again", session: "ann:secret%20one", user: "ann"},
		{name: "wrong password", session: "ann:secret", log: "Bad user/password"},
		{name: "no password", session: "ann:", log: ""},
		{name: "not in the group", session: "bob:bobs", log: "User bob is not in group cn=cloud,dc=example,dc=org"},
		{name: "a pattern is no name", session: "*:secret%20one", log: "User * not found"},
		{name: "nobody", session: "nobody:x", log: "Could not authenticate user nobody"},
		{name: "by DN", session: "cn=Ann%20Example,dc=example,dc=org:secret%20one", user: "cn=Ann%20Example,dc=example,dc=org"},
	})
	v := c.admin("one.userpool.info")
	if got := element(t, v, "USER_POOL/USER[NAME='ann']/AUTH_DRIVER"); got != "ldap" {
		t.Errorf("the new user's driver is %q", got)
	}
	if got := element(t, v, "USER_POOL/USER[NAME='ann']/PASSWORD"); got != "cn=Ann%20Example,dc=example,dc=org" {
		t.Errorf("the new user's password is %q", got)
	}
	if log := c.log("var/oned.log"); strings.Contains(log, "secret%20one") {
		t.Error("a password is in the log")
	}
}

// certificates is an authority and a server certificate for 127.0.0.1, as files.
type certificates struct{ authority, cert, key string }

func newCertificates(t *testing.T, dir string) certificates {
	t.Helper()
	c := certificates{filepath.Join(dir, "authority.pem"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
	now := time.Now()
	authority := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: now.Add(-time.Hour),
		NotAfter: now.Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	server := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "ldap"}, NotBefore: authority.NotBefore,
		NotAfter: authority.NotAfter, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	authorityKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	certify := func(path string, certificate *x509.Certificate, public *ecdsa.PublicKey) {
		t.Helper()
		der, err := x509.CreateCertificate(rand.Reader, certificate, authority, public, authorityKey)
		must(t, err)
		write(t, path, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	}
	certify(c.authority, authority, &authorityKey.PublicKey)
	certify(c.cert, server, &key.PublicKey)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	write(t, c.key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	return c
}

// TestLDAPOverTLS: passwords go to a server that takes none in the clear; its certificate
// counts where ca_file says who signs.
func TestLDAPOverTLS(t *testing.T) {
	program(t, "slapd")
	ours, others := newCertificates(t, t.TempDir()), newCertificates(t, t.TempDir())
	ports := startSlapd(t, fmt.Sprintf("TLSCACertificateFile %s\nTLSCertificateFile %s\nTLSCertificateKeyFile %s\nsecurity tls=1\n", ours.authority, ours.cert, ours.key),
		"ldap://127.0.0.1:%d", "ldaps://127.0.0.1:%d")
	plain, secure := ports[0], ports[1]
	c := newCloud(t, fmt.Sprintf(noCache, "ldap"), nil)
	c.admin("one.user.allocate", "ann", "-", "ldap")
	for _, tt := range []struct {
		name, host       string
		port             int
		encryption, rest string
		refusal          string // empty: the login works
	}{
		{name: "ldaps", port: secure, encryption: ":simple_tls"},
		{name: "StartTLS", port: plain, encryption: ":start_tls"},
		{name: "ldaps, known authority", port: secure, encryption: ":simple_tls", rest: ":ca_file: " + ours.authority},
		{name: "StartTLS, known authority", port: plain, encryption: ":start_tls", rest: ":ca_file: " + ours.authority},
		{name: "ldaps, another authority", port: secure, encryption: ":simple_tls", rest: ":ca_file: " + others.authority, refusal: "signed by unknown authority"},
		{name: "StartTLS, another authority", port: plain, encryption: ":start_tls", rest: ":ca_file: " + others.authority, refusal: "signed by unknown authority"},
		{name: "another name", host: "localhost", port: secure, encryption: ":simple_tls", rest: ":ca_file: " + ours.authority, refusal: "wanted to match localhost"},
		{name: "no such file", port: secure, encryption: ":simple_tls", rest: ":ca_file: /nonesuch", refusal: "/nonesuch: no such file"},
		{name: "in the clear", port: plain, refusal: "Confidentiality Required"},
		{name: "ldaps where none is", port: plain, encryption: ":simple_tls", refusal: "no connection to LDAP server 127.0.0.1"},
		{name: "a word of no meaning", port: plain, encryption: ":tls", refusal: "the encryption :tls is not known, only :simple_tls and :start_tls"},
	} {
		if tt.host == "" {
			tt.host = "127.0.0.1"
		}
		if tt.encryption != "" {
			tt.encryption = ":encryption: " + tt.encryption
		}
		write(t, c.path("etc/auth/ldap_auth.conf"), fmt.Sprintf(`
server 1:
    :user: 'cn=reader,dc=example,dc=org'
    :password: 'reader-secret'
    :host: %s
    :port: %d
    :base: 'dc=example,dc=org'
    :user_field: 'uid'
    %s
    %s
:order:
    - server 1
`, tt.host, tt.port, tt.encryption, tt.rest))
		right := login{name: tt.name, session: "ann:secret%20one", user: "ann"}
		if tt.refusal != "" {
			right.user, right.log = "", tt.refusal
		}
		c.try(t, []login{right, {name: tt.name + ", wrong password", session: "ann:secret", log: tt.refusal}})
	}
}
