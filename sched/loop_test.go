package sched

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"goned/core/match"
)

const (
	hostPool = "<HOST_POOL><HOST><ID>0</ID><NAME>h0</NAME><STATE>2</STATE><CLUSTER_ID>-1</CLUSTER_ID><HOST_SHARE><MEM_USAGE>0</MEM_USAGE>" +
		"<CPU_USAGE>0</CPU_USAGE><MAX_MEM>9000000</MAX_MEM><MAX_CPU>400</MAX_CPU><FREE_DISK>100</FREE_DISK><RUNNING_VMS>0</RUNNING_VMS>" +
		"</HOST_SHARE><VMS/><TEMPLATE/></HOST></HOST_POOL>"
	dsPool = "<DATASTORE_POOL><DATASTORE><ID>0</ID><NAME>system</NAME><TYPE>1</TYPE><CLUSTER_ID>-1</CLUSTER_ID><TOTAL_MB>9</TOTAL_MB>" +
		"<FREE_MB>9</FREE_MB><USED_MB>0</USED_MB><TEMPLATE/></DATASTORE></DATASTORE_POOL>"
)

func vmPool(user string) string {
	return "<VM_POOL><VM><ID>5</ID><UID>0</UID><GID>0</GID><NAME>five</NAME><STATE>1</STATE><LCM_STATE>0</LCM_STATE><RESCHED>0</RESCHED>" +
		"<TEMPLATE><CPU>1</CPU><MEMORY>64</MEMORY></TEMPLATE><USER_TEMPLATE>" + user + "</USER_TEMPLATE><HISTORY_RECORDS/></VM></VM_POOL>"
}

func waitingCloud(t *testing.T, user string) *fakeOned {
	f := newFakeOned(t)
	f.set("one.vmpool.info", good(vmPool(user)))
	f.set("one.hostpool.info", good(hostPool))
	f.set("one.datastorepool.info", good(dsPool))
	return f
}

func TestPassCallsAndLog(t *testing.T) {
	f := waitingCloud(t, "")
	r := start(t, f, "")
	r.waitCall("one.vm.deploy 5 0 0 0")
	r.end()
	want := []string{
		"one.system.config", "one.vmpool.info -2 -1 -1 -1", "one.vmpool.info -2 -1 -1 -1", "one.datastorepool.info",
		"one.datastorepool.info", "one.hostpool.info", "one.clusterpool.info", "one.acl.info", "one.vm.deploy 5 0 0 0",
	}
	if diff := cmp.Diff(want, f.seen()[:len(want)]); diff != "" {
		t.Errorf("calls (-want +got)\n%s", diff)
	}
	const stamp = "Sun Nov 22 21:54:34 2026 "
	wantLog := stamp + "[SCHED][I]: Init Scheduler Log system\n" +
		stamp + "[SCHED][I]: Starting Scheduler Daemon\n" +
		"----------------------------------------\n     Scheduler Configuration File       \n----------------------------------------\n" +
		"DEFAULT_DS_SCHED=POLICY=1\nDEFAULT_SCHED=POLICY=1\nLIVE_RESCHEDS=0\nLOG=DEBUG_LEVEL=3,SYSTEM=file\nMAX_DISPATCH=30\nMAX_HOST=1\n" +
		"MAX_VM=300\nMESSAGE_SIZE=1073741824\nONED_PORT=2633\nSCHED_INTERVAL=30\n----------------------------------------\n" +
		stamp + "[SCHED][I]: XML-RPC client using 1073741824 bytes for response buffer.\n\n" +
		stamp + "[SCHED][I]: oned successfully contacted.\n" +
		stamp + "[SCHED][I]: Configuring scheduler for Zone ID: 0\n" +
		stamp + "[SCHED][I]: Starting scheduler loop...\n" +
		stamp + "[SCHED][I]: Scheduler loop started.\n" +
		stamp + "[VM][D]: Pending/rescheduling VM and capacity requirements:\n" +
		"      VM  CPU      Memory   System DS  Image DS\n" + strings.Repeat("-", 60) + "\n" +
		"       5  100       65536           0 \n" +
		stamp + "[HOST][D]: Discovered Hosts (enabled):\n 0\n" +
		stamp + "[SCHED][I]: Scheduling Results:\nVirtual Machine: 5\n\n\tPRI\tID - HOSTS\n\t------------------------\n\t0\t0\n\n" +
		"\tPRI\tID - DATASTORES\n\t------------------------\n\t1\t0\n\n\n" +
		stamp + "[VM][I]: Dispatching VM 5 to host 0 and datastore 0\n"
	log := r.log()
	if diff := cmp.Diff(wantLog, log[:min(len(wantLog), len(log))]); diff != "" {
		t.Errorf("log (-want +got)\n%s", diff)
	}
	if want := stamp + "[SCHED][I]: Stopping the scheduler...\n" + stamp + "[SCHED][I]: Scheduler loop stopped.\n"; !strings.HasSuffix(log, want) {
		t.Errorf("the log does not end with\n%s", want)
	}
}

