// Package mariadb runs a MariaDB server for tests of what goned keeps in MySQL. It needs the Debian package mariadb-server-core.
package mariadb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"

	"goned/test/output"
)

// The account of a Server may do everything. Its password is one that has to be quoted.
const (
	User     = "oneadmin"
	Password = "o'ne pw"
)

// startLimit is far more than a server needs.
const startLimit = time.Minute

// ErrMissing says which program is not installed: tests that need it are skipped.
var ErrMissing = errors.New("not installed (Debian package mariadb-server-core)")

// Server is a running MariaDB with a new data directory, on 127.0.0.1.
type Server struct {
	Port int

	dir    string
	cmd    *exec.Cmd
	output output.Buffer
	done   chan struct{} // closed when the server has ended
}

// Start makes a server that Stop has to end.
func Start() (*Server, error) {
	for _, program := range []string{"mariadbd", "mariadb-install-db"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, fmt.Errorf("%s: %w", program, ErrMissing)
		}
	}
	s := &Server{}
	if err := s.start(); err != nil {
		s.Stop()
		return nil, fmt.Errorf("MariaDB: %w\n%s", err, s.output.String())
	}
	return s, nil
}

func (s *Server) start() error {
	var err error
	if s.dir, err = os.MkdirTemp("", "goned-mariadb-"); err != nil {
		return err
	}
	common := []string{"--no-defaults", "--datadir=" + filepath.Join(s.dir, "data")}
	if os.Geteuid() == 0 {
		common = append(common, "--user=root")
	}
	install := exec.Command("mariadb-install-db", append(common, "--auth-root-authentication-method=normal", "--skip-test-db")...)
	install.Stdout, install.Stderr = &s.output, &s.output
	if err := install.Run(); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.Port = l.Addr().(*net.TCPAddr).Port
	l.Close()
	account := fmt.Sprintf("CREATE USER '%[1]s'@'127.0.0.1' IDENTIFIED BY '%[2]s';\nGRANT ALL ON *.* TO '%[1]s'@'127.0.0.1';\n",
		User, strings.ReplaceAll(Password, "'", "''"))
	first := filepath.Join(s.dir, "first.sql")
	if err := os.WriteFile(first, []byte(account), 0o600); err != nil {
		return err
	}
	s.cmd = exec.Command("mariadbd", append(common, "--socket="+filepath.Join(s.dir, "socket"), "--bind-address=127.0.0.1",
		"--port="+strconv.Itoa(s.Port), "--skip-name-resolve", "--init-file="+first, "--innodb-buffer-pool-size=16M")...)
	s.cmd.Stdout, s.cmd.Stderr = &s.output, &s.output
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.done = make(chan struct{})
	go func() {
		_ = s.cmd.Wait()
		close(s.done)
	}()
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	for {
		if err = s.Exec(ctx, "DO 1"); err == nil {
			return nil
		}
		select {
		case <-s.done:
			return errors.New("ended at once")
		case <-ctx.Done():
			return fmt.Errorf("does not answer: %w", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Exec runs statements, one after the other.
func (s *Server) Exec(ctx context.Context, statements ...string) error {
	c := mysql.NewConfig()
	c.User, c.Passwd, c.Net, c.Addr = User, Password, "tcp", "127.0.0.1:"+strconv.Itoa(s.Port)
	c.Logger = &mysql.NopLogger{}
	d, err := sql.Open("mysql", c.FormatDSN())
	if err != nil {
		return err
	}
	defer d.Close()
	for _, statement := range statements {
		if _, err := d.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// Stop ends the server and removes its data.
func (s *Server) Stop() {
	if s == nil {
		return
	}
	if s.done != nil {
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-s.done:
		case <-time.After(startLimit):
			_ = s.cmd.Process.Kill()
			<-s.done
		}
	}
	if s.dir != "" {
		os.RemoveAll(s.dir)
	}
}
