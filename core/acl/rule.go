// Package acl is 4.6's access rules: their encoding in numbers, their text form, their validation, and the ordered set of all
// rules. Evaluating them is the matter of package auth.
package acl

import (
	"math"
	"strconv"
	"strings"

	"goned/core/resource"
)

// Selectors, bits of the user, resource and zone words. The low 32 bits of a word are the id that the selector is about.
const (
	Individual = 0x100000000 // one object: #
	Group      = 0x200000000 // the objects, or users, of a group: @
	All        = 0x400000000 // *
	Cluster    = 0x800000000 // the objects in a cluster: %

	selectors = Individual | Group | All | Cluster
	idMask    = 0xFFFFFFFF
	noType    = 0xFFFF000000000000 - 1<<64 // as a signed number
)

// The rights.
const (
	Use    = 0x1
	Manage = 0x2
	Admin  = 0x4
	Create = 0x8
)

// Rule lets some users do something with some objects in some zones. The words are signed because 4.6 stores and compares them
// so.
type Rule struct {
	ID                           int
	User, Resource, Rights, Zone int64
}

// wordID is the id in a word, a signed 32-bit number as in 4.6.
func wordID(w int64) int { return int(int32(w & idMask)) }

// UserID is the id in the user word.
func (r *Rule) UserID() int { return wordID(r.User) }

// ResourceID is the id in the resource word.
func (r *Rule) ResourceID() int { return wordID(r.Resource) }

// ZoneID is the id in the zone word.
func (r *Rule) ZoneID() int { return wordID(r.Zone) }

// Types are the type bits of the resource word.
func (r *Rule) Types() resource.Kind { return resource.Kind(r.Resource) & knownTypes }

// Is reports whether the four words are the same; the id does not count.
func (r *Rule) Is(other *Rule) bool {
	return r.User == other.User && r.Resource == other.Resource && r.Rights == other.Rights && r.Zone == other.Zone
}

// typeOrder is the order of type names in the text form. ACL itself has no name there.
var typeOrder = [...]resource.Kind{
	resource.VM, resource.Host, resource.Net, resource.Image, resource.User, resource.Template, resource.Group,
	resource.Datastore, resource.Cluster, resource.Document, resource.Zone,
}

const knownTypes = resource.VM | resource.Host | resource.Net | resource.Image | resource.User | resource.Template |
	resource.Group | resource.ACL | resource.Datastore | resource.Cluster | resource.Document | resource.Zone

var rightNames = [...]struct {
	bit  int64
	name string
}{{Use, "USE"}, {Manage, "MANAGE"}, {Admin, "ADMIN"}, {Create, "CREATE"}}

// String is the text form, "@1 NET+DATASTORE/* USE #0".
func (r *Rule) String() string {
	b := make([]byte, 0, 64)
	b = appendSelector(b, r.User, "@#*", Group, Individual, All)
	b = append(b, ' ')
	start := len(b)
	for _, k := range typeOrder {
		if resource.Kind(r.Resource)&k != 0 {
			b = appendJoined(b, start, k.String())
		}
	}
	b = append(b, '/')
	b = appendSelector(b, r.Resource, "@#%*", Group, Individual, Cluster, All)
	b = append(b, ' ')
	start = len(b)
	for _, right := range rightNames {
		if r.Rights&right.bit != 0 {
			b = appendJoined(b, start, right.name)
		}
	}
	b = append(b, ' ')
	return string(appendSelector(b, r.Zone, "#*", Individual, All))
}

func appendJoined(b []byte, start int, word string) []byte {
	if len(b) > start {
		b = append(b, '+')
	}
	return append(b, word...)
}

// appendSelector writes the first of the selectors that the word has, with the id behind all but "*".
func appendSelector(b []byte, w int64, signs string, bits ...int64) []byte {
	for i, bit := range bits {
		if w&bit == 0 {
			continue
		}
		b = append(b, signs[i])
		if bit != All {
			b = strconv.AppendInt(b, int64(wordID(w)), 10)
		}
		return b
	}
	return append(b, "??"...)
}

