package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"goned/vnc"
	"goned/vnc/console/onedtest"
)

func TestParseVM(t *testing.T) {
	head := "<VM><ID>5</ID><NAME>a &amp; b</NAME><STATE>3</STATE><LCM_STATE>3</LCM_STATE><TEMPLATE>"
	tests := []struct {
		name, doc string
		want      VM
		wantErr   string
	}{
		{
			name: "moved between hosts, password",
			doc: head + "<GRAPHICS><KEYMAP><![CDATA[es]]></KEYMAP><PASSWD><![CDATA[x<y]]></PASSWD><PORT><![CDATA[6000]]></PORT>" +
				"<TYPE><![CDATA[VNC]]></TYPE></GRAPHICS></TEMPLATE><HISTORY_RECORDS><HISTORY><HOSTNAME>h0</HOSTNAME></HISTORY>" +
				"<HISTORY><HOSTNAME>h1</HOSTNAME></HISTORY></HISTORY_RECORDS></VM>",
			want: VM{5, "a & b", 3, 3, &Graphics{"VNC", "6000", "x<y"}, "h1"},
		},
		{
			name: "two GRAPHICS",
			doc: head + "<GRAPHICS><PORT>1</PORT><TYPE>vnc</TYPE></GRAPHICS><GRAPHICS><PORT>2</PORT><TYPE>spice</TYPE></GRAPHICS>" +
				"</TEMPLATE><HISTORY_RECORDS/></VM>",
			want: VM{5, "a & b", 3, 3, &Graphics{"vnc", "1", ""}, ""},
		},
		{name: "no GRAPHICS", doc: head + "</TEMPLATE></VM>", want: VM{5, "a & b", 3, 3, nil, ""}},
		{name: "other document", doc: "<HOST><ID>1</ID></HOST>", wantErr: "not a VM"},
		{name: "no id", doc: "<VM></VM>", wantErr: "not a VM"},
		{name: "cut off", doc: "<VM><ID>5</ID>", wantErr: "parse VM document"},
		{name: "empty", doc: "", wantErr: "parse VM document"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseVM(tt.doc)
			if tt.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
					t.Errorf("error %v, want %q", err, tt.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// The states are those of 4.6's Sunstone; all 33 LCM states are walked.
func TestOpenStates(t *testing.T) {
	open := "..." + "YY" + "......." + "YY" + ".." + "YYY" + "....." + "YYYYYY" + "..."
	if len(open) != 33 {
		t.Fatalf("table has %d states", len(open))
	}
	for lcm := range 33 {
		vm := VM{ID: 1, State: 3, LCMState: lcm, Graphics: &Graphics{Type: "vnc", Port: "5901"}, Host: "h"}
		got, err := vm.Open()
		if open[lcm] == 'Y' {
			if err != nil || got != (vnc.Target{Host: "h", Port: 5901}) {
				t.Errorf("state %d: %v, %v", lcm, got, err)
			}
			continue
		}
		if want := fmt.Sprintf("Wrong state (%d) to open a VNC session", lcm); err == nil || err.Error() != want {
			t.Errorf("state %d: %v, want %q", lcm, err, want)
		}
	}
}

func TestOpenRefusals(t *testing.T) {
	tests := []struct {
		name string
		vm   VM
		want string
	}{
		{"state goes first", VM{LCMState: 0}, "Wrong state (0) to open a VNC session"},
		{"no graphics", VM{LCMState: 3}, "VM has no VNC configured"},
		{"spice", VM{LCMState: 3, Graphics: &Graphics{Type: "spice", Port: "5901"}, Host: "h"}, "VM has no VNC configured"},
		{"never ran", VM{LCMState: 3, Graphics: &Graphics{Type: "vnc", Port: "5901"}}, "host is missing"},
		{"no port", VM{LCMState: 3, Graphics: &Graphics{Type: "vnc"}, Host: "h"}, "port is not a number"},
		{"port of five digits too many", VM{LCMState: 3, Graphics: &Graphics{Type: "vnc", Port: "70000"}, Host: "h"}, "port is not a number"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := tt.vm.Open(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func client(url string) *Client { return &Client{Endpoint: url, Session: onedtest.Session} }

func TestGuard(t *testing.T) {
	var vms []onedtest.VM
	for id := range 450 { // three pages of the pool
		vms = append(vms, onedtest.VM{ID: id, State: 3, LCMState: 3, Name: "v", Graphics: onedtest.VNC(5900+id, ""), Hosts: []string{"old", "kvm1"}})
	}
	vms[7].State = 6
	vms[8].State, vms[8].LCMState = 8, 0
	vms[9].LCMState = 6
	vms[10].Graphics = ""
	vms[11].Name = "bad \x01 character"
	g := NewGuard(client(onedtest.Start(t, vms...).URL), 2)
	at := func(host string, port, vm int) vnc.Grant {
		return vnc.Grant{Target: vnc.Target{Host: host, Port: port}, VM: vm}
	}
	tests := []struct {
		name  string
		grant vnc.Grant
		want  string
	}{
		{"own console", at("kvm1", 5905, 5), ""},
		{"host name in another case", at("KVM1", 5905, 5), ""},
		{"while it is saved", at("kvm1", 5909, 9), ""},
		{"with a control character", at("kvm1", 5911, 11), ""},
		{"former host", at("old", 5905, 5), "old:5905 is not the console of VM 5"},
		{"port of another VM", at("kvm1", 5906, 5), "kvm1:5906 is not the console of VM 5"},
		{"done", at("kvm1", 5907, 7), "not the console of VM 7"},
		{"powered off", at("kvm1", 5908, 8), "not the console of VM 8"},
		{"no console", at("kvm1", 5910, 10), "not the console of VM 10"},
		{"does not exist", at("kvm1", 5905, 999), "VM 999 does not exist"},
		{"no id, first page", at("kvm1", 5905, -1), ""},
		{"no id, last page", at("kvm1", 6349, -1), ""},
		{"no id, no VM", at("kvm1", 22, -1), "kvm1:22 is no virtual machine's console"},
		{"no id, done", at("kvm1", 5907, -1), "no virtual machine's console"},
		{"no id, former host", at("old", 5905, -1), "no virtual machine's console"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := g.Allow(context.Background(), tt.grant)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// What oned does wrong is an error, never a permission and never a hang.
func TestGuardWithBrokenServer(t *testing.T) {
	hang := make(chan struct{})
	tests := []struct {
		name    string
		handler http.HandlerFunc
		want    string
	}{
		{"HTTP error", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "x", 500) }, "500"},
		{"no XML", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }, "cannot ask oned"},
		{"no array", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "<methodResponse><params><param><value><string>x</string></value></param></params></methodResponse>")
		}, "cannot ask oned"},
		{"short array", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "<methodResponse><params><param><value><array><data><value><boolean>1</boolean></value></data></array></value></param></params></methodResponse>")
		}, "want 3"},
		{"silent", func(http.ResponseWriter, *http.Request) {
			<-hang
		}, "deadline"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := httptest.NewServer(tt.handler)
			t.Cleanup(s.Close)
			defer func() {
				if tt.name == "silent" {
					close(hang)
				}
			}()
			ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
			defer cancel()
			err := NewGuard(client(s.URL), 1).Allow(ctx, vnc.Grant{Target: vnc.Target{Host: "h", Port: 1}, VM: 1})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestWrongCredentials(t *testing.T) {
	s := onedtest.Start(t)
	c := &Client{Endpoint: s.URL, Session: "oneadmin:wrong"}
	_, err := c.VM(context.Background(), 1)
	var ae *APIError
	if !errors.As(err, &ae) || ae.Code != 0x100 {
		t.Errorf("error %v, want code 0x100", err)
	}
}

func TestFault(t *testing.T) {
	_, err := client(onedtest.Start(t).URL).call(context.Background(), "one.foo.bar")
	if err == nil || !strings.Contains(err.Error(), "Method 'one.foo.bar' not defined") {
		t.Errorf("error %v", err)
	}
}

func TestClientFromEnvironment(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("ONE_AUTH", "")
	t.Setenv("ONE_XMLRPC", "")
	if _, err := ClientFromEnvironment("", ""); err == nil || !strings.Contains(err.Error(), "ONE_AUTH file not present") {
		t.Errorf("without credentials: %v", err)
	}
	file := func(name, text string) string {
		path := filepath.Join(home, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	want := func(step, endpoint, session string, args ...string) {
		t.Helper()
		args = append(args, "", "")
		c, err := ClientFromEnvironment(args[0], args[1])
		if err != nil || c.Endpoint != endpoint || c.Session != session {
			t.Errorf("%s: %+v, %v; want %s, %s", step, c, err, endpoint, session)
		}
	}
	file(".one/one_auth", "home:pw\n")
	want("home", DefaultEndpoint, "home:pw")
	file(".one/one_endpoint", "http://file/RPC2\n")
	want("endpoint file", "http://file/RPC2", "home:pw")
	t.Setenv("ONE_XMLRPC", "http://env/RPC2")
	t.Setenv("ONE_AUTH", filepath.Join(home, "missing"))
	want("ONE_AUTH names no file", "http://env/RPC2", "home:pw")
	t.Setenv("ONE_AUTH", file("auth2", "env:pw  \n"))
	want("environment", "http://env/RPC2", "env:pw")
	want("arguments", "http://arg/RPC2", "arg:pw", "http://arg/RPC2", file("auth3", "arg:pw"))
}

func TestWriteToken(t *testing.T) {
	dir := t.TempDir()
	target := vnc.Target{Host: "kvm1", Port: 5905}
	first, second := NewToken(), NewToken()
	if !regexp.MustCompile(`^[a-z0-9]{20}$`).MatchString(first) || first == second {
		t.Errorf("tokens %q, %q", first, second)
	}
	for _, token := range []string{first, second} {
		if err := WriteToken(dir, 5, token, target); err != nil {
			t.Fatal(err)
		}
	}
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 1 || names[0].Name() != "one-5" {
		t.Errorf("directory holds %v, %v", names, err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "one-5"))
	if err != nil || string(text) != second+": kvm1:5905" {
		t.Errorf("file holds %q, %v", text, err)
	}
	if err := WriteToken(filepath.Join(dir, "none"), 5, first, target); err == nil {
		t.Error("no error for a missing directory")
	}
}

// The documents of the real server, where they are at hand.
func TestRecordedDocuments(t *testing.T) {
	shared := os.Getenv("GONED_SHARED")
	if shared == "" {
		shared = "../../../shared"
	}
	files, err := filepath.Glob(filepath.Join(shared, "golden", "*.json"))
	if err != nil || len(files) == 0 {
		t.Skip("no recordings; set GONED_SHARED to their directory")
	}
	n := 0
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var group struct {
			Scenarios []struct {
				Steps []struct {
					Call   string `json:"call"`
					Result struct {
						Array []struct {
							Boolean *bool   `json:"boolean"`
							String  *string `json:"string"`
						} `json:"array"`
					} `json:"result"`
				} `json:"steps"`
			} `json:"scenarios"`
		}
		if json.Unmarshal(text, &group) != nil {
			continue // a file of another form
		}
		for _, sc := range group.Scenarios {
			for _, st := range sc.Steps {
				a := st.Result.Array
				if len(a) < 2 || a[0].Boolean == nil || !*a[0].Boolean || a[1].String == nil {
					continue
				}
				switch st.Call {
				case "one.vm.info":
					_, err = ParseVM(strings.Map(legalXML, *a[1].String))
				case "one.vmpool.info":
					_, err = parsePool(strings.Map(legalXML, *a[1].String))
				default:
					continue
				}
				if n++; err != nil {
					t.Errorf("%s: %v", filepath.Base(f), err)
				}
			}
		}
	}
	if n == 0 {
		t.Error("no VM document found in the recordings")
	}
	t.Logf("%d documents", n)
}

func FuzzParseVM(f *testing.F) {
	f.Add("<VM><ID>5</ID><TEMPLATE><GRAPHICS><TYPE>vnc</TYPE><PORT>1</PORT></GRAPHICS></TEMPLATE></VM>")
	f.Add("<VM><ID>x</ID></VM>")
	f.Fuzz(func(t *testing.T, doc string) {
		vm, err := ParseVM(doc)
		if err != nil {
			return
		}
		if target, err := vm.Open(); err == nil && (target.Host == "" || target.Port < 1 || !openStates[vm.LCMState]) {
			t.Fatalf("opened %+v of %+v", target, vm)
		}
	})
}
