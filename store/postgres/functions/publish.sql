-- Gives all open hooks that listen to a topic and a subject a payload, and returns its number and how
-- many there are. told are the runs that have got a message; if some have still to be told, behind is
-- true. What is published, and where hooks begin and cease to listen, is numbered under the lock of the
-- topic's row. Whoever has it waits for no run: a listener whose run is in use just then is told later.
CREATE OR REPLACE FUNCTION publish(mode text, name text, subj text, payload bytea, idempotency_key text, keep_for interval, traced text, publisher text, at_once integer,
	OUT number bigint, OUT listening integer, OUT duplicate boolean, OUT behind boolean, OUT told text[]) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off SET plan_cache_mode = force_generic_plan
SET search_path FROM CURRENT AS $$
DECLARE
	clock timestamptz;
	t topics;
BEGIN
	PERFORM set_lock_timeout(mode);
	number := 0;
	listening := 0;
	duplicate := false;
	behind := false;
	told := '{}';
	SELECT * INTO t FROM topics x WHERE x.topic = name AND x.subject = subj FOR NO KEY UPDATE;
	clock := clock_timestamp();
	IF idempotency_key IS NOT NULL THEN
		-- Locked, as whatever a caller is told is there (see start_run).
		SELECT p.seq, p.listeners, true INTO number, listening, duplicate FROM publications p
		WHERE p.topic = name AND p.subject = subj AND p.key = idempotency_key AND p.expires_at > clock FOR KEY SHARE;
		IF FOUND THEN
			RETURN;
		END IF;
		number := 0;
		listening := 0;
		duplicate := false;
	END IF;
	IF t.topic IS NULL THEN
		RETURN;
	END IF;
	number := nextval('topic_seq');
	listening := t.listeners;
	behind := true;
	IF listening <= at_once THEN
		told := tell_listeners(name, subj, t.published, number, payload, traced, publisher, at_once);
		behind := cardinality(told) < listening;
	END IF;
	IF idempotency_key IS NOT NULL THEN
		-- It has expired, but some listeners may have still to get what it was published with.
		DELETE FROM publications p WHERE p.topic = name AND p.subject = subj AND p.key = idempotency_key AND p.data IS NULL;
		UPDATE publications p SET key = NULL, expires_at = NULL WHERE p.topic = name AND p.subject = subj AND p.key = idempotency_key;
	END IF;
	IF behind OR idempotency_key IS NOT NULL THEN
		INSERT INTO publications (topic, subject, seq, at, data, trace, actor, listeners, key, expires_at)
		VALUES (name, subj, number, clock, CASE WHEN behind THEN payload END, CASE WHEN behind THEN traced END, CASE WHEN behind THEN publisher END, listening, idempotency_key,
			CASE WHEN idempotency_key IS NOT NULL THEN clock + keep_for END);
	END IF;
	UPDATE topics x SET published = number, behind = x.behind OR publish.behind, published_at = clock WHERE x.topic = name AND x.subject = subj;
END $$;

-- Gives a publication to listeners that have got all up to another one (after), which is the one before
-- it, but for those whose runs are in use. It returns the run of each, empty for a hook that has a
-- backlog: that run need not know.
CREATE OR REPLACE FUNCTION tell_listeners(name text, subj text, after bigint, number bigint, payload bytea, traced text, publisher text, at_once integer)
RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
	runs_of text[];
	hooks_of text[];
	at timestamptz;
	got text[];
BEGIN
	SELECT array_agg(l.run_id), array_agg(l.hook_id) INTO runs_of, hooks_of FROM
		(SELECT b.run_id, b.hook_id FROM
			(SELECT x.run_id, x.hook_id FROM listeners x WHERE x.topic = name AND x.subject = subj AND x.told >= after AND x.told < number
			ORDER BY x.told, x.run_id, x.hook_id) b
		CROSS JOIN LATERAL (SELECT q.id FROM runs q WHERE q.id = b.run_id FOR NO KEY UPDATE SKIP LOCKED) r LIMIT at_once) l;
	IF runs_of IS NULL THEN
		RETURN '{}';
	END IF;
	-- A fresh look, now that nobody else can be at them.
	WITH updated AS (
		UPDATE listeners x SET told = number FROM unnest(runs_of, hooks_of) u (run, hook)
		WHERE x.run_id = u.run AND x.hook_id = u.hook AND x.told >= after AND x.told < number
		RETURNING x.run_id, x.hook_id)
	SELECT array_agg(u.run ORDER BY u.place), array_agg(u.hook ORDER BY u.place) INTO runs_of, hooks_of
	FROM unnest(runs_of, hooks_of) WITH ORDINALITY u (run, hook, place) JOIN updated y ON y.run_id = u.run AND y.hook_id = u.hook;
	IF runs_of IS NULL THEN
		RETURN '{}';
	END IF;
	at := clock_timestamp();
	WITH inserted AS (
		INSERT INTO mailbox AS m (run_id, kind, ref, data, accepted_at, trace, actor, backlog)
		SELECT CASE WHEN h.backlog IS NULL THEN u.run ELSE '' END, 'payload_received', u.hook, payload,
			greatest(at, (SELECT b.accepted_at FROM mailbox b WHERE b.run_id = u.run ORDER BY b.id DESC LIMIT 1),
				(SELECT b.accepted_at FROM mailbox b WHERE b.backlog = h.backlog ORDER BY b.id DESC LIMIT 1)), traced, publisher, h.backlog
		FROM unnest(runs_of, hooks_of) u (run, hook) CROSS JOIN LATERAL (SELECT k.backlog FROM hooks k WHERE k.run_id = u.run AND k.id = u.hook OFFSET 0) h
		RETURNING m.run_id, m.accepted_at),
	counted AS (
		SELECT i.run_id, count(*)::integer AS n, min(i.accepted_at) AS first FROM inserted i WHERE i.run_id <> '' GROUP BY i.run_id),
	due AS (
		UPDATE runs q SET messages = q.messages + c.n, due_at = CASE WHEN q.paused_at IS NULL THEN least(q.due_at, c.first) END
		FROM counted c WHERE q.id = c.run_id)
	SELECT array_agg(i.run_id) INTO got FROM inserted i;
	RETURN got;
