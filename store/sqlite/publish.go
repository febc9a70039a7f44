package sqlite

import (
	"context"
	"slices"
	"time"

	"github.com/tenter-dev/tenter/internal/planted"
	"github.com/tenter-dev/tenter/internal/saturate"
	"github.com/tenter-dev/tenter/store"
)

// topic is a topic and a subject that hooks listen to.
type topic struct {
	name, subject string
	listeners     int64
	published     int64 // number of the last publication
	behind        bool  // there may be listeners that have not got it
}

// listener is an open hook that listens.
type listener struct {
	runID, hookID  string
	topic, subject string
	told           int64 // it has got what was published up to this
}

func readListener(st *stmt) listener {
	return listener{st.text(), st.text(), st.text(), st.text(), st.int()}
}

// publication is what listeners get.
type publication struct {
	seq   int64
	at    time.Time
	data  []byte
	trace string
	actor string
}

func readPublication(st *stmt) publication {
	return publication{st.int(), st.time(), st.data(), st.text(), st.text()}
}

// message is what a listener gets.
func (p *publication) message(l *listener) store.Message {
	return store.Message{RunID: l.runID, Kind: store.PayloadReceived, Ref: l.hookID, Data: p.data, Trace: p.trace, Actor: p.actor}
}

// Publish puts a payload in the mailboxes of all runs that have an open hook which listens.
func (c client) Publish(ctx context.Context, p store.Publication) (store.Published, error) {
	var published store.Published
	err := c.do(ctx, func(w *writer) (err error) {
		published, err = w.publish(p)
		return err
	})
	return published, err
}

func (w *writer) publish(p store.Publication) (store.Published, error) {
	at := w.acceptTime()
	if p.Key != "" && !planted.PublishedAgain.Here() {
		known, err := readOne(w.on(qPublicationOfKey).bindText(p.Topic).bindText(p.Subject).bindText(p.Key).bindTime(at), whole(func(st *stmt) store.Published {
			return store.Published{Seq: st.int(), Count: int(st.int()), Duplicate: true}
		}))
		if err == nil || !isNotFound(err) {
			return known, err
		}
	}
	t, err := w.topic(p.Topic, p.Subject)
	if isNotFound(err) {
		return store.Published{}, nil
	}
	if err != nil {
		return store.Published{}, err
	}
	seq, err := w.nextSeq()
	if err != nil {
		return store.Published{}, err
	}
	all := false
	if t.listeners <= int64(store.ServedAtOnce(p.AtOnce, p.Data)) {
		told, err := w.tell(&t, &publication{seq: seq, data: p.Data, trace: p.Trace, actor: p.Actor}, t.published, t.listeners)
		if err != nil {
			return store.Published{}, err
		}
		all = int64(told) == t.listeners
	}
	if !all || p.Key != "" {
		if err := w.keepPublication(&p, seq, at, all, t.listeners); err != nil {
			return store.Published{}, err
		}
	}
	if !all {
		w.sig.Behind = append(w.sig.Behind, p.Topic)
	}
	err = w.on(qTopicPublished).bindText(p.Topic).bindText(p.Subject).bindInt(seq).bindBool(!all).bindTime(at).run()
	return store.Published{Seq: seq, Count: int(t.listeners)}, err
}

// keepPublication stores a publication: for those that have still to get it, or that its key is known.
func (w *writer) keepPublication(p *store.Publication, seq int64, at time.Time, all bool, listeners int64) error {
	data, trace, actor, expires := p.Data, p.Trace, p.Actor, ""
	if all {
		data, trace, actor = nil, "", ""
	}
	if p.Key != "" {
		if err := w.purge(at); err != nil {
			return err
		}
		for _, q := range [...]query{qPublicationForget, qPublicationUnkey} { // it has expired
			if err := w.on(q).bindText(p.Topic).bindText(p.Subject).bindText(p.Key).run(); err != nil {
				return err
			}
		}
		expires = formatTime(saturate.After(at, p.KeepFor))
	}
	return w.on(qPublicationInsert).bindText(p.Topic).bindText(p.Subject).bindInt(seq).bindTime(at).bindData(data).bindOptText(trace).bindOptText(actor).
		bindInt(listeners).bindOptText(p.Key).bindOptText(expires).run()
}

func (w *writer) topic(name, subject string) (topic, error) {
	return readOne(w.on(qTopicGet).bindText(name).bindText(subject), whole(func(st *stmt) topic {
		return topic{name: name, subject: subject, listeners: st.int(), published: st.int(), behind: st.bool()}
	}))
}

