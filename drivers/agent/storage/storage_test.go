package storage

import (
	"bytes"
	"context"
	"encoding/base64"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goned/drivers/agent"
	"goned/drivers/datastore"
)

func TestDatastoreRequests(t *testing.T) {
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	const fs = "<DATASTORE><ID>1</ID><DS_MAD><![CDATA[fs]]></DS_MAD></DATASTORE>"
	tests := []struct {
		name, line, output string
		drivers            []string
	}{
		{name: "copy", line: datastore.Line(datastore.Copy, 7, "<IMAGE/>", fs), output: "CP SUCCESS 7 /ds/1/abc 7\n"},
		{name: "failure", line: datastore.Line(datastore.Stat, 8, datastore.StatImage("/x"), fs),
			output: "LOG I 8 Command execution fail: @/fs/stat <b64> 8\nLOG E 8 stat: Cannot determine size for /x\nLOG I 8 ExitCode: 255\n" +
				"STAT FAILURE 8 stat: Cannot determine size for /x\n"},
		{name: "monitor", line: datastore.Line(datastore.Monitor, 1, "", fs), output: "MONITOR SUCCESS 1 " + b64("USED_MB=1\nTOTAL_MB=3\nFREE_MB=2\n") + "\n"},
		{name: "unknown driver", line: datastore.Line(datastore.Copy, 7, "<IMAGE/>", strings.ReplaceAll(fs, "fs]", "zfs]")),
			output: "CP FAILURE 7 Datastore driver 'zfs' not available\n"},
		{name: "driver not enabled", drivers: []string{"lvm"}, line: datastore.Line(datastore.Copy, 7, "<IMAGE/>", fs),
			output: "CP FAILURE 7 Datastore driver 'fs' not available\n"},
		{name: "driver elsewhere", line: datastore.Line(datastore.Copy, 7, "<IMAGE/>", strings.ReplaceAll(fs, "fs]", "../x/fs]")),
			output: "CP FAILURE 7 Datastore driver '../x/fs' not available\n"},
		{name: "no base64", line: "CP 7 %%%", output: "CP FAILURE 7 Cannot read CP request: illegal base64 data at input byte 0\n"},
		{name: "unknown driver of a monitoring", line: datastore.Line(datastore.Monitor, 1, "", "<DATASTORE/>"),
			output: "MONITOR FAILURE 1 " + b64("Datastore driver '' not available") + "\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			base := t.TempDir()
			for name, body := range map[string]string{
				"cp": "echo /ds/1/abc $2; echo second line\n", "stat": "echo 'ERROR: stat: Cannot determine size for /x' >&2; exit 255\n",
				"monitor": "echo USED_MB=1; echo TOTAL_MB=3; echo FREE_MB=2\n"} {
				if err := os.MkdirAll(base+"/fs", 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(base+"/fs/"+name, []byte("#!/bin/sh\n"+body), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			var out bytes.Buffer
			d := &Driver{Dir: base, Drivers: tt.drivers, Out: agent.NewOutput(&out)}
			words := strings.Fields(tt.line)
			id, err := strconv.Atoi(words[1])
			if err != nil {
				t.Fatal(err)
			}
			r := agent.Request{Action: words[0], ID: id, Args: words[2:]}
			d.Actions()[r.Action].Run(context.Background(), r)
			got := strings.ReplaceAll(strings.ReplaceAll(out.String(), base, "@"), words[2]+" 8", "<b64> 8")
			if diff := cmp.Diff(tt.output, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestManyImages: a datastore does not stop working with the number of its images.
func TestManyImages(t *testing.T) {
	base := t.TempDir()
	if err := os.MkdirAll(base+"/fs", 0o755); err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\nprintf '%s' \"$1\" | base64 -d >&2\necho USED_MB=1\n"
	if err := os.WriteFile(base+"/fs/monitor", []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	var images strings.Builder
	for i := range 20000 {
		images.WriteString("<ID>" + strconv.Itoa(i) + "</ID>")
	}
	line := datastore.Line(datastore.Monitor, 1, "", "<DATASTORE><DS_MAD>fs</DS_MAD><IMAGES>"+images.String()+"</IMAGES><TEMPLATE><A>b</A></TEMPLATE></DATASTORE>")
	var out bytes.Buffer
	d := &Driver{Dir: base, Out: agent.NewOutput(&out)}
	d.run(context.Background(), agent.Request{Action: "MONITOR", ID: 1, Args: strings.Fields(line)[2:]})
	if want := "MONITOR SUCCESS 1 " + base64.StdEncoding.EncodeToString([]byte("USED_MB=1\n")) + "\n"; out.String() != want {
		t.Errorf("%.500q, want %q", out.String(), want)
	}
}
