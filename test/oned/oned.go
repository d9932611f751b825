// Package oned calls a daemon as clients do, for tests that start one.
package oned

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/beevik/etree"
	"github.com/kolo/xmlrpc"

	"goned/core/image"
	"goned/core/vm"
)

// Client is one user's access to an oned.
type Client struct {
	Endpoint, Session string
	HTTP              *http.Client
}

// New is a client with connections of its own, which it keeps for many calls at once.
func New(endpoint, session string) Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 128}
	return Client{Endpoint: endpoint, Session: session, HTTP: &http.Client{Transport: transport, Timeout: time.Minute}}
}

// Refused is an answer of oned that is no success.
type Refused struct{ Method, Text string }

func (r *Refused) Error() string { return r.Method + ": " + r.Text }

// Call returns the value of a successful answer: a text or an int64. An error that is no *Refused leaves open whether the call was
// carried out.
func (c Client) Call(method string, args ...any) (any, error) {
	value, err := c.call(method, args)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	if len(value) < 2 {
		return nil, fmt.Errorf("%s: an answer of %d values", method, len(value))
	}
	if ok, isBool := value[0].(bool); !isBool || !ok {
		return nil, &Refused{method, fmt.Sprint(value[1])}
	}
	return value[1], nil
}

func (c Client) call(method string, args []any) (values []any, err error) {
	req, err := xmlrpc.NewRequest(c.Endpoint, method, append([]any{c.Session}, args...))
	if err != nil {
		return nil, err
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("HTTP status %s", resp.Status)
	}
	answer := xmlrpc.Response(body)
	if err := answer.Err(); err != nil {
		return nil, err
	}
	return values, answer.Unmarshal(&values)
}

// Number calls a method that answers with an id.
func (c Client) Number(method string, args ...any) (int, error) {
	value, err := c.Call(method, args...)
	if err != nil {
		return 0, err
	}
	id, ok := value.(int64)
	if !ok {
		return 0, fmt.Errorf("%s: the answer is no id: %v", method, value)
	}
	return int(id), nil
}

// Document calls a method that answers with an XML document.
func (c Client) Document(method string, args ...any) (Node, error) {
	value, err := c.Call(method, args...)
	if err != nil {
		return none(), err
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromString(fmt.Sprint(value)); err != nil {
		return none(), fmt.Errorf("%s: %w", method, err)
	}
	if doc.Root() == nil {
		return none(), fmt.Errorf("%s: no document: %q", method, value)
	}
	return Node{doc.Root()}, nil
}

// Node is an element of a document.
type Node struct{ *etree.Element }

func none() Node { return Node{etree.NewElement("NONE")} }

// Text is what an element below holds, "" if it is not there.
func (n Node) Text(path string) string {
	if e := n.FindElement("./" + path); e != nil {
		return e.Text()
	}
	return ""
}

// Number is the number that an element below holds, 0 if it is not there.
func (n Node) Number(path string) int {
	var i int
	_, _ = fmt.Sscan(n.Text(path), &i)
	return i
}

// All are the elements of a path below.
func (n Node) All(path string) []Node {
	var out []Node
	for _, e := range n.FindElements("./" + path) {
		out = append(out, Node{e})
	}
	return out
}

// VMState names the state of a VM: "PENDING", or, when it is active, "RUNNING" or what else it is doing.
func (n Node) VMState() string {
	if state := vm.State(n.Number("STATE")); state != vm.Active {
		return state.String()
	}
	return vm.LCMState(n.Number("LCM_STATE")).String()
}

// ImageState is "READY", "USED" and so on.
func (n Node) ImageState() string { return image.State(n.Number("STATE")).String() }
