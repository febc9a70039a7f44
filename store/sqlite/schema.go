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
ALTER TABLE tenter_workers ADD COLUMN link_keys TEXT;  -- IDs of the keys by which it can verify links, with spaces between them
-- Runs that restart.
ALTER TABLE tenter_runs ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tenter_runs ADD COLUMN base INTEGER NOT NULL DEFAULT 0;  -- position of the last event before the generation
ALTER TABLE tenter_hooks ADD COLUMN carried INTEGER NOT NULL DEFAULT 0;  -- the present generation has not opened it
CREATE TABLE tenter_generations (  -- those that are over
	run_id   TEXT NOT NULL,
	number   INTEGER NOT NULL,
	ended_at TEXT NOT NULL,
	base     INTEGER NOT NULL,  -- position of the last event before it
	last     INTEGER NOT NULL,  -- position of its last event
	unread   INTEGER NOT NULL,  -- number of the last message in tenter_unread by then
	PRIMARY KEY (run_id, number)
) WITHOUT ROWID;
CREATE INDEX tenter_generations_ended ON tenter_generations (ended_at);
-- Runs that begin with the journal of another.
ALTER TABLE tenter_runs ADD COLUMN forked_from TEXT;  -- the ID of that
ALTER TABLE tenter_runs ADD COLUMN origin TEXT;  -- JSON: up to where, and whose the events are
CREATE INDEX tenter_runs_forked ON tenter_runs (forked_from) WHERE forked_from IS NOT NULL;

-- Runs that await the end of others.
CREATE TABLE tenter_subscriptions (
	run_id TEXT NOT NULL,  -- that awaits
	ref    TEXT NOT NULL,  -- its call
	target TEXT NOT NULL,  -- the run that is awaited
	PRIMARY KEY (run_id, ref)
) WITHOUT ROWID;
CREATE INDEX tenter_subscriptions_target ON tenter_subscriptions (target);
ALTER TABLE tenter_runs ADD COLUMN awaited INTEGER NOT NULL DEFAULT 0;  -- there may be subscriptions to its end; if it has ended, there are
CREATE INDEX tenter_runs_untold ON tenter_runs (ended_at) WHERE awaited AND ended_at IS NOT NULL;
-- Runs that are paused. They have no due_at.
ALTER TABLE tenter_runs ADD COLUMN paused_at TEXT;  -- NULL: it is not paused itself
ALTER TABLE tenter_runs ADD COLUMN paused_by TEXT;  -- who did, as JSON
ALTER TABLE tenter_runs ADD COLUMN paused_why TEXT;
CREATE INDEX tenter_runs_paused ON tenter_runs (workflow, status, created_at) WHERE paused_at IS NOT NULL;
CREATE TABLE tenter_paused_workflows (  -- whose runs are paused, all of them
	workflow TEXT NOT NULL PRIMARY KEY,
	at       TEXT NOT NULL,
	by       TEXT NOT NULL,  -- as paused_by
	why      TEXT NOT NULL
) WITHOUT ROWID;

-- Hook types, as the worker that began last has them.
CREATE TABLE tenter_hook_types (
	name    TEXT NOT NULL PRIMARY KEY,
	payload TEXT NOT NULL  -- JSON Schema
) WITHOUT ROWID;
-- What signs for this file signs for no other.
CREATE TABLE tenter_installation (id TEXT NOT NULL);
INSERT INTO tenter_installation (id) VALUES (lower(hex(randomblob(16))));
-- Links under which people answer hooks.
CREATE TABLE tenter_links (
	number      INTEGER PRIMARY KEY,  -- in the order in which they were issued
	id          TEXT NOT NULL UNIQUE,
	run_id      TEXT NOT NULL,
	hook_id     TEXT NOT NULL,
	addressee   TEXT NOT NULL,
	form        TEXT NOT NULL,     -- version of the form that the hook had
	page        TEXT,              -- JSON: what the page offers
	key         TEXT NOT NULL,     -- ID of the key that signs it
	once        INTEGER NOT NULL,  -- the hook takes one answer by links
	created_at  TEXT NOT NULL,
	expires_at  TEXT NOT NULL,
	opened_pos  INTEGER NOT NULL,
	issued_in   INTEGER NOT NULL,  -- generation of its run
	revoked_at  TEXT,
	revoked_pos INTEGER,           -- position of the event whose turn revoked it; NULL: none did, or it was revoked from outside
	revoked_by  TEXT,              -- who revoked it from outside
	answered_at TEXT,              -- when it was answered: in a generation an addressee answers a hook by one link alone
	answered_in INTEGER,           -- generation of its run that takes the answer
	answer      TEXT
);
CREATE UNIQUE INDEX tenter_links_answered ON tenter_links (run_id, hook_id, addressee, answered_in) WHERE answered_at IS NOT NULL;
CREATE INDEX tenter_links_run ON tenter_links (run_id, number);
CREATE INDEX tenter_links_open ON tenter_links (addressee, number) WHERE answered_at IS NULL AND revoked_at IS NULL;

