-- Finds runs of an owner ('': free ones) that have something to do: up to n in the
-- order of their need, and when the next one will have. Mail that came after ripe is left alone
-- until it is as old as ripe is now, unless wake_at is due.
CREATE OR REPLACE FUNCTION find_due_2(owner text, defs definition[], claimer_build text, wakes timestamptz, cutoff timestamptz, ripe timestamptz, n integer,
	OUT ids text[], OUT dues timestamptz[], OUT next_at timestamptz) LANGUAGE plpgsql AS $$
BEGIN
	-- What is blocked for this build is stepped over, and only what is not blocked
	-- comes in the order of its need. The others have the order of the index, which no
	-- other one has: that of the lists would do too, where the table seems empty.
	SELECT array_agg(f.id), array_agg(f.due_at) INTO ids, dues FROM (
		SELECT c.id, c.due_at FROM unnest(defs) d CROSS JOIN LATERAL (
			(SELECT q.id, q.due_at FROM runs q
			WHERE q.worker = owner AND q.workflow = d.workflow AND q.version = d.version AND q.blocked_build = ''
				AND q.due_at <= cutoff AND (q.messages > 0 AND q.due_at <= ripe OR q.wake_at <= wakes) ORDER BY q.due_at LIMIT n)
			UNION ALL
			(SELECT q.id, q.due_at FROM runs q
			WHERE q.worker = owner AND q.workflow = d.workflow AND q.version = d.version AND q.blocked_build > '' AND q.blocked_build < claimer_build
				AND q.due_at <= cutoff AND (q.messages > 0 AND q.due_at <= ripe OR q.wake_at <= wakes) ORDER BY q.blocked_build, q.due_at LIMIT n)
			UNION ALL
			(SELECT q.id, q.due_at FROM runs q
			WHERE q.worker = owner AND q.workflow = d.workflow AND q.version = d.version AND q.blocked_build > claimer_build
				AND q.blocked_build <> '' AND q.due_at <= cutoff AND (q.messages > 0 AND q.due_at <= ripe OR q.wake_at <= wakes) ORDER BY q.blocked_build, q.due_at LIMIT n)
		) c ORDER BY c.due_at, c.id LIMIT n) f;
	SELECT min(c.due_at) INTO next_at FROM unnest(defs) d CROSS JOIN LATERAL (
		(SELECT q.due_at FROM runs q
		WHERE q.worker = owner AND q.workflow = d.workflow AND q.version = d.version AND q.blocked_build = ''
			AND q.due_at > wakes AND NOT (q.due_at <= cutoff AND q.messages > 0) ORDER BY q.due_at LIMIT 1)
		UNION ALL
		(SELECT min(o.due_at) FROM (SELECT q.due_at FROM runs q
		WHERE q.worker = owner AND q.workflow = d.workflow AND q.version = d.version AND q.blocked_build > '' AND q.blocked_build < claimer_build
			AND q.due_at > wakes AND NOT (q.due_at <= cutoff AND q.messages > 0) ORDER BY q.blocked_build, q.due_at OFFSET 0) o)
		UNION ALL
		(SELECT min(o.due_at) FROM (SELECT q.due_at FROM runs q
		WHERE q.worker = owner AND q.workflow = d.workflow AND q.version = d.version AND q.blocked_build > claimer_build
			AND q.blocked_build <> '' AND q.due_at > wakes AND NOT (q.due_at <= cutoff AND q.messages > 0) ORDER BY q.blocked_build, q.due_at OFFSET 0) o)
	) c;
	IF ripe < cutoff THEN
		next_at := least(next_at, (SELECT min(c.due_at) + (cutoff - ripe) FROM unnest(defs) d CROSS JOIN LATERAL (
			(SELECT q.due_at FROM runs q
			WHERE q.worker = owner AND q.workflow = d.workflow AND q.version = d.version AND q.blocked_build = ''
				AND q.due_at > ripe AND q.due_at <= cutoff AND q.messages > 0 ORDER BY q.due_at LIMIT 1)
			UNION ALL
			(SELECT min(o.due_at) FROM (SELECT q.due_at FROM runs q
			WHERE q.worker = owner AND q.workflow = d.workflow AND q.version = d.version AND q.blocked_build > '' AND q.blocked_build <> claimer_build
				AND q.due_at > ripe AND q.due_at <= cutoff AND q.messages > 0 ORDER BY q.blocked_build, q.due_at OFFSET 0) o)
		) c));
	END IF;
	ids := coalesce(ids, '{}');
	dues := coalesce(dues, '{}');
