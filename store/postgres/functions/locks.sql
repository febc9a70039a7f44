-- How long an operation waits for locks. In a batch with others it never waits for
-- one that somebody else may hold for long: the rows of runs are skipped (busy), and
-- the rest fails after moments. Alone it gives way before PostgreSQL looks for
-- deadlocks, so that no transaction of the application is the victim of one. In a
-- transaction of the application it waits as that wants.
CREATE OR REPLACE FUNCTION set_lock_timeout(mode text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF mode = 'batch' THEN
		PERFORM set_config('lock_timeout', '20ms', true);
	ELSIF mode = 'alone' THEN
		PERFORM set_config('lock_timeout', '500ms', true);
	END IF;
END $$;

-- Locks a run. NULL if there is none, or if it is in use and the mode is batch.
CREATE OR REPLACE FUNCTION lock_run(mode text, run text) RETURNS runs LANGUAGE plpgsql AS $$
DECLARE
	r runs;
BEGIN
	IF mode = 'batch' THEN
		SELECT * INTO r FROM runs WHERE id = run FOR NO KEY UPDATE SKIP LOCKED;
	ELSE
		SELECT * INTO r FROM runs WHERE id = run FOR NO KEY UPDATE;
	END IF;
	RETURN r;
END $$;
