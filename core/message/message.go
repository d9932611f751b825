// Package message is what the core asks of the world outside when a transaction has been committed: driver actions, files to
// write, hooks to run, lines to log. Messages are plain data, complete in themselves, so that whoever carries them out needs no
// look at the state, which may have moved on.
package message

// Level is a log level of 4.6.
type Level int

// The levels.
const (
	Error Level = iota
	Warning
	Info
	Debug
)

// OnedLog is the VM number of lines that go to oned.log.
const OnedLog = -1

// Log is a line for oned.log or for a VM's own log.
type Log struct {
	VM     int    // OnedLog or the VM whose log it is
	Module string // "DiM", "LCM", "VMM", …
	Level  Level
	Text   string
}

// VMAction asks a virtual machine driver for an action on a VM.
type VMAction struct {
	Action string // DEPLOY, SHUTDOWN, … as in the driver protocol
	VM     int
	Driver string // VMM_MAD name
	// Host is where the VM is, MigrHost where it goes or what has to be cleaned too; each with its network driver.
	Host, NetDriver, MigrHost, MigrNetDriver string
	DeployID                                 string
	LocalFile, RemoteFile                    string // deployment file on front-end and host
	Checkpoint                               string
	TMCommand, TMRollback                    string // transfer commands that go with the action
	DiskTarget                               string
	Document                                 string // the VM's XML with its last history record
	// HostTemplate is the host's TEMPLATE element; deployment files take host values from it.
	HostTemplate string
	// Deployment asks for LocalFile to be written from Document before the action is sent.
	Deployment bool
}

// CancelVMAction tells a virtual machine driver to give up what it does for a VM.
type CancelVMAction struct {
	VM     int
	Driver string
}

// File is a file that has to be there before a message is sent.
type File struct {
	Path    string
	Content string
}

// Transfer asks the transfer driver to run a script.
type Transfer struct {
	VM     int
	Path   string // of the script
	Script string
	Files  []File // context.sh and the like, written first
}

// CancelTransfer tells the transfer driver to give up what it does for a VM.
type CancelTransfer struct{ VM int }

// VMDirectory asks for a VM's directory and log to be made.
type VMDirectory struct{ VM int }

// ImageAction asks the datastore driver for an action on an image.
type ImageAction struct {
	Action    string // CP, MKFS, CLONE, RM
	Image     int
	Datastore int
	ImageXML  string
	DSXML     string
}

// MonitorDatastore asks the datastore driver for the sizes of a datastore.
type MonitorDatastore struct {
	Datastore int
	DSXML     string
}

// MonitorHost asks an information driver for the figures of a host.
type MonitorHost struct {
	Host       int
	Name       string
	Driver     string // IM_MAD name
	DSLocation string
	First      bool // never monitored before: the driver copies its scripts
}

// StopMonitor tells an information driver that a host is gone.
type StopMonitor struct {
	Host   int
	Name   string
	Driver string
}

// Hook asks for a hook to be run.
type Hook struct {
	Object    int
	Name      string
	Host      string // "" for the front-end
	Command   string
	Arguments string
	Stdin     string // what the hook reads; empty unless its definition asks for it
	// VM is the VM whose log gets the result, OnedLog for hooks of other objects.
	VM int
}
