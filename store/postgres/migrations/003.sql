-- From here on functions are in functions/, and installed with each new number of the schema.

ALTER TABLE migrations ADD COLUMN oldest integer;  -- the lowest number whose binaries the schema serves; NULL: only its own
ALTER TABLE workers ADD COLUMN schema integer NOT NULL DEFAULT 0;  -- that the worker's binary knows; 0: one from before this
ALTER TABLE workers ADD COLUMN link_keys text;  -- IDs of the keys by which it can verify links, with spaces between them

-- Runs that restart.
ALTER TABLE runs ADD COLUMN generation integer NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN base bigint NOT NULL DEFAULT 0;  -- position of the last event before the generation
ALTER TABLE hooks ADD COLUMN carried boolean NOT NULL DEFAULT false;  -- the present generation has not opened it
CREATE TABLE generations (  -- those that are over
	run_id   text NOT NULL,
	number   integer NOT NULL,
	ended_at timestamptz NOT NULL,
	base     bigint NOT NULL,  -- position of the last event before it
	last     bigint NOT NULL,  -- position of its last event
	unread   bigint NOT NULL,  -- number of the last message in unread by then
	PRIMARY KEY (run_id, number)
);
CREATE INDEX generations_ended ON generations (ended_at);

-- Runs that begin with the journal of another.
ALTER TABLE runs ADD COLUMN forked_from text;  -- the ID of that
ALTER TABLE runs ADD COLUMN origin jsonb;  -- up to where, and whose the events are
CREATE INDEX runs_forked ON runs (forked_from, created_at) WHERE forked_from IS NOT NULL;

-- Runs that await the end of others.
CREATE TABLE subscriptions (
	run_id text COLLATE "C" NOT NULL,  -- that awaits
	ref    text COLLATE "C" NOT NULL,  -- its call
	target text COLLATE "C" NOT NULL,  -- the run that is awaited
	PRIMARY KEY (run_id, ref)
);
CREATE INDEX subscriptions_target ON subscriptions (target, run_id, ref);
ALTER TABLE runs ADD COLUMN awaited boolean NOT NULL DEFAULT false;  -- there may be subscriptions to its end; if it has ended, there are
CREATE INDEX runs_untold ON runs (ended_at) WHERE awaited AND ended_at IS NOT NULL;

-- Runs that are paused. They have no due_at.
ALTER TABLE runs ADD COLUMN paused_at timestamptz;  -- NULL: it is not paused itself
ALTER TABLE runs ADD COLUMN paused_by text;  -- who did, as JSON
ALTER TABLE runs ADD COLUMN paused_why text;
CREATE INDEX runs_paused ON runs (workflow, status, created_at, id) WHERE paused_at IS NOT NULL;
CREATE TABLE paused_workflows (  -- whose runs are paused, all of them
	workflow text COLLATE "C" PRIMARY KEY,
	at       timestamptz NOT NULL,
	by       text NOT NULL,  -- as paused_by
	why      text NOT NULL
);

-- Hook types, as the worker that began last has them.
CREATE TABLE hook_types (
	name    text COLLATE "C" PRIMARY KEY,
	payload text NOT NULL  -- JSON Schema
);
-- What signs for this schema signs for no other.
CREATE TABLE installation (id text NOT NULL);
INSERT INTO installation (id) VALUES (replace(gen_random_uuid()::text, '-', ''));

-- Links under which people answer hooks.
CREATE TABLE links (
	number      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,  -- in the order in which they were issued
	id          text COLLATE "C" NOT NULL UNIQUE,
	run_id      text COLLATE "C" NOT NULL,
	hook_id     text COLLATE "C" NOT NULL,
	addressee   text COLLATE "C" NOT NULL,
	form        text NOT NULL,     -- version of the form that the hook had
	page        bytea,             -- JSON: what the page offers
	key         text NOT NULL,     -- ID of the key that signs it
	once        boolean NOT NULL,  -- the hook takes one answer by links
	created_at  timestamptz NOT NULL,
	expires_at  timestamptz NOT NULL,
	opened_pos  bigint NOT NULL,
	issued_in   integer NOT NULL,  -- generation of its run
	revoked_at  timestamptz,
	revoked_pos bigint,            -- position of the event whose turn revoked it; NULL: none did, or it was revoked from outside
	revoked_by  text,              -- who revoked it from outside
	answered_at timestamptz,       -- when it was answered: in a generation an addressee answers a hook by one link alone
	answered_in integer,           -- generation of its run that takes the answer
	answer      bytea
);
CREATE UNIQUE INDEX links_answered ON links (run_id, hook_id, addressee, answered_in) WHERE answered_at IS NOT NULL;
CREATE INDEX links_run ON links (run_id, number);
CREATE INDEX links_open ON links (addressee, number) WHERE answered_at IS NULL AND revoked_at IS NULL;

