package scriptstest

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// The host error hook talks to a server that knows one host in ERROR and four VMs.
func TestHostErrorHook(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed")
	}
	const host = "<HOST><ID>3</ID><NAME>node'1</NAME><STATE>3</STATE></HOST>"
	vm := func(id, state int, host string) string {
		return fmt.Sprintf("<VM><ID>%d</ID><STATE>%d</STATE><HISTORY_RECORDS><HISTORY><HOSTNAME>old</HOSTNAME></HISTORY><HISTORY><HOSTNAME>%s</HOSTNAME></HISTORY></HISTORY_RECORDS></VM>", id, state, host)
	}
	pool := "<VM_POOL>" + vm(1, 3, "node'1") + vm(2, 5, "node'1") + vm(3, 3, "node2") + vm(4, 3, "node'1") + "</VM_POOL>"

	tests := []struct {
		name string
		args []string
		want []string
		exit int
	}{
		{"recreate is the default", []string{"3"}, []string{"delete-recreate 1", "delete-recreate 4"}, 1},
		{"delete", []string{"3", "-d"}, []string{"delete 1", "delete 4"}, 1},
		{"suspended ones, too", []string{"3", "-r", "-f"}, []string{"delete-recreate 1", "delete-recreate 2", "delete-recreate 4"}, 1},
		{"after some time", []string{"3", "-p", "2"}, []string{"delete-recreate 1", "delete-recreate 4"}, 1},
		{"host that is not there", []string{"9"}, nil, 255},
		{"not a host", []string{"3;id"}, nil, 255},
		{"unknown option", []string{"3", "--all"}, nil, 255},
	}
	value := regexp.MustCompile(`<(?:string|int)>([^<]*)</`)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var mu sync.Mutex
			var actions []string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				var params []string
				for _, m := range value.FindAllStringSubmatch(string(body), -1) {
					params = append(params, html.UnescapeString(m[1]))
				}
				if len(params) == 0 || params[0] != "oneadmin:p<&s" {
					t.Errorf("session %q", params)
				}
				switch {
				case strings.Contains(string(body), "one.host.info") && params[1] == "3":
					reply(w, true, host)
				case strings.Contains(string(body), "one.vmpool.info"):
					reply(w, true, pool)
				case strings.Contains(string(body), "one.vm.action"):
					mu.Lock()
					actions = append(actions, params[1]+" "+params[2])
					mu.Unlock()
					reply(w, params[2] != "4", "[VirtualMachineAction] Wrong state to perform action")
				default:
					reply(w, false, "[HostInfo] Error getting host [9].")
				}
			}))
			defer server.Close()
			dir := t.TempDir()
			writeFile(t, filepath.Join(dir, "var/.one/one_auth"), "oneadmin:p<&s\n")
			writeFile(t, filepath.Join(dir, "var/config"), "A=1\nMONITORING_INTERVAL=7\n")
			r := run(t, dir, call{script: "hooks/ft/host_error.rb", args: tt.args, env: []string{"ONE_XMLRPC=" + server.URL + "/RPC2"}, real: []string{"curl"}})
			if r.Exit != tt.exit || !slices.Equal(actions, tt.want) {
				t.Errorf("exit %d, actions %q; want %d, %q; stderr: %s", r.Exit, actions, tt.exit, tt.want, r.Stderr)
			}
			if slices.Contains(tt.args, "-p") && r.Calls != "$ sleep 14\n" {
				t.Errorf("waited %q", r.Calls)
			}
		})
	}
}

func reply(w http.ResponseWriter, success bool, text string) {
	flag := 0
	if success {
		flag = 1
	}
	fmt.Fprintf(w, "<?xml version=\"1.0\"?>\r\n<methodResponse><params><param><value><array><data>"+
		"<value><boolean>%d</boolean></value><value><string>%s</string></value><value><i4>0</i4></value>"+
		"</data></array></value></param></params></methodResponse>\r\n", flag, html.EscapeString(text))
}
