package rpc

import (
	"fmt"
	"strings"
	"testing"

	"goned/core/quota"
)

func TestUmask(t *testing.T) {
	bits := func(doc string) string {
		var b strings.Builder
		for _, who := range []string{"OWNER", "GROUP", "OTHER"} {
			for _, right := range []string{"_U", "_M", "_A"} {
				b.WriteString(between(doc, "<"+who+right+">", "<"))
			}
		}
		return b.String()
	}
	for _, other := range []string{"YES", "NO"} {
		c := newCloud(t, `ENABLE_OTHER_PERMISSIONS = "`+other+`"`)
		id := 0
		check := func(session, umask, want string) {
			t.Helper()
			text := "A=1"
			if umask != "" {
				text = "UMASK=" + umask
			}
			c.must(root, "one.user.update", c.uid(session), text)
			c.must(session, "one.document.allocate", "NAME=x", 0)
			if got := bits(c.get(root, "one.document.info", id)); got != want {
				t.Errorf("others %s, umask %q of %s: %s, want %s", other, umask, session, got, want)
			}
			id++
		}
		check(root, "000", "111111111")
		check(root, "022", "111101101")
		check(root, "", "110000000")
		if other == "NO" {
			check(alice, "000", "110110000")
			check(alice, "022", "110100000")
			continue
		}
		for umask, want := range map[string]string{
			"": "110000000", "137": "110100000", "000": "110110110", "022": "110100100", "777": "000000000", "abc": "110110110", "999": "110110110",
			"177": "110000000", "1777": "000000000",
		} {
			check(alice, umask, want)
		}
		// The bits are the caller's, not the owner's of what is cloned; a datastore is always for its group.
		c.must(alice, "one.template.allocate", "NAME=t")
		c.must(root, "one.template.chmod", 0, 1, 1, 1, 1, 1, 1, 1, 1, 1)
		c.must(bob, "one.template.clone", 0, "copy")
		if got := bits(c.get(bob, "one.template.info", 1)); got != "110000000" {
			t.Errorf("clone: %s", got)
		}
		c.must(root, "one.datastore.allocate", "NAME=d DS_MAD=dummy TM_MAD=dummy", -1)
		if got := bits(c.get(root, "one.datastore.info", 100)); got != "110100000" {
			t.Errorf("datastore: %s", got)
		}
	}
}

func TestChmod(t *testing.T) {
	c := newCloud(t, `ENABLE_OTHER_PERMISSIONS = "NO"`)
	c.must(alice, "one.image.allocate", "NAME=i TYPE=DATABLOCK SIZE=1", 1)
	c.drive()
	c.must(root, "one.user.addgroup", c.uid(bob), 0) // bob passes every check, but is not privileged
	chmod := func(want, session string, bits string) {
		t.Helper()
		params := []any{0}
		for _, b := range strings.Fields(bits) {
			var n int
			fmt.Sscan(b, &n)
			params = append(params, n)
		}
		c.want(want, session, "one.image.chmod", params...)
	}
	const disabled = "512 Management of 'other' permissions is disabled in oned.conf"
	const wrong = "8192 [ImageChmod] Error updating permissions. New permission values must be -1, 0 or 1"
	const admin = "512 [ImageChmod] User [2] : Not authorized to perform ADMIN IMAGE [0]."
	chmod(disabled, alice, "-1 -1 -1 -1 -1 -1 1 -1 -1")
	chmod(disabled, eve, "1 1 1 -1 -1 -1 -1 -1 1")
	chmod(disabled, bob, "-1 -1 -1 -1 -1 -1 1 -1 -1")
	chmod("ok 0", alice, "1 1 0 1 1 0 0 0 0") // equal bits are no change
	chmod("ok 0", root, "-1 -1 -1 -1 -1 -1 1 -1 -1")
	chmod("ok 0", alice, "-1 -1 -1 -1 -1 -1 1 -1 -1")
	chmod(disabled, alice, "-1 -1 -1 -1 -1 -1 0 -1 -1")
	chmod(admin, alice, "-1 -1 1 -1 -1 -1 -1 -1 -1")
	chmod(admin, alice, "-1 -1 -1 -1 -1 1 -1 -1 -1")
	chmod("ok 0", bob, "-1 -1 1 -1 -1 1 -1 -1 -1")
	chmod("ok 0", alice, "-1 -1 -1 -1 -1 0 -1 -1 -1") // she may administer it now
	chmod(wrong, alice, "2 -1 -1 -1 -1 -1 -1 -1 -1")
	chmod(wrong, root, "-1 -1 -1 -1 -1 -1 -1 -1 -2")
	chmod(wrong, eve, "7 7 -1 -1 -1 -1 -1 -1 -1") // the group may manage it
	chmod("ok 0", alice, "0 0 0 0 0 0 -1 -1 -1")
	chmod("512 [ImageChmod] User [4] : Not authorized to perform MANAGE IMAGE [0].", eve, "7 7 -1 -1 -1 -1 -1 -1 -1")
	chmod("512 [ImageChmod] User [2] : Not authorized to perform MANAGE IMAGE [0].", alice, "1 1 -1 -1 -1 -1 -1 -1 -1")
	c.want("ok 0", root, "one.image.chmod", 0, 1, 1, 0, 0, 0, 0, 0, 0, 0)
	c.must(alice, "one.image.persistent", 0, true)
	chmod("8192 [ImageChmod] Error updating permissions. Image cannot be public and persistent.", alice, "-1 -1 -1 1 -1 -1 -1 -1 -1")
	chmod("8192 [ImageChmod] Error updating permissions. Image cannot be public and persistent.", alice, "2 -1 -1 1 -1 -1 -1 -1 -1")
	chmod("ok 0", alice, "-1 -1 -1 -1 1 -1 -1 -1 -1")
}

