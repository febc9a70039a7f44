package engine_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// scope is what engines tell OpenTelemetry.
type scope struct {
	spans   *tracetest.SpanRecorder
	tracers *sdktrace.TracerProvider
	reader  *sdkmetric.ManualReader
	meters  *sdkmetric.MeterProvider
}

func newScope() *scope {
	s := &scope{spans: tracetest.NewSpanRecorder(), reader: sdkmetric.NewManualReader()}
	s.tracers = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(s.spans))
	s.meters = sdkmetric.NewMeterProvider(sdkmetric.WithReader(s.reader))
	return s
}

// on adds the scope to the options of an engine.
func (s *scope) on(opts engine.Options) engine.Options {
	opts.TracerProvider, opts.MeterProvider = s.tracers, s.meters
	return opts
}

// request begins a span of the application's.
func (s *scope) request(ctx context.Context, name string) (context.Context, trace.Span) {
	return s.tracers.Tracer("app").Start(ctx, name)
}

// tree is all spans that have ended, indented below their parents, in the order in
// which they began: name, attempt or status, an error, what it is linked to, and how
// long it took in fake time.
func (s *scope) tree() string {
	ended := s.spans.Ended()
	slices.SortStableFunc(ended, func(a, b sdktrace.ReadOnlySpan) int {
		return cmp.Or(a.StartTime().Compare(b.StartTime()), strings.Compare(a.Name(), b.Name()))
	})
	names := map[trace.SpanID]string{}
	for _, span := range ended {
		names[span.SpanContext().SpanID()] = span.Name()
	}
	var b strings.Builder
	var below func(parent trace.SpanID, indent string)
	below = func(parent trace.SpanID, indent string) {
		for _, span := range ended {
			id := span.Parent().SpanID()
			if id != parent && (parent.IsValid() || names[id] != "") {
				continue
			}
			b.WriteString(indent + span.Name())
			for _, attr := range span.Attributes() {
				if attr.Key == "tenter.attempt" || attr.Key == "tenter.status" {
					b.WriteString(" " + attr.Value.String())
				}
			}
			if span.Status().Code == codes.Error {
				b.WriteString(" error: " + span.Status().Description)
			}
			for _, link := range span.Links() {
				b.WriteString(" <- " + names[link.SpanContext.SpanID()])
			}
			if d := span.EndTime().Sub(span.StartTime()); d > 0 {
				b.WriteString(" " + d.Round(time.Second).String())
			}
			b.WriteString("\n")
			below(span.SpanContext().SpanID(), indent+"  ")
		}
	}
	below(trace.SpanID{}, "")
	return b.String()
}

// metric are the data points of a metric: its attributes, and its value, or the count
// and sum of a histogram.
func (s *scope) metric(t *testing.T, name string) map[string]string {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := s.reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	points := map[string]string{}
	for _, sm := range all.ScopeMetrics {
		for _, m := range sm.Metrics {
			if m.Name != name {
				continue
			}
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					points[attributes(p.Attributes)] = fmt.Sprint(p.Value)
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					points[attributes(p.Attributes)] = fmt.Sprintf("%d in %s", p.Count, time.Duration(p.Sum*float64(time.Second)).Round(time.Second))
				}
			case metricdata.Histogram[int64]:
				for _, p := range data.DataPoints {
					points[attributes(p.Attributes)] = fmt.Sprintf("%d in %d", p.Count, p.Sum)
				}
			default:
				t.Fatalf("metric %s is a %T", name, data)
			}
		}
	}
	return points
}

func attributes(set attribute.Set) string {
	var all []string
	for _, attr := range set.ToSlice() {
		all = append(all, strings.TrimPrefix(string(attr.Key), "tenter.")+"="+attr.Value.String())
	}
	return strings.Join(all, " ")
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", what, diff)
	}
}

var approvals = workflow.DefineHook[string]("approval")

