package match

import (
	"errors"

	"goned/core/template/xmldoc"
)

type pathExpr struct{}

func compilePath(name string, prefixes []string) (*pathExpr, error) {
	return nil, errors.New("no path")
}

func (p *pathExpr) first(doc *xmldoc.Node) *xmldoc.Node { return nil }