-- Requests to webhooks whose sender could not be verified.
CREATE TABLE refused_requests (
	number   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,  -- in the order in which they were kept
	id       text COLLATE "C" NOT NULL UNIQUE,
	token    text COLLATE "C" NOT NULL,
	hook_id  text COLLATE "C",     -- NULL: no run had opened the webhook
	run_id   text COLLATE "C",
	workflow text COLLATE "C",     -- whose runs the route starts; NULL: it starts none
	sender   text NOT NULL,
	reason   text NOT NULL,
	delivery text COLLATE "C",     -- the key by which it would be a repeat, if it were genuine
	request  bytea NOT NULL,       -- JSON: all of it but its body
	body     bytea NOT NULL,
	at       timestamptz NOT NULL
);

-- Topics that hooks listen to.
ALTER TABLE hooks ADD COLUMN subject text COLLATE "C";  -- it listens to the topic that its type names; NULL: to none
ALTER TABLE hooks ADD COLUMN listens_from bigint NOT NULL DEFAULT 0;  -- it gets what is published after this
ALTER TABLE hooks ADD COLUMN listens_to bigint NOT NULL DEFAULT 0;    -- and before this; 0: it listens
CREATE SEQUENCE topic_seq;  -- numbers publications, and where hooks begin and cease to listen
CREATE TABLE topics (  -- those that open hooks listen to
	topic     text COLLATE "C" NOT NULL,
	subject   text COLLATE "C" NOT NULL,
	listeners integer NOT NULL,
	published bigint NOT NULL DEFAULT 0,      -- number of the last publication
	published_at timestamptz,
	behind    boolean NOT NULL DEFAULT false, -- there may be listeners that have not got it
	PRIMARY KEY (topic, subject)
) WITH (fillfactor = 50);
CREATE INDEX topics_behind ON topics (topic, subject) WHERE behind;  -- not what each publication changes
CREATE TABLE listeners (  -- open hooks that listen
	run_id  text COLLATE "C" NOT NULL,
	hook_id text COLLATE "C" NOT NULL,
	topic   text COLLATE "C" NOT NULL,
	subject text COLLATE "C" NOT NULL,
	told    bigint NOT NULL,  -- it has got what was published up to this
	PRIMARY KEY (run_id, hook_id)
);
CREATE INDEX listeners_told ON listeners (topic, subject, told, run_id, hook_id);
CREATE TABLE publications (  -- that some have still to get, or that have a key
	topic      text COLLATE "C" NOT NULL,
	subject    text COLLATE "C" NOT NULL,
	seq        bigint NOT NULL,
	at         timestamptz NOT NULL,
	data       bytea,           -- NULL: all have got it
	trace      text,
	actor      text,
	listeners  integer NOT NULL,
	key        text COLLATE "C",
	expires_at timestamptz,
	PRIMARY KEY (topic, subject, seq)
);
CREATE UNIQUE INDEX publications_key ON publications (topic, subject, key) WHERE key IS NOT NULL;
CREATE INDEX publications_expiry ON publications (expires_at) WHERE expires_at IS NOT NULL;

-- Who sent it, as JSON; NULL: not known.
ALTER TABLE mailbox ADD COLUMN actor text;
ALTER TABLE unread ADD COLUMN actor text;
ALTER TABLE journal ADD COLUMN actor text;
ALTER TABLE journal_cuts ADD COLUMN actor text;

CREATE TYPE event_2 AS (
	t        integer,            -- which transition
	run_id   text,
	position bigint,
	at       timestamptz,
	kind     text,
	ref      text,
	data     bytea,
	asked    text,
	or_start jsonb,
	epoch    bigint,
	seq      bigint,
	actor    text
);

CREATE TYPE message_2 AS (
	t           integer,         -- which transition, or nothing
	id          bigint,
	run_id      text,
	kind        text,
	ref         text,
	data        bytea,
	accepted_at timestamptz,
	or_start    jsonb,
	journaled   boolean,
	actor       text
);

CREATE TYPE payload_2 AS (
	token    text,
	data     bytea,
	type     text,
	key      text,
	keep_for interval,
	hook     text,
	request  text,
	or_start jsonb,
	trace    text,
	actor    text
);
