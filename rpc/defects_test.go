package rpc

import (
	"fmt"
	"strings"
	"testing"

	"goned/core/quota"
	"goned/core/vm"
)

// The tests of this file are about defects of 4.6 that the API does not have.

func TestCloneNeedsUseOfTheImage(t *testing.T) {
	c := newCloud(t, "")
	c.must(alice, "one.image.allocate", "NAME=secret TYPE=DATABLOCK SIZE=1", 1)
	c.drive()
	c.want("512 [ImageClone] User [3] : Not authorized to perform USE IMAGE [0].", bob, "one.image.clone", 0, "mine")
	c.must(alice, "one.image.chmod", 0, -1, -1, -1, 1, -1, -1, -1, -1, -1)
	c.must(bob, "one.image.clone", 0, "mine")
}

// TestRestrictedAttributes: whatever else is in a template, and in whichever form, a user cannot set what is restricted.
func TestRestrictedAttributes(t *testing.T) {
	c := newCloud(t, "")
	c.must(root, "one.host.allocate", "h", "i", "v", "n", -1)
	c.must(alice, "one.vn.allocate", "NAME=n TYPE=RANGED BRIDGE=b NETWORK_ADDRESS=10.0.0.0 NETWORK_SIZE=C", -1)
	const base = "CPU=1 MEMORY=1 "
	for _, tc := range []struct{ attr, text string }{
		{"NIC/MAC", "NIC=[NETWORK_ID=0,MAC=02:00:00:00:00:01]"},
		{"NIC/MAC", "CONTEXT=[A=b] NIC=[NETWORK_ID=0,MAC=02:00:00:00:00:01]"},
		{"NIC/MAC", "NIC=[NETWORK_ID=0] CONTEXT=[FILES=\"\"] NIC=[NETWORK_ID=0,mac=02:00:00:00:00:01]"},
		{"NIC/VLAN_ID", "CONTEXT=[A=b] NIC=[MODEL=e1000] nic=[NETWORK_ID=0,VLAN_ID=7]"},
		{"CONTEXT/FILES", "CONTEXT=[A=b,FILES=\"/etc/passwd\"]"},
		{"CONTEXT/FILES", "NIC=[NETWORK_ID=0,MAC=02:00:00:00:00:01] CONTEXT=[FILES=x]"},
		{"PRIORITY", "PRIORITY=\"\""},
		{"PRIORITY", "CONTEXT=[A=b] priority=[A=b]"},
	} {
		xml := "<T><CPU>1</CPU><MEMORY>1</MEMORY>" + asElements(t, tc.text) + "</T>"
		for _, text := range []string{base + tc.text, xml} {
			c.want("512 [VirtualMachineAllocate] User [2] : VM Template includes a restricted attribute "+tc.attr+".", alice, "one.vm.allocate", text, false)
			// A template may hold it. A VM is made of it only if somebody who may has made the template.
			id := c.must(alice, "one.template.allocate", "NAME=t CPU=1 MEMORY=1")
			c.must(alice, "one.template.update", id, text, 1)
			stored := "512 [TemplateInstantiate] User [%d] : VM Template includes a restricted attribute " + tc.attr + "."
			c.want(fmt.Sprintf(stored, 2), alice, "one.template.instantiate", id, "")
			c.want(fmt.Sprintf(stored, 0), root, "one.template.instantiate", id, "")
			// The copy of oneadmin's template is the user's own.
			trusted := c.must(root, "one.template.allocate", "NAME=t "+base)
			c.must(root, "one.template.update", trusted, text, 1)
			c.must(root, "one.template.chmod", trusted, -1, -1, -1, -1, -1, -1, 1, -1, -1)
			c.must(alice, "one.template.instantiate", trusted, "")
			clone := c.must(alice, "one.template.clone", trusted, "copy")
			c.want(fmt.Sprintf(stored, 2), alice, "one.template.instantiate", clone, "")
			c.want("512 [TemplateInstantiate] User [2] : User Template includes a restricted attribute "+tc.attr+".",
				alice, "one.template.instantiate", trusted, "", false, text)
			c.must(root, "one.template.instantiate", trusted, "", false, text)
			for _, tid := range []int{id, trusted, clone} {
				c.must(root, "one.template.delete", tid)
			}
		}
	}

	c.must(alice, "one.vm.allocate", base)
	c.want("512 [VirtualMachineResize] User [2] : Template includes a restricted attribute NIC/MAC.",
		alice, "one.vm.resize", c.lastVM(), "CPU=2 CONTEXT=[A=b] NIC=[MAC=x]", true)
	c.must(root, "one.vm.deploy", c.lastVM(), 0)
	c.drive()
	c.want("512 [VirtualMachineAttachNic] User [2] : NIC includes a restricted attribute NIC/MAC.",
		alice, "one.vm.attachnic", c.lastVM(), "CONTEXT=[A=b] NIC=[NETWORK_ID=0,MAC=x]")
	c.want("512 [ImageAllocate] User [2] : Template includes a restricted attribute SOURCE.",
		alice, "one.image.allocate", "NAME=i SIZE=1 source=/etc/shadow", 1)
	c.want("512 [ImageAllocate] User [2] : Template includes a restricted attribute SOURCE.",
		alice, "one.image.allocate", "<I><NAME>i</NAME><SIZE>1</SIZE><SOURCE>/etc/shadow</SOURCE></I>", 1)

	// A secondary member of group 0 is no exception, a primary one is.
	c.must(root, "one.user.addgroup", c.uid(bob), 0)
	c.want("512 [VirtualMachineAllocate] User [3] : VM Template includes a restricted attribute CONTEXT/FILES.",
		bob, "one.vm.allocate", base+"CONTEXT=[FILES=x]")
	c.must(root, "one.user.chgrp", c.uid(bob), 0)
	c.must(bob, "one.vm.allocate", base+"CONTEXT=[FILES=x]")
}

