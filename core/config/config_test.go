package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	tests := []struct {
		name, text string
		get        func(*Config) any
		want       any
	}{
		{"largest request by default", "", func(c *Config) any { return c.MaxRequestBody }, int64(16 << 20)},
		{"largest request", "MAX_REQUEST_SIZE = 4096", func(c *Config) any { return c.MaxRequestBody }, int64(4096)},
		{"largest request, no number", "MAX_REQUEST_SIZE = much", func(c *Config) any { return c.MaxRequestBody }, int64(16 << 20)},
		{"connections", "MAX_CONNECTIONS = 7", func(c *Config) any { return c.MaxConnections }, 7},
		{"access log off", "", func(c *Config) any { return c.RPCLog }, false},
		{"access log on", "RPC_LOG = yes", func(c *Config) any { return c.RPCLog }, true},
		{"MAC prefix", `MAC_PREFIX = "aa:bb"`, func(c *Config) any { return c.MACPrefix }, uint16(0xaabb)},
		{"bad MAC prefix", `MAC_PREFIX = "zz"`, func(c *Config) any { return c.MACPrefix }, uint16(1)},
		{"time with a unit", "MANAGER_TIMER = 7s", func(c *Config) any { return c.ManagerTimer }, int64(7)},
		{"sessions are not kept", "", func(c *Config) any { return c.SessionExpiration }, int64(0)},
		{"image type in upper case", "DEFAULT_IMAGE_TYPE = cdrom", func(c *Config) any { return c.DefaultImageType }, "CDROM"},
		{"restricted attributes", "VM_RESTRICTED_ATTR = nic/mac\nVM_RESTRICTED_ATTR = \"CONTEXT/FILES\"",
			func(c *Config) any { return c.VMRestricted }, []string{"NIC/MAC", "CONTEXT/FILES"}},
		{"zone of a standalone daemon", "FEDERATION = [ MODE = STANDALONE, ZONE_ID = 5 ]", func(c *Config) any { return c.Federation.Zone }, 0},
		{"slave", `FEDERATION = [ MODE = slave, ZONE_ID = 100, MASTER_ONED = "http://m:2633/RPC2" ]`,
			func(c *Config) any { return c.Federation }, Federation{"SLAVE", 100, "http://m:2633/RPC2"}},
		{"endpoint", "PORT = 1234", func(c *Config) any { return c.Endpoint() }, "http://localhost:1234/RPC2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Parse(tt.text, Dirs{Var: "/var/lib/one/"})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, tt.get(c)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestParseErrors(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"syntax", "A = [", "Error while parsing configuration file"},
		{"log system", "LOG = [ SYSTEM = paper ]", "Unknown LOG_SYSTEM."},
		{"mode", "FEDERATION = [ MODE = NEITHER ]", "FEDERATION MODE must be one of STANDALONE, MASTER, SLAVE."},
		{"zone", "FEDERATION = [ MODE = MASTER ]", "FEDERATION ZONE_ID must be set for federated instances."},
		{"master", "FEDERATION = [ MODE = SLAVE, ZONE_ID = 1 ]", "FEDERATION MASTER_ONED endpoint is missing."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Parse(tt.text, Dirs{}); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

func TestLookDirs(t *testing.T) {
	tests := []struct {
		name, location string
		set            bool
		lock, etc      string
		fails          bool
	}{
		{"system-wide", "", false, "/var/lock/one/one", "/etc/one/", false},
		{"self-contained", "/srv/one", true, "/srv/one/var/.lock", "/srv/one/etc/", false},
		{"slash at the end", "/srv/one/", true, "/srv/one/var/.lock", "/srv/one/etc/", false},
		{"set and empty", "", true, "", "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := LookDirs(tt.location, tt.set)
			if (err != nil) != tt.fails || d.Lock != tt.lock || d.Etc != tt.etc {
				t.Errorf("%+v, %v", d, err)
			}
		})
	}
}

func TestActionTimeouts(t *testing.T) {
	for text, want := range map[string][2]time.Duration{ // of DEPLOY and of SAVE
		``:                                        {0, 0},
		`DRIVER_ACTION_TIMEOUT = 0`:               {0, 0},
		`DRIVER_ACTION_TIMEOUT = 90`:              {90 * time.Second, 90 * time.Second},
		`DRIVER_ACTION_TIMEOUT = -5`:              {0, 0},
		`DRIVER_ACTION_TIMEOUT = soon`:            {0, 0},
		`DRIVER_ACTION_TIMEOUT = [ DEPLOY = 60 ]`: {time.Minute, 0},
		`DRIVER_ACTION_TIMEOUT = [ DEPLOY = 0, DEFAULT = 60 ]`: {0, time.Minute},
	} {
		c, err := Parse(text, Dirs{})
		if err != nil {
			t.Fatal(err)
		}
		if got := [2]time.Duration{c.ActionTimeouts.Of("DEPLOY"), c.ActionTimeouts.Of("SAVE")}; got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}
