package run

import (
	"context"
	"testing"
)

func BenchmarkStreamStep(b *testing.B) {
	ssh := sshStub(b)
	b.Run("own session", func(b *testing.B) {
		for b.Loop() {
			s := ssh.Open("h1")
			s.Run(context.Background(), Step{Argv: []string{"true"}})
			s.Close()
		}
	})
	b.Run("same session", func(b *testing.B) {
		s := ssh.Open("h1")
		defer s.Close()
		for b.Loop() {
			s.Run(context.Background(), Step{Argv: []string{"true"}})
		}
	})
}
