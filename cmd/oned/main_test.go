package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// oned -i leaves a database without objects, and says so in the log.
func TestInitDB(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("ONE_LOCATION", dir)
	for _, name := range []string{"etc", "var"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "etc", "oned.conf"), []byte("LOG = [ SYSTEM = \"file\", DEBUG_LEVEL = 3 ]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var out, complaints bytes.Buffer
	if code := run([]string{"-i"}, &out, &complaints); code != 0 {
		t.Fatalf("exit status %d, %s", code, complaints.String())
	}
	log, err := os.ReadFile(filepath.Join(dir, "var", "oned.log"))
	if err != nil || !strings.HasSuffix(string(log), "Database bootstrap finalized, exiting.\n") {
		t.Errorf("the log is %q, %v", log, err)
	}
	for _, name := range []string{"one.db-wal", "one.db-shm", ".lock"} {
		if _, err := os.Stat(filepath.Join(dir, "var", name)); err == nil {
			t.Errorf("%s is left", name)
		}
	}
}
