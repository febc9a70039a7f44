package engine

import (
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/engine/internal/worker"
	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/sender"
	"github.com/tenter-dev/tenter/workflow"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// Options configure an engine. The zero value makes a pure client, which starts, resumes and
// watches runs that other processes execute.
type Options struct {
	// Workflows are what [Engine.Run] executes.
	Workflows []workflow.Definition

	// Elsewhere names workflows that this engine may start but does not execute; starting any
	// other that is not in Workflows fails with workflow.ErrUnknownWorkflow. An engine without
	// Workflows may start any.
	Elsewhere []string

	// Hooks are defined hook types and topics, for which this engine checks payloads, whoever
	// sends or publishes them. Workers keep their names and JSON Schemas in the database.
	Hooks []workflow.HookDefinition

	// StoredHooks checks payloads for hook types that Hooks lacks as well, by the JSON Schemas that
	// workers have kept in the database: for a program that sends payloads and has not the code of
	// their types. Before each payload it looks up the hook. Default: false.
	StoredHooks bool

	// PublicURL is where the outside world reaches this program, such as
	// "https://example.com", with a path if it is served below one. The URLs of webhooks begin
	// with it. There is no default; runs that open a webhook without it are blocked until it
	// is set.
	PublicURL string

	// AnswerKeys sign the links to answer pages: the first one does, and all are known. To rotate, add
	// the new key on every engine, then put it first, and remove the old one when no open link names it
	// any more (Engine.LinkKeys). Without keys, runs that make a link are blocked until there are some.
	AnswerKeys []AnswerKey

	// Senders are the systems that send webhook requests, by the names that workflow.From and
	// workflow.Verify give.
	Senders map[string]*sender.Sender

	// RespondWithin is how long the caller of a webhook that responds manually is
	// kept waiting. The default is 30 s; with workflow.From it is what the sender waits for, if
	// that is less.
	RespondWithin time.Duration

	// KeepRefused is how many requests to webhooks are kept after they were refused because their sender
	// could not be verified, so that they can be delivered once the secret has been fixed
	// ([Engine.Redeliver]). The oldest give way to newer ones. Kept are requests of up to 64 KiB to a
	// webhook that is there, at most 20 a minute of an engine: anybody who has the URL can send some.
	// The default is none, the maximum 1,000.
	KeepRefused int

	// Logger gets what the engine and, through workflow.Logger, workflows log. The default is
	// slog.Default().
	Logger *slog.Logger

	// TracerProvider gets the spans of OpenTelemetry. The default is none, which costs
	// nothing; otel.GetTracerProvider() is the program's. Give one to all engines that start
	// runs: a run started without one never gets a trace.
	TracerProvider trace.TracerProvider

	// MeterProvider gets the metrics of OpenTelemetry. The default is none;
	// otel.GetMeterProvider() is the program's.
	MeterProvider metric.MeterProvider

	// MaxPayload bounds inputs, payloads, results and the metadata of hooks, each as JSON, in
	// bytes. Anything larger is refused with workflow.ErrPayloadTooLarge. The default is 4
	// MiB.
	MaxPayload int

	// DedupeFor is how long idempotency keys are kept. The default is 7 days.
	DedupeFor time.Duration

	// PublishAtOnce is how many listeners of a topic get a publication in the commit that makes it
	// durable. One that has more gets to them afterwards, in many small commits of workers, so that
	// others hardly wait. The default is 100.
	PublishAtOnce int

	// KeepEnded is how long runs are kept after they have ended. Then they are deleted, with
	// their journals and results, as if they had never existed: Get does not find them, and
	// their IDs may be used again. It is at least a minute, and at least DedupeFor, so that no
	// repeated Start or Resume comes too late to find its run. All engines that execute runs
	// on a database should use the same value. The default is forever.
	KeepEnded time.Duration

	// RestartAfter is how many events the journal of a run's generation has when
	// workflow.RestartDue says that it is time for a restart. It counts for generations that
	// begin from then on. The default is 10,000.
	RestartAfter int

	// KeepGenerationsFor is how long the journal of a generation is kept after its run has
	// restarted. Then it is deleted, with the hooks that were closed in it and the payloads that
	// it left unread, unless the next generation has not begun. It is at least a minute. The
	// default is as long as the run is kept.
	KeepGenerationsFor time.Duration

	// Lease is how long the runs of a worker that died are left alone before others take them
	// over; a worker that is frozen for longer loses its runs. The default is 10 s, the
	// minimum 50 ms.
	Lease time.Duration

	// StepGrace is how long a canceled step may take to return before it fails with
	// workflow.ErrOutcomeUnknown. The default is 30 s.
	StepGrace time.Duration

	// DrainTimeout is how long Run may take to return once its context has ended, even if the
	// store does not answer. Executing steps have all of it but the last tenth, or second, to
	// finish, and at least half of it. Then their contexts end; steps that fail because of
	// that are executed again, by the next worker. The default is 20 s, the minimum half a
	// second.
	DrainTimeout time.Duration

	// MaxSteps is how many steps may execute at the same time; further ones wait. The
	// default is 1,000.
	MaxSteps int

	// MaxRuns is how many runs may be at work at the same time before no more are
	// claimed. The default is 2,000.
	MaxRuns int

	// CacheSize is how many parked runs are kept in memory, so that they continue without a
	// replay. The least recently used is evicted first. The default is 10,000, at about 10 KB
	// each. A negative number keeps none.
	CacheSize int

	// StuckAfter is how long workflow code may execute in one go, a replay included, before
	// its stack is logged. Nothing else is done about it: it may just be slow. The default is
	// 5 s.
	StuckAfter time.Duration

	// Build names the code, so that this build leaves a run that diverged from it alone, and
	// the next takes it up. The default is derived from the version control stamp or, without
	// one, from the executable file.
	Build string
}

// maxKeepRefused is the maximum of Options.KeepRefused.
const maxKeepRefused = 1000

func (o *Options) setDefaults() {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&o.DedupeFor, 7*24*time.Hour)
	def(&o.Lease, 10*time.Second)
	def(&o.RespondWithin, 30*time.Second)
	def(&o.StepGrace, 30*time.Second)
	def(&o.DrainTimeout, 20*time.Second)
	def(&o.StuckAfter, 5*time.Second)
	o.Lease = max(o.Lease, 50*time.Millisecond)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	o.Logger = slog.New(&calmHandler{o.Logger.Handler()})
	if o.MaxPayload <= 0 {
		o.MaxPayload = 4 << 20
	}
	if o.MaxSteps <= 0 {
		o.MaxSteps = 1000
	}
	if o.MaxRuns <= 0 {
		o.MaxRuns = 2000
	}
	if o.RestartAfter <= 0 {
		o.RestartAfter = journal.DefaultRestartAfter
	}
	if o.CacheSize == 0 {
		o.CacheSize = 10_000
	}
	if o.Build == "" {
		o.Build = buildID()
	}
	// These unblock runs that could not go on without them.
	for _, given := range append([]string{o.PublicURL}, slices.Sorted(maps.Keys(o.Senders))...) {
		if given != "" {
			o.Build += " " + given
		}
	}
	for _, k := range o.AnswerKeys {
		o.Build += " " + k.ID
	}
}

