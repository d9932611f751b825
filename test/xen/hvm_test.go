//go:build e2e

package xen

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"goned/share/guest"
)

// serialLog is where the machine of bootDisk writes what it says.
const serialLog = "/var/tmp/serial.log"

// fullyVirtual is a machine as the operator's notebook has it: boot order, CD,
// system, VNC, context.
func fullyVirtual(t *testing.T, name, boot string, disks ...string) string {
	t.Helper()
	prepare(t)
	return fmt.Sprintf(`NAME=%q
CPU=0.5
MEMORY=64
OS=[BOOT=%q]
%s
NIC=[NETWORK_ID=%d]
GRAPHICS=[TYPE="vnc", LISTEN="0.0.0.0"]
CONTEXT=[ADDRESS="$NIC[IP]", TARGET="xvdc:cdrom", DRIVER="file"]
RAW=[TYPE="xen", DATA="serial = 'file:%s'"]
`, name, boot, strings.Join(disks, "\n"), files.network, serialLog)
}

// bootCD makes an ISO image that boots into what bootDisk boots into.
func bootCD(t *testing.T) string {
	t.Helper()
	tree := front.path("cd")
	must(t, os.MkdirAll(tree, 0o755))
	must(t, os.WriteFile(filepath.Join(tree, "boot.bin"), guest.Disk()[:2048], 0o644))
	iso := front.path("cd.iso")
	out, err := exec.Command("genisoimage", "-quiet", "-o", iso, "-b", "boot.bin", "-no-emul-boot", "-boot-load-size", "4", tree).CombinedOutput()
	if err != nil {
		t.Fatalf("genisoimage: %v\n%s", err, out)
	}
	return iso
}

// awaitSerial waits for the greeting of the machine.
func awaitSerial(t *testing.T, host string) {
	t.Helper()
	follow(t, host, ":", serialLog, guest.Greeting, 1)
}

