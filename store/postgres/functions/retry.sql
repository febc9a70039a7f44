-- Reopens a failed run from its journal. It returns nothing, or one verdict:
-- not_found, conflict, exists with the token that is taken.
CREATE OR REPLACE FUNCTION retry(mode text, run text, length bigint, cut_from bigint, back bigint[])
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
	PERFORM set_lock_timeout(mode);
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
