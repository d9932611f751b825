package rpc

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"goned/rpc/xmlrpc"
)

// Bounds of a call to the master. Its answers are ids and texts; only a broken one is long.
const (
	masterTimeout   = 90 * time.Second
	masterMaxAnswer = 16 << 20
)

// MasterClient forwards calls from a slave of a federation to the master.
type MasterClient struct {
	url    string
	client *http.Client
}

// NewMasterClient makes a client of the master whose XML-RPC address is url.
func NewMasterClient(url string) *MasterClient {
	return &MasterClient{url: url, client: &http.Client{Timeout: masterTimeout}}
}

// Forward sends a call as it is, session string and all, and returns the master's answer as it is. A fault is an error, as in 4.6.
func (m *MasterClient) Forward(ctx context.Context, c *xmlrpc.Call) (xmlrpc.Value, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.url, bytes.NewReader(xmlrpc.EncodeCall(c)))
	if err != nil {
		return xmlrpc.Value{}, fmt.Errorf("master %s: %w", m.url, err)
	}
	req.Header.Set("Content-Type", "text/xml; charset=utf-8")
	resp, err := m.client.Do(req)
	if err != nil {
		return xmlrpc.Value{}, fmt.Errorf("call master: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return xmlrpc.Value{}, fmt.Errorf("call master: HTTP status %s", resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, masterMaxAnswer+1))
	if err != nil {
		return xmlrpc.Value{}, fmt.Errorf("read master's answer: %w", err)
	}
	if len(body) > masterMaxAnswer {
		return xmlrpc.Value{}, fmt.Errorf("the master's answer is longer than %d bytes", masterMaxAnswer)
	}
	v, fault, err := xmlrpc.DecodeResponse(body)
	if err != nil {
		return xmlrpc.Value{}, fmt.Errorf("decode master's answer: %w", err)
	}
	if fault != nil {
		return xmlrpc.Value{}, fmt.Errorf("master's answer: %w", fault)
	}
	return v, nil
}

// sharedMaxAge is how old a slave's copy of the shared tables may be when a call begins. 4.6 reads them anew for each access.
const sharedMaxAge = time.Second

// refresher keeps a slave's copy of the shared tables young.
type refresher struct {
	reload func(context.Context) error // nil on other daemons
	now    func() time.Time

	mu   sync.Mutex // held while reloading: those who come meanwhile get the result
	last time.Time
}

// refresh reloads the tables when the last time is too long ago.
func (r *refresher) refresh(ctx context.Context) error {
	if r.reload == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if age := r.now().Sub(r.last); age >= 0 && age < sharedMaxAge {
		return nil
	}
	if err := r.reload(ctx); err != nil {
		return err
	}
	r.last = r.now()
	return nil
}

// expire makes the next call reload the tables.
func (r *refresher) expire() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = time.Time{}
}
