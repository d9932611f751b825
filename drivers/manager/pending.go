package manager

import "sync"

// action is something a driver has been asked and has not answered.
type action struct {
	key  string // what the answer will name: action and object
	fail func(reason string)
}

// pending knows, per driver, what has been asked and not answered, so that a driver's death ends it.
type pending struct {
	mu   sync.Mutex // guards open
	open map[string][]action
}

func (p *pending) add(driver, key string, fail func(string)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == nil {
		p.open = map[string][]action{}
	}
	p.open[driver] = append(p.open[driver], action{key, fail})
}

// answered takes the oldest action with this key off the list.
func (p *pending) answered(driver, key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.open[driver]
	for i, a := range list {
		if a.key == key {
			p.open[driver] = append(list[:i:i], list[i+1:]...)
			return
		}
	}
}

func (p *pending) takeAll(driver string) []action {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.open[driver]
	delete(p.open, driver)
	return list
}