// payment and order use everything that is reported.
var payment = workflow.Define("pay", func(ctx workflow.Context, amount int) (int, error) {
	return workflow.Step(ctx, "transfer", func(context.Context) (int, error) { return amount, nil })
})

// newOrder fails its first attempt to reserve, waits for an approval in vain, then for
// two, and pays.
func newOrder(s *scope) *workflow.Workflow[string, int] {
	return workflow.Define("order", func(ctx workflow.Context, token string) (int, error) {
		hook, err := approvals.New(ctx, workflow.Token(token))
		if err != nil {
			return 0, err
		}
		defer hook.Close()
		err = workflow.Do(ctx, "reserve", func(ctx context.Context) error {
			_, span := s.request(ctx, "GET /stock") // as an instrumented client does
			span.End()
			if workflow.InfoOf(ctx).Attempt == 1 {
				return workflow.RetryAfter(errors.New("out of stock"), 10*time.Second)
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
		soon, cancel := workflow.WithTimeout(ctx, time.Minute)
		defer cancel()
		if _, err := hook.Wait(soon); !errors.Is(err, context.DeadlineExceeded) {
			return 0, fmt.Errorf("approved too early: %w", err)
		}
		for range 2 {
			if _, err := hook.Wait(ctx); err != nil {
				return 0, err
			}
		}
		if err := workflow.Sleep(ctx, time.Hour); err != nil {
			return 0, err
		}
		return payment.Call(ctx, 42)
	})
}

// scene orders, approves and pays. each is called between what happens.
func orderScene(t *testing.T, l *lab, s *scope, order *workflow.Workflow[string, int], each func()) {
	t.Helper()
	ctx, span := s.request(t.Context(), "POST /orders")
	if _, err := order.Start(ctx, l.eng, "order 7", workflow.RunID("7")); err != nil {
		t.Fatal(err)
	}
	span.End()
	l.advance(11 * time.Second)
	each()
	l.advance(time.Minute)
	each()
	for i, who := range []string{"Ann", "Bob"} {
		l.advance(time.Hour)
		ctx, span := s.request(t.Context(), "POST /approvals")
		if _, err := approvals.Resume(ctx, l.eng, "order 7", who); err != nil {
			t.Fatalf("approval %d: %v", i, err)
		}
		span.End()
		synctest.Wait()
		each()
	}
	l.advance(time.Hour)
	if n, err := order.Get(l.eng, "7").Result(t.Context()); err != nil || n != 42 {
		t.Fatalf("result: %d, %v", n, err)
	}
	synctest.Wait()
}

const orderTree = `POST /orders
  start order
    run order completed 3h1m11s
    step reserve 1 error: out of stock
      GET /stock
    step reserve 2
      GET /stock
    timeout 1m0s
    hook approval <- resume approval 1h0m1s
    hook approval <- resume approval 1h0m0s
    sleep 1h0m0s
    start pay
      run pay completed
      step transfer 1
POST /approvals
  resume approval
POST /approvals
  resume approval
`

// counted are metrics that tell what happened, not how.
var counted = []string{
	"tenter.run.started", "tenter.run.ended", "tenter.run.duration", "tenter.step.retries", "tenter.step.duration",
	"tenter.attempt.duration", "tenter.hook.wait", "tenter.payload.sent",
}

func orderMetrics(t *testing.T, s *scope) map[string]map[string]string {
	t.Helper()
	all := map[string]map[string]string{}
	for _, name := range counted {
		all[name] = s.metric(t, name)
	}
	return all
}

var wantOrderMetrics = map[string]map[string]string{
	"tenter.run.started": {"workflow=order": "1", "workflow=pay": "1"},
	"tenter.run.ended":   {"status=completed workflow=order": "1", "status=completed workflow=pay": "1"},
	"tenter.run.duration": {
		"status=completed workflow=order": "1 in 3h1m11s", "status=completed workflow=pay": "1 in 0s",
	},
	"tenter.step.retries": {"step=reserve workflow=order": "1"},
	"tenter.step.duration": {
		"outcome=completed step=reserve workflow=order": "1 in 10s", "outcome=completed step=transfer workflow=pay": "1 in 0s",
	},
	"tenter.attempt.duration": {
		"outcome=completed step=reserve workflow=order": "1 in 0s", "outcome=failed step=reserve workflow=order": "1 in 0s",
		"outcome=completed step=transfer workflow=pay": "1 in 0s",
	},
	"tenter.hook.wait":    {"hook=approval workflow=order": "2 in 2h0m1s"},
	"tenter.payload.sent": {"hook=approval outcome=accepted reason=": "2"},
}

func TestSpansAndMetricsOfARun(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		s := newScope()
		order := newOrder(s)
		l.run(s.on(engine.Options{}), order, payment)
		orderScene(t, l, s, order, func() {})
		same(t, "spans", s.tree(), orderTree)
		same(t, "metrics", orderMetrics(t, s), wantOrderMetrics)
		same(t, "replays", s.metric(t, "tenter.replay.events"), map[string]string{})
		if hits := s.metric(t, "tenter.cache.hits")[""]; hits == "" || hits == "0" {
			t.Errorf("cache hits: %q, want some", hits)
		}
	})
}

func TestReplayIsSilent(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		s := newScope()
		order := newOrder(s)
		l.run(s.on(engine.Options{CacheSize: noCache}), order, payment)
		orderScene(t, l, s, order, func() {})
		same(t, "spans", s.tree(), orderTree)
		same(t, "metrics", orderMetrics(t, s), wantOrderMetrics)
		same(t, "cache hits", s.metric(t, "tenter.cache.hits"), map[string]string{})
		replayed := slices.Collect(maps.Keys(s.metric(t, "tenter.replay.events")))
		same(t, "what was replayed", replayed, []string{"workflow=order"})
	})
}

