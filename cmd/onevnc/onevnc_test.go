package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"goned/vnc/console/onedtest"
)

// The test binary is also onevnc itself, for tests that need a process.
func TestMain(m *testing.M) {
	if os.Getenv("ONEVNC_TEST_MAIN") == "1" {
		main()
		return
	}
	os.Exit(m.Run())
}

func optionNames(o *options) []string {
	var names []string
	o.flags().VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
	return names
}

// self returns a script that starts the test binary as onevnc.
func self(t testing.TB) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "onevnc")
	script := fmt.Sprintf("#!/bin/sh\nONEVNC_TEST_MAIN=1 exec '%s' \"$@\"\n", exe)
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// greeter is a VNC server that says its greeting and closes.
func greeter(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "RFB 003.008\n")
			c.Close()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

func greeting(address, path string) (string, error) {
	ws, _, err := websocket.DefaultDialer.Dial("ws://"+address+path, nil)
	if err != nil {
		return "", err
	}
	defer ws.Close()
	_ = ws.SetReadDeadline(time.Now().Add(10 * time.Second))
	_, msg, err := ws.ReadMessage()
	return string(msg), err
}

func TestOpen(t *testing.T) {
	auth, dir := onedtest.AuthFile(t), t.TempDir()
	s := onedtest.Start(t,
		onedtest.VM{ID: 5, State: 3, LCMState: 3, Name: "web & db", Graphics: onedtest.VNC(5905, "p#w"), Hosts: []string{"kvm0", "kvm1"}},
		onedtest.VM{ID: 6, State: 3, LCMState: 6, Name: "saved", Graphics: onedtest.VNC(5906, ""), Hosts: []string{"kvm1"}},
		onedtest.VM{ID: 7, State: 3, LCMState: 3, Name: "blind", Hosts: []string{"kvm1"}},
	)
	open := func(args ...string) (string, string, error) {
		var out, errs bytes.Buffer
		args = append([]string{"open", "--endpoint", s.URL, "--auth-file", auth, "--token-dir", dir, "--proxy", "127.0.0.1:1"}, args...)
		err := run(context.Background(), args, &out, &errs)
		return out.String(), errs.String(), err
	}
	out, errs, err := open("5")
	if err != nil {
		t.Fatal(err)
	}
	token, err := os.ReadFile(filepath.Join(dir, "one-5"))
	if err != nil || !regexp.MustCompile(`^[a-z0-9]{20}: kvm1:5905$`).Match(token) {
		t.Errorf("token file %q, %v", token, err)
	}
	want := "http://127.0.0.1:1/console?title=web+%26+db&token=" + string(token[:20]) + "\npassword: p#w\n"
	if out != want {
		t.Errorf("printed %q, want %q", out, want)
	}
	if !strings.Contains(errs, "VNC Proxy is not running") {
		t.Errorf("stderr %q lacks the warning about the proxy", errs)
	}
	out, _, err = open("--with-password", "--tls", "5")
	if err != nil || !strings.HasPrefix(out, "https://") || !strings.HasSuffix(out, "#password=p%23w\n") {
		t.Errorf("with password: %q, %v", out, err)
	}
	for _, tt := range []struct{ name, arg, want string }{
		{"state", "6", "Wrong state (6) to open a VNC session"},
		{"no console", "7", "VM has no VNC configured"},
		{"no VM", "8", "Error getting virtual machine [8]."},
		{"no number", "x", "not a number"},
		{"negative", "-1", "flag provided but not defined"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, _, err := open(tt.arg); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if _, err := os.Stat(filepath.Join(dir, "one-"+tt.arg)); err == nil {
				t.Error("a token file was written all the same")
			}
		})
	}
}

