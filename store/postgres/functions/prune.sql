-- Deletes runs that ended before a time, until about max_events of their events are gone,
-- with all that is theirs. Those that somebody else has locked are left, and those whose end some have
-- still to be told.
CREATE OR REPLACE FUNCTION prune(before timestamptz, max_events bigint, OUT pruned bigint, OUT more boolean) LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET search_path FROM CURRENT AS $$
DECLARE
	found text[];
	ids text[];
	places tid[];
BEGIN
	SELECT array_agg(r.id), array_agg(r.id) FILTER (WHERE r.gone < max_events), array_agg(r.place) FILTER (WHERE r.gone < max_events) INTO found, ids, places
	FROM (SELECT l.id, l.place, sum(l.events) OVER (ORDER BY l.ended_at, l.id) - l.events AS gone
		FROM (SELECT q.id, q.ctid AS place, q.events, q.ended_at FROM runs q WHERE q.ended_at < before AND NOT q.awaited ORDER BY q.ended_at LIMIT max_events FOR UPDATE SKIP LOCKED) l) r;
	DELETE FROM journal x WHERE x.run_id = ANY (ids);
	DELETE FROM journal_cuts x WHERE x.run_id = ANY (ids);
	DELETE FROM unread x WHERE x.run_id = ANY (ids);
	DELETE FROM hooks x WHERE x.run_id = ANY (ids);
	DELETE FROM tx_steps x WHERE x.run_id = ANY (ids);
	DELETE FROM generations x WHERE x.run_id = ANY (ids);
	DELETE FROM subscriptions x WHERE x.run_id = ANY (ids);
	DELETE FROM links x WHERE x.run_id = ANY (ids);
	DELETE FROM runs x WHERE x.ctid = ANY (places);
	pruned := coalesce(cardinality(ids), 0);
	more := cardinality(found) > pruned OR cardinality(found) = max_events;
	more := coalesce(more, false);
END $$;
