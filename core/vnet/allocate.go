package vnet

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"

	"goned/core/resource"
	"goned/core/template"
)

// Defaults are what the configuration says about networks: NETWORK_SIZE and MAC_PREFIX.
type Defaults struct {
	Size      uint32
	MACPrefix uint16
}

// New makes a network of the template of an allocation, which it takes over. The base, with id and name, and the cluster have been
// decided and checked before. The error's text is 4.6's. skipped are the texts that 4.6 logs for LEASES it leaves out.
func New(base resource.Base, clusterID int, cluster string, t *template.Template, def Defaults) (n *VNet, skipped []string, err error) {
	n = &VNet{Base: base, ClusterID: clusterID, Cluster: cluster, Template: t, macPrefix: def.MACPrefix}
	switch kind := strings.ToUpper(take(t, "TYPE")); kind {
	case "RANGED":
		n.Type = Ranged
	case "FIXED":
		n.Type = Fixed
	case "":
		return nil, nil, errors.New("No TYPE in template for Virtual Network.")
	default:
		return nil, nil, fmt.Errorf("Wrong type \"%s\" in template for Virtual Network.", kind)
	}
	t.Erase("NAME")
	n.applyTemplate()
	if n.Bridge == "" {
		return nil, nil, errors.New("No BRIDGE in template for Virtual Network.")
	}
	n.GlobalPrefix = take(t, "GLOBAL_PREFIX")
	n.SitePrefix = take(t, "SITE_PREFIX")
	if err := n.readPrefixes(); err != nil {
		return nil, nil, err
	}
	if n.Type == Ranged {
		n.Start, n.End, err = takeRange(t, def.Size)
		return n, nil, err
	}
	for _, a := range t.Take("LEASES") {
		if a.Vec == nil {
			continue
		}
		if err := n.addLease(a.Vec); err != nil {
			skipped = append(skipped, err.Error())
		}
	}
	return n, skipped, nil
}

// SetTemplate replaces the template by one that an update made, be it by replacing or by appending, and applies what it says
// about device, VLAN and bridge. 4.6 does not apply it after appending, so that template and elements differ.
func (n *VNet) SetTemplate(t *template.Template) {
	n.Template = t
	n.applyTemplate()
}

// applyTemplate takes PHYDEV, VLAN_ID, VLAN and BRIDGE from the template and writes them back into it completed. A template
// without bridge keeps the one there was; with a device, a new network gets a bridge of its own.
func (n *VNet) applyTemplate() {
	t := n.Template
	n.PhyDev = take(t, "PHYDEV")
	t.AddSimple("PHYDEV", n.PhyDev)
	n.VLANID = take(t, "VLAN_ID")
	t.AddSimple("VLAN_ID", n.VLANID)
	vlan, _ := t.Bool("VLAN")
	n.VLAN = vlan || n.PhyDev != ""
	if n.VLAN {
		t.Replace("VLAN", "YES")
	} else {
		t.Replace("VLAN", "NO")
	}
	switch bridge := take(t, "BRIDGE"); {
	case bridge != "":
		n.Bridge = bridge
	case n.Bridge != "" || n.PhyDev == "":
	case n.VLANID != "":
		n.Bridge = "onebr." + n.VLANID
	default:
		n.Bridge = "onebr" + strconv.Itoa(n.ID)
	}
	t.AddSimple("BRIDGE", n.Bridge)
}

// take removes the attributes of that name and gives the value of the first.
func take(t *template.Template, name string) string {
	value := t.Get(name)
	t.Erase(name)
	return value
}

// takeRange finds the range of a ranged network and brings the attributes that say it into 4.6's form.
func takeRange(t *template.Template, defaultSize uint32) (start, end IP, err error) {
	if mac := take(t, "MAC_START"); mac != "" {
		return takeMACRange(t, mac, defaultSize)
	}
	startText, endText := take(t, "IP_START"), take(t, "IP_END")
	var ok bool
	if start, ok = ParseIP(startText); !ok && startText != "" {
		return 0, 0, fmt.Errorf("IP_START %s is not a valid IP.", startText)
	}
	if end, ok = ParseIP(endText); !ok && endText != "" {
		return 0, 0, fmt.Errorf("IP_END %s is not a valid IP.", endText)
	}
	if t.Get("NETWORK_ADDRESS") == "" {
		if start == 0 || end == 0 {
			return 0, 0, errors.New("No NETWORK_ADDRESS in template for Virtual Network.")
		}
		return start, end, checkOrder(start, end)
	}
	address, hostBits, err := takeMask(t, defaultSize)
	if err != nil {
		return 0, 0, err
	}
	// 32 host bits count as none: 4.6 shifts a 32-bit number by them.
	shift := hostBits & 31
	mask := IP(0xffffffff) << shift
	t.Replace("NETWORK_MASK", mask.String())
	network, ok := ParseIP(address)
	if !ok {
		return 0, 0, fmt.Errorf("NETWORK_ADDRESS %s is not a valid IP.", address)
	}
	if network&mask != network {
		return 0, 0, fmt.Errorf("NETWORK_ADDRESS %s is not a base address for the network mask %s.", address, mask)
	}
	if start == 0 {
		start = network + 1
	}
	if end == 0 {
		end = network + IP(1)<<shift - 2
	}
	if start&mask != network {
		return 0, 0, fmt.Errorf("IP_START %s is not part of the network %s/%d.", startText, address, 32-hostBits)
	}
	if end&mask != network {
		return 0, 0, fmt.Errorf("IP_END %s is not part of the network %s/%d.", endText, address, 32-hostBits)
	}
	return start, end, checkOrder(start, end)
}

