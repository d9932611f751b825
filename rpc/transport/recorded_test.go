package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"goned/rpc/xmlrpc"
)

// sharedDir is where recordings of the real 4.6.2 are kept, outside the project.
func sharedDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("GONED_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared")
	}
	if _, err := os.Stat(filepath.Join(dir, "golden", "http.json")); err != nil {
		t.Skipf("no recordings: %v (set GONED_SHARED)", err)
	}
	return dir
}

// rawStep is a recorded HTTP request and its answer.
type rawStep struct {
	Raw struct {
		Method  string            `json:"method"`
		Path    string            `json:"path"`
		Body    string            `json:"body"`
		Note    string            `json:"note"`
		Headers map[string]string `json:"headers"`
	} `json:"raw"`
	Response struct {
		Status      int    `json:"status"`
		ContentType string `json:"content_type"`
		Body        string `json:"body"`
	} `json:"response"`
}

// replayer answers a call with the result recorded for it: what is under test is
// everything between the handler and the wire.
type replayer struct{ want atomic.Pointer[string] }

func (r *replayer) ServeCall(context.Context, *xmlrpc.Call) (xmlrpc.Value, *xmlrpc.Fault) {
	v, f, err := xmlrpc.DecodeResponse([]byte(*r.want.Load()))
	if err != nil {
		return xmlrpc.Value{}, xmlrpc.Faultf(xmlrpc.FaultInternal, "recording: %v", err)
	}
	return v, f
}

func TestRecordedRequests(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(sharedDir(t), "golden", "http.json"))
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Scenarios []struct {
			Steps []rawStep `json:"steps"`
		} `json:"scenarios"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	h := &replayer{}
	_, addr := serve(t, h, Config{})
	n := 0
	for _, sc := range doc.Scenarios {
		for _, step := range sc.Steps {
			if step.Raw.Method == "" {
				continue
			}
			n++
			t.Run(step.Raw.Note, func(t *testing.T) {
				h.want.Store(&step.Response.Body)
				replay(t, addr, step)
			})
		}
	}
	if n < 15 {
		t.Errorf("only %d recorded requests", n)
	}
}

func replay(t *testing.T, addr string, step rawStep) {
	t.Helper()
	path := step.Raw.Path
	if path == "" {
		path = "/RPC2"
	}
	req, err := http.NewRequest(step.Raw.Method, "http://"+addr+path, strings.NewReader(step.Raw.Body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "text/xml")
	for k, v := range step.Raw.Headers {
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != step.Response.Status {
		t.Errorf("status %d, want %d", resp.StatusCode, step.Response.Status)
	}
	if step.Response.Status != http.StatusOK {
		return // the recording leaves the rest open
	}
	if got := resp.Header.Get("Content-Type"); got != step.Response.ContentType {
		t.Errorf("content type %q, want %q", got, step.Response.ContentType)
	}
	if !bytes.Equal(body, []byte(step.Response.Body)) {
		t.Errorf("body %q\nwant %q", body, step.Response.Body)
	}
}
