package match

import (
	"strconv"

	"goned/core/template/xmldoc"
)

// The bits of an ACL rule's numbers, as 4.6 stores them.
const (
	aclIndividual = 0x100000000
	aclGroup      = 0x200000000
	aclAll        = 0x400000000
	aclCluster    = 0x800000000
	aclHost       = 0x2000000000
	aclDatastore  = 0x100000000000
	aclUse        = 0x1
	aclManage     = 0x2
)

// Rule is an access rule: who (User), on what (Resource), which rights, in
// which zone; the numbers are 4.6's.
type Rule struct {
	User, Resource, Rights, Zone uint64
}

func readRule(n *xmldoc.Node) (Rule, error) {
	var r Rule
	for _, f := range []struct {
		name string
		into *uint64
	}{{"USER", &r.User}, {"RESOURCE", &r.Resource}, {"RIGHTS", &r.Rights}, {"ZONE", &r.Zone}} {
		v, err := strconv.ParseUint(textOf(n, f.name), 16, 64)
		if err != nil {
			return Rule{}, err
		}
		*f.into = v
	}
	return r, nil
}

// authorizer knows the rights of the owner of a machine on one kind of
// resource, as far as ACL rules give them. 4.6 asks with the owner and the
// group of the machine; other groups of the owner do not count.
type authorizer struct {
	uid, gid                    int
	resources, groups, clusters map[int]bool
	all                         bool
}

// newAuthorizer collects the rules of a zone that give the right on resources
// of a kind, aclHost or aclDatastore.
func newAuthorizer(rules []Rule, zone, uid, gid int, kind, right uint64) *authorizer {
	a := &authorizer{
		uid: uid, gid: gid,
		resources: make(map[int]bool), groups: make(map[int]bool), clusters: make(map[int]bool),
	}
	if uid == 0 || gid == 0 {
		a.all = true
		return a
	}
	for _, r := range rules {
		if r.Zone != aclAll && r.Zone != aclIndividual|uint64(zone) {
			continue
		}
		if r.User != aclAll && r.User != aclIndividual|uint64(uid) && r.User != aclGroup|uint64(gid) {
			continue
		}
		if r.Resource&kind == 0 || r.Rights&right == 0 {
			continue
		}
		id := int(r.Resource & 0xffffffff)
		switch {
		case r.Resource&aclAll != 0:
			a.all = true
		case r.Resource&aclCluster != 0:
			a.clusters[id] = true
		case r.Resource&aclGroup != 0:
			a.groups[id] = true
		case r.Resource&aclIndividual != 0:
			a.resources[id] = true
		}
	}
	return a
}

func (a *authorizer) allows(id, cluster int) bool {
	return a.all || a.resources[id] || cluster >= 0 && a.clusters[cluster]
}

// manages reports whether the owner may MANAGE a host; the authorizer must be
// one for hosts.
func (a *authorizer) manages(h *Host) bool { return a.allows(h.ID, h.ClusterID) }

// uses reports whether the owner may USE a datastore, by its permissions or by
// a rule; the authorizer must be one for datastores.
func (a *authorizer) uses(d *Datastore) bool {
	p := d.use
	return p.other || p.owner && a.uid == d.UID || p.group && a.gid == d.GID ||
		a.allows(d.ID, d.ClusterID) || a.groups[d.GID]
}
