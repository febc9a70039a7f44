package sqlite

import (
	"cmp"
	"context"
	"math"

	"github.com/tenter-dev/tenter/store"
)

// KeepRefused keeps a request, and drops the oldest ones.
func (s *Store) KeepRefused(ctx context.Context, r store.RefusedRequest, keep int) error {
	return s.w.do(ctx, func(w *writer) error {
		err := w.on(qRefusedInsert).bindText(r.ID).bindText(r.Token).bindOptText(r.HookID).bindOptText(r.RunID).bindOptText(r.Workflow).
			bindText(r.Sender).bindText(r.Reason).bindOptText(r.Delivery).bindData(r.Request).bindBlob(orEmpty(r.Body)).bindTime(r.At).run()
		if err != nil {
			return err
		}
		return w.on(qRefusedTrim).bindInt(int64(keep)).run()
	})
}

// orEmpty is an empty body for none.
func orEmpty(body []byte) []byte {
	if body == nil {
		return []byte{}
	}
	return body
}

// RefusedRequest returns a request.
func (s *Store) RefusedRequest(ctx context.Context, id string) (r store.RefusedRequest, err error) {
	if s.previous {
		return r, store.ErrNotFound
	}
	err = s.pool.read(ctx, func(c *conn) error {
		r, err = readOne(c.on(qRefusedGet).bindText(id), whole(func(st *stmt) store.RefusedRequest {
			r := readRefused(st)
			r.Body = st.data()
			return r
		}))
		return err
	})
	return r, err
}

// RefusedRequests lists requests, the newest first.
func (s *Store) RefusedRequests(ctx context.Context, f store.RefusedFilter) (all []store.RefusedRequest, err error) {
	if s.previous {
		return nil, ctx.Err()
	}
	before, limit := cmp.Or(f.Before, math.MaxInt64), cmp.Or(max(f.Limit, 0), defaultLimit)
	err = s.pool.read(ctx, func(c *conn) error {
		all, err = readAll(c.on(qRefusedList).bindInt(before).bindInt(int64(limit)), whole(readRefused))
		return err
	})
	return all, err
}

// DropRefused drops a request.
func (s *Store) DropRefused(ctx context.Context, id string) error {
	return s.w.do(ctx, func(w *writer) error {
		if err := w.on(qRefusedDelete).bindText(id).run(); err != nil {
			return err
		}
		if !w.changed() {
			return store.ErrNotFound
		}
		return nil
	})
}

// readRefused reads refusedColumns.
func readRefused(st *stmt) store.RefusedRequest {
	return store.RefusedRequest{
		Number: st.int(), ID: st.text(), Token: st.text(), HookID: st.text(), RunID: st.text(), Workflow: st.text(),
		Sender: st.text(), Reason: st.text(), Delivery: st.text(), Request: st.data(), BodySize: st.int(), At: st.time(),
	}
}