// asElements writes a template text as XML elements.
func asElements(t *testing.T, text string) string {
	t.Helper()
	replacer := strings.NewReplacer("NIC=[", "<NIC>", "nic=[", "<nic>", "CONTEXT=[", "<CONTEXT>", "priority=[", "<priority>", "]", "|")
	var out strings.Builder
	for _, part := range strings.Split(replacer.Replace(text), "|") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		name, body, vector := strings.Cut(strings.TrimPrefix(part, "<"), ">")
		if !vector {
			name, value, _ := strings.Cut(part, "=")
			out.WriteString("<" + name + "><![CDATA[" + strings.Trim(value, `"`) + "]]></" + name + ">")
			continue
		}
		out.WriteString("<" + name + ">")
		for pair := range strings.SplitSeq(body, ",") {
			key, value, _ := strings.Cut(pair, "=")
			key = strings.ToUpper(key)
			out.WriteString("<" + key + ">" + strings.Trim(value, `"`) + "</" + key + ">")
		}
		out.WriteString("</" + name + ">")
	}
	return out.String()
}

// lastVM is the id of the youngest VM.
func (c *testCloud) lastVM() int {
	last := -1
	for v := range c.store.Snapshot().VMs.All() {
		last = max(last, v.ID)
	}
	return last
}

