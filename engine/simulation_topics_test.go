package engine_test

import (
	"context"
	"fmt"
	"slices"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// heard is a topic that all engines know.
var heard = workflow.DefineTopic[payload]("heard")

// subjects are what hooks listen to.
var subjects = []string{"sun", "moon"}

// publication is a payload for all hooks that listen to a subject.
type publication struct {
	n       int // of the payload
	subject string
	key     string
}

// published is a publication that the store has carried out.
type published struct {
	publication
	store.Published
	begin, end int // in ticks
}

// publishCall is a publication that somebody has asked for, and what came of it.
type publishCall struct {
	publication
	begin, end int // in ticks
	info       workflow.Publication
	err        error
}

// listening is when a hook listens, in ticks of the transitions that open and close it.
type listening struct {
	run, subject   string
	begins, began  int
	ceases, ceased int  // 0: it has not ceased
	carried        bool // by the run, which has restarted since it opened the hook
}

// listen opens a hook that listens.
func (e *env) listen(ctx workflow.Context, o op) {
	opts := []workflow.HookOption{workflow.Metadata(o.slot)}
	if o.token != "" {
		opts = append(opts, workflow.Token(o.token))
	} else if o.flag {
		opts = append(opts, workflow.Named(fmt.Sprint("number ", o.slot)))
	}
	done := e.block(blocked{verb: vOpen})
	h, err := heard.Listen(ctx, subjects[o.n], opts...)
	done()
	if err != nil {
		e.notOpened(ctx, o, err)
		return
	}
	e.hooks = append(e.hooks, h)
	e.w.claimedBeforeItReturns(e.run, h.ID())
	e.opened(ctx, o, h.ID(), h.Token())
}

// publish publishes a payload, and remembers what came of it.
func (w *world) publish(ctx context.Context, e *engine.Engine, p publication) {
	c := publishCall{publication: p, begin: w.now()}
	var opts []workflow.PublishOption
	if p.key != "" {
		opts = append(opts, workflow.IdempotencyKey(p.key))
	}
	c.info, c.err = heard.Publish(by(ctx, senderOf(p.n)), e, p.subject, payload{N: p.n}, opts...)
	c.end = w.now()
	w.failed(ctx, fmt.Sprintf("publication %d", p.n), c.err)
	w.note(func() { w.publishes = append(w.publishes, c) })
}

// isPublished notes what the store has made of a publication that began then.
func (w *world) isPublished(begin int, p *store.Publication, done store.Published) {
	end := w.now()
	w.note(func() {
		if !done.Duplicate {
			w.published = append(w.published, published{publication{number(p.Data), p.Subject, p.Key}, done, begin, end})
		}
	})
}

// listens notes what a transition that began then has done to hooks that listen.
func (w *world) listens(begin int, t *store.Transition, out []store.Outcome) {
	end := w.now()
	w.note(func() {
		for i, e := range t.Effects {
			l := w.listeners[e.Hook.ID]
			switch {
			case e.Hook.Subject == "":
			case e.Kind == store.CloseHook && l != nil:
				l.cease(begin, end)
			case e.Kind == store.OpenHook && out[i].Conflict == "":
				if l = w.listeners[out[i].HookID]; l == nil {
					w.listeners[out[i].HookID] = &listening{run: t.RunID, subject: e.Hook.Subject, begins: begin, began: end}
				} else {
					l.carried = false
				}
			default:
			}
		}
		for _, l := range w.listeners {
			switch {
			case l.run != t.RunID:
			case t.Status.Ended(), t.Restart != nil && l.carried:
				l.cease(begin, end)
			case t.Restart != nil:
				l.carried = true
			}
		}
	})
}

// noneListens notes that the hooks of a run that was terminated have ceased to listen.
func (w *world) noneListens(begin int, runID string) {
	end := w.now()
	w.note(func() {
		for _, l := range w.listeners {
			if l.run == runID {
				l.cease(begin, end)
			}
		}
	})
}

func (l *listening) cease(begin, end int) {
	if l.ceased == 0 {
		l.ceases, l.ceased = begin, end
	}
}

// came is what has come to a hook of what was published, in its order.
func (c *checker) came(run, hook string) (ns []int) {
	order := map[int]int{}
	for n, at := range c.places {
		for _, p := range at {
			if c.isNews(n) && p.run == run && p.hook == hook {
				ns = append(ns, n)
				order[n] = p.order
			}
		}
	}
	slices.SortFunc(ns, func(a, b int) int { return order[a] - order[b] })
	return ns
}

// isNews reports whether a payload is one that was published.
func (c *checker) isNews(n int) bool {
	return slices.ContainsFunc(c.published, func(p published) bool { return p.n == n })
}

// listenedWhen are the hooks that listened to a subject at a publication, by what the store has recorded
// of them, but for those of runs that were retried, which have listened more than once.
func (c *checker) listenedWhen(p *published) (hooks []string) {
	for _, r := range c.records {
		for _, h := range r.hooks {
			if !c.retried[r.id()] && gets(&h.Hook, p) {
				hooks = append(hooks, h.Hook.ID)
			}
		}
	}
	return hooks
}

// gets reports whether a hook gets a publication.
func gets(h *store.Hook, p *published) bool {
	return h.ListensFrom > 0 && h.Subject == p.subject && p.Seq > h.ListensFrom && (h.ListensTo == 0 || p.Seq < h.ListensTo)
}

// maybe is how many hooks of runs that were retried may have listened to a subject.
func (c *checker) maybe(subject string) (n int) {
	for _, l := range c.listeners {
		if l.subject == subject && c.retried[l.run] {
			n++
		}
	}
	return n
}
