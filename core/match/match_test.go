package match

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// failer is what the builders need of a test, a rapid one included.
type failer interface {
	Helper()
	Fatal(args ...any)
}

// cloud builds the pools of a test.
type cloud struct {
	vms, hosts, datastores, clusters, rules strings.Builder
}

func (c *cloud) vm(id int, user, tmpl string) *cloud {
	fmt.Fprintf(&c.vms, "<VM><ID>%d</ID><UID>0</UID><GID>0</GID><NAME>vm%d</NAME><STATE>1</STATE><LCM_STATE>0</LCM_STATE><RESCHED>0</RESCHED>"+
		"<TEMPLATE><CPU>1</CPU><MEMORY>128</MEMORY>%s</TEMPLATE><USER_TEMPLATE>%s</USER_TEMPLATE><HISTORY_RECORDS/></VM>", id, id, tmpl, user)
	return c
}

func (c *cloud) rawVM(text string) *cloud {
	c.vms.WriteString(text)
	return c
}

// host adds a host with room for cpu and as many GB.
func (c *cloud) host(id, cluster, cpu int, tmpl string) *cloud {
	fmt.Fprintf(&c.hosts, "<HOST><ID>%d</ID><NAME>h%d</NAME><STATE>2</STATE><CLUSTER_ID>%d</CLUSTER_ID><CLUSTER>c%d</CLUSTER><HOST_SHARE>"+
		"<MEM_USAGE>0</MEM_USAGE><CPU_USAGE>0</CPU_USAGE><MAX_MEM>%d</MAX_MEM><MAX_CPU>%d</MAX_CPU><FREE_DISK>1000</FREE_DISK>"+
		"<RUNNING_VMS>0</RUNNING_VMS></HOST_SHARE><VMS></VMS><TEMPLATE>%s</TEMPLATE></HOST>", id, id, cluster, cluster, cpu<<20, cpu*100, tmpl)
	return c
}

// datastore adds one of type 0 (image) or 1 (system).
func (c *cloud) datastore(id, kind, cluster, free int, tmpl string) *cloud {
	fmt.Fprintf(&c.datastores, "<DATASTORE><ID>%d</ID><NAME>d%d</NAME><TYPE>%d</TYPE><CLUSTER_ID>%d</CLUSTER_ID><CLUSTER>c%d</CLUSTER>"+
		"<TOTAL_MB>9999</TOTAL_MB><FREE_MB>%d</FREE_MB><USED_MB>0</USED_MB><TEMPLATE>%s</TEMPLATE></DATASTORE>", id, id, kind, cluster, cluster, free, tmpl)
	return c
}

func (c *cloud) rule(text string) *cloud {
	c.rules.WriteString("<ACL><ID>0</ID>" + text + "</ACL>")
	return c
}

