package deploy

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goned/core/template"
	"goned/core/vm"
)

// recording is a file with one recorded run of 4.6.2.
type recording struct {
	Case struct {
		Driver string `json:"vm_driver"`
	}
	Scenarios []struct {
		Conf       map[string]string
		ExtraFiles map[string]string `json:"extra_files"`
		Steps      []struct {
			Call    string
			Result  struct{ Array []map[string]any }
			Content map[string]string
		}
	}
}

func recordings(t *testing.T) []string {
	shared := os.Getenv("GONED_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "..", "..", "..", "shared")
	}
	paths, err := filepath.Glob(filepath.Join(shared, "golden", "files", "*.json"))
	if err != nil || len(paths) == 0 {
		t.Skipf("no recordings of 4.6.2 in %s: set GONED_SHARED", shared)
	}
	return paths
}

var driverConf = regexp.MustCompile(`NAME *= *"(\w+)"[^\]]*DEFAULT *= *"@DIR@/([^"]+)"[^\]]*TYPE *= *"(\w+)"`)

// TestRecorded makes every recorded deployment file again. The VM as it was in that very moment is not recorded: its template may
// be that of any document of the run, its history is the beginning of the last one's.
func TestRecorded(t *testing.T) {
	files := 0
	for _, path := range recordings(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var r recording
		if err := json.Unmarshal(text, &r); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for _, s := range r.Scenarios {
			kind, defaults := "", &template.Template{}
			for _, line := range s.Conf {
				for _, m := range driverConf.FindAllStringSubmatch(line, -1) {
					if m[1] == r.Case.Driver {
						kind, defaults = m[3], parse(t, s.ExtraFiles[m[2]])
					}
				}
			}
			var docs []*vm.VM
			want := map[string]string{}
			for _, step := range s.Steps {
				if step.Call == "one.vm.info" && len(step.Result.Array) > 1 {
					doc, _ := step.Result.Array[1]["string"].(string)
					docs = append(docs, parseVM(t, strings.ReplaceAll(doc, "@TIME@", "7")))
				}
				for name, content := range step.Content {
					if seq, ok := strings.CutPrefix(name, "deployment."); ok {
						want[seq] = content
					}
				}
			}
			for seq, content := range want {
				files++
				n, err := strconv.Atoi(seq)
				if err != nil {
					t.Fatal(err)
				}
				checkRecorded(t, filepath.Base(path)+" deployment."+seq, kind, defaults, docs, n, content)
			}
		}
	}
	t.Logf("%d files", files)
}

func checkRecorded(t *testing.T, label, kind string, defaults *template.Template, docs []*vm.VM, seq int, want string) {
	t.Helper()
	history := docs[len(docs)-1].History[:seq+1]
	var got string
	for _, doc := range docs {
		v := doc.Clone()
		v.History = history
		var err error
		got, err = Render(kind, Input{VM: string(v.PoolXML()), Defaults: defaults})
		if err != nil {
			t.Errorf("%s: %v", label, err)
		}
		if got == want {
			return
		}
	}
	t.Errorf("%s (-want +got):\n%s", label, cmp.Diff(want, got))
}

func parse(t testing.TB, text string) *template.Template {
	t.Helper()
	parsed, err := template.ParseText(text)
	if err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return parsed
}

func parseVM(t testing.TB, doc string) *vm.VM {
	t.Helper()
	v, err := vm.Parse(doc)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
