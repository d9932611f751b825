package match

// Requirement is a parsed requirement text: a boolean expression over the
// attributes of a host or a system datastore.
//
// The operators &, | and ! have one precedence and group to the left, so
// A | B & C means (A | B) & C and !A & B means (!A) & B. A comparison with an
// attribute that does not exist is false, also with !=. Names are the
// attribute's, or XPath; a name is on the left, a constant on the right.
type Requirement struct {
	text string
	root *boolNode // nil is true
}

// String returns the text the requirement was parsed from.
func (r *Requirement) String() string { return r.text }

type boolOp uint8

const (
	opAnd boolOp = iota
	opOr
	opNot
	opCompare
)

// boolNode is an inner node (left, right) or a comparison.
type boolNode struct {
	op          boolOp
	left, right *boolNode
	comparison
}

// comparator is the relation of a comparison.
type comparator uint8

const (
	cmpEqual comparator = iota
	cmpNotEqual
	cmpGreater
	cmpLess
)

func (c comparator) String() string { return [...]string{"=", "!=", ">", "<"}[c] }

// comparison is NAME op CONSTANT. The constant's kind decides how the
// attribute's value is read: as integer, as float or as text.
type comparison struct {
	name     string
	relation comparator
	constant token
}

const boolOperators = "!&|=><()"

// Tokens that may come next, in the words and order of 4.6's messages.
const (
	wantOperand  = "'!' or STRING or '('"
	wantRelation = "'!' or '=' or '>' or '<'"
	wantEqual    = "'='"
	wantConstant = "INTEGER or STRING or FLOAT"
	wantNumber   = "INTEGER or FLOAT"
	wantInside   = "'&' or '|' or ')'"
	wantEnd      = "$end"
)

type boolParser struct {
	lex   *lexer
	tok   token
	depth int
}

// ParseRequirement parses a requirement. A text without a token is true. The
// error is a *SyntaxError with 4.6's message.
func ParseRequirement(text string) (*Requirement, error) {
	p := &boolParser{lex: newLexer(text, boolOperators)}
	p.advance()
	if p.tok.kind == tokEnd {
		return &Requirement{text: text}, nil
	}
	if !p.startsOperand() {
		return nil, unexpected(p.tok, wantEnd)
	}
	root, err := p.chain()
	if err != nil {
		return nil, err
	}
	if p.tok.kind != tokEnd {
		return nil, unexpected(p.tok, wantEnd)
	}
	return &Requirement{text: text, root: root}, nil
}

// And is the requirement that both hold, joined as trees: nothing in the text
// of one can change what the other means. Its text is 4.6's joined text.
func (r *Requirement) And(user *Requirement) *Requirement {
	joined := &Requirement{text: joinRequirements(r.text, user.text)}
	switch {
	case r.root == nil:
		joined.root = user.root
	case user.root == nil:
		joined.root = r.root
	default:
		joined.root = &boolNode{op: opAnd, left: r.root, right: user.root}
	}
	return joined
}

// joinRequirements is the text 4.6 makes of an automatic requirement and the
// user's own; messages show it and count their columns in it.
func joinRequirements(automatic, user string) string {
	return automatic + " & ( " + user + " )"
}

func (p *boolParser) advance() { p.tok = p.lex.next() }

func (p *boolParser) startsOperand() bool {
	return p.tok.kind == tokString || p.tok.is('!') || p.tok.is('(')
}

// chain parses operands joined by & and |, grouping to the left.
func (p *boolParser) chain() (*boolNode, error) {
	left, err := p.operand()
	if err != nil {
		return nil, err
	}
	for p.tok.is('&') || p.tok.is('|') {
		op := opAnd
		if p.tok.is('|') {
			op = opOr
		}
		p.advance()
		right, err := p.operand()
		if err != nil {
			return nil, err
		}
		left = &boolNode{op: op, left: left, right: right}
	}
	return left, nil
}

func (p *boolParser) operand() (*boolNode, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, tooDeep(p.tok)
	}
	defer func() { p.depth-- }()

	switch {
	case p.tok.is('!'):
		p.advance()
		inner, err := p.operand()
		if err != nil {
			return nil, err
		}
		return &boolNode{op: opNot, left: inner}, nil
	case p.tok.is('('):
		p.advance()
		inner, err := p.chain()
		if err != nil {
			return nil, err
		}
		if !p.tok.is(')') {
			return nil, unexpected(p.tok, wantInside)
		}
		p.advance()
		return inner, nil
	case p.tok.kind == tokString:
		return p.comparison()
	}
	return nil, unexpected(p.tok, wantOperand)
}

func (p *boolParser) comparison() (*boolNode, error) {
	name := p.tok
	p.advance()

	var relation comparator
	want := wantNumber // text has no order
	switch {
	case p.tok.is('='):
		relation, want = cmpEqual, wantConstant
	case p.tok.is('!'):
		p.advance()
		if !p.tok.is('=') {
			return nil, unexpected(p.tok, wantEqual)
		}
		relation, want = cmpNotEqual, wantConstant
	case p.tok.is('>'):
		relation = cmpGreater
	case p.tok.is('<'):
		relation = cmpLess
	default:
		return nil, unexpected(p.tok, wantRelation)
	}
	p.advance()

	constant := p.tok
	switch constant.kind {
	case tokInteger, tokFloat:
	case tokString:
		if want == wantNumber {
			return nil, unexpected(constant, want)
		}
	default:
		return nil, unexpected(constant, want)
	}
	if name.text == "" {
		return nil, emptyName(name)
	}
	p.advance()
	return &boolNode{op: opCompare, comparison: comparison{name.text, relation, constant}}, nil
}
