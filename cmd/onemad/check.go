package main

import (
	"context"
	"errors"
	"flag"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"goned/drivers/agent/check"
)

// runCheck is `onemad check DIR`: it judges a driver directory.
func runCheck(args []string) error {
	flags := flag.NewFlagSet("check", flag.ContinueOnError)
	remotes := flags.String("remotes", "", "script tree to put the directory into (default: the one it lies in)")
	timeout := flags.Duration("timeout", time.Minute, "how long one request may take")
	quick := flags.Bool("quick", false, "try two values instead of one of each sort")
	only := flags.String("only", "", "names of the scripts to run, separated by commas (default: all)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return errors.New("usage: onemad check [-quick] [-only SCRIPT,…] [-remotes DIR] [-timeout T] DIR…")
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var scripts []string
	if *only != "" {
		scripts = strings.Split(*only, ",")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	var problems error
	for _, dir := range flags.Args() {
		err := check.Run(ctx, check.Options{Dir: dir, Remotes: *remotes, Program: self, Timeout: *timeout, Quick: *quick, Only: scripts, Out: os.Stdout})
		problems = errors.Join(problems, err)
	}
	return problems
}
