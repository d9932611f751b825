package xpath

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
)

// expr is evaluated to a nodeSet, a float64, a string or a bool.
type expr interface {
	eval(c *context) (any, error)
}

var errNotNodes = errors.New("xpath: not a set of nodes")

type constant struct{ value any }

func (e constant) eval(*context) (any, error) { return e.value, nil }

type minusExpr struct {
	operand  expr
	negative bool
}

func (e *minusExpr) eval(c *context) (any, error) {
	v, err := e.operand.eval(c)
	if err != nil {
		return nil, err
	}
	if err := c.stepValue(v); err != nil {
		return nil, err
	}
	n := toNumber(v)
	if e.negative {
		n = -n
	}
	return n, nil
}

type unionExpr struct{ left, right expr }

func (e *unionExpr) eval(c *context) (any, error) {
	left, err := evalSet(e.left, c)
	if err != nil {
		return nil, err
	}
	right, err := evalSet(e.right, c)
	if err != nil {
		return nil, err
	}
	return sortSet(append(slices.Clone(left), right...)), nil
}

func evalSet(e expr, c *context) (nodeSet, error) {
	v, err := e.eval(c)
	if err != nil {
		return nil, err
	}
	set, ok := v.(nodeSet)
	if !ok {
		return nil, errNotNodes
	}
	return set, nil
}

// filterExpr is a primary expression with predicates.
type filterExpr struct {
	primary    expr
	predicates []expr
}

func (e *filterExpr) eval(c *context) (any, error) {
	set, err := evalSet(e.primary, c)
	if err != nil {
		return nil, err
	}
	return filter(c, set, e.predicates)
}

// filter keeps the nodes for which all predicates hold; the order of the list
// gives the positions.
func filter(c *context, list []*item, predicates []expr) (nodeSet, error) {
	for _, p := range predicates {
		var kept []*item
		for i, it := range list {
			if err := c.step(1); err != nil {
				return nil, err
			}
			v, err := p.eval(&context{root: c.root, node: it, position: i + 1, size: len(list), steps: c.steps})
			if err != nil {
				return nil, err
			}
			if n, isNumber := v.(float64); isNumber && n == float64(i+1) || !isNumber && toBool(v) {
				kept = append(kept, it)
			}
		}
		list = kept
	}
	return list, nil
}

type pathExpr struct {
	absolute bool
	start    expr // nil: the context node
	steps    []step
}

type step struct {
	axis       string
	test       nodeTest
	predicates []expr
}

// nodeTest is a name, * or a node type; comments and processing instructions
// never match, documents do not keep them.
type nodeTest struct {
	name string
	any  bool
	text bool
}

func (t nodeTest) matches(it *item) bool {
	switch {
	case t.any:
		return true
	case t.text:
		return it.kind == textNode
	}
	return it.kind == elementNode && t.name != "" && (t.name == "*" || t.name == it.element.Name)
}

func (e *pathExpr) eval(c *context) (any, error) {
	set := c.nodes()
	switch {
	case e.absolute:
		set = nodeSet{c.root}
	case e.start != nil:
		var err error
		if set, err = evalSet(e.start, c); err != nil {
			return nil, err
		}
	}
	for _, s := range e.steps {
		var next nodeSet
		for _, it := range set {
			found, err := s.from(c, it)
			if err != nil {
				return nil, err
			}
			next = append(next, found...)
		}
		set = sortSet(next)
	}
	return set, nil
}

func (s step) from(c *context, it *item) (nodeSet, error) {
	nodes := axis(s.axis, it)
	if err := c.step(1 + len(nodes)); err != nil {
		return nil, err
	}
	var found []*item
	for _, n := range nodes {
		if s.test.matches(n) {
			found = append(found, n)
		}
	}
	return filter(c, found, s.predicates)
}

type binaryExpr struct {
	op          string
	left, right expr
}

