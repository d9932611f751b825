package vnc

import (
	_ "embed"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
)

//go:embed console.html
var consolePage []byte

// noVNCDirs are the places where packages put noVNC.
var noVNCDirs = []string{
	"/usr/share/novnc",
	"/usr/share/noVNC",
	"/usr/lib/node_modules/@novnc/novnc",
	"/usr/local/lib/node_modules/@novnc/novnc",
	"node_modules/@novnc/novnc",
}

// FindNoVNC returns the directory of an installed noVNC.
func FindNoVNC() (string, error) {
	for _, dir := range noVNCDirs {
		if _, err := os.Stat(filepath.Join(dir, "core", "rfb.js")); err == nil {
			return dir, nil
		}
	}
	return "", errors.New("no noVNC found; looked in " + strings.Join(noVNCDirs, ", "))
}

// WebHandler serves the files of a noVNC directory, and a page of our own at
// /console that shows one console full-size with noVNC's core/rfb.js (the npm
// package of noVNC has no page). Directories are not listed and hidden files
// are not served.
func WebHandler(dir string) http.Handler {
	files := http.FileServer(shownFiles{http.Dir(dir)})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		// A page's address holds its token: don't hand it on to other sites.
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if r.URL.Path == "/console" {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("Cache-Control", "no-cache")
			_, _ = w.Write(consolePage)
			return
		}
		files.ServeHTTP(w, r)
	})
}

// shownFiles hides dot files, and directories without an index page.
type shownFiles struct{ fs http.FileSystem }

func (s shownFiles) Open(name string) (http.File, error) {
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(part, ".") {
			return nil, fs.ErrNotExist
		}
	}
	f, err := s.fs.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		var index http.File
		if index, err = s.fs.Open(path.Join(name, "index.html")); err == nil {
			index.Close()
		}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