// nextSeq numbers a publication, or where a hook begins or ceases to listen. What comes later has a
// higher number, whatever the topic.
func (w *writer) nextSeq() (int64, error) {
	if err := w.on(qTopicSeqNext).run(); err != nil {
		return 0, err
	}
	return readOne(w.on(qTopicSeq), whole((*stmt).int))
}

// tell gives a publication to listeners that have got all up to another one (from), which is the one
// before it. It returns to how many.
func (w *writer) tell(t *topic, p *publication, from, limit int64) (told int, err error) {
	behind, err := readAll(w.on(qListenersBehind).bindText(t.name).bindText(t.subject).bindInt(from).bindInt(p.seq).bindInt(limit), whole(readListener))
	if err != nil {
		return 0, err
	}
	for i := range behind {
		if err := w.tellOne(&behind[i], p); err != nil {
			return 0, err
		}
		if err := w.on(qListenerTold).bindInt(p.seq).bindText(behind[i].runID).bindText(behind[i].hookID).run(); err != nil {
			return 0, err
		}
	}
	return len(behind), nil
}

// tellOne gives a publication to a listener whose run has not ended.
func (w *writer) tellOne(l *listener, p *publication) error {
	backlog, err := w.backlogOf(l.runID, l.hookID)
	if err != nil {
		return err
	}
	if backlog != 0 {
		return w.putBacklog(p.message(l), backlog, w.acceptTime()) // the run need not know
	}
	h, err := w.head(l.runID)
	if err != nil {
		return err
	}
	return w.putMail(p.message(l), h.dueAt, w.acceptTime())
}

// TellListeners goes on with a publication that has more listeners than one commit serves.
func (s *Store) TellListeners(ctx context.Context, atOnce int) (told int, more bool, err error) {
	err = s.w.do(ctx, func(w *writer) error {
		told, more, err = w.tellListeners(atOnce)
		return err
	})
	return told, more, err
}

func (w *writer) tellListeners(atOnce int) (told int, more bool, err error) {
	for {
		t, err := readOne(w.on(qTopicBehind), whole(func(st *stmt) topic {
			return topic{name: st.text(), subject: st.text(), published: st.int()}
		}))
		if isNotFound(err) {
			return 0, false, nil
		}
		if err != nil {
			return 0, false, err
		}
		first, err := readOne(w.on(qListenerFirst).bindText(t.name).bindText(t.subject), whole((*stmt).int))
		if err != nil {
			return 0, false, err
		}
		if first < t.published {
			p, err := readOne(w.on(qPublicationNext).bindText(t.name).bindText(t.subject).bindInt(first), whole(readPublication))
			if err != nil {
				return 0, false, err
			}
			told, err := w.tell(&t, &p, first, int64(store.ServedAtOnce(atOnce, p.data)))
			if err != nil || !planted.FirstBatchIsAll.Here() {
				return told, true, err
			}
		}
		if err := w.on(qTopicNotBehind).bindText(t.name).bindText(t.subject).run(); err != nil {
			return 0, false, err
		}
		if err := w.forgetPublications(t.name, t.subject); err != nil {
			return 0, false, err
		}
	}
}

// forgetPublications deletes what all listeners have got.
func (w *writer) forgetPublications(topic, subject string) error {
	if err := w.on(qPublicationsDelete).bindText(topic).bindText(subject).run(); err != nil {
		return err
	}
	return w.on(qPublicationsDone).bindText(topic).bindText(subject).run()
}

// listen lets an open hook listen from now on, if it does not already.
func (w *writer) listen(runID, hookID, topic, subject string) error {
	if err := w.serveGenerations(); err != nil {
		return err
	}
	seq, err := w.nextSeq()
	if err != nil {
		return err
	}
	told := seq
	if planted.ListensFromStart.Here() {
		told = 0
	}
	if err := w.on(qListenerInsert).bindText(runID).bindText(hookID).bindText(topic).bindText(subject).bindInt(told).run(); err != nil || !w.changed() {
		return err
	}
	if err := w.on(qTopicListen).bindText(topic).bindText(subject).run(); err != nil {
		return err
	}
	return w.on(qHookListens).bindInt(seq).bindText(runID).bindText(hookID).run()
}

// listenAll lets the open hooks of a run listen that are to.
func (w *writer) listenAll(runID string) error {
	hooks, err := readAll(w.on(qHooksListening).bindText(runID), whole(func(st *stmt) store.Hook {
		return store.Hook{ID: st.text(), Type: st.text(), Subject: st.text()}
	}))
	for _, h := range hooks {
		if err != nil {
			return err
		}
		err = w.listen(runID, h.ID, h.Type, h.Subject)
	}
	return err
}

