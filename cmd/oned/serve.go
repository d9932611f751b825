package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"goned/core/bootstrap"
	"goned/core/config"
	"goned/core/db"
	"goned/core/hook"
	"goned/core/lifecycle"
	"goned/core/message"
	"goned/core/monitor"
	"goned/core/onelog"
	"goned/core/state"
	"goned/drivers/manager"
	"goned/rpc"
	"goned/rpc/introspect"
	"goned/rpc/transport"
)

// startTimeout bounds what has to happen before the daemon answers, drivers apart.
const startTimeout = 10 * time.Minute

// answerTimeout is how long calls may still take that are under way when the daemon stops. It is plenty for one that works; one
// that is still being sent, or waits for a driver, is cut off.
const answerTimeout = 200 * time.Millisecond

// daemon is what runs, in the order in which it was started.
type daemon struct {
	conf    *config.Config
	log     *onelog.Log
	db      *db.DB
	store   *state.Store
	manager *manager.Manager
	access  *onelog.Lines // the log of requests; nil unless RPC_LOG asks for it
}

// serve runs the daemon until a signal ends it.
func serve(o options, dirs config.Dirs) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	// 4.6 blocks all other signals; a closed terminal must not end a cloud.
	signal.Ignore(syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGPIPE)

	d, err := open(ctx, o, dirs)
	if err != nil {
		return err
	}
	defer d.close()
	if err := d.load(ctx); err != nil {
		return err
	}
	return d.run(ctx)
}

