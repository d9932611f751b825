package vnet

import (
	"errors"
	"fmt"
	"strconv"

	"goned/core/resource"
	"goned/core/template/xmldoc"
)

// Held is the VID of a lease that nobody has: free, or on hold when it is used.
const Held = -1

// Lease is an address of a network. Used with VID Held is on hold.
type Lease struct {
	IP   IP
	MAC  MAC
	Used bool
	VID  int
}

// Row is the body of the lease's row in the leases table, whose key is the network's id and IP.
func (l *Lease) Row() []byte {
	dst := append(make([]byte, 0, 160), "<LEASE>"...)
	dst = resource.AppendInt(dst, "IP", int64(l.IP))
	dst = resource.AppendInt(dst, "MAC_PREFIX", int64(l.MAC.Prefix))
	dst = resource.AppendInt(dst, "MAC_SUFFIX", int64(l.MAC.Suffix))
	dst = resource.AppendInt(dst, "USED", number(l.Used))
	dst = resource.AppendInt(dst, "VID", int64(l.VID))
	return append(dst, "</LEASE>"...)
}

// ParseLease reads the body of a row of the leases table.
func ParseLease(body string) (Lease, error) {
	doc, err := xmldoc.Parse(body)
	if err != nil {
		return Lease{}, fmt.Errorf("lease: %w", err)
	}
	r := resource.Reader{Node: doc}
	ip, prefix, suffix := r.Int64("IP"), r.Int64("MAC_PREFIX"), r.Int64("MAC_SUFFIX")
	l := Lease{
		IP: IP(ip), MAC: MAC{Prefix: uint16(prefix), Suffix: uint32(suffix)}, Used: r.Int("USED") != 0, VID: r.Int("VID"),
	}
	if r.Err != nil {
		return Lease{}, fmt.Errorf("lease: %w", r.Err)
	}
	if int64(l.IP) != ip || int64(l.MAC.Prefix) != prefix || int64(l.MAC.Suffix) != suffix {
		return Lease{}, errors.New("lease: an address is out of range")
	}
	return l, nil
}

// Addresses are the texts of an address that a NIC carries. Site and Global are empty without such a prefix.
type Addresses struct {
	IP, MAC, Link, Site, Global string
}

// Addresses derives the texts of a lease of this network.
func (n *VNet) Addresses(l Lease) Addresses {
	id := l.MAC.interfaceID()
	a := Addresses{IP: l.IP.String(), MAC: l.MAC.String(), Link: ip6(linkLocal, id)}
	if n.site != 0 {
		a.Site = ip6(n.site, id)
	}
	if n.global != 0 {
		a.Global = ip6(n.global, id)
	}
	return a
}

func (n *VNet) appendLease(dst []byte, l *Lease) []byte {
	a := n.Addresses(*l)
	dst = resource.AppendText(append(dst, "<LEASE>"...), "MAC", a.MAC)
	dst = resource.AppendText(dst, "IP", a.IP)
	dst = resource.AppendText(dst, "IP6_LINK", a.Link)
	if a.Site != "" {
		dst = resource.AppendText(dst, "IP6_SITE", a.Site)
	}
	if a.Global != "" {
		dst = resource.AppendText(dst, "IP6_GLOBAL", a.Global)
	}
	dst = append(append(append(dst, "<USED>"...), strconv.FormatInt(number(l.Used), 10)...), "</USED>"...)
	dst = resource.AppendInt(dst, "VID", int64(l.VID))
	return append(dst, "</LEASE>"...)
}

// LoadLease adds the lease of a row, in any order; the last with an IP counts.
func (n *VNet) LoadLease(l Lease) {
	old, _ := n.leases.get(l.IP)
	n.leases.set(l)
	n.used += int(number(l.Used) - number(old.Used))
}

// LeaseChanges says which rows make the leases of old, which may be nil, those of n: put are to be written, gone to be deleted.
func (n *VNet) LeaseChanges(old *VNet) (put []Lease, gone []IP) {
	if old == nil {
		return n.leases.changes(&table{})
	}
	return n.leases.changes(&old.leases)
}

// Lookup is the lease of an address. A free address of a ranged network has none.
func (n *VNet) Lookup(ip IP) (Lease, bool) { return n.leases.get(ip) }

// Take gives vid the next free lease. It reports false when there is none.
//
// A ranged network searches from the address handed out last, which is used again at once when it has been released. A fixed one
// searches from the lease behind the one handed out last.
func (n *VNet) Take(vid int) (Lease, bool) {
	if n.Type == Ranged {
		offset, ok := n.freeOffset()
		if !ok {
			return Lease{}, false
		}
		n.next = offset
		return n.grant(n.Start+IP(offset), vid), true
	}
	i, ip, ok := n.leases.free(n.next)
	if !ok {
		i, ip, ok = n.leases.free(0)
	}
	if !ok {
		return Lease{}, false
	}
	n.next = (i + 1) % n.leases.n
	return n.grant(ip, vid), true
}

// TakeIP gives vid the lease of that address, if the network has the address and it is free.
func (n *VNet) TakeIP(vid int, ip IP) (Lease, bool) {
	if l, ok := n.Lookup(ip); ok && l.Used || !n.Has(ip) {
		return Lease{}, false
	}
	return n.grant(ip, vid), true
}

// Has reports whether the address belongs to the network.
func (n *VNet) Has(ip IP) bool {
	if n.Type == Ranged {
		return n.Start <= ip && ip <= n.End
	}
	_, ok := n.leases.get(ip)
	return ok
}

// grant marks a free address of the network as used by vid.
func (n *VNet) grant(ip IP, vid int) Lease {
	l, ok := n.leases.get(ip)
	if !ok {
		l = Lease{IP: ip, MAC: MAC{n.macPrefix, uint32(ip)}}
	}
	l.Used, l.VID = true, vid
	n.leases.set(l)
	n.used++
	return l
}

// freeOffset finds the first free address of the range, from next on and then from the start. Runs of used leases are skipped
// without looking at every address twice.
func (n *VNet) freeOffset() (int, bool) {
	size := int(n.End-n.Start) + 1
	if n.next >= size {
		n.next = 0
	}
	if offset := n.gap(n.next); offset < size {
		return offset, true
	}
	offset := n.gap(0)
	return offset, offset < n.next
}

// gap is the smallest offset, not below from, whose address is not used. It may lie behind the range.
func (n *VNet) gap(from int) int { return int(n.leases.gap(n.Start+IP(from)) - n.Start) }

// Release gives back the lease of ip if vid has it. It reports whether that was so.
func (n *VNet) Release(vid int, ip IP) bool {
	l, ok := n.leases.get(ip)
	if !ok || !l.Used || l.VID != vid {
		return false
	}
	n.used--
	if n.Type == Ranged {
		n.leases.remove(ip)
		return true
	}
	l.Used, l.VID = false, Held
	n.leases.set(l)
	return true
}
