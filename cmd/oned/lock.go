package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// errLocked says that another daemon has these directories, or may have them.
var errLocked = errors.New("the lock file is taken")

// lock is the lock file of a running daemon: two on one database would destroy it.
//
// To other programs it is 4.6's: it is there while a daemon runs, and made by whoever can create it. Besides, the daemon holds a
// lock of the system on it, which ends with the process however that ends, and says in it on which machine that counts. So the
// file of a daemon that was killed is known as such and taken over. An empty file is 4.6's, whose daemon takes no such lock: it
// stays an obstacle, as one from another machine does, which may share the directory.
type lock struct {
	path string
	file *os.File
}

func takeLock(path string) (*lock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o640)
	if errors.Is(err, fs.ErrExist) {
		f, err = openStale(path)
	}
	if err != nil {
		return nil, err
	}
	l := &lock{path: path, file: f}
	if err := l.sign(); err != nil {
		f.Close()
		return nil, err
	}
	return l, nil
}

// sign takes the system's lock on the file, and then writes what makes the file ours.
func (l *lock) sign() error {
	if err := tryLock(l.file); err != nil {
		return err
	}
	owner, err := thisMachine()
	if err != nil {
		return err
	}
	if err := l.file.Truncate(0); err != nil {
		return fmt.Errorf("write lock file: %w", err)
	}
	if _, err := l.file.WriteAt([]byte(fmt.Sprintf("%s%d\n", owner, os.Getpid())), 0); err != nil {
		return fmt.Errorf("write lock file: %w", err)
	}
	return l.file.Sync() // so that it is not empty after a power failure
}

// release removes the file while it is still locked, so that nobody can have taken it over.
func (l *lock) release() error {
	return errors.Join(os.Remove(l.path), l.file.Close())
}

// openStale opens the lock file of a daemon of ours that is gone, locked; or says errLocked.
func openStale(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	if err := checkStale(f, path); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func checkStale(f *os.File, path string) error {
	owner, err := thisMachine()
	if err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(f, 1024))
	if err != nil {
		return err
	}
	if !strings.HasPrefix(string(text), owner) {
		return errLocked
	}
	if err := tryLock(f); err != nil {
		return err
	}
	// Its owner may have removed it since we opened it, and somebody else made another.
	opened, err := f.Stat()
	if err != nil {
		return err
	}
	if now, err := os.Stat(path); err != nil || !os.SameFile(opened, now) {
		return errLocked
	}
	return nil
}

func tryLock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return errLocked
	}
	if err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	return nil
}

// thisMachine begins the text of a lock file made here.
func thisMachine() (string, error) {
	host, err := os.Hostname()
	if err != nil {
		return "", err
	}
	return "goned " + host + " ", nil
}

// lockTaken reports whether takeLock would fail.
func lockTaken(path string) bool {
	f, err := openStale(path)
	switch {
	case err == nil:
		f.Close()
		return false
	case errors.Is(err, fs.ErrNotExist):
		_, err := os.Stat(filepath.Dir(path))
		return err != nil
	}
	return true
}
