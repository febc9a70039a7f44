-- Backlogs: payloads that their run has not asked for wait apart from its mailbox, and are
-- handed over to a successor as they are, however many they are.

ALTER TABLE runs ADD COLUMN backlogs integer NOT NULL DEFAULT 0;  -- of its hooks
ALTER TABLE hooks ADD COLUMN backlog bigint;    -- where its payloads wait; NULL: in the mailbox
ALTER TABLE mailbox ADD COLUMN backlog bigint;  -- then run_id is empty, and ref says nothing
CREATE INDEX hooks_backlog ON hooks (run_id, number) WHERE backlog IS NOT NULL;
CREATE INDEX mailbox_backlog ON mailbox (backlog, id) WHERE backlog IS NOT NULL;
-- What stays with its run when a backlog is handed over.
CREATE INDEX mailbox_staying ON mailbox (backlog, id) WHERE backlog IS NOT NULL AND or_start IS NULL;

CREATE TYPE backlog_change AS (
	t      integer,   -- which transition
	pulled bigint[],  -- messages taken in from backlogs
	defers text[],    -- hooks whose payloads wait in a backlog from now on
	admits text[]     -- hooks whose backlog ends
);

-- Carries out what a transition says of backlogs. It returns how many messages have left
-- the mailbox, and how many have come. A backlog has the ID of its first message, so that no
-- number comes twice.
CREATE FUNCTION change_backlogs(run text, took bigint[], c backlog_change, OUT gone integer, OUT came integer) LANGUAGE plpgsql AS $$
DECLARE
	begun integer := 0;
	n integer;
	hook text;
	place bigint;
BEGIN
	gone := 0;
	came := 0;
	DELETE FROM mailbox m WHERE m.run_id = '' AND m.id = ANY (c.pulled);
	FOREACH hook IN ARRAY c.defers LOOP
		SELECT m.id INTO place FROM mailbox m
		WHERE m.run_id = run AND m.ref = hook AND m.kind = 'payload_received' AND m.id <> ALL (took) ORDER BY m.id LIMIT 1;
		CONTINUE WHEN NOT FOUND;
		UPDATE hooks h SET backlog = place WHERE h.run_id = run AND h.id = hook AND h.backlog IS NULL;
		CONTINUE WHEN NOT FOUND;
		begun := begun + 1;
		UPDATE mailbox m SET run_id = '', backlog = place
		WHERE m.run_id = run AND m.ref = hook AND m.kind = 'payload_received' AND m.id <> ALL (took);
		GET DIAGNOSTICS n = ROW_COUNT;
		gone := gone + n;
	END LOOP;
	FOREACH hook IN ARRAY c.admits LOOP
		SELECT h.backlog INTO place FROM hooks h WHERE h.run_id = run AND h.id = hook;
		CONTINUE WHEN place IS NULL;
		begun := begun - 1;
		came := came + admit(run, hook, place);
	END LOOP;
	IF begun <> 0 THEN
		UPDATE runs q SET backlogs = q.backlogs + begun WHERE q.id = run;
	END IF;
END $$;

-- Ends a backlog: what is in it goes to the mailbox of its run. It returns how many.
CREATE FUNCTION admit(run text, hook text, place bigint) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
	n integer;
BEGIN
	UPDATE mailbox m SET run_id = run, ref = hook, backlog = NULL WHERE m.backlog = place;
	GET DIAGNOSTICS n = ROW_COUNT;
	UPDATE hooks h SET backlog = NULL WHERE h.run_id = run AND h.id = hook;
	RETURN n;
END $$;

-- Starts a run that goes on with what came for a token with OrStart, and has not been read
-- by a run that has ended: what its journal had (un) in front, then what waits already, as
-- it is. False if the token or the ID is taken.
CREATE FUNCTION start_successor(ended text, successor jsonb, tok text, un message[]) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	started bigint;  -- ID of a message that is younger than all of these
	place bigint;
	h hooks;