// What "open" writes, a proxy that asks the same server lets through; when the
// machine is gone, it does not.
func TestOpenThenConnect(t *testing.T) {
	auth, dir, port := onedtest.AuthFile(t), t.TempDir(), freePort(t)
	vm := onedtest.VM{ID: 5, State: 3, LCMState: 3, Name: "v", Graphics: onedtest.VNC(greeter(t), ""), Hosts: []string{"127.0.0.1"}}
	s := onedtest.Start(t, vm)
	address := "127.0.0.1:" + strconv.Itoa(port)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"--target-config", dir, "--endpoint", s.URL, "--auth-file", auth, address}, io.Discard, io.Discard)
	}()
	waitPort(t, address)
	var out bytes.Buffer
	if err := run(ctx, []string{"open", "--endpoint", s.URL, "--auth-file", auth, "--token-dir", dir, "--proxy", address, "5"}, &out, os.Stderr); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(strings.TrimSpace(out.String()))
	if err != nil {
		t.Fatal(err)
	}
	path := "/websockify?token=" + u.Query().Get("token")
	if msg, err := greeting(u.Host, path); msg != "RFB 003.008\n" {
		t.Errorf("greeting %q, %v", msg, err)
	}
	vm.State, vm.LCMState = 6, 0
	s.Set(vm)
	if msg, err := greeting(u.Host, path); !websocket.IsCloseError(err, websocket.ClosePolicyViolation) {
		t.Errorf("console of a machine that is done: %q, %v", msg, err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func waitPort(t testing.TB, address string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestDaemon(t *testing.T) {
	dir := t.TempDir()
	pidFile, logFile := filepath.Join(dir, "pid"), filepath.Join(dir, "log")
	address := "127.0.0.1:" + strconv.Itoa(freePort(t))
	target := "127.0.0.1:" + strconv.Itoa(greeter(t))
	args := []string{"-D", "--pid-file", pidFile, "--log-file", logFile, address, target}
	exe := self(t)
	if out, err := exec.Command(exe, args...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(text)) // no line break
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(-pid, syscall.SIGKILL) })
	if group, err := syscall.Getpgid(pid); err != nil || group != pid {
		t.Errorf("process group %d, %v; want its own, %d", group, err, pid)
	}
	if msg, err := greeting(address, "/"); msg != "RFB 003.008\n" {
		t.Errorf("greeting %q, %v", msg, err)
	}
	out, err := exec.Command(exe, args...).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "address already in use") {
		t.Errorf("second daemon on the port: %v, %q", err, out)
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		if _, err := os.Stat(pidFile); os.IsNotExist(err) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("daemon did not end")
		}
		time.Sleep(10 * time.Millisecond)
	}
	log, err := os.ReadFile(logFile)
	if err != nil || !strings.Contains(string(log), "msg=connected") {
		t.Errorf("log %q, %v", log, err)
	}
}

// The script keeps 4.6's lock file, token directory, words and exit codes.
func TestNovncServer(t *testing.T) {
	location := t.TempDir()
	for _, d := range []string{"etc", "var"} {
		if err := os.Mkdir(filepath.Join(location, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	port := freePort(t)
	conf := fmt.Sprintf(":port: 9869\n# VNC\n:vnc_proxy_port: %d   # the proxy\n:vnc_proxy_support_wss: \"no\"\n:vnc_proxy_cert:\n", port)
	if err := os.WriteFile(filepath.Join(location, "etc", "sunstone-server.conf"), []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	exe := self(t)
	script := func(want int, words string, verb ...string) {
		t.Helper()
		cmd := exec.Command("../../share/scripts/novnc-server", verb...)
		cmd.Env = append(os.Environ(), "ONE_LOCATION="+location, "ONEVNC="+exe)
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != want || !strings.Contains(string(out), words) {
			t.Fatalf("%v: exit %d, %q; want %d, %q", verb, code, out, want, words)
		}
	}
	lock := filepath.Join(location, "var", ".novnc.lock")
	tokens := filepath.Join(location, "var", "sunstone_vnc_tokens")
	script(255, "Usage")
	script(255, "VNC is NOT running", "status")
	script(0, "VNC server is not running", "stop")
	if err := os.WriteFile(lock, []byte("999999999"), 0o644); err != nil {
		t.Fatal(err)
	}
	script(255, "VNC is NOT running", "status")
	script(0, "VNC proxy started", "start")
	t.Cleanup(func() {
		if b, err := os.ReadFile(lock); err == nil {
			if pid, err := strconv.Atoi(string(b)); err == nil && pid > 1 {
				_ = syscall.Kill(-pid, syscall.SIGKILL)
			}
		}
	})
	script(0, "VNC is running", "status")
	script(255, "VNC server already running", "start")
	token := filepath.Join(tokens, "one-5")
	if err := os.WriteFile(token, fmt.Appendf(nil, "abc: 127.0.0.1:%d", greeter(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	if msg, err := greeting("127.0.0.1:"+strconv.Itoa(port), "/?token=abc"); msg != "RFB 003.008\n" {
		t.Errorf("greeting %q, %v", msg, err)
	}
	script(0, "", "stop")
	if _, err := os.Stat(token); !os.IsNotExist(err) {
		t.Errorf("token is still there: %v", err)
	}
	script(255, "VNC is NOT running", "status")
}
