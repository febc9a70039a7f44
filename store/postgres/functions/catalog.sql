-- Keeps hook types, in the place of those with the same names.
CREATE OR REPLACE FUNCTION put_hook_types(names text[], payloads text[]) RETURNS void LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET search_path FROM CURRENT AS $$
BEGIN
	INSERT INTO hook_types AS t (name, payload) SELECT n.name, n.payload FROM unnest(names, payloads) n (name, payload) ORDER BY n.name
	ON CONFLICT (name) DO UPDATE SET payload = excluded.payload WHERE t.payload <> excluded.payload;
END $$;
