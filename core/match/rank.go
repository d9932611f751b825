package match

import "math"

// Rank is a parsed rank text: arithmetic over the attributes of a host or a
// system datastore, in 32-bit floats, its result cut to an integer. * and /
// bind tighter than + and -; a unary minus takes the products behind it.
//
// Attributes that are missing or no number count as 0.
type Rank struct {
	text string
	root *arithNode // nil is 0
}

// String returns the text the rank was parsed from.
func (r *Rank) String() string { return r.text }

// arithNode is an operation on left and right (a negation on right alone), an
// attribute or a constant.
type arithNode struct {
	op          byte // '+', '-', '*', '/', 'n' negation, 'a' attribute, 'c' constant
	left, right *arithNode
	name        string
	constant    float32
}

const arithOperators = "()*+/-"

type arithParser struct {
	lex   *lexer
	tok   token
	depth int
}

// ParseRank parses a rank. It always returns one: when the text is wrong, with
// a *SyntaxError, it is the rank of the longest complete expression that ended
// where the error was found, else 0. 4.6 places machines by that value.
func ParseRank(text string) (*Rank, error) {
	p := &arithParser{lex: newLexer(text, arithOperators)}
	rank := &Rank{text: text}
	p.advance()
	if p.tok.kind == tokEnd {
		return rank, nil
	}
	if !p.startsOperand() {
		return rank, unexpected(p.tok, wantEnd)
	}
	root, err := p.sum()
	if err != nil {
		return rank, err
	}
	rank.root = root
	if p.tok.kind != tokEnd {
		return rank, unexpected(p.tok, wantEnd)
	}
	return rank, nil
}

func (p *arithParser) advance() { p.tok = p.lex.next() }

func (p *arithParser) startsOperand() bool {
	switch p.tok.kind {
	case tokString, tokInteger, tokFloat:
		return true
	}
	return p.tok.is('-') || p.tok.is('(')
}

func (p *arithParser) sum() (*arithNode, error) {
	return p.leftToRight('+', '-', p.product)
}

func (p *arithParser) product() (*arithNode, error) {
	return p.leftToRight('*', '/', p.factor)
}

func (p *arithParser) leftToRight(a, b byte, part func() (*arithNode, error)) (*arithNode, error) {
	left, err := part()
	if err != nil {
		return nil, err
	}
	for p.tok.is(a) || p.tok.is(b) {
		op := p.tok.char
		p.advance()
		right, err := part()
		if err != nil {
			return nil, err
		}
		left = &arithNode{op: op, left: left, right: right}
	}
	return left, nil
}

func (p *arithParser) factor() (*arithNode, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, tooDeep(p.tok)
	}
	defer func() { p.depth-- }()

	tok := p.tok
	switch {
	case tok.is('-'):
		p.advance()
		inner, err := p.product()
		if err != nil {
			return nil, err
		}
		return &arithNode{op: 'n', right: inner}, nil
	case tok.is('('):
		p.advance()
		inner, err := p.sum()
		if err != nil {
			return nil, err
		}
		if !p.tok.is(')') {
			return nil, unexpected(p.tok, "") // five possibilities: 4.6 lists none
		}
		p.advance()
		return inner, nil
	case tok.kind == tokString && tok.text == "":
		return nil, emptyName(tok)
	case tok.kind == tokString:
		p.advance()
		return &arithNode{op: 'a', name: tok.text}, nil
	case tok.kind == tokInteger:
		p.advance()
		return &arithNode{op: 'c', constant: float32(tok.integer)}, nil
	case tok.kind == tokFloat:
		p.advance()
		return &arithNode{op: 'c', constant: tok.float}, nil
	}
	return nil, unexpected(tok, "")
}

// truncate cuts a rank to an integer. What does not fit, NaN included, becomes
// the smallest one: 4.6's processors do that.
func truncate(f float32) int32 {
	if f >= math.MinInt32 && f < -math.MinInt32 {
		return int32(f)
	}
	return math.MinInt32
}
