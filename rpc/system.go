package rpc

import (
	"goned/core/refusal"
)

// Version is the version of OpenNebula that the API is.
const Version = "4.6.2"

func systemMethods() []*Method {
	return []*Method{
		{Name: "one.system.version", Log: "SystemVersion", Auth: "any user", Result: "version string",
			Help: "Returns the OpenNebula core version", Handler: func(*Call) (any, error) { return Version, nil }},
		{Name: "one.system.config", Log: "SystemConfig", Auth: "primary group oneadmin", Result: "TEMPLATE document",
			Help: "Returns the OpenNebula core configuration", Handler: systemConfig},
	}
}

func systemConfig(c *Call) (any, error) {
	if c.GID != 0 {
		return nil, refusal.BareText(refusal.Authorization,
			"The oned configuration can only be retrieved by users in the oneadmin group")
	}
	return string(c.Conf().Attributes.AppendXML(nil, "TEMPLATE")), nil
}
