package sched

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/kolo/xmlrpc"

	"goned/core/template/xmldoc"
)

// Oned calls the daemon. Every call is bounded in time and size.
type Oned struct {
	url     string
	session string
	limit   int64
	client  *http.Client
}

// callTimeout bounds one call, answer included: a pool of a large cloud takes
// seconds, an oned that hangs must not hold up the scheduler for ever.
const callTimeout = 2 * time.Minute

// NewOned prepares calls to the daemon at url with a session "user:password".
// Answers larger than limit bytes are refused.
func NewOned(url, session string, limit int64) *Oned {
	return &Oned{url: url, session: session, limit: limit, client: &http.Client{
		Timeout: callTimeout,
		Transport: &http.Transport{
			DialContext:     (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
			IdleConnTimeout: 10 * time.Second,
		},
	}}
}

// Close drops idle connections.
func (o *Oned) Close() { o.client.CloseIdleConnections() }

// Refusal is an answer of oned that is not a success; its text is oned's.
type Refusal struct{ Message string }

func (r *Refusal) Error() string { return r.Message }

// Call makes a call and returns the text of the answer, "" if it is no text.
// The error is a *Refusal if oned answered and said no.
func (o *Oned) Call(ctx context.Context, method string, args ...any) (string, error) {
	req, err := xmlrpc.NewRequest(o.url, method, append([]any{o.session}, args...))
	if err != nil {
		return "", fmt.Errorf("%s: %w", method, err)
	}
	resp, err := o.client.Do(req.WithContext(ctx))
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: HTTP status %s", method, resp.Status)
	}
	var body strings.Builder
	n, err := io.Copy(&body, io.LimitReader(resp.Body, o.limit+1))
	if err != nil {
		return "", fmt.Errorf("%s: %w", method, err)
	}
	if n > o.limit {
		return "", fmt.Errorf("%s: the answer is larger than MESSAGE_SIZE, %d bytes", method, o.limit)
	}
	return decode(method, body.String())
}

// decode reads an answer. It is parsed by xmldoc, not by the XML-RPC library,
// whose decoder takes seconds for the pools of a large cloud.
func decode(method, body string) (string, error) {
	doc, err := xmldoc.Parse(body)
	if err != nil {
		return "", fmt.Errorf("%s: the answer is no XML-RPC: %w", method, err)
	}
	if fault := doc.Child("fault"); fault != nil {
		return "", readFault(fault)
	}
	values := doc.Child("params").Child("param").Child("value").Child("array").Child("data").All("value")
	if len(values) < 2 {
		return "", fmt.Errorf("%s: an answer of %d values", method, len(values))
	}
	ok := values[0].Child("boolean")
	if ok == nil {
		return "", fmt.Errorf("%s: the answer does not begin with a boolean", method)
	}
	text := stringValue(values[1])
	if strings.TrimSpace(ok.Text) != "1" {
		return "", &Refusal{text}
	}
	return text, nil
}

func readFault(fault *xmldoc.Node) error {
	var f xmlrpc.FaultError
	for _, m := range fault.Child("value").Child("struct").All("member") {
		name, value := m.Child("name"), m.Child("value")
		if name == nil || value == nil {
			continue
		}
		switch name.Text {
		case "faultString":
			f.String = stringValue(value)
		case "faultCode":
			for _, n := range value.Children {
				f.Code, _ = strconv.Atoi(strings.TrimSpace(n.Text)) // 0 is as good for the log
			}
		}
	}
	return f
}

// stringValue is the text of a string; values without a type are strings.
func stringValue(value *xmldoc.Node) string {
	if s := value.Child("string"); s != nil {
		return s.Text
	}
	if value == nil || len(value.Children) > 0 {
		return ""
	}
	return value.Text
}

// Document makes a call whose answer is an XML document.
func (o *Oned) Document(ctx context.Context, method string, args ...any) (*xmldoc.Node, error) {
	text, err := o.Call(ctx, method, args...)
	if err != nil {
		return nil, err
	}
	doc, err := xmldoc.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("answer of %s: %w", method, err)
	}
	return doc, nil
}

// ReadSession reads the credentials: the first line of the file $ONE_AUTH,
// else of .one/one_auth in the home directory that the user database names.
func ReadSession() (string, error) {
	path := os.Getenv("ONE_AUTH")
	if path == "" {
		u, err := user.Current()
		if err != nil {
			return "", fmt.Errorf("find the home directory: %w", err)
		}
		path = filepath.Join(u.HomeDir, ".one", "one_auth")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", Message("Could not open file: " + path)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	if line == "" {
		return "", Message("Wrong format must be <username>:<password>")
	}
	return line, nil
}
