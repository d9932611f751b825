package rpc

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"goned/core/acl"
	"goned/core/refusal"
	"goned/core/state"
	"goned/rpc/xmlrpc"
)

// filler is a harmless value for a parameter.
func filler(p Param) any {
	switch {
	case p.Kind == StringParam:
		return ""
	case p.Kind == BoolParam:
		return false
	case p.Name == "cluster", p.Name == "datastore":
		return -1
	}
	return 0
}

func fillers(m *Method) []any {
	var out []any
	for _, p := range m.Params {
		out = append(out, filler(p))
	}
	return out
}

// TestParameters gives each method parameters that are missing or of a wrong type. oneadmin gets as far as those that are read late.
func TestParameters(t *testing.T) {
	c := newCloud(t, `FEDERATION = [ MODE = "MASTER", ZONE_ID = "0" ]`)
	c.must(root, "one.image.allocate", "NAME=i SIZE=1 TYPE=DATABLOCK DS_MAD=x", 1)
	before := c.store.Snapshot()
	faults := map[ParamKind]*xmlrpc.Fault{IntParam: errNotInt, StringParam: errNotString, BoolParam: errNotBool}
	values := []xmlrpc.Value{
		xmlrpc.Int(0), xmlrpc.String("0"), xmlrpc.Bool(true), xmlrpc.I8(1), xmlrpc.Double(1), xmlrpc.Nil(), xmlrpc.Array(), xmlrpc.Struct(),
		xmlrpc.Base64(nil), xmlrpc.DateTime("20140101T00:00:00"),
	}
	right := map[ParamKind]xmlrpc.Kind{IntParam: xmlrpc.KindInt, StringParam: xmlrpc.KindString, BoolParam: xmlrpc.KindBool}
	for _, m := range Methods() {
		for i, p := range m.Params {
			given := fillers(m)
			if m.Name == "one.image.allocate" {
				given[0] = "NAME=x"
			}
			if p.Default == nil {
				c.want("fault -501 Not enough parameters", root, m.Name, given[:i]...)
			}
			for _, v := range values {
				if p.Kind == AnyParam || v.Kind() == right[p.Kind] {
					continue
				}
				given[i] = v
				c.want("fault -501 "+faults[p.Kind].Text, root, m.Name, given...)
			}
		}
	}
	if c.store.Snapshot() != before {
		t.Error("a call with wrong parameters has changed something")
	}
	c.want("fault -501 Not enough parameters", root, "one.template.instantiate", 0, "x", true)
	c.want("ok 4.6.2", root, "one.system.version", 1, "surplus", xmlrpc.Nil())
}

// TestSessionComesFirst: a session that is not good is refused before the parameters are looked at, and never says why.
func TestSessionComesFirst(t *testing.T) {
	c := newCloud(t, "")
	for _, m := range Methods() {
		for _, session := range []string{"oneadmin:wrong", "nobody:x", "oneadmin", "", ":", "alice:", "serveradmin:x", "serveradmin:nobody:x"} {
			c.want("256 ["+m.Log+"] User couldn't be authenticated, aborting call.", session, m.Name)
		}
		if got := c.raw(&xmlrpc.Call{Method: m.Name}).String(); got != "fault -501 Not enough parameters" {
			t.Errorf("%s without a session: %s", m.Name, got)
		}
		got := c.raw(&xmlrpc.Call{Method: m.Name, Params: []xmlrpc.Value{xmlrpc.Int(1)}}).String()
		if got != "fault -501 Parameter that is supposed to be a string is not" {
			t.Errorf("%s with an int for a session: %s", m.Name, got)
		}
	}
	c.want("fault -506 Method 'one.vm.Info' not defined", root, "one.vm.Info", 0)
}

// furnish makes one object of each kind with number 0, or 100 where numbers begin there, those that have an owner for alice. The VM
// runs on the host and has the image as disk 0 and a lease of the network. No access rule is left.
func (c *testCloud) furnish() {
	c.t.Helper()
	c.must(root, "one.cluster.allocate", "c")
	c.must(root, "one.group.allocate", "g")
	c.must(root, "one.host.allocate", "h", "im", "vmm", "vnm", -1)
	c.must(root, "one.datastore.allocate", "NAME=d DS_MAD=dummy TM_MAD=dummy", -1)
	c.must(alice, "one.document.allocate", "NAME=doc", 7)
	c.must(alice, "one.image.allocate", "NAME=i SIZE=1 TYPE=DATABLOCK", 100)
	c.must(alice, "one.vn.allocate", "NAME=n TYPE=RANGED BRIDGE=b NETWORK_ADDRESS=10.0.0.0 NETWORK_SIZE=C", -1)
	c.must(alice, "one.template.allocate", "NAME=t CPU=1 MEMORY=1 DISK=[IMAGE_ID=0] NIC=[NETWORK_ID=0]")
	c.drive()
	c.must(alice, "one.template.instantiate", 0, "vm")
	c.must(root, "one.vm.deploy", 0, 0)
	c.drive()
	if got := c.get(alice, "one.vm.info", 0); !strings.Contains(got, "<LCM_STATE>3<") {
		c.t.Fatalf("the VM does not run: %s", got)
	}
	c.update(func(tx *state.Tx) error { tx.SetACL(acl.NewRules()); return nil })
}

