package postgres

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenter-dev/tenter/store"
)

// Respond answers an HTTP request. A repeat by the same responder changes nothing;
// if another one has answered it is ErrExists.
func (s *Store) Respond(ctx context.Context, r store.Response) error {
	return s.w.do(&op{kind: opRespond, ctx: ctx, arg: &r, size: len(r.Header) + len(r.Body)})
}

// respondAll records answers.
func (s *Store) respondAll(r *request, ops []*op) {
	responses := r.array(s.types["effect"])
	for _, o := range ops {
		responses.addEffect(responding(o.arg.(*store.Response)), 0, 0)
	}
	r.Queue(s.sql.respond, responses.value()).Query(answers(ops, func(o *op) {
		r.told.Responded = append(r.told.Responded, o.arg.(*store.Response).Request)
	}))
}

// Response returns the answer to a request. ErrNotFound if there is none yet.
func (s *Store) Response(ctx context.Context, request string) (store.Response, error) {
	var r store.Response
	err := s.with(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		survives := false
		err := c.QueryRow(ctx, s.sql.response, request).Scan(&survives, &r.Request, &r.RunID, &r.Responder, &r.Status, &r.Header, &r.Body, &r.At, &r.KeepUntil)
		r.At, r.KeepUntil = r.At.UTC(), r.KeepUntil.UTC()
		if err == nil && !survives {
			err = s.confirm(ctx, c)
		}
		return found(err)
	})
	if err != nil {
		return store.Response{}, err
	}
	return r, nil
}
