package rpc

import "goned/rpc/introspect"

// Methods lists the API for system.listMethods and its like.
func (s *Server) Methods() []introspect.MethodInfo {
	var out []introspect.MethodInfo
	for _, m := range Methods() {
		signature := []string{"array", "string"}
		for _, p := range m.Params {
			if p.Silent {
				continue
			}
			signature = append(signature, p.Kind.String())
		}
		out = append(out, introspect.MethodInfo{Name: m.Name, Signature: signature, Help: m.Help})
	}
	return out
}

// String is the type's name on the wire.
func (k ParamKind) String() string {
	switch k {
	case StringParam:
		return "string"
	case BoolParam:
		return "boolean"
	}
	return "int"
}
