package credential

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rsa"
	"errors"
	"fmt"
	"os"
)

// Texts of refusals that two drivers share.
var (
	errUserName     = errors.New("User name missmatch")
	errTokenExpired = errors.New("login token expired")
)

// target is the answer that says for whom a token was made. The check does not
// know for whom the session is; goned does, and refuses it for anybody else. 4.6
// does not look at the answer.
func target(t token) string { return "target " + t.word(1) }

// checkServerCipher accepts a token of a service that logs in for its users:
// `server user:target user:expiry`, encrypted with the service's password.
func checkServerCipher(_ context.Context, s Site, c Claim) (string, error) {
	text, err := decryptAES([]byte(c.Password), decodeBase64(c.Secret))
	if err != nil {
		return "", err
	}
	t := parseToken(text)
	switch {
	case t.word(0) != c.User:
		return "", errUserName
	case t.expired(2, s.Now()):
		return "", errTokenExpired
	}
	return target(t), nil
}

// decryptAES is AES-256-CBC with a zero initial vector and PKCS#7 padding. The
// errors are those of OpenSSL, which 4.6 passes on.
func decryptAES(key, data []byte) ([]byte, error) {
	const keySize = 32
	if len(key) < keySize {
		return nil, errors.New("key length too short")
	}
	if len(data) == 0 {
		return nil, errors.New("data must not be empty")
	}
	if len(data)%aes.BlockSize != 0 {
		return nil, errors.New("wrong final block length")
	}
	block, err := aes.NewCipher(key[:keySize])
	if err != nil {
		return nil, err
	}
	out := make([]byte, len(data))
	cipher.NewCBCDecrypter(block, make([]byte, aes.BlockSize)).CryptBlocks(out, data)
	padding := int(out[len(out)-1])
	if padding == 0 || padding > aes.BlockSize {
		return nil, errors.New("bad decrypt")
	}
	for _, b := range out[len(out)-padding:] {
		if int(b) != padding {
			return nil, errors.New("bad decrypt")
		}
	}
	return out[:len(out)-padding], nil
}

// serverX509Config is server_x509_auth.conf.
type serverX509Config struct {
	ServerUser  string `yaml:":srv_user"`
	Certificate string `yaml:":one_cert"`
}

// checkServerX509 accepts a token like that of server_cipher, made with the
// key of the certificate that the configuration names.
func checkServerX509(_ context.Context, s Site, c Claim) (string, error) {
	config := serverX509Config{Certificate: s.path("cert.pem")}
	if err := s.readConfiguration("server_x509_auth.conf", &config); err != nil {
		return "", err
	}
	if config.ServerUser == "" {
		return "", errors.New("User for x509 server not defined")
	}
	pemText, err := os.ReadFile(config.Certificate)
	if err != nil {
		return "", fmt.Errorf("read the server's certificate: %w", err)
	}
	cert, err := parseCertificate(pemText)
	if err != nil {
		return "", fmt.Errorf("%s: %w", config.Certificate, err)
	}
	key, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok {
		return "", errNoKey
	}
	// The client encodes twice.
	text, err := recoverText(key, decodeBase64(string(decodeBase64(c.Secret))))
	if err != nil {
		return "", err
	}
	t := parseToken(text)
	switch {
	case !sameDN(c.Password, escapeDN(subject(cert))):
		return "", errors.New("Server password missmatch")
	case t.word(0) != c.User || t.word(0) != config.ServerUser:
		return "", errUserName
	case t.expired(2, s.Now()):
		return "", errTokenExpired
	}
	return target(t), nil
}
