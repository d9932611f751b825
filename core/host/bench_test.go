package host

import (
	"os"
	"strings"
	"testing"
)

func BenchmarkParse(b *testing.B) {
	text, err := os.ReadFile("../stored/testdata/host_pool.xml")
	if err != nil {
		b.Fatal(err)
	}
	body, _, _ := strings.Cut(string(text), "\n\n")
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(body); err != nil {
			b.Fatal(err)
		}
	}
}
