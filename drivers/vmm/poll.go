package vmm

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Monitor is a parsed monitor string: the INFO of a POLL answer or the POLL
// attribute of a host's VM element. A nil figure was not reported and keeps
// its old value.
type Monitor struct {
	MemoryKB *int   // USEDMEMORY
	CPU      *int   // USEDCPU, percent
	NetRx    *int64 // NETRX, bytes
	NetTx    *int64 // NETTX, bytes
	// State is the first letter of STATE: a, p, e, d or -; 0 if not reported.
	State byte
	// Custom are all other words, in order; they go to the VM's template.
	Custom []Attribute
}

// Attribute is one NAME=VALUE word.
type Attribute struct{ Name, Value string }

// ParseMonitor reads blank-separated NAME=VALUE words. As in 4.6 the whole
// string is refused if it is empty, if a word lacks `=`, a name or a value, or
// if a figure does not begin with a number in range.
func ParseMonitor(text string) (Monitor, error) {
	var m Monitor
	words := strings.FieldsFunc(text, func(r rune) bool { return r < 128 && strings.ContainsRune(" \t\n\v\f\r", r) })
	if len(words) == 0 {
		return m, fmt.Errorf("monitor string is empty")
	}
	for _, word := range words {
		name, value, ok := strings.Cut(word, "=")
		if !ok || name == "" || value == "" {
			return Monitor{}, fmt.Errorf("monitor word %q is not NAME=VALUE", word)
		}
		if err := m.set(name, value); err != nil {
			return Monitor{}, err
		}
	}
	return m, nil
}

func (m *Monitor) set(name, value string) error {
	switch name {
	case "USEDMEMORY", "USEDCPU":
		n, err := leadingInt(value, math.MinInt32, math.MaxInt32)
		if err != nil {
			return fmt.Errorf("monitor word %s: %w", name, err)
		}
		figure := int(n)
		if name == "USEDCPU" {
			m.CPU = &figure
		} else {
			m.MemoryKB = &figure
		}
	case "NETRX", "NETTX":
		n, err := leadingInt(value, math.MinInt64, math.MaxInt64)
		if err != nil {
			return fmt.Errorf("monitor word %s: %w", name, err)
		}
		if name == "NETRX" {
			m.NetRx = &n
		} else {
			m.NetTx = &n
		}
	case "STATE":
		m.State = value[0]
	default:
		m.Custom = append(m.Custom, Attribute{name, value})
	}
	return nil
}

// leadingInt reads the decimal number a value begins with: 5.9 is 5.
func leadingInt(s string, lo, hi int64) (int64, error) {
	n := 0
	if s[0] == '-' || s[0] == '+' {
		n++
	}
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	v, err := strconv.ParseInt(s[:n], 10, 64)
	if err != nil || v < lo || v > hi {
		return 0, fmt.Errorf("%q does not begin with a number in range", s)
	}
	return v, nil
}
