package deploy

import (
	"errors"
	"strings"
	"testing"
)

func host(tool string) string {
	return "<TEMPLATE><HYPERVISOR><![CDATA[xen]]></HYPERVISOR><XEN_TOOLSTACK><![CDATA[" + tool + "]]></XEN_TOOLSTACK></TEMPLATE>"
}

const (
	xenDefaults = "CREDIT=256\nDISK=[driver=\"raw:\"]\n"
	kvmDefaults = "OS=[boot=\"hd\",arch=\"x86_64\"]\nDISK=[driver=\"raw\",cache=\"none\"]\n"
	pv          = "OS=[KERNEL=\"/k\"]\n"
)

var checks = []struct {
	name, kind, vm, host string
	want                 string // what the refusal holds, "" if there is none
}{
	{"xen: prefix as target", "xen", `DISK=[DISK_ID=0,TARGET=xvd]`, "", "Unable to find number for device (xvd)"},
	{"xen: prefix as target of a CD", "xen", `CONTEXT=[DISK_ID=0,TARGET="hd:cdrom"]`, "", "TARGET of CONTEXT"},
	{"xen: target", "xen", `DISK=[DISK_ID=0,TARGET=xvda]`, "", ""},
	{"xen: target with directory", "xen", `DISK=[DISK_ID=0,TARGET="/dev/xvda"]`, "", ""},
	{"xen: two disks in one place", "xen", "DISK=[DISK_ID=0,TARGET=xvda]\nDISK=[DISK_ID=1,TARGET=xvda]", "",
		"DISK 0 and DISK 1 have the same target xvda"},
	{"xen: disk in the place of the context", "xen", "DISK=[DISK_ID=3,TARGET=xvdc]\nCONTEXT=[DISK_ID=0,TARGET=\"xvdc:cdrom\"]", "",
		"DISK 3 and CONTEXT have the same target xvdc"},
	{"xen: context without disk", "xen", "DISK=[DISK_ID=0,TARGET=hda]\nCONTEXT=[DISK_ID=0]", "", ""},
	{"xen: CD twice", "xen", `DISK=[DISK_ID=2,TYPE=CDROM,TARGET="xvdc:cdrom"]`, "", "DISK 2 would have the target xvdc:cdrom:cdrom"},
	{"xen: CD of an image", "xen", `DISK=[DISK_ID=2,TYPE=CDROM,TARGET="xvdc"]`, "", ""},
	{"xen: context variable TYPE is no disk type", "xen", `CONTEXT=[DISK_ID=2,TYPE=CDROM,TARGET="xvdc:cdrom"]`, "", ""},
	{"xen: raw by default on xm", "xen", `DISK=[DISK_ID=0,TARGET=hda]`, host("xm"), "Block device type raw is invalid"},
	{"xen: raw on xm", "xen", `DISK=[DISK_ID=0,TARGET=hda,DRIVER=raw]`, host("xm"), "DRIVER=raw of DISK 0"},
	{"xen: raw on xm, context", "xen", `CONTEXT=[DISK_ID=0,TARGET=hda]`, host("xm"), "DRIVER=raw of CONTEXT"},
	{"xen: raw on xm, overridden", "xen", `DISK=[DISK_ID=0,TARGET=hda,DRIVER=file]`, host("xm"), ""},
	{"xen: raw on xm, block device", "xen", `DISK=[DISK_ID=0,TARGET=hda,TYPE=BLOCK]`, host("xm"), ""},
	{"xen: raw on xl", "xen", `DISK=[DISK_ID=0,TARGET=hda]`, host("xl"), ""},
	{"xen: raw on an unknown host", "xen", `DISK=[DISK_ID=0,TARGET=hda]`, "", ""},
	{"xen: context as block device on xm", "xen", `CONTEXT=[DISK_ID=0,TARGET=xvdb,DRIVER=phy]`, host("xm"), "set DRIVER=file in CONTEXT"},
	{"xen: context as block device on xl", "xen", pv + `CONTEXT=[DISK_ID=0,TARGET=xvdb,DRIVER=phy]`, host("xl"), ""},
	{"xen: context is no CD, HVM", "xen", `CONTEXT=[DISK_ID=0,TARGET=hdb]`, host("xl"), `TARGET="hdb:cdrom"`},
	{"xen: context is a CD, HVM", "xen", `CONTEXT=[DISK_ID=0,TARGET="hdb:cdrom"]`, host("xl"), ""},
	{"xen: context is no CD and not emulated", "xen", `CONTEXT=[DISK_ID=0,TARGET=xvde]`, host("xl"), ""},
	{"xen: context is no CD, paravirtual", "xen", pv + `CONTEXT=[DISK_ID=0,TARGET=hdb]`, host("xl"), ""},
	{"xen: context is no CD, xm", "xen", `CONTEXT=[DISK_ID=0,TARGET=hdb,DRIVER=file]`, host("xm"), ""},
	{"xen: broken host template", "xen", `CONTEXT=[DISK_ID=0,TARGET=hdb]`, "<TEMPLATE>", ""},
	{"xen: quote", "xen", `GRAPHICS=[TYPE=vnc,PASSWD="a'b"]`, "", "GRAPHICS/PASSWD holds '"},
	{"xen: line break", "xen", pv + "OS=[KERNEL=\"/k\",KERNEL_CMD=\"a\nb\"]", "", ""},
	{"xen: line break in the kernel's arguments", "xen", "OS=[KERNEL=\"/k\",KERNEL_CMD=\"a\nb\"]", "", "OS/KERNEL_CMD holds a line break"},
	{"xen: quote in VCPU", "xen", `VCPU="1'"`, "", "VCPU holds '"},
	{"xen: another setting in a NIC", "xen", `NIC=[MODEL="e1000,script=/x"]`, "", "NIC/MODEL holds a comma"},
	{"xen: another setting in a disk", "xen", `DISK=[DISK_ID=0,TARGET="xvda,script=/x"]`, "", "DISK/TARGET holds a comma"},
	{"xen: comma in a password, paravirtual", "xen", pv + `GRAPHICS=[TYPE=vnc,PASSWD="a,b"]`, "", "GRAPHICS/PASSWD holds a comma"},
	{"xen: comma in a password, HVM", "xen", `GRAPHICS=[TYPE=vnc,PASSWD="a,b"]`, "", ""},
	{"xen: quote in what is not written", "xen", `CONTEXT=[DISK_ID=0,TARGET=xvda,NAME="it's, here"]`, "", ""},
	{"xen: quote in RAW", "xen", `RAW=[TYPE=xen,DATA="on_crash = 'destroy'"]`, "", ""},

	{"kvm: two disks in one place", "kvm", "DISK=[DISK_ID=0,TARGET=vda]\nCONTEXT=[DISK_ID=1,TARGET=vda]", "", "DISK 0 and CONTEXT"},
	{"kvm: :cdrom", "kvm", `CONTEXT=[DISK_ID=1,TARGET="hdb:cdrom"]`, "", `set TARGET="hdb"`},
	{"kvm: device of Xen", "kvm", `DISK=[DISK_ID=0,TARGET=xvda]`, "", "a device of Xen"},
	{"kvm: prefix as target", "kvm", `DISK=[DISK_ID=0,TARGET=vd]`, "", "names no device"},
	{"kvm: directory in target", "kvm", `DISK=[DISK_ID=0,TARGET="/dev/vda"]`, "", "names no device"},
	{"kvm: targets", "kvm", "DISK=[DISK_ID=0,TARGET=vda]\nDISK=[DISK_ID=1,TARGET=sdab]\nDISK=[DISK_ID=2,TARGET=hdc]", "", ""},
	{"kvm: blank in BOOT", "kvm", `OS=[BOOT="hd, cdrom"]`, "", `unknown boot device " cdrom"`},
	{"kvm: BOOT", "kvm", `OS=[BOOT="hd,,cdrom,network,fd"]`, "", ""},
	{"kvm: quote in an attribute", "kvm", `GRAPHICS=[TYPE=vnc,PASSWD="a'/><x y='"]`, "", "GRAPHICS/PASSWD holds ', which ends the value in the XML"},
	{"kvm: escaped by the user", "kvm", `GRAPHICS=[TYPE=vnc,PASSWD="a&apos;&lt;&#65;&#x4f;"]`, "", ""},
	{"kvm: ignored graphics", "kvm", `GRAPHICS=[TYPE=sdl,PASSWD="a'b"]`, "", ""},
	{"kvm: quote in an element", "kvm", `OS=[KERNEL="/k",KERNEL_CMD="x='a b'"]`, "", ""},
	{"kvm: arguments without a kernel", "kvm", `OS=[KERNEL_CMD="a<b"]`, "", ""},
	{"kvm: path of a file image", "kvm", `DISK=[DISK_ID=0,TARGET=vda,SOURCE="/it's"]`, "", ""},
	{"kvm: RAW", "kvm", `RAW=[TYPE=kvm,DATA="<qemu:commandline><qemu:arg value='-x'/></qemu:commandline>"]`, "", ""},
	{"kvm: RAW in two parts", "kvm", "RAW=[TYPE=kvm,DATA=\"<a>\"]\nRAW=[TYPE=kvm,DATA=\"</a>\"]", "", ""},
	{"kvm: malformed RAW of Xen", "kvm", `RAW=[TYPE=xen,DATA="<"]`, "", ""},
	{"qemu: two disks in one place", "qemu", "DISK=[DISK_ID=0,TARGET=vda]\nDISK=[DISK_ID=1,TARGET=vda]", "", "the same target"},
	{"vmware: :cdrom", "vmware", `CONTEXT=[DISK_ID=1,TARGET="hdb:cdrom"]`, "", ":cdrom is only for Xen"},
	{"vmware: other targets", "vmware", `DISK=[DISK_ID=1,TARGET="scsi0:0"]`, "", ""},
}

