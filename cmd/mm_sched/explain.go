package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"

	"goned/core/config"
	"goned/core/match"
	"goned/sched"
)

// explain tells why a machine gets the place it gets, or none.
func explain(ctx context.Context, dirs config.Dirs, args []string) error {
	flags := flag.NewFlagSet("mm_sched explain", flag.ContinueOnError)
	file := flags.String("pool", "", "read a saved snapshot instead of asking oned")
	if err := flags.Parse(args); err != nil {
		return usageError{}
	}
	id, err := strconv.Atoi(flags.Arg(0))
	if err != nil || flags.NArg() != 1 || id < 0 {
		return usageError{}
	}
	conf, err := explainConfig(dirs, *file != "")
	if err != nil {
		return err
	}
	pools, err := readPools(ctx, conf, *file)
	if err != nil {
		return err
	}
	explanation, err := match.Explain(pools, conf.Policy, conf.MaxVM, id)
	if err != nil {
		return err
	}
	return explanation.WriteText(os.Stdout)
}

// explainConfig reads sched.conf for its policies and limits. Offline there may
// be none: then 4.6's defaults count.
func explainConfig(dirs config.Dirs, offline bool) (*sched.Config, error) {
	path := dirs.Etc + "sched.conf"
	if _, err := os.Stat(path); offline && errors.Is(err, os.ErrNotExist) {
		fmt.Fprintln(os.Stderr, "No "+path+": the defaults of sched.conf count.")
		return sched.ParseConfig("")
	}
	return sched.LoadConfig(path)
}

func readPools(ctx context.Context, conf *sched.Config, file string) (*match.Pools, error) {
	if file == "" {
		text, err := fetchSnapshot(ctx, conf)
		if err != nil {
			return nil, err
		}
		return match.ParsePools(text)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pools, err := match.ParsePools(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return pools, nil
}

func fetchSnapshot(ctx context.Context, conf *sched.Config) (string, error) {
	session, err := sched.ReadSession()
	if err != nil {
		return "", err
	}
	oned := sched.NewOned(conf.Endpoint(), session, conf.MessageSize)
	defer oned.Close()
	return sched.FetchSnapshot(ctx, oned)
}

// snapshot saves what a pass would decide on, for explain -pool.
func snapshot(ctx context.Context, dirs config.Dirs, args []string) error {
	if len(args) != 1 {
		return usageError{}
	}
	conf, err := sched.LoadConfig(dirs.Etc + "sched.conf")
	if err != nil {
		return err
	}
	text, err := fetchSnapshot(ctx, conf)
	if err != nil {
		return err
	}
	// Templates hold what users put there, passwords included.
	return os.WriteFile(args[0], []byte(text), 0o600)
}
