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
	qRunFull
	qRunEnding
	qRunDue
	qRunEvents
	qRunExists
	qRunListed
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

	qJournalInsert
	qJournalAfter
	qJournalPage
	qJournalGet
	qJournalCut
	qJournalDelete

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
	qUnreadDelete

	qExecutingSet
	qExecutingDelete
	qExecutingClear
	qExecutingRelease
	qExecutingList

	qChildren

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
		wake_at, worker, epoch, events, suspicion, mark, crashes, blocked_build, blocked_reason`
	hookColumns = `id, run_id, token, type, metadata, webhook, reserved, created_at, closed_at, opened_pos, closed_pos`
	mailColumns = `id, run_id, kind, ref, data, accepted_at, or_start, trace`
)

// queries are written so that each runs on an index, which a test checks.
var queries = [queryCount]string{
	qBegin:          `BEGIN`,
	qBeginImmediate: `BEGIN IMMEDIATE`,
	qCommit:         `COMMIT`,
	qRollback:       `ROLLBACK`,
	qDataVersion:    `PRAGMA data_version`,
	qLastAccepted:   `SELECT accepted_at FROM tenter_mailbox ORDER BY id DESC LIMIT 1`,

	qRunHead: `SELECT status, worker, epoch, events, messages, version, wake_at, due_at, blocked_build, suspicion, mark, crashes, blocked_reason, parent_id, parent_ref, backlogs
		FROM tenter_runs WHERE id = ?`,
	qRunFull: `SELECT ` + runColumns + ` FROM tenter_runs WHERE id = ?`,
	qRunLoad: `SELECT ` + runColumns + `, backlogs FROM tenter_runs WHERE id = ?`,
	qRunEnding: `SELECT r.id, r.workflow, r.status, CASE WHEN r.ended_at IS NOT NULL THEN
		(SELECT j.data FROM tenter_journal j WHERE j.run_id = r.id AND j.position = r.events) END FROM tenter_runs r WHERE r.id = ?`,
	// A run that has something to do.
	qRunDue:    `SELECT ` + runColumns + ` FROM tenter_runs WHERE id = ? AND (messages > 0 OR wake_at <= ?)`,
	qRunEvents: `SELECT events FROM tenter_runs WHERE id = ?`,
	qRunExists: `SELECT parent_id, parent_ref FROM tenter_runs WHERE id = ?`,
	qRunListed: `SELECT created_at, id FROM tenter_runs INDEXED BY tenter_runs_list
		WHERE workflow = ? AND status = ? AND (created_at, id) < (?, ?) AND created_at >= ? ORDER BY created_at DESC, id DESC LIMIT ?`,
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
	qRunUnblock: `UPDATE tenter_runs SET status = 'running', blocked_build = '', blocked_reason = '', wake_at = ?, due_at = ?, updated_at = ?
		WHERE id = ?`,
	qRunTerminate: `UPDATE tenter_runs SET status = 'canceled', updated_at = ?, ended_at = ?, wake_at = NULL, due_at = NULL, messages = 0,
		worker = NULL, epoch = ?, events = ?, mark = 0, blocked_build = '', blocked_reason = ''
		WHERE id = ?`,
	qRunRetry: `UPDATE tenter_runs SET status = 'running', updated_at = ?, ended_at = NULL, wake_at = NULL, due_at = NULL, messages = 0,
		worker = NULL, epoch = ?, events = ?, suspicion = 0, mark = 0, crashes = 0, blocked_build = '', blocked_reason = ''
		WHERE id = ?`,
	qRunClaim:   `UPDATE tenter_runs SET worker = ?, epoch = ?, suspicion = ?, mark = 0, crashes = ? WHERE id = ?`,
	qRunRelease: `UPDATE tenter_runs SET worker = NULL WHERE worker = ?`,

	qRunBacklogs:   `UPDATE tenter_runs SET backlogs = backlogs + ? WHERE id = ?`,
	qRunNoBacklogs: `UPDATE tenter_runs SET backlogs = 0 WHERE id = ?`,

	qJournalInsert: `INSERT INTO tenter_journal (run_id, position, at, kind, ref, data, asked, or_start, epoch, seq) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
	qJournalAfter: `SELECT position, at, kind, ref, data, asked, or_start, epoch, seq FROM tenter_journal
		WHERE run_id = ? AND position > ? ORDER BY position`,
	qJournalPage: `SELECT position, at, kind, ref, data, asked, or_start, epoch, seq FROM tenter_journal
		WHERE run_id = ? AND position > ? ORDER BY position LIMIT ?`,
	qJournalGet: `SELECT position, at, kind, ref, data, asked, or_start, epoch, seq FROM tenter_journal WHERE run_id = ? AND position = ?`,
	qJournalCut: `INSERT INTO tenter_journal_cuts (run_id, cut, position, cut_at, at, kind, ref, data, asked, or_start, epoch, seq)
		SELECT run_id, ?, position, ?, at, kind, ref, data, asked, or_start, epoch, seq FROM tenter_journal WHERE run_id = ? AND position >= ?`,
	qJournalDelete: `DELETE FROM tenter_journal WHERE run_id = ? AND position >= ?`,

	qMailInsert: `INSERT INTO tenter_mailbox (run_id, kind, ref, data, accepted_at, or_start, trace) VALUES (?, ?, ?, ?, ?, ?, ?)`,
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
		AND (SELECT token FROM tenter_hooks h WHERE h.run_id = tenter_mailbox.run_id AND h.id = ref) = ?`,
	qMailJoin:    `UPDATE tenter_mailbox SET backlog = ? WHERE backlog = ?`,
	qMailInFront: `INSERT INTO tenter_mailbox (id, run_id, kind, ref, data, accepted_at, or_start, backlog) VALUES (?, '', ?, ?, ?, ?, ?, ?)`,
	// The first payload with OrStart of each hook; a column beside min is of its row.
	qMailSuccessors: `SELECT min(id), ref, or_start FROM tenter_mailbox WHERE run_id = ? AND kind = 'payload_received' AND or_start IS NOT NULL GROUP BY ref`,
	qMailToUnread: `INSERT INTO tenter_unread (run_id, number, message_id, kind, ref, data, accepted_at, or_start, journaled)
		SELECT run_id, ?2 + row_number() OVER (ORDER BY id), id, kind, ref, data, accepted_at, or_start, 0 FROM tenter_mailbox
		WHERE run_id = ?1 AND (kind = 'payload_received' OR ?3 AND kind NOT IN ('cancel_requested', 'woken', 'retried'))`,

	qBacklogInsert: `INSERT INTO tenter_mailbox (run_id, kind, ref, data, accepted_at, or_start, trace, backlog) VALUES ('', ?, ?, ?, ?, ?, ?, ?)`,
	qBacklogs:      `SELECT id, token, backlog FROM tenter_hooks INDEXED BY tenter_hooks_backlog WHERE run_id = ? AND backlog IS NOT NULL ORDER BY number`,
	qBacklogOf:     `SELECT backlog FROM tenter_hooks WHERE run_id = ? AND id = ?`,
	qBacklogPage: `SELECT id, ?1, kind, ?2, data, accepted_at, or_start, trace FROM tenter_mailbox INDEXED BY tenter_mailbox_backlog
		WHERE backlog = ?3 AND id > ?4 ORDER BY id LIMIT ?5`,
	qBacklogTimes: `SELECT id, accepted_at FROM tenter_mailbox INDEXED BY tenter_mailbox_backlog WHERE backlog = ? ORDER BY id`,
	qBacklogSuccessor: `SELECT id, or_start FROM tenter_mailbox INDEXED BY tenter_mailbox_backlog WHERE backlog = ? AND or_start IS NOT NULL
		ORDER BY id LIMIT 1`,

	qHookByToken: `SELECT ` + hookColumns + ` FROM tenter_hooks WHERE token = ? AND closed_at IS NULL`,
	qHookByID:    `SELECT ` + hookColumns + ` FROM tenter_hooks WHERE run_id = ? AND id = ?`,
	qHookToken:   `SELECT token FROM tenter_hooks WHERE run_id = ? AND id = ?`,
	qHookOpen:    `SELECT 1 FROM tenter_hooks WHERE token = ? AND closed_at IS NULL`,
	qHookInsert: `INSERT INTO tenter_hooks (id, run_id, token, type, metadata, webhook, reserved, created_at, opened_pos, closed_pos)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0)`,
	qHookAdopt:    `UPDATE tenter_hooks SET type = ?, metadata = ?, webhook = ?, opened_pos = ?, reserved = 0, adopted_as = ? WHERE run_id = ? AND id = ?`,
	qHookAdopted:  `SELECT 1 FROM tenter_hooks WHERE run_id = ? AND id = ? AND adopted_as = ?`,
	qHookClose:    `UPDATE tenter_hooks SET closed_at = ?, closed_pos = ? WHERE run_id = ? AND id = ? AND closed_at IS NULL`,
	qHookCloseAll: `UPDATE tenter_hooks SET closed_at = ?, closed_pos = ? WHERE run_id = ? AND closed_at IS NULL`,
	qHookReopened: `SELECT token FROM tenter_hooks WHERE run_id = ? AND opened_pos < ? AND closed_pos >= ? AND closed_at IS NOT NULL`,
	qHookReopen: `UPDATE tenter_hooks SET closed_at = NULL, closed_pos = 0
		WHERE run_id = ? AND opened_pos < ? AND closed_pos >= ? AND closed_at IS NOT NULL`,
	qHookDeleteFrom: `DELETE FROM tenter_hooks WHERE run_id = ? AND opened_pos >= ?`,
	qHooksOf:        `SELECT number, ` + hookColumns + ` FROM tenter_hooks WHERE run_id = ? AND closed_at IS NULL ORDER BY number`,
	qHooksOfType: `SELECT number, ` + hookColumns + ` FROM tenter_hooks INDEXED BY tenter_hooks_open
		WHERE closed_at IS NULL AND type = ? AND number > ? ORDER BY number LIMIT ?`,
	qHooksByToken: `SELECT number, ` + hookColumns + ` FROM tenter_hooks INDEXED BY tenter_hooks_token
		WHERE closed_at IS NULL AND token >= ? AND token < ? AND (?3 IS NULL OR type = ?3) ORDER BY token LIMIT ?4`,
	// The next type, as with workflows.
	qHookType: `SELECT type FROM tenter_hooks INDEXED BY tenter_hooks_open WHERE closed_at IS NULL AND type >= ? ORDER BY type LIMIT 1`,

	qHookDefer:   `UPDATE tenter_hooks SET backlog = ? WHERE run_id = ? AND id = ? AND backlog IS NULL`,
	qHookAdmit:   `UPDATE tenter_hooks SET backlog = NULL WHERE run_id = ? AND id = ?`,
	qHookInherit: `UPDATE tenter_hooks SET backlog = ? WHERE run_id = ? AND id = ?`,
	qHookOfToken: `SELECT ` + hookColumns + `, backlog FROM tenter_hooks WHERE token = ? AND closed_at IS NULL`,

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

	qWorkerRenew: `INSERT INTO tenter_workers (name, build, definitions, renewed_at, lease_until, schema) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
		ON CONFLICT (name) DO UPDATE SET build = ?2, definitions = ?3, renewed_at = ?4, lease_until = ?5, schema = ?6`,
	qWorkerDelete: `DELETE FROM tenter_workers WHERE name = ?`,
	qWorkerPurge:  `DELETE FROM tenter_workers WHERE lease_until < ?`,
	qWorkerLease:  `SELECT lease_until FROM tenter_workers WHERE name = ?`,
	qWorkersAll:   `SELECT name, build, definitions, renewed_at, lease_until FROM tenter_workers ORDER BY name`,
	qWorkersLive:  `SELECT definitions FROM tenter_workers WHERE lease_until > ?`,
	// The next owner after a name: stepping through the few that there are.
	qWorkerOwner: `SELECT worker FROM tenter_runs INDEXED BY tenter_runs_due WHERE worker > ? ORDER BY worker LIMIT 1`,

	// A claim walks each of these in the order of need and stops at the first run
	// that is not due. What is blocked is ordered by build, so it is not stopped.
	qClaimFree: `SELECT id, due_at, wake_at, messages FROM tenter_runs INDEXED BY tenter_runs_due
		WHERE worker IS NULL AND workflow = ? AND version = ? AND blocked_build = '' AND due_at > '' ORDER BY due_at`,
	qClaimFreeBlocked: `SELECT id, due_at, wake_at, messages, blocked_build FROM tenter_runs INDEXED BY tenter_runs_due
		WHERE worker IS NULL AND workflow = ? AND version = ? AND blocked_build > ? AND due_at > ''`,
	qClaimOwned: `SELECT id, due_at, wake_at, messages FROM tenter_runs INDEXED BY tenter_runs_due
		WHERE worker = ? AND workflow = ? AND version = ? AND blocked_build = '' AND due_at > '' ORDER BY due_at`,
	qClaimOwnedBlocked: `SELECT id, due_at, wake_at, messages, blocked_build FROM tenter_runs INDEXED BY tenter_runs_due
		WHERE worker = ? AND workflow = ? AND version = ? AND blocked_build > ? AND due_at > ''`,

	qUnreadInsert: `INSERT INTO tenter_unread (run_id, number, message_id, kind, ref, data, accepted_at, or_start, journaled)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
	qUnreadLast: `SELECT max(number) FROM tenter_unread WHERE run_id = ?`,
	qUnreadBack: `INSERT INTO tenter_mailbox (run_id, kind, ref, data, accepted_at, or_start)
		SELECT run_id, kind, ref, data, accepted_at, or_start FROM tenter_unread WHERE run_id = ? AND journaled = 0 ORDER BY number`,
	qUnreadList: `SELECT message_id, run_id, kind, ref, data, accepted_at, or_start, NULL FROM tenter_unread
		WHERE run_id = ? AND kind = 'payload_received' ORDER BY number LIMIT ?`,
	qUnreadDelete: `DELETE FROM tenter_unread WHERE run_id = ?`,

	qExecutingSet:     `INSERT OR REPLACE INTO tenter_executing (run_id, step, attempt, started_at, worker) VALUES (?, ?, ?, ?, ?)`,
	qExecutingDelete:  `DELETE FROM tenter_executing WHERE run_id = ? AND step = ?`,
	qExecutingClear:   `DELETE FROM tenter_executing WHERE run_id = ?`,
	qExecutingRelease: `DELETE FROM tenter_executing WHERE run_id IN (SELECT id FROM tenter_runs WHERE worker = ?)`,
	qExecutingList:    `SELECT run_id, step, attempt, started_at, worker FROM tenter_executing WHERE run_id = ? ORDER BY step`,

	qChildren: `SELECT id FROM tenter_runs WHERE parent_id = ? AND ended_at IS NULL ORDER BY id`,

	qRunsEnded:    `SELECT id, events FROM tenter_runs INDEXED BY tenter_runs_ended WHERE ended_at < ? ORDER BY ended_at LIMIT ?`,
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
