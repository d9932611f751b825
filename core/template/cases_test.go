package template_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goned/core/template"
)

var update = flag.Bool("update", false, "rewrite the expectations in testdata")

// separator stands between the input and the expectation of a case.
const separator = "\n---8<---\n"

// TestCases reads testdata/*/*: an input, a separator line, and the TEMPLATE
// element or the error text it gives. The cases follow what was seen on 4.6.2.
func TestCases(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*", "*.case"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".case"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			input, want, ok := strings.Cut(string(data), separator)
			if !ok && !*update {
				t.Fatalf("%s has no expectation", file)
			}
			got := outcome(input) + "\n"
			if *update {
				if err := os.WriteFile(file, []byte(input+separator+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%q (-want +got):\n%s", input, diff)
			}
		})
	}
}

func outcome(input string) string {
	tmpl, err := template.Parse(input)
	if err != nil {
		return err.Error()
	}
	return tmpl.XML("TEMPLATE")
}
