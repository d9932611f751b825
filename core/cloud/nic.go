package cloud

import (
	"errors"
	"fmt"
	"strconv"

	"goned/core/resource"
	"goned/core/state"
	"goned/core/template"
	"goned/core/vm"
	"goned/core/vnet"
)

// nics gives each NIC its lease.
func (b *builder) nics() error {
	for i, nic := range b.vm.Template.Vectors("NIC") {
		if err := JoinNetwork(b.tx, b.vm, nic, i); err != nil {
			return err
		}
	}
	return nil
}

// FindNetwork is the network that a NIC names for a VM of user uid: by name and owner, or by id. Both results nil: it names none.
func FindNetwork(s *state.Snapshot, nic *template.Vector, uid int) (*vnet.VNet, error) {
	if name, ok := nic.Lookup("NETWORK"); ok && name != "" {
		owner, err := nicOwner(s, nic, uid)
		if err != nil {
			return nil, err
		}
		if n := s.Nets.ByName(vnet.Key(owner, name)); n != nil {
			return n, nil
		}
		return nil, fmt.Errorf("User %d does not own a network with name: %s . Set NETWORK_UNAME or NETWORK_UID of owner in NIC.",
			owner, name)
	}
	text, ok := nic.Lookup("NETWORK_ID")
	if !ok || text == "" {
		return nil, nil
	}
	if id, err := leadingInt(text); err == nil {
		if n := s.Nets.Get(id); n != nil {
			return n, nil
		}
	}
	return nil, errors.New("Virtual network with ID: " + text + " does not exist")
}

func nicOwner(s *state.Snapshot, nic *template.Vector, uid int) (int, error) {
	if text := nic.Get("NETWORK_UID"); text != "" {
		id, err := leadingInt(text)
		if err != nil {
			return 0, errors.New("Cannot get user in NETWORK_UID")
		}
		return id, nil
	}
	if name := nic.Get("NETWORK_UNAME"); name != "" {
		u := s.Users.ByName(name)
		if u == nil {
			return 0, errors.New("User set in NETWORK_UNAME does not exist")
		}
		return u.ID, nil
	}
	return uid, nil
}

// leadingInt reads the number that a text begins with.
func leadingInt(text string) (int, error) {
	end := 0
	for end < len(text) && (text[end] >= '0' && text[end] <= '9' || end == 0 && (text[0] == '-' || text[0] == '+')) {
		end++
	}
	return strconv.Atoi(text[:end])
}

// JoinNetwork takes a lease for a NIC and completes it. A NIC that names no network gets a number only.
func JoinNetwork(tx *state.Tx, v *vm.VM, nic *template.Vector, id int) error {
	// Network drivers see to the marked NICs alone: in 4.6 the rules of all others can be avoided so.
	nic.Del("ATTACH")
	nic.Set("NIC_ID", strconv.Itoa(id))
	found, err := FindNetwork(tx.View(), nic, v.UID)
	if err != nil || found == nil {
		return err
	}
	n := tx.Nets.Edit(found.ID)
	lease, ok := takeLease(n, v.ID, nic.Get("IP"))
	if !ok {
		return fmt.Errorf("Cannot get IP/MAC lease from virtual network %d.", n.ID)
	}
	a := n.Addresses(lease)
	nic.Set("NETWORK", n.Name)
	nic.Set("NETWORK_ID", strconv.Itoa(n.ID))
	nic.Set("BRIDGE", n.Bridge)
	nic.Set("MAC", a.MAC)
	nic.Set("IP", a.IP)
	nic.Set("IP6_LINK", a.Link)
	setIf(nic, "IP6_GLOBAL", a.Global)
	setIf(nic, "IP6_SITE", a.Site)
	nic.Set("VLAN", yesNo(n.VLAN))
	setIf(nic, "PHYDEV", n.PhyDev)
	setIf(nic, "VLAN_ID", n.VLANID)
	if n.ClusterID != resource.NoCluster {
		nic.Set("CLUSTER_ID", strconv.Itoa(n.ClusterID))
	}
	for _, name := range tx.Conf.InheritVNet {
		setIf(nic, name, n.Template.Get(name))
	}
	return nil
}

func takeLease(n *vnet.VNet, vmID int, wanted string) (vnet.Lease, bool) {
	if wanted == "" {
		return n.Take(vmID)
	}
	ip, ok := vnet.ParseIP(wanted)
	if !ok {
		return vnet.Lease{}, false
	}
	return n.TakeIP(vmID, ip)
}

// leaveNetwork gives a NIC's lease back.
func leaveNetwork(tx *state.Tx, v *vm.VM, nic *template.Vector) {
	id, err := strconv.Atoi(nic.Get("NETWORK_ID"))
	ip, ok := vnet.ParseIP(nic.Get("IP"))
	if err != nil || !ok || tx.Nets.Get(id) == nil {
		return
	}
	tx.Nets.Edit(id).Release(v.ID, ip)
}

func setIf(v *template.Vector, key, value string) {
	if value != "" {
		v.Set(key, value)
	}
}

func yesNo(b bool) string {
	if b {
		return "YES"
	}
	return "NO"
}
