package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"unsafe"

	"modernc.org/sqlite"
)

const (
	// The log is copied back into the file when it has so many pages of 4 KiB. The same pages are written again and again (those of
	// quotas, networks and images that many VMs use): the longer it waits, the fewer have to be copied.
	checkpointPages = 4000
	// The pages kept in memory for writing, in KiB. Most of a statement's work is to find its page.
	writeCache = 8 << 10
)

// sqliteWriter is the connection that changes an SQLite file. It uses the driver itself: of package sql's care (a pool of
// connections, contexts that end a statement by a goroutine of its own, conversions) it needs nothing, and that costs as much as
// a small statement. A statement ends by itself: it waits for nothing but the disk and, for the driver's busy timeout, for
// another program that has locked the file.
type sqliteWriter struct {
	conn  driver.Conn
	stmts map[string]statement
	args  []driver.NamedValue // of the row that is being written
	body  []byte              // its padded body
	log   *slog.Logger
}

type statement interface {
	driver.Stmt
	driver.StmtExecContext
}

func (d *DB) openSQLite() error {
	// The file may hold password hashes; 4.6 leaves the mode to the umask, which its control script sets to 007.
	f, err := os.OpenFile(d.cfg.Path, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	f.Close()
	// As SQLite does wherever it finds it: the file's time of change need not be on disk with each commit.
	if _, err := sqlite.Fdatasync(true); err != nil && !errors.Is(err, sqlite.ErrFdatasyncUnavailable) {
		return fmt.Errorf("open database: %w", err)
	}
	// WAL lets other programs read the live file and us commit with one sync; FULL makes that sync happen at every commit.
	pragmas := fmt.Sprintf("?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"+
		"&_pragma=wal_autocheckpoint(%d)&_pragma=cache_size(-%d)", checkpointPages, writeCache)
	conn, err := (&sqlite.Driver{}).Open("file:" + d.cfg.Path + pragmas)
	if err != nil {
		return fmt.Errorf("open database %s: %w", d.cfg.Path, err)
	}
	d.write = &sqliteWriter{conn: conn, stmts: map[string]statement{}, log: d.log}
	if d.read, err = sql.Open("sqlite", "file:"+d.cfg.Path+"?_pragma=busy_timeout(10000)&_pragma=query_only(1)"); err != nil {
		return fmt.Errorf("open database for reading: %w", err)
	}
	d.read.SetMaxOpenConns(4)
	return nil
}

func (w *sqliteWriter) exec(_ context.Context, query string) error {
	s, err := w.prepare(query)
	if err != nil {
		return err
	}
	_, err = s.ExecContext(context.Background(), nil)
	return err
}

// prepare gives the compiled statement, which is kept.
func (w *sqliteWriter) prepare(query string) (statement, error) {
	if s := w.stmts[query]; s != nil {
		return s, nil
	}
	if w.conn == nil {
		return nil, sql.ErrConnDone
	}
	prepared, err := w.conn.Prepare(query)
	if err != nil {
		return nil, fmt.Errorf("prepare %q: %w", query, err)
	}
	s := prepared.(statement)
	w.stmts[query] = s
	return s, nil
}

func (w *sqliteWriter) save(ctx context.Context, rows []Row) (err error) {
	if err := w.exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() {
		if err != nil {
			// It fails when the error has ended the transaction already.
			_ = w.exec(ctx, "ROLLBACK")
		}
	}()
	for i := range rows {
		r := &rows[i]
		if err := w.row(r); err != nil {
			return failedRow(w.log, r, r.statement(), err)
		}
	}
	if err := w.exec(ctx, "COMMIT"); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

func (w *sqliteWriter) row(r *Row) error {
	w.args = w.args[:0]
	for i, v := range r.Values {
		switch x := v.(type) {
		case int:
			v = int64(x)
		case string:
			if r.Table.lists && r.Table.Columns[i] == "body" {
				v = w.padded(x)
			}
		}
		w.args = append(w.args, driver.NamedValue{Ordinal: i + 1, Value: v})
	}
	// REPLACE would remove the row, and its entries in the indices, before it writes all of it anew.
	if r.Op == Put && r.Table.update != "" {
		result, err := w.run(r.Table.update)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n > 0 {
			return err
		}
	}
	_, err := w.run(r.statement())
	return err
}

// run runs a statement with args.
func (w *sqliteWriter) run(query string) (driver.Result, error) {
	s, err := w.prepare(query)
	if err != nil {
		return nil, err
	}
	return s.ExecContext(context.Background(), w.args)
}

// What SQLite keeps of a long row in pages of its own, 4092 bytes in each, and what then remains in the page that the row shares
// with others, for pages of 4 KiB (https://www.sqlite.org/fileformat2.html, 1.6: U-4 and M).
const (
	overflowBytes = 4092
	leastInLeaf   = 489
	mostInLeaf    = 4061 // longer rows overflow (X)
)

// padded fills a body that needs pages of its own up with spaces, to a whole number of them. To a reader of XML it is the same. A
// row that keeps its size is changed in place, and only the pages that have changed are written: without the spaces all of a body
// with the ids of ten thousand VMs is written whenever one is added.
func (w *sqliteWriter) padded(body string) string {
	const least, most = 9, 200 // bytes of the other columns
	if len(body)+most <= mostInLeaf {
		return body
	}
	const want = leastInLeaf - least
	missing := (overflowBytes - (len(body)-want)%overflowBytes) % overflowBytes
	w.body = append(append(w.body[:0], body...), spaces[:missing]...)
	return unsafe.String(unsafe.SliceData(w.body), len(w.body))
}

var spaces = strings.Repeat(" ", overflowBytes)

// close leaves the file in the default journal mode, as a single file, so that the real 4.6.2 (or any tool of its time) can open
// it.
func (w *sqliteWriter) close() error {
	finish := func() (errs []error) {
		for _, s := range w.stmts {
			errs = append(errs, s.Close())
		}
		clear(w.stmts)
		return errs
	}
	errs := finish() // the journal mode cannot change while a statement is open
	errs = append(errs, w.exec(context.Background(), "PRAGMA journal_mode=DELETE"))
	errs = append(errs, finish()...)
	errs = append(errs, w.conn.Close())
	w.conn = nil
	return errors.Join(errs...)
}
