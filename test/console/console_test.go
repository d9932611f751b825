//go:build e2e

package console

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"goned/vnc"
	"goned/vnc/console/onedtest"

	"goned/test/output"
)

// site is an installation: a small oned, the token directory and onevnc.
type site struct {
	exe, endpoint, auth, tokens, address string
}

// startSite runs onevnc for the given machines; novnc says whether pages are needed.
func startSite(t testing.TB, novnc bool, vms ...onedtest.VM) *site {
	t.Helper()
	dir := t.TempDir()
	s := &site{
		exe: filepath.Join(dir, "onevnc"), endpoint: onedtest.Start(t, vms...).URL,
		auth: onedtest.AuthFile(t), tokens: filepath.Join(dir, "tokens"),
	}
	if out, err := exec.Command("go", "build", "-o", s.exe, "goned/cmd/onevnc").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	if err := os.Mkdir(s.tokens, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = l.Addr().String()
	l.Close()
	args := []string{"--target-config", s.tokens, "--endpoint", s.endpoint, "--auth-file", s.auth, s.address}
	if novnc {
		if _, err := vnc.FindNoVNC(); err != nil {
			t.Skip(err)
		}
		args = append(args, "--web", "auto")
	}
	var log output.Buffer
	cmd := exec.Command(s.exe, args...)
	cmd.Stderr = &log
	startProcess(t, cmd)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("onevnc said:\n%s", log.String())
		}
	})
	eventually(t, func() (bool, string) {
		return strings.Contains(log.String(), "msg=listening"), "onevnc does not listen:\n" + log.String()
	})
	return s
}

// open runs "onevnc open" and returns the console's URL.
func (s *site) open(t testing.TB, vm int, options ...string) string {
	t.Helper()
	args := append([]string{"open", "--endpoint", s.endpoint, "--auth-file", s.auth, "--token-dir", s.tokens, "--proxy", s.address}, options...)
	out, err := exec.Command(s.exe, append(args, strconv.Itoa(vm))...).Output()
	var ee *exec.ExitError
	if errors.As(err, &ee) {
		t.Fatalf("open: %v\n%s", err, ee.Stderr)
	}
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}

func running(id, port int, password string) onedtest.VM {
	return onedtest.VM{ID: id, State: 3, LCMState: 3, Name: fmt.Sprintf("guest %d", id), Graphics: onedtest.VNC(port, password), Hosts: []string{"127.0.0.1"}}
}

func TestConsolePage(t *testing.T) {
	g := startGuest(t, "")
	s := startSite(t, true, running(5, g.port, ""))
	b := startBrowser(t)
	b.open(s.open(t, 5))
	b.wantText("status", "connected")
	b.wantText("name", "guest 5")
	wantDrawn(t, b, g)
	b.typeKeys("hello from the browser 123\r")
	g.wantSerial("> hello from the browser 123\r\n")
	wantDrawn(t, b, g)
	b.screenshot("console-page")

	b.open("http://" + s.address + "/console?token=wrong")
	b.wantText("status", "disconnected: token is unknown")
	g.ask("quit", nil)
	b.open(s.open(t, 5))
	b.wantText("status", "disconnected: cannot reach the console")
	b.screenshot("console-page-dead-port")
}

// noVNC's own page, opened the way Sunstone's detached window opens its proxy.
func TestNoVNCPage(t *testing.T) {
	g := startGuest(t, "")
	s := startSite(t, true, running(5, g.port, ""))
	u, err := url.Parse(s.open(t, 5))
	if err != nil {
		t.Fatal(err)
	}
	b := startBrowser(t)
	q := url.Values{"autoconnect": {"1"}, "path": {"websockify?token=" + u.Query().Get("token")}}
	b.open("http://" + s.address + "/vnc.html?" + q.Encode())
	wantDrawn(t, b, g)
	b.eval("document.querySelector('canvas').focus()")
	b.typeKeys("sunstone\r")
	g.wantSerial("> sunstone\r\n")
	wantDrawn(t, b, g)
	b.screenshot("novnc-page")
}