// TestUpdateKeepsRestricted: a user's update of a VM neither sets nor removes what is restricted.
func TestUpdateKeepsRestricted(t *testing.T) {
	c := newCloud(t, "")
	c.must(alice, "one.vm.allocate", "CPU=1 MEMORY=1 A=1")
	template := func() string { return between(c.get(alice, "one.vm.info", 0), "<USER_TEMPLATE>", "</USER_TEMPLATE>") }
	steps := []struct {
		session, text string
		kind          int
		want          string
	}{
		{alice, "PRIORITY=1 B=2 CONTEXT=[A=b] NIC=[MAC=x,MODEL=y]", 0,
			"<B><![CDATA[2]]></B><CONTEXT><A><![CDATA[b]]></A></CONTEXT><NIC><MODEL><![CDATA[y]]></MODEL></NIC>"},
		{alice, "PRIORITY=1 C=3", 1,
			"<B><![CDATA[2]]></B><C><![CDATA[3]]></C><CONTEXT><A><![CDATA[b]]></A></CONTEXT><NIC><MODEL><![CDATA[y]]></MODEL></NIC>"},
		{root, "PRIORITY=9 NIC=[MAC=x,MODEL=y] D=4", 0, "<D><![CDATA[4]]></D><NIC><MAC><![CDATA[x]]></MAC><MODEL><![CDATA[y]]></MODEL></NIC><PRIORITY><![CDATA[9]]></PRIORITY>"},
		{alice, "PRIORITY=1 NIC=[MODEL=z] CONTEXT=[A=b]", 0,
			"<CONTEXT><A><![CDATA[b]]></A></CONTEXT><NIC><MAC><![CDATA[x]]></MAC><MODEL><![CDATA[y]]></MODEL></NIC><PRIORITY><![CDATA[9]]></PRIORITY>"},
		{alice, "<T><PRIORITY>1</PRIORITY></T>", 0, "<NIC><MAC><![CDATA[x]]></MAC><MODEL><![CDATA[y]]></MODEL></NIC><PRIORITY><![CDATA[9]]></PRIORITY>"},
		// kept from 4.6: what is appended replaces the restricted vector
		{alice, "NIC=[MAC=q,MODEL=z]", 1, "<NIC><MODEL><![CDATA[z]]></MODEL></NIC><PRIORITY><![CDATA[9]]></PRIORITY>"},
	}
	for _, s := range steps {
		c.must(s.session, "one.vm.update", 0, s.text, s.kind)
		if got := template(); got != s.want {
			t.Errorf("%s %d\n got %s\nwant %s", s.text, s.kind, got, s.want)
		}
	}
}

// usage is what a user uses of a metric.
func (c *testCloud) usage(session string, m quota.Metric, id int) string {
	a := c.store.Snapshot().UserQuotas.Get(c.uid(session))
	return fmt.Sprint(float64(a.Quotas.Used(m, id)) / 100)
}

