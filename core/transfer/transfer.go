// Package transfer writes the scripts and commands by which the transfer drivers move the disks of VMs, and the files that go
// along with them. Everything here is computed from the VM; nothing is read or written.
package transfer

import (
	"fmt"
	"strconv"
	"strings"

	"goned/core/template"
	"goned/core/vm"
)

// Error is a script that cannot be made; the text is 4.6's, for the VM's log under TM.
type Error string

func (e Error) Error() string { return string(e) }

// Script is the text of a transfer script.
type Script struct {
	Text string
	// Warnings and Errors are texts for the VM's log about disks that were left out; the script stands nevertheless.
	Warnings, Errors []string
}

// script builds a Script for one VM.
type script struct {
	text             strings.Builder
	warnings, errors []string
}

func (s *script) done() Script {
	return Script{Text: s.text.String(), Warnings: s.warnings, Errors: s.errors}
}

// line writes one command. Fields come from templates that users write: none may end the line and begin another command.
func (s *script) line(fields ...string) error {
	text, err := command(fields...)
	if err == nil {
		s.text.WriteString(text)
	}
	return err
}

func command(fields ...string) (string, error) {
	text := strings.Join(fields, " ")
	if i := strings.IndexAny(text, "\n\r\x00"); i >= 0 {
		return "", Error(fmt.Sprintf("line end in a transfer command: %q", text[:i]))
	}
	return text + "\n", nil
}

// place is one end of a transfer: a host and the system datastore that the VM's directory there belongs to.
type place struct {
	host string
	dir  string
	tm   string
	ds   int
}

func currentPlace(r *vm.Record) place {
	return place{host: r.Hostname, dir: r.RemoteDir(), tm: r.TMMAD, ds: r.DSID}
}

func (p place) directory() string { return p.host + ":" + p.dir }

func (p place) disk(id int) string { return p.directory() + "/disk." + strconv.Itoa(id) }

// at is the same directory on another host.
func (p place) at(host string) place {
	p.host = host
	return p
}

// open gives the VM's current place, or the errors that all scripts share; prefix is the script's name in their texts.
func open(v *vm.VM, prefix string) (place, error) {
	cur := v.Current()
	if cur == nil {
		return place{}, Error(fmt.Sprintf("%sVM %d has no history", prefix, v.ID))
	}
	if cur.TMMAD == "" {
		return place{}, Error(prefix + "error getting drivers.")
	}
	return currentPlace(cur), nil
}

// driverOf is the driver and datastore that a disk is moved by: those of the system datastore for volatile ones, else its own.
func driverOf(disk *template.Vector, p place) (tm, ds string, ok bool) {
	if vm.IsVolatile(disk) {
		return p.tm, strconv.Itoa(p.ds), true
	}
	id, ok := disk.Int32("DATASTORE_ID")
	tm = disk.Get("TM_MAD")
	return tm, strconv.Itoa(int(id)), ok && tm != ""
}

// diskID is a disk's number. 4.6 writes a disk without one under an undefined number; ours is 0.
func diskID(disk *template.Vector) int {
	id, _ := disk.Int32("DISK_ID")
	return int(id)
}

// Resume is the script that brings a stopped or undeployed VM from the front-end, given by its host name, to its host.
func Resume(v *vm.VM, frontEnd string) (Script, error) {
	p, err := open(v, "prolog_resume, ")
	if err != nil {
		return Script{}, err
	}
	return move(v, p, p.at(frontEnd), p)
}

// Migrate is the script that brings a saved VM from its previous host to its current one.
func Migrate(v *vm.VM) (Script, error) {
	p, err := open(v, "prolog_migr, ")
	if err != nil {
		return Script{}, err
	}
	prev := v.Previous()
	if prev == nil {
		return Script{}, Error(fmt.Sprintf("prolog_migr, VM %d has no history", v.ID))
	}
	return move(v, p, p.at(prev.Hostname), p)
}

// Stop is the script that brings a VM that is to be stopped or undeployed from its host to the front-end.
func Stop(v *vm.VM, frontEnd string) (Script, error) {
	p, err := open(v, "epilog_stop, ")
	if err != nil {
		return Script{}, err
	}
	return move(v, p, p, p.at(frontEnd))
}

func move(v *vm.VM, drivers, from, to place) (Script, error) {
	var s script
	vid := strconv.Itoa(v.ID)
	for _, disk := range v.Template.Vectors("DISK") {
		tm, ds, ok := driverOf(disk, drivers)
		if !ok {
			continue
		}
		id := diskID(disk)
		if err := s.line("MV", tm, from.disk(id), to.disk(id), vid, ds); err != nil {
			return Script{}, err
		}
	}
	err := s.line("MV", drivers.tm, from.directory(), to.directory(), vid, strconv.Itoa(drivers.ds))
	return s.done(), err
}

