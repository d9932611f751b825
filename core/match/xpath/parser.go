package xpath

import (
	"errors"
	"fmt"
	"strconv"
)

// maxDepth bounds the nesting of an expression, maxLength its text: longer
// ones are no names anybody wrote.
const (
	maxDepth  = 100
	maxLength = 4096
)

var errDepth = errors.New("xpath: nested too deeply")

type parser struct {
	tokens []token
	pos    int
	depth  int
}

// Compile parses an expression.
func Compile(text string) (*Expr, error) {
	if len(text) > maxLength {
		return nil, errors.New("xpath: too long")
	}
	tokens, err := tokenize(text)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: tokens}
	root, err := p.expression()
	if err != nil {
		return nil, err
	}
	if p.peek().kind != tokEnd {
		return nil, p.unexpected()
	}
	return &Expr{root}, nil
}

func (p *parser) peek() token { return p.tokens[p.pos] }

func (p *parser) at(offset int) token {
	return p.tokens[min(p.pos+offset, len(p.tokens)-1)]
}

func (p *parser) isSymbol(s string) bool {
	t := p.peek()
	return t.kind == tokSymbol && t.text == s
}

// accept takes the next token if it is that symbol.
func (p *parser) accept(s string) bool {
	if p.isSymbol(s) {
		p.pos++
		return true
	}
	return false
}

func (p *parser) expect(s string) error {
	if !p.accept(s) {
		return p.unexpected()
	}
	return nil
}

func (p *parser) unexpected() error {
	if t := p.peek(); t.kind != tokEnd {
		return fmt.Errorf("xpath: unexpected %q", t.text)
	}
	return errors.New("xpath: unexpected end")
}

// levels are the binary operators, loosest first.
var levels = [][]string{{"or"}, {"and"}, {"=", "!="}, {"<", "<=", ">", ">="}, {"+", "-"}, {"*", "div", "mod"}}

func (p *parser) expression() (expr, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, errDepth
	}
	defer func() { p.depth-- }()
	return p.binary(0)
}

func (p *parser) binary(level int) (expr, error) {
	if level == len(levels) {
		return p.unary()
	}
	left, err := p.binary(level + 1)
	if err != nil {
		return nil, err
	}
	for {
		op, ok := p.operator(levels[level])
		if !ok {
			return left, nil
		}
		right, err := p.binary(level + 1)
		if err != nil {
			return nil, err
		}
		left = &binaryExpr{op, left, right}
	}
}

func (p *parser) operator(among []string) (string, bool) {
	t := p.peek()
	if t.kind != tokOperator && t.kind != tokSymbol {
		return "", false
	}
	for _, op := range among {
		// * is an operator only where the tokens say so.
		if t.text == op && (t.kind == tokOperator || op != "*") {
			p.pos++
			return op, true
		}
	}
	return "", false
}

func (p *parser) unary() (expr, error) {
	negative, signs := false, false
	for p.accept("-") {
		negative, signs = !negative, true
	}
	operand, err := p.union()
	if err != nil || !signs {
		return operand, err
	}
	return &minusExpr{operand, negative}, nil
}

func (p *parser) union() (expr, error) {
	left, err := p.path()
	if err != nil {
		return nil, err
	}
	for p.accept("|") {
		right, err := p.path()
		if err != nil {
			return nil, err
		}
		left = &unionExpr{left, right}
	}
	return left, nil
}

// path parses a location path, or a primary expression with what follows it.
func (p *parser) path() (expr, error) {
	if !p.startsPrimary() {
		return p.locationPath()
	}
	primary, err := p.primary()
	if err != nil {
		return nil, err
	}
	predicates, err := p.predicates()
	if err != nil {
		return nil, err
	}
	if len(predicates) > 0 {
		primary = &filterExpr{primary, predicates}
	}
	if !p.isSymbol("/") && !p.isSymbol("//") {
		return primary, nil
	}
	path := &pathExpr{start: primary}
	return path, p.slashSteps(path)
}

func (p *parser) startsPrimary() bool {
	switch t := p.peek(); t.kind {
	case tokNumber, tokLiteral:
		return true
	case tokSymbol:
		return t.text == "("
	case tokName:
		next := p.at(1)
		return next.kind == tokSymbol && next.text == "(" && !isNodeType(t.text)
	}
	return false
}

