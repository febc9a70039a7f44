-- Pauses a run. A pause that it has stays as it is. code is NULL, or not_found, fenced, or
-- old_worker with the worker.
CREATE OR REPLACE FUNCTION pause(mode text, run text, pauser text, reason text, OUT code text, OUT old text) LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET search_path FROM CURRENT AS $$
DECLARE
	r runs;
BEGIN
	PERFORM set_lock_timeout(mode);
	r := lock_run('alone', run);
	IF r.id IS NULL THEN
		code := 'not_found';
	ELSIF r.ended_at IS NOT NULL THEN
		code := 'fenced';
	ELSIF r.paused_at IS NULL THEN
		old := serve_generations();
		IF old IS NOT NULL THEN
			code := 'old_worker';
			RETURN;
		END IF;
		UPDATE runs q SET paused_at = clock_timestamp(), paused_by = pauser, paused_why = reason, due_at = NULL WHERE q.id = run;
	END IF;
END $$;

-- Lets a run that is paused go on. NULL, or not_found, fenced.
CREATE OR REPLACE FUNCTION resume(mode text, run text, actor text) RETURNS text LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET search_path FROM CURRENT AS $$
DECLARE
	r runs;
BEGIN
	PERFORM set_lock_timeout(mode);
	r := lock_run('alone', run);
	IF r.id IS NULL THEN
		RETURN 'not_found';
	ELSIF r.ended_at IS NOT NULL THEN
		RETURN 'fenced';
	ELSIF r.paused_at IS NOT NULL THEN
		UPDATE runs q SET paused_at = NULL, paused_by = NULL, paused_why = NULL,
			due_at = least(q.wake_at, (SELECT min(m.accepted_at) FROM mailbox m WHERE m.run_id = q.id)) WHERE q.id = run;
		PERFORM put_mail(run, 'resumed', '', NULL, NULL, accept_time(run), NULL, actor);
	END IF;
	RETURN NULL;
END $$;

-- Pauses all runs of a workflow. What has looked before this commits may still write a transition: see
-- transitions_under_way. code is NULL, or old_worker with the worker.
CREATE OR REPLACE FUNCTION pause_workflow(name_of text, pauser text, reason text, OUT code text, OUT old text) LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET search_path FROM CURRENT AS $$
BEGIN
	PERFORM set_lock_timeout('alone');
	IF EXISTS (SELECT FROM paused_workflows p WHERE p.workflow = name_of) THEN
		RETURN;
	END IF;
	old := serve_generations();
	IF old IS NOT NULL THEN
		code := 'old_worker';
		RETURN;
	END IF;
	INSERT INTO paused_workflows (workflow, at, by, why) VALUES (name_of, clock_timestamp(), pauser, reason) ON CONFLICT DO NOTHING;
END $$;

-- The transactions that have looked which workflows are paused, and may write transitions. They keep
-- their locks until they end: that on paused_workflows is older than what they have seen in it, and that
-- on runs leaves out those that only read, a backup for example.
CREATE OR REPLACE FUNCTION transitions_under_way() RETURNS text[] LANGUAGE sql
SET search_path FROM CURRENT AS $$
	SELECT coalesce(array_agg(DISTINCT l.virtualtransaction), '{}') FROM pg_locks l JOIN pg_locks w USING (database, virtualtransaction)
	WHERE l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()) AND l.pid IS DISTINCT FROM pg_backend_pid()
		AND l.relation = 'paused_workflows'::regclass AND w.relation = 'runs'::regclass
		AND l.mode <> 'SIReadLock' AND w.mode NOT IN ('AccessShareLock', 'SIReadLock')
$$;

-- Lets the runs of a workflow go on.
CREATE OR REPLACE FUNCTION resume_workflow(name_of text) RETURNS void LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET search_path FROM CURRENT AS $$
BEGIN
	DELETE FROM paused_workflows p WHERE p.workflow = name_of;
END $$;

-- Puts outcomes of attempts into the mailbox of a run, for its owner, and frees the run if that
-- gives it up. A step that has an outcome there gets no other one. NULL, or not_found, fenced.
CREATE OR REPLACE FUNCTION deposit(mode text, run text, depositor text, known_epoch bigint, outcomes message_2[], gives_up boolean)
RETURNS text LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET search_path FROM CURRENT AS $$
DECLARE
	r runs;
	m message_2;
BEGIN
	PERFORM set_lock_timeout(mode);
	r := lock_run('alone', run);
	IF r.id IS NULL THEN
		RETURN 'not_found';
	ELSIF r.epoch <> known_epoch OR r.worker NOT IN ('', depositor) OR r.ended_at IS NOT NULL THEN
		RETURN 'fenced';
	END IF;
	FOREACH m IN ARRAY outcomes LOOP
		DELETE FROM executing x WHERE x.run_id = run AND x.step = m.ref;
		IF NOT EXISTS (SELECT FROM mailbox b WHERE b.run_id = run AND b.ref = m.ref AND b.kind IN ('step_completed', 'step_failed', 'step_retried')) THEN
			PERFORM put_mail(run, m.kind, m.ref, m.data, NULL, accept_time(run), NULL, NULL);
		END IF;
	END LOOP;
	IF gives_up THEN
		DELETE FROM executing x WHERE x.run_id = run;
		UPDATE runs q SET worker = '' WHERE q.id = run;
	END IF;
	RETURN NULL;
END $$;