// malformed are VMs whose file is no XML: 4.6 writes it nevertheless.
var malformed = []struct{ name, kind, vm, want string }{
	{"kvm: ampersand", "kvm", `GRAPHICS=[TYPE=vnc,PASSWD="a&b"]`, "write &amp;"},
	{"kvm: unknown entity", "kvm", `GRAPHICS=[TYPE=vnc,PASSWD="&eacute;"]`, "write &amp;"},
	{"kvm: element in an element", "kvm", `OS=[KERNEL="/k",KERNEL_CMD="a<b"]`, "OS/KERNEL_CMD holds <"},
	{"kvm: name of a Ceph image", "kvm", `DISK=[DISK_ID=0,TARGET=vda,TYPE=RBD,SOURCE="it's"]`, "DISK/SOURCE holds '"},
	{"kvm: element in VCPU", "kvm", `VCPU="1</vcpu>"`, "VCPU holds <"},
	{"kvm: malformed RAW", "kvm", `RAW=[TYPE=kvm,DATA="<a b='<'/>"]`, "RAW/DATA is no well-formed XML (<a b='<'/>)"},
	{"vmware: malformed VMX", "vmware", `RAW=[TYPE=vmware,DATA_VMX="<"]`, "RAW/DATA_VMX is no well-formed XML"},
}