func (c *cloud) pools(tb failer) *Pools {
	tb.Helper()
	p, err := ParsePools(SavePools(0,
		"<VM_POOL>"+c.vms.String()+"</VM_POOL>", "<HOST_POOL>"+c.hosts.String()+"</HOST_POOL>",
		"<DATASTORE_POOL>"+c.datastores.String()+"</DATASTORE_POOL>", "<CLUSTER_POOL>"+c.clusters.String()+"</CLUSTER_POOL>",
		"<ACL_POOL>"+c.rules.String()+"</ACL_POOL>"))
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func (c *cloud) snapshot(tb failer) *Snapshot {
	tb.Helper()
	s, err := c.pools(tb).Snapshot(0)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

var unlimited = Policy{HostRank: HostPolicy(1, ""), DatastoreRank: DatastorePolicy(1, ""), MaxHost: 1 << 30}

// pass runs a pass in which refuse says which orders the cloud refuses, and
// returns the orders it took, the messages and the log.
func pass(snap *Snapshot, policy Policy, refuse func(Dispatch) bool) (taken []Dispatch, messages map[int]string, log []string) {
	messages = make(map[int]string)
	m := NewMatcher(snap, policy, true)
	note := func(vm int, e Event) { log = append(log, e.Text(vm)) }
	d := m.NewDispatcher(m.Match(func(d *Decision) {
		for _, e := range d.Events {
			note(d.VM.ID, e)
		}
		if d.Message != "" {
			messages[d.VM.ID] = d.Message
		}
	}))
	for {
		order, ok := d.Next(note)
		if !ok {
			return taken, messages, log
		}
		if refuse != nil && refuse(order) {
			d.Refuse()
			continue
		}
		d.Accept()
		taken = append(taken, order)
	}
}

func TestPass(t *testing.T) {
	twoHosts := func() *cloud {
		return new(cloud).host(0, -1, 2, "<X>1</X>").host(1, -1, 2, "<X>2</X>").datastore(0, 1, -1, 1000, "")
	}
	oneTook := func(vm, host, ds int) []Dispatch { return []Dispatch{{VM: vm, Host: host, Datastore: ds}} }
	tests := []struct {
		name    string
		cloud   *cloud
		policy  Policy
		refuse  func(Dispatch) bool
		orders  []Dispatch
		message string // of VM 0
		logs    string // one line of the log
	}{
		{name: "equal hosts: the highest id", cloud: twoHosts().vm(0, "", ""), policy: unlimited, orders: oneTook(0, 1, 0)},
		{name: "own rank", cloud: twoHosts().vm(0, "<SCHED_RANK>- X</SCHED_RANK>", ""), policy: unlimited, orders: oneTook(0, 0, 0)},
		{name: "requirements", cloud: twoHosts().vm(0, "<SCHED_REQUIREMENTS>X = 1</SCHED_REQUIREMENTS>", ""), policy: unlimited,
			orders: oneTook(0, 0, 0), logs: "VM 0: Host 1 filtered out. It does not fulfill SCHED_REQUIREMENTS."},
		{name: "no host meets them", cloud: twoHosts().vm(0, "<SCHED_REQUIREMENTS>X = 9</SCHED_REQUIREMENTS>", ""), policy: unlimited,
			message: "No host meets SCHED_REQUIREMENTS: X = 9"},
		{name: "nonsense in one does not stop another", policy: unlimited,
			cloud:   twoHosts().vm(0, "<SCHED_REQUIREMENTS>&amp;&amp;</SCHED_REQUIREMENTS><SCHED_RANK>((</SCHED_RANK>", "").vm(1, "", ""),
			orders:  oneTook(1, 1, 0),
			message: "Error in SCHED_REQUIREMENTS: '&&', error: syntax error, unexpected '&', expecting $end at line 1, columns 1:2"},
		{name: "no hosts", cloud: new(cloud).vm(0, "", "").datastore(0, 1, -1, 1000, ""), policy: unlimited, message: "No hosts enabled to run VMs"},
		{name: "no capacity", cloud: new(cloud).vm(0, "", "").host(0, -1, 0, "").datastore(0, 1, -1, 1000, ""), policy: unlimited,
			message: "No host with enough capacity to deploy the VM", logs: "VM 0: Host 0 filtered out. Not enough capacity."},
		{name: "no system datastore", cloud: new(cloud).vm(0, "", "").host(0, -1, 1, ""), policy: unlimited, message: "No system datastores found to run VMs"},
		{name: "system datastore in another cluster", cloud: new(cloud).vm(0, "", "").host(3, 100, 1, "").datastore(0, 1, -1, 1000, ""), policy: unlimited,
			logs: "VM 0: No suitable System DS found for Host: 3. Filtering out host."},
		{name: "space must be more than needed", policy: unlimited,
			cloud:   new(cloud).vm(0, "", "<DISK><TYPE>fs</TYPE><SIZE>500</SIZE></DISK>").host(0, -1, 1, "").datastore(0, 1, -1, 500, ""),
			message: "No system datastore with enough capacity for the VM"},
		{name: "local space of the host", policy: unlimited,
			cloud: new(cloud).vm(0, "", "<DISK><TYPE>fs</TYPE><SIZE>1000</SIZE></DISK>").host(0, -1, 1, "").datastore(0, 1, -1, 9000, "<SHARED>NO</SHARED>"),
			logs:  "VM 0: Local Datastore 0 in Host 0 filtered out. Not enough capacity."},
		{name: "image datastore full: no message", policy: unlimited,
			cloud: twoHosts().datastore(5, 0, -1, 10, "").vm(0, "",
				"<DISK><DATASTORE_ID>5</DATASTORE_ID><SIZE>10</SIZE><CLONE>YES</CLONE><CLONE_TARGET>SELF</CLONE_TARGET></DISK>"),
			logs: "VM 0: Image Datastore 5 does not have enough free storage."},
		{name: "a refused order is tried elsewhere", cloud: twoHosts().vm(0, "", ""), policy: unlimited,
			refuse: func(d Dispatch) bool { return d.Host == 1 }, orders: oneTook(0, 0, 0)},
		{name: "MAX_HOST 0 stops all", cloud: twoHosts().vm(0, "", ""), policy: Policy{MaxDispatch: 0, MaxHost: 0}},
		{name: "MAX_HOST", cloud: twoHosts().vm(0, "", "").vm(1, "", "").vm(2, "", ""), policy: Policy{MaxHost: 1},
			orders: []Dispatch{{VM: 0, Host: 1}, {VM: 1, Host: 0}}},
		{name: "MAX_DISPATCH", cloud: twoHosts().vm(0, "", "").vm(1, "", ""), policy: Policy{MaxDispatch: 1, MaxHost: 9}, orders: oneTook(0, 1, 0)},
		{name: "capacity runs out during the pass", cloud: new(cloud).host(0, -1, 1, "").datastore(0, 1, -1, 1000, "").vm(0, "", "").vm(1, "", ""),
			policy: unlimited, orders: oneTook(0, 0, 0)},
		{name: "an escaped requirement finds no host", policy: unlimited,
			cloud: twoHosts().vm(0, "<SCHED_REQUIREMENTS>X = 1 ) | ( X = 1</SCHED_REQUIREMENTS>",
				"<AUTOMATIC_REQUIREMENTS>CLUSTER_ID = 100</AUTOMATIC_REQUIREMENTS>"),
			message: "No host meets SCHED_REQUIREMENTS: CLUSTER_ID = 100 & ( X = 1 ) | ( X = 1 )"},
		{name: "an escaped requirement finds no datastore", policy: unlimited,
			cloud: new(cloud).host(0, 100, 1, "").datastore(1, 1, -1, 1000, "<X>1</X>").vm(0, "<SCHED_DS_REQUIREMENTS>X = 1 ) | ( X = 1</SCHED_DS_REQUIREMENTS>",
				"<AUTOMATIC_REQUIREMENTS>CLUSTER_ID = 100</AUTOMATIC_REQUIREMENTS>"),
			message: "No system datastore meets SCHED_DS_REQUIREMENTS: CLUSTER_ID = 100 & ( X = 1 ) | ( X = 1 )"},
		{name: "an escaped requirement is held to the automatic one", policy: unlimited,
			cloud: new(cloud).host(0, -1, 1, "<X>1</X><GOOD>YES</GOOD>").host(1, -1, 1, "<X>1</X>").datastore(0, 1, -1, 1000, "<GOOD>YES</GOOD>").
				vm(0, "<SCHED_REQUIREMENTS>X = 1 ) | ( X = 1</SCHED_REQUIREMENTS>", "<AUTOMATIC_REQUIREMENTS>GOOD = YES</AUTOMATIC_REQUIREMENTS>"),
			orders: oneTook(0, 0, 0), logs: "VM 0: Host 1 filtered out. It does not fulfill AUTOMATIC_REQUIREMENTS."},
		{name: "no right to use a datastore", policy: Policy{MaxHost: 1, AuthorizeDatastores: true},
			cloud: new(cloud).host(0, -1, 1, "").datastore(0, 1, -1, 1000, "").rawVM("<VM><ID>0</ID><UID>7</UID><GID>7</GID><STATE>1</STATE>" +
				"<LCM_STATE>0</LCM_STATE><TEMPLATE/><USER_TEMPLATE/></VM>").rule("<USER>400000000</USER><RESOURCE>2400000000</RESOURCE><RIGHTS>2</RIGHTS><ZONE>400000000</ZONE>"),
			message: "User is not authorized to use any system datastore", logs: "VM 0: Datastore 0 filtered out. User is not authorized to USE it."},
		{name: "a machine that moves", policy: unlimited,
			cloud: twoHosts().rawVM("<VM><ID>0</ID><UID>0</UID><GID>0</GID><STATE>3</STATE><LCM_STATE>3</LCM_STATE><RESCHED>1</RESCHED><TEMPLATE/>" +
				"<USER_TEMPLATE/><HISTORY_RECORDS><HISTORY><HID>1</HID><DS_ID>0</DS_ID></HISTORY></HISTORY_RECORDS></VM>"),
			orders: []Dispatch{{VM: 0, Host: 0, Datastore: 0, Migrate: true}}, logs: "VM 0: Host 1 filtered out. VM cannot be migrated to its current Host."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			orders, messages, log := pass(tt.cloud.snapshot(t), tt.policy, tt.refuse)
			if !reflect.DeepEqual(orders, tt.orders) {
				t.Errorf("orders %v, want %v", orders, tt.orders)
			}
			if messages[0] != tt.message {
				t.Errorf("message %q, want %q", messages[0], tt.message)
			}
			if tt.logs != "" && !strings.Contains("\n"+strings.Join(log, "\n")+"\n", "\n"+tt.logs+"\n") {
				t.Errorf("log\n%s\nwant the line\n%s", strings.Join(log, "\n"), tt.logs)
			}
		})
	}
}

func TestAuthorization(t *testing.T) {
	rule := func(user, resource, rights, zone uint64) Rule { return Rule{user, resource, rights, zone} }
	const zone = aclIndividual
	tests := []struct {
		name     string
		rules    []Rule
		uid, gid int
		want     bool
	}{
		{"oneadmin needs none", nil, 0, 5, true},
		{"nor does its group", nil, 5, 0, true},
		{"no rule", nil, 5, 5, false},
		{"user on the host", []Rule{rule(aclIndividual|5, aclHost|aclIndividual|3, aclManage, zone)}, 5, 5, true},
		{"another host", []Rule{rule(aclIndividual|5, aclHost|aclIndividual|4, aclManage, zone)}, 5, 5, false},
		{"group on all hosts", []Rule{rule(aclGroup|5, aclHost|aclAll, aclManage, zone)}, 9, 5, true},
		{"everybody in the cluster", []Rule{rule(aclAll, aclHost|aclCluster|100, aclManage, aclAll)}, 9, 9, true},
		{"only USE", []Rule{rule(aclAll, aclHost|aclAll, 1, zone)}, 9, 9, false},
		{"another zone", []Rule{rule(aclAll, aclHost|aclAll, aclManage, zone|1)}, 9, 9, false},
		{"another resource", []Rule{rule(aclAll, 0x1000000000|aclAll, aclManage, zone)}, 9, 9, false},
	}
	host := &Host{ID: 3, ClusterID: 100}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := newAuthorizer(tt.rules, 0, tt.uid, tt.gid, aclHost, aclManage).manages(host); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestDatastoreAuthorization(t *testing.T) {
	const permissions = "<UID>5</UID><GID>6</GID><PERMISSIONS><OWNER_U>1</OWNER_U><GROUP_U>1</GROUP_U><OTHER_U>0</OTHER_U></PERMISSIONS>"
	ds := readDatastore(mustParse(t, "<DATASTORE><ID>3</ID><CLUSTER_ID>-1</CLUSTER_ID>"+permissions+"</DATASTORE>"))
	use := func(user, resource uint64) []Rule { return []Rule{{user, aclDatastore | resource, aclUse, aclAll}} }
	tests := []struct {
		name     string
		rules    []Rule
		uid, gid int
		want     bool
	}{
		{"oneadmin", nil, 0, 9, true},
		{"its owner", nil, 5, 9, true},
		{"its group", nil, 8, 6, true},
		{"others", nil, 8, 9, false},
		{"a rule for it", use(aclIndividual|8, aclIndividual|3), 8, 9, true},
		{"a rule for its group", use(aclGroup|9, aclGroup|6), 8, 9, true},
		{"a rule for another", use(aclIndividual|8, aclIndividual|4), 8, 9, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			vm := &VM{UID: tt.uid, GID: tt.gid}
			asks := NewMatcher(&Snapshot{Rules: tt.rules}, Policy{AuthorizeDatastores: true}, false)
			if got := asks.mayUse(vm, ds); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if !NewMatcher(&Snapshot{Rules: tt.rules}, Policy{}, false).mayUse(vm, ds) {
				t.Error("asked without the option")
			}
		})
	}
}

func TestPriorityOrder(t *testing.T) {
	c := new(cloud).datastore(0, 1, -1, 1000, "").vm(0, "<SCHED_RANK>R</SCHED_RANK>", "")
	for id, r := range []int{10, 5, 0, -10, 5} {
		c.host(id, -1, 1, fmt.Sprintf("<R>%d</R>", r))
	}
	m := NewMatcher(c.snapshot(t), unlimited, false)
	d := m.Decide(m.snap.VMs[0])
	var got []string
	for _, h := range d.Hosts {
		got = append(got, fmt.Sprintf("%d:%g", m.Host(h).ID, h.Priority))
	}
	if want := []string{"0:1", "4:0.5", "1:0.5", "2:0", "3:-1"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Whatever the cloud answers, a pass never takes more than there is, keeps to
// its limits, never repeats an order, and is the same when repeated.
func TestPassProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := new(cloud)
		hosts := rapid.IntRange(0, 5).Draw(t, "hosts")
		for id := range hosts {
			c.host(id, rapid.SampledFrom([]int{-1, 100}).Draw(t, "cluster"), rapid.IntRange(0, 3).Draw(t, "cpu"), "")
		}
		for id := range rapid.IntRange(0, 3).Draw(t, "datastores") {
			c.datastore(id, 1, rapid.SampledFrom([]int{-1, 100}).Draw(t, "cluster"), rapid.IntRange(0, 50).Draw(t, "free"),
				rapid.SampledFrom([]string{"", "<SHARED>NO</SHARED>"}).Draw(t, "shared"))
		}
		for id := range rapid.IntRange(0, 8).Draw(t, "vms") {
			c.vm(id, "", fmt.Sprintf("<DISK><TYPE>fs</TYPE><SIZE>%d</SIZE></DISK>", rapid.IntRange(0, 20).Draw(t, "disk")))
		}
		policy := Policy{MaxDispatch: rapid.IntRange(0, 4).Draw(t, "max dispatch"), MaxHost: rapid.IntRange(0, 3).Draw(t, "max host")}
		refused := rapid.SliceOfN(rapid.Bool(), 64, 64).Draw(t, "refused")

		run := func() []Dispatch {
			n := 0
			asked := make(map[Dispatch]bool)
			taken, _, _ := pass(c.snapshot(t), policy, func(d Dispatch) bool {
				if asked[d] {
					t.Fatalf("order %v given twice", d)
				}
				asked[d] = true
				n++
				return refused[n%len(refused)]
			})
			return taken
		}
		taken := run()
		if again := run(); !reflect.DeepEqual(taken, again) {
			t.Fatalf("two passes differ: %v and %v", taken, again)
		}
		checkTaken(t, c.snapshot(t), policy, taken)
	})
}