// handshake connects to a VNC server on a host and returns the size of its screen.
func handshake(t *testing.T, host string, port int) (width, height int) {
	t.Helper()
	near, far := net.Pipe()
	cmd := exec.Command("ssh", "-F", filepath.Join(labDir, "ssh_config"), "-W", fmt.Sprintf("127.0.0.1:%d", port), host)
	cmd.Stdin, cmd.Stdout = far, far
	must(t, cmd.Start())
	defer func() {
		near.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	must(t, near.SetDeadline(time.Now().Add(5*time.Minute)))
	r := bufio.NewReader(near)
	read := func(n int) []byte {
		t.Helper()
		b := make([]byte, n)
		if _, err := io.ReadFull(r, b); err != nil {
			t.Fatalf("VNC server of port %d: %v", port, err)
		}
		return b
	}
	write := func(b ...byte) {
		t.Helper()
		if _, err := near.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	if version := string(read(12)); version != "RFB 003.008\n" {
		t.Fatalf("the server greets with %q", version)
	}
	write([]byte("RFB 003.008\n")...)
	types := read(int(read(1)[0]))
	const none = 1
	if !strings.Contains(string(types), string(rune(none))) {
		t.Fatalf("security types %v", types)
	}
	write(none)
	if result := binary.BigEndian.Uint32(read(4)); result != 0 {
		t.Fatalf("security result %d", result)
	}
	const shared = 1
	write(shared)
	size := read(4)
	return int(binary.BigEndian.Uint16(size)), int(binary.BigEndian.Uint16(size[2:]))
}

// answersVNC checks the port of a machine on the second host.
func answersVNC(t *testing.T, id int) {
	t.Helper()
	port := front.info(t, "vm", id).number("TEMPLATE/GRAPHICS/PORT")
	if port != 5900+id {
		t.Errorf("the port is %d", port)
	}
	if width, height := handshake(t, second(), port); width < 320 || height < 200 {
		t.Errorf("a screen of %dx%d", width, height)
	}
}

// TestFullyVirtual is the notebook's way of installing a machine from a CD and of
// running it afterwards.
func TestFullyVirtual(t *testing.T) {
	alone(t, second())
	prepare(t)
	// What the installation would write is on the block from the start.
	disk := front.path("boot.img")
	must(t, os.WriteFile(disk, guest.Disk(), 0o644))
	cd := front.makeImage(t, imageDatastore, fmt.Sprintf("NAME=cd\nTYPE=CDROM\nPATH=%q", bootCD(t)))
	block := front.makeImage(t, imageDatastore, fmt.Sprintf("NAME=block\nTYPE=DATABLOCK\nPERSISTENT=YES\nDRIVER=file\nPATH=%q", disk))
	// The CD is hda of the emulated machine, so the block is not xvda, which would be that, too.
	disks := []string{fmt.Sprintf("DISK=[IMAGE_ID=%d]", cd), fmt.Sprintf("DISK=[IMAGE_ID=%d, TARGET=xvdb]", block)}
	var id int
	var machine *domain

	need(t, "boots from a CD", func(t *testing.T) {
		id = front.run(t, fullyVirtual(t, "installation", "cdrom", disks...), second())
		front.awaitVM(t, id, "RUNNING")
		machine = newDomain(second(), id)
		awaitSerial(t, second())
		if n := machine.devices(t, "block-list"); n != 3 {
			t.Errorf("xl block-list shows %d devices", n)
		}
	})
	check(t, "its VNC port answers", func(t *testing.T) { answersVNC(t, id) })
	check(t, "is monitored", func(t *testing.T) {
		await(t, "figures", func() bool {
			return front.info(t, "vm", id).number("MEMORY") > 32*1024
		})
	})
	check(t, "suspend and resume", func(t *testing.T) {
		front.act(t, "suspend", id, "SUSPENDED")
		front.act(t, "resume", id, "RUNNING")
		answersVNC(t, id)
	})
	check(t, "delete; the block stays", func(t *testing.T) {
		front.act(t, "delete", id, "DONE")
		await(t, "the domain gone", func() bool { return !machine.isListed(t) })
		front.awaitImage(t, block, "READY")
		front.awaitImage(t, cd, "READY")
	})
	check(t, "runs from the installed disk", func(t *testing.T) {
		front.must(t, "one.image.persistent", block, false)
		front.must(t, "one.image.chtype", block, "OS")
		mustSSH(t, second(), "sudo rm -f "+serialLog)
		data := "DISK=[TYPE=fs, SIZE=8, FORMAT=ext2, TARGET=xvdb, DRIVER=file]"
		id = front.run(t, fullyVirtual(t, "installed", "hd", data, fmt.Sprintf("DISK=[IMAGE_ID=%d, TARGET=xvda]", block)), second())
		front.awaitVM(t, id, "RUNNING")
		machine = newDomain(second(), id)
		awaitSerial(t, second())
		answersVNC(t, id)
	})
	check(t, "shutdown-hard", func(t *testing.T) {
		front.act(t, "shutdown-hard", id, "DONE")
		if machine.isListed(t) {
			t.Error("the domain runs still")
		}
		front.awaitImage(t, block, "READY")
	})
}

// TestFullyVirtualLinux is a machine that has Xen's drivers, as most have: it takes
// disks and cards while it runs. Its context is a CD of an emulated drive.
func TestFullyVirtualLinux(t *testing.T) {
	alone(t, second())
	f := prepare(t)
	disk := linuxDisk(t, "fully-virtual", true)
	ramdisk := front.makeImage(t, fileDatastore, fmt.Sprintf("NAME=ramdisk-hvm\nTYPE=RAMDISK\nPATH=%q", filepath.Join(labDir, "guest", "ramdisk-hvm")))
	var machine *linuxGuest

	need(t, "boots and shows its context", func(t *testing.T) {
		// A kernel makes a machine paravirtual for oned, unless it is told otherwise.
		template := strings.NewReplacer(
			"MEMORY=96", "MEMORY=128",
			fmt.Sprintf("FILE[IMAGE_ID=%d]", f.ramdisk), fmt.Sprintf("FILE[IMAGE_ID=%d]", ramdisk),
			`TARGET="xvdb"`, `TARGET="hdc:cdrom", DRIVER="file"`,
		).Replace(linux(t, "fully-virtual", disk)) + `
RAW=[TYPE="xen", DATA="builder = 'hvm'"]
`
		machine = runLinux(t, second(), template, disk)
	})
	check(t, "disk attached and detached", func(t *testing.T) { machine.attachDisk(t) })
	check(t, "card attached and detached", func(t *testing.T) { machine.attachCard(t) })
	check(t, "snapshot and revert", func(t *testing.T) { machine.snapshot(t) })
	check(t, "shutdown; the image keeps what was written", func(t *testing.T) { machine.shutdown(t) })
}
