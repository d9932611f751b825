package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	fixed = regexp.MustCompile(`(?s)\n## Fixed\n(.*?)\n## `)
	named = regexp.MustCompile(`^([a-z_/]+) (Test\w+(?:, Test\w+)*)$`)
)

// TestCompatibility: every defect that we say is fixed names tests, and these exist.
func TestCompatibility(t *testing.T) {
	text, err := os.ReadFile("compatibility.md")
	if err != nil {
		t.Fatal(err)
	}
	section := fixed.FindStringSubmatch(string(text))
	if section == nil {
		t.Fatal("no section Fixed")
	}
	rows := 0
	for line := range strings.Lines(section[1]) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| 4.6.2 ") {
			continue
		}
		rows++
		if len(cells) != 3 {
			t.Errorf("%d columns: %s", len(cells), line)
			continue
		}
		for group := range strings.SplitSeq(strings.TrimSpace(cells[2]), "; ") {
			m := named.FindStringSubmatch(group)
			if m == nil {
				t.Errorf("%q names no test: %s", group, line)
				continue
			}
			for name := range strings.SplitSeq(m[2], ", ") {
				if !exists(t, m[1], name) {
					t.Errorf("there is no %s in %s: %s", name, m[1], line)
				}
			}
		}
	}
	if rows < 50 {
		t.Errorf("only %d rows", rows)
	}
}

// exists reports whether a package has a test of that name.
func exists(t *testing.T, dir, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(source), "\nfunc "+name+"(") {
			return true
		}
	}
	return false
}