// Epilog is the script that saves what is to be kept of a VM that has ended, and deletes the rest.
func Epilog(v *vm.VM) (Script, error) {
	p, err := open(v, "epilog, ")
	if err != nil {
		return Script{}, err
	}
	var s script
	for _, disk := range v.Template.Vectors("DISK") {
		text, problem, err := epilogCommand(v.ID, p, disk)
		if err != nil {
			return Script{}, err
		}
		if problem != "" {
			s.errors = append(s.errors, problem)
		}
		s.text.WriteString(text)
	}
	err = s.line("DELETE", p.tm, p.directory(), strconv.Itoa(v.ID), strconv.Itoa(p.ds))
	return s.done(), err
}

// epilogCommand is the epilog line of one disk, empty for a disk that is left out; problem says why, when it should not have been.
func epilogCommand(vid int, p place, disk *template.Vector) (text, problem string, err error) {
	id := strconv.Itoa(vid)
	if save, _ := disk.Bool("SAVE"); !save {
		tm, ds, ok := driverOf(disk, p)
		if !ok {
			return "", "", nil
		}
		text, err = command("DELETE", tm, p.disk(diskID(disk)), id, ds)
		return text, "", err
	}
	tm, ds := disk.Get("TM_MAD"), disk.Get("DATASTORE_ID")
	if tm == "" || ds == "" {
		return "", "No DS_ID or TM_MAD to save disk image", nil
	}
	source := disk.Get("SAVE_AS_SOURCE")
	if source == "" {
		source = disk.Get("SOURCE")
	}
	if source == "" {
		return "", "No SOURCE to save disk image", nil
	}
	text, err = command("MVDS", tm, p.disk(diskID(disk)), source, id, ds)
	return text, "", err
}

// Delete is the script that deletes everything of the VM from its host.
func Delete(v *vm.VM) (Script, error) {
	p, err := deletePlace(v, v.Current())
	if err != nil {
		return Script{}, err
	}
	return deleteAll(v, p)
}

// DeleteLocal is the script that deletes everything of a stopped or undeployed VM from the front-end.
func DeleteLocal(v *vm.VM, frontEnd string) (Script, error) {
	p, err := deletePlace(v, v.Current())
	if err != nil {
		return Script{}, err
	}
	return deleteAll(v, p.at(frontEnd))
}

// DeletePrevious is the script that deletes everything of the VM from its previous host, in the directory of the current record.
func DeletePrevious(v *vm.VM) (Script, error) {
	p, err := previousPlace(v)
	if err != nil {
		return Script{}, err
	}
	return deleteAll(v, p)
}

// DeleteBoth is the script that deletes everything of the VM from its current and its previous host.
func DeleteBoth(v *vm.VM) (Script, error) {
	here, err := deletePlace(v, v.Current())
	if err != nil {
		return Script{}, err
	}
	there, err := previousPlace(v)
	if err != nil {
		return Script{}, err
	}
	return deleteAll(v, here, there)
}

// deletePlace is where a record says the VM is; without a driver nothing can be deleted there.
func deletePlace(v *vm.VM, r *vm.Record) (place, error) {
	if r == nil {
		return place{}, Error(fmt.Sprintf("epilog_delete, VM %d missing history record", v.ID))
	}
	if r.TMMAD == "" {
		return place{}, Error("epilog_delete, error getting drivers.")
	}
	return currentPlace(r), nil
}

func previousPlace(v *vm.VM) (place, error) {
	p, err := deletePlace(v, v.Previous())
	if err == nil {
		p.dir = v.Current().RemoteDir()
	}
	return p, err
}

func deleteAll(v *vm.VM, places ...place) (Script, error) {
	var s script
	vid := strconv.Itoa(v.ID)
	for _, p := range places {
		for _, disk := range v.Template.Vectors("DISK") {
			tm, ds, ok := driverOf(disk, p)
			if !ok {
				continue
			}
			if err := s.line("DELETE", tm, p.disk(diskID(disk)), vid, ds); err != nil {
				return Script{}, err
			}
		}
		if err := s.line("DELETE", p.tm, p.directory(), vid, strconv.Itoa(p.ds)); err != nil {
			return Script{}, err
		}
	}
	return s.done(), nil
}

// SaveHot is the script that copies the disk that is being saved into its new image.
func SaveHot(v *vm.VM) (Script, error) {
	cur := v.Current()
	if cur == nil {
		return Script{}, Error("The VM has no history")
	}
	disk := v.HotSavingDisk()
	if disk == nil {
		return Script{}, Error("Could not get disk information to saveas it")
	}
	tm, ds := disk.Get("TM_MAD"), disk.Get("DATASTORE_ID")
	if tm == "" || ds == "" {
		return Script{}, Error("No DS_ID or TM_MAD to save disk image")
	}
	source := disk.Get("HOTPLUG_SAVE_AS_SOURCE")
	if source == "" {
		return Script{}, Error("No SOURCE to save disk image")
	}
	var s script
	err := s.line("CPDS", tm, currentPlace(cur).disk(diskID(disk)), source, strconv.Itoa(v.ID), ds)
	return s.done(), err
}
