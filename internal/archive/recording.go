package archive

import (
	"context"
	"fmt"
	"strings"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/store"
)

// Recording is what it takes to replay a run, and no more: it may be kept where the run may not.
type Recording struct {
	store.Archive
	Drawn *journal.Drawn // nil: the run has its secret
}

// Recorder makes recordings of runs.
type Recorder struct {
	// IDs and Rands are how many IDs and sources of random numbers the code of a run draws.
	IDs, Rands int

	// Redact, if not nil, returns what stands for a value in the recording of a run: a string, a
	// json.Number, a bool or nil. path has the names of the members that the value is in, with dots in
	// between. For the same it returns the same.
	Redact func(r *store.Run, path string, value any) any
}

// Record makes the recording of a run: the journal of its present generation, and the payloads that
// wait for it. It has no secret and no generated token. What stands for such a token, or for a text
// that is redacted, does so wherever the text occurs as a whole word, so that code which makes tokens
// and IDs of what it is given makes those of the recording.
func (c *Recorder) Record(a *store.Archive) (Recording, error) {
	r := &a.Run
	events := a.Events
	for len(events) > 0 && events[0].Position <= r.Base {
		events = events[1:]
	}
	tokens, names := 0, []string(nil)
	for i := range events {
		for ask := range journal.Asks(events[i].Asked) {
			switch {
			case ask.Op == journal.Hook && ask.Name != "":
				names = append(names, ask.Name)
			case ask.Op == journal.Hook && ask.Token == "":
				tokens++
			}
		}
	}
	drawn := journal.NewDrawn(r.Secret, int(r.Generation), c.IDs, c.Rands, tokens, names)
	d := newDisguise(r, c.Redact)
	for i, token := range drawn.Tokens {
		drawn.Tokens[i] = d.own(token)
	}
	for name, token := range drawn.Named {
		drawn.Named[name] = d.own(token)
	}
	origin := d.origin(drawn, r, c, tokens, names)
	for i := range events {
		if _, err := d.data(&learning{d}, events[i].Kind, events[i].Data); err != nil {
			return Recording{}, err
		}
	}
	for i := range a.Mail {
		if _, err := d.data(&learning{d}, a.Mail[i].Kind, a.Mail[i].Data); err != nil {
			return Recording{}, err
		}
	}

	rec := Recording{Drawn: drawn}
	rec.Run = store.Run{
		ID: d.text(r.ID), Workflow: r.Workflow, Version: r.Version, Status: r.Status, ParentID: d.text(r.ParentID), ParentRef: r.ParentRef,
		CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, EndedAt: r.EndedAt, Events: r.Events, Base: r.Base, Generation: r.Generation,
		Origin: origin,
	}
	for _, e := range events {
		e.OrStart, e.Epoch, e.Seq = nil, 0, 0 // the first has the secret of the run to start
		switch e.Kind {                       //nolint:exhaustive // the others have no ID in it
		case store.PayloadReceived, store.Forked, store.AwaitedCompleted, store.AwaitedFailed, store.AwaitRefused:
			e.Ref = d.text(e.Ref)
		}
		e.Asked = d.asked(e.Asked)
		var err error
		if e.Data, err = d.data(&disguising{d}, e.Kind, e.Data); err != nil {
			return Recording{}, fmt.Errorf("event %d: %w", e.Position, err)
		}
		rec.Events = append(rec.Events, e)
	}
	for i := range a.Mail {
		m := &a.Mail[i]
		if m.Kind != store.PayloadReceived {
			continue
		}
		data, err := d.data(&disguising{d}, m.Kind, m.Data)
		if err != nil {
			return Recording{}, fmt.Errorf("a message: %w", err)
		}
		rec.Mail = append(rec.Mail, store.Message{ID: m.ID, RunID: rec.Run.ID, Kind: m.Kind, Ref: d.text(m.Ref), Data: data, AcceptedAt: m.AcceptedAt, Actor: m.Actor})
	}
	return rec, nil
}

// origin says where a fork was forked from, without the secrets of its ancestors. What they have
// derived is added to what the fork has, and their tokens are learned.
func (d *disguise) origin(drawn *journal.Drawn, r *store.Run, c *Recorder, tokens int, names []string) *store.Origin {
	if r.Origin == nil {
		return nil
	}
	o := &store.Origin{RunID: d.text(r.Origin.RunID), Position: r.Origin.Position, Step: r.Origin.Step}
	for _, a := range r.Origin.Prefix {
		theirs := journal.NewDrawn(a.Secret, int(r.Generation), c.IDs, c.Rands, tokens, names)
		for _, token := range theirs.Tokens {
			d.own(token)
		}
		for _, token := range theirs.Named {
			d.own(token)
		}
		drawn.Ancestors = append(drawn.Ancestors, &journal.Drawn{IDs: theirs.IDs, Rands: theirs.Rands})
		o.Prefix = append(o.Prefix, store.Ancestor{RunID: d.text(a.RunID), ParentID: d.text(a.ParentID), Last: a.Last})
	}
	return o
}

// asked disguises what code has asked for: what it makes of what it was given.
func (d *disguise) asked(asked string) string {
	lines := strings.Split(asked, "\n")
	for i, line := range lines {
		ask, ok := journal.Parse(line)
		if !ok {
			continue
		}
		ask.Token, ask.RunID = d.text(ask.Token), d.text(ask.RunID)
		lines[i] = ask.String()
	}
	return strings.Join(lines, "\n")
}

// Recordings is a reader of recordings, for [github.com/tenter-dev/tenter/engine.CheckReplay].
type Recordings struct {
	store.Unimplemented

	ids  []string
	runs map[string]*Recording
}

var _ store.Reader = (*Recordings)(nil)

// Add adds a recording. It fails if there is one of the same run.
func (r *Recordings) Add(rec Recording) error {
	id := rec.Run.ID
	if r.runs[id] != nil {
		return fmt.Errorf("run %s is there twice", id)
	}
	if r.runs == nil {
		r.runs = make(map[string]*Recording)
	}
	r.ids, r.runs[id] = append(r.ids, id), &rec
	return nil
}

// Runs lists all recordings, in the order in which they were added.
func (r *Recordings) Runs(_ context.Context, f store.Filter) (all []store.Run, err error) {
	if f.Before.ID != "" {
		return nil, nil
	}
	for _, id := range r.ids {
		all = append(all, r.runs[id].Run)
	}
	return all, nil
}

// Load returns a recording.
func (r *Recordings) Load(_ context.Context, runID string, after int64) (store.Loaded, error) {
	rec := r.runs[runID]
	if rec == nil {
		return store.Loaded{}, store.ErrNotFound
	}
	l := store.Loaded{Run: rec.Run, Mail: rec.Mail}
	for i := range rec.Events {
		if e := &rec.Events[i]; e.Position > max(after, rec.Run.Base) {
			l.Events = append(l.Events, *e)
		}
	}
	return l, nil
}

// Drawn returns what the code of a run has derived, nil if the run has its secret.
func (r *Recordings) Drawn(runID string) *journal.Drawn { return r.runs[runID].Drawn }
