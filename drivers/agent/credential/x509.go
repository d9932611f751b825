package credential

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// x509Config is x509_auth.conf.
type x509Config struct {
	CADir    string `yaml:":ca_dir"`
	CheckCRL bool   `yaml:":check_crl"`
}

// checkX509 accepts a token made with the key of a certificate whose subject,
// or that of one above it, is the user's password. Certificates lead, proxies
// included, to one of the trusted authorities.
func checkX509(_ context.Context, s Site, c Claim) (string, error) {
	config := x509Config{CADir: s.path("certificates")}
	if err := s.readConfiguration("x509_auth.conf", &config); err != nil {
		return "", err
	}
	parts := strings.Split(string(decodeBase64(c.Secret)), ":")
	var chain []*x509.Certificate
	for _, text := range parts[1:] {
		cert, err := parseCertificate([]byte(text))
		if err != nil {
			return "", err
		}
		chain = append(chain, cert)
	}
	if len(chain) == 0 {
		return "", errors.New("no certificate in the token")
	}
	key, ok := chain[0].PublicKey.(*rsa.PublicKey)
	if !ok {
		return "", errNoKey
	}
	text, err := recoverText(key, decodeBase64(parts[0]))
	if err != nil {
		return "", err
	}
	t := parseToken(text)
	switch {
	case t.word(0) != c.User:
		return "", errUserName
	case t.expired(1, s.Now()):
		return "", errors.New("x509 proxy expired")
	}
	subjects := strings.Split(c.Password, "|")
	if !slices.ContainsFunc(chain, func(cert *x509.Certificate) bool {
		own := escapeDN(subject(cert))
		return slices.ContainsFunc(subjects, func(s string) bool { return sameDN(s, own) })
	}) {
		return "", errors.New("Certificate subject missmatch")
	}
	trust, err := readTrust(config)
	if err != nil {
		return "", err
	}
	return "", trust.validate(s, chain)
}

func parseCertificate(text []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("not a certificate in PEM form")
	}
	return x509.ParseCertificate(block.Bytes)
}

// trust is a directory of certificates and revocation lists, with names that
// c_rehash gives: a hash, `.0` or `.r0`. Which hash depends on the version of
// OpenSSL, so subjects are compared and not names of files.
type trust struct {
	dir         string
	authorities []*x509.Certificate
	revocations []*x509.RevocationList
	needCRL     bool
}

var (
	authorityFile  = regexp.MustCompile(`^[0-9a-f]{1,8}\.[0-9]+$`)
	revocationFile = regexp.MustCompile(`^[0-9a-f]{1,8}\.r[0-9]+$`)
)

func readTrust(config x509Config) (*trust, error) {
	if config.CADir == "" {
		return nil, errors.New("No certifcate authority directory was specified.")
	}
	t := &trust{dir: config.CADir, needCRL: config.CheckCRL}
	entries, err := os.ReadDir(t.dir)
	if err != nil {
		return nil, fmt.Errorf("read the trusted authorities: %w", err)
	}
	for _, e := range entries {
		isAuthority, isRevocation := authorityFile.MatchString(e.Name()), revocationFile.MatchString(e.Name())
		if !isAuthority && !isRevocation {
			continue
		}
		data, err := os.ReadFile(filepath.Join(t.dir, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("read the trusted authorities: %w", err)
		}
		// A file that cannot be read as what its name says must not lock out
		// the users of all other authorities.
		if isAuthority {
			if cert, err := parseCertificate(data); err == nil {
				t.authorities = append(t.authorities, cert)
			}
			continue
		}
		if block, _ := pem.Decode(data); block != nil {
			data = block.Bytes
		}
		if list, err := x509.ParseRevocationList(data); err == nil {
			t.revocations = append(t.revocations, list)
		}
	}
	return t, nil
}

// maxChain bounds the way up to a self-signed authority.
const maxChain = 16

// validate follows the chain upwards: each certificate is in its time, signed
// by the next one and not revoked; above the last stand trusted authorities up
// to one that signed itself.
func (t *trust) validate(s Site, chain []*x509.Certificate) error {
	if len(chain) > maxChain {
		return failed("the chain of certificates is too long")
	}
	now := s.Now()
	for _, c := range chain {
		if now.Before(c.NotBefore) || now.After(c.NotAfter) {
			return failed("Certificate not valid. Current time is " + now.Local().Format("2006-01-02 15:04:05 -0700") + ".")
		}
	}
	for i, c := range chain[:len(chain)-1] {
		if err := signedBy(c, chain[i+1]); err != nil {
			return err
		}
		if err := mayIssue(chain[i+1], c); err != nil {
			return err
		}
	}
	last := chain[len(chain)-1]
	for range maxChain {
		authority, err := t.authorityOf(last)
		if err != nil {
			return err
		}
		if err := t.checkRevoked(last, authority, last == chain[len(chain)-1]); err != nil {
			return err
		}
		if now.Before(authority.NotBefore) || now.After(authority.NotAfter) {
			return failed("the certificate of " + subject(authority) + " is not valid now")
		}
		if bytes.Equal(authority.RawSubject, authority.RawIssuer) {
			return nil
		}
		last = authority
	}
	return failed("the chain of certificates is too long")
}

func failed(text string) error { return errors.New("Could not validate user credentials: " + text) }

func notVerified(c, by *x509.Certificate) error {
	return failed(subject(c) + " with issuer " + issuer(c) + " was not verified by " + subject(by) + ".")
}

// signedBy checks the name and the signature only. The library's own check
// wants an authority, and refuses proxies.
func signedBy(c, by *x509.Certificate) error {
	if !bytes.Equal(c.RawIssuer, by.RawSubject) {
		return notVerified(c, by)
	}
	if err := by.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature); err != nil {
		return notVerified(c, by)
	}
	return nil
}

// mayIssue keeps users from making certificates for other users: one that is
// no authority may only issue proxies of itself, whose subject is its own with
// a name added. 4.6 does not look.
func mayIssue(by, c *x509.Certificate) error {
	if by.BasicConstraintsValid && by.IsCA {
		return nil
	}
	rest, ok := strings.CutPrefix(subject(c), subject(by))
	if ok && strings.HasPrefix(rest, "/CN=") && !strings.Contains(rest[1:], "/") {
		return nil
	}
	return failed(subject(by) + " is no certificate authority")
}

func (t *trust) authorityOf(c *x509.Certificate) (*x509.Certificate, error) {
	var err error
	for _, a := range t.authorities {
		if !bytes.Equal(a.RawSubject, c.RawIssuer) {
			continue
		}
		if err = signedBy(c, a); err == nil {
			return a, nil
		}
	}
	if err != nil {
		return nil, err
	}
	return nil, failed("no certificate of the issuer " + issuer(c) + " in " + t.dir)
}

// checkRevoked looks into the revocation list of c's issuer. Where check_crl is
// set there must be one for the user's certificate.
func (t *trust) checkRevoked(c, by *x509.Certificate, needed bool) error {
	found := false
	for _, list := range t.revocations {
		if !bytes.Equal(list.RawIssuer, by.RawSubject) {
			continue
		}
		if err := list.CheckSignatureFrom(by); err != nil {
			return failed("CRL is not verified by its Signer")
		}
		found = true
		for _, r := range list.RevokedCertificateEntries {
			if r.SerialNumber.Cmp(c.SerialNumber) == 0 {
				return failed(subject(c) + " is found in the CRL, i.e. it is revoked")
			}
		}
	}
	if !found && needed && t.needCRL {
		return failed("no CRL of " + subject(by) + " in " + t.dir)
	}
	return nil
}
