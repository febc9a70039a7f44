// Package postgres is a store in a schema of a PostgreSQL database, for any number
// of workers and API processes on any number of machines.
//
//	st, err := postgres.Open(ctx, "postgres://tenter@db.example.com/app")
//
// PostgreSQL 14 or newer is needed. The schema, "tenter" unless [Options.Schema] says
// otherwise, is made if it does not exist, and brought to the version of this binary if
// it is older. It may be in the application's own database, whose transactions can
// then start and resume runs: [Tx], [SQLTx], [Pool], [DB].
//
// # Durability
//
// An operation returns when its transaction is committed, which with
// synchronous_commit=on, PostgreSQL's default, means that it is on the server's disk; if
// it is off, Open logs a warning. Two lanes write, each one transaction at a time. A lane
// commits whatever has arrived while the last commits were syncing in one transaction
// and one round trip, so that many operations share one fsync. It waits for others to come
// only when it has just answered several, which may come again: two milliseconds at most.
// [Store.Stats] counts.
//
// Each operation is a function of the schema, carried out by the server, which checks and
// writes without a round trip in between: no lock is held while a message is on its way.
// A lock of somebody else, such as a long transaction of the application that has resumed
// a run, is not waited for by others than those who need the same run or token.
//
// # Several processes
//
// Workers share the runs by leases, in which only the server's clock counts: clocks of
// the machines may be wrong. What one process commits, the others are told by
// LISTEN and NOTIFY, within milliseconds; if notifications do not come, they look
// at the database every [Options.Poll], and the log says so.
//
// A process has up to pool_max_conns connections (a parameter of the URL, 12 by
// default), and one more that listens.
//
// # Schema and rights
//
// The role needs CREATE on the database for the first start, or a schema that belongs
// to it, and CONNECT; no rights on anything else:
//
//	CREATE ROLE tenter LOGIN PASSWORD '…';
//	CREATE SCHEMA tenter AUTHORIZATION tenter;
//
// Opening is safe for several processes at once. A schema that is newer than the binary is
// refused. An [OpenError] says what is wrong and what to do; nothing was changed then.
//
// # PgBouncer
//
// In transaction mode prepared statements need PgBouncer 1.21 or newer with
// max_prepared_statements above 0; with an older one, or without that,
// default_query_exec_mode=cache_describe in the URL. Notifications do not come through
// it, so [Options.ListenURL] is to be a direct connection:
//
//	st, err := postgres.OpenWith(ctx, "postgres://tenter@bouncer:6432/app", postgres.Options{
//		ListenURL: "postgres://tenter@db:5432/app",
//	})
//
// # By hand
//
// Everything can be read with psql:
//
//	SET search_path = tenter;
//	SELECT id, workflow, status, wake_at FROM runs ORDER BY id DESC LIMIT 20;
//	SELECT position, at, kind, ref, readable(data), asked FROM journal WHERE run_id = 'order-42' ORDER BY position;
//	SELECT token, run_id FROM hooks WHERE closed_at IS NULL ORDER BY number DESC LIMIT 20;
//	SELECT kind, ref, readable(data) FROM mailbox WHERE run_id = 'order-42' ORDER BY id;
//	SELECT name, build, lease_until > now() AS live FROM workers;
//
// Payloads are bytea; readable makes text of them, with invalid UTF-8 escaped.
// Where it is JSON, readable(data)::jsonb->>'amount' works too.
//
// The journal is the only truth about a run. The table runs has a row for each run, with
// what changes. Its columns messages and due_at repeat what the mailbox and wake_at say, so
// whoever changes rows by hand has to keep them right:
//
//	UPDATE runs SET due_at = (SELECT min(t) FROM
//		(SELECT accepted_at AS t FROM mailbox WHERE run_id = runs.id UNION ALL SELECT wake_at) q),
//		messages = (SELECT count(*) FROM mailbox WHERE run_id = runs.id)
//	WHERE ended_at IS NULL;
//
// # Backup
//
// What holds for any PostgreSQL database holds here: pg_dump gives one consistent moment
// of the schema, archiving the write-ahead log any moment. docs/postgres.md says what going
// back to an earlier moment means for steps, and has the rest: sizes, vacuum, replicas,
// what to watch.
//
// This package must not know the engine, nor what is in payloads.
package postgres
