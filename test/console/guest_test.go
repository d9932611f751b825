//go:build e2e

package console

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	guestimage "goned/share/guest"
	"goned/test/output"
)

// guest is a qemu machine that runs the disk of package guest.
type guest struct {
	t      testing.TB
	port   int // of its VNC server on 127.0.0.1
	serial *output.Buffer
	qmp    net.Conn
	lines  *bufio.Reader
	dir    string
}

// eventually polls until ok, and fails with what it says when that takes too long.
func eventually(t testing.TB, ok func() (bool, string)) {
	t.Helper()
	deadline := time.Now().Add(40 * time.Second)
	for {
		done, state := ok()
		if done {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(state)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func need(t testing.TB, names ...string) string {
	t.Helper()
	for _, n := range names {
		if path, err := exec.LookPath(n); err == nil {
			return path
		}
	}
	t.Skipf("%s is not installed", strings.Join(names, " or "))
	return ""
}

// startProcess runs cmd until the test ends.
func startProcess(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// startGuest boots a machine. The password is set as libvirt does it, through
// qemu's monitor; more are qemu's own options.
func startGuest(t testing.TB, password string, more ...string) *guest {
	t.Helper()
	qemu := need(t, "qemu-system-x86_64", "kvm")
	g := &guest{t: t, serial: &output.Buffer{}, dir: t.TempDir()}
	monitor, disk := filepath.Join(g.dir, "qmp"), filepath.Join(g.dir, "disk")
	if err := os.WriteFile(disk, guestimage.Disk(), 0o600); err != nil {
		t.Fatal(err)
	}
	display := "127.0.0.1:0,to=200"
	if password != "" {
		display += ",password=on"
	}
	args := append([]string{
		"-machine", "pc,accel=tcg", "-m", "32", "-nodefaults", "-vga", "std", "-vnc", display,
		"-drive", "file=" + disk + ",format=raw,if=ide,snapshot=on", "-serial", "stdio",
		"-qmp", "unix:" + monitor + ",server=on,wait=off",
	}, more...)
	cmd := exec.Command(qemu, args...)
	cmd.Stdout = g.serial
	var complaints output.Buffer
	cmd.Stderr = &complaints
	startProcess(t, cmd)
	eventually(t, func() (bool, string) {
		c, err := net.Dial("unix", monitor)
		if err == nil {
			g.qmp = c
		}
		return err == nil, fmt.Sprintf("qemu's monitor: %v\n%s", err, complaints.String())
	})
	t.Cleanup(func() { g.qmp.Close() })
	_ = g.qmp.SetDeadline(time.Now().Add(5 * time.Minute))
	g.lines = bufio.NewReader(g.qmp)
	g.ask("qmp_capabilities", nil)
	if password != "" {
		g.ask("set_password", map[string]string{"protocol": "vnc", "password": password})
	}
	var server struct {
		Service string `json:"service"`
	}
	if err := json.Unmarshal(g.ask("query-vnc", nil), &server); err != nil {
		t.Fatal(err)
	}
	var err error
	if g.port, err = strconv.Atoi(server.Service); err != nil {
		t.Fatal(err)
	}
	g.wantSerial("> ")
	return g
}

// ask executes one command of qemu's monitor and returns its result.
func (g *guest) ask(command string, arguments any) json.RawMessage {
	g.t.Helper()
	request := map[string]any{"execute": command}
	if arguments != nil {
		request["arguments"] = arguments
	}
	text, err := json.Marshal(request)
	if err != nil {
		g.t.Fatal(err)
	}
	if _, err := g.qmp.Write(append(text, '\n')); err != nil {
		g.t.Fatal(err)
	}
	for {
		line, err := g.lines.ReadBytes('\n')
		if err != nil {
			g.t.Fatalf("%s: %v", command, err)
		}
		var answer struct {
			Return json.RawMessage `json:"return"`
			Error  *struct {
				Desc string `json:"desc"`
			} `json:"error"`
		}
		if err := json.Unmarshal(line, &answer); err != nil {
			g.t.Fatalf("%s: %v", command, err)
		}
		if answer.Error != nil {
			g.t.Fatalf("%s: %s", command, answer.Error.Desc)
		}
		if answer.Return != nil {
			return answer.Return
		}
	}
}

// wantSerial waits until the guest's serial port has said text.
func (g *guest) wantSerial(text string) {
	g.t.Helper()
	eventually(g.t, func() (bool, string) {
		got := g.serial.String()
		return strings.Contains(got, text), fmt.Sprintf("serial port said %q, want %q", got, text)
	})
}

// screen returns the guest's display as qemu itself sees it.
func (g *guest) screen() image.Image {
	g.t.Helper()
	path := filepath.Join(g.dir, "screen.ppm")
	g.ask("screendump", map[string]string{"filename": path})
	text, err := os.ReadFile(path)
	if err != nil {
		g.t.Fatal(err)
	}
	var w, h, depth int
	r := bytes.NewReader(text)
	if _, err := fmt.Fscanf(r, "P6\n%d %d\n%d\n", &w, &h, &depth); err != nil || depth != 255 {
		g.t.Fatalf("screendump: depth %d, %v", depth, err)
	}
	pixels := text[len(text)-r.Len():]
	if len(pixels) < 3*w*h {
		g.t.Fatalf("screendump of %dx%d has %d bytes", w, h, len(pixels))
	}
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for i := range w * h {
		img.SetRGBA(i%w, i/w, color.RGBA{pixels[3*i], pixels[3*i+1], pixels[3*i+2], 255})
	}
	return img
}