func TestPassword(t *testing.T) {
	g := startGuest(t, "s3cret")
	s := startSite(t, true, running(5, g.port, "s3cret"))
	b := startBrowser(t)
	logIn := func(password string) {
		b.open(s.open(t, 5))
		b.wantText("status", "this console has a password")
		b.eval(fmt.Sprintf("document.getElementById('password').value = %q; document.getElementById('login').requestSubmit()", password))
	}
	logIn("wrong")
	b.wantText("status", "disconnected")
	b.screenshot("password-wrong")
	if b.eval("document.querySelector('canvas') && rfb._rfbConnectionState") == "connected" {
		t.Error("connected with a wrong password")
	}
	logIn("s3cret")
	b.wantText("status", "connected")
	wantDrawn(t, b, g)
	b.typeKeys("typed in\r")
	g.wantSerial("> typed in\r\n")
	b.open(s.open(t, 5, "--with-password"))
	b.wantText("status", "connected")
	b.typeKeys("from url\r")
	g.wantSerial("from url\r\n")
	wantDrawn(t, b, g)
	b.screenshot("password")
}

// Several people look at one machine at the same time, and see each other's keys.
func TestTwoViewers(t *testing.T) {
	g := startGuest(t, "")
	s := startSite(t, true, running(5, g.port, ""))
	where := s.open(t, 5)
	first, second := startBrowser(t), startBrowser(t)
	for _, b := range []*browser{first, second} {
		b.open(where)
		b.wantText("status", "connected")
	}
	first.typeKeys("one\r")
	g.wantSerial("> one\r\n")
	second.typeKeys("two\r")
	g.wantSerial("two\r\n")
	wantDrawn(t, first, g)
	wantDrawn(t, second, g)
}

// GRAPHICS/KEYMAP becomes qemu's -k; a viewer that sends key symbols only gets
// the keys of that keyboard.
func TestKeymap(t *testing.T) {
	for keymap, want := range map[string]string{"en-us": "z", "de": "y"} {
		t.Run(keymap, func(t *testing.T) {
			g := startGuest(t, "", "-k", keymap)
			s := startSite(t, false, running(5, g.port, ""))
			u, err := url.Parse(s.open(t, 5))
			if err != nil {
				t.Fatal(err)
			}
			v := dialViewer(t, "ws://"+s.address+"/?token="+u.Query().Get("token"))
			v.key('z')
			g.wantSerial("> " + want)
		})
	}
}

// viewer is the little of an RFB client that sends key symbols.
type viewer struct {
	t   testing.TB
	ws  *websocket.Conn
	buf bytes.Buffer
}

func dialViewer(t testing.TB, url string) *viewer {
	t.Helper()
	d := websocket.Dialer{Subprotocols: []string{"binary"}}
	ws, _, err := d.Dial(url, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.Close() })
	_ = ws.SetReadDeadline(time.Now().Add(30 * time.Second))
	v := &viewer{t: t, ws: ws}
	v.send(v.read(12)) // protocol version
	if types := v.read(int(v.read(1)[0])); !bytes.Contains(types, []byte{1}) {
		t.Fatalf("security types %v, want None", types)
	}
	v.send([]byte{1})
	if result := v.read(4); binary.BigEndian.Uint32(result) != 0 {
		t.Fatalf("security result %v", result)
	}
	v.send([]byte{1}) // share the display
	init := v.read(24)
	v.read(int(binary.BigEndian.Uint32(init[20:])))
	return v
}

func (v *viewer) send(p []byte) {
	v.t.Helper()
	if err := v.ws.WriteMessage(websocket.BinaryMessage, p); err != nil {
		v.t.Fatal(err)
	}
}

func (v *viewer) read(n int) []byte {
	v.t.Helper()
	for v.buf.Len() < n {
		_, msg, err := v.ws.ReadMessage()
		if err != nil {
			v.t.Fatal(err)
		}
		v.buf.Write(msg)
	}
	p := make([]byte, n)
	if _, err := io.ReadFull(&v.buf, p); err != nil {
		v.t.Fatal(err)
	}
	return p
}

func (v *viewer) key(symbol uint32) {
	v.t.Helper()
	for _, down := range []byte{1, 0} {
		v.send(binary.BigEndian.AppendUint32([]byte{4, down, 0, 0}, symbol))
	}
}