func TestGroupsOfUser(t *testing.T) {
	c := newCloud(t, "")
	id := c.uid(alice)
	for _, name := range []string{"g100", "g101", "g102"} {
		c.must(root, "one.group.allocate", name)
	}
	groups := func() string {
		doc := c.get(root, "one.user.info", id)
		text := between(doc, "<GID>", "<") + " " + between(doc, "<GNAME>", "<") + " of"
		for part := range strings.SplitSeq(between(doc, "<GROUPS>", "</GROUPS>"), "<ID>") {
			if n, _, ok := strings.Cut(part, "<"); ok {
				text += " " + n
			}
		}
		return text
	}
	members := func(gid int) string { return between(c.get(root, "one.group.info", gid), "<USERS>", "</USERS>") }
	step := func(want, method string, gid int, answer string) {
		t.Helper()
		c.want(answer, root, method, id, gid)
		if got := groups(); got != want {
			t.Errorf("%s %d: %s, want %s", method, gid, got, want)
		}
	}
	step("100 g100 of 100", "one.user.chgrp", 100, "ok 2")
	if members(1) != "<ID>3</ID><ID>4</ID>" || members(100) != "<ID>2</ID>" {
		t.Errorf("members %s, %s", members(1), members(100))
	}
	step("100 g100 of 100", "one.user.chgrp", 100, "ok 2")
	step("100 g100 of 100 101", "one.user.addgroup", 101, "ok 2")
	step("100 g100 of 100 101", "one.user.addgroup", 101, "2048 [UserAddGroup] User is already in this group")
	step("101 g101 of 100 101", "one.user.chgrp", 101, "ok 2") // the old group stays: she was in the new one already
	step("101 g101 of 100 101", "one.user.delgroup", 101, "2048 [UserDelGroup] Cannot remove user from the primary group")
	step("101 g101 of 100 101", "one.user.delgroup", 102, "2048 [UserDelGroup] User is not part of this group")
	step("102 g102 of 100 102", "one.user.chgrp", 102, "ok 2") // the old primary group goes
	c.want("8192 [GroupDelete] Cannot delete group. Group 100 is not empty.", root, "one.group.delete", 100)
	step("102 g102 of 102", "one.user.delgroup", 100, "ok 2")
	c.want("ok 100", root, "one.group.delete", 100)
	for _, gid := range []int{0, 1} {
		c.want("8192 [GroupDelete] Cannot delete group. System Groups (ID < 100) cannot be deleted.", root, "one.group.delete", gid)
	}
	for _, gid := range []int{0, 101} {
		c.want("8192 [UserChown] USER [0] oneadmin cannot be moved outside of the GROUP [0] oneadmin", root, "one.user.chgrp", 0, gid)
	}

	// What a member may do: see the group, use what is for the group; new objects are the primary group's.
	c.must(root, "one.user.addgroup", id, 101)
	c.get(alice, "one.group.info", 101)
	c.want("512 [GroupUpdateTemplate] User [2] : Not authorized to perform MANAGE GROUP [101].", alice, "one.group.update", 101, "A=1")
	c.want("512 [GroupInfo] User [3] : Not authorized to perform USE GROUP [101].", bob, "one.group.info", 101)
	c.must(root, "one.template.allocate", "NAME=t")
	c.must(root, "one.template.chown", 0, -1, 101)
	c.must(root, "one.template.chmod", 0, -1, -1, -1, 1, -1, -1, -1, -1, -1)
	c.get(alice, "one.template.info", 0)
	c.want("512 [TemplateInfo] User [3] : Not authorized to perform USE TEMPLATE [0].", bob, "one.template.info", 0)
	c.want("512 [TemplateAllocate] User [2] : Not authorized to perform CREATE TEMPLATE.", alice, "one.template.allocate", "NAME=u") // the rule is for group users
	c.must(root, "one.acl.addrule", "200000066", "20200000066", "8")                                                                 // members of 102 may make templates in 102
	c.must(alice, "one.template.allocate", "NAME=u")
	if got := c.get(alice, "one.template.info", 1); !strings.Contains(got, "<GID>102</GID><UNAME>alice</UNAME><GNAME>g102</GNAME>") {
		t.Errorf("%s", got)
	}
	// An own object goes to a group that its owner is in, not to another.
	c.must(alice, "one.template.chown", 1, -1, 101)
	c.want("512 [TemplateChown] User [2] : Not authorized to perform USE GROUP [1].", alice, "one.template.chown", 1, -1, 1)
	c.want("512 [TemplateChown] User [2] : Not authorized to perform MANAGE USER [3].", alice, "one.template.chown", 1, 3, -1)

	// A new user is in the caller's primary group; of group 0, in users.
	c.must(root, "one.user.chgrp", c.uid(bob), 101)
	c.must(root, "one.acl.addrule", "100000003", "10400000000", "8")
	if got := c.get(root, "one.user.info", c.must(bob, "one.user.allocate", "x", "x", "")); !strings.Contains(got, "<GID>101</GID>") {
		t.Errorf("%s", got)
	}
}

