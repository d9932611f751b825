package main

import (
	"bytes"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"text/template"

	"goned/share/guest"
)

var (
	//go:embed oned.conf
	onedConf string
	//go:embed sched.conf
	schedConf string
	//go:embed defaultrc
	defaultRC string
)

// settings is what differs from one such cloud to the next, and has to stay
// the same from one start to the next.
type settings struct {
	Port       int    // oned's
	Proxy      int    // of onevnc
	VNCBase    int    // VNC_BASE_PORT
	Hypervisor string // qemu or dummy
}

func (c *cloud) settingsFile() string { return c.path("etc", "demo.json") }

// setUp reads the settings, after it has written the configuration if this
// cloud has never run. The settings are written last.
func (c *cloud) setUp() error {
	text, err := os.ReadFile(c.settingsFile())
	if err == nil {
		return json.Unmarshal(text, &c.settings)
	}
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if c.settings, err = c.chooseSettings(); err != nil {
		return err
	}
	if err := c.writeConfiguration(); err != nil {
		return err
	}
	if text, err = json.Marshal(c.settings); err != nil {
		return err
	}
	return os.WriteFile(c.settingsFile(), append(text, '\n'), 0o640)
}

func (c *cloud) chooseSettings() (settings, error) {
	s := settings{Hypervisor: "qemu"}
	if _, err := exec.LookPath("qemu-system-x86_64"); err != nil {
		s.Hypervisor = "dummy"
		c.say("qemu-system-x86_64 is not installed: this cloud gets the dummy driver, whose machines exist on paper only.")
		c.say("For a real one install qemu-system-x86, remove %s and start again.", c.dir)
	}
	var err error
	if s.Port, err = portFromEnvironment("PORT", 2633); err != nil {
		return s, err
	}
	// The first few machines get this number and the following ones.
	for _, base := range []int{5900, 5920, 5940, 5960, 5980} {
		if s.VNCBase = base; free(base) {
			break
		}
	}
	s.Proxy, err = portFromEnvironment("VNC_PROXY_PORT", 29876)
	return s, err
}

func (c *cloud) writeConfiguration() error {
	for _, f := range []struct{ name, text string }{
		{"oned.conf", onedConf}, {"sched.conf", schedConf}, {"defaultrc", defaultRC},
	} {
		text, err := c.fill(f.text)
		if err == nil {
			err = os.WriteFile(c.path("etc", f.name), text, 0o640)
		}
		if err != nil {
			return fmt.Errorf("write %s: %w", f.name, err)
		}
	}
	if err := os.MkdirAll(c.path("images"), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(c.path("images", "guest.img"), guest.Disk(), 0o644); err != nil {
		return err
	}
	return os.WriteFile(c.path("etc", "one_auth"), []byte("oneadmin:"+rand.Text()+"\n"), 0o600)
}

func (c *cloud) fill(text string) ([]byte, error) {
	t, err := template.New("").Parse(text)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, struct {
		settings
		Dir string
	}{c.settings, c.dir})
	return b.Bytes(), err
}

// portFromEnvironment is the port that the variable names, else the usual one,
// else, when that is taken, any.
func portFromEnvironment(variable string, usual int) (int, error) {
	if text := os.Getenv(variable); text != "" {
		port, err := strconv.Atoi(text)
		if err != nil || port < 1 || port > 65535 {
			return 0, fmt.Errorf("%s=%s is no port", variable, text)
		}
		return port, nil
	}
	if free(usual) {
		return usual, nil
	}
	l, err := net.Listen("tcp4", ":0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// free reports whether nobody listens on a port.
func free(port int) bool {
	l, err := net.Listen("tcp4", ":"+strconv.Itoa(port))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// path is a file of the cloud.
func (c *cloud) path(names ...string) string {
	return filepath.Join(append([]string{c.dir}, names...)...)
}
