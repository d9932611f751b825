package db_test

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"goned/core/db"
	"goned/test/mariadb"
)

func TestMain(m *testing.M) {
	code := m.Run()
	server.Stop()
	os.Exit(code)
}

// server starts when the first test asks for it.
var (
	server      *mariadb.Server
	startServer = sync.OnceValue(func() (err error) {
		server, err = mariadb.Start()
		return err
	})
	databases int
)

// mysqlConfig names a database on the tests' own server that does not exist yet.
func mysqlConfig(t *testing.T) db.Config {
	t.Helper()
	if err := startServer(); errors.Is(err, mariadb.ErrMissing) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	databases++
	return db.Config{
		MySQL: true, Server: "127.0.0.1", Port: server.Port, User: mariadb.User, Passwd: mariadb.Password,
		Name: fmt.Sprintf("opennebula_%d", databases),
	}
}
