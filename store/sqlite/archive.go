package sqlite

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/tenter-dev/tenter/store"
)

var _ store.Archiver = (*Store)(nil)

// prepared calls f with a statement that is used once.
func (c *conn) prepared(query string, f func(st *stmt) error) error {
	p, _, err := c.c.PrepareTransient(query)
	if err != nil {
		return err
	}
	defer p.Finalize()
	return f(&stmt{s: p})
}

// all reads every row of a query that is used once, with an ID as its parameter.
func all[T any](c *conn, query, id string, read func(*stmt) (T, error)) (rows []T, err error) {
	err = c.prepared(query, func(st *stmt) (err error) {
		rows, err = readAll(st.bindText(id), read)
		return err
	})
	return rows, err
}

// Export returns all that the store has of a run, as of one moment.
func (s *Store) Export(ctx context.Context, runID string) (store.Archive, error) {
	var a store.Archive
	err := s.pool.read(ctx, func(c *conn) (err error) {
		a, err = c.export(runID)
		return err
	})
	return a, err
}

func (c *conn) export(runID string) (a store.Archive, err error) {
	l, err := c.load(runID, 0, time.Time{})
	if err != nil {
		return a, err
	}
	a.Run = l.Run
	if a.Events, err = readAll(c.on(qJournalAfter).bindText(runID).bindInt(0), readEvent); err != nil {
		return a, err
	}
	a.Generations, err = all(c, `SELECT number, ended_at, base, last, unread FROM tenter_generations WHERE run_id = ? ORDER BY number`, runID,
		whole(func(st *stmt) store.ArchivedGeneration {
			return store.ArchivedGeneration{Generation: store.Generation{Number: int(st.int()), EndedAt: st.time(), Base: st.int(), Last: st.int()}, Unread: st.int()}
		}))
	if err != nil {
		return a, err
	}
	if a.Subscriptions, err = c.subscriptionsOf(runID); err != nil {
		return a, err
	}
	if a.Mail, _, err = c.mailOf(runID, math.MaxInt32); err != nil {
		return a, err
	}
	backlogs, err := c.backlogsOf(runID)
	if err != nil {
		return a, err
	}
	for _, b := range backlogs {
		waiting, err := readAll(c.on(qBacklogPage).bindText(runID).bindText(b.hook).bindInt(b.number).bindInt(first64).bindInt(math.MaxInt64), readMessage)
		if err != nil {
			return a, err
		}
		a.Mail = append(a.Mail, waiting...)
	}
	coming, err := c.toCome(runID)
	if err != nil {
		return a, err
	}
	a.Mail = appendToCome(a.Mail, coming)
	a.Cuts, err = all(c, `SELECT cut, cut_at, position, at, kind, ref, data, asked, or_start, epoch, seq, actor
		FROM tenter_journal_cuts WHERE run_id = ? ORDER BY cut, position`, runID, func(st *stmt) (e store.CutEvent, err error) {
		e.Cut, e.CutAt = st.int(), st.time()
		e.Event, err = readEvent(st)
		return e, err
	})
	if err != nil {
		return a, err
	}
	a.Unread, err = all(c, `SELECT number, journaled, message_id, run_id, kind, ref, data, accepted_at, or_start, NULL, actor
		FROM tenter_unread WHERE run_id = ? ORDER BY number`, runID, func(st *stmt) (m store.UnreadMessage, err error) {
		m.Number, m.Journaled = st.int(), st.bool()
		m.Message, err = readMessage(st)
		return m, err
	})
	if err != nil {
		return a, err
	}
	a.Hooks, err = all(c, `SELECT adopted_as, `+hookColumns+` FROM tenter_hooks WHERE run_id = ? ORDER BY number`, runID,
		whole(func(st *stmt) store.ArchivedHook { return store.ArchivedHook{AdoptedAs: st.text(), Hook: readHook(st)} }))
	if err != nil {
		return a, err
	}
	a.Receipts, err = all(c, `SELECT token, key, hook_id, run_id, type, metadata, webhook, request, hook_created_at, expires_at
		FROM tenter_receipts WHERE run_id = ? ORDER BY token, key`, runID, whole(func(st *stmt) store.StoredReceipt {
		return store.StoredReceipt{
			Token: st.text(), Key: st.text(), HookID: st.text(), RunID: st.text(), Type: st.text(), Metadata: st.data(), Webhook: st.data(),
			Request: st.text(), HookCreatedAt: st.time(), ExpiresAt: st.time(),
		}
	}))
	if err != nil {
		return a, err
	}
	a.Responses, err = all(c, `SELECT request, run_id, responder, status, header, body, at, expires_at
		FROM tenter_responses WHERE run_id = ? ORDER BY request`, runID, whole(readResponse))
	if err != nil {
		return a, err
	}
	a.TxSteps, err = all(c, `SELECT step, message_id IS NOT NULL, message_id FROM tenter_tx_steps WHERE run_id = ? ORDER BY step`, runID,
		whole(func(st *stmt) store.DoneTxStep {
			return store.DoneTxStep{Step: st.text(), Completed: st.bool(), Message: st.int()}
		}))
	return a, err
}

