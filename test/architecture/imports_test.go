// Package architecture tests that the rooms of docs/architecture.md are kept apart.
package architecture

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "goned"

// file is a source file of ours that is no test.
type file struct {
	path, pkg string // pkg is "core/vm"
	imports   []string
	syntax    *ast.File
}

func sources(t *testing.T) []file {
	t.Helper()
	root := filepath.Join("..", "..")
	var files []file
	for _, room := range []string{"cmd", "core", "drivers", "rpc", "sched", "share", "vnc"} {
		err := filepath.WalkDir(filepath.Join(root, room), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			syntax, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			name, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			f := file{path: name, pkg: filepath.ToSlash(filepath.Dir(name)), syntax: syntax}
			for _, i := range syntax.Imports {
				imported, err := strconv.Unquote(i.Path.Value)
				if err != nil {
					return err
				}
				f.imports = append(f.imports, imported)
			}
			files = append(files, f)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(files) < 100 {
		t.Fatalf("only %d files", len(files))
	}
	return files
}

// within reports whether a package is one of those that patterns name: "core/vm", or "core/..." with all below.
func within(pkg string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		above, tree := strings.CutSuffix(p, "/...")
		return pkg == above || tree && strings.HasPrefix(pkg, above+"/")
	})
}

var (
	// pure packages compute: what they need of the world comes in as arguments.
	pure = []string{
		"core/acl", "core/auth", "core/cluster", "core/datastore", "core/document", "core/group", "core/host", "core/image",
		"core/match/...", "core/message", "core/quota", "core/refusal", "core/resource", "core/substitute", "core/template/...",
		"core/transfer", "core/user", "core/vm", "core/vmtemplate", "core/vnet", "core/zone",
	}
	// operations change the state: several resources at once, lives, periods.
	operations = []string{"core/bootstrap", "core/cloud", "core/hook", "core/lifecycle", "core/monitor"}
	// formats are what driver processes are asked and answer, as text.
	formats = []string{"drivers/auth", "drivers/datastore", "drivers/hooks", "drivers/im", "drivers/tm", "drivers/vmm"}
)

// TestArrows lets packages import, of ours, what lies below them only.
func TestArrows(t *testing.T) {
	below := []string{"core/config", "core/db", "core/onelog", "core/state", "core/stored"}
	rules := []struct {
		who, may []string
	}{
		{[]string{"core/template/...", "core/refusal", "core/message", "core/substitute", "core/stored", "core/db"}, []string{"core/template/..."}},
		{pure, pure},
		{[]string{"core/config", "core/onelog"}, append([]string{"core/config"}, pure...)},
		{[]string{"core/state"}, append([]string{"core/config", "core/db", "core/stored"}, pure...)},
		{operations, slices.Concat(operations, below, pure)},
		{[]string{"core/..."}, []string{"core/..."}},
		{[]string{"rpc/xmlrpc"}, nil},
		{[]string{"rpc/transport", "rpc/introspect"}, []string{"rpc/xmlrpc"}},
		{[]string{"rpc"}, slices.Concat([]string{"rpc/...", "core/..."}, formats)},
		{formats, []string{"core/resource"}},
		{[]string{"drivers/mad"}, nil},
		{[]string{"drivers/agent/..."}, append([]string{"drivers/agent/...", "drivers/mad"}, formats...)},
		{[]string{"drivers/vmm/deploy"}, pure},
		{[]string{"drivers/..."}, []string{"drivers/...", "core/..."}},
		{[]string{"sched"}, []string{"core/match/...", "core/template/..."}},
		{[]string{"vnc/..."}, []string{"vnc/..."}},
		{[]string{"share/..."}, nil},
		{[]string{"cmd/..."}, []string{"core/...", "drivers/...", "rpc/...", "sched", "share/...", "vnc/..."}},
	}
	for _, f := range sources(t) {
		for _, imported := range f.imports {
			target, ours := strings.CutPrefix(imported, module+"/")
			if !ours {
				continue
			}
			for _, r := range rules { // each that names the package holds
				if within(f.pkg, r.who) && !within(target, r.may) {
					t.Errorf("%s imports %s: of ours it may import %v", f.path, target, r.may)
				}
			}
		}
	}
}

// TestPure keeps files, network, clock and chance out of what computes.
func TestPure(t *testing.T) {
	forbidden := []string{
		"bufio", "context", "crypto/rand", "database/sql", "io/ioutil", "log/...", "math/rand/...", "net", "net/http/...", "net/url", "os/...", "syscall", "unsafe",
		"path/filepath",
	}
	for _, f := range sources(t) {
		if !within(f.pkg, pure) {
			continue
		}
		for _, imported := range f.imports {
			if within(imported, forbidden) {
				t.Errorf("%s imports %s", f.path, imported)
			}
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := s.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "Sleep", "After"}, s.Sel.Name) {
				t.Errorf("%s reads the clock: time.%s", f.path, s.Sel.Name)
			}
			return true
		})
	}
}

// TestPackagesAreIdeas refuses the names of packages that are a heap of things.
func TestPackagesAreIdeas(t *testing.T) {
	for _, f := range sources(t) {
		switch name := f.syntax.Name.Name; name {
		case "util", "utils", "common", "helper", "helpers", "misc", "types", "models", "interfaces", "base", "shared", "lib":
			t.Errorf("%s belongs to a package named %s", f.path, name)
		}
	}
}
