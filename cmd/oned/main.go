// Command oned is the daemon: a drop-in replacement for OpenNebula 4.6's oned.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"

	"goned/core/config"
)

const (
	version = `Copyright 2002-2014, OpenNebula Project (OpenNebula.org), C12G Labs (interface and database formats)
goned, an independent implementation

OpenNebula 4.6.2 is distributed and licensed for use under the terms of the
Apache License, Version 2.0 (http://www.apache.org/licenses/LICENSE-2.0).
`
	usage = `Usage: oned [-h] [-v] [-f] [-i] [-c FILE]
`
	help = usage + `
SYNOPSIS
  Starts the cloud daemon.

OPTIONS
	-v, --version	version information
	-h, --help	this text
	-f, --foreground	stay in the foreground
	-i, --init-db	prepare the database and exit
	-c, --config FILE	read FILE instead of oned.conf in the configuration directory
`
)

// options is the parsed command line.
type options struct {
	foreground bool
	initDB     bool
	config     string
}

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	o, code, done := parseArgs(args, stdout, stderr)
	if done {
		return code
	}
	location, set := os.LookupEnv("ONE_LOCATION")
	dirs, err := config.LookDirs(location, set)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 255
	}
	if o.config == "" {
		o.config = dirs.Etc + "oned.conf"
	}
	if o.initDB {
		return initDB(o, dirs, stdout, stderr)
	}
	locked := func() int {
		fmt.Fprintf(stderr, "Error: Cannot start oned, opening lock file %s\n", dirs.Lock)
		return 255
	}
	if !o.foreground {
		if lockTaken(dirs.Lock) {
			return locked()
		}
		return detach(args, stderr)
	}
	lock, err := takeLock(dirs.Lock)
	if err != nil {
		return locked()
	}
	defer lock.release() // the process ends: nothing is left to do about an error
	if err := serve(o, dirs); err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	return 0
}

// parseArgs reads the command line from left to right: -v and -h act at once, as in 4.6.
func parseArgs(args []string, stdout, stderr io.Writer) (o options, code int, done bool) {
	for i := 0; i < len(args); i++ {
		switch args[i] {
		case "-v", "--version":
			io.WriteString(stdout, version)
			return o, 0, true
		case "-h", "--help":
			io.WriteString(stdout, help)
			return o, 0, true
		case "-i", "--init-db":
			o.initDB = true
		case "-f", "--foreground":
			o.foreground = true
		case "-c", "--config":
			i++
			if i >= len(args) {
				io.WriteString(stderr, "oned: option requires an argument -- 'c'\n"+usage)
				return o, 255, true
			}
			o.config = args[i]
		default:
			fmt.Fprintf(stderr, "oned: unrecognized option '%s'\n%s", args[i], usage)
			return o, 255, true
		}
	}
	return o, 0, false
}

// detach starts the daemon again as leader of a session of its own and returns at once. (A Go program cannot fork.)
func detach(args []string, stderr io.Writer) int {
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 255
	}
	cmd := exec.Command(self, append(args, "-f")...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(stderr, err)
		return 255
	}
	if err := cmd.Process.Release(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		fmt.Fprintln(stderr, err)
	}
	return 0
}
