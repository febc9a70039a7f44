-- Lets a run await the end of another one (id). If there is no such run, or if that has ended or may
-- await this one, it gets a message about that; then it returns true. Both are locked.
CREATE OR REPLACE FUNCTION subscribe(e effect) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	subscriber runs;
	target runs;
	cycle text[];
BEGIN
	subscriber := lock_run('alone', e.run_id);
	target := lock_run('alone', e.id);  -- it may have been started since we looked
	IF target.id IS NULL THEN
		RETURN send_to(subscriber, 'await_refused', e.ref || ' run ' || e.id, NULL, NULL, NULL);
	ELSIF target.ended_at IS NOT NULL THEN
		RETURN send_to(subscriber, told_as(target), told_ref(target, e.ref), told_data(target), NULL, NULL);
	END IF;
	cycle := await_cycle(e.run_id, e.id);
	IF cycle IS NOT NULL THEN
		RETURN send_to(subscriber, 'await_refused', e.ref || ' run ' || e.id, convert_to(to_json(cycle)::text, 'UTF8'), NULL, NULL);
	END IF;
	INSERT INTO subscriptions (run_id, ref, target) VALUES (e.run_id, e.ref, e.id)
	ON CONFLICT (run_id, ref) DO UPDATE SET target = excluded.target;
	-- Also where it is so: a transaction of the application that ends the target on a snapshot from
	-- before this subscription fails then.
	UPDATE runs q SET awaited = true WHERE q.id = e.id;
	RETURN false;
END $$;

-- The runs of which each awaits the next, from target to the run that is about to await it. NULL
-- if there are none.
CREATE OR REPLACE FUNCTION await_cycle(run text, target text) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
	nodes text[] := ARRAY[target];
	via integer[] := '{0}';  -- for each node the number of the one that awaits it
	path text[];
	next text;
	i integer := 1;
BEGIN
	IF run = target THEN
		RETURN ARRAY[run];
	END IF;
	IF NOT EXISTS (SELECT FROM subscriptions s WHERE s.target = run) OR NOT EXISTS (SELECT FROM subscriptions s WHERE s.run_id = await_cycle.target) THEN
		RETURN NULL;
	END IF;
	-- Of the subscriptions that close a cycle at the same time, two that have a run in common wait
	-- for its lock, and the others for this one: the last sees all of them.
	PERFORM pg_advisory_xact_lock(hashtext('tenter subscriptions of ' || current_schema()));
	IF NOT EXISTS (WITH RECURSIVE reach (id) AS (SELECT await_cycle.target COLLATE "C" UNION SELECT s.target FROM reach r JOIN subscriptions s ON s.run_id = r.id)
			SELECT FROM reach r WHERE r.id = run) THEN
		RETURN NULL;
	END IF;
	LOOP
		FOR next IN SELECT s.target FROM subscriptions s WHERE s.run_id = nodes[i] ORDER BY s.ref LOOP
			IF next = run THEN
				path := ARRAY[run];
				WHILE i > 0 LOOP
					path := nodes[i] || path;
					i := via[i];
				END LOOP;
				RETURN path;
			ELSIF next <> ALL (nodes) THEN
				nodes := nodes || next;
				via := via || i;
			END IF;
		END LOOP;
		i := i + 1;
	END LOOP;
END $$;

-- The kind of the message about the end of a run.
CREATE OR REPLACE FUNCTION told_as(r runs) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN CASE WHEN r.status = 'completed' THEN 'awaited_completed' ELSE 'awaited_failed' END;
END $$;

