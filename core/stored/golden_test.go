package stored_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"goned/core/acl"
	"goned/core/cluster"
	"goned/core/document"
	"goned/core/group"
	"goned/core/host"
	"goned/core/quota"
	"goned/core/template"
	"goned/core/user"
	"goned/core/vmtemplate"
	"goned/core/zone"
)

// value is an XML-RPC value of a recording.
type value struct {
	String *string `json:"string"`
	Int    *int    `json:"int"` // of a request
	I4     *int    `json:"i4"`  // of an answer
	Bool   *bool   `json:"boolean"`
	Array  []value `json:"array"`
}

func (v value) text() string {
	if v.String == nil {
		return ""
	}
	return *v.String
}

type step struct {
	Call   string  `json:"call"`
	Auth   string  `json:"auth"`
	Params []value `json:"params"`
	Result value   `json:"result"`
}

func (s *step) ok() bool {
	return len(s.Result.Array) > 1 && s.Result.Array[0].Bool != nil && *s.Result.Array[0].Bool
}

func (s *step) answer() string { return s.Result.Array[1].text() }

type scenario struct {
	Name  string `json:"name"`
	Steps []step `json:"steps"`
}

// recordings are the scenarios of a recorded group, or of all groups for "*".
func recordings(t *testing.T, name string) []scenario {
	t.Helper()
	shared := os.Getenv("GONED_SHARED")
	if shared == "" {
		shared = "../../../shared"
	}
	files, err := filepath.Glob(filepath.Join(shared, "golden", name+".json"))
	if err != nil || len(files) == 0 {
		t.Skipf("no recordings under %s (set GONED_SHARED)", shared)
	}
	var all []scenario
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var doc struct{ Scenarios []scenario }
		if err := json.Unmarshal(text, &doc); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, doc.Scenarios...)
	}
	return all
}

// masked are the marks of recordings for what cannot be reproduced, where a number stands.
var masked = regexp.MustCompile(`>@[A-Z]+@<`)

// element finds the documents of a kind in an answer.
func element(name string) *regexp.Regexp {
	return regexp.MustCompile(`(?s)<` + name + `><ID>.*?</` + name + `>`)
}

// TestRecordedDocuments reads and writes every document in every recorded answer.
func TestRecordedDocuments(t *testing.T) {
	kinds := []struct {
		name    string
		rewrite rewrite
	}{
		{"ZONE", rewriter(zone.Parse)}, {"CLUSTER", rewriter(cluster.Parse)}, {"HOST", rewriter(host.Parse)},
		{"DOCUMENT", rewriter(document.Parse)}, {"VMTEMPLATE", rewriter(vmtemplate.Parse)}, {"QUOTAS", account(false)},
		{"USER", ownerWithQuotas(user.Parse)}, {"GROUP", ownerWithQuotas(group.Parse)},
	}
	seen := map[string]int{}
	for _, s := range recordings(t, "*") {
		for _, st := range s.Steps {
			if !st.ok() {
				continue
			}
			for _, k := range kinds {
				if !strings.HasPrefix(st.answer(), "<"+k.name) && !strings.HasPrefix(st.answer(), "<USER_POOL") &&
					!strings.HasPrefix(st.answer(), "<GROUP_POOL") && !strings.HasPrefix(st.answer(), "<MONITORING_DATA><"+k.name) {
					continue
				}
				for _, body := range element(k.name).FindAllString(st.answer(), -1) {
					check(t, k.rewrite, masked.ReplaceAllString(body, ">0<"))
					seen[k.name]++
				}
			}
		}
	}
	for _, k := range kinds {
		if seen[k.name] == 0 {
			t.Errorf("no %s in the recordings", k.name)
		}
	}
	t.Logf("documents: %v", seen)
}

// ownerWithQuotas rewrites a user or group as one.user.info shows it, or as a pool does.
func ownerWithQuotas[T interface {
	PoolXML() []byte
	InfoXML(quotas, defaults func([]byte) []byte) []byte
}](parse func(string) (T, error)) rewrite {
	return func(body string) (string, error) {
		obj, err := parse(body)
		if err != nil {
			return "", err
		}
		at := strings.Index(body, "<DATASTORE_QUOTA>")
		if at < 0 {
			return string(obj.PoolXML()), nil
		}
		own, rest, found := strings.Cut(body[at:], "<DEFAULT_")
		var name string
		var standard *quota.Quotas
		if found {
			name = "DEFAULT_" + rest[:strings.Index(rest, ">")]
			if standard, err = quota.Parse("<DEFAULT_" + rest[:strings.LastIndex(rest, "</")]); err != nil {
				return "", err
			}
		}
		q, err := quota.Parse("<QUOTAS>" + own + "</QUOTAS>")
		if err != nil {
			return "", err
		}
		return string(obj.InfoXML(q.AppendXML, func(dst []byte) []byte { return standard.AppendDefaultsXML(dst, name) })), nil
	}
}

