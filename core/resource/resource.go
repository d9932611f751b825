// Package resource is what every kind of object of the cloud has in common: id, owner, name and permissions, id sets, and the
// XML that 4.6 writes for them. It knows nothing of any particular kind.
package resource

import (
	"fmt"
	"slices"
)

// Kind is a type of object as ACL rules number them. The value is the type bit of a rule's resource word.
type Kind uint64

// The kinds of 4.6, with the bit of each in an ACL rule.
const (
	VM        Kind = 0x1000000000
	Host      Kind = 0x2000000000
	Net       Kind = 0x4000000000
	Image     Kind = 0x8000000000
	User      Kind = 0x10000000000
	Template  Kind = 0x20000000000
	Group     Kind = 0x40000000000
	ACL       Kind = 0x80000000000
	Datastore Kind = 0x100000000000
	Cluster   Kind = 0x200000000000
	Document  Kind = 0x400000000000
	Zone      Kind = 0x800000000000
)

var kindNames = map[Kind][2]string{
	VM:        {"VM", "virtual machine"},
	Host:      {"HOST", "host"},
	Net:       {"NET", "virtual network"},
	Image:     {"IMAGE", "image"},
	User:      {"USER", "user"},
	Template:  {"TEMPLATE", "virtual machine template"},
	Group:     {"GROUP", "group"},
	ACL:       {"ACL", "ACL"},
	Datastore: {"DATASTORE", "datastore"},
	Cluster:   {"CLUSTER", "cluster"},
	Document:  {"DOCUMENT", "document"},
	Zone:      {"ZONE", "zone"},
}

// Kinds lists them all.
func Kinds() []Kind {
	return []Kind{VM, Host, Net, Image, User, Template, Group, ACL, Datastore, Cluster, Document, Zone}
}

// String is the upper-case name of authorization, rename and duplicate-name texts.
func (k Kind) String() string {
	if n, ok := kindNames[k]; ok {
		return n[0]
	}
	return fmt.Sprintf("Kind(%#x)", uint64(k))
}

// Noun is the lower-case name of "Error getting …" and "Error allocating a new …".
func (k Kind) Noun() string { return kindNames[k][1] }

// Base is the part that all objects with an owner share: VM, image, network, template, datastore, document.
type Base struct {
	ID    int
	UID   int
	GID   int
	UName string
	GName string
	Name  string
	Perms Permissions
}

// OID is the object's number.
func (b *Base) OID() int { return b.ID }

// Label is the object's name.
func (b *Base) Label() string { return b.Name }

// Access is what permission checks and pool filters look at.
func (b *Base) Access() Access {
	return Access{UID: b.UID, GID: b.GID, Cluster: NoCluster, Perms: b.Perms}
}

// NoCluster is the cluster id of objects that are in no cluster.
const NoCluster = -1

// Access is what decides who may do what with an object: its owner, its group, its cluster (NoCluster if none or if the kind has
// none) and its permission bits. It is comparable and small: pools keep it in line to filter without touching the object.
type Access struct {
	UID, GID, Cluster int
	Perms             Permissions
	// Class is what pool calls choose by besides: the state of a VM, the type of a document; 0 for other kinds.
	Class int32
}

// Summary tells of a run of objects what they have in common for a filter, which need not look at each then. The lists are
// ascending and without repetition.
type Summary struct {
	First, Last int // ids
	Users       []int
	// Groups are those whose members may use an object by its permission bits, AllGroups those that own one.
	Groups, AllGroups []int
	Clusters          []int
	// Public tells that somebody else may use an object by its permission bits.
	Public  bool
	Classes []ClassCount
}

// ClassCount is how many objects are of one class.
type ClassCount struct {
	Class int32
	Count int
}

// Add takes one more object into account.
func (s *Summary) Add(a *Access) {
	insert(&s.Users, a.UID)
	insert(&s.AllGroups, a.GID)
	if a.Perms&GroupU != 0 {
		insert(&s.Groups, a.GID)
	}
	if a.Cluster >= 0 {
		insert(&s.Clusters, a.Cluster)
	}
	s.Public = s.Public || a.Perms&OtherU != 0
	for i := range s.Classes {
		if s.Classes[i].Class == a.Class {
			s.Classes[i].Count++
			return
		}
	}
	s.Classes = append(s.Classes, ClassCount{a.Class, 1})
}

func insert(set *[]int, id int) {
	if i, ok := slices.BinarySearch(*set, id); !ok {
		*set = slices.Insert(*set, i, id)
	}
}
