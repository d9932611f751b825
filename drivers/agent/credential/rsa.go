package credential

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"math/big"
)

var (
	errPadding = errors.New("padding check failed")
	errNoKey   = errors.New("Neither PUB key nor PRIV key")
)

// parsePublicKey reads the body of a PEM file, joined into one line: either
// form that clients of 4.6 make, depending on their OpenSSL.
func parsePublicKey(password string) (*rsa.PublicKey, error) {
	der := decodeBase64(password)
	if key, err := x509.ParsePKCS1PublicKey(der); err == nil {
		return key, nil
	}
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, errNoKey
	}
	key, ok := parsed.(*rsa.PublicKey)
	if !ok {
		return nil, errNoKey
	}
	return key, nil
}

// recoverText undoes an RSA operation with the private key (PKCS#1 v1.5, block
// type 1) on a text that is no digest. crypto/rsa verifies digests only.
func recoverText(key *rsa.PublicKey, block []byte) ([]byte, error) {
	c := new(big.Int).SetBytes(block)
	if c.Cmp(key.N) >= 0 {
		return nil, errPadding
	}
	const minPadding = 8
	m := make([]byte, key.Size())
	new(big.Int).Exp(c, big.NewInt(int64(key.E)), key.N).FillBytes(m)
	text, ok := bytes.CutPrefix(m, []byte{0, 1})
	if !ok {
		return nil, errPadding
	}
	rest := bytes.TrimLeft(text, "\xff")
	if len(text)-len(rest) < minPadding || len(rest) == 0 || rest[0] != 0 {
		return nil, errPadding
	}
	return rest[1:], nil
}