// TestUsageIsWhatLives: no request, granted or refused, leaves a usage other than the sum of what the user has.
func TestUsageIsWhatLives(t *testing.T) {
	c := newCloud(t, "")
	c.must(root, "one.host.allocate", "h", "i", "v", "n", -1)
	c.must(alice, "one.image.allocate", "NAME=i TYPE=DATABLOCK SIZE=10", 1)
	c.must(alice, "one.vn.allocate", "NAME=n TYPE=RANGED BRIDGE=b NETWORK_ADDRESS=10.0.0.0 NETWORK_SIZE=C", -1)
	c.drive()
	c.must(alice, "one.vm.allocate", "CPU=1 MEMORY=100 NIC=[NETWORK_ID=0]")
	c.must(root, "one.vm.deploy", 0, 0)
	c.drive()
	check := func(about string, want ...string) {
		t.Helper()
		got := []string{
			c.usage(alice, quota.VMs, 0), c.usage(alice, quota.CPU, 0), c.usage(alice, quota.Memory, 0), c.usage(alice, quota.VolatileSize, 0),
			c.usage(alice, quota.Leases, 0), c.usage(alice, quota.RVMs, 0), c.usage(alice, quota.Size, 1), c.usage(alice, quota.Images, 1),
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: used %v, want %v", about, got, want)
		}
	}
	check("at first", "1", "1", "100", "0", "1", "0", "10", "1")

	c.must(alice, "one.vm.attach", 0, "DISK=[TYPE=swap,SIZE=5] MEMORY=-50 CPU=-1")
	c.drive()
	check("volatile disk", "1", "1", "100", "5", "1", "0", "10", "1")
	c.want("2048 [VirtualMachineAttach] SIZE attribute must be a positive integer value.", alice, "one.vm.attach", 0, "DISK=[TYPE=swap,SIZE=-5]")
	c.want("2048 [VirtualMachineAttach] The template must contain one DISK attribute", alice, "one.vm.attach", 0, "DISK=[TYPE=fs,SIZE=-5] DISK=[TYPE=fs,SIZE=1]")
	c.want("8192 [VirtualMachineAllocate] Error allocating a new virtual machine. DISK 0: SIZE attribute must be a positive integer value.",
		alice, "one.vm.allocate", "CPU=1 MEMORY=1 DISK=[TYPE=fs,SIZE=-5]")
	c.want("512 [VirtualMachineAllocate] user [2] MEMORY attribute must be a positive integer value", alice, "one.vm.allocate", "CPU=1 MEMORY=-1")
	c.want("512 [VirtualMachineAllocate] user [2] CPU attribute must be a positive float or integer value", alice, "one.vm.allocate", "CPU=-1 MEMORY=1")
	check("negative sizes", "1", "1", "100", "5", "1", "0", "10", "1")

	c.must(root, "one.vm.attach", 0, "DISK=[IMAGE=i]")
	c.drive()
	check("oneadmin attaches by name", "1", "1", "100", "5", "1", "1", "10", "1")
	for _, disk := range []int{0, 1} {
		c.must(root, "one.vm.detach", 0, disk)
		c.drive()
	}
	check("both detached", "1", "1", "100", "0", "1", "0", "10", "1")
	c.must(root, "one.vm.attachnic", 0, "NIC=[NETWORK=n]")
	c.drive()
	check("oneadmin attaches a NIC by name", "1", "1", "100", "0", "2", "0", "10", "1")
	c.must(alice, "one.vm.detachnic", 0, 1)
	c.drive()
	check("detached", "1", "1", "100", "0", "1", "0", "10", "1")

	c.must(root, "one.user.quota", 2, "NETWORK=[ID=0,LEASES=2]")
	c.want("512 [VirtualMachineAllocate] user [2] limit of 2 reached for LEASES quota in NETWORK with ID: 0",
		alice, "one.vm.allocate", "CPU=1 MEMORY=1 NIC=[NETWORK_ID=0] NIC=[NETWORK_ID=0]")
	c.want("8192 [VirtualMachineAllocate] Error allocating a new virtual machine. VCPU attribute must be a positive integer value.",
		alice, "one.vm.allocate", "CPU=1 MEMORY=1 VCPU=x NIC=[NETWORK_ID=0]")
	check("refused", "1", "1", "100", "0", "1", "0", "10", "1")

	const positive = "512 [ImageAllocate] user [2] Image size must be a positive integer value"
	c.want(positive, alice, "one.image.allocate", "NAME=neg TYPE=DATABLOCK SIZE=-100", 1)
	c.want(positive, alice, "one.image.allocate", "NAME=huge TYPE=DATABLOCK SIZE=9000000000", 1)
	check("negative image", "1", "1", "100", "0", "1", "0", "10", "1")

	c.must(alice, "one.vm.action", "shutdown-hard", 0)
	c.drive()
	check("VM done", "0", "0", "0", "0", "0", "0", "10", "1")
	c.must(root, "one.vm.chown", 0, c.uid(bob), -1)
	if got := c.usage(bob, quota.VMs, 0); got != "0" {
		t.Errorf("a VM that is done counts %s for its new owner", got)
	}
	c.must(alice, "one.image.delete", 0)
	c.drive()
	check("nothing left", "0", "0", "0", "0", "0", "0", "0", "0")
}

