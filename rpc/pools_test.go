package rpc

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"goned/core/state"
	"goned/core/vm"
)

// TestPools lists every pool that takes a filter, with all flags and ranges.
func TestPools(t *testing.T) {
	c := newCloud(t, "")
	aliceID, bobID := c.uid(alice), c.uid(bob)
	for _, p := range []struct {
		method string
		more   []any
		make   func(session string, n int)
		chmod  string
	}{
		{"one.vmpool.info", []any{-2}, func(s string, n int) { c.must(s, "one.vm.allocate", fmt.Sprintf("NAME=o%d CPU=1 MEMORY=1", n)) }, "one.vm.chmod"},
		{"one.templatepool.info", nil, func(s string, n int) { c.must(s, "one.template.allocate", fmt.Sprintf("NAME=o%d", n)) }, "one.template.chmod"},
		{"one.imagepool.info", nil, func(s string, n int) {
			c.must(s, "one.image.allocate", fmt.Sprintf("NAME=o%d TYPE=DATABLOCK SIZE=1", n), 1)
		}, "one.image.chmod"},
		{"one.documentpool.info", []any{7}, func(s string, n int) { c.must(s, "one.document.allocate", fmt.Sprintf("NAME=o%d", n), 7) }, "one.document.chmod"},
		{"one.vnpool.info", nil, func(s string, n int) {
			c.must(s, "one.vn.allocate", fmt.Sprintf("NAME=o%d TYPE=FIXED BRIDGE=b", n), -1)
		}, "one.vn.chmod"},
	} {
		// 0 1: oneadmin's; 2 3 4: alice's, 3 for the group, 4 for all; 5: bob's. Group users has a rule for networks, which the test does without.
		for n, session := range []string{root, root, alice, alice, alice, bob} {
			p.make(session, n)
		}
		bits := func(id, group, other int) {
			c.must(root, p.chmod, id, -1, -1, -1, group, -1, -1, other, -1, -1)
		}
		bits(3, 1, 0)
		bits(4, 0, 1)
		if p.method == "one.vnpool.info" {
			c.must(root, "one.acl.delrule", 3)
		}
		for _, tc := range []struct {
			session            string
			filter, start, end int
			want               string
		}{
			{root, -2, -1, -1, "0 1 2 3 4 5"},
			{root, -3, -1, -1, "0 1"},
			{root, -1, -1, -1, "0 1"},
			{root, aliceID, -1, -1, "2 3 4"},
			{alice, -2, -1, -1, "2 3 4"},
			{alice, -3, -1, -1, "2 3 4"},
			{alice, aliceID, -1, -1, "2 3 4"},
			{bob, -2, -1, -1, "3 4 5"},
			{bob, -1, -1, -1, "3 5"},
			{bob, -3, -1, -1, "5"},
			{bob, aliceID, -1, -1, "3 4"},
			{bob, 0, -1, -1, ""},
			{bob, 12345, -1, -1, ""},
			{alice, bobID, -1, -1, ""},
			{root, -2, -1, 3, "0 1 2 3 4 5"},
			{root, -2, 0, -1, "0 1 2 3 4 5"},
			{root, -2, 4, -1, "4 5"},
			{root, -2, 1, 3, "1 2 3"},
			{root, -2, 3, 3, "3"},
			{root, -2, 3, 1, ""},
			{root, -2, -9, 1, "0 1"},
			{root, -2, 99, -1, ""},
			{root, -2, 0, -2, "0 1"},
			{root, -2, 2, -2, "2 3"},
			{root, -2, 5, -2, "5"},
			{root, -2, 6, -2, ""},
			{root, -2, -7, -3, "0 1 2"},
			{root, -2, -1, -2147483648, "0 1 2 3 4 5"},
			// A page counts the rows that the filter lets pass, not ids.
			{bob, -2, 1, -2, "4 5"},
			{bob, -2, 3, 4, "3 4"},
			{alice, -3, 1, -100, "3 4"},
		} {
			got := listed(c.get(tc.session, p.method, append([]any{tc.filter, tc.start, tc.end}, p.more...)...))
			if got != tc.want {
				t.Errorf("%s(%d, %d, %d) of %s: %s, want %s", p.method, tc.filter, tc.start, tc.end, tc.session, got, tc.want)
			}
		}
		log := strings.NewReplacer("one.vmpool.info", "VirtualMachinePoolInfo", "one.templatepool.info", "TemplatePoolInfo", "one.imagepool.info", "ImagePoolInfo",
			"one.documentpool.info", "DocumentPoolInfo", "one.vnpool.info", "VirtualNetworkPoolInfo").Replace(p.method)
		for _, session := range []string{root, bob} {
			c.want("4096 ["+log+"] Incorrect filter_flag", session, p.method, append([]any{-4, 0, 0}, p.more...)...)
		}
	}
	if got := listed(c.get(root, "one.documentpool.info", -2, -1, -1, 8)); got != "" {
		t.Errorf("documents of another type: %s", got)
	}
	for _, m := range []string{"Accounting", "Monitoring"} {
		params := []any{-4, -1, -1}
		c.want("4096 [VirtualMachinePool"+m+"] Incorrect filter_flag", root, "one.vmpool."+strings.ToLower(m), params...)
	}
}

