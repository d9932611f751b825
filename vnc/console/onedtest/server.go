// Package onedtest is a small oned for tests of its console clients. It answers
// one.vm.info and one.vmpool.info with documents of the form the 4.6.2 server
// was recorded with.
package onedtest

import (
	"encoding/xml"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Session is the only session string the server accepts.
const Session = "oneadmin:opennebula"

// VM is a virtual machine the server knows.
type VM struct {
	ID, State, LCMState int
	Name                string
	// Graphics is the inner XML of GRAPHICS; empty for none.
	Graphics string
	// Hosts are the host names of the history records, oldest first.
	Hosts []string
}

// VNC returns the inner XML of a VNC console.
func VNC(port int, password string) string {
	s := "<LISTEN><![CDATA[0.0.0.0]]></LISTEN>"
	if password != "" {
		s += "<PASSWD><![CDATA[" + password + "]]></PASSWD>"
	}
	return s + fmt.Sprintf("<PORT><![CDATA[%d]]></PORT><TYPE><![CDATA[vnc]]></TYPE>", port)
}

// Server is a fake oned.
type Server struct {
	URL string

	mu  sync.Mutex // guards vms
	vms []VM
}

// Start runs a server until the test ends.
func Start(t testing.TB, vms ...VM) *Server {
	t.Helper()
	s := &Server{}
	s.Set(vms...)
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	s.URL = h.URL + "/RPC2"
	return s
}

// AuthFile writes the credentials into a file and returns its path.
func AuthFile(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "one_auth")
	if err := os.WriteFile(path, []byte(Session+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Set replaces the virtual machines.
func (s *Server) Set(vms ...VM) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.vms = slices.Clone(vms)
}

type call struct {
	Method string  `xml:"methodName"`
	Params []value `xml:"params>param>value"`
}

type value struct {
	Int    *int    `xml:"int"`
	I4     *int    `xml:"i4"`
	String *string `xml:"string"`
}

func (v value) int() int {
	switch {
	case v.Int != nil:
		return *v.Int
	case v.I4 != nil:
		return *v.I4
	}
	return -1
}

// ServeHTTP answers one call.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var c call
	if err := xml.NewDecoder(r.Body).Decode(&c); err != nil || r.URL.Path != "/RPC2" {
		http.Error(w, "bad call", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	vms := slices.Clone(s.vms)
	s.mu.Unlock()
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	switch {
	case len(c.Params) == 0 || c.Params[0].String == nil || *c.Params[0].String != Session:
		fail(w, fmt.Sprintf("[%s] User couldn't be authenticated, aborting call.", c.Method), 0x100)
	case c.Method == "one.vm.info" && len(c.Params) == 2:
		id := c.Params[1].int()
		i := slices.IndexFunc(vms, func(v VM) bool { return v.ID == id })
		if i < 0 {
			fail(w, fmt.Sprintf("[VirtualMachineInfo] Error getting virtual machine [%d].", id), 0x400)
			return
		}
		succeed(w, vms[i].document(len(vms[i].Hosts)))
	case c.Method == "one.vmpool.info" && len(c.Params) == 5:
		succeed(w, pool(vms, c.Params[2].int(), c.Params[3].int(), c.Params[4].int()))
	default:
		fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><methodResponse><fault><value><struct>`+
			`<member><name>faultCode</name><value><i4>-506</i4></value></member>`+
			`<member><name>faultString</name><value><string>Method '%s' not defined</string></value></member>`+
			`</struct></value></fault></methodResponse>`, html.EscapeString(c.Method))
	}
}

// pool follows 4.6: an end below -1 is a count from position start.
func pool(vms []VM, start, end, state int) string {
	var b strings.Builder
	b.WriteString("<VM_POOL>")
	const done = 6
	n := 0
	for _, v := range vms {
		if state == -1 && v.State == done {
			continue
		}
		if n++; end < -1 && (n <= start || n > start-end) {
			continue
		}
		b.WriteString(v.document(1))
	}
	b.WriteString("</VM_POOL>")
	return b.String()
}

// document writes the VM with its last history records, at most records of them.
func (v VM) document(records int) string {
	var b strings.Builder
	id := strconv.Itoa(v.ID)
	fmt.Fprintf(&b, "<VM><ID>%s</ID><UID>0</UID><GID>0</GID><UNAME>oneadmin</UNAME><GNAME>oneadmin</GNAME><NAME>%s</NAME>"+
		"<PERMISSIONS><OWNER_U>1</OWNER_U></PERMISSIONS><LAST_POLL>0</LAST_POLL><STATE>%d</STATE><LCM_STATE>%d</LCM_STATE>"+
		"<RESCHED>0</RESCHED><STIME>0</STIME><ETIME>0</ETIME><DEPLOY_ID></DEPLOY_ID><MEMORY>0</MEMORY><CPU>0</CPU>"+
		"<NET_TX>0</NET_TX><NET_RX>0</NET_RX><TEMPLATE><CPU><![CDATA[1]]></CPU>",
		id, html.EscapeString(v.Name), v.State, v.LCMState)
	if v.Graphics != "" {
		b.WriteString("<GRAPHICS>" + v.Graphics + "</GRAPHICS>")
	}
	b.WriteString("<MEMORY><![CDATA[64]]></MEMORY><VMID><![CDATA[" + id + "]]></VMID></TEMPLATE><USER_TEMPLATE></USER_TEMPLATE>")
	if len(v.Hosts) == 0 {
		b.WriteString("<HISTORY_RECORDS/></VM>")
		return b.String()
	}
	b.WriteString("<HISTORY_RECORDS>")
	for seq, host := range v.Hosts {
		if seq >= len(v.Hosts)-records {
			fmt.Fprintf(&b, "<HISTORY><OID>%s</OID><SEQ>%d</SEQ><HOSTNAME>%s</HOSTNAME><HID>0</HID><CID>-1</CID></HISTORY>", id, seq, host)
		}
	}
	b.WriteString("</HISTORY_RECORDS></VM>")
	return b.String()
}

func succeed(w http.ResponseWriter, doc string) { answer(w, 1, doc, 0) }

func fail(w http.ResponseWriter, text string, code int) { answer(w, 0, text, code) }

func answer(w http.ResponseWriter, ok int, text string, code int) {
	fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><methodResponse><params><param><value><array><data>`+
		`<value><boolean>%d</boolean></value><value><string>%s</string></value><value><i4>%d</i4></value>`+
		`</data></array></value></param></params></methodResponse>`, ok, html.EscapeString(text), code)
}