// TestNegativeImageOfOneadmin: 4.6 lets oneadmin make an image of negative size; nobody's usage gets lower by it.
func TestNegativeImageOfOneadmin(t *testing.T) {
	c := newCloud(t, "")
	c.must(root, "one.image.allocate", "NAME=neg TYPE=DATABLOCK SIZE=-100", 1)
	c.drive()
	c.must(root, "one.image.chmod", 0, -1, -1, -1, -1, -1, -1, 1, -1, -1)
	for _, try := range []func() answer{
		func() answer { return c.call(alice, "one.image.clone", 0, "copy") },
		func() answer { return c.call(root, "one.image.chown", 0, 2, -1) },
	} {
		a := try()
		got := c.store.Snapshot().UserQuotas.Get(2).Quotas.Used(quota.Size, 1)
		if a.code != 512 || !strings.HasSuffix(a.text, "user [2] Image size must be a positive integer value") || got != 0 {
			t.Errorf("%v: alice uses %v", a, got)
		}
	}
}

func TestLimitsAreSetTogether(t *testing.T) {
	c := newCloud(t, "")
	c.must(root, "one.group.allocate", "g")
	for _, m := range []struct {
		method, log string
		id          []any
		info        func() string
	}{
		{"one.user.quota", "UserSetQuota", []any{2}, func() string { return c.get(root, "one.user.info", 2) }},
		{"one.group.quota", "GroupSetQuota", []any{100}, func() string { return c.get(root, "one.group.info", 100) }},
		{"one.userquota.update", "UserQuotaUpdate", nil, func() string { return c.get(root, "one.userquota.info") }},
		{"one.groupquota.update", "GroupQuotaUpdate", nil, func() string { return c.get(root, "one.groupquota.info") }},
	} {
		call := func(text string) string { return c.call(root, m.method, append(m.id, text)...).String() }
		call("VM=[VMS=1,CPU=2,MEMORY=3,VOLATILE_SIZE=4]")
		before := m.info()
		if !strings.Contains(before, "<VMS><![CDATA[1]]></VMS>") {
			t.Errorf("%s sets nothing: %s", m.method, before)
		}
		for text, want := range map[string]string{
			"DATASTORE=[ID=1,SIZE=5,IMAGES=6] VM=[VMS=9,CPU=-2,MEMORY=3,VOLATILE_SIZE=4]": "2048 [" + m.log + "] Negative limits or bad format in quota VM = [ CPU=-2,MEMORY=3,VMS=9,VOLATILE_SIZE=4 ]",
			"VM=[VMS=9]":    "2048 [" + m.log + "] Negative limits or bad format in quota VM = [ VMS=9 ]",
			"IMAGE=7":       "2048 [" + m.log + "] Negative limits or bad format in quota IMAGE",
			"NETWORK=[ID=1": "2048 [" + m.log + "] Parse error: syntax error, unexpected $end, expecting COMMA or CBRACKET at line 1, columns 13:14",
		} {
			if got := call(text); got != want {
				t.Errorf("%s %s\n got %s\nwant %s", m.method, text, got, want)
			}
		}
		if after := m.info(); after != before {
			t.Errorf("%s: a refused text has changed limits\n%s\n%s", m.method, before, after)
		}
	}
	c.want("2048 [UserSetQuota] Cannot set quotas for oneadmin user", root, "one.user.quota", 0, "VM=[VMS=1]")
	c.want("2048 [GroupSetQuota] Cannot set quotas for oneadmin group", alice, "one.group.quota", 0, "VM=[VMS=1]")
}

func TestFileOfUnknownOwner(t *testing.T) {
	c := newCloud(t, "")
	c.must(alice, "one.image.allocate", "NAME=k TYPE=KERNEL PATH=/k", 2)
	c.drive()
	c.must(alice, "one.vm.allocate", `CPU=1 MEMORY=1 OS=[KERNEL_DS="$FILE[IMAGE=k]"]`)
	for _, tc := range []struct{ text, uid string }{{"$FILE[IMAGE=k, IMAGE_UNAME=nobody]", "2"}, {"$FILE[IMAGE=k, IMAGE_UNAME=bob]", "3"}} {
		got := c.call(alice, "one.vm.allocate", `CPU=1 MEMORY=1 OS=[KERNEL_DS="`+tc.text+`"]`).String()
		want := "8192 [VirtualMachineAllocate] Error allocating a new virtual machine. Error parsing: " + tc.text +
			". User " + tc.uid + " does not own an image with name: k . Set IMAGE_UNAME or IMAGE_UID of owner."
		if got != want {
			t.Errorf("\n got %s\nwant %s", got, want)
		}
	}
}

