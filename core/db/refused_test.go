package db

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

func TestRefused(t *testing.T) {
	ctx := t.Context()
	d, err := Open(ctx, Config{Path: filepath.Join(t.TempDir(), "one.db")}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Prepare(ctx, time.Now()); err != nil {
		t.Fatal(err)
	}
	noNumber := d.Save(ctx, []Row{{Table: SystemAttributes, Values: []any{"a", "b"}}, {Table: UserQuotas, Values: []any{"no number", "body"}}})
	d.Close()
	closed := d.Save(ctx, []Row{{Table: SystemAttributes, Values: []any{"c", "d"}}})
	for _, tc := range []struct {
		name string
		err  error
		want bool
	}{
		{"text as key", noNumber, true},
		{"closed", closed, false},
		{"MySQL: too long", fmt.Errorf("write vm_pool: %w", &mysql.MySQLError{Number: 1406}), true},
		{"MySQL: duplicate", &mysql.MySQLError{Number: 1062}, true},
		{"MySQL: read only", &mysql.MySQLError{Number: 1290}, false},
		{"MySQL: gone", mysql.ErrInvalidConn, false},
		{"MySQL: packet", fmt.Errorf("write: %w", mysql.ErrPktTooLarge), true},
	} {
		if tc.err == nil {
			t.Errorf("%s: no error", tc.name)
		} else if got := Refused(tc.err); got != tc.want {
			t.Errorf("%s: %v: refused is %v", tc.name, tc.err, got)
		}
	}
}
