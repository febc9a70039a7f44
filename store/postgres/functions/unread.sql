-- Starts a run that goes on with what came for a token with OrStart, and has not been read
-- by a run that has ended: what its journal had (un) in front, then what waits already, as
-- it is. False if the token or the ID is taken.
CREATE OR REPLACE FUNCTION start_successor(ended text, successor jsonb, tok text, un message[]) RETURNS boolean LANGUAGE plpgsql AS $$
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

-- Keeps what runs that have ended never took: what the journal has (un), what is in the mailbox
-- (lefts), what has just been sent (targets), what is in backlogs (deep). It returns verdicts on
-- the successors that it started.
CREATE OR REPLACE FUNCTION leave_unread(ns transition[], ts transition[], un message[], written boolean[], lefts integer[], targets text[], deep integer[])
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
