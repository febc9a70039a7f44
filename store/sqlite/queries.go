package sqlite

// query is one of the prepared statements.
type query int

const (
	qBegin query = iota
	qBeginImmediate
	qCommit
	qRollback
	qDataVersion
	qLastAccepted

	qRunHead
	qRunWhose
	qRunFull
	qRunEnding
	qRunDue
	qRunEvents
	qRunExists
	qRunListed
	qRunListedPaused
	qRunCount
	qRunWorkflow
	qRunInsert
	qRunUpdate
	qRunUpdateDue
	qRunMessage
	qRunMessageDue
	qRunMessages
	qRunNoMessages
	qRunUnblock
	qRunTerminate
	qRunRetry
	qRunClaim
	qRunRelease
	qRunLoad
	qRunBacklogs
	qRunNoBacklogs
	qRunRestart
	qRunForked
	qRunAwaited
	qRunUntold
	qRunPause
	qRunResume
	qRunFree

	qPausedInsert
	qPausedDelete
	qPausedList
	qHookTypePut
	qHookTypeList

	qJournalInsert
	qJournalAfter
	qJournalPage
	qJournalGet
	qJournalCut
	qJournalDelete
	qJournalFork

	qMailInsert
	qMailHas
	qMailDelete
	qMailPage
	qMailOldest
	qMailTimes
	qMailClear
	qMailFirst
	qMailDefer
	qMailAdmit
	qMailStaying
	qMailGive
	qMailJoin
	qMailInFront
	qMailSuccessors
	qMailToUnread
	qMailClosedToUnread
	qMailClosedClear
	qMailNoWake
	qMailToFront
	qMailPutFront
	qMailOutcome

	qBacklogInsert
	qBacklogs
	qBacklogOf
	qBacklogPage
	qBacklogTimes
	qBacklogSuccessor

	qHookByToken
	qHookByID
	qHookToken
	qHookOpen
	qHookInsert
	qHookAdopt
	qHookAdopted
	qHookClose
	qHookCloseAll
	qHookReopened
	qHookReopen
	qHookDeleteFrom
	qHooksOf
	qHooksOfType
	qHooksByToken
	qHookType
	qHookDefer
	qHookAdmit
	qHookInherit
	qHookOfToken
	qHookCloseCarried
	qHookCarry
	qHookReturn
	qHookFork

	qReceiptGet
	qReceiptOfRequest
	qReceiptInsert
	qReceiptPurge

	qResponseInsert
	qResponseResponder
	qResponseGet
	qResponsePurge

	qWorkerRenew
	qWorkerDelete
	qWorkerPurge
	qWorkerLease
	qWorkersLive
	qWorkersAll
	qWorkerOwner

	qClaimFree
	qClaimFreeBlocked
	qClaimOwned
	qClaimOwnedBlocked

	qUnreadInsert
	qUnreadLast
	qUnreadBack
	qUnreadList
	qUnreadOf
	qUnreadDeleteBack
	qUnreadDelete

	qExecutingSet
	qExecutingDelete
	qExecutingClear
	qExecutingRelease
	qExecutingList

	qChildren

	qGenerationInsert
	qGenerations
	qGenerationGet
	qGenerationsEnded
	qGenerationDelete
	qGenerationsDelete
	qGenerationJournal
	qGenerationCuts
	qGenerationLinks
	qGenerationHooks
	qGenerationUnread
	qServeOnly
	qOldWorker

	qSubscriptionSet
	qSubscriptionDelete
	qSubscriptionsDelete
	qSubscriptionsTo
	qSubscriptionsOf
	qSubscriptionTargets
	qSubscribed

	qLinkInsert
	qLinkRevoke
	qLinkRevokeOf
	qLinkGet
	qLinkAnswer
	qLinksOf
	qLinksTo
	qLinksDelete
	qLinksCut
	qLinkReturn
	qLinkCarry
	qLinkKeys
	qInstallation
	qRefusedInsert
	qRefusedTrim
	qRefusedGet
	qRefusedList
	qRefusedDelete
	qTopicSeqNext
	qTopicSeq
	qTopicGet
	qTopicListen
	qTopicLeave
	qTopicDelete
	qTopicPublished
	qTopicBehind
	qTopicNotBehind
	qTopicsOf
	qListenerInsert
	qListenerDelete
	qListenerGet
	qListenersOf
	qListenersBehind
	qListenerTold
	qListenerFirst
	qHookListens
	qHookCeased
	qHooksListening
	qPublicationInsert
	qPublicationNext
	qPublicationsAfter
	qPublicationOfKey
	qPublicationForget
	qPublicationUnkey
	qPublicationsDelete
	qPublicationsDone
	qPublicationPurge

	qRunsEnded
	qPruneRun
	qPruneJournal
	qPruneCuts
	qPruneHooks
	qPruneTxSteps

	qTxStepClaim
	qTxStepGet
	qTxStepComplete

	qSavepoint
	qReleaseSavepoint
	qRollbackSavepoint

	queryCount
)

