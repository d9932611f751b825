package mad

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseMessage(t *testing.T) {
	tests := []struct {
		name, line string
		want       Message
		dropped    bool
	}{
		{name: "plain", line: "DEPLOY SUCCESS 3 one-3", want: Message{Action: "DEPLOY", Result: "SUCCESS", ID: 3, HasID: true, Text: "one-3"}},
		{name: "runs of blanks", line: "  DEPLOY \t SUCCESS   3   one-3 x  ", want: Message{Action: "DEPLOY", Result: "SUCCESS", ID: 3, HasID: true, Text: "one-3 x  "}},
		{name: "number glued to text", line: "POLL SUCCESS 30x STATE=a", want: Message{Action: "POLL", Result: "SUCCESS", ID: 30, HasID: true, Text: "x STATE=a"}},
		{name: "negative number", line: "STAT FAILURE -1 no", want: Message{Action: "STAT", Result: "FAILURE", ID: -1, HasID: true, Text: "no"}},
		{name: "no text", line: "CANCEL SUCCESS 7", want: Message{Action: "CANCEL", Result: "SUCCESS", ID: 7, HasID: true, Text: ""}},
		{name: "dash text", line: "CANCEL FAILURE 7 -", want: Message{Action: "CANCEL", Result: "FAILURE", ID: 7, HasID: true, Text: "-"}},
		{name: "empty result word", line: "SAVE  7 -", dropped: true},
		{name: "third word no number", line: "DEPLOY SUCCESS x y", dropped: true},
		{name: "number too large", line: "DEPLOY SUCCESS 99999999999 y", dropped: true},
		{name: "one word", line: "DEPLOY", dropped: true},
		{name: "empty", line: "", dropped: true},
		{name: "log of a vm", line: "LOG I 4 ExitCode: 0", want: Message{Action: "LOG", Result: "I", ID: 4, HasID: true, Text: "ExitCode: 0"}},
		{name: "log without object", line: "LOG E - broken pipe", want: Message{Action: "LOG", Result: "E", ID: 0, HasID: false, Text: " broken pipe"}},
		{name: "log with a word", line: "LOG E all broken", want: Message{Action: "LOG", Result: "E", ID: 0, HasID: false, Text: "all broken"}},
		{name: "empty log", line: "LOG I 4 ", want: Message{Action: "LOG", Result: "I", ID: 4, HasID: true, Text: ""}},
		{name: "carriage return", line: "INIT SUCCESS 1\r", want: Message{Action: "INIT", Result: "SUCCESS", ID: 1, HasID: true, Text: ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := ParseMessage(tt.line)
			if ok == tt.dropped {
				t.Fatalf("ok = %v, message %+v", ok, got)
			}
			if ok {
				tt.want.Raw = tt.line
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestMessageTexts(t *testing.T) {
	for line, want := range map[string]string{
		"DEPLOY FAILURE 1 bad thing":  "bad thing",
		"DEPLOY FAILURE 1 -bad thing": "",
		"DEPLOY FAILURE 1 -":          "",
		"DEPLOY FAILURE 1":            "",
	} {
		m, _ := ParseMessage(line)
		if got := m.Info(); got != want {
			t.Errorf("Info of %q = %q, want %q", line, got, want)
		}
	}
	for line, want := range map[string]Severity{
		"LOG ERROR 1 x": 'E', "LOG E 1 x": 'E', "LOG D 1 x": 'D', "LOG W 1 x": 'I', "LOG info 1 x": 'I',
	} {
		m, _ := ParseMessage(line)
		l, ok := m.Log()
		if !ok || l.Severity != want {
			t.Errorf("severity of %q = %q, %v", line, l.Severity, ok)
		}
	}
	if _, ok := (Message{Action: "DEPLOY", Result: "SUCCESS"}).Log(); ok {
		t.Error("DEPLOY taken for a log line")
	}
}

func FuzzParseMessage(f *testing.F) {
	for _, s := range []string{"DEPLOY SUCCESS 3 one-3", "LOG I - x", "LOG", "A B +", "\x00 \xff 1", "A B 1\v2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		m, ok := ParseMessage(line)
		if !ok {
			return
		}
		if m.Action == "" || m.Result == "" || strings.ContainsAny(m.Action+m.Result, " \t\n\v\f\r") {
			t.Fatalf("ill-formed words in %+v", m)
		}
		if !strings.HasSuffix(line, m.Text) {
			t.Fatalf("text %q is not the end of %q", m.Text, line)
		}
		if !m.HasID && m.Action != "LOG" {
			t.Fatalf("message without id: %+v", m)
		}
		if l, isLog := m.Log(); isLog && l.Severity != 'E' && l.Severity != 'I' && l.Severity != 'D' {
			t.Fatalf("severity %q", l.Severity)
		}
	})
}

func TestReadLine(t *testing.T) {
	long := strings.Repeat("x", 100)
	tests := []struct {
		name, in string
		want     []string
		end      error
	}{
		{"lines", "a\nbb\n", []string{"a", "bb"}, io.EOF},
		{"empty lines", "\n\n", []string{"", ""}, io.EOF},
		{"at the limit", long[:50] + "\nb\n", []string{long[:50], "b"}, io.EOF},
		{"too long is skipped", long + "\nb\n", []string{"!", "b"}, io.EOF},
		{"half a line at the end", "a\nhal", []string{"a"}, io.ErrUnexpectedEOF},
		{"nothing", "", nil, io.EOF},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := bufio.NewReaderSize(strings.NewReader(tt.in), 16)
			var got []string
			for {
				line, err := readLine(r, 50)
				if errors.Is(err, errLineTooLong) {
					line, err = "!", nil
				}
				if err != nil {
					if !errors.Is(err, tt.end) {
						t.Errorf("end: %v, want %v", err, tt.end)
					}
					break
				}
				got = append(got, line)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
