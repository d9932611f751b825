package manager

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"goned/core/config"
	"goned/core/onelog"
)

// A VM_MAD of a type that nobody knows is told of and left out; the others are loaded.
func TestUnknownDriverType(t *testing.T) {
	dir := t.TempDir()
	dirs, err := config.LookDirs(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{dirs.Etc, dirs.Var, dirs.Mads} {
		if err := os.MkdirAll(name, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	answering := "#!/bin/sh\nread -r line && echo INIT SUCCESS\nwhile read -r line; do [ \"$line\" = FINALIZE ] && exit; done\n"
	if err := os.WriteFile(filepath.Join(dirs.Mads, "mad"), []byte(answering), 0o755); err != nil {
		t.Fatal(err)
	}
	text := `LOG = [ SYSTEM = "file", DEBUG_LEVEL = 3 ]
VM_MAD = [ NAME = "odd", EXECUTABLE = "mad", TYPE = "Bogus" ]
VM_MAD = [ NAME = "plain", EXECUTABLE = "mad", TYPE = "qemu" ]
TM_MAD = [ EXECUTABLE = "mad" ]
DATASTORE_MAD = [ EXECUTABLE = "mad" ]
HM_MAD = [ EXECUTABLE = "mad" ]
`
	if err := os.WriteFile(dirs.Etc+"oned.conf", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	conf, err := config.Load(dirs.Etc+"oned.conf", dirs)
	if err != nil {
		t.Fatal(err)
	}
	log, err := onelog.Open(conf, "oned", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	m := New(conf, log, time.Now)
	if err := m.Start(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	m.Stop()
	log.Close()
	said, err := os.ReadFile(dirs.Log + "oned.log")
	if err != nil {
		t.Fatal(err)
	}
	want := "[VMM][I]: \tLoading driver: odd (BOGUS)\n" +
		"[VMM][E]: \tUnknown driver type: BOGUS\n" +
		"[VMM][I]: \tLoading driver: plain (QEMU)\n" +
		"[VMM][I]: \tDriver plain loaded.\n"
	var got strings.Builder
	for line := range strings.Lines(string(said)) {
		if _, rest, ok := strings.Cut(line, " [VMM]["); ok && strings.Contains(rest, "\t") {
			got.WriteString("[VMM][" + rest)
		}
	}
	if got.String() != want {
		t.Errorf("the log says\n%swant\n%s", got.String(), want)
	}
}
