package rpc

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"goned/core/state"
)

// TestRandomCalls makes calls with parameters of the right types and any values, as oneadmin and as a user. None ends in an internal
// error, which is what a panic becomes, and the daemon starts again with what they leave behind.
func TestRandomCalls(t *testing.T) {
	c := newCloud(t, "")
	c.furnish()
	r := rand.New(rand.NewPCG(1, 2))
	ints := []int{-3, -2, -1, 0, 0, 0, 1, 2, 3, 10, 100, 100, 101, math.MaxInt32, math.MinInt32}
	texts := []string{
		"", "x", "A=1", "<T/>", "<T><A>1</A><V><K>v</K></V></T>", "NAME=x", "A=[", "1", "ffffffffffffffff", "100000000", "hold", "reboot", "stop", "resume", "poweroff",
		"delete", "delete-recreate", "shutdown", "OS", "CDROM", "DATABLOCK", "KERNEL", "core", "ssh", "alice", strings.Repeat("x", 200),
		"CPU=1 MEMORY=1", "CPU=-1 MEMORY=x VCPU=0", `NAME=r CPU=1 MEMORY=1 DISK=[IMAGE_ID=0] DISK=[IMAGE=i,IMAGE_UNAME=alice] NIC=[NETWORK_ID=0] NIC=[NETWORK=n,NETWORK_UID=2] CONTEXT=[NETWORK=YES,A="$NIC[IP, NETWORK=\"n\"]",FILES_DS="$FILE[IMAGE_ID=0]"]`,
		`DISK=[TYPE=fs,SIZE=1]`, "DISK=[IMAGE_ID=0]", "DISK=x", "NIC=[NETWORK_ID=0]", "NIC=[]", "NIC=x", "CONTEXT=x CPU=1 MEMORY=1 OS=x", "GRAPHICS=x CPU=1 MEMORY=1 OS=[KERNEL_DS=x]",
		"SCHED_REQUIREMENTS=[A=b] CPU=1 MEMORY=1", "CPU=1 MEMORY=1 REQUIREMENTS=\"$UID = $\"", "LEASES=[IP=10.0.0.9]", "LEASES=[IP=x,MAC=y]", "LEASES=x",
		"NAME=v TYPE=FIXED BRIDGE=b LEASES=[IP=10.0.0.9] LEASES=x", "NAME=w TYPE=RANGED BRIDGE=b NETWORK_ADDRESS=10.0.0.0/33", "NAME=w TYPE=RANGED BRIDGE=b MAC_START=x",
		"NAME=q TYPE=RANGED PHYDEV=e NETWORK_ADDRESS=10.0.0.0 NETWORK_MASK=255.0.255.0 IP_START=1.2.3.4", "NAME=d DS_MAD=x TM_MAD=dummy TYPE=FILE_DS", "NAME=e TYPE=SYSTEM_DS TM_MAD=x",
		"NAME=img TYPE=DATABLOCK SIZE=1", "NAME=img2 TYPE=OS PATH=/x PERSISTENT=YES", "NAME=img3 SOURCE=x SIZE=-1", "SIZE=9223372036854775807 NAME=img4 TYPE=DATABLOCK",
		"VM=[VMS=1,CPU=1,MEMORY=1,VOLATILE_SIZE=1] NETWORK=[ID=0,LEASES=-1] IMAGE=[ID=x] DATASTORE=x", "VM=[VMS=-1,CPU=-1,MEMORY=-1,VOLATILE_SIZE=-1]",
	}
	methods := Methods()
	succeeded := 0
	for range 4000 {
		m := methods[r.IntN(len(methods))]
		if m.Name == "one.user.passwd" || m.Name == "one.user.chauth" || m.Name == "one.user.delete" {
			continue // the callers' own sessions have to last
		}
		var params []any
		for _, p := range m.Params {
			switch p.Kind {
			case StringParam:
				params = append(params, texts[r.IntN(len(texts))])
			case BoolParam:
				params = append(params, r.IntN(2) == 0)
			default:
				params = append(params, ints[r.IntN(len(ints))])
			}
		}
		session := alice
		if r.IntN(3) > 0 {
			session = root
		}
		a := c.call(session, m.Name, params...)
		if a.fault != nil || a.code == 256 || strings.Contains(a.text, "Internal Error") {
			t.Fatalf("%s%v: %v", m.Name, params, a)
		}
		if a.ok {
			succeeded++
		}
		if r.IntN(4) == 0 {
			c.drive()
		}
	}
	if succeeded < 400 {
		t.Errorf("only %d calls succeeded", succeeded)
	}
	if _, err := state.Load(t.Context(), c.db, c.conf.MACPrefix); err != nil {
		t.Errorf("the daemon would not start again: %v", err)
	}
}
