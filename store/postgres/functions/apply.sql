-- Writes transitions. Each is written with all its effects or not at all, and has
-- its own verdict; of those that are written only what is worth telling is returned.
-- ns are those that create their runs, and ts the others; they are counted in this order.
-- A run is in them at most once. Each part is called once for all of them, and only where there
-- is something for it to do. A call costs as much as a row, and a statement as a row or two: so
-- what every batch does is not in parts, and these are called in assignments, which are no
-- statements for the planner, as PERFORM and SELECT are. claims are the numbers of those that
-- claim a free run, in the epoch after that of the run.
CREATE OR REPLACE FUNCTION apply_2(ns transition[], ts transition[], es event_2[], fx effect[], un message_2[], ex attempt[], bs backlog_change[], claims integer[])
RETURNS SETOF verdict LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off SET plan_cache_mode = force_generic_plan
SET lock_timeout = '20ms'  -- as set_lock_timeout has it
SET search_path FROM CURRENT AS $$
DECLARE
	k constant integer := cardinality(ns);
	written boolean[] := array_fill(true, ARRAY[k + cardinality(ts)]);
	lefts integer[] := array_fill(0, ARRAY[k + cardinality(ts)]);  -- messages that are not taken
	targets text[];                -- runs that get messages
	reachable text[] := '{}';      -- of those, the ones that are locked now, or are not there
	freed boolean := false;        -- runs are left to others with something to do
	finished text[];
	changed integer[] := '{}';     -- transitions that say something of backlogs
	deep integer[];                -- transitions that end a run that has some
	awaited integer[];             -- transitions that end a run that others await
	created record;
	checked record;
	listened boolean;              -- a run that ends had hooks open, which listened
	leaves boolean := un <> '{}';  -- a run that ends may leave something unread
	v verdict;
	i integer;
