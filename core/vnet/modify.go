package vnet

import (
	"errors"
	"fmt"

	"goned/core/template"
)

// description is the lease that a request describes: only its first LEASES counts.
func description(t *template.Template) (*template.Vector, error) {
	all := t.All("LEASES")
	if len(all) == 0 || all[0].Vec == nil {
		return nil, errors.New("Empty lease description.")
	}
	return all[0].Vec, nil
}

// AddLeases adds the address that the template describes to a fixed network. Texts of errors are 4.6's, here and below.
func (n *VNet) AddLeases(t *template.Template) error {
	if n.Type == Ranged {
		return errors.New("Adding new leases is only supported for FIXED networks.")
	}
	lease, err := description(t)
	if err != nil {
		return err
	}
	return n.addLease(lease)
}

func (n *VNet) addLease(v *template.Vector) error {
	ipText, macText := v.Get("IP"), v.Get("MAC")
	if ipText == "" && macText == "" {
		return errors.New("Both IP and MAC cannot be empty")
	}
	ip, ok := ParseIP(ipText)
	if !ok && ipText != "" {
		return fmt.Errorf("Error inserting lease, malformed IP = %s", ipText)
	}
	mac, ok := ParseMAC(macText)
	if !ok && macText != "" {
		return fmt.Errorf("Error inserting lease, malformed MAC = %s", macText)
	}
	if ipText == "" {
		ip = IP(mac.Suffix)
	}
	if macText == "" {
		mac = MAC{Prefix: n.macPrefix, Suffix: uint32(ip)}
	}
	if _, exists := n.leases.get(ip); exists {
		return fmt.Errorf("Error inserting lease, IP %s already exists", ipText)
	}
	n.leases.set(Lease{IP: ip, MAC: mac, VID: Held})
	n.next = 0
	return nil
}

// RemoveLeases removes the address that the template describes from a fixed network. A held one may be removed; it no longer
// counts as used then, which 4.6 forgets.
func (n *VNet) RemoveLeases(t *template.Template) error {
	if n.Type == Ranged {
		return errors.New("Removing leases is only supported for FIXED networks.")
	}
	lease, err := description(t)
	if err != nil {
		return err
	}
	text := lease.Get("IP")
	ip, ok := ParseIP(text)
	if !ok {
		return fmt.Errorf("Error deleting lease, malformed IP = %s", text)
	}
	l, ok := n.leases.get(ip)
	if !ok {
		return fmt.Errorf("Error deleting lease, IP %s is not part of NET %d", text, n.ID)
	}
	if l.Used && l.VID != Held {
		return fmt.Errorf("Error deleting lease, IP %s is currently in use", text)
	}
	if l.Used {
		n.used--
	}
	n.leases.remove(ip)
	n.next = 0
	return nil
}

// HoldLeases keeps the address that the template describes from being leased.
func (n *VNet) HoldLeases(t *template.Template) error {
	lease, err := description(t)
	if err != nil {
		return err
	}
	ip, ok := ParseIP(lease.Get("IP"))
	if l, found := n.Lookup(ip); ok && found && l.Used {
		return errors.New("Lease is in use.")
	}
	if ok {
		_, ok = n.TakeIP(Held, ip)
	}
	if !ok {
		return errors.New("Lease is not part of the NET.")
	}
	return nil
}

// ReleaseLeases frees the held address that the template describes.
func (n *VNet) ReleaseLeases(t *template.Template) error {
	lease, err := description(t)
	if err != nil {
		return err
	}
	ip, ok := ParseIP(lease.Get("IP"))
	if !ok {
		return errors.New("Wrong Lease format.")
	}
	if !n.Release(Held, ip) {
		return errors.New("Lease is not on hold.")
	}
	return nil
}
