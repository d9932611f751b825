package console

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"goned/vnc"
)

const (
	tokenLength   = 20
	tokenAlphabet = "0123456789abcdefghijklmnopqrstuvwxyz"
)

// NewToken returns a random token as Sunstone makes them: 20 characters of
// [a-z0-9].
func NewToken() string {
	token := make([]byte, 0, tokenLength)
	// Bytes from 252 on are left out: 252 is the largest multiple of 36 in a byte.
	const fair = 252
	var b [64]byte
	for {
		rand.Read(b[:])
		for _, c := range b {
			if c < fair {
				token = append(token, tokenAlphabet[c%36])
			}
			if len(token) == tokenLength {
				return string(token)
			}
		}
	}
}

// WriteToken writes the token file of a VM in dir, in Sunstone's form: file
// one-<id>, one line "token: host:port" without a line break. The file is
// replaced as a whole, which ends the VM's earlier token.
func WriteToken(dir string, vm int, token string, t vnc.Target) error {
	f, err := os.CreateTemp(dir, ".one-*")
	if err != nil {
		return fmt.Errorf("write token: %w", err)
	}
	_, err = fmt.Fprintf(f, "%s: %s", token, t)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, "one-"+strconv.Itoa(vm)))
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("write token: %w", err)
	}
	return nil
}
