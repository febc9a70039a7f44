package sqlite

// oldestServed is the lowest number of a schema whose binaries can use a file with the schema of
// today, beside newer ones: they find what they read, and keep what newer ones rely on. It rises
// with a new number only, and files are not migrated to that while a worker is live that knows
// a lower one. Each migration has to leave what binaries from this number on use as they use it.
const oldestServed = 1

// migrations are the steps from an empty file to the schema of today, whose number is how many
// there are. A step that has been released never changes; new ones are added at the end.
//
// All names start with tenter_, because the application may keep its own tables
// in the same file, and with them PRAGMA user_version and application_id.
var migrations = []string{
	// 1: the first schema.
	`
CREATE TABLE tenter_runs (
	id             TEXT NOT NULL PRIMARY KEY,
	workflow       TEXT NOT NULL,
	version        INTEGER NOT NULL,  -- 0: not bound yet
	status         TEXT NOT NULL,     -- running, waiting, blocked, completed, failed, canceled
	parent_id      TEXT,
	parent_ref     TEXT,
	trace          TEXT,              -- what traces it is a part of: traceparent, tracestate
	secret         BLOB,
	created_at     TEXT NOT NULL,
	updated_at     TEXT NOT NULL,
	ended_at       TEXT,
	wake_at        TEXT,              -- has something to do then, even without a message
	due_at         TEXT,              -- needs a worker since then: wake_at or its oldest message
	messages       INTEGER NOT NULL,  -- in tenter_mailbox
	worker         TEXT,              -- NULL: free
	epoch          INTEGER NOT NULL,
	events         INTEGER NOT NULL,  -- in tenter_journal
	suspicion      INTEGER NOT NULL DEFAULT 0,
	mark           INTEGER NOT NULL DEFAULT 0,
	crashes        INTEGER NOT NULL DEFAULT 0,
	blocked_build  TEXT NOT NULL DEFAULT '',
	blocked_reason TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;

-- What a claim looks through. Parked runs with nothing to come are not in it,
-- and runs of other workers and workflows are elsewhere in it.
CREATE INDEX tenter_runs_due ON tenter_runs (worker, workflow, version, blocked_build, due_at)
	WHERE worker IS NOT NULL OR due_at IS NOT NULL;
CREATE INDEX tenter_runs_parent ON tenter_runs (parent_id) WHERE parent_id IS NOT NULL;
-- What people look through. It is not of statuses alone, so that the runs of a rare
-- workflow are found too: workflows and statuses are few, and each list begins with its
-- newest run.
CREATE INDEX tenter_runs_list ON tenter_runs (workflow, status, created_at);
-- Those that are to be deleted some time.
CREATE INDEX tenter_runs_ended ON tenter_runs (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE tenter_journal (
	run_id   TEXT NOT NULL,
	position INTEGER NOT NULL,
	at       TEXT NOT NULL,
	kind     TEXT NOT NULL,
	ref      TEXT NOT NULL,
	data     TEXT,
	asked    TEXT,
	or_start TEXT,              -- of a payload: the run to start if this one does not take it
	epoch    INTEGER NOT NULL,
	seq      INTEGER NOT NULL,
	PRIMARY KEY (run_id, position)
) WITHOUT ROWID;

-- What retries have cut off.
CREATE TABLE tenter_journal_cuts (
	run_id   TEXT NOT NULL,
	cut      INTEGER NOT NULL,  -- epoch of the retry
	position INTEGER NOT NULL,
	cut_at   TEXT NOT NULL,
	at       TEXT NOT NULL,
	kind     TEXT NOT NULL,
	ref      TEXT NOT NULL,
	data     TEXT,
	asked    TEXT,
	or_start TEXT,              -- of a payload: the run to start if this one does not take it
	epoch    INTEGER NOT NULL,
	seq      INTEGER NOT NULL,
	PRIMARY KEY (run_id, cut, position)
) WITHOUT ROWID;

CREATE TABLE tenter_mailbox (
	id          INTEGER PRIMARY KEY AUTOINCREMENT,
	run_id      TEXT NOT NULL,
	kind        TEXT NOT NULL,
	ref         TEXT NOT NULL,
	data        TEXT,
	accepted_at TEXT NOT NULL,
	or_start    TEXT,  -- the run to start if this one does not take it
	trace       TEXT   -- of who sent it
);
CREATE INDEX tenter_mailbox_run ON tenter_mailbox (run_id);

CREATE TABLE tenter_hooks (
	number     INTEGER PRIMARY KEY,  -- in the order in which they were opened
	run_id     TEXT NOT NULL,
	id         TEXT NOT NULL,
	token      TEXT NOT NULL,
	type       TEXT NOT NULL,
	metadata   TEXT,
	webhook    TEXT,                 -- how HTTP requests are taken and answered; NULL: a plain hook
	reserved   INTEGER NOT NULL,     -- made for a run that has not claimed it yet
	adopted_as TEXT,                 -- the hook of the run's own that it was when it claimed it
	created_at TEXT NOT NULL,
	closed_at  TEXT,
	opened_pos INTEGER NOT NULL,
	closed_pos INTEGER NOT NULL,
	UNIQUE (run_id, id)
);
CREATE UNIQUE INDEX tenter_hooks_token ON tenter_hooks (token) WHERE closed_at IS NULL;
-- The same for hooks: types are few.
CREATE INDEX tenter_hooks_open ON tenter_hooks (type) WHERE closed_at IS NULL;

CREATE TABLE tenter_receipts (
	token           TEXT NOT NULL,
	key             TEXT NOT NULL,
	hook_id         TEXT NOT NULL,
	run_id          TEXT NOT NULL,
	type            TEXT NOT NULL,
	metadata        TEXT,
	webhook         TEXT,
	request         TEXT,            -- ID of the HTTP request
	hook_created_at TEXT NOT NULL,
	expires_at      TEXT NOT NULL,
	PRIMARY KEY (token, key)
) WITHOUT ROWID;
CREATE INDEX tenter_receipts_expiry ON tenter_receipts (expires_at);

-- Answers to HTTP requests that webhooks have taken.
CREATE TABLE tenter_responses (
	request    TEXT NOT NULL PRIMARY KEY,
	run_id     TEXT NOT NULL,
	responder  TEXT NOT NULL,  -- a step, or a place in the workflow
	status     INTEGER NOT NULL,
	header     TEXT,           -- JSON
	body       TEXT,           -- or BLOB
	at         TEXT NOT NULL,
	expires_at TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX tenter_responses_expiry ON tenter_responses (expires_at);

CREATE TABLE tenter_workers (
	name        TEXT NOT NULL PRIMARY KEY,
	build       TEXT NOT NULL,
	definitions TEXT NOT NULL,  -- JSON
	renewed_at  TEXT NOT NULL,
	lease_until TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE tenter_unread (
	run_id      TEXT NOT NULL,
	number      INTEGER NOT NULL,
	message_id  INTEGER NOT NULL,
	kind        TEXT NOT NULL,
	ref         TEXT NOT NULL,
	data        TEXT,
	accepted_at TEXT NOT NULL,
	or_start    TEXT,
	journaled   INTEGER NOT NULL,  -- it is in the journal too
	PRIMARY KEY (run_id, number)
) WITHOUT ROWID;

CREATE TABLE tenter_executing (
	run_id     TEXT NOT NULL,
	step       TEXT NOT NULL,
	attempt    INTEGER NOT NULL,
	started_at TEXT NOT NULL,
	worker     TEXT NOT NULL,
	PRIMARY KEY (run_id, step)
) WITHOUT ROWID;

-- Transactional steps that have been executed. A row outlives the message with the
-- result, so that no later attempt executes the step again.
CREATE TABLE tenter_tx_steps (
	run_id     TEXT NOT NULL,
	step       TEXT NOT NULL,
	message_id INTEGER,  -- of the result in tenter_mailbox, at first; NULL: claimed and not completed
	PRIMARY KEY (run_id, step)
) WITHOUT ROWID;
`,
	// 2: backlogs, so that a payload that nobody has asked for costs nothing.
	`
ALTER TABLE tenter_runs ADD COLUMN backlogs INTEGER NOT NULL DEFAULT 0;  -- of its hooks
ALTER TABLE tenter_hooks ADD COLUMN backlog INTEGER;  -- where its payloads wait; NULL: in the mailbox
ALTER TABLE tenter_mailbox ADD COLUMN backlog INTEGER;  -- then run_id is empty, and ref says nothing
CREATE INDEX tenter_hooks_backlog ON tenter_hooks (run_id, number) WHERE backlog IS NOT NULL;
CREATE INDEX tenter_mailbox_backlog ON tenter_mailbox (backlog) WHERE backlog IS NOT NULL;
-- What stays with its run when a backlog is handed over.
CREATE INDEX tenter_mailbox_staying ON tenter_mailbox (backlog) WHERE backlog IS NOT NULL AND or_start IS NULL;
`,
	// 3: which binaries may use the file, so that old ones can go on beside new ones.
	`
ALTER TABLE tenter_schema ADD COLUMN oldest INTEGER;  -- the lowest number whose binaries it serves; NULL: only its own
ALTER TABLE tenter_workers ADD COLUMN schema INTEGER NOT NULL DEFAULT 0;  -- that the worker's binary knows; 0: one from before this
`,
}
