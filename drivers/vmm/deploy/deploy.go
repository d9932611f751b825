// Package deploy makes the deployment file of a VM: the description that oned writes for the hypervisor before a DEPLOY action.
// What is in it depends on the TYPE of the VM driver: a Xen domain, a libvirt domain, or the VM document itself.
//
// Render gives the bytes of 4.6, which escapes and checks almost nothing.
package deploy

import (
	"fmt"

	"goned/core/template"
)

// Input is what a deployment file is made from.
type Input struct {
	// VM is the VM document <VM>…</VM> with its last history record.
	VM string
	// HostTemplate is the host's <TEMPLATE>…</TEMPLATE>, empty when unknown. No TYPE of 4.6 looks at it.
	HostTemplate string
	// Defaults is the driver's DEFAULT file; nil reads as empty.
	Defaults *template.Template
}

// Render writes the file for a driver of TYPE kind (lower case).
func Render(kind string, in Input) (string, error) {
	switch kind {
	case "xml":
		return in.VM, nil
	}
	return "", fmt.Errorf("no deployment file for a driver of TYPE %q", kind)
}