-- Its reference, for a subscription.
CREATE OR REPLACE FUNCTION told_ref(r runs, ref text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN ref || ' of ' || r.workflow || ' run ' || r.id;
END $$;

-- Its data.
CREATE OR REPLACE FUNCTION told_data(r runs) RETURNS bytea LANGUAGE plpgsql AS $$
BEGIN
	RETURN (SELECT j.data FROM journal j WHERE j.run_id = r.id AND j.position = r.events);
END $$;

-- Tells those that await a run of its end, as many as one transaction may, but for those that are in
-- use. The run is locked. It returns verdicts of operation t: on the runs that got a message, and untold
-- if there are others.
CREATE OR REPLACE FUNCTION tell_end(t integer, run text) RETURNS verdict[] LANGUAGE plpgsql AS $$
DECLARE
	r runs;
	result bytea;
	s subscriptions;
	subscriber runs;
	verdicts verdict[] := '{}';
	left_to_tell integer;
BEGIN
	SELECT * INTO r FROM runs q WHERE q.id = run;
	result := told_data(r);
	left_to_tell := greatest(1, least(1000, (16 << 20) / greatest(1, length(coalesce(result, '')))));
	FOR s IN SELECT * FROM subscriptions x WHERE x.target = run ORDER BY x.run_id, x.ref LOOP
		EXIT WHEN left_to_tell = 0;
		subscriber := lock_run('batch', s.run_id);
		CONTINUE WHEN subscriber.id IS NULL AND EXISTS (SELECT FROM runs q WHERE q.id = s.run_id);
		IF tell_subscriber(subscriber, s, r, result) THEN
			verdicts := verdicts || (t, NULL, 'mail', s.run_id, NULL)::verdict;
		END IF;
		left_to_tell := left_to_tell - 1;
	END LOOP;
	IF EXISTS (SELECT FROM subscriptions x WHERE x.target = run) THEN
		RETURN verdicts || (t, NULL, 'untold', run, NULL)::verdict;
	END IF;
	UPDATE runs q SET awaited = false WHERE q.id = run;
	RETURN verdicts;
END $$;

-- Tells a run, which is locked, of the end of another one (r), unless it has ended its subscription
-- meanwhile. It returns whether it got a message.
CREATE OR REPLACE FUNCTION tell_subscriber(subscriber runs, s subscriptions, r runs, result bytea) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM subscriptions x WHERE x.run_id = s.run_id AND x.ref = s.ref AND x.target = r.id;
	RETURN FOUND AND subscriber.id IS NOT NULL AND send_to(subscriber, told_as(r), told_ref(r, s.ref), result, NULL, NULL);
END $$;

-- Goes on with reporting the end of a run, the first that somebody is told of: neither the run nor all
-- that await it are in use. It returns the runs that got a message.
CREATE OR REPLACE FUNCTION tell_ends(OUT more boolean, OUT told text[]) LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET search_path FROM CURRENT AS $$
DECLARE
	run text;
BEGIN
	PERFORM set_lock_timeout('alone');
	FOR run IN SELECT q.id FROM runs q WHERE q.awaited AND q.ended_at IS NOT NULL ORDER BY q.ended_at FOR NO KEY UPDATE SKIP LOCKED LOOP
		told := ARRAY(SELECT v.run_id FROM unnest(tell_end(1, run)) v WHERE v.code = 'mail');
		EXIT WHEN told <> '{}';
	END LOOP;
	more := FOUND OR EXISTS (SELECT FROM runs q WHERE q.awaited AND q.ended_at IS NOT NULL);
END $$;

-- Sees to it that the ends of runs are told, of which some were imported and others are awaited by
-- such: at once, if they have ended.
CREATE OR REPLACE FUNCTION await_imported(targets text[]) RETURNS void LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET search_path FROM CURRENT AS $$
DECLARE
	target text;
	r runs;
BEGIN
	-- Another import may bring the run, or those that await it.
	PERFORM pg_advisory_xact_lock(hashtext('tenter subscriptions of ' || current_schema()));
	FOR target IN SELECT DISTINCT u COLLATE "C" FROM unnest(targets) u ORDER BY 1 LOOP
		r := lock_run('alone', target);
		CONTINUE WHEN r.id IS NULL OR NOT EXISTS (SELECT FROM subscriptions s WHERE s.target = r.id);
		UPDATE runs q SET awaited = true WHERE q.id = r.id;
		IF r.ended_at IS NOT NULL THEN
			PERFORM tell_end(1, r.id);
		END IF;
	END LOOP;
END $$;
