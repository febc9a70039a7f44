-- Opens a hook of a run that is locked; with a reference it listens to that subject. adopted is when a hook that the run adopts was created;
-- carried is what it carries under the token, or what is reserved for it, if that has another form.
CREATE OR REPLACE FUNCTION open_or_adopt_hook(e effect, OUT hook_id text, OUT conflict text, OUT adopted timestamptz, OUT carried jsonb) LANGUAGE plpgsql AS $$
DECLARE
	owner hooks;
BEGIN
	hook_id := e.id;
	LOOP
		INSERT INTO hooks (run_id, id, token, type, metadata, webhook, reserved, created_at, opened_pos)
		VALUES (e.run_id, e.id, e.token, e.type, e.metadata, e.webhook, false, e.at, e.position)
		ON CONFLICT DO NOTHING;
		IF FOUND THEN
			IF e.ref <> '' THEN
				PERFORM listen(e.run_id, e.id, e.type, e.ref);
			END IF;
			RETURN;
		END IF;
		SELECT * INTO owner FROM hooks WHERE token = e.token AND closed_at IS NULL;
		EXIT WHEN FOUND;
		-- A repeat of a claim whose hook has been closed since is a success.
		IF EXISTS (SELECT FROM hooks h WHERE h.run_id = e.run_id AND h.id = e.id) THEN
			RETURN;
		END IF;
		-- The token was released between the two statements.
	END LOOP;
	IF owner.run_id = e.run_id THEN
		IF (owner.carried AND hook_form(owner.type, owner.webhook, owner.subject) <> hook_form(e.type, e.webhook, nullif(e.ref, '')))
			OR (owner.reserved AND hook_kind(owner.webhook) <> hook_kind(e.webhook)) THEN
			carried := jsonb_build_object('type', owner.type, 'webhook', convert_from(owner.webhook, 'UTF8')::jsonb, 'subject', owner.subject);
		ELSIF owner.reserved OR owner.carried THEN
			UPDATE hooks SET type = e.type, metadata = e.metadata, webhook = e.webhook, opened_pos = e.position,
				reserved = false, carried = false, adopted_as = e.id WHERE number = owner.number;
			IF e.ref <> '' THEN
				PERFORM listen(e.run_id, owner.id, e.type, e.ref);
			END IF;
			hook_id := owner.id;
			adopted := owner.created_at;
			RETURN;
		ELSIF owner.id = e.id OR owner.adopted_as = e.id THEN
			hook_id := owner.id;
			adopted := owner.created_at;
			RETURN;
		END IF;
	END IF;
	hook_id := NULL;
	conflict := owner.run_id;
END $$;

-- What a hook that is carried and the one that takes it over have in common.
CREATE OR REPLACE FUNCTION hook_form(type text, webhook bytea, subject text) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	RETURN jsonb_build_array(type, hook_kind(webhook), convert_from(webhook, 'UTF8')::jsonb->'verify', subject);
END $$;

-- What is sent to a hook: payloads, HTTP requests or those of a call.
CREATE OR REPLACE FUNCTION hook_kind(webhook bytea) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN CASE WHEN webhook IS NULL THEN 'payload' WHEN convert_from(webhook, 'UTF8')::jsonb->>'call' = 'true' THEN 'call' ELSE 'request' END;
END $$;
