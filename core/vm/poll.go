package vm

import (
	"errors"
	"strconv"
	"strings"

	"goned/core/template"
)

// absent is what 4.6 takes for "not reported" in the numbers of a poll; a driver that sends it says the same.
const absent = -1

// Poll is what a driver reported about a VM. Numbers that it did not report are -1.
type Poll struct {
	Memory int64 // KB
	CPU    int64 // percent of one core
	NetRX  int64 // bytes
	NetTX  int64 // bytes
	// State is the character after STATE=, '-' without one: a running, p paused, e failed, d not found.
	State byte
	// Custom are the other pairs; of equal names the first counts.
	Custom []template.Pair
}

// own are the attributes of TEMPLATE that are the daemon's: what quotas, capacity, images and leases are counted by. A driver that
// reports one of them replaces it in 4.6.
var own = map[string]bool{
	"VMID": true, "TEMPLATE_ID": true, "CPU": true, "MEMORY": true, "VCPU": true, "OS": true, "DISK": true, "NIC": true,
	"CONTEXT": true, "GRAPHICS": true, "INPUT": true, "FEATURES": true, "RAW": true, "SNAPSHOT": true, "CREATED_BY": true,
	"AUTOMATIC_REQUIREMENTS": true,
}

// ErrPoll says that a poll text is malformed.
var ErrPoll = errors.New("malformed monitoring information")

// ParsePoll reads the NAME=VALUE pairs of a poll answer or of a VM in a host's answer. A pair without value, a known name whose
// value does not begin with a number that fits, and an empty text make all of it malformed, as in 4.6. Custom pairs that could
// not be stored as XML are left out; 4.6 stops storing the VM then.
func ParsePoll(text string) (Poll, error) {
	p := Poll{Memory: absent, CPU: absent, NetRX: absent, NetTX: absent, State: '-'}
	pairs := strings.FieldsFunc(text, isStreamSpace)
	if len(pairs) == 0 {
		return Poll{}, ErrPoll
	}
	seen := map[string]bool{}
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		if name == "" || value == "" {
			return Poll{}, ErrPoll
		}
		ok := true
		switch name {
		case "USEDMEMORY":
			p.Memory, ok = leadingInt(value, 32)
		case "USEDCPU":
			p.CPU, ok = leadingInt(value, 32)
		case "NETRX":
			p.NetRX, ok = leadingInt(value, 64)
		case "NETTX":
			p.NetTX, ok = leadingInt(value, 64)
		case "STATE":
			p.State = value[0]
		default:
			if !seen[name] && !own[strings.ToUpper(name)] && storable(name, value) {
				p.Custom = append(p.Custom, template.Pair{Key: name, Value: value})
			}
			seen[name] = true
		}
		if !ok {
			return Poll{}, ErrPoll
		}
	}
	return p, nil
}

func isStreamSpace(r rune) bool { return r == ' ' || r >= '\t' && r <= '\r' }

// leadingInt reads the integer that the value begins with: "33.7" is 33.
func leadingInt(value string, bits int) (int64, bool) {
	end := 0
	if value[0] == '-' || value[0] == '+' {
		end = 1
	}
	for end < len(value) && value[end] >= '0' && value[end] <= '9' {
		end++
	}
	n, err := strconv.ParseInt(value[:end], 10, bits)
	return n, err == nil
}

func storable(name, value string) bool {
	t := &template.Template{}
	t.AddSimple(name, value)
	return t.XMLSafe() == nil
}

// ApplyPoll stores what a poll reported at the time now (epoch seconds). Custom pairs land in the template, as in 4.6.
func (v *VM) ApplyPoll(p Poll, now int64) {
	v.LastPoll = now
	for _, n := range []struct {
		to   *int64
		from int64
	}{{&v.Memory, p.Memory}, {&v.CPU, p.CPU}, {&v.NetTX, p.NetTX}, {&v.NetRX, p.NetRX}} {
		if n.from != absent {
			*n.to = n.from
		}
	}
	for _, c := range p.Custom {
		v.Template.Replace(c.Key, c.Value)
	}
	v.RefreshSnapshot()
	v.ClearMonitorError()
}
