package match

import (
	"strings"
	"testing"
	"time"
)

// The expected values are those of glibc's fnmatch.
func TestFnmatch(t *testing.T) {
	tests := []struct {
		pattern, value string
		want           bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"*", ".a/b", true}, {"?", "/", true}, {"??", "a", false},
		{"a*b*c", "aXbYc", true}, {"a*b*c", "aXbY", false}, {"*a", "aba", true}, {"**", "x", true},
		{"[abc]", "b", true}, {"[a-c]", "b", true}, {"[a-c]", "d", false}, {"[!a]", "b", true}, {"[^a]", "a", false},
		{"[]a]", "]", true}, {"[!]a]", "b", true}, {"[a-]", "-", true}, {"[", "[", true}, {"[a", "[a", true},
		{"[a-", "[a-", false}, {`\*`, "*", true}, {`\*`, "a", false}, {`[\]]`, "]", true}, {`a\`, `a\`, false},
		{"[[:alpha:]]", "x", true}, {"[[:alpha:]]", "1", false}, {"[[:digit:]x]", "x", true}, {"[[:foo:]]", ":", false},
		{"[:alpha:]", "a", true}, {"[[.a.]]", "a", true}, {"[[=b=]]", "b", true}, {"A", "a", false},
	}
	for _, tt := range tests {
		t.Run(tt.pattern+" "+tt.value, func(t *testing.T) {
			if got := fnmatch(tt.pattern, tt.value); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestFnmatchIsNotExponential(t *testing.T) {
	start := time.Now()
	if fnmatch(strings.Repeat("a*", 2000)+"b", strings.Repeat("a", 20000)) {
		t.Error("matched")
	}
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("took %v", d)
	}
}
