package execution

import (
	"context"
	"reflect"
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
	Senders   []string
	Links     Links
	DedupeFor time.Duration
	Limit     int  // of inputs, payloads and results, in bytes
	Observed  bool // spans are wanted
	// Opens, if set, is called for each hook that the code opens, with what it takes and the line.
	// A hook with the author's own token has its final ID when the store has decided.
	Opens func(h run.OpenHook, p run.Payload, caller string)

	// Drawn, if set, is what the code derives, instead of from the run's secret: there is none.
	Drawn *journal.Drawn

	RestartAfter int // how many events a generation may have

	Topics map[string]reflect.Type // what is published to those that the engine knows
}

// Links is what an execution may know of links to answer pages.
type Links struct {
	Key  string                                       // ID of the key that signs new links; empty: there is none
	URL  func(id, key string) string                  // of a link
	Form func(hookType string) (form string, ok bool) // version of the form of a type of hooks
}

// checkWebhook says why this engine can't open a webhook; empty: it can.
func (env *Environment) checkWebhook(w *run.Webhook) string {
	switch {
	case w == nil, w.Call:
		return ""
	case env.PublicURL == "":
		return journal.ReasonNoPublicURL()
	case w.Verify != "" && !slices.Contains(env.Senders, w.Verify):
		return journal.ReasonNoSender(w.Verify)
	}
	return ""
}

// checkTopic says why a hook can't listen in this engine; empty: it can.
func (env *Environment) checkTopic(h *run.Hook) string {
	if of := env.Topics[h.Type]; of != nil && h.Of != nil && of != h.Of {
		return journal.ReasonTopicType(h.Type, h.Of.String(), of.String())
	}
	return ""
}
