// Package sshd gives tests hosts that are reached over ssh: a server of their own on
// this machine, which goes by several names, and clients that know it.
package sshd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// ErrMissing says that the tools are not installed; tests skip then.
var ErrMissing = errors.New("not installed")

// Options of a server.
type Options struct {
	// Hosts are the names that clients reach it by.
	Hosts []string
	// User is who the hosts' commands run as.
	User string
	// Env are variables of the hosts' commands.
	Env []string
	// MaxSessions bounds what one connection carries, if not 0.
	MaxSessions int
	// Shared lets clients that don't ask for it share connections, too.
	Shared bool
}

// Server is a running one.
type Server struct {
	// Bin is a directory of clients (ssh, scp) that know the hosts, for PATH.
	Bin string
	// Home is the home directory of the hosts' commands, without start files for
	// shells: what the user's own ones do is not the hosts' business.
	Home string

	dir     string
	address string
	options Options
	cmd     *exec.Cmd
	ended   chan struct{}
}

// startLimit is far above what is usual: a loaded machine must not fail a test.
const startLimit = time.Minute

// Start runs a server whose files are in dir, and waits until it can be used.
func Start(dir string, o Options) (*Server, error) {
	tools := map[string]string{}
	for _, name := range []string{"sshd", "ssh", "scp", "ssh-keygen"} {
		path, err := exec.LookPath(name)
		if err != nil {
			path, err = exec.LookPath("/usr/sbin/" + name)
		}
		if err != nil {
			return nil, fmt.Errorf("%s is %w", name, ErrMissing)
		}
		tools[name] = path
	}
	s := &Server{Bin: filepath.Join(dir, "bin"), Home: filepath.Join(dir, "home"), dir: dir, options: o}
	for _, d := range []string{s.Bin, s.Home} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, err
		}
	}
	if os.Geteuid() == 0 { // for privilege separation; ours to make only where we are root
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			return nil, err
		}
	}
	for _, key := range []string{"host_key", "key"} {
		if out, err := exec.Command(tools["ssh-keygen"], "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, key)).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("ssh-keygen: %w: %s", err, out)
		}
	}
	if err := s.configure(tools); err != nil {
		return nil, err
	}
	if err := s.start(tools["sshd"]); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Server) configure(tools map[string]string) error {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.address = l.Addr().String()
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	hostKey, err := os.ReadFile(filepath.Join(s.dir, "host_key.pub"))
	if err != nil {
		return err
	}
	server := fmt.Sprintf("ListenAddress %[1]s\nHostKey %[2]s/host_key\nAuthorizedKeysFile %[2]s/key.pub\nPermitRootLogin yes\n"+
		"StrictModes no\nUsePAM no\nPidFile none\nMaxStartups 100\nSubsystem sftp internal-sftp\nSetEnv HOME=%[3]s %[4]s\n", s.address, s.dir, s.Home, strings.Join(s.options.Env, " "))
	if s.options.MaxSessions > 0 {
		server += fmt.Sprintf("MaxSessions %d\n", s.options.MaxSessions)
	}
	client := fmt.Sprintf("Host %s\nHostName 127.0.0.1\nPort %d\nUser %s\nIdentityFile %[4]s/key\nIdentitiesOnly yes\nUserKnownHostsFile %[4]s/known_hosts\n",
		strings.Join(s.options.Hosts, " "), port, s.options.User, s.dir)
	if s.options.Shared {
		client += "ControlMaster auto\nControlPath " + s.dir + "/%n\nControlPersist 60\n"
	}
	files := map[string]string{
		"sshd_config": server,
		"known_hosts": fmt.Sprintf("[127.0.0.1]:%d %s", port, hostKey),
		"config":      client + "Host *\nBatchMode yes\n",
	}
	for _, name := range []string{"ssh", "scp"} {
		files["bin/"+name] = fmt.Sprintf("#!/bin/sh\nexec %s -F %s/config \"$@\"\n", tools[name], s.dir)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o755); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) start(program string) error {
	s.cmd = exec.Command(program, "-D", "-f", filepath.Join(s.dir, "sshd_config"), "-E", filepath.Join(s.dir, "log"))
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.ended = make(chan struct{})
	go func() { _ = s.cmd.Wait(); close(s.ended) }() // ends with the server, which Stop ends
	for end := time.Now().Add(startLimit); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", s.address)
		if err == nil {
			conn.Close()
			return nil
		}
		select {
		case <-s.ended:
			return fmt.Errorf("sshd has ended: %s", s.Log())
		default:
		}
		if time.Now().After(end) {
			s.Stop()
			return fmt.Errorf("sshd does not answer: %w: %s", err, s.Log())
		}
	}
}

// Log is what the server has written.
func (s *Server) Log() string {
	text, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	return string(text)
}

// Connections counts those that were made so far.
func (s *Server) Connections() int { return strings.Count(s.Log(), "Accepted publickey") }

// Stop ends the server and the connections that its clients share.
func (s *Server) Stop() {
	for _, host := range s.options.Hosts {
		if s.options.Shared {
			_ = exec.Command(filepath.Join(s.Bin, "ssh"), "-O", "exit", host).Run()
		}
	}
	_ = s.cmd.Process.Kill()
	<-s.ended
}
