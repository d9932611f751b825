package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/kolo/xmlrpc"
)

const (
	// DefaultEndpoint is where 4.6's clients look for oned.
	DefaultEndpoint = "http://localhost:2633/RPC2"

	// maxAnswer bounds an answer's body. A VM document has a few KB; a page of
	// poolPage of them is far smaller than this.
	maxAnswer = 64 << 20
	poolPage  = 200
)

// Client asks oned about virtual machines. It is safe for concurrent use.
type Client struct {
	// Endpoint is the XML-RPC URL, Session the "user:password" of all calls.
	Endpoint string
	Session  string
	// HTTP sends the requests; nil means http.DefaultClient. Calls are bounded by their context.
	HTTP *http.Client
}

// ClientFromEnvironment finds endpoint and credentials as the 4.6 bindings do:
// ONE_AUTH, $HOME/.one/one_auth; ONE_XMLRPC, $HOME/.one/one_endpoint, the
// default. An endpoint or credentials file given here goes first.
func ClientFromEnvironment(endpoint, authFile string) (*Client, error) {
	home, _ := os.UserHomeDir()
	if authFile == "" {
		if f := os.Getenv("ONE_AUTH"); f != "" {
			if _, err := os.Stat(f); err == nil {
				authFile = f
			}
		}
	}
	if authFile == "" && home != "" {
		authFile = filepath.Join(home, ".one", "one_auth")
	}
	session, err := os.ReadFile(authFile)
	if err != nil {
		return nil, fmt.Errorf("ONE_AUTH file not present: %w", err)
	}
	if endpoint == "" {
		endpoint = os.Getenv("ONE_XMLRPC")
	}
	if endpoint == "" && home != "" {
		if b, err := os.ReadFile(filepath.Join(home, ".one", "one_endpoint")); err == nil {
			endpoint = strings.TrimSpace(string(b))
		}
	}
	if endpoint == "" {
		endpoint = DefaultEndpoint
	}
	return &Client{Endpoint: endpoint, Session: strings.TrimSpace(string(session))}, nil
}

// APIError is a refusal by oned: its text and 4.6 code.
type APIError struct {
	Code int64
	Text string
}

func (e *APIError) Error() string { return e.Text }

// noExists is 4.6's code for an object that is not there.
const noExists = 0x0400

// NotFound reports whether err says that the VM does not exist.
func NotFound(err error) bool {
	var e *APIError
	return errors.As(err, &e) && e.Code == noExists
}

// VM returns one virtual machine. A VM in state DONE is still found.
func (c *Client) VM(ctx context.Context, id int) (VM, error) {
	doc, err := c.call(ctx, "one.vm.info", id)
	if err != nil {
		return VM{}, fmt.Errorf("load vm %d: %w", id, err)
	}
	return ParseVM(doc)
}

// Find returns the first virtual machine that match accepts. The pool is read
// in pages of the 4.6 form (start, -count), DONE machines left out.
func (c *Client) Find(ctx context.Context, match func(VM) bool) (VM, bool, error) {
	const all, notDone = -2, -1
	for start := 0; ; start += poolPage {
		doc, err := c.call(ctx, "one.vmpool.info", all, start, -poolPage, notDone)
		if err != nil {
			return VM{}, false, fmt.Errorf("load vm pool: %w", err)
		}
		vms, err := parsePool(doc)
		if err != nil {
			return VM{}, false, err
		}
		for _, v := range vms {
			if match(v) {
				return v, true, nil
			}
		}
		if len(vms) < poolPage {
			return VM{}, false, nil
		}
	}
}

// call calls a method whose result is a string.
func (c *Client) call(ctx context.Context, method string, args ...any) (string, error) {
	req, err := xmlrpc.NewRequest(c.Endpoint, method, append([]any{c.Session}, args...))
	if err != nil {
		return "", err
	}
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req.WithContext(ctx))
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return "", err
	}
	switch {
	case resp.StatusCode != http.StatusOK:
		return "", fmt.Errorf("%s: HTTP status %s", method, resp.Status)
	case len(body) > maxAnswer:
		return "", fmt.Errorf("%s: answer larger than %d bytes", method, maxAnswer)
	}
	answer := xmlrpc.Response(bytes.Map(legalXML, body))
	if err := answer.Err(); err != nil {
		return "", fmt.Errorf("%s: %w", method, err)
	}
	var result []any
	if err := answer.Unmarshal(&result); err != nil {
		return "", fmt.Errorf("%s: %w", method, err)
	}
	return stringResult(method, result)
}

// legalXML replaces what XML does not allow. oned writes templates as users
// gave them, and one machine's stray control character must not hide the pool.
func legalXML(r rune) rune {
	if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
		return '?'
	}
	return r
}

// stringResult reads 4.6's result array: success, value or text, code.
func stringResult(method string, result []any) (string, error) {
	if len(result) < 2 {
		return "", fmt.Errorf("%s: answer has %d values, want 3", method, len(result))
	}
	ok, isBool := result[0].(bool)
	text, isString := result[1].(string)
	if !isBool || !isString {
		return "", fmt.Errorf("%s: answer is (%T, %T), want boolean and string", method, result[0], result[1])
	}
	if ok {
		return text, nil
	}
	e := &APIError{Text: text}
	if len(result) > 2 {
		e.Code, _ = result[2].(int64)
	}
	return "", e
}
