package engine_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// A caller that waits for a run that is executed here gets its result from memory: reading it from the
// store would cost more than a step.
func TestResultIsPushed(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		awaited := make(chan bool)
		wf := workflow.Define("wf", func(ctx workflow.Context, in string) (string, error) {
			return workflow.Step(ctx, "s", func(context.Context) (string, error) { <-awaited; return in, nil })
		})
		reads := &readCounter{Store: l.store}
		var stop func() error
		l.eng, stop = l.runOn(reads, engine.Options{}, wf)
		defer func() { _ = stop() }()
		for range 10 {
			r, err := wf.Start(t.Context(), l.eng, "in")
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				if got, err := r.Result(t.Context()); got != "in" || err != nil {
					t.Errorf("result %q, %v", got, err)
				}
			}()
			synctest.Wait()
			awaited <- true
			synctest.Wait()
		}
		if n := reads.n.Load(); n != 0 {
			t.Errorf("the store was read %d times", n)
		}
	})
}

// A response of workflow code that is executed here is handed to the one who waits for it:
// reading it back took two queries.
func TestResponseIsPushed(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		wf := workflow.Define("wf", func(ctx workflow.Context, token string) (string, error) {
			w, err := workflow.NewWebhook(ctx, workflow.Token(token), workflow.RespondManually())
			if err != nil {
				return "", err
			}
			req, err := w.Wait(ctx)
			if err != nil {
				return "", err
			}
			header := http.Header{"X-Answer": {"yes"}}
			return "", req.Respond(ctx, workflow.Response{Status: 201, Header: header, Body: req.Body})
		})
		reads := &readCounter{Store: l.store}
		var stop func() error
		l.eng, stop = l.runOn(reads, engine.Options{PublicURL: "https://example.com"}, wf)
		defer func() { _ = stop() }()
		for i := range 10 {
			token := "hook-" + strconv.Itoa(i)
			r := mustStart(l, wf, token)
			synctest.Wait()
			hook, err := l.eng.Webhook(t.Context(), token)
			if err != nil {
				t.Fatal(err)
			}
			reads.n.Store(0)
			got, err := hook.Deliver(t.Context(), &workflow.Request{Method: "POST", URL: &url.URL{}, Header: http.Header{}, Body: []byte(token)})
			if err != nil {
				t.Fatal(err)
			}
			want := workflow.Response{Status: 201, Header: http.Header{"X-Answer": {"yes"}}, Body: []byte(token)}
			if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(workflow.Response{})); diff != "" {
				t.Errorf("response (-want +got):\n%s", diff)
			}
			if n := reads.n.Load(); n != 0 {
				t.Errorf("the store was read %d times", n)
			}
			mustResult(l, r)
		}
	})
}

// A caller that resumes a run and then asks for its result gets what is known here already.
func TestResultOfWhatHasJustCompleted(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		wf := workflow.Define("wf", func(ctx workflow.Context, token string) (string, error) {
			hook, err := workflow.NewHook[string](ctx, workflow.Token(token))
			if err != nil {
				return "", err
			}
			payload, err := hook.Wait(ctx)
			if payload == "bad" {
				return "", errors.New("bad payload")
			}
			return payload, err
		})
		reads := &readCounter{Store: l.store}
		var stop func() error
		l.eng, stop = l.runOn(reads, engine.Options{}, wf)
		defer func() { _ = stop() }()
		const n = 300 // more than are kept
		var runs []*workflow.Run[string]
		for i := range n {
			runs = append(runs, mustStart(l, wf, strconv.Itoa(i)))
		}
		synctest.Wait()
		results := func(what string, first, looks int) {
			t.Helper()
			reads.n.Store(0)
			for i := first; i < n-1; i++ {
				if got, err := runs[i].Result(t.Context()); got != strconv.Itoa(i) || err != nil {
					t.Errorf("%s: result %q, %v", what, got, err)
				}
			}
			if got := int(reads.n.Load()); got != looks {
				t.Errorf("%s: the store was read %d times, want %d", what, got, looks)
			}
		}
		for i := range n - 1 {
			l.resume(strconv.Itoa(i), strconv.Itoa(i))
			synctest.Wait()
		}
		results("just completed", n-1-200, 0)
		results("just completed, too many to be kept", 0, n-1-256)
		large := mustStart(l, wf, "large")
		synctest.Wait()
		l.resume("large", strings.Repeat("x", 5000))
		synctest.Wait()
		reads.n.Store(0)
		if _, err := large.Result(t.Context()); err != nil || reads.n.Load() != 1 {
			t.Errorf("too large to be kept: %v, after %d reads", err, reads.n.Load())
		}
		l.advance(2 * time.Second)
		results("some time ago", n-1-200, 200)

		l.resume(strconv.Itoa(n-1), "bad")
		synctest.Wait()
		reads.n.Store(0)
		if _, err := runs[n-1].Result(t.Context()); err == nil || reads.n.Load() != 1 {
			t.Errorf("of a run that failed and may be retried: %v, after %d reads", err, reads.n.Load())
		}
	})
}

