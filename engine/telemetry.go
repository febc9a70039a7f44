package engine

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/tenter-dev/tenter/engine/internal/execution"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// telemetry is all that OpenTelemetry is told. It is told what has become durable, and
// nothing that a replay does again. Its methods do nothing on nil: no provider is set.
//
// Names, units and attributes are in docs/telemetry.md.
type telemetry struct {
	tracer trace.Tracer

	runStarted, runEnded, runBlocked, runLost metric.Int64Counter
	stepRetries, payloadSent                  metric.Int64Counter
	cacheHits, replayEvents, leaseLapses      metric.Int64Counter

	runDuration, stepDuration, attemptDuration, hookWait metric.Float64Histogram
	eventLag, replayDuration, commitDuration             metric.Float64Histogram
	commitSize                                           metric.Int64Histogram

	unwatch func() // ends what the engine's store and worker are asked for
}

// scope names the instrumentation.
const scopeName = "github.com/tenter-dev/tenter/engine"

// Attributes of spans and metrics. Without the prefix they are the keys of the log.
const (
	attrRun      = attribute.Key("tenter.run")
	attrWorkflow = attribute.Key("tenter.workflow")
	attrVersion  = attribute.Key("tenter.version")
	attrStatus   = attribute.Key("tenter.status")
	attrStep     = attribute.Key("tenter.step")
	attrStepID   = attribute.Key("tenter.step_id")
	attrAttempt  = attribute.Key("tenter.attempt")
	attrOutcome  = attribute.Key("tenter.outcome")
	attrHook     = attribute.Key("tenter.hook")
	attrHookID   = attribute.Key("tenter.hook_id")
	attrEvent    = attribute.Key("tenter.event")
)

// Boundaries of histograms, in seconds but for sizes: of what computers do, and of
// what people do.
var (
	shortTimes = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
	longTimes  = []float64{.01, .1, 1, 10, 60, 300, 1800, 3600, 6 * 3600, 86400, 3 * 86400, 7 * 86400, 30 * 86400, 90 * 86400, 365 * 86400}
	sizes      = []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024}
)

