package main

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/kolo/xmlrpc"
)

// api calls oned.
type api struct {
	endpoint, session string
}

// callTimeout bounds one call.
const callTimeout = 30 * time.Second

// refusal is an answer of oned that is no success.
type refusal struct{ method, text string }

func (r *refusal) Error() string { return r.method + ": " + r.text }

// call returns the value of a successful answer: a text or an int64.
func (a *api) call(ctx context.Context, method string, args ...any) (any, error) {
	req, err := xmlrpc.NewRequest(a.endpoint, method, append([]any{a.session}, args...))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	answer, err := exchange(req.WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	if len(answer) < 2 {
		return nil, fmt.Errorf("%s: an answer of %d values", method, len(answer))
	}
	if ok, isBool := answer[0].(bool); !isBool || !ok {
		return nil, &refusal{method, fmt.Sprint(answer[1])}
	}
	return answer[1], nil
}

// create calls an allocate method and returns the new id.
func (a *api) create(ctx context.Context, method string, args ...any) (int, error) {
	value, err := a.call(ctx, method, args...)
	if err != nil {
		return 0, err
	}
	id, ok := value.(int64)
	if !ok {
		return 0, fmt.Errorf("%s: the answer is no id: %v", method, value)
	}
	return int(id), nil
}

// maxAnswer bounds an answer; a document of this cloud has a few KB.
const maxAnswer = 64 << 20

// exchange sends a request and decodes the array that oned answers with.
func exchange(req *http.Request) ([]any, error) {
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("HTTP status %s", resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	answer := xmlrpc.Response(body)
	if err := answer.Err(); err != nil {
		return nil, err
	}
	var values []any
	return values, answer.Unmarshal(&values)
}

// object is what this program reads of any resource.
type object struct {
	ID       int    `xml:"ID"`
	Name     string `xml:"NAME"`
	State    int    `xml:"STATE"`
	LCMState int    `xml:"LCM_STATE"`
	// LastMonitored is of a host, in seconds since 1970.
	LastMonitored int64 `xml:"LAST_MON_TIME"`
	// LastPoll is of a machine.
	LastPoll int64 `xml:"LAST_POLL"`
	Template struct {
		Error    string `xml:"ERROR"`
		Graphics struct {
			Listen string `xml:"LISTEN"`
			Port   string `xml:"PORT"`
		} `xml:"GRAPHICS"`
	} `xml:"TEMPLATE"`
	UserTemplate struct {
		Error        string `xml:"ERROR"`
		SchedMessage string `xml:"SCHED_MESSAGE"`
	} `xml:"USER_TEMPLATE"`
}

// info reads one resource.
func (a *api) info(ctx context.Context, method string, id int) (object, error) {
	var o object
	return o, a.document(ctx, &o, method, id)
}

// pool reads a pool.
func (a *api) pool(ctx context.Context, method string, args ...any) ([]object, error) {
	var pool struct {
		Objects []object `xml:",any"`
	}
	err := a.document(ctx, &pool, method, args...)
	return pool.Objects, err
}

func (a *api) document(ctx context.Context, into any, method string, args ...any) error {
	value, err := a.call(ctx, method, args...)
	if err != nil {
		return err
	}
	if err := xml.Unmarshal([]byte(fmt.Sprint(value)), into); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	return nil
}
