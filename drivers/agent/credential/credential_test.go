package credential

import (
	"context"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

var now = time.Date(2014, 5, 1, 12, 0, 0, 0, time.UTC)

var keys = sync.OnceValue(func() []*rsa.PrivateKey {
	all := make([]*rsa.PrivateKey, 4)
	for i := range all {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		all[i] = key
	}
	return all
})

// site is an empty etc/auth at a fixed time.
func site(t *testing.T) Site {
	return Site{Auth: t.TempDir(), Now: func() time.Time { return now }, Log: t.Logf}
}

// sign is the clients' "encryption with the private key", in base64.
func sign(t *testing.T, key *rsa.PrivateKey, text string) string {
	t.Helper()
	out, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.Hash(0), []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(out)
}

func expiry(d time.Duration) int64 { return now.Add(d).Unix() }

// judge runs a driver and compares its refusal; an empty want is acceptance.
func judge(t *testing.T, driver string, s Site, c Claim, want string) {
	t.Helper()
	_, err := Checks()[driver](context.Background(), s, c)
	switch {
	case want == "" && err != nil:
		t.Errorf("refused: %v", err)
	case want != "" && err == nil:
		t.Errorf("accepted, want %q", want)
	case want != "" && !strings.Contains(err.Error(), want):
		t.Errorf("refused with %q, want %q", err, want)
	}
}

func TestSSH(t *testing.T) {
	key, other := keys()[0], keys()[1]
	spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	public := base64.StdEncoding.EncodeToString(spki)
	old := base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PublicKey(&key.PublicKey))
	valid := sign(t, key, fmt.Sprintf("ann:%d", expiry(time.Hour)))
	tests := []struct {
		name, user, password, secret, want string
	}{
		{"valid", "ann", public, valid, ""},
		{"key of an older client", "ann", old, valid, ""},
		{"token in lines", "ann", public, valid[:60] + "\n" + valid[60:], ""},
		{"one second left", "ann", public, sign(t, key, fmt.Sprintf("ann:%d", expiry(time.Second))), ""},
		{"expired this second", "ann", public, sign(t, key, fmt.Sprintf("ann:%d", expiry(0))), "ssh proxy expired, login again to renew it"},
		{"no time", "ann", public, sign(t, key, "ann"), "ssh proxy expired"},
		{"huge time", "ann", public, sign(t, key, "ann:99999999999999999999999"), ""},
		{"other user", "bob", public, valid, "invalid credentials"},
		{"other key", "ann", public, sign(t, other, fmt.Sprintf("ann:%d", expiry(time.Hour))), "error"},
		{"cut token", "ann", public, valid[:100], "error"},
		{"empty token", "ann", public, "", "error"},
		{"no key", "ann", "-", valid, "Neither PUB key nor PRIV key"},
		{"no RSA key", "ann", "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=", valid, "Neither PUB key nor PRIV key"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			judge(t, "ssh", site(t), Claim{tt.user, tt.password, tt.secret}, tt.want)
		})
	}
}

// encryptAES is what a service does with its password.
func encryptAES(t *testing.T, key, text string) string {
	t.Helper()
	block, err := aes.NewCipher([]byte(key)[:32])
	if err != nil {
		t.Fatal(err)
	}
	padding := aes.BlockSize - len(text)%aes.BlockSize
	data := append([]byte(text), strings.Repeat(string(rune(padding)), padding)...)
	cipher.NewCBCEncrypter(block, make([]byte, aes.BlockSize)).CryptBlocks(data, data)
	return base64.StdEncoding.EncodeToString(data)
}

func TestServerCipher(t *testing.T) {
	sum := sha1.Sum([]byte("secret of the service"))
	password := hex.EncodeToString(sum[:])
	valid := encryptAES(t, password, fmt.Sprintf("serveradmin:ann:%d", expiry(time.Hour)))
	tests := []struct {
		name, user, password, secret, want string
	}{
		{"valid", "serveradmin", password, valid, ""},
		{"other server", "admin2", password, valid, "User name missmatch"},
		{"expired", "serveradmin", password, encryptAES(t, password, fmt.Sprintf("serveradmin:ann:%d", expiry(0))), "login token expired"},
		{"no expiry", "serveradmin", password, encryptAES(t, password, "serveradmin:ann"), "login token expired"},
		{"other key", "serveradmin", strings.Repeat("0", 40), valid, "bad decrypt"},
		{"short key", "serveradmin", "-", valid, "key length too short"},
		{"not whole blocks", "serveradmin", password, "AAAA", "wrong final block length"},
		{"nothing", "serveradmin", password, "", "data must not be empty"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			judge(t, "server_cipher", site(t), Claim{tt.user, tt.password, tt.secret}, tt.want)
		})
	}
	answer, err := checkServerCipher(t.Context(), site(t), Claim{"serveradmin", password, valid})
	if answer != "target ann" || err != nil {
		t.Errorf("answer %q, %v", answer, err)
	}
}

