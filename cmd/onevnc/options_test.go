package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestStartLinesOfExistingInstallations(t *testing.T) {
	tests := []struct {
		name, line string
		check      func(options) bool
	}{
		{"novnc-server", "--target-config=/var/lib/one/sunstone_vnc_tokens  29876", func(o options) bool {
			return o.listen == ":29876" && o.targetConfig == "/var/lib/one/sunstone_vnc_tokens" && o.target == nil
		}},
		{"with TLS and IPv6", "--target-config=/t --cert /c --key /k --ssl-only -6 29876", func(o options) bool {
			return o.cert == "/c" && o.key == "/k" && o.sslOnly && o.ipv6
		}},
		{"by hand", "-D --web /usr/share/novnc --target-config /t 0.0.0.0:29876", func(o options) bool {
			return o.daemon && o.web == "/usr/share/novnc" && o.listen == "0.0.0.0:29876"
		}},
		{"source and target", "6080 localhost:5901", func(o options) bool {
			return o.listen == ":6080" && o.target != nil && o.target.String() == "localhost:5901"
		}},
		{"options after the addresses", "[::1]:6080 [::2]:5901 -v --run-once --idle-timeout=30", func(o options) bool {
			return o.listen == "[::1]:6080" && o.target.String() == "[::2]:5901" && o.verbose && o.runOnce && o.exitIdle() == 30*time.Second
		}},
		{"joined short options", "-vD 6080 h:1", func(o options) bool { return o.verbose && o.daemon }},
		{"shorter of both time-outs", "--timeout 5 --idle-timeout 9 6080 h:1", func(o options) bool { return o.exitIdle() == 5*time.Second }},
		{"token plugin", "--token-plugin TokenFile --token-source /t 6080", func(o options) bool { return o.targetConfig == "/t" }},
		{"target ignored beside tokens", "--target-config /t 6080 h:1", func(o options) bool { return o.target == nil }},
		{"unix target", "--unix-target /s 6080", func(o options) bool { return o.unixTarget == "/s" }},
		{"origins", "--allow-origin a --allow-origin=b 6080 h:1", func(o options) bool { return strings.Join(o.origins, ",") == "a,b" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o, err := parseOptions(strings.Fields(tt.line))
			if err != nil {
				t.Fatal(err)
			}
			if !tt.check(o) {
				t.Errorf("read as %+v", o)
			}
		})
	}
}

func TestBadStartLines(t *testing.T) {
	tests := []struct{ name, line, want string }{
		{"nothing", "", "no port to listen on"},
		{"no target", "6080", "no target"},
		{"three addresses", "6080 h:1 x", "too many"},
		{"port", "http h:1", "listen port"},
		{"port out of range", "70000 h:1", "listen port"},
		{"target without port", "6080 h", "want host:port"},
		{"unknown option", "--frobnicate 6080 h:1", "frobnicate"},
		{"number", "--timeout x 6080 h:1", "timeout"},
		{"negative", "--timeout=-1 6080 h:1", "negative"},
		{"wrapped command", "6080 -- Xvnc :1", "not supported"},
		{"TLS only without certificate", "--ssl-only 6080 h:1", "--ssl-only needs --cert"},
		{"key alone", "--key k 6080 h:1", "--key needs --cert"},
		{"other plugin", "--token-plugin JWTTokenApi --token-source x 6080", "only TokenFile"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := parseOptions(strings.Fields(tt.line)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
	if _, err := parseOptions([]string{"--help"}); !errors.Is(err, errHelp) {
		t.Errorf("--help: %v", err)
	}
}

// Every option is in the usage text and every word of the usage text is an option.
func TestUsageNamesAllOptions(t *testing.T) {
	var o options
	f := o.flags()
	for _, word := range strings.Fields(usage) {
		name, _, _ := strings.Cut(strings.Trim(word, ",\";"), "=")
		if strings.HasPrefix(name, "--") && f.Lookup(name[2:]) == nil {
			t.Errorf("usage has %s, which is no option", name)
		}
	}
	for _, name := range optionNames(&o) {
		dash := "-" + name
		if len(name) > 1 {
			dash = "--" + name
		}
		if !strings.Contains(usage, dash) {
			t.Errorf("usage lacks %s", dash)
		}
	}
}

func TestRelativePathsBecomeAbsolute(t *testing.T) {
	o, err := parseOptions([]string{"--target-config", "t", "--log-file", "l", "6080"})
	if err != nil {
		t.Fatal(err)
	}
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if o.targetConfig != filepath.Join(wd, "t") || o.logFile != filepath.Join(wd, "l") {
		t.Errorf("paths %q, %q", o.targetConfig, o.logFile)
	}
}
