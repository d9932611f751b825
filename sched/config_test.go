package sched

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"goned/core/match"
)

func TestConfig(t *testing.T) {
	const all = int(^uint(0) >> 1)
	tests := []struct {
		name, text string
		check      func(*Config) bool
	}{
		{"defaults", "", func(c *Config) bool {
			return c.Port == 2633 && c.Interval == 30*time.Second && c.MaxVM == 300 && c.MessageSize == 1<<30 && !c.LiveReschedule &&
				c.LogSystem == "file" && c.LogLevel == match.LevelDebug &&
				c.Policy == match.Policy{HostRank: "- RUNNING_VMS", DatastoreRank: "FREE_MB", MaxDispatch: 30, MaxHost: 1}
		}},
		{"packing", "DEFAULT_SCHED=[policy=0] DEFAULT_DS_SCHED=[POLICY=0]", func(c *Config) bool {
			return c.Policy.HostRank == "RUNNING_VMS" && c.Policy.DatastoreRank == "- FREE_MB"
		}},
		{"load", "DEFAULT_SCHED=[policy=2]", func(c *Config) bool { return c.Policy.HostRank == "FREE_CPU" }},
		{"custom", `DEFAULT_SCHED=[policy=3, rank="A + 1"] DEFAULT_DS_SCHED=[policy=2, rank="B"]`, func(c *Config) bool {
			return c.Policy.HostRank == "A + 1" && c.Policy.DatastoreRank == "B"
		}},
		{"fixed", "DEFAULT_SCHED=[policy=4] DEFAULT_DS_SCHED=[policy=3]", func(c *Config) bool {
			return c.Policy.HostRank == "PRIORITY" && c.Policy.DatastoreRank == "PRIORITY"
		}},
		{"unknown policy", "DEFAULT_SCHED=[policy=9]", func(c *Config) bool { return c.Policy.HostRank == "" }},
		{"negative limits are none", "MAX_HOST=-1 MAX_VM=-1 MAX_DISPATCH=-1", func(c *Config) bool {
			return c.Policy.MaxHost == all && c.MaxVM == 0 && c.Policy.MaxDispatch == 0
		}},
		{"live only with 1", "LIVE_RESCHEDS=2", func(c *Config) bool { return !c.LiveReschedule }},
		{"live", "LIVE_RESCHEDS=1", func(c *Config) bool { return c.LiveReschedule }},
		{"a level out of range is 0", `LOG=[system="FILE", debug_level=7]`, func(c *Config) bool { return c.LogLevel == match.LevelError }},
		{"no level is 0", `LOG=[system="syslog"]`, func(c *Config) bool { return c.LogLevel == match.LevelError && c.LogSystem == "syslog" }},
		{"a policy that is no vector", "DEFAULT_SCHED=1", func(c *Config) bool { return c.Policy.HostRank == "" }},
		{"rights on datastores", "DS_AUTHORIZATION=yes", func(c *Config) bool { return c.Policy.AuthorizeDatastores }},
		{"unknown attributes stay", "FOO=bar", func(c *Config) bool { return strings.Contains(c.Dump(), "FOO=bar\n") }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := ParseConfig(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			if !tt.check(c) {
				t.Errorf("got %+v", c)
			}
		})
	}
}

func TestConfigErrors(t *testing.T) {
	if _, err := ParseConfig("A = ["); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), "syntax error") {
		t.Errorf("syntax error: %v", err)
	}
	if _, err := LoadConfig(filepath.Join(t.TempDir(), "none")); !errors.Is(err, ErrConfig) {
		t.Errorf("no file: %v", err)
	}
	for _, text := range []string{`LOG=[system="paper"]`, "LOG=1"} {
		if _, err := ParseConfig(text); err == nil || err.Error() != "Unknown LOG_SYSTEM." {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// The shipped file must be the one of the project.
func TestShippedConfig(t *testing.T) {
	c, err := LoadConfig(filepath.Join("..", "share", "etc", "sched.conf"))
	if err != nil {
		t.Fatal(err)
	}
	if c.MaxVM != 5000 || c.Port != 2633 || c.Policy.MaxDispatch != 30 || c.Policy.HostRank != "- RUNNING_VMS" {
		t.Errorf("got %+v", c)
	}
}

func TestLog(t *testing.T) {
	c, err := ParseConfig(`LOG=[system="file", debug_level=2]`)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "sched.log")
	if err := os.WriteFile(path, []byte("old\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := OpenLog(c, path, func() time.Time { return clock })
	if err != nil {
		t.Fatal(err)
	}
	log.Line("VM", match.LevelDebug, "too fine")
	log.Line("VM", match.LevelInfo, "two\nlines")
	log.Line("POOL", match.LevelError, "bad")
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const want = "Sun Nov 22 21:54:34 2026 [VM][I]: two\nlines\nSun Nov 22 21:54:34 2026 [POOL][E]: bad\n"
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestReadSession(t *testing.T) {
	path := filepath.Join(t.TempDir(), "one_auth")
	t.Setenv("ONE_AUTH", path)
	if _, err := ReadSession(); err == nil || err.Error() != "Could not open file: "+path {
		t.Errorf("no file: %v", err)
	}
	if err := os.WriteFile(path, []byte("oneadmin:pw\nrest\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := ReadSession(); err != nil || s != "oneadmin:pw" {
		t.Errorf("%q, %v", s, err)
	}
}

func TestCandidateLines(t *testing.T) {
	var list []match.Candidate
	for _, p := range []float32{1, 2.0 / 3, 0.5, 0.5, 1e-5, 0, -1.0 / 3, -1} {
		list = append(list, match.Candidate{Priority: p})
	}
	got := string(appendCandidates(nil, list, func(match.Candidate) int { return 7 }))
	const want = "\t1\t7\n\t0.666667\t7\n\t0.5\t7\n\t0.5\t7\n\t1e-05\t7\n\t0\t7\n\t-0.333333\t7\n\t-1\t7\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
