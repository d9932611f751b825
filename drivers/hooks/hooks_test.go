package hooks

import (
	"strings"
	"testing"
)

func TestExecutionLine(t *testing.T) {
	tests := []struct {
		name string
		e    Execution
		want string
	}{
		{"local", Execution{3, "mail", Local, "/v/remotes//hooks/mail.sh", "3 abc", ""}, "EXECUTE 3 mail LOCAL /v/remotes//hooks/mail.sh 3 abc"},
		{"no arguments", Execution{0, "x", "h1", "/x.sh", "", ""}, "EXECUTE 0 x h1 /x.sh -"},
		{"name of several words", Execution{0, "my hook", Local, "/x.sh", "1", ""}, "EXECUTE 0 my_hook LOCAL /x.sh 1"},
		{"to be read", Execution{0, "x", Local, "/x.sh", "1", "<VM>\n</VM>"}, "EXECUTE 0 x LOCAL /x.sh 1 STDIN:PFZNPgo8L1ZNPg=="},
		{"line feed", Execution{0, "x", Local, "/x.sh", "a\nEXECUTE 1", ""}, "EXECUTE 0 x LOCAL /x.sh a EXECUTE 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.e.Line(); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestCommandPath(t *testing.T) {
	for got, want := range map[string]string{
		CommandPath("/abs/x", true, "/var/lib/one/", "/var/tmp/one"):   "/abs/x",
		CommandPath("ft/x.sh", false, "/var/lib/one/", "/var/tmp/one"): "/var/lib/one/remotes//hooks/ft/x.sh",
		CommandPath("x.sh", true, "/var/lib/one", "/var/tmp/one"):      "/var/tmp/one/hooks//x.sh",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestExpand(t *testing.T) {
	v := Variables{ID: 4, Template: "PFZNLz4=", PrevState: "ACTIVE", PrevLCMState: "BOOT"}
	for in, want := range map[string]string{
		"$ID $TEMPLATE $PREV_STATE $PREV_LCM_STATE": "4 PFZNLz4= ACTIVE BOOT",
		"$ID $ID $TEMPLATE $TEMPLATE":               "4 $ID PFZNLz4= $TEMPLATE",
		"-r":                                        "-r",
	} {
		if got := v.Expand(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := (Variables{ID: 1}).Expand("$ID $PREV_STATE"); got != "1 $PREV_STATE" {
		t.Errorf("CREATE hooks keep the states: %q", got)
	}
}

func TestResultText(t *testing.T) {
	if got := ResultText(true, "mail: sent"); got != "Success executing Hook: mail: sent. " {
		t.Errorf("%q", got)
	}
	if got := ResultText(false, "mail: -"); got != "Error executing Hook: mail: -. " {
		t.Errorf("%q", got)
	}
}

func TestTakeStdin(t *testing.T) {
	for _, tt := range []struct {
		words, rest, stdin string
		ok                 bool
	}{
		{"/x.sh 1", "/x.sh 1", "", false},
		{"/x.sh 1 STDIN:PFZNPgo8L1ZNPg==", "/x.sh 1", "<VM>\n</VM>", true},
		{"/x.sh STDIN:PFZNPgo8L1ZNPg== 1", "/x.sh STDIN:PFZNPgo8L1ZNPg== 1", "", false},
		{"/x.sh 1 STDIN:?", "/x.sh 1", "", false},
		{"", "", "", false},
	} {
		rest, stdin, ok := TakeStdin(strings.Fields(tt.words))
		if got := strings.Join(rest, " "); got != tt.rest || stdin != tt.stdin || ok != tt.ok {
			t.Errorf("%q: %q, %q, %v", tt.words, got, stdin, ok)
		}
	}
}