// Each worker dies in turn, and the trace goes on in the next one.
func TestTraceGoesOnAfterCrashes(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		s := newScope()
		order := newOrder(s)
		opts := s.on(engine.Options{})
		l.run(opts, order, payment)
		orderScene(t, l, s, order, func() {
			l.kill()
			l.run(opts, order, payment)
		})
		same(t, "spans", s.tree(), orderTree)
		same(t, "metrics", orderMetrics(t, s), wantOrderMetrics)
	})
}

// The log has each failure once, with the same keys everywhere, whatever is replayed.
func TestLogOfFailures(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		var lines bytes.Buffer
		handler := slog.NewTextHandler(&lines, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if slices.Contains([]string{slog.TimeKey, "worker", "retry_at", "took"}, a.Key) {
				return slog.Attr{}
			}
			return a
		}})
		log := slog.New(workflow.LogHandler(handler))
		fragile := workflow.Define("fragile", func(ctx workflow.Context, _ string) (string, error) {
			return "", workflow.Do(ctx, "charge", func(ctx context.Context) error {
				log.With("amount", 42).InfoContext(ctx, "charging")
				return errors.New("card is declined")
			}, workflow.MaxAttempts(2))
		})
		l.run(engine.Options{Logger: log, CacheSize: noCache}, fragile)
		run := mustStart(l, fragile, "", workflow.RunID("1"))
		l.advance(time.Minute)
		if _, err := run.Result(t.Context()); err == nil {
			t.Error("the run did not fail")
		}
		synctest.Wait()
		same(t, "log", lines.String(), `level=DEBUG msg="run began" run=1 workflow=fragile version=1
level=INFO msg=charging amount=42 run=1 workflow=fragile step=charge step_id=1/charge#1 attempt=1
level=WARN msg="an attempt of a step failed, and is repeated" run=1 workflow=fragile step=charge step_id=1/charge#1 attempt=1 error="card is declined"
level=INFO msg=charging amount=42 run=1 workflow=fragile step=charge step_id=1/charge#1 attempt=2
level=WARN msg="step failed" run=1 workflow=fragile step=charge step_id=1/charge#1 attempt=2 error="card is declined"
level=WARN msg="run failed" run=1 workflow=fragile status=failed error="step charge#1 failed after 2 attempts: card is declined"
`)
	})
}

