package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"goned/vnc"
)

const usage = `Usage:
  onevnc [options] [source_addr:]source_port [target_addr:target_port]
  onevnc open [options] VMID

As websockify:
  -v, --verbose          log more
  -D, --daemon           run in the background; returns when the port is open
  --run-once             handle one websocket connection and exit
  --timeout=SECONDS      exit after SECONDS without a connection
  --idle-timeout=SECONDS the same
  --cert=FILE            TLS certificate; plain and TLS clients share the port
  --key=FILE             TLS key, if not in the certificate's file
  --ssl-only             refuse clients without TLS
  --ssl-target           speak TLS to the VNC server
  --unix-target=FILE     connect to a unix socket
  --web=DIR              serve noVNC from DIR on the same port; "auto" looks for
                         an installed one. /console is a page for one console
  -6, --prefer-ipv6      listen on IPv6
  --target-config=PATH   file of lines "token: host:port", or a directory of
                         such files; also --token-plugin=TokenFile with
                         --token-source=PATH
  --heartbeat=SECONDS    time between pings, 0 for none (default 30)
  --log-file=FILE        append the log to FILE

Own options:
  --pid-file=FILE        write the process id to FILE once the port is open
  --token-ttl=DURATION   life of tokens in files named one-<VM id>, counted from
                         when they were written; 0 for ever (default 24h)
  --check-vms            let a token through only to the console of a virtual
                         machine that exists, by asking oned
  --endpoint=URL         oned's XML-RPC address, turns --check-vms on (default
                         $ONE_XMLRPC, ~/.one/one_endpoint, http://localhost:2633/RPC2)
  --auth-file=FILE       credentials for oned (default $ONE_AUTH, ~/.one/one_auth)
  --allow-origin=ORIGIN  accept pages of another host than the proxy's: a host
                         name, an origin, or "*"; may be given several times
  --connect-timeout=DURATION  time to reach the VNC server (default 10s)
  --stall-timeout=DURATION    time one side may take nothing (default 1m0s)
  --session-timeout=DURATION  end connections on which nothing moves (default never)
  --max-connections=N    refuse more than N connections at a time (default no limit)
`

var errHelp = errors.New("help asked for")

// options is the proxy's command line.
type options struct {
	verbose, daemon, runOnce, sslOnly, sslTarget, ipv6, checkVMs bool

	timeout, idleTimeout, heartbeat, maxConnections int

	cert, key, unixTarget, web, targetConfig, logFile, pidFile string
	tokenPlugin, tokenSource, endpoint, authFile               string

	tokenTTL, connectTimeout, stallTimeout, sessionTimeout time.Duration

	origins []string

	listen string // address for net.Listen
	target *vnc.Target
}