func (e *binaryExpr) eval(c *context) (any, error) {
	left, err := e.left.eval(c)
	if err != nil {
		return nil, err
	}
	switch {
	case e.op == "or" && toBool(left):
		return true, nil
	case e.op == "and" && !toBool(left):
		return false, nil
	}
	right, err := e.right.eval(c)
	if err != nil {
		return nil, err
	}
	switch e.op {
	case "or", "and":
		return toBool(right), nil
	case "=", "!=", "<", "<=", ">", ">=":
		return compare(c, e.op, left, right)
	}
	if err := errors.Join(c.stepValue(left), c.stepValue(right)); err != nil {
		return nil, err
	}
	return arithmetic(e.op, toNumber(left), toNumber(right)), nil
}

func arithmetic(op string, a, b float64) float64 {
	switch op {
	case "+":
		return a + b
	case "-":
		return a - b
	case "*":
		return a * b
	case "div":
		return a / b
	}
	return math.Mod(a, b)
}

// compare is true if it holds for one pair out of the two sides, where a set
// of nodes stands for the values of its nodes.
func compare(c *context, op string, left, right any) (bool, error) {
	ls, leftSet := left.(nodeSet)
	rs, rightSet := right.(nodeSet)
	// A boolean makes the other side one as well, sets included.
	_, leftBool := left.(bool)
	_, rightBool := right.(bool)
	if leftBool || rightBool {
		if op == "=" || op == "!=" {
			return (toBool(left) == toBool(right)) == (op == "="), nil
		}
		return compareNumbers(op, toNumber(toBool(left)), toNumber(toBool(right))), nil
	}
	if err := errors.Join(c.stepValue(left), c.stepValue(right)); err != nil {
		return false, err
	}
	lefts, rights := []any{left}, []any{right}
	if leftSet {
		lefts = values(ls)
	}
	if rightSet {
		rights = values(rs)
	}
	if err := c.step(len(lefts) * len(rights)); err != nil {
		return false, err
	}
	for _, l := range lefts {
		for _, r := range rights {
			if compareValues(op, l, r) {
				return true, nil
			}
		}
	}
	return false, nil
}

func values(set nodeSet) []any {
	all := make([]any, len(set))
	for i, it := range set {
		all[i] = it.value()
	}
	return all
}

func compareValues(op string, l, r any) bool {
	_, leftNumber := l.(float64)
	_, rightNumber := r.(float64)
	if leftNumber || rightNumber || op != "=" && op != "!=" {
		return compareNumbers(op, toNumber(l), toNumber(r))
	}
	return (toString(l) == toString(r)) == (op == "=")
}

func compareNumbers(op string, a, b float64) bool {
	switch op {
	case "=":
		return a == b
	case "!=":
		return a != b
	case "<":
		return a < b
	case "<=":
		return a <= b
	case ">":
		return a > b
	}
	return a >= b
}

func toBool(v any) bool {
	switch v := v.(type) {
	case bool:
		return v
	case float64:
		return v != 0 && !math.IsNaN(v)
	case string:
		return v != ""
	case nodeSet:
		return len(v) > 0
	}
	return false
}

func toNumber(v any) float64 {
	switch v := v.(type) {
	case float64:
		return v
	case bool:
		if v {
			return 1
		}
		return 0
	}
	return Number(toString(v))
}

// Number is the number of a text: digits with at most one point and a minus
// sign before them, blanks around; libxml2, which 4.6 uses, takes an exponent
// too. Anything else is not a number.
func Number(s string) float64 {
	s = strings.Trim(s, " \t\r\n")
	exponent := false
	for i := range len(s) {
		switch c := s[i]; {
		case isDigit(c), c == '.' && !exponent, c == '-' && i == 0:
		case (c == 'e' || c == 'E') && i > 0 && !exponent:
			exponent = true
		case (c == '-' || c == '+') && i > 0 && (s[i-1] == 'e' || s[i-1] == 'E'):
		default:
			return math.NaN()
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return math.NaN()
	}
	return f
}

func toString(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case nodeSet:
		if len(v) > 0 {
			return v[0].value()
		}
		return ""
	case float64:
		switch {
		case math.IsNaN(v):
			return "NaN"
		case math.IsInf(v, 1):
			return "Infinity"
		case math.IsInf(v, -1):
			return "-Infinity"
		case v == 0:
			return "0"
		}
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return ""
}
