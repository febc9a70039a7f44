-- Tells the processes that listen, when the transaction commits. kind is mail, ended,
-- responded or untold.
CREATE OR REPLACE FUNCTION tell(channel text, kind text, id text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_notify(channel, json_build_object('from', '', kind, json_build_array(id))::text);
	RETURN true;
END $$;

-- Accepts a payload. A race that is lost does not break the transaction.
CREATE OR REPLACE FUNCTION accept_within_2(p payload_2) RETURNS acceptance LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
	LOOP
		BEGIN
			RETURN (SELECT r.a FROM accept_payload_2('within', p) r);
		EXCEPTION WHEN serialization_failure THEN
			IF current_setting('transaction_isolation') <> 'read committed' THEN
				RAISE;  -- in its snapshot it would be lost again
			END IF;
		END;
	END LOOP;
END $$;

-- For binaries that know no actors.
CREATE OR REPLACE FUNCTION accept_within(p payload) RETURNS acceptance LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
	RETURN accept_within_2(ROW (p.*, NULL)::payload_2);
END $$;

-- Makes the transaction the one that executes a step. It waits for another one that
-- has claimed it. NULL, or exists, conflict, not_found, fenced.
CREATE OR REPLACE FUNCTION claim_step(run text, ref text, known_epoch bigint) RETURNS text LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
SET search_path FROM CURRENT AS $$
DECLARE
	refusal text;
BEGIN
	INSERT INTO tx_steps (run_id, step) VALUES (run, ref) ON CONFLICT DO NOTHING;
	IF NOT FOUND THEN
		RETURN (SELECT CASE WHEN s.message_id IS NULL THEN 'conflict' ELSE 'exists' END FROM tx_steps s WHERE s.run_id = run AND s.step = ref);
	END IF;
	-- A fresh look, now that nobody else can be at it.
	SELECT CASE WHEN r.epoch <> known_epoch OR r.ended_at IS NOT NULL THEN 'fenced' END INTO refusal FROM runs r WHERE r.id = run;
	IF NOT FOUND THEN
		refusal := 'not_found';
	END IF;
	IF refusal IS NOT NULL THEN
		DELETE FROM tx_steps s WHERE s.run_id = run AND s.step = ref;
	END IF;
	RETURN refusal;
END $$;

-- Puts the result of a step that the transaction has claimed into the mailbox of its
-- run, and returns the message. code is NULL, or conflict, not_found, fenced.
CREATE OR REPLACE FUNCTION complete_step(run text, ref text, known_epoch bigint, result bytea, OUT code text, OUT message bigint, OUT at timestamptz)
LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan
SET search_path FROM CURRENT AS $$
DECLARE
	r runs;
BEGIN
	r := lock_run('within', run);
	IF r.id IS NULL THEN
		code := 'not_found';
	ELSIF r.epoch <> known_epoch OR r.ended_at IS NOT NULL THEN
		code := 'fenced';
	ELSIF NOT EXISTS (SELECT FROM tx_steps s WHERE s.run_id = run AND s.step = ref AND s.message_id IS NULL) THEN
		code := 'conflict';
	ELSE
		at := accept_time(run);
		message := put_mail(run, 'step_completed', ref, result, NULL, at, NULL, NULL);
		UPDATE tx_steps s SET message_id = message WHERE s.run_id = run AND s.step = ref;
	END IF;
END $$;
