-- Makes a blocked run claimable by every build again, at once. NULL, or not_found,
-- conflict.
CREATE OR REPLACE FUNCTION unblock(mode text, run text) RETURNS text LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET search_path FROM CURRENT AS $$
DECLARE
	r runs;
	at timestamptz := clock_timestamp();
BEGIN
	PERFORM set_lock_timeout(mode);
	r := lock_run('alone', run);
	IF r.id IS NULL THEN
		RETURN 'not_found';
	ELSIF r.status <> 'blocked' THEN
		RETURN 'conflict';
	END IF;
	UPDATE runs q SET status = 'running', blocked_build = '', blocked_reason = '', updated_at = at,
		wake_at = least(q.wake_at, at), due_at = CASE WHEN q.paused_at IS NULL THEN least(q.due_at, at) END WHERE q.id = run;
	RETURN NULL;
END $$;
