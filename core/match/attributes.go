package match

import (
	"math"
	"strconv"
	"strings"
	"sync"

	"goned/core/match/xpath"
	"goned/core/template/xmldoc"
)

// value is an attribute of one resource, with the readings the languages need.
type value struct {
	text    string
	present bool
	isInt   bool
	isFloat bool
	integer int32
	float   float32
}

func newValue(text string) value {
	v := value{text: text, present: true}
	v.integer, v.isInt = leadingInt(text)
	v.float, v.isFloat = leadingFloat(text)
	return v
}

// leadingInt reads the integer a text begins with, after blanks; ok is false
// when there is none or it needs more than 32 bits.
func leadingInt(s string) (n int32, ok bool) {
	s = trimSpace(s)
	end := span(s, signLength(s), isDigit)
	v, err := strconv.ParseInt(s[:end], 10, 32)
	return int32(v), err == nil
}

// leadingFloat reads the number a text begins with as C++ streams do: an
// exponent mark belongs to the number even when no digit follows, and then
// there is no number.
func leadingFloat(s string) (f float32, ok bool) {
	s = trimSpace(s)
	end := span(s, signLength(s), isDigit)
	if end < len(s) && s[end] == '.' {
		end = span(s, end+1, isDigit)
	}
	if digits := strings.Trim(s[:end], "+-."); digits != "" && end < len(s) && (s[end] == 'e' || s[end] == 'E') {
		end++
		end = span(s, end+signLength(s[end:]), isDigit)
	}
	v, err := strconv.ParseFloat(s[:end], 32)
	return float32(v), err == nil
}

func signLength(s string) int {
	if s != "" && (s[0] == '-' || s[0] == '+') {
		return 1
	}
	return 0
}

func trimSpace(s string) string { return strings.TrimLeft(s, " \t\n\v\f\r") }

// column holds the values of one attribute for all resources of a table.
type column []value

// table gives access to the attributes of a pool's resources by name. Columns
// are made when they are first asked for. It is safe for concurrent use.
type table struct {
	kind resourceKind
	docs []*xmldoc.Node

	mu        sync.Mutex
	columns   map[string]column // guarded by mu
	documents []*xpath.Document // guarded by mu, made when a name is XPath
	vms       []map[int32]bool  // hosts only: the machines on each, for CURRENT_VMS
}

// resourceKind names the root element and the elements in which 4.6 looks for
// a name, besides the root itself.
type resourceKind struct {
	root     string
	prefixes []string // absolute paths, in 4.6's order
}

var (
	hostKind = resourceKind{"HOST", []string{
		"/HOST/TEMPLATE/", "/HOST/HOST_SHARE/", "/HOST/", "/HOST/CLUSTER_TEMPLATE/"}}
	datastoreKind = resourceKind{"DATASTORE", []string{"/DATASTORE/TEMPLATE/", "/DATASTORE/"}}
)

// places returns the element names below the root that are searched.
func (k resourceKind) places() []string {
	if k.root == "HOST" {
		return []string{"HOST_SHARE", "TEMPLATE", "CLUSTER_TEMPLATE"}
	}
	return []string{"TEMPLATE"}
}

// maxColumns bounds the memory that made-up names in requirements can take.
const maxColumns = 512

func newTable(kind resourceKind, docs []*xmldoc.Node) *table {
	return &table{kind: kind, docs: docs, columns: make(map[string]column)}
}

func (t *table) column(name string) column {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c, ok := t.columns[name]; ok {
		return c
	}
	c := make(column, len(t.docs))
	find := t.finder(name)
	for i := range t.docs {
		if n := find(i); n != nil {
			c[i] = newValue(content(n))
		}
	}
	if len(t.columns) >= maxColumns {
		clear(t.columns)
	}
	t.columns[name] = c
	return c
}

// finder returns the function that finds the element a name means in a
// document: the first in document order of those in 4.6's places, so that an
// attribute of the resource itself hides one of its template. A name that is
// no element name is taken for XPath.
func (t *table) finder(name string) func(doc int) *xmldoc.Node {
	if xmldoc.ValidName(name) && !strings.Contains(name, ":") {
		places := t.kind.places()
		return func(doc int) *xmldoc.Node { return findByName(t.docs[doc], name, places) }
	}
	path, err := xpath.Compile(t.kind.path(name))
	if err != nil {
		return func(int) *xmldoc.Node { return nil }
	}
	steps := pathSteps * len(t.docs)
	return func(doc int) *xmldoc.Node {
		// What the budget does not reach is missing, as what does not exist.
		n, _ := path.First(t.indexed(doc), &steps)
		return n
	}
}

// pathSteps is what the evaluation of one name may cost, for each resource on
// average: some readings of a whole document.
const pathSteps = 2000

// path is the expression 4.6 makes of a name.
func (k resourceKind) path(name string) string {
	if strings.HasPrefix(name, "/") {
		return name
	}
	var b strings.Builder
	for i, prefix := range k.prefixes {
		if i > 0 {
			b.WriteByte('|')
		}
		b.WriteString(prefix + name)
	}
	return b.String()
}

// indexed needs mu.
func (t *table) indexed(doc int) *xpath.Document {
	if t.documents == nil {
		t.documents = make([]*xpath.Document, len(t.docs))
	}
	if t.documents[doc] == nil {
		t.documents[doc] = xpath.NewDocument(t.docs[doc])
	}
	return t.documents[doc]
}

