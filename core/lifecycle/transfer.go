package lifecycle

import (
	"os"
	"strconv"

	"goned/core/message"
	"goned/core/transfer"
	"goned/core/vm"
)

// moveFiles asks the transfer driver to run the script of that name.
func moveFiles(kind string) Step {
	return Step{Name: "TM ." + kind, do: func(m *machine) { m.transfer(kind) }}
}

// frontEnd is what scripts have to know of this machine.
func (m *machine) frontEnd() transfer.FrontEnd {
	return transfer.FrontEnd{Host: hostname(), Dir: m.frontendDir()}
}

// hostname is the front-end's name, as drivers of other machines call it.
func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return name
}

// suffixes of script files that are not called like their kind.
var suffixes = map[string]string{"delete_frontend": "delete"}

// transfer writes a script, and the files that go with it, and asks the driver to run it. Where the host needs no transfer, or has
// vanished, or the script cannot be made, the answer follows at once.
func (m *machine) transfer(kind string) {
	m.vm.Interrupted = false
	cur := m.vm.Current()
	if cur == nil {
		m.transferFailed("VM " + strconv.Itoa(m.vm.ID) + " has no history")
		return
	}
	if kind != "saveas_hot" {
		h := m.tx.Hosts.Get(cur.HID)
		if h == nil {
			m.follow(false)
			return
		}
		if public, _ := h.Template.Bool("PUBLIC_CLOUD"); public {
			m.follow(true)
			return
		}
	}
	script, files, err := m.script(kind)
	if err != nil {
		m.transferFailed(err.Error())
		return
	}
	for _, text := range script.Warnings {
		logVM(m.tx, m.vm.ID, "TM", message.Warning, text)
	}
	for _, text := range script.Errors {
		logVM(m.tx, m.vm.ID, "TM", message.Error, text)
	}
	suffix := kind
	if s, ok := suffixes[kind]; ok {
		suffix = s
	}
	m.tx.Send(message.Transfer{
		VM: m.vm.ID, Path: m.frontendDir() + "/transfer." + strconv.Itoa(cur.Seq) + "." + suffix, Script: script.Text, Files: files,
	})
}

func (m *machine) transferFailed(text string) {
	logVM(m.tx, m.vm.ID, "TM", message.Error, text)
	m.follow(false)
}

// follow goes on as if the transfer driver had answered.
func (m *machine) follow(ok bool) {
	events, waiting := transferEvents[m.vm.LCMState]
	if m.vm.State != vm.Active || !waiting {
		return
	}
	e := events[0]
	if !ok {
		e = events[1]
	}
	m.next = append(m.next, e)
}

func (m *machine) script(kind string) (transfer.Script, []message.File, error) {
	fe := m.frontEnd()
	var s transfer.Script
	var err error
	switch kind {
	case "prolog":
		return m.prologScript(fe)
	case "resume":
		s, err = transfer.Resume(m.vm, fe.Host)
	case "migrate":
		s, err = transfer.Migrate(m.vm)
	case "stop":
		s, err = transfer.Stop(m.vm, fe.Host)
	case "epilog":
		s, err = transfer.Epilog(m.vm)
	case "delete":
		s, err = transfer.Delete(m.vm)
	case "delete_frontend":
		s, err = transfer.DeleteLocal(m.vm, fe.Host)
	case "delete_both":
		s, err = transfer.DeleteBoth(m.vm)
	case "saveas_hot":
		s, err = transfer.SaveHot(m.vm)
	}
	return s, nil, err
}

// prologScript is the script of a new deployment with the files that the context device is made of.
func (m *machine) prologScript(fe transfer.FrontEnd) (transfer.Script, []message.File, error) {
	s, err := transfer.Prolog(m.vm, fe)
	if err != nil {
		return transfer.Script{}, nil, err
	}
	if os := m.vm.Template.Vector("OS"); os != nil {
		if s.Kernel != "" {
			os.Set("KERNEL", s.Kernel)
		}
		if s.Initrd != "" {
			os.Set("INITRD", s.Initrd)
		}
	}
	text, has := transfer.ContextText(m.vm)
	if !has {
		m.log("VM", "Virtual Machine has no context")
		return s.Script, nil, nil
	}
	files := []message.File{{Path: fe.ContextFile(), Content: text}}
	if s.HasToken {
		token, err := m.token()
		if err != nil {
			logVM(m.tx, m.vm.ID, "VM", message.Error, err.Error())
			setError(m.tx, m.vm, err.Error())
			return transfer.Script{}, nil, transfer.Error("could not write context file for VM " + strconv.Itoa(m.vm.ID))
		}
		files = append(files, message.File{Path: fe.TokenFile(), Content: token})
		m.vm.Template.AddSimple("CREATED_BY", strconv.Itoa(m.vm.UID))
	}
	return s.Script, files, nil
}

func (m *machine) token() (string, error) {
	password := ""
	if owner := m.tx.Users.Get(m.vm.UID); owner != nil {
		password = owner.Template.Get("TOKEN_PASSWORD")
	}
	return transfer.TokenText(m.vm, password)
}
