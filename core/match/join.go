package match

// joined is the requirement of a machine: what oned asks for and what the user
// asks for, both of which must hold.
type joined struct {
	text  string // as 4.6 joins them; messages show it
	bound *boundBool
	err   error // a *SyntaxError, its columns count in text
	// guard is the automatic requirement once more, when it has to be tested
	// apart: see join.
	guard *boundBool
}

// join parses the two requirements of a machine on their own and joins them as
// trees, so that no text of a user can change what the automatic part means.
//
// 4.6 joins texts, and some texts are an expression only in that company:
// with "X = 1 ) | ( X = 1" the automatic requirement holds for one side of the
// | alone. Such a machine is matched by the joined text, as 4.6 does, and no
// place that fails the automatic requirement is ever used for it.
func join(automatic string, user *string, t *table) joined {
	if user == nil {
		req, err := ParseRequirement(automatic)
		return bound(automatic, req, nil, err, t)
	}
	if automatic == "" {
		req, err := ParseRequirement(*user)
		return bound(*user, req, nil, err, t)
	}
	text := joinRequirements(automatic, *user)
	whole, err := ParseRequirement(text)
	if err != nil {
		return bound(text, nil, nil, err, t)
	}
	auto, err := ParseRequirement(automatic)
	if err != nil {
		return bound(text, nil, nil, err, t)
	}
	if own, err := ParseRequirement(*user); err == nil && own.root != nil {
		return bound(text, auto.And(own), nil, nil, t)
	}
	return bound(text, whole, auto, nil, t)
}

func bound(text string, req, guard *Requirement, err error, t *table) joined {
	if err != nil {
		return joined{text: text, err: err}
	}
	j := joined{text: text, bound: req.bind(t)}
	if guard != nil {
		j.guard = guard.bind(t)
	}
	return j
}

// maxRequirements bounds the cache of parsed requirements.
const maxRequirements = 1024

// requirement returns the joined requirement for a table, parsed once for all
// machines with the same texts.
func (m *Matcher) requirement(automatic string, user *string, t *table) joined {
	key := requirementKey{automatic: automatic, hosts: t == m.hosts}
	if user != nil {
		key.user, key.hasUser = *user, true
	}
	m.mu.Lock()
	j, ok := m.requirements[key]
	m.mu.Unlock()
	if ok {
		return j
	}
	j = join(automatic, user, t)
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.requirements) >= maxRequirements {
		clear(m.requirements)
	}
	m.requirements[key] = j
	return j
}
