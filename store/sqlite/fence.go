package sqlite

import (
	"context"
	"time"

	"github.com/tenter-dev/tenter/internal/planted"
	"github.com/tenter-dev/tenter/store"
)

// Fence makes sure that no transition of an epoch can be written any more, and
// returns the run as it is then.
func (s *Store) Fence(ctx context.Context, runID, worker string, epoch int64) (store.Loaded, error) {
	var l store.Loaded
	err := s.w.do(ctx, func(w *writer) (err error) {
		l, err = w.fence(runID, worker, epoch)
		return err
	})
	if err != nil {
		return store.Loaded{}, err
	}
	return l, nil
}

func (w *writer) fence(runID, worker string, epoch int64) (store.Loaded, error) {
	h, err := w.head(runID)
	if err != nil {
		return store.Loaded{}, err
	}
	if planted.DoubtNotFenced.Here() {
		return w.load(runID, 0, time.Time{})
	}
	if h.epoch == epoch && (h.worker == "" || h.worker == worker) && !h.status.Ended() {
		err := w.on(qRunClaim).bindText(worker).bindInt(epoch + 1).bindInt(int64(h.suspicion)).bindInt(int64(h.crashes)).bindText(runID).run()
		if err != nil {
			return store.Loaded{}, err
		}
	}
	return w.load(runID, 0, time.Time{})
}
