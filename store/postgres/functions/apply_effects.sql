-- Carries out the effects of transitions that are written, in program order. It returns what
-- is worth telling.
CREATE OR REPLACE FUNCTION apply_effects(fx effect[], written boolean[]) RETURNS verdict[] LANGUAGE plpgsql AS $$
DECLARE
	verdicts verdict[] := '{}';
	e effect;
	r runs;
	other text;
	opened record;
	locked boolean := false;  -- topics
	ceased record;
BEGIN
	FOREACH e IN ARRAY fx LOOP
		CONTINUE WHEN NOT written[e.t];
		IF NOT locked AND e.position > 0 AND e.ref <> '' THEN
			PERFORM lock_topics(fx, written);
			locked := true;
		END IF;
		CASE e.kind
		WHEN 'open' THEN
			opened := open_or_adopt_hook(e);
			IF opened.carried IS NOT NULL THEN
				verdicts := verdicts || (e.t, e.n, 'carried', opened.conflict, opened.carried::text)::verdict;
			ELSIF opened.conflict IS NOT NULL THEN
				verdicts := verdicts || (e.t, e.n, 'taken', opened.conflict, NULL)::verdict;
			ELSIF opened.hook_id <> e.id THEN
				verdicts := verdicts || (e.t, e.n, 'opened', (extract(epoch FROM opened.adopted) * 1000000)::bigint::text, opened.hook_id)::verdict;
			END IF;
		WHEN 'close' THEN
			UPDATE hooks h SET closed_at = e.at, closed_pos = e.position WHERE h.run_id = e.run_id AND h.id = e.id AND coalesce(h.closed_at, 'infinity') = 'infinity';
			IF e.ref <> '' THEN
				ceased := cease(e.run_id, e.id);
				IF ceased.came > 0 THEN
					PERFORM count_mail(e.run_id, ceased.came, ceased.first);
					verdicts := verdicts || (e.t, e.n, 'mail', e.run_id, NULL)::verdict;
				END IF;
			END IF;
		WHEN 'start' THEN
			IF start_run(e.run, clock_timestamp()) THEN
				verdicts := verdicts || (e.t, e.n, 'mail', e.run->>'id', NULL)::verdict;
			ELSE
				-- A run that this same call has started before is a success.
				SELECT * INTO r FROM runs q WHERE q.id = e.run->>'id';
				IF e.run->>'parent_id' IS NULL OR r.parent_id IS DISTINCT FROM e.run->>'parent_id' OR r.parent_ref IS DISTINCT FROM e.run->>'parent_ref' THEN
					verdicts := verdicts || (e.t, e.n, 'taken', e.run->>'id', NULL)::verdict;
				END IF;
			END IF;
		WHEN 'respond' THEN
			other := record_response(e);
			IF other IS NOT NULL THEN
				verdicts := verdicts || (e.t, e.n, 'taken', other, NULL)::verdict;
			END IF;
		WHEN 'send' THEN
			r := lock_run('alone', e.run_id);  -- it may have been started since we looked
			IF r.id IS NOT NULL AND send_to(r, e.type, e.ref, e.data, e.or_start, NULL) THEN
				verdicts := verdicts || (e.t, e.n, 'mail', e.run_id, NULL)::verdict;
			END IF;
		WHEN 'subscribe' THEN
			IF subscribe(e) THEN
				verdicts := verdicts || (e.t, e.n, 'mail', e.run_id, NULL)::verdict;
			END IF;
		WHEN 'unsubscribe' THEN
			DELETE FROM subscriptions s WHERE s.run_id = e.run_id AND (s.ref = e.ref OR e.ref = '');
		WHEN 'link' THEN
			PERFORM issue_link(e);
		WHEN 'revoke' THEN
			PERFORM take_back(e);
		END CASE;
	END LOOP;
	RETURN verdicts;
END $$;
