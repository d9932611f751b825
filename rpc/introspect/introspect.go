// Package introspect provides the system.* methods that 4.6's XML-RPC library
// offers beside the API: what methods there are, and several calls in one. They
// need no session.
package introspect

import (
	"context"
	"fmt"

	"goned/rpc/xmlrpc"
)

// MethodInfo describes a method to clients that ask. None of it is enforced.
type MethodInfo struct {
	Name      string
	Signature []string // type of the result, then those of the parameters; empty if unknown
	Help      string   // empty if there is none
}

// Registry knows the methods of the API, in the order they are to be listed.
type Registry interface {
	Methods() []MethodInfo
}

// Handler answers calls (the interface of the same name in package transport).
type Handler interface {
	ServeCall(ctx context.Context, c *xmlrpc.Call) (xmlrpc.Value, *xmlrpc.Fault)
}

// Methods answers the system.* methods and passes all other calls on.
type Methods struct {
	api   Handler
	infos []MethodInfo // system methods first
	index map[string]int
	funcs map[string]func(context.Context, []xmlrpc.Value) (xmlrpc.Value, *xmlrpc.Fault)
}

// New returns a handler that adds the system.* methods to api, whose methods reg
// lists.
func New(reg Registry, api Handler) *Methods {
	m := &Methods{api: api, index: make(map[string]int)}
	m.infos = append(systemMethods(), reg.Methods()...)
	for i, info := range m.infos {
		m.index[info.Name] = i
	}
	m.funcs = map[string]func(context.Context, []xmlrpc.Value) (xmlrpc.Value, *xmlrpc.Fault){
		"system.listMethods":     m.listMethods,
		"system.methodExist":     m.methodExist,
		"system.methodHelp":      m.methodHelp,
		"system.methodSignature": m.methodSignature,
		multicallName:            m.multicall,
		"system.shutdown":        m.shutdown,
		"system.capabilities":    m.capabilities,
		"system.getCapabilities": m.getCapabilities,
	}
	return m
}

const multicallName = "system.multicall"

// systemMethods describes our own methods, in 4.6's order and words, including
// its mistake about the result of system.methodExist.
func systemMethods() []MethodInfo {
	return []MethodInfo{
		{"system.listMethods", []string{"array"},
			"Return an array of all available XML-RPC methods on this server."},
		{"system.methodExist", []string{"string", "boolean"},
			"Tell whether a method by a specified name exists on this server"},
		{"system.methodHelp", []string{"string", "string"},
			"Given the name of a method, return a help string."},
		{"system.methodSignature", []string{"array", "string"},
			"Given the name of a method, return an array of legal signatures. Each signature is an array of strings.  " +
				"The first item of each signature is the return type, and any others items are parameter types."},
		{multicallName, []string{"array", "array"},
			"Process an array of calls, and return an array of results.  Calls should be structs of the form " +
				"{'methodName': string, 'params': array}. Each result will either be a single-item array containing the result value, " +
				"or a struct of the form {'faultCode': int, 'faultString': string}.  " +
				"This is useful when you need to make lots of small calls without lots of round trips."},
		{"system.shutdown", []string{"int", "string"},
			"Shut down the server.  Return code is always zero."},
		{"system.capabilities", []string{"struct"},
			"Return the capabilities of XML-RPC server.  This includes the version number of the XML-RPC For C/C++ software"},
		{"system.getCapabilities", []string{"struct"},
			"Return the list of standard capabilities of XML-RPC server.  See http://tech.groups.yahoo.com/group/xml-rpc/message/2897"},
	}
}

// ServeCall answers c.
func (m *Methods) ServeCall(ctx context.Context, c *xmlrpc.Call) (xmlrpc.Value, *xmlrpc.Fault) {
	if f, ok := m.funcs[c.Method]; ok {
		return f(ctx, c.Params)
	}
	return m.api.ServeCall(ctx, c)
}

func (m *Methods) listMethods(_ context.Context, params []xmlrpc.Value) (xmlrpc.Value, *xmlrpc.Fault) {
	if f := wantCount(params, 0); f != nil {
		return xmlrpc.Value{}, f
	}
	names := make([]xmlrpc.Value, len(m.infos))
	for i, info := range m.infos {
		names[i] = xmlrpc.String(info.Name)
	}
	return xmlrpc.Array(names...), nil
}

func (m *Methods) methodExist(_ context.Context, params []xmlrpc.Value) (xmlrpc.Value, *xmlrpc.Fault) {
	name, f := oneString(params, "")
	if f != nil {
		return xmlrpc.Value{}, f
	}
	_, ok := m.index[name]
	return xmlrpc.Bool(ok), nil
}

