package workflow

import (
	"context"

	"github.com/tenter-dev/tenter/internal/journal"
)

// Actor says who has started a run, sent a payload, or given an order to a run. It is kept with
// what it is about, in the journal of the run, and changes nothing by itself: what somebody may do
// is decided where requests come in, by package access or by the app.
//
// The zero value is nobody in particular.
type Actor struct {
	// Name is that of a person or a program, such as "ada@example.com", in at most 256 bytes.
	Name string `json:"name,omitempty"`

	// Via says how the name is known, in at most 64 bytes. "key" is an API key that has the name,
	// "dashboard" somebody who has signed in there, "cli" the user of the machine on which the CLI ran,
	// "app" a function of the app's over an HTTP request. "link" is an answer link that was issued to
	// Name: whoever has it may have answered.
	// Code that calls [WithActor] may choose another word, or none.
	Via string `json:"via,omitempty"`

	// Link is the ID of the answer link that was used, in at most 256 bytes. It is not a secret.
	Link string `json:"link,omitempty"`
}

// String returns the name and how it is known, such as "ada (key)" or "the link issued to ada". It is
// empty for nobody.
func (a Actor) String() string {
	switch {
	case a.Via == "link" && a.Name != "":
		return "the link issued to " + a.Name
	case a.Name == "" || a.Via == "":
		return a.Name + a.Via
	default:
		return a.Name + " (" + a.Via + ")"
	}
}

type actorKey struct{}

// WithActor returns a context in which everything that is done by a [Client] is a's doing: runs that
// are started, payloads that are sent, orders such as [Run.Cancel]. A handler calls it with the user
// whom the app has authenticated, once, and calls what it likes with the context:
//
//	ctx := workflow.WithActor(r.Context(), workflow.Actor{Name: user.Email, Via: "app"})
//	_, err := Approvals.Resume(ctx, eng, token, decision)
//
// Operations fail with [ErrInvalidName] if a text of the actor is too long, is not valid UTF-8, or
// has control characters. Package client hands the actor to the server, which refuses it unless the
// API key may name others, see access.APIKey. What steps do has no actor unless they say so: the
// context of a step does not have that of the run.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// ActorOf returns the actor that [WithActor] gave to ctx; it is for middleware, and for
// implementations of [Client]. For what a workflow receives there is [Hook.By].
func ActorOf(ctx context.Context) Actor {
	a, _ := ctx.Value(actorKey{}).(Actor)
	return a
}

// By returns who sent the payload that the hook has returned last, to Wait, All, or a Select. It is
// nobody if that is not known, before the first payload, and for a payload that was accepted by a
// version that kept no actors. It is in the journal, and so the same after a replay.
func (h *Hook[T]) By() Actor { return Actor(journal.DecodeActor(h.must().By())) }

// By returns who has sent the request that the code got last from c, as [Hook.By] does.
func (c *Calls[In, Out]) By() Actor { return c.must().By() }
