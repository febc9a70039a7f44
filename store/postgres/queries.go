package postgres

import (
	"strings"

	"github.com/jackc/pgx/v5"
)

// queries are the statements, with the name of the schema in them. What writes is a
// function of the schema, see functions.
type queries struct {
	schema   string
	reads    bool // in transactions that can't write
	previous bool // the schema is the one before this one, see previous.go

	apply, accept, start, send, respond                      string
	terminate, retry, unblock, restart, fork                 string
	pause, resume, deposit                                   string
	pauseWorkflow, underWay, resumeWorkflow, pausedWorkflows string
	putHookTypes, hookTypes                                  string
	serveGenerations                                         string
	renew, release, claim, claimNamed                        string
	fence, resync, prune, pruneGenerations                   string
	tellEnds                                                 string
	publish, tellPublications, topics, toCome                string
	purgePublications                                        string
	run, endings, workers, heads, journals, mails            string
	created, journalPage, mailPage, unread, count            string
	backlog, backlogs, unreadOf                              string
	hook, executing, allWorkers, generations                 string
	receipt, response, purgeReceipts, purgeAnswers           string
	answer, revokeLink, link, linksOf, linksTo               string
	linkKeys, installation                                   string
	keepRefused, dropRefused, refused, refusedList           string
}

const (
	runColumns = `id, workflow, version, status, parent_id, parent_ref, coalesce(trace, ''), secret, created_at, updated_at,
		ended_at, wake_at, worker, epoch, events, suspicion, mark, crashes, blocked_build, blocked_reason, generation, base, origin,
		coalesce(paused_at, p.at), CASE WHEN paused_at IS NULL THEN p.by ELSE paused_by END, CASE WHEN paused_at IS NULL THEN p.why ELSE paused_why END,
		paused_at IS NULL`
	// runPauses is what they need of the workflow of a run r.
	runPauses = ` LEFT JOIN LATERAL (SELECT q.at, q.by, q.why FROM tenter.paused_workflows q WHERE q.workflow = r.workflow OFFSET 0) p ON true`
	// runClaimed is the same for a run that was claimed, and so is not paused.
	runClaimed  = `, LATERAL (SELECT (c.run).*) r, LATERAL (SELECT NULL::timestamptz AS at, NULL::text AS by, NULL::text AS why) p`
	hookColumns = `id, run_id, token, type, metadata, webhook, reserved, created_at, closed_at, opened_pos, closed_pos, carried,
		coalesce(subject, ''), listens_from, listens_to`
	refusedColumns = `number, id, token, coalesce(hook_id, ''), coalesce(run_id, ''), coalesce(workflow, ''), sender, reason, coalesce(delivery, ''), request, length(body)::bigint, at`
	// linkColumns are those of a link l, of the link v with the answer of its addressee that it shows, and of its hook h.
	linkColumns = `l.number, l.id, l.run_id, l.hook_id, l.addressee, l.form, l.page, l.key, l.once, l.created_at, l.expires_at, l.opened_pos, l.revoked_at, coalesce(l.revoked_by, ''),
		v.answered_at, coalesce(v.id, ''), v.answer, (SELECT r.generation FROM tenter.runs r WHERE r.id = l.run_id),
		tenter.link_state(l, h, clock_timestamp()), coalesce(h.id, ''), coalesce(h.run_id, ''), coalesce(h.token, ''), coalesce(h.type, ''), h.metadata, h.webhook,
		coalesce(h.reserved, false), coalesce(h.created_at, l.created_at), h.closed_at, coalesce(h.opened_pos, 0), coalesce(h.closed_pos, 0), coalesce(h.carried, false)`
	linkJoins = ` LEFT JOIN LATERAL (SELECT q.id, q.answered_at, q.answer FROM tenter.links q
			WHERE q.run_id = l.run_id AND q.hook_id = l.hook_id AND q.addressee = l.addressee AND q.answered_at IS NOT NULL AND q.answered_in >= l.issued_in
			ORDER BY q.answered_in LIMIT 1) v ON true
		LEFT JOIN tenter.hooks h ON h.run_id = l.run_id AND h.id = l.hook_id`
	mailColumns = `run_id, kind, ref, data, accepted_at, or_start`
	// waitingColumns are the same and more of a message m in the backlog of a hook h.
	waitingColumns = `m.id, h.run_id, m.kind, h.id, m.data, m.accepted_at, m.or_start, coalesce(m.trace, ''), coalesce(m.actor, '')`
)

// inSchema puts the name of a schema into a statement.
func inSchema(schema, sql string) string {
	return strings.ReplaceAll(sql, "tenter.", pgx.Identifier{schema}.Sanitize()+".")
}

