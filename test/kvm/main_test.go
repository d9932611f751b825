//go:build e2e

package kvm

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// labVariable names the laboratory's directory to the process inside of it.
const labVariable = "GONED_KVM_LAB"

var labDir = os.Getenv(labVariable)

// programs are what the front-end and the hosts run, beside coreutils.
var programs = []string{
	"libvirtd", "virtlogd", "virsh", "qemu-system-x86_64", "qemu-img", "kvm", "sshd", "ssh", "ssh-keygen", "ip", "unshare",
	"genisoimage", "busybox", "apt-get", "dpkg", "depmod", "sudo", "iptables", "ebtables", "ping", "bindfs",
}

func TestMain(m *testing.M) {
	if labDir != "" {
		os.Exit(m.Run())
	}
	status, err := enterLab()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

// enterLab prepares the laboratory's directory and runs this program again in
// namespaces where it may do what it likes. All that it starts ends with it.
func enterLab() (status int, err error) {
	if reason := missing(); reason != "" {
		fmt.Println("SKIP: the KVM tests need", reason)
		return 0, nil
	}
	dir, err := os.MkdirTemp("/var/tmp", "goned-kvm-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	if err := prepare(dir); err != nil {
		return 0, err
	}
	// The shell is the init of the process namespace: it buries what has lost its parent.
	cmd := exec.Command("/bin/sh", append([]string{"-c", `"$@"; exit $?`, "init"}, os.Args...)...)
	cmd.Env = append(os.Environ(), labVariable+"="+dir)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
	}
	err = cmd.Run()
	removeGroups()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// missing says what this machine lacks.
func missing() string {
	if os.Geteuid() != 0 {
		return "root, for namespaces and bridges"
	}
	var names []string
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			names = append(names, name)
		}
	}
	if names != nil {
		return strings.Join(names, ", ") + "; make e2e-kvm installs the packages"
	}
	return ""
}

// prepare builds what the tests use while there is a network.
func prepare(dir string) error {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		return err
	}
	script := `set -e
go build -o "$1/bin/" ./cmd/...
sh share/scripts/install.sh "$1/bin" "$1/one" >"$1/install.log"
kernel=$(test/lab/kernel.sh)
cp "$kernel/kernel" "$1/kernel"
test/lab/initrd.sh "$kernel" test/kvm/guest/init virtio_pci virtio_blk virtio_net virtio_scsi ata_piix sd_mod sr_mod \
    isofs crc32c_generic ext4 evdev button e1000 >"$1/initrd"`
	cmd := exec.Command("sh", "-c", script, "prepare", dir)
	cmd.Dir, cmd.Stderr = root, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("prepare the KVM tests: %w", err)
	}
	return nil
}

// removeGroups removes the hosts' control groups, which don't end with them.
func removeGroups() {
	for _, pattern := range []string{"/sys/fs/cgroup/goned-*", "/sys/fs/cgroup/cpu/goned-*"} {
		groups, _ := filepath.Glob(pattern)
		for _, group := range groups {
			_ = exec.Command("find", group, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";").Run()
		}
	}
}
