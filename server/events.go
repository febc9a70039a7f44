package server

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

// heartbeat keeps proxies from ending a stream in which nothing happens.
const heartbeat = 15 * time.Second

// watch streams changes. A slow reader delays nobody: the watcher merges changes meanwhile.
func watch(c *call) (any, error) {
	runID := c.query.Get("run_id")
	ctx, stop := context.WithCancel(c.Context())
	defer stop()
	changes := make(chan inspect.Change)
	watched := make(chan error, 1)
	go func() {
		watched <- c.client.Watch(ctx, runID, func(ch inspect.Change) {
			select {
			case changes <- ch:
			case <-ctx.Done():
			}
		})
	}()
	stopping := c.api.stopping()
	s := stream{w: c.w, out: http.NewResponseController(c.w), within: c.api.opts.WriteTimeout}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for err := error(nil); err == nil; {
		select {
		case ch := <-changes:
			err = s.send(ch)
		case <-beat.C:
			err = s.write(": still here\n\n")
		case <-stopping:
			err = workflow.ErrEngineClosed
		case err := <-watched:
			if err != nil && !s.begun {
				return nil, err
			}
			return nil, errStreamed
		}
	}
	stop()
	<-watched //nolint:errcheck // what it fails with now is that the caller is gone
	return nil, errStreamed
}

// stream is an answer of server-sent events.
type stream struct {
	w      http.ResponseWriter
	out    *http.ResponseController
	within time.Duration
	begun  bool
}

func (s *stream) send(ch inspect.Change) error {
	data, err := json.Marshal(ch)
	if err != nil {
		return err
	}
	return s.write("event: change\ndata: " + string(data) + "\n\n")
}

// write writes text and flushes it.
func (s *stream) write(text string) error {
	_ = s.out.SetWriteDeadline(time.Now().Add(s.within))
	if !s.begun {
		s.begun = true
		s.w.Header().Set("Content-Type", "text/event-stream")
		s.w.Header().Set("X-Accel-Buffering", "no")
		text = "retry: 2000\n\n" + text
	}
	if _, err := s.w.Write([]byte(text)); err != nil {
		return err
	}
	return s.out.Flush()
}
