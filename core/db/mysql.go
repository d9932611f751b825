package db

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/go-sql-driver/mysql"
)

// mysqlWriter changes a MySQL database. It prepares no statements: the driver interpolates, and a reconnect would lose them.
type mysqlWriter struct {
	db  *sql.DB
	log *slog.Logger
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
	write, err := sql.Open("mysql", c.FormatDSN())
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	write.SetMaxOpenConns(1)
	write.SetConnMaxIdleTime(time.Hour)
	d.write = &mysqlWriter{write, d.log}
	if d.read, err = sql.Open("mysql", c.FormatDSN()); err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	d.read.SetMaxOpenConns(8)
	return nil
}

func (w *mysqlWriter) exec(ctx context.Context, query string) error {
	_, err := w.db.ExecContext(ctx, query)
	return err
}

func (w *mysqlWriter) save(ctx context.Context, rows []Row) error {
	tx, err := w.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer tx.Rollback() // without effect after Commit
	for i := range rows {
		r := &rows[i]
		query := r.statement()
		if r.Op == Put && r.Table.unique {
			// REPLACE would remove another object whose name MySQL takes for the same: "ABC" is "abc" there.
			if _, err := tx.ExecContext(ctx, r.Table.sql[Delete], r.Values[:r.Table.Keys]...); err != nil {
				return failedRow(w.log, r, r.Table.sql[Delete], err)
			}
			query = r.Table.insert
		}
		if _, err := tx.ExecContext(ctx, query, r.Values...); err != nil {
			return failedRow(w.log, r, query, err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

func (w *mysqlWriter) close() error { return w.db.Close() }
