package e2e

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"strings"
	"time"
)

// The test binary is a driver too: another implementation of the line protocol
// than the stock drivers, with which it shares no code. oned.conf starts it with
//
//	ARGUMENTS = "scripted-driver KIND [noisy] [gate=FILE]"
//
// which arrives as one word. A noisy driver says what no driver should say; one
// with a gate does not deploy a machine before FILE is there.
const scriptedDriver = "scripted-driver"

// runScriptedDriver is the driver's life; false when args ask for something else.
func runScriptedDriver(args []string) bool {
	if len(args) != 1 {
		return false
	}
	words := strings.Fields(args[0])
	if len(words) < 2 || words[0] != scriptedDriver {
		return false
	}
	d := driver{kind: words[1]}
	for _, option := range words[2:] {
		if option == "noisy" {
			d.noisy = true
		} else {
			d.gate = strings.TrimPrefix(option, "gate=")
		}
	}
	d.serve()
	return true
}

type driver struct {
	kind  string
	noisy bool
	gate  string
}

func (d *driver) serve() {
	in := bufio.NewReader(os.Stdin)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		words := append(strings.Fields(line), "", "", "")
		switch words[0] {
		case "INIT":
			say("INIT SUCCESS I am scripted\n")
			if d.noisy && d.kind == "vmm" { // one of them will do
				d.shout()
			}
		case "FINALIZE":
			return
		case "DRIVER_CANCEL", "STOPMONITOR":
		default:
			d.answer(words[0], words[1], words[2])
		}
	}
}

// answer does nothing and says that it is done.
func (d *driver) answer(action, id, argument string) {
	var info string
	switch d.kind + " " + action {
	case "vmm DEPLOY":
		info = "scripted-" + id
		for d.gate != "" {
			if _, err := os.Stat(d.gate); err == nil {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
	case "vmm POLL":
		info = "STATE=a USEDCPU=1.5 USEDMEMORY=1024 NETRX=1 NETTX=2"
	case "im MONITOR":
		info = encode("HYPERVISOR=scripted\nHOSTNAME=" + argument + "\nTOTALCPU=800\nUSEDCPU=0\nFREECPU=800\n" +
			"TOTALMEMORY=16777216\nUSEDMEMORY=0\nFREEMEMORY=16777216\n")
	case "datastore STAT":
		info = "1024"
	case "datastore MONITOR":
		info = encode("USED_MB=1\nTOTAL_MB=100000\nFREE_MB=99999\n")
	case "datastore CP", "datastore MKFS", "datastore CLONE":
		info = "dummy_path"
	}
	answer := action + " SUCCESS " + id + " " + info + "\n"
	if !d.noisy {
		say(answer)
		return
	}
	for _, nonsense := range []string{
		"\n", "  \n", "x\n", action + "\n", action + " SUCCESS\n", action + " SUCCESS seven " + info + "\n",
		action + " SUCCESS 99999 " + info + "\n", action + " FAILURE -1 no\n", "EXPLODE SUCCESS " + id + " bang\n",
		"LOG\n", "LOG X\n", "LOG I 99999 a machine that is not there\n", "LOG W - \xff\xfe\x00\x01\n",
		"\xff\xfe\x00 SUCCESS " + id + "\n", "INIT SUCCESS\n", "<xml>" + id + "</xml>\r\n",
	} {
		say(nonsense)
	}
	// Half a line, a pause that is an eternity for a program, and the other half.
	half := len(answer) / 2
	say(answer[:half])
	time.Sleep(40 * time.Millisecond)
	say(answer[half:])
}

// shout fills the pipe with what is no message.
func (d *driver) shout() {
	say(strings.Repeat("A", 70<<20) + "\n") // longer than any line may be
	say(strings.Repeat("word ", 200<<10) + "\n")
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	say(string(bytes.Repeat(all, 4096)) + "\n")
}

func encode(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

func say(text string) {
	if _, err := os.Stdout.WriteString(text); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