// cease lets a hook that is closed listen no more. What was published before comes to it now: put
// says how.
func (w *writer) cease(l *listener, put func(l *listener, p *publication) error) (came bool, err error) {
	left, err := readAll(w.on(qPublicationsAfter).bindText(l.topic).bindText(l.subject).bindInt(l.told), whole(readPublication))
	if err != nil {
		return false, err
	}
	if planted.LeftUnheard.Here() {
		left = nil
	}
	for i := range left {
		if err := put(l, &left[i]); err != nil {
			return false, err
		}
	}
	seq, err := w.nextSeq()
	if err != nil {
		return false, err
	}
	for _, st := range []*stmt{
		w.on(qListenerDelete).bindText(l.runID).bindText(l.hookID),
		w.on(qHookCeased).bindInt(seq).bindText(l.runID).bindText(l.hookID),
		w.on(qTopicLeave).bindText(l.topic).bindText(l.subject),
		w.on(qTopicDelete).bindText(l.topic).bindText(l.subject),
	} {
		if err := st.run(); err != nil {
			return false, err
		}
	}
	if w.changed() { // nobody listens any more
		err = w.forgetPublications(l.topic, l.subject)
	}
	return len(left) > 0, err
}

// ceases reports whether an effect closes a hook that listens.
func ceases(e store.Effect) bool { return e.Kind == store.CloseHook && e.Hook.Subject != "" }

// closeListening lets the hook of a CloseHook effect listen no more.
func (w *writer) closeListening(t *store.Transition, hookID string) error {
	l, err := readOne(w.on(qListenerGet).bindText(t.RunID).bindText(hookID), whole(readListener))
	if isNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	put := w.tellOne
	if t.Status.Ended() {
		put = w.leaveTo
	}
	_, err = w.cease(&l, put)
	return err
}

// ceaseClosed lets the closed hooks of a run listen no more that ends, or begins another generation.
// It reports whether something came for them, which the head of the run does not count yet.
func (w *writer) ceaseClosed(runID string) (came bool, err error) {
	all, err := readAll(w.on(qListenersOf).bindText(runID), whole(readListener))
	if err != nil {
		return false, err
	}
	for i := range all {
		h, err := readOne(w.on(qHookByID).bindText(runID).bindText(all[i].hookID), whole(readHook))
		if err != nil {
			return false, err
		}
		if h.ClosedAt.IsZero() && !planted.DeafBetween.Here() {
			continue
		}
		some, err := w.cease(&all[i], w.leaveTo)
		if err != nil {
			return false, err
		}
		came = came || some
	}
	return came, nil
}

// leaveTo gives a publication to a listener whose run is about to leave it unread.
func (w *writer) leaveTo(l *listener, p *publication) error {
	backlog, err := w.backlogOf(l.runID, l.hookID)
	if err != nil {
		return err
	}
	at := w.acceptTime()
	if backlog != 0 {
		return w.putBacklog(p.message(l), backlog, at)
	}
	return w.insertMail(p.message(l), formatTime(at))
}

// toCome reads what was published to the hooks of a run and has not come to its mailbox. The messages
// have no IDs.
func (c *conn) toCome(runID string) ([]store.Message, error) {
	var coming []store.Message
	all, err := readAll(c.on(qListenersOf).bindText(runID), whole(readListener))
	if err != nil {
		return nil, err
	}
	for i := range all {
		l := &all[i]
		left, err := readAll(c.on(qPublicationsAfter).bindText(l.topic).bindText(l.subject).bindInt(l.told), whole(readPublication))
		if err != nil {
			return nil, err
		}
		for j := range left {
			m := left[j].message(l)
			m.AcceptedAt = left[j].at
			coming = append(coming, m)
		}
	}
	slices.SortStableFunc(coming, func(a, b store.Message) int { return a.AcceptedAt.Compare(b.AcceptedAt) })
	return coming, nil
}

// Topics lists what open hooks listen to.
func (s *Store) Topics(ctx context.Context, f store.TopicFilter) (all []store.ListenedTopic, err error) {
	if s.previous {
		return nil, ctx.Err()
	}
	if f.Limit <= 0 {
		f.Limit = defaultLimit
	}
	err = s.pool.read(ctx, func(c *conn) error {
		all, err = readAll(c.on(qTopicsOf).bindText(f.After.Topic).bindText(f.After.Subject).bindOptText(f.Topic).bindInt(int64(f.Limit)), whole(func(st *stmt) store.ListenedTopic {
			return store.ListenedTopic{Topic: st.text(), Subject: st.text(), Listeners: int(st.int()), Behind: st.bool(), PublishedAt: st.time()}
		}))
		return err
	})
	return all, err
}
