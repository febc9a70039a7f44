-- Starts a run that is free, with its Started message. False if the ID is taken. The run that has
-- it is locked, as whatever a caller is told is there: so the commit waits for a synchronous
-- standby though it writes nothing, and what the caller was told survives a failover.
CREATE OR REPLACE FUNCTION start_run(r jsonb, at timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO runs (id, workflow, version, status, parent_id, parent_ref, trace, secret, created_at, updated_at, due_at, messages, epoch, events)
	VALUES (r->>'id', r->>'workflow', coalesce((r->>'version')::integer, 0), 'running', coalesce(r->>'parent_id', ''), coalesce(r->>'parent_ref', ''), r->>'trace',
		decode(r->>'secret', 'base64'), at, at, at, 1, 0, 0)
	ON CONFLICT DO NOTHING;
	IF NOT FOUND THEN
		PERFORM FROM runs q WHERE q.id = r->>'id' FOR KEY SHARE;
		RETURN false;
	END IF;
	INSERT INTO mailbox (run_id, kind, ref, data, accepted_at, actor) VALUES (r->>'id', 'started', '', decode(r->>'input', 'base64'), at, r->>'actor');
	RETURN true;
END $$;

-- Starts a run with a hook that is reserved for it. False if the token is taken,
-- NULL if the ID is.
CREATE OR REPLACE FUNCTION start_reserved(r jsonb, hook_token text, hook_type text, at timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	hook bigint;
BEGIN
	LOOP
		INSERT INTO hooks (run_id, id, token, type, webhook, reserved, created_at, opened_pos)
		VALUES (r->>'id', (r->>'id') || '.h0', hook_token, coalesce(hook_type, ''), decode(r->>'webhook', 'base64'), true, at, 0)
		ON CONFLICT DO NOTHING
		RETURNING number INTO hook;
		EXIT WHEN FOUND;
		IF EXISTS (SELECT FROM hooks h WHERE h.token = hook_token AND h.closed_at IS NULL) THEN
			RETURN false;
		END IF;
		PERFORM FROM hooks h WHERE h.run_id = r->>'id' AND h.id = (r->>'id') || '.h0' FOR KEY SHARE;
		IF FOUND THEN
			RETURN NULL;
		END IF;
		-- The token was released between the two statements.
	END LOOP;
	IF NOT start_run(r, at) THEN
		DELETE FROM hooks WHERE number = hook;
		RETURN NULL;
	END IF;
	RETURN true;
END $$;

-- Starts runs. For each of them it returns NULL, or exists. Runs that exist are locked, as
-- start_run does.
CREATE OR REPLACE FUNCTION start_2(rs jsonb[]) RETURNS SETOF text LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
SET lock_timeout = '20ms'  -- as set_lock_timeout has it
SET search_path FROM CURRENT AS $$
DECLARE
	at constant timestamptz := clock_timestamp();
	made integer[];
BEGIN
	WITH inserted AS (
		INSERT INTO runs AS q (id, workflow, version, status, parent_id, parent_ref, trace, secret, created_at, updated_at, due_at, messages, epoch, events)
		SELECT r->>'id', r->>'workflow', coalesce((r->>'version')::integer, 0), 'running', coalesce(r->>'parent_id', ''), coalesce(r->>'parent_ref', ''),
			r->>'trace', decode(r->>'secret', 'base64'), at, at, at, 1, 0, 0
		FROM unnest(rs) r ORDER BY r->>'id' COLLATE "C"
		ON CONFLICT DO NOTHING
		RETURNING q.id)
	SELECT array_agg(x.place) INTO made FROM
		(SELECT min(u.ordinality)::integer AS place FROM unnest(rs) WITH ORDINALITY u (r, ordinality)
		WHERE r->>'id' IN (SELECT i.id FROM inserted i) GROUP BY r->>'id') x;
	made := coalesce(made, '{}');
	IF cardinality(made) < cardinality(rs) THEN
		PERFORM FROM unnest(rs) WITH ORDINALITY u (r, place) CROSS JOIN LATERAL
			(SELECT FROM runs q WHERE q.id = r->>'id' AND place <> ALL (made) FOR KEY SHARE) l;
	END IF;
	INSERT INTO mailbox (run_id, kind, ref, data, accepted_at, actor)
	SELECT rs[n]->>'id', 'started', '', decode(rs[n]->>'input', 'base64'), at, rs[n]->>'actor' FROM unnest(made) n;
	RETURN QUERY SELECT CASE WHEN n = ANY (made) THEN NULL ELSE 'exists' END FROM generate_series(1, cardinality(rs)) n;
END $$;

-- Starts a run, for transactions of the application, and for binaries that start them one by
-- one. NULL, or exists.
CREATE OR REPLACE FUNCTION start(mode text, r jsonb) RETURNS text LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
SET search_path FROM CURRENT AS $$
BEGIN
	PERFORM set_lock_timeout(mode);
	RETURN CASE WHEN start_run(r, clock_timestamp()) THEN NULL ELSE 'exists' END;
END $$;
