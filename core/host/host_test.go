package host

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"goned/core/resource"
	"goned/core/template"
)

func newHost(t testing.TB) *Host {
	t.Helper()
	h, err := New(7, "h1", "kvm", "kvm", "dummy", resource.NoCluster, "")
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func parse(t testing.TB, text string) *template.Template {
	t.Helper()
	tmpl, err := template.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return tmpl
}

func notLocal(int) bool { return false }

const answer = "HYPERVISOR=kvm\nTOTALCPU=800\nUSEDCPU=200\nFREECPU=600\nTOTALMEMORY=16777216\nUSEDMEMORY=4194304\nFREEMEMORY=12582912\n" +
	"DS_LOCATION_TOTAL_MB=20480\nDS_LOCATION_USED_MB=9720\nDS_LOCATION_FREE_MB=10760\n"

func TestNew(t *testing.T) {
	for name, tc := range map[string]struct {
		host, im, vmm, vnm string
		err                string
	}{
		"good":         {"h", "a", "b", "c", ""},
		"name first":   {"", "", "", "", "Invalid NAME, it cannot be empty"},
		"then im":      {"h", "", "", "", "IM_MAD_NAME cannot be empty."},
		"then vmm":     {"h", "a", "", "", "VMM_MAD_NAME cannot be empty."},
		"then network": {"h", "a", "b", "", "VNM_MAD_NAME cannot be empty."},
	} {
		t.Run(name, func(t *testing.T) {
			h, err := New(0, tc.host, tc.im, tc.vmm, tc.vnm, resource.NoCluster, "")
			if tc.err != "" {
				if err == nil || err.Error() != tc.err {
					t.Errorf("error %v", err)
				}
				return
			}
			const want = "<HOST><ID>0</ID><NAME>h</NAME><STATE>0</STATE><IM_MAD><![CDATA[a]]></IM_MAD><VM_MAD><![CDATA[b]]></VM_MAD>" +
				"<VN_MAD><![CDATA[c]]></VN_MAD><LAST_MON_TIME>0</LAST_MON_TIME><CLUSTER_ID>-1</CLUSTER_ID><CLUSTER></CLUSTER><HOST_SHARE>" +
				"<DISK_USAGE>0</DISK_USAGE><MEM_USAGE>0</MEM_USAGE><CPU_USAGE>0</CPU_USAGE><MAX_DISK>0</MAX_DISK><MAX_MEM>0</MAX_MEM>" +
				"<MAX_CPU>0</MAX_CPU><FREE_DISK>0</FREE_DISK><FREE_MEM>0</FREE_MEM><FREE_CPU>0</FREE_CPU><USED_DISK>0</USED_DISK>" +
				"<USED_MEM>0</USED_MEM><USED_CPU>0</USED_CPU><RUNNING_VMS>0</RUNNING_VMS><DATASTORES></DATASTORES></HOST_SHARE><VMS></VMS>" +
				"<TEMPLATE><RESERVED_CPU><![CDATA[]]></RESERVED_CPU><RESERVED_MEM><![CDATA[]]></RESERVED_MEM></TEMPLATE></HOST>"
			if diff := cmp.Diff(want, string(h.PoolXML())); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestStates walks every state through every event.
func TestStates(t *testing.T) {
	for _, tc := range []struct{ from, asked, good, bad State }{
		{Init, MonitoringInit, Monitored, Error},
		{MonitoringMonitored, MonitoringMonitored, Monitored, Error},
		{Monitored, MonitoringMonitored, Monitored, Error},
		{Error, MonitoringError, Monitored, Error},
		{Disabled, MonitoringDisabled, Disabled, Disabled},
		{MonitoringError, MonitoringError, Monitored, Error},
		{MonitoringInit, MonitoringInit, Monitored, Error},
		{MonitoringDisabled, MonitoringDisabled, Disabled, Disabled},
	} {
		for event, do := range map[string]struct {
			want State
			do   func(*Host)
			time int64
		}{
			"asked":      {tc.asked, func(h *Host) { h.Asked(50) }, 50},
			"good":       {tc.good, func(h *Host) { h.Monitored(parse(t, answer), 0, 0, notLocal, 50) }, 50},
			"bad":        {tc.bad, func(h *Host) { h.Fail(50, "", "") }, 50},
			"unreadable": {tc.bad, func(h *Host) { h.Unreadable(50, "") }, 50},
			"no driver":  {tc.bad, (*Host).NoDriver, 9},
			"enable":     {Init, (*Host).Enable, 9},
			"disable":    {Disabled, (*Host).Disable, 9},
		} {
			h := newHost(t)
			h.State, h.LastMonTime = tc.from, 9
			do.do(h)
			if h.State != do.want || h.LastMonTime != do.time {
				t.Errorf("%s in state %d: state %d at %d, want %d at %d", event, tc.from, h.State, h.LastMonTime, do.want, do.time)
			}
		}
	}
}

func TestNext(t *testing.T) {
	for name, tc := range map[string]struct {
		state   State
		running int64
		age     int64
		want    Step
	}{
		"monitored":                  {Monitored, 0, 60, Ask},
		"answer outstanding":         {MonitoringMonitored, 0, 299, Wait},
		"answer lost":                {MonitoringMonitored, 0, 300, Ask},
		"disabled and empty":         {Disabled, 0, 60, Idle},
		"disabled with VMs":          {Disabled, 1, 60, Ask},
		"disabled with VMs, waiting": {MonitoringDisabled, 1, 60, Wait},
		"disabled, empty, waiting":   {MonitoringDisabled, 0, 60, Idle},
	} {
		h := newHost(t)
		h.State, h.Share.RunningVMs, h.LastMonTime = tc.state, tc.running, 1000
		if got := h.Next(1000+tc.age, 0); got != tc.want {
			t.Errorf("%s: %d, want %d", name, got, tc.want)
		}
	}
}

func TestReservedCapacity(t *testing.T) {
	for name, tc := range map[string]struct {
		own      string
		cpu, mem int64
		text     string
	}{
		"cluster":             {"RESERVED_CPU=\"\"\nRESERVED_MEM=\"\"", 700, 16776216, "|"},
		"own":                 {"RESERVED_CPU=50\nRESERVED_MEM=\"\"", 750, 16776216, "50|"},
		"own zero":            {"RESERVED_CPU=0\nRESERVED_MEM=0", 800, 16777216, "0|0"},
		"negative adds":       {"RESERVED_CPU=-100\nRESERVED_MEM=0", 900, 16777216, "-100|0"},
		"invalid and missing": {"RESERVED_CPU=5x", 700, 16776216, "|"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			h.Template = parse(t, tc.own)
			h.Monitored(parse(t, answer), 100, 1000, notLocal, 1)
			if h.Share.MaxCPU != tc.cpu || h.Share.MaxMem != tc.mem {
				t.Errorf("MAX_CPU %d MAX_MEM %d, want %d %d", h.Share.MaxCPU, h.Share.MaxMem, tc.cpu, tc.mem)
			}
			cpu, ok1 := h.Template.Lookup("RESERVED_CPU")
			mem, ok2 := h.Template.Lookup("RESERVED_MEM")
			if !ok1 || !ok2 || cpu+"|"+mem != tc.text {
				t.Errorf("reserved %q %q", cpu, mem)
			}
		})
	}
}

func TestMonitoredTemplate(t *testing.T) {
	h := newHost(t)
	h.Template.AddSimple("MINE", "x")
	h.Template.AddSimple("ERROR", "old")
	h.Template.AddSimple("WILDS", "old")
	h.Monitored(parse(t, answer+"DS=[ID=0,TOTAL_MB=1,FREE_MB=1,USED_MB=0]\nDS=[ID=102,TOTAL_MB=9,FREE_MB=5,USED_MB=4]\nDS=x"), 0, 0,
		func(id int) bool { return id == 102 }, 5)
	want := "<TEMPLATE><HYPERVISOR><![CDATA[kvm]]></HYPERVISOR><MINE><![CDATA[x]]></MINE><RESERVED_CPU><![CDATA[]]></RESERVED_CPU>" +
		"<RESERVED_MEM><![CDATA[]]></RESERVED_MEM></TEMPLATE>"
	if diff := cmp.Diff(want, h.Template.XML("TEMPLATE")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	got := h.Share
	got.Datastores = nil
	if diff := cmp.Diff(Share{MaxDisk: 20480, MaxMem: 16777216, MaxCPU: 800, FreeDisk: 10760, FreeMem: 12582912, FreeCPU: 600,
		UsedDisk: 9720, UsedMem: 4194304, UsedCPU: 200}, got); diff != "" {
		t.Errorf("share (-want +got)\n%s", diff)
	}
	if ds := h.Share.Datastores.Vectors("DS"); len(ds) != 1 || ds[0].Get("ID") != "102" {
		t.Errorf("datastores %s", h.Share.Datastores.XML("DATASTORES"))
	}

	h.Monitored(parse(t, "HYPERVISOR=kvm"), 0, 0, notLocal, 6)
	if h.Share.MaxCPU != 0 || h.Share.FreeMem != 0 || h.Share.Datastores.Len() != 0 {
		t.Errorf("what is no longer reported stays: %+v", h.Share)
	}
}

func TestDisabledKeepsCountersInTemplate(t *testing.T) {
	h := newHost(t)
	h.Disable()
	h.Monitored(parse(t, answer), 0, 0, notLocal, 5)
	if h.Share.MaxCPU != 0 || h.Template.Get("TOTALCPU") != "800" || h.State != Disabled {
		t.Errorf("share %+v, TOTALCPU %q, state %d", h.Share, h.Template.Get("TOTALCPU"), h.State)
	}
	h.Disable()
	if h.Template.Has("TOTALCPU") || !h.Template.Has("DS_LOCATION_TOTAL_MB") {
		t.Error(h.Template.XML("TEMPLATE"))
	}
}

func TestDisable(t *testing.T) {
	h := newHost(t)
	h.AddVM(3, 100, 1024, 0)
	h.Monitored(parse(t, answer), 0, 0, notLocal, 5)
	h.Disable()
	h.Share.Datastores = nil
	want := Share{MemUsage: 1024, CPUUsage: 100, MaxDisk: 20480, FreeDisk: 10760, UsedDisk: 9720, RunningVMs: 1}
	if diff := cmp.Diff(want, h.Share); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if h.Fits(1, 1, 0) {
		t.Error("a disabled host has room")
	}
}

func TestMemoryPassesThroughFloat(t *testing.T) {
	h := newHost(t)
	h.Monitored(parse(t, "TOTALMEMORY=33554435\nFREEMEMORY=1.9\nTOTALCPU=abc\nUSEDMEMORY=1e30"), 0, 0, notLocal, 5)
	if h.Share.MaxMem != 33554436 || h.Share.FreeMem != 1 || h.Share.MaxCPU != 0 || h.Share.UsedMem <= 0 {
		t.Errorf("%+v", h.Share)
	}
}

func TestCorrelation(t *testing.T) {
	h := newHost(t)
	h.VMs = resource.IDs{1, 2, 3}
	report := func(text string) Report { return h.Monitored(parse(t, "VM_POLL=YES\n"+text), 0, 0, notLocal, 1) }

	r := report(`VM=[ID=2,DEPLOY_ID=one-2,POLL="STATE=a"]
VM=[ID=1,DEPLOY_ID=one-1,POLL="STATE=p"]
VM=[ID=9,DEPLOY_ID=one-9]
VM=[ID=-1,DEPLOY_ID=w1]
VM=[ID=-1,DEPLOY_ID=w2]
VM=[DEPLOY_ID=none]
VM=[ID=x,DEPLOY_ID=none]
VM=3`)
	want := Report{VMPoll: true, Found: []Found{{1, "STATE=p"}, {2, "STATE=a"}}}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Errorf("first answer (-want +got)\n%s", diff)
	}
	if got := h.Template.Get("WILDS") + "|" + h.Template.Get("TOTAL_WILDS"); got != "w1, w2|2" || h.Template.Has("ZOMBIES") || h.Template.Has("VM") {
		t.Errorf("wilds %s in %s", got, h.Template.XML("TEMPLATE"))
	}

	r = report("VM=[ID=9,DEPLOY_ID=one-9]\nVM=[ID=8,DEPLOY_ID=one-8]\nVM=[ID=2,DEPLOY_ID=one-2]")
	if !slices.Equal(r.Lost, resource.IDs{3}) {
		t.Errorf("lost %v after the second miss", r.Lost)
	}
	if got := h.Template.Get("ZOMBIES") + "|" + h.Template.Get("TOTAL_ZOMBIES"); got != "one-9|1" || h.Template.Has("WILDS") {
		t.Errorf("zombies %s", got)
	}

	c := h.Clone()
	r = c.Monitored(parse(t, "VM=[ID=8,DEPLOY_ID=one-8]"), 0, 0, notLocal, 1)
	if r.VMPoll || !slices.Equal(r.Lost, resource.IDs{1, 3}) || c.Template.Get("ZOMBIES") != "one-8" {
		t.Errorf("a clone forgets the candidates: %+v %s", r, c.Template.XML("TEMPLATE"))
	}
	if !slices.Equal(h.VMs, resource.IDs{1, 2, 3}) {
		t.Errorf("VMs %v", h.VMs)
	}
}

func TestFail(t *testing.T) {
	h := newHost(t)
	text := h.Fail(7, "Thu Nov 20 10:00:00 2026", "no route")
	if text != "Error monitoring Host h1 (7): no route" {
		t.Error(text)
	}
	if got := h.Template.Get("ERROR"); got != "Thu Nov 20 10:00:00 2026 : "+text {
		t.Error(got)
	}
	h.Unreadable(8, "D")
	if got := h.Template.Get("ERROR"); got != "D : Error parsing monitor information. Check oned.log for more details." {
		t.Error(got)
	}
	h.Monitored(parse(t, answer), 0, 0, notLocal, 9)
	if h.Template.Has("ERROR") {
		t.Error("ERROR stays after a good answer")
	}
}

func TestReportedDS(t *testing.T) {
	got := ReportedDS(parse(t, "DS=[ID=5,FREE_MB=1]\nDS=[ID=2]\nDS=[ID=5,FREE_MB=2]\nDS=[ID=-1]\nDS=[X=1]\nDS=y"))
	if len(got) != 2 || got[0].ID != 2 || got[1].ID != 5 || got[1].Values.Get("FREE_MB") != "1" {
		t.Errorf("%+v", got)
	}
}

// TestCapacityIsTheSumOfTheVMs adds, removes and resizes VMs at random.
func TestCapacityIsTheSumOfTheVMs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := &Host{}
		type need struct{ cpu, mem int }
		model := map[int]need{}
		for range rapid.IntRange(0, 40).Draw(t, "steps") {
			id, n := rapid.IntRange(0, 9).Draw(t, "vm"), need{rapid.IntRange(0, 800).Draw(t, "cpu"), rapid.IntRange(0, 1<<30).Draw(t, "mem")}
			have, there := model[id]
			switch rapid.IntRange(0, 2).Draw(t, "what") {
			case 0:
				if h.AddVM(id, n.cpu, n.mem, 0) == there {
					t.Fatalf("AddVM(%d), there: %v", id, there)
				}
				if !there {
					model[id] = n
				}
			case 1:
				if h.RemoveVM(id, have.cpu, have.mem, 0) != there {
					t.Fatalf("RemoveVM(%d), there: %v", id, there)
				}
				delete(model, id)
			case 2:
				if there {
					h.Resize(n.cpu-have.cpu, n.mem-have.mem, 0)
					model[id] = n
				}
			}
			var sum need
			for _, n := range model {
				sum.cpu, sum.mem = sum.cpu+n.cpu, sum.mem+n.mem
			}
			if s := h.Share; s.CPUUsage != int64(sum.cpu) || s.MemUsage != int64(sum.mem) || s.RunningVMs != int64(len(model)) ||
				len(h.VMs) != len(model) {
				t.Fatalf("%+v with %v, want %+v of %d", s, h.VMs, sum, len(model))
			}
			h.Share.MaxCPU, h.Share.MaxMem = int64(sum.cpu)+5, int64(sum.mem)+5
			if !h.Fits(5, 5, 0) || h.Fits(6, 5, 0) || h.Fits(5, 6, 0) || h.Fits(0, 0, 1) {
				t.Fatal("room is not what is left")
			}
			if (h.CheckDelete() == nil) != (len(model) == 0) {
				t.Fatal(h.CheckDelete())
			}
		}
	})
}

func TestCloneIsDeep(t *testing.T) {
	h := newHost(t)
	h.Share.Datastores.AddVector("DS", template.NewVector(template.Pair{Key: "ID", Value: "3"}))
	before := string(h.PoolXML())
	c := h.Clone()
	c.Template.Replace("X", "y")
	c.Share.Datastores.Vector("DS").Set("ID", "4")
	c.AddVM(1, 1, 1, 1)
	if after := string(h.PoolXML()); after != before {
		t.Errorf("(-before +after)\n%s", cmp.Diff(before, after))
	}
}

func FuzzParse(f *testing.F) {
	h, err := New(1, "h", "a", "b", "c", 100, "c1")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(h.PoolXML()))
	f.Fuzz(func(t *testing.T, body string) {
		h, err := Parse(body)
		if err != nil || h.Template.XMLSafe() != nil || h.Share.Datastores.XMLSafe() != nil ||
			strings.Contains(h.IMMad+h.VMMad+h.VNMad, "]]>") {
			return
		}
		once := string(h.PoolXML())
		again, err := Parse(once)
		if err != nil {
			t.Fatalf("%v\n%s", err, once)
		}
		if got := string(again.PoolXML()); len(got) > len(once) {
			t.Errorf("(-once +again)\n%s", cmp.Diff(once, got))
		}
	})
}
