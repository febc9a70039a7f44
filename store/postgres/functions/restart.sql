-- Makes binaries that do not know that runs restart, are forked or are paused refuse the database:
-- they would replay all generations of a run as one, and a fork as what it is not. It returns a worker
-- of such a binary that is live, or NULL.
CREATE OR REPLACE FUNCTION serve_generations() RETURNS text LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
DECLARE
	old text;
BEGIN
	SELECT w.name INTO old FROM workers w WHERE w.lease_until > clock_timestamp() AND w.schema < 3 LIMIT 1;
	IF old IS NULL AND EXISTS (SELECT FROM migrations m WHERE m.version = (SELECT max(version) FROM migrations) AND coalesce(m.oldest, m.version) < 3) THEN
		UPDATE migrations m SET oldest = 3 WHERE m.version = (SELECT max(version) FROM migrations);
	END IF;
	RETURN old;
END $$;

-- Writes a transition (the only one of ts) that ends a generation of its run, and begins the next,
-- with a reference and the data of its Started message. It returns verdicts as apply_2 does, or
-- that a worker is too old.
CREATE OR REPLACE FUNCTION restart(ts transition[], es event_2[], fx effect[], un message_2[], bs backlog_change[], claims integer[],
	start text, input bytea, canceled boolean, actor text)
RETURNS SETOF verdict LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET search_path FROM CURRENT AS $$
DECLARE
	t transition := ts[1];
	last constant bigint := t.after + t.events;
	v verdict;
	r runs;
	old text;
	closed message_2[];
	front bigint;
	id text;
BEGIN
	PERFORM set_lock_timeout('alone');
	old := serve_generations();
	IF old IS NOT NULL THEN
		RETURN NEXT (1, NULL, 'old_worker', NULL, old)::verdict;
		RETURN;
	END IF;
	FOR v IN SELECT * FROM apply_2('{}', ts, es, fx, '{}', '{}', bs, claims) LOOP
		RETURN NEXT v;
		IF v.n IS NULL AND v.code <> 'mail' THEN
			RETURN;
		END IF;
	END LOOP;
	-- What the generation before had open and this one has not opened is closed.
	UPDATE hooks h SET closed_at = t.at, closed_pos = last WHERE h.run_id = t.run_id AND coalesce(h.closed_at, 'infinity') = 'infinity' AND h.carried;
	IF FOUND THEN
		PERFORM cease_closed(t.run_id);
	END IF;
	closed := ARRAY(SELECT un[i] FROM generate_subscripts(un, 1) i WHERE of_open_hook(t.run_id, (un[i]).ref) IS NOT TRUE ORDER BY i);
	FOR id IN SELECT * FROM keep_unread(t, closed) LOOP
		RETURN NEXT (1, NULL, 'mail', id, NULL)::verdict;
	END LOOP;
	UPDATE hooks h SET carried = true WHERE h.run_id = t.run_id AND coalesce(h.closed_at, 'infinity') = 'infinity' AND NOT h.reserved;
	DELETE FROM executing q WHERE q.run_id = t.run_id;
	DELETE FROM tx_steps q WHERE q.run_id = t.run_id;  -- the epoch keeps late attempts away
	DELETE FROM mailbox m WHERE m.run_id = t.run_id AND m.kind IN ('woken', 'retry_now');
	SELECT * INTO r FROM runs q WHERE q.id = t.run_id;
	INSERT INTO generations (run_id, number, ended_at, base, last, unread)
	VALUES (t.run_id, r.generation, t.at, r.base, r.events, last_unread(t.run_id));
	-- In front of all others, also of those that were put in front earlier, as start_successor does.
	front := -(nextval(pg_get_serial_sequence('mailbox', 'id')) << 20);
	INSERT INTO mailbox (run_id, id, kind, ref, data, accepted_at, actor) OVERRIDING SYSTEM VALUE VALUES (t.run_id, front, 'started', start, input, t.at, actor);
	IF canceled THEN
		INSERT INTO mailbox (run_id, id, kind, ref, accepted_at) OVERRIDING SYSTEM VALUE VALUES (t.run_id, front + 1, 'cancel_requested', '', t.at);
	END IF;
	INSERT INTO mailbox (run_id, id, kind, ref, data, accepted_at, or_start, actor, backlog) OVERRIDING SYSTEM VALUE
	SELECT CASE WHEN h.backlog IS NULL THEN t.run_id ELSE '' END, front + 1 + u.ordinality, u.kind, u.ref, u.data, u.accepted_at, u.or_start, u.actor, h.backlog
	FROM unnest(un) WITH ORDINALITY u CROSS JOIN LATERAL
		(SELECT q.backlog FROM hooks q WHERE q.run_id = t.run_id AND q.id = u.ref AND q.closed_at IS NULL OFFSET 0) h;
	PERFORM carry_answers(t.run_id, r.generation);
	UPDATE runs q SET epoch = q.epoch + 1, generation = q.generation + 1, base = q.events,
		messages = (SELECT count(*) FROM mailbox m WHERE m.run_id = q.id),
		backlogs = (SELECT count(*) FROM hooks h WHERE h.run_id = q.id AND h.backlog IS NOT NULL),
		due_at = least(q.wake_at, (SELECT min(m.accepted_at) FROM mailbox m WHERE m.run_id = q.id))
	WHERE q.id = t.run_id;
END $$;

-- Reports whether a hook of a run is open.
CREATE OR REPLACE FUNCTION of_open_hook(run text, hook text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	RETURN (SELECT h.closed_at IS NULL FROM hooks h WHERE h.run_id = run AND h.id = hook);
END $$;

-- Deletes generations that ended before a time, unless the next one has written nothing, until about
-- max_events of their events are gone. Those that somebody else has locked are left, and those that
-- come after them in their run.
CREATE OR REPLACE FUNCTION prune_generations(before timestamptz, max_events bigint, OUT pruned bigint, OUT more boolean) LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET search_path FROM CURRENT AS $$
DECLARE
	g record;
	gone bigint := 0;
	n bigint;
BEGIN
	PERFORM set_lock_timeout('alone');
	pruned := 0;
	more := false;
	FOR g IN SELECT x.* FROM generations x WHERE x.ended_at < before
		AND (SELECT r.events > x.last FROM runs r WHERE r.id = x.run_id) ORDER BY x.ended_at, x.run_id, x.number LIMIT max_events
		FOR UPDATE OF x SKIP LOCKED LOOP
		IF gone >= max_events THEN
			more := true;
			RETURN;
		END IF;
		CONTINUE WHEN EXISTS (SELECT FROM generations x WHERE x.run_id = g.run_id AND x.number < g.number);
		DELETE FROM journal e WHERE e.run_id = g.run_id AND e.position > g.base AND e.position <= g.last;
		GET DIAGNOSTICS n = ROW_COUNT;
		gone := gone + n;
		DELETE FROM journal_cuts e WHERE e.run_id = g.run_id AND e.position > g.base AND e.position <= g.last;
		DELETE FROM links l WHERE l.run_id = g.run_id AND l.hook_id IN
			(SELECT h.id FROM hooks h WHERE h.run_id = g.run_id AND h.closed_at IS NOT NULL AND h.closed_pos <= g.last);
		DELETE FROM hooks h WHERE h.run_id = g.run_id AND h.closed_at IS NOT NULL AND h.closed_pos <= g.last;
		DELETE FROM unread u WHERE u.run_id = g.run_id AND u.number <= g.unread;
		DELETE FROM generations x WHERE x.run_id = g.run_id AND x.number = g.number;
		pruned := pruned + 1;
	END LOOP;
END $$;