func findByName(doc *xmldoc.Node, name string, places []string) *xmldoc.Node {
	for _, c := range doc.Children {
		if c.Name == name {
			return c
		}
		for _, place := range places {
			if c.Name == place {
				if found := c.Child(name); found != nil {
					return found
				}
			}
		}
	}
	return nil
}

// content is the text of an element and all below it.
func content(n *xmldoc.Node) string {
	if len(n.Children) == 0 {
		return n.Text
	}
	var b strings.Builder
	appendContent(&b, n)
	return b.String()
}

func appendContent(b *strings.Builder, n *xmldoc.Node) {
	b.WriteString(n.Text)
	for _, c := range n.Children {
		appendContent(b, c)
	}
}

// boundBool is a requirement tied to the columns of a table.
type boundBool struct {
	source      *boolNode
	op          boolOp
	left, right *boundBool
	relation    comparator
	kind        tokenKind
	integer     int32
	float       float32
	pattern     string
	column      column
	running     []map[int32]bool // CURRENT_VMS on hosts
}

// bind ties the requirement to a table; nil is true everywhere.
func (r *Requirement) bind(t *table) *boundBool { return bindBool(r.root, t) }

func bindBool(n *boolNode, t *table) *boundBool {
	if n == nil {
		return nil
	}
	b := &boundBool{source: n, op: n.op, left: bindBool(n.left, t), right: bindBool(n.right, t)}
	if n.op != opCompare {
		return b
	}
	b.relation, b.kind = n.relation, n.constant.kind
	b.integer, b.float, b.pattern = n.constant.integer, n.constant.float, n.constant.text
	if n.name == currentVMs && b.kind == tokInteger && t.vms != nil {
		b.running = t.vms
		return b
	}
	b.column = t.column(n.name)
	return b
}

// currentVMs is the one name that is no attribute: with an integer it asks
// whether the host runs that machine.
const currentVMs = "CURRENT_VMS"

// eval says whether resource i of the table meets the requirement.
func (b *boundBool) eval(i int) bool {
	if b == nil {
		return true
	}
	switch b.op {
	case opAnd:
		return b.left.eval(i) && b.right.eval(i)
	case opOr:
		return b.left.eval(i) || b.right.eval(i)
	case opNot:
		return !b.left.eval(i)
	}
	if b.running != nil {
		return b.compareRunning(i)
	}
	return b.compare(&b.column[i])
}

func (b *boundBool) compare(v *value) bool {
	switch b.kind {
	case tokInteger:
		return v.isInt && compareOrdered(b.relation, v.integer, b.integer)
	case tokFloat:
		return v.isFloat && compareOrdered(b.relation, v.float, b.float)
	}
	if !v.present || b.pattern == "" {
		return false
	}
	return fnmatch(b.pattern, v.text) == (b.relation == cmpEqual)
}

func compareOrdered[T int32 | float32](relation comparator, a, b T) bool {
	switch relation {
	case cmpEqual:
		return a == b
	case cmpNotEqual:
		return a != b
	case cmpGreater:
		return a > b
	}
	return a < b
}

// compareRunning: 4.6 has no defined answer for < and >; here they are false.
func (b *boundBool) compareRunning(i int) bool {
	switch b.relation {
	case cmpEqual:
		return b.running[i][b.integer]
	case cmpNotEqual:
		return !b.running[i][b.integer]
	}
	return false
}

// boundRank is a rank tied to the columns of a table; nil is 0.
type boundRank struct {
	name        string // of an attribute
	op          byte
	left, right *boundRank
	constant    float32
	column      column
}

func (r *Rank) bind(t *table) *boundRank { return bindRank(r.root, t) }

func bindRank(n *arithNode, t *table) *boundRank {
	if n == nil {
		return nil
	}
	b := &boundRank{name: n.name, op: n.op, left: bindRank(n.left, t), right: bindRank(n.right, t), constant: n.constant}
	if n.op == 'a' {
		b.column = t.column(n.name)
	}
	return b
}

// of is the rank of resource i: an integer.
func (b *boundRank) of(i int) int32 {
	if b == nil {
		return 0
	}
	return truncate(b.eval(i))
}

// eval rounds every step to 32 bits, as 4.6 does.
func (b *boundRank) eval(i int) float32 {
	switch b.op {
	case 'a':
		if v := &b.column[i]; v.isFloat {
			return v.float
		}
		return 0
	case 'c':
		return b.constant
	case 'n':
		return -b.right.eval(i)
	}
	l, r := b.left.eval(i), b.right.eval(i)
	switch b.op {
	case '+':
		return float32(l + r)
	case '-':
		return float32(l - r)
	case '*':
		return float32(l * r)
	}
	return float32(l / r)
}

// atoll is C's: the leading integer, 0 without one, the limit beyond 64 bits.
func atoll(s string) int64 {
	s = trimSpace(s)
	end := span(s, signLength(s), isDigit)
	v, err := strconv.ParseInt(s[:end], 10, 64)
	if err == nil {
		return v
	}
	if v == math.MaxInt64 || v == math.MinInt64 {
		return v
	}
	return 0
}
