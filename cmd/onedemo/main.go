// Command onedemo is behind "make run": it makes a small cloud out of an
// installation in a directory of its own, starts it, and brings up a first
// virtual machine. All it does with the cloud goes through the XML-RPC
// interface.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

const usage = `Usage: onedemo up DIRECTORY      start the cloud, with a machine that runs
       onedemo down DIRECTORY    put its machines aside and stop it

DIRECTORY is a self-contained installation (ONE_LOCATION).
`

// limit bounds each command.
const limit = 5 * time.Minute

var errUsage = errors.New(usage)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := run(ctx, os.Args[1:], os.Stdout)
	switch {
	case err == nil:
	case errors.Is(err, errUsage):
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	default:
		fmt.Fprintf(os.Stderr, "onedemo: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) != 2 {
		return errUsage
	}
	// Scripts compare paths after links are resolved.
	dir, err := filepath.EvalSymlinks(args[1])
	if err == nil {
		dir, err = filepath.Abs(dir)
	}
	if err != nil {
		return err
	}
	c := &cloud{dir: dir, out: out}
	switch args[0] {
	case "up":
		return c.up(ctx)
	case "down":
		return c.down(ctx)
	}
	return errUsage
}
