package rpc

import (
	"goned/core/refusal"
)

// Version is the version of OpenNebula that the API is.
const Version = "4.6.2"

func systemMethods() []*Method {
	return []*Method{
		{Name: "one.system.version", Log: "SystemVersion",
			Help: "Returns the version of OpenNebula whose API this is",
			Auth: "any user", Result: "version string", Handler: func(*Call) (any, error) { return Version, nil }},
		{Name: "one.system.config", Log: "SystemConfig",
			Help: "Returns the configuration of the daemon, with the defaults of what it leaves out",
			Auth: "primary group oneadmin", Result: "TEMPLATE document", Handler: systemConfig},
	}
}

func systemConfig(c *Call) (any, error) {
	if c.GID != 0 {
		return nil, refusal.BareText(refusal.Authorization,
			"The oned configuration can only be retrieved by users in the oneadmin group")
	}
	return string(c.Conf().Attributes.AppendXML(nil, "TEMPLATE")), nil
}
