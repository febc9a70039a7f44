package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// maxRefusedReason is how much is kept of why a request was refused, in bytes.
const maxRefusedReason = 500

// maxRefused is how large a request can be that is kept, with its URL and headers, in bytes.
const maxRefused = 64 << 10

// refusedSize is how large a request is, as maxRefused counts it.
func refusedSize(r *workflow.Request) int {
	size := len(run.EncodeURL(r.URL)) + len(r.Body)
	for name, values := range r.Header {
		for _, v := range values {
			size += len(name) + len(v)
		}
	}
	return size
}

// keepRefused keeps a request that was refused.
func (e *Engine) keepRefused(ctx context.Context, r store.RefusedRequest) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.opts.RespondWithin) // the caller may hang up
	defer cancel()
	return e.store.KeepRefused(ctx, r, e.opts.KeepRefused)
}

// reasonText is why a request was refused, as a store keeps it: a function of the app's own says what it
// likes.
func reasonText(why error) string {
	if refused, ok := errors.AsType[*refusedRequest](why); ok {
		why = refused.err
	}
	text := strings.ReplaceAll(strings.ToValidUTF8(why.Error(), "�"), "\x00", "")
	return run.CutTo(text, maxRefusedReason)
}

// RefusedRequests lists requests that were refused and kept, see [inspect.Client].
func (e *Engine) RefusedRequests(ctx context.Context, f inspect.RefusedFilter) ([]inspect.RefusedRequest, error) {
	err := e.usable(ctx)
	if err == nil {
		err = f.Validate()
	}
	if err != nil {
		return nil, fmt.Errorf("list refused requests: %w", err)
	}
	kept, err := e.store.RefusedRequests(ctx, store.RefusedFilter(f))
	if err != nil {
		return nil, fmt.Errorf("list refused requests: %w", err)
	}
	all := make([]inspect.RefusedRequest, len(kept))
	for i := range kept {
		if all[i], err = showRefused(&kept[i]); err != nil {
			return nil, fmt.Errorf("list refused requests: %w", err)
		}
	}
	return all, nil
}

// RefusedRequest returns a request that was refused and kept, see [inspect.Client].
func (e *Engine) RefusedRequest(ctx context.Context, id string) (inspect.RefusedRequest, error) {
	kept, err := e.refusedRequest(ctx, id)
	if err != nil {
		return inspect.RefusedRequest{}, fmt.Errorf("look up refused request %s: %w", id, err)
	}
	return showRefused(&kept)
}

func (e *Engine) refusedRequest(ctx context.Context, id string) (store.RefusedRequest, error) {
	if err := e.usable(ctx); err != nil {
		return store.RefusedRequest{}, err
	}
	if run.BadName(id, run.MaxName) != "" {
		return store.RefusedRequest{}, inspect.ErrRefusedNotFound // none can have it
	}
	kept, err := e.store.RefusedRequest(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		err = inspect.ErrRefusedNotFound
	}
	return kept, err
}

func showRefused(r *store.RefusedRequest) (inspect.RefusedRequest, error) {
	head, err := decodeRefused(r)
	if err != nil {
		return inspect.RefusedRequest{}, err
	}
	return inspect.RefusedRequest{
		ID: r.ID, Token: r.Token, HookID: r.HookID, RunID: r.RunID, Workflow: r.Workflow, Sender: r.Sender, Reason: r.Reason, Number: r.Number,
		Request: shownRequest(head, r.Body, int(r.BodySize)),
	}, nil
}

func decodeRefused(r *store.RefusedRequest) (head run.Request, err error) {
	if err := json.Unmarshal(r.Request, &head); err != nil {
		return head, fmt.Errorf("decode refused request %s: %w", r.ID, err)
	}
	return head, nil
}
