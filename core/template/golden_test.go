package template_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"goned/core/template"
	"goned/core/template/xmldoc"
)

// sharedDir finds the recordings of the real 4.6.2, which are not part of the
// project.
func sharedDir(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("GONED_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared")
	}
	golden := filepath.Join(dir, "golden")
	if _, err := os.Stat(golden); err != nil {
		t.Skipf("no recordings of 4.6.2 in %s: set GONED_SHARED", golden)
	}
	return golden
}

type recordedStep struct {
	Call   string                       `json:"call"`
	Params []map[string]json.RawMessage `json:"params"`
	Result struct {
		Array []map[string]json.RawMessage `json:"array"`
	} `json:"result"`
}

func (s recordedStep) str(v map[string]json.RawMessage) string {
	var out string
	_ = json.Unmarshal(v["string"], &out)
	return out
}

// answer returns whether the call succeeded and its text, if it is a text.
func (s recordedStep) answer() (ok bool, text string) {
	if len(s.Result.Array) < 2 {
		return false, ""
	}
	_ = json.Unmarshal(s.Result.Array[0]["boolean"], &ok)
	return ok, s.str(s.Result.Array[1])
}

type recording struct {
	Scenarios []struct {
		Name  string         `json:"name"`
		Steps []recordedStep `json:"steps"`
	} `json:"scenarios"`
}

func recordings(t testing.TB) map[string]recording {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(sharedDir(t), "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	all := make(map[string]recording)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var r recording
		if err := json.Unmarshal(data, &r); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all[filepath.Base(file)] = r
	}
	return all
}

// templateText returns the template argument of allocate and update calls.
func templateText(s recordedStep) (text string, ok bool) {
	at, known := map[string]int{
		"one.template.allocate": 0, "one.document.allocate": 0, "one.vm.allocate": 0, "one.image.allocate": 0,
		"one.vn.allocate": 0, "one.datastore.allocate": 0,
		"one.template.update": 1, "one.document.update": 1, "one.user.update": 1, "one.group.update": 1,
		"one.vm.update": 1, "one.image.update": 1, "one.vn.update": 1, "one.host.update": 1,
		"one.cluster.update": 1, "one.datastore.update": 1, "one.zone.update": 1,
	}[s.Call]
	if !known || len(s.Params) <= at || s.Params[at]["string"] == nil {
		return "", false
	}
	// The XML of the call turned carriage returns into newlines on the way.
	text = strings.ReplaceAll(s.str(s.Params[at]), "\r\n", "\n")
	return strings.ReplaceAll(text, "\r", "\n"), true
}

// TestRecordedParseErrors compares the fate of every recorded template text
// with that of Parse: the same error text, or none.
func TestRecordedParseErrors(t *testing.T) {
	checked, refused := 0, 0
	for file, r := range recordings(t) {
		for _, sc := range r.Scenarios {
			for i, step := range sc.Steps {
				text, ok := templateText(step)
				if !ok {
					continue
				}
				done, answer := step.answer()
				_, at, recorded := strings.Cut(answer, "Parse error: ")
				_, err := template.Parse(text)
				switch {
				case recorded:
					if want := "Parse error: " + at; err == nil || err.Error() != want {
						t.Errorf("%s %s step %d: %q: got error %v, want %s", file, sc.Name, i, text, err, want)
					}
					refused++
				case done && err != nil:
					t.Errorf("%s %s step %d: %q: unexpected %v", file, sc.Name, i, text, err)
				}
				checked++
			}
		}
	}
	t.Logf("%d texts, %d of them refused", checked, refused)
	if checked == 0 || refused == 0 {
		t.Error("nothing was checked")
	}
}

// TestRecordedTemplates replays allocate and update of templates and
// documents and compares the TEMPLATE element of the info that follows at once.
func TestRecordedTemplates(t *testing.T) {
	checked := 0
	for file, r := range recordings(t) {
		for _, sc := range r.Scenarios {
			state := make(map[string]*template.Template)
			for i, step := range sc.Steps {
				kind, method, _ := strings.Cut(strings.TrimPrefix(step.Call, "one."), ".")
				if kind != "template" && kind != "document" {
					continue
				}
				done, answer := step.answer()
				if !done {
					continue
				}
				switch method {
				case "allocate":
					text, _ := templateText(step)
					tmpl, err := template.Parse(text)
					if err != nil {
						t.Fatalf("%s %s step %d: %v", file, sc.Name, i, err)
					}
					tmpl.Erase("NAME")
					state[kind+string(step.Result.Array[1]["i4"])] = tmpl.Reloaded()
				case "update":
					text, _ := templateText(step)
					tmpl, err := template.Parse(text)
					if err != nil {
						t.Fatalf("%s %s step %d: %v", file, sc.Name, i, err)
					}
					id := kind + string(step.Params[0]["int"])
					if len(step.Params) > 2 && string(step.Params[2]["int"]) == "1" && state[id] != nil {
						state[id].Merge(tmpl)
					} else {
						state[id] = tmpl
					}
				case "info":
					id := kind + string(step.Params[0]["int"])
					tmpl := state[id]
					if tmpl == nil {
						continue
					}
					_, rest, _ := strings.Cut(answer, "<TEMPLATE>")
					inner, _, _ := strings.Cut(rest, "</TEMPLATE>")
					want := "<TEMPLATE>" + inner + "</TEMPLATE>"
					got := tmpl.XML("TEMPLATE")
					// An empty vector is lost at one of the next reloads.
					if got != want && tmpl.Reloaded().Reloaded().XML("TEMPLATE") != want {
						t.Errorf("%s %s step %d %s:\n got %s\nwant %s", file, sc.Name, i, step.Call, got, want)
					}
					checked++
				}
			}
		}
	}
	t.Logf("%d TEMPLATE elements", checked)
	if checked == 0 {
		t.Error("nothing was checked")
	}
}

// TestRecordedBodies reads every recorded body, builds templates of its
// TEMPLATE elements and writes them again.
func TestRecordedBodies(t *testing.T) {
	checked := 0
	for file, r := range recordings(t) {
		for _, sc := range r.Scenarios {
			for i, step := range sc.Steps {
				done, answer := step.answer()
				if !done || !strings.HasPrefix(answer, "<") {
					continue
				}
				root, err := xmldoc.Parse(answer)
				if err != nil {
					t.Errorf("%s %s step %d %s: %v", file, sc.Name, i, step.Call, err)
					continue
				}
				checked += checkBody(t, sc.Name, answer, root)
			}
		}
	}
	t.Logf("%d templates in bodies", checked)
	if checked == 0 {
		t.Error("nothing was checked")
	}
}

// keyWithoutValue matches what reading a body drops.
var keyWithoutValue = regexp.MustCompile(`<[A-Za-z0-9_]+/>`)

func checkBody(t *testing.T, scenario, body string, n *xmldoc.Node) int {
	checked := 0
	for _, c := range n.Children {
		if c.Name != "TEMPLATE" && c.Name != "USER_TEMPLATE" {
			checked += checkBody(t, scenario, body, c)
			continue
		}
		if slices.ContainsFunc(c.Children, func(a *xmldoc.Node) bool { return !a.HasText() && len(a.Children) == 0 }) {
			continue // a vector without keys, dropped as well
		}
		want := keyWithoutValue.ReplaceAllString(template.FromElement(c).XML(c.Name), "")
		if !strings.Contains(keyWithoutValue.ReplaceAllString(body, ""), want) {
			t.Errorf("%s: %s is not in %.300s", scenario, want, body)
		}
		checked++
	}
	return checked
}
