package postgres

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

func TestWhichErrorsSayThatNothingWasWritten(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err                error
		passing, separable bool
	}{
		{errBusy, true, false},
		{&pgconn.PgError{SeverityUnlocalized: "ERROR", Severity: "FEHLER", Code: "55P03"}, true, true},
		{&pgconn.PgError{SeverityUnlocalized: "ERROR", Severity: "ERROR", Code: "40P01"}, true, true},
		{&pgconn.PgError{SeverityUnlocalized: "ERROR", Severity: "ERREUR", Code: "22021"}, false, true},
		{&pgconn.PgError{SeverityUnlocalized: "ERROR", Severity: "ERROR", Code: "57014"}, false, true},
		{&pgconn.PgError{SeverityUnlocalized: "FATAL", Severity: "FATAL", Code: "40001"}, false, false},
		{&pgconn.PgError{SeverityUnlocalized: "FATAL", Severity: "FATAL", Code: "57P01"}, false, false},
		{&pgconn.PgError{SeverityUnlocalized: "ERROR", Severity: "ERROR", Code: "53100"}, false, false},
		{context.DeadlineExceeded, false, false},
	} {
		err := fmt.Errorf("write: %w", c.err)
		if p, s := passing(err), separable(err); p != c.passing || s != c.separable {
			t.Errorf("%#v: passing %v, separable %v", c.err, p, s)
		}
	}
}
