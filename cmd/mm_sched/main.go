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

// exitFailure is 4.6's exit status for what prevents the start.
const exitFailure = 255

func main() {
	if err := run(); err != nil {
		// 4.6 writes it on standard output, where the control script looks.
		fmt.Println(err)
		os.Exit(exitFailure)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	location, set := os.LookupEnv("ONE_LOCATION")
	dirs, err := config.LookDirs(location, set)
	if err != nil {
		return err
	}
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
	oned := sched.NewOned(fmt.Sprintf("http://localhost:%d/RPC2", conf.Port), session, conf.MessageSize)
	defer oned.Close()
	if err := sched.New(conf, oned, log, time.Now).Run(ctx); err != nil {
		log.Close()
		return err
	}
	return log.Close()
}
