package vnet

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// IP is an IPv4 address as a number.
type IP uint32

// String is the dotted form.
func (ip IP) String() string {
	return netip.AddrFrom4([4]byte{byte(ip >> 24), byte(ip >> 16), byte(ip >> 8), byte(ip)}).String()
}

// ParseIP reads four decimal octets. Leading zeros are decimal, as in 4.6.
func ParseIP(text string) (IP, bool) {
	parts := strings.Split(text, ".")
	if len(parts) != 4 {
		return 0, false
	}
	var ip IP
	for _, p := range parts {
		n, err := strconv.ParseUint(strings.TrimSpace(p), 10, 8)
		if err != nil {
			return 0, false
		}
		ip = ip<<8 | IP(n)
	}
	return ip, true
}

// MAC is a hardware address in the two numbers that the database keeps: the first two bytes and the last four.
type MAC struct {
	Prefix uint16
	Suffix uint32
}

// String is the form with colons, lower case.
func (m MAC) String() string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m.Prefix>>8, m.Prefix&255, m.Suffix>>24, m.Suffix>>16&255, m.Suffix>>8&255,
		m.Suffix&255)
}

// ParseMAC reads six hexadecimal bytes with colons between them.
func ParseMAC(text string) (MAC, bool) {
	n, ok := parseHexBytes(text, 6)
	return MAC{Prefix: uint16(n >> 32), Suffix: uint32(n)}, ok
}

// ParseMACPrefix reads the two bytes of the configuration's MAC_PREFIX.
func ParseMACPrefix(text string) (uint16, bool) {
	n, ok := parseHexBytes(text, 2)
	return uint16(n), ok
}

func parseHexBytes(text string, count int) (uint64, bool) {
	parts := strings.Split(text, ":")
	if len(parts) != count {
		return 0, false
	}
	var n uint64
	for _, p := range parts {
		b, err := strconv.ParseUint(strings.TrimSpace(p), 16, 8)
		if err != nil {
			return 0, false
		}
		n = n<<8 | b
	}
	return n, true
}

// interfaceID is the lower half of the IPv6 addresses of a MAC. 4.6 adds 0x0200 to the first two bytes, where EUI-64 flips one
// bit: with the prefix 02:00 it gives 0400. Guests are configured with it, so it stays. Above fdff it wraps around.
func (m MAC) interfaceID() uint64 {
	high := uint64(m.Prefix+0x0200)<<16 | uint64(m.Suffix>>24)<<8 | 0xff
	return high<<32 | 0xfe000000 | uint64(m.Suffix&0xffffff)
}

const linkLocal = 0xfe80 << 48

// ip6 joins the halves of an IPv6 address and writes it the short way.
func ip6(prefix, id uint64) string {
	var a [16]byte
	for i := range 8 {
		a[i] = byte(prefix >> (56 - 8*i))
		a[8+i] = byte(id >> (56 - 8*i))
	}
	return netip.AddrFrom16(a).String()
}

// parsePrefix6 reads the upper half of an IPv6 address; an empty text is 0, no prefix.
func parsePrefix6(text string) (uint64, error) {
	if text == "" {
		return 0, nil
	}
	a, err := netip.ParseAddr(text)
	if err != nil || !a.Is6() || a.Zone() != "" {
		return 0, fmt.Errorf("%s does not contain a character string representing a valid prefix", text)
	}
	var n uint64
	b := a.As16()
	for _, octet := range b[:8] {
		n = n<<8 | uint64(octet)
	}
	return n, nil
}

func (n *VNet) readPrefixes() error {
	var err error
	if n.global, err = parsePrefix6(n.GlobalPrefix); err != nil {
		return err
	}
	n.site, err = parsePrefix6(n.SitePrefix)
	return err
}