-- Requests to webhooks whose sender could not be verified.
CREATE TABLE tenter_refused_requests (
	number   INTEGER PRIMARY KEY,  -- in the order in which they were kept
	id       TEXT NOT NULL UNIQUE,
	token    TEXT NOT NULL,
	hook_id  TEXT,  -- NULL: no run had opened the webhook
	run_id   TEXT,
	workflow TEXT,  -- whose runs the route starts; NULL: it starts none
	sender   TEXT NOT NULL,
	reason   TEXT NOT NULL,
	delivery TEXT,  -- the key by which it would be a repeat, if it were genuine
	request  TEXT NOT NULL,  -- JSON: all of it but its body
	body     BLOB NOT NULL,
	at       TEXT NOT NULL
);

-- Topics that hooks listen to.
ALTER TABLE tenter_hooks ADD COLUMN subject TEXT;  -- it listens to the topic that its type names; NULL: to none
ALTER TABLE tenter_hooks ADD COLUMN listens_from INTEGER NOT NULL DEFAULT 0;  -- it gets what is published after this
ALTER TABLE tenter_hooks ADD COLUMN listens_to INTEGER NOT NULL DEFAULT 0;    -- and before this; 0: it listens
CREATE TABLE tenter_topics (  -- those that open hooks listen to
	topic     TEXT NOT NULL,
	subject   TEXT NOT NULL,
	listeners INTEGER NOT NULL,
	published INTEGER NOT NULL DEFAULT 0,  -- number of the last publication
	published_at TEXT,
	behind    INTEGER NOT NULL DEFAULT 0,  -- there may be listeners that have not got it
	PRIMARY KEY (topic, subject)
) WITHOUT ROWID;
CREATE INDEX tenter_topics_behind ON tenter_topics (published) WHERE behind;
CREATE TABLE tenter_listeners (  -- open hooks that listen
	run_id  TEXT NOT NULL,
	hook_id TEXT NOT NULL,
	topic   TEXT NOT NULL,
	subject TEXT NOT NULL,
	told    INTEGER NOT NULL,  -- it has got what was published up to this
	PRIMARY KEY (run_id, hook_id)
) WITHOUT ROWID;
CREATE INDEX tenter_listeners_told ON tenter_listeners (topic, subject, told);
CREATE TABLE tenter_publications (  -- that some have still to get, or that have a key
	topic      TEXT NOT NULL,
	subject    TEXT NOT NULL,
	seq        INTEGER NOT NULL,
	at         TEXT NOT NULL,
	data       TEXT,             -- NULL: all have got it
	trace      TEXT,
	actor      TEXT,
	listeners  INTEGER NOT NULL,
	key        TEXT,
	expires_at TEXT,
	PRIMARY KEY (topic, subject, seq)
) WITHOUT ROWID;
CREATE UNIQUE INDEX tenter_publications_key ON tenter_publications (topic, subject, key) WHERE key IS NOT NULL;
CREATE INDEX tenter_publications_expiry ON tenter_publications (expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE tenter_topic_seq (  -- one row: it numbers publications, and where hooks begin and cease to listen
	id   INTEGER PRIMARY KEY,
	last INTEGER NOT NULL
);
INSERT INTO tenter_topic_seq (id, last) VALUES (1, 0);
-- Who sent it, as JSON; NULL: not known.
ALTER TABLE tenter_mailbox ADD COLUMN actor TEXT;
ALTER TABLE tenter_unread ADD COLUMN actor TEXT;
ALTER TABLE tenter_journal ADD COLUMN actor TEXT;
ALTER TABLE tenter_journal_cuts ADD COLUMN actor TEXT;
`,
}
