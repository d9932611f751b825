package deploy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"goned/core/template"
	"goned/core/template/xmldoc"
)

// toolStack is the host attribute that names the tool a Xen host creates domains with, xm or xl. They refuse different things.
const toolStack = "XEN_TOOLSTACK"

// Check returns what the hypervisor is certain to refuse, or would not take as it is meant; the error is an Error that says what to
// change. It finds nothing in a VM that Render has an error for, and nothing for TYPE xml, whose file no hypervisor reads. What
// makes the file no XML at all is left to Malformed.
func Check(kind string, in Input) error {
	c := newChecker(kind, in)
	if c == nil {
		return nil
	}
	if c.syntax() == nil {
		if err := c.values(); err != nil {
			return err
		}
	}
	look := c.libvirt
	if kind == "xen" {
		look = c.xen
	}
	if err := look(); err != nil {
		return err
	}
	return c.targets()
}

// Malformed returns what keeps the file for libvirt from being XML; the error is an Error that says what to change. 4.6 sends such a
// file to the driver, and so do we: a hypervisor that reads it refuses it whatever it says, so nothing can be slipped in that way.
func Malformed(kind string, in Input) error {
	c := newChecker(kind, in)
	if c == nil {
		return nil
	}
	err := c.syntax()
	if err == nil {
		return nil
	}
	if known := c.values(); known != nil {
		return known
	}
	return c.malformed(err)
}

// newChecker is nil when there is nothing to check.
func newChecker(kind string, in Input) *checker {
	m, err := render(kind, in)
	if err != nil || kind == "xml" {
		return nil
	}
	c := &checker{machine: m, kind: kind}
	if host, err := template.ParseXML(in.HostTemplate); err == nil {
		c.tool = host.Get(toolStack)
	}
	return c
}

// syntax is the error of the XML parser. Xen's files are no XML.
func (c *checker) syntax() error {
	if c.kind == "xen" {
		return nil
	}
	_, err := xmldoc.Parse(c.out.String())
	return err
}

// checker looks at a VM whose file has been written.
type checker struct {
	*machine
	kind string
	tool string // xm, xl or unknown
}

func refuse(format string, args ...any) error { return Error(fmt.Sprintf(format, args...)) }

// device is something with a target.
type device struct {
	*template.Vector
	label   string // in messages
	context bool
}

// devices are the disks in the file, the context last.
func (c *checker) devices() []device {
	var all []device
	for _, disk := range c.vectors("DISK") {
		all = append(all, device{Vector: disk, label: "DISK " + disk.Get("DISK_ID")})
	}
	if context := c.context(); context.Get("TARGET") != "" {
		all = append(all, device{Vector: context, label: "CONTEXT", context: true})
	}
	return all
}

// name is the device without what Xen allows around it.
func (d device) name() string {
	return strings.TrimPrefix(strings.TrimSuffix(d.Get("TARGET"), ":cdrom"), "/dev/")
}

// kind is the TYPE of a disk. A context has none, whatever its variables say.
func (d device) kind() string {
	if d.context {
		return ""
	}
	return upper(d.Get("TYPE"))
}

// targets looks for two disks in one place.
func (c *checker) targets() error {
	seen := map[string]string{}
	for _, d := range c.devices() {
		name := d.name()
		if other, taken := seen[name]; taken {
			return refuse("%s and %s have the same target %s: change TARGET of one of them", other, d.label, name)
		}
		seen[name] = d.label
	}
	return nil
}

func (c *checker) xen() error {
	for _, d := range c.devices() {
		name := d.name()
		switch {
		case slices.Contains([]string{"hd", "sd", "vd", "xvd"}, name):
			return refuse("Unable to find number for device (%[1]s): TARGET of %[2]s is used as it is written and needs a letter, "+
				"as %[1]sa; %[1]s alone belongs into DEV_PREFIX", name, d.label)
		case d.kind() == "CDROM" && strings.HasSuffix(d.Get("TARGET"), ":cdrom"):
			return refuse("%s would have the target %s:cdrom: a CD-ROM image gets :cdrom by itself, leave it out of TARGET",
				d.label, d.Get("TARGET"))
		}
		if err := c.xenTool(d); err != nil {
			return err
		}
	}
	return nil
}

// xenTool looks for what one of the tool stacks refuses and the other does not.
func (c *checker) xenTool(d device) error {
	prefix := c.xenPrefix(d.Vector, d.kind() == "BLOCK")
	switch {
	case c.tool == "xm" && prefix == "raw:":
		return refuse("Block device type raw is invalid: the xm of this host does not know DRIVER=raw of %s. Set DRIVER=file in "+
			"every DISK and in CONTEXT, or DISK=[driver=\"file:\"] in the defaults file of the driver", d.label)
	case c.tool == "xm" && prefix == "phy:" && d.context:
		return refuse("the context image is a file, not a block device: set DRIVER=file in CONTEXT")
	case c.tool == "xl" && d.context && c.isHVM() && emulated(d.Get("TARGET")):
		return refuse("the read-only disk %[1]s of the context has to be a CD-ROM for an HVM machine: set TARGET=\"%[1]s:cdrom\" in CONTEXT",
			d.Get("TARGET"))
	}
	return nil
}

// isHVM reports whether the Xen domain boots neither a kernel nor through a boot loader.
func (c *checker) isHVM() bool {
	os := c.vector("OS")
	return c.member(os, "OS", "KERNEL") == "" && c.member(os, "OS", "BOOTLOADER") == ""
}

