package xpath

import (
	"math"
	"strings"
	"unicode/utf8"
)

// function is one of XPath's own, with how many arguments it takes.
type function struct {
	least, most int
	call        func(c *context, args []any) (any, error)
}

type callExpr struct {
	call func(c *context, args []any) (any, error)
	args []expr
}

func (e *callExpr) eval(c *context) (any, error) {
	args := make([]any, len(e.args))
	for i, a := range e.args {
		var err error
		if args[i], err = a.eval(c); err != nil {
			return nil, err
		}
		if err := c.stepValue(args[i]); err != nil {
			return nil, err
		}
	}
	if err := c.step(1); err != nil {
		return nil, err
	}
	return e.call(c, args)
}

const manyArguments = 64

var functions = map[string]function{
	"last":     {0, 0, func(c *context, _ []any) (any, error) { return float64(c.size), nil }},
	"position": {0, 0, func(c *context, _ []any) (any, error) { return float64(c.position), nil }},
	"count":    {1, 1, onSet(func(set nodeSet) any { return float64(len(set)) })},
	"sum": {1, 1, onSet(func(set nodeSet) any {
		total := 0.0
		for _, it := range set {
			total += Number(it.value())
		}
		return total
	})},
	"id":            {1, 1, func(*context, []any) (any, error) { return nodeSet(nil), nil }},
	"lang":          {1, 1, func(*context, []any) (any, error) { return false, nil }},
	"name":          {0, 1, nameOf},
	"local-name":    {0, 1, nameOf},
	"namespace-uri": {0, 1, func(*context, []any) (any, error) { return "", nil }},

	"true":    {0, 0, func(*context, []any) (any, error) { return true, nil }},
	"false":   {0, 0, func(*context, []any) (any, error) { return false, nil }},
	"boolean": {1, 1, func(_ *context, a []any) (any, error) { return toBool(a[0]), nil }},
	"not":     {1, 1, func(_ *context, a []any) (any, error) { return !toBool(a[0]), nil }},

	"number":  {0, 1, func(c *context, a []any) (any, error) { return toNumber(orContext(c, a)), nil }},
	"floor":   {1, 1, onNumber(math.Floor)},
	"ceiling": {1, 1, onNumber(math.Ceil)},
	"round":   {1, 1, onNumber(round)},

	"string":          {0, 1, onString(func(s string) any { return s })},
	"string-length":   {0, 1, onString(func(s string) any { return float64(utf8.RuneCountInString(s)) })},
	"normalize-space": {0, 1, onString(func(s string) any { return strings.Join(strings.Fields(s), " ") })},
	"concat": {2, manyArguments, func(_ *context, a []any) (any, error) {
		var b strings.Builder
		for _, v := range a {
			b.WriteString(toString(v))
		}
		return b.String(), nil
	}},
	"starts-with": {2, 2, onStrings(func(s, t string) any { return strings.HasPrefix(s, t) })},
	"contains":    {2, 2, onStrings(func(s, t string) any { return strings.Contains(s, t) })},
	"substring-before": {2, 2, onStrings(func(s, t string) any {
		before, _, found := strings.Cut(s, t)
		if !found {
			return ""
		}
		return before
	})},
	"substring-after": {2, 2, onStrings(func(s, t string) any {
		_, after, _ := strings.Cut(s, t)
		return after
	})},
	"substring": {2, 3, substring},
	"translate": {3, 3, func(_ *context, a []any) (any, error) {
		return translate(toString(a[0]), toString(a[1]), toString(a[2])), nil
	}},
}

func onSet(f func(nodeSet) any) func(*context, []any) (any, error) {
	return func(_ *context, a []any) (any, error) {
		set, ok := a[0].(nodeSet)
		if !ok {
			return nil, errNotNodes
		}
		return f(set), nil
	}
}

func onNumber(f func(float64) float64) func(*context, []any) (any, error) {
	return func(_ *context, a []any) (any, error) { return f(toNumber(a[0])), nil }
}

func onString(f func(string) any) func(*context, []any) (any, error) {
	return func(c *context, a []any) (any, error) { return f(toString(orContext(c, a))), nil }
}

func onStrings(f func(s, t string) any) func(*context, []any) (any, error) {
	return func(_ *context, a []any) (any, error) { return f(toString(a[0]), toString(a[1])), nil }
}

// orContext is the argument, or the context node where there is none.
func orContext(c *context, a []any) any {
	if len(a) > 0 {
		return a[0]
	}
	return c.nodes()
}

func nameOf(c *context, a []any) (any, error) {
	set, ok := orContext(c, a).(nodeSet)
	if !ok {
		return nil, errNotNodes
	}
	if len(set) == 0 {
		return "", nil
	}
	return set[0].name(), nil
}

// round rounds halves up, also below zero.
func round(f float64) float64 { return math.Floor(f + 0.5) }

// substring counts characters from 1 and rounds its bounds.
func substring(_ *context, a []any) (any, error) {
	from := round(toNumber(a[1]))
	to := math.Inf(1)
	if len(a) == 3 {
		to = from + round(toNumber(a[2]))
	}
	var b strings.Builder
	position := 0.0
	for _, r := range toString(a[0]) {
		if position++; position >= from && position < to {
			b.WriteRune(r)
		}
	}
	return b.String(), nil
}

func translate(s, from, to string) string {
	targets := []rune(to)
	replace := make(map[rune]rune)
	for i, r := range []rune(from) {
		if _, seen := replace[r]; seen {
			continue
		}
		replace[r] = -1 // strings.Map drops it
		if i < len(targets) {
			replace[r] = targets[i]
		}
	}
	return strings.Map(func(r rune) rune {
		if t, ok := replace[r]; ok {
			return t
		}
		return r
	}, s)
}