func TestOwnerIsTold(t *testing.T) {
	f := waitingCloud(t, "<SCHED_REQUIREMENTS><![CDATA[X = 1]]></SCHED_REQUIREMENTS><A><![CDATA[b]]></A>")
	r := start(t, f, "")
	r.waitCall("one.vm.update 5 <TEMPLATE><A><![CDATA[b]]></A>" +
		"<SCHED_MESSAGE><![CDATA[Sun Nov 22 21:54:34 2026 : No host meets SCHED_REQUIREMENTS: X = 1]]></SCHED_MESSAGE>" +
		"<SCHED_REQUIREMENTS><![CDATA[X = 1]]></SCHED_REQUIREMENTS></TEMPLATE>")
}

func TestRefusedDeploy(t *testing.T) {
	f := waitingCloud(t, "")
	f.set("one.vm.deploy", bad("[VirtualMachineDeploy] Wrong state to perform action"))
	r := start(t, f, "")
	r.waitLog("[VM][E]: Error deploying virtual machine 5 to HID: 0. Reason: [VirtualMachineDeploy] Wrong state to perform action")
}

func TestUnreachableAtStart(t *testing.T) {
	f := waitingCloud(t, "")
	f.set("one.system.config", answer{body: "no XML-RPC"}, good("<TEMPLATE/>"))
	r := start(t, f, "")
	r.waitCall("one.vm.deploy 5 0 0 0")
	if log := r.log(); !strings.Contains(log, "[SCHED][E]: Cannot contact oned, will retry... Error: ") {
		t.Errorf("log\n%s", log)
	}
}

// A refusal is an answer: 4.6 logs it once and goes on.
func TestRefusedAtStart(t *testing.T) {
	f := waitingCloud(t, "")
	f.set("one.system.config", bad("[SystemConfig] User couldn't be authenticated, aborting call."))
	r := start(t, f, "")
	r.waitCall("one.vm.deploy 5 0 0 0")
	r.end()
	log := r.log()
	if n := strings.Count(log, "Cannot contact oned, will retry... Error: [SystemConfig] User couldn't be authenticated, aborting call.\n"); n != 1 {
		t.Errorf("%d lines about it\n%s", n, log)
	}
}

func TestPoolFailures(t *testing.T) {
	tests := []struct {
		name, method string
		answer       answer
		log          []string
	}{
		{"refused", "one.hostpool.info", bad("[HostPoolInfo] Internal error"),
			[]string{"[POOL][E]: ONE returned error while retrieving pool info:\n[HostPoolInfo] Internal error\n"}},
		{"fault", "one.vmpool.info", answer{body: "<methodResponse><fault><value><struct><member><name>faultCode</name><value><int>-504</int></value></member>" +
			"<member><name>faultString</name><value><string>broken</string></value></member></struct></value></fault></methodResponse>"},
			[]string{"[VM][E]: Exception raised: ", "broken", "[POOL][E]: Could not retrieve pool info from ONE\n"}},
		{"hostile fault", "one.vmpool.info", answer{body: "<methodResponse><fault><value><struct><member/><member><name>faultString</name></member>" +
			"</struct></value></fault></methodResponse>"}, []string{"[VM][E]: Exception raised: "}},
		{"no XML inside", "one.acl.info", good("<ACL_POOL>"), []string{"[ACL][E]: Exception raised: ", "[POOL][E]: Could not retrieve pool info from ONE\n"}},
		{"a rule that is none", "one.acl.info", good("<ACL_POOL><ACL><ID>7</ID><USER>x</USER></ACL></ACL_POOL>"), []string{"[ACL][E]: Exception raised: ACL rule 7"}},
		{"cut off", "one.datastorepool.info", answer{body: "<methodResponse><params>"}, []string{"[DATASTORE][E]: Exception raised: "}},
		{"too few values", "one.clusterpool.info", answer{body: "<methodResponse><params><param><value><array><data></data></array></value></param></params></methodResponse>"},
			[]string{"[CLUSTER][E]: Exception raised: "}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := waitingCloud(t, "")
			before := f.answers[tt.method]
			f.set(tt.method, tt.answer)
			r := start(t, f, "")
			for _, line := range tt.log {
				r.waitLog(line)
			}
			f.set(tt.method, before...)
			r.waitCall("one.vm.deploy 5 0 0 0") // the next pass works again
		})
	}
}

