-- The first schema. It runs with search_path set to the schema of the store, and
-- every function keeps that.

CREATE TABLE runs (
	id             text COLLATE "C" PRIMARY KEY,
	workflow       text COLLATE "C" NOT NULL,
	version        integer NOT NULL,            -- 0: not bound yet
	status         text NOT NULL,               -- running, waiting, blocked, completed, failed, canceled
	parent_id      text COLLATE "C" NOT NULL DEFAULT '',  -- the run that started this one as a child
	parent_ref     text NOT NULL DEFAULT '',              -- the parent's call, such as Payment#1
	trace          text,                        -- what traces it is a part of: traceparent, tracestate
	secret         bytea,
	created_at     timestamptz NOT NULL,
	updated_at     timestamptz NOT NULL,
	ended_at       timestamptz,
	wake_at        timestamptz,                 -- has something to do then, even without a message
	due_at         timestamptz,                 -- needs a worker since then: wake_at or its oldest message
	messages       integer NOT NULL DEFAULT 0,  -- in mailbox
	worker         text COLLATE "C" NOT NULL DEFAULT '',  -- empty: free
	epoch          bigint NOT NULL,
	events         bigint NOT NULL,             -- in journal
	suspicion      integer NOT NULL DEFAULT 0,
	mark           boolean NOT NULL DEFAULT false,
	crashes        integer NOT NULL DEFAULT 0,
	blocked_build  text COLLATE "C" NOT NULL DEFAULT '',
	blocked_reason text NOT NULL DEFAULT ''
) WITH (fillfactor = 50);  -- room for updates that change no index, of which each run has some

-- What a claim looks through. Parked runs with nothing to come are not in it, and
-- runs of other workers and workflows are elsewhere in it.
CREATE INDEX runs_due ON runs (worker, workflow, version, blocked_build, due_at)
	WHERE worker <> '' OR due_at IS NOT NULL;
