// Package archive is the format of exports of runs, as "tenter export" writes them: lines of JSON,
// each an object with one key. The first is "export". Then comes, for each run that no other run
// has started as a child, a "tree", and after it the runs of the tree: a "run", and so many lines
// about it as it says.
package archive

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/internal/strictjson"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// format is the number of this format.
const format = 1

type line struct {
	Export   *Head         `json:"export,omitempty"`
	Tree     *treeLine     `json:"tree,omitempty"`
	Run      *runLine      `json:"run,omitempty"`
	Event    *eventLine    `json:"event,omitempty"`
	Cut      *cutLine      `json:"cut,omitempty"`
	Message  *messageLine  `json:"message,omitempty"`
	Unread   *unreadLine   `json:"unread,omitempty"`
	Hook     *hookLine     `json:"hook,omitempty"`
	Receipt  *receiptLine  `json:"receipt,omitempty"`
	Response *responseLine `json:"response,omitempty"`
	TxStep   *txStepLine   `json:"tx_step,omitempty"`

	Generation *generationLine `json:"generation,omitempty"`

	Subscription *subscriptionLine `json:"subscription,omitempty"`
}

// Head is the first line of an export.
type Head struct {
	Format int `json:"format"`
	// ForReplay says that it has recordings, which can be replayed and not go on.
	ForReplay bool      `json:"for_replay,omitempty"`
	From      string    `json:"from,omitempty"`
	At        time.Time `json:"at,omitzero"`
	Runs      int       `json:"runs"`
}

type treeLine struct {
	Root string `json:"root"`
	Runs int    `json:"runs"`
}

type runLine struct {
	Lines         int       `json:"lines"` // that follow
	ID            string    `json:"id"`
	Workflow      string    `json:"workflow"`
	Version       int       `json:"version"`
	Status        string    `json:"status"`
	ParentID      string    `json:"parent_id,omitempty"`
	ParentRef     string    `json:"parent_ref,omitempty"`
	Trace         string    `json:"trace,omitempty"`
	Secret        []byte    `json:"secret,omitempty"` // base64
	CreatedAt     time.Time `json:"created_at"`
	UpdatedAt     time.Time `json:"updated_at"`
	EndedAt       time.Time `json:"ended_at,omitzero"`
	WakeAt        time.Time `json:"wake_at,omitzero"`
	Worker        string    `json:"worker,omitempty"`
	Epoch         int64     `json:"epoch"`
	Events        int64     `json:"events"`
	Suspicion     int32     `json:"suspicion,omitempty"`
	Mark          bool      `json:"mark,omitempty"`
	Crashes       int32     `json:"crashes,omitempty"`
	BlockedBuild  string    `json:"blocked_build,omitempty"`
	BlockedReason string    `json:"blocked_reason,omitempty"`
	Generation    int32     `json:"generation,omitempty"`
	Base          int64     `json:"base,omitempty"`

	Drawn  *journal.Drawn `json:"drawn,omitempty"` // of a recording
	Origin *store.Origin  `json:"origin,omitempty"`
	Paused *pauseLine     `json:"paused,omitempty"`
}

type pauseLine struct {
	At       time.Time `json:"at"`
	Actor    string    `json:"actor,omitempty"`
	Why      string    `json:"why,omitempty"`
	Workflow bool      `json:"workflow,omitempty"` // its workflow was paused
}

type eventLine struct {
	Position int64         `json:"position"`
	At       time.Time     `json:"at"`
	Kind     store.Kind    `json:"kind"`
	Ref      string        `json:"ref,omitempty"`
	Data     blob          `json:"data,omitzero"`
	Asked    string        `json:"asked,omitempty"`
	OrStart  *store.NewRun `json:"or_start,omitempty"`
	Actor    string        `json:"actor,omitempty"`
	Epoch    int64         `json:"epoch"`
	Seq      int64         `json:"seq"`
}

type cutLine struct {
	Cut   int64     `json:"cut"`
	CutAt time.Time `json:"cut_at"`
	Event eventLine `json:"event"`
}

type messageLine struct {
	ID         int64         `json:"id"`
	Kind       store.Kind    `json:"kind"`
	Ref        string        `json:"ref,omitempty"`
	Data       blob          `json:"data,omitzero"`
	AcceptedAt time.Time     `json:"accepted_at"`
	OrStart    *store.NewRun `json:"or_start,omitempty"`
	Trace      string        `json:"trace,omitempty"`
	Actor      string        `json:"actor,omitempty"`
}

