-- Extends a worker's lease, or registers it, with the number of the schema that its binary
-- knows. It returns the time.
CREATE OR REPLACE FUNCTION renew_2(worker text, worker_build text, defs jsonb, lease interval, known integer, keys text) RETURNS timestamptz LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET search_path FROM CURRENT AS $$
DECLARE
	at timestamptz := clock_timestamp();
BEGIN
	INSERT INTO workers AS w (name, build, definitions, renewed_at, lease_until, schema, link_keys)
		VALUES (worker, worker_build, defs, at, at + lease, known, keys)
	ON CONFLICT (name) DO UPDATE SET build = excluded.build, definitions = excluded.definitions,
		renewed_at = excluded.renewed_at, lease_until = excluded.lease_until, schema = excluded.schema, link_keys = excluded.link_keys;
	-- A run whose worker has no row counts as one whose lease has lapsed.
	DELETE FROM workers w WHERE w.lease_until < at - interval '1 day';
	RETURN at;
END $$;

-- For binaries that know schema 2 or lower.
CREATE OR REPLACE FUNCTION renew(worker text, worker_build text, defs jsonb, lease interval) RETURNS timestamptz LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
	RETURN renew_2(worker, worker_build, defs, lease, 0, NULL);
END $$;

-- Ends a worker's lease and frees its runs, except for those that somebody else has
-- locked. It returns whether there were any, and whether some are left.
CREATE OR REPLACE FUNCTION release(name_of text, OUT freed boolean, OUT more boolean) LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET search_path FROM CURRENT AS $$
DECLARE
	ids text[];
	places tid[];
BEGIN
	SELECT array_agg(l.id), array_agg(l.ctid) INTO ids, places FROM
		(SELECT q.id, q.ctid FROM runs q WHERE q.worker = name_of ORDER BY q.id FOR NO KEY UPDATE SKIP LOCKED) l;
	DELETE FROM executing x WHERE x.run_id = ANY (ids);
	UPDATE runs q SET worker = '' WHERE q.ctid = ANY (places);
	freed := ids IS NOT NULL;
	more := EXISTS (SELECT FROM runs q WHERE q.worker = name_of);
	IF NOT more THEN
		DELETE FROM workers w WHERE w.name = name_of;
	END IF;
END $$;
