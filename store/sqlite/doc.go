// Package sqlite is a store in one SQLite file.
//
//	st, err := sqlite.Open("app.db")
//
// The file is made if it does not exist, and brought to the schema of this
// binary if it is older. It may hold the application's own tables too: all
// tables and indexes of Tenter start with tenter_, and user_version and
// application_id are left to the application.
//
// # Durability
//
// The file is in WAL mode with synchronous=FULL: an operation returns when it is
// on disk, and neither a crash of the process nor a loss of power takes it back,
// as far as the disk keeps what fsync promised. One goroutine writes. It commits
// whatever has arrived while the last commit was syncing in one transaction, so
// that many operations share one fsync; nothing waits for others to come. A
// commit costs one fsync of the log, and one more when the log starts over.
// A checkpoint, which copies the log into the file, is part of about every
// hundredth commit under load and costs two fsyncs. [Store.Stats] counts.
//
// # Several processes
//
// Any number of processes may have the file open, on one machine and on a local
// file system. What others have committed is noticed within 250 ms, and within
// milliseconds of a commit before it, by PRAGMA data_version, which reads no table. [Options.Private] turns that off. While
// another process (or the application, in a connection of its own) has a write
// transaction open, commits wait for it; after a second a warning is logged.
//
// In a process that has the file open, nothing but SQLite may open it, and no other
// SQLite library: when a process closes a file, it loses all its locks on it.
//
// # Files
//
// The file, app.db, and beside it the log, app.db-wal, belong together. A log whose file is
// missing or empty is not taken for that of a new database, which would delete it: [Open]
// returns [ErrCorrupt]. If the files of an open database are removed, renamed or replaced, the
// store gives it up: all operations return [ErrReplaced]. It looks for that after each commit,
// before the commit is acknowledged, and every 250 ms unless it is Private.
//
// # Transactions of the application
//
// [Tx] and [Pool] make operations part of a transaction of the application's, on a
// connection of zombiezen.com/go/sqlite, and of no other driver. An application that uses
// modernc.org/sqlite opens connections of zombiezen's beside its own, for those transactions
// alone: it is the same SQLite. For one that uses another library there is an outbox: see the
// example.
//
// # By hand
//
// Everything can be read with the sqlite3 shell, also while it is in use:
//
//	sqlite3 app.db
//	> SELECT id, workflow, status, wake_at FROM tenter_runs ORDER BY id DESC LIMIT 20;
//	> SELECT position, at, kind, ref, data FROM tenter_journal WHERE run_id = 'order-42';
//	> SELECT token, run_id FROM tenter_hooks WHERE closed_at IS NULL;
//	> SELECT * FROM tenter_mailbox WHERE run_id = 'order-42';
//	> SELECT name, build, lease_until > strftime('%Y-%m-%dT%H:%M:%fZ', 'now') AS live FROM tenter_workers;
//
// Times are text in UTC with microseconds, such as 2026-11-23T16:31:00.123456Z,
// which sort as they are and work in SQLite's date functions. Payloads are text
// where they are UTF-8 without zero bytes, so JSON works in SQLite's JSON
// functions; other payloads are blobs.
//
// tenter_journal is the only truth about a run. tenter_runs has a row for each
// run, with what changes. Its columns messages and due_at repeat what the
// mailbox and wake_at say, so whoever changes rows by hand has to keep them right:
//
//	UPDATE tenter_runs SET due_at = (SELECT min(t) FROM
//		(SELECT accepted_at AS t FROM tenter_mailbox WHERE run_id = tenter_runs.id UNION ALL SELECT wake_at) WHERE paused_at IS NULL),
//		messages = (SELECT count(*) FROM tenter_mailbox WHERE run_id = tenter_runs.id)
//	WHERE ended_at IS NULL;
//
// # Backup
//
// Copying the file while it is open misses what is in the log. Instead, at any
// time and without stopping anything:
//
//	sqlite3 app.db "VACUUM INTO 'backup.db'"
//	sqlite3 app.db ".backup backup.db"
//
// Both give one consistent moment. Tools that stream the log, such as
// litestream, work too.
//
// This package must not know the engine, nor what is in payloads.
package sqlite
