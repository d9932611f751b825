package deploy

import (
	"math"
	"strings"

	"goned/core/template"
)

const (
	// cpuShares of the host's control groups stand for CPU=1.
	cpuShares       = 1024
	defaultEmulator = "/usr/bin/kvm"
)

// attribute is an XML attribute; one without a value is left out.
type attribute struct{ name, value string }

// element writes an element without content, indented by depth tabs. Values go out as they are, see the package comment.
func (m *machine) element(depth int, name string, attributes ...attribute) {
	m.open(depth, name, "/>\n", attributes...)
}

func (m *machine) open(depth int, name, end string, attributes ...attribute) {
	m.printf("%s<%s", strings.Repeat("\t", depth), name)
	for _, a := range attributes {
		if a.value != "" {
			m.printf(" %s='%s'", a.name, a.value)
		}
	}
	m.printf("%s", end)
}

// textElement writes nothing for an empty text.
func (m *machine) textElement(depth int, name, text string) {
	if text != "" {
		m.printf("%s<%s>%s</%s>\n", strings.Repeat("\t", depth), name, text, name)
	}
}

// elementWith writes an element with one attribute, which may be empty: it says what the element is about.
func (m *machine) elementWith(depth int, name, key, value string) {
	m.printf("%s<%s %s='%s'/>\n", strings.Repeat("\t", depth), name, key, value)
}

// writeKVM writes a libvirt domain for QEMU, with acceleration (type kvm) or without (type qemu).
func writeKVM(m *machine, emulator string) error {
	m.printf("<domain type='%s' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>\n", emulator)
	m.printf("\t<name>one-%d</name>\n", m.vm.ID)
	m.textElement(1, "vcpu", m.text("VCPU"))
	if cpu, ok := m.vm.Template.Float("CPU"); ok {
		m.printf("\t<cputune>\n\t\t<shares>%s</shares>\n\t</cputune>\n", units(float32(cpu), cpuShares))
	}
	// 4.6 calculates in 32 bits; from 2 TB on it wrote a negative number.
	mb, ok := m.vm.Template.Int("MEMORY")
	if !ok || mb > math.MaxInt64/1024 || mb < math.MinInt64/1024 {
		return errMemory
	}
	m.printf("\t<memory>%d</memory>\n", mb*1024)
	if err := m.kvmOS(); err != nil {
		return err
	}
	m.printf("\t<devices>\n")
	path := m.defaults.text("EMULATOR")
	if path == "" {
		path = defaultEmulator
	}
	m.textElement(2, "emulator", path)
	for _, disk := range m.vectors("DISK") {
		if disk.Get("TARGET") == "" {
			return errTarget
		}
		m.kvmDisk(disk)
	}
	m.kvmContext()
	for _, nic := range m.vectors("NIC") {
		m.kvmNIC(nic)
	}
	m.kvmGraphics()
	m.kvmInput()
	m.printf("\t</devices>\n")
	m.kvmFeatures()
	for _, line := range m.raw("KVM") {
		m.printf("\t%s\n", line)
	}
	m.printf("</domain>\n")
	return nil
}

func (m *machine) kvmOS() error {
	os := m.vector("OS")
	value := func(key string) string { return m.member(os, "OS", key) }
	m.printf("\t<os>\n")
	arch := value("ARCH")
	if arch == "" {
		return errArch
	}
	m.open(2, "type", ">hvm</type>\n", attribute{"arch", arch}, attribute{"machine", value("MACHINE")})
	boot := value("BOOT")
	if boot == "" {
		return errBoot
	}
	if kernel := value("KERNEL"); kernel != "" {
		m.textElement(2, "kernel", kernel)
		m.textElement(2, "initrd", value("INITRD"))
		arguments := value("KERNEL_CMD")
		if root := value("ROOT"); root != "" {
			arguments = "root=/dev/" + root + " " + arguments
		}
		m.textElement(2, "cmdline", arguments)
	} else {
		m.textElement(2, "bootloader", value("BOOTLOADER"))
	}
	for _, device := range fields(boot, ',') {
		m.elementWith(2, "boot", "dev", device)
	}
	m.printf("\t</os>\n")
	return nil
}

