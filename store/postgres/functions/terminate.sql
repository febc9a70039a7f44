-- Ends a run now. It returns the runs that got a message, or one verdict: not_found,
-- fenced. Runs that await it and have still to be told are said to be untold, as apply_2 does.
CREATE OR REPLACE FUNCTION terminate_2(mode text, run text, at timestamptz, kind text, ref text, data bytea, asked text, seq bigint, actor text)
RETURNS SETOF verdict LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET search_path FROM CURRENT AS $$
DECLARE
	r runs;
	o runs;
	t transition;
	v verdict;
BEGIN
	PERFORM set_lock_timeout(mode);
	r := lock_run('alone', run);
	IF r.id IS NULL OR r.ended_at IS NOT NULL THEN
		RETURN NEXT (1, NULL, CASE WHEN r.id IS NULL THEN 'not_found' ELSE 'fenced' END, NULL, NULL)::verdict;
		RETURN;
	END IF;
	INSERT INTO journal (run_id, position, at, kind, ref, data, asked, epoch, seq, actor) VALUES (run, r.events + 1, at, kind, ref, data, asked, r.epoch + 1, seq, actor);
	UPDATE runs q SET status = 'canceled', updated_at = at, ended_at = at, wake_at = NULL, due_at = NULL, worker = '', epoch = q.epoch + 1,
		events = q.events + 1, mark = false, blocked_build = '', blocked_reason = '',
		paused_at = NULL, paused_by = NULL, paused_why = NULL WHERE q.id = run;
	DELETE FROM executing q WHERE q.run_id = run;
	t.run_id := run;
	t.status := 'canceled';
	t.ended := true;
	UPDATE hooks h SET closed_at = at, closed_pos = r.events + 1 WHERE h.run_id = run AND coalesce(h.closed_at, 'infinity') = 'infinity';
	PERFORM cease_closed(run);
	PERFORM keep_unread(t, NULL::message_2[]);
	FOR o IN SELECT * FROM runs q WHERE q.parent_id = run AND q.parent_id <> '' AND q.ended_at IS NULL ORDER BY q.id FOR NO KEY UPDATE LOOP
		IF send_to(o, 'cancel_requested', '', NULL, NULL, NULL) THEN
			RETURN NEXT (1, NULL, 'mail', o.id, NULL)::verdict;
		END IF;
	END LOOP;
	IF r.parent_id <> '' THEN
		o := lock_run('alone', r.parent_id);
		IF o.id IS NOT NULL AND send_to(o, 'child_failed', r.parent_ref, data, NULL, NULL) THEN
			RETURN NEXT (1, NULL, 'mail', o.id, NULL)::verdict;
		END IF;
	END IF;
	DELETE FROM subscriptions s WHERE s.run_id = run;
	IF r.awaited THEN
		FOREACH v IN ARRAY tell_end(1, run) LOOP
			RETURN NEXT v;
		END LOOP;
	END IF;
END $$;

-- For binaries that know no subscriptions.
CREATE OR REPLACE FUNCTION terminate(mode text, run text, at timestamptz, kind text, ref text, data bytea, asked text, seq bigint)
RETURNS SETOF verdict LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
	RETURN QUERY SELECT * FROM terminate_2(mode, run, at, kind, ref, data, asked, seq, NULL) v WHERE v.code <> 'untold';
END $$;
