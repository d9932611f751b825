package transport

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"goned/rpc/xmlrpc"
	"goned/test/output"
)

// toy is a handler with a few methods.
type toy struct {
	big     []byte        // answer of "big", repeated 300 times
	entered chan struct{} // "block" tells that it is running
	leave   chan struct{} // and returns when this is closed
}

func (h *toy) ServeCall(ctx context.Context, c *xmlrpc.Call) (xmlrpc.Value, *xmlrpc.Fault) {
	switch c.Method {
	case "echo":
		return xmlrpc.Array(c.Params...), nil
	case "length":
		s, _ := c.Params[0].AsString()
		return xmlrpc.Int(len(s)), nil
	case "big":
		chunks := make([][]byte, 300)
		for i := range chunks {
			chunks[i] = h.big
		}
		return xmlrpc.Array(xmlrpc.Bool(true), xmlrpc.Escaped(chunks...), xmlrpc.Int(0)), nil
	case "panic":
		panic("as asked for")
	case "block":
		h.entered <- struct{}{}
		select {
		case <-h.leave:
		case <-ctx.Done():
			return xmlrpc.Value{}, xmlrpc.Faultf(xmlrpc.FaultInternal, "cancelled")
		}
		return xmlrpc.Bool(true), nil
	}
	return xmlrpc.Value{}, xmlrpc.NoSuchMethod(c.Method)
}

func newToy() *toy {
	return &toy{
		big:     xmlrpc.AppendEscaped(nil, strings.Repeat("<VM><ID>1</ID></VM>", 2000)),
		entered: make(chan struct{}, 10),
		leave:   make(chan struct{}),
	}
}

// serve starts a server and returns its address. The test ends with its shutdown.
func serve(t testing.TB, h Handler, conf Config) (*Server, string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := New(h, conf)
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		_ = s.Shutdown(ctx)
		if err := <-done; !errors.Is(err, ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
	return s, ln.Addr().String()
}

func dial(t testing.TB, addr string) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return nc
}

const echoBody = "<methodCall><methodName>echo</methodName></methodCall>"

func post(body string, fields ...string) string {
	return "POST /RPC2 HTTP/1.1\r\n" + strings.Join(append(fields, ""), "\r\n") +
		fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
}

func call(method string, params ...xmlrpc.Value) string {
	return string(xmlrpc.EncodeCall(&xmlrpc.Call{Method: method, Params: params}))
}

// exchange sends a request and returns all that comes back until the server
// closes, or the first answer if it keeps the connection open.
func exchange(t *testing.T, addr, request string) (resp *http.Response, body string, closed bool) {
	t.Helper()
	nc := dial(t, addr)
	go io.WriteString(nc, request) // the answer may come before all is sent
	br := bufio.NewReader(nc)
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	_, err = br.ReadByte()
	return resp, string(data), errors.Is(err, io.EOF)
}

