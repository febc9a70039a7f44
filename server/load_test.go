package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

// S7: each of many callers at once gets its own answer.
func TestManyCallersAtOnce(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ runs, each int }{{1, 50}, {100, 5}} {
		t.Run(fmt.Sprintf("%d runs", tt.runs), func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			wf := l.answering()
			l.run(engine.Options{}, wf)
			urls := make([]string, tt.runs)
			runs := make([]*workflow.Run[int], tt.runs)
			for i := range runs {
				runs[i], urls[i] = open(l, wf, fmt.Sprintf("t%d", i))
			}
			client := &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 500}}
			defer client.CloseIdleConnections()
			var wg sync.WaitGroup
			for i := range tt.runs * tt.each {
				wg.Go(func() {
					body := fmt.Sprintf("%s %d", []string{"step", "workflow"}[i%2], i)
					req, err := http.NewRequestWithContext(t.Context(), "POST", urls[i%tt.runs], strings.NewReader(body))
					if err != nil {
						t.Error(err)
						return
					}
					if a, err := do(client, req); err != nil || a.status != 201 || a.body != body {
						t.Errorf("%s: got %d %q, %v", body, a.status, a.body, err)
					}
				})
			}
			wg.Wait()
			for i, r := range runs {
				wantStatus(l, l.post(urls[i], "workflow stop"), 201)
				if n := result(l, r); n != tt.each+1 {
					t.Errorf("run %d took %d requests, want %d", i, n, tt.each+1)
				}
			}
		})
	}
}

// S18: the request arrives at one engine, the run is executed by another, on the same
// file. Each has opened it for itself, as two processes do.
func TestAnswerFromAnotherEngine(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	wf := l.answering()
	l.run(engine.Options{}, wf)
	st, err := sqlite.Open(l.path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	front, stop := l.runOn(st, engine.Options{PublicURL: l.srv.URL})
	defer stop()
	l.now.Store(front)

	r, u := open(l, wf, "t")
	for _, body := range []string{"step a", "workflow b", "step stop"} {
		a := l.post(u, body)
		if wantStatus(l, a, 201); a.body != body {
			t.Errorf("got %q, want %q", a.body, body)
		}
	}
	if n := result(l, r); n != 3 {
		t.Errorf("the run took %d requests, want 3", n)
	}
	wantStatus(l, l.post(u, "late"), 404)
}
