// Package console holds OpenNebula's rules about the console of a virtual
// machine: which states may open one, where it is, and how the token is written
// that lets a proxy connect a browser to it.
package console

import (
	"encoding/xml"
	"fmt"
	"net"
	"strings"

	"goned/vnc"
)

// VM is what the rules need of a VM document, as one.vm.info and
// one.vmpool.info answer it.
type VM struct {
	ID       int
	Name     string
	State    int
	LCMState int
	Graphics *Graphics
	// Host is HOSTNAME of the last history record; empty if it never ran.
	Host string
}

// Graphics is TEMPLATE/GRAPHICS; of several the first counts, as in Sunstone.
type Graphics struct {
	Type     string `xml:"TYPE"`
	Port     string `xml:"PORT"`
	Password string `xml:"PASSWD"`
}

// activeState is VM_STATE ACTIVE, the only one in which a VM is on a host.
const activeState = 3

// openStates are the LCM states in which 4.6 opens a console: those in which
// the hypervisor may still run the machine.
var openStates = map[int]bool{
	3:  true, // RUNNING
	4:  true, // MIGRATE
	12: true, // SHUTDOWN
	13: true, // CANCEL
	16: true, // UNKNOWN
	17: true, // HOTPLUG
	18: true, // SHUTDOWN_POWEROFF
	24: true, // HOTPLUG_SNAPSHOT
	25: true, // HOTPLUG_NIC
	26: true, // HOTPLUG_SAVEAS
	27: true, // HOTPLUG_SAVEAS_POWEROFF
	28: true, // HOTPLUG_SAVEAS_SUSPENDED
	29: true, // SHUTDOWN_UNDEPLOY
}

// Refusal is an error about the VM itself, in Sunstone's words.
type Refusal string

func (r Refusal) Error() string { return string(r) }

// Open returns where the VM's console is, if its state lets one be opened, or a
// Refusal.
func (v VM) Open() (vnc.Target, error) {
	if !openStates[v.LCMState] {
		return vnc.Target{}, Refusal(fmt.Sprintf("Wrong state (%d) to open a VNC session", v.LCMState))
	}
	return v.console()
}

// console returns where the VM's VNC server is, whatever the state.
func (v VM) console() (vnc.Target, error) {
	if v.Graphics == nil || !strings.EqualFold(v.Graphics.Type, "vnc") {
		return vnc.Target{}, Refusal("VM has no VNC configured")
	}
	t, err := vnc.ParseTarget(net.JoinHostPort(v.Host, v.Graphics.Port))
	if err != nil {
		return vnc.Target{}, fmt.Errorf("console of VM %d: %w", v.ID, err)
	}
	return t, nil
}

// vmDocument is the shape of a VM element.
type vmDocument struct {
	XMLName  xml.Name
	ID       *int       `xml:"ID"`
	Name     string     `xml:"NAME"`
	State    int        `xml:"STATE"`
	LCMState int        `xml:"LCM_STATE"`
	Graphics []Graphics `xml:"TEMPLATE>GRAPHICS"`
	Hosts    []string   `xml:"HISTORY_RECORDS>HISTORY>HOSTNAME"`
}

func (d vmDocument) vm() (VM, error) {
	if d.XMLName.Local != "VM" || d.ID == nil {
		return VM{}, fmt.Errorf("element %s is not a VM document", d.XMLName.Local)
	}
	v := VM{ID: *d.ID, Name: d.Name, State: d.State, LCMState: d.LCMState}
	if len(d.Graphics) > 0 {
		v.Graphics = &d.Graphics[0]
	}
	if n := len(d.Hosts); n > 0 {
		v.Host = d.Hosts[n-1]
	}
	return v, nil
}

// ParseVM reads a VM document.
func ParseVM(doc string) (VM, error) {
	var d vmDocument
	if err := xml.Unmarshal([]byte(doc), &d); err != nil {
		return VM{}, fmt.Errorf("parse VM document: %w", err)
	}
	return d.vm()
}

// parsePool reads a VM_POOL document.
func parsePool(doc string) ([]VM, error) {
	var d struct {
		XMLName xml.Name     `xml:"VM_POOL"`
		VMs     []vmDocument `xml:"VM"`
	}
	if err := xml.Unmarshal([]byte(doc), &d); err != nil {
		return nil, fmt.Errorf("parse VM_POOL document: %w", err)
	}
	vms := make([]VM, 0, len(d.VMs))
	for _, vd := range d.VMs {
		v, err := vd.vm()
		if err != nil {
			return nil, err
		}
		vms = append(vms, v)
	}
	return vms, nil
}
