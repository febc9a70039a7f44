-- Makes a free run of the beginning of another's journal, as f says: store.Fork, as JSON. It returns
-- nothing, or one verdict: not_found, conflict, old_worker, exists, with the token that is taken or
-- none if the ID is.
CREATE OR REPLACE FUNCTION fork(mode text, f jsonb) RETURNS SETOF verdict LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET search_path FROM CURRENT AS $$
DECLARE
	made constant text := f->'run'->>'id';
	upto constant bigint := (f->'origin'->>'position')::bigint;
	from_generation constant integer := (f->>'generation')::integer;
	from_base constant bigint := (f->>'base')::bigint;
	o runs;
	known boolean;
	old text;
	tok text;
	at timestamptz;
BEGIN
	PERFORM set_lock_timeout(mode);
	-- No retry cuts it meanwhile, and nothing prunes it.
	SELECT * INTO o FROM runs q WHERE q.id = f->'origin'->>'run_id' FOR SHARE;
	IF NOT FOUND THEN
		RETURN NEXT (1, NULL, 'not_found', NULL, NULL)::verdict;
		RETURN;
	END IF;
	IF from_generation = o.generation THEN
		known := from_base = o.base AND upto > o.base;
	ELSE
		-- Nobody deletes it meanwhile.
		PERFORM FROM generations g WHERE g.run_id = o.id AND g.number = from_generation AND g.base = from_base AND upto > g.base AND upto <= g.last FOR SHARE;
		known := FOUND;
	END IF;
	IF NOT known
		OR NOT EXISTS (SELECT FROM journal e WHERE e.run_id = o.id AND e.position = upto AND e.epoch = (f->>'epoch')::bigint AND e.seq = (f->>'seq')::bigint)
		OR EXISTS (SELECT FROM jsonb_array_elements(nullif(f->'hooks', 'null')) h
			WHERE (SELECT q.number FROM hooks q WHERE q.run_id = o.id AND q.id = h->>'id') IS NULL) THEN
		RETURN NEXT (1, NULL, 'conflict', NULL, NULL)::verdict;
		RETURN;
	END IF;
	old := serve_generations();
	IF old IS NOT NULL THEN
		RETURN NEXT (1, NULL, 'old_worker', NULL, old)::verdict;
		RETURN;
	END IF;
	LOOP
		SELECT x.token INTO tok FROM forked_hooks(o, f) x
		WHERE (SELECT q.number FROM hooks q WHERE q.token = x.token AND q.closed_at IS NULL) IS NOT NULL  -- one by one, never a join
		LIMIT 1;
		IF FOUND THEN
			RETURN NEXT (1, NULL, 'exists', NULL, tok)::verdict;
			RETURN;
		END IF;
		at := clock_timestamp();
		BEGIN
			INSERT INTO runs (id, workflow, version, status, parent_id, parent_ref, trace, secret, created_at, updated_at, due_at, messages, epoch, events,
				generation, base, forked_from, origin)
			VALUES (made, f->'run'->>'workflow', coalesce((f->'run'->>'version')::integer, 0), 'running', '', '', f->'run'->>'trace',
				decode(f->'run'->>'secret', 'base64'), at, at, at, 1, o.epoch, upto, from_generation, from_base, o.id, f->'origin');
			INSERT INTO hooks (run_id, id, token, type, metadata, webhook, reserved, carried, adopted_as, created_at, opened_pos, subject)
			SELECT made, x.id, x.token, x.type, x.metadata, x.webhook, x.reserved, x.carried, x.adopted_as, x.created_at, x.opened_pos,
				CASE WHEN NOT x.reserved THEN x.subject END
			FROM forked_hooks(o, f) x;
			EXIT;
		EXCEPTION WHEN unique_violation THEN
			PERFORM FROM runs q WHERE q.id = made FOR KEY SHARE;  -- as start_run does
			IF FOUND THEN
				RETURN NEXT (1, NULL, 'exists', NULL, NULL)::verdict;
				RETURN;
			END IF;
			IF current_setting('transaction_isolation') <> 'read committed' THEN
				RAISE;  -- in its snapshot nobody has it
			END IF;
		END;
	END LOOP;
	PERFORM listen_all(made);
	INSERT INTO journal (run_id, position, at, kind, ref, data, asked, epoch, seq, actor)
	SELECT made, e.position, e.at, e.kind, e.ref, e.data, e.asked, e.epoch, e.seq, e.actor FROM journal e
	WHERE e.run_id = o.id AND e.position > from_base AND e.position <= upto ORDER BY e.position;
	INSERT INTO mailbox (run_id, kind, ref, data, accepted_at, actor) VALUES (made, 'forked', o.id, decode(f->>'data', 'base64'), at, f->'run'->>'actor');
END $$;

-- The hooks of a run that a fork is to have, with its tokens, and as it is to have them.
CREATE OR REPLACE FUNCTION forked_hooks(o runs, f jsonb) RETURNS SETOF hooks LANGUAGE plpgsql AS $$
DECLARE
	x record;
	h hooks;
BEGIN
	FOR x IN SELECT * FROM jsonb_to_recordset(coalesce(nullif(f->'hooks', 'null'), '[]')) AS (id text, token text, unopened boolean) LOOP
		SELECT * INTO h FROM hooks q WHERE q.run_id = o.id AND q.id = x.id;
		h.token := coalesce(nullif(x.token, ''), h.token);
		h.reserved := coalesce(x.unopened, false) AND (h.reserved OR (f->>'generation')::integer = 0);
		h.carried := coalesce(x.unopened, false) AND NOT h.reserved;
		h.opened_pos := least(h.opened_pos, (f->'origin'->>'position')::bigint);
		IF x.unopened THEN
			h.adopted_as := NULL;
			h.opened_pos := 0;
		END IF;
		RETURN NEXT h;
	END LOOP;
END $$;
