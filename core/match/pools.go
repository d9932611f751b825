package match

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"goned/core/template/xmldoc"
)

// Pools are the documents a snapshot is made of, as oned answers them.
type Pools struct {
	Zone                                    int
	VMs, Datastores, Hosts, Clusters, Rules *xmldoc.Node
}

// savedRoot is the root element of saved pools.
const savedRoot = "SCHED_SNAPSHOT"

// SavePools is the document of saved pools: the texts of the pools, as oned
// answered them, in one element. ParsePools reads it.
func SavePools(zone int, pools ...string) string {
	var b strings.Builder
	b.WriteString("<" + savedRoot + ">\n<ZONE_ID>" + strconv.Itoa(zone) + "</ZONE_ID>\n")
	for _, p := range pools {
		b.WriteString(p)
		b.WriteByte('\n')
	}
	b.WriteString("</" + savedRoot + ">\n")
	return b.String()
}

// ParsePools reads what SavePools wrote.
func ParsePools(text string) (*Pools, error) {
	doc, err := xmldoc.Parse(text)
	if err != nil {
		return nil, err
	}
	if doc.Name != savedRoot {
		return nil, fmt.Errorf("the root element is %s, not %s", doc.Name, savedRoot)
	}
	p := &Pools{
		Zone: numberOf(doc, "ZONE_ID"), VMs: doc.Child("VM_POOL"), Datastores: doc.Child("DATASTORE_POOL"),
		Hosts: doc.Child("HOST_POOL"), Clusters: doc.Child("CLUSTER_POOL"), Rules: doc.Child("ACL_POOL"),
	}
	if p.VMs == nil || p.Datastores == nil || p.Hosts == nil {
		return nil, errors.New("it has no VM_POOL, DATASTORE_POOL or HOST_POOL")
	}
	return p, nil
}

// Snapshot reads the pools; at most maxVM machines are to be placed (0: all).
func (p *Pools) Snapshot(maxVM int) (*Snapshot, error) {
	s := &Snapshot{Zone: p.Zone, VMs: ReadVMs(p.VMs, maxVM), Hosts: ReadHosts(p.Hosts, p.Clusters)}
	s.SystemDatastores, s.ImageDatastores = ReadDatastores(p.Datastores)
	var err error
	s.Rules, err = ReadRules(p.Rules)
	return s, err
}
