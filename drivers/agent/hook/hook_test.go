package hook

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goned/drivers/agent"
	"goned/drivers/agent/run"
)

func TestExecute(t *testing.T) {
	base := t.TempDir()
	for name, body := range map[string]string{
		"hook.sh": "echo \"done $*\"; echo more\n",
		"fail.sh": "echo 'ERROR MESSAGE --8<------' >&2; echo bad >&2; echo 'ERROR MESSAGE ------>8--' >&2; exit 1\n",
		"ssh":     "shift; exec sh -c \"$*\"\n",
	} {
		if err := os.WriteFile(base+"/"+name, []byte("#!/bin/sh\n"+body), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct{ name, args, output string }{
		{"local", "mail LOCAL @/hook.sh 3 -", "EXECUTE SUCCESS 3 mail: done 3 -\n"},
		{"local with shell text of the configuration", "mail local @/hook.sh a && echo x", "EXECUTE SUCCESS 3 mail: done a\n"},
		{"remote", "rem h1 @/hook.sh 3 b", "EXECUTE SUCCESS 3 rem: done 3 b\n"},
		{"local failure", "mail LOCAL @/fail.sh -", "LOG I 3 Command execution fail: @/fail.sh -\nLOG E 3 bad\nLOG I 3 ExitCode: 1\nEXECUTE FAILURE 3 mail: bad\n"},
		{"remote failure", "rem h1 @/fail.sh -", "LOG I 3 Command execution fail: '@/fail.sh -'\nLOG E 3 bad\nLOG I 3 ExitCode: 1\nEXECUTE FAILURE 3 rem: bad\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			d := &Driver{SSH: &run.SSH{Program: base + "/ssh"}, Out: agent.NewOutput(&out)}
			args := strings.Fields(strings.ReplaceAll(tt.args, "@", base))
			d.execute(context.Background(), agent.Request{Action: "EXECUTE", ID: 3, Args: args})
			if diff := cmp.Diff(tt.output, strings.ReplaceAll(out.String(), base, "@")); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestTemplate: hooks get the template as an argument and to read; one that no command line takes only to read.
func TestTemplate(t *testing.T) {
	base := t.TempDir()
	for name, body := range map[string]string{
		"hook.sh": "printf '%s:%s:' \"$1\" \"${#2}\"; cksum\n",
		"ssh":     "shift; exec sh -c \"$*\"\n",
	} {
		if err := os.WriteFile(base+"/"+name, []byte("#!/bin/sh\n"+body), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	document := func(size int) []byte { return []byte("<VM>" + strings.Repeat("'$(x)&\n", size/7) + "</VM>") }
	small, big, nothing := document(700), document(1<<20), []byte{}
	sum := func(t *testing.T, text []byte) string {
		t.Helper()
		cmd := exec.Command("cksum")
		cmd.Stdin = bytes.NewReader(text)
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	b64 := base64.StdEncoding.EncodeToString
	for _, tt := range []struct {
		name, args string
		argument   int // length of what the hook gets
		stdin      []byte
	}{
		{"small", "7 " + b64(small), len(b64(small)), small},
		{"in quotes", `7 "` + b64(small) + `"`, len(b64(small)), small},
		{"1 MB", "7 " + b64(big), 1, big},
		{"1 MB in an option", "7 --vm=" + b64(big), len("--vm=-"), big},
		{"none", "7 -", 1, nothing},
		{"no document", "7 " + b64([]byte("neither element nor text")), 32, nothing},
		{"1 MB only to read", "7 - STDIN:" + b64(big), 1, big},
		{"nothing but", "7 STDIN:" + b64(small), 0, small},
	} {
		for _, host := range []string{"LOCAL", "h1"} {
			t.Run(tt.name+" "+host, func(t *testing.T) {
				want := tt.stdin
				if host != "LOCAL" && len(want) > 0 { // a here-document ends its last line
					want = append(bytes.Clone(want), '\n')
				}
				var out bytes.Buffer
				d := &Driver{SSH: &run.SSH{Program: base + "/ssh"}, Out: agent.NewOutput(&out)}
				args := append([]string{"n", host, base + "/hook.sh"}, strings.Fields(tt.args)...)
				d.execute(context.Background(), agent.Request{Action: "EXECUTE", ID: 3, Args: args})
				if got, want := out.String(), fmt.Sprintf("EXECUTE SUCCESS 3 n: 7:%d:%s\n", tt.argument, sum(t, want)); got != want {
					t.Errorf("%.300q, want %q", got, want)
				}
			})
		}
	}
}

// TestTemplateUnread: a hook need not read.
func TestTemplateUnread(t *testing.T) {
	var out bytes.Buffer
	d := &Driver{Out: agent.NewOutput(&out)}
	stdin := base64.StdEncoding.EncodeToString([]byte("<VM>" + strings.Repeat("x", 1<<20) + "</VM>"))
	d.execute(context.Background(), agent.Request{Action: "EXECUTE", ID: 3, Args: []string{"n", "LOCAL", "echo", "done", "STDIN:" + stdin}})
	if got := out.String(); got != "EXECUTE SUCCESS 3 n: done\n" {
		t.Errorf("%.300q", got)
	}
}
