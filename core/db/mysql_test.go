package db_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"goned/core/db"
)

func TestMain(m *testing.M) {
	code := m.Run()
	server.stop()
	os.Exit(code)
}

// server is a MariaDB of the tests, started when the first of them asks for it.
var server mariaDB

type mariaDB struct {
	once   sync.Once
	err    error
	port   int
	dir    string
	cmd    *exec.Cmd
	output bytes.Buffer
	count  int
}

// mysqlConfig names a database of the tests' own server that does not exist yet.
func mysqlConfig(t *testing.T) db.Config {
	t.Helper()
	for _, program := range []string{"mariadbd", "mariadb-install-db"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed (Debian package mariadb-server-core)", program)
		}
	}
	server.once.Do(func() { server.err = server.start() })
	if server.err != nil {
		t.Fatalf("MariaDB does not start: %v\n%s", server.err, server.output.Bytes())
	}
	server.count++
	return db.Config{
		MySQL: true, Server: "127.0.0.1", Port: server.port, User: "oneadmin", Passwd: "o'ne pw",
		Name: fmt.Sprintf("opennebula_%d", server.count),
	}
}

func (s *mariaDB) start() error {
	var err error
	if s.dir, err = os.MkdirTemp("", "goned-mysql-"); err != nil {
		return err
	}
	data := "--datadir=" + filepath.Join(s.dir, "data")
	install := exec.Command("mariadb-install-db", "--no-defaults", data, "--auth-root-authentication-method=normal", "--skip-test-db")
	if os.Geteuid() == 0 {
		install.Args = append(install.Args, "--user=root")
	}
	install.Stdout, install.Stderr = &s.output, &s.output
	if err := install.Run(); err != nil {
		return fmt.Errorf("install: %w", err)
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.port = l.Addr().(*net.TCPAddr).Port
	l.Close()
	first := filepath.Join(s.dir, "first.sql")
	const account = "CREATE USER 'oneadmin'@'127.0.0.1' IDENTIFIED BY 'o''ne pw';\nGRANT ALL ON *.* TO 'oneadmin'@'127.0.0.1';\n"
	if err := os.WriteFile(first, []byte(account), 0o600); err != nil {
		return err
	}
	s.cmd = exec.Command("mariadbd", "--no-defaults", data, "--socket="+filepath.Join(s.dir, "socket"), "--bind-address=127.0.0.1",
		fmt.Sprintf("--port=%d", s.port), "--skip-name-resolve", "--init-file="+first, "--innodb-buffer-pool-size=16M")
	if os.Geteuid() == 0 {
		s.cmd.Args = append(s.cmd.Args, "--user=root")
	}
	var log lockedBuffer
	s.cmd.Stdout, s.cmd.Stderr = &log, &log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if strings.Contains(log.String(), "ready for connections") {
			return nil
		}
	}
	return fmt.Errorf("not ready:\n%s", log.String())
}

func (s *mariaDB) stop() {
	if s.cmd != nil && s.cmd.Process != nil {
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		_ = s.cmd.Wait()
	}
	if s.dir != "" {
		os.RemoveAll(s.dir)
	}
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
