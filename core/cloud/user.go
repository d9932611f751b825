package cloud

import (
	"errors"
	"fmt"

	"goned/core/group"
	"goned/core/hook"
	"goned/core/quota"
	"goned/core/resource"
	"goned/core/state"
	"goned/core/template"
	"goned/core/user"
)

// The ids of the first users and groups.
const (
	RootUser   = 0
	RootGroup  = 0
	UsersGroup = 1
)

// UserDocument is a user as one.user.info shows it: with quotas and default quotas.
func UserDocument(s *state.Snapshot, u *user.User) []byte {
	return u.InfoXML(
		func(dst []byte) []byte { return quotasOf(&s.UserQuotas, u.ID).AppendXML(dst) },
		func(dst []byte) []byte { return s.UserDefaults.AppendDefaultsXML(dst, quota.UserDefaults) })
}

// GroupDocument is a group as one.group.info shows it.
func GroupDocument(s *state.Snapshot, g *group.Group) []byte {
	return g.InfoXML(
		func(dst []byte) []byte { return quotasOf(&s.GroupQuotas, g.ID).AppendXML(dst) },
		func(dst []byte) []byte { return s.GroupDefaults.AppendDefaultsXML(dst, quota.GroupDefaults) })
}

// NewUser is what a new user is made of.
type NewUser struct {
	Name, Password, Driver string
	GID                    int
	// TokenPassword is a random secret, with which the user's VMs prove who they are.
	TokenPassword string
	// Stored says that Password is stored as it is, whatever the driver.
	Stored bool
}

// AddUser makes a user. The error's text is the detail that 4.6 gives, without a period.
func AddUser(tx *state.Tx, n NewUser) (*user.User, error) {
	if err := user.CheckPassword(n.Password); err != nil {
		return nil, err
	}
	if err := user.CheckName(n.Name); err != nil {
		return nil, err
	}
	if other := tx.Users.ByName(n.Name); other != nil {
		return nil, fmt.Errorf("NAME is already taken by USER %d", other.ID)
	}
	g := tx.Groups.Edit(n.GID)
	if g == nil {
		return nil, fmt.Errorf("group %d does not exist", n.GID)
	}
	if n.Driver == "" {
		n.Driver = "core"
	}
	t := &template.Template{}
	t.AddSimple("TOKEN_PASSWORD", n.TokenPassword)
	password := n.Password
	if !n.Stored {
		password = user.StoredPassword(n.Driver, n.Password)
	}
	u := &user.User{
		ID: tx.NextID(state.UserIDs), GID: g.ID, GName: g.Name, Groups: resource.IDs{g.ID}, Name: n.Name,
		Password: password, Driver: n.Driver, Enabled: true, Template: t,
	}
	tx.Users.Insert(u)
	tx.UserQuotas.Insert(&quota.Account{OwnerID: u.ID})
	g.Users, _ = g.Users.With(u.ID)
	hook.Run(tx, tx.Conf.UserHooks, "CREATE", u.ID, u.PoolXML())
	return u, nil
}

// RemoveUser removes a user from the cloud; his objects stay.
func RemoveUser(tx *state.Tx, u *user.User) error {
	if u.ID == RootUser {
		return errors.New("oneadmin cannot be deleted.")
	}
	for _, gid := range u.Groups {
		if g := tx.Groups.Edit(gid); g != nil {
			g.Users, _ = g.Users.Without(u.ID)
		}
	}
	tx.Users.Delete(u.ID)
	tx.UserQuotas.Delete(u.ID)
	hook.Run(tx, tx.Conf.UserHooks, "REMOVE", u.ID, u.PoolXML())
	return nil
}

// AddGroup makes a group. The error's text is the detail that 4.6 gives.
func AddGroup(tx *state.Tx, name string) (*group.Group, error) {
	if err := resource.CheckName(name, ""); err != nil {
		return nil, err
	}
	if other := tx.Groups.ByName(name); other != nil {
		return nil, fmt.Errorf("NAME is already taken by GROUP %d.", other.ID)
	}
	g, err := group.New(tx.NextID(state.GroupIDs), name)
	if err != nil {
		return nil, err
	}
	tx.Groups.Insert(g)
	tx.GroupQuotas.Insert(&quota.Account{OwnerID: g.ID, Group: true})
	hook.Run(tx, tx.Conf.GroupHooks, "CREATE", g.ID, g.PoolXML())
	return g, nil
}

// RemoveGroup removes a group that has no members.
func RemoveGroup(tx *state.Tx, g *group.Group) error {
	if err := g.CheckDelete(); err != nil {
		return err
	}
	tx.Groups.Delete(g.ID)
	tx.GroupQuotas.Delete(g.ID)
	hook.Run(tx, tx.Conf.GroupHooks, "REMOVE", g.ID, g.PoolXML())
	return nil
}

// quotasOf is what an owner may use and uses; nil, which reads as nothing, when he has no account.
func quotasOf(accounts *state.Pool[*quota.Account], id int) *quota.Quotas {
	if a := accounts.Get(id); a != nil {
		return &a.Quotas
	}
	return nil
}