func TestRequests(t *testing.T) {
	_, addr := serve(t, newToy(), Config{MaxBody: 4096, MaxHeader: 2048})
	chunked := func(chunks string) string {
		return "POST /RPC2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
	}
	for _, tc := range []struct {
		name, request string
		status        int
		closed        bool
		contains      string
	}{
		{"plain", post(echoBody), 200, false, "<methodResponse>"},
		{"no fields but the length", "POST /RPC2 HTTP/1.1\r\ncontent-length:54\r\n\r\n" + echoBody, 200, false, "<methodResponse>"},
		{"HTTP/1.0", strings.Replace(post(echoBody), "1.1", "1.0", 1), 200, true, "<methodResponse>"},
		{"HTTP/1.0 kept open", strings.Replace(post(echoBody, "Connection: Keep-Alive"), "1.1", "1.0", 1), 200, false, ""},
		{"HTTP/1.1 to be closed", post(echoBody, "Connection: close"), 200, true, ""},
		{"several connection options", post(echoBody, "Connection: TE, Close"), 200, true, ""},
		{"query", strings.Replace(post(echoBody), "/RPC2", "/RPC2?x=1", 1), 200, false, ""},
		{"absolute address", strings.Replace(post(echoBody), "/RPC2", "http://host:1/RPC2", 1), 200, false, ""},
		{"escaped path", strings.Replace(post(echoBody), "/RPC2", "/%52PC2", 1), 200, false, ""},
		{"LF line ends", strings.ReplaceAll(post(echoBody), "\r\n", "\n"), 200, false, ""},
		{"blank lines first", "\r\n\r\n" + post(echoBody), 200, false, ""},
		{"folded field", post(echoBody, "X: a", "  b: c"), 200, false, ""},
		{"other content type", post(echoBody, "Content-Type: text/html"), 200, false, ""},
		{"identity encoding", post(echoBody, "Transfer-Encoding: identity"), 200, false, ""},
		{"chunked", chunked("10\r\n" + echoBody[:16] + "\r\n26;ext=1\r\n" + echoBody[16:] + "\r\n0\r\nTrailer: x\r\n\r\n"), 200, false, "<methodResponse>"},
		{"not XML", post("not xml at all"), 200, false, "Call XML not a proper XML-RPC call.  Call is not valid XML.  syntax error"},
		{"unknown method", post(call("one.nosuch")), 200, false, "Method 'one.nosuch' not defined"},
		{"panic", post(call("panic")), 200, false, "<i4>-500</i4>"},
		{"OPTIONS", "OPTIONS /RPC2 HTTP/1.1\r\n\r\n", 200, false, ""},
		{"OPTIONS with body", strings.Replace(post(echoBody), "POST", "OPTIONS", 1), 200, false, ""},

		{"root", strings.Replace(post(echoBody), "/RPC2", "/", 1), 404, true, ""},
		{"trailing slash", strings.Replace(post(echoBody), "/RPC2", "/RPC2/", 1), 404, true, ""},
		{"lower case", strings.Replace(post(echoBody), "/RPC2", "/rpc2", 1), 404, true, ""},
		{"OPTIONS elsewhere", "OPTIONS /x HTTP/1.1\r\n\r\n", 404, true, ""},
		{"GET elsewhere", "GET / HTTP/1.1\r\n\r\n", 404, true, ""},
		{"GET", "GET /RPC2 HTTP/1.1\r\n\r\n", 405, true, ""},
		{"HEAD", "PUT /RPC2 HTTP/1.1\r\n\r\n", 405, true, ""},
		{"lower-case method", strings.Replace(post(echoBody), "POST", "post", 1), 405, true, ""},
		{"no length", "POST /RPC2 HTTP/1.1\r\n\r\n", 411, true, ""},
		{"empty", post(""), 400, true, ""},
		{"empty chunks", chunked("0\r\n\r\n"), 400, true, ""},
		{"length not a number", "POST /RPC2 HTTP/1.1\r\nContent-Length: abc\r\n\r\n", 400, true, ""},
		{"negative length", "POST /RPC2 HTTP/1.1\r\nContent-Length: -5\r\n\r\n", 400, true, ""},
		{"two lengths", post(echoBody, "Content-Length: 3"), 400, true, ""},
		{"same length twice", post(echoBody, "Content-Length: 54"), 200, false, ""},
		{"length and chunks", post(echoBody, "Transfer-Encoding: chunked"), 400, true, ""},
		{"gzip encoding", post(echoBody, "Transfer-Encoding: gzip"), 501, true, ""},
		{"too large", post(strings.Repeat("x", 4097)), 500, true, "XML-RPC request too large (4097 bytes)"},
		{"largest", post(strings.Repeat("x", 4096)), 200, false, "syntax error"},
		{"absurd length", "POST /RPC2 HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n", 500, true, "XML-RPC request too large"},
		{"too large in chunks", chunked("1000\r\n" + strings.Repeat("x", 4096) + "\r\n1\r\nx\r\n0\r\n\r\n"), 500, true, "XML-RPC request too large (4097 bytes)"},
		{"huge chunk", chunked("7fffffff\r\n"), 500, true, "XML-RPC request too large"},
		{"bad chunk size", chunked("xyz\r\n"), 400, true, ""},
		{"negative chunk size", chunked("-1\r\n"), 400, true, ""},
		{"chunk without end", chunked("1\r\nxy\r\n0\r\n\r\n"), 400, true, ""},
		{"garbage", "GARBAGE\r\n\r\n", 400, true, ""},
		{"too many words", "POST /a b HTTP/1.1\r\n\r\n", 400, true, ""},
		{"another protocol", "POST /RPC2 FTP/1.1\r\n\r\n", 400, true, ""},
		{"bad version", "POST /RPC2 HTTP/x\r\n\r\n", 400, true, ""},
		{"no version", "POST /RPC2\r\n\r\n", 505, true, ""},
		{"HTTP/2", "POST /RPC2 HTTP/2.0\r\n\r\n", 505, true, ""},
		{"no slash", "POST RPC2 HTTP/1.1\r\n\r\n", 400, true, ""},
		{"bad escape", "POST /%zz HTTP/1.1\r\n\r\n", 400, true, ""},
		{"cut escape", "POST /%5 HTTP/1.1\r\n\r\n", 400, true, ""},
		{"field without colon", post(echoBody, "BadHeader"), 400, true, ""},
		{"field with a blank", post(echoBody, "A b: c"), 400, true, ""},
		{"long field", post(echoBody, "Cookie: "+strings.Repeat("x", 3000)), 431, true, ""},
		{"many fields", post(echoBody, strings.Repeat("X: y\r\n", 500)+"Z: z"), 431, true, ""},
		{"long line", "POST /" + strings.Repeat("x", 100000), 431, true, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			resp, body, closed := exchange(t, addr, tc.request)
			if resp.StatusCode != tc.status || closed != tc.closed || !strings.Contains(body, tc.contains) {
				t.Errorf("status %d, closed %v, body %q; want %d, %v, %q", resp.StatusCode, closed, body, tc.status, tc.closed, tc.contains)
			}
			if _, err := http.ParseTime(resp.Header.Get("Date")); err != nil {
				t.Error(err)
			}
			want := "text/xml; charset=utf-8"
			if strings.HasPrefix(tc.request, "OPTIONS /RPC2") {
				want = ""
				if resp.Header.Get("Allow") != "POST" || body != "" {
					t.Errorf("OPTIONS: Allow %q, body %q", resp.Header.Get("Allow"), body)
				}
			} else if tc.status != 200 {
				want = "text/html"
			}
			if got := resp.Header.Get("Content-Type"); got != want {
				t.Errorf("content type %q, want %q", got, want)
			}
		})
	}
}