// TestRecordedRules repeats the recorded acl.* calls.
func TestRecordedRules(t *testing.T) {
	for _, s := range recordings(t, "acl") {
		t.Run(s.Name, func(t *testing.T) {
			var rules *acl.Rules
			known := false
			for i, st := range s.Steps {
				if st.Auth != "" {
					continue
				}
				switch st.Call {
				case "one.acl.addrule":
					if known {
						rules = addRecorded(t, rules, &st)
					}
				case "one.acl.delrule":
					var ok bool
					if rules, ok = rules.Without(*st.Params[0].Int); known && ok != st.ok() {
						t.Errorf("step %d: delrule %v", i, ok)
					}
				case "one.acl.info":
					if got := string(rules.AppendXML(nil)); known && got != st.answer() {
						t.Errorf("step %d:\n got %s\nwant %s", i, got, st.answer())
					}
					rules, known = readRules(t, st.answer()), true
				default:
					known = false // other calls remove rules, too
				}
			}
		})
	}
}

func addRecorded(t *testing.T, rules *acl.Rules, st *step) *acl.Rules {
	t.Helper()
	r := acl.Rule{
		User: acl.ParseHex(st.Params[0].text()), Resource: acl.ParseHex(st.Params[1].text()),
		Rights: acl.ParseHex(st.Params[2].text()), Zone: acl.Individual,
	}
	if len(st.Params) > 3 {
		r.Zone = acl.ParseHex(st.Params[3].text())
	}
	err := rules.Check(r)
	switch {
	case !st.ok() && (err == nil || "[AclAddRule] "+err.Error() != st.answer()):
		t.Errorf("addrule gives %v\nwant %s", err, st.answer())
	case st.ok() && err != nil:
		t.Errorf("addrule gives %v", err)
	case st.ok():
		r.ID = *st.Result.Array[1].I4
		return rules.With(r)
	}
	return rules
}

var ruleElement = regexp.MustCompile(`<ACL><ID>(\d+)</ID><USER>(\w+)</USER><RESOURCE>(\w+)</RESOURCE><RIGHTS>(\w+)</RIGHTS><ZONE>(\w+)</ZONE>`)

func readRules(t *testing.T, pool string) *acl.Rules {
	t.Helper()
	var rules []acl.Rule
	for _, m := range ruleElement.FindAllStringSubmatch(pool, -1) {
		id, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		rules = append(rules, acl.Rule{
			ID: id, User: acl.ParseHex(m[2]), Resource: acl.ParseHex(m[3]), Rights: acl.ParseHex(m[4]), Zone: acl.ParseHex(m[5]),
		})
	}
	return acl.NewRules(rules...)
}

// TestRecordedQuotas repeats the recorded calls that set limits and compares what the next info shows. After a refused call 4.6
// shows limits that it set before the bad one; ours sets none, so the recording only gives the start of what follows.
func TestRecordedQuotas(t *testing.T) {
	owner := map[string]string{
		"one.user.quota": "one.user.info", "one.userquota.update": "one.userquota.info", "one.groupquota.update": "one.groupquota.info",
	}
	compared := 0
	for _, s := range recordings(t, "quota") {
		t.Run(s.Name, func(t *testing.T) {
			state := map[string]*quota.Quotas{} // by info call and id; missing when unknown
			for i, st := range s.Steps {
				key := st.Call
				arg := len(st.Params) - 1
				if arg >= 0 && st.Params[0].Int != nil {
					key += "/" + strconv.Itoa(*st.Params[0].Int)
				}
				info, sets := owner[st.Call]
				switch {
				case sets && st.Auth == "":
					key = strings.Replace(key, st.Call, info, 1)
					q := state[key]
					if q == nil {
						continue
					}
					err := setRecorded(t, q, st.Params[arg].text())
					switch {
					case st.ok() != (err == nil) || err != nil && !strings.HasSuffix(st.answer(), "] "+err.Error()):
						t.Errorf("step %d: %v, recorded %s", i, err, st.answer())
					case err != nil:
						delete(state, key)
					}
				case strings.HasSuffix(st.Call, "pool.info"):
				case strings.HasSuffix(st.Call, ".info") && st.ok():
					want := ownQuotas(t, &st)
					if q := state[key]; q != nil {
						compared++
						if got := string(q.AppendXML(nil)); got != string(want.AppendXML(nil)) {
							t.Errorf("step %d %s:\n got %s\nwant %s", i, key, got, want.AppendXML(nil))
						}
					}
					state[key] = want
				case st.Call != "one.group.quota":
					clear(state)
				}
			}
		})
	}
	if compared == 0 {
		t.Error("nothing compared")
	}
	t.Logf("%d documents compared", compared)
}

func setRecorded(t *testing.T, q *quota.Quotas, text string) error {
	t.Helper()
	tmpl, err := template.Parse(text)
	if err != nil {
		return err
	}
	return q.Set(tmpl)
}

func ownQuotas(t *testing.T, st *step) *quota.Quotas {
	t.Helper()
	body := st.answer()
	if at := strings.Index(body, "<DATASTORE_QUOTA>"); at >= 0 && !strings.HasPrefix(body, "<DEFAULT_") {
		own, _, _ := strings.Cut(body[at:], "<DEFAULT_")
		body = "<QUOTAS>" + own + "</QUOTAS>"
	}
	q, err := quota.Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	return q
}
