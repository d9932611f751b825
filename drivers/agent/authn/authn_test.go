package authn

import (
	"bytes"
	"context"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goned/drivers/agent"
)

func TestRequests(t *testing.T) {
	tests := []struct {
		name, line, output string
		drivers            []string
		authorizer         string
	}{
		{name: "accepted", line: "AUTHENTICATE 5 2 plain joe stored secret", output: "AUTHENTICATE SUCCESS 5 -\n"},
		{name: "refused", line: "AUTHENTICATE 5 2 plain joe stored wrongsecret",
			output: "LOG I 5 Command execution fail: @/plain/authenticate joe stored ****\nLOG I 5 secret was ****\n" +
				"LOG E 5 Invalid credentials\nLOG I 5 ExitCode: 255\nAUTHENTICATE FAILURE 5 Invalid credentials\n"},
		{name: "new user", line: "AUTHENTICATE 6 -1 ldap joe - secret", output: "AUTHENTICATE SUCCESS 6 ldap joe cn=joe\n"},
		{name: "shell text is text", line: "AUTHENTICATE 6 -1 ldap $(id) - `id`;x", output: "AUTHENTICATE SUCCESS 6 ldap $(id) cn=$(id)\n"},
		{name: "unknown driver", line: "AUTHENTICATE 6 -1 default joe - x", output: "AUTHENTICATE FAILURE 6 Authentication driver 'default' not available\n"},
		{name: "driver not enabled", drivers: []string{"ssh"}, line: "AUTHENTICATE 6 2 plain joe secret secret",
			output: "AUTHENTICATE FAILURE 6 Authentication driver 'plain' not available\n"},
		{name: "driver elsewhere", line: "AUTHENTICATE 6 2 ../auth/plain joe secret secret",
			output: "AUTHENTICATE FAILURE 6 Authentication driver '../auth/plain' not available\n"},
		{name: "built-in decision yes", line: "AUTHORIZE 7 2 VM:0:USE:0:1 1", output: "AUTHORIZE SUCCESS 7 -\n"},
		{name: "built-in decision no", line: "AUTHORIZE 7 2 VM:0:USE:0:0 0", output: "AUTHORIZE FAILURE 7 -\n"},
		{name: "authorizer", authorizer: "quota", line: "AUTHORIZE 7 2 VM:0:USE:0:0 0", output: "AUTHORIZE SUCCESS 7 2 VM:0:USE:0:0 0\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			base := t.TempDir()
			for name, body := range map[string]string{
				"plain/authenticate": `[ "$3" = secret ] && exit 0
echo "secret was $3" >&2
printf '%s\n' 'ERROR MESSAGE --8<------' 'Invalid credentials' 'ERROR MESSAGE ------>8--' >&2
exit 255
`,
				"ldap/authenticate": `printf 'ldap %s cn=%s\n' "$1" "$1"` + "\n",
				"quota/authorize":   `echo "$*"` + "\n",
			} {
				if err := os.MkdirAll(base+"/"+name[:strings.Index(name, "/")], 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(base+"/"+name, []byte("#!/bin/sh\n"+body), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			var out bytes.Buffer
			d := &Driver{Dir: base, Drivers: tt.drivers, Authorizer: tt.authorizer, Out: agent.NewOutput(&out)}
			words := strings.Fields(tt.line)
			id, err := strconv.Atoi(words[1])
			if err != nil {
				t.Fatal(err)
			}
			d.Actions()[words[0]].Run(context.Background(), agent.Request{Action: words[0], ID: id, Args: words[2:]})
			if diff := cmp.Diff(tt.output, strings.ReplaceAll(out.String(), base, "@")); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if strings.Contains(out.String(), "wrongsecret") {
				t.Error("secret in the output")
			}
		})
	}
}
