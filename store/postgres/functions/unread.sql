-- Starts a run that goes on with what came for a token with OrStart, and has not been read
-- by a run that has ended: what its journal had (un) in front, then what waits already, as
-- it is. False if the token or the ID is taken.
CREATE OR REPLACE FUNCTION start_successor(ended text, successor jsonb, tok text, un message_2[]) RETURNS boolean LANGUAGE plpgsql AS $$
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
		CONTINUE WHEN NOT coalesce((SELECT is_alike(m.or_start, successor) FROM mailbox m WHERE m.backlog = h.backlog AND m.or_start IS NOT NULL ORDER BY m.id LIMIT 1), false);
		UPDATE mailbox m SET run_id = ended, ref = h.id, backlog = NULL WHERE m.backlog = h.backlog AND m.or_start IS NULL;
		UPDATE hooks q SET backlog = NULL WHERE q.number = h.number;
		IF place IS NULL THEN
			place := h.backlog;
		ELSE
			UPDATE mailbox m SET backlog = place WHERE m.backlog = h.backlog;
		END IF;
	END LOOP;
	place := coalesce(place, started);
	UPDATE mailbox m SET run_id = '', backlog = place WHERE m.run_id = ended AND m.kind = 'payload_received' AND is_alike(m.or_start, successor)
		AND (SELECT q.token FROM hooks q WHERE q.run_id = ended AND q.id = m.ref) = tok;
	-- In front of all others, also of those that were put in front earlier: started rises,
	-- and no ID comes twice.
	INSERT INTO mailbox (run_id, id, kind, ref, data, accepted_at, or_start, actor, backlog) OVERRIDING SYSTEM VALUE
	SELECT '', row_number() OVER (ORDER BY u.ordinality) - (started << 20), u.kind, u.ref, u.data, u.accepted_at, u.or_start, u.actor, place
	FROM unnest(un) WITH ORDINALITY u WHERE u.kind = 'payload_received' AND is_alike(u.or_start, successor)
		AND (SELECT q.token FROM hooks q WHERE q.run_id = ended AND q.id = u.ref) = tok;
	UPDATE hooks q SET backlog = place WHERE q.run_id = successor->>'id' AND q.id = (successor->>'id') || '.h0';
	UPDATE runs q SET backlogs = 1 WHERE q.id = successor->>'id';
	RETURN true;
END $$;