// TestHeaderBytes pins what an answer looks like on the wire, but for its date.
func TestHeaderBytes(t *testing.T) {
	_, addr := serve(t, newToy(), Config{})
	nc := dial(t, addr)
	io.WriteString(nc, post(echoBody))
	br := bufio.NewReader(nc)
	var got []string
	for {
		line, err := br.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == "\r\n" {
			break
		}
		if strings.HasPrefix(line, "Date: ") {
			line = "Date: \r\n"
		}
		got = append(got, line)
	}
	want := "HTTP/1.1 200 OK\r\nContent-type: text/xml; charset=utf-8\r\nContent-length: 160\r\nConnection: Keep-Alive\r\n" +
		"Keep-Alive: timeout=15, max=30\r\nDate: \r\nServer: Xmlrpc-c_Abyss/1.33.14\r\n"
	if s := strings.Join(got, ""); s != want {
		t.Errorf("header\n%q, want\n%q", s, want)
	}
}

func TestPipelineAndKeepAlive(t *testing.T) {
	_, addr := serve(t, newToy(), Config{})
	nc := dial(t, addr)
	const n = 100 // beyond the announced max=30, which 4.6 does not enforce either
	go func() {
		for i := range n {
			io.WriteString(nc, post(call("echo", xmlrpc.Int(i))))
		}
	}()
	br := bufio.NewReader(nc)
	for i := range n {
		v := readValue(t, br)
		items, _ := v.AsArray()
		if got, ok := items[0].AsInt(); !ok || got != i {
			t.Fatalf("answer %d is %d", i, got)
		}
	}
}

