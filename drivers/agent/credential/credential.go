// Package credential checks the login tokens of 4.6's authentication drivers:
// what `authenticate USER PASSWORD SECRET` of each does. The texts of refusals
// are 4.6's, spelling included, where 4.6 has one.
package credential

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"time"
)

// Claim is what a client offers and what is known about the user.
type Claim struct {
	// User is the name in the session.
	User string
	// Password is what the user was created with: a key, a certificate's
	// subject; `-` for a user that does not exist yet.
	Password string
	// Secret is the token of the session.
	Secret string
}

// Site is where the drivers find their configuration, and what time it is.
type Site struct {
	// Auth is the directory etc/auth.
	Auth string
	Now  func() time.Time
	// Log takes what happens on the way to the verdict.
	Log func(format string, args ...any)
}

func (s Site) path(name string) string { return filepath.Join(s.Auth, name) }

// Check judges a claim. The text is what the driver prints when it accepts:
// nothing, or the user to create.
type Check func(ctx context.Context, s Site, c Claim) (answer string, err error)

// Checks are the drivers by name.
func Checks() map[string]Check {
	return map[string]Check{
		"ssh":           checkSSH,
		"x509":          checkX509,
		"server_cipher": checkServerCipher,
		"server_x509":   checkServerX509,
		"ldap":          checkLDAP,
	}
}

// decodeBase64 reads base64 as leniently as 4.6's clients are used to: other
// characters are skipped, padding ends it and may be missing.
func decodeBase64(s string) []byte {
	kept := strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '+' || r == '/' {
			return r
		}
		return -1
	}, strings.SplitN(s, "=", 2)[0])
	if len(kept)%4 == 1 {
		kept = kept[:len(kept)-1]
	}
	out, _ := base64.RawStdEncoding.DecodeString(kept) // only the alphabet is left
	return out
}

// token is the text that clients sign or encrypt: words joined by colons, the
// last one an expiry time.
type token []string

func parseToken(text []byte) token { return strings.Split(string(text), ":") }

func (t token) word(i int) string {
	if i < len(t) {
		return t[i]
	}
	return ""
}

// expired reports whether the time in word i has come. A word without a number
// is long past.
func (t token) expired(i int, now time.Time) bool { return now.Unix() >= leadingSeconds(t.word(i)) }

// leadingSeconds is the number that a word begins with.
func leadingSeconds(word string) int64 {
	var n int64
	for _, c := range []byte(strings.TrimSpace(word)) {
		if c < '0' || c > '9' || n > (math.MaxInt64-9)/10 {
			break
		}
		n = n*10 + int64(c-'0')
	}
	return n
}

// ErrLogged is a refusal whose reason has gone to the log, not to the user, as
// 4.6's ldap driver does it.
var ErrLogged = errors.New("not authenticated")

var errNoConfiguration = errors.New("configuration cannot be read")

func configurationError(path string, err error) error {
	return fmt.Errorf("%s: %w: %w", filepath.Base(path), errNoConfiguration, err)
}