const (
	runColumns = `id, workflow, version, status, parent_id, parent_ref, trace, secret, created_at, updated_at, ended_at,
		wake_at, worker, epoch, events, suspicion, mark, crashes, blocked_build, blocked_reason, generation, base, origin,
		coalesce(paused_at, p.at), CASE WHEN paused_at IS NULL THEN p.by ELSE paused_by END, CASE WHEN paused_at IS NULL THEN p.why ELSE paused_why END,
		paused_at IS NULL`
	// runPauses is what they need of their table: its index, if one is to be used, is in the gap.
	runPauses   = ` LEFT JOIN tenter_paused_workflows p USING (workflow)`
	hookColumns = `id, run_id, token, type, metadata, webhook, reserved, created_at, closed_at, opened_pos, closed_pos, carried,
		subject, listens_from, listens_to`
	mailColumns    = `id, run_id, kind, ref, data, accepted_at, or_start, trace, actor`
	refusedColumns = `number, id, token, hook_id, run_id, workflow, sender, reason, delivery, request, length(body), at`
	// leftBefore is the number of the last message that the generations of run ?1 that are over have left unread.
	leftBefore = `coalesce((SELECT unread FROM tenter_generations WHERE run_id = ?1 ORDER BY number DESC LIMIT 1), 0)`
	// linkColumns are those of a link l, of the link v with the answer of its addressee that it shows, and of its hook h. The
	// first parameter is the time.
	linkColumns = `l.number, l.id, l.run_id, l.hook_id, l.addressee, l.form, l.page, l.key, l.once, l.created_at, l.expires_at, l.opened_pos, l.revoked_at, l.revoked_by,
		v.answered_at, v.id, v.answer, (SELECT generation FROM tenter_runs r WHERE r.id = l.run_id), ` + linkState + `,
		h.id, h.run_id, h.token, h.type, h.metadata, h.webhook, h.reserved, h.created_at, h.closed_at, h.opened_pos, h.closed_pos, h.carried, h.subject, h.listens_from, h.listens_to`
	// linkState is what a link is good for. What earlier generations were answered was not asked by this link.
	linkState = `CASE
		WHEN l.revoked_at IS NOT NULL THEN 'revoked'
		WHEN v.id IS NOT NULL THEN 'answered'
		WHEN EXISTS (SELECT 1 FROM tenter_links d WHERE d.run_id = l.run_id AND d.hook_id = l.hook_id
			AND d.answered_at IS NOT NULL AND d.answered_in >= l.issued_in AND (d.once OR l.once)) THEN 'decided'
		WHEN h.id IS NULL OR h.closed_at IS NOT NULL THEN 'closed'
		WHEN h.carried AND (SELECT status FROM tenter_runs r WHERE r.id = l.run_id) = 'waiting' THEN 'closed'
		WHEN l.expires_at <= ?1 THEN 'expired'
		WHEN h.carried THEN 'carried'
		ELSE 'open' END`
	linkJoins = ` LEFT JOIN tenter_links v ON v.number = (SELECT q.number FROM tenter_links q
			WHERE q.run_id = l.run_id AND q.hook_id = l.hook_id AND q.addressee = l.addressee AND q.answered_at IS NOT NULL AND q.answered_in >= l.issued_in
			ORDER BY q.answered_in LIMIT 1)
		LEFT JOIN tenter_hooks h ON h.run_id = l.run_id AND h.id = l.hook_id`
)

