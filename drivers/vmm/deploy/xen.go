package deploy

import (
	"strconv"
	"strings"

	"goned/core/template"
)

const (
	// defaultXenDriver is the disk prefix without any configuration.
	defaultXenDriver = "tap:aio:"
	// firstVNCPort belongs to display 0.
	firstVNCPort = 5900
)

// xenBoot are the letters of the boot devices.
var xenBoot = map[string]string{"hd": "c", "fd": "a", "cdrom": "d", "network": "n"}

// writeXen writes a domain for xm or xl.
func writeXen(m *machine) error {
	m.set("name", "one-"+strconv.Itoa(m.vm.ID))
	m.printf("#O CPU_CREDITS = %s\n", m.xenCredits())
	memory := m.vm.Template.Get("MEMORY")
	if memory == "" {
		return errXenMemory
	}
	m.printf("memory  = '%s'\n", memory)
	if n := m.text("VCPU"); n != "" {
		m.printf("vcpus  = '%s'\n", n)
	}
	hvm, err := m.xenOS()
	if err != nil {
		return err
	}
	if err := m.xenDisks(); err != nil {
		return err
	}
	m.xenNICs()
	if err := m.xenGraphics(hvm); err != nil {
		return err
	}
	m.xenInput()
	if hvm {
		m.xenFeatures()
	}
	for _, line := range m.raw("XEN") {
		m.printf("%s\n", line)
	}
	return nil
}

func (m *machine) set(name, value string) { m.printf("%s = '%s'\n", name, value) }

// setIf is set for what may be absent.
func (m *machine) setIf(name, value string) {
	if value != "" {
		m.set(name, value)
	}
}

func (m *machine) xenCredits() string {
	cpu, credit := float32(1), float32(1)
	if s := m.vm.Template.Get("CPU"); s != "" {
		cpu = leadingFloat(s)
	}
	if s := m.defaults.text("CREDIT"); s != "" {
		credit = leadingFloat(s)
	}
	return units(cpu, credit)
}

// xenOS writes how the domain boots, and tells whether it is fully virtualized: what has neither kernel nor boot loader is.
func (m *machine) xenOS() (hvm bool, err error) {
	os := m.vector("OS")
	value := func(key string) string { return m.member(os, "OS", key) }
	if kernel := value("KERNEL"); kernel != "" {
		m.set("kernel", kernel)
		m.setIf("ramdisk", value("INITRD"))
		if root := value("ROOT"); root != "" {
			m.set("root", "/dev/"+root)
		}
		m.setIf("extra", value("KERNEL_CMD"))
		return false, nil
	}
	if loader := value("BOOTLOADER"); loader != "" {
		m.set("bootloader", loader)
		return false, nil
	}
	m.set("builder", "hvm")
	boot := os.Get("BOOT")
	if boot == "" {
		return true, nil
	}
	m.printf("boot = '")
	for _, device := range fields(boot, ',') {
		letter, ok := xenBoot[lower(device)]
		if !ok {
			return true, errXenBoot
		}
		m.printf("%s", letter)
	}
	m.printf("'\n")
	return true, nil
}

// withColon completes a disk prefix.
func withColon(driver string) string {
	if strings.HasSuffix(driver, ":") {
		return driver
	}
	return driver + ":"
}

// xenPrefix is the driver of a disk or of the context.
func (m *machine) xenPrefix(disk *template.Vector, block bool) string {
	if s := disk.Get("DRIVER"); s != "" {
		return withColon(s)
	}
	if block {
		return "phy:"
	}
	if s := m.defaults.member("DISK", "DRIVER"); s != "" {
		return withColon(s)
	}
	return defaultXenDriver
}

func (m *machine) xenDisk(disk *template.Vector, kind, suffix, mode string) {
	m.printf("    '%s%s/disk.%d,%s%s,%s',\n", m.xenPrefix(disk, kind == "BLOCK"), m.dir, diskID(disk), disk.Get("TARGET"), suffix, mode)
}

func (m *machine) xenDisks() error {
	m.printf("disk = [\n")
	for _, disk := range m.vectors("DISK") {
		if disk.Get("TARGET") == "" {
			return errTarget
		}
		kind, suffix, mode := upper(disk.Get("TYPE")), "", "w"
		if kind == "CDROM" {
			suffix = ":cdrom"
		}
		if readOnly(disk) {
			mode = "r"
		}
		m.xenDisk(disk, kind, suffix, mode)
	}
	if context := m.contextDisk(); context != nil {
		m.xenDisk(context, "", "", "r")
	}
	m.printf("]\n")
	return nil
}

// xenNICs writes the interfaces. One without a model begins with a blank, which scripts of sites rely on.
func (m *machine) xenNICs() {
	m.printf("vif = [\n")
	for _, nic := range m.vectors("NIC") {
		m.printf("    '")
		separator := " "
		if model := m.member(nic, "NIC", "MODEL"); model != "" {
			m.printf("model=%s", model)
			separator = ","
		}
		for _, name := range []string{"MAC", "IP", "BRIDGE"} {
			if value := nic.Get(name); value != "" {
				m.printf("%s%s=%s", separator, lower(name), value)
				separator = ","
			}
		}
		m.printf("',\n")
	}
	m.printf("]\n")
}

// xenGraphics writes the VNC console: options of the frame buffer of a paravirtual domain, lines of their own for HVM.
func (m *machine) xenGraphics(hvm bool) error {
	graphics := m.vector("GRAPHICS")
	if graphics == nil {
		return nil
	}
	if kind := graphics.Get("TYPE"); kind != "vnc" && kind != "VNC" {
		m.warn(warnGraphics)
		return nil
	}
	option := func(name, value string) { m.printf(",%s=%s", name, value) }
	end := "']\n"
	if hvm {
		option, end = m.set, ""
		m.set("vnc", "1")
	} else {
		m.printf("vfb = ['type=vnc")
	}
	if s := graphics.Get("LISTEN"); s != "" {
		option("vnclisten", s)
	}
	if s := graphics.Get("PORT"); s != "" {
		port, ok := leadingInt(s, 32)
		if !ok || port < firstVNCPort {
			return errXenDisplay
		}
		option("vncunused", "0")
		option("vncdisplay", strconv.FormatInt(port-firstVNCPort, 10))
	}
	if s := graphics.Get("PASSWD"); s != "" {
		option("vncpasswd", s)
	}
	if s := graphics.Get("KEYMAP"); s != "" {
		option("keymap", s)
	}
	m.printf("%s", end)
	return nil
}

func (m *machine) xenInput() {
	input := m.vector("INPUT")
	switch {
	case input == nil:
	case input.Get("TYPE") == "tablet" && input.Get("BUS") == "usb":
		m.printf("usb = 1\nusbdevice = 'tablet'\n")
	default:
		m.warn("Not supported input, only usb tablet, ignored.")
	}
}

func (m *machine) xenFeatures() {
	for _, key := range []string{"PAE", "ACPI", "APIC"} {
		if on, ok := m.flag(key); ok {
			number := 0
			if on {
				number = 1
			}
			m.printf("%s = %d\n", lower(key), number)
		}
	}
	m.setIf("device_model", m.member(m.vector("FEATURES"), "FEATURES", "DEVICE_MODEL"))
	if on, _ := m.flag("LOCALTIME"); on {
		m.set("localtime", "1")
	}
}
