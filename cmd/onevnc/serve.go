package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	"goned/vnc"
	"goned/vnc/console"
)

// guardCalls bounds the questions put to oned at one time.
const guardCalls = 8

// serve runs the proxy until it is told to stop.
func serve(ctx context.Context, o options, log *slog.Logger) error {
	cfg, err := proxyConfig(o, log)
	if err != nil {
		return err
	}
	l, err := listen(o)
	if err != nil {
		return err
	}
	defer l.Close()
	if o.pidFile != "" {
		// compat: no line break, as Sunstone pastes the content into a command line.
		if err := os.WriteFile(o.pidFile, []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil {
			return fmt.Errorf("write pid file: %w", err)
		}
		defer removeOwn(o.pidFile)
	}
	if err := reportReady(); err != nil {
		return err
	}
	log.Info("listening", "address", l.Addr(), "tls", o.cert != "", "tokens", o.targetConfig, "web", o.web)
	s := vnc.Server{Config: cfg, Once: o.runOnce, ExitIdle: o.exitIdle()}
	err = s.Run(ctx, l)
	log.Info("stopped")
	return err
}

// removeOwn removes the pid file unless another process has taken it over.
func removeOwn(pidFile string) {
	if b, err := os.ReadFile(pidFile); err == nil && string(b) == strconv.Itoa(os.Getpid()) {
		_ = os.Remove(pidFile)
	}
}

func proxyConfig(o options, log *slog.Logger) (vnc.Config, error) {
	times := vnc.DefaultTimeouts()
	times.Connect = o.connectTimeout
	times.Stall = o.stallTimeout
	times.Idle = o.sessionTimeout
	times.Heartbeat = time.Duration(o.heartbeat) * time.Second
	cfg := vnc.Config{
		Origins:     o.origins,
		MaxSessions: o.maxConnections,
		Timeouts:    times,
		Log:         log,
	}
	switch {
	case o.unixTarget != "":
		cfg.Dial = vnc.DialUnix(o.unixTarget)
	case o.sslTarget:
		cfg.Dial = vnc.DialTLS()
	}
	if o.target != nil {
		cfg.Fixed = *o.target
	}
	if o.targetConfig != "" {
		if _, err := os.Stat(o.targetConfig); err != nil {
			// Not an error: Sunstone or novnc-server may make it later.
			log.Warn("no tokens yet", "err", err)
		}
		cfg.Tokens = vnc.NewTokenSource(o.targetConfig, o.tokenTTL, log)
	}
	if o.web != "" {
		if info, err := os.Stat(o.web); err != nil {
			return cfg, fmt.Errorf("--web: %w", err)
		} else if !info.IsDir() {
			return cfg, fmt.Errorf("--web: %s is not a directory", o.web)
		}
		cfg.Web = vnc.WebHandler(o.web)
	}
	if o.checkVMs || o.endpoint != "" {
		if cfg.Tokens == nil {
			return cfg, errors.New("--check-vms and --endpoint need --target-config")
		}
		client, err := console.ClientFromEnvironment(o.endpoint, o.authFile)
		if err != nil {
			return cfg, err
		}
		cfg.Guard = console.NewGuard(client, guardCalls)
	}
	return cfg, nil
}

func listen(o options) (net.Listener, error) {
	network := "tcp"
	if host, _, err := net.SplitHostPort(o.listen); err == nil && host == "" {
		// As websockify: all IPv4 addresses, or with -6 all IPv6 ones.
		network = "tcp4"
		if o.ipv6 {
			network = "tcp6"
		}
	} else if o.ipv6 {
		network = "tcp6"
	}
	var cert tls.Certificate
	if o.cert != "" {
		key := o.key
		if key == "" {
			key = o.cert
		}
		var err error
		if cert, err = tls.LoadX509KeyPair(o.cert, key); err != nil {
			return nil, fmt.Errorf("load certificate: %w", err)
		}
	}
	l, err := net.Listen(network, o.listen)
	if err != nil {
		return nil, err
	}
	if o.cert == "" {
		return l, nil
	}
	return vnc.TLSListener(l, &tls.Config{
		Certificates: []tls.Certificate{cert},
		NextProtos:   []string{"http/1.1"},
	}, o.sslOnly), nil
}