// identity is a certificate with its key.
type identity struct {
	cert *x509.Certificate
	key  *rsa.PrivateKey
	pem  string
}

// issue makes a certificate, signed by another identity or by itself.
func issue(t *testing.T, key *rsa.PrivateKey, by *identity, isCA bool, from, to time.Time, names ...string) *identity {
	t.Helper()
	var name pkix.Name
	for _, n := range names {
		kind, value, _ := strings.Cut(n, "=")
		oid := map[string]asn1.ObjectIdentifier{"C": {2, 5, 4, 6}, "O": {2, 5, 4, 10}, "CN": {2, 5, 4, 3},
			"DC": {0, 9, 2342, 19200300, 100, 1, 25}, "emailAddress": {1, 2, 840, 113549, 1, 9, 1}, "1.2.3": {1, 2, 3}}[kind]
		name.ExtraNames = append(name.ExtraNames, pkix.AttributeTypeAndValue{Type: oid, Value: value})
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<40))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: serial, Subject: name, NotBefore: from, NotAfter: to,
		BasicConstraintsValid: isCA, IsCA: isCA, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign | x509.KeyUsageCRLSign}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &identity{cert, key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))}
}

// loginX509 is the token of `oneuser login --x509`.
func loginX509(t *testing.T, user string, expires int64, chain ...*identity) string {
	t.Helper()
	parts := []string{sign(t, chain[0].key, fmt.Sprintf("%s:%d", user, expires))}
	for _, id := range chain {
		parts = append(parts, id.pem)
	}
	return base64.StdEncoding.EncodeToString([]byte(strings.Join(parts, ":")))
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestX509(t *testing.T) {
	k := keys()
	from, to := now.Add(-time.Hour), now.Add(24*time.Hour)
	root := issue(t, k[0], nil, true, from, to, "O=Cloud", "CN=Root")
	middle := issue(t, k[1], root, true, from, to, "O=Cloud", "CN=Middle")
	ann := issue(t, k[2], middle, false, from, to, "O=Cloud", "CN=Ann Example")
	byRoot := issue(t, k[2], root, false, from, to, "O=Cloud", "CN=Bob")
	proxy := issue(t, k[3], ann, false, from, to, "O=Cloud", "CN=Ann Example", "CN=proxy")
	forged := issue(t, k[3], ann, false, from, to, "O=Cloud", "CN=Bob")
	forgedBelow := issue(t, k[3], ann, false, from, to, "O=Cloud", "CN=Ann Example", "CN=a", "CN=b")
	old := issue(t, k[2], root, false, from.Add(-time.Hour), from, "O=Cloud", "CN=Bob")
	stranger := issue(t, k[3], nil, true, from, to, "O=Cloud", "CN=Root")
	byStranger := issue(t, k[2], stranger, false, from, to, "O=Cloud", "CN=Bob")
	alone := issue(t, k[3], nil, false, from, to, "O=Elsewhere", "CN=Bob")

	const annDN, bobDN = `/O=Cloud/CN=Ann\20Example`, "/O=Cloud/CN=Bob"
	hour := expiry(time.Hour)
	tests := []struct {
		name, password, secret, want string
		config                       string
		revoked                      *identity
		crlBy                        *identity
	}{
		{name: "by the root", password: bobDN, secret: loginX509(t, "u", hour, byRoot)},
		{name: "with a chain", password: annDN, secret: loginX509(t, "u", hour, ann, middle)},
		{name: "intermediate among the trusted", password: annDN, secret: loginX509(t, "u", hour, ann)},
		{name: "proxy", password: annDN, secret: loginX509(t, "u", hour, proxy, ann, middle)},
		{name: "one of several subjects", password: "/CN=x|" + bobDN + "|/CN=y", secret: loginX509(t, "u", hour, byRoot)},
		{name: "other user", password: bobDN, secret: loginX509(t, "other", hour, byRoot), want: "User name missmatch"},
		{name: "expired", password: bobDN, secret: loginX509(t, "u", expiry(0), byRoot), want: "x509 proxy expired"},
		{name: "other subject", password: "/O=Cloud/CN=Bo", secret: loginX509(t, "u", hour, byRoot), want: "Certificate subject missmatch"},
		{name: "certificate out of time", password: bobDN, secret: loginX509(t, "u", hour, old), want: "Certificate not valid. Current time is"},
		{name: "chain in the wrong order", password: annDN, secret: loginX509(t, "u", hour, ann, root),
			want: "Could not validate user credentials: /O=Cloud/CN=Ann Example with issuer /O=Cloud/CN=Middle was not verified by /O=Cloud/CN=Root."},
		{name: "unknown authority of a known name", password: bobDN, secret: loginX509(t, "u", hour, byStranger), want: "was not verified by /O=Cloud/CN=Root."},
		{name: "stranger brings his authority", password: bobDN, secret: loginX509(t, "u", hour, byStranger, stranger), want: "was not verified by"},
		{name: "self-signed", password: "/O=Elsewhere/CN=Bob", secret: loginX509(t, "u", hour, alone), want: "no certificate of the issuer"},
		{name: "user issues a certificate for another", password: bobDN, secret: loginX509(t, "u", hour, forged, ann, middle), want: "is no certificate authority"},
		{name: "proxy of a proxy that is not there", password: annDN, secret: loginX509(t, "u", hour, forgedBelow, ann, middle), want: "is no certificate authority"},
		{name: "key of another certificate", password: bobDN,
			secret: loginX509(t, "u", hour, &identity{byRoot.cert, k[3], byRoot.pem}), want: "padding check failed"},
		{name: "no certificate", password: bobDN, secret: base64.StdEncoding.EncodeToString([]byte("AAAA")), want: "no certificate in the token"},
		{name: "no token", password: bobDN, secret: "", want: "no certificate in the token"},
		{name: "list without the certificate", password: bobDN, secret: loginX509(t, "u", hour, byRoot), revoked: middle, crlBy: root, config: ":check_crl: true\n"},
		{name: "revoked", password: bobDN, secret: loginX509(t, "u", hour, byRoot), revoked: byRoot, crlBy: root,
			want: "/O=Cloud/CN=Bob is found in the CRL, i.e. it is revoked"},
		{name: "authority revoked", password: annDN, secret: loginX509(t, "u", hour, ann), revoked: middle, crlBy: root, want: "CN=Middle is found in the CRL"},
		{name: "list of a stranger", password: bobDN, secret: loginX509(t, "u", hour, byRoot), revoked: byRoot, crlBy: stranger, want: "CRL is not verified by its Signer"},
		{name: "list demanded", password: bobDN, secret: loginX509(t, "u", hour, byRoot), config: ":check_crl: true\n", want: "no CRL of /O=Cloud/CN=Root"},
		{name: "other directory", password: bobDN, secret: loginX509(t, "u", hour, byRoot), config: ":ca_dir: /nonexistent\n", want: "read the trusted authorities"},
		{name: "broken configuration", password: bobDN, secret: loginX509(t, "u", hour, byRoot), config: ":ca_dir: [\n", want: "configuration cannot be read"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := site(t)
			write(t, s.path("certificates/0123abcd.0"), root.pem)
			write(t, s.path("certificates/0123abcd.1"), middle.pem)
			write(t, s.path("certificates/0123abce.0"), "not a certificate")
			write(t, s.path("certificates/README"), stranger.pem)
			if tt.config != "" {
				write(t, s.path("x509_auth.conf"), tt.config)
			}
			if tt.revoked != nil {
				list, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: from, NextUpdate: to,
					RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: tt.revoked.cert.SerialNumber, RevocationTime: from}}},
					tt.crlBy.cert, tt.crlBy.key)
				if err != nil {
					t.Fatal(err)
				}
				write(t, s.path("certificates/0123abcd.r0"), string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: list})))
			}
			judge(t, "x509", s, Claim{"u", tt.password, tt.secret}, tt.want)
		})
	}
}

