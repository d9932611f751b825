// Package db keeps 4.6's tables in SQLite or MySQL: it opens and bootstraps the schema, checks versions, loads rows and saves
// batches of changed rows, each batch in one transaction. It knows tables and bodies, not what the bodies mean.
package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/go-sql-driver/mysql"
	_ "modernc.org/sqlite" // the driver "sqlite" of database/sql
)

// The versions that 4.6.2 writes and accepts.
const (
	LocalVersion  = "4.5.80"
	SharedVersion = "4.6.0"
)

// Config says where the database is.
type Config struct {
	// MySQL selects the MySQL backend; otherwise Path is an SQLite file.
	MySQL  bool
	Path   string
	Server string
	Port   int
	User   string
	Passwd string
	Name   string
	// Slave is a federation's slave: it never creates the shared tables.
	Slave bool
}

// DB is an open database: one connection writes, a few read.
type DB struct {
	cfg    Config
	log    *slog.Logger
	write  *sql.DB
	read   *sql.DB
	stmts  map[string]*sql.Stmt
	closed bool
}

// Open opens the database that cfg names, creating the file or the MySQL database when it is not there. It does not look inside:
// see Prepare.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (*DB, error) {
	d := &DB{cfg: cfg, log: log, stmts: map[string]*sql.Stmt{}}
	var err error
	if cfg.MySQL {
		err = d.openMySQL(ctx)
	} else {
		err = d.openSQLite(ctx)
	}
	if err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

func (d *DB) openSQLite(ctx context.Context) error {
	// The file may hold password hashes; 4.6 leaves the mode to the umask, which its control script sets to 007.
	f, err := os.OpenFile(d.cfg.Path, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	f.Close()
	// WAL lets other programs read the live file and us commit with one sync; FULL makes that sync happen at every commit.
	pragmas := "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate"
	if d.write, err = sql.Open("sqlite", "file:"+d.cfg.Path+pragmas); err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	d.write.SetMaxOpenConns(1)
	if err := d.write.PingContext(ctx); err != nil {
		return fmt.Errorf("open database %s: %w", d.cfg.Path, err)
	}
	if d.read, err = sql.Open("sqlite", "file:"+d.cfg.Path+"?_pragma=busy_timeout(10000)&_pragma=query_only(1)"); err != nil {
		return fmt.Errorf("open database for reading: %w", err)
	}
	d.read.SetMaxOpenConns(4)
	return nil
}

func (d *DB) openMySQL(ctx context.Context) error {
	c := mysql.NewConfig()
	c.User, c.Passwd = d.cfg.User, d.cfg.Passwd
	c.Net, c.Addr = "tcp", d.cfg.Server
	if d.cfg.Port != 0 {
		c.Addr += ":" + strconv.Itoa(d.cfg.Port)
	} else {
		c.Addr += ":3306"
	}
	if d.cfg.Server == "localhost" {
		if _, err := os.Stat("/var/run/mysqld/mysqld.sock"); err == nil {
			c.Net, c.Addr = "unix", "/var/run/mysqld/mysqld.sock"
		}
	}
	c.InterpolateParams = true
	// The old client library sent bytes as they came and the server kept them as latin1: only so do old rows read back right.
	c.Params = map[string]string{"charset": "latin1"}
	c.MaxAllowedPacket = 0
	c.Timeout, c.ReadTimeout, c.WriteTimeout = 10*time.Second, time.Minute, time.Minute

	server, err := sql.Open("mysql", c.FormatDSN())
	if err != nil {
		return fmt.Errorf("open database server: %w", err)
	}
	defer server.Close()
	if _, err := server.ExecContext(ctx, "CREATE DATABASE IF NOT EXISTS `"+d.cfg.Name+"`"); err != nil {
		return fmt.Errorf("create database %s: %w", d.cfg.Name, err)
	}
	c.DBName = d.cfg.Name
	if d.write, err = sql.Open("mysql", c.FormatDSN()); err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	d.write.SetMaxOpenConns(1)
	d.write.SetConnMaxIdleTime(time.Hour)
	if d.read, err = sql.Open("mysql", c.FormatDSN()); err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	d.read.SetMaxOpenConns(8)
	return nil
}

// VersionError says that the database belongs to another version of OpenNebula.
type VersionError struct {
	Table, Want, Found string
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("Database version mismatch ( %s). Installed OpenNebula 4.6.2 needs DB version '%s', and existing DB version is '%s'.",
		e.Table, e.Want, e.Found)
}

// ErrNoSharedTables says that a slave found no replicated tables.
var ErrNoSharedTables = errors.New("Cannot access shared DB tables. Check DB replica configuration.")

// Prepare checks the versions, both before it writes anything, and creates what a new database lacks. fresh reports whether any
// table was created.
func (d *DB) Prepare(ctx context.Context, now time.Time) (fresh bool, err error) {
	d.log.Info("Checking database version.")
	local, err := d.checkVersion(ctx, LocalVersions, LocalVersion)
	if err != nil {
		return false, err
	}
	shared, err := d.checkVersion(ctx, SharedVersions, SharedVersion)
	if err != nil {
		return false, err
	}
	if !shared && d.cfg.Slave {
		return false, ErrNoSharedTables
	}
	comment := "OpenNebula 4.6.2 daemon bootstrap"
	if !local {
		d.log.Info("Bootstrapping OpenNebula database, stage 1.")
		slave := 0
		if d.cfg.Slave {
			slave = 1
		}
		first := Row{Table: LocalVersions, Values: []any{0, LocalVersion, now.Unix(), comment, slave}}
		if err := d.create(ctx, localTables, first); err != nil {
			return false, err
		}
	}
	if !shared {
		d.log.Info("Bootstrapping OpenNebula database, stage 2.")
		first := Row{Table: SharedVersions, Values: []any{0, SharedVersion, now.Unix(), comment}}
		if err := d.create(ctx, sharedTables, first); err != nil {
			return false, err
		}
	}
	return !local || !shared, nil
}

func (d *DB) create(ctx context.Context, tables []*Table, version Row) error {
	for _, t := range tables {
		if _, err := d.write.ExecContext(ctx, t.ddl); err != nil {
			return fmt.Errorf("create table %s: %w", t.Name, err)
		}
	}
	return d.Save(ctx, []Row{version})
}

// checkVersion reports false when the half of the schema that t belongs to is not there yet.
func (d *DB) checkVersion(ctx context.Context, t *Table, want string) (bool, error) {
	exists, err := d.exists(ctx, t)
	if err != nil || !exists {
		return false, err
	}
	var found string
	err = d.read.QueryRowContext(ctx, "SELECT version FROM "+t.Name+" ORDER BY oid DESC LIMIT 1").Scan(&found)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("read %s: %w", t.Name, err)
	case found != want:
		return false, &VersionError{Table: t.Name, Want: want, Found: found}
	}
	d.log.Info("oned is using version " + found + " for " + t.Name)
	return true, nil
}

