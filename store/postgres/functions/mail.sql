-- The time at which a message is accepted: the clock's, never before that of an
-- earlier one of the run, which is locked.
CREATE OR REPLACE FUNCTION accept_time(run text) RETURNS timestamptz LANGUAGE plpgsql AS $$
BEGIN
	RETURN greatest(clock_timestamp(),
		(SELECT m.accepted_at FROM mailbox m WHERE m.run_id = run ORDER BY m.id DESC LIMIT 1));
END $$;

-- Puts a message in the mailbox of a run that is locked and has not ended, and lets
-- the run be due since then. It returns the ID of the message.
CREATE OR REPLACE FUNCTION put_mail(run text, kind text, ref text, data bytea, or_start jsonb, at timestamptz, trace text DEFAULT NULL) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	message bigint;
BEGIN
	INSERT INTO mailbox (run_id, kind, ref, data, accepted_at, or_start, trace) VALUES (run, kind, ref, data, at, or_start, trace) RETURNING id INTO message;
	UPDATE runs SET messages = messages + 1, due_at = least(due_at, at) WHERE id = run;
	RETURN message;
END $$;

-- Keeps the result of a child that comes after its parent failed: the parent may be
-- retried, and waits for it then.
CREATE OR REPLACE FUNCTION keep_for_retry(r runs, kind text, ref text, data bytea) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF r.status = 'failed' AND kind IN ('child_completed', 'child_failed') THEN
		INSERT INTO unread (run_id, number, message_id, kind, ref, data, accepted_at, journaled)
		VALUES (r.id, (SELECT coalesce(max(u.number), 0) + 1 FROM unread u WHERE u.run_id = r.id), 0, kind, ref, data, clock_timestamp(), false);
	END IF;
END $$;

-- Sends a message to a run that is locked, if there is one. False if it has ended.
CREATE OR REPLACE FUNCTION send_to(r runs, kind text, ref text, data bytea, or_start jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	IF r.ended_at IS NOT NULL THEN
		PERFORM keep_for_retry(r, kind, ref, data);
		RETURN false;
	END IF;
	PERFORM put_mail(r.id, kind, ref, data, or_start, accept_time(r.id));
	RETURN true;
END $$;

-- Puts a message in a run's mailbox. NULL, or not_found, fenced, busy.
CREATE OR REPLACE FUNCTION send(mode text, m message) RETURNS text LANGUAGE plpgsql
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
	RETURN CASE WHEN send_to(r, m.kind, m.ref, m.data, m.or_start) THEN NULL ELSE 'fenced' END;
END $$;