func TestServerX509(t *testing.T) {
	server := issue(t, keys()[0], nil, false, now.Add(-time.Hour), now.Add(time.Hour), "O=Cloud", "CN=the server")
	const dn = `/O=Cloud/CN=the\20server`
	login := func(text string) string {
		return base64.StdEncoding.EncodeToString([]byte(sign(t, server.key, text)))
	}
	valid := login(fmt.Sprintf("serveradmin:ann:%d", expiry(time.Hour)))
	tests := []struct {
		name, user, password, secret, config, want string
	}{
		{"valid", "serveradmin", dn, valid, ":srv_user: serveradmin\n", ""},
		{"no user configured", "serveradmin", dn, valid, "# nothing\n", "User for x509 server not defined"},
		{"other account", "admin2", dn, valid, ":srv_user: serveradmin\n", "User name missmatch"},
		{"other account configured", "serveradmin", dn, valid, ":srv_user: admin2\n", "User name missmatch"},
		{"other password", "serveradmin", "/CN=x", valid, ":srv_user: serveradmin\n", "Server password missmatch"},
		{"expired", "serveradmin", dn, login(fmt.Sprintf("serveradmin:ann:%d", expiry(0))), ":srv_user: serveradmin\n", "login token expired"},
		{"no certificate", "serveradmin", dn, valid, ":srv_user: serveradmin\n:one_cert: /nonexistent\n", "read the server's certificate"},
		{"not encoded twice", "serveradmin", dn, sign(t, server.key, fmt.Sprintf("serveradmin:ann:%d", expiry(time.Hour))), ":srv_user: serveradmin\n", "padding check failed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := site(t)
			write(t, s.path("cert.pem"), server.pem)
			write(t, s.path("server_x509_auth.conf"), tt.config)
			judge(t, "server_x509", s, Claim{tt.user, tt.password, tt.secret}, tt.want)
		})
	}
}

