package transfer

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goned/drivers/agent"
)

func script(t testing.TB, path, body string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body), 0o755); err != nil {
		t.Fatal(err)
	}
}

func runner(t testing.TB) (*Runner, *bytes.Buffer, string) {
	t.Helper()
	base := t.TempDir()
	for _, name := range []string{"clone", "ln", "context", "delete"} {
		script(t, base+"/tm/shared/"+name, `printf '%s' "${0##*/}" >> `+base+`/trace; printf ' [%s]' "$@" >> `+base+`/trace; echo >> `+base+"/trace\n")
	}
	script(t, base+"/tm/shared/mkimage", `echo "INFO: mkimage: Making filesystem of $1M" >&2
echo 'ERROR MESSAGE --8<------' >&2
echo "Could not create image $3" >&2
echo 'ERROR MESSAGE ------>8--' >&2
exit 255
`)
	var out bytes.Buffer
	return &Runner{Dir: base + "/tm", Out: agent.NewOutput(&out)}, &out, base
}

func TestTransfer(t *testing.T) {
	tests := []struct {
		name, script, trace, output string
		drivers                     []string
	}{
		{name: "several lines", script: "# comment\n\n  CLONE shared fe:/img h:/d/disk.0 3 1\nLN  shared  a   b 3 1\n",
			trace: "clone [fe:/img] [h:/d/disk.0] [3] [1]\nln [a] [b] [3] [1]\n", output: "TRANSFER SUCCESS 3 -\n"},
		{name: "quotes", script: "CONTEXT shared /v/context.sh /ds/14img:'c f' \"a\\\"b\" x\\ y h:/d/disk.4 3 0\n",
			trace: "context [/v/context.sh] [/ds/14img:c f] [a\"b] [x y] [h:/d/disk.4] [3] [0]\n", output: "TRANSFER SUCCESS 3 -\n"},
		{name: "shell text is text", script: "CLONE shared $(id) `id` ;id |x >y $HOME * 3 1\n",
			trace: "clone [$(id)] [`id`] [;id] [|x] [>y] [$HOME] [*] [3] [1]\n", output: "TRANSFER SUCCESS 3 -\n"},
		{name: "stops at the first failure", script: "LN shared a b 3 1\nMKIMAGE shared 5 ext3 h:/d/disk.1 3 0\nLN shared c d 3 1\n",
			trace: "ln [a] [b] [3] [1]\n",
			output: "LOG I 3 Command execution fail: @/tm/shared/mkimage 5 ext3 h:/d/disk.1 3 0\n" +
				"LOG I 3 mkimage: Making filesystem of 5M\nLOG E 3 Could not create image h:/d/disk.1\nLOG I 3 ExitCode: 255\n" +
				"TRANSFER FAILURE 3 Could not create image h:/d/disk.1\n"},
		{name: "missing script", script: "CPDS shared a b 3 1\n",
			output: "LOG I 3 Command execution fail: @/tm/shared/cpds a b 3 1\nLOG I 3 @/tm/shared/cpds: no such file or directory\nLOG I 3 ExitCode: 127\n" +
				"TRANSFER FAILURE 3 @/tm/shared/cpds: no such file or directory\n"},
		{name: "unknown driver", script: "LN ceph a b 3 1\n", output: "TRANSFER FAILURE 3 Transfer Driver 'ceph' not available\n"},
		{name: "driver not enabled", script: "LN shared a b 3 1\n", drivers: []string{"ssh"}, output: "TRANSFER FAILURE 3 Transfer Driver 'shared' not available\n"},
		{name: "driver elsewhere", script: "LN ../tm/shared a b 3 1\n", output: "TRANSFER FAILURE 3 Transfer Driver '../tm/shared' not available\n"},
		{name: "command elsewhere", script: "../../x shared a b\n", output: "TRANSFER FAILURE 3 Transfer command '../../x' is no script name\n"},
		{name: "one word", script: "LN\n", output: "TRANSFER FAILURE 3 Transfer command is incomplete: LN\n"},
		{name: "open quote", script: "LN shared 'a b 3 1\n", output: "TRANSFER FAILURE 3 unmatched quote in transfer command: LN shared 'a b 3 1\n"},
		{name: "empty", script: "", output: "TRANSFER SUCCESS 3 -\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, out, base := runner(t)
			r.Drivers = tt.drivers
			path := base + "/transfer.0.prolog"
			if err := os.WriteFile(path, []byte(tt.script), 0o644); err != nil {
				t.Fatal(err)
			}
			r.transfer(context.Background(), agent.Request{Action: "TRANSFER", ID: 3, Args: []string{path}})
			if diff := cmp.Diff(tt.output, strings.ReplaceAll(out.String(), base, "@")); diff != "" {
				t.Errorf("output (-want +got)\n%s", diff)
			}
			trace, _ := os.ReadFile(base + "/trace")
			if diff := cmp.Diff(tt.trace, string(trace)); diff != "" {
				t.Errorf("calls (-want +got)\n%s", diff)
			}
		})
	}
	t.Run("no file", func(t *testing.T) {
		r, out, _ := runner(t)
		r.transfer(context.Background(), agent.Request{Action: "TRANSFER", ID: 4, Args: []string{"/no/file"}})
		if got, want := out.String(), "TRANSFER FAILURE 4 Transfer file '/no/file' does not exist\n"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

func TestHasScript(t *testing.T) {
	r, _, _ := runner(t)
	for name, want := range map[string]bool{"clone": true, "failmigrate": false} {
		if got := r.HasScript("shared", name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if r.HasScript("..", "tm") {
		t.Error("driver outside of the directory")
	}
}

func FuzzSplitLine(f *testing.F) {
	for _, s := range []string{"a 'b c' d", `a\ b "c\"d"`, "'", "\\", "a''b", "\t x \n", "é'ü'"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		words, err := SplitLine(line)
		if err != nil {
			return
		}
		// Quoted again, the same words come out.
		quoted := make([]string, len(words))
		for i, w := range words {
			quoted[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		again, err := SplitLine(strings.Join(quoted, " "))
		if err != nil || cmp.Diff(strconv.Quote(strings.Join(words, "|")), strconv.Quote(strings.Join(again, "|"))) != "" {
			t.Fatalf("%q: %q, then %q (%v)", line, words, again, err)
		}
	})
}
