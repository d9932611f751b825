package image

import (
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"goned/core/internal/golden"
	"goned/core/resource"
	"goned/core/template"
)

func TestStoredImagesSurvive(t *testing.T) {
	n := 0
	golden.Rows(t, "SELECT body FROM image_pool", func(path string, c []string) {
		n++
		checkRoundTrip(t, path, c[0])
	})
	if n == 0 {
		t.Error("no images")
	}
}

func checkRoundTrip(t *testing.T, label, body string) {
	t.Helper()
	i, err := Parse(body)
	if err != nil {
		t.Errorf("%s: %v", label, err)
		return
	}
	if got := string(i.PoolXML()); got != body {
		t.Errorf("%s:\n got %s\nwant %s", label, got, body)
	}
}

func TestBodies(t *testing.T) {
	for _, name := range []string{"persistent", "clone"} {
		body, err := os.ReadFile("testdata/" + name + ".xml")
		if err != nil {
			t.Fatal(err)
		}
		checkRoundTrip(t, name, strings.TrimSuffix(string(body), "\n"))
	}
}

func TestParseRefuses(t *testing.T) {
	body, err := os.ReadFile("testdata/persistent.xml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"SOURCE", "VMS", "CLONES", "TEMPLATE", "STATE", "DATASTORE", "PERMISSIONS"} {
		if _, err := Parse(without1(string(body), name)); err == nil {
			t.Errorf("a body without %s was read", name)
		}
	}
	for _, name := range []string{"PATH", "FSTYPE"} {
		if _, err := Parse(without1(string(body), name)); err != nil {
			t.Errorf("a body without %s: %v", name, err)
		}
	}
	for _, bad := range []string{"", "<IMAGE>", "<IMAGE/>", strings.Replace(string(body), "<SIZE>1024", "<SIZE>big", 1)} {
		if _, err := Parse(bad); err == nil {
			t.Errorf("%.40q was read", bad)
		}
	}
}

// without1 takes an element and all in it out of a document.
func without1(doc, name string) string {
	loc := regexp.MustCompile(`(?s)<` + name + `>.*?</` + name + `>`).FindStringIndex(doc)
	return doc[:loc[0]] + doc[loc[1]:]
}

var (
	defaults         = Defaults{Type: "OS", DevPrefix: "hd", CDROMDevPrefix: "sr"}
	recordedDefaults = Defaults{Type: "OS", DevPrefix: "hd", CDROMDevPrefix: "hd"}
)

// TestRecordedAllocations makes the images that oneadmin allocated in the recordings and compares what does not depend on drivers.
func TestRecordedAllocations(t *testing.T) {
	compared := 0
	for _, s := range golden.Read(t, golden.Dir(t)+"/image.json") {
		made := map[int]*Image{}
		for i := range s.Steps {
			step := &s.Steps[i]
			switch step.Call {
			case "one.image.allocate":
				tmpl, err := template.ParseUnique(step.Text(0))
				if err != nil || step.Int(1) != 1 {
					continue
				}
				_, want, _ := strings.Cut(step.Answer(), "Error allocating a new image. ")
				img, err := New(resource.Base{ID: step.ID()}, Place{ID: 1, Name: "default"}, tmpl, recordedDefaults, 0)
				if step.OK() && err != nil {
					t.Errorf("%s: %v", step.Text(0), err)
				}
				if step.OK() {
					made[step.ID()] = img
				}
				if err != nil && !decidedBefore(want) && want != err.Error() {
					t.Errorf("%s: error %v, want %s", step.Text(0), err, want)
				}
			case "one.image.info":
				img := made[step.Int(0)]
				if img == nil || !step.OK() {
					continue
				}
				delete(made, step.Int(0))
				compareNew(t, img, strings.ReplaceAll(step.Answer(), "@TIME@", "7"))
				compared++
			default:
				if strings.HasPrefix(step.Call, "one.image.") && step.Call != "one.image.info" {
					delete(made, step.Int(0))
				}
			}
		}
	}
	if compared < 10 {
		t.Errorf("only %d images compared", compared)
	}
	t.Logf("%d images compared", compared)
}

