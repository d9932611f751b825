package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"goned/vnc"
)

// cloud is the cloud in one directory.
type cloud struct {
	dir      string
	settings settings
	out      io.Writer
	api      *api
}

func (c *cloud) say(format string, args ...any) { fmt.Fprintf(c.out, format+"\n", args...) }

// up starts the cloud and waits until its machine runs. What is there already is used.
func (c *cloud) up(ctx context.Context) error {
	if err := c.setUp(); err != nil {
		return err
	}
	if err := c.connect(); err != nil {
		return err
	}
	started := time.Now()
	if c.command(ctx, "one", "status").Run() != nil {
		// One of the two may be left from a start that failed.
		if err := c.control(ctx, "stop"); err != nil {
			return err
		}
		if err := c.control(ctx, "start"); err != nil {
			return err
		}
	}
	if err := c.awaitAnswer(ctx); err != nil {
		return err
	}
	c.say("oned and mm_sched are running")
	id, err := c.provide(ctx)
	if err != nil {
		return err
	}
	if err := c.askHost(ctx, started); err != nil {
		return err
	}
	if err := c.resumeAll(ctx); err != nil {
		return err
	}
	vm, err := c.awaitRunning(ctx, id, started)
	if err != nil {
		return err
	}
	return c.explain(ctx, vm)
}

// down puts the running machines aside, so that no process is left and nothing
// is lost, and stops the daemons.
func (c *cloud) down(ctx context.Context) error {
	if _, err := os.Stat(c.settingsFile()); errors.Is(err, os.ErrNotExist) {
		c.say("There is no cloud in %s", c.dir)
		return nil
	}
	if err := c.setUp(); err != nil {
		return err
	}
	if err := c.connect(); err != nil {
		return err
	}
	if _, err := c.api.call(ctx, "one.system.version"); err == nil {
		if err := c.suspendAll(ctx); err != nil {
			c.say("Could not put all machines aside: %v", err)
		}
	}
	c.stopProxy()
	if err := c.control(ctx, "stop"); err != nil {
		return err
	}
	c.say("Stopped. `make run` goes on with the same cloud; to be rid of it, remove %s", c.dir)
	return nil
}

func (c *cloud) connect() error {
	session, err := os.ReadFile(c.path("etc", "one_auth"))
	if err != nil {
		return err
	}
	c.api = &api{
		endpoint: "http://localhost:" + strconv.Itoa(c.settings.Port) + "/RPC2",
		session:  strings.TrimSpace(string(session)),
	}
	return nil
}

// command is a program of the installation.
func (c *cloud) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, c.path("bin", name), args...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), "ONE_LOCATION="+c.dir, "ONE_AUTH="+c.path("etc", "one_auth"),
		"ONE_XMLRPC="+c.api.endpoint)
	return cmd
}

// control runs the control script. Its output goes to files: what it starts
// must not hold on to our pipes.
func (c *cloud) control(ctx context.Context, action string) error {
	cmd := c.command(ctx, "one", action)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for us alone
	var complaint strings.Builder
	cmd.Stderr = &complaint
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		return fmt.Errorf("one %s: %w\n%s", action, err, strings.TrimSpace(complaint.String()))
	}
	return nil
}

const (
	pollInterval = 500 * time.Millisecond
	answerLimit  = 30 * time.Second
)

// poll calls done until it is true or fails, or the limit is over.
func poll(ctx context.Context, limit time.Duration, what string, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, ctx.Err())
		case <-time.After(pollInterval):
		}
	}
}

func (c *cloud) awaitAnswer(ctx context.Context) error {
	var last error
	err := poll(ctx, answerLimit, "oned does not answer", func() (bool, error) {
		_, last = c.api.call(ctx, "one.user.info", -1)
		var refused *refusal
		if errors.As(last, &refused) {
			return false, fmt.Errorf("%w; is port %d another oned's?", last, c.settings.Port)
		}
		return last == nil, nil
	})
	if err != nil && last != nil {
		return fmt.Errorf("%w (%w); see %s", err, last, c.path("var", "oned.log"))
	}
	return err
}

// explain says what there is to see.
func (c *cloud) explain(ctx context.Context, vm object) error {
	c.say("")
	c.say("VM %d (%s) is RUNNING, hypervisor %s", vm.ID, vm.Name, c.settings.Hypervisor)
	c.say("")
	c.say("  XML-RPC      %s", c.api.endpoint)
	c.say("  credentials  %s", c.path("etc", "one_auth"))
	c.say("               For clients: export ONE_AUTH=%s ONE_XMLRPC=%s", c.path("etc", "one_auth"), c.api.endpoint)
	if c.settings.Hypervisor == "qemu" {
		graphics := vm.Template.Graphics
		c.say("  VNC          %s:%s", graphics.Listen, graphics.Port)
		url, err := c.console(ctx, vm.ID)
		if err != nil {
			url = "none: " + err.Error()
		}
		c.say("  console      %s", url)
	}
	c.say("  logs         %s, %s", c.path("var", "oned.log"), c.path("var", "vms", strconv.Itoa(vm.ID), "vm.log"))
	c.say("  images       disk images for one.image.allocate may come from %s", c.path("images"))
	c.say("  why here     ONE_LOCATION=%s ONE_AUTH=%s %s explain %d", c.dir, c.path("etc", "one_auth"), c.path("bin", "mm_sched"), vm.ID)
	c.say("  stop         make stop")
	return nil
}

// console starts the proxy if it does not run and returns the address of a console page.
func (c *cloud) console(ctx context.Context, id int) (string, error) {
	if _, err := vnc.FindNoVNC(); err != nil {
		return "", errors.New("install noVNC (package novnc) for consoles in the browser")
	}
	tokens := c.path("var", "sunstone_vnc_tokens")
	if err := os.MkdirAll(tokens, 0o700); err != nil {
		return "", err
	}
	address := "localhost:" + strconv.Itoa(c.settings.Proxy)
	if c.proxyPID() == 0 {
		cmd := c.command(ctx, "onevnc", "-D", "--web", "auto", "--target-config="+tokens, "--pid-file="+c.proxyPIDFile(),
			"--log-file="+c.path("var", "novnc.log"), "127.0.0.1:"+strconv.Itoa(c.settings.Proxy))
		if text, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("onevnc: %w %s", err, strings.TrimSpace(string(text)))
		}
	}
	text, err := c.command(ctx, "onevnc", "open", "--proxy", address, strconv.Itoa(id)).Output()
	if err != nil {
		return "", fmt.Errorf("onevnc open: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

func (c *cloud) proxyPIDFile() string { return c.path("var", "novnc.pid") }

// proxyPID is the process id of the proxy, 0 if it does not run.
func (c *cloud) proxyPID() int {
	text, err := os.ReadFile(c.proxyPIDFile())
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil || strings.TrimSpace(string(name)) != "onevnc" {
		return 0
	}
	return pid
}

func (c *cloud) stopProxy() {
	if pid := c.proxyPID(); pid != 0 {
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
			c.say("Cannot stop onevnc, process %d: %v", pid, err)
		}
	}
	_ = os.Remove(c.proxyPIDFile())
}
