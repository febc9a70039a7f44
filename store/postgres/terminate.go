package postgres

import (
	"context"

	"github.com/tenter-dev/tenter/store"
)

// Terminate ends a run now, whatever state it is in.
func (s *Store) Terminate(ctx context.Context, runID string, e store.Event) error {
	_, err := s.verdicts(ctx, "terminate run "+runID, s.sql.terminate,
		alone, runID, e.At, string(e.Kind), e.Ref, e.Data, optText(e.Asked), e.Seq, optText(e.Actor))
	if err == nil {
		s.tellAll(store.Signal{Ended: []string{runID}}) // somebody may be executing it
	}
	return err
}
