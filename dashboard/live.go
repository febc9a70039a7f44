package dashboard

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/tenter-dev/tenter/access"
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
		if _, err := r.client.RunInfo(ctx, run); err != nil {
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
		defer close(watched)
		watched <- r.client.Watch(ctx, run, func(inspect.Change) {
			select {
			case changed <- struct{}{}:
			default: // it is to be told already
			}
		})
	}()
	stopping := d.streams.stopping(r.Request)
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	var err error
	for stopped := false; err == nil && !stopped; {
		select {
		case <-stopping:
			stopped = true
		case <-changed:
			err = send("event: change\ndata:\n\n")
		case <-beat.C:
			stopped = r.signedIn && d.guard.Session(r.Request, r.session(), time.Now()).Scope == access.None
			err = send(": still here\n\n")
		case err = <-watched:
			if err != nil && !errors.Is(err, workflow.ErrRunNotFound) && !errors.Is(err, workflow.ErrEngineClosed) && ctx.Err() == nil {
				d.opts.Logger.WarnContext(ctx, "dashboard: live updates of a page ended", "error", err)
			}
			return nil
		}
	}
	stop()
	for range watched { // until it has ended
	}
	return nil
}

// streams ends those of servers that shut down: they would wait for them.
type streams struct {
	mu      sync.Mutex
	servers map[*http.Server]chan struct{}
}

// stopping is closed when the server of a request shuts down.
func (s *streams) stopping(r *http.Request) <-chan struct{} {
	srv, ok := r.Context().Value(http.ServerContextKey).(*http.Server)
	if !ok {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.servers == nil {
		s.servers = make(map[*http.Server]chan struct{})
	}
	if s.servers[srv] == nil {
		stopping := make(chan struct{})
		s.servers[srv] = stopping
		srv.RegisterOnShutdown(sync.OnceFunc(func() { close(stopping) }))
	}
	return s.servers[srv]
}
