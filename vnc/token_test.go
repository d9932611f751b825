package vnc

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseTokens(t *testing.T) {
	tests := []struct {
		name, text string
		want       []TokenLine
		wantErr    string
	}{
		{name: "as Sunstone writes it", text: "h3x0sk2y8rn1i0o2pz5c: node1:5905",
			want: []TokenLine{{"h3x0sk2y8rn1i0o2pz5c", Target{"node1", 5905}}}},
		{name: "several lines, comments, blank lines", text: "# mine\n\na: h1:1\r\n  b: h2:65535  \n",
			want: []TokenLine{{"a", Target{"h1", 1}}, {"b", Target{"h2", 65535}}}},
		{name: "no blank after the colon", text: "a:h:5900", want: []TokenLine{{"a", Target{"h", 5900}}}},
		{name: "colon in the token", text: "a:b: h:5900", want: []TokenLine{{"a:b", Target{"h", 5900}}}},
		{name: "IPv6", text: "a: [::1]:5900\nb: fe80::1:5901",
			want: []TokenLine{{"a", Target{"::1", 5900}}, {"b", Target{"fe80::1", 5901}}}},
		{name: "empty file"},
		{name: "bad lines leave good ones", text: "a\nb: h:5900\nc: h\nd: :5900\ne: h:0\nf: h:65536\n: h:1\ng: h:+1\nh: a b:1\ni: a/b:1",
			want: []TokenLine{{"b", Target{"h", 5900}}}, wantErr: "line 10:"},
		{name: "endless line", text: "a: h:1\n" + strings.Repeat("x", maxTokenLine+1),
			want: []TokenLine{{"a", Target{"h", 1}}}, wantErr: "line 2: longer than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseTokens([]byte(tt.text))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
			if tt.wantErr == "" && err != nil || tt.wantErr != "" && (err == nil || !strings.Contains(err.Error(), tt.wantErr)) {
				t.Errorf("error %v, want %q", err, tt.wantErr)
			}
		})
	}
}

func TestParseErrorsHideTokens(t *testing.T) {
	_, err := ParseTokens([]byte("secret123: host\nsecret123"))
	if err == nil || strings.Contains(err.Error(), "secret123") {
		t.Errorf("error %v, want one without the token", err)
	}
}

// What is parsed and printed again parses to the same.
func FuzzParseTokens(f *testing.F) {
	for _, s := range []string{"abc: h:5900", "# c\n\na: [::1]:1\nb:c:2", ": x:1", "a: b\x00:3", "\xff: h:1", "a: h:5900\r"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		lines, _ := ParseTokens(text)
		var again strings.Builder
		for _, l := range lines {
			if l.Token == "" || l.Target.Host == "" || l.Target.Port < 1 || l.Target.Port > 65535 {
				t.Fatalf("parsed nonsense: %+v", l)
			}
			if strings.Contains(l.Token, ": ") {
				t.Fatalf("token %q holds the separator", l.Token)
			}
			again.WriteString(l.Token + ": " + l.Target.String() + "\n")
		}
		reparsed, err := ParseTokens([]byte(again.String()))
		if err != nil {
			t.Fatalf("printed form does not parse: %v\n%s", err, again.String())
		}
		if diff := cmp.Diff(lines, reparsed); diff != "" {
			t.Fatalf("round trip (-want +got):\n%s", diff)
		}
	})
}
