-- Issues a link, as an effect of a transition: its page, form, key, times and whether it is once are
-- in the metadata.
CREATE OR REPLACE FUNCTION issue_link(e effect) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	more constant jsonb := convert_from(e.metadata, 'UTF8')::jsonb;
BEGIN
	INSERT INTO links (id, run_id, hook_id, addressee, form, page, key, once, created_at, expires_at, opened_pos, issued_in)
	VALUES (e.id, e.run_id, e.ref, e.token, more->>'form', e.data, more->>'key', (more->>'once')::boolean, e.at, e.keep_until, e.position,
		(SELECT r.generation FROM runs r WHERE r.id = e.run_id))
	ON CONFLICT (id) DO NOTHING;
END $$;

-- Revokes a link of a run, as an effect of a transition.
CREATE OR REPLACE FUNCTION take_back(e effect) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	UPDATE links l SET revoked_at = e.at, revoked_pos = e.position WHERE l.id = e.id AND l.run_id = e.run_id AND l.revoked_at IS NULL;
END $$;

-- Makes of the links of a run what they were before an event: of one that was answered since, the
-- payload comes back.
CREATE OR REPLACE FUNCTION cut_links(run text, cut_from bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM links l WHERE l.run_id = run AND l.opened_pos >= cut_from AND l.answered_at IS NULL;
	UPDATE links l SET revoked_at = NULL, revoked_pos = NULL WHERE l.run_id = run AND l.revoked_pos >= cut_from;
END $$;

-- Lets the generation that begins take the answers that the one before it, whose number this is, has
-- not taken.
CREATE OR REPLACE FUNCTION carry_answers(run text, before integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF EXISTS (SELECT FROM links l WHERE l.run_id = run AND l.answered_at IS NOT NULL AND l.answered_in = before) THEN
		UPDATE links l SET answered_in = before + 1 WHERE l.run_id = run AND l.answered_at IS NOT NULL AND l.answered_in = before AND l.id IN (
			SELECT link_of(m.actor) FROM mailbox m WHERE m.run_id = run AND m.kind = 'payload_received'
			UNION ALL
			SELECT link_of(m.actor) FROM hooks h CROSS JOIN LATERAL (SELECT q.actor FROM mailbox q WHERE q.backlog = h.backlog OFFSET 0) m
			WHERE h.run_id = run AND h.backlog IS NOT NULL);
	END IF;
END $$;

-- The link by which an actor has sent a payload, or NULL.
CREATE OR REPLACE FUNCTION link_of(actor text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	RETURN CASE WHEN actor LIKE '%"link":%' THEN actor::jsonb->>'link' END;
END $$;

-- What a link is good for at a time; see store.LinkState.
CREATE OR REPLACE FUNCTION link_state(l links, h hooks, at timestamptz) RETURNS text LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT AS $$
BEGIN
	-- What earlier generations were answered was not asked by this link.
	RETURN CASE
		WHEN l.revoked_at IS NOT NULL THEN 'revoked'
		WHEN EXISTS (SELECT FROM links v WHERE v.run_id = l.run_id AND v.hook_id = l.hook_id AND v.addressee = l.addressee
			AND v.answered_at IS NOT NULL AND v.answered_in >= l.issued_in) THEN 'answered'
		WHEN EXISTS (SELECT FROM links d WHERE d.run_id = l.run_id AND d.hook_id = l.hook_id
			AND d.answered_at IS NOT NULL AND d.answered_in >= l.issued_in AND (d.once OR l.once)) THEN 'decided'
		WHEN h.number IS NULL OR h.closed_at IS NOT NULL THEN 'closed'
		WHEN h.carried AND (SELECT r.status FROM runs r WHERE r.id = l.run_id) = 'waiting' THEN 'closed'
		WHEN l.expires_at <= at THEN 'expired'
		WHEN h.carried THEN 'carried'
		ELSE 'open' END;
END $$;

-- Puts a payload that comes by a link in the mailbox of the run whose hook that is for, if the link
-- can be answered. code is NULL, or not_found, conflict; told, that the run got a message; state, what
-- the link was good for: a moment later that may be something else.
CREATE OR REPLACE FUNCTION answer(mode text, link text, payload bytea, known_generation integer, trace text, actor text,
	OUT code text, OUT told text, OUT state text)
LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET search_path FROM CURRENT AS $$
DECLARE
	l links;
	h hooks;
	r runs;
	at timestamptz;
	accepted record;
BEGIN
	PERFORM set_lock_timeout(mode);
	SELECT * INTO l FROM links q WHERE q.id = link;
	IF l.id IS NULL THEN
		code := 'not_found';
		RETURN;
	END IF;
	r := lock_run('alone', l.run_id);  -- answers, and what closes the hook or revokes the link, come one after the other
	SELECT * INTO l FROM links q WHERE q.id = link FOR NO KEY UPDATE;
	SELECT * INTO h FROM hooks q WHERE q.run_id = l.run_id AND q.id = l.hook_id;
	at := clock_timestamp();
	state := link_state(l, h, at);
	IF l.id IS NULL OR r.id IS NULL THEN
		code := 'not_found';
	ELSIF state <> 'open' THEN
		RETURN;
	ELSIF r.generation <> known_generation THEN
		code := 'conflict';
	ELSE
		accepted := accept_payload_2('alone', ROW (h.token, payload, h.type, NULL, NULL, h.id, NULL, NULL, trace, actor)::payload_2);
		IF (accepted.a).code IS NOT NULL THEN
			code := (accepted.a).code;
			RETURN;
		END IF;
		UPDATE links q SET answered_at = at, answered_in = r.generation, answer = payload WHERE q.number = l.number;
		told := r.id;
	END IF;
END $$;

-- Revokes a link from outside of its run. The first who does counts. False if there is none.
CREATE OR REPLACE FUNCTION revoke_link(mode text, link text, revoker text) RETURNS boolean LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off SET search_path FROM CURRENT AS $$
BEGIN
	PERFORM set_lock_timeout(mode);
	PERFORM lock_run('alone', (SELECT l.run_id FROM links l WHERE l.id = link));
	UPDATE links l SET revoked_at = coalesce(l.revoked_at, clock_timestamp()), revoked_pos = NULL,
		revoked_by = CASE WHEN l.revoked_at IS NULL OR l.revoked_pos IS NOT NULL THEN revoker ELSE l.revoked_by END WHERE l.id = link;
	RETURN FOUND;
END $$;
