package telemetry

import (
	"context"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/tenter-dev/tenter/engine/internal/execution"
	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// A run may last for a year and go through many processes, and a span lives in the memory of
// one until it ends. So no live span is as long-lived as a run: the short span of its start is
// stored with it and is the parent of all others, each of which is emitted when what it
// describes is over, with the times in the journal. A crash loses only the spans of the
// attempts that were executing. See docs/decisions.md.

// traceText is a span context as stores keep it: a W3C traceparent, and after a space
// the tracestate if there is one.
type traceText struct{ parent, state string }

const maxTraceState = 512 // what W3C asks everyone to propagate

func (t *traceText) Get(key string) string {
	if key == "traceparent" {
		return t.parent
	}
	return t.state
}

func (t *traceText) Set(key, value string) {
	if key == "traceparent" {
		t.parent = value
	} else if len(value) <= maxTraceState {
		t.state = value
	}
}

func (t *traceText) Keys() []string { return []string{"traceparent", "tracestate"} }

// encodeTrace returns the span context of ctx as text, empty if there is none.
func encodeTrace(ctx context.Context) string {
	var t traceText
	propagation.TraceContext{}.Inject(ctx, &t)
	if t.state == "" {
		return t.parent
	}
	return t.parent + " " + t.state
}

// decodeTrace makes an encoded span context the parent of what is done with ctx.
func decodeTrace(ctx context.Context, text string) context.Context {
	if text == "" {
		return ctx
	}
	var t traceText
	t.parent, t.state, _ = strings.Cut(text, " ")
	return propagation.TraceContext{}.Extract(ctx, &t)
}

// Within makes what is done with ctx part of the run's trace. A run that was started without a
// trace never gets one: its spans would be orphans.
func (t *Telemetry) Within(ctx context.Context, r *store.Run) context.Context {
	if t == nil {
		return ctx
	}
	return decodeTrace(ctx, r.Trace)
}

func isTraced(ctx context.Context) bool { return trace.SpanContextFromContext(ctx).IsValid() }

func end(span trace.Span, failure string, options ...trace.SpanEndOption) {
	if failure != "" {
		span.SetStatus(codes.Error, failure)
	}
	span.End(options...)
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// Starting begins the span of a start, the parent of the run's other spans.
func (t *Telemetry) Starting(ctx context.Context, n *store.NewRun) (started func(error)) {
	if t == nil {
		return func(error) {}
	}
	ctx, span := t.tracer.Start(ctx, "start "+n.Workflow, trace.WithSpanKind(trace.SpanKindProducer),
		trace.WithAttributes(attrWorkflow.String(n.Workflow), attrRun.String(n.ID)))
	nameActor(span, n.Actor)
	n.Trace = encodeTrace(ctx)
	return func(err error) { end(span, text(err)) }
}

// nameActor says in a span who does what it describes, if somebody is known.
func nameActor(span trace.Span, stored string) {
	if name := journal.DecodeActor(stored).Name; name != "" {
		span.SetAttributes(attrActor.String(name))
	}
}

// Forking begins the span of a fork, the parent of its other spans. It is linked with the trace of
// the origin.
func (t *Telemetry) Forking(ctx context.Context, n *store.NewRun, origin string) (forked func(error)) {
	if t == nil {
		return func(error) {}
	}
	options := []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(attrWorkflow.String(n.Workflow), attrRun.String(n.ID)),
	}
	if origin != "" {
		from := trace.SpanContextFromContext(decodeTrace(ctx, origin))
		options = append(options, trace.WithLinks(trace.Link{SpanContext: from}))
	}
	ctx, span := t.tracer.Start(ctx, "fork "+n.Workflow, options...)
	nameActor(span, n.Actor)
	n.Trace = encodeTrace(ctx)
	return func(err error) { end(span, text(err)) }
}

// StartingChildren begins the spans of the children that a transition starts. If the transition
// is refused, started is not to be called: a span that does not end is not exported.
func (t *Telemetry) StartingChildren(ctx context.Context, tr *store.Transition, effects []execution.Effect) (started func(error)) {
	if t == nil || !isTraced(ctx) {
		return func(error) {}
	}
	var all []func(error)
	for i := range effects {
		if effects[i].Kind == store.StartRun && !effects[i].Again {
			all = append(all, t.Starting(ctx, &tr.Effects[i].Run))
		}
	}
	return func(err error) {
		for _, one := range all {
			one(err)
		}
	}
}

// Sending begins the span of a payload and counts its outcome. The verb says how it is sent.
func (t *Telemetry) Sending(ctx context.Context, verb string, p *store.Payload) (sent func(workflow.HookInfo, error)) {
	if t == nil {
		return func(workflow.HookInfo, error) {}
	}
	ctx, span := t.tracer.Start(ctx, verb, trace.WithSpanKind(trace.SpanKindProducer))
	nameActor(span, p.Actor)
	p.Trace = encodeTrace(ctx)
	if p.OrStart != nil {
		p.OrStart.Trace = p.Trace
	}
	return func(h workflow.HookInfo, err error) {
		if err != nil && p.Type != nil {
			h.Type = *p.Type
		}
		span.SetName(named(verb, h.Type))
		span.SetAttributes(attrHook.String(h.Type))
		if err == nil {
			span.SetAttributes(attrRun.String(h.RunID), attrHookID.String(h.ID))
		}
		t.Sent(ctx, h.Type, h.Duplicate, err)
		end(span, text(err))
	}
}

// Publishing begins the span of a publication, and puts it into p.
func (t *Telemetry) Publishing(ctx context.Context, p *store.Publication) (published func(store.Published, error)) {
	if t == nil {
		return func(store.Published, error) {}
	}
	ctx, span := t.tracer.Start(ctx, named("publish", p.Topic), trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(attrTopic.String(p.Topic)))
	p.Trace = encodeTrace(ctx)
	return func(done store.Published, err error) {
		if err == nil {
			span.SetAttributes(attrListeners.Int(done.Count))
		}
		t.Published(ctx, p.Topic, done.Count, done.Duplicate, err)
		end(span, text(err))
	}
}

func named(what, name string) string {
	if name == "" {
		return what
	}
	return what + " " + name
}

// Attempt begins the span of an attempt: what the step does is part of it.
func (t *Telemetry) Attempt(ctx context.Context, spec run.Step) (_ context.Context, returned func(*run.StepError)) {
	if t == nil {
		return ctx, func(*run.StepError) {}
	}
	began := time.Now()
	scene, _ := ctx.Value(run.Key{}).(*run.Scene) // put there by begin
	info := scene.Info
	var span trace.Span
	if isTraced(ctx) {
		ctx, span = t.tracer.Start(ctx, "step "+spec.Name, trace.WithAttributes(attrRun.String(info.RunID),
			attrWorkflow.String(info.Workflow), attrVersion.Int(info.Version), attrStep.String(spec.Name),
			attrStepID.String(info.StepID), attrAttempt.Int(info.Attempt)))
	}
	return ctx, func(failed *run.StepError) {
		t.attemptDuration.Record(ctx, time.Since(began).Seconds(),
			with(attrWorkflow.String(info.Workflow), attrStep.String(spec.Name), outcome(failed != nil)))
		if span != nil {
			failure := ""
			if failed != nil {
				failure = failed.Failure.Text
			}
			end(span, failure)
		}
	}
}

// traceSpan emits a span that has ended.
func (t *Telemetry) traceSpan(ctx context.Context, r *store.Run, p *execution.Span) {
	if !isTraced(ctx) {
		return
	}
	attrs := []attribute.KeyValue{attrRun.String(r.ID), attrWorkflow.String(r.Workflow)}
	options := []trace.SpanStartOption{trace.WithTimestamp(p.From)}
	var name string
	switch p.Kind {
	case execution.HookWaited:
		name = named("hook", p.Name)
		attrs = append(attrs, attrHook.String(p.Name), attrHookID.String(p.Ref))
		options = append(options, trace.WithSpanKind(trace.SpanKindConsumer))
		if p.Trace != "" {
			from := trace.SpanContextFromContext(decodeTrace(ctx, p.Trace))
			options = append(options, trace.WithLinks(trace.Link{SpanContext: from}))
		}
	case execution.Slept:
		name = "sleep"
	case execution.TimedOut:
		name = "timeout"
	case execution.StepDone, execution.StepRetry:
		return // its attempts have spans
	}
	_, span := t.tracer.Start(ctx, name, append(options, trace.WithAttributes(attrs...))...)
	nameActor(span, p.Actor)
	span.End(trace.WithTimestamp(p.To))
}

// traceRun emits the span of a whole run. ctx carries its trace.
func (t *Telemetry) traceRun(ctx context.Context, r *store.Run, status store.Status, at time.Time, data []byte) {
	if !isTraced(ctx) {
		return
	}
	_, span := t.tracer.Start(ctx, "run "+r.Workflow, trace.WithTimestamp(r.CreatedAt), trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithAttributes(attrRun.String(r.ID), attrWorkflow.String(r.Workflow), attrVersion.Int(r.Version), attrStatus.String(string(status))))
	failure := ""
	if status == store.Failed {
		failure = journal.DecodeFailure(data).Text
	}
	end(span, failure, trace.WithTimestamp(at))
}