func TestOwnRights(t *testing.T) {
	c := newCloud(t, "")
	c.must(alice, "one.user.update", 2, "A=1")
	c.want("512 [UserDelete] User [2] : Not authorized to perform ADMIN USER [2].", alice, "one.user.delete", 2)
	c.want("512 [UserSetQuota] User [2] : Not authorized to perform ADMIN USER [2].", alice, "one.user.quota", 2, "VM=[VMS=-1]")
	c.want("8192 [UserDelete] Cannot delete user. oneadmin cannot be deleted.", root, "one.user.delete", 0)
	// Ownership is nothing but the bits: without them the owner may not even look, but sees it in the pool.
	c.must(alice, "one.document.allocate", "NAME=d", 0)
	c.must(alice, "one.document.chmod", 0, 0, -1, -1, -1, -1, -1, -1, -1, -1)
	c.want("512 [DocumentInfo] User [2] : Not authorized to perform USE DOCUMENT [0].", alice, "one.document.info", 0)
	if got := listed(c.get(alice, "one.documentpool.info", -2, -1, -1, 0)); got != "0" {
		t.Errorf("%s", got)
	}
	// The primary group counts for three methods, not membership.
	c.must(root, "one.user.addgroup", 2, 0)
	c.get(alice, "one.vmpool.info", -2, -1, -1, -2)
	c.want("512 The oned configuration can only be retrieved by users in the oneadmin group", alice, "one.system.config")
	c.want("512 The default quotas can only be updated by users in the oneadmin group", alice, "one.userquota.update", "")
	c.must(root, "one.user.chgrp", 2, 0)
	c.get(alice, "one.system.config")
	c.get(alice, "one.groupquota.update", "VM=[VMS=0,CPU=0,MEMORY=0,VOLATILE_SIZE=0]")
}

