package vm

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"goned/core/template"
)

func sample(t testing.TB) string {
	t.Helper()
	body, err := os.ReadFile("testdata/running.xml")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(string(body), "\n")
}

func parse(t testing.TB) *VM {
	t.Helper()
	v, err := Parse(sample(t))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestBody(t *testing.T) {
	v := parse(t)
	if got := string(v.PoolXML()); got != sample(t) {
		t.Errorf("\n got %s\nwant %s", got, sample(t))
	}
	if v.State != Active || v.LCMState != Running || !v.Resched || v.NetRX != 9007199254740993 || v.DeployID != "one-121" {
		t.Errorf("got %+v", v)
	}
	first := Record{OID: 121, Seq: 0, Hostname: "host-a", VMInfo: "<VM/>"}
	if err := v.LoadRecord(&first); err != nil {
		t.Fatal(err)
	}
	last := *v.Current()
	last.VMInfo = string(v.SnapshotXML())
	if err := v.LoadRecord(&last); err != nil {
		t.Fatal(err)
	}
	if err := v.LoadRecord(&Record{OID: 1}); err == nil {
		t.Error("the record of another VM was loaded")
	}
	if len(v.History) != 2 || v.Previous().Hostname != "host-a" || v.Current().VMInfo != last.VMInfo {
		t.Errorf("history %+v", v.History)
	}
	if got := string(v.PoolXML()); got != sample(t) {
		t.Error("the body holds more than the last record")
	}
	if got := strings.Count(string(v.InfoXML()), "<HISTORY>"); got != 2 {
		t.Errorf("%d records in the info document, want 2", got)
	}
	if got := string(v.SnapshotXML()); !strings.HasSuffix(got, "<HISTORY_RECORDS/></VM>") {
		t.Errorf("snapshot ends with %s", got[len(got)-40:])
	}
}

func TestParseRefuses(t *testing.T) {
	body := sample(t)
	for _, name := range []string{"ID", "NAME", "LAST_POLL", "STATE", "LCM_STATE", "DEPLOY_ID", "NET_RX", "USER_TEMPLATE", "PERMISSIONS"} {
		loc := regexp.MustCompile(`(?s)<` + name + `>.*?</` + name + `>`).FindStringIndex(body)
		if _, err := Parse(body[:loc[0]] + body[loc[1]:]); err == nil {
			t.Errorf("a body without %s was read", name)
		}
	}
	for _, bad := range []string{"", "<VM/>", body[:len(body)/2], strings.Replace(body, "<SEQ>1<", "<SEQ>x<", 1)} {
		if _, err := Parse(bad); err == nil {
			t.Errorf("%.40q was read", bad)
		}
	}
}

func TestRecord(t *testing.T) {
	v := parse(t)
	r := v.AddRecord(Record{Hostname: "host-c", DSLocation: "/ds", DSID: 7, CID: -1})
	if r.Seq != 2 || r.OID != 121 || r != v.Current() || r.RemoteDir() != "/ds/7/121" {
		t.Errorf("got %+v", r)
	}
	again, err := ParseRecord(string(r.Body()))
	if err != nil {
		t.Fatal(err)
	}
	if *again != *r {
		t.Errorf("\n got %+v\nwant %+v", again, r)
	}
	r.Action, r.Reason, r.ETime = ActionSuspend, ReasonUser, 9
	c := v.CopyRecord(*r)
	if c.Seq != 3 || c.Hostname != "host-c" || c.Action != ActionNone || c.Reason != ReasonNone || c.ETime != 0 {
		t.Errorf("got %+v", c)
	}
	old := strings.Replace(string((&Record{OID: 1, VNMMAD: "x"}).Body()), "<VNMMAD>x</VNMMAD>", "", 1)
	if again, err = ParseRecord(old); err != nil || again.VNMMAD != "dummy" {
		t.Errorf("VNMMAD %q, %v", again.VNMMAD, err)
	}
	for _, bad := range []string{"", "<HISTORY/>", "<VM></VM>", "</VM><VM>", strings.Replace(string(r.Body()), "<HID>0</HID>", "", 1)} {
		if _, err := ParseRecord(bad); err == nil {
			t.Errorf("%.40q was read", bad)
		}
	}
}

func TestCloneIsIndependent(t *testing.T) {
	v := parse(t)
	before := string(v.InfoXML())
	c := v.Clone()
	c.Template.Replace("CPU", "9")
	c.Disk(0).Set("SOURCE", "elsewhere")
	c.UserTemplate.Erase("NOTE")
	c.Current().Hostname = "elsewhere"
	c.AddRecord(Record{})
	if got := string(v.InfoXML()); got != before {
		t.Errorf("\n got %s\nwant %s", got, before)
	}
}

func TestNames(t *testing.T) {
	for s := Init; s <= Undeployed; s++ {
		if got, ok := ParseState(strings.ToLower(s.String())); !ok || got != s {
			t.Errorf("%s: %d", s, got)
		}
	}
	for s := LCMInit; s <= BootUndeploy; s++ {
		if got, ok := ParseLCMState(s.String()); !ok || got != s {
			t.Errorf("%s: %d", s, got)
		}
	}
	for a := ActionNone; a <= ActionPoweroffHard; a++ {
		if got, ok := ParseAction(a.String()); !ok || got != a {
			t.Errorf("%s: %d", a, got)
		}
	}
	if Undeployed != 9 || BootUndeploy != 32 || ActionPoweroffHard != 20 || ReasonUser != 2 {
		t.Error("numbers are not 4.6's")
	}
	if _, ok := ParseState("NOPE"); ok || State(77).String() != "77" {
		t.Error("unknown states")
	}
}

func TestCapacity(t *testing.T) {
	tests := []struct {
		cpu, memory string
		want        Capacity
	}{
		{"0.5", "512", Capacity{50, 524288, 0}},
		{"0.29", "1", Capacity{29, 1024, 0}}, // 28.999… in 64 bits
		{"1.15", "1", Capacity{115, 1024, 0}},
		{"2", "0", Capacity{200, 0, 0}},
		{"", "512", Capacity{}},
		{"1", "5x", Capacity{}},
	}
	for _, tt := range tests {
		v := &VM{Template: &template.Template{}}
		v.Template.AddSimple("CPU", tt.cpu)
		v.Template.AddSimple("MEMORY", tt.memory)
		if got := v.Capacity(); got != tt.want {
			t.Errorf("CPU %s MEMORY %s: %+v, want %+v", tt.cpu, tt.memory, got, tt.want)
		}
	}
}

func TestDevices(t *testing.T) {
	v := parse(t)
	if v.Disk(3).Get("IMAGE_ID") != "40" || v.Disk(2) != nil || v.NIC(4) == nil || v.NIC(0) != nil {
		t.Error("wrong device")
	}
	if !IsVolatile(v.Disk(1)) || IsVolatile(v.Disk(0)) {
		t.Error("wrong disk is volatile")
	}
	if v.NextDiskID() != 4 || v.NextNICID() != 5 {
		t.Errorf("next disk %d, next NIC %d", v.NextDiskID(), v.NextNICID())
	}
	v.Disk(1).Set("ATTACH", "YES")
	disk := v.AttachingDisk()
	if disk.Get("DISK_ID") != "1" || !v.RemoveDisk(disk) || v.RemoveDisk(disk) || v.RemoveDisk(nil) {
		t.Error("the disk was not removed once")
	}
	var left []string
	for _, d := range v.Template.Vectors("DISK") {
		left = append(left, d.Get("DISK_ID"))
	}
	if !slices.Equal(left, []string{"0", "3"}) {
		t.Errorf("left %v", left)
	}
	v.RemoveDisk(v.Disk(3))
	if v.NextDiskID() != 3 { // the context's is 2
		t.Errorf("next disk %d", v.NextDiskID())
	}
}

func TestHotSave(t *testing.T) {
	v := parse(t)
	if v.HotSavingDisk() != nil || v.DeferredSavingDisk() != nil {
		t.Error("a disk is being saved")
	}
	v.Disk(0).Set("HOTPLUG_SAVE_AS_ACTIVE", "YES")
	v.Disk(0).Set("HOTPLUG_SAVE_AS", "9")
	v.Disk(3).Set("SAVE_AS_ACTIVE", "YES")
	if v.HotSavingDisk() != v.Disk(0) || v.DeferredSavingDisk() != v.Disk(3) {
		t.Error("wrong disk")
	}
	v.ClearHotSave()
	if v.HotSavingDisk() != nil || v.Disk(0).Get("HOTPLUG_SAVE_AS") != "" || v.DeferredSavingDisk() == nil {
		t.Error("wrong marks are gone")
	}
}

func TestSnapshots(t *testing.T) {
	v := parse(t)
	a, b := v.NewSnapshot("", 5), v.NewSnapshot("named", 6)
	if a != 0 || b != 1 || v.Snapshot(0).Get("NAME") != "snapshot-0" || v.Snapshot(1).Get("TIME") != "6" {
		t.Errorf("snapshots %d and %d", a, b)
	}
	want := "<SNAPSHOT><ACTIVE><![CDATA[YES]]></ACTIVE><HYPERVISOR_ID/><NAME><![CDATA[named]]></NAME><SNAPSHOT_ID><![CDATA[1]]></SNAPSHOT_ID><TIME><![CDATA[6]]></TIME></SNAPSHOT>"
	if !strings.Contains(string(v.PoolXML()), want) {
		t.Errorf("no %s in %s", want, v.PoolXML())
	}
	v.Snapshot(0).Del("ACTIVE")
	if v.ActiveSnapshot() != v.Snapshot(1) || !v.RemoveSnapshot(v.Snapshot(0)) || v.Snapshot(0) != nil {
		t.Error("wrong snapshot")
	}
	if id := v.NewSnapshot("", 7); id != 2 {
		t.Errorf("id %d, want 2", id)
	}
	v.ForgetSnapshots()
	if v.ActiveSnapshot() != nil {
		t.Error("snapshots are left")
	}
}

func TestErrors(t *testing.T) {
	v := &VM{}
	v.SetError("Sun Nov 22 21:49:49 2026", "Error X")
	v.SetMonitorError("Sun Nov 22 21:49:50 2026", "Error Y")
	if got := v.UserTemplate.Get("ERROR"); got != "Sun Nov 22 21:49:49 2026 : Error X" {
		t.Error(got)
	}
	v.ClearMonitorError()
	if v.UserTemplate.Has("ERROR_MONITOR") || !v.UserTemplate.Has("ERROR") {
		t.Error("wrong error is gone")
	}
}
