package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenter-dev/tenter/store"
)

// Accept puts a payload in the mailbox of the run whose open hook has the token.
func (s *Store) Accept(ctx context.Context, p store.Payload) (store.Receipt, error) {
	if err := checkRun(p.OrStart); err != nil {
		return store.Receipt{}, err
	}
	o := &op{kind: opAccept, ctx: ctx, arg: &p, keys: []string{tokenKey(p.Token)}, size: len(p.Data)}
	if p.OrStart != nil {
		o.size += len(p.OrStart.Input)
	}
	if err := s.w.do(o); err != nil && !errors.Is(err, store.ErrMismatch) {
		return store.Receipt{}, err // it may still be under way, so the receipt is not ours to read
	}
	return o.receipt, o.err
}

// acceptAll accepts payloads.
func (s *Store) acceptAll(r *request, ops []*op) {
	payloads := r.array(s.types["payload_2"])
	for _, o := range ops {
		payloads.addPayload(o.arg.(*store.Payload))
	}
	r.Queue(s.sql.accept, payloads.value()).Query(func(rows pgx.Rows) error {
		for i := 0; rows.Next(); i++ {
			o := ops[i]
			deferred := false
			if o.receipt, o.err = readAcceptance(row{rows, &deferred}, o.arg.(*store.Payload)); o.err == nil && !o.receipt.Duplicate && !deferred {
				r.told.Mail = append(r.told.Mail, o.receipt.Hook.RunID)
			}
		}
		return rows.Err()
	})
}

// readAcceptance reads the answer to a payload. The hook is there if it was accepted
// or is of another type.
func readAcceptance(row pgx.Row, p *store.Payload) (store.Receipt, error) {
	var code, hookID, runID, typ, request *string
	var reserved, started, duplicate *bool
	var created *time.Time
	var opened *int64
	h := store.Hook{Token: p.Token}
	err := row.Scan(&code, &hookID, &runID, &typ, &h.Metadata, &h.Webhook, &reserved, &created, &opened, &started, &duplicate, &request)
	if err != nil {
		return store.Receipt{}, err
	}
	err = refusal(code)
	if hookID == nil {
		return store.Receipt{}, err
	}
	h.ID, h.RunID, h.Type, h.Reserved, h.CreatedAt, h.OpenedPos = *hookID, *runID, *typ, *reserved, created.UTC(), *opened
	r := store.Receipt{Hook: h, Started: *started, Duplicate: *duplicate}
	if request != nil {
		r.Request = *request
	}
	return r, err
}

// Receipt returns a receipt that an HTTP request to the token got. It locks it: see start_run in
// functions/start.sql.
func (s *Store) Receipt(ctx context.Context, token string) (store.Receipt, error) {
	r := store.Receipt{Hook: store.Hook{Token: token}, Duplicate: true}
	err := s.call(ctx, "look up a receipt", func(ctx context.Context, c *pgxpool.Conn) error {
		h := &r.Hook
		err := c.QueryRow(ctx, s.sql.receipt, token).Scan(&h.ID, &h.RunID, &h.Type, &h.Metadata, &h.Webhook, &h.CreatedAt, &r.Request)
		h.CreatedAt = h.CreatedAt.UTC()
		return found(err)
	})
	if err != nil {
		return store.Receipt{}, err
	}
	return r, nil
}
