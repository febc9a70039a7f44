-- Carries out what a transition says of backlogs. It returns how many messages have left
-- the mailbox, and how many have come. A backlog has the ID of its first message, so that no
-- number comes twice.
CREATE OR REPLACE FUNCTION change_backlogs(run text, took bigint[], c backlog_change, OUT gone integer, OUT came integer) LANGUAGE plpgsql AS $$
DECLARE
	begun integer := 0;
	n integer;
	hook text;
	place bigint;
BEGIN
	gone := 0;
	came := 0;
	DELETE FROM mailbox m WHERE m.run_id = '' AND m.id = ANY (c.pulled);
	FOREACH hook IN ARRAY c.defers LOOP
		SELECT m.id INTO place FROM mailbox m
		WHERE m.run_id = run AND m.ref = hook AND m.kind = 'payload_received' AND m.id <> ALL (took) ORDER BY m.id LIMIT 1;
		CONTINUE WHEN NOT FOUND;
		UPDATE hooks h SET backlog = place WHERE h.run_id = run AND h.id = hook AND h.backlog IS NULL;
		CONTINUE WHEN NOT FOUND;
		begun := begun + 1;
		UPDATE mailbox m SET run_id = '', backlog = place
		WHERE m.run_id = run AND m.ref = hook AND m.kind = 'payload_received' AND m.id <> ALL (took);
		GET DIAGNOSTICS n = ROW_COUNT;
		gone := gone + n;
	END LOOP;
	FOREACH hook IN ARRAY c.admits LOOP
		SELECT h.backlog INTO place FROM hooks h WHERE h.run_id = run AND h.id = hook;
		CONTINUE WHEN place IS NULL;
		begun := begun - 1;
		came := came + admit(run, hook, place);
	END LOOP;
	IF begun <> 0 THEN
		UPDATE runs q SET backlogs = q.backlogs + begun WHERE q.id = run;
	END IF;
END $$;

-- Ends a backlog: what is in it goes to the mailbox of its run. It returns how many.
CREATE OR REPLACE FUNCTION admit(run text, hook text, place bigint) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
	n integer;
BEGIN
	UPDATE mailbox m SET run_id = run, ref = hook, backlog = NULL WHERE m.backlog = place;
	GET DIAGNOSTICS n = ROW_COUNT;
	UPDATE hooks h SET backlog = NULL WHERE h.run_id = run AND h.id = hook;
	RETURN n;
END $$;

-- Reports whether a transition expects other backlogs than there are: what it pulls is gone,
-- or what has come to a backlog that ends is older than it allows.
CREATE OR REPLACE FUNCTION backlogs_conflict(t transition, c backlog_change) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	IF NOT c.pulled <@ ARRAY(SELECT p FROM unnest(c.pulled) p WHERE (SELECT m.id FROM mailbox m WHERE m.run_id = '' AND m.id = p) IS NOT NULL) THEN
		RETURN true;
	ELSIF t.no_mail_before IS NULL OR c.admits = '{}' THEN
		RETURN false;
	END IF;
	RETURN EXISTS (SELECT FROM hooks h CROSS JOIN LATERAL (SELECT FROM mailbox m WHERE m.backlog = h.backlog
			AND m.id <> ALL (c.pulled) AND m.accepted_at < t.no_mail_before LIMIT 1) m
		WHERE h.run_id = t.run_id AND h.id = ANY (c.admits));
END $$;
