//go:build e2e

package xen

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// ssh runs a command on a host, beside oned, to see what really happens there.
func ssh(host, command string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), stateLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ssh", "-F", filepath.Join(labDir, "ssh_config"), host, command)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s: %s: %w: %s", host, command, err, stderr.String())
	}
	return stdout.String(), nil
}

func mustSSH(t *testing.T, host, command string) string {
	t.Helper()
	out, err := ssh(host, command)
	must(t, err)
	return out
}

// domain is a machine as its host sees it.
type domain struct {
	host, name string
	runs       int // commands given to the guest, for their marks
}

func newDomain(host string, id int) *domain {
	return &domain{host: host, name: fmt.Sprintf("one-%d", id)}
}

// isListed tells whether the host has the domain.
func (d *domain) isListed(t *testing.T) bool {
	t.Helper()
	for _, line := range strings.Split(mustSSH(t, d.host, "sudo xl list"), "\n") {
		if fields := strings.Fields(line); len(fields) > 0 && fields[0] == d.name {
			return true
		}
	}
	return false
}

// xl runs a command of the tool stack about the domain.
func (d *domain) xl(t *testing.T, command string) string {
	t.Helper()
	return mustSSH(t, d.host, "sudo xl "+command+" "+d.name)
}

// devices counts the lines of "xl block-list" and the like, without the heading.
func (d *domain) devices(t *testing.T, command string) int {
	t.Helper()
	return len(strings.Split(strings.TrimSpace(d.xl(t, command)), "\n")) - 1
}

// console is what the guest has said on its console, on this host.
func (d *domain) console(t *testing.T) string {
	t.Helper()
	out := mustSSH(t, d.host, "sudo cat /var/log/xen/console/guest-"+d.name+".log 2>/dev/null || true")
	return strings.ReplaceAll(out, "\r", "")
}

// awaitConsole waits until the guest has said a text count times.
func (d *domain) awaitConsole(t *testing.T, text string, count int) string {
	t.Helper()
	return follow(t, d.host, ":", "/var/log/xen/console/guest-"+d.name+".log", text, count)
}

// run types a command into the shell on the guest's console and returns what it
// printed.
func (d *domain) run(t *testing.T, command string) string {
	t.Helper()
	d.runs++
	// The command is echoed: the marks must not stand in it as they are printed.
	line := fmt.Sprintf("echo BEG''IN-%d; %s; echo EN''D-%d", d.runs, command, d.runs)
	begin, finish := fmt.Sprintf("BEGIN-%d\n", d.runs), fmt.Sprintf("END-%d\n", d.runs)
	typing := fmt.Sprintf("printf '%%s\n' %s >$(xenstore-read /local/domain/$(xl domid %s)/console/tty)", quote(line), d.name)
	said := follow(t, d.host, typing, "/var/log/xen/console/guest-"+d.name+".log", finish, 1)
	_, rest, found := strings.Cut(said, begin)
	if !found {
		t.Fatalf("%s: the output of %q has no beginning:\n%s", d.name, command, said)
	}
	output, _, _ := strings.Cut(rest, finish)
	return strings.TrimSpace(output)
}

// follow runs a command as root of a host and reads a file there as it grows, until
// it holds a text count times. To look again and again would take the host's
// processor from the guest.
func follow(t *testing.T, host, command, file, text string, count int) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), stateLimit)
	defer cancel()
	// When nobody reads any more tail ends with the next line, or by the limit.
	script := fmt.Sprintf("%s && exec timeout %.0f tail -n +1 -F %s 2>/dev/null", command, stateLimit.Seconds(), file)
	cmd := exec.CommandContext(ctx, "ssh", "-F", filepath.Join(labDir, "ssh_config"), host, "sudo sh -c "+quote(script))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	defer func() {
		cancel()
		_ = cmd.Wait()
	}()
	var said string
	part := make([]byte, 4096)
	for {
		n, err := out.Read(part)
		said += strings.ReplaceAll(string(part[:n]), "\r", "")
		if strings.Count(said, text) >= count {
			return said
		}
		if err != nil {
			t.Fatalf("%s: %s does not say %q (%v, %s). It says:\n%s", host, file, text, err, stderr.String(), said)
		}
	}
}

// quote makes a word for a shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// dom0Number is the first number that a command on a host prints.
func dom0Number(t *testing.T, host, command string) int {
	t.Helper()
	out := mustSSH(t, host, command)
	n, err := strconv.Atoi(regexp.MustCompile(`\d+`).FindString(out))
	if err != nil {
		t.Fatalf("%s: %q prints no number: %q", host, command, out)
	}
	return n
}
