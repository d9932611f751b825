package match

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"goned/core/template/xmldoc"
)

// largeCloud is a snapshot of a cloud with that many hosts and machines, every
// machine with requirements and a rank of its own.
func largeCloud(tb testing.TB, hosts, vms int) *Snapshot {
	tb.Helper()
	var b strings.Builder
	b.WriteString("<HOST_POOL>")
	for i := range hosts {
		fmt.Fprintf(&b, "<HOST><ID>%d</ID><NAME>node%04d</NAME><STATE>2</STATE><CLUSTER_ID>-1</CLUSTER_ID><HOST_SHARE>"+
			"<MEM_USAGE>0</MEM_USAGE><CPU_USAGE>%d</CPU_USAGE><MAX_MEM>16777216</MAX_MEM><MAX_CPU>1600</MAX_CPU>"+
			"<FREE_DISK>50000</FREE_DISK><FREE_CPU>%d</FREE_CPU><FREE_MEM>%d</FREE_MEM><RUNNING_VMS>%d</RUNNING_VMS>"+
			"<DATASTORES></DATASTORES></HOST_SHARE><VMS></VMS><TEMPLATE><ARCH><![CDATA[x86_64]]></ARCH>"+
			"<HYPERVISOR><![CDATA[kvm]]></HYPERVISOR><RACK><![CDATA[r%d]]></RACK></TEMPLATE></HOST>",
			i, i, i%7*100, 1600-i%16*100, 16777216-i*1024, i%20, i%40)
	}
	b.WriteString("</HOST_POOL>")
	snap := &Snapshot{Hosts: ReadHosts(mustParse(tb, b.String()), nil)}

	b.Reset()
	b.WriteString("<VM_POOL>")
	for i := range vms {
		fmt.Fprintf(&b, "<VM><ID>%d</ID><UID>0</UID><GID>0</GID><NAME>vm%d</NAME><STATE>1</STATE><LCM_STATE>0</LCM_STATE>"+
			"<RESCHED>0</RESCHED><TEMPLATE><AUTOMATIC_REQUIREMENTS><![CDATA[!(PUBLIC_CLOUD = YES)]]></AUTOMATIC_REQUIREMENTS>"+
			"<CPU><![CDATA[1]]></CPU><MEMORY><![CDATA[512]]></MEMORY></TEMPLATE><USER_TEMPLATE>"+
			"<SCHED_RANK><![CDATA[FREE_CPU * %d - RUNNING_VMS]]></SCHED_RANK>"+
			"<SCHED_REQUIREMENTS><![CDATA[HYPERVISOR = \"k*\" & FREE_MEM > %d & !(RACK = \"r%d\")]]></SCHED_REQUIREMENTS>"+
			"</USER_TEMPLATE><HISTORY_RECORDS/></VM>", i, i, i%9+1, 1000+i, i%40)
	}
	b.WriteString("</VM_POOL>")
	snap.VMs = ReadVMs(mustParse(tb, b.String()), 0)
	snap.SystemDatastores, snap.ImageDatastores = ReadDatastores(mustParse(tb,
		"<DATASTORE_POOL><DATASTORE><ID>0</ID><NAME>system</NAME><TYPE>1</TYPE><CLUSTER_ID>-1</CLUSTER_ID><TOTAL_MB>9000000</TOTAL_MB>"+
			"<FREE_MB>9000000</FREE_MB><USED_MB>0</USED_MB><TEMPLATE></TEMPLATE></DATASTORE></DATASTORE_POOL>"))
	return snap
}

func mustParse(tb testing.TB, text string) *xmldoc.Node {
	tb.Helper()
	doc, err := xmldoc.Parse(text)
	if err != nil {
		tb.Fatal(err)
	}
	return doc
}

// BenchmarkPass measures a whole pass, matching and dispatch, over 1,000 hosts
// and 5,000 machines; the aim is two seconds on two processors.
func BenchmarkPass(b *testing.B) {
	const hosts, vms = 1000, 5000
	snap := largeCloud(b, hosts, vms)
	for _, trace := range []bool{false, true} {
		b.Run(fmt.Sprintf("trace=%v", trace), func(b *testing.B) {
			b.ReportAllocs()
			placed, before := 0, cpuTime(b)
			for b.Loop() {
				m := NewMatcher(snap, Policy{HostRank: HostPolicy(1, ""), DatastoreRank: DatastorePolicy(1, ""), MaxHost: 1000}, trace)
				d := m.NewDispatcher(m.Match(func(*Decision) {}))
				placed = 0
				for {
					if _, ok := d.Next(func(int, Event) {}); !ok {
						break
					}
					d.Accept()
					placed++
				}
			}
			if placed != vms {
				b.Fatalf("%d of %d machines placed", placed, vms)
			}
			b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(b.N)/(hosts*vms), "cpu-ns/pair")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(hosts*vms), "ns/pair")
		})
	}
}

// cpuTime is what the process has used of all processors: on a busy machine
// the elapsed time says little.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