CREATE INDEX runs_parent ON runs (parent_id, id) WHERE parent_id <> '';
-- What people look through. It is not of statuses alone, so that the runs of a rare
-- workflow are found too: workflows and statuses are few, and each list begins with its
-- newest run.
CREATE INDEX runs_list ON runs (workflow, status, created_at, id);
-- Those that are to be deleted some time.
CREATE INDEX runs_ended ON runs (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE journal (
	run_id   text COLLATE "C" NOT NULL,
	position bigint NOT NULL,
	at       timestamptz NOT NULL,
	kind     text NOT NULL,
	ref      text NOT NULL,
	data     bytea,
	asked    text,
	or_start jsonb,             -- of a payload: the run to start if this one does not take it
	epoch    bigint NOT NULL,
	seq      bigint NOT NULL,
	PRIMARY KEY (run_id, position)
);

-- What retries have cut off.
CREATE TABLE journal_cuts (
	run_id   text COLLATE "C" NOT NULL,
	cut      bigint NOT NULL,   -- epoch of the retry
	position bigint NOT NULL,
	cut_at   timestamptz NOT NULL,
	at       timestamptz NOT NULL,
	kind     text NOT NULL,
	ref      text NOT NULL,
	data     bytea,
	asked    text,
	or_start jsonb,
	epoch    bigint NOT NULL,
	seq      bigint NOT NULL,
	PRIMARY KEY (run_id, cut, position)
);

CREATE TABLE mailbox (
	run_id      text COLLATE "C" NOT NULL,
	id          bigint GENERATED ALWAYS AS IDENTITY,
	kind        text NOT NULL,
	ref         text NOT NULL,
	data        bytea,
	accepted_at timestamptz NOT NULL,
	or_start    jsonb,          -- the run to start if this one does not take it
	trace       text,           -- of who sent it
	PRIMARY KEY (run_id, id)
);

CREATE TABLE hooks (
	number     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,  -- in the order in which they were opened
	run_id     text COLLATE "C" NOT NULL,
	id         text COLLATE "C" NOT NULL,
	token      text COLLATE "C" NOT NULL,
	type       text NOT NULL,
	metadata   bytea,
	webhook    bytea,                            -- how HTTP requests are taken and answered; NULL: a plain hook
	reserved   boolean NOT NULL,                 -- made for a run that has not claimed it yet
	adopted_as text COLLATE "C",                 -- the hook of the run's own that it was when it claimed it
	created_at timestamptz NOT NULL,
	closed_at  timestamptz,
	opened_pos bigint NOT NULL,
	closed_pos bigint NOT NULL DEFAULT 0,
	UNIQUE (run_id, id)
);
CREATE UNIQUE INDEX hooks_token ON hooks (token) WHERE closed_at IS NULL;
-- Whether a hook is open is asked in three ways, so that the planner cannot choose to
-- walk through all open hooks, of which its statistics may say that there are none: by
-- closed_at for the hook of a token, by closed_pos too for all hooks, and by a coalesced
-- closed_at, which no index has, for those of a run.
CREATE INDEX hooks_open ON hooks (type, number) WHERE closed_pos = 0;

CREATE TABLE receipts (
	token           text COLLATE "C" NOT NULL,
	key             text COLLATE "C" NOT NULL,
	hook_id         text NOT NULL,
	run_id          text NOT NULL,
	type            text NOT NULL,
	metadata        bytea,
	webhook         bytea,
	request         text,           -- ID of the HTTP request
	hook_created_at timestamptz NOT NULL,
	expires_at      timestamptz NOT NULL,
	PRIMARY KEY (token, key)
);
CREATE INDEX receipts_expiry ON receipts (expires_at);

-- Answers to HTTP requests that webhooks have taken.
CREATE TABLE responses (
	request    text COLLATE "C" PRIMARY KEY,
	run_id     text NOT NULL,
	responder  text NOT NULL,       -- a step, or a place in the workflow
	status     integer NOT NULL,
	header     bytea,               -- JSON
	body       bytea,
	at         timestamptz NOT NULL,
	expires_at timestamptz NOT NULL
);
CREATE INDEX responses_expiry ON responses (expires_at);

CREATE TABLE workers (
	name        text COLLATE "C" PRIMARY KEY,
	build       text NOT NULL,
	definitions jsonb NOT NULL,
	renewed_at  timestamptz NOT NULL,
	lease_until timestamptz NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE unread (
	run_id      text COLLATE "C" NOT NULL,
	number      bigint NOT NULL,
	message_id  bigint NOT NULL,
	kind        text NOT NULL,
	ref         text NOT NULL,
	data        bytea,
	accepted_at timestamptz NOT NULL,
	or_start    jsonb,
	journaled   boolean NOT NULL,   -- it is in the journal too
	PRIMARY KEY (run_id, number)
);

CREATE TABLE executing (
	run_id     text COLLATE "C" NOT NULL,
	step       text COLLATE "C" NOT NULL,
	attempt    integer NOT NULL,
	started_at timestamptz NOT NULL,
	worker     text NOT NULL,
	PRIMARY KEY (run_id, step)
);

-- These change all the time and stay small.
ALTER TABLE mailbox SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000);
-- When they are empty, to give the space back would lock them, and fail batches.
ALTER TABLE mailbox SET (vacuum_truncate = off);
ALTER TABLE executing SET (vacuum_truncate = off);
ALTER TABLE runs SET (autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE hooks SET (autovacuum_vacuum_scale_factor = 0.05);

-- For reading by hand: bytes as text where they are text.
CREATE FUNCTION readable(data bytea) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
	RETURN convert_from(data, 'UTF8');
EXCEPTION WHEN character_not_in_repertoire OR untranslatable_character THEN
	RETURN encode(data, 'escape');
END $$;

-- What functions take.

CREATE TYPE transition AS (
	run_id         text,
	worker         text,
	epoch          bigint,
	after          bigint,
	events         integer,      -- how many it appends
	took           bigint[],
	no_mail_before timestamptz,
	sends_to       text[],       -- runs that its effects send messages to
	at             timestamptz,
	status         text,
	ended          boolean,
	wake_at        timestamptz,
	keep           boolean,
	version        integer,
	suspicion      integer,
	mark           boolean,
	crashes        integer,
	blocked_build  text,
	blocked_reason text,
	unread         boolean,      -- there are unread messages for it
	took_any       boolean,
	creates        jsonb         -- the run
);

CREATE TYPE event AS (
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
	seq      bigint
);

CREATE TYPE effect AS (
	t          integer,          -- which transition
	n          integer,          -- which effect of it
	kind       text,             -- open, close, start, respond, send
	run_id     text,             -- the transition's; of respond its own; of send the target
	id         text,             -- of the hook, or of the request
	token      text,
	type       text,             -- of the hook, or kind of the message
	metadata   bytea,            -- of the hook, or header of the response
	webhook    bytea,
	at         timestamptz,
	position   bigint,
	run        jsonb,            -- to be started
	ref        text,             -- of the message, or the responder
	data       bytea,            -- of the message, or body of the response
	or_start   jsonb,
	status     integer,
	keep_until timestamptz
);

CREATE TYPE message AS (
	t           integer,         -- which transition, or nothing
	id          bigint,
	run_id      text,
	kind        text,
	ref         text,
	data        bytea,
	accepted_at timestamptz,
	or_start    jsonb,
	journaled   boolean
);

CREATE TYPE attempt AS (
	t          integer,          -- which transition
	run_id     text,
	step       text,
	attempt    integer,          -- 0: show it no more
	started_at timestamptz,
	worker     text
);

CREATE TYPE payload AS (
	token    text,
	data     bytea,
	type     text,
	key      text,
	keep_for interval,
	hook     text,
	request  text,
	or_start jsonb,
	trace    text
);

-- Functions look up many rows by lateral subqueries that lock, or with OFFSET 0, and by
-- scalar ones; they change many by their ctid, once these are locked, or by BETWEEN. A plan
-- of a join by = may begin with a whole index, since that has the order for a merge join,
-- and one of = ANY may choose an index that has the column further behind. Both look cheapest
-- in a table that is small when the plan is made.

-- What is due to a caller.

CREATE TYPE verdict AS (
	t        integer,            -- which operation
	n        integer,            -- which effect of it
	code     text,               -- not_found, exists, conflict, fenced, busy; opened, taken: of an effect; mail: run_id got a message
	run_id   text,
	hook_id  text
);

CREATE TYPE acceptance AS (
	code       text,             -- NULL: accepted; not_found, exists, mismatch, busy
	hook_id    text,
	run_id     text,
	type       text,
	metadata   bytea,
	webhook    bytea,
	reserved   boolean,
	created_at timestamptz,
	opened_pos bigint,
	started    boolean,
	duplicate  boolean,
	request    text
);

CREATE TYPE definition AS (
	workflow text,
	version  integer
);

-- How long an operation waits for locks. In a batch with others it never waits for
-- one that somebody else may hold for long: the rows of runs are skipped (busy), and
-- the rest fails after moments. Alone it gives way before PostgreSQL looks for
-- deadlocks, so that no transaction of the application is the victim of one. In a
-- transaction of the application it waits as that wants.
CREATE FUNCTION patience(mode text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF mode = 'batch' THEN
		PERFORM set_config('lock_timeout', '20ms', true);
	ELSIF mode = 'alone' THEN
		PERFORM set_config('lock_timeout', '500ms', true);
	END IF;
END $$;

-- Locks a run. NULL if there is none, or if it is in use and the mode is batch.
CREATE FUNCTION lock_run(mode text, run text) RETURNS runs LANGUAGE plpgsql AS $$
DECLARE
	r runs;
BEGIN
	IF mode = 'batch' THEN
		SELECT * INTO r FROM runs WHERE id = run FOR NO KEY UPDATE SKIP LOCKED;
	ELSE
		SELECT * INTO r FROM runs WHERE id = run FOR NO KEY UPDATE;
	END IF;
	RETURN r;
END $$;

-- The time at which a message is accepted: the clock's, never before that of an
-- earlier one of the run, which is locked.
CREATE FUNCTION accept_time(run text) RETURNS timestamptz LANGUAGE plpgsql AS $$
BEGIN
	RETURN greatest(clock_timestamp(),
		(SELECT m.accepted_at FROM mailbox m WHERE m.run_id = run ORDER BY m.id DESC LIMIT 1));
END $$;

-- Puts a message in the mailbox of a run that is locked and has not ended, and lets
-- the run be due since then. It returns the ID of the message.
CREATE FUNCTION put_mail(run text, kind text, ref text, data bytea, or_start jsonb, at timestamptz, trace text DEFAULT NULL) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	message bigint;
BEGIN
	INSERT INTO mailbox (run_id, kind, ref, data, accepted_at, or_start, trace) VALUES (run, kind, ref, data, at, or_start, trace) RETURNING id INTO message;
	UPDATE runs SET messages = messages + 1, due_at = least(due_at, at) WHERE id = run;
	RETURN message;
END $$;

-- Starts a run that is free, with its Started message. False if the ID is taken.
CREATE FUNCTION start_run(r jsonb, at timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO runs (id, workflow, version, status, parent_id, parent_ref, trace, secret, created_at, updated_at, due_at, messages, epoch, events)
	VALUES (r->>'id', r->>'workflow', coalesce((r->>'version')::integer, 0), 'running', coalesce(r->>'parent_id', ''), coalesce(r->>'parent_ref', ''), r->>'trace',
		decode(r->>'secret', 'base64'), at, at, at, 1, 0, 0)
	ON CONFLICT DO NOTHING;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	INSERT INTO mailbox (run_id, kind, ref, data, accepted_at) VALUES (r->>'id', 'started', '', decode(r->>'input', 'base64'), at);
	RETURN true;
END $$;

-- Starts a run with a hook that is reserved for it. False if the token is taken,
-- NULL if the ID is.
CREATE FUNCTION start_reserved(r jsonb, hook_token text, hook_type text, at timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	hook bigint;
BEGIN
	LOOP
		INSERT INTO hooks (run_id, id, token, type, reserved, created_at, opened_pos)
		VALUES (r->>'id', (r->>'id') || '.h0', hook_token, coalesce(hook_type, ''), true, at, 0)
		ON CONFLICT DO NOTHING
		RETURNING number INTO hook;
		EXIT WHEN FOUND;
		IF EXISTS (SELECT FROM hooks h WHERE h.token = hook_token AND h.closed_at IS NULL) THEN
			RETURN false;
		ELSIF EXISTS (SELECT FROM hooks h WHERE h.run_id = r->>'id' AND h.id = (r->>'id') || '.h0') THEN
			RETURN NULL;
		END IF;
		-- The token was released between the two statements.
	END LOOP;
	IF NOT start_run(r, at) THEN
		DELETE FROM hooks WHERE number = hook;
		RETURN NULL;
	END IF;
	RETURN true;
END $$;

-- Opens a hook of a run that is locked.
CREATE FUNCTION open_hook(e effect, OUT hook_id text, OUT conflict text) LANGUAGE plpgsql AS $$
DECLARE
	owner hooks;
BEGIN
	hook_id := e.id;
	LOOP
		INSERT INTO hooks (run_id, id, token, type, metadata, webhook, reserved, created_at, opened_pos)
		VALUES (e.run_id, e.id, e.token, e.type, e.metadata, e.webhook, false, e.at, e.position)
		ON CONFLICT DO NOTHING;
		IF FOUND THEN
			RETURN;
		END IF;
		SELECT * INTO owner FROM hooks WHERE token = e.token AND closed_at IS NULL;
		EXIT WHEN FOUND;
		-- A repeat of a claim whose hook has been closed since is a success.
		IF EXISTS (SELECT FROM hooks h WHERE h.run_id = e.run_id AND h.id = e.id) THEN
			RETURN;
		END IF;
		-- The token was released between the two statements.
	END LOOP;
	IF owner.run_id = e.run_id THEN
		IF owner.reserved THEN
			UPDATE hooks SET type = e.type, metadata = e.metadata, webhook = e.webhook, opened_pos = e.position,
				reserved = false, adopted_as = e.id WHERE number = owner.number;
			hook_id := owner.id;
			RETURN;
		ELSIF owner.id = e.id OR owner.adopted_as = e.id THEN
			hook_id := owner.id;
			RETURN;
		END IF;
	END IF;
	hook_id := NULL;
	conflict := owner.run_id;
END $$;

-- Keeps the result of a child that comes after its parent failed: the parent may be
-- retried, and waits for it then.
CREATE FUNCTION keep_for_retry(r runs, kind text, ref text, data bytea) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF r.status = 'failed' AND kind IN ('child_completed', 'child_failed') THEN
		INSERT INTO unread (run_id, number, message_id, kind, ref, data, accepted_at, journaled)
		VALUES (r.id, (SELECT coalesce(max(u.number), 0) + 1 FROM unread u WHERE u.run_id = r.id), 0, kind, ref, data, clock_timestamp(), false);
	END IF;
END $$;

-- Sends a message to a run that is locked, if there is one. False if it has ended.
CREATE FUNCTION send_to(r runs, kind text, ref text, data bytea, or_start jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	IF r.ended_at IS NOT NULL THEN
		PERFORM keep_for_retry(r, kind, ref, data);
		RETURN false;
	END IF;
	PERFORM put_mail(r.id, kind, ref, data, or_start, accept_time(r.id));
	RETURN true;
END $$;

-- Records an answer. NULL, or who has answered before.
CREATE FUNCTION record_response(e effect) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	first text;
BEGIN
	LOOP
		INSERT INTO responses (request, run_id, responder, status, header, body, at, expires_at)
		VALUES (e.id, e.run_id, e.ref, e.status, e.metadata, e.data, e.at, e.keep_until)
		ON CONFLICT DO NOTHING;
		IF FOUND THEN
			RETURN NULL;
		END IF;
		SELECT responder INTO first FROM responses WHERE request = e.id;
		IF FOUND THEN
			RETURN nullif(first, e.ref);
		END IF;
		-- It was deleted between the two statements, being too old.
	END LOOP;
END $$;

-- Records what a run that has ended never took, and starts the successors. It
-- returns the runs that it started.
CREATE FUNCTION keep_unread(t transition, un message[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	left_over message[];
	m message;
	tok text;
	tried jsonb := '{}';  -- token -> the run that was started for it, or null
	started boolean;
	kept bigint;
	at timestamptz;
BEGIN
	-- Payloads, and for a retry what it may miss. An order to cancel or to wake was
	-- for the run as it was.
	SELECT array_agg((NULL, d.id, d.run_id, d.kind, d.ref, d.data, d.accepted_at, d.or_start, false)::message ORDER BY d.id)
	INTO left_over
	FROM mailbox d WHERE d.run_id = t.run_id AND (d.kind = 'payload_received'
		OR (t.status = 'failed' AND d.kind NOT IN ('cancel_requested', 'woken', 'retried')));
	DELETE FROM mailbox d WHERE d.run_id = t.run_id;
	UPDATE runs SET messages = 0 WHERE id = t.run_id AND messages <> 0;
	SELECT coalesce(max(u.number), 0) INTO kept FROM unread u WHERE u.run_id = t.run_id;
	FOREACH m IN ARRAY coalesce(un, '{}') || coalesce(left_over, '{}') LOOP
		tok := NULL;
		IF t.took_any AND m.or_start IS NOT NULL AND m.kind = 'payload_received' THEN
			SELECT h.token INTO tok FROM hooks h WHERE h.run_id = t.run_id AND h.id = m.ref;
		END IF;
		IF tok IS NOT NULL THEN
			IF NOT tried ? tok THEN
				at := clock_timestamp();
				started := start_reserved(m.or_start, tok, NULL, at);
				tried := jsonb_set(tried, ARRAY[tok], CASE WHEN started THEN to_jsonb(m.or_start->>'id') ELSE 'null'::jsonb END);
				IF started THEN
					RETURN NEXT m.or_start->>'id';
				END IF;
			END IF;
			IF tried->>tok IS NOT NULL THEN
				INSERT INTO mailbox (run_id, kind, ref, data, accepted_at, or_start)
				VALUES (tried->>tok, m.kind, (tried->>tok) || '.h0', m.data, clock_timestamp(), m.or_start);
				CONTINUE;
			END IF;
		END IF;
		kept := kept + 1;
		INSERT INTO unread (run_id, number, message_id, kind, ref, data, accepted_at, or_start, journaled)
		VALUES (t.run_id, kept, coalesce(m.id, 0), m.kind, m.ref, m.data, m.accepted_at, m.or_start, m.journaled);
	END LOOP;
	-- Once for each successor, however many payloads it got: they are due since it was started.
	UPDATE runs q SET messages = (SELECT count(*) FROM mailbox d WHERE d.run_id = x.value)
	FROM jsonb_each_text(tried) x WHERE q.id BETWEEN x.value AND x.value;
END $$;

-- Writes transitions. Each is written with all its effects or not at all, and has
-- its own verdict; of those that are written only what is worth telling is returned.
-- ns are those that create their runs, and ts the others; they are counted in this order.
-- A run is in them at most once. What most batches are is done in few statements, since
-- each costs as much as a row or two.
CREATE FUNCTION apply(ns transition[], ts transition[], es event[], fx effect[], un message[], ex attempt[])
RETURNS SETOF verdict LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off SET plan_cache_mode = force_generic_plan
SET lock_timeout = '20ms'  -- as patience has it
SET search_path FROM CURRENT AS $$
DECLARE
	k constant integer := cardinality(ns);
	written boolean[] := array_fill(true, ARRAY[k + cardinality(ts)]);
	lefts integer[] := array_fill(0, ARRAY[k + cardinality(ts)]);  -- messages that are not taken
	targets text[];          -- runs that get messages
	reachable text[] := '{}';  -- of those, the ones that are locked now, or are not there
	made text[];             -- runs that are created
	found integer[];         -- transitions whose runs are there, and locked now
	odd integer[];           -- of those, the ones that have to do with the mailbox, or are refused
	codes text[];            -- of those, why
	waiting integer[];       -- of those, the messages that were there
	freed boolean := false;  -- runs are left to others with something to do
	finished text[];
	took boolean := false;   -- messages are taken
	t transition;
	e effect;
	r runs;
	i integer;
	taken integer;
	code text;
	id text;
	hook text;
	other text;
BEGIN
	IF fx <> '{}' THEN
		SELECT array_agg(DISTINCT s COLLATE "C") INTO targets FROM unnest(ns || ts) x, unnest(x.sends_to) s;
	END IF;
	IF targets IS NOT NULL THEN
		reachable := ARRAY(SELECT s FROM unnest(targets) s
			LEFT JOIN LATERAL (SELECT q.id FROM runs q WHERE q.id = s FOR NO KEY UPDATE SKIP LOCKED) l ON true
			WHERE l.id IS NOT NULL OR (SELECT q.id FROM runs q WHERE q.id = s) IS NULL);
	END IF;

	-- Runs that are created, already as their first transition leaves them.
	IF k > 0 THEN
		WITH inserted AS (
			INSERT INTO runs AS q (id, workflow, version, status, parent_id, parent_ref, trace, secret, created_at, updated_at, ended_at,
				wake_at, due_at, worker, epoch, events, suspicion, mark, crashes, blocked_build, blocked_reason)
			SELECT x.run_id, x.creates->>'workflow', coalesce(nullif(x.version, 0), (x.creates->>'version')::integer, 0), x.status,
				coalesce(x.creates->>'parent_id', ''), coalesce(x.creates->>'parent_ref', ''), x.creates->>'trace', decode(x.creates->>'secret', 'base64'),
				x.at, x.at, CASE WHEN x.ended THEN x.at END, CASE WHEN NOT x.ended THEN x.wake_at END, CASE WHEN NOT x.ended THEN x.wake_at END,
				CASE WHEN x.keep AND NOT x.ended THEN x.worker ELSE '' END, x.epoch, x.events,
				x.suspicion, x.mark, x.crashes, x.blocked_build, x.blocked_reason
			FROM unnest(ns) x WHERE x.epoch = 1 AND x.after = 0 AND x.took = '{}' AND x.sends_to <@ reachable ORDER BY x.run_id
			ON CONFLICT DO NOTHING
			RETURNING q.id, q.ended_at, q.worker = '' AND q.wake_at <= q.updated_at AS due)
		SELECT array_agg(x.id), array_agg(x.id) FILTER (WHERE x.ended_at IS NOT NULL), coalesce(bool_or(x.due), false)
		INTO made, finished, freed FROM inserted x;
		IF coalesce(cardinality(made), 0) < k THEN
			FOR i IN 1 .. k LOOP
				t := ns[i];
				IF t.run_id = ANY (made) THEN
					CONTINUE;
				END IF;
				written[i] := false;
				code := CASE
					WHEN NOT t.sends_to <@ reachable THEN 'busy'
					WHEN t.epoch <> 1 OR t.after <> 0 OR t.took <> '{}' THEN 'conflict'
					ELSE 'exists' END;
				RETURN NEXT (i, NULL, code, NULL, NULL)::verdict;
			END LOOP;
		END IF;
	END IF;

	-- The others have to find their run as they expect it. The mailbox is looked at
	-- when the run is locked.
	IF ts <> '{}' THEN
		SELECT array_agg(l.i), array_agg(l.i) FILTER (WHERE l.odd), array_agg(l.code) FILTER (WHERE l.odd), array_agg(l.messages) FILTER (WHERE l.odd),
			finished || array_agg(l.run_id) FILTER (WHERE l.ended AND NOT l.odd), freed OR coalesce(bool_or(l.due), false)
		INTO found, odd, codes, waiting, finished, freed FROM
			(SELECT f.*, f.code IS NOT NULL OR f.messages > 0 OR f.took <> '{}' AS odd FROM
				(SELECT k + x.ordinality AS i, x.run_id, x.ended, x.took, q.messages,
					NOT x.keep AND NOT x.ended AND (q.messages > 0 OR x.wake_at <= x.at) AS due,
					CASE
					WHEN q.epoch <> x.epoch OR q.worker NOT IN ('', x.worker) OR q.ended_at IS NOT NULL THEN 'fenced'
					WHEN q.events <> x.after THEN 'conflict'
					WHEN NOT x.sends_to <@ reachable THEN 'busy' END AS code
				FROM (SELECT * FROM unnest(ts) WITH ORDINALITY u ORDER BY u.run_id COLLATE "C") x CROSS JOIN LATERAL
					(SELECT p.epoch, p.worker, p.ended_at, p.events, p.messages FROM runs p WHERE p.id = x.run_id FOR NO KEY UPDATE SKIP LOCKED) q) f) l;
		FOR j IN 1 .. coalesce(cardinality(odd), 0) LOOP
			i := odd[j];
			t := ts[i - k];
			code := codes[j];
			lefts[i] := waiting[j];
			IF code IS NULL AND t.took <> '{}' THEN
				-- One by one, so that no plan can read all that is in the mailbox.
				taken := (SELECT count(DISTINCT m) FROM unnest(t.took) m
					WHERE (SELECT b.id FROM mailbox b WHERE b.run_id = t.run_id AND b.id = m) IS NOT NULL);
				IF taken < (SELECT count(DISTINCT m) FROM unnest(t.took) m) THEN
					code := 'conflict';
				END IF;
				lefts[i] := lefts[i] - taken;
			END IF;
			-- By itself, since a condition with a query in it is a statement, whatever comes before AND.
			IF code IS NULL AND lefts[i] > 0 AND t.no_mail_before IS NOT NULL THEN
				IF EXISTS (SELECT FROM mailbox m WHERE m.run_id = t.run_id AND m.id <> ALL (t.took)
					AND (m.accepted_at < t.no_mail_before OR t.no_mail_before >= '9999-12-31 00:00:00+00')) THEN
					code := 'conflict';
				END IF;
			END IF;
			IF code IS NULL THEN
				took := took OR t.took <> '{}';
				IF t.ended THEN
					finished := finished || t.run_id;
				END IF;
			ELSE
				written[i] := false;
				RETURN NEXT (i, NULL, code, NULL, NULL)::verdict;
			END IF;
		END LOOP;
		IF coalesce(cardinality(found), 0) < cardinality(ts) THEN
			FOR i, code IN SELECT k + x.ordinality, CASE WHEN (SELECT q.id FROM runs q WHERE q.id = x.run_id) IS NULL THEN 'not_found' ELSE 'busy' END
				FROM unnest(ts) WITH ORDINALITY x WHERE k + x.ordinality <> ALL (coalesce(found, '{}'))
			LOOP
				written[i] := false;
				RETURN NEXT (i, NULL, code, NULL, NULL)::verdict;
			END LOOP;
		END IF;
	END IF;
	IF NOT true = ANY (written) THEN
		RETURN;
	END IF;

	IF took THEN
		DELETE FROM mailbox m USING
			(SELECT (SELECT q.ctid FROM mailbox q WHERE q.run_id = x.run_id AND q.id = y) AS place
			FROM unnest(ts) WITH ORDINALITY x, unnest(x.took) y WHERE written[k + x.ordinality]) l
		WHERE m.ctid = l.place;
	END IF;
	IF ts <> '{}' THEN
		UPDATE runs q SET
			updated_at = x.at, events = q.events + x.events, messages = lefts[k + x.ordinality],
			status = x.status, version = coalesce(nullif(x.version, 0), q.version),
			ended_at = CASE WHEN x.ended THEN x.at END,
			worker = CASE WHEN x.keep AND NOT x.ended THEN x.worker ELSE '' END,
			wake_at = CASE WHEN NOT x.ended THEN x.wake_at END,
			due_at = CASE
				WHEN x.ended THEN NULL
				WHEN lefts[k + x.ordinality] > 0 THEN least(x.wake_at, (SELECT m.accepted_at FROM mailbox m WHERE m.run_id = q.id ORDER BY m.id LIMIT 1))
				-- It still has work: an update that changes no index costs half.
				WHEN x.keep AND x.wake_at <= x.at AND q.due_at <= x.wake_at THEN q.due_at
				ELSE x.wake_at END,
			suspicion = x.suspicion, mark = x.mark, crashes = x.crashes,
			blocked_build = x.blocked_build, blocked_reason = x.blocked_reason
		FROM unnest(ts) WITH ORDINALITY x
		WHERE q.id BETWEEN x.run_id AND x.run_id AND written[k + x.ordinality];
	END IF;
	INSERT INTO journal (run_id, position, at, kind, ref, data, asked, or_start, epoch, seq)
	SELECT x.run_id, x.position, x.at, x.kind, x.ref, x.data, x.asked, x.or_start, x.epoch, x.seq FROM unnest(es) x WHERE written[x.t];

	-- Runs that are free with something to do are news to whoever can claim them.
	IF freed THEN
		RETURN QUERY SELECT x.ordinality::integer, NULL::integer, 'mail', x.run_id, NULL FROM unnest(ns || ts) WITH ORDINALITY x
			WHERE written[x.ordinality] AND NOT x.keep AND NOT x.ended AND (lefts[x.ordinality] > 0 OR x.wake_at <= x.at);
	END IF;

	-- Effects, in program order.
	FOREACH e IN ARRAY fx LOOP
		CONTINUE WHEN NOT written[e.t];
		CASE e.kind
		WHEN 'open' THEN
			SELECT o.hook_id, o.conflict INTO hook, other FROM open_hook(e) o;
			IF other IS NOT NULL THEN
				RETURN NEXT (e.t, e.n, 'taken', other, NULL)::verdict;
			ELSIF hook <> e.id THEN
				RETURN NEXT (e.t, e.n, 'opened', NULL, hook)::verdict;
			END IF;
		WHEN 'close' THEN
			UPDATE hooks h SET closed_at = e.at, closed_pos = e.position WHERE h.run_id = e.run_id AND h.id = e.id AND coalesce(h.closed_at, 'infinity') = 'infinity';
		WHEN 'start' THEN
			IF start_run(e.run, clock_timestamp()) THEN
				RETURN NEXT (e.t, e.n, 'mail', e.run->>'id', NULL)::verdict;
			ELSE
				-- A run that this same call has started before is a success.
				SELECT * INTO r FROM runs q WHERE q.id = e.run->>'id';
				IF e.run->>'parent_id' IS NULL OR r.parent_id IS DISTINCT FROM e.run->>'parent_id' OR r.parent_ref IS DISTINCT FROM e.run->>'parent_ref' THEN
					RETURN NEXT (e.t, e.n, 'taken', e.run->>'id', NULL)::verdict;
				END IF;
			END IF;
		WHEN 'respond' THEN
			other := record_response(e);
			IF other IS NOT NULL THEN
				RETURN NEXT (e.t, e.n, 'taken', other, NULL)::verdict;
			END IF;
		WHEN 'send' THEN
			r := lock_run('alone', e.run_id);  -- it may have been started since we looked
			IF r.id IS NOT NULL AND send_to(r, e.type, e.ref, e.data, e.or_start) THEN
				RETURN NEXT (e.t, e.n, 'mail', e.run_id, NULL)::verdict;
			END IF;
		END CASE;
	END LOOP;

	IF cardinality(ex) > 0 THEN
		INSERT INTO executing AS q (run_id, step, attempt, started_at, worker)
		SELECT x.run_id, x.step, x.attempt, x.started_at, x.worker FROM unnest(ex) x WHERE written[x.t] AND x.attempt > 0
		ON CONFLICT (run_id, step) DO UPDATE SET attempt = excluded.attempt, started_at = excluded.started_at, worker = excluded.worker;
		DELETE FROM executing q USING unnest(ex) x WHERE written[x.t] AND x.attempt = 0
			AND q.run_id BETWEEN x.run_id AND x.run_id AND q.step = x.step;
	END IF;

	IF finished <> '{}' THEN
		DELETE FROM executing q WHERE q.run_id = ANY (finished);
		IF EXISTS (SELECT FROM hooks h WHERE h.run_id = ANY (finished) AND coalesce(h.closed_at, 'infinity') = 'infinity') THEN
			UPDATE hooks h SET (closed_at, closed_pos) = (SELECT q.ended_at, q.events FROM runs q WHERE q.id = h.run_id)
			WHERE h.run_id = ANY (finished) AND coalesce(h.closed_at, 'infinity') = 'infinity';
		END IF;
		-- What they never took: what the journal has, what is in the mailbox, what has just been sent.
		IF un <> '{}' OR odd <> '{}' OR targets <> '{}' THEN
			FOR i IN 1 .. cardinality(written) LOOP
				IF i <= k THEN
					t := ns[i];
				ELSE
					t := ts[i - k];
				END IF;
				IF written[i] AND t.ended AND (t.unread OR lefts[i] > 0 OR t.run_id = ANY (targets)) THEN
					FOR id IN SELECT * FROM keep_unread(t, (SELECT array_agg(u) FROM unnest(un) u WHERE u.t = i)) LOOP
						RETURN NEXT (i, NULL, 'mail', id, NULL)::verdict;
					END LOOP;
				END IF;
			END LOOP;
		END IF;
	END IF;
END $$;

-- Puts a payload in the mailbox of the run whose open hook has the token.
CREATE FUNCTION accept(mode text, p payload) RETURNS acceptance LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
SET search_path FROM CURRENT AS $$
DECLARE
	a acceptance;
	h hooks;
	r runs;
	known receipts;
	at timestamptz;
	started boolean;
BEGIN
	PERFORM patience(mode);
	LOOP
		SELECT * INTO h FROM hooks q WHERE q.token = p.token AND q.closed_at IS NULL;
		IF h.number IS NOT NULL THEN
			r := lock_run(mode, h.run_id);
			IF r.id IS NULL THEN
				a.code := 'busy';
				RETURN a;
			END IF;
			-- Closing takes the same lock: now it stays open, or is closed for good.
			SELECT * INTO h FROM hooks q WHERE q.number = h.number AND coalesce(q.closed_at, 'infinity') = 'infinity';
			CONTINUE WHEN h.number IS NULL;
		END IF;
		at := clock_timestamp();
		IF p.key IS NOT NULL THEN
			SELECT * INTO known FROM receipts q WHERE q.token = p.token AND q.key = p.key;
			IF known.expires_at > at THEN
				a := (NULL, known.hook_id, known.run_id, known.type, known.metadata, known.webhook, false, known.hook_created_at, 0,
					false, true, known.request);
				RETURN a;
			END IF;
		END IF;
		IF p.hook IS NOT NULL AND h.id IS DISTINCT FROM p.hook THEN
			a.code := 'not_found';
			RETURN a;
		END IF;
		IF h.number IS NOT NULL THEN
			started := false;
			-- What type a reservation will have is decided by the run that adopts it.
			IF (p.type <> h.type AND NOT h.reserved) OR (h.webhook IS NOT NULL AND p.request IS NULL) THEN
				a := ('mismatch', h.id, h.run_id, h.type, h.metadata, h.webhook, h.reserved, h.created_at, h.opened_pos, false, false, NULL);
				RETURN a;
			END IF;
			EXIT;
		END IF;
		IF p.or_start IS NULL THEN
			a.code := 'not_found';
			RETURN a;
		END IF;
		started := start_reserved(p.or_start, p.token, p.type, at);
		IF started IS NULL THEN
			a.code := 'exists';
			RETURN a;
		ELSIF started THEN
			SELECT * INTO h FROM hooks q WHERE q.token = p.token AND q.closed_at IS NULL;
			EXIT;
		END IF;
		-- Somebody else got the token just now.
	END LOOP;
	PERFORM put_mail(h.run_id, 'payload_received', h.id, p.data, p.or_start, accept_time(h.run_id), p.trace);
	IF p.key IS NOT NULL THEN
		INSERT INTO receipts AS q (token, key, hook_id, run_id, type, metadata, webhook, request, hook_created_at, expires_at)
		VALUES (p.token, p.key, h.id, h.run_id, h.type, h.metadata, h.webhook, p.request, h.created_at, at + p.keep_for)
		ON CONFLICT (token, key) DO UPDATE SET hook_id = excluded.hook_id, run_id = excluded.run_id, type = excluded.type,
			metadata = excluded.metadata, webhook = excluded.webhook, request = excluded.request,
			hook_created_at = excluded.hook_created_at, expires_at = excluded.expires_at
			WHERE q.expires_at <= at;
		IF NOT FOUND THEN
			-- The same payload was accepted, and its run ended, since we looked.
			RAISE serialization_failure USING MESSAGE = 'key was used just now';
		END IF;
	END IF;
	a := (NULL, h.id, h.run_id, h.type, h.metadata, h.webhook, h.reserved, h.created_at, h.opened_pos, started, false, NULL);
	RETURN a;
END $$;

-- Starts a run. NULL, or exists.
CREATE FUNCTION start(mode text, r jsonb) RETURNS text LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
SET search_path FROM CURRENT AS $$
BEGIN
	PERFORM patience(mode);
	RETURN CASE WHEN start_run(r, clock_timestamp()) THEN NULL ELSE 'exists' END;
END $$;

-- Puts a message in a run's mailbox. NULL, or not_found, fenced, busy.
CREATE FUNCTION send(mode text, m message) RETURNS text LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
SET search_path FROM CURRENT AS $$
DECLARE
	r runs;
BEGIN
	PERFORM patience(mode);
	r := lock_run(mode, m.run_id);
	IF r.id IS NULL THEN
		RETURN CASE WHEN EXISTS (SELECT FROM runs q WHERE q.id = m.run_id) THEN 'busy' ELSE 'not_found' END;
	END IF;
	RETURN CASE WHEN send_to(r, m.kind, m.ref, m.data, m.or_start) THEN NULL ELSE 'fenced' END;
END $$;

-- Answers a request. NULL, or exists.
CREATE FUNCTION respond(mode text, e effect) RETURNS text LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
SET search_path FROM CURRENT AS $$
BEGIN
	PERFORM patience(mode);
	RETURN CASE WHEN record_response(e) IS NULL THEN NULL ELSE 'exists' END;
END $$;

-- Ends a run now. It returns the runs that got a message, or one verdict: not_found,
-- fenced.
CREATE FUNCTION terminate(mode text, run text, at timestamptz, kind text, ref text, data bytea, asked text, seq bigint)
RETURNS SETOF verdict LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET search_path FROM CURRENT AS $$
DECLARE
	r runs;
	o runs;
	t transition;
	id text;
BEGIN
	PERFORM patience(mode);
	r := lock_run('alone', run);
	IF r.id IS NULL OR r.ended_at IS NOT NULL THEN
		RETURN NEXT (1, NULL, CASE WHEN r.id IS NULL THEN 'not_found' ELSE 'fenced' END, NULL, NULL)::verdict;
		RETURN;
	END IF;
	INSERT INTO journal (run_id, position, at, kind, ref, data, asked, epoch, seq) VALUES (run, r.events + 1, at, kind, ref, data, asked, r.epoch + 1, seq);
	UPDATE runs q SET status = 'canceled', updated_at = at, ended_at = at, wake_at = NULL, due_at = NULL, worker = '', epoch = q.epoch + 1,
		events = q.events + 1, mark = false, blocked_build = '', blocked_reason = '' WHERE q.id = run;
	DELETE FROM executing q WHERE q.run_id = run;
	t.run_id := run;
	t.status := 'canceled';
	PERFORM keep_unread(t, NULL);
	UPDATE hooks h SET closed_at = at, closed_pos = r.events + 1 WHERE h.run_id = run AND coalesce(h.closed_at, 'infinity') = 'infinity';
	FOR o IN SELECT * FROM runs q WHERE q.parent_id = run AND q.parent_id <> '' AND q.ended_at IS NULL ORDER BY q.id FOR NO KEY UPDATE LOOP
		IF send_to(o, 'cancel_requested', '', NULL, NULL) THEN
			RETURN NEXT (1, NULL, 'mail', o.id, NULL)::verdict;
		END IF;
	END LOOP;
	IF r.parent_id <> '' THEN
		o := lock_run('alone', r.parent_id);
		IF o.id IS NOT NULL AND send_to(o, 'child_failed', r.parent_ref, data, NULL) THEN
			RETURN NEXT (1, NULL, 'mail', o.id, NULL)::verdict;
		END IF;
	END IF;
END $$;

-- Reopens a failed run from its journal. It returns nothing, or one verdict:
-- not_found, conflict, exists with the token that is taken.
CREATE FUNCTION retry(mode text, run text, length bigint, cut_from bigint, back bigint[])
RETURNS SETOF verdict LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET search_path FROM CURRENT AS $$
DECLARE
	r runs;
	tok text;
	other text;
	cut_at timestamptz;
	first timestamptz;
	n integer;
BEGIN
	PERFORM patience(mode);
	r := lock_run('alone', run);
	IF r.id IS NULL THEN
		RETURN NEXT (1, NULL, 'not_found', NULL, NULL)::verdict;
		RETURN;
	END IF;
	IF r.status <> 'failed' OR r.events <> length OR cut_from < 1 OR cut_from > length + 1
		OR EXISTS (SELECT FROM unnest(back) b WHERE b < cut_from OR b > length) THEN
		RETURN NEXT (1, NULL, 'conflict', NULL, NULL)::verdict;
		RETURN;
	END IF;
	-- The hooks first: somebody else may be claiming a token just now.
	LOOP
		SELECT h.token INTO tok FROM hooks h
		WHERE h.run_id = run AND h.opened_pos < cut_from AND h.closed_pos >= cut_from AND h.closed_at IS NOT NULL
			AND (SELECT o.number FROM hooks o WHERE o.token = h.token AND o.closed_at IS NULL) IS NOT NULL  -- one by one, never a join
		LIMIT 1;
		IF FOUND THEN
			RETURN NEXT (1, NULL, 'exists', NULL, tok)::verdict;
			RETURN;
		END IF;
		BEGIN
			UPDATE hooks h SET closed_at = NULL, closed_pos = 0
			WHERE h.run_id = run AND h.opened_pos < cut_from AND h.closed_pos >= cut_from AND h.closed_at IS NOT NULL;
			EXIT;
		EXCEPTION WHEN unique_violation THEN
			IF current_setting('transaction_isolation') <> 'read committed' THEN
				RAISE;  -- in its snapshot nobody has it
			END IF;
		END;
	END LOOP;
	DELETE FROM hooks h WHERE h.run_id = run AND h.opened_pos >= cut_from;

	cut_at := clock_timestamp();
	-- What comes back: events that were cut, and what the run had not even taken in.
	INSERT INTO mailbox (run_id, kind, ref, data, accepted_at, or_start)
	SELECT run, e.kind, e.ref, e.data, e.at, e.or_start FROM unnest(back) WITH ORDINALITY b (pos, n)
	JOIN journal e ON e.run_id = run AND e.position = b.pos ORDER BY b.n;
	INSERT INTO mailbox (run_id, kind, ref, data, accepted_at, or_start)
	SELECT run, u.kind, u.ref, u.data, u.accepted_at, u.or_start FROM unread u WHERE u.run_id = run AND NOT u.journaled ORDER BY u.number;
	INSERT INTO mailbox (run_id, kind, ref, accepted_at) VALUES (run, 'retried', '', cut_at);
	SELECT count(*), min(m.accepted_at) INTO n, first FROM mailbox m WHERE m.run_id = run;

	INSERT INTO journal_cuts (run_id, cut, position, cut_at, at, kind, ref, data, asked, or_start, epoch, seq)
	SELECT e.run_id, r.epoch + 1, e.position, cut_at, e.at, e.kind, e.ref, e.data, e.asked, e.or_start, e.epoch, e.seq
	FROM journal e WHERE e.run_id = run AND e.position >= cut_from;
	DELETE FROM journal e WHERE e.run_id = run AND e.position >= cut_from;
	DELETE FROM unread u WHERE u.run_id = run;
	UPDATE runs q SET status = 'running', updated_at = cut_at, ended_at = NULL, wake_at = NULL, due_at = first, messages = n, worker = '',
		epoch = q.epoch + 1, events = cut_from - 1, suspicion = 0, mark = false, crashes = 0, blocked_build = '', blocked_reason = ''
	WHERE q.id = run;
END $$;

-- Makes a blocked run claimable by every build again, at once. NULL, or not_found,
-- conflict.
CREATE FUNCTION unblock(mode text, run text) RETURNS text LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET search_path FROM CURRENT AS $$
DECLARE
	r runs;
	at timestamptz := clock_timestamp();
BEGIN
	PERFORM patience(mode);
	r := lock_run('alone', run);
	IF r.id IS NULL THEN
		RETURN 'not_found';
	ELSIF r.status <> 'blocked' THEN
		RETURN 'conflict';
	END IF;
	UPDATE runs q SET status = 'running', blocked_build = '', blocked_reason = '', updated_at = at,
		wake_at = least(q.wake_at, at), due_at = least(q.due_at, at) WHERE q.id = run;
	RETURN NULL;
END $$;

-- Makes sure that no transition of an epoch can be written any more: one that is under
-- way has the lock, or will find another epoch.
CREATE FUNCTION fence(mode text, run text, claimer text, known_epoch bigint) RETURNS void LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET search_path FROM CURRENT AS $$
DECLARE
	r runs;
BEGIN
	PERFORM patience(mode);
	r := lock_run(mode, run);
	IF r.epoch = known_epoch AND r.worker IN ('', claimer) AND r.ended_at IS NULL THEN
		UPDATE runs q SET worker = claimer, epoch = q.epoch + 1, mark = false WHERE q.id = run;
	END IF;
END $$;

-- Extends a worker's lease, or registers it. It returns the time.
CREATE FUNCTION renew(worker text, worker_build text, defs jsonb, lease interval) RETURNS timestamptz LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET search_path FROM CURRENT AS $$
DECLARE
	at timestamptz := clock_timestamp();
BEGIN
	INSERT INTO workers AS w (name, build, definitions, renewed_at, lease_until) VALUES (worker, worker_build, defs, at, at + lease)
	ON CONFLICT (name) DO UPDATE SET build = excluded.build, definitions = excluded.definitions,
		renewed_at = excluded.renewed_at, lease_until = excluded.lease_until;
	-- A run whose worker has no row counts as one whose lease has lapsed.
	DELETE FROM workers w WHERE w.lease_until < at - interval '1 day';
	RETURN at;
END $$;

-- Ends a worker's lease and frees its runs, except for those that somebody else has
-- locked. It returns whether there were any, and whether some are left.
CREATE FUNCTION release(name_of text, OUT freed boolean, OUT more boolean) LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET search_path FROM CURRENT AS $$
DECLARE
	ids text[];
	places tid[];
BEGIN
	SELECT array_agg(l.id), array_agg(l.ctid) INTO ids, places FROM
		(SELECT q.id, q.ctid FROM runs q WHERE q.worker = name_of ORDER BY q.id FOR NO KEY UPDATE SKIP LOCKED) l;
	DELETE FROM executing x WHERE x.run_id = ANY (ids);
	UPDATE runs q SET worker = '' WHERE q.ctid = ANY (places);
	freed := ids IS NOT NULL;
	more := EXISTS (SELECT FROM runs q WHERE q.worker = name_of);
	IF NOT more THEN
		DELETE FROM workers w WHERE w.name = name_of;
	END IF;
END $$;

-- Deletes runs that ended before a time, until about max_events of their events are gone,
-- with all that is theirs. Those that somebody else has locked are left.
CREATE FUNCTION prune(before timestamptz, max_events bigint, OUT pruned bigint, OUT more boolean) LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET search_path FROM CURRENT AS $$
DECLARE
	found text[];
	ids text[];
	places tid[];
BEGIN
	SELECT array_agg(r.id), array_agg(r.id) FILTER (WHERE r.gone < max_events), array_agg(r.place) FILTER (WHERE r.gone < max_events) INTO found, ids, places
	FROM (SELECT l.id, l.place, sum(l.events) OVER (ORDER BY l.ended_at, l.id) - l.events AS gone
		FROM (SELECT q.id, q.ctid AS place, q.events, q.ended_at FROM runs q WHERE q.ended_at < before ORDER BY q.ended_at LIMIT max_events FOR UPDATE SKIP LOCKED) l) r;
	DELETE FROM journal x WHERE x.run_id = ANY (ids);
	DELETE FROM journal_cuts x WHERE x.run_id = ANY (ids);
	DELETE FROM unread x WHERE x.run_id = ANY (ids);
	DELETE FROM hooks x WHERE x.run_id = ANY (ids);
	DELETE FROM tx_steps x WHERE x.run_id = ANY (ids);
	DELETE FROM runs x WHERE x.ctid = ANY (places);
	pruned := coalesce(cardinality(ids), 0);
	more := cardinality(found) > pruned OR cardinality(found) = max_events;
	more := coalesce(more, false);
END $$;

-- Finds runs of an owner ('': free ones) that have something to do: up to n in the
-- order of their need, and when the next one will have.
CREATE FUNCTION find_due(owner text, defs definition[], claimer_build text, wakes timestamptz, cutoff timestamptz, n integer,
	OUT ids text[], OUT dues timestamptz[], OUT next_at timestamptz) LANGUAGE plpgsql AS $$
BEGIN
	-- What is blocked for this build is stepped over, and only what is not blocked
	-- comes in the order of its need. The others have the order of the index, which no
	-- other one has: that of the lists would do too, where the table seems empty.
	SELECT array_agg(f.id), array_agg(f.due_at) INTO ids, dues FROM (
		SELECT c.id, c.due_at FROM unnest(defs) d CROSS JOIN LATERAL (
			(SELECT q.id, q.due_at FROM runs q
			WHERE q.worker = owner AND q.workflow = d.workflow AND q.version = d.version AND q.blocked_build = ''
				AND q.due_at <= cutoff AND (q.messages > 0 OR q.wake_at <= wakes) ORDER BY q.due_at LIMIT n)
			UNION ALL
			(SELECT q.id, q.due_at FROM runs q
			WHERE q.worker = owner AND q.workflow = d.workflow AND q.version = d.version AND q.blocked_build > '' AND q.blocked_build < claimer_build
				AND q.due_at <= cutoff AND (q.messages > 0 OR q.wake_at <= wakes) ORDER BY q.blocked_build, q.due_at LIMIT n)
			UNION ALL
			(SELECT q.id, q.due_at FROM runs q
			WHERE q.worker = owner AND q.workflow = d.workflow AND q.version = d.version AND q.blocked_build > claimer_build
				AND q.blocked_build <> '' AND q.due_at <= cutoff AND (q.messages > 0 OR q.wake_at <= wakes) ORDER BY q.blocked_build, q.due_at LIMIT n)
		) c ORDER BY c.due_at, c.id LIMIT n) f;
	SELECT min(c.due_at) INTO next_at FROM unnest(defs) d CROSS JOIN LATERAL (
		(SELECT q.due_at FROM runs q
		WHERE q.worker = owner AND q.workflow = d.workflow AND q.version = d.version AND q.blocked_build = ''
			AND q.due_at > wakes AND NOT (q.due_at <= cutoff AND q.messages > 0) ORDER BY q.due_at LIMIT 1)
		UNION ALL
		(SELECT min(o.due_at) FROM (SELECT q.due_at FROM runs q
		WHERE q.worker = owner AND q.workflow = d.workflow AND q.version = d.version AND q.blocked_build > '' AND q.blocked_build < claimer_build
			AND q.due_at > wakes AND NOT (q.due_at <= cutoff AND q.messages > 0) ORDER BY q.blocked_build, q.due_at OFFSET 0) o)
		UNION ALL
		(SELECT min(o.due_at) FROM (SELECT q.due_at FROM runs q
		WHERE q.worker = owner AND q.workflow = d.workflow AND q.version = d.version AND q.blocked_build > claimer_build
			AND q.blocked_build <> '' AND q.due_at > wakes AND NOT (q.due_at <= cutoff AND q.messages > 0) ORDER BY q.blocked_build, q.due_at OFFSET 0) o)
	) c;
	ids := coalesce(ids, '{}');
	dues := coalesce(dues, '{}');
END $$;

-- Takes ownership of runs that have something to do, those in the greatest need
-- first. It returns the runs, and in a row without a run when to look again and
-- whether there may be more now.
CREATE FUNCTION claim(claimer text, claimer_build text, defs definition[], n integer, wakes timestamptz, again boolean)
RETURNS TABLE (next_at timestamptz, more boolean, run runs) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off SET plan_cache_mode = force_generic_plan
SET search_path FROM CURRENT AS $$
DECLARE
	clock timestamptz := clock_timestamp();
	cutoff timestamptz := greatest(wakes, clock);  -- no message is later; a wake_at may be
	ids text[];
	dues timestamptz[];
	lapsed text[] := '{}';   -- owners that are no more
	got text[] := '{}';
	places tid[];
	taken_over text[];
	f record;
	owner text := '';
	lease timestamptz;
	several constant integer := 4;  -- so many who claim at once do not get in each other's way
BEGIN
	more := false;
	SELECT * INTO f FROM find_due('', defs, claimer_build, wakes, cutoff, several * n);
	ids := f.ids;
	dues := f.dues;
	next_at := f.next_at;
	LOOP
		SELECT q.worker INTO owner FROM runs q WHERE q.worker > owner AND q.worker <> '' ORDER BY q.worker LIMIT 1;
		EXIT WHEN NOT FOUND;
		CONTINUE WHEN owner = claimer AND NOT again;
		SELECT w.lease_until INTO lease FROM workers w WHERE w.name = owner;
		IF owner = claimer OR lease IS NULL OR lease <= clock THEN
			lapsed := lapsed || owner;
			SELECT * INTO f FROM find_due(owner, defs, claimer_build, wakes, cutoff, several * n);
			ids := ids || f.ids;
			dues := dues || f.dues;
			next_at := least(next_at, f.next_at);
		ELSIF next_at IS NULL OR lease < next_at THEN
			-- Only the first that is due counts, and not before the lease lapses.
			SELECT * INTO f FROM find_due(owner, defs, claimer_build, wakes, cutoff, 1);
			IF f.ids <> '{}' THEN
				next_at := least(next_at, lease);
			ELSE
				next_at := least(next_at, greatest(lease, f.next_at));
			END IF;
		END IF;
	END LOOP;

	IF ids <> '{}' THEN
		-- What somebody else is at with this moment is left to the next time.
		SELECT array_agg(l.id), array_agg(l.place), array_agg(l.id) FILTER (WHERE l.worker NOT IN ('', claimer)) INTO got, places, taken_over FROM
			(SELECT q.* FROM (SELECT * FROM unnest(ids, dues) u (id, due_at) ORDER BY u.due_at, u.id) x CROSS JOIN LATERAL
				(SELECT p.id, p.ctid AS place, p.worker FROM runs p WHERE p.id = x.id AND (p.worker = '' OR p.worker = ANY (lapsed))
					AND p.blocked_build IS DISTINCT FROM nullif(claimer_build, '') AND (p.messages > 0 OR p.wake_at <= wakes)
				FOR NO KEY UPDATE SKIP LOCKED) q
			LIMIT n) l;
		more := coalesce(cardinality(got), 0) >= n;
		IF coalesce(cardinality(got), 0) < least(n, cardinality(ids)) THEN
			next_at := least(next_at, clock + interval '50 milliseconds');
		END IF;
		-- Its attempts are no more, as far as anybody knows.
		IF taken_over IS NOT NULL THEN
			DELETE FROM executing x WHERE x.run_id = ANY (taken_over);
		END IF;
		UPDATE runs q SET worker = claimer, epoch = q.epoch + 1,
			suspicion = q.suspicion + (q.worker <> '')::integer, crashes = q.crashes + (q.worker <> '' AND q.mark)::integer,
			mark = false  -- counted once: its code does not execute any more
		WHERE q.ctid = ANY (places) AND q.worker <> claimer;
		RETURN QUERY SELECT NULL::timestamptz, NULL::boolean, (SELECT q FROM runs q WHERE q.id = u.id)
			FROM unnest(got) WITH ORDINALITY u (id, place) ORDER BY u.place;
	END IF;
	run := NULL;
	RETURN NEXT;
END $$;

-- Takes ownership of those of some runs that are free and have something to do, without a
-- look at all others. In a row without a run it returns which somebody else is at with this
-- moment, and when the first lease of a worker that owns one lapses.
CREATE FUNCTION claim_named(claimer text, claimer_build text, defs definition[], names text[], wakes timestamptz)
RETURNS TABLE (next_at timestamptz, busy text[], run runs) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off SET plan_cache_mode = force_generic_plan
SET search_path FROM CURRENT AS $$
DECLARE
	got text[];
	places tid[];
BEGIN
	-- What the worker executes is a filter only, so that no plan can begin with all runs of a
	-- workflow.
	SELECT array_agg(l.id), array_agg(l.place) INTO got, places FROM
		(SELECT q.* FROM (SELECT u FROM unnest(names) u ORDER BY u COLLATE "C") n CROSS JOIN LATERAL
			(SELECT p.id, p.ctid AS place FROM runs p WHERE p.id = n.u AND p.worker = '' AND (p.messages > 0 OR p.wake_at <= wakes)
				AND p.blocked_build IS DISTINCT FROM nullif(claimer_build, '') AND (p.workflow, p.version)::definition = ANY (defs)
			FOR NO KEY UPDATE SKIP LOCKED) q) l;
	got := coalesce(got, '{}');
	IF cardinality(got) < cardinality(names) THEN
		SELECT array_agg(q.id) FILTER (WHERE q.worker = ''), min(greatest(w.lease_until, wakes)) FILTER (WHERE q.worker <> '')
		INTO busy, next_at FROM unnest(names) n CROSS JOIN LATERAL (SELECT * FROM runs p WHERE p.id = n OFFSET 0) q LEFT JOIN workers w ON w.name = q.worker
		WHERE q.worker <> claimer AND (q.messages > 0 OR q.wake_at <= wakes) AND q.blocked_build IS DISTINCT FROM nullif(claimer_build, '')
			AND (q.workflow, q.version)::definition = ANY (defs) AND q.id <> ALL (got);
	END IF;
	IF got <> '{}' THEN
		RETURN QUERY UPDATE runs q SET worker = claimer, epoch = q.epoch + 1, mark = false WHERE q.ctid = ANY (places)
			RETURNING NULL::timestamptz, NULL::text[], q;
	END IF;
	run := NULL;
	RETURN NEXT;
END $$;

-- Transactional steps that have been executed. A row outlives the message with the
-- result, so that no later attempt executes the step again.
CREATE TABLE tx_steps (
	run_id     text COLLATE "C" NOT NULL,
	step       text COLLATE "C" NOT NULL,
	message_id bigint,          -- of the result in mailbox, at first; NULL: claimed and not completed
	PRIMARY KEY (run_id, step)
);

-- What follows is for transactions of the application. The mode of functions is
-- within: they wait for locks as the transaction wants, and leave its settings alone.

-- Tells the processes that listen, when the transaction commits. kind is mail, ended
-- or responded.
CREATE FUNCTION tell(channel text, kind text, id text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_notify(channel, json_build_object('from', '', kind, json_build_array(id))::text);
	RETURN true;
END $$;

-- Accepts a payload. A race that is lost does not break the transaction.
CREATE FUNCTION accept_within(p payload) RETURNS acceptance LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
	LOOP
		BEGIN
			RETURN accept('within', p);
		EXCEPTION WHEN serialization_failure THEN
			IF current_setting('transaction_isolation') <> 'read committed' THEN
				RAISE;  -- in its snapshot it would be lost again
			END IF;
		END;
	END LOOP;
END $$;

-- Makes the transaction the one that executes a step. It waits for another one that
-- has claimed it. NULL, or exists, conflict, not_found, fenced.
CREATE FUNCTION claim_step(run text, ref text, known_epoch bigint) RETURNS text LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
SET search_path FROM CURRENT AS $$
DECLARE
	refusal text;
BEGIN
	INSERT INTO tx_steps (run_id, step) VALUES (run, ref) ON CONFLICT DO NOTHING;
	IF NOT FOUND THEN
		RETURN (SELECT CASE WHEN s.message_id IS NULL THEN 'conflict' ELSE 'exists' END FROM tx_steps s WHERE s.run_id = run AND s.step = ref);
	END IF;
	-- A fresh look, now that nobody else can be at it.
	SELECT CASE WHEN r.epoch <> known_epoch OR r.ended_at IS NOT NULL THEN 'fenced' END INTO refusal FROM runs r WHERE r.id = run;
	IF NOT FOUND THEN
		refusal := 'not_found';
	END IF;
	IF refusal IS NOT NULL THEN
		DELETE FROM tx_steps s WHERE s.run_id = run AND s.step = ref;
	END IF;
	RETURN refusal;
END $$;

-- Puts the result of a step that the transaction has claimed into the mailbox of its
-- run, and returns the message. code is NULL, or conflict, not_found, fenced.
CREATE FUNCTION complete_step(run text, ref text, known_epoch bigint, result bytea, OUT code text, OUT message bigint, OUT at timestamptz)
LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
SET search_path FROM CURRENT AS $$
DECLARE
	r runs;
BEGIN
	r := lock_run('within', run);
	IF r.id IS NULL THEN
		code := 'not_found';
	ELSIF r.epoch <> known_epoch OR r.ended_at IS NOT NULL THEN
		code := 'fenced';
	ELSIF NOT EXISTS (SELECT FROM tx_steps s WHERE s.run_id = run AND s.step = ref AND s.message_id IS NULL) THEN
		code := 'conflict';
	ELSE
		at := accept_time(run);
		message := put_mail(run, 'step_completed', ref, result, NULL, at);
		UPDATE tx_steps s SET message_id = message WHERE s.run_id = run AND s.step = ref;
	END IF;
END $$;
