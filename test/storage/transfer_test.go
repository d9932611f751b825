package storage

import (
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// step is one call of a transfer script, and what it changes: "" is gone.
type step struct {
	action  string
	args    []string
	changes files
}

// transfer runs steps one after the other on what is there, and looks at all of it
// after each. An @ stands for the site's directory.
func transfer(t *testing.T, s *site, driver string, steps []step) {
	t.Helper()
	state := s.tree(t)
	for _, st := range steps {
		var args []string
		for _, a := range st.args {
			args = append(args, strings.ReplaceAll(a, "@", s.dir))
		}
		s.succeed(t, "tm/"+driver+"/"+st.action, args...)
		maps.Copy(state, st.changes)
		maps.DeleteFunc(state, func(_, what string) bool { return what == "" })
		t.Log(driver, st.action)
		s.want(t, state)
		if t.Failed() {
			t.FailNow()
		}
	}
}

// idle are the actions that shared storage needs nothing for.
func idle(actions ...string) []step {
	var steps []step
	for _, a := range actions {
		args := []string{"h1", "h2", "@/h1/0/5", "5", "0", b64("<VM/>")}
		if a == "mv" {
			args = []string{"h1:@/h1/0/5", "h2:@/h1/0/5", "5", "0"}
		}
		steps = append(steps, step{a, args, nil})
	}
	return steps
}

// shareImages lets a host see the front-end's image datastore at another place.
func shareImages(t *testing.T, s *site, hosts ...string) {
	t.Helper()
	for _, h := range hosts {
		must(t, os.Symlink(s.path("var/datastores/1"), s.path(h+"/1")))
	}
}

func TestShared(t *testing.T) {
	need(t, "mkfs.ext3", "mkswap", "blkid")
	s := newSite(t)
	shareImages(t, s, "h1")
	s.write(t, "var/datastores/1/img", "image\n")
	transfer(t, s, "shared", []step{
		{"clone", []string{"fe:@/var//datastores/1/img", "h1:@/h1/0/5/disk.0", "5", "1"}, files{"h1/0": "", "h1/0/5/disk.0": "image\n"}},
		{"ln", []string{"fe:@/var/datastores/1/img", "h1:@/h1/0/5/disk.1", "5", "1"}, files{"h1/0/5/disk.1": "-> @/h1/1/img"}},
		{"mkimage", []string{"2", "raw", "h1:@/h1/0/5/disk.2", "5", "0"}, files{"h1/0/5/disk.2": "2097153 bytes"}},
		{"mkimage", []string{"4", "ext3", "h1:@/h1/0/5/disk.3", "5", "0"}, files{"h1/0/5/disk.3": "ext3\n 4194305 bytes"}},
		{"mkswap", []string{"1", "h1:@/h1/0/5/disk.4", "5", "0"}, files{"h1/0/5/disk.4": "swap\n 1048577 bytes"}},
	})
	if label := command(t, "blkid", "-p", "-o", "value", "-s", "LABEL", s.path("h1/0/5/disk.4")); label != "swap" {
		t.Errorf("the label is %q", label)
	}
	s.write(t, "h1/0/5/disk.0", "changed\n")
	transfer(t, s, "shared", append(idle("mv", "premigrate", "postmigrate", "failmigrate"), []step{
		{"cpds", []string{"h1:@/h1/0/5/disk.0", "@/var/datastores/1/copy", "5", "1"}, files{"var/datastores/1/copy": "changed\n"}},
		{"mvds", []string{"h1:@/h1/0/5/disk.0", "@/var/datastores/1/saved", "5", "1"}, files{"h1/0/5/disk.0": "", "var/datastores/1/saved": "changed\n"}},
		{"cpds", []string{"h1:@/h1/0/5/disk.1", "@/var/datastores/1/img", "5", "1"}, nil},
		{"mvds", []string{"h1:@/h1/0/5/disk.1", "@/var/datastores/1/img", "5", "1"}, files{"h1/0/5/disk.1": ""}},
		{"delete", []string{"h1:@/h1/0/5/disk.3", "5", "0"}, files{"h1/0/5/disk.3": ""}},
		{"delete", []string{"h1:@/h1/0/5", "5", "0"}, files{"h1/0/5/disk.2": "", "h1/0/5/disk.4": "", "h1/0": "directory"}},
		{"delete", []string{"h1:@/h1/0/5", "5", "0"}, nil},
	}...))
	s.fail(t, "^Error copying .*No such file", "tm/shared/clone", "fe:"+s.path("var/datastores/1/none"), "h1:"+s.path("h1/0/6/disk.0"), "6", "1")
	s.fail(t, "^Could not create image ", "tm/shared/mkimage", "1", "nonesuch", "h1:"+s.path("h1/0/6/disk.0"), "6", "0")
	s.fail(t, "^Could not create image .*(resolve|not known)", "tm/shared/mkimage", "1", "raw", "no.such.host.invalid:"+s.path("h1/0/6/disk.0"), "6", "0")
}

// The context CD is made on the front-end and copied to the host.
func TestContext(t *testing.T) {
	need(t, "genisoimage", "isoinfo")
	for _, driver := range []string{"shared", "ssh", "qcow2"} {
		t.Run(driver, func(t *testing.T) {
			s := newSite(t)
			script := s.write(t, "var/vms/5/context.sh", "NAME='it'\\''s'\n")
			s.write(t, "in/directory/deep", "deep\n")
			motd := s.write(t, "in/hash", "good morning\n")
			s.succeed(t, "tm/"+driver+"/context", script, motd+":motd", s.path("in/directory"), "h1:"+s.path("h1/0/5/disk.1"), "5", "0")
			iso := s.path("h1/0/5/disk.1")
			if got := s.describe(t, iso+".iso", lstat(t, iso+".iso")); got != "-> @/h1/0/5/disk.1" {
				t.Errorf("disk.1.iso is %s", got)
			}
			if label := command(t, "blkid", "-p", "-o", "value", "-s", "LABEL", iso); label != "CONTEXT" {
				t.Errorf("the label is %q", label)
			}
			for _, names := range []string{"-R", "-J"} {
				list := strings.Fields(command(t, "isoinfo", "-i", iso, names, "-f"))
				slices.Sort(list)
				if got := strings.Join(list, " "); got != "/context.sh /directory /directory/deep /motd" {
					t.Errorf("names with %s: %s", names, got)
				}
			}
			if got := command(t, "isoinfo", "-i", iso, "-R", "-x", "/context.sh"); got != "NAME='it'\\''s'" {
				t.Errorf("context.sh is %q", got)
			}
			if left, err := os.ReadDir(s.path("var/datastores/.isofiles")); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
			s.fail(t, "^Error copying .*No such file", "tm/"+driver+"/context", script, s.path("in/none")+":x", "h1:"+s.path("h1/0/6/disk.1"), "6", "0")
		})
	}
}

func lstat(t *testing.T, path string) os.FileInfo {
	t.Helper()
	info, err := os.Lstat(path)
	must(t, err)
	return info
}

func TestSSH(t *testing.T) {
	need(t, "mkfs.ext3", "mkswap", "blkid", "tar")
	s := newSite(t)
	s.write(t, "var/datastores/1/img", "image\n")
	s.write(t, "var/datastores/1/unpacked/part", "part\n")
	transfer(t, s, "ssh", []step{
		{"clone", []string{"fe:@/var//datastores/1/img", "h1:@/h1/0/5/disk.0", "5", "1"}, files{"h1/0": "", "h1/0/5/disk.0": "image\n"}},
		{"ln", []string{"fe:@/var/datastores/1/img", "h1:@/h1/0/5/disk.1", "5", "1"}, files{"h1/0/5/disk.1": "image\n"}},
		{"clone", []string{"fe:@/var/datastores/1/unpacked", "h1:@/h1/0/5/disk.2", "5", "1"}, files{"h1/0/5/disk.2/part": "part\n"}},
		{"mkimage", []string{"2", "ext3", "h1:@/h1/0/5/disk.3", "5", "0"}, files{"h1/0/5/disk.3": "ext3\n 2097153 bytes"}},
		{"mkswap", []string{"1", "h1:@/h1/0/5/disk.4", "5", "0"}, files{"h1/0/5/disk.4": "swap\n 1048577 bytes"}},
		{"premigrate", []string{"h1", "h2", "@/h1/0/5", "5", "0", b64("<VM/>")}, nil},
		{"postmigrate", []string{"h1", "h2", "@/h1/0/5", "5", "0", b64("<VM/>")}, nil},
		{"failmigrate", []string{"h1", "h2", "@/h1/0/5", "5", "0", b64("<VM/>")}, nil},
		{"mv", []string{"h1:@/h1/0/5/disk.0", "h2:@/h2/0/5/disk.0", "5", "0"}, nil},
		{"mv", []string{"h1:@/h1/0/5", "h1:@/h1//0/5/", "5", "0"}, nil},
	})
	s.write(t, "h1/0/5/checkpoint", "memory\n")
	s.write(t, "h2/0/5/disk.9", "of an earlier try\n")
	transfer(t, s, "ssh", []step{
		{"mv", []string{"h1:@/h1/0/5", "h2:@/h2/0/5", "5", "0"}, files{
			"h1/0/5/disk.0": "", "h1/0/5/disk.1": "", "h1/0/5/disk.2/part": "", "h1/0/5/disk.3": "", "h1/0/5/disk.4": "", "h1/0/5/checkpoint": "", "h1/0": "directory",
			"h2/0/5/disk.0": "image\n", "h2/0/5/disk.1": "image\n", "h2/0/5/disk.2/part": "part\n", "h2/0/5/disk.9": "",
			"h2/0/5/disk.3": "ext3\n 2097153 bytes", "h2/0/5/disk.4": "swap\n 1048577 bytes", "h2/0/5/checkpoint": "memory\n",
		}},
	})
	if info, err := exec.Command("du", "-k", s.path("h2/0/5/disk.4")).Output(); err != nil || strings.HasPrefix(string(info), "10") {
		t.Errorf("the empty disk is not sparse any more: %s, %v", info, err)
	}
	s.write(t, "h2/0/5/disk.0", "changed\n")
	transfer(t, s, "ssh", []step{
		{"cpds", []string{"h2:@/h2/0/5/disk.0", "@/var/datastores/1/copy", "5", "1"}, files{"var/datastores/1/copy": "changed\n"}},
		{"mvds", []string{"h2:@/h2/0/5/disk.0", "@/var/datastores/1/img", "5", "1"}, files{"var/datastores/1/img": "changed\n"}},
		{"delete", []string{"h2:@/h2/0/5/disk.2", "5", "0"}, files{"h2/0/5/disk.2/part": ""}},
		{"delete", []string{"h2:@/h2/0/5", "5", "0"}, files{
			"h2/0/5/disk.0": "", "h2/0/5/disk.1": "", "h2/0/5/disk.3": "", "h2/0/5/disk.4": "", "h2/0/5/checkpoint": "", "h2/0": "directory",
		}},
	})
	s.fail(t, "^Error copying .*No such file", "tm/ssh/clone", "fe:"+s.path("var/datastores/1/none"), "h1:"+s.path("h1/0/6/disk.0"), "6", "1")
	s.fail(t, "^Error copying disk directory to target host.*(No such|not found)", "tm/ssh/mv", "h1:"+s.path("h1/0/7"), "h2:"+s.path("h2/0/7"), "7", "0")
}

func TestQcow2(t *testing.T) {
	need(t, "qemu-img", "qemu-io", "mkfs.ext3", "blkid")
	s := newSite(t)
	shareImages(t, s, "h1")
	s.write(t, "var/datastores/1/raw", strings.Repeat("base", 256<<10))
	command(t, "qemu-img", "create", "-q", "-f", "qcow2", s.path("var/datastores/1/img"), "4M")
	transfer(t, s, "qcow2", []step{
		{"clone", []string{"fe:@/var//datastores/1/img", "h1:@/h1/0/5/disk.0", "5", "1"}, files{"h1/0": "", "h1/0/5/disk.0": "qcow2 of 4194304 on qcow2 @/h1/1/img"}},
		{"clone", []string{"fe:@/var//datastores/1/raw", "h1:@/h1/0/5/disk.5", "5", "1"}, files{"h1/0/5/disk.5": "qcow2 of 1048576 on raw @/h1/1/raw"}},
		{"ln", []string{"fe:@/var/datastores/1/img", "h1:@/h1/0/5/disk.1", "5", "1"}, files{"h1/0/5/disk.1": "-> @/h1/1/img"}},
		{"mkimage", []string{"2", "qcow2", "h1:@/h1/0/5/disk.2", "5", "0"}, files{"h1/0/5/disk.2": "qcow2 of 2097152"}},
		{"mkimage", []string{"2", "ext3", "h1:@/h1/0/5/disk.3", "5", "0"}, files{"h1/0/5/disk.3": "ext3\n 2097153 bytes"}},
		{"mkswap", []string{"1", "h1:@/h1/0/5/disk.4", "5", "0"}, files{"h1/0/5/disk.4": "swap\n 1048577 bytes"}},
	})
	command(t, "qemu-io", "-c", "write -P 0x41 0 64k", s.path("h1/0/5/disk.0"))
	command(t, "qemu-io", "-c", "write -P 0x42 0 64k", s.path("h1/0/5/disk.1"))
	transfer(t, s, "qcow2", append(idle("mv", "premigrate", "postmigrate", "failmigrate"), []step{
		{"cpds", []string{"h1:@/h1/0/5/disk.0", "@/var/datastores/1/copy", "5", "1"}, files{"var/datastores/1/copy": "qcow2 of 4194304"}},
		{"mvds", []string{"h1:@/h1/0/5/disk.0", "@/var/datastores/1/saved", "5", "1"}, files{"h1/0/5/disk.0": "", "var/datastores/1/saved": "qcow2 of 4194304"}},
		{"cpds", []string{"h1:@/h1/0/5/disk.1", "@/var/datastores/1/img", "5", "1"}, nil},
		{"mvds", []string{"h1:@/h1/0/5/disk.1", "@/var/datastores/1/img", "5", "1"}, nil},
		{"delete", []string{"h1:@/h1/0/5", "5", "0"}, files{
			"h1/0/5/disk.1": "", "h1/0/5/disk.2": "", "h1/0/5/disk.3": "", "h1/0/5/disk.4": "", "h1/0/5/disk.5": "", "h1/0": "directory",
		}},
	}...))
	for image, pattern := range map[string]string{"copy": "0x41", "saved": "0x41", "img": "0x42"} {
		out := command(t, "qemu-io", "-r", "-c", "read -P "+pattern+" 0 64k", "-c", "read -P 0 64k 64k", s.path("var/datastores/1/"+image))
		if strings.Contains(out, "verification failed") {
			t.Errorf("%s: %s", image, out)
		}
	}
	s.fail(t, "^Error copying .*cannot read", "tm/qcow2/clone", "fe:"+s.path("var/datastores/1/none"), "h1:"+s.path("h1/0/6/disk.0"), "6", "1")
	s.write(t, "h1/0/6/disk.0", "not a qcow2\n")
	s.fail(t, "^Could not move image .*(format|Image is not)", "tm/qcow2/mvds", "h1:"+s.path("h1/0/6/disk.0"), s.path("var/datastores/1/x"), "6", "1")
}