// checkDurations refuses durations that can't be intended.
func (o *Options) checkDurations() error {
	for _, given := range []struct {
		name string
		d    time.Duration
	}{
		{"RespondWithin", o.RespondWithin},
		{"DedupeFor", o.DedupeFor},
		{"KeepEnded", o.KeepEnded},
		{"KeepGenerationsFor", o.KeepGenerationsFor},
		{"Lease", o.Lease},
		{"StepGrace", o.StepGrace},
		{"DrainTimeout", o.DrainTimeout},
		{"StuckAfter", o.StuckAfter},
	} {
		if given.d < 0 {
			return fmt.Errorf("negative Options.%s: %v; 0 is the default", given.name, given.d)
		}
	}
	return nil
}

// checkKeep checks how long things are to be kept.
func (o *Options) checkKeep() error {
	switch {
	case o.KeepGenerationsFor > 0 && o.KeepGenerationsFor < worker.PruneEvery:
		return fmt.Errorf("Options.KeepGenerationsFor is %v: it is at least %v", o.KeepGenerationsFor, worker.PruneEvery)
	case o.KeepEnded > 0 && o.KeepEnded < worker.PruneEvery:
		return fmt.Errorf("Options.KeepEnded is %v: it is at least %v", o.KeepEnded, worker.PruneEvery)
	case o.KeepEnded > 0 && o.KeepEnded < o.DedupeFor:
		return fmt.Errorf("Options.KeepEnded is %v, and DedupeFor %v: a start or payload that is repeated within that time must still find its run", o.KeepEnded, o.DedupeFor)
	}
	return nil
}

// parsePublicURL checks Options.PublicURL and drops its trailing slash.
func parsePublicURL(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("Options.PublicURL %q: it has to be like https://example.com, with a path if need be", s)
	}
	return strings.TrimSuffix(s, "/"), nil
}
