package vmm

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRecordedRequests rebuilds every request that the original sent to its
// VM driver while it was recorded.
func TestRecordedRequests(t *testing.T) {
	shared := os.Getenv("GONED_SHARED")
	if shared == "" {
		shared = "../../../shared"
	}
	data, err := os.ReadFile(filepath.Join(shared, "golden/driver-trace.json"))
	if err != nil {
		t.Skipf("no recordings: %v", err)
	}
	var file struct {
		Scenarios []struct {
			Name  string
			Steps []struct{ Content map[string]string }
		}
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	// The recording has a line feed after each closing tag that another tag follows.
	unfold := regexp.MustCompile(`(</[^>]+>)\n<`)
	seen := 0
	for _, scenario := range file.Scenarios {
		for _, step := range scenario.Steps {
			text := step.Content["vmm.trace"]
			for text != "" {
				head, rest, ok := strings.Cut(text, "<VMM_DRIVER_ACTION_DATA>")
				if !ok {
					break
				}
				body, after, ok := strings.Cut(rest, "</VMM_DRIVER_ACTION_DATA>")
				if !ok {
					t.Fatalf("%s: cut-off recording", scenario.Name)
				}
				text = strings.TrimPrefix(after, "\n")
				words := strings.Fields(head) // a DRIVER_CANCEL may stand in front
				action := words[len(words)-2]
				want := "<VMM_DRIVER_ACTION_DATA>" + unfold.ReplaceAllString(body, "$1<") + "</VMM_DRIVER_ACTION_DATA>"
				want = unfold.ReplaceAllString(want, "$1<")
				line := parseRecorded(want).Line(Action(action), 0)
				got, err := base64.StdEncoding.DecodeString(strings.Fields(line)[2])
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, string(got)); diff != "" {
					t.Errorf("%s %s (-want +got)\n%s", scenario.Name, action, diff)
				}
				seen++
			}
		}
	}
	if seen < 20 {
		t.Errorf("only %d requests found in the recording", seen)
	}
}

func parseRecorded(doc string) Request {
	i, j := strings.Index(doc, "<VM>"), strings.LastIndex(doc, "</VM>")
	field := func(tag string) string {
		_, rest, ok := strings.Cut(doc[:i], "<"+tag+">")
		if !ok {
			return ""
		}
		text, _, _ := strings.Cut(rest, "</"+tag+">")
		return strings.TrimSuffix(strings.TrimPrefix(text, "<![CDATA["), "]]>")
	}
	return Request{
		Host: field("HOST"), NetDriver: field("NET_DRV"), MigrHost: field("MIGR_HOST"), MigrNetDriver: field("MIGR_NET_DRV"),
		DeployID: field("DEPLOY_ID"), LocalFile: field("LOCAL_DEPLOYMENT_FILE"), RemoteFile: field("REMOTE_DEPLOYMENT_FILE"),
		CheckpointFile: field("CHECKPOINT_FILE"), TMCommand: field("TM_COMMAND"), TMRollback: field("TM_COMMAND_ROLLBACK"),
		DiskTarget: field("DISK_TARGET_PATH"), VM: doc[i : j+len("</VM>")],
	}
}
