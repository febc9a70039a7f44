package postgres

import (
	"strings"

	"github.com/jackc/pgx/v5"
)

// queries are the statements, with the name of the schema in them. What writes is a
// function of the schema, see functions.
type queries struct {
	schema string

	apply, accept, start, send, respond            string
	terminate, retry, unblock                      string
	renew, release, claim, claimNamed              string
	fence, resync, prune                           string
	run, endings, workers, heads, journals, mails  string
	created, journalPage, mailPage, unread, count  string
	backlog, backlogs                              string
	hook, executing, allWorkers                    string
	receipt, response, purgeReceipts, purgeAnswers string
}

const (
	runColumns = `id, workflow, version, status, parent_id, parent_ref, coalesce(trace, ''), secret, created_at, updated_at,
		ended_at, wake_at, worker, epoch, events, suspicion, mark, crashes, blocked_build, blocked_reason`
	hookColumns = `id, run_id, token, type, metadata, webhook, reserved, created_at, closed_at, opened_pos, closed_pos`
	mailColumns = `run_id, kind, ref, data, accepted_at, or_start`
	// waitingColumns are the same and more of a message m in the backlog of a hook h.
	waitingColumns = `m.id, h.run_id, m.kind, h.id, m.data, m.accepted_at, m.or_start, coalesce(m.trace, '')`
)

// inSchema puts the name of a schema into a statement.
func inSchema(schema, sql string) string {
	return strings.ReplaceAll(sql, "tenter.", pgx.Identifier{schema}.Sanitize()+".")
}

func newQueries(schema string) queries {
	in := func(sql string) string { return inSchema(schema, sql) }
	return queries{
		schema: schema,

		apply:   in(`SELECT t, n, code, run_id, hook_id FROM tenter.apply_2($1, $2, $3, $4, $5, $6, $7, $8)`),
		accept:  in(`SELECT (r.a).*, r.deferred FROM unnest($1::tenter.payload[]) p, tenter.accept_payload('batch', p) r`),
		start:   in(`SELECT tenter.start_2($1)`),
		send:    in(`SELECT tenter.send('batch', m) FROM unnest($1::tenter.message[]) m`),
		respond: in(`SELECT tenter.respond('batch', e) FROM unnest($1::tenter.effect[]) e`),

		terminate: in(`SELECT t, n, code, run_id, hook_id FROM tenter.terminate($1, $2, $3, $4, $5, $6, $7, $8)`),
		retry:     in(`SELECT t, n, code, run_id, hook_id FROM tenter.retry($1, $2, $3, $4, $5)`),
		unblock:   in(`SELECT tenter.unblock($1, $2)`),

		renew:      in(`SELECT tenter.renew_2($1, $2, $3, $4, $5)`),
		release:    in(`SELECT freed, more FROM tenter.release($1)`),
		claim:      in(`SELECT next_at, more, ` + runColumns + ` FROM tenter.claim($1, $2, $3, $4, $5, $6) c, LATERAL (SELECT (c.run).*) r`),
		claimNamed: in(`SELECT next_at, busy, ` + runColumns + ` FROM tenter.claim_named($1, $2, $3, $4, $5) c, LATERAL (SELECT (c.run).*) r`),

		fence: in(`SELECT tenter.fence($1, $2, $3, $4)`),
		prune: in(`SELECT pruned, more FROM tenter.prune($1, $2)`),
		// What is looked up by many IDs is looked up one by one: where the plan may choose, it
		// reads whole tables for as long as they seem small.
		resync: in(`SELECT
			ARRAY(SELECT n FROM unnest($1::text[]) n WHERE (SELECT true FROM tenter.mailbox b WHERE b.run_id = n LIMIT 1)),
			ARRAY(SELECT n FROM unnest($2::text[]) n WHERE (SELECT r.ended_at FROM tenter.runs r WHERE r.id = n) IS NOT NULL),
			ARRAY(SELECT n FROM unnest($3::text[]) n WHERE (SELECT true FROM tenter.responses a WHERE a.request = n))`),

		run: in(`SELECT ` + runColumns + ` FROM tenter.runs WHERE id = $1`),
		endings: in(`SELECT ` + confirmed + `, r.id, r.workflow, r.status, CASE WHEN r.ended_at IS NOT NULL THEN
			(SELECT j.data FROM tenter.journal j WHERE j.run_id = r.id AND j.position = r.events) END
			FROM unnest($1::text[]) n CROSS JOIN LATERAL (SELECT * FROM tenter.runs q WHERE q.id = n OFFSET 0) r`),
		workers: in(`SELECT definitions FROM tenter.workers WHERE lease_until > clock_timestamp()`),
		heads: in(`SELECT n.place, ` + runColumns + ` FROM unnest($1::text[]) WITH ORDINALITY n (name, place)
			CROSS JOIN LATERAL (SELECT * FROM tenter.runs q WHERE q.id = n.name OFFSET 0) r`),
		journals: in(`SELECT n.place, j.position, j.at, j.kind, j.ref, j.data, coalesce(j.asked, ''), j.or_start, j.epoch, j.seq
			FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY n (name, after, place) CROSS JOIN LATERAL
				(SELECT * FROM tenter.journal q WHERE q.run_id = n.name AND q.position > n.after ORDER BY q.position) j`),
		created: in(`SELECT created_at FROM tenter.runs WHERE id = $1`),
		count: in(workflows + `SELECT s.status, (SELECT count(*) FROM (SELECT FROM w CROSS JOIN LATERAL
				(SELECT FROM tenter.runs r WHERE r.workflow = w.workflow AND r.status = s.status ORDER BY r.created_at LIMIT $2) x LIMIT $2) y)
			FROM unnest($1::text[]) s (status)`),
		journalPage: in(`SELECT position, at, kind, ref, data, coalesce(asked, ''), or_start, epoch, seq FROM tenter.journal
			WHERE run_id = $1 AND position > $2 ORDER BY position LIMIT $3`),
		mailPage: in(`SELECT id, ` + mailColumns + `, coalesce(trace, '') FROM tenter.mailbox WHERE run_id = $1 ORDER BY id LIMIT $2`),
		unread: in(`SELECT message_id, ` + mailColumns + `, '' FROM tenter.unread
			WHERE run_id = $1 AND kind = 'payload_received' ORDER BY number LIMIT $2`),
		allWorkers: in(`SELECT name, build, definitions, renewed_at, lease_until, lease_until > clock_timestamp() FROM tenter.workers ORDER BY name`),
		// With the first payload of each backlog.
		mails: in(`SELECT n.place, m.* FROM unnest($1::text[]) WITH ORDINALITY n (name, place) CROSS JOIN LATERAL (
			(SELECT id, ` + mailColumns + `, coalesce(trace, ''), false FROM tenter.mailbox WHERE run_id = n.name ORDER BY id LIMIT $2)
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

		// now(), since clock_timestamp() could be another at each row: no index is searched for it.
		purgeReceipts: in(`DELETE FROM tenter.receipts WHERE ctid = ANY (ARRAY
			(SELECT ctid FROM tenter.receipts WHERE expires_at <= now() ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED))`),
		purgeAnswers: in(`DELETE FROM tenter.responses WHERE ctid = ANY (ARRAY
			(SELECT ctid FROM tenter.responses WHERE expires_at <= now() ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED))`),
	}
}
