-- Makes sure that no transition of an epoch can be written any more: one that is under
-- way has the lock, or will find another epoch.
CREATE OR REPLACE FUNCTION fence(mode text, run text, claimer text, known_epoch bigint) RETURNS void LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET search_path FROM CURRENT AS $$
DECLARE
	r runs;
BEGIN
	PERFORM set_lock_timeout(mode);
	r := lock_run(mode, run);
	IF r.epoch = known_epoch AND r.worker IN ('', claimer) AND r.ended_at IS NULL THEN
		UPDATE runs q SET worker = claimer, epoch = q.epoch + 1, mark = false WHERE q.id = run;
	END IF;
END $$;
