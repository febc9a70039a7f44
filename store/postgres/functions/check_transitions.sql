-- Locks runs that get messages, other than those that somebody else has locked. It returns
-- those that it has locked, and those that are not there.
CREATE OR REPLACE FUNCTION lock_targets(targets text[]) RETURNS text[] LANGUAGE plpgsql AS $$
BEGIN
	RETURN ARRAY(SELECT s FROM unnest(targets) s
		LEFT JOIN LATERAL (SELECT q.id FROM runs q WHERE q.id = s FOR NO KEY UPDATE SKIP LOCKED) l ON true
		WHERE l.id IS NOT NULL OR (SELECT q.id FROM runs q WHERE q.id = s) IS NULL);
END $$;

-- Locks the runs of transitions, which have to find them as they expect, and not paused, and carries out what
-- these say of backlogs. The first transition is number k + 1. It returns the runs that end,
-- whether one is left to others with something to do (freed), how many messages each
-- transition leaves (lefts), whether messages are taken (takes), whether a run that ends may
-- leave something unread (leaves), the transitions that end a run with backlogs (deep) or one that is
-- awaited, and a verdict on each that is refused, or that puts messages into a mailbox.
CREATE OR REPLACE FUNCTION check_transitions(ts transition[], claims integer[], bs backlog_change[], changed integer[], k integer, INOUT lefts integer[], reachable text[],
	OUT finished text[], OUT freed boolean, OUT takes boolean, OUT leaves boolean, OUT deep integer[], OUT awaited integer[], OUT verdicts verdict[]) LANGUAGE plpgsql AS $$
DECLARE
	found integer[];    -- transitions whose runs are there, and locked now
	odd integer[];      -- of those, the ones that have to do with the mailbox, or are refused
	codes text[];       -- of those, why
	waiting integer[];  -- of those, the messages that were there
	t transition;
	c backlog_change;
	i integer;
	n integer;
	taken integer;
	admitted integer;
	code text;
BEGIN
	SELECT array_agg(l.i), array_agg(l.i) FILTER (WHERE l.odd), array_agg(l.code) FILTER (WHERE l.odd), array_agg(l.messages) FILTER (WHERE l.odd),
		array_agg(l.run_id) FILTER (WHERE l.ended AND NOT l.odd), coalesce(bool_or(l.due), false),
		array_agg(l.i) FILTER (WHERE l.ended AND l.backlogs > 0), array_agg(l.i) FILTER (WHERE l.ended AND l.awaited)
	INTO found, odd, codes, waiting, finished, freed, deep, awaited FROM
		(SELECT f.*, f.code IS NOT NULL OR f.messages > 0 OR f.took <> '{}' OR f.i = ANY (changed) AS odd FROM
			(SELECT k + x.ordinality AS i, x.run_id, x.ended, x.took, q.messages, q.backlogs, q.awaited,
				NOT x.keep AND NOT x.ended AND (q.messages > 0 OR x.wake_at <= x.at) AS due,
				CASE
				WHEN q.ended_at IS NOT NULL THEN 'fenced'
				WHEN k + x.ordinality = ANY (claims) AND (q.epoch <> x.epoch - 1 OR q.worker <> '') THEN 'fenced'
				WHEN k + x.ordinality <> ALL (claims) AND (q.epoch <> x.epoch OR q.worker NOT IN ('', x.worker)) THEN 'fenced'
				WHEN q.paused_at IS NOT NULL OR q.workflow = ANY (ARRAY(SELECT w.workflow FROM paused_workflows w)) THEN 'paused'
				WHEN q.events <> x.after THEN 'conflict'
				WHEN NOT x.sends_to <@ reachable THEN 'busy' END AS code
			FROM (SELECT * FROM unnest(ts) WITH ORDINALITY u ORDER BY u.run_id COLLATE "C") x CROSS JOIN LATERAL
				(SELECT p.epoch, p.worker, p.ended_at, p.events, p.messages, p.backlogs, p.awaited, p.workflow, p.paused_at FROM runs p WHERE p.id = x.run_id FOR NO KEY UPDATE SKIP LOCKED) q) f) l;
	verdicts := '{}';
	IF coalesce(cardinality(found), 0) < cardinality(ts) THEN
		verdicts := ARRAY(SELECT (k + x.ordinality, NULL, CASE WHEN (SELECT q.id FROM runs q WHERE q.id = x.run_id) IS NULL THEN 'not_found' ELSE 'busy' END,
				NULL, NULL)::verdict
			FROM unnest(ts) WITH ORDINALITY x WHERE k + x.ordinality <> ALL (coalesce(found, '{}')));
	END IF;
	takes := false;
	leaves := odd <> '{}' OR deep <> '{}';
	-- The mailbox is looked at when the run is locked.
	FOR j IN 1 .. coalesce(cardinality(odd), 0) LOOP
		i := odd[j];
		t := ts[i - k];
		code := codes[j];
		lefts[i] := waiting[j];
		IF code IS NULL AND t.took <> '{}' THEN
			-- One by one, so that no plan can read all that is in the mailbox.
			SELECT count(DISTINCT m) FILTER (WHERE (SELECT b.id FROM mailbox b WHERE b.run_id = t.run_id AND b.id = m) IS NOT NULL), count(DISTINCT m)
			INTO taken, n FROM unnest(t.took) m;
			IF taken < n THEN
				code := 'conflict';
			END IF;
			lefts[i] := lefts[i] - taken;
		END IF;
		c := NULL;
		IF i = ANY (changed) THEN
			SELECT * INTO c FROM unnest(bs) x WHERE x.t = i;
		END IF;
		-- By itself, since a condition with a query in it is a statement, whatever comes before AND.
		IF code IS NULL AND lefts[i] > 0 AND t.no_mail_before IS NOT NULL THEN
			IF EXISTS (SELECT FROM mailbox m WHERE m.run_id = t.run_id AND m.id <> ALL (t.took) AND m.ref <> ALL (coalesce(c.defers, '{}'))
				AND (m.accepted_at < t.no_mail_before OR t.no_mail_before >= '9999-12-31 00:00:00+00')) THEN
				code := 'conflict';
			END IF;
		END IF;
		IF code IS NULL AND c.t IS NOT NULL THEN
			IF backlogs_conflict(t, c) THEN
				code := 'conflict';
			ELSE
				SELECT x.gone, x.came INTO taken, admitted FROM change_backlogs(t.run_id, t.took, c) x;
				lefts[i] := lefts[i] - taken + admitted;
				IF admitted > 0 THEN
					verdicts := verdicts || (i, NULL, 'mail', t.run_id, NULL)::verdict;
				END IF;
			END IF;
		END IF;
		IF code IS NOT NULL THEN
			verdicts := verdicts || (i, NULL, code, NULL, NULL)::verdict;
		ELSE
			takes := takes OR t.took <> '{}';
			IF t.ended THEN
				finished := finished || t.run_id;
			END IF;
		END IF;
	END LOOP;
END $$;
