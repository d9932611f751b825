package match

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// String shows the requirement with all its groups in parentheses.
func (b *boundBool) String() string {
	if b == nil {
		return ""
	}
	switch b.op {
	case opNot:
		return "!(" + b.left.String() + ")"
	case opCompare:
		return b.source.comparison.String()
	}
	op := " & "
	if b.op == opOr {
		op = " | "
	}
	return "(" + b.left.String() + op + b.right.String() + ")"
}

func (c comparison) String() string {
	name, constant := c.name, c.constant.text
	if tok, n := scan(name); tok.kind != tokString || n != len(name) {
		name = `"` + name + `"`
	}
	if c.constant.kind == tokString {
		constant = `"` + constant + `"`
	}
	return name + " " + c.relation.String() + " " + constant
}

// operators counts &, | and !.
func (b *boundBool) operators() int {
	if b == nil || b.op == opCompare {
		return 0
	}
	return 1 + b.left.operators() + b.right.operators()
}

// whyFalse returns the comparisons that make the requirement false for
// resource i, each once.
func (b *boundBool) whyFalse(i int) []string {
	reasons := b.why(i, false, nil)
	slices.Sort(reasons)
	return slices.Compact(reasons)
}

// why appends the comparisons that make the requirement what it is for
// resource i, true or false.
func (b *boundBool) why(i int, is bool, reasons []string) []string {
	switch b.op {
	case opNot:
		return b.left.why(i, !is, reasons)
	case opCompare:
		return append(reasons, b.whyComparison(i, is))
	}
	// One false operand makes & false, one true operand makes | true: those
	// are the reasons. Else both are.
	if left := b.left.eval(i); left == is {
		reasons = b.left.why(i, is, reasons)
	}
	if right := b.right.eval(i); right == is {
		reasons = b.right.why(i, is, reasons)
	}
	return reasons
}

func (b *boundBool) whyComparison(i int, is bool) string {
	what := b.source.comparison.String() + " is " + strconv.FormatBool(is) + ": "
	if b.running != nil {
		return what + b.whyRunning(i)
	}
	v := b.column[i]
	found := "found " + quote(v.text)
	switch {
	case !v.present:
		return what + "it has no attribute " + b.source.name + ", which makes every comparison false, != too"
	case b.kind == tokString && b.pattern == "":
		return what + found + "; an empty text matches nothing"
	case b.kind == tokString:
		return what + found + ", compared as a whole with the pattern " + quote(b.pattern)
	case b.kind == tokInteger && !v.isInt:
		return what + found + ", which is no 32-bit integer"
	case b.kind == tokInteger && strconv.Itoa(int(v.integer)) != v.text:
		return what + found + fmt.Sprintf(", read as the integer %d because %s is one", v.integer, b.source.constant.text)
	case b.kind == tokFloat && !v.isFloat:
		return what + found + ", which is no number"
	}
	return what + found
}

func quote(s string) string {
	const longest = 80
	if len(s) > longest {
		s = s[:longest] + "…"
	}
	return strconv.Quote(s)
}

func (b *boundBool) whyRunning(i int) string {
	ids := slices.Sorted(maps.Keys(b.running[i]))
	if len(ids) == 0 {
		return "the host runs no machine"
	}
	const most = 20
	var list strings.Builder
	for n, id := range ids {
		if n == most {
			list.WriteString(" …")
			break
		}
		fmt.Fprintf(&list, " %d", id)
	}
	return "the host runs" + list.String()
}

// terms shows the attributes of a rank with their values on resource i.
func (b *boundRank) terms(i int) string {
	var list []string
	seen := make(map[string]bool)
	b.attributes(func(n *boundRank) {
		if seen[n.name] {
			return
		}
		seen[n.name] = true
		switch v := n.column[i]; {
		case !v.present:
			list = append(list, n.name+" is missing, counts as 0")
		case !v.isFloat:
			list = append(list, n.name+" is "+quote(v.text)+", no number, counts as 0")
		default:
			list = append(list, n.name+" = "+strings.TrimSpace(v.text))
		}
	})
	if b == nil {
		return "0"
	}
	exact, cut := b.eval(i), b.of(i)
	value := strconv.FormatFloat(float64(exact), 'g', -1, 32)
	switch {
	case float32(cut) == exact:
		list = append(list, "rank "+strconv.Itoa(int(cut)))
	case exact >= -2147483648 && exact < 2147483648:
		list = append(list, fmt.Sprintf("rank %s, cut to %d", value, cut))
	default:
		list = append(list, fmt.Sprintf("rank %s, out of range, counts as %d", value, cut))
	}
	return strings.Join(list, "; ")
}

func (b *boundRank) attributes(visit func(*boundRank)) {
	if b == nil {
		return
	}
	if b.op == 'a' {
		visit(b)
	}
	b.left.attributes(visit)
	b.right.attributes(visit)
}
