//go:build dashboard

// With a tag, so that the worker processes whose memory is measured have no more in them
// than a user's.

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/access"
	"github.com/tenter-dev/tenter/bench/internal/report"
	"github.com/tenter-dev/tenter/dashboard"
	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

func init() { commands["dashboard"] = dashboardMain }

// dashboardMain measures the pages of the dashboard on a database with many runs, half of
// them parked and half of them ended.
func dashboardMain(ctx context.Context, args []string) (err error) {
	e := &env{}
	flags := flag.NewFlagSet("bench dashboard", flag.ExitOnError)
	most := flags.Int("runs", 1_000_000, "how many runs there are")
	steps := flags.Int("steps", 10_000, "how many steps the long run has")
	doc := flags.String("doc", "../docs/performance.md", "`file` whose table is replaced; empty: none")
	flags.StringVar(&e.dir, "dir", os.TempDir(), "`directory` for the databases")
	if err := flags.Parse(args); err != nil {
		return err
	}
	text := report.Machine(ctx, "make bench-dashboard", e.dir)
	onFile, err := measurePages(ctx, e, *most, *steps)
	if err != nil {
		return err
	}
	var onServer []page
	missing := ""
	if e.server, err = startServer(ctx, e.dir, nil); err != nil {
		missing = fmt.Sprintf("\nPostgreSQL is not to be had: %v\n", err)
	} else {
		defer func() { err = errors.Join(err, e.server.close(ctx)) }()
		if onServer, err = measurePages(ctx, e, *most, *steps); err != nil {
			return err
		}
	}
	text += pagesMarkdown("SQLite", *most, onFile) + pagesMarkdown("PostgreSQL", *most, onServer) + missing
	fmt.Print("\n" + text)
	if *doc == "" {
		return nil
	}
	return report.ReplaceSection(*doc, "dashboard", text)
}

// page is one of the dashboard, and what it took to get it.
type page struct {
	name, path string
	first      time.Duration // the first time, by a process that has just been started
	p50, p95   time.Duration
	bytes      int
}

const pageTimes = 40

func measurePages(ctx context.Context, e *env, runs, steps int) (pages []page, err error) {
	url, drop, err := e.create(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, drop()) }()
	began := time.Now()
	if err := fillMixed(ctx, url, runs); err != nil {
		return nil, err
	}
	fmt.Fprintf(os.Stderr, "filled with %s runs in %v\n", report.Number(float64(runs)), time.Since(began).Round(time.Second))
	w, err := openWorld(ctx, url, engine.Options{}, same)
	if err != nil {
		return nil, err
	}
	defer func() { err = joinClose(err, w) }()
	long, err := stepsWorkflow.Start(ctx, w.eng, steps)
	if err == nil {
		_, err = long.Result(ctx)
	}
	if err != nil {
		return nil, err
	}
	pages = pagesOf(runs, long.ID(), steps)
	srv := httptest.NewServer(dashboard.New(w.eng, dashboard.Options{Access: access.Policy{Unauthenticated: access.Write}}))
	defer srv.Close()
	for i := range pages {
		if err := pages[i].measure(ctx, srv); err != nil {
			return nil, err
		}
	}
	return pages, nil
}

// fillMixed writes runs of all kinds, each with one transition, as a worker would: an
// engine would take minutes. They are of the last 30 days, and nothing is due.
func fillMixed(ctx context.Context, url string, n int) error {
	db, err := openDatabase(ctx, url)
	if err != nil {
		return err
	}
	now := time.Now()
	err = db.Renew(ctx, store.Lease{Worker: filler, For: time.Hour})
	if err == nil {
		err = each(n, 256, func(i int) error {
			_, err := db.Apply(ctx, mixedRun(i, now.Add(-30*24*time.Hour*time.Duration(n-i)/time.Duration(n))))
			return err
		})
	}
	return errors.Join(err, db.Release(ctx, filler), db.Close())
}

const filler = "filler"

func mixedID(i int) string { return fmt.Sprintf("run-%09d", i) }