// TestRights calls each method as somebody who may do nothing with what it is about. All refused checks are listed, in 4.6's order,
// and nothing has changed, not for a moment.
func TestRights(t *testing.T) {
	c := newCloud(t, `FEDERATION = [ MODE = "MASTER", ZONE_ID = "0" ]`)
	c.furnish()
	const (
		owner     = "MANAGE USER [2]; USE GROUP [100]"
		vmText    = "CPU=1 MEMORY=1 DISK=[IMAGE_ID=0] NIC=[NETWORK=n,NETWORK_UNAME=alice]"
		imageText = "NAME=x SIZE=1 TYPE=DATABLOCK"
	)
	params := func(p ...any) []any { return p }
	type row struct {
		params []any
		want   string
	}
	rights := map[string][]row{
		"one.vm.allocate":       {{params(vmText, false), "CREATE VM; USE IMAGE [0]; USE NET [0]"}},
		"one.vm.deploy":         {{params(0, 0), "ADMIN VM [0]; MANAGE HOST [0]"}, {params(0, 0, true, 0), "ADMIN VM [0]; MANAGE HOST [0]"}},
		"one.vm.action":         {{params("reboot", 0), "MANAGE VM [0]"}, {params("resched", 0), "ADMIN VM [0]"}, {params("unresched", 0), "ADMIN VM [0]"}, {params("nonsense", 0), "MANAGE VM [0]"}, {params("finalize", 0), "MANAGE VM [0]"}},
		"one.vm.migrate":        {{params(0, 0, false), "ADMIN VM [0]; MANAGE HOST [0]"}},
		"one.vm.savedisk":       {{params(0, 0, "s", ""), "MANAGE VM [0]"}, {params(0, 9, "s", "", true, true), "MANAGE VM [0]"}},
		"one.vm.info":           {{params(0), "USE VM [0]"}},
		"one.vm.monitoring":     {{params(0), "USE VM [0]"}},
		"one.vm.attach":         {{params(0, "DISK=[IMAGE_ID=0]"), "MANAGE VM [0]; USE IMAGE [0]"}},
		"one.vm.detach":         {{params(0, 0), "MANAGE VM [0]"}},
		"one.vm.attachnic":      {{params(0, "NIC=[NETWORK_ID=0,MAC=02:00:00:00:00:01]"), "MANAGE VM [0]; USE NET [0]"}},
		"one.vm.detachnic":      {{params(0, 0), "MANAGE VM [0]"}},
		"one.vm.resize":         {{params(0, "CPU=2", false), "MANAGE VM [0]"}},
		"one.vm.snapshotcreate": {{params(0, "s"), "MANAGE VM [0]"}},
		"one.vm.snapshotrevert": {{params(0, 0), "MANAGE VM [0]"}},
		"one.vm.snapshotdelete": {{params(0, 0), "MANAGE VM [0]"}},
		"one.vm.recover":        {{params(0, true), "ADMIN VM [0]"}},

		"one.template.allocate": {{params("NAME=x"), "CREATE TEMPLATE"}},
		"one.template.clone":    {{params(0, "x"), "USE TEMPLATE [0]; CREATE TEMPLATE"}},
		"one.template.instantiate": {
			{params(0, "x"), "USE TEMPLATE [0]; USE IMAGE [0]; USE NET [0]"},
			{params(0, "x", false, "A=1"), "USE TEMPLATE [0]; CREATE TEMPLATE; USE IMAGE [0]; USE NET [0]"},
		},

		"one.host.allocate":   {{params("x", "i", "v", "n", -1), "CREATE HOST"}, {params("x", "i", "v", "n", 100), "CREATE HOST; ADMIN CLUSTER [100]"}},
		"one.host.enable":     {{params(0, false), "ADMIN HOST [0]"}},
		"one.host.monitoring": {{params(0), "USE HOST [0]"}},

		"one.vn.allocate":  {{params("NAME=x", -1), "CREATE NET"}, {params("NAME=x", 100), "CREATE NET; ADMIN CLUSTER [100]"}},
		"one.vn.addleases": {{params(0, "LEASES=[IP=10.0.0.9]"), "MANAGE NET [0]"}},
		"one.vn.rmleases":  {{params(0, "LEASES=[IP=10.0.0.9]"), "MANAGE NET [0]"}},
		"one.vn.hold":      {{params(0, "LEASES=[IP=10.0.0.9]"), "MANAGE NET [0]"}},
		"one.vn.release":   {{params(0, "LEASES=[IP=10.0.0.9]"), "MANAGE NET [0]"}},

		"one.user.allocate": {{params("x", "x", ""), "CREATE USER"}},
		"one.user.passwd":   {{params(2, "x"), "MANAGE USER [2]"}},
		"one.user.chauth":   {{params(2, "core", "x"), "ADMIN USER [2]"}, {params(4, "core", "x"), "ADMIN USER [4]"}},
		"one.user.chgrp":    {{params(2, 100), owner}, {params(4, 100), "USE GROUP [100]"}},
		"one.user.addgroup": {{params(2, 100), "MANAGE USER [2]; MANAGE GROUP [100]"}, {params(4, 1), "MANAGE GROUP [1]"}},
		"one.user.delgroup": {{params(2, 1), "MANAGE USER [2]; MANAGE GROUP [1]"}},
		"one.user.quota":    {{params(2, "VM=[VMS=1]"), "ADMIN USER [2]"}},

		"one.group.allocate":    {{params("x"), "CREATE GROUP"}},
		"one.group.quota":       {{params(100, "VM=[VMS=1]"), "ADMIN GROUP [100]"}},
		"one.group.addprovider": {{params(100, 0, 100), "ADMIN GROUP [100]; ADMIN ZONE [0]; ADMIN CLUSTER [100]"}, {params(100, 0, 10), "ADMIN GROUP [100]; ADMIN ZONE [0]"}},
		"one.group.delprovider": {{params(100, 0, 100), "ADMIN GROUP [100]; ADMIN ZONE [0]; ADMIN CLUSTER [100]"}, {params(100, 9, 100), "ADMIN GROUP [100]"}},

		"one.image.allocate":   {{params(imageText, 100), "CREATE IMAGE; USE DATASTORE [100]"}},
		"one.image.clone":      {{params(0, "x"), "CREATE IMAGE; USE IMAGE [0]; USE DATASTORE [100]"}},
		"one.image.enable":     {{params(0, false), "MANAGE IMAGE [0]"}},
		"one.image.persistent": {{params(0, true), "MANAGE IMAGE [0]"}},
		"one.image.chtype":     {{params(0, "OS"), "MANAGE IMAGE [0]"}},

		"one.acl.addrule": {{params("1", "1", "1"), "MANAGE ACL"}},
		"one.acl.delrule": {{params(0), "MANAGE ACL"}},
		"one.acl.info":    {{nil, "MANAGE ACL"}},

		"one.datastore.allocate": {{params("NAME=x", -1), "CREATE DATASTORE"}, {params("NAME=x", 100), "CREATE DATASTORE; ADMIN CLUSTER [100]"}},

		"one.cluster.allocate":     {{params("x"), "CREATE CLUSTER"}},
		"one.cluster.addhost":      {{params(100, 0), "ADMIN CLUSTER [100]; ADMIN HOST [0]"}, {params(-1, 0), "ADMIN HOST [0]"}},
		"one.cluster.delhost":      {{params(100, 0), "ADMIN HOST [0]"}},
		"one.cluster.adddatastore": {{params(100, 100), "ADMIN CLUSTER [100]; ADMIN DATASTORE [100]"}},
		"one.cluster.deldatastore": {{params(100, 100), "ADMIN DATASTORE [100]"}},
		"one.cluster.addvnet":      {{params(100, 0), "ADMIN CLUSTER [100]; ADMIN NET [0]"}},
		"one.cluster.delvnet":      {{params(100, 0), "ADMIN NET [0]"}},

		"one.document.allocate": {{params("NAME=x", 7), "CREATE DOCUMENT"}},
		"one.document.clone":    {{params(0, "x"), "USE DOCUMENT [0]; CREATE DOCUMENT"}},

		"one.zone.allocate": {{params("NAME=x ENDPOINT=e"), "CREATE ZONE"}},
	}
	// What all kinds have.
	for _, k := range []struct {
		name, kind string
		id         int
		owned      bool
		update     string // the operation that update and rename need
		delete     string
	}{
		{"vm", "VM", 0, true, "MANAGE", ""}, {"template", "TEMPLATE", 0, true, "MANAGE", "MANAGE"}, {"host", "HOST", 0, false, "ADMIN", "ADMIN"},
		{"vn", "NET", 0, true, "MANAGE", "MANAGE"}, {"user", "USER", 2, false, "MANAGE", "ADMIN"}, {"group", "GROUP", 100, false, "MANAGE", "ADMIN"},
		{"image", "IMAGE", 0, true, "MANAGE", "MANAGE"}, {"datastore", "DATASTORE", 100, true, "MANAGE", "ADMIN"},
		{"cluster", "CLUSTER", 100, false, "MANAGE", "ADMIN"}, {"document", "DOCUMENT", 0, true, "MANAGE", "MANAGE"},
		{"zone", "ZONE", 0, false, "MANAGE", "ADMIN"},
	} {
		on := fmt.Sprintf(" %s [%d]", k.kind, k.id)
		name := "one." + k.name
		rights[name+".info"] = []row{{params(k.id), "USE" + on}}
		rights[name+".update"] = []row{{params(k.id, "A=1"), k.update + on}, {params(k.id, "A=", 9), k.update + on}}
		if k.delete != "" {
			rights[name+".delete"] = []row{{params(k.id), k.delete + on}}
		}
		if k.kind != "USER" && k.kind != "GROUP" {
			rights[name+".rename"] = []row{{params(k.id, "x"), k.update + on}, {params(k.id, ""), k.update + on}}
		}
		if k.owned {
			bits := func(ownerA, otherU int) []any { return params(k.id, 1, 1, ownerA, 0, 0, 0, otherU, 0, 0) }
			rights[name+".chmod"] = []row{
				{bits(-1, -1), "MANAGE" + on}, {bits(0, 0), "MANAGE" + on}, {bits(1, 0), "ADMIN" + on}, {bits(7, 1), "ADMIN" + on},
			}
			rights[name+".chown"] = []row{
				{params(k.id, 2, 100), "MANAGE" + on + "; " + owner}, {params(k.id, -1, 100), "MANAGE" + on + "; USE GROUP [100]"},
				{params(k.id, -1, -1), "MANAGE" + on}, {params(k.id, 4, -1), "MANAGE" + on},
			}
		}
	}
	open := regexp.MustCompile(`pool\.|^one\.system\.|quota\.(info|update)$`)

	before := c.store.Snapshot()
	for _, m := range Methods() {
		rows := rights[m.Name]
		delete(rights, m.Name)
		if len(rows) == 0 && !open.MatchString(m.Name) {
			t.Errorf("no right of %s is tested", m.Name)
		}
		for _, r := range rows {
			var reasons []string
			for check := range strings.SplitSeq(r.want, "; ") {
				reasons = append(reasons, "Not authorized to perform "+check)
				op, rest, _ := strings.Cut(check, " ")
				kind, _, _ := strings.Cut(rest, " ")
				if !strings.Contains(m.Auth, op) || !strings.Contains(m.Auth, kind) {
					t.Errorf("%s: the table does not say that it needs %s %s", m.Name, op, kind)
				}
			}
			c.want("512 ["+m.Log+"] User [4] : "+strings.Join(reasons, "; ")+".", eve, m.Name, r.params...)
		}
	}
	for name := range rights {
		t.Errorf("there is no method %s", name)
	}
	if c.store.Snapshot() != before {
		t.Error("a refused call has changed something")
	}

	for _, m := range []string{"one.userquota.update", "one.groupquota.update"} {
		c.want("512 The default quotas can only be updated by users in the oneadmin group", eve, m, "VM=[VMS=1]")
	}
	c.want("512 The oned configuration can only be retrieved by users in the oneadmin group", eve, "one.system.config")
}

