package waiting

import (
	"context"

	"github.com/tenter-dev/tenter/internal/batched"
	"github.com/tenter-dev/tenter/store"
)

// mostLoaded is how many runs one query looks up at most: their results are in memory together.
const mostLoaded = 16

// NewEndings returns what loads from the store how runs have ended, if they have: one query for
// all callers that ask at a time. The ending of a run that does not exist has no RunID.
func NewEndings(s store.Reader) *batched.Loader[string, store.Ending] {
	return &batched.Loader[string, store.Ending]{
		Most: mostLoaded,
		Load: func(ctx context.Context, runIDs []string) ([]store.Ending, error) {
			found, err := s.Endings(ctx, runIDs)
			byID := make(map[string]store.Ending, len(found))
			for _, end := range found {
				byID[end.RunID] = end
			}
			all := make([]store.Ending, len(runIDs))
			for i, id := range runIDs {
				all[i] = byID[id]
			}
			return all, err
		},
	}
}