END $$;

-- For claims of before, which may be under way.
CREATE OR REPLACE FUNCTION find_due(owner text, defs definition[], claimer_build text, wakes timestamptz, cutoff timestamptz, n integer,
	OUT ids text[], OUT dues timestamptz[], OUT next_at timestamptz) LANGUAGE plpgsql AS $$
BEGIN
	SELECT f.ids, f.dues, f.next_at INTO ids, dues, next_at FROM find_due_2(owner, defs, claimer_build, wakes, cutoff, cutoff, n) f;
END $$;

-- Takes ownership of runs that have something to do and are not paused, those in the greatest
-- need first. Free runs whose mail is younger than patience are left to the workers that signals
-- have named them to. It returns the runs, and in a row without a run when to look again and
-- whether there may be more now.
CREATE OR REPLACE FUNCTION claim_2(claimer text, claimer_build text, defs definition[], n integer, wakes timestamptz, again boolean, patience interval)
RETURNS TABLE (next_at timestamptz, more boolean, run runs) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off SET plan_cache_mode = force_generic_plan
SET search_path FROM CURRENT AS $$
DECLARE
	clock timestamptz := clock_timestamp();
	cutoff timestamptz := greatest(wakes, clock);  -- no message is later; a wake_at may be
	ids text[];
	dues timestamptz[];
	lapsed text[] := '{}';   -- owners that are no more
	got text[] := '{}';
	places tid[];
	taken_over text[];
	f record;
	owner text := '';
	lease timestamptz;
	several constant integer := 4;  -- so many who claim at once do not get in each other's way
BEGIN
	more := false;
	defs := ARRAY(SELECT d FROM unnest(defs) d WHERE d.workflow <> ALL (ARRAY(SELECT w.workflow FROM paused_workflows w)));
	SELECT * INTO f FROM find_due_2('', defs, claimer_build, wakes, cutoff, CASE WHEN patience > interval '0' THEN clock - patience ELSE cutoff END, several * n);
	ids := f.ids;
	dues := f.dues;
	next_at := f.next_at;
	LOOP
		SELECT q.worker INTO owner FROM runs q WHERE q.worker > owner AND q.worker <> '' ORDER BY q.worker LIMIT 1;
		EXIT WHEN NOT FOUND;
		CONTINUE WHEN owner = claimer AND NOT again;
		SELECT w.lease_until INTO lease FROM workers w WHERE w.name = owner;
		IF owner = claimer OR lease IS NULL OR lease <= clock THEN
			lapsed := lapsed || owner;
			SELECT * INTO f FROM find_due_2(owner, defs, claimer_build, wakes, cutoff, cutoff, several * n);
			ids := ids || f.ids;
			dues := dues || f.dues;
			next_at := least(next_at, f.next_at);
		ELSIF next_at IS NULL OR lease < next_at THEN
			-- Only the first that is due counts, and not before the lease lapses.
			SELECT * INTO f FROM find_due_2(owner, defs, claimer_build, wakes, cutoff, cutoff, 1);
			IF f.ids <> '{}' THEN
				next_at := least(next_at, lease);
			ELSIF f.next_at IS NOT NULL THEN
				next_at := least(next_at, greatest(lease, f.next_at));
			END IF;
		END IF;
	END LOOP;

	IF ids <> '{}' THEN
		-- What somebody else is at with this moment is left to the next time.
		SELECT array_agg(l.id), array_agg(l.place), array_agg(l.id) FILTER (WHERE l.worker NOT IN ('', claimer)) INTO got, places, taken_over FROM
			(SELECT q.* FROM (SELECT * FROM unnest(ids, dues) u (id, due_at) ORDER BY u.due_at, u.id) x CROSS JOIN LATERAL
				(SELECT p.id, p.ctid AS place, p.worker FROM runs p WHERE p.id = x.id AND (p.worker = '' OR p.worker = ANY (lapsed))
					AND p.blocked_build IS DISTINCT FROM nullif(claimer_build, '') AND (p.messages > 0 OR p.wake_at <= wakes) AND p.paused_at IS NULL
				FOR NO KEY UPDATE SKIP LOCKED) q
			LIMIT n) l;
		more := coalesce(cardinality(got), 0) >= n;
		IF coalesce(cardinality(got), 0) < least(n, cardinality(ids)) THEN
			next_at := least(next_at, clock + interval '50 milliseconds');
		END IF;
		-- Its attempts are no more, as far as anybody knows.
		IF taken_over IS NOT NULL THEN
			DELETE FROM executing x WHERE x.run_id = ANY (taken_over);
		END IF;
		UPDATE runs q SET worker = claimer, epoch = q.epoch + 1,
			suspicion = q.suspicion + (q.worker <> '')::integer, crashes = q.crashes + (q.worker <> '' AND q.mark)::integer,
			mark = false  -- counted once: its code does not execute any more
		WHERE q.ctid = ANY (places) AND q.worker <> claimer;
		RETURN QUERY SELECT NULL::timestamptz, NULL::boolean, (SELECT q FROM runs q WHERE q.id = u.id)
			FROM unnest(got) WITH ORDINALITY u (id, place) ORDER BY u.place;
	END IF;
	run := NULL;
	RETURN NEXT;
