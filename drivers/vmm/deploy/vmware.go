package deploy

import (
	"strconv"
	"strings"

	"goned/core/template"
)

// writeVMware writes a libvirt domain for ESX. What libvirt can't say goes into the metadata element, for the driver.
func writeVMware(m *machine) error {
	m.printf("<domain type='vmware'>\n\t<name>one-%d</name>\n", m.vm.ID)
	m.textElement(1, "vcpu", m.text("VCPU"))
	memory := m.vm.Template.Get("MEMORY")
	if memory == "" {
		return errMemory
	}
	mb, _ := leadingInt(memory, 53) // 0 if it is no number
	m.printf("\t<memory>%d</memory>\n", mb*1024)
	os := m.vector("OS")
	arch := m.member(os, "OS", "ARCH")
	if arch == "" {
		return errArch
	}
	m.printf("\t<os>\n")
	m.open(2, "type", ">hvm</type>\n", attribute{"arch", arch})
	for _, device := range fields(m.member(os, "OS", "BOOT"), ',') {
		m.elementWith(2, "boot", "dev", device)
	}
	m.printf("\t</os>\n\t<devices>\n")
	for _, disk := range m.vectors("DISK") {
		if disk.Get("TARGET") == "" {
			return errTarget
		}
		m.vmwareDisk(disk)
	}
	if context := m.contextDisk(); context != nil {
		m.vmwareSource(context, "CDROM")
		m.elementWith(3, "target", "dev", context.Get("TARGET"))
		m.element(3, "readonly")
		m.printf("\t\t</disk>\n")
	}
	for _, nic := range m.vectors("NIC") {
		m.vmwareNIC(nic)
	}
	if graphics := m.vector("GRAPHICS"); graphics != nil {
		if kind := graphics.Get("TYPE"); kind == "vnc" || kind == "VNC" {
			m.console("vnc", graphics)
		} else {
			m.warn(warnGraphics)
		}
	}
	m.printf("\t</devices>\n")
	for _, line := range m.raw("VMWARE") {
		m.printf("\t%s\n", line)
	}
	m.textElement(1, "metadata", m.vmwareMetadata(os))
	m.printf("</domain>\n")
	return nil
}

// vmwareSource begins a disk; its path is one of ESX, "[datastore] directory/file".
func (m *machine) vmwareSource(disk *template.Vector, kind string) {
	datastore := 0
	if run := m.vm.Current(); run != nil {
		datastore = run.DSID
	}
	path := "[" + strconv.Itoa(datastore) + "] " + strconv.Itoa(m.vm.ID) + "/disk." + strconv.Itoa(diskID(disk))
	switch kind {
	case "BLOCK":
		m.diskElement("block", "disk")
	case "CDROM":
		m.diskElement("file", "cdrom")
		path += ".iso"
	default:
		m.diskElement("file", "disk")
		path += "/disk.vmdk"
	}
	m.elementWith(3, "source", "file", path)
}

func (m *machine) vmwareDisk(disk *template.Vector) {
	m.vmwareSource(disk, upper(disk.Get("TYPE")))
	m.elementWith(3, "target", "dev", disk.Get("TARGET"))
	if driver := m.member(disk, "DISK", "DRIVER"); driver != "" {
		m.elementWith(3, "driver", "name", driver)
	}
	if readOnly(disk) {
		m.element(3, "readonly")
	}
	m.printf("\t\t</disk>\n")
}

func (m *machine) vmwareNIC(nic *template.Vector) {
	bridge := nic.Get("BRIDGE")
	if run := m.vm.Current(); run != nil && run.VNMMAD == "vmware" {
		// This network driver makes a port group for each network.
		bridge = "one-pg-" + nic.Get("NETWORK_ID")
	}
	m.printf("\t\t<interface type='bridge'>\n")
	m.elementWith(3, "source", "bridge", bridge)
	m.nicMembers(nic)
	m.printf("\t\t</interface>\n")
}

func (m *machine) vmwareMetadata(os *template.Vector) string {
	var b strings.Builder
	if s := os.Get("GUESTOS"); s != "" {
		b.WriteString("<guestos>" + s + "</guestos>\n")
	}
	if s := m.vector("FEATURES").Get("PCIBRIDGE"); s != "" {
		b.WriteString("<pcibridge>" + s + "</pcibridge>")
	}
	for _, raw := range m.vectors("RAW") {
		if s := raw.Get("DATA_VMX"); s != "" && upper(raw.Get("TYPE")) == "VMWARE" {
			b.WriteString("<datavmx>" + s + "</datavmx>")
		}
	}
	return b.String()
}