// newTelemetry makes the instruments of an engine, or nil if nobody wants them.
func newTelemetry(e *Engine) (*telemetry, error) {
	tracers, meters := e.opts.TracerProvider, e.opts.MeterProvider
	if tracers == nil && meters == nil {
		return nil, nil //nolint:nilnil // nil is the telemetry that does nothing
	}
	if tracers == nil {
		tracers = tracenoop.NewTracerProvider()
	}
	if meters == nil {
		meters = metricnoop.NewMeterProvider()
	}
	m := instruments{meter: meters.Meter(scopeName)}
	t := &telemetry{
		tracer: tracers.Tracer(scopeName),

		runStarted: m.count("tenter.run.started", "{run}", "Runs that began to execute"),
		runEnded:   m.count("tenter.run.ended", "{run}", "Runs that ended"),
		runBlocked: m.count("tenter.run.blocked", "{run}", "Times that a run was blocked"),
		runLost:    m.count("tenter.run.lost", "{run}", "Runs that others took over from this worker"),

		stepRetries: m.count("tenter.step.retries", "{attempt}", "Attempts that failed and are followed by another"),
		payloadSent: m.count("tenter.payload.sent", "{payload}", "Payloads and webhook requests sent from this process, by outcome"),

		cacheHits:    m.count("tenter.cache.hits", "{hit}", "Times that a parked run continued without a replay"),
		replayEvents: m.count("tenter.replay.events", "{event}", "Events that were replayed"),
		leaseLapses:  m.count("tenter.lease.lapses", "{lapse}", "Times that this worker renewed its lease too late"),

		runDuration:     m.times("tenter.run.duration", "Time from a run's start to its end", longTimes),
		stepDuration:    m.times("tenter.step.duration", "Time from a step's call to its outcome, retries and their pauses included", longTimes),
		attemptDuration: m.times("tenter.attempt.duration", "Time that an attempt of a step executed", shortTimes),
		hookWait:        m.times("tenter.hook.wait", "Time that a workflow waited for the payload that it got", longTimes),
		eventLag:        m.times("tenter.event.lag", "Time from when an event happened, was accepted or became due until it is in the journal", shortTimes),
		replayDuration:  m.times("tenter.replay.duration", "Time of a replay", shortTimes),
		commitDuration:  m.times("tenter.commit.duration", "Time of a commit of the store", shortTimes),
		commitSize:      m.sizes("tenter.commit.size", "{operation}", "Operations in a commit of the store"),
	}
	owned := m.gauge("tenter.run.owned", "{run}", "Runs that this worker owns")
	cached := m.gauge("tenter.run.cached", "{run}", "Parked runs in this worker's memory")
	executing := m.gauge("tenter.attempt.executing", "{attempt}", "Attempts that are executing")
	if m.err != nil {
		return nil, m.err
	}
	asked, err := m.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		e.mu.Lock()
		w := e.worker
		e.mu.Unlock()
		if w == nil {
			return nil
		}
		w.mu.Lock()
		parked := w.parked.Len()
		w.mu.Unlock()
		o.ObserveInt64(owned, w.holding.Load())
		o.ObserveInt64(cached, int64(parked))
		o.ObserveInt64(executing, int64(len(w.slots)))
		return nil
	}, owned, cached, executing)
	if err != nil {
		return nil, err
	}
	unwatch := func() {}
	if s, ok := e.store.(store.CommitWatcher); ok {
		unwatch = s.WatchCommits(func(c store.Commit) {
			t.commitDuration.Record(context.Background(), c.Took.Seconds()) //nolint:forbidigo // of many callers
			t.commitSize.Record(context.Background(), int64(c.Operations))  //nolint:forbidigo // as above
		})
	}
	t.unwatch = func() {
		unwatch()
		_ = asked.Unregister() // it knows its registration
	}
	return t, nil
}

// instruments makes instruments, and keeps the first error.
type instruments struct {
	meter metric.Meter
	err   error
}

func (m *instruments) count(name, unit, about string) metric.Int64Counter {
	c, err := m.meter.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(about))
	m.err = errors.Join(m.err, err)
	return c
}

func (m *instruments) gauge(name, unit, about string) metric.Int64ObservableUpDownCounter {
	g, err := m.meter.Int64ObservableUpDownCounter(name, metric.WithUnit(unit), metric.WithDescription(about))
	m.err = errors.Join(m.err, err)
	return g
}

func (m *instruments) times(name, about string, bounds []float64) metric.Float64Histogram {
	h, err := m.meter.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(about),
		metric.WithExplicitBucketBoundaries(bounds...))
	m.err = errors.Join(m.err, err)
	return h
}

func (m *instruments) sizes(name, unit, about string) metric.Int64Histogram {
	h, err := m.meter.Int64Histogram(name, metric.WithUnit(unit), metric.WithDescription(about),
		metric.WithExplicitBucketBoundaries(sizes...))
	m.err = errors.Join(m.err, err)
	return h
}

func (t *telemetry) close() {
	if t != nil {
		t.unwatch()
	}
}

// with are the attributes of a measurement.
func with(attrs ...attribute.KeyValue) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(attrs...))
}