END $$;

-- Goes on with publications that some listeners have still to get. It returns the runs that got a
-- message, how many listeners it has told, and whether there may be others.
CREATE OR REPLACE FUNCTION tell_publications(at_once integer, max_bytes integer, OUT served integer, OUT more boolean, OUT told text[]) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off SET plan_cache_mode = force_generic_plan
SET search_path FROM CURRENT AS $$
DECLARE
	t topics;
	p publications;
	first bigint;
BEGIN
	PERFORM set_lock_timeout('alone');
	served := 0;
	more := false;
	told := '{}';
	FOR t IN SELECT * FROM topics x WHERE x.behind ORDER BY x.published LOOP
		-- The first that is behind and whose run is not in use.
		SELECT l.told INTO first FROM
			(SELECT b.told FROM (SELECT x.run_id, x.told FROM listeners x WHERE x.topic = t.topic AND x.subject = t.subject AND x.told < t.published
				ORDER BY x.told, x.run_id, x.hook_id) b
			CROSS JOIN LATERAL (SELECT q.id FROM runs q WHERE q.id = b.run_id FOR NO KEY UPDATE SKIP LOCKED) r LIMIT 1) l;
		IF NOT FOUND THEN
			more := NOT end_publications(t.topic, t.subject) OR more;
			CONTINUE;
		END IF;
		SELECT * INTO p FROM publications x WHERE x.topic = t.topic AND x.subject = t.subject AND x.seq > first ORDER BY x.seq LIMIT 1;
		told := tell_listeners(t.topic, t.subject, first, p.seq, p.data, p.trace, p.actor, greatest(1, least(at_once, max_bytes / greatest(1, length(p.data)))));
		served := cardinality(told);
		more := true;
		RETURN;
	END LOOP;
END $$;