// traceHandler adds the trace to what is logged, as the bridges of OpenTelemetry do.
type traceHandler struct{ slog.Handler }

func (h traceHandler) Handle(ctx context.Context, r slog.Record) error {
	r.AddAttrs(slog.String("trace", trace.SpanContextFromContext(ctx).TraceID().String()))
	return h.Handler.Handle(ctx, r)
}

func (h traceHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return traceHandler{h.Handler.WithAttrs(attrs)}
}

// What the engine, a workflow and a step log belongs to the trace of the run.
func TestLogHasTheTrace(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		s, lines := newScope(), &logbook{}
		log := slog.New(traceHandler{slog.NewTextHandler(lines, &slog.HandlerOptions{Level: slog.LevelDebug})})
		talker := workflow.Define("talker", func(ctx workflow.Context, _ string) (string, error) {
			workflow.Logger(ctx).Info("in the workflow")
			return "", workflow.Do(ctx, "talk", func(ctx context.Context) error {
				log.InfoContext(ctx, "in the step")
				return nil
			})
		})
		opts := s.on(engine.Options{})
		opts.Logger = log
		l.run(opts, talker)
		ctx, span := s.request(t.Context(), "POST /talk")
		if _, err := talker.Start(ctx, l.eng, ""); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for _, msg := range []string{"run began", "in the workflow", "in the step", "run ended"} {
			found := false
			for line := range strings.Lines(lines.String()) {
				found = found || strings.Contains(line, msg) && strings.Contains(line, "trace="+span.SpanContext().TraceID().String())
			}
			if !found {
				t.Errorf("%q is not logged with the trace in:\n%s", msg, lines)
			}
		}
	})
}

// A fork has a trace of its own, linked with that of its origin.
func TestTraceOfAFork(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		s := newScope()
		order := workflow.Define("order", func(ctx workflow.Context, _ string) (string, error) {
			return workflow.Step(ctx, "charge", func(context.Context) (string, error) { return "", nil })
		})
		l.run(s.on(engine.Options{}), order)
		run := mustStart(l, order, "")
		mustResult(l, run)
		l.advance(time.Second)
		mustResult(l, mustFork(l, run, workflow.AtStep("charge#1")))
		const want = `start order
  run order completed
  step charge 1
fork order <- start order
  run order completed
  step charge 1
`
		if diff := gocmp.Diff(want, s.tree()); diff != "" {
			t.Errorf("spans (-want +got):\n%s", diff)
		}
	})
}

// refusing is a store that refuses the first transition that starts a run.
type refusing struct {
	store.Store
	refused atomic.Bool
}

func (s *refusing) Apply(ctx context.Context, t *store.Transition) ([]store.Outcome, error) {
	starts := slices.ContainsFunc(t.Effects, func(e store.Effect) bool { return e.Kind == store.StartRun })
	if starts && !s.refused.Swap(true) {
		return nil, store.ErrConflict
	}
	return s.Store.Apply(ctx, t)
}

// A child that a refused transition would have started leaves no span: its parent starts it again.
func TestTraceOfARefusedTransition(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		s := newScope()
		payment := workflow.Define("payment", func(workflow.Context, string) (string, error) { return "", nil })
		order := workflow.Define("order", func(ctx workflow.Context, _ string) (string, error) {
			return payment.Call(ctx, "")
		})
		st := &refusing{Store: l.store}
		eng, stop := l.runOn(st, s.on(engine.Options{}), order, payment)
		l.eng = eng
		defer func() { _ = stop() }()
		mustResult(l, mustStart(l, order, ""))
		if !st.refused.Load() {
			t.Fatal("no transition was refused")
		}
		const want = `start order
  run order completed
  start payment
    run payment completed
`
		if diff := gocmp.Diff(want, s.tree()); diff != "" {
			t.Errorf("spans (-want +got):\n%s", diff)
		}
	})
}
