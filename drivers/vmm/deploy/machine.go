package deploy

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"goned/core/template"
	"goned/core/vm"
)

const (
	warnContext  = "Could not find target device to attach context, will continue without it."
	warnGraphics = "Not supported graphics type, ignored."
)

// machine is a VM whose file is being written.
type machine struct {
	vm       *vm.VM
	defaults defaults
	dir      string // of the VM on its host
	out      strings.Builder
	warnings []string
}

func newMachine(in Input) (*machine, error) {
	v, err := vm.Parse(in.VM)
	if err != nil {
		return nil, fmt.Errorf("deployment file: %w", err)
	}
	m := &machine{vm: v, defaults: defaults{in.Defaults}}
	if run := v.Current(); run != nil {
		m.dir = run.RemoteDir()
	}
	return m, nil
}

func (m *machine) printf(format string, args ...any) { fmt.Fprintf(&m.out, format, args...) }

func (m *machine) warn(text string) { m.warnings = append(m.warnings, text) }

// vector is the first attribute of that name if it is a vector: a plain one in front hides it.
func (m *machine) vector(name string) *template.Vector {
	if all := m.vm.Template.All(name); len(all) > 0 {
		return all[0].Vec
	}
	return nil
}

func (m *machine) vectors(name string) []*template.Vector { return m.vm.Template.Vectors(name) }

// context is the CONTEXT; one of two counts as none.
func (m *machine) context() *template.Vector {
	if all := m.vm.Template.All("CONTEXT"); len(all) == 1 {
		return all[0].Vec
	}
	return nil
}

// contextDisk is the CONTEXT if it has a disk; it warns when it has none.
func (m *machine) contextDisk() *template.Vector {
	context := m.context()
	if context != nil && context.Get("TARGET") == "" {
		m.warn(warnContext)
		return nil
	}
	return context
}

// text is a value of the VM, or the default for it.
func (m *machine) text(name string) string {
	if s := m.vm.Template.Get(name); s != "" {
		return s
	}
	return m.defaults.text(name)
}

// member is a member of a vector of the VM (which may be nil), or the default for it.
func (m *machine) member(v *template.Vector, name, key string) string {
	if s := v.Get(key); s != "" {
		return s
	}
	return m.defaults.member(name, key)
}

// flag is a switch of the VM's FEATURES, or the default for it; ok is false when neither has a value.
func (m *machine) flag(key string) (on, ok bool) {
	if on, ok = m.vector("FEATURES").Bool(key); ok {
		return on, true
	}
	s := m.defaults.member("FEATURES", key)
	return strings.EqualFold(s, "YES"), s != ""
}

// raw are the lines the user wrote for this hypervisor, then the administrator's for all VMs.
func (m *machine) raw(kind string) []string {
	var lines []string
	for _, r := range m.vectors("RAW") {
		if upper(r.Get("TYPE")) == kind {
			lines = append(lines, r.Get("DATA"))
		}
	}
	if s := m.defaults.text("RAW"); s != "" {
		lines = append(lines, s)
	}
	return lines
}

// defaults is a driver's DEFAULT file. A later attribute replaces those of the same name before it.
type defaults struct{ t *template.Template }

func (d defaults) last(name string) template.Attr {
	all := d.t.All(name)
	if len(all) == 0 {
		return template.Attr{}
	}
	return all[len(all)-1]
}

// text is "" for a vector.
func (d defaults) text(name string) string { return d.last(name).Value }

// member is "" for a plain attribute.
func (d defaults) member(name, key string) string { return d.last(name).Vec.Get(key) }

// diskID is -1, as in 4.6, where there is no number.
func diskID(v *template.Vector) int {
	if n, ok := v.Int32("DISK_ID"); ok {
		return int(n)
	}
	return -1
}

func readOnly(disk *template.Vector) bool {
	yes, _ := disk.Bool("READONLY")
	return yes
}

// upper changes ASCII letters alone.
func upper(s string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' {
			return r - 'a' + 'A'
		}
		return r
	}, s)
}

func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r - 'A' + 'a'
		}
		return r
	}, s)
}

// fields splits at a separator and drops empty parts. Blanks stay.
func fields(s string, separator rune) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == separator })
}

// general writes a number as C's %g does: six digits, and an exponent where they don't suffice.
func general(f float64) string {
	s := strconv.FormatFloat(f, 'g', 6, 64)
	if math.IsInf(f, 0) {
		return strings.TrimPrefix(lower(s), "+")
	}
	return s
}

// units is a share of CPU in the hypervisor's units, rounded up. 4.6 calculates it in 32 bits.
func units(cpu, each float32) string { return general(math.Ceil(float64(cpu * each))) }

// leadingFloat reads a number as C's atof does, whatever follows it; 0 if there is none.
func leadingFloat(s string) float32 {
	s = strings.TrimLeft(s, " \t\n\v\f\r")
	for end := min(len(s), 64); end > 0; end-- {
		if strings.ContainsAny(s[:end], "_xXiInN") {
			continue
		}
		if f, err := strconv.ParseFloat(s[:end], 64); err == nil || errors.Is(err, strconv.ErrRange) {
			return float32(f)
		}
	}
	return 0
}

// leadingInt reads a decimal number in front of whatever follows it; ok is false if there is none or it needs more bits.
func leadingInt(s string, bits int) (n int64, ok bool) {
	s = strings.TrimLeft(s, " \t\n\v\f\r")
	end := 0
	if s != "" && (s[0] == '+' || s[0] == '-') {
		end++
	}
	for end < len(s) && '0' <= s[end] && s[end] <= '9' {
		end++
	}
	n, err := strconv.ParseInt(s[:end], 10, bits)
	return n, err == nil
}
