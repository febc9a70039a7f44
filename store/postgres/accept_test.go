package postgres

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/internal/pgtest"
	"github.com/tenter-dev/tenter/store"
)

// openHook starts a run r that has an open hook with the token "token".
func openHook(t *testing.T, s *Store) {
	t.Helper()
	const run, token = "r", "token"
	create := newRun(run)
	_, err := s.Apply(t.Context(), &store.Transition{
		RunID: run, Worker: "w", Epoch: 1, Create: &create, At: s.Now(), Status: store.Waiting,
		Events:  []store.Event{{At: s.Now(), Kind: store.Started}},
		Effects: []store.Effect{{Kind: store.OpenHook, Hook: store.Hook{ID: run + ".h1", Token: token, CreatedAt: s.Now(), OpenedPos: 1}}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The race detector looks on.
func TestWhoGivesUpGetsNoReceipt(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t), Options{})
	openHook(t, s)
	for i := range 200 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*10*time.Microsecond)
		r, err := s.Accept(ctx, store.Payload{Token: "token", Data: fmt.Append(nil, i)})
		if err != nil && r.Hook.ID != "" {
			t.Errorf("receipt %+v with error %v", r, err)
		}
		cancel()
	}
}
