// Package hook finds the hooks that an event calls for and leaves them in the transaction, to be run after the commit.
package hook

import (
	"encoding/base64"
	"strconv"
	"strings"

	"goned/core/config"
	"goned/core/host"
	"goned/core/message"
	"goned/core/state"
	"goned/core/template"
	"goned/core/vm"
)

// hook is a registered hook.
type hook struct {
	name, command, arguments string
	remote, stdin            bool
}

// register reads a hook's definition; ok is false for one that 4.6 does not register.
func register(tx *state.Tx, v *template.Vector, remotePossible bool) (h hook, on string, ok bool) {
	on, h.command = strings.ToUpper(v.Get("ON")), v.Get("COMMAND")
	if on == "" || h.command == "" {
		return h, on, false
	}
	h.name, h.arguments = v.Get("NAME"), v.Get("ARGUMENTS")
	if h.name == "" {
		h.name = h.command
	}
	h.stdin = strings.EqualFold(v.Get("TEMPLATE_ON_STDIN"), "YES")
	h.remote = remotePossible && strings.EqualFold(v.Get("REMOTE"), "YES")
	if !strings.HasPrefix(h.command, "/") {
		if h.remote {
			h.command = tx.Conf.ScriptsRemoteDir + "/hooks//" + h.command
		} else {
			h.command = tx.Conf.Dirs.Remotes + "/hooks/" + h.command
		}
	}
	return h, on, true
}

// Problem is a hook definition that is not registered, and the module whose log line says so.
type Problem struct{ Module, Text string }

// Problems are the definitions of a configuration that 4.6 complains about.
func Problems(c *config.Config) []Problem {
	var all []Problem
	for _, def := range c.VMHooks {
		on := strings.ToUpper(def.Get("ON"))
		_, known := places[on]
		switch {
		case incomplete(def):
			all = append(all, Problem{"VM", "Empty ON or COMMAND attribute in VM_HOOK. Hook not registered!"})
		case on == "CUSTOM":
			if name := def.Get("LCM_STATE"); !isLCMState(name) {
				all = append(all, Problem{"VM", "Wrong LCM_STATE: " + name + ". Hook not registered!"})
			} else if _, ok := vm.ParseState(def.Get("STATE")); !ok {
				all = append(all, Problem{"VM", "Wrong STATE: " + def.Get("STATE") + ". Hook not registered!"})
			}
		case !known && on != "CREATE":
			all = append(all, Problem{"VM", "Unknown VM_HOOK " + on + ". Hook not registered!"})
		}
	}
	for _, def := range c.HostHooks {
		if incomplete(def) {
			all = append(all, Problem{"ONE", "Empty ON or COMMAND attribute in HOST_HOOK. Hook not registered!"})
		}
	}
	for _, defs := range [][]*template.Vector{c.NetHooks, c.UserHooks, c.GroupHooks, c.ImageHooks} {
		for _, def := range defs {
			if incomplete(def) {
				all = append(all, Problem{"VM", "Empty ON or COMMAND attribute in Hook, not registered!"})
			}
		}
	}
	return all
}

func incomplete(def *template.Vector) bool { return def.Get("ON") == "" || def.Get("COMMAND") == "" }

func isLCMState(name string) bool {
	_, ok := vm.ParseLCMState(name)
	return ok
}

// run sends a hook of an object. host is where a remote hook runs; document is the object's XML.
func (h hook) run(tx *state.Tx, object, logTo int, hostname string, document []byte, more ...string) {
	args := h.arguments
	encoded := base64.StdEncoding.EncodeToString(document)
	vars := append([]string{"$ID", strconv.Itoa(object), "$TEMPLATE", encoded}, more...)
	for i := 0; i+1 < len(vars); i += 2 {
		// 4.6 replaces the first occurrence only.
		args = strings.Replace(args, vars[i], vars[i+1], 1)
	}
	x := message.Hook{Object: object, Name: h.name, Host: hostname, Command: h.command, Arguments: args, VM: logTo}
	if h.stdin {
		x.Stdin = string(document)
	}
	tx.Send(x)
}

// place is a state of a VM and, while it is active, of its life-cycle.
type place struct {
	state vm.State
	lcm   vm.LCMState
}

// places are what ON of a VM hook stands for.
var places = map[string]place{
	"PROLOG": {vm.Active, vm.Prolog}, "RUNNING": {vm.Active, vm.Running}, "SHUTDOWN": {vm.Active, vm.Epilog},
	"STOP": {state: vm.Stopped}, "DONE": {state: vm.Done}, "FAILED": {state: vm.Failed}, "UNKNOWN": {vm.Active, vm.Unknown},
}

// VMMoved runs the hooks of a VM that has come to where it is from another state.
func VMMoved(tx *state.Tx, v *vm.VM, fromState vm.State, fromLCM vm.LCMState) {
	for _, def := range tx.Conf.VMHooks {
		h, on, ok := register(tx, def, true)
		if !ok {
			continue
		}
		target, known := places[on]
		if on == "CUSTOM" {
			target, known = customPlace(def)
		}
		if !known || target != (place{v.State, v.LCMState}) {
			continue
		}
		hostname := ""
		if h.remote {
			cur := v.Current()
			if cur == nil {
				continue
			}
			hostname = cur.Hostname
		}
		h.run(tx, v.ID, v.ID, hostname, v.PoolXML(), "$PREV_STATE", fromState.String(), "$PREV_LCM_STATE", fromLCM.String())
	}
}

func customPlace(v *template.Vector) (place, bool) {
	s, ok1 := vm.ParseState(v.Get("STATE"))
	l, ok2 := vm.ParseLCMState(v.Get("LCM_STATE"))
	if s != vm.Active {
		l = vm.LCMInit
	}
	return place{s, l}, ok1 && ok2
}

// VMCreated runs the hooks of a new VM. They run on the front-end, but a remote one gets the remote path, as in 4.6.
func VMCreated(tx *state.Tx, v *vm.VM) {
	for _, def := range tx.Conf.VMHooks {
		if h, on, ok := register(tx, def, true); ok && on == "CREATE" {
			h.run(tx, v.ID, v.ID, "", v.PoolXML())
		}
	}
}

// HostCreated runs the hooks of a new host.
func HostCreated(tx *state.Tx, h *host.Host) { runHostHooks(tx, h, "CREATE") }

// HostMoved runs the hooks of a host whose state was another before. 4.6 runs the ERROR hooks again with each failed monitoring;
// ours run when the host enters the error.
func HostMoved(tx *state.Tx, h *host.Host, was host.State) {
	inError := func(s host.State) bool { return s == host.Error || s == host.MonitoringError }
	switch {
	case h.State == host.Error && !inError(was):
		runHostHooks(tx, h, "ERROR")
	case h.State == host.Disabled && was != host.Disabled:
		runHostHooks(tx, h, "DISABLE")
	}
}

func runHostHooks(tx *state.Tx, x *host.Host, on string) {
	for _, def := range tx.Conf.HostHooks {
		h, when, ok := register(tx, def, true)
		if !ok || when != on {
			continue
		}
		hostname := ""
		if h.remote {
			hostname = x.Name
		}
		h.run(tx, x.ID, message.OnedLog, hostname, x.PoolXML())
	}
}

// Run runs the hooks of networks, images, users and groups: on is CREATE or REMOVE, defs are those of the kind.
func Run(tx *state.Tx, defs []*template.Vector, on string, id int, document []byte) {
	for _, def := range defs {
		if h, when, ok := register(tx, def, false); ok && when == on {
			h.run(tx, id, message.OnedLog, "", document)
		}
	}
}
