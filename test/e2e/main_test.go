// Package e2e tests the programs as they are shipped: it builds them, installs
// them into a directory as "make install" does, and drives clouds of their own
// through the XML-RPC interface, signals and the file system.
package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// installed is the directory that share/scripts/install.sh has filled once for
// all tests. Clouds link to its drivers.
var installed string

// buildFlags are those of the programs; with the race detector in the tests they have it too.
var buildFlags []string

func TestMain(m *testing.M) {
	if runScriptedDriver(os.Args[1:]) {
		return
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "goned-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	installed = filepath.Join(dir, "one")
	root := filepath.Join("..", "..")
	for _, args := range [][]string{
		slices.Concat([]string{"go", "build", "-o", filepath.Join(dir, "bin") + "/"}, buildFlags, []string{"./cmd/..."}),
		{"sh", "share/scripts/install.sh", filepath.Join(dir, "bin"), installed},
	} {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%v: %v\n%s", args, err, out)
			return 1
		}
	}
	return m.Run()
}