// in makes a statement of one of the schema tenter.
func (q *queries) in(sql string) string {
	if q.previous {
		sql = withoutAdded(sql)
	}
	if q.reads {
		sql = strings.ReplaceAll(sql, " FOR KEY SHARE", "")
	}
	return inSchema(q.schema, sql)
}

func newQueries(q queries) queries {
	in := q.in
	return queries{
		schema: q.schema, reads: q.reads, previous: q.previous,

		apply:   in(`SELECT t, n, code, run_id, hook_id FROM tenter.apply_2($1, $2, $3, $4, $5, $6, $7, $8)`),
		accept:  in(`SELECT (r.a).*, r.deferred FROM unnest($1::tenter.payload_2[]) p, tenter.accept_payload_2('batch', p) r`),
		start:   in(`SELECT tenter.start_2($1)`),
		send:    in(`SELECT tenter.send_2('batch', m) FROM unnest($1::tenter.message_2[]) m`),
		respond: in(`SELECT tenter.respond('batch', e) FROM unnest($1::tenter.effect[]) e`),

		terminate: in(`SELECT t, n, code, run_id, hook_id FROM tenter.terminate_2($1, $2, $3, $4, $5, $6, $7, $8, $9)`),
		retry:     in(`SELECT t, n, code, run_id, hook_id FROM tenter.retry_2($1, $2, $3, $4, $5, $6)`),
		unblock:   in(`SELECT tenter.unblock($1, $2)`),
		fork:      in(`SELECT t, n, code, run_id, hook_id FROM tenter.fork($1, $2)`),
		restart:   in(`SELECT t, n, code, run_id, hook_id FROM tenter.restart($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`),

		renew:   in(`SELECT tenter.renew_2($1, $2, $3, $4, $5, $6)`),
		release: in(`SELECT freed, more FROM tenter.release($1)`),
		claim: in(`SELECT next_at, more, ARRAY(SELECT workflow FROM tenter.paused_workflows), ` + runColumns +
			` FROM tenter.claim_2($1, $2, $3, $4, $5, $6, $7) c` + runClaimed),
		claimNamed: in(`SELECT next_at, busy, NULL::text[], ` + runColumns + ` FROM tenter.claim_named($1, $2, $3, $4, $5) c` + runClaimed),

		pause:           in(`SELECT code, old FROM tenter.pause($1, $2, $3, $4)`),
		resume:          in(`SELECT tenter.resume($1, $2, $3)`),
		deposit:         in(`SELECT tenter.deposit($1, $2, $3, $4, $5, $6)`),
		pauseWorkflow:   in(`SELECT code, old FROM tenter.pause_workflow($1, $2, $3)`),
		underWay:        in(`SELECT tenter.transitions_under_way()`),
		resumeWorkflow:  in(`SELECT tenter.resume_workflow($1)`),
		pausedWorkflows: in(`SELECT workflow, at, by, why FROM tenter.paused_workflows ORDER BY workflow`),

		putHookTypes: in(`SELECT tenter.put_hook_types($1, $2)`),
		hookTypes:    in(`SELECT name, payload FROM tenter.hook_types ORDER BY name`),

		fence:            in(`SELECT tenter.fence($1, $2, $3, $4)`),
		serveGenerations: in(`SELECT tenter.serve_generations()`),

		tellEnds: in(`SELECT more, told FROM tenter.tell_ends()`),

		publish: in(`SELECT ` + publishColumns + ` FROM tenter.publish($1, $2, $3, $4, $5, make_interval(secs => $6::double precision), $7, $8, $9) p`),

		tellPublications: in(`SELECT served, more, told FROM tenter.tell_publications($1, $2)`),
		topics: in(`SELECT topic, subject, listeners, behind, published_at FROM tenter.topics
			WHERE (topic, subject) > ($1, $2) AND topic >= coalesce($3::text, '') AND ($3::text IS NULL OR topic = $3::text) ORDER BY topic, subject LIMIT $4`),
		toCome: in(`SELECT l.run_id, l.hook_id, p.data, p.at, coalesce(p.trace, ''), coalesce(p.actor, '') FROM tenter.listeners l CROSS JOIN LATERAL
				(SELECT * FROM tenter.publications q WHERE q.topic = l.topic AND q.subject = l.subject AND q.seq > l.told) p
			WHERE l.run_id = $1 ORDER BY p.seq, l.hook_id`),
		purgePublications: in(`DELETE FROM tenter.publications WHERE ctid = ANY (ARRAY
			(SELECT ctid FROM tenter.publications WHERE expires_at <= now() AND data IS NULL ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED))`),

		prune: in(`SELECT pruned, more FROM tenter.prune($1, $2)`),

		pruneGenerations: in(`SELECT pruned, more FROM tenter.prune_generations($1, $2)`),
		generations:      in(`SELECT number, ended_at, base, last FROM tenter.generations WHERE run_id = $1 ORDER BY number`),
		// What is looked up by many IDs is looked up one by one: where the plan may choose, it
		// reads whole tables for as long as they seem small.
		resync: in(`SELECT
			ARRAY(SELECT n FROM unnest($1::text[]) n WHERE (SELECT true FROM tenter.mailbox b WHERE b.run_id = n LIMIT 1)
				OR (SELECT r.paused_at FROM tenter.runs r WHERE r.id = n) IS NOT NULL),
			ARRAY(SELECT n FROM unnest($2::text[]) n WHERE (SELECT r.ended_at FROM tenter.runs r WHERE r.id = n) IS NOT NULL),
			ARRAY(SELECT n FROM unnest($3::text[]) n WHERE (SELECT true FROM tenter.responses a WHERE a.request = n))`),

		run: in(`SELECT ` + runColumns + ` FROM tenter.runs r` + runPauses + ` WHERE id = $1`),
		endings: in(`SELECT ` + confirmed + `, r.id, r.workflow, r.status, CASE WHEN r.ended_at IS NOT NULL THEN
			(SELECT j.data FROM tenter.journal j WHERE j.run_id = r.id AND j.position = r.events) END
			FROM unnest($1::text[]) n CROSS JOIN LATERAL (SELECT * FROM tenter.runs q WHERE q.id = n OFFSET 0) r`),
		workers: in(`SELECT definitions FROM tenter.workers WHERE lease_until > clock_timestamp()`),
		heads: in(`SELECT n.place, ` + runColumns + ` FROM unnest($1::text[]) WITH ORDINALITY n (name, place)
			CROSS JOIN LATERAL (SELECT * FROM tenter.runs q WHERE q.id = n.name OFFSET 0) r` + runPauses),
		journals: in(`SELECT n.place, j.position, j.at, j.kind, j.ref, j.data, coalesce(j.asked, ''), j.or_start, j.epoch, j.seq, coalesce(j.actor, '')
			FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY n (name, after, place) CROSS JOIN LATERAL
				(SELECT * FROM tenter.journal q WHERE q.run_id = n.name
				AND q.position > (SELECT CASE WHEN n.after >= 0 OR r.worker = '' AND (r.messages > 0 OR r.wake_at <= clock_timestamp() + interval '1 second')
					THEN greatest(n.after, r.base) END FROM tenter.runs r WHERE r.id = n.name) ORDER BY q.position) j`),
		created: in(`SELECT created_at FROM tenter.runs WHERE id = $1`),
		count: in(workflows + `SELECT s.status, (SELECT count(*) FROM (SELECT FROM w CROSS JOIN LATERAL
				(SELECT FROM tenter.runs r WHERE r.workflow = w.workflow AND r.status = s.status ORDER BY r.created_at LIMIT $2) x LIMIT $2) y)
			FROM unnest($1::text[]) s (status)`),
		journalPage: in(`SELECT position, at, kind, ref, data, coalesce(asked, ''), or_start, epoch, seq, coalesce(actor, '') FROM tenter.journal
			WHERE run_id = $1 AND position > $2 ORDER BY position LIMIT $3`),
		mailPage: in(`SELECT id, ` + mailColumns + `, coalesce(trace, ''), coalesce(actor, '') FROM tenter.mailbox WHERE run_id = $1 ORDER BY id LIMIT $2`),
		unread: in(`SELECT message_id, ` + mailColumns + `, '', coalesce(actor, '') FROM tenter.unread
			WHERE run_id = $1 AND kind = 'payload_received' AND (SELECT ended_at IS NOT NULL FROM tenter.runs WHERE id = $1) ORDER BY number LIMIT $2`),
		// What a generation has left unread follows what those before it had.
		unreadOf: in(`SELECT u.message_id, u.run_id, u.kind, u.ref, u.data, u.accepted_at, u.or_start, '', coalesce(u.actor, '')
			FROM tenter.generations g JOIN tenter.unread u ON u.run_id = g.run_id AND u.number <= g.unread
				AND u.number > (SELECT coalesce(max(b.unread), 0) FROM tenter.generations b WHERE b.run_id = $1 AND b.number < $2)
			WHERE g.run_id = $1 AND g.number = $2 AND u.kind = 'payload_received' ORDER BY u.number LIMIT $3`),
		allWorkers: in(`SELECT name, build, definitions, coalesce(link_keys, ''), renewed_at, lease_until, lease_until > clock_timestamp() FROM tenter.workers ORDER BY name`),
		// With the first payload of each backlog.
		mails: in(`SELECT n.place, m.* FROM unnest($1::text[]) WITH ORDINALITY n (name, place) CROSS JOIN LATERAL (
			(SELECT id, ` + mailColumns + `, coalesce(trace, ''), coalesce(actor, ''), false FROM tenter.mailbox WHERE run_id = n.name ORDER BY id LIMIT $2)
			UNION ALL
			(SELECT ` + waitingColumns + `, true FROM tenter.hooks h CROSS JOIN LATERAL
				(SELECT * FROM tenter.mailbox q WHERE q.backlog = h.backlog ORDER BY q.id LIMIT 1) m
			WHERE h.run_id = n.name AND h.backlog IS NOT NULL ORDER BY h.number)) m`),
		backlog: in(`SELECT ` + waitingColumns + ` FROM tenter.hooks h CROSS JOIN LATERAL
				(SELECT * FROM tenter.mailbox q WHERE q.backlog = h.backlog AND q.id > $3 ORDER BY q.id LIMIT $4) m
			WHERE h.run_id = $1 AND h.id = $2 AND h.backlog IS NOT NULL`),
		backlogs: in(`SELECT ` + waitingColumns + ` FROM tenter.hooks h CROSS JOIN LATERAL
				(SELECT * FROM tenter.mailbox q WHERE q.backlog = h.backlog ORDER BY q.id LIMIT $2) m
			WHERE h.run_id = $1 AND h.backlog IS NOT NULL ORDER BY h.number, m.id LIMIT $2`),

		hook:      in(`SELECT ` + hookColumns + ` FROM tenter.hooks WHERE token = $1 AND closed_at IS NULL`),
		executing: in(`SELECT run_id, step, attempt, started_at, worker FROM tenter.executing WHERE run_id = $1 ORDER BY step`),

		receipt: in(`SELECT hook_id, run_id, type, metadata, webhook, hook_created_at, request FROM tenter.receipts
			WHERE token = $1 AND expires_at > clock_timestamp() AND request IS NOT NULL LIMIT 1 FOR KEY SHARE`),
		response: in(`SELECT ` + confirmed + `, request, run_id, responder, status, header, body, at, expires_at FROM tenter.responses WHERE request = $1`),

		answer:     in(`SELECT code, told, coalesce(state, '') FROM tenter.answer($1, $2, $3, $4, $5, $6)`),
		revokeLink: in(`SELECT tenter.revoke_link($1, $2, $3)`),
		link:       in(`SELECT ` + linkColumns + ` FROM tenter.links l` + linkJoins + ` WHERE l.id = $1`),
		linksOf: in(`SELECT ` + linkColumns + ` FROM tenter.links l` + linkJoins + `
			WHERE l.run_id = $1 AND l.number > $2 AND ($3 = '' OR l.hook_id = $3) ORDER BY l.number LIMIT $4`),
		linksTo: in(`SELECT ` + linkColumns + ` FROM tenter.links l` + linkJoins + `
			WHERE l.addressee = $1 AND l.answered_at IS NULL AND l.revoked_at IS NULL AND l.number > $2 AND l.expires_at > clock_timestamp()
			AND tenter.link_state(l, h, clock_timestamp()) = 'open' ORDER BY l.number LIMIT $3`),
		// The next turn of the run may open a hook that is carried.
		linkKeys: in(`SELECT l.key, count(*) FROM tenter.links l JOIN tenter.hooks h ON h.run_id = l.run_id AND h.id = l.hook_id
			WHERE l.answered_at IS NULL AND l.revoked_at IS NULL AND l.expires_at > clock_timestamp() AND h.closed_at IS NULL
			AND tenter.link_state(l, h, clock_timestamp()) NOT IN ('answered', 'decided') GROUP BY l.key`),
		installation: in(`SELECT id FROM tenter.installation`),

		keepRefused: in(`SELECT tenter.keep_refused($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`),
		dropRefused: in(`SELECT tenter.drop_refused($1, $2)`),
		refused:     in(`SELECT ` + refusedColumns + `, body FROM tenter.refused_requests WHERE id = $1`),
		refusedList: in(`SELECT ` + refusedColumns + `, NULL::bytea FROM tenter.refused_requests WHERE number < $1 ORDER BY number DESC LIMIT $2`),

		// now(), since clock_timestamp() could be another at each row: no index is searched for it.
		purgeReceipts: in(`DELETE FROM tenter.receipts WHERE ctid = ANY (ARRAY
			(SELECT ctid FROM tenter.receipts WHERE expires_at <= now() ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED))`),
		purgeAnswers: in(`DELETE FROM tenter.responses WHERE ctid = ANY (ARRAY
			(SELECT ctid FROM tenter.responses WHERE expires_at <= now() ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED))`),
	}
}