// appendToCome adds messages that have no IDs, behind all others.
func appendToCome(mail, coming []store.Message) []store.Message {
	last := int64(0)
	for _, m := range mail {
		last = max(last, m.ID)
	}
	for i, m := range coming {
		m.ID = last + 1 + int64(i)
		mail = append(mail, m)
	}
	return mail
}

// Import inserts runs, all of them or none.
func (s *Store) Import(ctx context.Context, runs []store.Archive) (taken string, err error) {
	err = s.w.do(ctx, func(w *writer) error {
		if taken, err = w.importable(runs); err != nil {
			return err
		}
		for i := range runs {
			if err := w.importRun(&runs[i]); err != nil {
				return err
			}
		}
		w.sig.All = true
		return w.importSubscriptions(runs)
	})
	return taken, err
}

// importable looks whether IDs and tokens are free.
func (w *writer) importable(runs []store.Archive) (taken string, err error) {
	ids, tokens := map[string]bool{}, map[string]bool{}
	for i := range runs {
		if r := &runs[i]; r.Run.Generation > 0 || r.Run.Origin != nil || len(r.Subscriptions) > 0 || r.Run.Paused != nil {
			if err := w.oldWorker(); err != nil {
				return "", err
			}
		}
		id := runs[i].Run.ID
		if _, err := w.head(id); err == nil || ids[id] {
			return id, store.ErrExists
		} else if !errors.Is(err, store.ErrNotFound) {
			return "", err
		}
		ids[id] = true
		for _, h := range runs[i].Hooks {
			if !h.Hook.ClosedAt.IsZero() {
				continue
			}
			token := h.Hook.Token
			if _, err := w.hookByToken(token); err == nil || tokens[token] {
				return token, store.ErrConflict
			} else if !errors.Is(err, store.ErrNotFound) {
				return "", err
			}
			tokens[token] = true
		}
	}
	return "", nil
}

