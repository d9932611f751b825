package vnc

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLookupInDirectory(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "one-205"), "tok205: kvm1:6105")
	write(t, filepath.Join(dir, "mine"), "123456: kvm2:5901\nsame: a:1\nsame: b:2\n")
	write(t, filepath.Join(dir, "one-x"), "x: h:1")
	write(t, filepath.Join(dir, "empty"), "")
	write(t, filepath.Join(dir, ".one-9"), "hidden: h:1")
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "one-7"), 0o600); err != nil {
		t.Fatal(err)
	}
	src := NewTokenSource(dir, 0, quietLog())
	tests := []struct {
		token string
		want  Grant
		err   error
	}{
		{token: "tok205", want: Grant{Target{"kvm1", 6105}, 205, "one-205"}},
		{token: "123456", want: Grant{Target{"kvm2", 5901}, -1, "mine"}},
		{token: "same", want: Grant{Target{"b", 2}, -1, "mine"}},
		{token: "x", want: Grant{Target{"h", 1}, -1, "one-x"}},
		{token: "hidden", err: ErrUnknownToken},
		{token: "tok20", err: ErrUnknownToken},
		{token: "tok2055", err: ErrUnknownToken},
		{token: "", err: ErrNoToken},
	}
	for _, tt := range tests {
		t.Run(tt.token, func(t *testing.T) {
			got, err := src.Lookup(tt.token)
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("Lookup = %+v, %v; want %+v, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

func TestLookupInOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	src := NewTokenSource(path, 0, quietLog())
	if _, err := src.Lookup("a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	write(t, path, "a: h:1\nb: h:2\n")
	if g, err := src.Lookup("b"); err != nil || g.Target.Port != 2 {
		t.Errorf("Lookup = %+v, %v", g, err)
	}
}

// A new token of the same length, written within the same tick of the clock,
// replaces the old one at once; so does a removal.
func TestChangeIsSeenAtOnce(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "one-1")
	stamp := time.Now().Truncate(time.Second)
	src := NewTokenSource(dir, 0, quietLog())
	for i := range 5 {
		token := fmt.Sprintf("tok%d", i)
		write(t, path, token+": h:5901")
		if err := os.Chtimes(path, stamp, stamp); err != nil {
			t.Fatal(err)
		}
		if _, err := src.Lookup(token); err != nil {
			t.Fatalf("token %d: %v", i, err)
		}
		if _, err := src.Lookup(fmt.Sprintf("tok%d", i-1)); !errors.Is(err, ErrUnknownToken) {
			t.Fatalf("token %d still works: %v", i-1, err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := src.Lookup("tok4"); !errors.Is(err, ErrUnknownToken) {
		t.Errorf("removed token: %v", err)
	}
}

func TestUnchangedFileIsNotReadAgain(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "one-1")
	write(t, path, "a: h:1")
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	src := NewTokenSource(dir, 0, quietLog())
	for range 2 {
		if _, err := src.Lookup("a"); err != nil {
			t.Fatal(err)
		}
	}
	first := (*src.cache.Load())["one-1"].readAt
	if _, err := src.Lookup("a"); err != nil {
		t.Fatal(err)
	}
	if again := (*src.cache.Load())["one-1"].readAt; !again.Equal(first) {
		t.Error("file was read again")
	}
}

func TestExpiry(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "one-1"), "sunstone: h:1")
	write(t, filepath.Join(dir, "admin"), "admins: h:2")
	src := NewTokenSource(dir, time.Hour, quietLog())
	tests := []struct {
		name  string
		age   time.Duration
		token string
		want  error
	}{
		{"young", 59 * time.Minute, "sunstone", nil},
		{"old", 61 * time.Minute, "sunstone", ErrExpiredToken},
		{"old guess", 61 * time.Minute, "other", ErrUnknownToken},
		{"file of an administrator", 1000 * time.Hour, "admins", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src.now = func() time.Time { return time.Now().Add(tt.age) }
			if _, err := src.Lookup(tt.token); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
}

func TestHugeTokenFileIsRefused(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "one-1"), "a: h:1\n"+strings.Repeat("#\n", maxTokenFile/2))
	write(t, filepath.Join(dir, "one-2"), "b: h:2")
	src := NewTokenSource(dir, 0, quietLog())
	if _, err := src.Lookup("a"); !errors.Is(err, ErrUnknownToken) {
		t.Errorf("token of the huge file: %v", err)
	}
	if _, err := src.Lookup("b"); err != nil {
		t.Errorf("token beside the huge file: %v", err)
	}
}

func TestConcurrentLookups(t *testing.T) {
	dir := t.TempDir()
	for i := range 20 {
		write(t, filepath.Join(dir, fmt.Sprintf("one-%d", i)), fmt.Sprintf("tok%d: h:%d", i, i+1))
	}
	src := NewTokenSource(dir, 0, quietLog())
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if g, err := src.Lookup(fmt.Sprintf("tok%d", i)); err != nil || g.VM != i {
				t.Errorf("Lookup %d = %+v, %v", i, g, err)
			}
		})
	}
	wg.Wait()
}