-- Forgets the publications of a topic, if no listener has still to get one. False if one has, or if
-- somebody else is at the topic.
CREATE OR REPLACE FUNCTION end_publications(name text, subj text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	t topics;
BEGIN
	SELECT * INTO t FROM topics x WHERE x.topic = name AND x.subject = subj FOR NO KEY UPDATE SKIP LOCKED;
	IF NOT FOUND OR (SELECT l.told < t.published FROM listeners l WHERE l.topic = name AND l.subject = subj ORDER BY l.told LIMIT 1) THEN
		RETURN false;
	END IF;
	PERFORM forget_publications(name, subj);
	UPDATE topics x SET behind = false WHERE x.topic = name AND x.subject = subj;
	RETURN true;
END $$;

-- Deletes publications that all listeners have got. Of those with a key what became of them is kept.
CREATE OR REPLACE FUNCTION forget_publications(name text, subj text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM publications p WHERE p.topic = name AND p.subject = subj AND p.key IS NULL;
	UPDATE publications p SET data = NULL, trace = NULL, actor = NULL WHERE p.topic = name AND p.subject = subj AND p.data IS NOT NULL;
END $$;

-- Locks the topics of effects, in their order, so that no two transactions wait for each other: of those
-- that open and close hooks, which alone have a position, and a reference if the hook listens.
CREATE OR REPLACE FUNCTION lock_topics(fx effect[], written boolean[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM FROM (SELECT DISTINCT e.type COLLATE "C" AS topic, e.ref COLLATE "C" AS subject FROM unnest(fx) e
			WHERE written[e.t] AND e.position > 0 AND e.ref <> '' ORDER BY 1, 2) k
		CROSS JOIN LATERAL (SELECT FROM topics x WHERE x.topic = k.topic AND x.subject = k.subject FOR NO KEY UPDATE) l;
END $$;

-- Lets an open hook of a run that is locked listen from now on, unless it does already.
CREATE OR REPLACE FUNCTION listen(run text, hook text, name text, subj text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	place bigint;
BEGIN
	IF EXISTS (SELECT FROM listeners l WHERE l.run_id = run AND l.hook_id = hook) THEN
		RETURN;
	END IF;
	-- In a transaction on a snapshot from before another one's listener or publication this fails.
	INSERT INTO topics AS x (topic, subject, listeners) VALUES (name, subj, 1)
	ON CONFLICT (topic, subject) DO UPDATE SET listeners = x.listeners + 1;
	place := nextval('topic_seq');
	INSERT INTO listeners (run_id, hook_id, topic, subject, told) VALUES (run, hook, name, subj, place);
	UPDATE hooks h SET subject = subj, listens_from = place, listens_to = 0 WHERE h.run_id = run AND h.id = hook;
END $$;

-- Lets the open hooks of a run listen that are to.
CREATE OR REPLACE FUNCTION listen_all(run text) RETURNS void LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
DECLARE
	h hooks;
BEGIN
	FOR h IN SELECT * FROM hooks q WHERE q.run_id = run AND q.subject IS NOT NULL AND coalesce(q.closed_at, 'infinity') = 'infinity'
		ORDER BY q.type COLLATE "C", q.subject, q.number
	LOOP
		PERFORM listen(run, h.id, h.type, h.subject);
	END LOOP;
END $$;

-- Lets a closed hook of a run that is locked listen no more. What was published before comes to it now.
-- It returns how many messages have come to the mailbox, which the run does not count yet, and when
-- the first was accepted.
CREATE OR REPLACE FUNCTION cease(run text, hook text, OUT came integer, OUT first timestamptz) LANGUAGE plpgsql AS $$
DECLARE
	l listeners;
	h hooks;
	left_over integer;
BEGIN
	came := 0;
	SELECT * INTO l FROM listeners x WHERE x.run_id = run AND x.hook_id = hook;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	UPDATE topics x SET listeners = x.listeners - 1 WHERE x.topic = l.topic AND x.subject = l.subject RETURNING x.listeners INTO left_over;
	SELECT * INTO h FROM hooks k WHERE k.run_id = run AND k.id = hook;
	WITH inserted AS (
		INSERT INTO mailbox AS m (run_id, kind, ref, data, accepted_at, trace, actor, backlog)
		SELECT CASE WHEN h.backlog IS NULL THEN run ELSE '' END, 'payload_received', hook, p.data,
			greatest(accept_time(run), (SELECT b.accepted_at FROM mailbox b WHERE b.backlog = h.backlog ORDER BY b.id DESC LIMIT 1)), p.trace, p.actor, h.backlog
		FROM (SELECT * FROM publications q WHERE q.topic = l.topic AND q.subject = l.subject AND q.seq > l.told ORDER BY q.seq) p
		RETURNING m.run_id, m.accepted_at)
	SELECT count(*), min(i.accepted_at) INTO came, first FROM inserted i WHERE i.run_id <> '';
	DELETE FROM listeners x WHERE x.run_id = run AND x.hook_id = hook;
	UPDATE hooks k SET listens_to = nextval('topic_seq') WHERE k.number = h.number;
	IF left_over = 0 THEN
		DELETE FROM topics x WHERE x.topic = l.topic AND x.subject = l.subject;
		PERFORM forget_publications(l.topic, l.subject);
	END IF;
END $$;

-- Lets the closed hooks of runs that end, or begin another generation, listen no more. It returns the
-- runs for which there may be something in the mailbox or a backlog now that they do not count.
CREATE OR REPLACE FUNCTION cease_closed(VARIADIC ids text[]) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
	l listeners;
	came text[] := '{}';
BEGIN
	FOR l IN SELECT x.* FROM unnest(ids) u CROSS JOIN LATERAL (SELECT * FROM listeners y WHERE y.run_id = u OFFSET 0) x
		WHERE (SELECT h.closed_at IS NOT NULL FROM hooks h WHERE h.run_id = x.run_id AND h.id = x.hook_id)
		ORDER BY x.topic, x.subject, x.run_id, x.hook_id
	LOOP
		-- Whoever publishes has the lock of the topic.
		IF (SELECT x.behind FROM topics x WHERE x.topic = l.topic AND x.subject = l.subject FOR NO KEY UPDATE) THEN
			came := came || l.run_id;
		END IF;
		PERFORM cease(l.run_id, l.hook_id);
	END LOOP;
	RETURN came;
END $$;

-- Counts messages that have come to the mailbox of a run, unless that has ended.
CREATE OR REPLACE FUNCTION count_mail(run text, came integer, first timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	UPDATE runs q SET messages = q.messages + came, due_at = CASE WHEN q.paused_at IS NULL THEN least(q.due_at, first) END
	WHERE q.id = run AND q.ended_at IS NULL;
END $$;
