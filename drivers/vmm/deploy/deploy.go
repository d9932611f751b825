// Package deploy makes the deployment file of a VM: the description that oned writes for the hypervisor before a DEPLOY action.
// What is in it depends on the TYPE of the VM driver: a Xen domain, a libvirt domain, or the VM document itself.
//
// Render gives the bytes of 4.6, which escapes and checks almost nothing: RAW and hand-escaped values have to come out as the user
// wrote them. Check is the answer to that. It knows what the hypervisor is certain to refuse, or would take for something else than
// the value of that attribute, and says what to change. The manager calls it before it renders, and fails the deployment with its
// error instead of sending it; a VM that Check refuses never reaches a host. What only the host can tell (which tool stack it has,
// whether a path is a file or a device) is left to the deploy script there.
package deploy

import (
	"fmt"

	"goned/core/template"
)

// Input is what a deployment file is made from.
type Input struct {
	// VM is the VM document <VM>…</VM> with its last history record.
	VM string
	// HostTemplate is the host's <TEMPLATE>…</TEMPLATE>, empty when unknown. Check asks it for the tool stack; no TYPE of 4.6 takes
	// anything from it.
	HostTemplate string
	// Defaults is the driver's DEFAULT file; nil reads as empty.
	Defaults *template.Template
}

// Error is a line for the VM's log that says why the VM can't be deployed as it is. Those of Render have the words of 4.6.
type Error string

func (e Error) Error() string { return string(e) }

const (
	errXenMemory  = Error("No memory defined and no default provided.")
	errXenBoot    = Error("Boot option not supported.")
	errXenDisplay = Error("Could not generate a valid xen vncdisplay number, vnc port number must be equal or above 5900.")
	errMemory     = Error("No MEMORY defined and no default provided.")
	errArch       = Error("No ARCH defined and no default provided.")
	errBoot       = Error("No BOOT device defined and no default provided.")
	errTarget     = Error("Wrong target value in DISK.")
)

// renderers are the TYPEs whose file is made of parts of the VM.
var renderers = map[string]func(*machine) error{
	"xen":    writeXen,
	"kvm":    func(m *machine) error { return writeKVM(m, "kvm") },
	"qemu":   func(m *machine) error { return writeKVM(m, "qemu") },
	"vmware": writeVMware,
}

// Render makes the file for a driver of TYPE kind (xen, kvm, qemu, vmware or xml). For a VM that lacks something the error is an
// Error, and the text that comes with it is what 4.6 leaves in the file: all up to the missing part.
func Render(kind string, in Input) (string, error) {
	m, err := render(kind, in)
	if m == nil {
		return "", err
	}
	return m.out.String(), err
}

// Warnings are the lines 4.6 logs (level W) for what it leaves out of the file because the hypervisor or driver can't do it.
// There are none when the VM document can't be read: Render has the error.
func Warnings(kind string, in Input) []string {
	m, _ := render(kind, in)
	if m == nil {
		return nil
	}
	return m.warnings
}

// render returns nil when there is nothing to write from.
func render(kind string, in Input) (*machine, error) {
	if kind == "xml" {
		m := &machine{}
		m.out.WriteString(in.VM)
		return m, nil
	}
	write := renderers[kind]
	if write == nil {
		return nil, fmt.Errorf("no deployment file for a driver of TYPE %q", kind)
	}
	m, err := newMachine(in)
	if err != nil {
		return nil, err
	}
	return m, write(m)
}
