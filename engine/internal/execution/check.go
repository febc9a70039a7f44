package execution

import (
	"fmt"

	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/workflow"
)

// CheckName refuses names and IDs that can't be written on one line.
func CheckName(name string) error {
	if bad := run.BadName(name, run.MaxName); bad != "" {
		return fmt.Errorf("%w: %s", workflow.ErrInvalidName, bad)
	}
	return nil
}

// CheckSize refuses data that is too large. Limit 0 means unlimited.
func CheckSize(what string, data []byte, limit int) error {
	if limit > 0 && len(data) > limit {
		return fmt.Errorf("%w: %s has %d bytes, the limit is %d", workflow.ErrPayloadTooLarge, what, len(data), limit)
	}
	return nil
}
