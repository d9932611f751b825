package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestMain lets the test binary be the daemon that has a lock and is killed.
func TestMain(m *testing.M) {
	if path := os.Getenv("ONED_TEST_LOCK"); path != "" {
		l, err := takeLock(path)
		if err != nil {
			os.Exit(1)
		}
		os.Stdout.WriteString("locked\n")
		_, _ = os.Stdin.Read(make([]byte, 1)) // until it is killed
		_ = l.release()
		return
	}
	os.Exit(m.Run())
}

// hold starts another process that takes the lock.
func hold(t *testing.T, path string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "ONED_TEST_LOCK="+path)
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if n, err := out.Read(make([]byte, 10)); n == 0 {
		t.Fatalf("no lock: %v", err)
	}
	return cmd
}

func TestLock(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	refused := func(t *testing.T, path string) {
		t.Helper()
		if !lockTaken(path) {
			t.Error("the lock counts as free")
		}
		if _, err := takeLock(path); !errors.Is(err, errLocked) {
			t.Errorf("taken: %v", err)
		}
	}
	taken := func(t *testing.T, path string) *lock {
		t.Helper()
		if lockTaken(path) {
			t.Error("the lock counts as taken")
		}
		l, err := takeLock(path)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	t.Run("free", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), ".lock")
		l := taken(t, path)
		refused(t, path)
		if err := l.release(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the file is still there: %v", err)
		}
		taken(t, path)
	})
	t.Run("another process", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), ".lock")
		cmd := hold(t, path)
		refused(t, path)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		l := taken(t, path)
		refused(t, path)
		if err := l.release(); err != nil {
			t.Error(err)
		}
	})
	for name, text := range map[string]string{
		"of 4.6":              "",
		"of another machine":  "goned another." + host + " 1\n",
		"of a longer name":    "goned " + host + "x 1\n",
		"of somebody unknown": "17\n",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), ".lock")
			if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
				t.Fatal(err)
			}
			refused(t, path)
			if left, err := os.ReadFile(path); err != nil || string(left) != text {
				t.Errorf("the file is now %q, %v", left, err)
			}
		})
	}
	t.Run("no directory", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "none", ".lock")
		if _, err := takeLock(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%v", err)
		}
		if !lockTaken(path) {
			t.Error("the lock counts as free")
		}
	})
}
