package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// install runs the installation script with stand-ins for the programs.
func install(t *testing.T, environment []string, args ...string) {
	t.Helper()
	binaries := t.TempDir()
	for _, name := range []string{"oned", "mm_sched", "onevnc", "onemad"} {
		if err := os.WriteFile(filepath.Join(binaries, name), []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("sh", append([]string{"../../share/scripts/install.sh", binaries}, args...)...)
	cmd.Env = append(os.Environ(), environment...)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
}

// installed checks what each layout has in common.
func installed(t *testing.T, bin, lib, etc, variable string) {
	t.Helper()
	for name := range programs {
		if name == "collectd-client" { // lies among the scripts of hosts
			continue
		}
		if target, err := os.Readlink(filepath.Join(lib, "mads", name)); err != nil || target != "onemad" {
			t.Errorf("driver %s leads to %q: %v", name, target, err)
		}
	}
	for _, path := range []string{
		filepath.Join(bin, "oned"), filepath.Join(bin, "mm_sched"), filepath.Join(bin, "onevnc"), filepath.Join(bin, "one"),
		filepath.Join(bin, "novnc-server"), filepath.Join(lib, "mads", "onemad"), filepath.Join(variable, "remotes", "im", "run_probes"),
		filepath.Join(variable, "remotes", "vmm", "qemu", "deploy"), filepath.Join(variable, "remotes", "tm", "shared", "ln"),
	} {
		info, err := os.Lstat(path)
		if err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0 {
			t.Errorf("%s is no program: %v", path, err)
		}
	}
	for _, path := range []string{
		filepath.Join(etc, "oned.conf"), filepath.Join(etc, "sched.conf"), filepath.Join(variable, "vms"),
		filepath.Join(lib, "sh", "scripts_common.sh"),
	} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
	err := filepath.WalkDir(filepath.Dir(etc), func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".go") || strings.HasSuffix(path, ".installing") {
			t.Errorf("%s does not belong there", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestInstallSelfContained(t *testing.T) {
	root := filepath.Join(t.TempDir(), "one")
	install(t, nil, root)
	installed(t, filepath.Join(root, "bin"), filepath.Join(root, "lib"), filepath.Join(root, "etc"), filepath.Join(root, "var"))
}

func TestInstallSystemWide(t *testing.T) {
	root := t.TempDir()
	install(t, []string{"DESTDIR=" + root})
	installed(t, root+"/usr/bin", root+"/usr/lib/one", root+"/etc/one", root+"/var/lib/one")
	if _, err := os.Stat(root + "/usr/lib/systemd/system/opennebula.service"); err != nil {
		t.Error(err)
	}
}

// An installation in the place of an older one changes no configuration and no driver of the site.
func TestInstallKeeps(t *testing.T) {
	root := t.TempDir()
	mine := map[string]string{
		"etc/oned.conf": "PORT = 1\n", "lib/mads/one_vmm_mine": "mine", "var/remotes/vmm/mine/deploy": "mine",
	}
	for name, text := range mine {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// 4.6 has a script where we have a link.
	script := filepath.Join(root, "lib", "mads", "one_tm")
	if err := os.WriteFile(script, []byte("#!/bin/bash\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		environment []string
		news        bool
	}{{[]string{"KEEP_CONFIGURATION=yes"}, false}, {nil, true}} {
		install(t, test.environment, root)
		for name, want := range mine {
			if got, err := os.ReadFile(filepath.Join(root, name)); err != nil || string(got) != want {
				t.Errorf("%s is now %q, %v", name, got, err)
			}
		}
		if target, err := os.Readlink(script); err != nil || target != "onemad" {
			t.Errorf("one_tm is still 4.6's: %q, %v", target, err)
		}
		if _, err := os.Stat(filepath.Join(root, "etc", "oned.conf.new")); (err == nil) != test.news {
			t.Errorf("%v: oned.conf.new: %v", test.environment, err)
		}
	}
}
