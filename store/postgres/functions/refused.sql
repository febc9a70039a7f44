-- Keeps a request that was refused, and drops the oldest ones, but for those that others are dropping.
CREATE OR REPLACE FUNCTION keep_refused(mode text, id text, token text, hook_id text, run_id text, workflow text, sender text, reason text, delivery text,
	request bytea, body bytea, at timestamptz, keep integer) RETURNS void LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET search_path FROM CURRENT AS $$
BEGIN
	PERFORM set_lock_timeout(mode);
	INSERT INTO refused_requests (id, token, hook_id, run_id, workflow, sender, reason, delivery, request, body, at)
	VALUES (keep_refused.id, keep_refused.token, keep_refused.hook_id, keep_refused.run_id, keep_refused.workflow, keep_refused.sender,
		keep_refused.reason, keep_refused.delivery, keep_refused.request, keep_refused.body, keep_refused.at);
	DELETE FROM refused_requests q WHERE q.number = ANY (ARRAY (SELECT r.number FROM refused_requests r WHERE r.number <=
		(SELECT l.number FROM refused_requests l ORDER BY l.number DESC LIMIT 1 OFFSET keep) FOR UPDATE SKIP LOCKED));
END $$;

-- Drops a request that was refused. False if there is none.
CREATE OR REPLACE FUNCTION drop_refused(mode text, id text) RETURNS boolean LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET search_path FROM CURRENT AS $$
BEGIN
	PERFORM set_lock_timeout(mode);
	DELETE FROM refused_requests r WHERE r.id = drop_refused.id;
	RETURN FOUND;
END $$;
