-- Records an answer. NULL, or who has answered before.
CREATE OR REPLACE FUNCTION record_response(e effect) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	first text;
BEGIN
	LOOP
		INSERT INTO responses (request, run_id, responder, status, header, body, at, expires_at)
		VALUES (e.id, e.run_id, e.ref, e.status, e.metadata, e.data, e.at, e.keep_until)
		ON CONFLICT DO NOTHING;
		IF FOUND THEN
			RETURN NULL;
		END IF;
		-- Locked, as whatever a caller is told is there (see start_run).
		SELECT responder INTO first FROM responses WHERE request = e.id FOR KEY SHARE;
		IF FOUND THEN
			RETURN nullif(first, e.ref);
		END IF;
		-- It was deleted between the two statements, being too old.
	END LOOP;
END $$;

-- Answers a request. NULL, or exists.
CREATE OR REPLACE FUNCTION respond(mode text, e effect) RETURNS text LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
SET search_path FROM CURRENT AS $$
BEGIN
	PERFORM set_lock_timeout(mode);
	RETURN CASE WHEN record_response(e) IS NULL THEN NULL ELSE 'exists' END;
END $$;
