package auth

import (
	"fmt"
	"strings"
	"testing"

	"goned/core/acl"
	"goned/core/resource"
)

// ann is user 2 in groups 100 (primary) and 101.
func ann() *Caller { return &Caller{UID: 2, GID: 100, Groups: resource.IDs{100, 101}} }

// TestPermissionBits tries each single bit for each relation of a caller to an object: it lets do what it says, and nothing else.
func TestPermissionBits(t *testing.T) {
	relations := []struct {
		name     string
		uid, gid int
		classes  string // of the bits that count: o, g, t
	}{
		{"owner", 2, 7, "ot"}, {"primary group", 3, 100, "gt"}, {"secondary group", 3, 101, "gt"}, {"owner and group", 2, 101, "ogt"}, {"stranger", 3, 7, "t"},
	}
	ops := []Op{Use, Manage, Admin}
	for _, r := range relations {
		for bit := range 9 {
			class, right := "ogt"[bit/3], bit%3
			for i, op := range ops {
				k := Check{Op: op, Kind: resource.Image, ID: 5, Access: resource.Access{
					UID: r.uid, GID: r.gid, Cluster: resource.NoCluster, Perms: resource.Permissions(0o400 >> bit),
				}}
				want := i == right && strings.IndexByte(r.classes, class) >= 0
				if got := Allowed(acl.NewRules(), 0, ann(), &k); got != want {
					t.Errorf("%s, bit %o, %v: %v", r.name, 0o400>>bit, op, got)
				}
			}
		}
	}
}

// TestWhoPassesEverything: oneadmin, and members of group 0, also where no rule and no bit says so.
func TestWhoPassesEverything(t *testing.T) {
	for _, tc := range []struct {
		name                       string
		caller                     Caller
		want, administrator, privs bool
	}{
		{"oneadmin", Caller{UID: 0, GID: 1, Groups: resource.IDs{1}}, true, true, true},
		{"primary group 0", Caller{UID: 5, GID: 0, Groups: resource.IDs{0}}, true, true, true},
		{"secondary group 0", Caller{UID: 5, GID: 1, Groups: resource.IDs{0, 1}}, true, true, false},
		{"nobody in particular", Caller{UID: 5, GID: 1, Groups: resource.IDs{1}}, false, false, false},
	} {
		for _, op := range []Op{Use, Manage, Admin, Create} {
			err := Authorize(acl.NewRules(), 0, &tc.caller, OnNone(op, resource.VM, -1), Check{Op: op, Kind: resource.Host, ID: 3})
			if (err == nil) != tc.want {
				t.Errorf("%s, %v: %v", tc.name, op, err)
			}
		}
		if tc.caller.Administrator() != tc.administrator || tc.caller.Privileged() != tc.privs {
			t.Errorf("%s: administrator %v, privileged %v", tc.name, tc.caller.Administrator(), tc.caller.Privileged())
		}
	}
}

// rule reads the four words of a rule, in hexadecimal.
func rule(user, res, rights, zone string) acl.Rule {
	return acl.Rule{User: acl.ParseHex(user), Resource: acl.ParseHex(res), Rights: acl.ParseHex(rights), Zone: acl.ParseHex(zone)}
}