// emulated reports whether the target is also one of the four IDE disks of an HVM domain, which can't be read-only.
func emulated(target string) bool {
	unit, ide := strings.CutPrefix(target, "hd")
	if !ide {
		unit, ide = strings.CutPrefix(target, "xvd")
	}
	return ide && len(unit) == 1 && 'a' <= unit[0] && unit[0] <= 'd'
}

// libvirt looks for what libvirt refuses. ESX has names of its own.
func (c *checker) libvirt() error {
	for _, d := range c.devices() {
		target := d.Get("TARGET")
		name, cdrom := strings.CutSuffix(target, ":cdrom")
		switch {
		case cdrom:
			return refuse("%s has the target %s: :cdrom is only for Xen, set TARGET=\"%s\"", d.label, target, name)
		case c.kind == "vmware":
		case strings.HasPrefix(target, "xvd"):
			return refuse("%s has the target %s, a device of Xen: use hd, sd or vd in TARGET or DEV_PREFIX", d.label, target)
		case !diskName.MatchString(target):
			return refuse("%s has the target %s, which names no device: TARGET is used as it is written and takes hd, sd, vd or fd "+
				"and a letter, as vda", d.label, target)
		}
	}
	for _, name := range fields(c.member(c.vector("OS"), "OS", "BOOT"), ',') {
		if !slices.Contains([]string{"hd", "fd", "cdrom", "network"}, name) {
			return refuse("unknown boot device %q in OS/BOOT: it takes hd, fd, cdrom and network, separated by commas without blanks", name)
		}
	}
	return nil
}

// malformed looks for the part that keeps the file from being XML: all that users write elsewhere has been looked at.
func (c *checker) malformed(err error) error {
	for _, raw := range c.vectors("RAW") {
		for _, key := range []string{"DATA", "DATA_VMX"} {
			if _, err := xmldoc.Parse("<RAW>" + raw.Get(key) + "</RAW>"); err != nil && c.written(raw, key) {
				return refuse("RAW/%s is no well-formed XML (%s): %v", key, brief(raw.Get(key)), err)
			}
		}
	}
	return refuse("the deployment file is no well-formed XML, look at the defaults file of the driver: %v", err)
}

// values looks for text that the hypervisor would not take for one value: 4.6's files quote nothing, and what ends a value can be
// followed by other settings. RAW is there to write those, so it is left alone.
func (c *checker) values() error {
	plain := []string{"VCPU"}
	if c.kind == "xen" {
		plain = append(plain, "MEMORY")
	}
	for _, name := range plain {
		if bad, hint := c.breaksOut(name, "", c.vm.Template.Get(name)); bad != "" {
			return refuse("%s holds %s%s", name, bad, hint)
		}
	}
	for a := range c.vm.Template.Attrs() {
		if a.Vec == nil || a.Name == "RAW" {
			continue
		}
		for _, p := range slices.Clone(a.Vec.Pairs()) {
			if bad, hint := c.breaksOut(a.Name, p.Key, p.Value); bad != "" && c.written(a.Vec, p.Key) {
				return refuse("%s/%s holds %s%s", a.Name, p.Key, bad, hint)
			}
		}
	}
	return nil
}

// written reports whether the value of this key gets into the file: with another value, the file would be another one.
func (c *checker) written(v *template.Vector, key string) bool {
	value := v.Get(key)
	v.Set(key, value+"0")
	defer v.Set(key, value)
	m := &machine{vm: c.vm, defaults: c.defaults, dir: c.dir}
	err := renderers[c.kind](m)
	return err != nil || m.out.String() != c.out.String()
}

// breaksOut gives what in a value ends it in the file, "" if nothing does, and what to do about it.
func (c *checker) breaksOut(name, key, value string) (bad, hint string) {
	if c.kind == "xen" {
		return c.breaksOutOfXen(name, value)
	}
	ends := "<"
	if name != "VCPU" && !slices.Contains(elementKeys, key) {
		ends = "<'"
	}
	if i := strings.IndexAny(value, ends); i >= 0 {
		return value[i : i+1], ", which ends the value in the XML for libvirt: write " + map[byte]string{'<': "&lt;", '\'': "&apos;"}[value[i]]
	}
	for rest := value; ; {
		i := strings.IndexByte(rest, '&')
		if i < 0 {
			return "", ""
		}
		rest = rest[i:]
		if !reference.MatchString(rest) {
			return "&", ", which begins a reference in the XML for libvirt: write &amp;"
		}
		rest = rest[1:]
	}
}

func (c *checker) breaksOutOfXen(name, value string) (bad, hint string) {
	switch {
	case strings.Contains(value, "'"):
		return "'", ", which ends the value in a Xen domain file: leave it out"
	case strings.ContainsAny(value, "\r\n"):
		return "a line break", ", which ends the value in a Xen domain file: leave it out"
	}
	list := slices.Contains([]string{"DISK", "CONTEXT", "NIC"}, name) || name == "GRAPHICS" && !c.isHVM()
	if list && strings.Contains(value, ",") {
		return "a comma", ", which separates the settings in this line of a Xen domain file: leave it out"
	}
	return "", ""
}

// elementKeys are written as content of an element, where quotes mean nothing.
var elementKeys = []string{"KERNEL", "INITRD", "ROOT", "KERNEL_CMD", "BOOTLOADER", "GUESTOS", "PCIBRIDGE"}

// diskName is what libvirt can tell bus and number of a disk from.
var diskName = regexp.MustCompile(`^(fd|hd|sd|vd|ubd)[a-z]+[0-9]*$`)

var reference = regexp.MustCompile(`^&(amp|lt|gt|quot|apos|#[0-9]+|#x[0-9a-fA-F]+);`)

// brief is the beginning of a text, for a message.
func brief(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
