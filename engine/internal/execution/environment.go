package execution

import (
	"context"
	"slices"
	"time"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/run"
)

// Environment is what an execution may know of the engine.
type Environment struct {
	Client    any                                                                        // for calls that find their client in the context
	Respond   func(ctx context.Context, request, responder string, a run.Response) error // by steps
	PublicURL string                                                                     // of webhooks; empty: there are none
	Verifiers []string
	DedupeFor time.Duration
	Limit     int  // of inputs, payloads and results, in bytes
	Observed  bool // spans are wanted
}

// checkWebhook says why this engine can't open a webhook; empty: it can.
func (env *Environment) checkWebhook(w *run.Webhook) string {
	switch {
	case w == nil:
		return ""
	case env.PublicURL == "":
		return journal.ReasonNoPublicURL()
	case w.Verify != "" && !slices.Contains(env.Verifiers, w.Verify):
		return journal.ReasonNoVerifier(w.Verify)
	}
	return ""
}