func TestRules(t *testing.T) {
	const (
		anyone, here = "400000000", "100000000"
		imageAll     = "8400000000"
	)
	image := Check{Op: Use, Kind: resource.Image, ID: 5, Access: resource.Access{UID: 3, GID: 7, Cluster: resource.NoCluster}}
	host := Check{Op: Manage, Kind: resource.Host, ID: 5, Access: resource.Access{Cluster: 102}}
	create := ann().ToCreate(resource.Image, "")
	for _, tc := range []struct {
		name  string
		rule  acl.Rule
		check Check
		want  bool
	}{
		{"everybody", rule(anyone, imageAll, "1", here), image, true},
		{"the user", rule("100000002", imageAll, "1", here), image, true},
		{"another user", rule("100000003", imageAll, "1", here), image, false},
		{"primary group", rule("200000064", imageAll, "1", here), image, true},
		{"secondary group", rule("200000065", imageAll, "1", here), image, true},
		{"another group", rule("200000007", imageAll, "1", here), image, false},
		{"another right", rule(anyone, imageAll, "6", here), image, false},
		{"several rights", rule(anyone, imageAll, "9", here), image, true},
		{"administration is no use", rule(anyone, imageAll, "4", here), image, false},
		{"another kind", rule(anyone, "1400000000", "1", here), image, false},
		{"several kinds", rule(anyone, "2d400000000", "1", here), image, true},
		{"all zones", rule(anyone, imageAll, "1", "400000000"), image, true},
		{"another zone", rule(anyone, imageAll, "1", "100000001"), image, false},
		{"the object", rule(anyone, "8100000005", "1", here), image, true},
		{"another object", rule(anyone, "8100000006", "1", here), image, false},
		{"its group", rule(anyone, "8200000007", "1", here), image, true},
		{"the caller's group, not the object's", rule(anyone, "8200000064", "1", here), image, false},
		{"its cluster", rule(anyone, "2800000066", "2", here), host, true},
		{"another cluster", rule(anyone, "2800000065", "2", here), host, false},
		{"an id, not the cluster's", rule(anyone, "2100000066", "2", here), host, false},
		{"creation, all", rule(anyone, imageAll, "8", here), create, true},
		{"creation in the primary group", rule(anyone, "8200000064", "8", here), create, true},
		{"creation in a secondary group", rule(anyone, "8200000065", "8", here), create, false},
		{"creation needs its own right", rule(anyone, imageAll, "7", here), create, false},
		{"no object, all", rule(anyone, imageAll, "1", here), OnNone(Use, resource.Image, -2), true},
		{"no object, some", rule(anyone, "8100000005", "1", here), OnNone(Use, resource.Image, -2), false},
		{"no object, id of all ones", rule(anyone, "81ffffffff", "1", here), OnNone(Use, resource.Image, -1), false},
		{"no object, group of all ones", rule(anyone, "82ffffffff", "1", here), OnNone(Use, resource.Image, -1), false},
	} {
		if got := Allowed(acl.NewRules(tc.rule), 0, ann(), &tc.check); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}

func TestRefusalListsWhatFails(t *testing.T) {
	err := Authorize(acl.NewRules(rule("400000000", "8400000000", "1", "400000000")), 0, ann(),
		Check{Op: Manage, Kind: resource.VM, ID: 0}, OnNone(Use, resource.Image, -1), ann().ToCreate(resource.Template, ""), OnNone(Admin, resource.Host, -2))
	const want = "Not authorized to perform MANAGE VM [0]; Not authorized to perform CREATE TEMPLATE; Not authorized to perform ADMIN HOST"
	if err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
}

func TestVisible(t *testing.T) {
	rules := acl.NewRules(
		rule("100000002", "8100000011", "1", "100000000"), // image 17 by id
		rule("200000065", "8200000008", "3", "400000000"), // images of group 8
		rule("100000002", "8100000012", "2", "100000000"), // MANAGE of image 18 does not show it
		rule("100000002", "8100000013", "1", "100000001"), // image 19 in another zone
		rule("100000003", "8400000000", "1", "400000000"), // somebody else sees all
		rule("100000002", "2800000066", "1", "100000000"), // hosts of cluster 102
	)
	type object struct {
		id, uid, gid int
		perms        resource.Permissions
	}
	objects := []object{
		{10, 2, 100, 0}, {11, 2, 7, 0}, {12, 3, 100, resource.GroupU}, {13, 3, 101, resource.GroupU}, {14, 3, 100, 0}, {15, 3, 7, resource.OtherU},
		{16, 3, 8, 0}, {17, 3, 7, 0}, {18, 3, 7, 0}, {19, 3, 7, 0}, {20, 4, 7, resource.OtherU}, {21, 0, 0, resource.GroupU},
	}
	root, admin := &Caller{Groups: resource.IDs{0}}, &Caller{UID: 5, GID: 1, Groups: resource.IDs{0, 1}}
	for _, tc := range []struct {
		caller *Caller
		flag   int
		want   string
	}{
		{ann(), Mine, "[10 11]"},
		{ann(), MineGroup, "[10 11 12 13]"},
		{ann(), All, "[10 11 12 13 15 16 17 20]"},
		{ann(), 2, "[10 11]"},
		{ann(), 3, "[12 13 15 16 17]"},
		{ann(), 4, "[20]"},
		{ann(), 0, "[]"},
		{&Caller{UID: 3, GID: 9, Groups: resource.IDs{9}}, All, "[10 11 12 13 14 15 16 17 18 19 20 21]"},
		{&Caller{UID: 3, GID: 9, Groups: resource.IDs{9}}, 2, "[10 11]"},
		{&Caller{UID: 3, GID: 9, Groups: resource.IDs{9}}, MineGroup, "[12 13 14 15 16 17 18 19]"},
		{root, All, "[10 11 12 13 14 15 16 17 18 19 20 21]"},
		{root, Mine, "[21]"},
		{root, 3, "[12 13 14 15 16 17 18 19]"},
		{admin, All, "[10 11 12 13 14 15 16 17 18 19 20 21]"},
		{admin, MineGroup, "[21]"},
		{admin, Mine, "[]"},
	} {
		v := NewVisible(rules, 0, tc.caller, resource.Image, tc.flag)
		seen := []int{}
		for _, o := range objects {
			if v.Pass(o.id, &resource.Access{UID: o.uid, GID: o.gid, Cluster: resource.NoCluster, Perms: o.perms}) {
				seen = append(seen, o.id)
			}
		}
		if got := fmt.Sprint(seen); got != tc.want {
			t.Errorf("user %d, flag %d: %s, want %s", tc.caller.UID, tc.flag, got, tc.want)
		}
	}
	hosts := NewVisible(rules, 0, ann(), resource.Host, All)
	for cluster, want := range map[int]bool{102: true, 103: false, resource.NoCluster: false} {
		if got := hosts.Pass(5, &resource.Access{Cluster: cluster}); got != want {
			t.Errorf("host of cluster %d: %v", cluster, got)
		}
	}
}

func TestFilterFlags(t *testing.T) {
	for flag, want := range map[int]bool{-5: false, -4: false, -3: true, -2: true, -1: true, 0: true, 99: true} {
		if err := CheckFilter(flag); (err == nil) != want {
			t.Errorf("%d: %v", flag, err)
		}
	}
}

func TestRange(t *testing.T) {
	for in, want := range map[[2]int]Range{
		{-1, -1}:         {Last: -1, Count: -1},
		{-1, 7}:          {Last: -1, Count: -1},
		{0, -1}:          {Last: -1, Count: -1},
		{5, -1}:          {First: 5, Last: -1, Count: -1},
		{5, 7}:           {First: 5, Last: 7, Count: -1},
		{7, 5}:           {First: 7, Last: 5, Count: -1},
		{-5, 3}:          {First: -5, Last: 3, Count: -1},
		{0, 0}:           {Count: -1},
		{0, -2}:          {Last: -1, Count: 2},
		{3, -10}:         {Last: -1, Skip: 3, Count: 10},
		{-1, -10}:        {Last: -1, Count: 10},
		{-7, -10}:        {Last: -1, Count: 10},
		{0, -2147483648}: {Last: -1, Count: 2147483648},
	} {
		if got := NewRange(in[0], in[1]); got != want {
			t.Errorf("%v: %+v", in, got)
		}
	}
}