BEGIN
	IF start_reserved(successor, tok, NULL, clock_timestamp()) IS NOT TRUE THEN
		RETURN false;
	END IF;
	SELECT m.id INTO started FROM mailbox m WHERE m.run_id = successor->>'id' ORDER BY m.id LIMIT 1;
	FOR h IN SELECT * FROM hooks q WHERE q.run_id = ended AND q.backlog IS NOT NULL AND q.token = tok ORDER BY q.number LOOP
		CONTINUE WHEN (SELECT m.id FROM mailbox m WHERE m.backlog = h.backlog AND m.or_start IS NOT NULL ORDER BY m.id LIMIT 1) IS NULL;
		UPDATE mailbox m SET run_id = ended, ref = h.id, backlog = NULL WHERE m.backlog = h.backlog AND m.or_start IS NULL;
		UPDATE hooks q SET backlog = NULL WHERE q.number = h.number;
		IF place IS NULL THEN
			place := h.backlog;
		ELSE
			UPDATE mailbox m SET backlog = place WHERE m.backlog = h.backlog;
		END IF;
	END LOOP;
	place := coalesce(place, started);
	UPDATE mailbox m SET run_id = '', backlog = place WHERE m.run_id = ended AND m.kind = 'payload_received' AND m.or_start IS NOT NULL
		AND (SELECT q.token FROM hooks q WHERE q.run_id = ended AND q.id = m.ref) = tok;
	-- In front of all others, also of those that were put in front earlier: started rises,
	-- and no ID comes twice.
	INSERT INTO mailbox (run_id, id, kind, ref, data, accepted_at, or_start, backlog) OVERRIDING SYSTEM VALUE
	SELECT '', row_number() OVER (ORDER BY u.ordinality) - (started << 20), u.kind, u.ref, u.data, u.accepted_at, u.or_start, place
	FROM unnest(un) WITH ORDINALITY u WHERE u.kind = 'payload_received' AND u.or_start IS NOT NULL
		AND (SELECT q.token FROM hooks q WHERE q.run_id = ended AND q.id = u.ref) = tok;
	UPDATE hooks q SET backlog = place WHERE q.run_id = successor->>'id' AND q.id = (successor->>'id') || '.h0';
	UPDATE runs q SET backlogs = 1 WHERE q.id = successor->>'id';
	RETURN true;
END $$;

