package db

import (
	"errors"

	"github.com/go-sql-driver/mysql"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// MySQL's numbers for rows that it will never take.
const (
	mysqlDuplicate    = 1062
	mysqlPacketTooBig = 1153
	mysqlOutOfRange   = 1264
	mysqlBadValue     = 1366
	mysqlTooLong      = 1406
)

// Refused reports whether the database works but will never take the rows of a Save that failed with err: another try is in vain,
// while after any other error (no space, no connection, locked) it is not.
func Refused(err error) bool {
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		switch lite.Code() & 0xff { // the rest of the code details it
		case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH:
			return true
		}
		return false
	}
	if errors.Is(err, mysql.ErrPktTooLarge) {
		return true
	}
	var my *mysql.MySQLError
	if errors.As(err, &my) {
		switch my.Number {
		case mysqlDuplicate, mysqlPacketTooBig, mysqlOutOfRange, mysqlBadValue, mysqlTooLong:
			return true
		}
	}
	return false
}