func readValue(t *testing.T, br *bufio.Reader) xmlrpc.Value {
	t.Helper()
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	v, f, err := xmlrpc.DecodeResponse(body)
	if err != nil || f != nil {
		t.Fatalf("fault %v, error %v", f, err)
	}
	return v
}

func TestBodies(t *testing.T) {
	_, addr := serve(t, newToy(), Config{})
	nc := dial(t, addr)
	br := bufio.NewReader(nc)
	for _, size := range []int{1, 4000, 4096, 5000, 65536, 70000, 1 << 20, 5 << 20, 3} {
		body := call("length", xmlrpc.String(strings.Repeat("x", size)))
		io.WriteString(nc, post(body))
		if n, ok := readValue(t, br).AsInt(); !ok || n != size {
			t.Fatalf("length %d arrives as %d", size, n)
		}
		io.WriteString(nc, "POST /RPC2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
		for rest := body; rest != ""; {
			n := min(len(rest), 60000)
			fmt.Fprintf(nc, "%x\r\n%s\r\n", n, rest[:n])
			rest = rest[n:]
		}
		io.WriteString(nc, "0\r\n\r\n")
		if n, ok := readValue(t, br).AsInt(); !ok || n != size {
			t.Fatalf("length %d arrives in chunks as %d", size, n)
		}
	}
}

func TestExpectContinue(t *testing.T) {
	_, addr := serve(t, newToy(), Config{})
	nc := dial(t, addr)
	br := bufio.NewReader(nc)
	fmt.Fprintf(nc, "POST /RPC2 HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", len(echoBody))
	line, err := br.ReadString('\n')
	if err != nil || line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("%q, %v", line, err)
	}
	br.ReadString('\n')
	io.WriteString(nc, echoBody)
	readValue(t, br)
}

func TestHalfClosedClientGetsItsAnswer(t *testing.T) {
	_, addr := serve(t, newToy(), Config{})
	nc := dial(t, addr)
	io.WriteString(nc, post(echoBody))
	nc.(*net.TCPConn).CloseWrite()
	data, err := io.ReadAll(nc)
	if err != nil || !bytes.Contains(data, []byte("</methodResponse>")) {
		t.Errorf("%q, %v", data, err)
	}
}

func TestPanicIsLoggedAndSurvived(t *testing.T) {
	var log output.Buffer
	_, addr := serve(t, newToy(), Config{Log: slog.New(slog.NewTextHandler(&log, nil))})
	_, body, _ := exchange(t, addr, post(call("panic")))
	if !strings.Contains(body, "Internal server error") || strings.Contains(body, "as asked for") {
		t.Errorf("answer %q", body)
	}
	if s := log.String(); !strings.Contains(s, "as asked for") || !strings.Contains(s, "method=panic") {
		t.Errorf("log %q", s)
	}
	exchange(t, addr, post(echoBody))
}

func TestAccessLog(t *testing.T) {
	var log output.Buffer
	_, addr := serve(t, newToy(), Config{AccessLog: &log})
	exchange(t, addr, post(echoBody, "Connection: close"))
	exchange(t, addr, "GET /RPC2 HTTP/1.1\r\n\r\n")
	exchange(t, addr, "?\r\n\r\n")
	deadline := time.Now().Add(10 * time.Second)
	for strings.Count(log.String(), "\n") < 3 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	lines := strings.Split(log.String(), "\n")
	for i, want := range []string{` - no_user - [`, ` - no_user - [`, ` - ??? - [`} {
		end := []string{`] "POST" 200 `, `] "GET" 405 `, `] "???" 400 `}[i]
		if !strings.HasPrefix(lines[i], "127.0.0.1:") || !strings.Contains(lines[i], want) || !strings.Contains(lines[i], end) {
			t.Errorf("line %d: %q, want …%s…%s…", i, lines[i], want, end)
		}
	}
}
