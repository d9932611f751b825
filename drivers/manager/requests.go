package manager

import (
	"context"
	"encoding/base64"
	"errors"
	"strconv"
	"sync"
	"time"

	"goned/core/auth"
	authmad "goned/drivers/auth"
	"goned/drivers/datastore"
	"goned/drivers/mad"
)

// Bounds of the requests that an API call waits for. 4.6 gives up an authentication after 90 s and a STAT never.
const (
	authTimeout = 90 * time.Second
	statTimeout = 10 * time.Minute
)

type requestKind int

const (
	requestAuth requestKind = iota
	requestStat
)

type requestKey struct {
	kind requestKind
	id   int
}

// requests are questions to drivers that somebody waits for. Their numbers are not object ids.
type requests struct {
	mu   sync.Mutex // guards last and open
	last int
	open map[requestKey]chan answer
}

type answer struct {
	ok   bool
	text string
}

func (r *requests) begin(kind requestKind) (int, chan answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open == nil {
		r.open = map[requestKey]chan answer{}
	}
	id := r.last
	r.last++
	ch := make(chan answer, 1)
	r.open[requestKey{kind, id}] = ch
	return id, ch
}

func (r *requests) end(kind requestKind, id int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, requestKey{kind, id})
}

func (r *requests) answer(kind requestKind, id int, a answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := requestKey{kind, id}
	if ch := r.open[key]; ch != nil {
		ch <- a
		delete(r.open, key)
	}
}

func (r *requests) failAll(kind requestKind, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, ch := range r.open {
		if key.kind == kind {
			ch <- answer{text: text}
			delete(r.open, key)
		}
	}
}

// ask sends a request and waits for its answer, at most for limit.
func (m *Manager) ask(ctx context.Context, d *mad.Driver, kind requestKind, limit time.Duration,
	line func(id int) (string, error)) (answer, error) {
	id, ch := m.requests.begin(kind)
	defer m.requests.end(kind, id)
	text, err := line(id)
	if err != nil {
		return answer{}, err
	}
	if err := d.Send(text); err != nil {
		return answer{}, err
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case a := <-ch:
		return a, nil
	case <-ctx.Done():
		return answer{}, ctx.Err()
	case <-timer.C:
		return answer{}, errors.New("Request timeout")
	}
}

// Authenticate asks the authentication driver whether a token is good.
func (m *Manager) Authenticate(ctx context.Context, uid int, driver, name, stored, token string) (string, error) {
	if m.auth == nil {
		return "", errors.New("Authentication driver not enabled. Check AUTH_MAD in oned.conf")
	}
	a, err := m.ask(ctx, m.auth, requestAuth, authTimeout, func(id int) (string, error) {
		return authmad.Authentication{UserID: uid, Driver: driver, User: name, Password: stored, Secret: token}.Line(id)
	})
	if err != nil {
		return "", err
	}
	if !a.ok {
		return "", errors.New(a.text)
	}
	return a.text, nil
}

// External reports whether an authorization driver has the last word.
func (m *Manager) External() bool { return m.authz }

// AskAuthorization asks the authorization driver.
func (m *Manager) AskAuthorization(ctx context.Context, uid int, checks []auth.Check, granted []bool) (bool, string, error) {
	req := authmad.Authorization{UserID: uid}
	for i, k := range checks {
		object := strconv.Itoa(k.ID)
		if k.Op == auth.Create {
			object = "-1"
			if k.New != "" {
				object = base64.StdEncoding.EncodeToString([]byte(k.New))
			}
		}
		req.Accesses = append(req.Accesses, authmad.Access{
			Type: k.Kind.String(), Object: object, Operation: k.Op.String(), OwnerID: k.Access.UID, Granted: granted[i],
		})
	}
	a, err := m.ask(ctx, m.auth, requestAuth, authTimeout, req.Line)
	return a.ok, a.text, err
}

// Stat asks the datastore driver for the size in MB of the file or URL that an image is to be made from.
func (m *Manager) Stat(ctx context.Context, path, datastoreXML string) (string, error) {
	if m.datastore == nil {
		return "", errors.New("Could not get datastore driver")
	}
	a, err := m.ask(ctx, m.datastore, requestStat, statTimeout, func(id int) (string, error) {
		return datastore.Line(datastore.Stat, id, datastore.StatImage(path), datastoreXML), nil
	})
	if err != nil {
		return "", err
	}
	if !a.ok {
		return "", errors.New(a.text)
	}
	return a.text, nil
}

func (m *Manager) authAnswer(msg mad.Message) {
	if msg.HasID {
		m.requests.answer(requestAuth, msg.ID, answer{msg.Success(), msg.Info()})
	}
}
