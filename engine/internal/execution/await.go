package execution

import (
	"slices"
	"time"

	"github.com/tenter-dev/tenter/internal/planted"
	"github.com/tenter-dev/tenter/internal/run"
)

func (s *scope) Await(ws ...run.Waitable) (int, error) {
	b, err := s.x.enter()
	if err != nil {
		return -1, err
	}
	for _, w := range ws {
		if w.(held).holder() != s.x { //nolint:forcetypeassert // all waitables are the engine's
			return -1, run.Stray()
		}
	}
	if i, err := s.poll(b, ws); i >= 0 || err != nil {
		return i, err
	}
	s.waiters.add(b)
	b.awaits = ws
	for _, w := range ws {
		w.(waitable).waitlist().add(b) //nolint:forcetypeassert // see above
	}
	for _, w := range ws {
		if h, ok := w.(*hook); ok {
			h.since = s.x.now
		}
	}
	defer func() {
		b.awaits = nil
		s.waiters.remove(b)
		for _, w := range ws {
			w.(waitable).waitlist().remove(b) //nolint:forcetypeassert // see above
			if h, ok := w.(*hook); ok && !h.Ready() {
				h.since = time.Time{}
			}
		}
	}()
	for {
		for _, w := range ws {
			if h, ok := w.(*hook); ok {
				h.askDrain(b) // another branch may have closed it meanwhile
			}
		}
		s.x.pull(ws)
		b.park()
		if i, err := s.poll(b, ws); i >= 0 || err != nil {
			return i, err
		}
	}
}

// held is a waitable that code holds and may have passed to another run.
type held interface{ holder() *Execution }

func (h *hook) holder() *Execution   { return h.x }
func (t *timer) holder() *Execution  { return t.x }
func (c *child) holder() *Execution  { return c.x }
func (f *future) holder() *Execution { return f.x }

// poll returns the index of the first ready waitable. An ended scope comes first, so that a
// canceled wait consumes nothing.
func (s *scope) poll(b *branch, ws []run.Waitable) (int, error) {
	if err := s.err(); err != nil {
		return -1, err
	}
	for i, w := range ws {
		if h, ok := w.(*hook); ok && !h.Ready() && h.comes(b, slices.ContainsFunc(ws[i+1:], run.Waitable.Ready)) && !h.Ready() {
			return -1, nil
		}
		if w.Ready() {
			if planted.LoserConsumes.Here() {
				for _, loser := range ws[i+1:] {
					if h, ok := loser.(*hook); ok {
						h.Take()
					}
				}
			}
			return i, nil
		}
	}
	return -1, nil
}
