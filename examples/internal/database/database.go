// Package database opens what the -db flag of an example says.
package database

import (
	"context"
	"strings"

	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/store/postgres"
	"github.com/tenter-dev/tenter/store/sqlite"
)

// Usage says what Open takes.
const Usage = "database to keep the runs in, such as sqlite:app.db (or just app.db) or postgres://user@localhost/app"

// Open opens a SQLite file or a PostgreSQL database. It is all that an example knows about
// the two.
func Open(ctx context.Context, db string) (store.Store, error) {
	switch scheme, rest, _ := strings.Cut(db, ":"); scheme {
	case "postgres", "postgresql":
		return postgres.Open(ctx, db)
	case "sqlite":
		return sqlite.Open(rest)
	default:
		return sqlite.Open(db)
	}
}
