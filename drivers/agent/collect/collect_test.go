package collect

import (
	"context"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"goned/drivers/agent"
	"goned/test/output"
)

func listen(t *testing.T) (addr string, out *output.Buffer) {
	t.Helper()
	out = &output.Buffer{}
	s, err := Listen("127.0.0.1", 0, 10*time.Millisecond, agent.NewOutput(out))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s.Addr().String(), out
}

func waitFor(t *testing.T, out *output.Buffer, text string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !strings.Contains(out.String(), text); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no %q in %q", text, out.String())
		}
	}
}

func TestServerPassesReportsAndNothingElse(t *testing.T) {
	addr, out := listen(t)
	conn, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, d := range []string{
		"MONITOR SUCCESS 3 QT0xCg==\n",
		"MONITOR FAILURE 4 bm8=", // without line feed
		"MONITOR SUCCESS 5 QT0xCg==\nLOG I - hello\nMONITOR SUCCESS 6 QT0xCg==\n",
		"DEPLOY SUCCESS 3 one-3\n", "MONITOR WHATEVER 3 QT0xCg==\n", "MONITOR SUCCESS x QT0xCg==\n", "MONITOR SUCCESS -7 QT0xCg==\n",
		"MONITOR SUCCESS 3 no base64\n", "\x00\xff", "", "\n\n",
		"MONITOR SUCCESS 99 bGFzdA==\n",
	} {
		if _, err := conn.Write([]byte(d)); err != nil {
			t.Fatal(err)
		}
	}
	waitFor(t, out, "MONITOR SUCCESS 99 bGFzdA==\n")
	want := "MONITOR SUCCESS 3 QT0xCg==\nMONITOR FAILURE 4 bm8=\nMONITOR SUCCESS 5 QT0xCg==\nLOG I - hello\n" +
		"MONITOR SUCCESS 6 QT0xCg==\nMONITOR SUCCESS 99 bGFzdA==\n"
	if got := out.String(); got != want {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}

func TestClientReports(t *testing.T) {
	addr, out := listen(t)
	dir := t.TempDir()
	if err := os.MkdirAll(dir+"/im", 0o755); err != nil {
		t.Fatal(err)
	}
	probes := "#!/bin/sh\nif [ -e " + dir + "/broken ]; then echo 'no xl' >&2; exit 1; fi\necho \"A=$1 $2 $5 $6\"\n"
	if err := os.WriteFile(dir+"/im/run_probes", []byte(probes), 0o755); err != nil {
		t.Fatal(err)
	}
	c := &Client{Dir: dir, Hypervisor: "kvm", DSLocation: "/ds", HostID: 7, HostName: "h1", Address: addr, Period: 20 * time.Millisecond}
	done := make(chan error, 1)
	go func() { done <- c.Run(context.Background()) }()
	waitFor(t, out, strings.TrimSpace(string(Report(7, "A=kvm-probes /ds 7 h1\n", true))))
	if err := os.WriteFile(dir+"/broken", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	waitFor(t, out, strings.TrimSpace(string(Report(7, "Error executing probes: no xl", false))))
	if err := os.WriteFile(dir+"/.update", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("client goes on with old scripts")
	}
}

func TestFrontEnd(t *testing.T) {
	if got, err := FrontEnd("192.168.1.5 40000 22", 4124); got != "192.168.1.5:4124" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	if _, err := FrontEnd("", 4124); err == nil {
		t.Error("no error without SSH_CLIENT")
	}
}

func FuzzAcceptable(f *testing.F) {
	f.Add("MONITOR SUCCESS 3 QT0xCg==")
	f.Fuzz(func(t *testing.T, line string) {
		if acceptable(line) && !strings.HasPrefix(strings.TrimSpace(line), "MONITOR") && !strings.HasPrefix(strings.TrimSpace(line), "LOG") {
			t.Errorf("%q accepted", line)
		}
	})
}