// TestDefaultLimits: -1 stands for the default, 0 for none; groups have their own; user 0 and group 0 have none.
func TestDefaultLimits(t *testing.T) {
	c := newCloud(t, "")
	allocate := func(want, session string) {
		t.Helper()
		got := c.call(session, "one.vm.allocate", "CPU=1 MEMORY=10")
		if got.ok && want == "ok" {
			return
		}
		if got.String() != want {
			t.Errorf("\n got %v\nwant %s", got, want)
		}
	}
	const user, group = "512 [VirtualMachineAllocate] user [2] limit of ", "512 [VirtualMachineAllocate] group [1] limit of "
	c.get(root, "one.userquota.update", "VM=[VMS=1,CPU=0,MEMORY=0,VOLATILE_SIZE=0]")
	allocate("ok", alice)
	allocate(user+"1 reached for VMS quota in VM", alice)
	allocate("ok", root)
	allocate("ok", root)
	c.must(root, "one.user.quota", 2, "VM=[VMS=2,CPU=-1,MEMORY=-1,VOLATILE_SIZE=-1]")
	allocate("ok", alice)
	allocate(user+"2 reached for VMS quota in VM", alice)
	c.must(root, "one.user.quota", 2, "VM=[VMS=0,CPU=2.5,MEMORY=-1,VOLATILE_SIZE=-1]")
	allocate(user+"2.5 reached for CPU quota in VM", alice)
	c.must(root, "one.user.quota", 2, "VM=[VMS=0,CPU=0,MEMORY=-1,VOLATILE_SIZE=-1]")
	c.get(root, "one.userquota.update", "VM=[VMS=1,CPU=0,MEMORY=25,VOLATILE_SIZE=0]")
	allocate(user+"25 reached for MEMORY quota in VM", alice)
	c.get(root, "one.userquota.update", "VM=[VMS=1,CPU=0,MEMORY=0,VOLATILE_SIZE=0]")
	c.must(root, "one.user.quota", 2, "VM=[VMS=-1,CPU=-1,MEMORY=-1,VOLATILE_SIZE=-1]")
	allocate(user+"1 reached for VMS quota in VM", alice)
	c.get(root, "one.userquota.update", "VM=[VMS=0,CPU=0,MEMORY=0,VOLATILE_SIZE=0]")
	if got := c.get(root, "one.userquota.info"); !strings.Contains(got, "<VM_QUOTA></VM_QUOTA>") {
		t.Errorf("default limits of 0 are kept: %s", got)
	}
	c.must(root, "one.group.quota", 1, "VM=[VMS=3,CPU=-1,MEMORY=-1,VOLATILE_SIZE=-1]")
	allocate("ok", alice)
	allocate(group+"3 reached for VMS quota in VM", alice)
	if got := c.usage(alice, quota.VMs, 0); got != "3" {
		t.Errorf("the group's refusal leaves the user with %s VMs", got)
	}
	c.get(root, "one.groupquota.update", "VM=[VMS=2,CPU=0,MEMORY=0,VOLATILE_SIZE=0]")
	c.must(root, "one.group.quota", 1, "VM=[VMS=-1,CPU=-1,MEMORY=-1,VOLATILE_SIZE=-1]")
	allocate(group+"2 reached for VMS quota in VM", alice)

	// A new owner pays, the old one no longer does.
	c.must(root, "one.user.quota", 3, "VM=[VMS=1,CPU=-1,MEMORY=-1,VOLATILE_SIZE=-1]")
	c.must(root, "one.vm.chown", 0, 3, -1)
	c.want("512 [VirtualMachineChown] user [3] limit of 1 reached for VMS quota in VM", root, "one.vm.chown", 3, 3, -1)
	if a, b := c.usage(alice, quota.VMs, 0), c.usage(bob, quota.VMs, 0); a != "2" || b != "1" {
		t.Errorf("alice uses %s VMs, bob %s", a, b)
	}
}

