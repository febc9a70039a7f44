package postgres

import (
	"context"

	"github.com/tenter-dev/tenter/store"
)

// Send puts a message in a run's mailbox.
func (s *Store) Send(ctx context.Context, m store.Message) error {
	if !isText(m.RunID) {
		return store.ErrNotFound
	}
	return s.w.do(&op{kind: opSend, ctx: ctx, arg: &m, keys: []string{runKey(m.RunID)}, size: len(m.Data)})
}

// sendAll sends messages.
func (s *Store) sendAll(r *request, ops []*op) {
	messages := r.array(s.types["message_2"])
	for _, o := range ops {
		messages.addMessage(o.arg.(*store.Message), 0, false)
	}
	r.Queue(s.sql.send, messages.value()).Query(answers(ops, func(o *op) {
		r.told.Mail = append(r.told.Mail, o.arg.(*store.Message).RunID)
	}))
}
