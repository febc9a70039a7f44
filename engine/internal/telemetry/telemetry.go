// Package telemetry reports to OpenTelemetry what the engine does.
package telemetry

import (
	"context"
	"errors"
	"slices"
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

// Telemetry reports to OpenTelemetry what has become durable, and nothing that a replay
// repeats. On nil, which means that no provider is set, its methods do nothing.
//
// Names, units and attributes are in docs/telemetry.md.
type Telemetry struct {
	tracer trace.Tracer

	runStarted, runRestarted, runEnded, runBlocked, runLost metric.Int64Counter
	stepRetries, payloadSent, pauseOrdered                  metric.Int64Counter
	cacheHits, replayEvents, leaseLapses                    metric.Int64Counter

	runDuration, stepDuration, attemptDuration, hookWait metric.Float64Histogram
	requestHeld                                          metric.Float64Histogram
	callDuration                                         metric.Float64Histogram
	eventLag, replayDuration, commitDuration             metric.Float64Histogram
	commitSize, publicationListeners                     metric.Int64Histogram

	refusals []error // of payloads, beside those of package workflow
	unwatch  func()  // unregisters what observes the engine's store and worker
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
	attrReason   = attribute.Key("tenter.reason")
	attrHook     = attribute.Key("tenter.hook")
	attrHookID   = attribute.Key("tenter.hook_id")
	attrEvent    = attribute.Key("tenter.event")
	attrOrder    = attribute.Key("tenter.order")
	attrSubject  = attribute.Key("tenter.subject")
	attrActor    = attribute.Key("tenter.actor") // of spans only: there may be any number of them

	attrTopic     = attribute.Key("tenter.topic")
	attrListeners = attribute.Key("tenter.listeners")
)

// Boundaries of histograms, in seconds except for sizes: for what computers do, and for what
// people do.
var (
	shortTimes = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
	longTimes  = []float64{.01, .1, 1, 10, 60, 300, 1800, 3600, 6 * 3600, 86400, 3 * 86400, 7 * 86400, 30 * 86400, 90 * 86400, 365 * 86400}
	sizes      = []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024}
	audiences  = []float64{0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 100000}
)

// Options configure a Telemetry.
type Options struct {
	Tracers  trace.TracerProvider
	Meters   metric.MeterProvider
	Store    store.Store
	Gauges   func() (g Gauges, ok bool) // false: there is no worker
	Refusals []error                    // of payloads, beside those of package workflow
}

// Gauges are the current values of a worker.
type Gauges struct{ Owned, Cached, Executing, PausedWorkflows int64 }

