// Package driverstest runs the driver scripts as an installation has them: it
// builds the programs, installs them as "make install" does, and drives the
// scripts through an oned of its own, over ssh to an sshd of its own, and
// through the check that sites run on their drivers.
package driverstest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// installed is the directory that share/scripts/install.sh has filled once for
// all tests.
var installed string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "goned-drivers-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	installed = filepath.Join(dir, "one")
	for _, args := range [][]string{
		{"go", "build", "-o", filepath.Join(dir, "bin") + "/", "./cmd/oned", "./cmd/onemad", "./cmd/mm_sched", "./cmd/onevnc"},
		{"sh", "share/scripts/install.sh", filepath.Join(dir, "bin"), installed},
	} {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = filepath.Join("..", "..")
		if out, err := cmd.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%v: %v\n%s", args, err, out)
			return 1
		}
	}
	return m.Run()
}
