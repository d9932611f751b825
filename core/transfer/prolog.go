package transfer

import (
	"fmt"
	"strconv"
	"strings"

	"goned/core/template"
	"goned/core/vm"
)

// FrontEnd is what scripts need to know of the machine the daemon runs on.
type FrontEnd struct {
	// Host is its name, as gethostname gives it.
	Host string
	// Dir is the VM's directory there: context.sh and token.txt are in it.
	Dir string
}

// ContextFile is the path of the VM's context file.
func (f FrontEnd) ContextFile() string { return f.Dir + "/context.sh" }

// TokenFile is the path of the VM's token file.
func (f FrontEnd) TokenFile() string { return f.Dir + "/token.txt" }

// PrologScript is the script that brings a VM's disks to its host, and what has to happen along with it.
type PrologScript struct {
	Script
	// Kernel and Initrd are the paths on the host that OS/KERNEL and OS/INITRD are to be set to, empty to leave them.
	Kernel, Initrd string
	// HasContext says that context.sh is to be written, HasToken that token.txt is.
	HasContext, HasToken bool
}

// Prolog is the script that brings a new VM's disks, kernel, RAM disk and context to its host.
func Prolog(v *vm.VM, fe FrontEnd) (PrologScript, error) {
	cur := v.Current()
	if cur == nil {
		return PrologScript{}, Error(fmt.Sprintf("VM %d has no history", v.ID))
	}
	p, err := open(v, "prolog, ")
	if err != nil {
		return PrologScript{}, err
	}
	var s script
	for _, disk := range v.Template.Vectors("DISK") {
		text, warning, err := prologCommand(v.ID, p, fe.Host, disk)
		if err != nil {
			return PrologScript{}, err
		}
		if warning != "" {
			s.warnings = append(s.warnings, warning+", skipping")
		}
		s.text.WriteString(text)
	}
	var out PrologScript
	if all := v.Template.All("OS"); len(all) > 0 {
		if out.Kernel, err = bootFile(&s, v.ID, p, fe.Host, all[0].Vec, "KERNEL"); err != nil {
			return PrologScript{}, err
		}
		if out.Initrd, err = bootFile(&s, v.ID, p, fe.Host, all[0].Vec, "INITRD"); err != nil {
			return PrologScript{}, err
		}
	}
	if context := contextOf(v); context != nil {
		out.HasContext = true
		out.HasToken, _ = context.Bool("TOKEN")
		if err := contextLine(&s, v.ID, p, fe, context); err != nil {
			return PrologScript{}, err
		}
	}
	out.Script = s.done()
	return out, nil
}

// prologCommand is the prolog line of one disk, empty for a volatile one without size, of which warning tells.
func prologCommand(vid int, p place, frontEnd string, disk *template.Vector) (text, warning string, err error) {
	target := p.disk(diskID(disk))
	id, system := strconv.Itoa(vid), strconv.Itoa(p.ds)
	if vm.IsVolatile(disk) {
		return volatileCommand(p.tm, disk, target, id, system)
	}
	source, tm, clone, ds := disk.Get("SOURCE"), disk.Get("TM_MAD"), disk.Get("CLONE"), disk.Get("DATASTORE_ID")
	if source == "" || tm == "" || clone == "" || ds == "" {
		return "", "", Error(fmt.Sprintf(
			"missing DISK mandatory attributes (SOURCE, TM_MAD, CLONE, DATASTORE_ID) for VM %d, DISK %s", vid, disk.Get("DISK_ID")))
	}
	verb := "LN"
	if strings.EqualFold(clone, "YES") {
		verb = "CLONE"
	}
	// A source with a colon is in a form that only its driver understands.
	if !strings.Contains(source, ":") {
		source = frontEnd + ":" + source
	}
	text, err = command(verb, tm, source, target, id, ds)
	return text, "", err
}

func volatileCommand(tm string, disk *template.Vector, target, vid, system string) (text, warning string, err error) {
	size := disk.Get("SIZE")
	if err := oneWord("SIZE", size); err != nil {
		return "", "", err
	}
	if strings.EqualFold(disk.Get("TYPE"), "SWAP") {
		if size == "" {
			return "", "No size in swap image", nil
		}
		text, err = command("MKSWAP", tm, size, target, vid, system)
		return text, "", err
	}
	if size == "" {
		return "", "No size in FS", nil
	}
	format := disk.Get("FORMAT")
	if err := oneWord("FORMAT", format); err != nil {
		return "", "", err
	}
	if format == "" {
		format = "raw"
	}
	text, err = command("MKIMAGE", tm, size, format, target, vid, system)
	return text, "", err
}

// oneWord refuses a value that any user may write and that would come out as several arguments of the driver.
func oneWord(name, value string) error {
	if strings.ContainsAny(value, " \t\r\n") {
		return Error(fmt.Sprintf("white space in %s of a DISK: %q", name, value))
	}
	return nil
}

// bootFile writes the line for a kernel or RAM disk out of a file datastore and gives its path on the host, "" when the VM has none.
func bootFile(s *script, vid int, p place, frontEnd string, os *template.Vector, base string) (string, error) {
	source, ds, tm := os.Get(base+"_DS_SOURCE"), os.Get(base+"_DS_DSID"), os.Get(base+"_DS_TM")
	if os.Get(base+"_DS") == "" || source == "" || ds == "" || tm == "" {
		return "", nil
	}
	path := p.dir + "/" + strings.ToLower(base)
	return path, s.line("CLONE", tm, frontEnd+":"+source, p.host+":"+path, strconv.Itoa(vid), ds)
}

func contextLine(s *script, vid int, p place, fe FrontEnd, context *template.Vector) error {
	files := context.Get("FILES")
	if ds := context.Get("FILES_DS"); ds != "" {
		files += " " + ds
	}
	files = strings.ReplaceAll(files, "\n", " ")
	if token, _ := context.Bool("TOKEN"); token {
		files += " " + fe.TokenFile()
	}
	fields := []string{"CONTEXT", p.tm, fe.ContextFile()}
	if files != "" {
		fields = append(fields, files)
	}
	return s.line(append(fields, p.disk(diskID(context)), strconv.Itoa(vid), strconv.Itoa(p.ds))...)
}

// Attach is the command that brings a disk to the host of a running VM, and the one that takes it away again. warning tells of a
// volatile disk without size, for which there is no command.
func Attach(v *vm.VM, disk *template.Vector, frontEnd string) (do, undo, warning string, err error) {
	cur := v.Current()
	if cur == nil {
		return "", "", "", Error("attach_action, VM has no history")
	}
	p := currentPlace(cur)
	if do, warning, err = prologCommand(v.ID, p, frontEnd, disk); err != nil {
		return "", "", "", err
	}
	undo, _, err = epilogCommand(v.ID, p, disk)
	return do, undo, warning, err
}

// Detach is the command that takes a disk away from the host of a running VM. problem tells why a disk is not saved.
func Detach(v *vm.VM, disk *template.Vector) (text, problem string, err error) {
	cur := v.Current()
	if cur == nil {
		return "", "", Error("detach_action, VM has no history")
	}
	return epilogCommand(v.ID, currentPlace(cur), disk)
}

// LiveMigration is the command that accompanies a live migration; the VM driver completes it to PREMIGRATE and POSTMIGRATE.
func LiveMigration(v *vm.VM) (string, error) {
	prev := v.Previous()
	if prev == nil {
		return "", Error("migrate_action, VM has no history")
	}
	p := currentPlace(v.Current())
	return command("MIGRATE", p.tm, prev.Hostname, p.host, p.dir, strconv.Itoa(v.ID), strconv.Itoa(p.ds))
}
