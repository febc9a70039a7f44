package client

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/inspect"
)

// silence is how long a stream may be silent before it is taken to be dead: the server
// says three times in that time that it is there.
const silence = 50 * time.Second

// Watch calls f soon after a run, or any, has changed, see [inspect.Client]. Once it is
// connected it connects again whenever the stream ends, and calls f then, since anything
// may have changed meanwhile.
func (c *Client) Watch(ctx context.Context, runID string, f func(inspect.Change)) error {
	what := "watch runs"
	if runID != "" {
		what = "watch run " + runID
	}
	if err := c.usable(ctx); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	q := query{}
	q.text("run_id", runID)
	connected := false
	for failed := 1; ; failed++ {
		told, err := c.stream(ctx, url.Values(q), f)
		if told {
			connected, failed = true, 1
		}
		again := err == nil || passing(err, true) && (connected || failed < attempts)
		if ctx.Err() == nil && !again {
			return about(what, err)
		}
		if !pause(ctx, failed) {
			return nil
		}
	}
}

// stream calls f for each event of one stream, until it ends, and reports whether there
// was one.
func (c *Client) stream(ctx context.Context, q url.Values, f func(inspect.Change)) (told bool, err error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	dead := time.AfterFunc(silence, func() { stop(errBroken) })
	defer dead.Stop()
	resp, err := c.send(ctx, request{method: http.MethodGet, path: "events", query: q})
	if err != nil {
		return false, lively(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if kind := resp.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/event-stream") {
		return false, &Error{Status: resp.StatusCode, Detail: fmt.Sprintf("a stream of events has to come, not %q", kind)}
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		dead.Reset(silence)
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var change inspect.Change
		if err := json.Unmarshal([]byte(data), &change); err != nil {
			return told, fmt.Errorf("decode an event: %w", err)
		}
		if ctx.Err() != nil {
			break
		}
		dead.Stop()
		f(change)
		dead.Reset(silence)
		told = true
	}
	if err := cmp.Or(ctx.Err(), lines.Err()); err != nil {
		return told, lively(ctx, fmt.Errorf("%w: %w", errBroken, err))
	}
	return told, nil
}

// lively is an error, or that the stream was silent for too long.
func lively(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, errBroken) {
		return cause
	}
	return err
}