// decidedBefore reports whether an allocation was refused before the image was made.
func decidedBefore(text string) bool {
	return text == "" || strings.Contains(text, "NAME") || strings.Contains(text, "FILE_DS") || strings.Contains(text, "IMAGE_DS")
}

// compareNew looks at everything but state and source, which drivers decide, and sizes, which they measure.
func compareNew(t *testing.T, img *Image, doc string) {
	t.Helper()
	want, err := Parse(doc)
	if err != nil {
		t.Errorf("%v", err)
		return
	}
	img.Base, img.RegTime, img.State, img.Source, img.SizeMB = want.Base, want.RegTime, want.State, want.Source, want.SizeMB
	img.DatastoreID, img.Datastore = want.DatastoreID, want.Datastore
	img.RunningVMs, img.VMs, img.CloningOps, img.Clones = want.RunningVMs, want.VMs, want.CloningOps, want.Clones
	img.Template.Erase("ERROR")
	want.Template.Erase("ERROR")
	if got := string(img.PoolXML()); got != string(want.PoolXML()) {
		t.Errorf("\n got %s\nwant %s", got, want.PoolXML())
	}
}

func TestNewRefuses(t *testing.T) {
	tests := []struct{ name, template, want string }{
		{"type", "TYPE=FLOPPY\nPATH=/x", "Incorrect TYPE in template."},
		{"nothing", "NAME=a", "No PATH in template."},
		{"both", "PATH=/a\nSOURCE=/b", "Template malformed, PATH and SOURCE are mutually exclusive."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tmpl, _ := template.ParseUnique(tt.template)
			_, err := New(resource.Base{}, Place{}, tmpl, defaults, 1)
			if err == nil || err.Error() != tt.want {
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
}

func TestSizeAndOrigin(t *testing.T) {
	tests := []struct {
		name, template string
		mb             int64
		stat           bool
		err            string
		origin         Origin
	}{
		{"path", "PATH=/x\nSIZE=5", 0, true, "", Copied},
		{"source", "SOURCE=/x\nSIZE=5", 5, false, "", Existing},
		{"source without size", "SOURCE=/x", 0, false, "Wrong number or missing SIZE attribute.", 0},
		{"neither", "TYPE=cdrom", 0, false, "Either PATH or SOURCE are required for CDROM", 0},
		{"empty datablock", "TYPE=DATABLOCK\nSIZE=7", 7, false, "", Made},
		{"datablock with source", "TYPE=DATABLOCK\nSIZE=7\nSOURCE=/x", 7, false, "", Existing},
		{"datablock of a path", "TYPE=DATABLOCK\nPATH=/x", 0, true, "", Copied},
		{"negative", "TYPE=DATABLOCK\nSIZE=-7", -7, false, "", Made},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tmpl, _ := template.ParseUnique(tt.template)
			mb, stat, err := Size(tmpl, defaults)
			if text := errorText(err); mb != tt.mb || stat != tt.stat || text != tt.err {
				t.Errorf("got %d %v %q", mb, stat, text)
			}
			if err != nil {
				return
			}
			img, err := New(resource.Base{}, Place{}, tmpl, defaults, 1)
			if err != nil {
				t.Fatal(err)
			}
			if img.Origin() != tt.origin {
				t.Errorf("origin %d, want %d", img.Origin(), tt.origin)
			}
		})
	}
}

func TestDevPrefix(t *testing.T) {
	for text, want := range map[string]string{
		"PATH=/x": "hd", "PATH=/x\nTYPE=CDROM": "sr", "PATH=/x\nTYPE=CDROM\nDEV_PREFIX=vd": "vd", "PATH=/x\nTYPE=KERNEL\nDEV_PREFIX=vd": "",
	} {
		if got := newImage(t, text).Template.Get("DEV_PREFIX"); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func newImage(t testing.TB, text string) *Image {
	t.Helper()
	tmpl, err := template.ParseUnique(text)
	if err != nil {
		t.Fatal(err)
	}
	i, err := New(resource.Base{ID: 3, Name: "img"}, Place{}, tmpl, defaults, 1)
	if err != nil {
		t.Fatal(err)
	}
	i.State = Ready
	return i
}

func TestUse(t *testing.T) {
	plain, persistent := newImage(t, "PATH=/x"), newImage(t, "PATH=/x\nPERSISTENT=yes")
	if err := errors.Join(plain.Acquire(1), plain.Acquire(1), plain.Acquire(2), persistent.Acquire(1)); err != nil {
		t.Fatal(err)
	}
	if plain.State != Used || plain.RunningVMs != 2 || persistent.State != UsedPers {
		t.Errorf("states %d (%d VMs) and %d", plain.State, plain.RunningVMs, persistent.State)
	}
	if got := errorText(persistent.Acquire(2)); got != "Cannot acquire image 3, it is persistent and already in use" {
		t.Error(got)
	}
	if err := errors.Join(plain.Release(1, true), persistent.Release(1, true)); err != nil {
		t.Fatal(err)
	}
	if plain.State != Used || persistent.State != Error {
		t.Errorf("states %d and %d", plain.State, persistent.State)
	}
	if err := plain.Release(2, true); err != nil || plain.State != Ready {
		t.Errorf("state %d: %v", plain.State, err)
	}
	if got := errorText(plain.Release(2, false)); got != "Releasing image in wrong state: READY" {
		t.Error(got)
	}
	plain.State = Disabled
	if got := errorText(plain.Acquire(1)); got != "Cannot acquire image 3, it is in state: DISABLED" {
		t.Error(got)
	}
}

func TestSavedImageIsReleasedByItsVM(t *testing.T) {
	for failed, want := range map[bool]State{false: Ready, true: Error} {
		i := newImage(t, "TYPE=DATABLOCK\nSAVE_AS=YES\nSIZE=1")
		i.State = Locked
		if err := i.Release(9, failed); err != nil || i.State != want || i.FSType != "save_as" {
			t.Errorf("failed %v: state %d, FSTYPE %s, %v", failed, i.State, i.FSType, err)
		}
	}
}

func TestRequests(t *testing.T) {
	tests := []struct {
		name  string
		state State
		do    func(*Image) error
		want  string
		after State
	}{
		{"enable in error", Error, func(i *Image) error { return i.Enable(true) }, "", Ready},
		{"enable used", UsedPers, func(i *Image) error { return i.Enable(true) }, "Image cannot be in state USED.", UsedPers},
		{"disable", Ready, func(i *Image) error { return i.Enable(false) }, "", Disabled},
		{"disable locked", Locked, func(i *Image) error { return i.Enable(false) }, "Image cannot be in state LOCKED.", Locked},
		{"persistent while cloned", Clone, func(i *Image) error { return i.SetPersistent(true) }, "Image cannot be in state CLONE.", Clone},
		{"persistent while locked", Locked, func(i *Image) error { return i.SetPersistent(true) }, "", Locked},
		{"persistent and public", Ready, func(i *Image) error {
			i.Perms |= resource.OtherU
			return i.SetPersistent(true)
		}, "Image cannot be public and persistent.", Ready},
		{"persistent file", Ready, func(i *Image) error {
			i.Type = Kernel
			return i.SetPersistent(false)
		}, "KERNEL, RAMDISK and CONTEXT files must be non-persistent", Ready},
		{"delete used", Used, (*Image).CheckDelete, "There are 0 VMs using it.", Used},
		{"delete cloned", Clone, (*Image).CheckDelete, "There are 0 active clone operations.", Clone},
		{"delete locked", Locked, (*Image).CheckDelete, "", Locked},
		{"type among disks", Ready, func(i *Image) error { return i.ChangeType("CDROM") }, "", Ready},
		{"disk to file", Ready, func(i *Image) error { return i.ChangeType("KERNEL") }, ErrIncompatibleType.Error(), Ready},
		{"unknown type", Ready, func(i *Image) error { return i.ChangeType("X") }, "Unknown type X", Ready},
		{"unknown type of file", Ready, func(i *Image) error {
			i.Type = Kernel
			return i.ChangeType("X")
		}, ErrIncompatibleType.Error(), Ready},
		{"kernel as disk", Ready, func(i *Image) error {
			i.Type = Kernel
			return i.CheckDisk()
		}, "Image 3 (img) of type KERNEL cannot be used as DISK.", Ready},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			i := newImage(t, "PATH=/x")
			i.State = tt.state
			if got := errorText(tt.do(i)); got != tt.want || i.State != tt.after {
				t.Errorf("got %q, state %d", got, i.State)
			}
		})
	}
}

// TestUseIsConsistent acquires and releases at random: counters are the sizes of the sets, and the state follows them.
func TestUseIsConsistent(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		i := newImage(t, rapid.SampledFrom([]string{"PATH=/x", "PATH=/x\nPERSISTENT=YES"}).Draw(r, "image"))
		id := func() int { return rapid.IntRange(0, 3).Draw(r, "id") }
		r.Repeat(map[string]func(*rapid.T){
			"acquire": func(*rapid.T) { _ = i.Acquire(id()) },
			"release": func(*rapid.T) {
				if vid := id(); i.VMs.Has(vid) {
					if err := i.Release(vid, false); err != nil {
						r.Fatal(err)
					}
				}
			},
			"clone": func(*rapid.T) { _ = i.AcquireClone(id()) },
			"cloned": func(*rapid.T) {
				if cid := id(); i.Clones.Has(cid) {
					if err := i.ReleaseClone(cid); err != nil {
						r.Fatal(err)
					}
				}
			},
			"": func(r *rapid.T) {
				if i.RunningVMs != i.VMs.Len() || i.CloningOps != i.Clones.Len() {
					r.Fatalf("%d of %v, %d of %v", i.RunningVMs, i.VMs, i.CloningOps, i.Clones)
				}
				if busy := i.VMs.Len()+i.Clones.Len() > 0; busy == (i.State == Ready) {
					r.Fatalf("state %d with %v and %v", i.State, i.VMs, i.Clones)
				}
				if i.Persistent && (i.VMs.Len() > 1 || i.VMs.Len() > 0 && i.Clones.Len() > 0) {
					r.Fatalf("a persistent image has %v and %v", i.VMs, i.Clones)
				}
			},
		})
	})
}

func FuzzParse(f *testing.F) {
	f.Add(string(newImage(f, "PATH=/x").PoolXML()))
	f.Fuzz(func(t *testing.T, body string) {
		i, err := Parse(body)
		if err != nil || strings.Contains(i.Source+i.Path+i.FSType, "]]>") {
			return
		}
		if i.Template.XMLSafe() != nil {
			return
		}
		again, err := Parse(string(i.PoolXML()))
		if err != nil {
			t.Fatalf("written body does not read: %v", err)
		}
		if string(again.PoolXML()) != string(i.PoolXML()) {
			t.Errorf("got %s\nwant %s", again.PoolXML(), i.PoolXML())
		}
	})
}

func TestIsSaving(t *testing.T) {
	for name, tc := range map[string]struct {
		img  Image
		want bool
	}{
		"target of a savedisk":     {Image{CloningID: -1}, true},
		"clone of one":             {Image{CloningID: 7, Path: "/images/7"}, false},
		"copy with its attributes": {Image{CloningID: -1, Path: "/a"}, false},
	} {
		tc.img.Template = &template.Template{}
		tc.img.Template.AddSimple("SAVE_AS", "YES")
		if got := tc.img.IsSaving(); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
