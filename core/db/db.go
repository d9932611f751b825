// Package db keeps 4.6's tables in SQLite or MySQL: it opens and bootstraps the schema, checks versions, loads rows and saves
// batches of changed rows, each batch in one transaction. It knows tables and bodies, not what the bodies mean.
package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"
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
	write  writer
	read   *sql.DB
	closed bool
}

// writer is the connection that changes a database.
type writer interface {
	// exec runs one statement of its own.
	exec(ctx context.Context, query string) error
	// save makes the changes of rows in one transaction.
	save(ctx context.Context, rows []Row) error
	// close ends the connection; nothing reads the database any more.
	close() error
}

// Open opens the database that cfg names, creating the file or the MySQL database when it is not there. It does not look inside:
// see Prepare.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (*DB, error) {
	d := &DB{cfg: cfg, log: log}
	var err error
	if cfg.MySQL {
		err = d.openMySQL(ctx)
	} else {
		err = d.openSQLite()
	}
	if err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
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
		if err := d.write.exec(ctx, t.ddl); err != nil {
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
	return d.write.save(ctx, rows)
}

// failedRow logs the statement that the database did not take, as 4.6 does, and is the error of a Save.
func failedRow(log *slog.Logger, r *Row, query string, err error) error {
	log.Error("SQL command was: " + query + ", error: " + err.Error())
	return fmt.Errorf("write %s: %w", r.Table.Name, err)
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
	if d.read != nil {
		errs = append(errs, d.read.Close())
	}
	if d.write != nil {
		errs = append(errs, d.write.close())
	}
	return errors.Join(errs...)
}
