package postgres

import (
	"context"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
)

// installFunctions makes the functions of the schema those of this binary. There is one set of
// them for each number of the schema: functions/*.sql has the set of the last one, which is
// installed in the same transaction as its migration. doc.go says what may change in a set.
//
// Functions keep their OID, owner and rights. New ones get the rights that the others have.
func installFunctions(ctx context.Context, tx pgx.Tx, files fs.FS, schema string) error {
	paths, err := fs.Glob(files, "functions/*.sql")
	if err != nil {
		return err
	}
	restore, err := readGrants(ctx, tx, schema)
	if err != nil {
		return err
	}
	for _, path := range paths {
		if err := runScript(ctx, tx, files, path); err != nil {
			return err
		}
	}
	return restore(ctx)
}

// runScript executes a file of statements, all at once, for which the simple protocol is made.
func runScript(ctx context.Context, tx pgx.Tx, files fs.FS, path string) error {
	sql, err := fs.ReadFile(files, path)
	if err != nil {
		return err
	}
	if _, err := tx.Conn().PgConn().Exec(ctx, string(sql)).ReadAll(); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