// ParseHex reads a word as the API gives it: hexadecimal with or without 0x, up to the first other character; what is too large
// is the largest number, what is no number is 0.
func ParseHex(s string) int64 {
	s = strings.TrimLeft(s, " \t\n\v\f\r")
	negative := strings.HasPrefix(s, "-")
	if negative || strings.HasPrefix(s, "+") {
		s = s[1:]
	}
	if len(s) > 1 && s[0] == '0' && s[1]|0x20 == 'x' {
		s = s[2:]
	}
	end := 0
	for end < len(s) && isHex(s[end]) {
		end++
	}
	if end == 0 {
		return 0
	}
	n, err := strconv.ParseUint(s[:end], 16, 63)
	switch {
	case err == nil && negative:
		return -int64(n)
	case err == nil:
		return int64(n)
	case negative:
		return math.MinInt64
	}
	return math.MaxInt64
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f' }

// Malformed is what is wrong with the rule in 4.6's words, or "" if nothing is.
func (r *Rule) Malformed() string {
	var b strings.Builder
	check := func(wrong bool, text string) {
		if !wrong {
			return
		}
		if b.Len() > 0 {
			b.WriteString("; ")
		}
		b.WriteString(text)
	}
	r.checkUser(check)
	r.checkResource(check)
	check(r.Rights == 0, "wrong [rights], it cannot be 0")
	check(r.Rights > 0xF, "wrong [rights], it cannot be bigger than 0xF")
	// compat: 4.6 puts no "; " in front of this text.
	if r.Zone&Group != 0 {
		b.WriteString("[zone] GROUP (@) bit is not supported")
	}
	r.checkZone(check)
	return b.String()
}

func (r *Rule) checkUser(check func(bool, string)) {
	w := r.User
	check(w&Individual != 0 && w&Group != 0, "[user] INDIVIDUAL (#) and GROUP (@) bits are exclusive")
	check(w&Individual != 0 && w&All != 0, "[user] INDIVIDUAL (#) and ALL (*) bits are exclusive")
	check(w&Group != 0 && w&All != 0, "[user] GROUP (@) and ALL (*) bits are exclusive")
	check(w&(Individual|Group|All) == 0, "[user] is missing one of the INDIVIDUAL, GROUP or ALL bits")
	check(wordID(w) < 0, "[user] ID cannot be negative")
	check(w&All != 0 && wordID(w) != 0, "when using the ALL bit, [user] ID must be 0")
}

func (r *Rule) checkResource(check func(bool, string)) {
	w, types := r.Resource, r.Types()
	set := w & selectors
	check(set&(set-1) != 0, "[resource] INDIVIDUAL (#), GROUP (@), CLUSTER (%) and ALL (*) bits are exclusive")
	check(w&Cluster != 0 && types&^(resource.Datastore|resource.Host|resource.Net) != 0,
		"[resource] CLUSTER(%) selector can be applied only to DATASTORE, HOST and NET types")
	check(w&Group != 0 && types&(resource.Host|resource.Group|resource.Cluster|resource.Zone) != 0,
		"[resource] GROUP(@) selector cannot be applied to HOST, GROUP, CLUSTER or ZONE types")
	check(set == 0, "[resource] is missing one of the INDIVIDUAL, GROUP, CLUSTER or ALL bits")
	check(wordID(w) < 0, "[resource] ID cannot be negative")
	check(w&All != 0 && wordID(w) != 0, "when using the ALL bit, [resource] ID must be 0")
	check(types == 0, "[resource] type is missing")
	check(w&noType != 0, "wrong [resource] type")
}

func (r *Rule) checkZone(check func(bool, string)) {
	w := r.Zone
	check(w&Individual != 0 && w&All != 0, "[zone] INDIVIDUAL (#) and ALL (*) bits are exclusive")
	check(w&(Individual|Group|All) == 0, "[zone] is missing one of the INDIVIDUAL or ALL bits")
	check(wordID(w) < 0, "[zone] ID cannot be negative")
	check(w&All != 0 && wordID(w) != 0, "when using the ALL bit, [zone] ID must be 0")
	check(w&All != 0 && r.Resource&Individual != 0 &&
		r.Types()&^(resource.User|resource.Group|resource.Zone|resource.ACL) != 0,
		"[resource] INDIVIDUAL(#) selector cannot be applied to ALL zones, except for USER, GROUP and ZONE types")
}
