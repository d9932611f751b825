package rpc

import (
	"context"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"strings"
	"sync"

	"goned/core/auth"
	"goned/core/resource"
	"goned/core/template"
	"goned/core/user"
)

// errNotAuthenticated is every reason why a session is not good; a client never learns which.
var errNotAuthenticated = errors.New("not authenticated")

// session is a login that was good a moment ago.
type session struct {
	token  string
	stored string // the password it was checked against: the login ends when that changes, here or on a federation's master
	expiry int64
}

// sessions remembers good logins. Direct and delegated ones are apart: 4.6 keeps one slot for both, so that a server's token for a
// user was as good as the user's password and the other way round.
type sessions struct {
	mu        sync.Mutex // guards the maps
	direct    map[int]session
	delegated map[int]session
}

func (s *sessions) good(delegated bool, uid int, token, stored string, now int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	slot, ok := s.slots(delegated)[uid]
	return ok && now < slot.expiry && slot.stored == stored && subtle.ConstantTimeCompare([]byte(slot.token), []byte(token)) == 1
}

func (s *sessions) keep(delegated bool, uid int, token, stored string, expiry int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slots(delegated)[uid] = session{token, stored, expiry}
}

// forget ends a user's sessions, when his password changes.
func (s *sessions) forget(uid int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.direct, uid)
	delete(s.delegated, uid)
}

func (s *sessions) slots(delegated bool) map[int]session {
	if s.direct == nil {
		s.direct, s.delegated = map[int]session{}, map[int]session{}
	}
	if delegated {
		return s.delegated
	}
	return s.direct
}

// authenticate finds the user of a session string, "name:token".
func (s *Server) authenticate(ctx context.Context, text string) (*auth.Caller, error) {
	name, token, ok := strings.Cut(text, ":")
	if !ok {
		return nil, errNotAuthenticated
	}
	u := s.store.Snapshot().Users.ByName(name)
	switch {
	case u == nil:
		return s.external(ctx, name, token)
	case strings.HasPrefix(u.Driver, "server"):
		return s.delegated(ctx, u, token)
	}
	return s.direct(ctx, u, token)
}

// direct checks a user's own token.
func (s *Server) direct(ctx context.Context, u *user.User, token string) (*auth.Caller, error) {
	switch u.Driver {
	case "core":
		sum := sha1.Sum([]byte(token))
		if subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(u.Password)) != 1 {
			return nil, errNotAuthenticated
		}
		return s.callerOf(u), nil
	case "public":
		s.authLog.Error("User: " + u.Name + " attempted a direct authentication.")
		return nil, errNotAuthenticated
	}
	if s.sessions.good(false, u.ID, token, u.Password, s.now().Unix()) {
		return s.callerOf(u), nil
	}
	if _, err := s.ask(ctx, u.ID, u.Driver, u.Name, u.Password, token); err != nil {
		return nil, err
	}
	s.remember(false, u.ID, token, u.Password)
	return s.callerOf(u), nil
}

// nobody is whom a server acts for that names no user: 4.6 lets him in (a select by an empty name finds an empty user), and then
// misses his account.
var nobody = user.User{ID: -1, GID: -1, Template: &template.Template{}}

// delegated checks the token with which a server such as Sunstone acts for a user.
func (s *Server) delegated(ctx context.Context, server *user.User, rest string) (*auth.Caller, error) {
	name, secret, ok := strings.Cut(rest, ":")
	if !ok {
		s.authLog.Error("Wrong token format")
		return nil, errNotAuthenticated
	}
	target := s.store.Snapshot().Users.ByName(name)
	switch {
	case name == "":
		target = &nobody
	case target == nil:
		s.authLog.Error("User: " + name + " does not exist. Returned by server auth")
		return nil, errNotAuthenticated
	}
	if s.sessions.good(true, target.ID, secret, server.Password, s.now().Unix()) {
		return s.callerOf(target), nil
	}
	answer, err := s.ask(ctx, server.ID, server.Driver, server.Name, server.Password, secret)
	if err != nil {
		return nil, err
	}
	// Our own drivers say for whom the token was made; 4.6's don't.
	if bound, ok := strings.CutPrefix(answer, "target "); ok && bound != name {
		s.authLog.Error("Auth Error: the token is for another user than " + name)
		return nil, errNotAuthenticated
	}
	s.remember(true, target.ID, secret, server.Password)
	return s.callerOf(target), nil
}

// external lets the driver "default" vouch for somebody that the cloud does not know yet, and makes a user of him.
func (s *Server) external(ctx context.Context, name, token string) (*auth.Caller, error) {
	if s.conf.Federation.Slave() {
		s.authLog.Error("UserPool::allocate called, but this OpenNebula is a federation slave")
		return nil, errNotAuthenticated
	}
	answer, err := s.ask(ctx, -1, "default", name, "-", token)
	if err != nil {
		return nil, err
	}
	u, err := s.createExternal(ctx, answer)
	if err != nil {
		s.authLog.Error("Can't create user: " + err.Error() + " Driver response: " + answer)
		return nil, errNotAuthenticated
	}
	return s.callerOf(u), nil
}

func (s *Server) ask(ctx context.Context, uid int, driver, name, stored, token string) (string, error) {
	text, err := s.drivers.Authenticate(ctx, uid, driver, name, stored, token)
	if err != nil {
		s.authLog.Error("Auth Error: " + err.Error())
		return "", errNotAuthenticated
	}
	return text, nil
}

func (s *Server) remember(delegated bool, uid int, token, stored string) {
	if s.conf.SessionExpiration > 0 {
		s.sessions.keep(delegated, uid, token, stored, s.now().Unix()+s.conf.SessionExpiration)
	}
}

func (s *Server) callerOf(u *user.User) *auth.Caller {
	umask := u.Template.Get("UMASK")
	if umask == "" {
		umask = s.conf.Umask
	}
	return &auth.Caller{
		UID: u.ID, GID: u.GID, Groups: u.Groups, UName: u.Name, GName: u.GName, Umask: resource.ParseUmask(umask),
	}
}
