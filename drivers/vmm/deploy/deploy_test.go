package deploy

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goned/core/resource"
	"goned/core/template"
	"goned/core/vm"
)

var update = flag.Bool("update", false, "write what the tests get into testdata")

// sections of a case in testdata, in this order.
var sections = []string{"defaults", "vm", "error", "warnings", "file"}

// TestRender makes the files of testdata. Each is named by TYPE and subject.
func TestRender(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".txt")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			part := split(t, string(text))
			kind, _, _ := strings.Cut(name, "-")
			in := Input{VM: document(t, part["vm"]), Defaults: parse(t, part["defaults"])}
			file, err := Render(kind, in)
			got := map[string]string{"defaults": part["defaults"], "vm": part["vm"], "file": file}
			if err != nil {
				got["error"] = err.Error() + "\n"
			}
			for _, w := range Warnings(kind, in) {
				got["warnings"] += w + "\n"
			}
			joined := join(got)
			if *update {
				if err := os.WriteFile(path, []byte(joined), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(text), joined); diff != "" && !*update {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func split(t *testing.T, text string) map[string]string {
	t.Helper()
	part := map[string]string{}
	for i, name := range sections {
		head := "-- " + name + " --\n"
		_, rest, found := strings.Cut(text, head)
		if !found {
			t.Fatalf("no section %s", name)
		}
		if i+1 < len(sections) {
			rest, _, _ = strings.Cut(rest, "-- "+sections[i+1]+" --\n")
		}
		part[name] = rest
	}
	return part
}

func join(part map[string]string) string {
	var b strings.Builder
	for _, name := range sections {
		fmt.Fprintf(&b, "-- %s --\n%s", name, part[name])
	}
	return b.String()
}

// document is the VM document with the template of that text, on a host. VMID and VNMMAD in the text are not of the template.
func document(t testing.TB, text string) string {
	t.Helper()
	tmpl := parse(t, text)
	id, err := strconv.Atoi(tmpl.Get("VMID"))
	if err != nil {
		id = 7
	}
	network := tmpl.Get("VNMMAD")
	tmpl.Erase("VMID")
	tmpl.Erase("VNMMAD")
	v := &vm.VM{
		Base: resource.Base{ID: id, Name: "test", UName: "oneadmin", GName: "oneadmin"}, State: vm.Active, LCMState: vm.Boot,
		Template: tmpl, UserTemplate: &template.Template{},
	}
	v.AddRecord(vm.Record{
		Hostname: "host01", VMMMAD: "driver", VNMMAD: network, TMMAD: "shared", DSLocation: "/var/lib/one/datastores", DSID: 0,
	})
	return string(v.PoolXML())
}

func TestXMLIsTheDocument(t *testing.T) {
	doc := document(t, `GRAPHICS=[PASSWD="<&'"]`)
	got, err := Render("xml", Input{VM: doc})
	if err != nil || got != doc {
		t.Errorf("got %q, %v", got, err)
	}
	if err := Check("xml", Input{VM: doc}); err != nil {
		t.Errorf("check: %v", err)
	}
}

func TestRenderErrors(t *testing.T) {
	full := "CPU=1\nMEMORY=64\n"
	for _, c := range []struct{ name, kind, vm, defaults, want string }{
		{"xen without memory", "xen", "CPU=1", "", string(errXenMemory)},
		{"kvm without memory", "kvm", "CPU=1", "", string(errMemory)},
		{"kvm memory is no number", "kvm", `MEMORY="64x"`, "", string(errMemory)},
		{"kvm memory beyond 64 bits", "kvm", "MEMORY=9223372036854775807", "", string(errMemory)},
		{"vmware without memory", "vmware", "CPU=1", "", string(errMemory)},
		{"kvm without arch", "kvm", full, `OS=[BOOT="hd"]`, string(errArch)},
		{"vmware without arch", "vmware", full, "", string(errArch)},
		{"kvm without boot", "kvm", full, `OS=[ARCH="i686"]`, string(errBoot)},
		{"xen disk without target", "xen", full + `DISK=[DISK_ID="0"]`, "", string(errTarget)},
		{"kvm disk without target", "kvm", full + `DISK=[DISK_ID="0"]`, `OS=[ARCH="i686",BOOT="hd"]`, string(errTarget)},
		{"vmware disk without target", "vmware", full + `DISK=[DISK_ID="0"]`, `OS=[ARCH="i686"]`, string(errTarget)},
		{"xen port is no number", "xen", full + `GRAPHICS=[TYPE="vnc",PORT="x"]`, "", string(errXenDisplay)},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := Input{VM: document(t, c.vm), Defaults: parse(t, c.defaults)}
			got, err := Render(c.kind, in)
			var e Error
			if !errors.As(err, &e) || string(e) != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
			if !strings.Contains(got, "one-7") {
				t.Errorf("the text up to the error is missing: %q", got)
			}
			if err := Check(c.kind, in); err != nil {
				t.Errorf("check: %v", err)
			}
		})
	}
	if got, err := Render("hyperv", Input{VM: document(t, full)}); err == nil || got != "" {
		t.Errorf("unknown TYPE: %q, %v", got, err)
	}
	for _, kind := range []string{"xen", "kvm", "qemu", "vmware"} {
		if got, err := Render(kind, Input{VM: "<VM>"}); err == nil || got != "" {
			t.Errorf("%s of a broken document: %q, %v", kind, got, err)
		}
		if w := Warnings(kind, Input{VM: "<VM>"}); w != nil {
			t.Errorf("%s of a broken document: warnings %q", kind, w)
		}
	}
}