BEGIN
	IF fx <> '{}' THEN
		SELECT array_agg(DISTINCT s COLLATE "C") INTO targets FROM unnest(ns || ts) x, unnest(x.sends_to) s;
		IF targets IS NOT NULL THEN
			reachable := lock_targets(targets);
			leaves := true;
		END IF;
	END IF;
	IF bs <> '{}' THEN
		changed := ARRAY(SELECT x.t FROM unnest(bs) x);
	END IF;

	IF k > 0 THEN
		created := create_runs(ns, reachable);
		finished := created.finished;
		freed := created.freed;
		FOREACH v IN ARRAY created.refused LOOP
			written[v.t] := false;
			RETURN NEXT v;
		END LOOP;
	END IF;
	IF ts <> '{}' THEN
		checked := check_transitions(ts, claims, bs, changed, k, lefts, reachable);
		finished := finished || checked.finished;
		freed := freed OR checked.freed;
		lefts := checked.lefts;
		deep := checked.deep;
		awaited := checked.awaited;
		leaves := leaves OR checked.leaves;
		FOREACH v IN ARRAY checked.verdicts LOOP
			IF v.code <> 'mail' THEN
				written[v.t] := false;
			END IF;
			RETURN NEXT v;
		END LOOP;
	END IF;
	IF NOT true = ANY (written) THEN
		RETURN;
	END IF;

	IF ts <> '{}' THEN
		IF checked.takes THEN
			DELETE FROM mailbox m USING
				(SELECT (SELECT q.ctid FROM mailbox q WHERE q.run_id = x.run_id AND q.id = y) AS place
				FROM unnest(ts) WITH ORDINALITY x, unnest(x.took) y WHERE written[k + x.ordinality]) l
			WHERE m.ctid = l.place;
		END IF;
		UPDATE runs q SET
			updated_at = x.at, events = q.events + x.events, messages = lefts[k + x.ordinality],
			status = x.status, version = coalesce(nullif(x.version, 0), q.version),
			ended_at = CASE WHEN x.ended THEN x.at END,
			epoch = x.epoch,
			worker = CASE WHEN x.keep AND NOT x.ended THEN x.worker ELSE '' END,
			wake_at = CASE WHEN NOT x.ended THEN x.wake_at END,
			due_at = CASE
				WHEN x.ended THEN NULL
				WHEN lefts[k + x.ordinality] > 0 THEN least(x.wake_at, (SELECT m.accepted_at FROM mailbox m WHERE m.run_id = q.id ORDER BY m.id LIMIT 1))
				-- It still has work: an update that changes no index costs half.
				WHEN x.keep AND x.wake_at <= x.at AND q.due_at <= x.wake_at THEN q.due_at
				ELSE x.wake_at END,
			suspicion = x.suspicion, mark = x.mark, crashes = x.crashes,
			blocked_build = x.blocked_build, blocked_reason = x.blocked_reason
		FROM unnest(ts) WITH ORDINALITY x
		WHERE q.id BETWEEN x.run_id AND x.run_id AND written[k + x.ordinality];
	END IF;
	INSERT INTO journal (run_id, position, at, kind, ref, data, asked, or_start, epoch, seq, actor)
	SELECT x.run_id, x.position, x.at, x.kind, x.ref, x.data, x.asked, x.or_start, x.epoch, x.seq, x.actor FROM unnest(es) x WHERE written[x.t];

	-- Runs that are free with something to do are news to whoever can claim them.
	IF freed THEN
		RETURN QUERY SELECT x.ordinality::integer, NULL::integer, 'mail', x.run_id, NULL FROM unnest(ns || ts) WITH ORDINALITY x
			WHERE written[x.ordinality] AND NOT x.keep AND NOT x.ended AND (lefts[x.ordinality] > 0 OR x.wake_at <= x.at);
	END IF;
	IF fx <> '{}' THEN
		FOREACH v IN ARRAY apply_effects(fx, written) LOOP
			RETURN NEXT v;
			IF v.code = 'mail' AND v.run_id = ANY (finished) THEN
				targets := coalesce(targets, '{}') || v.run_id;
				leaves := true;
			END IF;
		END LOOP;
	END IF;
	IF ex <> '{}' THEN
		INSERT INTO executing AS q (run_id, step, attempt, started_at, worker)
		SELECT x.run_id, x.step, x.attempt, x.started_at, x.worker FROM unnest(ex) x WHERE written[x.t] AND x.attempt > 0
		ON CONFLICT (run_id, step) DO UPDATE SET attempt = excluded.attempt, started_at = excluded.started_at, worker = excluded.worker;
		DELETE FROM executing q USING unnest(ex) x WHERE written[x.t] AND x.attempt = 0
			AND q.run_id BETWEEN x.run_id AND x.run_id AND q.step = x.step;
	END IF;
	IF finished <> '{}' THEN
		DELETE FROM executing q WHERE q.run_id = ANY (finished);
		SELECT bool_or(h.subject IS NOT NULL) INTO listened FROM hooks h WHERE h.run_id = ANY (finished) AND coalesce(h.closed_at, 'infinity') = 'infinity';
		IF listened IS NOT NULL THEN
			UPDATE hooks h SET (closed_at, closed_pos) = (SELECT q.ended_at, q.events FROM runs q WHERE q.id = h.run_id)
			WHERE h.run_id = ANY (finished) AND coalesce(h.closed_at, 'infinity') = 'infinity';
			IF listened THEN
				targets := coalesce(targets, '{}') || cease_closed(VARIADIC finished);
				leaves := true;
			END IF;
		END IF;
		IF leaves THEN
			FOREACH v IN ARRAY leave_unread(ns, ts, un, written, lefts, targets, deep || changed) LOOP
				RETURN NEXT v;
			END LOOP;
		END IF;
		FOREACH i IN ARRAY coalesce(awaited, '{}') LOOP
			IF written[i] THEN
				FOREACH v IN ARRAY tell_end(i, ts[i - k].run_id) LOOP
					RETURN NEXT v;
				END LOOP;
			END IF;
		END LOOP;
	END IF;
END $$;

-- For binaries that claim runs before they write transitions.
CREATE OR REPLACE FUNCTION apply(ns transition[], ts transition[], es event[], fx effect[], un message[], ex attempt[], bs backlog_change[])
RETURNS SETOF verdict LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
	RETURN QUERY SELECT * FROM apply_2(ns, ts, ARRAY(SELECT ROW (e.*, NULL)::event_2 FROM unnest(es) e), fx,
		ARRAY(SELECT ROW (u.*, NULL)::message_2 FROM unnest(un) u), ex, bs, '{}') v WHERE v.code <> 'untold';
END $$;

-- For binaries that know no backlogs.
CREATE OR REPLACE FUNCTION apply(ns transition[], ts transition[], es event[], fx effect[], un message[], ex attempt[])
RETURNS SETOF verdict LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
	RETURN QUERY SELECT * FROM apply(ns, ts, es, fx, un, ex, '{}'::backlog_change[]);
END $$;
