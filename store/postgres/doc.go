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
// it is off, Open logs a warning. Two committers write, each one transaction at a time. A committer
// commits whatever has arrived while the last commits were syncing in one transaction
// and one round trip, so that many operations share one fsync. It waits for others to come
// only when it has just answered several, which may come again: two milliseconds at most.
// [Store.Stats] counts.
//
// With synchronous replication it returns when a standby has the commit too, and so does whoever is
// told what was written before: a duplicate's receipt, the end of a run. A commit whose wait for the
// standby was canceled is an error, and its outcome unknown. docs/high-availability.md has the rest.
//
// Each operation is a function of the schema, carried out by the server, which checks and
// writes without a round trip in between: no lock is held while a message is on its way.
// Where somebody else holds a lock, such as a long transaction of the application that has
// resumed a run, only operations that need the same run or token wait for it.
//
// # Several processes
//
// Workers share the runs by leases, in which only the server's clock counts: clocks of
// the machines may be wrong. What one process commits, the others are told by
// LISTEN and NOTIFY, within milliseconds; if notifications do not come, they look
// at the database every [Options.Poll], and the log says so.
//
// A process has up to pool_max_conns connections (a parameter of the URL, 12 by
// default), and one more that listens. Before a worker gets its first lease, two connections execute
// what it will do, in a transaction that is rolled back: a new session of the server compiles and plans
// what it executes first, and the first message after a deploy would wait for that.
//
// # Schema and rights
//
// The role needs CREATE on the database for the first start, or a schema that belongs
// to it, and CONNECT; no rights on anything else:
//
//	CREATE ROLE tenter LOGIN PASSWORD '…';
//	CREATE SCHEMA tenter AUTHORIZATION tenter;
//
// Opening is safe for several processes at once. An [OpenError] says what is wrong and what to do;
// nothing was changed then.
//
// # Versions
//
// A schema has a number, which only rises: the first binary that knows a higher one runs the
// missing migrations, and installs the functions of its number, in one transaction. Binaries
// that know a lower number go on beside it, and may be started again, as long as the schema
// serves them: the table migrations says from which number on it does (oldest). Others are
// refused, with both numbers ([ErrNewer]). A schema never gets a number that no longer serves a
// worker whose lease is live ([ErrInUse]).
//
// To those who change it:
//
//   - migrations/NNN.sql makes number NNN: tables, indexes, types. A change of functions alone
//     has an empty one. What is released never changes; frozen_test.go has the hashes.
//   - functions/*.sql are the functions of the last number, one concept a file. They replace
//     those of before, which other binaries may be calling at that moment.
//   - Functions that binaries call, and types, never change their arguments, results or meaning:
//     a new version has another name (apply_2), and the old one is written in terms of it, so
//     that what holds for new callers holds for old ones. testdata/entry-points-NNN.txt has
//     those that binaries of a number call, which a test looks for.
//   - A helper whose meaning changes gets another name too: for a moment, a function of before
//     that is under way calls the new helper.
//   - A function, a column or a type is removed in two numbers. The first raises oldestServed
//     above the last number whose binaries use it, which waits for their workers to end. The
//     second drops it, with a migration. API processes hold no lease, so they have to be
//     replaced as well before the first; they fail otherwise, and nothing is written.
//   - A new kind of row or event, which older binaries would not understand, is written only
//     from a number on that no longer serves them.
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
//		(SELECT accepted_at AS t FROM mailbox WHERE run_id = runs.id UNION ALL SELECT wake_at) q WHERE paused_at IS NULL),
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