func TestSystemDatastoreStays(t *testing.T) {
	c := newCloud(t, "")
	if a := c.call(root, "one.datastore.delete", 0); a.code != 8192 || c.store.Snapshot().Datastores.Get(0) == nil {
		t.Errorf("%v", a)
	}
}

func TestDocumentClone(t *testing.T) {
	c := newCloud(t, "")
	c.must(alice, "one.document.allocate", "NAME=d A=1", 101)
	c.must(alice, "one.document.clone", 0, "copy")
	c.must(alice, "one.document.update", 0, "B=2") // 4.6 never answers this
	got := c.get(alice, "one.document.info", 1)
	if !strings.Contains(got, "<NAME>copy</NAME><TYPE>101</TYPE>") || !strings.Contains(got, "<TEMPLATE><A><![CDATA[1]]></A></TEMPLATE>") {
		t.Errorf("%s", got)
	}
	c.want("ok 2", alice, "one.document.clone", 0, "")
	if got := c.get(alice, "one.document.info", 2); !strings.Contains(got, "<NAME>document-2</NAME>") {
		t.Errorf("%s", got)
	}
}

func TestZoneNamesStayUnique(t *testing.T) {
	c := newCloud(t, `FEDERATION = [ MODE = "MASTER", ZONE_ID = "0" ]`)
	c.must(root, "one.zone.allocate", "NAME=z ENDPOINT=e")
	c.want("2048 [ZoneRename] ZONE cannot be renamed to OpenNebula because it collides with ZONE 0", root, "one.zone.rename", 100, "OpenNebula")
	if got := listed(c.get(root, "one.zonepool.info")); got != "0 100" {
		t.Errorf("zones %s", got)
	}
	c.must(root, "one.zone.update", 100, "A=1", 1)
	c.must(root, "one.zone.update", 100, "ENDPOINT=\"\"", 1)
	if got := c.get(root, "one.zone.info", 100); !strings.Contains(got, "<ENDPOINT><![CDATA[-]]></ENDPOINT>") {
		t.Errorf("an appended empty ENDPOINT is not repaired: %s", got)
	}
}

// TestUpdateOfWhatCannotBeStored: 4.6 answers success and forgets the change at the next start.
func TestUpdateOfWhatCannotBeStored(t *testing.T) {
	c := newCloud(t, "")
	c.furnish()
	for kind, id := range map[string]int{
		"vm": 0, "template": 0, "host": 0, "vn": 0, "user": 2, "group": 100, "image": 0, "datastore": 100, "cluster": 100, "document": 0, "zone": 0,
	} {
		name := "one." + kind + ".update"
		before := c.store.Snapshot()
		for _, text := range []string{"<T><A>x]]&gt;y</A></T>", "1A]]=1", "<T><V><K>]]&gt;</K></V></T>"} {
			for _, appending := range []int{0, 1} {
				a := c.call(root, name, id, text, appending)
				if strings.HasPrefix(text, "<") && (a.ok || a.code != 8192 || !strings.Contains(a.text, "Cannot update template. ")) {
					t.Errorf("%s %s: %v", name, text, a)
				}
			}
		}
		c.want("4096 ["+c.srv.methods[name].Log+"] Wrong update type", root, name, id, "A=1", 2)
		c.want("4096 ["+c.srv.methods[name].Log+"] Wrong update type", root, name, id, "A=1", -1)
		c.want("8192 ["+c.srv.methods[name].Log+"] Cannot update template. Parse error: syntax error, unexpected $end, expecting OBRACKET or STRING at line 1, columns 2:3",
			root, name, id, "A=", 0)
		if c.store.Snapshot() != before {
			t.Errorf("%s has changed something", name)
		}
	}
}

