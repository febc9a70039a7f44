-- The time at which a message is accepted: the clock's, never before that of an
-- earlier one of the run, which is locked.
CREATE OR REPLACE FUNCTION accept_time(run text) RETURNS timestamptz LANGUAGE plpgsql AS $$
BEGIN
	RETURN greatest(clock_timestamp(),
		(SELECT m.accepted_at FROM mailbox m WHERE m.run_id = run ORDER BY m.id DESC LIMIT 1));
END $$;

-- Puts a message in the mailbox of a run that is locked and has not ended, and lets
-- the run be due since then, unless it is paused. It returns the ID of the message.
CREATE OR REPLACE FUNCTION put_mail(run text, kind text, ref text, data bytea, or_start jsonb, at timestamptz, trace text, actor text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	message bigint;
BEGIN
	INSERT INTO mailbox (run_id, kind, ref, data, accepted_at, or_start, trace, actor) VALUES (run, kind, ref, data, at, or_start, trace, actor) RETURNING id INTO message;
	UPDATE runs SET messages = messages + 1, due_at = CASE WHEN paused_at IS NULL THEN least(due_at, at) END WHERE id = run;
	RETURN message;
END $$;

-- Keeps the result of a child, or of a run that is awaited, that comes after its run failed: that may
-- be retried, and waits for it then.
CREATE OR REPLACE FUNCTION keep_for_retry(r runs, kind text, ref text, data bytea, actor text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF r.status = 'failed' AND kind IN ('child_completed', 'child_failed', 'awaited_completed', 'awaited_failed') THEN
		INSERT INTO unread (run_id, number, message_id, kind, ref, data, accepted_at, journaled, actor)
		VALUES (r.id, last_unread(r.id) + 1, 0, kind, ref, data, clock_timestamp(), false, actor);
	END IF;
END $$;

-- Sends a message to a run that is locked, if there is one. False if it has ended.
CREATE OR REPLACE FUNCTION send_to(r runs, kind text, ref text, data bytea, or_start jsonb, actor text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	IF r.ended_at IS NOT NULL THEN
		PERFORM keep_for_retry(r, kind, ref, data, actor);
		RETURN false;
	END IF;
	PERFORM put_mail(r.id, kind, ref, data, or_start, accept_time(r.id), NULL, actor);
	RETURN true;
END $$;

-- Puts a message in a run's mailbox. NULL, or not_found, fenced, busy.
CREATE OR REPLACE FUNCTION send_2(mode text, m message_2) RETURNS text LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
SET search_path FROM CURRENT AS $$
DECLARE
	r runs;
BEGIN
	PERFORM set_lock_timeout(mode);
	r := lock_run(mode, m.run_id);
	IF r.id IS NULL THEN
		RETURN CASE WHEN EXISTS (SELECT FROM runs q WHERE q.id = m.run_id) THEN 'busy' ELSE 'not_found' END;
	END IF;
	RETURN CASE WHEN send_to(r, m.kind, m.ref, m.data, m.or_start, m.actor) THEN NULL ELSE 'fenced' END;
END $$;

-- For binaries that know no actors.
CREATE OR REPLACE FUNCTION send(mode text, m message) RETURNS text LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
	RETURN send_2(mode, ROW (m.*, NULL)::message_2);
END $$;
