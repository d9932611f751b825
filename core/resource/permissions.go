package resource

import (
	"strconv"
	"strings"

	"goned/core/template/xmldoc"
)

// Permissions are nine bits in the order of chmod: owner, group, other, each use (4), manage (2), administer (1).
type Permissions uint16

// The bits.
const (
	OwnerU Permissions = 0o400
	OwnerM Permissions = 0o200
	OwnerA Permissions = 0o100
	GroupU Permissions = 0o040
	GroupM Permissions = 0o020
	GroupA Permissions = 0o010
	OtherU Permissions = 0o004
	OtherM Permissions = 0o002
	OtherA Permissions = 0o001
)

var permissionElements = [9]struct {
	bit  Permissions
	name string
}{
	{OwnerU, "OWNER_U"}, {OwnerM, "OWNER_M"}, {OwnerA, "OWNER_A"},
	{GroupU, "GROUP_U"}, {GroupM, "GROUP_M"}, {GroupA, "GROUP_A"},
	{OtherU, "OTHER_U"}, {OtherM, "OTHER_M"}, {OtherA, "OTHER_A"},
}

// Has reports whether all bits of p are set.
func (p Permissions) Has(bits Permissions) bool { return p&bits == bits }

// Bit is 1 or 0, as the database columns want it.
func (p Permissions) Bit(bit Permissions) int {
	if p&bit != 0 {
		return 1
	}
	return 0
}

// AppendXML writes the PERMISSIONS element.
func (p Permissions) AppendXML(dst []byte) []byte {
	dst = append(dst, "<PERMISSIONS>"...)
	for _, e := range permissionElements {
		dst = append(dst, '<')
		dst = append(dst, e.name...)
		dst = append(dst, '>', byte('0'+p.Bit(e.bit)), '<', '/')
		dst = append(dst, e.name...)
		dst = append(dst, '>')
	}
	return append(dst, "</PERMISSIONS>"...)
}

// ReadPermissions reads the PERMISSIONS element n; nil reads as no permission at all.
func ReadPermissions(n *xmldoc.Node) Permissions {
	var p Permissions
	if n == nil {
		return 0
	}
	for _, e := range permissionElements {
		if n.ChildText(e.name) == "1" {
			p |= e.bit
		}
	}
	return p
}

// ParseUmask reads an octal umask as 4.6 does: as much of the text as is an octal number counts, nothing is 0, a number that is too
// large is the largest, and of the result only the nine permission bits.
func ParseUmask(text string) Permissions {
	text = strings.TrimLeft(text, " \t\n\v\f\r")
	end := 0
	if end < len(text) && (text[end] == '-' || text[end] == '+') {
		end++
	}
	for end < len(text) && text[end] >= '0' && text[end] <= '7' {
		end++
	}
	v, _ := strconv.ParseInt(text[:end], 8, 32) // on overflow, the nearest number; without digits, 0
	return Permissions(v & 0o777)
}

// NewPermissions are the bits of an object that is created under umask by an owner: administrators (user 0 or group 0) may get
// admin bits, others may give "other" bits only when the configuration allows it.
func NewPermissions(umask Permissions, uid, gid int, otherAllowed bool) Permissions {
	base := Permissions(0o660)
	switch {
	case uid == 0 || gid == 0:
		base = 0o777
	case otherAllowed:
		base = 0o666
	}
	return base &^ umask
}
