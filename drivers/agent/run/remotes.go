package run

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// Remotes copies the front-end's script directory to hosts.
type Remotes struct {
	// Local is the directory on the front-end, Remote the one on hosts.
	Local, Remote string
	SSH           *SSH

	mu    sync.Mutex // guards hosts
	hosts map[string]*sync.Mutex
}

// checksumFile names the file on a host that says which state of the scripts
// it has.
const checksumFile = ".checksum"

// updateFile is written by `onehost sync`. Its time is part of the state: the
// monitoring clients on hosts restart when it changes.
const updateFile = ".update"

// Sync brings a host's copy up to date. Unless force is set a host that has
// the same state already is left alone. One copy to a host runs at a time.
func (r *Remotes) Sync(ctx context.Context, host string, force bool) error {
	lock := r.hostLock(host)
	lock.Lock()
	defer lock.Unlock()
	sum, err := r.checksum()
	if err != nil {
		return fmt.Errorf("read %s: %w", r.Local, err)
	}
	if !force {
		stream := r.SSH.Open(host)
		res := stream.Run(ctx, Step{Label: "cat", Argv: []string{"cat", r.Remote + "/" + checksumFile}})
		stream.Close()
		if res.OK() && strings.TrimSpace(res.Stdout) == sum {
			return nil
		}
	}
	return r.copyTo(ctx, host, sum)
}

func (r *Remotes) hostLock(host string) *sync.Mutex {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hosts == nil {
		r.hosts = map[string]*sync.Mutex{}
	}
	if r.hosts[host] == nil {
		r.hosts[host] = &sync.Mutex{}
	}
	return r.hosts[host]
}

// copyTo streams the tree through one ssh session. tar replaces a file by a
// new one instead of writing into it, so a script that runs is not disturbed.
func (r *Remotes) copyTo(ctx context.Context, host, sum string) error {
	if !hostWord.MatchString(host) {
		return fmt.Errorf("%q is no host name", host)
	}
	dir := Quote(r.Remote)
	command := "mkdir -p " + dir + " && tar -C " + dir + " -xpof - && printf '%s\\n' " + sum +
		" > " + Quote(r.Remote+"/"+checksumFile)
	argv := r.SSH.argv(host, command)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	stderr := newCapture(stderrLimit)
	cmd.Stderr = stderr
	cmd.WaitDelay = outputGrace
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", argv[0], err)
	}
	writeErr := r.writeTar(stdin)
	stdin.Close()
	if err := cmd.Wait(); err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		cause := Result{Stderr: string(stderr.bytes())}.ErrorMessage()
		if cause == "-" {
			cause = err.Error()
		}
		return errors.New(cause)
	}
	return writeErr
}

// each calls f for every file and directory, symbolic links followed, in
// lexical order.
func (r *Remotes) each(f func(rel, path string, info fs.FileInfo) error) error {
	root, err := filepath.EvalSymlinks(r.Local)
	if err != nil {
		return err
	}
	return walk(root, "", 0, f)
}

// maxDepth stops a loop of symbolic links.
const maxDepth = 32

func walk(path, rel string, depth int, f func(rel, path string, info fs.FileInfo) error) error {
	if depth > maxDepth {
		return fmt.Errorf("%s: nested too deep", path)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		childPath, childRel := filepath.Join(path, e.Name()), filepath.Join(rel, e.Name())
		info, err := os.Stat(childPath)
		if errors.Is(err, fs.ErrNotExist) { // dangling link, or removed meanwhile
			continue
		}
		if err != nil {
			return err
		}
		if !info.IsDir() && !info.Mode().IsRegular() {
			continue
		}
		if err := f(childRel, childPath, info); err != nil {
			return err
		}
		if info.IsDir() {
			if err := walk(childPath, childRel, depth+1, f); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *Remotes) checksum() (string, error) {
	sum := sha256.New()
	err := r.each(func(rel, path string, info fs.FileInfo) error {
		fmt.Fprintf(sum, "%q %o\n", rel, info.Mode().Perm())
		if rel == updateFile {
			fmt.Fprintf(sum, "%d\n", info.ModTime().Unix())
		}
		if info.IsDir() {
			return nil
		}
		return copyFile(sum, path)
	})
	return hex.EncodeToString(sum.Sum(nil)), err
}

func (r *Remotes) writeTar(w io.Writer) error {
	tw := tar.NewWriter(w)
	err := r.each(func(rel, path string, info fs.FileInfo) error {
		h := &tar.Header{Name: rel, Mode: int64(info.Mode().Perm()), ModTime: info.ModTime(), Typeflag: tar.TypeReg}
		if info.IsDir() {
			h.Name, h.Typeflag = rel+"/", tar.TypeDir
			return tw.WriteHeader(h)
		}
		content, err := os.ReadFile(path) // scripts are small, and the size must match
		if err != nil {
			return err
		}
		h.Size = int64(len(content))
		if err := tw.WriteHeader(h); err != nil {
			return err
		}
		_, err = tw.Write(content)
		return err
	})
	if err != nil {
		return err
	}
	return tw.Close()
}

func copyFile(w io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}