func TestAppendedAttributesTakeEffect(t *testing.T) {
	c := newCloud(t, "")
	c.must(root, "one.datastore.allocate", "NAME=d DS_MAD=dummy TM_MAD=dummy", -1)
	c.must(root, "one.datastore.update", 100, "TM_MAD=ssh DS_MAD=fs", 1)
	if got := c.get(root, "one.datastore.info", 100); !strings.Contains(got, "<DS_MAD><![CDATA[fs]]></DS_MAD><TM_MAD><![CDATA[ssh]]></TM_MAD>") ||
		!strings.Contains(got, "<LN_TARGET><![CDATA[SYSTEM]]></LN_TARGET>") {
		t.Errorf("datastore: %s", got)
	}
	for _, kind := range []int{0, 1} {
		c.want(`8192 [DatastoreUpdateTemplate] Cannot update template. TM_MAD named "nosuch" is not defined in oned.conf`,
			root, "one.datastore.update", 100, "TM_MAD=nosuch", kind)
	}
	c.must(root, "one.datastore.update", 100, "A=1", 0)
	if got := c.get(root, "one.datastore.info", 100); !strings.Contains(got, "<LN_TARGET><![CDATA[SYSTEM]]></LN_TARGET>") || !strings.Contains(got, "<CLONE_TARGET>") {
		t.Errorf("targets are lost: %s", got)
	}

	c.must(root, "one.vn.allocate", "NAME=n TYPE=FIXED BRIDGE=b LEASES=[IP=10.0.0.1]", -1)
	c.must(root, "one.vn.update", 0, "BRIDGE=br7 PHYDEV=eth1 VLAN_ID=7", 1)
	if got := c.get(root, "one.vn.info", 0); !strings.Contains(got, "<BRIDGE>br7</BRIDGE><VLAN>1</VLAN><PHYDEV><![CDATA[eth1]]></PHYDEV><VLAN_ID><![CDATA[7]]></VLAN_ID>") {
		t.Errorf("network: %s", got)
	}

	c.must(root, "one.vn.hold", 0, "LEASES=[IP=10.0.0.1]")
	c.must(root, "one.vn.rmleases", 0, "LEASES=[IP=10.0.0.1]")
	if got := c.get(root, "one.vn.info", 0); !strings.Contains(got, "<TOTAL_LEASES>0<") {
		t.Errorf("a removed lease counts: %s", got)
	}
	c.must(root, "one.vn.delete", 0)
}

func TestNICsOfVM(t *testing.T) {
	c := newCloud(t, "")
	for i, s := range []string{alice, bob} {
		c.must(s, "one.vn.allocate", fmt.Sprintf("NAME=n TYPE=RANGED BRIDGE=b NETWORK_ADDRESS=10.0.%d.0 NETWORK_SIZE=C GATEWAY=10.0.%d.254", i, i), -1)
	}
	c.must(root, "one.vm.allocate", `CPU=1 MEMORY=1 DISK="x" NIC="x" NIC=[NETWORK_ID=0] NIC=[MODEL=m] NIC=[NETWORK_ID=1] CONTEXT=[NETWORK=YES]`)
	doc := c.get(root, "one.vm.info", 0)
	for _, want := range []string{
		"<ETH0_GATEWAY><![CDATA[10.0.0.254]]></ETH0_GATEWAY>", "<ETH2_GATEWAY><![CDATA[10.0.1.254]]></ETH2_GATEWAY>",
		"<ETH2_IP><![CDATA[10.0.1.1]]></ETH2_IP>", "<NIC><MODEL><![CDATA[m]]></MODEL><NIC_ID><![CDATA[1]]></NIC_ID></NIC>",
	} {
		if !strings.Contains(doc, want) {
			t.Errorf("%s is not in\n%s", want, doc)
		}
	}
	if strings.Contains(doc, "<DISK>") || strings.Contains(doc, "<NIC><![CDATA[") {
		t.Errorf("DISK or NIC as text is kept: %s", doc)
	}
}

