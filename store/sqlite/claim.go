package sqlite

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/tenter-dev/tenter/internal/planted"
	"github.com/tenter-dev/tenter/store"
)

// Claim takes ownership of runs that have something to do.
func (s *Store) Claim(ctx context.Context, c store.Claim) (store.Claimed, error) {
	var claimed store.Claimed
	err := s.w.do(ctx, func(w *writer) (err error) {
		claimed, err = w.claim(&c)
		return err
	})
	return claimed, err
}

// search is a claim under way.
type search struct {
	*store.Claim
	now    string // of the claim: what is due by it
	cutoff string // no message is later; a wake_at may be
	ripe   string // mail that is younger is left to others
	found  []candidate
	next   string // the earliest time to look again
}

type candidate struct {
	id, due string
	lapsed  bool // of another worker, whose lease has lapsed
}

func (w *writer) claim(c *store.Claim) (store.Claimed, error) {
	if len(c.Runs) > 0 {
		return w.claimNamed(c)
	}
	if c.Limit <= 0 {
		return store.Claimed{}, nil
	}
	sr := &search{Claim: c, now: formatTime(c.Now)}
	sr.cutoff = max(sr.now, formatTime(w.acceptTime()))
	sr.ripe = sr.cutoff
	if c.Patience > 0 {
		sr.ripe = formatTime(w.s.Now().Add(-c.Patience))
	}
	paused, err := w.paused()
	if err != nil {
		return store.Claimed{}, err
	}
	defs := slices.DeleteFunc(fitting(c.Definitions), func(d store.Definition) bool { return slices.Contains(paused, d.Workflow) })
	for _, d := range defs {
		if err := w.findFree(sr, d); err != nil {
			return store.Claimed{}, err
		}
	}
	if err := w.findOwned(sr, defs); err != nil {
		return store.Claimed{}, err
	}
	slices.SortStableFunc(sr.found, func(a, b candidate) int { return cmp.Compare(a.due, b.due) })
	out := store.Claimed{Next: optParse(sr.next), Paused: slices.Clone(paused)}
	if len(sr.found) >= c.Limit {
		out.More = true
		sr.found = sr.found[:c.Limit]
	}
	for _, f := range sr.found {
		r, err := w.own(f, c.Worker)
		if err != nil {
			return store.Claimed{}, err
		}
		out.Runs = append(out.Runs, r)
	}
	return out, nil
}

// claimNamed claims of some runs those that are free and have something to do.
func (w *writer) claimNamed(c *store.Claim) (store.Claimed, error) {
	var out store.Claimed
	sr := &search{}
	defs, now := fitting(c.Definitions), formatTime(c.Now)
	for _, id := range c.Runs {
		r, err := readOne(w.on(qRunDue).bindText(id).bindText(now), readRun)
		switch {
		case isNotFound(err):
			continue
		case err != nil:
			return store.Claimed{}, err
		case r.Paused != nil, !slices.Contains(defs, store.Definition{Workflow: r.Workflow, Version: r.Version}):
			continue
		case r.BlockedBuild != "" && r.BlockedBuild == c.Build, r.Worker == c.Worker:
			continue
		case r.Worker != "":
			lease, err := readOne(w.on(qWorkerLease).bindText(r.Worker), whole((*stmt).text))
			if err != nil && !isNotFound(err) {
				return store.Claimed{}, err
			}
			sr.look(max(lease, now)) // at once, if it has lapsed or there is none
			continue
		}
		if r, err = w.own(candidate{id: id}, c.Worker); err != nil {
			return store.Claimed{}, err
		}
		out.Runs = append(out.Runs, r)
	}
	out.Next = optParse(sr.next)
	return out, nil
}

// fitting are the workflows and versions that a worker can execute: a run that
// is not bound to a version yet fits any.
func fitting(defs []store.Definition) []store.Definition {
	all := make([]store.Definition, 0, 2*len(defs))
	for _, d := range defs {
		all = append(all, d, store.Definition{Workflow: d.Workflow})
	}
	slices.SortFunc(all, func(a, b store.Definition) int {
		return cmp.Or(cmp.Compare(a.Workflow, b.Workflow), cmp.Compare(a.Version, b.Version))
	})
	return slices.Compact(all)
}

// own makes a run the worker's.
func (w *writer) own(f candidate, worker string) (store.Run, error) {
	r, err := readOne(w.on(qRunFull).bindText(f.id), readRun)
	if err != nil {
		return r, err
	}
	if r.Worker == worker {
		return r, nil // by a claim whose answer got lost
	}
	r.Worker = worker
	r.Epoch++
	if f.lapsed {
		r.Suspicion++
		if r.Mark {
			r.Crashes++
		}
		// Its attempts are no more, as far as anybody knows.
		if err := w.on(qExecutingClear).bindText(f.id).run(); err != nil {
			return r, err
		}
	}
	r.Mark = false // counted once: its code does not execute any more
	err = w.on(qRunClaim).bindText(worker).bindInt(r.Epoch).bindInt(int64(r.Suspicion)).bindInt(int64(r.Crashes)).bindText(f.id).run()
	return r, err
}

