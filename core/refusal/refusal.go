// Package refusal is the one error type that a client can see: what kind of refusal it is, and the words that 4.6 uses for it.
//
// Kinds are decided where the fact is known. The name of the method ("[VirtualMachineInfo] …") and the number of the caller are
// unknown here; package rpc adds them, in one place, when it turns an *Error into a response.
package refusal

import (
	"errors"
	"strconv"
	"strings"
)

// Kind is the class of a refusal. Its value is the error code of 4.6's response envelope.
type Kind int

// The codes of 4.6.
const (
	Authentication Kind = 0x0100
	Authorization  Kind = 0x0200
	NoExists       Kind = 0x0400
	Action         Kind = 0x0800
	XMLRPCAPI      Kind = 0x1000
	Internal       Kind = 0x2000
)

// Shape says how the text is framed by the API layer.
type Shape int

const (
	// Plain is "[M] text", or "[M] text. detail" when there is a detail.
	Plain Shape = iota
	// Bare is the text alone, without the method in brackets.
	Bare
	// PerUser is "[M] User [UID] : text."
	PerUser
	// Allocation is "[M] Error allocating a new <text>." plus " detail" when there is a detail.
	Allocation
)

// Error is a refusal that reaches the client.
type Error struct {
	Kind   Kind
	Shape  Shape
	Text   string
	Detail string
}

// Error gives the text without the frame that the API layer adds; it is for logs and tests.
func (e *Error) Error() string {
	switch {
	case e.Shape == Allocation && e.Detail == "":
		return "Error allocating a new " + e.Text + "."
	case e.Shape == Allocation:
		return "Error allocating a new " + e.Text + ". " + e.Detail
	case e.Detail != "":
		return e.Text + ". " + e.Detail
	}
	return e.Text
}

// Message gives the text as 4.6 words it for a call of method (the name in brackets) by user uid.
func (e *Error) Message(method string, uid int) string {
	switch e.Shape {
	case Bare:
		return e.Text
	case PerUser:
		return "[" + method + "] User [" + strconv.Itoa(uid) + "] : " + e.Text + "."
	}
	return "[" + method + "] " + e.Error()
}

// New is a refusal "[M] text" or "[M] text. detail".
func New(kind Kind, text, detail string) *Error {
	return &Error{Kind: kind, Text: text, Detail: detail}
}

// NotFound says that no object (given by its lower-case name, as "virtual machine") has this id.
func NotFound(object string, id int) *Error {
	if id == -1 {
		return &Error{Kind: NoExists, Text: "Error getting " + object + " Pool."}
	}
	return &Error{Kind: NoExists, Text: "Error getting " + object + " [" + strconv.Itoa(id) + "]."}
}

// Denied lists what the caller may not do.
func Denied(reasons ...string) *Error {
	return &Error{Kind: Authorization, Shape: PerUser, Text: strings.Join(reasons, "; ")}
}

// OfAction is a refusal of an action: "[M] text", code 2048.
func OfAction(text string) *Error { return New(Action, text, "") }

// OfAllocation refuses a new object (given by its lower-case name).
func OfAllocation(object, detail string) *Error {
	return &Error{Kind: Internal, Shape: Allocation, Text: object, Detail: detail}
}

// BareText is a refusal without the method in brackets.
func BareText(kind Kind, text string) *Error {
	return &Error{Kind: kind, Shape: Bare, Text: text}
}

// As finds the refusal in an error chain.
func As(err error) (*Error, bool) {
	var e *Error
	ok := errors.As(err, &e)
	return e, ok
}