// open reads the configuration and opens log and database.
func open(ctx context.Context, o options, dirs config.Dirs) (*daemon, error) {
	conf, err := config.Load(o.config, dirs)
	if err != nil {
		return nil, fmt.Errorf("%w\nCould not load nebula configuration file.", err)
	}
	if err := os.WriteFile(dirs.Var+"config", []byte(conf.Dump()), 0o640); err != nil {
		return nil, fmt.Errorf("write effective configuration: %w", err)
	}
	log, err := onelog.Open(conf, "oned", time.Now)
	if err != nil {
		return nil, err
	}
	d := &daemon{conf: conf, log: log}
	d.logHeader()
	d.db, err = db.Open(ctx, db.Config{
		MySQL: conf.DB.MySQL, Path: dirs.Var + "one.db", Server: conf.DB.Server, Port: conf.DB.Port, User: conf.DB.User,
		Passwd: conf.DB.Passwd, Name: conf.DB.Name, Slave: conf.Federation.Slave(),
	}, log.Logger("ONE"))
	if err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

func (d *daemon) logHeader() {
	line := strings.Repeat("-", 40)
	level := d.conf.Log.Level
	for _, text := range []string{
		"Starting OpenNebula 4.6.2\n" + line + "\n     OpenNebula Configuration File      \n" + line + "\n" + d.conf.Dump() + line,
		fmt.Sprintf("Log level:%d [0=ERROR,1=WARNING,2=INFO,3=DEBUG]", level),
		"Support for xmlrpc-c > 1.31: yes",
	} {
		d.log.Write(message.Log{VM: message.OnedLog, Module: "ONE", Level: message.Info, Text: text})
	}
}

// load prepares the database, on first boot with the objects that every cloud has, and brings the state into memory.
func (d *daemon) load(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	logger := d.log.Logger("ONE")
	if _, err := d.db.Prepare(ctx, time.Now()); err != nil {
		logger.Error(err.Error())
		var version *db.VersionError
		if errors.As(err, &version) {
			logger.Error("Use onedb to upgrade DB.")
			return errors.New("Database version mismatch. Check oned.log.")
		}
		return fmt.Errorf("Error bootstrapping database: %w", err)
	}
	snap, err := state.Load(ctx, d.db, d.conf.MACPrefix)
	if err != nil {
		logger.Error(err.Error())
		return err
	}
	d.manager = manager.New(d.conf, d.log, time.Now)
	d.store = state.NewStore(snap, d.conf, d.db, d.manager, time.Now, logger)
	if err := bootstrap.Run(d.store, d.conf, os.Getenv); err != nil {
		logger.Error(err.Error())
		return err
	}
	return nil
}

// run starts drivers, timers and the API, and waits for ctx.
func (d *daemon) run(ctx context.Context) error {
	// The port first: a second daemon on the same port must not touch drivers or hosts.
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", ":"+strconv.Itoa(d.conf.Port))
	if err != nil {
		d.log.Logger("ReM").Error(fmt.Sprintf("Cannot bind to port %d : %v", d.conf.Port, rootCause(err)))
		return err
	}
	defer listener.Close()
	for _, p := range hook.Problems(d.conf) {
		d.log.Logger(p.Module).Warn(p.Text)
	}
	if err := d.store.Update(lifecycle.Resumed); err != nil {
		return err
	}
	if err := d.manager.Start(ctx, d.store); err != nil {
		return err
	}
	timers := monitor.StartTimers(d.store, d.conf, d.log.Logger)
	defer timers.Stop()

	rem := d.log.Logger("ReM")
	if err := d.openAccessLog(); err != nil {
		rem.Error("Cannot open the log of requests: " + err.Error())
		return err
	}
	rem.Info("Starting Request Manager...")
	server := rpc.NewServer(d.apiOptions(rem))
	rem.Info(fmt.Sprintf("Starting XML-RPC server, port %d ...", d.conf.Port))
	web := transport.New(introspect.New(server, server), d.transportConfig(rem))
	failed := make(chan error, 1)
	go func() { failed <- web.Serve(listener) }()
	rem.Info("Request Manager started.")
	select {
	case <-ctx.Done():
	case err := <-failed:
		return err
	}
	stop, cancel := context.WithTimeout(context.Background(), answerTimeout)
	defer cancel()
	if err := web.Shutdown(stop); err != nil {
		rem.Info("Calls that were under way have been cut off.")
	}
	return nil
}

func rootCause(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}

// close ends what open and load have started, the youngest first.
func (d *daemon) close() {
	if d.manager != nil {
		d.manager.Stop()
	}
	if d.store != nil {
		d.store.Close()
	}
	if d.db != nil {
		if err := d.db.Close(); err != nil {
			d.log.Logger("ONE").Error("Cannot close the database: " + err.Error())
		}
	}
	if d.access != nil {
		if err := d.access.Close(); err != nil {
			d.log.Logger("ReM").Error("Cannot close the log of requests: " + err.Error())
		}
	}
	d.log.Write(message.Log{VM: message.OnedLog, Module: "ONE", Level: message.Info, Text: "All modules finalized, exiting.\n"})
	d.log.Close()
}

// initDB is oned -i: the schema without its first rows.
func initDB(o options, dirs config.Dirs, stdout, stderr io.Writer) int {
	ctx := context.Background()
	d, err := open(ctx, o, dirs)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	defer d.log.Close()
	defer d.db.Close()
	if _, err := d.db.Prepare(ctx, time.Now()); err != nil {
		d.log.Logger("ONE").Error(err.Error())
		fmt.Fprintln(stderr, err)
		return 1
	}
	d.log.Logger("ONE").Info("Database bootstrap finalized, exiting.")
	return 0
}

// apiOptions are what the API is made of; on a slave of a federation also the way to the master.
func (d *daemon) apiOptions(log *slog.Logger) rpc.Options {
	o := rpc.Options{
		Store: d.store, Conf: d.conf, DB: d.db, Drivers: d.manager, Log: log, AuthLog: d.log.Logger("AuM"), Now: time.Now,
	}
	if d.conf.Federation.Slave() {
		o.Master = rpc.NewMasterClient(d.conf.Federation.Master)
		o.Reload = d.reloadShared
	}
	return o
}

// reloadShared takes over what the master of the federation has changed.
func (d *daemon) reloadShared(ctx context.Context) error {
	shared, err := state.LoadShared(ctx, d.db)
	if err != nil {
		return err
	}
	return d.store.Adopt(shared)
}

// openAccessLog opens the log of requests.
func (d *daemon) openAccessLog() error {
	if !d.conf.RPCLog {
		return nil
	}
	file, err := os.OpenFile(d.conf.Dirs.Log+"one_xmlrpc.log", os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	d.access = onelog.NewLines(file)
	return nil
}

func (d *daemon) transportConfig(log *slog.Logger) transport.Config {
	c := d.conf
	t := transport.Config{
		MaxBody: int(c.MaxRequestBody), MaxConns: c.MaxConnections, Timeout: time.Duration(c.RequestTimeout) * time.Second,
		IdleTimeout: time.Duration(c.KeepaliveTimeout) * time.Second, KeepAliveMax: c.KeepaliveMax, Log: log,
	}
	if d.access != nil {
		t.AccessLog = d.access
	}
	return t
}