// TestPoolsWithoutFilter: users see themselves, groups their groups; what rules open is listed, too.
func TestPoolsWithoutFilter(t *testing.T) {
	c := newCloud(t, "")
	c.must(root, "one.group.allocate", "g")
	c.must(root, "one.user.addgroup", c.uid(alice), 100)
	c.must(root, "one.host.allocate", "h0", "i", "v", "n", -1)
	c.must(root, "one.cluster.allocate", "c")
	c.must(root, "one.host.allocate", "h1", "i", "v", "n", 100)
	for _, tc := range []struct{ session, method, want string }{
		{root, "one.userpool.info", "0 1 2 3 4"}, {alice, "one.userpool.info", "2"},
		{root, "one.grouppool.info", "0 1 100"}, {alice, "one.grouppool.info", "1 100"}, {bob, "one.grouppool.info", "1"},
		{root, "one.hostpool.info", "0 1"}, {alice, "one.hostpool.info", ""},
		{root, "one.datastorepool.info", "0 1 2"}, {alice, "one.datastorepool.info", "0 1 2"},
		{root, "one.clusterpool.info", "100"}, {alice, "one.clusterpool.info", ""},
		{root, "one.zonepool.info", "0"}, {alice, "one.zonepool.info", "0"},
	} {
		if got := listed(c.get(tc.session, tc.method)); got != tc.want {
			t.Errorf("%s of %s: %s, want %s", tc.method, tc.session, got, tc.want)
		}
	}
	c.must(root, "one.acl.addrule", "100000002", "2800000064", "1")               // alice may use the hosts of cluster 100
	c.must(root, "one.acl.addrule", "100000002", "10200000001", "1", "100000000") // and the users of group 1
	if got := listed(c.get(alice, "one.hostpool.info")); got != "1" {
		t.Errorf("hosts by rule: %s", got)
	}
	if got := listed(c.get(alice, "one.userpool.info")); got != "2 3 4" {
		t.Errorf("users by rule: %s", got)
	}
	// Each user is followed by his quotas, the defaults are last.
	pool := c.get(root, "one.userpool.info")
	if strings.Count(pool, "</USER><QUOTAS><ID>") != 5 || !strings.HasSuffix(pool, "</IMAGE_QUOTA></DEFAULT_USER_QUOTAS></USER_POOL>") {
		t.Errorf("%s", pool)
	}
}

func TestVMStates(t *testing.T) {
	c := newCloud(t, "")
	states := []vm.State{vm.Init, vm.Pending, vm.Hold, vm.Active, vm.Stopped, vm.Suspended, vm.Done, vm.Failed, vm.Poweroff, vm.Undeployed}
	for id, s := range states {
		c.must(root, "one.vm.allocate", "CPU=1 MEMORY=1")
		c.update(func(tx *state.Tx) error { tx.VMs.Edit(id).State = s; return nil })
	}
	for want, expected := range map[int]string{-2: "0 1 2 3 4 5 6 7 8 9", -1: "0 1 2 3 4 5 7 8 9", 0: "0", 1: "1", 3: "3", 6: "6", 7: "7"} {
		if got := listed(c.get(root, "one.vmpool.info", -2, -1, -1, want)); got != expected {
			t.Errorf("state %d: %s, want %s", want, got, expected)
		}
	}
	if got := listed(c.get(root, "one.vmpool.info", -2, 2, -3, -1)); got != "2 3 4" {
		t.Errorf("page of those that are not done: %s", got)
	}
	for _, s := range []int{-3, 8, 9} {
		c.want("4096 [VirtualMachinePoolInfo] Incorrect filter_flag, state", root, "one.vmpool.info", -9, 0, 0, s)
	}
}

// TestAccounting filters history records by time and by the owner of the VM.
func TestAccounting(t *testing.T) {
	c := newCloud(t, "")
	c.must(root, "one.host.allocate", "h", "i", "v", "n", -1)
	at := c.now.Unix()
	for i, session := range []string{alice, bob} {
		c.must(session, "one.vm.allocate", "CPU=1 MEMORY=1")
		c.must(root, "one.vm.deploy", i, 0)
		c.drive()
	}
	c.now = c.now.Add(100e9)
	c.must(alice, "one.vm.action", "shutdown-hard", 0)
	c.drive()
	owners := func(session string, filter, start, end int) string {
		var ids []string
		for _, part := range strings.Split(c.get(session, "one.vmpool.accounting", filter, start, end), "<HISTORY><OID>")[1:] {
			id, _, _ := strings.Cut(part, "<")
			ids = append(ids, id)
		}
		slices.Sort(ids)
		return strings.Join(ids, " ")
	}
	for _, tc := range []struct {
		session            string
		filter, start, end int
		want               string
	}{
		{root, -2, -1, -1, "0 1"}, {alice, -2, -1, -1, "0"}, {bob, -3, -1, -1, "1"}, {root, 2, -1, -1, "0"}, {bob, 2, -1, -1, ""},
		{root, -2, int(at) + 99, -1, "0 1"}, {root, -2, int(at) + 100, -1, "1"}, {root, -2, -1, int(at), ""}, {root, -2, -1, int(at) + 1, "0 1"},
		{root, -2, 0, 0, ""},
	} {
		if got := owners(tc.session, tc.filter, tc.start, tc.end); got != tc.want {
			t.Errorf("%d %d %d of %s: %s, want %s", tc.filter, tc.start, tc.end, tc.session, got, tc.want)
		}
	}
	empty := c.get(alice, "one.vmpool.accounting", 1, -1, -1)
	if empty != "<HISTORY_RECORDS></HISTORY_RECORDS>" {
		t.Errorf("%s", empty)
	}
	// The VM inside a record has no history.
	if doc := c.get(alice, "one.vmpool.accounting", -2, -1, -1); !strings.Contains(doc, "<HISTORY_RECORDS/></VM></HISTORY></HISTORY_RECORDS>") {
		t.Errorf("%s", doc)
	}
}
