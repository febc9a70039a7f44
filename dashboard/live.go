package dashboard

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

const (
	// heartbeat keeps proxies from ending a stream in which nothing happens.
	heartbeat = 15 * time.Second
	// streamFor is how long a stream lasts. The browser opens the next one, and is asked
	// again who it is.
	streamFor = 10 * time.Minute
)

// live tells when a page has become old, as server-sent events that say no more: the
// browser then asks for the page. So what it shows is made in one place, and a stream
// holds no data.
func (d *dashboard) live(r *request) error {
	ctx, stop := context.WithTimeout(r.Context(), streamFor)
	defer stop()
	run := r.query.Get("run")
	if run != "" {
		if _, err := d.client.RunInfo(ctx, run); err != nil {
			return err
		}
	}
	out := http.NewResponseController(r.w)
	_ = out.SetWriteDeadline(time.Time{}) // that of the server is for pages; not all writers have one
	r.w.Header().Set("Content-Type", "text/event-stream")
	r.w.Header().Set("X-Accel-Buffering", "no")
	send := func(event string) error {
		_, err := io.WriteString(r.w, event)
		return errors.Join(err, out.Flush())
	}
	if err := send("retry: 2000\n: hello\n\n"); err != nil {
		return nil // the browser is gone
	}
	changed := make(chan struct{}, 1)
	watched := make(chan error, 1)
	go func() {
		watched <- d.client.Watch(ctx, run, func(inspect.Change) {
			select {
			case changed <- struct{}{}:
			default: // it is to be told already
			}
		})
	}()
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	var err error
	for err == nil {
		select {
		case <-changed:
			err = send("event: change\ndata:\n\n")
		case <-beat.C:
			err = send(": still here\n\n")
		case err = <-watched:
			if err != nil && !errors.Is(err, workflow.ErrRunNotFound) && !errors.Is(err, workflow.ErrEngineClosed) && ctx.Err() == nil {
				d.opts.Logger.WarnContext(ctx, "dashboard: live updates of a page ended", "error", err)
			}
			return nil
		}
	}
	stop()
	_ = <-watched // what it fails with now is that the browser is gone
	return nil
}
