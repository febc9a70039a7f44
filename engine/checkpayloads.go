package engine

import (
	"context"
	"fmt"

	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/store"
)

// InvalidPayloads are payloads that wait for a hook of a run, and that do not decode into the type
// that the engine's code has for the hook, or do not validate: the code would get a
// *workflow.PayloadError for each. CheckReplay tries the payloads that the run has received and not
// taken, however many, and those among the first 1,000 messages of its mailbox, which it has not
// received yet.
type InvalidPayloads struct {
	HookID string `json:"hook_id"`
	Token  string `json:"token"`  // a generated one is a secret; Detail does not have it
	Caller string `json:"caller"` // the line that opens the hook
	Count  int    `json:"count"`
	Error  string `json:"error"` // why the first of them is not valid
}

func (p *InvalidPayloads) String() string {
	return run.Cut(fmt.Sprintf("%d of the payloads that wait for the hook with token %s, opened at %s, can't be taken; the first: %s",
		p.Count, run.QuoteToken(p.Token), p.Caller, p.Error))
}

// openedHook is a hook that replayed code has opened.
type openedHook struct {
	hook    run.OpenHook
	payload run.Payload
	caller  string
	invalid InvalidPayloads
}

// openedHooks are those that replayed code has opened.
type openedHooks []openedHook

func (o *openedHooks) add(h run.OpenHook, payload run.Payload, caller string) {
	*o = append(*o, openedHook{hook: h, payload: payload, caller: caller})
}

// tryPayloads returns the payloads that wait for a run and that its hooks could not take. unread are
// those that the run has journaled and not taken.
func (o openedHooks) tryPayloads(ctx context.Context, reader store.Reader, l *store.Loaded, unread []store.Message) (invalid []InvalidPayloads, err error) {
	hooks := make(map[string]*openedHook, len(o))
	for i := range o {
		hooks[o[i].hook.ID()] = &o[i]
	}
	try := func(waiting []store.Message) {
		for i := range waiting {
			if h := hooks[waiting[i].Ref]; h != nil && waiting[i].Kind == store.PayloadReceived {
				h.try(waiting[i].Data)
			}
		}
	}
	try(unread)
	for _, first := range l.Backlog {
		page, more := []store.Message{first}, hooks[first.Ref] != nil
		for try(page); more && len(page) > 0; try(page) {
			page, more, err = reader.Backlog(ctx, l.Run.ID, first.Ref, page[len(page)-1].ID, store.MailPage)
			if err != nil {
				return nil, err
			}
		}
	}
	try(l.Mail)
	for i := range o {
		if found := &o[i].invalid; found.Count > 0 {
			invalid = append(invalid, *found)
		}
	}
	return invalid, nil
}

// try decodes a payload that waits for the hook.
func (h *openedHook) try(payload []byte) {
	err := h.payload.Check(payload)
	if err == nil {
		return
	}
	if h.invalid.Count == 0 {
		h.invalid = InvalidPayloads{HookID: h.hook.ID(), Token: h.hook.Token(), Caller: h.caller, Error: run.Cut(err.Error())}
	}
	h.invalid.Count++
}
