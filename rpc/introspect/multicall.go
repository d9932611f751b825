package introspect

import (
	"context"
	"fmt"

	"goned/rpc/xmlrpc"
)

// maxCalls bounds the calls of one multicall: their answers are held together.
const maxCalls = 1000

// multicall makes the calls its parameter lists, one after the other. A fault of
// one of them stands in its place in the result. Unlike 4.6 it looks at the whole
// list first: a list with an error in it makes no call at all.
func (m *Methods) multicall(ctx context.Context, params []xmlrpc.Value) (xmlrpc.Value, *xmlrpc.Fault) {
	calls, f := multicallList(params)
	if f != nil {
		return xmlrpc.Value{}, f
	}
	results := make([]xmlrpc.Value, len(calls))
	for i, c := range calls {
		if err := ctx.Err(); err != nil {
			return xmlrpc.Value{}, xmlrpc.Faultf(xmlrpc.FaultInternal, "system.multicall stopped: %v", err)
		}
		v, f := m.ServeCall(ctx, c)
		if f != nil {
			results[i] = xmlrpc.FaultStruct(f)
		} else {
			results[i] = xmlrpc.Array(v)
		}
	}
	return xmlrpc.Array(results...), nil
}

func multicallList(params []xmlrpc.Value) ([]*xmlrpc.Call, *xmlrpc.Fault) {
	if len(params) != 1 {
		return nil, xmlrpc.Faultf(xmlrpc.FaultParse, "system.multicall takes one parameter, which is an array, each element describing one RPC.  You supplied %d arguments", len(params))
	}
	list, ok := params[0].AsArray()
	if !ok {
		return nil, wrongType(fmt.Sprintf("system.multicall's parameter should be an array, each element describing one RPC.  But it is type %d instead.", typeNumber(params[0])))
	}
	if len(list) > maxCalls {
		return nil, xmlrpc.Faultf(xmlrpc.FaultParse, "system.multicall makes at most %d calls.  You supplied %d", maxCalls, len(list))
	}
	calls := make([]*xmlrpc.Call, len(list))
	for i, v := range list {
		c, f := multicallElement(v)
		if f != nil {
			return nil, f
		}
		calls[i] = c
	}
	return calls, nil
}

func multicallElement(v xmlrpc.Value) (*xmlrpc.Call, *xmlrpc.Fault) {
	if v.Kind() != xmlrpc.KindStruct {
		return nil, wrongType(fmt.Sprintf("An element of the multicall array is type %d, but should be a struct (with members 'methodName' and 'params')", typeNumber(v)))
	}
	nameValue, ok := v.Field("methodName")
	if !ok {
		return nil, missing("methodName")
	}
	name, f := text(nameValue)
	if f != nil {
		return nil, f
	}
	paramsValue, ok := v.Field("params")
	if !ok {
		return nil, missing("params")
	}
	params, ok := paramsValue.AsArray()
	if !ok {
		return nil, wrongType(fmt.Sprintf("Value to be decomposed is of type %s, but the 'A' specifier requires type ARRAY", paramsValue.Kind()))
	}
	if name == multicallName {
		return nil, &xmlrpc.Fault{Code: xmlrpc.FaultRefused, Text: "Recursive system.multicall forbidden"}
	}
	return &xmlrpc.Call{Method: name, Params: params}, nil
}

func missing(member string) *xmlrpc.Fault {
	return xmlrpc.Faultf(xmlrpc.FaultIndex, "No member of struct has key '%s'", member)
}

// typeNumber is the number 4.6's library gives the type of v.
func typeNumber(v xmlrpc.Value) int {
	switch v.Kind() {
	case xmlrpc.KindInt:
		return 0
	case xmlrpc.KindBool:
		return 1
	case xmlrpc.KindDouble:
		return 2
	case xmlrpc.KindDateTime:
		return 3
	case xmlrpc.KindString:
		return 4
	case xmlrpc.KindBase64:
		return 5
	case xmlrpc.KindArray:
		return 6
	case xmlrpc.KindStruct:
		return 7
	case xmlrpc.KindNil:
		return 9
	}
	return 10 // i8
}