// queries are written so that each runs on an index, which a test checks.
var queries = [queryCount]string{
	qBegin:          `BEGIN`,
	qBeginImmediate: `BEGIN IMMEDIATE`,
	qCommit:         `COMMIT`,
	qRollback:       `ROLLBACK`,
	qDataVersion:    `PRAGMA data_version`,
	qLastAccepted:   `SELECT accepted_at FROM tenter_mailbox ORDER BY id DESC LIMIT 1`,

	// A run that is paused has no due_at, and no message makes it due: none is before 0.
	qRunHead: `SELECT status, worker, epoch, events, messages, version, wake_at, CASE WHEN paused_at IS NULL THEN due_at ELSE '0' END, blocked_build,
		suspicion, mark, crashes, blocked_reason, parent_id, parent_ref, backlogs, generation, base, awaited, paused_at IS NOT NULL
		FROM tenter_runs WHERE id = ?`,
	qRunWhose: `SELECT workflow FROM tenter_runs WHERE id = ?`,
	qRunFull:  `SELECT ` + runColumns + ` FROM tenter_runs` + runPauses + ` WHERE id = ?`,
	qRunLoad:  `SELECT ` + runColumns + `, backlogs FROM tenter_runs` + runPauses + ` WHERE id = ?`,
	qRunEnding: `SELECT r.id, r.workflow, r.status, CASE WHEN r.ended_at IS NOT NULL THEN
		(SELECT j.data FROM tenter_journal j WHERE j.run_id = r.id AND j.position = r.events) END FROM tenter_runs r WHERE r.id = ?`,
	// A run that has something to do.
	qRunDue:    `SELECT ` + runColumns + ` FROM tenter_runs` + runPauses + ` WHERE id = ? AND (messages > 0 OR wake_at <= ?)`,
	qRunEvents: `SELECT events FROM tenter_runs WHERE id = ?`,
	qRunExists: `SELECT parent_id, parent_ref FROM tenter_runs WHERE id = ?`,
	qRunListed: `SELECT created_at, id FROM tenter_runs INDEXED BY tenter_runs_list
		WHERE workflow = ? AND status = ? AND (created_at, id) < (?, ?) AND created_at >= ? ORDER BY created_at DESC, id DESC LIMIT ?`,
	qRunListedPaused: `SELECT created_at, id FROM tenter_runs INDEXED BY tenter_runs_paused
		WHERE workflow = ? AND status = ? AND (created_at, id) < (?, ?) AND created_at >= ? AND paused_at IS NOT NULL ORDER BY created_at DESC, id DESC LIMIT ?`,
	qRunCount: `SELECT count(*) FROM (SELECT 1 FROM tenter_runs INDEXED BY tenter_runs_list WHERE workflow = ? AND status = ? LIMIT ?)`,
	// The next workflow after a name: stepping through the few that there are.
	qRunWorkflow: `SELECT workflow FROM tenter_runs INDEXED BY tenter_runs_list WHERE workflow > ? ORDER BY workflow LIMIT 1`,
	qRunInsert: `INSERT OR IGNORE INTO tenter_runs (id, workflow, version, status, parent_id, parent_ref, trace, secret, created_at, updated_at, ended_at,
		wake_at, due_at, messages, worker, epoch, events, suspicion, mark, crashes, blocked_build, blocked_reason)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
	// Where nothing changes that the claim index has, it is not touched.
	qRunUpdate: `UPDATE tenter_runs SET updated_at = ?, wake_at = ?, messages = ?, events = ?, suspicion = ?, mark = ?, crashes = ?, blocked_reason = ?
		WHERE id = ?`,
	qRunUpdateDue: `UPDATE tenter_runs SET updated_at = ?, wake_at = ?, messages = ?, events = ?, suspicion = ?, mark = ?, crashes = ?, blocked_reason = ?,
		status = ?, ended_at = ?, worker = ?, epoch = ?, version = ?, blocked_build = ?, due_at = ?
		WHERE id = ?`,
	qRunMessage:    `UPDATE tenter_runs SET messages = messages + 1 WHERE id = ?`,
	qRunMessages:   `UPDATE tenter_runs SET messages = messages + ?, due_at = ? WHERE id = ?`,
	qRunMessageDue: `UPDATE tenter_runs SET messages = messages + 1, due_at = ? WHERE id = ?`,
	qRunNoMessages: `UPDATE tenter_runs SET messages = 0 WHERE id = ?`,
	qRunUnblock: `UPDATE tenter_runs SET status = 'running', blocked_build = '', blocked_reason = '', wake_at = ?,
		due_at = CASE WHEN paused_at IS NULL THEN ? END, updated_at = ? WHERE id = ?`,
	qRunTerminate: `UPDATE tenter_runs SET status = 'canceled', updated_at = ?, ended_at = ?, wake_at = NULL, due_at = NULL, messages = 0,
		worker = NULL, epoch = ?, events = ?, mark = 0, blocked_build = '', blocked_reason = '', paused_at = NULL, paused_by = NULL, paused_why = NULL
		WHERE id = ?`,
	qRunRetry: `UPDATE tenter_runs SET status = 'running', updated_at = ?, ended_at = NULL, wake_at = NULL, due_at = NULL, messages = 0,
		worker = NULL, epoch = ?, events = ?, suspicion = 0, mark = 0, crashes = 0, blocked_build = '', blocked_reason = ''
		WHERE id = ?`,
	qRunClaim:   `UPDATE tenter_runs SET worker = ?, epoch = ?, suspicion = ?, mark = 0, crashes = ? WHERE id = ?`,
	qRunRelease: `UPDATE tenter_runs SET worker = NULL WHERE worker = ?`,

	qRunBacklogs:   `UPDATE tenter_runs SET backlogs = backlogs + ? WHERE id = ?`,
	qRunNoBacklogs: `UPDATE tenter_runs SET backlogs = 0 WHERE id = ?`,
	qRunRestart: `UPDATE tenter_runs SET epoch = epoch + 1, generation = generation + 1, base = events, due_at = ?2,
		messages = (SELECT count(*) FROM tenter_mailbox WHERE run_id = ?1),
		backlogs = (SELECT count(*) FROM tenter_hooks INDEXED BY tenter_hooks_backlog WHERE run_id = ?1 AND backlog IS NOT NULL) WHERE id = ?1`,
	qRunForked: `UPDATE tenter_runs SET forked_from = ?2, origin = ?3, generation = ?4, base = ?5 WHERE id = ?1`,

	qRunAwaited: `UPDATE tenter_runs SET awaited = ? WHERE id = ?`,
	qRunUntold:  `SELECT id FROM tenter_runs INDEXED BY tenter_runs_untold WHERE awaited AND ended_at IS NOT NULL LIMIT 1`,

	qRunPause:  `UPDATE tenter_runs SET paused_at = ?, paused_by = ?, paused_why = ?, due_at = NULL WHERE id = ?`,
	qRunResume: `UPDATE tenter_runs SET paused_at = NULL, paused_by = NULL, paused_why = NULL, due_at = ? WHERE id = ?`,
	qRunFree:   `UPDATE tenter_runs SET worker = NULL WHERE id = ?`,

	qPausedInsert: `INSERT OR IGNORE INTO tenter_paused_workflows (workflow, at, by, why) VALUES (?, ?, ?, ?)`,
	qPausedDelete: `DELETE FROM tenter_paused_workflows WHERE workflow = ?`,
	qPausedList:   `SELECT workflow, at, by, why FROM tenter_paused_workflows ORDER BY workflow`,

	qHookTypePut: `INSERT INTO tenter_hook_types (name, payload) VALUES (?, ?)
		ON CONFLICT (name) DO UPDATE SET payload = excluded.payload WHERE payload <> excluded.payload`,
	qHookTypeList: `SELECT name, payload FROM tenter_hook_types ORDER BY name`,

	qJournalInsert: `INSERT INTO tenter_journal (run_id, position, at, kind, ref, data, asked, or_start, epoch, seq, actor) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
	qJournalAfter: `SELECT position, at, kind, ref, data, asked, or_start, epoch, seq, actor FROM tenter_journal
		WHERE run_id = ? AND position > ? ORDER BY position`,
	qJournalPage: `SELECT position, at, kind, ref, data, asked, or_start, epoch, seq, actor FROM tenter_journal
		WHERE run_id = ? AND position > ? ORDER BY position LIMIT ?`,
	qJournalGet: `SELECT position, at, kind, ref, data, asked, or_start, epoch, seq, actor FROM tenter_journal WHERE run_id = ? AND position = ?`,
	qJournalCut: `INSERT INTO tenter_journal_cuts (run_id, cut, position, cut_at, at, kind, ref, data, asked, or_start, epoch, seq, actor)
		SELECT run_id, ?, position, ?, at, kind, ref, data, asked, or_start, epoch, seq, actor FROM tenter_journal WHERE run_id = ? AND position >= ?`,
	qJournalDelete: `DELETE FROM tenter_journal WHERE run_id = ? AND position >= ?`,
	qJournalFork: `INSERT INTO tenter_journal (run_id, position, at, kind, ref, data, asked, or_start, epoch, seq, actor)
		SELECT ?1, position, at, kind, ref, data, asked, NULL, epoch, seq, actor FROM tenter_journal WHERE run_id = ?2 AND position > ?3 AND position <= ?4`,

	qMailInsert: `INSERT INTO tenter_mailbox (run_id, kind, ref, data, accepted_at, or_start, trace, actor) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
	qMailHas:    `SELECT run_id FROM tenter_mailbox WHERE id = ?`,
	qMailDelete: `DELETE FROM tenter_mailbox WHERE id = ?`,
	qMailPage:   `SELECT ` + mailColumns + ` FROM tenter_mailbox WHERE run_id = ? ORDER BY id LIMIT ?`,
	qMailOldest: `SELECT min(accepted_at) FROM tenter_mailbox WHERE run_id = ?`,
	qMailTimes:  `SELECT id, ref, accepted_at FROM tenter_mailbox WHERE run_id = ? ORDER BY id`,
	qMailClear:  `DELETE FROM tenter_mailbox WHERE run_id = ?`,

	qMailFirst: `SELECT id FROM tenter_mailbox WHERE run_id = ? AND ref = ? AND kind = 'payload_received' ORDER BY id LIMIT 1`,
	qMailDefer: `UPDATE tenter_mailbox SET backlog = ?, run_id = '' WHERE run_id = ? AND ref = ? AND kind = 'payload_received'`,
	qMailAdmit: `UPDATE tenter_mailbox SET run_id = ?, ref = ?, backlog = NULL WHERE backlog = ?`,
	// What stays with its run, back in its mailbox.
	qMailStaying: `UPDATE tenter_mailbox INDEXED BY tenter_mailbox_staying SET run_id = ?, ref = ?, backlog = NULL
		WHERE backlog = ? AND or_start IS NULL`,
	qMailGive: `UPDATE tenter_mailbox SET backlog = ?, run_id = '' WHERE run_id = ? AND kind = 'payload_received' AND or_start IS NOT NULL
		AND (SELECT token FROM tenter_hooks h WHERE h.run_id = tenter_mailbox.run_id AND h.id = ref) = ? AND (or_start ->> 'webhook' IS NOT NULL) = ?`,
	qMailJoin:    `UPDATE tenter_mailbox SET backlog = ? WHERE backlog = ?`,
	qMailInFront: `INSERT INTO tenter_mailbox (id, run_id, kind, ref, data, accepted_at, or_start, actor, backlog) VALUES (?, '', ?, ?, ?, ?, ?, ?, ?)`,
	// The first payload with OrStart of each hook that is closed; a column beside min is of its row.
	qMailSuccessors: `SELECT min(id), ref, or_start FROM tenter_mailbox WHERE run_id = ?1 AND kind = 'payload_received' AND or_start IS NOT NULL
		AND (SELECT closed_at FROM tenter_hooks h WHERE h.run_id = ?1 AND h.id = ref) IS NOT NULL GROUP BY ref`,
	qMailToUnread: `INSERT INTO tenter_unread (run_id, number, message_id, kind, ref, data, accepted_at, or_start, journaled, actor)
		SELECT run_id, ?2 + row_number() OVER (ORDER BY id), id, kind, ref, data, accepted_at, or_start, 0, actor FROM tenter_mailbox
		WHERE run_id = ?1 AND (kind = 'payload_received' OR ?3 AND kind NOT IN ('cancel_requested', 'woken', 'retried', 'retry_now', 'resumed'))`,

	qMailClosedToUnread: `INSERT INTO tenter_unread (run_id, number, message_id, kind, ref, data, accepted_at, or_start, journaled, actor)
		SELECT run_id, ?2 + row_number() OVER (ORDER BY id), id, kind, ref, data, accepted_at, or_start, 0, actor FROM tenter_mailbox
		WHERE run_id = ?1 AND kind = 'payload_received' AND (SELECT closed_at FROM tenter_hooks h WHERE h.run_id = ?1 AND h.id = ref) IS NOT NULL`,
	qMailClosedClear: `DELETE FROM tenter_mailbox WHERE run_id = ?1 AND kind = 'payload_received'
		AND (SELECT closed_at FROM tenter_hooks h WHERE h.run_id = ?1 AND h.id = ref) IS NOT NULL`,
	qMailNoWake:   `DELETE FROM tenter_mailbox WHERE run_id = ? AND kind IN ('woken', 'retry_now')`,
	qMailToFront:  `UPDATE tenter_mailbox SET id = ? WHERE id = ?`,
	qMailPutFront: `INSERT INTO tenter_mailbox (id, run_id, kind, ref, data, accepted_at, or_start, actor) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
	// A step has one outcome at most that its run has not taken.
	qMailOutcome: `SELECT id FROM tenter_mailbox WHERE run_id = ? AND ref = ? AND kind IN ('step_completed', 'step_failed', 'step_retried') LIMIT 1`,

	qBacklogInsert: `INSERT INTO tenter_mailbox (run_id, kind, ref, data, accepted_at, or_start, trace, actor, backlog) VALUES ('', ?, ?, ?, ?, ?, ?, ?, ?)`,
	// With a second parameter, those of hooks that are closed.
	qBacklogs: `SELECT id, token, backlog FROM tenter_hooks INDEXED BY tenter_hooks_backlog WHERE run_id = ?1 AND backlog IS NOT NULL
		AND (?2 = 0 OR closed_at IS NOT NULL) ORDER BY number`,
	qBacklogOf: `SELECT backlog FROM tenter_hooks WHERE run_id = ? AND id = ?`,
	qBacklogPage: `SELECT id, ?1, kind, ?2, data, accepted_at, or_start, trace, actor FROM tenter_mailbox INDEXED BY tenter_mailbox_backlog
		WHERE backlog = ?3 AND id > ?4 ORDER BY id LIMIT ?5`,
	qBacklogTimes: `SELECT id, accepted_at FROM tenter_mailbox INDEXED BY tenter_mailbox_backlog WHERE backlog = ? ORDER BY id`,
	qBacklogSuccessor: `SELECT id, or_start FROM tenter_mailbox INDEXED BY tenter_mailbox_backlog WHERE backlog = ? AND or_start IS NOT NULL
		ORDER BY id LIMIT 1`,

	qHookByToken: `SELECT ` + hookColumns + ` FROM tenter_hooks WHERE token = ? AND closed_at IS NULL`,
	qHookByID:    `SELECT ` + hookColumns + ` FROM tenter_hooks WHERE run_id = ? AND id = ?`,
	qHookToken:   `SELECT token FROM tenter_hooks WHERE run_id = ? AND id = ?`,
	qHookOpen:    `SELECT 1 FROM tenter_hooks WHERE token = ? AND closed_at IS NULL`,
	qHookInsert: `INSERT INTO tenter_hooks (id, run_id, token, type, metadata, webhook, reserved, carried, created_at, opened_pos, closed_pos, subject)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?)`,
	qHookAdopt: `UPDATE tenter_hooks SET type = ?, metadata = ?, webhook = ?, opened_pos = ?, reserved = 0, carried = 0, adopted_as = ?, subject = ?
		WHERE run_id = ? AND id = ?`,
	qHookAdopted:  `SELECT 1 FROM tenter_hooks WHERE run_id = ? AND id = ? AND adopted_as = ?`,
	qHookClose:    `UPDATE tenter_hooks SET closed_at = ?, closed_pos = ? WHERE run_id = ? AND id = ? AND closed_at IS NULL`,
	qHookCloseAll: `UPDATE tenter_hooks SET closed_at = ?, closed_pos = ? WHERE run_id = ? AND closed_at IS NULL`,
	qHookReopened: `SELECT token FROM tenter_hooks WHERE run_id = ? AND (opened_pos < ? OR adopted_as IS NOT NULL) AND closed_pos >= ? AND closed_at IS NOT NULL`,
	qHookReopen: `UPDATE tenter_hooks SET closed_at = NULL, closed_pos = 0
		WHERE run_id = ? AND opened_pos < ? AND closed_pos >= ? AND closed_at IS NOT NULL`,
	// One that was adopted in what is cut is again what it was: the first generation, number 0, carries none.
	qHookReturn: `UPDATE tenter_hooks SET reserved = (?3 = 0), carried = (?3 > 0), adopted_as = NULL, opened_pos = 0, closed_at = NULL, closed_pos = 0,
		subject = CASE WHEN ?3 > 0 THEN subject END WHERE run_id = ?1 AND opened_pos >= ?2 AND adopted_as IS NOT NULL AND (closed_at IS NULL OR closed_pos >= ?2)`,
	qHookFork: `INSERT INTO tenter_hooks (run_id, id, token, type, metadata, webhook, reserved, carried, adopted_as, created_at, opened_pos, closed_pos, subject)
		SELECT ?1, id, ?4, type, metadata, webhook, ?5, ?6, CASE WHEN ?5 OR ?6 THEN NULL ELSE adopted_as END, created_at,
			CASE WHEN ?5 OR ?6 THEN 0 ELSE min(opened_pos, ?7) END, 0, CASE WHEN NOT ?5 THEN subject END FROM tenter_hooks WHERE run_id = ?2 AND id = ?3`,
	qHookDeleteFrom: `DELETE FROM tenter_hooks WHERE run_id = ? AND opened_pos >= ?`,
	qHooksOf:        `SELECT number, ` + hookColumns + ` FROM tenter_hooks WHERE run_id = ? AND closed_at IS NULL ORDER BY number`,
	qHooksOfType: `SELECT number, ` + hookColumns + ` FROM tenter_hooks INDEXED BY tenter_hooks_open
		WHERE closed_at IS NULL AND type = ? AND number > ? ORDER BY number LIMIT ?`,
	qHooksByToken: `SELECT number, ` + hookColumns + ` FROM tenter_hooks INDEXED BY tenter_hooks_token
		WHERE closed_at IS NULL AND token >= ? AND token < ? AND (?3 IS NULL OR type = ?3) ORDER BY token LIMIT ?4`,
	// The next type, as with workflows.
	qHookType: `SELECT type FROM tenter_hooks INDEXED BY tenter_hooks_open WHERE closed_at IS NULL AND type >= ? ORDER BY type LIMIT 1`,

	qHookDefer:        `UPDATE tenter_hooks SET backlog = ? WHERE run_id = ? AND id = ? AND backlog IS NULL`,
	qHookAdmit:        `UPDATE tenter_hooks SET backlog = NULL WHERE run_id = ? AND id = ?`,
	qHookInherit:      `UPDATE tenter_hooks SET backlog = ? WHERE run_id = ? AND id = ?`,
	qHookCloseCarried: `UPDATE tenter_hooks SET closed_at = ?, closed_pos = ? WHERE run_id = ? AND closed_at IS NULL AND carried`,
	qHookCarry:        `UPDATE tenter_hooks SET carried = 1 WHERE run_id = ? AND closed_at IS NULL AND NOT reserved`,
	qHookOfToken:      `SELECT ` + hookColumns + `, backlog FROM tenter_hooks WHERE token = ? AND closed_at IS NULL`,

	qGenerationInsert: `INSERT INTO tenter_generations (run_id, number, ended_at, base, last, unread)
		VALUES (?, ?, ?, ?, ?, ?)`,
	qGenerations:   `SELECT number, ended_at, base, last FROM tenter_generations WHERE run_id = ? ORDER BY number`,
	qGenerationGet: `SELECT number, ended_at, base, last FROM tenter_generations WHERE run_id = ? AND number = ?`,
	// The next one has written something, or is over.
	qGenerationsEnded: `SELECT g.run_id, g.number, g.last, g.unread FROM tenter_generations g INDEXED BY tenter_generations_ended
		WHERE g.ended_at < ? AND (SELECT r.events > g.last FROM tenter_runs r WHERE r.id = g.run_id) ORDER BY g.ended_at, g.run_id, g.number LIMIT ?`,
	qGenerationDelete:  `DELETE FROM tenter_generations WHERE run_id = ? AND number = ?`,
	qGenerationsDelete: `DELETE FROM tenter_generations WHERE run_id = ?`,
	qGenerationJournal: `DELETE FROM tenter_journal WHERE run_id = ? AND position <= ?`,
	qGenerationCuts:    `DELETE FROM tenter_journal_cuts WHERE run_id = ? AND position <= ?`,
	qGenerationLinks: `DELETE FROM tenter_links WHERE run_id = ?1
		AND hook_id IN (SELECT id FROM tenter_hooks WHERE run_id = ?1 AND closed_at IS NOT NULL AND closed_pos <= ?2)`,
	qGenerationHooks:  `DELETE FROM tenter_hooks WHERE run_id = ? AND closed_at IS NOT NULL AND closed_pos <= ?`,
	qGenerationUnread: `DELETE FROM tenter_unread WHERE run_id = ? AND number <= ?`,
	qServeOnly:        `UPDATE tenter_schema SET oldest = ?1 WHERE version = (SELECT max(version) FROM tenter_schema) AND coalesce(oldest, version) < ?1`,
	qOldWorker:        `SELECT name FROM tenter_workers WHERE lease_until > ? AND schema < ? LIMIT 1`,

	qSubscriptionSet:     `INSERT OR REPLACE INTO tenter_subscriptions (run_id, ref, target) VALUES (?, ?, ?)`,
	qSubscriptionDelete:  `DELETE FROM tenter_subscriptions WHERE run_id = ? AND ref = ?`,
	qSubscriptionsDelete: `DELETE FROM tenter_subscriptions WHERE run_id = ?`,
	qSubscriptionsTo: `SELECT run_id, ref, target FROM tenter_subscriptions INDEXED BY tenter_subscriptions_target
		WHERE target = ? ORDER BY run_id, ref LIMIT ?`,
	qSubscriptionsOf:     `SELECT run_id, ref, target FROM tenter_subscriptions WHERE run_id = ? ORDER BY ref`,
	qSubscriptionTargets: `SELECT target FROM tenter_subscriptions WHERE run_id = ? ORDER BY ref`,
	qSubscribed:          `SELECT 1 FROM tenter_subscriptions INDEXED BY tenter_subscriptions_target WHERE target = ? LIMIT 1`,

	qLinkInsert: `INSERT OR IGNORE INTO tenter_links (id, run_id, hook_id, addressee, form, page, key, once, created_at, expires_at, opened_pos, issued_in)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, (SELECT generation FROM tenter_runs WHERE id = ?2))`,
	qLinkRevoke: `UPDATE tenter_links SET revoked_at = coalesce(revoked_at, ?), revoked_pos = NULL,
		revoked_by = CASE WHEN revoked_at IS NULL OR revoked_pos IS NOT NULL THEN ? ELSE revoked_by END WHERE id = ?`,
	qLinkRevokeOf: `UPDATE tenter_links SET revoked_at = ?, revoked_pos = ? WHERE id = ? AND run_id = ? AND revoked_at IS NULL`,
	qLinkGet:      `SELECT ` + linkColumns + ` FROM tenter_links l` + linkJoins + ` WHERE l.id = ?2`,
	qLinkAnswer:   `UPDATE tenter_links SET answered_at = ?, answered_in = ?, answer = ? WHERE id = ?`,
	qLinksOf: `SELECT ` + linkColumns + ` FROM tenter_links l INDEXED BY tenter_links_run` + linkJoins + `
		WHERE l.run_id = ?2 AND l.number > ?3 AND (?4 IS NULL OR l.hook_id = ?4) ORDER BY l.number LIMIT ?5`,
	qLinksTo: `SELECT ` + linkColumns + ` FROM tenter_links l INDEXED BY tenter_links_open` + linkJoins + `
		WHERE l.addressee = ?2 AND l.answered_at IS NULL AND l.revoked_at IS NULL AND l.number > ?3 AND l.expires_at > ?1
		AND ` + linkState + ` = 'open' ORDER BY l.number LIMIT ?4`,
	qLinksDelete: `DELETE FROM tenter_links WHERE run_id = ?`,
	// A retry makes of links what they were before an event: of one that was answered since, the payload comes back.
	qLinksCut:   `DELETE FROM tenter_links WHERE run_id = ? AND opened_pos >= ? AND answered_at IS NULL`,
	qLinkReturn: `UPDATE tenter_links SET revoked_at = NULL, revoked_pos = NULL WHERE run_id = ? AND revoked_pos >= ?`,
	// The generation that begins takes the answers that the one before it has not taken.
	qLinkCarry: `UPDATE tenter_links SET answered_in = ?2 + 1 WHERE run_id = ?1 AND answered_at IS NOT NULL AND answered_in = ?2 AND id IN (
		SELECT actor ->> 'link' FROM tenter_mailbox WHERE run_id = ?1 AND kind = 'payload_received' AND actor LIKE '%"link":%'
		UNION ALL
		SELECT m.actor ->> 'link' FROM tenter_hooks h JOIN tenter_mailbox m ON m.backlog = h.backlog
		WHERE h.run_id = ?1 AND h.backlog IS NOT NULL AND m.actor LIKE '%"link":%')`,
	// Once in a while, by people. The next turn of the run may open a hook that is carried.
	qLinkKeys: `SELECT l.key, count(*) FROM tenter_links l` + linkJoins + `
		WHERE l.answered_at IS NULL AND l.revoked_at IS NULL AND l.expires_at > ?1 AND h.id IS NOT NULL AND h.closed_at IS NULL
		AND ` + linkState + ` NOT IN ('answered', 'decided') GROUP BY l.key`,
	qInstallation: `SELECT id FROM tenter_installation`,
	qRefusedInsert: `INSERT INTO tenter_refused_requests (id, token, hook_id, run_id, workflow, sender, reason, delivery, request, body, at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
	qRefusedTrim: `DELETE FROM tenter_refused_requests WHERE number <=
		(SELECT number FROM tenter_refused_requests ORDER BY number DESC LIMIT 1 OFFSET ?)`,
	qRefusedGet: `SELECT ` + refusedColumns + `, body FROM tenter_refused_requests WHERE id = ?`,
	qRefusedList: `SELECT ` + refusedColumns + ` FROM tenter_refused_requests
		WHERE number < ? ORDER BY number DESC LIMIT ?`,
	qRefusedDelete: `DELETE FROM tenter_refused_requests WHERE id = ?`,
	qTopicSeqNext:  `UPDATE tenter_topic_seq SET last = last + 1 WHERE id = 1`,
	qTopicSeq:      `SELECT last FROM tenter_topic_seq WHERE id = 1`,
	qTopicGet:      `SELECT listeners, published, behind FROM tenter_topics WHERE topic = ? AND subject = ?`,
	qTopicListen: `INSERT INTO tenter_topics (topic, subject, listeners) VALUES (?, ?, 1)
		ON CONFLICT (topic, subject) DO UPDATE SET listeners = listeners + 1`,
	qTopicLeave:     `UPDATE tenter_topics SET listeners = listeners - 1 WHERE topic = ? AND subject = ?`,
	qTopicDelete:    `DELETE FROM tenter_topics WHERE topic = ? AND subject = ? AND listeners = 0`,
	qTopicPublished: `UPDATE tenter_topics SET published = ?3, behind = behind OR ?4, published_at = ?5 WHERE topic = ?1 AND subject = ?2`,
	qTopicBehind:    `SELECT topic, subject, published FROM tenter_topics INDEXED BY tenter_topics_behind WHERE behind AND published > 0 ORDER BY published LIMIT 1`,
	qTopicNotBehind: `UPDATE tenter_topics SET behind = 0 WHERE topic = ? AND subject = ?`,
	// In order, behind a topic and a subject; of one topic, if a third parameter is not NULL.
	qTopicsOf: `SELECT topic, subject, listeners, behind, published_at FROM tenter_topics
		WHERE (topic, subject) > (?1, ?2) AND topic >= coalesce(?3, '') AND (?3 IS NULL OR topic = ?3) ORDER BY topic, subject LIMIT ?4`,

	qListenerInsert: `INSERT OR IGNORE INTO tenter_listeners (run_id, hook_id, topic, subject, told) VALUES (?, ?, ?, ?, ?)`,
	qListenerDelete: `DELETE FROM tenter_listeners WHERE run_id = ? AND hook_id = ?`,
	qListenerGet:    `SELECT run_id, hook_id, topic, subject, told FROM tenter_listeners WHERE run_id = ? AND hook_id = ?`,
	qListenersOf:    `SELECT run_id, hook_id, topic, subject, told FROM tenter_listeners WHERE run_id = ? ORDER BY hook_id`,
	// Those whose next publication is one, for which all before them has been told up to another.
	qListenersBehind: `SELECT run_id, hook_id, topic, subject, told FROM tenter_listeners INDEXED BY tenter_listeners_told
		WHERE topic = ? AND subject = ? AND told >= ? AND told < ? ORDER BY told, run_id, hook_id LIMIT ?`,
	qListenerTold:  `UPDATE tenter_listeners SET told = ? WHERE run_id = ? AND hook_id = ?`,
	qListenerFirst: `SELECT told FROM tenter_listeners INDEXED BY tenter_listeners_told WHERE topic = ? AND subject = ? ORDER BY told LIMIT 1`,
	qHookListens:   `UPDATE tenter_hooks SET listens_from = ?, listens_to = 0 WHERE run_id = ? AND id = ?`,
	qHookCeased:    `UPDATE tenter_hooks SET listens_to = ? WHERE run_id = ? AND id = ?`,
	// Open hooks of a run that are to listen.
	qHooksListening: `SELECT id, type, subject FROM tenter_hooks WHERE run_id = ? AND closed_at IS NULL AND subject IS NOT NULL ORDER BY number`,

	qPublicationInsert: `INSERT INTO tenter_publications (topic, subject, seq, at, data, trace, actor, listeners, key, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
	qPublicationNext:   `SELECT seq, at, data, trace, actor FROM tenter_publications WHERE topic = ? AND subject = ? AND seq > ? ORDER BY seq LIMIT 1`,
	qPublicationsAfter: `SELECT seq, at, data, trace, actor FROM tenter_publications WHERE topic = ? AND subject = ? AND seq > ? ORDER BY seq`,
	qPublicationOfKey:  `SELECT seq, listeners FROM tenter_publications INDEXED BY tenter_publications_key WHERE topic = ? AND subject = ? AND key = ? AND expires_at > ?`,
	// Those whose key has expired, unless some listeners have still to get them.
	qPublicationForget: `DELETE FROM tenter_publications WHERE topic = ? AND subject = ? AND key = ? AND data IS NULL`,
	qPublicationUnkey:  `UPDATE tenter_publications SET key = NULL, expires_at = NULL WHERE topic = ? AND subject = ? AND key = ?`,
	// Those that all have got. Of one with a key what became of it is kept.
	qPublicationsDelete: `DELETE FROM tenter_publications WHERE topic = ? AND subject = ? AND key IS NULL`,
	qPublicationsDone:   `UPDATE tenter_publications SET data = NULL, trace = NULL, actor = NULL WHERE topic = ? AND subject = ? AND data IS NOT NULL`,
	qPublicationPurge: `DELETE FROM tenter_publications WHERE (topic, subject, seq) IN
		(SELECT topic, subject, seq FROM tenter_publications INDEXED BY tenter_publications_expiry
		WHERE expires_at <= ? AND data IS NULL ORDER BY expires_at LIMIT ?)`,

	qReceiptGet: `SELECT hook_id, run_id, type, metadata, webhook, hook_created_at, request FROM tenter_receipts WHERE token = ? AND key = ? AND expires_at > ?`,
	qReceiptOfRequest: `SELECT hook_id, run_id, type, metadata, webhook, hook_created_at, request FROM tenter_receipts
		WHERE token = ? AND expires_at > ? AND request IS NOT NULL LIMIT 1`,
	qReceiptInsert: `INSERT OR REPLACE INTO tenter_receipts (token, key, hook_id, run_id, type, metadata, webhook, request, hook_created_at, expires_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
	qReceiptPurge: `DELETE FROM tenter_receipts WHERE (token, key) IN
		(SELECT token, key FROM tenter_receipts WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)`,

	qResponseInsert: `INSERT OR IGNORE INTO tenter_responses (request, run_id, responder, status, header, body, at, expires_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
	qResponseResponder: `SELECT responder FROM tenter_responses WHERE request = ?`,
	qResponseGet:       `SELECT request, run_id, responder, status, header, body, at, expires_at FROM tenter_responses WHERE request = ?`,
	qResponsePurge: `DELETE FROM tenter_responses WHERE request IN
		(SELECT request FROM tenter_responses WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)`,

	qWorkerRenew: `INSERT INTO tenter_workers (name, build, definitions, renewed_at, lease_until, schema, link_keys) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
		ON CONFLICT (name) DO UPDATE SET build = ?2, definitions = ?3, renewed_at = ?4, lease_until = ?5, schema = ?6, link_keys = ?7`,
	qWorkerDelete: `DELETE FROM tenter_workers WHERE name = ?`,
	qWorkerPurge:  `DELETE FROM tenter_workers WHERE lease_until < ?`,
	qWorkerLease:  `SELECT lease_until FROM tenter_workers WHERE name = ?`,
	qWorkersAll:   `SELECT name, build, definitions, link_keys, renewed_at, lease_until FROM tenter_workers ORDER BY name`,
	qWorkersLive:  `SELECT definitions FROM tenter_workers WHERE lease_until > ?`,
	// The next owner after a name: stepping through the few that there are.
	qWorkerOwner: `SELECT worker FROM tenter_runs INDEXED BY tenter_runs_due WHERE worker > ? ORDER BY worker LIMIT 1`,

	// A claim walks each of these in the order of need and stops at the first run
	// that is not due. What is blocked is ordered by build, so it is not stopped.
	// Only a binary that knows no pauses can have made a run due that is paused.
	qClaimFree: `SELECT id, due_at, wake_at, messages FROM tenter_runs INDEXED BY tenter_runs_due
		WHERE worker IS NULL AND workflow = ? AND version = ? AND blocked_build = '' AND due_at > '' AND paused_at IS NULL ORDER BY due_at`,
	qClaimFreeBlocked: `SELECT id, due_at, wake_at, messages, blocked_build FROM tenter_runs INDEXED BY tenter_runs_due
		WHERE worker IS NULL AND workflow = ? AND version = ? AND blocked_build > ? AND due_at > '' AND paused_at IS NULL`,
	qClaimOwned: `SELECT id, due_at, wake_at, messages FROM tenter_runs INDEXED BY tenter_runs_due
		WHERE worker = ? AND workflow = ? AND version = ? AND blocked_build = '' AND due_at > '' AND paused_at IS NULL ORDER BY due_at`,
	qClaimOwnedBlocked: `SELECT id, due_at, wake_at, messages, blocked_build FROM tenter_runs INDEXED BY tenter_runs_due
		WHERE worker = ? AND workflow = ? AND version = ? AND blocked_build > ? AND due_at > '' AND paused_at IS NULL`,

	qUnreadInsert: `INSERT INTO tenter_unread (run_id, number, message_id, kind, ref, data, accepted_at, or_start, journaled, actor)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
	// A number that a generation has is not used again, also if its message is gone.
	qUnreadLast: `SELECT max(coalesce(max(number), 0), ` + leftBefore + `) FROM tenter_unread WHERE run_id = ?1`,
	qUnreadBack: `INSERT INTO tenter_mailbox (run_id, kind, ref, data, accepted_at, or_start, actor)
		SELECT run_id, kind, ref, data, accepted_at, or_start, actor FROM tenter_unread
		WHERE run_id = ?1 AND number > ` + leftBefore + ` AND journaled = 0 ORDER BY number`,
	qUnreadList: `SELECT message_id, run_id, kind, ref, data, accepted_at, or_start, NULL, actor FROM tenter_unread
		WHERE run_id = ? AND kind = 'payload_received' ORDER BY number LIMIT ?`,
	// What a generation has left unread follows what those before it had.
	qUnreadOf: `SELECT u.message_id, u.run_id, u.kind, u.ref, u.data, u.accepted_at, u.or_start, NULL, u.actor
		FROM tenter_generations g JOIN tenter_unread u ON u.run_id = g.run_id AND u.number <= g.unread
			AND u.number > (SELECT coalesce(max(b.unread), 0) FROM tenter_generations b WHERE b.run_id = ?1 AND b.number < ?2)
		WHERE g.run_id = ?1 AND g.number = ?2 AND u.kind = 'payload_received' ORDER BY u.number LIMIT ?3`,
	qUnreadDeleteBack: `DELETE FROM tenter_unread WHERE run_id = ?1 AND number > ` + leftBefore,
	qUnreadDelete:     `DELETE FROM tenter_unread WHERE run_id = ?`,

	qExecutingSet:     `INSERT OR REPLACE INTO tenter_executing (run_id, step, attempt, started_at, worker) VALUES (?, ?, ?, ?, ?)`,
	qExecutingDelete:  `DELETE FROM tenter_executing WHERE run_id = ? AND step = ?`,
	qExecutingClear:   `DELETE FROM tenter_executing WHERE run_id = ?`,
	qExecutingRelease: `DELETE FROM tenter_executing WHERE run_id IN (SELECT id FROM tenter_runs WHERE worker = ?)`,
	qExecutingList:    `SELECT run_id, step, attempt, started_at, worker FROM tenter_executing WHERE run_id = ? ORDER BY step`,

	qChildren: `SELECT id FROM tenter_runs WHERE parent_id = ? AND ended_at IS NULL ORDER BY id`,

	qRunsEnded:    `SELECT id, events FROM tenter_runs INDEXED BY tenter_runs_ended WHERE ended_at < ? AND NOT awaited ORDER BY ended_at LIMIT ?`,
	qPruneRun:     `DELETE FROM tenter_runs WHERE id = ?`,
	qPruneJournal: `DELETE FROM tenter_journal WHERE run_id = ?`,
	qPruneCuts:    `DELETE FROM tenter_journal_cuts WHERE run_id = ?`,
	qPruneHooks:   `DELETE FROM tenter_hooks WHERE run_id = ?`,
	qPruneTxSteps: `DELETE FROM tenter_tx_steps WHERE run_id = ?`,

	qTxStepClaim:    `INSERT OR IGNORE INTO tenter_tx_steps (run_id, step) VALUES (?, ?)`,
	qTxStepGet:      `SELECT message_id FROM tenter_tx_steps WHERE run_id = ? AND step = ?`,
	qTxStepComplete: `UPDATE tenter_tx_steps SET message_id = ? WHERE run_id = ? AND step = ? AND message_id IS NULL`,

	qSavepoint:         `SAVEPOINT tenter`,
	qReleaseSavepoint:  `RELEASE tenter`,
	qRollbackSavepoint: `ROLLBACK TO tenter`,
}
