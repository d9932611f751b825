package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"goned/drivers/tm"
)

// TestScriptsShareConnections has the stock transfer scripts reach a host
// behind a real sshd that allows few sessions in one connection.
func TestScriptsShareConnections(t *testing.T) {
	c := newCloud(t)
	server := c.realHost()
	if out, err := exec.Command("../../drivers/install-remotes", c.root+"/var/remotes").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	d := c.start("one_tm", "-t 15 -d shared")
	transfer := func(vm int) {
		disk := fmt.Sprintf("host1:%s/ds/0/%d/disk.0", c.root, vm)
		script := c.file(fmt.Sprintf("var/vms/%d/transfer", vm), tm.Script([]tm.Command{
			{Name: "MKIMAGE", Driver: "shared", Args: []string{"1", "raw", disk}, VMID: vm},
			{Name: "DELETE", Driver: "shared", Args: []string{disk}, VMID: vm},
			{Name: "MKIMAGE", Driver: "shared", Args: []string{"1", "raw", disk}, VMID: vm},
		}), 0o644)
		if err := d.Send(tm.TransferLine(vm, script)); err != nil {
			t.Fatal(err)
		}
	}
	done := func(vm int) {
		t.Helper()
		answer := d.await(fmt.Sprintf("TRANSFER SUCCESS %d ", vm), fmt.Sprintf("TRANSFER FAILURE %d ", vm))
		if _, err := os.Stat(fmt.Sprintf("%s/ds/0/%d/disk.0", c.root, vm)); err != nil || !strings.HasPrefix(answer, "TRANSFER SUCCESS") {
			t.Errorf("%s, %v; all:\n%s", answer, err, d.said())
		}
	}
	transfer(1)
	done(1)
	if n := server.Connections(); n != 1 {
		t.Errorf("%d connections for one transfer, want 1", n)
	}

	// More at a time than the host allows in one connection.
	for vm := 2; vm < 9; vm++ {
		transfer(vm)
	}
	for vm := 2; vm < 9; vm++ {
		done(vm)
	}
	if said := d.said(); strings.Contains(said, "mux_client") || strings.Contains(said, "ControlSocket") {
		t.Errorf("ssh's own affairs are in the log:\n%s", said)
	}

	// The process that holds the connection dies and leaves its socket.
	sockets, err := filepath.Glob(c.tmp + "/one-ssh-*/*")
	if err != nil || len(sockets) != 1 {
		t.Fatalf("sockets %v, %v", sockets, err)
	}
	if info, err := os.Stat(filepath.Dir(sockets[0])); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the sockets' directory is %v, %v", info.Mode(), err)
	}
	check, _ := exec.Command("ssh", "-S", sockets[0], "-O", "check", "host1").CombinedOutput()
	m := regexp.MustCompile(`pid=(\d+)`).FindSubmatch(check)
	if m == nil {
		t.Fatalf("no process behind the socket: %s", check)
	}
	pid, _ := strconv.Atoi(string(m[1]))
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	transfer(20)
	done(20)
}