// An oned that does not answer must not hold a pass for every machine.
func TestPassEndsWithoutAnswers(t *testing.T) {
	f := newFakeOned(t)
	var vms strings.Builder
	for id := range 50 {
		vms.WriteString(strings.Replace(strings.NewReplacer("<VM_POOL>", "", "</VM_POOL>", "").Replace(vmPool("")), "<ID>5<", "<ID>"+strconv.Itoa(id)+"<", 1))
	}
	f.set("one.vmpool.info", good("<VM_POOL>"+vms.String()+"</VM_POOL>"))
	f.set("one.vm.update", answer{body: "cut off"}) // no hosts, so all are told
	r := start(t, f, "")
	r.waitLog("[SCHED][E]: oned does not answer, giving up this pass. Error: one.vm.update: ")
	r.end()
	passes, updates := 0, 0
	for _, c := range f.seen() {
		switch {
		case c == "one.acl.info":
			passes++
		case strings.HasPrefix(c, "one.vm.update"):
			updates++
		}
	}
	if updates > passes*maxUnanswered {
		t.Errorf("%d updates in %d passes", updates, passes)
	}
}

func TestStopsDuringACall(t *testing.T) {
	f := waitingCloud(t, "")
	f.set("one.hostpool.info", answer{hang: true})
	r := start(t, f, "")
	r.waitCall("one.hostpool.info")
	r.end()
	if !strings.HasSuffix(r.log(), "Scheduler loop stopped.\n") {
		t.Errorf("log\n%s", r.log())
	}
}

func TestStopsBeforeTheLoop(t *testing.T) {
	f := newFakeOned(t)
	f.set("one.system.config", answer{hang: true})
	r := start(t, f, "")
	r.waitCall("one.system.config")
	r.end()
}

func TestCallsAreBounded(t *testing.T) {
	f := newFakeOned(t)
	f.set("one.slow", answer{hang: true})
	f.set("one.large", good(strings.Repeat("x", 5000)))
	o := NewOned(f.URL, session, 4000)
	defer o.Close()
	o.client.Timeout = 50 * time.Millisecond
	if _, err := o.Call(context.Background(), "one.slow"); err == nil {
		t.Error("a slow call succeeded")
	}
	o.client.Timeout = callTimeout
	if _, err := o.Call(context.Background(), "one.large"); err == nil || !strings.Contains(err.Error(), "MESSAGE_SIZE") {
		t.Errorf("large answer: %v", err)
	}
	if text, err := o.Call(context.Background(), "one.acl.info"); err != nil || text != "<ACL_POOL></ACL_POOL>" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestSnapshotCanBeExplained(t *testing.T) {
	f := waitingCloud(t, "<SCHED_REQUIREMENTS><![CDATA[X = 1]]></SCHED_REQUIREMENTS>")
	o := NewOned(f.URL, session, 1<<20)
	defer o.Close()
	text, err := FetchSnapshot(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	pools, err := match.ParsePools(text)
	if err != nil {
		t.Fatal(err)
	}
	e, err := match.Explain(pools, match.Policy{MaxHost: 1}, 0, 5)
	if err != nil {
		t.Fatal(err)
	}
	if want := "No host meets SCHED_REQUIREMENTS: X = 1"; !strings.Contains(e.Result, want) {
		t.Errorf("result %q, want %q", e.Result, want)
	}
}
