package vm

import (
	"reflect"
	"testing"

	"goned/core/template"
)

func TestParsePoll(t *testing.T) {
	none := Poll{Memory: -1, CPU: -1, NetRX: -1, NetTX: -1, State: '-'}
	with := func(change func(*Poll)) *Poll {
		p := none
		change(&p)
		return &p
	}
	tests := []struct {
		name, text string
		want       *Poll // nil: malformed
	}{
		{"all", "STATE=a USEDMEMORY=1024 USEDCPU=33.7 NETRX=9007199254740993 NETTX=5", &Poll{1024, 33, 9007199254740993, 5, 'a', nil}},
		{"blanks and line ends", "  USEDCPU=99.5 \n STATE=active ", with(func(p *Poll) { p.CPU, p.State = 99, 'a' })},
		{"custom, first counts", "DISKRDBYTES=7 B=a=b DISKRDBYTES=8", with(func(p *Poll) {
			p.Custom = []template.Pair{{Key: "DISKRDBYTES", Value: "7"}, {Key: "B", Value: "a=b"}}
		})},
		{"last number counts", "USEDCPU=1 USEDCPU=2", with(func(p *Poll) { p.CPU = 2 })},
		{"custom that is no XML name", "STATE=a <x>=1 A=]]>", with(func(p *Poll) { p.State = 'a' })},
		{"custom that is the daemon's", "MEMORY=1 cpu=9 DISK=x NIC=x", with(func(*Poll) {})},
		{"negative", "USEDMEMORY=-5", with(func(p *Poll) { p.Memory = -5 })},
		{"empty", "", nil},
		{"blank", "  \n", nil},
		{"no equals sign", "STATE=a garbage", nil},
		{"no value", "STATE=", nil},
		{"no name", "=5", nil},
		{"no number", "USEDCPU=many", nil},
		{"too big for 32 bits", "USEDMEMORY=99999999999", nil},
		{"too big for 64 bits", "NETRX=99999999999999999999", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParsePoll(tt.text)
			if (err == nil) != (tt.want != nil) {
				t.Fatalf("error %v", err)
			}
			if tt.want != nil && !reflect.DeepEqual(got, *tt.want) {
				t.Errorf("got %+v, want %+v", got, *tt.want)
			}
		})
	}
}

func TestApplyPoll(t *testing.T) {
	v := parse(t)
	v.SetMonitorError("now", "x")
	p, err := ParsePoll("USEDCPU=7 LOAD=1 NETTX=8")
	if err != nil {
		t.Fatal(err)
	}
	v.ApplyPoll(p, 99)
	if v.CPU != 7 || v.NetTX != 8 || v.Memory != 65536 || v.LastPoll != 99 || v.Template.Get("LOAD") != "1" {
		t.Errorf("got %+v", v)
	}
	if v.UserTemplate.Has("ERROR_MONITOR") {
		t.Error("the monitor error is left")
	}
	snapshot, err := Parse(v.Current().VMInfo)
	if err != nil || snapshot.CPU != 7 {
		t.Errorf("snapshot %v, %v", snapshot, err)
	}
}

func FuzzParsePoll(f *testing.F) {
	f.Add("STATE=a USEDMEMORY=1024 USEDCPU=33.7 NETRX=1 NETTX=5 X=y")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePoll(text)
		if err != nil {
			return
		}
		v := parse(t)
		v.ApplyPoll(p, 1)
		if _, err := Parse(string(v.PoolXML())); err != nil {
			t.Fatalf("the VM cannot be stored: %v", err)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(sample(f))
	f.Fuzz(func(t *testing.T, body string) {
		v, err := Parse(body)
		if err != nil || v.Template.XMLSafe() != nil || v.UserTemplate.XMLSafe() != nil {
			return
		}
		if len(v.History) > 1 {
			v.History = v.History[len(v.History)-1:]
		}
		again, err := Parse(string(v.PoolXML()))
		if err != nil {
			t.Fatalf("written body does not read: %v", err)
		}
		if got, want := string(again.PoolXML()), string(v.PoolXML()); got != want {
			v.Template, v.UserTemplate = v.Template.Reloaded(), v.UserTemplate.Reloaded()
			if want = string(v.PoolXML()); got != want {
				t.Errorf("\n got %s\nwant %s", got, want)
			}
		}
	})
}

func FuzzParseRecord(f *testing.F) {
	r := Record{OID: 1, Hostname: "h", VMInfo: "<VM><ID>1</ID></VM>"}
	f.Add(string(r.Body()))
	f.Fuzz(func(t *testing.T, body string) {
		r, err := ParseRecord(body)
		if err != nil {
			return
		}
		again, err := ParseRecord(string(r.Body()))
		if err != nil {
			t.Fatalf("written body does not read: %v", err)
		}
		if again.VMInfo = r.VMInfo; *again != *r {
			t.Errorf("got %+v, want %+v", again, r)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	body := sample(b)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseRecord(b *testing.B) {
	v := parse(b)
	v.RefreshSnapshot()
	body := string(v.Current().Body())
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseRecord(body); err != nil {
			b.Fatal(err)
		}
	}
}