type unreadLine struct {
	Number    int64       `json:"number"`
	Message   messageLine `json:"message"`
	Journaled bool        `json:"journaled,omitempty"`
}

type hookLine struct {
	ID        string    `json:"id"`
	Token     string    `json:"token"`
	Type      string    `json:"type,omitempty"`
	Metadata  blob      `json:"metadata,omitzero"`
	Webhook   blob      `json:"webhook,omitzero"`
	Reserved  bool      `json:"reserved,omitempty"`
	AdoptedAs string    `json:"adopted_as,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	ClosedAt  time.Time `json:"closed_at,omitzero"`
	OpenedPos int64     `json:"opened_pos"`
	ClosedPos int64     `json:"closed_pos,omitempty"`
	Carried   bool      `json:"carried,omitempty"`

	Subject     string `json:"subject,omitempty"`
	ListensFrom int64  `json:"listens_from,omitempty"`
	ListensTo   int64  `json:"listens_to,omitempty"`
}

type receiptLine struct {
	Token         string    `json:"token"`
	Key           string    `json:"key"`
	HookID        string    `json:"hook_id"`
	Type          string    `json:"type,omitempty"`
	Metadata      blob      `json:"metadata,omitzero"`
	Webhook       blob      `json:"webhook,omitzero"`
	Request       string    `json:"request,omitempty"`
	HookCreatedAt time.Time `json:"hook_created_at"`
	ExpiresAt     time.Time `json:"expires_at"`
}

type responseLine struct {
	Request   string    `json:"request"`
	Responder string    `json:"responder"`
	Status    int       `json:"status"`
	Header    blob      `json:"header,omitzero"`
	Body      blob      `json:"body,omitzero"`
	At        time.Time `json:"at"`
	KeepUntil time.Time `json:"keep_until"`
}

type txStepLine struct {
	Step      string `json:"step"`
	Completed bool   `json:"completed,omitempty"`
	Message   int64  `json:"message,omitempty"`
}

type generationLine struct {
	Number  int       `json:"number"`
	EndedAt time.Time `json:"ended_at"`
	Base    int64     `json:"base"`
	Last    int64     `json:"last"`
	Unread  int64     `json:"unread,omitempty"`
}

type subscriptionLine struct {
	Ref    string `json:"ref"`
	Target string `json:"target"`
}

// blob is bytes, as text where they are text, so that an export can be read.
type blob []byte

type encodedBlob struct {
	Base64 []byte `json:"base64"`
}

// IsZero tells bytes that are not there from those that are empty.
func (b blob) IsZero() bool { return b == nil }

// MarshalJSON implements [json.Marshaler].
func (b blob) MarshalJSON() ([]byte, error) {
	if !utf8.Valid(b) {
		return json.Marshal(encodedBlob{b})
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	err := enc.Encode(string(b))
	return out.Bytes(), err
}

// UnmarshalJSON implements [json.Unmarshaler].
func (b *blob) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err == nil {
		*b = []byte(text)
		return nil
	}
	var e encodedBlob
	if err := json.Unmarshal(data, &e); err != nil {
		return fmt.Errorf("neither a text nor base64: %w", err)
	}
	*b = e.Base64
	return nil
}

// WriteHead begins an export of so many runs from a database.
func WriteHead(w io.Writer, from string, at time.Time, runs int) error {
	return write(w, line{Export: &Head{Format: format, From: from, At: at, Runs: runs}})
}

// WriteReplayHead begins an export of so many recordings. It does not say where they come from, nor
// when, so that the same runs make the same file.
func WriteReplayHead(w io.Writer, runs int) error {
	return write(w, line{Export: &Head{Format: format, ForReplay: true, Runs: runs}})
}

// WriteTree announces a run that has no parent, and so many runs in all that descend from it,
// itself included: they come next.
func WriteTree(w io.Writer, root string, runs int) error {
	return write(w, line{Tree: &treeLine{Root: root, Runs: runs}})
}

// WriteRun writes a run.
func WriteRun(w io.Writer, a *store.Archive) error {
	return writeRun(w, a, nil)
}

// WriteRecording writes a recording of a run, which is a tree of its own.
func WriteRecording(w io.Writer, rec *Recording) error {
	if err := WriteTree(w, rec.Run.ID, 1); err != nil {
		return err
	}
	return writeRun(w, &rec.Archive, rec.Drawn)
}

func writeRun(w io.Writer, a *store.Archive, drawn *journal.Drawn) error {
	lines := linesOf(a)
	lines[0].Run.Lines, lines[0].Run.Drawn = len(lines)-1, drawn
	return write(w, lines...)
}

func write(w io.Writer, lines ...line) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for i := range lines {
		if err := enc.Encode(&lines[i]); err != nil {
			return err
		}
	}
	return nil
}

func linesOf(a *store.Archive) []line {
	r := a.Run
	lines := []line{{Run: &runLine{
		ID: r.ID, Workflow: r.Workflow, Version: r.Version, Status: string(r.Status), ParentID: r.ParentID, ParentRef: r.ParentRef,
		Trace: r.Trace, Secret: r.Secret, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, EndedAt: r.EndedAt, WakeAt: r.WakeAt, Worker: r.Worker,
		Epoch: r.Epoch, Events: r.Events, Suspicion: r.Suspicion, Mark: r.Mark, Crashes: r.Crashes,
		BlockedBuild: r.BlockedBuild, BlockedReason: r.BlockedReason, Generation: r.Generation, Base: r.Base, Origin: r.Origin,
		Paused: (*pauseLine)(r.Paused),
	}}}
	add := func(l line) { lines = append(lines, l) }
	for i := range a.Events {
		e := lineOfEvent(&a.Events[i])
		add(line{Event: &e})
	}
	for i := range a.Cuts {
		c := &a.Cuts[i]
		add(line{Cut: &cutLine{Cut: c.Cut, CutAt: c.CutAt, Event: lineOfEvent(&c.Event)}})
	}
	for i := range a.Mail {
		m := lineOfMessage(&a.Mail[i])
		add(line{Message: &m})
	}
	for i := range a.Unread {
		u := &a.Unread[i]
		add(line{Unread: &unreadLine{Number: u.Number, Journaled: u.Journaled, Message: lineOfMessage(&u.Message)}})
	}
	for _, archived := range a.Hooks {
		h := archived.Hook
		add(line{Hook: &hookLine{
			ID: h.ID, Token: h.Token, Type: h.Type, Metadata: h.Metadata, Webhook: h.Webhook, Reserved: h.Reserved, AdoptedAs: archived.AdoptedAs,
			CreatedAt: h.CreatedAt, ClosedAt: h.ClosedAt, OpenedPos: h.OpenedPos, ClosedPos: h.ClosedPos, Carried: h.Carried,
			Subject: h.Subject, ListensFrom: h.ListensFrom, ListensTo: h.ListensTo,
		}})
	}
	for _, q := range a.Receipts {
		add(line{Receipt: &receiptLine{
			Token: q.Token, Key: q.Key, HookID: q.HookID, Type: q.Type, Metadata: q.Metadata, Webhook: q.Webhook, Request: q.Request,
			HookCreatedAt: q.HookCreatedAt, ExpiresAt: q.ExpiresAt,
		}})
	}
	for _, q := range a.Responses {
		add(line{Response: &responseLine{
			Request: q.Request, Responder: q.Responder, Status: q.Status, Header: q.Header, Body: q.Body, At: q.At, KeepUntil: q.KeepUntil,
		}})
	}
	for _, t := range a.TxSteps {
		add(line{TxStep: (*txStepLine)(&t)})
	}
	for _, g := range a.Generations {
		add(line{Generation: &generationLine{Number: g.Number, EndedAt: g.EndedAt, Base: g.Base, Last: g.Last, Unread: g.Unread}})
	}
	for _, s := range a.Subscriptions {
		add(line{Subscription: &subscriptionLine{Ref: s.Ref, Target: s.Target}})
	}
	return lines
}

func lineOfEvent(e *store.Event) eventLine {
	return eventLine{
		Position: e.Position, At: e.At, Kind: e.Kind, Ref: e.Ref, Data: e.Data, Asked: e.Asked, OrStart: e.OrStart, Epoch: e.Epoch, Seq: e.Seq, Actor: e.Actor,
	}
}

func lineOfMessage(m *store.Message) messageLine {
	return messageLine{ID: m.ID, Kind: m.Kind, Ref: m.Ref, Data: m.Data, AcceptedAt: m.AcceptedAt, OrStart: m.OrStart, Trace: m.Trace, Actor: m.Actor}
}

// Reader reads trees of runs from an export.
type Reader struct {
	dec   *json.Decoder
	lines int
}

// NewReader returns a reader of an export.
func NewReader(r io.Reader) *Reader {
	return &Reader{dec: json.NewDecoder(bufio.NewReaderSize(r, 1<<20))}
}

func (r *Reader) next() (line, error) {
	var l line
	var data json.RawMessage
	err := r.dec.Decode(&data)
	r.lines++
	if errors.Is(err, io.EOF) {
		return l, err
	}
	if err == nil {
		err = strictjson.Unmarshal(data, &l)
	}
	if err != nil {
		return l, fmt.Errorf("line %d of the export: %w", r.lines, err)
	}
	return l, nil
}

// Head reads the first line.
func (r *Reader) Head() (Head, error) {
	l, err := r.next()
	switch {
	case errors.Is(err, io.EOF):
		return Head{}, errors.New("the export is empty: the command that should have written it has failed")
	case err != nil:
		return Head{}, fmt.Errorf("this is not an export of tenter: %w", err)
	case l.Export == nil:
		return Head{}, errors.New("this is not an export of tenter: it does not begin like one")
	case l.Export.Format != format:
		return Head{}, fmt.Errorf("the export has format %d, this tenter knows %d: use the version that wrote it", l.Export.Format, format)
	}
	return *l.Export, nil
}

// Tree reads the runs of the next tree. io.EOF: there is none.
func (r *Reader) Tree() (runs []store.Archive, err error) {
	recordings, err := r.Recordings()
	for i := range recordings {
		runs = append(runs, recordings[i].Archive)
	}
	return runs, err
}

// Recordings reads the runs of the next tree, of an export of either kind. io.EOF: there is none.
func (r *Reader) Recordings() ([]Recording, error) {
	l, err := r.next()
	if err != nil {
		return nil, err
	}
	if l.Tree == nil {
		return nil, fmt.Errorf("line %d of the export is not a tree, which should be here", r.lines)
	}
	var runs []Recording
	for range l.Tree.Runs {
		a, err := r.run()
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("the export ends in the middle of run %s and its children, of which nothing is imported", l.Tree.Root)
		}
		if err != nil {
			return nil, err
		}
		runs = append(runs, a)
	}
	return runs, nil
}

func (r *Reader) run() (a Recording, err error) {
	l, err := r.next()
	if err != nil {
		return a, err
	}
	q := l.Run
	if q == nil {
		return a, fmt.Errorf("line %d of the export is not a run, which should be here", r.lines)
	}
	for _, name := range []string{q.ID, q.Workflow} {
		if bad := run.BadName(name, run.MaxName); bad != "" {
			return a, fmt.Errorf("line %d of the export: run ID or workflow name %q: %w: %s", r.lines, name, workflow.ErrInvalidName, bad)
		}
	}
	a.Drawn = q.Drawn
	a.Run = store.Run{
		ID: q.ID, Workflow: q.Workflow, Version: q.Version, Status: store.Status(q.Status), ParentID: q.ParentID, ParentRef: q.ParentRef,
		Trace: q.Trace, Secret: q.Secret, CreatedAt: q.CreatedAt, UpdatedAt: q.UpdatedAt, EndedAt: q.EndedAt, WakeAt: q.WakeAt, Worker: q.Worker,
		Epoch: q.Epoch, Events: q.Events, Suspicion: q.Suspicion, Mark: q.Mark, Crashes: q.Crashes,
		BlockedBuild: q.BlockedBuild, BlockedReason: q.BlockedReason, Generation: q.Generation, Base: q.Base, Origin: q.Origin,
		Paused: (*store.Pause)(q.Paused),
	}
	for range q.Lines {
		if l, err = r.next(); err != nil {
			return a, err
		}
		if err := addLine(&a.Archive, l); err != nil {
			return a, fmt.Errorf("line %d of the export: %w", r.lines, err)
		}
	}
	// Those of earlier generations may have been pruned.
	if n := int64(len(a.Events)); n < q.Events-q.Base || n > q.Events || n > 0 && a.Events[0].Position != q.Events-n+1 {
		return a, fmt.Errorf("run %s of the export has %d events and should have %d", q.ID, n, q.Events-q.Base)
	}
	return a, nil
}

func addLine(a *store.Archive, l line) error {
	id := a.Run.ID
	switch {
	case l.Event != nil:
		a.Events = append(a.Events, l.Event.record())
	case l.Cut != nil:
		a.Cuts = append(a.Cuts, store.CutEvent{Cut: l.Cut.Cut, CutAt: l.Cut.CutAt, Event: l.Cut.Event.record()})
	case l.Message != nil:
		a.Mail = append(a.Mail, l.Message.record(id))
	case l.Unread != nil:
		a.Unread = append(a.Unread, store.UnreadMessage{Number: l.Unread.Number, Journaled: l.Unread.Journaled, Message: l.Unread.Message.record(id)})
	case l.Hook != nil:
		h := l.Hook
		if bad := run.BadName(h.Token, run.MaxToken); bad != "" {
			return fmt.Errorf("token %q: %w: %s", h.Token, workflow.ErrInvalidToken, bad)
		}
		a.Hooks = append(a.Hooks, store.ArchivedHook{AdoptedAs: h.AdoptedAs, Hook: store.Hook{
			ID: h.ID, RunID: id, Token: h.Token, Type: h.Type, Metadata: h.Metadata, Webhook: h.Webhook, Reserved: h.Reserved,
			CreatedAt: h.CreatedAt, ClosedAt: h.ClosedAt, OpenedPos: h.OpenedPos, ClosedPos: h.ClosedPos, Carried: h.Carried,
			Subject: h.Subject, ListensFrom: h.ListensFrom, ListensTo: h.ListensTo,
		}})
	case l.Receipt != nil:
		q := l.Receipt
		a.Receipts = append(a.Receipts, store.StoredReceipt{
			Token: q.Token, Key: q.Key, HookID: q.HookID, RunID: id, Type: q.Type, Metadata: q.Metadata, Webhook: q.Webhook, Request: q.Request,
			HookCreatedAt: q.HookCreatedAt, ExpiresAt: q.ExpiresAt,
		})
	case l.Response != nil:
		q := l.Response
		a.Responses = append(a.Responses, store.Response{
			Request: q.Request, RunID: id, Responder: q.Responder, Status: q.Status, Header: q.Header, Body: q.Body, At: q.At, KeepUntil: q.KeepUntil,
		})
	case l.TxStep != nil:
		a.TxSteps = append(a.TxSteps, store.DoneTxStep(*l.TxStep))
	case l.Subscription != nil:
		if bad := run.BadName(l.Subscription.Target, run.MaxName); bad != "" {
			return fmt.Errorf("run ID %q: %w: %s", l.Subscription.Target, workflow.ErrInvalidName, bad)
		}
		a.Subscriptions = append(a.Subscriptions, store.Subscription{RunID: id, Ref: l.Subscription.Ref, Target: l.Subscription.Target})
	case l.Generation != nil:
		g := l.Generation
		a.Generations = append(a.Generations, store.ArchivedGeneration{
			Generation: store.Generation{Number: g.Number, EndedAt: g.EndedAt, Base: g.Base, Last: g.Last}, Unread: g.Unread,
		})
	default:
		return fmt.Errorf("it is nothing that belongs to a run: the export of run %s is damaged, or a newer tenter wrote it", id)
	}
	return nil
}

func (e *eventLine) record() store.Event {
	return store.Event{
		Position: e.Position, At: e.At, Kind: e.Kind, Ref: e.Ref, Data: e.Data, Asked: e.Asked, OrStart: e.OrStart, Epoch: e.Epoch, Seq: e.Seq, Actor: e.Actor,
	}
}

func (m *messageLine) record(runID string) store.Message {
	return store.Message{ID: m.ID, RunID: runID, Kind: m.Kind, Ref: m.Ref, Data: m.Data, AcceptedAt: m.AcceptedAt, OrStart: m.OrStart, Trace: m.Trace, Actor: m.Actor}
}
