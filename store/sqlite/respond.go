package sqlite

import (
	"context"

	"github.com/tenter-dev/tenter/internal/planted"
	"github.com/tenter-dev/tenter/store"
)

// Respond answers an HTTP request. A repeat by the same responder changes nothing;
// if another one has answered it is ErrExists.
func (c client) Respond(ctx context.Context, r store.Response) error {
	return c.do(ctx, func(w *writer) error {
		o, err := w.respond(r)
		if err == nil && o.Conflict != "" {
			err = store.ErrExists
		}
		return err
	})
}

// respond records an answer, unless there is one.
func (w *writer) respond(r store.Response) (store.Outcome, error) {
	if err := w.purge(w.acceptTime()); err != nil {
		return store.Outcome{}, err
	}
	err := w.on(qResponseInsert).bindText(r.Request).bindText(r.RunID).bindText(r.Responder).bindInt(int64(r.Status)).
		bindData(r.Header).bindData(r.Body).bindTime(r.At).bindTime(r.KeepUntil).run()
	if err != nil {
		return store.Outcome{}, err
	}
	if w.changed() {
		w.sig.Responded = append(w.sig.Responded, r.Request)
		return store.Outcome{}, nil
	}
	first, err := readOne(w.on(qResponseResponder).bindText(r.Request), whole((*stmt).text))
	if err != nil || first == r.Responder || planted.AnsweredTwice.Here() {
		return store.Outcome{}, err
	}
	return store.Outcome{Conflict: first}, nil
}

// Response returns the answer to a request. ErrNotFound if there is none yet.
func (s *Store) Response(ctx context.Context, request string) (store.Response, error) {
	var r store.Response
	err := s.pool.read(ctx, func(c *conn) (err error) {
		r, err = readOne(c.on(qResponseGet).bindText(request), whole(readResponse))
		return err
	})
	return r, err
}

func readResponse(st *stmt) store.Response {
	return store.Response{
		Request: st.text(), RunID: st.text(), Responder: st.text(), Status: int(st.int()),
		Header: st.data(), Body: st.data(), At: st.time(), KeepUntil: st.time(),
	}
}