func (m *machine) kvmDisk(disk *template.Vector) {
	kind := upper(disk.Get("TYPE"))
	m.kvmSource(disk, kind)
	m.elementWith(3, "target", "dev", disk.Get("TARGET"))
	if readOnly(disk) {
		m.element(3, "readonly")
	}
	format := orElse(m.member(disk, "DISK", "DRIVER"), "raw")
	if kind == "CDROM" {
		format = "raw"
	}
	m.element(3, "driver", attribute{"name", "qemu"}, attribute{"type", format},
		attribute{"cache", orElse(m.member(disk, "DISK", "CACHE"), "default")}, attribute{"io", m.member(disk, "DISK", "IO")})
	m.printf("\t\t</disk>\n")
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func (m *machine) diskElement(kind, device string) {
	m.printf("\t\t<disk type='%s' device='%s'>\n", kind, device)
}

// kvmSource begins a disk and says where its content is.
func (m *machine) kvmSource(disk *template.Vector, kind string) {
	switch kind {
	case "BLOCK":
		m.diskElement("block", "disk")
		m.printf("\t\t\t<source dev='%s/disk.%d'/>\n", m.dir, diskID(disk))
	case "RBD":
		m.rbdSource(disk, "disk")
	case "RBD_CDROM":
		m.rbdSource(disk, "cdrom")
	case "GLUSTER":
		m.glusterSource(disk, "disk")
	case "GLUSTER_CDROM":
		m.glusterSource(disk, "cdrom")
	case "CDROM":
		m.fileSource(disk, "cdrom")
	default:
		m.fileSource(disk, "disk")
	}
}

func (m *machine) fileSource(disk *template.Vector, device string) {
	m.diskElement("file", device)
	m.printf("\t\t\t<source file='%s/disk.%d'/>\n", m.dir, diskID(disk))
}

// rbdSource names a Ceph image; a copy has the numbers of VM and disk in its name.
func (m *machine) rbdSource(disk *template.Vector, device string) {
	m.diskElement("network", device)
	m.printf("\t\t\t<source protocol='rbd' name='%s", disk.Get("SOURCE"))
	if disk.Get("CLONE") == "YES" {
		m.printf("-%d-%d", m.vm.ID, diskID(disk))
	}
	m.networkHosts(disk.Get("CEPH_HOST"), "")
	user, secret := disk.Get("CEPH_USER"), disk.Get("CEPH_SECRET")
	if user != "" && secret != "" {
		m.printf("\t\t\t<auth username='%s'>\n\t\t\t\t<secret type='ceph' uuid='%s'/>\n\t\t\t</auth>\n", user, secret)
	}
}

// glusterSource names a file of a Gluster volume.
func (m *machine) glusterSource(disk *template.Vector, device string) {
	m.diskElement("network", device)
	m.printf("\t\t\t<source protocol='gluster' name='%s/", disk.Get("GLUSTER_VOLUME"))
	if disk.Get("CLONE") == "YES" {
		m.printf("%d/disk.%d", m.vm.ID, diskID(disk))
	} else if parts := fields(disk.Get("SOURCE"), '/'); len(parts) > 0 {
		m.printf("%s", parts[len(parts)-1])
	}
	m.networkHosts(disk.Get("GLUSTER_HOST"), "tcp")
}

// networkHosts ends a source element with the servers to ask: "host:port host …".
func (m *machine) networkHosts(hosts, transport string) {
	if hosts == "" {
		m.printf("'/>\n")
		return
	}
	m.printf("'>\n")
	for _, host := range fields(hosts, ' ') {
		parts := fields(host, ':')
		if len(parts) == 0 {
			continue
		}
		port := ""
		if len(parts) > 1 {
			port = parts[1]
		}
		m.element(4, "host", attribute{"name", parts[0]}, attribute{"port", port}, attribute{"transport", transport})
	}
	m.printf("\t\t\t</source>\n")
}

func (m *machine) kvmContext() {
	context := m.contextDisk()
	if context == nil {
		return
	}
	m.fileSource(context, "cdrom")
	m.elementWith(3, "target", "dev", context.Get("TARGET"))
	m.element(3, "readonly")
	m.element(3, "driver", attribute{"name", "qemu"}, attribute{"type", "raw"})
	m.printf("\t\t</disk>\n")
}

func (m *machine) kvmNIC(nic *template.Vector) {
	if bridge := nic.Get("BRIDGE"); bridge != "" {
		m.printf("\t\t<interface type='bridge'>\n")
		m.elementWith(3, "source", "bridge", bridge)
	} else {
		m.printf("\t\t<interface type='ethernet'>\n")
	}
	if run := m.vm.Current(); run != nil && run.VNMMAD == "ovswitch" {
		m.elementWith(3, "virtualport", "type", "openvswitch")
	}
	m.nicMembers(nic)
	ip, filter := nic.Get("IP"), m.member(nic, "NIC", "FILTER")
	if ip != "" && filter != "" {
		m.printf("\t\t\t<filterref filter='%s'>\n\t\t\t\t<parameter name='IP' value='%s'/>\n\t\t\t</filterref>\n", filter, ip)
	}
	m.printf("\t\t</interface>\n")
}

// nicMembers are what a NIC has whatever it is connected to.
func (m *machine) nicMembers(nic *template.Vector) {
	for _, part := range []struct{ element, key, value string }{
		{"mac", "address", nic.Get("MAC")},
		{"target", "dev", nic.Get("TARGET")},
		{"script", "path", nic.Get("SCRIPT")},
		{"model", "type", m.member(nic, "NIC", "MODEL")},
	} {
		if part.value != "" {
			m.elementWith(3, part.element, part.key, part.value)
		}
	}
}

func (m *machine) kvmGraphics() {
	graphics := m.vector("GRAPHICS")
	if graphics == nil {
		return
	}
	kind := lower(graphics.Get("TYPE"))
	if kind != "vnc" && kind != "spice" {
		m.warn("Graphics not supported or undefined, ignored.")
		return
	}
	m.console(kind, graphics)
	if options := m.defaults.text("SPICE_OPTIONS"); kind == "spice" && options != "" {
		m.printf("\t\t%s\n", options)
	}
}

func (m *machine) console(kind string, graphics *template.Vector) {
	m.element(2, "graphics", attribute{"type", kind}, attribute{"listen", graphics.Get("LISTEN")}, attribute{"port", graphics.Get("PORT")},
		attribute{"passwd", graphics.Get("PASSWD")}, attribute{"keymap", graphics.Get("KEYMAP")})
}

func (m *machine) kvmInput() {
	input := m.vector("INPUT")
	if kind := input.Get("TYPE"); kind != "" {
		m.element(2, "input", attribute{"type", kind}, attribute{"bus", input.Get("BUS")})
	}
}

func (m *machine) kvmFeatures() {
	var on []string
	for _, key := range []string{"PAE", "ACPI", "APIC", "HYPERV"} {
		if yes, _ := m.flag(key); yes {
			on = append(on, lower(key))
		}
	}
	if len(on) > 0 {
		m.printf("\t<features>\n")
		for _, name := range on {
			if name == "hyperv" {
				m.printf("\t\t<hyperv>\n%s\n\t\t</hyperv>\n", m.defaults.text("HYPERV_OPTIONS"))
				continue
			}
			m.element(2, name)
		}
		m.printf("\t</features>\n")
	}
	if local, _ := m.flag("LOCALTIME"); local {
		m.elementWith(1, "clock", "offset", "localtime")
	}
}
