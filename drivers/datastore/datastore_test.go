package datastore

import (
	"encoding/base64"
	"strings"
	"testing"
)

func TestLine(t *testing.T) {
	tests := []struct {
		name, line, head, doc string
	}{
		{"stat", Line(Stat, 4, StatImage("/x"), "<DATASTORE><ID>1</ID></DATASTORE>"), "STAT 4",
			"<DS_DRIVER_ACTION_DATA><IMAGE><PATH>/x</PATH></IMAGE><DATASTORE><ID>1</ID></DATASTORE></DS_DRIVER_ACTION_DATA>"},
		{"stat of a url", Line(Stat, 4, StatImage("http://h/?a&b<c"), "<DATASTORE/>"), "STAT 4",
			"<DS_DRIVER_ACTION_DATA><IMAGE><PATH>http://h/?a&amp;b&lt;c</PATH></IMAGE><DATASTORE/></DS_DRIVER_ACTION_DATA>"},
		{"copy", Line(Copy, 0, "<IMAGE/>", "<DATASTORE/>"), "CP 0", "<DS_DRIVER_ACTION_DATA><IMAGE/><DATASTORE/></DS_DRIVER_ACTION_DATA>"},
		{"monitor", Line(Monitor, 2, "", "<DATASTORE/>"), "MONITOR 2", "<DS_DRIVER_ACTION_DATA><DATASTORE/></DS_DRIVER_ACTION_DATA>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			i := strings.LastIndex(tt.line, " ")
			doc, err := base64.StdEncoding.DecodeString(tt.line[i+1:])
			if err != nil || tt.line[:i] != tt.head || string(doc) != tt.doc {
				t.Errorf("%q %q, want %q %q (%v)", tt.line[:i], doc, tt.head, tt.doc, err)
			}
		})
	}
}

func TestSucceeded(t *testing.T) {
	for _, a := range Actions() {
		odd := a != Stat && a != Monitor
		for result, want := range map[string]bool{"SUCCESS": true, "FAILURE": false, "WHATEVER": odd} {
			if got := Succeeded(a, result); got != want {
				t.Errorf("%s %s: %v, want %v", a, result, got, want)
			}
		}
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]int64{"1024": 1024, " 7 rest": 7, "0": 0} {
		if got, err := Size(text); got != want || err != nil {
			t.Errorf("Size(%q) = %d, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{"": "Cannot parse SIZE", "abc": "Cannot parse SIZE. abc", "12x": "Cannot parse SIZE. 12x",
		"99999999999999999999": "Cannot parse SIZE. 99999999999999999999"} {
		if _, err := Size(text); err == nil || err.Error() != want {
			t.Errorf("Size(%q): %v, want %q", text, err, want)
		}
	}
}

func TestTexts(t *testing.T) {
	for got, want := range map[string]string{
		FailureText(Copy, "no space", 0, ""):  "Error copying image in the datastore: no space",
		FailureText(MakeFS, "", 0, ""):        "Error creating datablock",
		FailureText(Clone, "x", 5, ""):        "Error cloning from Image 5: x",
		FailureText(Remove, "", 0, "/ds/1/a"): "Error removing image from datastore. Manually remove image source /ds/1/a to completely delete the image",
		FailureText(Stat, "no file", 0, ""):   "Cannot determine Image SIZE. no file",
		FailureText(Stat, "", 0, ""):          "Cannot determine Image SIZE",
		SuccessText(Copy, 3):                  "Image (3) copied and ready to use.",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if text, ok := MonitorText("VVNFRF9NQj0x"); !ok || text != "USED_MB=1" {
		t.Errorf("%q %v", text, ok)
	}
	for _, bad := range []string{"", "USED_MB=1"} {
		if _, ok := MonitorText(bad); ok {
			t.Errorf("%q accepted", bad)
		}
	}
}
