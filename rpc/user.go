package rpc

import (
	"context"
	"crypto/rand"
	"crypto/sha1"
	"encoding/hex"
	"fmt"

	"goned/core/auth"
	"goned/core/cloud"
	"goned/core/group"
	"goned/core/quota"
	"goned/core/refusal"
	"goned/core/resource"
	"goned/core/state"
	"goned/core/template"
	"goned/core/user"
	authmad "goned/drivers/auth"
)

var users = &family[*user.User]{
	kind: resource.User, root: "USER_POOL",
	pool:     func(s *state.Snapshot) *state.Pool[*user.User] { return &s.Users },
	edit:     func(tx *state.Tx) *state.Editor[*user.User] { return tx.Users },
	also:     func(s *state.Snapshot, id int) []byte { return quotasOf(&s.UserQuotas, id) },
	last:     func(s *state.Snapshot) []byte { return escapedDefaults(s.UserDefaults, quota.UserDefaults) },
	document: func(s *state.Snapshot, u *user.User) Document { return escaped(cloud.UserDocument(s, u)) },
	self:     func(c *Call) int { return c.UID },
	body:     func(u *user.User) **template.Template { return &u.Template },
	parse:    user.ParseTemplate,
	deleter:  auth.Admin,
	deleting: func(c *Call, tx *state.Tx, u *user.User) error {
		if err := cloud.RemoveUser(tx, u); err != nil {
			return err
		}
		c.srv.sessions.forget(u.ID)
		return nil
	},
}

func userMethods() []*Method {
	return []*Method{
		{Name: "one.user.allocate", Log: "UserAllocate",
			Help:   "Makes a user",
			Errors: "8192 a name or password that is not allowed; a name that is taken",
			Auth:   "CREATE USER", Result: "user id", Forwarded: true,
			Params:  []Param{strParam("name").late(), strParam("password").late().secret(), strParam("driver").late()},
			Handler: userAllocate},
		{Name: "one.user.update", Log: "UserUpdateTemplate",
			Help:   "Replaces the template of a user, or changes some of its attributes",
			Errors: "4096 a type that is neither 0 nor 1. 8192 the text does not parse or cannot be stored",
			Auth:   "MANAGE USER", Result: "user id", Forwarded: true, Params: updateParams(), Handler: users.update},
		{Name: "one.user.delete", Log: "UserDelete",
			Help:   "Removes a user",
			Errors: "8192 user 0",
			Auth:   "ADMIN USER", Result: "user id", Forwarded: true, Params: idAnd(), Handler: users.delete},
		{Name: "one.user.info", Log: "UserInfo",
			Help: "Returns a user with his quotas",
			Auth: "USE USER", Result: "USER document", Params: idAnd(), Handler: users.info},
		{Name: "one.user.passwd", Log: "UserChangePassword",
			Help:   "Changes the password of a user; his sessions end",
			Errors: "2048 a password that is not allowed",
			Auth:   "MANAGE USER", Result: "user id", Forwarded: true,
			Params: idAnd(strParam("password").late().secret()), Handler: userPasswd},
		{Name: "one.user.chgrp", Log: "UserChown",
			Help:   "Changes the primary group of a user",
			Errors: "4096 a negative group. 8192 user 0",
			Auth:   "MANAGE USER, USE GROUP", Result: "user id", Forwarded: true,
			Params: idAnd(intParam("group")), Handler: userChgrp},
		{Name: "one.user.addgroup", Log: "UserAddGroup",
			Help:   "Adds a secondary group to a user",
			Errors: "2048 he is in it",
			Auth:   "MANAGE USER, MANAGE GROUP", Result: "user id", Forwarded: true,
			Params: idAnd(intParam("group")), Handler: userAddGroup},
		{Name: "one.user.delgroup", Log: "UserDelGroup",
			Help:   "Takes a secondary group from a user",
			Errors: "2048 he is not in it; it is his primary group",
			Auth:   "MANAGE USER, MANAGE GROUP", Result: "user id", Forwarded: true,
			Params: idAnd(intParam("group")), Handler: userDelGroup},
		{Name: "one.user.chauth", Log: "UserChangeAuth",
			Help:   "Changes the authentication driver and the password of a user; his sessions end",
			Errors: "2048 a password that is not allowed",
			Auth:   "ADMIN USER", Result: "user id", Forwarded: true,
			Params: idAnd(strParam("driver").late(), strParam("password").late().secret()), Handler: userChauth},
		{Name: "one.user.quota", Log: "UserSetQuota",
			Help:   "Sets limits of a user",
			Errors: "2048 user 0; the text does not parse; a limit that is wrong (none is set then)",
			Auth:   "ADMIN USER", Result: "user id", Params: idAnd(strParam("quotas").late()), Handler: userQuota},
		{Name: "one.userpool.info", Log: "UserPoolInfo",
			Help: "Lists the users that the caller may use, with their quotas",
			Auth: "USE USER (filter)", Result: "USER_POOL document", Handler: users.all},
		{Name: "one.userquota.info", Log: "UserQuotaInfo",
			Help: "Returns the default limits of users",
			Auth: "any user", Result: "DEFAULT_USER_QUOTAS document", Handler: userDefaults},
		{Name: "one.userquota.update", Log: "UserQuotaUpdate",
			Help:   "Sets default limits of users",
			Errors: "2048 the text does not parse; a limit that is wrong (none is set then)",
			Auth:   "primary group oneadmin", Result: "DEFAULT_USER_QUOTAS document",
			Params: []Param{strParam("quotas")}, Handler: setUserDefaults},
	}
}

// randomSecret is 40 hex digits that nobody can guess.
func randomSecret() string {
	var b [20]byte
	rand.Read(b[:]) // never fails: see crypto/rand
	sum := sha1.Sum(b[:])
	return hex.EncodeToString(sum[:])
}