// New makes the instruments of an engine. It returns nil if no provider is set.
func New(o Options) (*Telemetry, error) {
	tracers, meters := o.Tracers, o.Meters
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
	t := &Telemetry{
		tracer:   tracers.Tracer(scopeName),
		refusals: o.Refusals,

		runStarted: m.count("tenter.run.started", "{run}", "Runs that began to execute"),

		runRestarted: m.count("tenter.run.restarted", "{run}", "Times that a run restarted"),
		runEnded:     m.count("tenter.run.ended", "{run}", "Runs that ended"),
		runBlocked:   m.count("tenter.run.blocked", "{run}", "Times that a run was blocked"),
		runLost:      m.count("tenter.run.lost", "{run}", "Runs that others took over from this worker"),

		stepRetries: m.count("tenter.step.retries", "{attempt}", "Attempts that failed and are followed by another"),
		payloadSent: m.count("tenter.payload.sent", "{payload}", "Payloads, webhook requests and calls sent from this process, by outcome"),

		pauseOrdered: m.count("tenter.pause.ordered", "{order}", "Pauses of runs and workflows, and their ends, that were ordered from this process"),

		cacheHits:    m.count("tenter.cache.hits", "{hit}", "Times that a parked run continued without a replay"),
		replayEvents: m.count("tenter.replay.events", "{event}", "Events that were replayed"),
		leaseLapses:  m.count("tenter.lease.lapses", "{lapse}", "Times that this worker renewed its lease too late"),

		runDuration:     m.times("tenter.run.duration", "Time from a run's start to its end", longTimes),
		stepDuration:    m.times("tenter.step.duration", "Time from a step's call to its outcome, retries and their pauses included", longTimes),
		attemptDuration: m.times("tenter.attempt.duration", "Time that an attempt of a step executed", shortTimes),
		hookWait:        m.times("tenter.hook.wait", "Time that a workflow waited for the payload that it got", longTimes),
		requestHeld:     m.times("tenter.request.held", "Time that the caller of a webhook with manual responses was held", shortTimes),
		callDuration:    m.times("tenter.call.duration", "Time that a caller in this process waited for the answer of a run", shortTimes),
		eventLag:        m.times("tenter.event.lag", "Time from when an event happened, was accepted or became due until it is in the journal", shortTimes),
		replayDuration:  m.times("tenter.replay.duration", "Time of a replay", shortTimes),
		commitDuration:  m.times("tenter.commit.duration", "Time of a commit of the store", shortTimes),
		commitSize:      m.sizes("tenter.commit.size", "{operation}", "Operations in a commit of the store", sizes),

		publicationListeners: m.sizes("tenter.publication.listeners", "{listener}", "Hooks that listened to a publication from this process, by outcome", audiences),
	}
	owned := m.gauge("tenter.run.owned", "{run}", "Runs that this worker owns")
	cached := m.gauge("tenter.run.cached", "{run}", "Parked runs in this worker's memory")
	executing := m.gauge("tenter.attempt.executing", "{attempt}", "Attempts that are executing")
	paused := m.gauge("tenter.workflow.paused", "{workflow}", "Workflows that are paused, as this worker knows")
	if m.err != nil {
		return nil, m.err
	}
	asked, err := m.meter.RegisterCallback(func(_ context.Context, to metric.Observer) error {
		if g, ok := o.Gauges(); ok {
			to.ObserveInt64(owned, g.Owned)
			to.ObserveInt64(cached, g.Cached)
			to.ObserveInt64(executing, g.Executing)
			to.ObserveInt64(paused, g.PausedWorkflows)
		}
		return nil
	}, owned, cached, executing, paused)
	if err != nil {
		return nil, err
	}
	unwatch := func() {}
	if s, ok := o.Store.(store.CommitWatcher); ok {
		unwatch = s.WatchCommits(func(c store.Commit) {
			t.commitDuration.Record(context.Background(), c.Took.Seconds()) //nolint:forbidigo // of many callers
			t.commitSize.Record(context.Background(), int64(c.Operations))  //nolint:forbidigo // as above
		})
	}
	t.unwatch = func() {
		unwatch()
		_ = asked.Unregister() // can't fail: it is registered
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

func (m *instruments) sizes(name, unit, about string, bounds []float64) metric.Int64Histogram {
	h, err := m.meter.Int64Histogram(name, metric.WithUnit(unit), metric.WithDescription(about),
		metric.WithExplicitBucketBoundaries(bounds...))
	m.err = errors.Join(m.err, err)
	return h
}

// Close ends the observation of store and worker.
func (t *Telemetry) Close() {
	if t != nil {
		t.unwatch()
	}
}

// with returns attributes as an option of a measurement.
func with(attrs ...attribute.KeyValue) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(attrs...))
}

// Committed reports a durable transition of a run. ctx carries the run's trace.
func (t *Telemetry) Committed(ctx context.Context, r *store.Run, tr *store.Transition, spans []execution.Span) {
	if t == nil {
		return
	}
	wf := attrWorkflow.String(r.Workflow)
	for i := range tr.Events {
		e := &tr.Events[i]
		switch {
		case e.Kind == store.Restarted:
			t.runRestarted.Add(ctx, 1, with(wf))
		case e.Kind == store.Started && r.Generation == 0:
			t.runStarted.Add(ctx, 1, with(wf))
		}
		if i < len(tr.Events)-1 || !tr.Status.Ended() { // the end of a run was not waiting to be taken in
			t.eventLag.Record(ctx, max(0, tr.At.Sub(e.At).Seconds()), with(attrEvent.String(string(e.Kind))))
		}
	}
	for i := range spans {
		p := &spans[i]
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
		t.traceSpan(ctx, r, p)
	}
	if tr.Status.Ended() {
		t.ended(ctx, r, tr.Status, tr.At, tr.Events[len(tr.Events)-1].Data)
	}
}

// ended reports the end of a run.
func (t *Telemetry) ended(ctx context.Context, r *store.Run, status store.Status, at time.Time, data []byte) {
	attrs := with(attrWorkflow.String(r.Workflow), attrStatus.String(string(status)))
	t.runEnded.Add(ctx, 1, attrs)
	t.runDuration.Record(ctx, at.Sub(r.CreatedAt).Seconds(), attrs)
	t.traceRun(ctx, r, status, at, data)
}

// Terminated reports a run that was ended from outside.
func (t *Telemetry) Terminated(ctx context.Context, load func() (store.Run, error), end *store.Event) {
	if t == nil {
		return
	}
	r, err := load()
	if err != nil {
		return // the run has ended all the same
	}
	t.ended(t.Within(trace.ContextWithSpanContext(context.WithoutCancel(ctx), trace.SpanContext{}), &r), &r, store.Canceled, end.At, end.Data)
}