// findFree finds runs of one definition that nobody owns.
func (w *writer) findFree(sr *search, d store.Definition) error {
	st := w.on(qClaimFree).bindText(d.Workflow).bindInt(int64(d.Version))
	if err := sr.collect(st, false); err != nil {
		return err
	}
	st = w.on(qClaimFreeBlocked).bindText(d.Workflow).bindInt(int64(d.Version)).bindText("")
	return sr.collectBlocked(st, false)
}

// findOwned finds runs of workers whose lease has lapsed, if asked again also the
// claimer's own, and for the others when to look again.
func (w *writer) findOwned(sr *search, defs []store.Definition) error {
	owners, err := w.owners()
	if err != nil {
		return err
	}
	clock := formatTime(w.s.Now())
	for _, worker := range owners {
		mine := worker == sr.Worker
		if mine && !sr.Again {
			continue // it executes them
		}
		lease, err := readOne(w.on(qWorkerLease).bindText(worker), whole((*stmt).text))
		if err != nil && !isNotFound(err) {
			return err
		}
		lapsed := mine || lease <= clock
		if !lapsed && sr.next != "" && sr.next <= lease {
			continue // it would not change the answer
		}
		for _, d := range defs {
			if err := w.findOf(sr, worker, lease, lapsed, d); err != nil {
				return err
			}
		}
	}
	return nil
}

// findOf finds the runs of one owner and definition.
func (w *writer) findOf(sr *search, worker, lease string, lapsed bool, d store.Definition) error {
	in := sr
	if !lapsed {
		// Only the first that is due counts, and not before the lease lapses.
		in = &search{Claim: &store.Claim{Build: sr.Build, Limit: 1}, now: sr.now, cutoff: sr.cutoff, ripe: sr.cutoff}
	}
	st := w.on(qClaimOwned).bindText(worker).bindText(d.Workflow).bindInt(int64(d.Version))
	if err := in.collect(st, lapsed); err != nil {
		return err
	}
	st = w.on(qClaimOwnedBlocked).bindText(worker).bindText(d.Workflow).bindInt(int64(d.Version)).bindText("")
	if err := in.collectBlocked(st, lapsed); err != nil {
		return err
	}
	switch {
	case lapsed, planted.StrandedRuns.Here():
	case len(in.found) > 0:
		sr.look(lease)
	case in.next != "":
		sr.look(max(lease, in.next))
	}
	return nil
}

// owners are the workers that own runs, live or not.
func (w *writer) owners() ([]string, error) {
	var all []string
	for last := ""; ; {
		name, err := readOne(w.on(qWorkerOwner).bindText(last), whole((*stmt).text))
		if isNotFound(err) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, name)
		last = name
	}
}

// collect walks runs in the order of their need, up to the first that is to come.
func (sr *search) collect(st *stmt, lapsed bool) error {
	n := 0
	for n < sr.Limit && st.next() {
		id, due, wake, messages := st.text(), st.text(), st.text(), st.int()
		if due > sr.cutoff {
			sr.look(due)
			break
		}
		if sr.add(id, due, wake, messages, lapsed) {
			n++
		}
	}
	return st.end()
}

// collectBlocked walks runs that some other build cannot continue.
func (sr *search) collectBlocked(st *stmt, lapsed bool) error {
	n := 0
	for n < sr.Limit && st.next() {
		id, due, wake, messages, build := st.text(), st.text(), st.text(), st.int(), st.text()
		switch {
		case build == sr.Build:
		case due > sr.cutoff:
			sr.look(due)
		default:
			if sr.add(id, due, wake, messages, lapsed) {
				n++
			}
		}
	}
	return st.end()
}

// add adds a run if it has a message or is due, and else notes when it will be.
func (sr *search) add(id, due, wake string, messages int64, lapsed bool) bool {
	switch {
	case wake != "" && wake <= sr.now:
	case messages == 0:
		sr.look(wake)
		return false
	case !lapsed && due > sr.ripe:
		sr.look(formatTime(parseTime(due).Add(sr.Patience)))
		return false
	}
	sr.found = append(sr.found, candidate{id: id, due: due, lapsed: lapsed})
	return true
}

// look has the claimer look again at t, if not before.
func (sr *search) look(t string) { sr.next = earlier(sr.next, t) }

// optParse is the reverse of optTime.
func optParse(s string) time.Time {
	if s == "" {
		return time.Time{}
	}
	return parseTime(s)
}