func isNodeType(name string) bool {
	switch name {
	case "node", "text", "comment", "processing-instruction":
		return true
	}
	return false
}

func (p *parser) primary() (expr, error) {
	t := p.peek()
	p.pos++
	switch t.kind {
	case tokNumber:
		f, err := strconv.ParseFloat(t.text, 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return nil, fmt.Errorf("xpath: number %q", t.text)
		}
		return constant{f}, nil
	case tokLiteral:
		return constant{t.text}, nil
	case tokName:
		return p.call(t.text)
	}
	inner, err := p.expression()
	if err != nil {
		return nil, err
	}
	return inner, p.expect(")")
}

func (p *parser) call(name string) (expr, error) {
	f, known := functions[name]
	if !known {
		return nil, fmt.Errorf("xpath: no function %q", name)
	}
	if err := p.expect("("); err != nil {
		return nil, err
	}
	var args []expr
	for !p.isSymbol(")") {
		if len(args) > 0 {
			if err := p.expect(","); err != nil {
				return nil, err
			}
		}
		arg, err := p.expression()
		if err != nil {
			return nil, err
		}
		args = append(args, arg)
	}
	p.pos++
	if len(args) < f.least || len(args) > f.most {
		return nil, fmt.Errorf("xpath: %d arguments for %s()", len(args), name)
	}
	return &callExpr{f.call, args}, nil
}

func (p *parser) locationPath() (expr, error) {
	path := &pathExpr{}
	switch {
	case p.isSymbol("//"):
		path.absolute = true
		return path, p.slashSteps(path)
	case p.accept("/"):
		path.absolute = true
		if !p.startsStep() {
			return path, nil
		}
	}
	if err := p.step(path); err != nil {
		return nil, err
	}
	return path, p.slashSteps(path)
}

func (p *parser) startsStep() bool {
	t := p.peek()
	switch t.kind {
	case tokName:
		return true
	case tokSymbol:
		return t.text == "." || t.text == ".." || t.text == "@" || t.text == "*"
	}
	return false
}

// slashSteps parses the steps behind / and //.
func (p *parser) slashSteps(path *pathExpr) error {
	for {
		switch {
		case p.accept("//"):
			path.steps = append(path.steps, step{axis: "descendant-or-self", test: nodeTest{any: true}})
		case p.accept("/"):
		default:
			return nil
		}
		if err := p.step(path); err != nil {
			return err
		}
	}
}

func (p *parser) step(path *pathExpr) error {
	switch {
	case p.accept("."):
		path.steps = append(path.steps, step{axis: "self", test: nodeTest{any: true}})
		return nil
	case p.accept(".."):
		path.steps = append(path.steps, step{axis: "parent", test: nodeTest{any: true}})
		return nil
	}
	s := step{axis: "child"}
	if p.accept("@") {
		s.axis = "attribute"
	} else if next := p.at(1); p.peek().kind == tokName && next.kind == tokSymbol && next.text == "::" {
		s.axis = p.peek().text
		if _, known := axes[s.axis]; !known {
			return p.unexpected()
		}
		p.pos += 2
	}
	var err error
	if s.test, err = p.nodeTest(); err != nil {
		return err
	}
	if s.predicates, err = p.predicates(); err != nil {
		return err
	}
	path.steps = append(path.steps, s)
	return nil
}

func (p *parser) nodeTest() (nodeTest, error) {
	if p.accept("*") {
		return nodeTest{name: "*"}, nil
	}
	t := p.peek()
	if t.kind != tokName {
		return nodeTest{}, p.unexpected()
	}
	p.pos++
	if !isNodeType(t.text) || !p.isSymbol("(") {
		return nodeTest{name: t.text}, nil
	}
	p.pos++
	if t.text == "processing-instruction" && p.peek().kind == tokLiteral {
		p.pos++
	}
	if err := p.expect(")"); err != nil {
		return nodeTest{}, err
	}
	return nodeTest{any: t.text == "node", text: t.text == "text"}, nil
}

func (p *parser) predicates() ([]expr, error) {
	var all []expr
	for p.accept("[") {
		e, err := p.expression()
		if err != nil {
			return nil, err
		}
		if err := p.expect("]"); err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}
