package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"goned/vnc/console"
)

const openUsage = `Usage: onevnc open [options] VMID

Writes the token file of a virtual machine's console and prints its URL, if the
machine's state lets a console be opened.

  --token-dir=DIR     where the proxy looks for tokens (default
                      $ONE_LOCATION/var/sunstone_vnc_tokens or
                      /var/lib/one/sunstone_vnc_tokens)
  --proxy=HOST:PORT   the proxy as browsers reach it (default $ONEVNC_PROXY or
                      localhost:29876)
  --tls               the proxy has a certificate: print https
  --with-password     put the console's password into the URL, behind the #,
                      which browsers send to no server
  --endpoint=URL      oned's XML-RPC address
  --auth-file=FILE    credentials for oned
`

type openOptions struct {
	tokenDir, proxy, endpoint, authFile string
	tls, withPassword                   bool
	vm                                  int
}

// defaultTokenDir is where Sunstone writes its tokens.
func defaultTokenDir() string {
	if l := os.Getenv("ONE_LOCATION"); l != "" {
		return filepath.Join(l, "var", "sunstone_vnc_tokens")
	}
	return "/var/lib/one/sunstone_vnc_tokens"
}

func parseOpenOptions(args []string) (openOptions, error) {
	proxy := os.Getenv("ONEVNC_PROXY")
	if proxy == "" {
		proxy = "localhost:29876"
	}
	var o openOptions
	f := flag.NewFlagSet("onevnc open", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&o.tokenDir, "token-dir", defaultTokenDir(), "")
	f.StringVar(&o.proxy, "proxy", proxy, "")
	f.StringVar(&o.endpoint, "endpoint", "", "")
	f.StringVar(&o.authFile, "auth-file", "", "")
	f.BoolVar(&o.tls, "tls", false, "")
	f.BoolVar(&o.withPassword, "with-password", false, "")
	pos, err := parseInterspersed(f, args)
	if err != nil {
		return o, err
	}
	if len(pos) != 1 {
		return o, errors.New("open: want one VM id")
	}
	id, err := strconv.ParseUint(pos[0], 10, 31)
	if err != nil {
		return o, fmt.Errorf("open: VM id %q is not a number", pos[0])
	}
	o.vm = int(id)
	if _, _, err := net.SplitHostPort(o.proxy); err != nil {
		return o, fmt.Errorf("open: --proxy: %w", err)
	}
	return o, nil
}

// runOpen writes the token of one VM's console and prints its URL.
func runOpen(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parseOpenOptions(args)
	if errors.Is(err, errHelp) {
		fmt.Fprint(stdout, openUsage)
		return nil
	}
	if err != nil {
		return usageError{err}
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	client, err := console.ClientFromEnvironment(o.endpoint, o.authFile)
	if err != nil {
		return err
	}
	vm, err := client.VM(ctx, o.vm)
	if err != nil {
		return err
	}
	target, err := vm.Open()
	if err != nil {
		return err
	}
	token := console.NewToken()
	if err := console.WriteToken(o.tokenDir, vm.ID, token, target); err != nil {
		return err
	}
	if err := probeProxy(ctx, o.proxy); err != nil {
		// Not an error: the proxy's public name need not be reachable from here.
		fmt.Fprintf(stderr, "onevnc: warning: VNC Proxy is not running: %v\n", err)
	}
	fmt.Fprintln(stdout, consoleURL(o, vm, token))
	if vm.Graphics.Password != "" && !o.withPassword {
		fmt.Fprintf(stdout, "password: %s\n", vm.Graphics.Password)
	}
	return nil
}

func probeProxy(ctx context.Context, address string) error {
	d := net.Dialer{Timeout: 2 * time.Second}
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return c.Close()
}

// consoleURL returns the address of the console page that "--web" serves.
func consoleURL(o openOptions, vm console.VM, token string) string {
	u := url.URL{Scheme: "http", Host: o.proxy, Path: "/console"}
	if o.tls {
		u.Scheme = "https"
	}
	u.RawQuery = url.Values{"token": {token}, "title": {vm.Name}}.Encode()
	s := u.String()
	if o.withPassword && vm.Graphics.Password != "" {
		s += "#" + url.Values{"password": {vm.Graphics.Password}}.Encode()
	}
	return s
}