END $$;

-- For binaries that know no patience.
CREATE OR REPLACE FUNCTION claim(claimer text, claimer_build text, defs definition[], n integer, wakes timestamptz, again boolean)
RETURNS TABLE (next_at timestamptz, more boolean, run runs) LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
	RETURN QUERY SELECT * FROM claim_2(claimer, claimer_build, defs, n, wakes, again, interval '0');
END $$;

-- Takes ownership of those of some runs that are free and have something to do, without a
-- look at all others. In a row without a run it returns which somebody else is at with this
-- moment, and when the first lease of a worker that owns one lapses.
CREATE OR REPLACE FUNCTION claim_named(claimer text, claimer_build text, defs definition[], names text[], wakes timestamptz)
RETURNS TABLE (next_at timestamptz, busy text[], run runs) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off SET plan_cache_mode = force_generic_plan
SET search_path FROM CURRENT AS $$
DECLARE
	got text[];
	places tid[];
BEGIN
	-- What the worker executes is a filter only, so that no plan can begin with all runs of a
	-- workflow.
	SELECT array_agg(l.id), array_agg(l.place) INTO got, places FROM
		(SELECT q.* FROM (SELECT u FROM unnest(names) u ORDER BY u COLLATE "C") n CROSS JOIN LATERAL
			(SELECT p.id, p.ctid AS place FROM runs p WHERE p.id = n.u AND p.worker = '' AND (p.messages > 0 OR p.wake_at <= wakes)
				AND p.blocked_build IS DISTINCT FROM nullif(claimer_build, '') AND (p.workflow, p.version)::definition = ANY (defs)
				AND p.paused_at IS NULL AND (SELECT w.at FROM paused_workflows w WHERE w.workflow = p.workflow) IS NULL
			FOR NO KEY UPDATE SKIP LOCKED) q) l;
	got := coalesce(got, '{}');
	IF cardinality(got) < cardinality(names) THEN
		SELECT array_agg(q.id) FILTER (WHERE q.worker = ''), min(greatest(w.lease_until, wakes)) FILTER (WHERE q.worker <> '')
		INTO busy, next_at FROM unnest(names) n CROSS JOIN LATERAL (SELECT * FROM runs p WHERE p.id = n OFFSET 0) q LEFT JOIN workers w ON w.name = q.worker
		WHERE q.worker <> claimer AND (q.messages > 0 OR q.wake_at <= wakes) AND q.blocked_build IS DISTINCT FROM nullif(claimer_build, '')
			AND (q.workflow, q.version)::definition = ANY (defs) AND q.id <> ALL (got)
			AND q.paused_at IS NULL AND (SELECT w.at FROM paused_workflows w WHERE w.workflow = q.workflow) IS NULL;
	END IF;
	IF got <> '{}' THEN
		RETURN QUERY UPDATE runs q SET worker = claimer, epoch = q.epoch + 1, mark = false WHERE q.ctid = ANY (places)
			RETURNING NULL::timestamptz, NULL::text[], q;
	END IF;
	run := NULL;
	RETURN NEXT;
END $$;