// TestUnknownObjects gives each method that is about one object numbers that nothing has.
func TestUnknownObjects(t *testing.T) {
	c := newCloud(t, "")
	c.furnish()
	// These look for the object before the rights, whatever its number: the others learn from the rights that there is no number below zero.
	lookFirst := regexp.MustCompile(`\.(delete|rename|chown|chmod|clone|instantiate|chgrp|addgroup|delgroup)$|provider$|` +
		`^one\.vm\.(action|deploy|migrate|savedisk|resize|recover|monitoring|attach|detach|attachnic|detachnic|snapshot[a-z]+)$`)
	tested := 0
	for _, m := range Methods() {
		at := slices.IndexFunc(m.Params, func(p Param) bool {
			return p.Name == "id" || p.Name == "group" && strings.HasSuffix(m.Name, "provider")
		})
		if at < 0 || m.Name == "one.acl.delrule" {
			continue
		}
		tested++
		for _, id := range []int{99999, -1, -2} {
			given := fillers(m)
			given[at] = id
			if strings.HasSuffix(m.Name, ".chown") {
				given = []any{id, -1, -1}
			}
			missing := "1024 [" + m.Log + "] " + refusal.NotFound(m.object(), id).Text
			if id == -1 && (m.Name == "one.user.info" || m.Name == "one.group.info" || m.Name == "one.host.monitoring") {
				continue // these stand for something
			}
			if id < 0 && m.Name == "one.image.enable" {
				c.want("8192 [ImageEnable] Could not disable image: ", root, m.Name, given...)
			} else {
				c.want(missing, root, m.Name, given...)
			}
			if id >= 0 || lookFirst.MatchString(m.Name) {
				c.want(missing, eve, m.Name, given...)
				continue
			}
			refused := regexp.MustCompile(`^512 \[` + m.Log + `\] User \[4\] : Not authorized to perform [A-Z]+ [A-Z]+\.$`)
			if got := c.call(eve, m.Name, given...).String(); !refused.MatchString(got) {
				t.Errorf("%s(%d) as a user: %s", m.Name, id, got)
			}
		}
	}
	if tested < 80 {
		t.Errorf("only %d methods with an id", tested)
	}
	for _, tc := range []struct {
		want   string
		method string
		params []any
	}{
		{"ok ", "one.user.info", []any{-1}},
		{"ok ", "one.group.info", []any{-1}},
		{"ok <MONITORING_DATA></MONITORING_DATA>", "one.host.monitoring", []any{-1}},
		{"1024 [VirtualMachineDeploy] Error getting host [9].", "one.vm.deploy", []any{9, 9}},
		{"1024 [VirtualMachineMigrate] Error getting host Pool.", "one.vm.migrate", []any{0, -1, false}},
		{"1024 [VirtualMachineChown] Error getting user [9].", "one.vm.chown", []any{9, 9, 9}},
		{"1024 [ImageChown] Error getting group [9].", "one.image.chown", []any{9, 0, 9}},
		{"4096 [UserChown] Wrong group ID", "one.user.chgrp", []any{99, -1}},
		{"1024 [UserChown] Error getting group [9].", "one.user.chgrp", []any{0, 9}},
		{"1024 [UserAddGroup] Error getting group Pool.", "one.user.addgroup", []any{2, -1}},
		{"1024 [GroupAddProvider] Error getting zone [9].", "one.group.addprovider", []any{100, 9, 100}},
		{"1024 [GroupAddProvider] Error getting cluster [9].", "one.group.addprovider", []any{100, 0, 9}},
		{"8192 [GroupDelProvider] Cannot edit resources. Resource provider is not assigned to this group", "one.group.delprovider", []any{100, 9, 9}},
		{"1024 [HostAllocate] Error getting cluster [9].", "one.host.allocate", []any{"x", "x", "x", "x", 9}},
		{"1024 [VirtualNetworkAllocate] Error getting cluster [-2].", "one.vn.allocate", []any{"NAME=x", -2}},
		{"1024 [DatastoreAllocate] Error getting cluster [0].", "one.datastore.allocate", []any{"NAME=x", 0}},
		{"1024 [ImageAllocate] Error getting datastore [9].", "one.image.allocate", []any{"NAME=x", 9}},
		{"1024 [ClusterAddHost] Error getting cluster [9].", "one.cluster.addhost", []any{9, 9}},
		{"1024 [ClusterAddHost] Error getting host [9].", "one.cluster.addhost", []any{100, 9}},
		{"1024 [ClusterDelDatastore] Error getting datastore [9].", "one.cluster.deldatastore", []any{"any", 9}},
		{"1024 [ClusterAddVNet] Error getting virtual network Pool.", "one.cluster.addvnet", []any{-1, -1}},
		{"ok -1", "one.cluster.delhost", []any{xmlrpc.Nil(), 0}},
		{"8192 [AclDelRule] Rule 9 does not exist", "one.acl.delrule", []any{9}},
		{"8192 [AclDelRule] Rule -1 does not exist", "one.acl.delrule", []any{-1}},
	} {
		if got := c.call(root, tc.method, tc.params...).String(); got != tc.want && !(tc.want == "ok " && strings.HasPrefix(got, tc.want)) {
			t.Errorf("%s%v\n got %s\nwant %s", tc.method, tc.params, got, tc.want)
		}
	}
}
