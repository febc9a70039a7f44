package engine

import (
	"fmt"

	"github.com/tenter-dev/tenter/engine/internal/worker"
)

// checkKeepEnded says what is wrong with Options.KeepEnded.
func (o *Options) checkKeepEnded() error {
	switch {
	case o.KeepEnded > 0 && o.KeepEnded < worker.PruneEvery:
		return fmt.Errorf("Options.KeepEnded is %v: it is at least %v", o.KeepEnded, worker.PruneEvery)
	case o.KeepEnded > 0 && o.KeepEnded < o.DedupeFor:
		return fmt.Errorf("Options.KeepEnded is %v, and DedupeFor %v: a start or payload that is repeated within that time must still find its run", o.KeepEnded, o.DedupeFor)
	}
	return nil
}
