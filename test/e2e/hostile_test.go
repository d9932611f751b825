package e2e

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"goned/test/oned"
)

func (c *cloud) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", c.port))
	must(t, err)
	must(t, conn.SetDeadline(time.Now().Add(answerLimit)))
	return conn
}

func (c *cloud) idleConnections(t *testing.T, count int) []net.Conn {
	t.Helper()
	conns := make([]net.Conn, count)
	for i := range conns {
		conns[i] = c.dial(t)
	}
	return conns
}

const head = "POST /RPC2 HTTP/1.1\r\nHost: one\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n"

// versionCall asks for the version as oneadmin.
const versionCall = `<?xml version="1.0"?><methodCall><methodName>one.system.version</methodName><params>` +
	`<param><value><string>oneadmin:opennebula</string></value></param></params></methodCall>`

// TestHostileRequests sends what no client should send, while others work: each
// gets an answer that says what is wrong, and nobody else notices.
func TestHostileRequests(t *testing.T) {
	t.Parallel()
	c := newCloud(t, settings{})
	notice := c.watch(t)

	call := func(params string) string {
		return "<methodCall><methodName>one.vm.allocate</methodName><params>" + params + "</params></methodCall>"
	}
	bomb := `<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a "aaaaaaaaaa">`
	for i := 'b'; i < 'l'; i++ {
		bomb += fmt.Sprintf(`<!ENTITY %c "%s">`, i, strings.Repeat(fmt.Sprintf("&%c;", i-1), 10))
	}
	bomb += `]>` + call("<param><value>&k;</value></param>")
	for name, body := range map[string]string{
		"no XML":           "GET me a machine",
		"binary":           string([]byte{0, 1, 2, 0xff, 0xfe, 0x80}),
		"half a call":      versionCall[:len(versionCall)/2],
		"no method":        "<methodCall/>",
		"another document": "<html><body/></html>",
		"an unknown type":  call("<param><value><complex>1+i</complex></value></param>"),
		"no number":        call("<param><value><int>seven</int></value></param>"),
		"entity bomb":      bomb,
		"external entity": `<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a SYSTEM "file:///etc/passwd">]>` +
			call("<param><value>&a;</value></param>"),
		"deep nesting": call(strings.Repeat("<param><value><array><data>", 100000)),
		"a long name":  "<methodCall><" + strings.Repeat("a", 1<<20) + "/></methodCall>",
	} {
		t.Run(name, func(t *testing.T) {
			text := c.post(t, strings.NewReader(body))
			if !strings.Contains(text, "<name>faultString</name>") || len(text) > 4096 {
				t.Errorf("answer: %.600s", text)
			}
			if strings.Contains(text, "root:") {
				t.Error("the file is in the answer")
			}
		})
	}
	t.Run("nothing", func(t *testing.T) {
		if text := c.post(t, strings.NewReader("")); !strings.Contains(text, "Error 400") {
			t.Errorf("answer: %.600s", text)
		}
	})
	t.Run("100 MB", func(t *testing.T) {
		before := c.memory(t)
		body := io.MultiReader(strings.NewReader(versionCall[:100]), io.LimitReader(endless{}, 100<<20))
		req, err := http.NewRequest("POST", c.Endpoint, body)
		must(t, err)
		req.ContentLength = 100 + 100<<20
		if resp, err := c.HTTP.Do(req); err == nil { // or the connection is closed while we still send
			text, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK && !bytes.Contains(text, []byte("<fault>")) {
				t.Errorf("%s: %.600s", resp.Status, text)
			}
			t.Logf("100 MB: %s %.100s", resp.Status, text)
		} else {
			t.Logf("100 MB: %v", err)
		}
		if grown := c.memory(t) - before; grown > 64 {
			t.Errorf("oned has grown by %d MB", grown)
		}
	})
	t.Run("byte by byte", func(t *testing.T) {
		conn := c.dial(t)
		defer conn.Close()
		for _, b := range []byte(fmt.Sprintf(head, len(versionCall)) + versionCall) {
			_, err := conn.Write([]byte{b})
			must(t, err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		must(t, err)
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		must(t, err)
		if !strings.Contains(string(text), "4.6.2") {
			t.Errorf("answer: %s", text)
		}
	})
	t.Run("broken templates", func(t *testing.T) {
		for _, template := range []string{
			"NAME", "NAME=", "=", "CPU=[", "CPU=1\nDISK=[IMAGE=\"x", "<VM><CPU>1</VM>", "<VM>", "\x01\x02", "CPU=-1\nMEMORY=1",
			"CPU=1\nMEMORY=99999999999999999999", "CPU=1\nMEMORY=1\nDISK=[IMAGE_ID=-5]", "CPU=1\nMEMORY=1\nNIC=[NETWORK_ID=7]",
			"CPU=1\nMEMORY=1\nCONTEXT=[A=\"$(reboot)\"]", strings.Repeat("A=[B=1]\n", 20000) + "CPU",
		} {
			if _, err := c.Number("one.vm.allocate", template, false); !isRefused(err) {
				t.Errorf("%.60q: %v", template, err)
			}
		}
	})
	t.Run("shell", func(t *testing.T) {
		host := c.addHost(t, "h", "dummy", "dummy")
		owned := c.path("owned")
		evil := fmt.Sprintf("'; touch %s; \"`touch %s`$(touch %s)&&touch %s|touch %s\n#", owned, owned, owned, owned, owned)
		img := c.must(t, "one.image.allocate", fmt.Sprintf("NAME=i\nTYPE=OS\nPATH=\"%s\"", quoted(evil)), 1)
		c.awaitImage(t, img, "READY")
		id := c.must(t, "one.vm.allocate", fmt.Sprintf("NAME=v\nCPU=1\nMEMORY=1\nX=\"%s\"\nDISK=[IMAGE_ID=%d]\nCONTEXT=[TEXT=\"%s\"]",
			quoted(evil), img, quoted(strings.NewReplacer("$", "", "\n", "").Replace(evil))), false)
		c.must(t, "one.vm.deploy", id, host, false)
		c.awaitVM(t, id, "RUNNING")
		c.must(t, "one.vm.action", "shutdown-hard", id)
		c.awaitVM(t, id, "DONE")
		if _, err := os.Stat(owned); err == nil {
			t.Error("a shell has run what a template says")
		}
	})
	notice()
}

// TestSlowClients holds connections open without saying much, more than there may be at a time.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	c := newCloud(t, settings{conf: "TIMEOUT = 3\nKEEPALIVE_TIMEOUT = 3\n"})
	notice := c.watch(t)
	var conns []net.Conn
	for _, opening := range []string{
		"", "P", "POST /RPC2 HTTP/1.1\r\nHost: one\r\nX-Slow: ", fmt.Sprintf(head, 1000), fmt.Sprintf(head, 1000) + versionCall[:50],
	} {
		for _, conn := range c.idleConnections(t, 400) {
			_, err := io.WriteString(conn, opening)
			must(t, err)
			conns = append(conns, conn)
		}
	}
	defer func() {
		for _, conn := range conns {
			conn.Close()
		}
	}()
	began := time.Now()
	if _, err := c.Call("one.system.version"); err != nil {
		t.Errorf("beside %d slow ones: %v", len(conns), err)
	}
	t.Logf("an answer beside %d slow connections: %v", len(conns), time.Since(began))
	// Each is ended by oned: with an answer if it has asked anything, or without.
	var wg sync.WaitGroup
	for _, conn := range conns {
		wg.Go(func() {
			if _, err := io.Copy(io.Discard, conn); err != nil && strings.Contains(err.Error(), "timeout") {
				t.Errorf("a slow connection is still open after %v", time.Since(began))
			}
		})
	}
	wg.Wait()
	t.Logf("all are ended after %v", time.Since(began))
	notice()
}

// watch calls oned as a client does who knows nothing of the others; the
// function it returns ends that, and complains if the client has been hindered.
func (c *cloud) watch(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var calls atomic.Int64
	var slowest time.Duration
	done := make(chan struct{})
	other := newClient(t, c.port, c.Session)
	go func() {
		defer close(done)
		for ; ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
			began := time.Now()
			if _, err := other.Document("one.userpool.info"); err != nil {
				t.Errorf("another client is hindered: %v", err)
				return
			}
			slowest = max(slowest, time.Since(began))
			calls.Add(1)
		}
	}()
	return func() {
		cancel()
		<-done
		t.Logf("%d calls of another client meanwhile, the slowest took %v", calls.Load(), slowest)
	}
}

// post sends a body and returns the answer, which must be one.
func (c *cloud) post(t *testing.T, body io.Reader) string {
	t.Helper()
	resp, err := c.HTTP.Post(c.Endpoint, "text/xml", body)
	must(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	must(t, err)
	return string(text)
}

// memory is the memory of oned in MB.
func (c *cloud) memory(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.oned.cmd.Process.Pid))
	must(t, err)
	for line := range strings.Lines(string(text)) {
		var kb int
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kb); err == nil {
			return kb / 1024
		}
	}
	t.Fatal("no VmRSS")
	return 0
}

func isRefused(err error) bool {
	_, ok := err.(*oned.Refused)
	return ok
}

// quoted escapes a text for the inside of quotes in a template.
func quoted(text string) string { return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) }

// endless is a reader that never ends.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'A'
	}
	return len(p), nil
}
