package rpc

import (
	"fmt"

	"goned/core/acl"
	"goned/core/auth"
	"goned/core/cloud"
	"goned/core/refusal"
	"goned/core/resource"
	"goned/core/state"
)

func aclMethods() []*Method {
	return []*Method{
		{Name: "one.acl.addrule", Log: "AclAddRule",
			Help:   "Adds an access rule",
			Errors: "8192 the rule is there or malformed",
			Auth:   "MANAGE ACL", Result: "rule id", Forwarded: true, Handler: aclAddRule,
			Params: []Param{strParam("user"), strParam("resource"), strParam("rights"), strParam("zone").or("")}},
		{Name: "one.acl.delrule", Log: "AclDelRule",
			Help:   "Removes an access rule",
			Errors: "8192 there is no such rule",
			Auth:   "MANAGE ACL", Result: "rule id", Forwarded: true,
			Params: []Param{intParam("id")}, Handler: aclDelRule},
		{Name: "one.acl.info", Log: "AclInfo",
			Help: "Lists the access rules",
			Auth: "MANAGE ACL", Result: "ACL_POOL document", Handler: aclInfo},
	}
}

func mayManageRules(c *Call, s *state.Snapshot) error {
	return c.Authorize(s, auth.OnNone(auth.Manage, resource.ACL, -1))
}

func aclAddRule(c *Call) (any, error) {
	rule := acl.Rule{User: acl.ParseHex(c.Str(1)), Resource: acl.ParseHex(c.Str(2)), Rights: acl.ParseHex(c.Str(3))}
	rule.Zone = acl.Individual + int64(c.Conf().Federation.Zone)
	if c.Given(4) {
		rule.Zone = acl.ParseHex(c.Str(4))
	}
	var id int
	err := c.Update(func(tx *state.Tx) error {
		if err := mayManageRules(c, tx.View()); err != nil {
			return err
		}
		n, err := cloud.AddRule(tx, rule)
		if err != nil {
			return refusal.New(refusal.Internal, err.Error(), "")
		}
		id = n
		return nil
	})
	return id, err
}

func aclDelRule(c *Call) (any, error) {
	id := c.Int(1)
	return c.UpdateID(id, func(tx *state.Tx) error {
		if err := mayManageRules(c, tx.View()); err != nil {
			return err
		}
		rules, found := tx.ACL().Without(id)
		if !found {
			return refusal.New(refusal.Internal, fmt.Sprintf("Rule %d does not exist", id), "")
		}
		tx.SetACL(rules)
		return nil
	})
}

func aclInfo(c *Call) (any, error) {
	return c.Read(func(s *state.Snapshot) (any, error) {
		if err := mayManageRules(c, s); err != nil {
			return nil, err
		}
		return string(s.ACL.AppendXML(nil)), nil
	})
}