func (o *options) flags() *flag.FlagSet {
	d := vnc.DefaultTimeouts()
	f := flag.NewFlagSet("onevnc", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.BoolVar(&o.verbose, "verbose", false, "")
	f.BoolVar(&o.verbose, "v", false, "")
	f.BoolVar(&o.daemon, "daemon", false, "")
	f.BoolVar(&o.daemon, "D", false, "")
	f.BoolVar(&o.runOnce, "run-once", false, "")
	f.IntVar(&o.timeout, "timeout", 0, "")
	f.IntVar(&o.idleTimeout, "idle-timeout", 0, "")
	f.StringVar(&o.cert, "cert", "", "")
	f.StringVar(&o.key, "key", "", "")
	f.BoolVar(&o.sslOnly, "ssl-only", false, "")
	f.BoolVar(&o.sslTarget, "ssl-target", false, "")
	f.StringVar(&o.unixTarget, "unix-target", "", "")
	f.StringVar(&o.web, "web", "", "")
	f.BoolVar(&o.ipv6, "prefer-ipv6", false, "")
	f.BoolVar(&o.ipv6, "6", false, "")
	f.StringVar(&o.targetConfig, "target-config", "", "")
	f.StringVar(&o.tokenPlugin, "token-plugin", "", "")
	f.StringVar(&o.tokenSource, "token-source", "", "")
	f.IntVar(&o.heartbeat, "heartbeat", int(d.Heartbeat/time.Second), "")
	f.StringVar(&o.logFile, "log-file", "", "")
	f.StringVar(&o.pidFile, "pid-file", "", "")
	f.DurationVar(&o.tokenTTL, "token-ttl", 24*time.Hour, "")
	f.BoolVar(&o.checkVMs, "check-vms", false, "")
	f.StringVar(&o.endpoint, "endpoint", "", "")
	f.StringVar(&o.authFile, "auth-file", "", "")
	f.DurationVar(&o.connectTimeout, "connect-timeout", d.Connect, "")
	f.DurationVar(&o.stallTimeout, "stall-timeout", d.Stall, "")
	f.DurationVar(&o.sessionTimeout, "session-timeout", 0, "")
	f.IntVar(&o.maxConnections, "max-connections", 0, "")
	f.Func("allow-origin", "", func(s string) error {
		o.origins = append(o.origins, s)
		return nil
	})
	return f
}

// parseOptions reads the command line: options and addresses in any order, as
// Python's option parser lets them stand, and short options also joined (-vD).
func parseOptions(args []string) (options, error) {
	var o options
	pos, err := parseInterspersed(o.flags(), args)
	if err != nil {
		return o, err
	}
	if o.tokenPlugin != "" || o.tokenSource != "" {
		switch o.tokenPlugin {
		case "TokenFile", "ReadOnlyTokenFile", "websockify.token_plugins.TokenFile":
		default:
			return o, fmt.Errorf("--token-plugin %q: only TokenFile and ReadOnlyTokenFile are known", o.tokenPlugin)
		}
		o.targetConfig = o.tokenSource
	}
	if err := o.addresses(pos); err != nil {
		return o, err
	}
	return o, o.check()
}

// parseInterspersed parses args and returns what is no option.
func parseInterspersed(f *flag.FlagSet, args []string) ([]string, error) {
	var pos []string
	args = splitShort(args)
	for {
		err := f.Parse(args)
		if errors.Is(err, flag.ErrHelp) {
			return nil, errHelp
		}
		if err != nil {
			return nil, err
		}
		rest := f.Args()
		if len(rest) == 0 {
			return pos, nil
		}
		if len(rest) < len(args) && args[len(args)-len(rest)-1] == "--" {
			return nil, errors.New("wrapping a command with -- is not supported: start it beside onevnc and name its port as target")
		}
		pos = append(pos, rest[0])
		args = rest[1:]
	}
}

// splitShort turns -vD into -v -D.
func splitShort(args []string) []string {
	var out []string
	for _, a := range args {
		if len(a) > 2 && a[0] == '-' && strings.Trim(a[1:], "vD6") == "" {
			for _, c := range a[1:] {
				out = append(out, "-"+string(c))
			}
			continue
		}
		out = append(out, a)
	}
	return out
}

func (o *options) addresses(pos []string) error {
	if len(pos) == 0 {
		return errors.New("too few arguments: no port to listen on")
	}
	if len(pos) > 2 {
		return errors.New("too many arguments")
	}
	listen, err := listenAddress(pos[0])
	if err != nil {
		return err
	}
	o.listen = listen
	// As websockify: with tokens or a unix socket a target argument is ignored.
	if o.targetConfig != "" || o.unixTarget != "" {
		return nil
	}
	if len(pos) < 2 {
		return errors.New("too few arguments: no target; give target_addr:target_port, --target-config or --unix-target")
	}
	t, err := vnc.ParseTarget(pos[1])
	if err != nil {
		return err
	}
	o.target = &t
	return nil
}

// listenAddress reads "[addr:]port" into the form of net.Listen.
func listenAddress(s string) (string, error) {
	host, port := "", s
	if i := strings.LastIndexByte(s, ':'); i >= 0 {
		host, port = strings.Trim(s[:i], "[]"), s[i+1:]
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", fmt.Errorf("listen port %q is not a number from 0 to 65535", port)
	}
	return net.JoinHostPort(host, port), nil
}

// check refuses combinations that can't work and makes paths absolute, as a
// daemon leaves the directory it was started in.
func (o *options) check() error {
	switch {
	case o.sslOnly && o.cert == "":
		return errors.New("--ssl-only needs --cert")
	case o.key != "" && o.cert == "":
		return errors.New("--key needs --cert")
	case o.timeout < 0 || o.idleTimeout < 0 || o.heartbeat < 0 || o.maxConnections < 0 ||
		o.tokenTTL < 0 || o.connectTimeout < 0 || o.stallTimeout < 0 || o.sessionTimeout < 0:
		return errors.New("times and numbers can't be negative")
	case o.sslTarget && o.unixTarget != "":
		return errors.New("--ssl-target does not go with --unix-target")
	}
	if o.web == "auto" {
		dir, err := vnc.FindNoVNC()
		if err != nil {
			return fmt.Errorf("--web auto: %w", err)
		}
		o.web = dir
	}
	for _, p := range []*string{&o.cert, &o.key, &o.unixTarget, &o.web, &o.targetConfig, &o.logFile, &o.pidFile, &o.authFile} {
		if *p == "" {
			continue
		}
		abs, err := filepath.Abs(*p)
		if err != nil {
			return err
		}
		*p = abs
	}
	return nil
}

// exitIdle returns after how long without a connection the server ends.
func (o *options) exitIdle() time.Duration {
	s := o.timeout
	if o.idleTimeout > 0 && (s == 0 || o.idleTimeout < s) {
		s = o.idleTimeout
	}
	return time.Duration(s) * time.Second
}
