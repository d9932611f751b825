package sched

import (
	"strconv"
	"strings"
	"testing"
)

func TestScheduledActions(t *testing.T) {
	tests := []struct {
		name, actions string
		calls         []string // the template as CDATA stripped of its marks
		log           string
	}{
		{"done", "<SCHED_ACTION><ACTION>SUSPEND</ACTION><MESSAGE>old</MESSAGE><TIME>1400000000</TIME></SCHED_ACTION>",
			[]string{"one.vm.action suspend 5", "one.vm.update 5 <TEMPLATE><SCHED_ACTION><ACTION>SUSPEND</ACTION><DONE>@NOW@</DONE><TIME>1400000000</TIME></SCHED_ACTION></TEMPLATE>"},
			"Executing action 'suspend' for VM 5 : Success."},
		{"snapshot", "<SCHED_ACTION><ACTION>snapshot-create</ACTION><TIME>1</TIME></SCHED_ACTION>",
			[]string{"one.vm.snapshotcreate 5"}, "Executing action 'snapshot-create' for VM 5 : Success."},
		{"unknown", "<SCHED_ACTION><ACTION>explode</ACTION><TIME>1</TIME></SCHED_ACTION>",
			[]string{"one.vm.update 5 <TEMPLATE><SCHED_ACTION><ACTION>explode</ACTION><MESSAGE>Sun Nov 22 21:54:34 2026 : This action is not supported.</MESSAGE><TIME>1</TIME></SCHED_ACTION></TEMPLATE>"},
			"Executing action 'explode' for VM 5 : Failure. This action is not supported."},
		{"refused", "<SCHED_ACTION><ACTION>resume</ACTION><TIME>1</TIME></SCHED_ACTION>",
			[]string{"one.vm.action resume 5", "one.vm.update 5 <TEMPLATE><SCHED_ACTION><ACTION>resume</ACTION><MESSAGE>Sun Nov 22 21:54:34 2026 : wrong state</MESSAGE><TIME>1</TIME></SCHED_ACTION></TEMPLATE>"},
			"Executing action 'resume' for VM 5 : Failure. wrong state"},
		{"no whole number: looked at, not executed", "<SCHED_ACTION><ACTION>stop</ACTION><TIME>1400000000.7</TIME></SCHED_ACTION>",
			[]string{"one.vm.update 5 <TEMPLATE><SCHED_ACTION><ACTION>stop</ACTION><TIME>1400000000.7</TIME></SCHED_ACTION></TEMPLATE>"}, "VMs with scheduled actions:\n 5"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFakeOned(t)
			pool := strings.Replace(vmPool(tt.actions), "<STATE>1<", "<STATE>5<", 1)
			f.set("one.vmpool.info", good(pool))
			if tt.name == "refused" {
				f.set("one.vm.action", bad("wrong state"))
			}
			r := start(t, f, "")
			r.waitFor("calls", func() bool {
				seen := strings.Join(f.seen(), "\n")
				seen = strings.NewReplacer("<![CDATA[", "", "]]>", "").Replace(seen)
				seen = strings.ReplaceAll(seen, "<DONE>"+strconv.FormatInt(clock.Unix(), 10)+"<", "<DONE>@NOW@<")
				for _, c := range tt.calls {
					if !strings.Contains(seen+"\n", c+"\n") {
						return false
					}
				}
				return true
			})
			r.waitLog(tt.log)
		})
	}
}

func TestFutureAndDoneActionsWait(t *testing.T) {
	f := newFakeOned(t)
	f.set("one.vmpool.info", good(strings.Replace(vmPool(
		"<SCHED_ACTION><ACTION>stop</ACTION><TIME>2000000000</TIME></SCHED_ACTION>"+
			"<SCHED_ACTION><ACTION>stop</ACTION><DONE>7</DONE><TIME>1</TIME></SCHED_ACTION>"+
			"<SCHED_ACTION><ACTION>stop</ACTION><TIME>tomorrow</TIME></SCHED_ACTION>"+
			"<SCHED_ACTION>stop</SCHED_ACTION>"), "<STATE>1<", "<STATE>5<", 1)))
	r := start(t, f, "")
	r.waitFor("passes", func() bool { return len(f.seen()) > 5 })
	r.end()
	for _, c := range f.seen() {
		if strings.HasPrefix(c, "one.vm.") {
			t.Errorf("call %s", c)
		}
	}
}