func input(t *testing.T, kind, vm, host string) Input {
	t.Helper()
	defaults := kvmDefaults
	if kind == "xen" {
		defaults = xenDefaults
	}
	in := Input{VM: document(t, "CPU=1\nMEMORY=64\n"+vm), HostTemplate: host, Defaults: parse(t, defaults)}
	if _, err := Render(kind, in); err != nil {
		t.Fatalf("the case does not render: %v", err)
	}
	return in
}

func wantError(t *testing.T, what string, err error, want string) {
	t.Helper()
	var e Error
	switch {
	case want == "" && err != nil:
		t.Errorf("%s: refused: %v", what, err)
	case want != "" && (err == nil || !errors.As(err, &e) || !strings.Contains(err.Error(), want)):
		t.Errorf("%s: got %v, want an Error with %q", what, err, want)
	}
}

func TestCheck(t *testing.T) {
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			in := input(t, c.kind, c.vm, c.host)
			wantError(t, "Check", Check(c.kind, in), c.want)
			wantError(t, "Malformed", Malformed(c.kind, in), "")
		})
	}
}

// TestMalformed: what no XML parser takes is written as 4.6 writes it, and only reported.
func TestMalformed(t *testing.T) {
	for _, c := range malformed {
		t.Run(c.name, func(t *testing.T) {
			in := input(t, c.kind, c.vm, "")
			wantError(t, "Check", Check(c.kind, in), "")
			wantError(t, "Malformed", Malformed(c.kind, in), c.want)
		})
	}
}

func TestMalformedBlamesDefaults(t *testing.T) {
	in := Input{VM: document(t, "CPU=1\nMEMORY=64"), Defaults: parse(t, kvmDefaults+`RAW="<a>"`)}
	if err := Malformed("kvm", in); err == nil || !strings.Contains(err.Error(), "defaults file of the driver") {
		t.Errorf("got %v", err)
	}
}

func TestBrief(t *testing.T) {
	if got := brief(strings.Repeat("中", 30)); got != strings.Repeat("中", 20)+"…" {
		t.Errorf("got %q", got)
	}
}