func TestChownBelowMinusOne(t *testing.T) {
	c := newCloud(t, "")
	c.furnish()
	for _, kind := range []string{"template", "vn", "document"} {
		c.must(root, "one."+kind+".chown", 0, -2, -7)
		if got := c.get(root, "one."+kind+".info", 0); !strings.Contains(got, "<UID>2</UID><GID>1</GID><UNAME>alice</UNAME><GNAME>users</GNAME>") {
			t.Errorf("%s: %s", kind, got)
		}
	}
}

// TestRulesOfTheDeletedGo: with an object go the rules about it alone.
func TestRulesOfTheDeletedGo(t *testing.T) {
	c := newCloud(t, "")
	c.must(root, "one.group.allocate", "g")
	c.must(root, "one.cluster.allocate", "c")
	c.must(alice, "one.template.allocate", "NAME=t")
	add := func(user, res string) int { return c.must(root, "one.acl.addrule", user, res, "1", "100000000") }
	add("100000003", "20100000000")  // 4: template 0, goes
	add("100000003", "30100000000")  // 5: template 0 and user 0, stays
	add("100000004", "1400000000")   // 6: of eve, goes
	add("200000064", "1400000000")   // 7: of group 100, goes
	add("100000003", "1200000064")   // 8: VMs of group 100, goes
	add("100000003", "2800000064")   // 9: hosts of cluster 100, goes
	add("100000003", "10100000004")  // 10: eve, goes
	add("100000003", "200100000064") // 11: cluster 100, goes
	for method, id := range map[string]int{"one.template.delete": 0, "one.user.delete": 4, "one.group.delete": 100, "one.cluster.delete": 100} {
		c.must(root, method, id)
	}
	var ids []int
	for r := range c.store.Snapshot().ACL.All() {
		ids = append(ids, r.ID)
	}
	if got := fmt.Sprint(ids); got != "[0 1 2 3 5]" {
		t.Errorf("left are the rules %s", got)
	}
	if id := add("100000003", "1400000000"); id != 12 {
		t.Errorf("rule id %d is used again", id)
	}
}

// TestDeletedTargetOfSaveDisk: a VM whose disk is being copied into an image that is deleted does not get stuck.
func TestDeletedTargetOfSaveDisk(t *testing.T) {
	c := newCloud(t, "")
	c.furnish()
	for _, hot := range []bool{false, true} {
		c.must(root, "one.vm.savedisk", 0, 0, "copy", "", hot)
		c.must(root, "one.image.delete", 1+map[bool]int{true: 1}[hot])
		c.drive()
		v := c.store.Snapshot().VMs.Get(0)
		if v.State != vm.Active || v.LCMState != vm.Running {
			t.Errorf("hot %v: the VM is in %v/%v", hot, v.State, v.LCMState)
		}
		if d := v.Disk(0); d.Get("SAVE_AS_ACTIVE") != "" || d.Get("HOTPLUG_SAVE_AS_ACTIVE") != "" || d.Get("SAVE_AS") != "" || d.Get("HOTPLUG_SAVE_AS") != "" {
			t.Errorf("hot %v: the disk is still marked: %s", hot, d.Marshal(","))
		}
	}
}

// TestAttachFromOtherCluster: what the VM's host need not see is not attached.
func TestAttachFromOtherCluster(t *testing.T) {
	c := newCloud(t, "")
	c.furnish()
	c.must(root, "one.cluster.adddatastore", 100, 100)
	c.want("2048 [VirtualMachineAttach] Could not attach disk because of cluster incompatibility.", root, "one.vm.attach", 0, "DISK=[IMAGE_ID=0]")
	if got := c.get(root, "one.image.info", 0); !strings.Contains(got, "<RUNNING_VMS>1</RUNNING_VMS>") {
		t.Errorf("the refused disk holds the image: %s", got)
	}
	c.must(root, "one.cluster.deldatastore", 100, 100)
	c.must(root, "one.vm.attach", 0, "DISK=[IMAGE_ID=0]")
}
