package hook

import (
	"bytes"
	"context"
	"os"
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