// committed tells of a transition that is durable.
func (t *telemetry) committed(b *batch, tr *store.Transition) {
	if t == nil {
		return
	}
	a, ctx := b.a, b.a.traced
	wf := attrWorkflow.String(a.head.Workflow)
	for i := range tr.Events {
		e := &tr.Events[i]
		if e.Kind == store.Started {
			t.runStarted.Add(ctx, 1, with(wf))
		}
		if i < len(tr.Events)-1 || !tr.Status.Ended() { // the end is nothing that had to be taken in
			t.eventLag.Record(ctx, max(0, tr.At.Sub(e.At).Seconds()), with(attrEvent.String(string(e.Kind))))
		}
	}
	for i := range b.spans {
		p := &b.spans[i]
		took := p.To.Sub(p.From).Seconds()
		switch p.Kind {
		case execution.StepDone:
			t.stepDuration.Record(ctx, took, with(wf, attrStep.String(p.Name), outcome(p.Failure != nil)))
		case execution.StepRetry:
			t.stepRetries.Add(ctx, 1, with(wf, attrStep.String(p.Name)))
		case execution.HookWaited:
			t.hookWait.Record(ctx, took, with(wf, attrHook.String(p.Name)))
		case execution.Slept, execution.TimedOut:
		}
		t.traceSpan(a, p)
	}
	if tr.Status.Ended() {
		t.ended(ctx, &a.head, tr.Status, tr.At, tr.Events[len(tr.Events)-1].Data)
	}
}

// ended tells of the end of a run.
func (t *telemetry) ended(ctx context.Context, r *store.Run, status store.Status, at time.Time, data []byte) {
	attrs := with(attrWorkflow.String(r.Workflow), attrStatus.String(string(status)))
	t.runEnded.Add(ctx, 1, attrs)
	t.runDuration.Record(ctx, at.Sub(r.CreatedAt).Seconds(), attrs)
	t.traceRun(ctx, r, status, at, data)
}

// terminated tells of a run that was ended from outside.
func (t *telemetry) terminated(ctx context.Context, in operations, runID string, end *store.Event) {
	if t == nil {
		return
	}
	r, err := in.Run(ctx, runID)
	if err != nil {
		return // it is ended all the same
	}
	t.ended(t.within(trace.ContextWithSpanContext(context.WithoutCancel(ctx), trace.SpanContext{}), &r), &r, store.Canceled, end.At, end.Data)
}

func (t *telemetry) blocked(a *actor) {
	if t != nil {
		t.runBlocked.Add(a.traced, 1, with(attrWorkflow.String(a.head.Workflow)))
	}
}

// replayed tells of a replay that took so long.
func (t *telemetry) replayed(a *actor, events int, took time.Duration) {
	if t == nil || events == 0 {
		return
	}
	attrs := with(attrWorkflow.String(a.head.Workflow))
	t.replayEvents.Add(a.traced, int64(events), attrs)
	t.replayDuration.Record(a.traced, took.Seconds(), attrs)
}

// cached tells of a parked run that goes on.
func (t *telemetry) cached(w *worker) {
	if t != nil {
		t.cacheHits.Add(w.ctx, 1)
	}
}

func (t *telemetry) lost(ctx context.Context) {
	if t != nil {
		t.runLost.Add(ctx, 1)
	}
}

func (t *telemetry) lapsed(ctx context.Context) {
	if t != nil {
		t.leaseLapses.Add(ctx, 1)
	}
}

// sent counts a payload by what became of it.
func (t *telemetry) sent(ctx context.Context, hookType string, duplicate bool, err error) {
	if t == nil {
		return
	}
	what := "accepted"
	switch {
	case duplicate:
		what = "duplicate"
	case errors.Is(err, workflow.ErrHookNotFound), errors.Is(err, store.ErrNotFound):
		what = "not_found"
	case isRefusal(err):
		what = "refused"
	case err != nil:
		what = "failed"
	}
	t.payloadSent.Add(ctx, 1, with(attrHook.String(hookType), attrOutcome.String(what)))
}

// isRefusal reports whether a payload was looked at and not wanted.
func isRefusal(err error) bool {
	_, misfit := errors.AsType[*workflow.PayloadError](err)
	_, foreign := errors.AsType[*workflow.HookTypeError](err)
	return misfit || foreign || errors.Is(err, ErrNotVerified) || errors.Is(err, workflow.ErrPayloadTooLarge)
}

func outcome(failed bool) attribute.KeyValue {
	if failed {
		return attrOutcome.String("failed")
	}
	return attrOutcome.String("completed")
}