func (d *DB) exists(ctx context.Context, t *Table) (bool, error) {
	query := "SELECT COUNT(*) FROM sqlite_master WHERE type='table' AND name=?"
	if d.cfg.MySQL {
		query = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema=DATABASE() AND table_name=?"
	}
	var n int
	if err := d.read.QueryRowContext(ctx, query, t.Name).Scan(&n); err != nil {
		return false, fmt.Errorf("look for table %s: %w", t.Name, err)
	}
	return n > 0, nil
}

// Save writes rows, in their order, in one transaction: all or none.
func (d *DB) Save(ctx context.Context, rows []Row) error {
	if len(rows) == 0 {
		return nil
	}
	if err := d.prepare(ctx, rows); err != nil {
		return err
	}
	tx, err := d.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer tx.Rollback() // without effect after Commit
	for i := range rows {
		r := &rows[i]
		query := r.statement()
		switch s := d.stmts[query]; {
		case s != nil:
			_, err = tx.StmtContext(ctx, s).ExecContext(ctx, r.Values...)
		case d.cfg.MySQL && r.Op == Put && r.Table.unique:
			// REPLACE would remove another object whose name MySQL takes for the same: "ABC" is "abc" there.
			query = r.Table.sql[Delete]
			if _, err = tx.ExecContext(ctx, query, r.Values[:r.Table.Keys]...); err == nil {
				query = r.Table.insert
				_, err = tx.ExecContext(ctx, query, r.Values...)
			}
		default:
			_, err = tx.ExecContext(ctx, query, r.Values...)
		}
		if err != nil {
			d.log.Error("SQL command was: " + query + ", error: " + err.Error())
			return fmt.Errorf("write %s: %w", r.Table.Name, err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// prepare compiles the statements that rows need, outside a transaction because there is one writing connection. MySQL needs
// none: the driver interpolates, and a reconnect would lose them.
func (d *DB) prepare(ctx context.Context, rows []Row) error {
	if d.cfg.MySQL {
		return nil
	}
	for i := range rows {
		query := rows[i].statement()
		if d.stmts[query] != nil {
			continue
		}
		s, err := d.write.PrepareContext(ctx, query)
		if err != nil {
			return fmt.Errorf("prepare %q: %w", query, err)
		}
		d.stmts[query] = s
	}
	return nil
}

// Each reads whole rows of a table, ordered by key, and hands each to fn with the columns in the order of t.Columns.
func (d *DB) Each(ctx context.Context, t *Table, fn func(scan func(dest ...any) error) error) error {
	return d.Query(ctx, "SELECT "+join(t.Columns)+" FROM "+t.Name+" ORDER BY "+join(t.Columns[:t.Keys]), nil, fn)
}

// Query runs a SELECT and hands each row to fn.
func (d *DB) Query(ctx context.Context, query string, args []any, fn func(scan func(dest ...any) error) error) error {
	rows, err := d.read.QueryContext(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("query %q: %w", query, err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

func join(columns []string) string {
	out := columns[0]
	for _, c := range columns[1:] {
		out += "," + c
	}
	return out
}

// Close closes the database. An SQLite file is left in the default journal mode, as a single file, so that the real 4.6.2 (or any
// tool of its time) can open it.
func (d *DB) Close() error {
	if d.closed {
		return nil
	}
	d.closed = true
	var errs []error
	for _, s := range d.stmts {
		errs = append(errs, s.Close())
	}
	if d.read != nil {
		errs = append(errs, d.read.Close())
	}
	if d.write != nil {
		if !d.cfg.MySQL {
			_, err := d.write.Exec("PRAGMA journal_mode=DELETE")
			errs = append(errs, err)
		}
		errs = append(errs, d.write.Close())
	}
	return errors.Join(errs...)
}
