package main

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"goned/core/config"
)

func newCloud(t *testing.T) *cloud {
	t.Helper()
	c := &cloud{dir: t.TempDir(), out: io.Discard}
	if err := os.Mkdir(c.path("etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	return c
}

// The configuration is one that oned takes, with the drivers that are used.
func TestSetUp(t *testing.T) {
	t.Setenv("PORT", "4711")
	t.Setenv("VNC_PROXY_PORT", "")
	c := newCloud(t)
	if err := c.setUp(); err != nil {
		t.Fatal(err)
	}
	conf, err := config.Load(c.path("etc", "oned.conf"), config.Dirs{Var: c.path("var") + "/"})
	if err != nil {
		t.Fatal(err)
	}
	if conf.Port != 4711 || conf.VNCBasePort != c.settings.VNCBase {
		t.Errorf("port %d, VNC from %d; settings %+v", conf.Port, conf.VNCBasePort, c.settings)
	}
	for _, hypervisor := range []string{"qemu", "dummy"} {
		found := 0
		for _, v := range slices.Concat(conf.VMMads, conf.IMMads) {
			if v.Get("NAME") == hypervisor {
				found++
			}
		}
		if found != 2 {
			t.Errorf("%d drivers %s, want 2", found, hypervisor)
		}
	}
	auth, err := os.ReadFile(c.path("etc", "one_auth"))
	if err != nil {
		t.Fatal(err)
	}
	if name, password, _ := strings.Cut(strings.TrimSpace(string(auth)), ":"); name != "oneadmin" || len(password) < 20 {
		t.Errorf("credentials %q", auth)
	}
	if info, err := os.Stat(c.path("etc", "one_auth")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("credentials may be read by others: %v %v", info.Mode(), err)
	}
}

// A second start must find the same cloud, whatever the environment says.
func TestSetUpAgain(t *testing.T) {
	t.Setenv("PORT", "4711")
	first := newCloud(t)
	if err := first.setUp(); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PORT", "4712")
	again := &cloud{dir: first.dir, out: io.Discard}
	before := read(t, first.path("etc", "one_auth"))
	if err := again.setUp(); err != nil {
		t.Fatal(err)
	}
	if again.settings != first.settings {
		t.Errorf("settings %+v, were %+v", again.settings, first.settings)
	}
	if after := read(t, first.path("etc", "one_auth")); after != before {
		t.Errorf("credentials %q, were %q", after, before)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestPortFromEnvironment(t *testing.T) {
	taken, err := net.Listen("tcp4", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	usual := taken.Addr().(*net.TCPAddr).Port
	for name, test := range map[string]struct {
		value   string
		want    int // 0: any but the one that is taken
		refused bool
	}{
		"the usual one is taken": {"", 0, false},
		"given":                  {"4711", 4711, false},
		"no number":              {"http", 0, true},
		"too large":              {strconv.Itoa(1 << 16), 0, true},
		"zero":                   {"0", 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TEST_PORT", test.value)
			got, err := portFromEnvironment("TEST_PORT", usual)
			switch {
			case (err != nil) != test.refused:
				t.Errorf("error %v", err)
			case !test.refused && test.want == 0 && (got == usual || got == 0):
				t.Errorf("got %d, which is taken", got)
			case test.want != 0 && got != test.want:
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

func TestUsage(t *testing.T) {
	dir := t.TempDir()
	for name, args := range map[string][]string{
		"nothing":        {},
		"no directory":   {"up"},
		"unknown action": {"sideways", dir},
		"too much":       {"up", dir, dir},
	} {
		t.Run(name, func(t *testing.T) {
			if err := run(t.Context(), args, io.Discard); err != errUsage {
				t.Errorf("error %v", err)
			}
		})
	}
	if err := run(t.Context(), []string{"up", filepath.Join(dir, "missing")}, io.Discard); err == nil || err == errUsage {
		t.Errorf("missing directory: error %v", err)
	}
	var out strings.Builder
	if err := run(t.Context(), []string{"down", dir}, &out); err != nil || !strings.Contains(out.String(), "no cloud") {
		t.Errorf("down without a cloud: %v, %q", err, out.String())
	}
}
