// Package vnet is a virtual network: its document, its addresses and who has leased them. Nothing here does I/O.
package vnet

import (
	"fmt"
	"iter"
	"strconv"

	"goned/core/resource"
	"goned/core/template"
	"goned/core/template/xmldoc"
)

// Type is how the addresses of a network are given; the numbers are 4.6's.
type Type int

// The types.
const (
	Ranged Type = iota
	Fixed
)

// VNet is a virtual network. One in a pool is not changed; Clone gives a copy that may be.
type VNet struct {
	resource.Base

	// ClusterID is resource.NoCluster, and Cluster empty, when it is in none.
	ClusterID      int
	Cluster        string
	Type           Type
	Bridge         string
	VLAN           bool
	PhyDev, VLANID string
	// GlobalPrefix and SitePrefix are the IPv6 prefixes as the user wrote them, empty if none.
	GlobalPrefix, SitePrefix string
	// Start and End are the first and last address of a ranged network.
	Start, End IP
	Template   *template.Template

	// leases has one for each row of the database. A fixed network lists all its addresses, a ranged one those that are used or held.
	leases table
	// used counts the used and held leases.
	used int
	// macPrefix are the first two bytes of MACs that are made here.
	macPrefix uint16
	// next is where the search for a free lease starts: an offset from Start in a ranged network, an index of leases in a
	// fixed one. It lives in memory only, as in 4.6.
	next int
	// global and site are the upper halves of the prefixes, 0 for none.
	global, site uint64
}

// Access is what permission checks and pool filters look at.
func (n *VNet) Access() resource.Access {
	a := n.Base.Access()
	a.Cluster = n.ClusterID
	return a
}

// Key is the unique name: names are unique per owner.
func (n *VNet) Key() string { return Key(n.UID, n.Name) }

// Key is the pool key of the network of that owner and name.
func Key(uid int, name string) string { return strconv.Itoa(uid) + ":" + name }

// Clone is a deep copy.
func (n *VNet) Clone() *VNet {
	c := *n
	c.Template = n.Template.Clone()
	c.leases = n.leases.clone()
	return &c
}

// SetMACPrefix sets the first two bytes of the MACs that the network makes: MAC_PREFIX of the configuration. It is no part of
// the document: loaders call it after Parse.
func (n *VNet) SetMACPrefix(prefix uint16) { n.macPrefix = prefix }

// Leases walks the leases by ascending address.
func (n *VNet) Leases() iter.Seq[Lease] { return n.leases.all() }

// Used is the number of leases that are used or held.
func (n *VNet) Used() int { return n.used }

// PoolXML is the document of the database and of listings: without leases.
func (n *VNet) PoolXML() []byte { return n.AppendPoolXML(make([]byte, 0, 1536)) }

// AppendPoolXML appends what PoolXML gives.
func (n *VNet) AppendPoolXML(dst []byte) []byte { return n.appendXML(dst, false) }

// InfoXML is the document of one.vn.info: with leases.
func (n *VNet) InfoXML() []byte { return n.appendXML(make([]byte, 0, 1536+256*n.leases.n), true) }

func (n *VNet) appendXML(dst []byte, leases bool) []byte {
	dst = n.Base.AppendXML(append(dst, "<VNET>"...), nil)
	dst = resource.AppendInt(dst, "CLUSTER_ID", int64(n.ClusterID))
	dst = resource.AppendText(dst, "CLUSTER", n.Cluster)
	dst = resource.AppendInt(dst, "TYPE", int64(n.Type))
	dst = resource.AppendText(dst, "BRIDGE", n.Bridge)
	dst = resource.AppendInt(dst, "VLAN", number(n.VLAN))
	dst = resource.AppendCDATAOrEmpty(dst, "PHYDEV", n.PhyDev)
	dst = resource.AppendCDATAOrEmpty(dst, "VLAN_ID", n.VLANID)
	dst = resource.AppendCDATAOrEmpty(dst, "GLOBAL_PREFIX", n.GlobalPrefix)
	dst = resource.AppendCDATAOrEmpty(dst, "SITE_PREFIX", n.SitePrefix)
	if n.Type == Ranged {
		dst = append(dst, "<RANGE>"...)
		dst = resource.AppendText(dst, "IP_START", n.Start.String())
		dst = resource.AppendText(dst, "IP_END", n.End.String())
		dst = append(dst, "</RANGE>"...)
	}
	dst = resource.AppendInt(dst, "TOTAL_LEASES", int64(n.used))
	dst = n.Template.AppendXML(dst, "TEMPLATE")
	if leases {
		dst = append(dst, "<LEASES>"...)
		for l := range n.leases.all() {
			dst = n.appendLease(dst, &l)
		}
		dst = append(dst, "</LEASES>"...)
	}
	return append(dst, "</VNET>"...)
}

func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// Parse reads a database body. As in 4.6, every element must be there but PHYDEV, VLAN_ID and the prefixes; a ranged network
// needs its range. TOTAL_LEASES is not believed: it is the number of used leases given to LoadLease.
func Parse(body string) (*VNet, error) {
	doc, err := xmldoc.Parse(body)
	if err != nil {
		return nil, fmt.Errorf("network body: %w", err)
	}
	base, err := resource.ReadBase(doc)
	if err != nil {
		return nil, fmt.Errorf("network body: %w", err)
	}
	r := resource.Reader{Node: doc}
	n := &VNet{
		Base:      base,
		ClusterID: r.Int("CLUSTER_ID"), Cluster: r.Text("CLUSTER"), Type: Type(r.Int("TYPE")),
		Bridge: r.Text("BRIDGE"), VLAN: r.Int("VLAN") != 0,
		PhyDev: doc.ChildText("PHYDEV"), VLANID: doc.ChildText("VLAN_ID"),
		GlobalPrefix: doc.ChildText("GLOBAL_PREFIX"), SitePrefix: doc.ChildText("SITE_PREFIX"),
		Template: template.FromElement(r.Element("TEMPLATE")),
	}
	r.Int("TOTAL_LEASES")
	if r.Err == nil && n.Type == Ranged {
		n.Start, n.End, r.Err = readRange(r.Element("RANGE"))
	}
	if r.Err == nil {
		r.Err = n.readPrefixes()
	}
	if r.Err != nil {
		return nil, fmt.Errorf("network body %d: %w", n.ID, r.Err)
	}
	return n, nil
}

func readRange(doc *xmldoc.Node) (start, end IP, err error) {
	if doc == nil {
		return 0, 0, fmt.Errorf("element RANGE is missing")
	}
	start, ok := ParseIP(doc.ChildText("IP_START"))
	if !ok {
		return 0, 0, fmt.Errorf("bad IP_START")
	}
	end, ok = ParseIP(doc.ChildText("IP_END"))
	if !ok || end < start {
		return 0, 0, fmt.Errorf("bad IP_END")
	}
	return start, end, nil
}
