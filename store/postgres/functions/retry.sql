-- Reopens a failed run from its journal. It returns nothing, or one verdict:
-- not_found, conflict, exists with the token that is taken.
CREATE OR REPLACE FUNCTION retry_2(mode text, run text, length bigint, cut_from bigint, back bigint[], actor text)
RETURNS SETOF verdict LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET search_path FROM CURRENT AS $$
DECLARE
	r runs;
	tok text;
	other text;
	cut_at timestamptz;
	first timestamptz;
	n integer;
	earlier bigint;  -- number of the last message that an earlier generation has left unread
BEGIN
	PERFORM set_lock_timeout(mode);
	r := lock_run('alone', run);
	IF r.id IS NULL THEN
		RETURN NEXT (1, NULL, 'not_found', NULL, NULL)::verdict;
		RETURN;
	END IF;
	IF r.status <> 'failed' OR r.events <> length OR cut_from <= greatest(r.base, (r.origin->>'position')::bigint) OR cut_from > length + 1
		OR EXISTS (SELECT FROM unnest(back) b WHERE b < cut_from OR b > length) THEN
		RETURN NEXT (1, NULL, 'conflict', NULL, NULL)::verdict;
		RETURN;
	END IF;
	-- The hooks first: somebody else may be claiming a token just now.
	LOOP
		SELECT h.token INTO tok FROM hooks h
		WHERE h.run_id = run AND (h.opened_pos < cut_from OR h.adopted_as IS NOT NULL) AND h.closed_pos >= cut_from AND h.closed_at IS NOT NULL
			AND (SELECT o.number FROM hooks o WHERE o.token = h.token AND o.closed_at IS NULL) IS NOT NULL  -- one by one, never a join
		LIMIT 1;
		IF FOUND THEN
			RETURN NEXT (1, NULL, 'exists', NULL, tok)::verdict;
			RETURN;
		END IF;
		BEGIN
			-- One that was adopted in what is cut is again what it was: the first generation carries none.
			UPDATE hooks h SET reserved = r.generation = 0, carried = r.generation > 0, adopted_as = NULL, opened_pos = 0, closed_at = NULL, closed_pos = 0,
				subject = CASE WHEN r.generation > 0 THEN h.subject END
			WHERE h.run_id = run AND h.opened_pos >= cut_from AND h.adopted_as IS NOT NULL AND (coalesce(h.closed_at, 'infinity') = 'infinity' OR h.closed_pos >= cut_from);
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
	PERFORM cut_links(run, cut_from);
	PERFORM listen_all(run);

	cut_at := clock_timestamp();
	earlier := left_before(run);
	-- What comes back: events that were cut, and what the run had not even taken in.
	INSERT INTO mailbox (run_id, kind, ref, data, accepted_at, or_start, actor)
	SELECT run, e.kind, e.ref, e.data, e.at, e.or_start, e.actor FROM unnest(back) WITH ORDINALITY b (pos, n)
	JOIN journal e ON e.run_id = run AND e.position = b.pos ORDER BY b.n;
	INSERT INTO mailbox (run_id, kind, ref, data, accepted_at, or_start, actor)
	SELECT run, u.kind, u.ref, u.data, u.accepted_at, u.or_start, u.actor FROM unread u WHERE u.run_id = run AND u.number > earlier AND NOT u.journaled ORDER BY u.number;
	INSERT INTO mailbox (run_id, kind, ref, accepted_at, actor) VALUES (run, 'retried', '', cut_at, actor);
	SELECT count(*), min(m.accepted_at) INTO n, first FROM mailbox m WHERE m.run_id = run;

	INSERT INTO journal_cuts (run_id, cut, position, cut_at, at, kind, ref, data, asked, or_start, epoch, seq, actor)
	SELECT e.run_id, r.epoch + 1, e.position, cut_at, e.at, e.kind, e.ref, e.data, e.asked, e.or_start, e.epoch, e.seq, e.actor
	FROM journal e WHERE e.run_id = run AND e.position >= cut_from;
	DELETE FROM journal e WHERE e.run_id = run AND e.position >= cut_from;
	DELETE FROM unread u WHERE u.run_id = run AND u.number > earlier;
	UPDATE runs q SET status = 'running', updated_at = cut_at, ended_at = NULL, wake_at = NULL, due_at = first, messages = n, worker = '',
		epoch = q.epoch + 1, events = cut_from - 1, suspicion = 0, mark = false, crashes = 0, blocked_build = '', blocked_reason = ''
	WHERE q.id = run;
END $$;

-- For binaries that know no actors.
CREATE OR REPLACE FUNCTION retry(mode text, run text, length bigint, cut_from bigint, back bigint[])
RETURNS SETOF verdict LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
	RETURN QUERY SELECT * FROM retry_2(mode, run, length, cut_from, back, NULL);
END $$;
