package manager

import (
	"testing"

	"goned/core/message"
)

// TestHookRuns: an answer carries a bare number, and VM 3 is not host 3.
func TestHookRuns(t *testing.T) {
	var r hookRuns
	ofHost := message.Hook{Object: 3, Name: "error", VM: message.OnedLog}
	ofVM := message.Hook{Object: 3, Name: "done", VM: 3}
	again := message.Hook{Object: 3, Name: "done", VM: 3, Arguments: "second"}
	for _, h := range []message.Hook{ofHost, ofVM, again} {
		r.add(h)
	}
	for _, tc := range []struct {
		object int
		text   string
		want   message.Hook
		ok     bool
	}{
		{4, "done: ", message.Hook{}, false},
		{3, "done: sent", ofVM, true},
		{3, "done: sent", again, true},
		{3, "another driver's text", ofHost, true},
		{3, "done: sent", message.Hook{}, false},
	} {
		if got, ok := r.take(tc.object, tc.text); got != tc.want || ok != tc.ok {
			t.Errorf("answer %q about %d: %+v, %v", tc.text, tc.object, got, ok)
		}
	}
	r.add(ofVM)
	r.clear()
	if _, ok := r.take(3, "done"); ok {
		t.Error("a run is left after the driver's death")
	}
}