func userAllocate(c *Call) (any, error) {
	secret := randomSecret()
	var id int
	err := c.Update(func(tx *state.Tx) error {
		if err := c.Authorize(tx.View(), c.ToCreate(resource.User, nil)); err != nil {
			return err
		}
		if err := c.ReadLate(); err != nil {
			return err
		}
		gid := c.GID
		if gid == cloud.RootGroup {
			gid = cloud.UsersGroup
		}
		u, err := cloud.AddUser(tx, cloud.NewUser{Name: c.Str(1), Password: c.Str(2), Driver: c.Str(3), GID: gid, TokenPassword: secret})
		if err != nil {
			return refusal.OfAllocation(resource.User.Noun(), err.Error()+".")
		}
		id = u.ID
		return nil
	})
	return id, err
}

// createExternal makes a user that an authentication driver has vouched for.
func (s *Server) createExternal(_ context.Context, answer string) (*user.User, error) {
	n, ok := authmad.ParseNewUser(answer)
	if !ok {
		return nil, fmt.Errorf("the driver's answer is not a new user.")
	}
	secret := randomSecret()
	var made *user.User
	err := s.store.Update(func(tx *state.Tx) error {
		u, err := cloud.AddUser(tx, cloud.NewUser{
			Name: n.Name, Password: n.Password, Driver: n.Driver, GID: cloud.UsersGroup, TokenPassword: secret,
		})
		if err != nil {
			return fmt.Errorf("%w.", err)
		}
		made = u
		return nil
	})
	return made, err
}

// onUser runs fn on a user that the caller may do op with, for changes of the user alone.
func onUser(c *Call, op auth.Op, fn func(tx *state.Tx, u *user.User) error) (any, error) {
	id := c.Int(1)
	return c.UpdateID(id, func(tx *state.Tx) error {
		if _, err := users.find(c, tx.View(), op, id); err != nil {
			return err
		}
		if err := c.ReadLate(); err != nil {
			return err
		}
		return fn(tx, tx.Users.Edit(id))
	})
}

func userPasswd(c *Call) (any, error) {
	id, err := onUser(c, auth.Manage, func(_ *state.Tx, u *user.User) error { return asAction(u.SetPassword(c.Str(2))) })
	if err == nil {
		c.srv.sessions.forget(c.Int(1))
	}
	return id, err
}

func userChauth(c *Call) (any, error) {
	id, err := onUser(c, auth.Admin, func(_ *state.Tx, u *user.User) error { return asAction(u.SetDriver(c.Str(2), c.Str(3))) })
	if err == nil {
		c.srv.sessions.forget(c.Int(1))
	}
	return id, err
}

// asAction makes a rule's refusal one with code ACTION.
func asAction(err error) error {
	if err == nil {
		return nil
	}
	return refusal.OfAction(err.Error())
}

func userChgrp(c *Call) (any, error) {
	id, gid := c.Int(1), c.Int(2)
	if gid < 0 {
		return nil, refusal.New(refusal.XMLRPCAPI, "Wrong group ID", "")
	}
	return c.UpdateID(id, func(tx *state.Tx) error {
		u, g, err := userAndGroup(tx.View(), id, gid)
		if err != nil {
			return err
		}
		if id == cloud.RootUser {
			return refusal.New(refusal.Internal, fmt.Sprintf("USER [0] %s cannot be moved outside of the GROUP [0] oneadmin", u.Name), "")
		}
		if err := c.Authorize(tx.View(), auth.On(auth.Manage, resource.User, u), auth.On(auth.Use, resource.Group, g)); err != nil {
			return err
		}
		if u.GID == gid {
			return nil
		}
		left, joined := tx.Users.Edit(id).SetPrimary(gid, g.Name)
		if joined {
			in, out := tx.Groups.Edit(gid), tx.Groups.Edit(left)
			in.Users, _ = in.Users.With(id)
			if out != nil {
				out.Users, _ = out.Users.Without(id)
			}
		}
		return nil
	})
}

func userAndGroup(s *state.Snapshot, id, gid int) (u *user.User, g *group.Group, err error) {
	if u = s.Users.Get(id); u == nil {
		return nil, nil, refusal.NotFound(resource.User.Noun(), id)
	}
	if g = s.Groups.Get(gid); g == nil {
		return nil, nil, refusal.NotFound(resource.Group.Noun(), gid)
	}
	return u, g, nil
}

func changeMembership(c *Call, change func(tx *state.Tx, u *user.User, g *group.Group) error) (any, error) {
	id, gid := c.Int(1), c.Int(2)
	return c.UpdateID(id, func(tx *state.Tx) error {
		u, g, err := userAndGroup(tx.View(), id, gid)
		if err != nil {
			return err
		}
		if err := c.Authorize(tx.View(), auth.On(auth.Manage, resource.User, u), auth.On(auth.Manage, resource.Group, g)); err != nil {
			return err
		}
		return asAction(change(tx, tx.Users.Edit(id), tx.Groups.Edit(gid)))
	})
}

func userAddGroup(c *Call) (any, error) {
	return changeMembership(c, func(_ *state.Tx, u *user.User, g *group.Group) error {
		if err := u.Join(g.ID); err != nil {
			return err
		}
		g.Users, _ = g.Users.With(u.ID)
		return nil
	})
}

func userDelGroup(c *Call) (any, error) {
	return changeMembership(c, func(_ *state.Tx, u *user.User, g *group.Group) error {
		if err := u.Leave(g.ID); err != nil {
			return err
		}
		g.Users, _ = g.Users.Without(u.ID)
		return nil
	})
}
