package zone

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"goned/core/template"
)

func parse(t *testing.T, text string) *template.Template {
	t.Helper()
	tmpl, err := template.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return tmpl
}

func TestNew(t *testing.T) {
	for name, tc := range map[string]struct{ text, want, err string }{
		"good": {
			text: "NAME=z\nENDPOINT=\"http://x/RPC2\"",
			want: "<ZONE><ID>100</ID><NAME>z</NAME><TEMPLATE><ENDPOINT><![CDATA[http://x/RPC2]]></ENDPOINT></TEMPLATE></ZONE>",
		},
		"no name":        {text: "ENDPOINT=x", err: "Invalid NAME, it cannot be empty"},
		"no endpoint":    {text: "NAME=z", err: "ENDPOINT not present in template."},
		"empty endpoint": {text: "NAME=z\nENDPOINT=\"\"", err: "ENDPOINT not present in template."},
	} {
		t.Run(name, func(t *testing.T) {
			z, err := New(100, parse(t, tc.text))
			if tc.err != "" {
				if err == nil || err.Error() != tc.err {
					t.Errorf("error %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, string(z.PoolXML())); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestEndpointIsNeverMissing(t *testing.T) {
	z := &Zone{ID: 100}
	for text, want := range map[string]string{"A=1": "-", "ENDPOINT=\"\"": "-", "ENDPOINT=x": "x"} {
		if z.SetTemplate(parse(t, text)); z.Template.Get("ENDPOINT") != want {
			t.Errorf("%s: %q", text, z.Template.Get("ENDPOINT"))
		}
	}
}

func TestCheckDelete(t *testing.T) {
	if err := (&Zone{ID: 0}).CheckDelete(); err == nil || err.Error() != "System Zones (ID < 100) cannot be deleted." {
		t.Error(err)
	}
	if err := (&Zone{ID: 100}).CheckDelete(); err != nil {
		t.Error(err)
	}
}
