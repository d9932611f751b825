package probe

import (
	"bytes"
	"context"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"goned/drivers/agent"
	"goned/drivers/agent/run"
)

type world struct {
	base string
	out  bytes.Buffer
	d    *Driver
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{base: t.TempDir()}
	w.write(t, "remotes/im/run_probes", "#!/bin/sh\n[ -e \""+w.base+"/fail\" ] && { printf '%s\\n' 'ERROR MESSAGE --8<------' 'Error executing xen.sh' 'ERROR MESSAGE ------>8--' >&2; exit 1; }\necho \"ARGS=\\\"$*\\\"\"\necho VM_POLL=YES\n")
	w.write(t, "remotes/im/stop_probes", "#!/bin/sh\necho \"$*\" > "+w.base+"/stopped\n")
	ssh := &run.SSH{Program: w.write(t, "ssh", `#!/bin/sh
if [ "$1" = bad ]; then echo "ssh: connect to host bad port 22: No route to host" >&2; exit 255; fi
shift
exec sh -c "$*"
`)}
	w.d = &Driver{Hypervisor: "kvm", Settings: agent.Settings{RemoteDir: w.base + "/host", CollectdPort: 4124, PushSeconds: 20},
		Remotes: &run.Remotes{Local: w.base + "/remotes", Remote: w.base + "/host", SSH: ssh}, SSH: ssh, Out: agent.NewOutput(&w.out)}
	return w
}

func (w *world) write(t *testing.T, name, body string) string {
	t.Helper()
	path := filepath.Join(w.base, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(body), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// do runs a request and returns its answer with the text decoded.
func (w *world) do(t *testing.T, line string) string {
	t.Helper()
	w.out.Reset()
	words := strings.Fields(line)
	w.d.Actions()[words[0]].Run(context.Background(), agent.Request{Action: words[0], ID: 3, Args: words[1:]})
	lines := strings.Split(strings.TrimSuffix(w.out.String(), "\n"), "\n")
	f := strings.SplitN(lines[len(lines)-1], " ", 4)
	text, err := base64.StdEncoding.DecodeString(f[3])
	if err != nil {
		t.Fatalf("%q: %v", lines, err)
	}
	return strings.Join(f[:3], " ") + " " + string(text)
}

func TestMonitor(t *testing.T) {
	const good = "MONITOR SUCCESS 3 ARGS=\"kvm /ds 4124 20 3 h1\"\nVM_POLL=YES\n"
	w := newWorld(t)
	if got := w.do(t, "MONITOR h1 /ds 1"); got != good {
		t.Errorf("first round: %q", got)
	}
	if err := os.RemoveAll(w.base + "/host"); err != nil {
		t.Fatal(err)
	}
	if got := w.do(t, "MONITOR h1 /ds 0"); got != good {
		t.Errorf("host that lost its scripts: %q", got)
	}
	if got, want := w.do(t, "MONITOR bad /ds 1"), "MONITOR FAILURE 3 Could not update remotes: ssh: connect to host bad port 22: No route to host"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := w.do(t, "MONITOR bad /ds 0"), "MONITOR FAILURE 3 Error connecting to bad: ssh: connect to host bad port 22: No route to host"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	w.write(t, "fail", "")
	if got, want := w.do(t, "MONITOR h1 /ds 0"), "MONITOR FAILURE 3 Error executing xen.sh"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := w.do(t, "STOPMONITOR h1"); !strings.HasPrefix(got, "STOPMONITOR SUCCESS 3") {
		t.Error(got)
	}
	if data, _ := os.ReadFile(w.base + "/stopped"); string(data) != "kvm 3 h1\n" {
		t.Errorf("stop_probes got %q", data)
	}
}

func TestMonitorLocal(t *testing.T) {
	w := newWorld(t)
	w.d.Local = true
	if got, want := w.do(t, "MONITOR h1 /ds 1"), "MONITOR SUCCESS 3 ARGS=\"kvm /ds 4124 20 3 h1\"\nVM_POLL=YES\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if _, err := os.Stat(w.base + "/host"); err == nil {
		t.Error("scripts copied for a local host")
	}
}

func TestForceCopy(t *testing.T) {
	w := newWorld(t)
	w.d.ForceCopy = true
	w.do(t, "MONITOR h1 /ds 0")
	w.write(t, "remotes/im/new", "x")
	w.do(t, "MONITOR h1 /ds 0")
	if _, err := os.Stat(w.base + "/host/im/new"); err != nil {
		t.Error("change not copied")
	}
}
