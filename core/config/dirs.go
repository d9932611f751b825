package config

import (
	"errors"
	"strings"
)

// Dirs are the directories of an installation, each with a trailing slash, as 4.6 keeps them: paths that are built from them
// show a double slash to clients, which depend on it.
type Dirs struct {
	Root    string // ONE_LOCATION with its slash, "" for a system-wide installation
	Etc     string
	Log     string
	Var     string
	Bin     string
	Mads    string // driver executables
	Remotes string // scripts that are copied to hosts
	VMs     string // one directory per VM
	Lock    string // the lock file
}

// LookDirs gives the layout for the value of ONE_LOCATION and whether it is set at all.
func LookDirs(location string, set bool) (Dirs, error) {
	if !set {
		return Dirs{
			Etc: "/etc/one/", Log: "/var/log/one/", Var: "/var/lib/one/", Bin: "/usr/bin/", Mads: "/usr/lib/one/mads/",
			Remotes: "/var/lib/one/remotes/", VMs: "/var/lib/one/vms/", Lock: "/var/lock/one/one",
		}, nil
	}
	if location == "" {
		return Dirs{}, errors.New("ONE_LOCATION is set but empty")
	}
	if !strings.HasSuffix(location, "/") {
		location += "/"
	}
	return Dirs{
		Root: location, Etc: location + "etc/", Log: location + "var/", Var: location + "var/", Bin: location + "bin/",
		Mads: location + "lib/mads/", Remotes: location + "var/remotes/", VMs: location + "var/vms/", Lock: location + "var/.lock",
	}, nil
}

// VMLog is the path of a VM's log.
func (d Dirs) VMLog(id string) string {
	if d.Root == "" {
		return d.Log + id + ".log"
	}
	return d.VMs + id + "/vm.log"
}