-- Reports whether a payload that came with OrStart is of the kind that a run takes which another
-- one starts: both are requests, or neither is.
CREATE OR REPLACE FUNCTION is_alike(or_start jsonb, successor jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	RETURN coalesce((or_start ? 'webhook') = (successor ? 'webhook'), false);
END $$;

-- Records what a run that has ended never took, or what was left of hooks that are closed by one
-- that restarts, and starts the successors. All hooks of a run that has ended are closed. It returns
-- the runs that it started.
CREATE OR REPLACE FUNCTION keep_unread(t transition, un message_2[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	heir record;
	h hooks;
	given jsonb := '{}';  -- tokens whose payloads go on, with the runs that get them
	kept bigint;
BEGIN
	IF t.took_any THEN
		-- The first payload of each token that came with OrStart: of the journal, the mailbox,
		-- the backlogs.
		FOR heir IN SELECT x.token, (array_agg(x.run ORDER BY x.part, x.place))[1] AS run FROM (
				SELECT 1 AS part, u.ordinality AS place, (SELECT q.token FROM hooks q WHERE q.run_id = t.run_id AND q.id = u.ref AND q.closed_at IS NOT NULL) AS token, u.or_start AS run
				FROM unnest(un) WITH ORDINALITY u WHERE u.kind = 'payload_received'
				UNION ALL
				SELECT 2, m.id, (SELECT q.token FROM hooks q WHERE q.run_id = t.run_id AND q.id = m.ref AND q.closed_at IS NOT NULL), m.or_start
				FROM mailbox m WHERE m.run_id = t.run_id AND m.kind = 'payload_received'
				UNION ALL
				SELECT 3, q.number, q.token, (SELECT m.or_start FROM mailbox m WHERE m.backlog = q.backlog AND m.or_start IS NOT NULL ORDER BY m.id LIMIT 1)
				FROM hooks q WHERE q.run_id = t.run_id AND q.backlog IS NOT NULL AND q.closed_at IS NOT NULL
			) x WHERE x.token IS NOT NULL AND x.run IS NOT NULL GROUP BY x.token ORDER BY min(ARRAY[x.part, x.place])
		LOOP
			IF start_successor(t.run_id, heir.run, heir.token, un) THEN
				given := given || jsonb_build_object(heir.token, heir.run);
				RETURN NEXT heir.run->>'id';
			END IF;
		END LOOP;
	END IF;
	FOR h IN SELECT * FROM hooks q WHERE q.run_id = t.run_id AND q.backlog IS NOT NULL AND q.closed_at IS NOT NULL ORDER BY q.number LOOP
		PERFORM admit(t.run_id, h.id, h.backlog);
	END LOOP;
	UPDATE runs q SET messages = 0, backlogs = 0 WHERE q.id = t.run_id AND t.ended AND (q.messages <> 0 OR q.backlogs <> 0);
	kept := last_unread(t.run_id);
	INSERT INTO unread (run_id, number, message_id, kind, ref, data, accepted_at, or_start, journaled, actor)
	SELECT t.run_id, kept + row_number() OVER (ORDER BY u.ordinality), coalesce(u.id, 0), u.kind, u.ref, u.data, u.accepted_at, u.or_start, u.journaled, u.actor
	FROM unnest(un) WITH ORDINALITY u WHERE NOT (u.kind = 'payload_received'
		AND is_alike(u.or_start, given->(SELECT q.token FROM hooks q WHERE q.run_id = t.run_id AND q.id = u.ref)));
	kept := kept + coalesce(cardinality(un), 0);
	-- Payloads, and for a retry what it may miss. Orders were for the run as it was.
	INSERT INTO unread (run_id, number, message_id, kind, ref, data, accepted_at, or_start, journaled, actor)
	SELECT t.run_id, kept + row_number() OVER (ORDER BY m.id), m.id, m.kind, m.ref, m.data, m.accepted_at, m.or_start, false, m.actor
	FROM mailbox m WHERE m.run_id = t.run_id AND ((m.kind = 'payload_received' AND (t.ended OR of_closed_hook(m)))
		OR (t.status = 'failed' AND m.kind NOT IN ('cancel_requested', 'woken', 'retried', 'retry_now', 'resumed')));
	DELETE FROM mailbox m WHERE m.run_id = t.run_id AND (t.ended OR (m.kind = 'payload_received' AND of_closed_hook(m)));
END $$;

-- The number of the last message that a run has left unread, or 0. A number that a generation has is not
-- used again, also if its message is gone.
CREATE OR REPLACE FUNCTION last_unread(run text) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	RETURN greatest((SELECT max(u.number) FROM unread u WHERE u.run_id = run), left_before(run));
END $$;

-- The number of the last message that the generations of a run that are over have left unread, or 0.
CREATE OR REPLACE FUNCTION left_before(run text) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	RETURN coalesce((SELECT g.unread FROM generations g WHERE g.run_id = run ORDER BY g.number DESC LIMIT 1), 0);
END $$;

-- Reports whether the hook of a payload is closed.
CREATE OR REPLACE FUNCTION of_closed_hook(m mailbox) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	RETURN (SELECT h.closed_at IS NOT NULL FROM hooks h WHERE h.run_id = m.run_id AND h.id = m.ref);
END $$;

-- Keeps what runs that have ended never took: what the journal has (un), what is in the mailbox
-- (lefts), what has just been sent (targets), what is in backlogs (deep). It returns verdicts on
-- the successors that it started.
CREATE OR REPLACE FUNCTION leave_unread(ns transition[], ts transition[], un message_2[], written boolean[], lefts integer[], targets text[], deep integer[])
RETURNS verdict[] LANGUAGE plpgsql AS $$
DECLARE
	k constant integer := cardinality(ns);
	verdicts verdict[] := '{}';
	t transition;
	id text;
BEGIN
	FOR i IN 1 .. cardinality(written) LOOP
		IF i <= k THEN
			t := ns[i];
		ELSE
			t := ts[i - k];
		END IF;
		IF written[i] AND t.ended AND (t.unread OR lefts[i] > 0 OR t.run_id = ANY (targets) OR i = ANY (deep)) THEN
			FOR id IN SELECT * FROM keep_unread(t, (SELECT array_agg(u) FROM unnest(un) u WHERE u.t = i)) LOOP
				verdicts := verdicts || (i, NULL, 'mail', id, NULL)::verdict;
			END LOOP;
		END IF;
	END LOOP;
	RETURN verdicts;
END $$;