-- Records what a run that has ended never took, and starts the successors. It
-- returns the runs that it started.
CREATE OR REPLACE FUNCTION keep_unread(t transition, un message[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	heir record;
	h hooks;
	given text[] := '{}';  -- tokens whose payloads go on
	kept bigint;
BEGIN
	IF t.took_any THEN
		-- The first payload of each token that came with OrStart: of the journal, the mailbox,
		-- the backlogs.
		FOR heir IN SELECT x.token, (array_agg(x.run ORDER BY x.part, x.place))[1] AS run FROM (
				SELECT 1 AS part, u.ordinality AS place, (SELECT q.token FROM hooks q WHERE q.run_id = t.run_id AND q.id = u.ref) AS token, u.or_start AS run
				FROM unnest(un) WITH ORDINALITY u WHERE u.kind = 'payload_received'
				UNION ALL
				SELECT 2, m.id, (SELECT q.token FROM hooks q WHERE q.run_id = t.run_id AND q.id = m.ref), m.or_start
				FROM mailbox m WHERE m.run_id = t.run_id AND m.kind = 'payload_received'
				UNION ALL
				SELECT 3, q.number, q.token, (SELECT m.or_start FROM mailbox m WHERE m.backlog = q.backlog AND m.or_start IS NOT NULL ORDER BY m.id LIMIT 1)
				FROM hooks q WHERE q.run_id = t.run_id AND q.backlog IS NOT NULL
			) x WHERE x.token IS NOT NULL AND x.run IS NOT NULL GROUP BY x.token ORDER BY min(ARRAY[x.part, x.place])
		LOOP
			IF start_successor(t.run_id, heir.run, heir.token, un) THEN
				given := given || heir.token;
				RETURN NEXT heir.run->>'id';
			END IF;
		END LOOP;
	END IF;
	FOR h IN SELECT * FROM hooks q WHERE q.run_id = t.run_id AND q.backlog IS NOT NULL ORDER BY q.number LOOP
		PERFORM admit(t.run_id, h.id, h.backlog);
	END LOOP;
	UPDATE runs q SET messages = 0, backlogs = 0 WHERE q.id = t.run_id AND (q.messages <> 0 OR q.backlogs <> 0);
	SELECT coalesce(max(u.number), 0) INTO kept FROM unread u WHERE u.run_id = t.run_id;
	INSERT INTO unread (run_id, number, message_id, kind, ref, data, accepted_at, or_start, journaled)
	SELECT t.run_id, kept + row_number() OVER (ORDER BY u.ordinality), coalesce(u.id, 0), u.kind, u.ref, u.data, u.accepted_at, u.or_start, u.journaled
	FROM unnest(un) WITH ORDINALITY u WHERE NOT (u.kind = 'payload_received' AND u.or_start IS NOT NULL
		AND coalesce((SELECT q.token FROM hooks q WHERE q.run_id = t.run_id AND q.id = u.ref) = ANY (given), false));
	kept := kept + coalesce(cardinality(un), 0);
	-- Payloads, and for a retry what it may miss. An order to cancel or to wake was
	-- for the run as it was.
	INSERT INTO unread (run_id, number, message_id, kind, ref, data, accepted_at, or_start, journaled)
	SELECT t.run_id, kept + row_number() OVER (ORDER BY m.id), m.id, m.kind, m.ref, m.data, m.accepted_at, m.or_start, false
	FROM mailbox m WHERE m.run_id = t.run_id AND (m.kind = 'payload_received'
		OR (t.status = 'failed' AND m.kind NOT IN ('cancel_requested', 'woken', 'retried')));
	DELETE FROM mailbox m WHERE m.run_id = t.run_id;
END $$;

-- Writes transitions. Each is written with all its effects or not at all, and has
-- its own verdict; of those that are written only what is worth telling is returned.
-- ns are those that create their runs, and ts the others; they are counted in this order.
-- A run is in them at most once. What most batches are is done in few statements, since
-- each costs as much as a row or two.
CREATE FUNCTION apply(ns transition[], ts transition[], es event[], fx effect[], un message[], ex attempt[], bs backlog_change[])
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
	changed integer[] := '{}';  -- transitions that say something of backlogs
	deep integer[];          -- and those that end a run that has some
	took boolean := false;   -- messages are taken
	t transition;
	c backlog_change;
	e effect;
	r runs;
	i integer;
	taken integer;
	admitted integer;
	code text;
	id text;
	hook text;
	other text;
BEGIN
	IF fx <> '{}' THEN
		SELECT array_agg(DISTINCT s COLLATE "C") INTO targets FROM unnest(ns || ts) x, unnest(x.sends_to) s;
	END IF;
	IF bs <> '{}' THEN
		SELECT array_agg(x.t) INTO changed FROM unnest(bs) x;
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
			finished || array_agg(l.run_id) FILTER (WHERE l.ended AND NOT l.odd), freed OR coalesce(bool_or(l.due), false),
			array_agg(l.i) FILTER (WHERE l.ended AND l.backlogs > 0)
		INTO found, odd, codes, waiting, finished, freed, deep FROM
			(SELECT f.*, f.code IS NOT NULL OR f.messages > 0 OR f.took <> '{}' OR f.i = ANY (changed) AS odd FROM
				(SELECT k + x.ordinality AS i, x.run_id, x.ended, x.took, q.messages, q.backlogs,
					NOT x.keep AND NOT x.ended AND (q.messages > 0 OR x.wake_at <= x.at) AS due,
					CASE
					WHEN q.epoch <> x.epoch OR q.worker NOT IN ('', x.worker) OR q.ended_at IS NOT NULL THEN 'fenced'
					WHEN q.events <> x.after THEN 'conflict'
					WHEN NOT x.sends_to <@ reachable THEN 'busy' END AS code
				FROM (SELECT * FROM unnest(ts) WITH ORDINALITY u ORDER BY u.run_id COLLATE "C") x CROSS JOIN LATERAL
					(SELECT p.epoch, p.worker, p.ended_at, p.events, p.messages, p.backlogs FROM runs p WHERE p.id = x.run_id FOR NO KEY UPDATE SKIP LOCKED) q) f) l;
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
			c := NULL;
			IF i = ANY (changed) THEN
				SELECT * INTO c FROM unnest(bs) x WHERE x.t = i;
				IF code IS NULL AND NOT c.pulled <@ ARRAY(SELECT p FROM unnest(c.pulled) p
					WHERE (SELECT m.id FROM mailbox m WHERE m.run_id = '' AND m.id = p) IS NOT NULL) THEN
					code := 'conflict';
				END IF;
			END IF;
			-- By itself, since a condition with a query in it is a statement, whatever comes before AND.
			IF code IS NULL AND lefts[i] > 0 AND t.no_mail_before IS NOT NULL THEN
				IF EXISTS (SELECT FROM mailbox m WHERE m.run_id = t.run_id AND m.id <> ALL (t.took) AND m.ref <> ALL (coalesce(c.defers, '{}'))
					AND (m.accepted_at < t.no_mail_before OR t.no_mail_before >= '9999-12-31 00:00:00+00')) THEN
					code := 'conflict';
				END IF;
			END IF;
			-- What has come to a backlog that ends counts as well.
			IF code IS NULL AND t.no_mail_before IS NOT NULL AND c.admits <> '{}' THEN
				IF EXISTS (SELECT FROM hooks h CROSS JOIN LATERAL (SELECT FROM mailbox m WHERE m.backlog = h.backlog
						AND m.id <> ALL (c.pulled) AND m.accepted_at < t.no_mail_before LIMIT 1) m
					WHERE h.run_id = t.run_id AND h.id = ANY (c.admits)) THEN
					code := 'conflict';
				END IF;
			END IF;
			IF code IS NULL AND c.t IS NOT NULL THEN
				SELECT x.gone, x.came INTO taken, admitted FROM change_backlogs(t.run_id, t.took, c) x;
				lefts[i] := lefts[i] - taken + admitted;
				IF admitted > 0 THEN
					RETURN NEXT (i, NULL, 'mail', t.run_id, NULL)::verdict;
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
		IF un <> '{}' OR odd <> '{}' OR targets <> '{}' OR deep <> '{}' THEN
			FOR i IN 1 .. cardinality(written) LOOP
				IF i <= k THEN
					t := ns[i];
				ELSE
					t := ts[i - k];
				END IF;
				IF written[i] AND t.ended AND (t.unread OR lefts[i] > 0 OR t.run_id = ANY (targets) OR i = ANY (deep) OR i = ANY (changed)) THEN
					FOR id IN SELECT * FROM keep_unread(t, (SELECT array_agg(u) FROM unnest(un) u WHERE u.t = i)) LOOP
						RETURN NEXT (i, NULL, 'mail', id, NULL)::verdict;
					END LOOP;
				END IF;
			END LOOP;
		END IF;
	END IF;
END $$;

-- For binaries that know no backlogs.
CREATE OR REPLACE FUNCTION apply(ns transition[], ts transition[], es event[], fx effect[], un message[], ex attempt[])
RETURNS SETOF verdict LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
	RETURN QUERY SELECT * FROM apply(ns, ts, es, fx, un, ex, '{}'::backlog_change[]);
END $$;

-- Puts a payload in the mailbox of the run whose open hook has the token, or in the backlog
-- of the hook (deferred).
CREATE FUNCTION accept_payload(mode text, p payload, OUT a acceptance, OUT deferred boolean) LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
SET search_path FROM CURRENT AS $$
DECLARE
	h hooks;
	r runs;
	known receipts;
	at timestamptz;
	started boolean;
BEGIN
	PERFORM patience(mode);
	deferred := false;
	LOOP
		SELECT * INTO h FROM hooks q WHERE q.token = p.token AND q.closed_at IS NULL;
		IF h.number IS NOT NULL THEN
			r := lock_run(mode, h.run_id);
			IF r.id IS NULL THEN
				a.code := 'busy';
				RETURN;
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
				RETURN;
			END IF;
		END IF;
		IF p.hook IS NOT NULL AND h.id IS DISTINCT FROM p.hook THEN
			a.code := 'not_found';
			RETURN;
		END IF;
		IF h.number IS NOT NULL THEN
			started := false;
			-- What type a reservation will have is decided by the run that adopts it.
			IF (p.type <> h.type AND NOT h.reserved) OR (h.webhook IS NOT NULL AND p.request IS NULL) THEN
				a := ('mismatch', h.id, h.run_id, h.type, h.metadata, h.webhook, h.reserved, h.created_at, h.opened_pos, false, false, NULL);
				RETURN;
			END IF;
			EXIT;
		END IF;
		IF p.or_start IS NULL THEN
			a.code := 'not_found';
			RETURN;
		END IF;
		started := start_reserved(p.or_start, p.token, p.type, at);
		IF started IS NULL THEN
			a.code := 'exists';
			RETURN;
		ELSIF started THEN
			SELECT * INTO h FROM hooks q WHERE q.token = p.token AND q.closed_at IS NULL;
			EXIT;
		END IF;
		-- Somebody else got the token just now.
	END LOOP;
	deferred := h.backlog IS NOT NULL;
	IF deferred THEN
		-- The run need not know. Its lock makes the order of IDs that of acceptance.
		INSERT INTO mailbox (run_id, kind, ref, data, accepted_at, or_start, trace, backlog)
		VALUES ('', 'payload_received', h.id, p.data, greatest(accept_time(h.run_id),
			(SELECT m.accepted_at FROM mailbox m WHERE m.backlog = h.backlog ORDER BY m.id DESC LIMIT 1)), p.or_start, p.trace, h.backlog);
	ELSE
		PERFORM put_mail(h.run_id, 'payload_received', h.id, p.data, p.or_start, accept_time(h.run_id), p.trace);
	END IF;
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
	RETURN;
END $$;

-- The same, for transactions of the application, and for binaries that know no backlogs.
CREATE OR REPLACE FUNCTION accept(mode text, p payload) RETURNS acceptance LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
	RETURN (SELECT r.a FROM accept_payload(mode, p) r);
END $$;

-- These are as in step 1 today: a database that had it early has others, whose plans may read
-- whole indexes.

-- Ends a worker's lease and frees its runs, except for those that somebody else has
-- locked. It returns whether there were any, and whether some are left.
CREATE OR REPLACE FUNCTION release(name_of text, OUT freed boolean, OUT more boolean) LANGUAGE plpgsql
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
CREATE OR REPLACE FUNCTION prune(before timestamptz, max_events bigint, OUT pruned bigint, OUT more boolean) LANGUAGE plpgsql
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
CREATE OR REPLACE FUNCTION find_due(owner text, defs definition[], claimer_build text, wakes timestamptz, cutoff timestamptz, n integer,
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
CREATE OR REPLACE FUNCTION claim(claimer text, claimer_build text, defs definition[], n integer, wakes timestamptz, again boolean)
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
CREATE OR REPLACE FUNCTION claim_named(claimer text, claimer_build text, defs definition[], names text[], wakes timestamptz)
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
