-- Opens a hook of a run that is locked.
CREATE OR REPLACE FUNCTION open_hook(e effect, OUT hook_id text, OUT conflict text) LANGUAGE plpgsql AS $$
DECLARE
	owner hooks;
BEGIN
	hook_id := e.id;
	LOOP
		INSERT INTO hooks (run_id, id, token, type, metadata, webhook, reserved, created_at, opened_pos)
		VALUES (e.run_id, e.id, e.token, e.type, e.metadata, e.webhook, false, e.at, e.position)
		ON CONFLICT DO NOTHING;
		IF FOUND THEN
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
		IF owner.reserved THEN
			UPDATE hooks SET type = e.type, metadata = e.metadata, webhook = e.webhook, opened_pos = e.position,
				reserved = false, adopted_as = e.id WHERE number = owner.number;
			hook_id := owner.id;
			RETURN;
		ELSIF owner.id = e.id OR owner.adopted_as = e.id THEN
			hook_id := owner.id;
			RETURN;
		END IF;
	END IF;
	hook_id := NULL;
	conflict := owner.run_id;
END $$;
