package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// functionsOf are the functions of a schema, with the roles that have rights on them. Role 0 is PUBLIC.
const functionsOf = `SELECT p.oid, a.grantee
	FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
	LEFT JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a ON a.grantee <> p.proowner
	WHERE n.nspname = $1`

// readGrants looks up the functions of a schema, and returns what gives those that are made
// then the same rights: whoever may execute all of the old ones may execute the new ones, and
// PUBLIC, which may by default, may not where that was revoked.
func readGrants(ctx context.Context, tx pgx.Tx, schema string) (restore func(ctx context.Context) error, err error) {
	old, roles, err := executors(ctx, tx, schema)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		if len(old) == 0 {
			return nil
		}
		rows, err := tx.Query(ctx, `SELECT format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', p.oid::regprocedure) FROM pg_proc p
			JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = $1 AND p.oid <> ALL ($2) AND 0 <> ALL ($3::oid[])
			UNION ALL
			SELECT format('GRANT EXECUTE ON FUNCTION %s TO %s', p.oid::regprocedure, CASE r WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r)) END)
			FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace, unnest($3::oid[]) r WHERE n.nspname = $1 AND p.oid <> ALL ($2)`, schema, old, roles)
		if err != nil {
			return err
		}
		statements, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, sql := range statements {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// executors returns the functions of a schema, and the roles other than their owner that may
// execute all of them.
func executors(ctx context.Context, tx pgx.Tx, schema string) (functions, roles []uint32, err error) {
	err = tx.QueryRow(ctx, `WITH f AS (`+functionsOf+`)
		SELECT ARRAY(SELECT DISTINCT oid FROM f), ARRAY(SELECT grantee FROM f WHERE grantee IS NOT NULL GROUP BY grantee
			HAVING count(DISTINCT oid) = (SELECT count(DISTINCT oid) FROM f))`, schema).Scan(&functions, &roles)
	return functions, roles, err
}
