package transfer

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"goned/core/internal/golden"
	"goned/core/vm"
)

const (
	recordedHost = "@FRONTEND@"
	recordedDir  = "@DIR@/var/vms/0"
)

// TestRecordedScripts makes every recorded script again. The VM as it was in that very moment is not recorded: its template may be
// that of any document of the scenario, its history is the beginning of the last one's.
func TestRecordedScripts(t *testing.T) {
	paths, err := filepath.Glob(golden.Dir(t) + "/files/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	scripts := 0
	for _, path := range paths {
		for _, s := range golden.Read(t, path) {
			var docs []string
			files := map[string]string{}
			for i := range s.Steps {
				if s.Steps[i].Call == "one.vm.info" && s.Steps[i].OK() {
					docs = append(docs, strings.ReplaceAll(s.Steps[i].Answer(), "@TIME@", "7"))
				}
				for name, text := range s.Steps[i].Content {
					if strings.HasPrefix(name, "transfer.") || name == "context.sh" {
						files[name] = text
					}
				}
			}
			for name, want := range files {
				scripts++
				checkRecorded(t, s.Name+"/"+name, docs, name, want)
			}
		}
	}
	t.Logf("%d files", scripts)
}

func checkRecorded(t *testing.T, label string, docs []string, name, want string) {
	t.Helper()
	var tried []string
	last, err := vm.Parse(docs[len(docs)-1])
	if err != nil {
		t.Fatalf("%s: %v", label, err)
	}
	for _, doc := range docs {
		v, err := vm.Parse(doc)
		if err != nil {
			t.Fatalf("%s: %v", label, err)
		}
		v.History = last.History
		got, err := makeAgain(v, name)
		if err == nil && got == want {
			return
		}
		if err != nil {
			got = err.Error()
		}
		tried = append(tried, got)
	}
	t.Errorf("%s:\nwant %s\ngot %q", label, want, tried)
}

func makeAgain(v *vm.VM, name string) (string, error) {
	if name == "context.sh" {
		text, _ := ContextText(v)
		return text, nil
	}
	parts := strings.SplitN(name, ".", 3)
	seq, err := strconv.Atoi(parts[1])
	if err != nil {
		return "", err
	}
	v.History = v.History[:min(seq+1, len(v.History))]
	var s Script
	switch parts[2] {
	case "prolog":
		var p PrologScript
		p, err = Prolog(v, FrontEnd{Host: recordedHost, Dir: recordedDir})
		s = p.Script
	case "resume":
		s, err = Resume(v, recordedHost)
	case "migrate":
		s, err = Migrate(v)
	case "stop":
		s, err = Stop(v, recordedHost)
	case "epilog":
		s, err = Epilog(v)
	case "delete":
		s, err = Delete(v)
	case "delete_both":
		s, err = DeleteBoth(v)
	case "saveas_hot":
		s, err = SaveHot(v)
	default:
		err = Error("unknown script " + name)
	}
	return s.Text, err
}