func (w *writer) importRun(a *store.Archive) error {
	r := a.Run
	if r.Worker != "" { // as a claim takes a run over
		r.Suspicion++
		if r.Mark {
			r.Crashes++
		}
		r.Mark = false
	}
	due := ""
	if !r.Status.Ended() {
		due = optTime(r.WakeAt)
	}
	err := w.insertRun(store.NewRun{ID: r.ID, Workflow: r.Workflow, Version: r.Version, Secret: r.Secret, ParentID: r.ParentID, ParentRef: r.ParentRef, Trace: r.Trace},
		r.Status, formatTime(r.CreatedAt), formatTime(r.UpdatedAt), optTime(r.EndedAt), optTime(r.WakeAt), due, "", r.Epoch, r.Events,
		&store.Transition{Suspicion: r.Suspicion, Mark: r.Mark, Crashes: r.Crashes, BlockedBuild: r.BlockedBuild, BlockedReason: r.BlockedReason})
	if err != nil {
		return err
	}
	for i := range a.Events {
		e := &a.Events[i]
		if err := w.journal(r.ID, e.Position, e, e.Epoch, e.Seq); err != nil {
			return err
		}
	}
	ids := map[int64]int64{} // of messages
	for _, m := range a.Mail {
		m.RunID = r.ID
		if m.AcceptedAt.After(w.accepted) {
			w.accepted = m.AcceptedAt // what comes next comes after it
		}
		if err := w.putMail(m, due, m.AcceptedAt); err != nil {
			return err
		}
		due = earlier(due, formatTime(m.AcceptedAt))
		ids[m.ID] = w.inserted()
	}
	for _, insert := range []func(*store.Archive) error{w.importGenerations, w.importOrigin, w.importCuts, w.importUnread, w.importHooks, w.importReceipts, w.importResponses, w.importPause} {
		if err := insert(a); err != nil {
			return err
		}
	}
	for _, s := range a.TxSteps {
		query := `INSERT INTO tenter_tx_steps (run_id, step, message_id) VALUES (?, ?, ?)`
		if !s.Completed {
			query = `INSERT INTO tenter_tx_steps (run_id, step) VALUES (?, ?)`
		}
		err := w.prepared(query, func(st *stmt) error {
			st.bindText(r.ID).bindText(s.Step)
			if s.Completed {
				st.bindInt(ids[s.Message])
			}
			return st.run()
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) importGenerations(a *store.Archive) error {
	if a.Run.Generation == 0 {
		return nil
	}
	if err := w.serveGenerations(); err != nil {
		return err
	}
	err := w.prepared(`UPDATE tenter_runs SET generation = ?, base = ? WHERE id = ?`, func(st *stmt) error {
		return st.bindInt(int64(a.Run.Generation)).bindInt(a.Run.Base).bindText(a.Run.ID).run()
	})
	for _, g := range a.Generations {
		if err != nil {
			return err
		}
		err = w.prepared(`INSERT INTO tenter_generations (run_id, number, ended_at, base, last, unread) VALUES (?, ?, ?, ?, ?, ?)`, func(st *stmt) error {
			return st.bindText(a.Run.ID).bindInt(int64(g.Number)).bindTime(g.EndedAt).bindInt(g.Base).bindInt(g.Last).bindInt(g.Unread).run()
		})
	}
	return err
}

func (w *writer) importOrigin(a *store.Archive) error {
	if a.Run.Origin == nil {
		return nil
	}
	if err := w.serveGenerations(); err != nil {
		return err
	}
	return w.setOrigin(a.Run.ID, a.Run.Origin, int(a.Run.Generation), a.Run.Base)
}

// importPause pauses a run as it was, itself or with its workflow.
func (w *writer) importPause(a *store.Archive) error {
	p := a.Run.Paused
	if p == nil {
		return nil
	}
	if err := w.serveGenerations(); err != nil {
		return err
	}
	return w.on(qRunPause).bindTime(p.At).bindText(p.Actor).bindText(p.Why).bindText(a.Run.ID).run()
}

func (w *writer) importCuts(a *store.Archive) error {
	for _, cut := range a.Cuts {
		e := &cut.Event
		orStart, err := encodeNewRun(e.OrStart)
		if err != nil {
			return err
		}
		err = w.prepared(`INSERT INTO tenter_journal_cuts (run_id, cut, position, cut_at, at, kind, ref, data, asked, or_start, epoch, seq, actor)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, func(st *stmt) error {
			return st.bindText(a.Run.ID).bindInt(cut.Cut).bindInt(e.Position).bindTime(cut.CutAt).bindTime(e.At).bindText(string(e.Kind)).
				bindText(e.Ref).bindData(e.Data).bindOptText(e.Asked).bindData(orStart).bindInt(e.Epoch).bindInt(e.Seq).bindOptText(e.Actor).run()
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) importUnread(a *store.Archive) error {
	for _, u := range a.Unread {
		m := u.Message
		orStart, err := encodeNewRun(m.OrStart)
		if err != nil {
			return err
		}
		err = w.on(qUnreadInsert).bindText(a.Run.ID).bindInt(u.Number).bindInt(m.ID).bindText(string(m.Kind)).bindText(m.Ref).
			bindData(m.Data).bindTime(m.AcceptedAt).bindData(orStart).bindBool(u.Journaled).bindOptText(m.Actor).run()
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) importHooks(a *store.Archive) error {
	for _, archived := range a.Hooks {
		h := archived.Hook
		h.RunID = a.Run.ID
		if err := w.insertHook(h); err != nil {
			return err
		}
		err := w.prepared(`UPDATE tenter_hooks SET adopted_as = ?, closed_at = ?, closed_pos = ?, listens_from = ?, listens_to = ? WHERE run_id = ? AND id = ?`, func(st *stmt) error {
			return st.bindOptText(archived.AdoptedAs).bindOptText(optTime(h.ClosedAt)).bindInt(h.ClosedPos).bindInt(h.ListensFrom).bindInt(h.ListensTo).
				bindText(h.RunID).bindText(h.ID).run()
		})
		if err != nil {
			return err
		}
	}
	return w.listenAll(a.Run.ID)
}

func (w *writer) importReceipts(a *store.Archive) error {
	for _, r := range a.Receipts {
		err := w.prepared(`INSERT OR IGNORE INTO tenter_receipts (token, key, hook_id, run_id, type, metadata, webhook, request, hook_created_at, expires_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, func(st *stmt) error {
			return st.bindText(r.Token).bindText(r.Key).bindText(r.HookID).bindText(a.Run.ID).bindText(r.Type).bindData(r.Metadata).bindData(r.Webhook).
				bindOptText(r.Request).bindTime(r.HookCreatedAt).bindTime(r.ExpiresAt).run()
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) importResponses(a *store.Archive) error {
	for _, r := range a.Responses {
		err := w.on(qResponseInsert).bindText(r.Request).bindText(a.Run.ID).bindText(r.Responder).bindInt(int64(r.Status)).
			bindData(r.Header).bindData(r.Body).bindTime(r.At).bindTime(r.KeepUntil).run()
		if err != nil {
			return err
		}
	}
	return nil
}
