// Onevnc connects browsers to the consoles of virtual machines. It takes the
// command line of websockify, so that the start line of an existing
// installation works with the program's name changed; "onevnc open VMID" writes
// a token and prints the URL of a console for those without Sunstone.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// usageError is a mistake in the command line; it ends the program with status 2, as websockify does.
type usageError struct{ error }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	var ue usageError
	switch {
	case err == nil:
	case errors.As(err, &ue):
		fmt.Fprintf(os.Stderr, "onevnc: %v\nTry \"onevnc --help\".\n", err)
		os.Exit(2)
	default:
		fmt.Fprintf(os.Stderr, "onevnc: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) > 0 && args[0] == "open" {
		return runOpen(ctx, args[1:], stdout, stderr)
	}
	o, err := parseOptions(args)
	if errors.Is(err, errHelp) {
		fmt.Fprint(stdout, usage)
		return nil
	}
	if err != nil {
		return usageError{err}
	}
	if o.daemon && !isDaemon() {
		return startDaemon(args)
	}
	logTo, err := openLog(o.logFile, stderr)
	if err != nil {
		return err
	}
	defer logTo.Close()
	level := slog.LevelInfo
	if o.verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(logTo, &slog.HandlerOptions{Level: level}))
	return serve(ctx, o, log)
}

// openLog opens the log file for appending; without a name the log goes to stderr.
func openLog(name string, stderr io.Writer) (io.WriteCloser, error) {
	if name == "" {
		return keepOpen{stderr}, nil
	}
	return os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
}

type keepOpen struct{ io.Writer }

func (keepOpen) Close() error { return nil }
