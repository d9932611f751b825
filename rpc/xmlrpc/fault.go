package xmlrpc

import "fmt"

// Codes of faults, as 4.6's XML-RPC library numbers them.
const (
	FaultInternal     = -500 // the server failed
	FaultType         = -501 // a parameter is missing or of the wrong type
	FaultIndex        = -502 // wrong number of parameters, missing struct member
	FaultParse        = -503 // the call is not well-formed or not an XML-RPC call
	FaultNoSuchMethod = -506
	FaultRefused      = -507 // the server does not do this
)

// Fault is a failed call as XML-RPC knows it; it travels with HTTP status 200.
type Fault struct {
	Code int
	Text string
}

// Error makes a Fault usable as error.
func (f *Fault) Error() string { return fmt.Sprintf("fault %d: %s", f.Code, f.Text) }

// Faultf returns a Fault with a formatted text.
func Faultf(code int, format string, args ...any) *Fault {
	return &Fault{Code: code, Text: fmt.Sprintf(format, args...)}
}

// NoSuchMethod is the fault for a call of an unknown method.
func NoSuchMethod(name string) *Fault {
	return &Fault{Code: FaultNoSuchMethod, Text: "Method '" + name + "' not defined"}
}

// callFault is the fault for a document that is no call.
func callFault(detail string) *Fault {
	return &Fault{Code: FaultParse, Text: "Call XML not a proper XML-RPC call.  " + detail}
}