func TestNames(t *testing.T) {
	c := newCloud(t, "")
	c.furnish()
	c.must(root, "one.template.allocate", "NAME=t2")
	c.must(root, "one.template.chown", 1, 2, -1)
	c.must(root, "one.host.allocate", "h2", "i", "v", "n", -1)
	long := strings.Repeat("x", 129)
	for _, tc := range []struct {
		want, method string
		params       []any
	}{
		{"2048 [TemplateRename] TEMPLATE cannot be renamed to t2 because it collides with TEMPLATE 1", "one.template.rename", []any{0, "t2"}},
		{"2048 [HostRename] HOST cannot be renamed to h2 because it collides with HOST 1", "one.host.rename", []any{0, "h2"}},
		{"2048 [HostRename] HOST cannot be renamed to  because it collides with HOST -1", "one.host.rename", []any{0, ""}},
		{"2048 [ClusterRename] CLUSTER cannot be renamed to  because it collides with CLUSTER -1", "one.cluster.rename", []any{100, ""}},
		{"2048 [TemplateRename] Invalid NAME, it cannot be empty", "one.template.rename", []any{0, ""}},
		{"2048 [DocumentRename] Invalid NAME, it cannot be empty", "one.document.rename", []any{0, ""}},
		{"2048 [ZoneRename] Invalid NAME, it cannot be empty", "one.zone.rename", []any{0, ""}},
		{"2048 [VirtualMachineRename] Invalid NAME, char '&' is not allowed", "one.vm.rename", []any{0, "a&b<c"}},
		{"2048 [ImageRename] Invalid NAME, max length is 128 chars", "one.image.rename", []any{0, long}},
		{"ok 0", "one.image.rename", []any{0, long[1:]}},
		{"ok 0", "one.vm.rename", []any{0, "ä b\nc"}},
		{"8192 [UserAllocate] Error allocating a new user. Invalid NAME, char ' ' is not allowed.", "one.user.allocate", []any{"a b", "x", ""}},
		{"8192 [UserAllocate] Error allocating a new user. Invalid password, it cannot be empty.", "one.user.allocate", []any{"", "", ""}},
		{"8192 [UserAllocate] Error allocating a new user. Invalid password, character '\t' is not allowed.", "one.user.allocate", []any{"x", "a\tb", ""}},
		{"8192 [UserAllocate] Error allocating a new user. Invalid NAME, it cannot be empty.", "one.user.allocate", []any{"", "x", ""}},
		{"8192 [UserAllocate] Error allocating a new user. Invalid NAME, max length is 128 chars.", "one.user.allocate", []any{long, "x", ""}},
		{"8192 [UserAllocate] Error allocating a new user. NAME is already taken by USER 2.", "one.user.allocate", []any{"alice", "x", ""}},
		{"8192 [GroupAllocate] Error allocating a new group. NAME is already taken by GROUP 100.", "one.group.allocate", []any{"g"}},
		{"8192 [GroupAllocate] Error allocating a new group. Invalid NAME, char '$' is not allowed", "one.group.allocate", []any{"a$"}},
		{"8192 [ClusterAllocate] Error allocating a new cluster. NAME is already taken by CLUSTER 100.", "one.cluster.allocate", []any{"c"}},
		{"8192 [HostAllocate] Error allocating a new host. NAME is already taken by HOST 0.", "one.host.allocate", []any{"h", "i", "v", "n", -1}},
		{"8192 [HostAllocate] Error allocating a new host. Invalid NAME, it cannot be empty", "one.host.allocate", []any{"", "", "", "", -1}},
		{"8192 [HostAllocate] Error allocating a new host. IM_MAD_NAME cannot be empty.", "one.host.allocate", []any{"h", "", "", "", -1}},
		{"8192 [HostAllocate] Error allocating a new host. VMM_MAD_NAME cannot be empty.", "one.host.allocate", []any{"h", "i", "", "", -1}},
		{"8192 [HostAllocate] Error allocating a new host. VNM_MAD_NAME cannot be empty.", "one.host.allocate", []any{"h", "i", "v", "", -1}},
		{"8192 [DatastoreAllocate] Error allocating a new datastore. NAME is already taken by DATASTORE 100.", "one.datastore.allocate", []any{"NAME=d DS_MAD=x TM_MAD=dummy", -1}},
		{"8192 [DocumentAllocate] Error allocating a new document. NAME is too long; max length is 128 chars.", "one.document.allocate", []any{"NAME=" + long, 1}},
		{"8192 [TemplateAllocate] Error allocating a new virtual machine template. Invalid NAME, it cannot be empty", "one.template.allocate", []any{"A=1"}},
		{"8192 [VirtualMachineAllocate] Error allocating a new virtual machine. Invalid NAME, char '/' is not allowed", "one.vm.allocate", []any{"NAME=a/b CPU=1 MEMORY=1"}},
		{"2048 [UserChangePassword] Invalid password, it cannot be empty", "one.user.passwd", []any{2, ""}},
		{"2048 [UserChangeAuth] Invalid password, character ' ' is not allowed", "one.user.chauth", []any{2, "ssh", "a b"}},
		{"8192 [TemplateChown] USER [2] already owns TEMPLATE [0] with NAME t", "one.template.chown", []any{0, 2, -1}}, // also its own
		{"8192 [VirtualNetworkChown] USER [2] already owns NET [0] with NAME n", "one.vn.chown", []any{0, 2, -1}},
		{"ok 0", "one.document.chown", []any{0, 2, -1}},
		{"ok 0", "one.vm.chown", []any{0, 2, -1}},
		{"ok 100", "one.datastore.chown", []any{100, 0, -1}},
	} {
		c.want(tc.want, root, tc.method, tc.params...)
	}
	// The same name is no change: nobody is asked for a right.
	c.want("ok 0", eve, "one.template.rename", 0, "t")
	c.must(root, "one.cluster.addhost", 100, 0)
	c.must(root, "one.cluster.rename", 100, "renamed")
	if got := c.get(root, "one.host.info", 0); !strings.Contains(got, "<CLUSTER_ID>100</CLUSTER_ID><CLUSTER>renamed</CLUSTER>") {
		t.Errorf("%s", got)
	}
}
