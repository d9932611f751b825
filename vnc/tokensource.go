package vnc

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Reasons a token opens no connection.
var (
	ErrNoToken      = errors.New("no token given")
	ErrUnknownToken = errors.New("token is unknown")
	ErrExpiredToken = errors.New("token has expired")
)

const (
	// maxTokenFile bounds what is read of one token file.
	maxTokenFile = 8 << 20

	// racyAge is the age below which a file's time stamp does not prove that
	// its content is the one read: Sunstone overwrites a token with one of the
	// same length, possibly within one tick of the file system's clock.
	racyAge = 2 * time.Second
)

// Grant is what a valid token gives access to.
type Grant struct {
	Target Target
	// VM is the id of the virtual machine the token was written for, taken
	// from the file name one-<id>; -1 when the file is not named so.
	VM int
	// File is the base name of the file that holds the token.
	File string
}

// TokenSource looks tokens up in one file or in all regular files of a
// directory. Every look-up sees the files as they are at that moment; unchanged
// files are not read again. It is safe for concurrent use.
type TokenSource struct {
	path  string
	ttl   time.Duration
	log   *slog.Logger
	now   func() time.Time
	cache atomic.Pointer[map[string]tokenFile]
}

// tokenFile is one file as last read.
type tokenFile struct {
	info    fs.FileInfo
	readAt  time.Time
	vm      int
	entries []tokenEntry
}

type tokenEntry struct {
	sum    [sha256.Size]byte
	target Target
}

// NewTokenSource returns a source for the file or directory at path, which need
// not exist yet. A token of a file named one-<id> expires when the file was
// written longer than ttl ago; 0 means never, as in 4.6. Other files are an
// administrator's own and do not expire.
func NewTokenSource(path string, ttl time.Duration, log *slog.Logger) *TokenSource {
	return &TokenSource{path: path, ttl: ttl, log: log, now: time.Now}
}

// Lookup returns what token gives access to. Its errors are ErrNoToken,
// ErrUnknownToken, ErrExpiredToken, or about the files. The time it takes does
// not depend on how much of a token was guessed right: all tokens are compared,
// by their hashes, each in constant time. Of equal tokens the later line of a
// file wins, as in 4.6, and the file written last.
func (s *TokenSource) Lookup(token string) (Grant, error) {
	if token == "" {
		return Grant{}, ErrNoToken
	}
	files, err := s.refresh()
	if err != nil {
		return Grant{}, err
	}
	var (
		sum     = sha256.Sum256([]byte(token))
		found   Grant
		written time.Time
		hit     int
	)
	for name, f := range files {
		for i := range f.entries {
			if subtle.ConstantTimeCompare(sum[:], f.entries[i].sum[:]) == 1 {
				hit++
				if at := f.info.ModTime(); !at.Before(written) {
					found = Grant{Target: f.entries[i].target, VM: f.vm, File: name}
					written = at
				}
			}
		}
	}
	switch {
	case hit == 0:
		return Grant{}, ErrUnknownToken
	case s.ttl > 0 && found.VM >= 0 && s.now().Sub(written) > s.ttl:
		return Grant{}, ErrExpiredToken
	}
	return found, nil
}

// refresh reads what changed since the last look-up. Concurrent calls may read
// the same file twice; the last one's result is kept.
func (s *TokenSource) refresh() (map[string]tokenFile, error) {
	infos, err := s.list()
	if err != nil {
		return nil, fmt.Errorf("read tokens: %w", err)
	}
	var old map[string]tokenFile
	if p := s.cache.Load(); p != nil {
		old = *p
	}
	files := make(map[string]tokenFile, len(infos))
	for path, info := range infos {
		name := filepath.Base(path)
		if f, ok := old[name]; ok && f.fresh(info) {
			files[name] = f
			continue
		}
		f, err := s.read(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			s.log.Warn("token file not readable", "file", path, "err", err)
			continue
		}
		files[name] = f
	}
	s.cache.Store(&files)
	return files, nil
}

// fresh reports whether f still is the content of the file described by info.
func (f tokenFile) fresh(info fs.FileInfo) bool {
	return os.SameFile(f.info, info) && f.info.Size() == info.Size() &&
		f.info.ModTime().Equal(info.ModTime()) && f.readAt.Sub(info.ModTime()) > racyAge
}

// list returns the token files by path. Hidden files are left out: they are
// files somebody is still writing.
func (s *TokenSource) list() (map[string]fs.FileInfo, error) {
	info, err := os.Stat(s.path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return map[string]fs.FileInfo{s.path: info}, nil
	}
	names, err := os.ReadDir(s.path)
	if err != nil {
		return nil, err
	}
	infos := make(map[string]fs.FileInfo, len(names))
	for _, e := range names {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		path := filepath.Join(s.path, e.Name())
		// A file may vanish between the listing and now.
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			infos[path] = info
		}
	}
	return infos, nil
}

// read parses one file. It is opened without blocking, so that a named pipe put
// in its place can't hold the caller.
func (s *TokenSource) read(path string) (tokenFile, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return tokenFile{}, err
	}
	defer f.Close()
	readAt := s.now()
	info, err := f.Stat()
	if err != nil {
		return tokenFile{}, err
	}
	if !info.Mode().IsRegular() {
		return tokenFile{}, errors.New("not a regular file")
	}
	text, err := io.ReadAll(io.LimitReader(f, maxTokenFile+1))
	if err != nil {
		return tokenFile{}, err
	}
	if len(text) > maxTokenFile {
		return tokenFile{}, fmt.Errorf("larger than %d bytes", maxTokenFile)
	}
	lines, err := ParseTokens(text)
	if err != nil {
		s.log.Warn("token file has lines that are not \"token: host:port\"", "file", path, "err", err)
	}
	tf := tokenFile{info: info, readAt: readAt, vm: vmOfFile(filepath.Base(path))}
	for _, l := range lines {
		tf.entries = append(tf.entries, tokenEntry{sum: sha256.Sum256([]byte(l.Token)), target: l.Target})
	}
	return tf, nil
}

// vmOfFile returns the id in Sunstone's file name one-<id>, or -1.
func vmOfFile(name string) int {
	digits, ok := strings.CutPrefix(name, "one-")
	if !ok {
		return -1
	}
	id, err := strconv.ParseUint(digits, 10, 31)
	if err != nil {
		return -1
	}
	return int(id)
}