func (m *Methods) methodHelp(_ context.Context, params []xmlrpc.Value) (xmlrpc.Value, *xmlrpc.Fault) {
	info, f := m.lookup(params, "")
	if f != nil {
		return xmlrpc.Value{}, f
	}
	if info.Help == "" {
		return xmlrpc.String("No help is available for this method."), nil
	}
	return xmlrpc.String(info.Help), nil
}

func (m *Methods) methodSignature(_ context.Context, params []xmlrpc.Value) (xmlrpc.Value, *xmlrpc.Fault) {
	info, f := m.lookup(params, invalidList)
	if f != nil {
		return xmlrpc.Value{}, f
	}
	if len(info.Signature) == 0 {
		return xmlrpc.String("undef"), nil
	}
	types := make([]xmlrpc.Value, len(info.Signature))
	for i, t := range info.Signature {
		types[i] = xmlrpc.String(t)
	}
	return xmlrpc.Array(xmlrpc.Array(types...)), nil
}

func (m *Methods) lookup(params []xmlrpc.Value, prefix string) (MethodInfo, *xmlrpc.Fault) {
	name, f := oneString(params, prefix)
	if f != nil {
		return MethodInfo{}, f
	}
	i, ok := m.index[name]
	if !ok {
		return MethodInfo{}, xmlrpc.Faultf(xmlrpc.FaultNoSuchMethod, "Method '%s' does not exist", name)
	}
	return m.infos[i], nil
}

func (m *Methods) shutdown(_ context.Context, params []xmlrpc.Value) (xmlrpc.Value, *xmlrpc.Fault) {
	if _, f := oneString(params, invalidList); f != nil {
		return xmlrpc.Value{}, f
	}
	return xmlrpc.Value{}, &xmlrpc.Fault{Code: 0, Text: "This server program is not capable of shutting down"}
}

// capabilities names the library 4.6 was built with: some clients look for it.
func (m *Methods) capabilities(_ context.Context, params []xmlrpc.Value) (xmlrpc.Value, *xmlrpc.Fault) {
	if f := noParams(params); f != nil {
		return xmlrpc.Value{}, f
	}
	return xmlrpc.Struct(
		xmlrpc.Member{Name: "facility", Value: xmlrpc.String("xmlrpc-c")},
		xmlrpc.Member{Name: "version_major", Value: xmlrpc.Int(1)},
		xmlrpc.Member{Name: "version_minor", Value: xmlrpc.Int(33)},
		xmlrpc.Member{Name: "version_point", Value: xmlrpc.Int(14)},
		xmlrpc.Member{Name: "protocol_version", Value: xmlrpc.Int(2)},
	), nil
}

func (m *Methods) getCapabilities(_ context.Context, params []xmlrpc.Value) (xmlrpc.Value, *xmlrpc.Fault) {
	if f := noParams(params); f != nil {
		return xmlrpc.Value{}, f
	}
	return xmlrpc.Struct(xmlrpc.Member{Name: "introspect", Value: xmlrpc.Struct(
		xmlrpc.Member{Name: "specUrl", Value: xmlrpc.String("http://xmlrpc-c.sourceforge.net/xmlrpc-c/introspection.html")},
		xmlrpc.Member{Name: "specVersion", Value: xmlrpc.Int(1)},
	)}), nil
}

// Parameter checks, with the fault texts of 4.6.

const invalidList = "Invalid parameter list.  "

func wantCount(params []xmlrpc.Value, n int) *xmlrpc.Fault {
	switch got := len(params); {
	case got < n:
		return xmlrpc.Faultf(xmlrpc.FaultIndex, "Format string requests %d items from array, but array has only %d items.", n, got)
	case got > n:
		return xmlrpc.Faultf(xmlrpc.FaultIndex, "Format string requests exactly %d items from array, but array has %d items.  (A '*' at the end would avoid this failure)", n, got)
	}
	return nil
}

func noParams(params []xmlrpc.Value) *xmlrpc.Fault {
	if len(params) > 0 {
		return xmlrpc.Faultf(xmlrpc.FaultIndex, "There are no parameters.  You supplied %d", len(params))
	}
	return nil
}

// oneString reads the one parameter of a method, a string. prefix begins the text
// of the fault if it is not that.
func oneString(params []xmlrpc.Value, prefix string) (string, *xmlrpc.Fault) {
	f := wantCount(params, 1)
	var s string
	if f == nil {
		s, f = text(params[0])
	}
	if f != nil {
		f.Text = prefix + f.Text
	}
	return s, f
}

func text(v xmlrpc.Value) (string, *xmlrpc.Fault) {
	s, ok := v.AsString()
	if !ok {
		return "", wrongType(fmt.Sprintf("Value of type %s supplied where string type was expected.", v.Kind()))
	}
	return s, nil
}

func wrongType(text string) *xmlrpc.Fault {
	return &xmlrpc.Fault{Code: xmlrpc.FaultType, Text: text}
}