// While one look is under way, all others wait for the next together.
func TestManyLookTogether(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		wf := workflow.Define("wf", func(ctx workflow.Context, in string) (string, error) {
			return in, workflow.Sleep(ctx, time.Hour)
		})
		l.run(engine.Options{}, wf)
		const n = 40
		var runs []*workflow.Run[string]
		for i := range n {
			runs = append(runs, mustStart(l, wf, strconv.Itoa(i)))
		}
		synctest.Wait()
		slow := &slowEndings{Store: l.store, goOn: make(chan error)}
		client, err := engine.New(slow, engine.Options{Elsewhere: []string{"wf"}})
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for _, r := range runs {
			wg.Go(func() {
				if _, err := client.AwaitRun(t.Context(), r.ID()); !errors.Is(err, errSlow) {
					t.Errorf("result: %v", err)
				}
			})
			synctest.Wait()
		}
		for range 4 { // what fails fails for those alone who waited for it
			slow.goOn <- errSlow
			synctest.Wait()
		}
		wg.Wait()
		if diff := cmp.Diff([]int{1, 16, 16, 7}, slow.asked); diff != "" {
			t.Errorf("runs looked at together (-want +got):\n%s", diff)
		}

		slow.asked = nil
		impatient, giveUp := context.WithCancel(t.Context())
		for i, r := range runs {
			ctx := impatient
			if i == 0 || i == n-1 {
				ctx = t.Context()
			}
			wg.Go(func() { _, _ = client.AwaitRun(ctx, r.ID()) })
			synctest.Wait()
		}
		giveUp()
		synctest.Wait()
		for range 2 {
			slow.goOn <- errSlow
			synctest.Wait()
		}
		wg.Wait()
		if diff := cmp.Diff([]int{1, 7}, slow.asked); diff != "" {
			t.Errorf("looks that somebody still waits for (-want +got):\n%s", diff)
		}
		if _, err := client.AwaitRun(t.Context(), "nobody"); err == nil {
			t.Error("a run that is not there has a result")
		}
	})
}

var errSlow = errors.New("slow")

// slowEndings answers when it is told to.
type slowEndings struct {
	store.Store

	asked []int
	goOn  chan error
}

func (s *slowEndings) Endings(ctx context.Context, runIDs []string) ([]store.Ending, error) {
	if slices.Equal(runIDs, []string{"nobody"}) {
		return s.Store.Endings(ctx, runIDs)
	}
	s.asked = append(s.asked, len(runIDs))
	return nil, <-s.goOn
}

// readCounter counts reads of runs.
type readCounter struct {
	store.Store

	n atomic.Int64
}

func (c *readCounter) Run(ctx context.Context, runID string) (store.Run, error) {
	c.n.Add(1)
	return c.Store.Run(ctx, runID)
}

func (c *readCounter) Endings(ctx context.Context, runIDs []string) ([]store.Ending, error) {
	c.n.Add(1)
	return c.Store.Endings(ctx, runIDs)
}

func (c *readCounter) Response(ctx context.Context, request string) (store.Response, error) {
	c.n.Add(1)
	return c.Store.Response(ctx, request)
}

func (c *readCounter) Load(ctx context.Context, runID string, after int64) (store.Loaded, error) {
	c.n.Add(1)
	return c.Store.Load(ctx, runID, after)
}