// TestNoHistory renders a VM that is on no host, and without defaults.
func TestNoHistory(t *testing.T) {
	v := parseVM(t, document(t, "CPU=1\nMEMORY=64\nOS=[ARCH=\"i686\",BOOT=\"hd\"]\nDISK=[DISK_ID=\"0\",TARGET=\"hda\"]\nNIC=[MAC=\"x\"]"))
	v.History = nil
	for _, kind := range []string{"xen", "kvm", "qemu", "vmware"} {
		got, err := Render(kind, Input{VM: string(v.PoolXML())})
		if err != nil || !strings.Contains(got, "/disk.0") {
			t.Errorf("%s: %q, %v", kind, got, err)
		}
	}
}

func TestNumbers(t *testing.T) {
	for in, want := range map[string]float32{
		"": 0, "x": 0, "1": 1, " 0.5": 0.5, "1.5x": 1.5, "1e3": 1000, "1e": 1, "-2": -2, ".5": 0.5, "0x10": 0, "1_0": 1, "inf": 0,
	} {
		if got := leadingFloat(in); got != want {
			t.Errorf("leadingFloat(%q) = %v, want %v", in, got, want)
		}
	}
	for in, want := range map[float64]string{
		1: "1", 100: "100", 999999: "999999", 1e6: "1e+06", 1024000: "1.024e+06", 0: "0", -26: "-26",
	} {
		if got := general(in); got != want {
			t.Errorf("general(%v) = %s, want %s", in, got, want)
		}
	}
	if got := units(leadingFloat("1e40"), 256); got != "inf" {
		t.Errorf("units beyond 32 bits = %s", got)
	}
}

func FuzzRender(f *testing.F) {
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		_, text2, _ := strings.Cut(string(text), "-- vm --\n")
		vmText, _, _ := strings.Cut(text2, "-- error --\n")
		f.Add(vmText, `OS=[arch="i686",boot="hd"]`, "<TEMPLATE><XEN_TOOLSTACK>xl</XEN_TOOLSTACK></TEMPLATE>")
	}
	f.Fuzz(func(t *testing.T, vmText, defaults, host string) {
		tmpl, err := template.ParseText(vmText)
		if err != nil || tmpl.XMLSafe() != nil {
			return
		}
		d, err := template.ParseText(defaults)
		if err != nil {
			return
		}
		in := Input{VM: document(t, vmText), HostTemplate: host, Defaults: d}
		for _, kind := range []string{"xen", "kvm", "qemu", "vmware", "xml"} {
			before, err := Render(kind, in)
			Warnings(kind, in)
			refusal := Check(kind, in)
			if err != nil && refusal != nil {
				t.Errorf("%s: both Render and Check refuse: %v, %v", kind, err, refusal)
			}
			if after, _ := Render(kind, in); after != before {
				t.Errorf("%s: not the same twice", kind)
			}
		}
	})
}

// TestShippedDefaults compares the defaults that are installed with those that the cases of testdata were measured with.
func TestShippedDefaults(t *testing.T) {
	for file, name := range map[string]string{
		"vmm_exec_xen3.conf": "xen-bootloader", "vmm_exec_xen4.conf": "xen-minimum", "vmm_exec_kvm.conf": "kvm-minimum",
	} {
		text, err := os.ReadFile(filepath.Join("..", "..", "..", "share", "etc", "vmm_exec", file))
		if err != nil {
			t.Fatal(err)
		}
		measured, err := os.ReadFile(filepath.Join("testdata", name+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		want, got := parse(t, split(t, string(measured))["defaults"]), parse(t, string(text))
		if !got.Equal(want) {
			t.Errorf("%s: got %s\nwant %s", file, got.Text(), want.Text())
		}
	}
}
