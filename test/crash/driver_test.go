package crash

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// The test binary is also the driver of every kind. oned.conf starts it with
//
//	ARGUMENTS = "crash-driver KIND [MODE]"
//
// Modes: without one it always answers well and at once; "unsteady" answers after a moment, sometimes badly, sometimes never;
// a "silent" TM driver never answers for VM 0; "deaf" says that it is there and then reads nothing. Any other mode is a directory:
// what is asked while it has a file named after the kind of driver is never answered, but noted in a file KIND-ID; "report" is what
// hosts say besides.
const driverWord = "crash-driver"

// runDriver is the driver's life; false when the program was not started as one.
func runDriver(args []string) bool {
	if len(args) != 1 {
		return false
	}
	words := strings.Fields(args[0])
	if len(words) < 2 || words[0] != driverWord {
		return false
	}
	d := &driver{kind: words[1]}
	if len(words) > 2 {
		d.mode = words[2]
	}
	d.serve()
	return true
}

type driver struct {
	kind, mode string
	mu         sync.Mutex // guards standard output
}

func (d *driver) say(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := os.Stdout.WriteString(line + "\n"); err != nil {
		os.Exit(1)
	}
}

func (d *driver) serve() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		words := append(strings.Fields(line), "", "", "")
		switch words[0] {
		case "INIT":
			d.say("INIT SUCCESS")
			if d.mode == "deaf" {
				for parent := os.Getppid(); os.Getppid() == parent; time.Sleep(100 * time.Millisecond) {
				}
				return // it would not hear that oned has ended
			}
		case "FINALIZE":
			return
		case "DRIVER_CANCEL", "STOPMONITOR":
		default:
			d.take(words[0], words[1])
		}
	}
}

func (d *driver) take(action, id string) {
	if d.mode == "silent" && d.kind == "tm" && id == "0" {
		return
	}
	if filepath.IsAbs(d.mode) && d.isSilent(action, id) {
		return
	}
	answer := action + " SUCCESS " + id + " " + d.info(action, id)
	if d.mode != "unsteady" || action == "STAT" || action == "MONITOR" {
		d.say(answer)
		return
	}
	switch n := rand.IntN(100); {
	case n < 2:
		return
	case n < 10:
		answer = action + " FAILURE " + id + " it broke"
	}
	wait := time.Duration(rand.IntN(30)) * time.Millisecond
	time.AfterFunc(wait, func() { d.say(answer) })
}

// isSilent reports whether a request is one that is not answered, and notes it.
func (d *driver) isSilent(action, id string) bool {
	switch _, err := os.Stat(filepath.Join(d.mode, d.kind)); {
	case err != nil, action == "STAT", action == "MONITOR", action == "POLL":
		return false
	}
	return os.WriteFile(filepath.Join(d.mode, d.kind+"-"+id), nil, 0o600) == nil
}

func (d *driver) info(action, id string) string {
	switch d.kind + " " + action {
	case "vmm DEPLOY":
		return "one-" + id
	case "vmm POLL":
		return "STATE=a USEDCPU=1.5 USEDMEMORY=1024 NETRX=1 NETTX=2"
	case "im MONITOR":
		report, _ := os.ReadFile(filepath.Join(d.mode, "report")) // there is none mostly
		return encoded(string(report) + "HYPERVISOR=dummy\nTOTALCPU=80000\nUSEDCPU=0\nFREECPU=80000\nTOTALMEMORY=167772160\nUSEDMEMORY=0\nFREEMEMORY=167772160\n")
	case "datastore STAT":
		return "10"
	case "datastore MONITOR":
		return encoded("USED_MB=1\nTOTAL_MB=10000000\nFREE_MB=9999999\n")
	case "datastore CP", "datastore MKFS", "datastore CLONE":
		return "/images/" + id
	}
	return "-"
}

func encoded(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// driverConf is the part of oned.conf that starts this program as all drivers, in one mode. VM_MADs of other modes are given by name.
func driverConf(mode string, vmms ...string) string {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	mad := func(name, attributes, kind, mode string) string {
		return fmt.Sprintf("%s = [ %sEXECUTABLE = %q, ARGUMENTS = \"%s %s %s\" ]\n", name, attributes, self, driverWord, kind, mode)
	}
	ofHosts := ""
	if filepath.IsAbs(mode) {
		ofHosts = mode
	}
	text := mad("IM_MAD", `NAME = "dummy", `, "im", ofHosts) + mad("TM_MAD", "", "tm", mode) + mad("DATASTORE_MAD", "", "datastore", mode) +
		mad("HM_MAD", "", "hm", "") + mad("VM_MAD", `NAME = "dummy", TYPE = "xml", `, "vmm", mode)
	for _, other := range vmms {
		text += mad("VM_MAD", `NAME = "`+other+`", TYPE = "xml", `, "vmm", other)
	}
	return text
}
