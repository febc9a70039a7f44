package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenter-dev/tenter/internal/saturate"
	"github.com/tenter-dev/tenter/store"
)

// warmed is how many connections are ready for a worker when it begins: as many as it uses while there
// is little to do. The pool gives the one first that was used last.
const warmed = 2

// warm has connections do once what a worker does with a run that gets a message. A new session of the
// server compiles each function, and plans each statement, when it first comes to it. That takes ten
// times as long as the work, and the first message after a deploy would wait for all of it.
func (s *Store) warm(ctx context.Context) {
	var together, all sync.WaitGroup
	n := int(min(warmed, s.pool.Stat().MaxConns()))
	together.Add(n)
	for range n {
		all.Go(func() {
			acquired := sync.OnceFunc(together.Done)
			defer acquired()
			// What fails here is slow later, and says then why it fails.
			_ = s.with(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
				acquired()
				together.Wait() // or one would be used twice
				return s.rehearse(ctx, c)
			})
		})
	}
	all.Wait()
}

// rehearse begins a run, claims, loads and continues it, in a transaction that is rolled back.
func (s *Store) rehearse(ctx context.Context, c *pgxpool.Conn) error {
	id, now := "rehearsal "+rand.Text(), s.Now()
	definitions := []store.Definition{{Workflow: id, Version: 1}} // which no other run has
	begin := &store.Transition{
		RunID: id, Workflow: id, Worker: id, Epoch: 1, Seq: 1, Create: &store.NewRun{ID: id, Workflow: id, Version: 1},
		Events: []store.Event{{At: now, Kind: store.Started}}, At: now, Status: store.Waiting, WakeAt: now,
	}
	goOn := *begin
	goOn.Create, goOn.After, goOn.Epoch, goOn.Keep = nil, 1, 2, true

	ops := []*op{{kind: opApply, arg: begin}, {kind: opApply, arg: &goOn}}
	r := &request{}
	defer r.free()
	r.Queue("BEGIN")
	r.Queue(genericPlans) // loads use these
	s.applyAll(r, ops[:1])
	r.Queue(s.sql.claim, id, "", s.fitting(definitions), 1, saturate.Time(now), false, time.Duration(0))
	r.Queue(s.sql.claimNamed, id, "", s.fitting(definitions), []string{id}, saturate.Time(now))
	s.queueLoads(&r.Batch, loading{id, 0})
	s.applyAll(r, ops[1:])
	r.Queue("ROLLBACK")
	err := c.SendBatch(ctx, &r.Batch).Close()
	_, loaded := s.loadOn(ctx, c, loading{id, 0}) // it is not there, but all statements are known now
	return errors.Join(err, ops[0].err, ops[1].err, loaded)
}
