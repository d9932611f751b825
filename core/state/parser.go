package state

import (
	"runtime"

	"golang.org/x/sync/errgroup"
)

// parser turns bodies into objects on all processors, in the background of the query that reads them.
type parser[T any] struct {
	parse func(body string) (T, error)
	group errgroup.Group
	runs  []*run[T]
	open  *run[T]
}

// run is some bodies in the order in which they were read.
type run[T any] struct {
	ids  []int
	text []string
	objs []T
	errs []error
}

// runSize is how many bodies one goroutine parses.
const runSize = 256

func newParser[T any](parse func(body string) (T, error)) *parser[T] {
	p := &parser[T]{parse: parse}
	p.group.SetLimit(runtime.GOMAXPROCS(0))
	return p
}

func (p *parser[T]) add(id int, text string) {
	if p.open == nil {
		p.open = &run[T]{}
		p.runs = append(p.runs, p.open)
	}
	r := p.open
	r.ids, r.text = append(r.ids, id), append(r.text, text)
	if len(r.ids) == runSize {
		p.start()
	}
}

// start parses the open run.
func (p *parser[T]) start() {
	r := p.open
	p.open = nil
	p.group.Go(func() error {
		r.objs, r.errs = make([]T, len(r.ids)), make([]error, len(r.ids))
		for i, text := range r.text {
			r.objs[i], r.errs[i] = p.parse(text)
		}
		return nil
	})
}

// each waits for the parsing to end and hands out what was made, in the order of add, until fn fails.
func (p *parser[T]) each(fn func(id int, text string, obj T, err error) error) error {
	if p.open != nil {
		p.start()
	}
	if err := p.group.Wait(); err != nil {
		return err
	}
	for _, r := range p.runs {
		for i, id := range r.ids {
			if err := fn(id, r.text[i], r.objs[i], r.errs[i]); err != nil {
				return err
			}
		}
	}
	return nil
}