func checkTaken(t *rapid.T, snap *Snapshot, policy Policy, taken []Dispatch) {
	if policy.MaxDispatch > 0 && len(taken) > policy.MaxDispatch {
		t.Fatalf("%d orders, MAX_DISPATCH %d", len(taken), policy.MaxDispatch)
	}
	cpu, mem, count := map[int]int64{}, map[int]int64{}, map[int]int{}
	central := map[int]int64{}
	local := map[[2]int]int64{}
	seen := map[int]bool{}
	for _, o := range taken {
		if seen[o.VM] {
			t.Fatalf("VM %d dispatched twice", o.VM)
		}
		seen[o.VM] = true
		vm, host, ds := snap.VMs[o.VM], snap.Hosts[o.Host], snap.SystemDatastores[o.Datastore]
		cpu[o.Host] += vm.CPU
		mem[o.Host] += vm.Memory
		count[o.Host]++
		if cpu[o.Host] > host.MaxCPU || mem[o.Host] > host.MaxMem || count[o.Host] > policy.MaxHost {
			t.Fatalf("host %d is overcommitted", o.Host)
		}
		if ds.ClusterID != host.ClusterID {
			t.Fatalf("host %d and datastore %d are in different clusters", o.Host, o.Datastore)
		}
		space, free := central[o.Datastore], ds.FreeMB
		if !ds.central() {
			space, free = local[[2]int{o.Host, o.Datastore}], host.freeFor(ds.ID)
		}
		if space+vm.Disk >= free {
			t.Fatalf("datastore %d is full", o.Datastore)
		}
		central[o.Datastore] += vm.Disk
		local[[2]int{o.Host, o.Datastore}] += vm.Disk
	}
}