// TestSubjectIsOpenSSLs compares with the tool that administrators read
// subjects with.
func TestSubjectIsOpenSSLs(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	id := issue(t, keys()[0], nil, false, now, now.Add(time.Hour), "DC=org", "C=ES", "O=Ünïversity, Inc", "CN=Ann / Example \"x\"", "emailAddress=a@b.c", "1.2.3=z")
	file := filepath.Join(t.TempDir(), "cert.pem")
	write(t, file, id.pem)
	out, err := exec.Command(openssl, "x509", "-in", file, "-noout", "-subject", "-nameopt", "compat").Output()
	if err != nil {
		t.Fatal(err)
	}
	want := strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(string(out)), "subject="), " ")
	if got := subject(id.cert); !sameDN(got, want) {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestURIEscapes(t *testing.T) {
	for text, escaped := range map[string]string{
		"cn=Ann Example,dc=org": "cn=Ann%20Example,dc=org", "ñ": "%C3%B1", "a%b": "a%25b", "a+b;c": "a+b;c", "\\2C\"": "%5C2C%22",
	} {
		if got := escapeURI(text); got != escaped {
			t.Errorf("%q escaped is %q, want %q", text, got, escaped)
		}
		if got := unescapeURI(escaped); got != text {
			t.Errorf("%q unescaped is %q, want %q", escaped, got, text)
		}
	}
	if got := unescapeURI("100%zz%4"); got != "100%zz%4" {
		t.Errorf("%q", got)
	}
}

// FuzzClaims feeds the drivers what strangers send.
func FuzzClaims(f *testing.F) {
	f.Add("u", "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=", "AAAA")
	f.Add("u", strings.Repeat("a", 40), "AAAAAAAAAAAAAAAAAAAAAA==")
	f.Add("u", "/CN=x", base64.StdEncoding.EncodeToString([]byte("AAAA:-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")))
	s := Site{Auth: f.TempDir(), Now: func() time.Time { return now }, Log: func(string, ...any) {}}
	f.Fuzz(func(t *testing.T, user, password, secret string) {
		for name, check := range Checks() {
			if _, err := check(context.Background(), s, Claim{user, password, secret}); err == nil {
				t.Errorf("%s accepts", name)
			}
		}
	})
}
