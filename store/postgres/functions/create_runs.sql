-- Creates runs, as their first transition leaves them. It returns those that have ended with
-- it, whether one is left to others with something to do, and a verdict on each transition that
-- is refused.
CREATE OR REPLACE FUNCTION create_runs(ns transition[], reachable text[], OUT finished text[], OUT freed boolean, OUT refused verdict[]) LANGUAGE plpgsql AS $$
DECLARE
	made text[];
BEGIN
	WITH inserted AS (
		INSERT INTO runs AS q (id, workflow, version, status, parent_id, parent_ref, trace, secret, created_at, updated_at, ended_at,
			wake_at, due_at, worker, epoch, events, suspicion, mark, crashes, blocked_build, blocked_reason)
		SELECT x.run_id, x.creates->>'workflow', coalesce(nullif(x.version, 0), (x.creates->>'version')::integer, 0), x.status,
			coalesce(x.creates->>'parent_id', ''), coalesce(x.creates->>'parent_ref', ''), x.creates->>'trace', decode(x.creates->>'secret', 'base64'),
			x.at, x.at, CASE WHEN x.ended THEN x.at END, CASE WHEN NOT x.ended THEN x.wake_at END, CASE WHEN NOT x.ended THEN x.wake_at END,
			CASE WHEN x.keep AND NOT x.ended THEN x.worker ELSE '' END, x.epoch, x.events,
			x.suspicion, x.mark, x.crashes, x.blocked_build, x.blocked_reason
		FROM unnest(ns) x WHERE x.epoch = 1 AND x.after = 0 AND x.took = '{}' AND x.sends_to <@ reachable
			AND x.creates->>'workflow' <> ALL (ARRAY(SELECT w.workflow FROM paused_workflows w)) ORDER BY x.run_id
		ON CONFLICT DO NOTHING
		RETURNING q.id, q.ended_at, q.worker = '' AND q.wake_at <= q.updated_at AS due)
	SELECT array_agg(x.id), array_agg(x.id) FILTER (WHERE x.ended_at IS NOT NULL), coalesce(bool_or(x.due), false)
	INTO made, finished, freed FROM inserted x;
	refused := '{}';
	IF coalesce(cardinality(made), 0) < cardinality(ns) THEN
		-- Locked, as whatever a caller is told is there (see start_run).
		PERFORM FROM unnest(ns) x, LATERAL (SELECT FROM runs q WHERE q.id = x.run_id FOR KEY SHARE) l WHERE x.run_id = ANY (made) IS NOT TRUE;
		refused := ARRAY(SELECT (x.ordinality, NULL, CASE
				WHEN x.creates->>'workflow' = ANY (ARRAY(SELECT w.workflow FROM paused_workflows w)) THEN 'paused'
				WHEN NOT x.sends_to <@ reachable THEN 'busy'
				WHEN x.epoch <> 1 OR x.after <> 0 OR x.took <> '{}' THEN 'conflict'
				ELSE 'exists' END, NULL, NULL)::verdict
			FROM unnest(ns) WITH ORDINALITY x WHERE x.run_id = ANY (made) IS NOT TRUE);
	END IF;
END $$;