func checkOrder(start, end IP) error {
	if start > end {
		return fmt.Errorf("IP_START %s cannot be greater than the IP_END %s.", start, end)
	}
	return nil
}

// takeMACRange is the range of a network given by its first MAC: it has one address more than its size says, as in 4.6.
func takeMACRange(t *template.Template, text string, defaultSize uint32) (start, end IP, err error) {
	mac, ok := ParseMAC(text)
	if !ok {
		return 0, 0, fmt.Errorf("MAC_START %s is not a valid MAC.", text)
	}
	_, size, err := takeSize(t, defaultSize)
	if err != nil {
		return 0, 0, err
	}
	start = IP(mac.Suffix)
	end = start + IP(size)
	if end < start {
		return 0, 0, errors.New("Size too big, it will overflow MAC address space.")
	}
	for _, name := range []string{"IP_START", "IP_END", "NETWORK_ADDRESS", "NETWORK_MASK"} {
		t.Erase(name)
	}
	return start, end, nil
}

// takeMask gives the network address without its prefix and the number of host bits, from the prefix, the mask or the size.
func takeMask(t *template.Template, defaultSize uint32) (address string, hostBits int, err error) {
	address, prefix, cidr := strings.Cut(t.Get("NETWORK_ADDRESS"), "/")
	if cidr {
		// What is no number counts as 0, as in 4.6.
		n, _ := leadingNumber(prefix)
		if n > 32 {
			return "", 0, fmt.Errorf("A CIDR prefix of %d bits is not valid.", n)
		}
		hostBits = 32 - int(n)
	} else if text := take(t, "NETWORK_MASK"); text != "" {
		mask, ok := ParseIP(text)
		if !ok {
			return "", 0, fmt.Errorf("NETWORK_MASK %s is not a valid network mask.", text)
		}
		hostBits = bits.TrailingZeros32(uint32(mask))
	} else if hostBits, _, err = takeSize(t, defaultSize); err != nil {
		return "", 0, err
	}
	t.Erase("NETWORK_SIZE")
	return address, hostBits, nil
}

// takeSize reads NETWORK_SIZE: the host bits of a network that has room for so many addresses besides its own and the broadcast
// address, and the number itself.
func takeSize(t *template.Template, defaultSize uint32) (hostBits int, size uint32, err error) {
	text := take(t, "NETWORK_SIZE")
	switch strings.ToUpper(text) {
	case "C":
		return 8, 1 << 8, nil
	case "B":
		return 16, 1 << 16, nil
	case "A":
		return 24, 1 << 24, nil
	case "":
		size = defaultSize
	default:
		var ok bool
		if size, ok = leadingNumber(text); !ok {
			return 0, 0, errors.New("NETWORK_SIZE is not an integer number.")
		}
	}
	// The sum wraps around for -1, which gives a network of one address; for -2 it is 0, of which there is no logarithm.
	room := size + 2
	if room == 0 {
		return 0, 0, errors.New("NETWORK_SIZE is not an integer number.")
	}
	return bits.Len32(room - 1), size, nil
}

// leadingNumber reads the number that the text begins with, as C++ streams do: blanks before it and anything behind it are
// skipped, a minus wraps around.
func leadingNumber(text string) (uint32, bool) {
	text = strings.TrimLeft(text, " \t\n\v\f\r")
	digits, negative := strings.CutPrefix(text, "-")
	if !negative {
		digits = strings.TrimPrefix(text, "+")
	}
	end := 0
	for end < len(digits) && digits[end] >= '0' && digits[end] <= '9' {
		end++
	}
	n, err := strconv.ParseUint(digits[:end], 10, 32)
	if err != nil {
		return 0, false
	}
	if negative {
		return -uint32(n), true
	}
	return uint32(n), true
}
