// Command mm_sched is the scheduler of a cloud: it places the machines that
// wait, through oned's XML-RPC interface.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"goned/core/config"
	"goned/sched"
)

const usage = `Usage: mm_sched                            run the scheduler
       mm_sched explain VMID              why a machine gets its place, or none
       mm_sched explain -pool FILE VMID   the same on a saved snapshot, offline
       mm_sched snapshot FILE             save what the scheduler sees now`

// usageError is a command line that can't be understood.
type usageError struct{}

func (usageError) Error() string { return usage }

// exitFailure is 4.6's exit status for what prevents the start.
const exitFailure = 255

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		// 4.6 writes it on standard output.
		fmt.Println(err)
		os.Exit(exitFailure)
	}
}

func run(ctx context.Context, args []string) error {
	location, set := os.LookupEnv("ONE_LOCATION")
	dirs, err := config.LookDirs(location, set)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		return serve(ctx, dirs)
	}
	switch args[0] {
	case "explain":
		return explain(ctx, dirs, args[1:])
	case "snapshot":
		return snapshot(ctx, dirs, args[1:])
	case "-h", "--help", "help":
		fmt.Println(usage)
		return nil
	}
	return usageError{}
}

// serve runs the scheduler until ctx ends.
func serve(ctx context.Context, dirs config.Dirs) error {
	conf, err := sched.LoadConfig(dirs.Etc + "sched.conf")
	if err != nil {
		return err
	}
	session, err := sched.ReadSession()
	if err != nil {
		return err
	}
	log, err := sched.OpenLog(conf, dirs.Log+"sched.log", time.Now)
	if err != nil {
		return err
	}
	oned := sched.NewOned(conf.Endpoint(), session, conf.MessageSize)
	defer oned.Close()
	sched.New(conf, oned, log, time.Now).Run(ctx)
	return log.Close()
}
