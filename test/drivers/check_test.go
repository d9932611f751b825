package driverstest

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"goned/drivers/agent/check"
)

// TestOurDriversKeepTheContract puts every directory that is installed through
// the check that sites run on theirs.
func TestOurDriversKeepTheContract(t *testing.T) {
	remotes := filepath.Join(installed, "var/remotes")
	var dirs []string
	for _, kind := range []string{"vmm", "tm", "datastore", "vnm", "auth", "im"} {
		entries, err := os.ReadDir(filepath.Join(remotes, kind))
		must(t, err)
		for _, e := range entries {
			isDriver := e.IsDir() && e.Name() != "common" && (kind != "im" || strings.HasSuffix(e.Name(), "-probes.d"))
			if isDriver {
				dirs = append(dirs, filepath.Join(remotes, kind, e.Name()))
			}
		}
	}
	if len(dirs) < 30 {
		t.Fatalf("only %d driver directories", len(dirs))
	}
	for _, dir := range dirs {
		t.Run(strings.TrimPrefix(dir, remotes+"/"), func(t *testing.T) {
			t.Parallel()
			var report bytes.Buffer
			err := check.Run(context.Background(), check.Options{Dir: dir, Program: filepath.Join(installed, "lib/mads/onemad"), Timeout: startLimit, Quick: true, Out: &report})
			if err != nil {
				t.Errorf("%v\n%s", err, report.String())
			}
			t.Log(report.String())
		})
	}
}
