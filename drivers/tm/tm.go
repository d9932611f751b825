// Package tm holds the messages between oned and the TM_MAD driver: the
// request, the lines of transfer scripts and the texts for answers.
package tm

import (
	"fmt"
	"strconv"
	"strings"
)

// TransferLine asks the driver to run the transfer script of a VM.
func TransferLine(vmid int, script string) string {
	return "TRANSFER " + strconv.Itoa(vmid) + " " + script
}

// FailureText is what 4.6 writes to the VM's log (tag TM, level E) and, with
// an info text, into its ERROR.
func FailureText(info string) string {
	const text = "Error executing image transfer script"
	if info == "" {
		return text
	}
	return text + ": " + info
}

// Command is one line of a transfer script.
type Command struct {
	// Name is the script to run, in upper case: CLONE, LN, MV, MVDS, CPDS,
	// DELETE, MKSWAP, MKIMAGE, CONTEXT, MIGRATE.
	Name string
	// Driver is the TM driver, a directory below remotes/tm.
	Driver string
	// Args come between the driver and the ids.
	Args []string
	VMID int
	DSID int
}

// String is the line without its line feed: fields separated by one blank,
// those of Args as they are.
func (c Command) String() string {
	var b strings.Builder
	b.WriteString(c.Name + " " + c.Driver)
	for _, a := range c.Args {
		b.WriteString(" " + strings.ReplaceAll(a, "\n", " "))
	}
	fmt.Fprintf(&b, " %d %d", c.VMID, c.DSID)
	return b.String()
}

// Script is a transfer script: one command per line, in order. An empty one is
// sent to the driver as well (4.6).
func Script(commands []Command) string {
	var b strings.Builder
	for _, c := range commands {
		b.WriteString(c.String() + "\n")
	}
	return b.String()
}

// At is a path on a host, as transfer scripts write it. A path that names its
// host already is kept.
func At(host, path string) string {
	if strings.Contains(path, ":") {
		return path
	}
	return host + ":" + path
}