// mixedRun is the only transition of a run: of each hundred 60 have completed, 5 failed,
// 5 were canceled, 25 wait at a hook and 5 for a time.
func mixedRun(i int, at time.Time) *store.Transition {
	run := &store.NewRun{ID: mixedID(i), Workflow: stepsWorkflow.Name(), Version: 1, Input: []byte("3"), Secret: []byte("0123456789abcdef0123456789abcdef")}
	t := &store.Transition{
		RunID: run.ID, Worker: filler, Epoch: 1, Seq: 1, Create: run, At: at, Version: 1,
		Events: []store.Event{{At: at, Kind: store.Started, Data: run.Input, Epoch: 1, Seq: 1}},
	}
	end := func(status store.Status, kind store.Kind, data string) {
		t.Status = status
		t.Events = append(t.Events, store.Event{At: at, Kind: kind, Data: []byte(data), Epoch: 1, Seq: 1})
	}
	switch k := i % 100; {
	case k < 60:
		end(store.Completed, store.RunCompleted, "3")
	case k < 65:
		end(store.Failed, store.RunFailed, `{"error":"card declined"}`)
	case k < 70:
		end(store.Canceled, store.RunCanceled, `{"error":"canceled"}`)
	case k < 95:
		run.Workflow, run.Input = hookWorkflow.Name(), []byte(`""`)
		t.Status, t.Events[0].Data, t.Events[0].Asked = store.Waiting, run.Input, "hook 1"
		t.Effects = []store.Effect{{Kind: store.OpenHook, Hook: store.Hook{
			ID: run.ID + ".h1", RunID: run.ID, Token: "token-" + run.ID, Metadata: []byte(`{"document":"contract.pdf"}`), CreatedAt: at, OpenedPos: 1,
		}}}
	default:
		t.Status, t.Events[0].Asked, t.WakeAt = store.Waiting, "sleep 1 until 2099-01-01T00:00:00.000000Z", time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return t
}

// pagesOf are the pages that are measured.
func pagesOf(runs int, long string, steps int) []page {
	parked := mixedID(runs/2/100*100 + 80)
	q := func(name string, pairs ...string) string {
		v := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			v.Set(pairs[i], pairs[i+1])
		}
		return name + "?" + v.Encode()
	}
	return []page{
		{name: "first page: the newest runs, live counts", path: "/"},
		{name: "runs that wait", path: q("/", "status", string(workflow.StatusWaiting))},
		{name: "runs that failed", path: q("/", "status", string(workflow.StatusFailed))},
		{name: "runs of a workflow, of a status", path: q("/", "workflow", hookWorkflow.Name(), "status", string(workflow.StatusWaiting))},
		{name: "runs whose IDs begin so", path: q("/", "prefix", parked[:9])},
		{name: "runs of the last 24 hours", path: q("/", "within", "24h")},
		{name: "a page far down", path: q("/", "before", mixedID(100))},
		{name: "open hooks", path: "/hooks"},
		{name: "a run that waits", path: q("/run", "id", parked)},
		{name: "a run with a long journal: timeline and all", path: q("/run", "id", long)},
		{name: "the end of that journal", path: q("/journal", "id", long, "after", strconv.Itoa(max(0, steps-198)))},
	}
}

// measure asks for the page again and again, as a browser does: over a connection that is
// there.
func (p *page) measure(ctx context.Context, srv *httptest.Server) error {
	var took []time.Duration
	for i := range pageTimes + 1 {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL+p.path, nil)
		if err != nil {
			return err
		}
		began := time.Now()
		res, err := srv.Client().Do(r)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(res.Body)
		err = errors.Join(err, res.Body.Close())
		d := time.Since(began)
		if err != nil || res.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s, %w", p.name, res.Status, err)
		}
		if i == 0 {
			p.first, p.bytes = d, len(body)
			continue
		}
		took = append(took, d)
	}
	p.p50, p.p95 = percentile(took, 50), percentile(took, 95)
	return nil
}

func pagesMarkdown(store string, runs int, pages []page) string {
	if len(pages) == 0 {
		return ""
	}
	var s strings.Builder
	fmt.Fprintf(&s, "\n| %s, %s runs: page | first time | p50 | p95 | size |\n|---|--:|--:|--:|--:|\n", store, report.Number(float64(runs)))
	ms := func(d time.Duration) string { return report.Number(milliseconds(d)) + " ms" }
	for _, p := range pages {
		fmt.Fprintf(&s, "| %s | %s | %s | %s | %d kB |\n", p.name, ms(p.first), ms(p.p50), ms(p.p95), p.bytes/1000)
	}
	return s.String()
}
