package lifecycle_test

import (
	"strings"
	"testing"

	"goned/core/datastore"
	"goned/core/image"
	"goned/core/lifecycle"
	"goned/core/message"
	"goned/core/state"
	"goned/core/template"
	"goned/core/vm"
)

// TestLateAnswers: an answer to an action that has been given up counts only where the VM waits for its like.
func TestLateAnswers(t *testing.T) {
	for name, tc := range map[string]struct {
		at     vm.LCMState
		action string
		ok     bool
		want   string
		logged string
	}{
		"success nobody waits for":  {vm.Unknown, "DEPLOY", true, "UNKNOWN", "Late answer, ignored: "},
		"success that fits":         {vm.BootUnknown, "DEPLOY", true, "RUNNING", "Late answer: "},
		"failure that would fit":    {vm.BootUnknown, "DEPLOY", false, "BOOT_UNKNOWN", "Late answer, ignored: "},
		"reboot":                    {vm.Running, "REBOOT", true, "RUNNING", "Late answer, ignored: "},
		"transfer that fits":        {vm.Epilog, "TRANSFER", true, "DONE", "Late answer: "},
		"failed transfer":           {vm.Epilog, "TRANSFER", false, "EPILOG", "Late answer, ignored: "},
		"transfer nobody waits for": {vm.Running, "TRANSFER", true, "RUNNING", "Late answer, ignored: "},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRestart(t, &state.Snapshot{})
			r.with(cutOff(tc.at))
			sent := r.do(func(tx *state.Tx) error {
				a := lifecycle.Answer{Action: tc.action, VM: 0, Success: tc.ok, Info: "text", Line: "the line", Late: true}
				if tc.action == "TRANSFER" {
					return lifecycle.TransferAnswer(tx, a)
				}
				return lifecycle.VMMAnswer(tx, a)
			})
			if got := r.place(); got != tc.want {
				t.Errorf("the VM is in %s, want %s", got, tc.want)
			}
			if logs := messagesOf[message.Log](sent); len(logs) == 0 || logs[0].Text != tc.logged+"the line" {
				t.Errorf("log %+v", logs)
			}
			if v := r.store.Snapshot().VMs.Get(0); strings.HasPrefix(tc.logged, "Late answer,") && (v.DeployID != "" || v.UserTemplate.Has("ERROR")) {
				t.Errorf("an ignored answer has changed the VM: %s", v.PoolXML())
			}
		})
	}
}

// TestAnswersForImages: only an image that waits for an answer takes one, and one that has failed without takes a late success.
func TestAnswersForImages(t *testing.T) {
	for name, tc := range map[string]struct {
		was    image.State
		source string
		ok     bool
		want   image.State
	}{
		"copied":                      {image.Locked, "", true, image.Ready},
		"not copied":                  {image.Locked, "", false, image.Error},
		"copied late":                 {image.Error, "", true, image.Ready},
		"not copied late":             {image.Error, "", false, image.Error},
		"twice":                       {image.Used, "/old", true, image.Used},
		"failed with content":         {image.Error, "/old", true, image.Error},
		"while it is removed":         {image.Delete, "/old", true, image.Delete},
		"enabled by hand":             {image.Ready, "", true, image.Ready}, // and takes the source
		"failure of one that is used": {image.UsedPers, "/old", false, image.UsedPers},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRestart(t, &state.Snapshot{})
			r.do(func(tx *state.Tx) error {
				tx.Datastores.Insert(&datastore.Datastore{Template: &template.Template{}})
				tx.Images.Insert(&image.Image{State: tc.was, Path: "/path", Source: tc.source, CloningID: -1, Template: &template.Template{}})
				return nil
			})
			r.do(func(tx *state.Tx) error {
				return lifecycle.ImageAnswer(tx, lifecycle.ImageResult{Action: "CP", Image: 0, Success: tc.ok, Info: "/new"})
			})
			img := r.store.Snapshot().Images.Get(0)
			if img.State != tc.want {
				t.Errorf("the image is %s, want %s", img.State, tc.want)
			}
			want := tc.source
			if want == "" && tc.ok {
				want = "/new"
			}
			if img.Source != want {
				t.Errorf("its source is %q, want %q", img.Source, want)
			}
		})
	}
}
