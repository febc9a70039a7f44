-- Puts a payload in the mailbox of the run whose open hook has the token, or in the backlog
-- of the hook (deferred).
CREATE OR REPLACE FUNCTION accept_payload_2(mode text, p payload_2, OUT a acceptance, OUT deferred boolean) LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
SET search_path FROM CURRENT AS $$
DECLARE
	h hooks;
	r runs;
	known receipts;
	at timestamptz;
	started boolean;
BEGIN
	PERFORM set_lock_timeout(mode);
	deferred := false;
	LOOP
		SELECT * INTO h FROM hooks q WHERE q.token = p.token AND q.closed_at IS NULL;
		IF h.number IS NOT NULL THEN
			r := lock_run(mode, h.run_id);
			IF r.id IS NULL THEN
				a.code := 'busy';
				RETURN;
			END IF;
			-- Closing takes the same lock: now it stays open, or is closed for good.
			SELECT * INTO h FROM hooks q WHERE q.number = h.number AND coalesce(q.closed_at, 'infinity') = 'infinity';
			CONTINUE WHEN h.number IS NULL;
		END IF;
		at := clock_timestamp();
		IF p.key IS NOT NULL THEN
			-- Locked, as whatever a caller is told is there (see start_run).
			SELECT * INTO known FROM receipts q WHERE q.token = p.token AND q.key = p.key FOR KEY SHARE;
			IF known.expires_at > at THEN
				a := (NULL, known.hook_id, known.run_id, known.type, known.metadata, known.webhook, false, known.hook_created_at, 0,
					false, true, known.request);
				RETURN;
			END IF;
		END IF;
		IF p.hook IS NOT NULL AND h.id IS DISTINCT FROM p.hook THEN
			a.code := 'not_found';
			RETURN;
		END IF;
		IF h.number IS NOT NULL THEN
			started := false;
			-- What type a reservation will have is decided by the run that adopts it.
			IF (p.type <> h.type AND NOT h.reserved) OR (h.webhook IS NOT NULL AND p.request IS NULL) OR (p.hook IS NULL AND p.or_start ? 'webhook') THEN
				a := ('mismatch', h.id, h.run_id, h.type, h.metadata, h.webhook, h.reserved, h.created_at, h.opened_pos, false, false, NULL);
				RETURN;
			END IF;
			EXIT;
		END IF;
		IF p.or_start IS NULL THEN
			a.code := 'not_found';
			RETURN;
		END IF;
		started := start_reserved(p.or_start, p.token, p.type, at);
		IF started IS NULL THEN
			a.code := 'exists';
			RETURN;
		ELSIF started THEN
			SELECT * INTO h FROM hooks q WHERE q.token = p.token AND q.closed_at IS NULL;
			EXIT;
		END IF;
		-- Somebody else got the token just now.
	END LOOP;
	deferred := h.backlog IS NOT NULL;
	IF deferred THEN
		-- The run need not know. Its lock makes the order of IDs that of acceptance.
		INSERT INTO mailbox (run_id, kind, ref, data, accepted_at, or_start, trace, actor, backlog)
		VALUES ('', 'payload_received', h.id, p.data, greatest(accept_time(h.run_id),
			(SELECT m.accepted_at FROM mailbox m WHERE m.backlog = h.backlog ORDER BY m.id DESC LIMIT 1)), p.or_start, p.trace, p.actor, h.backlog);
	ELSE
		PERFORM put_mail(h.run_id, 'payload_received', h.id, p.data, p.or_start, accept_time(h.run_id), p.trace, p.actor);
	END IF;
	IF p.key IS NOT NULL THEN
		INSERT INTO receipts AS q (token, key, hook_id, run_id, type, metadata, webhook, request, hook_created_at, expires_at)
		VALUES (p.token, p.key, h.id, h.run_id, h.type, h.metadata, h.webhook, p.request, h.created_at, at + p.keep_for)
		ON CONFLICT (token, key) DO UPDATE SET hook_id = excluded.hook_id, run_id = excluded.run_id, type = excluded.type,
			metadata = excluded.metadata, webhook = excluded.webhook, request = excluded.request,
			hook_created_at = excluded.hook_created_at, expires_at = excluded.expires_at
			WHERE q.expires_at <= at;
		IF NOT FOUND THEN
			-- The same payload was accepted, and its run ended, since we looked.
			RAISE serialization_failure USING MESSAGE = 'key was used just now';
		END IF;
	END IF;
	a := (NULL, h.id, h.run_id, h.type, h.metadata, h.webhook, h.reserved, h.created_at, h.opened_pos, started, false, NULL);
	RETURN;
END $$;

-- For binaries that know no actors.
CREATE OR REPLACE FUNCTION accept_payload(mode text, p payload, OUT a acceptance, OUT deferred boolean) LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
DECLARE
	r record;
BEGIN
	r := accept_payload_2(mode, ROW (p.*, NULL)::payload_2);
	a := r.a;
	deferred := r.deferred;
END $$;

-- For binaries that know no backlogs.
CREATE OR REPLACE FUNCTION accept(mode text, p payload) RETURNS acceptance LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
	RETURN (SELECT r.a FROM accept_payload(mode, p) r);
END $$;
