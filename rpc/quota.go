package rpc

import (
	"goned/core/auth"
	"goned/core/cloud"
	"goned/core/quota"
	"goned/core/refusal"
	"goned/core/resource"
	"goned/core/state"
	"goned/core/template"
)

// quotasOf is the QUOTAS element of an owner, escaped.
func quotasOf(pool *state.Pool[*quota.Account], id int) []byte {
	if listed := pool.Listing(id); listed != nil {
		return listed
	}
	return resource.AppendEscaped(nil, (&quota.Account{OwnerID: id}).PoolXML())
}

func escapedDefaults(q *quota.Quotas, element string) []byte {
	return resource.AppendEscaped(nil, q.AppendDefaultsXML(nil, element))
}

// parseQuotas reads the text of limits.
func parseQuotas(text string) (*template.Template, error) {
	t, err := template.Parse(text)
	if err != nil {
		return nil, refusal.OfAction(err.Error())
	}
	return t, nil
}

// userQuota leaves the user's own row alone: on a slave of a federation that belongs to the master, and limits do not.
func userQuota(c *Call) (any, error) {
	id := c.Int(1)
	return c.UpdateID(id, func(tx *state.Tx) error {
		if _, err := users.find(c, tx.View(), auth.Admin, id); err != nil {
			return err
		}
		if err := c.ReadLate(); err != nil {
			return err
		}
		if id == cloud.RootUser {
			return refusal.OfAction("Cannot set quotas for oneadmin user")
		}
		return setLimits(tx.UserQuotas, id, false, c.Str(2))
	})
}

// setLimits applies a text of limits to an owner's account: all of it or nothing.
func setLimits(accounts *state.Editor[*quota.Account], id int, ofGroup bool, text string) error {
	t, err := parseQuotas(text)
	if err != nil {
		return err
	}
	return asAction(cloud.EditAccount(accounts, id, ofGroup).Quotas.Set(t))
}

func userDefaults(c *Call) (any, error) {
	return string(c.Snapshot().UserDefaults.AppendDefaultsXML(nil, quota.UserDefaults)), nil
}

func groupDefaults(c *Call) (any, error) {
	return string(c.Snapshot().GroupDefaults.AppendDefaultsXML(nil, quota.GroupDefaults)), nil
}

func setUserDefaults(c *Call) (any, error) {
	return setDefaults(c, quota.UserDefaults, func(s *state.Snapshot) *quota.Quotas { return s.UserDefaults }, (*state.Tx).SetUserDefaults)
}

func setGroupDefaults(c *Call) (any, error) {
	return setDefaults(c, quota.GroupDefaults, func(s *state.Snapshot) *quota.Quotas { return s.GroupDefaults }, (*state.Tx).SetGroupDefaults)
}

func setDefaults(c *Call, element string, get func(*state.Snapshot) *quota.Quotas, set func(*state.Tx, *quota.Quotas)) (any, error) {
	if c.GID != 0 {
		return nil, refusal.BareText(refusal.Authorization, "The default quotas can only be updated by users in the oneadmin group")
	}
	var block string
	err := c.Update(func(tx *state.Tx) error {
		t, err := parseQuotas(c.Str(1))
		if err != nil {
			return err
		}
		q := get(tx.View()).Clone()
		if err := q.Set(t); err != nil {
			return asAction(err)
		}
		set(tx, q)
		block = string(q.AppendDefaultsXML(nil, element))
		return nil
	})
	return block, err
}