// Blocked reports a run that was blocked.
func (t *Telemetry) Blocked(ctx context.Context, workflow string) {
	if t != nil {
		t.runBlocked.Add(ctx, 1, with(attrWorkflow.String(workflow)))
	}
}

// Replayed reports a replay and its duration.
func (t *Telemetry) Replayed(ctx context.Context, workflow string, events int, took time.Duration) {
	if t == nil || events == 0 {
		return
	}
	attrs := with(attrWorkflow.String(workflow))
	t.replayEvents.Add(ctx, int64(events), attrs)
	t.replayDuration.Record(ctx, took.Seconds(), attrs)
}

// Cached reports a parked run that continues without a replay.
func (t *Telemetry) Cached(ctx context.Context) {
	if t != nil {
		t.cacheHits.Add(ctx, 1)
	}
}

// Lost reports a run that others have taken over.
func (t *Telemetry) Lost(ctx context.Context) {
	if t != nil {
		t.runLost.Add(ctx, 1)
	}
}

// Lapsed reports a lease that was renewed too late.
func (t *Telemetry) Lapsed(ctx context.Context) {
	if t != nil {
		t.leaseLapses.Add(ctx, 1)
	}
}

// Sent counts a payload by what became of it.
func (t *Telemetry) Sent(ctx context.Context, hookType string, duplicate bool, err error) {
	if t == nil {
		return
	}
	what := "accepted"
	switch {
	case duplicate:
		what = "duplicate"
	case errors.Is(err, workflow.ErrHookNotFound), errors.Is(err, store.ErrNotFound):
		what = "not_found"
	case t.isRefusal(err):
		what = "refused"
	case err != nil:
		what = "failed"
	}
	reason := "" // all series of a metric have the same labels
	if what == "refused" {
		reason = refusalReason(err)
	}
	t.payloadSent.Add(ctx, 1, with(attrHook.String(hookType), attrOutcome.String(what), attrReason.String(reason)))
}

// refusalReason is why a payload was refused, one of few.
func refusalReason(err error) string {
	if r, ok := errors.AsType[interface {
		error
		RefusalReason() string
	}](err); ok {
		return r.RefusalReason()
	}
	if errors.Is(err, workflow.ErrPayloadTooLarge) {
		return "too_large"
	}
	return "invalid"
}

// A Subject is what is paused.
type Subject string

// What can be paused.
const (
	OneRun      Subject = "run"
	OneWorkflow Subject = "workflow"
)

// Paused reports that something was ordered to pause.
func (t *Telemetry) Paused(ctx context.Context, s Subject) { t.ordered(ctx, "pause", s) }

// Resumed reports that something was ordered to go on.
func (t *Telemetry) Resumed(ctx context.Context, s Subject) { t.ordered(ctx, "resume", s) }

func (t *Telemetry) ordered(ctx context.Context, order string, s Subject) {
	if t != nil {
		t.pauseOrdered.Add(ctx, 1, with(attrOrder.String(order), attrSubject.String(string(s))))
	}
}

// Held reports how long the caller of a webhook was held for an answer, and what became of it.
func (t *Telemetry) Held(ctx context.Context, took time.Duration, outcome string) {
	if t != nil {
		t.requestHeld.Record(ctx, took.Seconds(), with(attrOutcome.String(outcome)))
	}
}

// Published counts the listeners of a publication.
func (t *Telemetry) Published(ctx context.Context, topic string, listeners int, duplicate bool, err error) {
	what := "accepted"
	switch {
	case duplicate:
		what = "duplicate"
	case err != nil:
		what = "failed"
	}
	t.publicationListeners.Record(ctx, int64(listeners), with(attrTopic.String(topic), attrOutcome.String(what)))
}

// Called reports how long a caller has waited for an answer, and what it is.
func (t *Telemetry) Called(ctx context.Context, name string, took time.Duration, answer string) {
	if t != nil {
		t.callDuration.Record(ctx, took.Seconds(), with(attrHook.String(name), attrOutcome.String(answer)))
	}
}

// isRefusal reports whether a payload was examined and refused.
func (t *Telemetry) isRefusal(err error) bool {
	_, misfit := errors.AsType[*workflow.PayloadError](err)
	_, foreign := errors.AsType[*workflow.HookTypeError](err)
	if misfit || foreign || errors.Is(err, workflow.ErrPayloadTooLarge) {
		return true
	}
	return slices.ContainsFunc(t.refusals, func(refusal error) bool { return errors.Is(err, refusal) })
}

func outcome(failed bool) attribute.KeyValue {
	if failed {
		return attrOutcome.String("failed")
	}
	return attrOutcome.String("completed")
}
